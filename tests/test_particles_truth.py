"""What is measured against a particle's true specimen, on reconstructions that are known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import hebt
from companion import particles
from hebt import metrics, segmentation, simulate

SIZE = 40


@pytest.fixture(scope="module")
def specimen():
    return simulate.embedded_octahedron(SIZE)


@pytest.fixture(scope="module")
def truth(specimen):
    return particles.Truth(specimen)


@pytest.fixture(scope="module")
def surfaces(truth):
    return particles.Surfaces(truth)


def fractions(specimen):
    bulk = np.array([simulate.DENSITY[e] for e in specimen.elements], np.float32)
    return specimen.density / bulk[:, None, None, None]


def solvers_view(x):
    """x as a solver hands it out: a view whose last axis in memory is the slices."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, (-2, -1), (0, 1))), (0, 1), (-2, -1))


def noisy(specimen, seed=0):
    rng = np.random.default_rng(seed)
    x = fractions(specimen) * np.array([700.0, 40.0], np.float32)[:, None, None, None]
    x = gaussian_filter(x, (0, 1, 1, 1)) + rng.normal(0, (80, 5), (SIZE,) * 3 + (2,)).transpose(
        3, 0, 1, 2
    )
    return np.maximum(x, 0).astype(np.float32)


def test_scores_of_a_run_are_those_of_the_metrics(specimen, truth):
    x = noisy(specimen)
    # a segmentation that differs from the truth
    labels = segmentation.segment(np.maximum(x[0] * 3 / 700 + x[1] / 40, 0)).labels
    scores = particles.Scorer(truth, labels)(solvers_view(x))
    paper_voxels = (300 / SIZE) ** 3
    for e, label in enumerate((2, 1)):
        for reference, y in (
            ("segmented", (labels == label).astype(np.float32)),
            ("true", truth.fraction[e] / np.float32(250)),
        ):
            found = {name: scores[reference][name][e] for name in particles.TABLE_2}
            assert found["mse"] == pytest.approx(
                metrics.scaled_mse(y, x[e], normalise="pixels"), rel=1e-4
            )
            assert found["ssim"] == pytest.approx(
                metrics.ssim_structure(y, x[e], window=None), rel=1e-4
            )
        binary = {"segmented": labels == label, "true": truth.labels == label}
        for reference, y in binary.items():
            exact = metrics.pixel_difference(y, x[e]) * paper_voxels
            found = scores[reference]["dp"][e]
            assert exact * (1 - 1e-9) <= found <= exact * 1.02


@pytest.mark.parametrize("step", [2, 4])
def test_slices_are_scored_by_their_own_truth(specimen, truth, step):
    x = noisy(specimen, seed=5)
    some = slice(3, 37, step)
    scores = particles.Scorer(truth.part(some))(solvers_view(x)[:, some])["true"]
    for e in range(2):
        true, own = truth.fraction[e, some] / np.float32(250), x[e, some]
        assert scores["mse"][e] == pytest.approx(
            metrics.scaled_mse(true, own, normalise="pixels"), rel=1e-4
        )
        assert scores["ssim"][e] == pytest.approx(
            metrics.ssim_structure(true, own, window=None), rel=1e-4
        )
        # DP counts voxels of the paper's volume, whatever share of ours was looked at
        exact = metrics.pixel_difference(truth.labels[some] == 2 - e, own) * 300**3 / own.size
        assert exact * (1 - 1e-9) <= scores["dp"][e] <= exact * 1.02


def test_a_perfect_reconstruction_has_perfect_scores(specimen, truth, surfaces):
    x = fractions(specimen) * np.array([5.0, 2.0], np.float32)[:, None, None, None]
    found = particles.Scorer(truth, truth.labels, surfaces.region)(solvers_view(x))
    assert found["true"]["mse"] == pytest.approx(0, abs=1e-5)
    assert found["true"]["ssim"] == pytest.approx(1, abs=1e-4)
    # but for voxels at an interface, of which no element has a half
    assert (found["true"]["dp"] <= 1e-3 * 300**3).all()
    assert found["crosstalk"]["level"] == pytest.approx([0], abs=1e-6)
    assert found["crosstalk"]["background"] == pytest.approx([0], abs=1e-6)


def test_crosstalk_is_what_was_put_there(specimen, truth, surfaces):
    x = fractions(specimen).copy()
    x[0] += 0.1 * x[1]  # a tenth of silver shows up in gold
    crosstalk = particles.Scorer(truth, region=surfaces.region)(solvers_view(x))["crosstalk"]
    assert crosstalk["level"] == pytest.approx([0.1], rel=1e-3)
    silver = x[0][surfaces.region == 2].sum()
    assert crosstalk["share"] == pytest.approx([silver / x[0].sum()], rel=1e-4)
    assert crosstalk["cleared_share"] == [0]
    assert crosstalk["cleared_voxels"] == [0]


