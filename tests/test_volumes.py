import dataclasses
import importlib
import types

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import hebt
from companion import particles, spectra
from companion.particles.alloy import _alloy_study
from companion.particles.nonalloy import _nonalloy_study
from companion.scores import BEST_IS_LARGE
from hebt import metrics, segmentation, simulate

SIZE = 40


@pytest.fixture(scope="module")
def specimen():
    return simulate.embedded_octahedron(SIZE)


@pytest.fixture(scope="module")
def truth(specimen):
    return particles.Truth(specimen, surfaces=True)


def fractions(specimen):
    bulk = np.array([simulate.DENSITY[e] for e in specimen.elements], np.float32)
    return specimen.density / bulk[:, None, None, None]


def parts_of(truth):
    return segmentation.Segmentation(truth.labels, (0.5, 2.0))


def follow(truth, x, labels=None):
    """Scores of one finished volume, as a solver's callback would take them."""
    one = particles.Follow(truth, truth.labels if labels is None else labels)
    # a solver hands out views whose last axis in memory is the slices
    memory = np.ascontiguousarray(np.moveaxis(x, (-2, -1), (0, 1)))
    return one.look(np.moveaxis(memory, (0, 1), (-2, -1)))


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
    scores = follow(truth, x, labels)["scores"]
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


def test_every_second_slice_is_scored_by_its_own_truth(specimen, truth):
    x = noisy(specimen, seed=5)
    held = truth.box.slices[0]
    part = truth.part(slice(held.start, held.stop, 2))
    scores = particles.Follow(part, every=2).look(x[:, held])["scores"]["true"]
    for e in range(2):
        true = truth.fraction[e, held][::2] / np.float32(250)
        own = x[e, held][::2]
        assert scores["mse"][e] == pytest.approx(
            metrics.scaled_mse(true, own, normalise="pixels"), rel=1e-4
        )
        assert scores["ssim"][e] == pytest.approx(
            metrics.ssim_structure(true, own, window=None), rel=1e-4
        )
    back = truth.filled(x[:, held], held)
    assert back.shape == x.shape and (back[:, held] == x[:, held]).all()
    assert not np.delete(back, range(held.start, held.stop), axis=1).any()


def test_a_perfect_reconstruction_has_perfect_scores(specimen, truth):
    x = fractions(specimen) * np.array([5.0, 2.0], np.float32)[:, None, None, None]
    one = follow(truth, x)
    assert one["scores"]["true"]["mse"] == pytest.approx(0, abs=1e-5)
    assert one["scores"]["true"]["ssim"] == pytest.approx(1, abs=1e-4)
    # but for voxels at an interface, of which no element has a half
    assert (one["scores"]["true"]["dp"] <= 1e-3 * 300**3).all()
    assert one["level"] == pytest.approx(0, abs=1e-6)
    assert one["background"] == pytest.approx(0, abs=1e-6)


def test_the_crosstalk_is_what_was_put_there(specimen, truth):
    x = fractions(specimen).copy()
    x[0] += 0.1 * x[1]  # a tenth of silver shows up in gold
    one = follow(truth, x)
    assert one["level"] == pytest.approx(0.1, rel=1e-3)
    silver = x[0][truth.region == 2].sum()
    assert one["share"] == pytest.approx(silver / x[0].sum(), rel=1e-4)
    assert one["cleared_share"] == 0 and one["cleared_level"] == 0


def test_windows_are_those_of_the_metric(specimen, truth):
    x = noisy(specimen, seed=3)[1]
    for reference in (truth.fraction[1] / np.float32(250), (truth.labels == 1).astype("f4")):
        assert particles.windowed_ssim(reference, x) == pytest.approx(
            metrics.ssim_structure(reference, x), abs=1e-5
        )


@pytest.mark.parametrize("sigma", [3.0, 5.0])
def test_widths_are_those_of_the_blur(sigma):
    specimen = simulate.embedded_octahedron(90)
    truth = particles.Truth(specimen, surfaces=True)
    blurred = [gaussian_filter(f, sigma / truth.voxel_size) for f in fractions(specimen)]
    # of a flat edge; edges and corners of the bodies widen it a little
    expected = 2.5631 * sigma
    assert truth.profile(blurred[1], "edge").width == pytest.approx(expected, rel=0.12)
    assert truth.profile(blurred[0], "interface").width == pytest.approx(expected, rel=0.12)


