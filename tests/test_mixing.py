"""What denoised maps mix, measured from counts, and the variance that they keep."""

import numpy as np
import pytest

from hebt import prepare

# three elements, each with a line of its own and one that it shares, over a background
LINES = np.array([[8.0, 1, 0, 2, 0, 0], [0, 0, 6, 2, 1, 0], [1, 0, 0, 2, 0, 5]]) + 0.3
WEIGHTS = np.linalg.pinv(LINES).T  # in each map the others count nothing
CONTENTS = np.array([1.0, 0.5, 0.2])


def recorded(seed, pixels=60_000, dose=0.2):
    """Counts of few photons a pixel; the elements go along with each other, but not quite."""
    rng = np.random.default_rng(seed)
    shares = (rng.uniform(0, 1, (pixels, 1)) + 2 * rng.uniform(0, 1, (pixels, 3))) * CONTENTS
    return rng.poisson(dose * shares @ LINES).astype(np.float32)


def mixed():
    rng = np.random.default_rng(5)
    response = np.eye(3) + rng.normal(0, 0.2, (3, 3))
    # weights that no spectrum here tells from others change nothing but noise
    other = np.linalg.svd(LINES)[2][3:]
    return response, response @ WEIGHTS + rng.normal(0, 0.1, (3, len(other))) @ other


def test_the_response_is_found_within_its_errors_at_few_counts():
    response, denoised = mixed()
    found = [prepare.measure_mixing(recorded(seed), WEIGHTS, denoised) for seed in range(20)]
    wrong = np.array([f.response - response for f in found])
    errors = np.array([f.errors for f in found])
    assert errors.max() < 0.4
    assert np.abs(wrong.mean(axis=0) / errors.mean(axis=0)).max() < 4 / np.sqrt(len(found))
    assert np.sqrt((wrong**2 / errors**2).mean()) == pytest.approx(1, abs=0.2)


def test_more_counts_make_it_exact_and_shares_are_relative_to_what_a_map_holds():
    response, denoised = mixed()
    found = prepare.measure_mixing(recorded(1, dose=50), WEIGHTS, denoised)
    np.testing.assert_allclose(found.response, response, atol=0.01)
    size = CONTENTS / CONTENTS[:, None]
    np.testing.assert_allclose(found.shares, (response - np.eye(3)) * size, atol=0.02)
    assert found.worst == np.abs(found.shares).max()


def test_recorded_maps_mix_nothing():
    found = prepare.measure_mixing(recorded(2), WEIGHTS, WEIGHTS)
    np.testing.assert_allclose(found.response, np.eye(3), atol=1e-4)
    assert found.errors.max() < 1e-4 and found.worst < 1e-3


def test_blocks_of_pixels_tell_more_than_pixels():
    rng, (_, denoised) = np.random.default_rng(3), mixed()
    shares = np.repeat(rng.uniform(0, 1, (2500, 3)) * CONTENTS, 16, axis=0)
    counts = rng.poisson(0.2 * shares @ LINES).astype(np.float32)
    fine = prepare.measure_mixing(counts, WEIGHTS, denoised)
    blocks = prepare.measure_mixing(counts.reshape(2500, 16, 6).sum(axis=1), WEIGHTS, denoised)
    assert (blocks.errors < fine.errors).all()


@pytest.mark.parametrize("dose", [1, 4])
def test_components_that_noise_hides_mix_and_blocks_bring_them_back(dose):
    """What the other half of the spectra tells agrees with the truth, for single pixels too."""
    rng = np.random.default_rng(0)
    base = np.repeat(rng.uniform(0.5, 1, 4000), 16)
    part = np.repeat(rng.uniform(0.3, 0.7, 4000), 16)
    lines = np.kron(np.eye(2), np.ones(30)) / 30
    counts = rng.poisson(dose * np.stack([base * part, base * (1 - part)], axis=1) @ lines)
    counts = np.concatenate([counts, rng.poisson(0.1, (len(base), 60))], axis=1, dtype=np.float32)
    weights = np.kron(np.eye(2, 4), np.ones(30))
    worst = []
    for spectra in (counts, counts.reshape(4000, 16, 120).sum(axis=1)):
        found = prepare.decompose(spectra[::2], np.arange(120.0), components=5)
        kept = found.weights(weights)
        measured = prepare.measure_mixing(spectra[1::2], weights, kept)
        truth = kept[:, :60] @ lines.T
        assert (np.abs(measured.response - truth) < 3.5 * measured.errors).all()
        assert measured.errors.max() < 0.2
        worst.append(measured.worst)
    assert worst[1] < 0.3 * worst[0] and worst[1] < (0.3, 0.05)[dose > 1]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"spectra": np.ones((5, 4))}, r"spectra has shape \(5, 4\)"),
        ({"denoised": WEIGHTS[:2]}, "denoised"),
        ({"spectra": np.eye(2, 6)}, "2 counts; expected more"),
        ({"spectra": -np.ones((9, 6))}, "expected counts"),
    ],
)
def test_what_tells_nothing_is_refused(change, match):
    given = {"spectra": recorded(0), "weights": WEIGHTS, "denoised": WEIGHTS}
    with pytest.raises(ValueError, match=match):
        prepare.measure_mixing(**given | change)


