"""Simulated tilt series against sums built another way, and the statistics of their noise."""

import numpy as np
import pytest

import hebt
from hebt import simulate

Z = (791.5, 471.5)
ZETA = (0.0188, 0.024)


@pytest.fixture(scope="module")
def W():
    return hebt.Projector(np.arange(-75, 76, 15.0), 33)


@pytest.fixture(scope="module")
def density():
    return simulate.phantom(33).density


def test_haadf_is_equation_3_summed_pixel_by_pixel(W, density):
    matrix = W.matrix().astype(np.float64)
    expected = np.zeros(matrix.shape[0])
    for z, rho in zip(Z, density, strict=True):
        expected += z * (matrix @ rho.ravel().astype(np.float64))
    haadf = simulate.haadf_tilt_series(W, density, Z)
    assert haadf.shape == (11, 33)
    assert haadf.dtype == np.float32
    np.testing.assert_allclose(haadf.ravel(), expected, rtol=2e-5, atol=1e-2)


def test_straight_through_and_from_the_side_it_adds_columns_and_rows(density):
    W = hebt.Projector([0.0, 90.0], 33)
    haadf = simulate.haadf_tilt_series(W, density, Z)
    weighed = Z[0] * density[0] + Z[1] * density[1]
    np.testing.assert_allclose(haadf[0], weighed.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.sort(haadf[1]), np.sort(weighed.sum(axis=1)), rtol=1e-5)


def test_a_volume_is_its_slices(W, density):
    volume = np.stack([density, 2 * density, 0 * density], axis=1)
    haadf = simulate.haadf_tilt_series(W, volume, Z)
    counts = simulate.mean_counts(W, volume, ZETA)
    assert haadf.shape == (11, 3, 33)
    assert counts.shape == (2, 11, 3, 33)
    np.testing.assert_allclose(
        haadf[:, 1], 2 * simulate.haadf_tilt_series(W, density, Z), rtol=1e-5
    )
    np.testing.assert_allclose(counts[:, :, 0], simulate.mean_counts(W, density, ZETA), rtol=1e-5)
    assert not haadf[:, 2].any()


def test_without_noise_equation_6_holds_with_z_over_zeta(W, density):
    counts = simulate.mean_counts(W, density, ZETA, dose=3.0)
    haadf = simulate.haadf_tilt_series(W, density, Z)
    rebuilt = sum(z / (3 * zeta) * p for z, zeta, p in zip(Z, ZETA, counts, strict=True))
    np.testing.assert_allclose(rebuilt, haadf, rtol=1e-5, atol=1e-2)


def test_counts_grow_with_the_dose(W, density):
    one = simulate.mean_counts(W, density, ZETA)
    np.testing.assert_allclose(
        simulate.mean_counts(W, density, ZETA, dose=2.5), 2.5 * one, rtol=1e-6
    )


def test_noise_has_the_mean_and_the_variance_of_a_poisson_law(W, density):
    mean = simulate.mean_counts(W, density, ZETA, dose=20.0).astype(np.float64)
    maps = simulate.eds_tilt_series(W, density, ZETA, dose=20.0, seed=range(400))
    assert maps.shape == (2, 11, 400, 33)
    assert (maps == np.round(maps)).all()
    assert (maps >= 0).all()
    assert not maps[np.broadcast_to((mean == 0)[:, :, None], maps.shape)].any()
    bright = mean > 1
    standard_error = np.sqrt(mean / 400)
    deviation = (maps.mean(axis=2) - mean)[bright] / standard_error[bright]
    assert np.abs(deviation).max() < 5
    assert deviation.std() == pytest.approx(1, abs=0.15)
    ratio = maps.var(axis=2, ddof=1)[bright] / mean[bright]
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_a_seed_gives_the_same_noise_alone_and_in_a_batch_and_others_differ(W, density):
    batch = simulate.eds_tilt_series(W, density, ZETA, seed=[7, 8, 7])
    alone = simulate.eds_tilt_series(W, density, ZETA, seed=8)
    np.testing.assert_array_equal(batch[:, :, 1], alone)
    np.testing.assert_array_equal(batch[:, :, 0], batch[:, :, 2])
    assert (batch[:, :, 0] != batch[:, :, 1]).mean() > 0.1
    assert alone.shape == (2, 11, 33)
    # noise of the two elements is not the same noise
    assert (
        np.corrcoef(
            (batch[0] - batch[0].mean(1, keepdims=True)).ravel(),
            (batch[1] - batch[1].mean(1, keepdims=True)).ravel(),
        )[0, 1]
        < 0.2
    )