def test_profiles_cross_a_half_at_the_surface(specimen, truth):
    blurred = [gaussian_filter(f, 0.7) for f in fractions(specimen)]
    for image, surface in ((blurred[0], "interface"), (blurred[1], "edge")):
        profile = truth.profile(image, surface)
        assert abs(np.interp(0.5, profile.values[::-1], profile.distance[::-1])) < 1.5
        assert profile.values[0] > 0.9 and profile.values[-1] < 0.1


def test_masks_of_maps_keep_the_particle_and_nothing_else():
    size = 60
    W = hebt.Projector(np.arange(-60, 31, 30), size)
    specimen = simulate.embedded_octahedron(size)
    haadf = W.forward(fractions(specimen).sum(axis=0))
    haadf += np.random.default_rng(0).normal(0, 0.01, haadf.shape).astype("f4")
    masked = particles.mask_maps(haadf, np.stack([np.ones_like(haadf)] * 2))
    assert (masked[0] == masked[1]).all()
    assert (masked[0][haadf > 4] == 1).all()
    assert masked[:, :, :3, :3].max() == 0 and masked.mean() < 0.7
    with pytest.raises(ValueError, match=r"expected maps of shape \(elements, 4, 60, 60\)"):
        particles.mask_maps(haadf, masked[:, :-1])


def test_the_truth_has_its_own_composition():
    specimen = simulate.alloy_particle(48, gold=(0.25, 0.75))
    truth = particles.Truth(specimen, surfaces=False)
    radius, true = truth.true_profile()
    factors = np.array([3e-4, 5e-5])
    x = specimen.density * factors[:, None, None, None].astype("f4")
    found = truth.composition(x, factors)
    assert found["profile"] == pytest.approx(true, abs=0.005)
    assert found["voxel_error"] < 0.01
    # the atomic fraction that the specimen was made with, 0.25 + 0.5 (r / 14.2 nm)² by volume;
    # both metals have the same atoms per volume to within 1 %
    assert true == pytest.approx(0.25 + 0.5 * (radius / 14.2) ** 2, abs=0.02)
    assert (np.diff(true) > 0).all()
    # half of the gold is gone: the fraction f becomes (f / 2) / (1 - f / 2)
    x[0] /= 2
    lost = truth.composition(x, factors)
    every_second = slice(truth.box.slices[0].start, truth.box.slices[0].stop, 2)
    part = truth.part(every_second).composition(x[:, every_second], factors)
    assert part["profile"] == pytest.approx(lost["profile"], abs=0.01)
    assert lost["profile"] == pytest.approx(true / 2 / (1 - true / 2), abs=0.01)


def test_steps_keep_values_to_half_a_step():
    values = np.linspace(0, particles.VIEW_LIMIT, 1000)
    back = particles.from_steps(particles.to_steps(values))
    assert np.abs(back - values).max() <= 0.5 * particles.VIEW_LIMIT / 255 + 1e-6
    assert particles.to_steps(np.array([-1.0, 99.0])).tolist() == [0, 255]


# ---- whole studies, on series without drift and spectra ----


def quick_series(settings):
    """What processing would give if it were perfect, with counting noise."""
    specimen = spectra.specimen(settings)
    W = hebt.Projector(np.array(settings.angles), settings.size)
    zeta, z = np.array([1e-3, 1e-3]), np.array([7.9e-4, 4.7e-4])
    rng = np.random.default_rng(settings.seed)
    thickness = np.stack([np.maximum(W.forward(d), 0) for d in specimen.density])
    haadf = np.einsum("e,e...->...", z, thickness).astype(np.float32)
    haadf += rng.normal(0, 0.01 * haadf.max(), haadf.shape).astype(np.float32)
    maps = rng.poisson(thickness * zeta[:, None, None, None]).astype(np.float32)
    fit = hebt.response_ratios(haadf, maps, names=particles.ELEMENTS)
    return types.SimpleNamespace(
        angles=np.array(settings.angles), haadf=haadf, maps=maps, fit=fit, zeta=zeta
    )


@pytest.fixture(scope="module")
def studies():
    patch = pytest.MonkeyPatch()
    for name in ("nonalloy", "alloy"):
        module = importlib.import_module(f"companion.particles.{name}")
        patch.setattr(module, "process", quick_series)
    small = {"size": SIZE, "angles": range(-70, 71, 20)}
    try:
        yield (
            _nonalloy_study.__wrapped__(particles.seed_settings("nonalloy", [0, 1], small)),
            _alloy_study.__wrapped__(particles.seed_settings("alloy", [0, 1], small)),
        )
    finally:
        patch.undo()