def test_windows_are_those_of_the_metric(specimen, truth):
    x = noisy(specimen, seed=3)
    found = particles.Scorer(truth, truth.labels).windowed(x)
    for e, label in enumerate((2, 1)):
        segmented = (truth.labels == label).astype("f4")
        for name, y in (("true", truth.fractions()[e]), ("segmented", segmented)):
            assert found[name][e] == pytest.approx(metrics.ssim_structure(y, x[e]), abs=1e-5)


@pytest.mark.parametrize("sigma", [3.0, 5.0])
def test_widths_are_those_of_the_blur(sigma):
    specimen = simulate.embedded_octahedron(90)
    truth = particles.Truth(specimen)
    surfaces = particles.Surfaces(truth)
    blurred = [gaussian_filter(f, sigma / truth.voxel_size) for f in fractions(specimen)]
    # of a flat edge; edges and corners of the bodies widen it a little
    expected = 2.5631 * sigma
    for some in (slice(0, 90), slice(0, 90, 2), slice(2, 90, 4)):
        numbers = truth.part(some).numbers
        for image, surface in ((blurred[1], "edge"), (blurred[0], "interface")):
            width = surfaces.profile(image[some], surface, numbers).width
            assert width == pytest.approx(expected, rel=0.12)


def test_profiles_cross_a_half_at_the_surface(specimen, surfaces):
    blurred = [gaussian_filter(f, 0.7) for f in fractions(specimen)]
    for image, surface in ((blurred[0], "interface"), (blurred[1], "edge")):
        profile = surfaces.profile(image, surface, np.arange(SIZE))
        assert abs(np.interp(0.5, profile.values[::-1], profile.distance[::-1])) < 1.5
        assert profile.values[0] > 0.9 and profile.values[-1] < 0.1


def test_masks_of_maps_keep_the_particle_and_nothing_else():
    size = 60
    W = hebt.Projector(np.arange(-60, 31, 30), size)
    specimen = simulate.embedded_octahedron(size)
    haadf = W.forward(fractions(specimen).sum(axis=0))
    haadf += np.random.default_rng(0).normal(0, 0.01, haadf.shape).astype("f4")
    masked = particles.mask_maps(haadf, np.ones((2, *haadf.shape)))
    assert (masked[0] == masked[1]).all()
    assert (masked[0][haadf > 4] == 1).all()
    assert masked[:, :, :3, :3].max() == 0 and masked.mean() < 0.7
    with pytest.raises(ValueError, match=r"expected \(elements, 4, 60, 60\)"):
        particles.mask_maps(haadf, np.ones((2, *haadf.shape))[:, :, :-1])


def test_the_truth_has_its_own_composition():
    specimen = simulate.alloy_particle(48, gold=(0.25, 0.75))
    truth = particles.Truth(specimen)
    shells = particles.Shells(truth)
    radius, true = shells.radius, shells.profile
    factors = np.array([3e-4, 5e-5])
    x = specimen.density * factors[:, None, None, None].astype("f4")
    profile, voxel_error = shells.measure(x, factors)
    assert profile == pytest.approx(true, abs=0.005)
    assert voxel_error < 0.01
    # the atomic fraction that the specimen was made with, 0.25 + 0.5 (r / 14.2 nm)² by volume;
    # both metals have the same atoms per volume to within 1 %
    assert true == pytest.approx(0.25 + 0.5 * (radius / 14.2) ** 2, abs=0.02)
    assert (np.diff(true) > 0).all()
    # half of the gold is gone: the fraction f becomes (f / 2) / (1 - f / 2)
    x[0] /= 2
    lost, _ = shells.measure(x, factors)
    every_second = slice(1, 47, 2)
    part, _ = particles.Shells(truth.part(every_second)).measure(x[:, every_second], factors)
    assert part == pytest.approx(lost, abs=0.01)
    assert lost == pytest.approx(true / 2 / (1 - true / 2), abs=0.01)


def test_steps_keep_values_to_half_a_step():
    values = np.linspace(0, particles.VIEW_LIMIT, 1000)
    back = particles.from_steps(particles.to_steps(values))
    assert np.abs(back - values).max() <= 0.5 * particles.VIEW_LIMIT / 255 + 1e-6
    assert particles.to_steps(np.array([-1.0, 99.0])).tolist() == [0, 255]