def test_inputs_stay_as_they_are(W, density):
    before = density.copy()
    simulate.haadf_tilt_series(W, density, Z)
    simulate.eds_tilt_series(W, density, ZETA, seed=[1, 2])
    np.testing.assert_array_equal(density, before)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"zeta": (1.0,)}, "zeta has 1 factors"),
        ({"zeta": (1.0, -1.0)}, "negative"),
        ({"zeta": (1.0, float("nan"))}, "NaN"),
        ({"dose": 0.0}, "dose"),
        ({"dose": float("inf")}, "dose"),
        ({"seed": []}, "empty"),
    ],
)
def test_bad_arguments_are_named(W, density, change, named):
    arguments = {"zeta": ZETA, "dose": 1.0, "seed": 0} | change
    with pytest.raises(ValueError, match=named):
        simulate.eds_tilt_series(W, density, arguments.pop("zeta"), **arguments)


def test_seeds_of_a_volume_are_refused(W, density):
    with pytest.raises(ValueError, match="one slice"):
        simulate.eds_tilt_series(W, density[:, None], ZETA, seed=[1, 2])
    with pytest.raises(ValueError, match="z has 3 factors"):
        simulate.haadf_tilt_series(W, density, (1.0, 2.0, 3.0))


def test_damping_is_linear_for_little_and_saturates():
    p = np.array([0, 1e-3, 1.0, 50.0], np.float32)
    damped = simulate.damp(p, 2.0)
    np.testing.assert_allclose(damped, 2 * (1 - np.exp(-p.astype(float) / 2)), rtol=1e-5)
    assert damped[1] == pytest.approx(1e-3, rel=1e-3) and damped[3] == pytest.approx(2, rel=1e-5)
    np.testing.assert_array_equal(simulate.damp(p, np.inf), p)
    with pytest.raises(ValueError, match="saturation is -1"):
        simulate.damp(p, -1)


def test_lines_lie_where_the_tables_say_and_are_as_wide_as_the_detector_makes_them():
    energies, manganese = simulate.energies(), 0.130 / np.sqrt(8 * np.log(2))
    copper = simulate.lines_spectrum("Cu", counted=("Ka",))
    near = np.abs(energies - 8.0478) < 0.3
    assert copper[near].sum() == pytest.approx(1, abs=1e-3)
    mean = (energies * copper)[near].sum() / copper[near].sum()
    assert mean == pytest.approx(8.0478, abs=1e-3)
    sigma = np.sqrt((((energies - mean) ** 2) * copper)[near].sum() / copper[near].sum())
    assert sigma == pytest.approx(
        np.sqrt(manganese**2 + 2.5e-3 * 2.1491 / (8 * np.log(2))), rel=0.02
    )
    beta = np.abs(energies - 8.9053) < 0.3
    assert copper[beta].sum() == pytest.approx(0.1316, abs=1e-3)
    with pytest.raises(ValueError, match="element is 'Xx'"):
        simulate.lines_spectrum("Xx")


def test_photons_drawn_one_by_one_are_poisson_counts_in_each_channel():
    means = np.full((2, 60, 50), 1.5, np.float32)
    spectra = np.array([[0.5, 0.2, 0.0, 0.3], [0.0, 1.0, 1.0, 0.0]])
    counts = simulate.spectrum_image(means, spectra, seed=3).toarray().astype(float)
    assert counts.shape == (3000, 4)
    expected = 1.5 * spectra.sum(axis=0)
    error = np.sqrt(expected / 3000)
    assert (np.abs(counts.mean(axis=0) - expected) < 4 * error).all()
    # variance equals mean, and channels know nothing of each other
    np.testing.assert_allclose(counts.var(axis=0), expected, rtol=0.12)
    assert np.abs(np.corrcoef(counts.T) - np.eye(4)).max() < 0.08
    again = simulate.spectrum_image(means, spectra, seed=3)
    assert (again != simulate.spectrum_image(means, spectra, seed=3)).nnz == 0