def test_a_study_scores_every_pair_at_both_stops(studies):
    study, _ = studies
    for reference in particles.REFERENCES:
        for name in particles.TABLE_2:
            for element in particles.ELEMENTS:
                for method in particles.METHODS:
                    last = study.scores[reference].at(name, method, element)
                    best = study.scores[reference].at(name, method, element, stop="best")
                    assert last.shape == best.shape == (2,)
                    assert np.isfinite(last).all()
                    sign = 1 if name in BEST_IS_LARGE else -1
                    assert sign * best.mean() >= sign * last.mean()
                gain = study.scores[reference].gain(name, element)
                outcome = study.scores[reference].outcome(name, element)
                assert outcome == ("HEBT" if gain.min() > 1 else "EDS" if gain.max() < 1 else "tie")
    assert study.iterations in study.checkpoints and study.iterations == 100


def test_seeds_differ_and_one_seed_repeats_itself(studies):
    study, _ = studies
    mse = study.scores["true"].at("mse", "eds", "Ag")
    assert mse[0] != mse[1] and abs(mse[0] / mse[1] - 1) < 0.3
    patch = pytest.MonkeyPatch()
    for name in ("nonalloy", "alloy"):
        module = importlib.import_module(f"companion.particles.{name}")
        patch.setattr(module, "process", quick_series)
    small = {"size": SIZE, "angles": range(-70, 71, 20)}
    try:
        alone = _alloy_study.__wrapped__(particles.seed_settings("alloy", [1], small))
    finally:
        patch.undo()
    both = studies[1]
    assert alone.profile[:, 0] == pytest.approx(both.profile[:, 1], rel=1e-5)
    assert alone.voxel_error[:, 0] == pytest.approx(both.voxel_error[:, 1], rel=1e-5)


def test_the_alloy_is_reconstructed_where_it_is():
    # large enough for slices that are left out at both ends
    settings = particles.seed_settings("alloy", [0, 1], {"size": 91, "angles": (-50, 0, 50)})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("nonalloy", "alloy"):
            module = importlib.import_module(f"companion.particles.{name}")
            patch.setattr(module, "process", quick_series)
        both = _alloy_study.__wrapped__(settings)
        alone = _alloy_study.__wrapped__(settings[1:])
    for name, scores in both.scores.values.items():
        own = alone.scores.values[name][:, :, 0]
        assert scores[:, :, 1] == pytest.approx(own, rel=1e-4, nan_ok=True)
    first, slices = both.views.first, both.views.slices.shape[1]
    inside = spectra.truth(settings[0]).any(axis=(0, 2, 3))
    assert 0 < first <= np.flatnonzero(inside)[0]
    assert np.flatnonzero(inside)[-1] < first + slices < 91
    # the error of a reconstruction of the whole volume, in the slices that are scored
    series = quick_series(settings[0])
    W = hebt.Projector(series.angles, 91)
    maps = np.concatenate(list(series.maps), axis=1)
    x = hebt.sirt(W, maps, iterations=both.iterations).reshape(2, 91, 91, 91)
    true = fractions(spectra.specimen(settings[0]))
    every_second = slice(first, first + slices, 2)
    for e in range(2):
        assert both.scores.at("mse", "eds", particles.ELEMENTS[e])[0] == pytest.approx(
            metrics.scaled_mse(true[e, every_second], x[e, every_second], normalise="pixels"),
            rel=1e-2,
        )


def test_the_volume_mask_clears_the_outside(studies):
    study, _ = studies
    outside = {name: study.localized[name]["outside"] for name in particles.LOCALIZED}
    assert (outside["volume_mask"] < 0.5 * outside["eds"]).all()