@pytest.mark.parametrize("axis", [-1, (-2, -1)])
@pytest.mark.parametrize(
    ("width", "sigma", "centered"), [(12, 0.5, True), (4, 2, False), (1, 1, True)]
)
def test_the_variance_is_that_of_repeated_images(width, sigma, centered, axis):
    rng = np.random.default_rng(0)
    mean = np.zeros((2, 24, 20))
    mean[:, 6:18, 5:16] = rng.uniform(0.5, 4, (2, 12, 11))
    shifts = np.array([[0.4, -1.7], [-2.0, 0.5]])
    like = {"width": width, "sigma": sigma, "centered": centered, "axis": axis}
    expected = prepare.smooth_variance(mean, shifts=shifts, **like)
    counts = rng.poisson(mean, (3000, 2, 24, 20))
    seen = prepare.apply_shifts(prepare.smooth(counts, **like), shifts).var(axis=0)
    inside = (slice(None), slice(8, 16), slice(7, 14))
    np.testing.assert_allclose(seen[inside], expected[inside], rtol=0.2)
    assert (seen[inside] / expected[inside]).mean() == pytest.approx(1, abs=0.01)
    without = prepare.smooth_variance(mean, **like)
    seen = prepare.smooth(counts, **like).var(axis=0)
    assert (seen[inside] / without[inside]).mean() == pytest.approx(1, abs=0.01)


def test_variances_below_0_and_shifts_of_other_tilts_are_refused():
    like = {"width": 3, "sigma": 1.0}
    with pytest.raises(ValueError, match="none below 0"):
        prepare.smooth_variance(-np.ones((4, 4)), **like)
    with pytest.raises(ValueError, match=r"shifts has shape \(3, 2\); expected \(2, 2\)"):
        prepare.smooth_variance(np.ones((2, 4, 4)), shifts=np.zeros((3, 2)), **like)


@pytest.mark.parametrize("axis", [-1, (-2, -1)])
@pytest.mark.parametrize(
    ("width", "sigma", "centered"), [(12, 0.5, True), (4, 2, False), (9, 4, True)]
)
def test_the_variance_is_that_of_what_each_pixel_does_at_the_edges_too(
    width, sigma, centered, axis
):
    variance = np.random.default_rng(1).uniform(0.5, 4, (2, 12, 14))
    shifts = np.array([[0.4, -1.7], [-3.3, 6.6]])
    like = {"width": width, "sigma": sigma, "centered": centered, "axis": axis}
    alone = np.eye(12 * 14).reshape(-1, 1, 12, 14)  # each pixel alone
    for moves in (None, shifts):
        made = prepare.smooth(np.concatenate([alone, alone], axis=1), **like)
        made = made if moves is None else prepare.apply_shifts(made, moves)
        expected = np.einsum("ktij,tk->tij", made.astype(float) ** 2, variance.reshape(2, -1))
        found = prepare.smooth_variance(variance, shifts=moves, **like)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_variance_of_binned_images_minds_what_shifts_correlate():
    variance = np.random.default_rng(2).uniform(0.5, 4, (2, 12, 16))
    shifts = np.array([[0.4, -1.7], [-3.3, 6.6]])
    alone = np.eye(12 * 16).reshape(-1, 1, 12, 16)
    made = prepare.apply_shifts(np.concatenate([alone, alone], axis=1), shifts)
    made = prepare.bin_images(made, 4).astype(float)
    expected = np.einsum("ktij,tk->tij", made**2, variance.reshape(2, -1))
    found = prepare.smooth_variance(variance, width=1, sigma=1, shifts=shifts, binning=4)
    assert found.shape == (2, 3, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="expected multiples of binning = 5"):
        prepare.smooth_variance(variance, width=1, sigma=1, binning=5)


def test_variances_are_those_of_images_smoothed_within_themselves():
    with pytest.raises(ValueError, match="axis is 0.*expected .*axes of an image, -2 and -1"):
        prepare.smooth_variance(np.ones((6, 4, 4)), width=3, sigma=1.0, axis=0)
    with pytest.raises(ValueError, match="width is 5 pixels.*only 4 along axis"):
        prepare.smooth_variance(np.ones((4, 4)), width=5, sigma=1.0)


@pytest.mark.parametrize("gain", [0.5, 4])
def test_counts_times_a_gain_have_another_noise_and_are_refused(gain):
    with pytest.raises(ValueError, match="spectra are not whole numbers.*expected raw counts"):
        prepare.measure_mixing(gain * recorded(0), WEIGHTS, mixed()[1])