def test_moving_by_whole_pixels_moves_and_by_parts_keeps_the_mass():
    image = np.zeros((1, 30, 30), np.float32)
    image[0, 12:18, 10:17] = 1
    np.testing.assert_allclose(
        simulate.apply_drift(image, [[2, -3]]), np.roll(image, (2, -3), (1, 2)), atol=1e-5
    )
    smooth = np.exp(-((np.arange(30) - 14.5) ** 2) / 18)[None, :, None].astype(np.float32)
    smooth = smooth * smooth.swapaxes(1, 2)
    moved = simulate.apply_drift(smooth, [[0.3, -0.4]])
    assert moved.sum() == pytest.approx(smooth.sum(), rel=1e-3)
    center = (moved.sum(axis=(0, 2)) @ np.arange(30)) / moved.sum()
    assert center == pytest.approx(14.8, abs=0.01)


def record(ideal, **changes):
    like = {"saturation": 2.0, "electrons": np.inf, "noise": 0.0, "offset": 0.0, "seed": 0}
    shifts = np.zeros((len(ideal), 2))
    return simulate.record_haadf(ideal, shifts=shifts, **(like | changes))


def test_a_recorded_image_has_offset_noise_and_damping():
    made = record(np.full((3, 64, 64), 0.8, np.float32), noise=0.01, offset=0.05)
    assert made.mean() == pytest.approx(0.05 + 2 * (1 - np.exp(-0.4)), abs=1e-3)
    assert made.std() == pytest.approx(0.01, rel=0.05)


def test_haadf_noise_is_that_of_counted_electrons():
    ideal = np.zeros((2, 96, 96), np.float32)
    ideal[:, 32:] = 0.2
    ideal[:, 64:] = 0.8
    made = record(ideal, saturation=np.inf, electrons=2500.0, noise=0.01, offset=0.5)
    # not at the edges, across which splines of the drift ring
    dark, dim, bright = (made[:, i + 4 : i + 28] for i in (0, 32, 64))
    for part, intensity in ((dark, 0.0), (dim, 0.2), (bright, 0.8)):
        assert part.mean() == pytest.approx(0.5 + intensity, abs=1e-3)
        # of N electrons the number has the variance N, whatever the detector's offset
        assert part.var() == pytest.approx(intensity / 2500 + 1e-4, rel=0.08)
    np.testing.assert_allclose(record(ideal, electrons=1e30), record(ideal), atol=1e-6)
    with pytest.raises(ValueError, match="electrons is 0; expected a number above 0, or infinity"):
        record(ideal, electrons=0)


def test_detectors_see_least_near_zero_tilt():
    angles = np.arange(-70, 71, 5)
    seen = simulate.detector_response(angles)
    assert angles[seen.argmin()] == 0 and seen.max() == 1
    assert seen[0] == pytest.approx(0.93)


def test_many_counts_in_one_channel_are_all_there():
    one = simulate.spectrum_image(np.full((1, 1, 1), 1e5), [[1.0]], seed=0)
    assert one.toarray()[0, 0] == pytest.approx(1e5, rel=0.02)
    nothing = simulate.spectrum_image(np.ones((1, 2, 2)), [[0.0, 0.0]], seed=0)
    assert nothing.shape == (4, 2) and nothing.nnz == 0


@pytest.mark.parametrize("counted", [("La", "Lb"), ("x",), ()])
def test_lines_that_the_tables_do_not_have_are_refused(counted):
    with pytest.raises(ValueError, match=r"counted is .*; expected names of lines of Ag.*Lb1"):
        simulate.lines_spectrum("Ag", counted=counted)


@pytest.mark.parametrize("change", [{"noise": -1}, {"offset": np.nan}, {"shifts": [[0, np.nan]]}])
def test_recordings_that_cannot_be_are_refused(change):
    arguments = {"saturation": 2.0, "electrons": 100, "noise": 0.1, "offset": 0.1, "seed": 0}
    arguments["shifts"] = [[0, 0]]
    with pytest.raises(ValueError, match=next(iter(change))):
        simulate.record_haadf(np.ones((1, 4, 4)), **(arguments | change))