def test_pictures_hold_the_particle(studies):
    for study in studies:
        views = study.views
        assert views.slices.shape[0] == len(particles.COLUMNS)
        assert views.first + views.slices.shape[1] <= SIZE
        assert views.whole.shape == (5, 3, SIZE, SIZE)
        middle = particles.from_steps(views.slices[:, views.slices.shape[1] // 2])
        assert (middle.max(axis=(1, 2)) > 0.3).all()
        for body in views.bodies.values():
            assert body.density.shape[0] == 2 and len(set(body.density.shape[1:])) == 1
    assert set(studies[0].views.bodies) == {"eds", "hebt", "segmented"}
    assert set(studies[1].views.bodies) == {"eds", "hebt"}


def test_a_result_is_small_enough_to_keep(studies):
    import pickle

    assert len(pickle.dumps(studies[0])) < 30 * SIZE**3


def test_bad_arguments_are_refused(studies):
    study, alloy = studies
    with pytest.raises(ValueError, match="seeds is"):
        particles.nonalloy_study(seeds=3)
    with pytest.raises(ValueError, match="seeds is"):
        particles.alloy_study(seeds=[])
    with pytest.raises(ValueError, match="stop is 'never'"):
        study.scores["true"].at("mse", "eds", "Au", stop="never")
    with pytest.raises(ValueError, match="stop is 'never'"):
        alloy.scores.at("mse", "eds", "Au", stop="never")
    with pytest.raises(TypeError, match="no such setting"):
        particles.nonalloy_study(seeds=[0], color="red")
    assert dataclasses.is_dataclass(study)


@pytest.fixture(scope="module")
def doses(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield particles.dose_study(counts=(0.25, 4))


def test_few_counts_cost_eds_alone_more_than_hebt(doses):
    assert (np.diff(doses.r_squared) > 0).all()
    few, many = doses.scores
    for element in particles.ELEMENTS:
        assert few.at("mse", "eds", element) > 2 * many.at("mse", "eds", element)
    for element in particles.ELEMENTS:
        low, high = doses.gain(element)
        assert low > max(high, 1)


def test_the_dose_studys_error_is_that_of_the_reconstruction(doses):
    settings, size = doses.settings[1], doses.settings[1].size
    series = spectra.process(settings)
    band = slice(size // 2 - doses.slices // 2, size // 2 + doses.slices // 2)
    W = hebt.Projector(series.angles, size)
    x = hebt.reconstruct(
        W, series.haadf[:, band], series.maps[:, :, band], series.fit.ratios, 0.7, doses.iterations
    )
    true = spectra.truth(settings)[:, band]
    for e, element in enumerate(particles.ELEMENTS):
        error = ((true[e] - np.vdot(true[e], x[e]) / np.vdot(x[e], x[e]) * x[e]) ** 2).sum()
        found = doses.scores[1].at("mse", "hebt", element)
        assert found == pytest.approx(error / (true[e] ** 2).sum(), rel=1e-3)


def test_the_dose_at_a_given_fit_lies_between_those_tried():
    counts = np.array([0.25, 1.0, 4.0])
    study = particles.DoseStudy(
        tuple(types.SimpleNamespace(counts=c) for c in counts), 2, 1 - 0.01 / counts, ()
    )
    assert study.counts_at(0.98) == pytest.approx(0.5)
    assert np.isnan(study.counts_at(0.5)) and np.isnan(study.counts_at(0.9999))


@pytest.mark.parametrize("counts", [[], [1, 0.5], [0, 1], 3])
def test_doses_must_rise(counts):
    with pytest.raises(ValueError, match="counts is .*; expected rising numbers above 0"):
        particles.dose_study(counts=counts)


def test_scoring_some_slices_is_scoring_these_of_all(studies):
    """The first seed is reconstructed whole, the second where it is scored."""
    every, _ = studies
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("companion.particles.nonalloy")
        patch.setattr(module, "process", quick_series)
        some = _nonalloy_study.__wrapped__(every.settings, every=2)
    assert some.every == 2 and every.every == 1
    # what is measured where the study measured before stays: profiles, bands, segmentation
    for key, profiles in every.profiles.items():
        for seed, profile in enumerate(profiles):
            found = some.profiles[key][seed].values
            np.testing.assert_allclose(found, profile.values, atol=0.02, err_msg=str(key))
    for name, values in every.localized.items():
        np.testing.assert_allclose(some.localized[name]["error"], values["error"], rtol=0.02)
    np.testing.assert_array_equal(some.overlap, every.overlap)
    # and half of the slices give about the scores of all
    for reference in particles.REFERENCES:
        for name in particles.TABLE_2:
            for method in particles.METHODS:
                for element in particles.ELEMENTS:
                    for stop in ("printed", "best"):
                        a, b = (
                            s.scores[reference].error(name, method, element, stop=stop)
                            for s in (some, every)
                        )
                        np.testing.assert_allclose(a, b, rtol=0.15)
