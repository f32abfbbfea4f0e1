"""A tilt series as one object: what its steps carry along."""

import dataclasses

import numpy as np
import pytest
from test_io_files import measured

import hebt
from hebt import io, prepare

TILTS = np.arange(-60.0, 61, 20)
SHAPE = 2, len(TILTS), 16, 24  # elements, tilts, slices, size


def made(seed=0, **changes):
    """A series with parts, in which pixels are counted independently."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(9, SHAPE).astype(np.float32)
    parts = np.stack(hebt.split_counts(counts, seed=1, parts=2))
    series = io.TiltSeries.from_arrays(
        50 * counts.sum(axis=0) + rng.random(SHAPE[1:]),
        counts,
        angles=TILTS,
        elements=["Au", "Ag"],
        pixel_size=2.0,
        variance=rng.random(SHAPE) + 1,
    )
    part_variance = np.stack([series.variance / 2] * 2)
    return dataclasses.replace(series, parts=parts, part_variance=part_variance, **changes)


SHIFTS = np.random.default_rng(3).uniform(-2.5, 2.5, (len(TILTS), 2))
AXIS = prepare.TiltAxis(rotation=8.0, offset=1.2, shifts=SHIFTS)
ACROSS = prepare.TiltAxis(along=1, rotation=-5.0, offset=-0.7, shifts=SHIFTS)
STEPS = {
    "shift": lambda s: s.apply_shifts(SHIFTS),
    "bin": lambda s: s.bin(2),
    "smooth": lambda s: s.smooth(width=4, sigma=1.5, axis=(-2, -1)),
    "smooth across": lambda s: s.smooth(width=3, sigma=1.0),
    "crop": lambda s: s.crop(size=12, slices=8),
    "crop_flat": lambda s: s.crop_flat(size=20, slices=12, edge=4.0),
    "turn": lambda s: s.turn(),
    "upright": lambda s: s.apply_tilt_axis(AXIS),
    "upright and binned": lambda s: (
        s.bin(2).apply_tilt_axis(ACROSS).smooth(width=3, sigma=1.0).turn().bin(2)
    ),
    "normalize": lambda s: s.normalize_tilts(np.linspace(0.5, 1.5, len(TILTS))).bin(2),
    "two": lambda s: s.apply_shifts(SHIFTS).bin(2),
    "all": lambda s: (
        s.apply_shifts(SHIFTS)
        .turn()
        .bin(2)
        .smooth(width=3, sigma=1.0, axis=(-2, -1))
        .crop_flat(size=6, edge=2.0)
    ),
}


def response(step, tilt):
    """What each pixel of maps gives to each, from the maps of single bright pixels."""
    rows = []
    for place in np.ndindex(SHAPE[2:]):
        maps = np.zeros((1, *SHAPE[1:]))
        maps[(0, tilt, *place)] = 0.5  # no count, whose variance would be known
        blank = io.TiltSeries.from_arrays(np.ones(SHAPE[1:]), maps, angles=TILTS)
        rows.append(2 * step(blank).maps[0, tilt].ravel())
    return np.array(rows).T


@pytest.mark.parametrize("name", STEPS)
def test_the_variance_goes_through_all_steps_together_squared(name):
    """Against the explicit matrix of all steps, made by moving one bright pixel about."""
    step, tilt = STEPS[name], 1
    series = made()
    after = step(series)
    matrix = response(step, tilt).astype(np.float64)
    for counted, found, maps, seen in (
        (series.variance[0], after.variance[0], series.maps[0], after.maps[0]),
        (series.part_variance[1, 1], after.part_variance[1, 1], series.parts[1, 1], None),
    ):
        expected = (matrix**2 @ counted[tilt].ravel()).reshape(after.maps.shape[2:])
        np.testing.assert_allclose(found[tilt], expected, rtol=1e-4, atol=1e-6)
        if seen is not None:
            expected = (matrix @ maps[tilt].ravel()).reshape(after.maps.shape[2:])
            np.testing.assert_allclose(seen[tilt], expected, rtol=1e-4, atol=1e-4)
    assert after.variance.dtype == np.float32


@pytest.mark.parametrize("name", STEPS)
def test_parts_go_the_way_of_the_maps_and_haadf_stays_beside_them(name):
    after = STEPS[name](made())
    np.testing.assert_allclose(after.parts.sum(axis=0), after.maps, rtol=1e-4, atol=1e-3)
    assert after.haadf.shape == after.maps.shape[1:]
    assert (
        after.variance.shape == after.maps.shape
        and after.part_variance.shape[1:] == SHAPE[:2] + (after.maps.shape[2:])
    )


def test_a_step_after_another_variance_begins_anew():
    """Whoever puts another variance in has pixels whose noise is independent."""
    series = made().apply_shifts(SHIFTS)
    flat = dataclasses.replace(series, variance=np.ones(SHAPE, np.float32)).bin(2)
    np.testing.assert_allclose(flat.variance, 4, rtol=1e-6)


def test_the_variance_of_raw_counts_is_the_counts():
    counts = made().maps
    raw = io.TiltSeries.from_arrays(counts.sum(axis=0), counts, angles=TILTS)
    known = dataclasses.replace(raw, variance=counts)
    np.testing.assert_array_equal(STEPS["two"](raw).variance, STEPS["two"](known).variance)
    # of what is no count nobody knows it
    assert STEPS["two"](dataclasses.replace(raw, maps=counts / 2)).variance is None


def test_methods_are_the_functions_of_arrays():
    series = made()
    moved = series.apply_shifts(SHIFTS)
    np.testing.assert_array_equal(moved.haadf, prepare.apply_shifts(series.haadf, SHIFTS))
    np.testing.assert_array_equal(moved.maps, prepare.apply_shifts(series.maps, SHIFTS))
    binned = moved.bin(2)
    np.testing.assert_array_equal(binned.maps, prepare.bin_images(moved.maps, 2))
    np.testing.assert_array_equal(binned.haadf, prepare.bin_images(moved.haadf, 2, mean=True))
    smooth = binned.smooth(width=4, sigma=1.0)
    np.testing.assert_array_equal(smooth.maps, prepare.smooth(binned.maps, width=4, sigma=1.0))
    assert smooth.haadf is binned.haadf
    strip = moved.crop_flat(size=20, edge=4.0)
    np.testing.assert_array_equal(
        strip.haadf, prepare.crop_flat(moved.haadf, TILTS, size=20, edge=4.0)
    )
    np.testing.assert_array_equal(moved.turn().maps, np.rot90(moved.maps, axes=(-2, -1)))


def test_the_tilt_axis_is_that_of_the_arrays():
    series = made()
    upright = series.apply_tilt_axis(ACROSS)
    np.testing.assert_array_equal(upright.haadf, prepare.apply_tilt_axis(series.haadf, ACROSS))
    np.testing.assert_array_equal(upright.maps, prepare.apply_tilt_axis(series.maps, ACROSS))
    # once the axis lies as it does, the rest is a rotation by 90 degrees, of shifts as well
    plain = series.apply_tilt_axis(prepare.TiltAxis(along=1, shifts=SHIFTS))
    turned = series.apply_shifts(SHIFTS).turn()
    np.testing.assert_allclose(plain.haadf, turned.haadf, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(plain.shifts, turned.shifts, atol=1e-9)


@pytest.mark.slow
def test_the_axis_of_a_measured_needle_is_found_and_applied_to_all_channels():
    """Another program found it turned by -2.793 degrees from the horizontal."""
    needle = io.read(measured("cases/needle_raw_bin2.npz"), pixel_size=1.0)
    images = needle.haadf - needle.haadf.min()
    every = {"Au": 2 * images, "Ag": images + 1}
    series = io.TiltSeries.from_arrays(images, every, angles=needle.angles, pixel_size=1.0)
    upright = series.remove_offset().apply_tilt_axis(progress=False)
    axis = upright.history[-1]["settings"]["axis"]
    assert axis["along"] == 1 and abs(axis["rotation"] + 2.793) < 1
    again = prepare.TiltAxis(**{k: v for k, v in axis.items() if k != "kind"})
    for element, data in every.items():
        expected = prepare.apply_tilt_axis(data, again)
        np.testing.assert_allclose(upright.pick(element).maps[0], expected, rtol=1e-5)
    errors = prepare.tilt_axis.direction_errors(
        upright.haadf, upright.angles, np.zeros((len(images), 2)), None
    )
    assert errors[0] < errors[1] / 1.1


def test_tilts_are_normalized_by_their_own_response():
    series = made()
    np.testing.assert_allclose(
        series.normalize_tilts().maps,
        prepare.normalize_tilts(series.maps, prepare.tilt_response(series.maps)),
    )


def counted_again(side=60):
    """A series of one tilt whose pixels count the same spectrum, of lines that overlap."""
    energies, lines = 0.01 * np.arange(400, 640), np.array([4.511, 4.952, 5.415])
    widths = prepare.line_width(lines, 130)[:, None] / 2.3548
    peaks = np.exp(-((energies - lines[:, None]) ** 2) / (2 * widths**2))
    cube = np.random.default_rng(5).poisson(
        3 * peaks.sum(axis=0) + 0.5, (side, side, len(energies))
    )
    with pytest.warns(UserWarning, match="Energy windows overlap"):
        windows = prepare.line_windows(energies, ["V_Ka", "Ti_Ka", "Cr_Ka"])
    given = cube, windows, energies
    return io.TiltSeries(
        angles=np.array([0.0]),
        haadf=np.ones((1, side, side), np.float32),
        maps=prepare.element_maps(*given)[:, None],
        variance=prepare.map_variance(*given)[:, None],
        lines=("V_Ka", "Ti_Ka", "Cr_Ka"),
        pixel_size=1.0,
        energies=energies,
        spectra=cube.sum(axis=(0, 1))[None],
        windows=tuple(windows),
        resolution=130.0,
    )


def test_counts_scaled_at_some_tilts_are_no_raw_counts():
    """Twice the counts are whole numbers with four times their variance."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.5, 80, SHAPE))
    response = np.array([1, 0.5, 1, 0.5, 1, 0.5, 1])
    images = 50.0 * counts.sum(axis=0) / response[:, None, None]
    series = io.TiltSeries.from_arrays(
        images, counts, angles=TILTS, elements=["Au", "Ag"], pixel_size=2.0
    )
    series = series.normalize_tilts(response)
    np.testing.assert_array_equal(series.variance[:, 1::2], 4 * counts[:, 1::2])
    known = dataclasses.replace(series, maps=series.maps * np.float32(1.5))  # no whole numbers
    known = dataclasses.replace(known, variance=series.variance * np.float32(1.5) ** 2)
    fits = series.ratios(), known.ratios()
    np.testing.assert_allclose(fits[0].ratios, 1.5 * fits[1].ratios, rtol=1e-4)
    assert fits[0].variance == fits[1].variance == "given"
    method = series.suited_method(fits[0])
    np.testing.assert_array_equal(method.variance, series.variance)


def test_unmixed_maps_have_the_variance_that_repeated_counts_show():
    before = counted_again()
    series = before.unmix()
    expected = prepare.unmix(before.maps, before.windows, before.energies)
    np.testing.assert_allclose(series.maps, expected, rtol=1e-4, atol=1e-3)
    # 3600 pixels tell a variance to 2.4 %
    spread = series.maps.var(axis=(1, 2, 3))
    np.testing.assert_allclose(series.variance.mean(axis=(1, 2, 3)), spread, rtol=0.1)
    binned = series.bin(2)
    np.testing.assert_allclose(binned.variance.mean(), 4 * series.variance.mean(), rtol=1e-4)
    with pytest.raises(ValueError, match="was unmixed before"):
        series.unmix()
    with pytest.raises(ValueError, match="no windows, as its maps came ready-made"):
        made().unmix()


def test_pixel_size_shifts_and_history_follow():
    series = made().apply_shifts(SHIFTS).bin(2).pick("Ag")
    assert series.pixel_size == 4.0 and series.elements == ("Ag",)
    np.testing.assert_allclose(series.shifts, SHIFTS / 2)
    assert [record["step"] for record in series.history] == ["apply_shifts", "bin", "pick"]
    assert series.history[1]["settings"] == {"factor": 2}
    assert "steps: apply_shifts, bin, pick" in repr(series)
    # picked first or last, the variance is the same
    other = made().pick("Ag").apply_shifts(SHIFTS).bin(2)
    np.testing.assert_allclose(other.variance, series.variance, rtol=1e-5)
    np.testing.assert_allclose(other.bin(2).variance, series.bin(2).variance, rtol=1e-5)


def test_no_line_is_picked_twice():
    """Two maps of the same counts are no two elements."""
    with pytest.raises(ValueError, match=r"lines are \('Au', 'Ag', 'Au'\); expected each once"):
        made().pick("Au", "Ag", "Au")


def test_shifts_turn_with_the_images():
    series = made()
    one = series.apply_shifts(SHIFTS).turn()
    other = series.turn().apply_shifts(one.shifts)
    inner = (..., slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(one.maps[inner], other.maps[inner], rtol=1e-4, atol=1e-4)


def test_nothing_that_goes_in_is_changed():
    series = made()
    before = series.maps.copy(), series.haadf.copy(), series.variance.copy()
    STEPS["all"](series)
    assert series.history == () and series.shifts is None
    for kept, now in zip(before, (series.maps, series.haadf, series.variance), strict=True):
        np.testing.assert_array_equal(kept, now)


# --- a specimen ---


@pytest.fixture(scope="module")
def specimen():
    """Two balls side by side in eight slices, their series with drift, and the truth."""
    size, slices = 48, 12
    at = np.indices((slices, size, size)) - np.array([5.5, 23.5, 23.5])[:, None, None, None]

    def ball(center, radius):
        away = at - np.array(center)[:, None, None, None]
        return (away**2).sum(axis=0) <= radius**2

    density = np.stack([ball((0, -5, 3), 5), ball((0, 6, -2), 4.5)]).astype(np.float32)
    angles = np.arange(-70.0, 71, 10)
    W = hebt.Projector(angles, size)
    haadf = hebt.simulate.haadf_tilt_series(W, density, [79, 47])
    maps = hebt.simulate.eds_tilt_series(W, density, [9, 4], seed=1)
    return angles, haadf, maps, density


def test_arrays_are_put_in_the_order_of_the_tilts(specimen):
    angles, haadf, maps, _ = specimen
    order = np.random.default_rng(0).permutation(len(angles))
    series = io.TiltSeries.from_arrays(
        haadf[order], dict(zip(("Au", "Ag"), maps[:, order], strict=True)), angles=angles[order]
    )
    np.testing.assert_array_equal(series.angles, angles)
    np.testing.assert_array_equal(series.haadf, haadf)
    np.testing.assert_array_equal(series.maps, maps)
    assert series.pixel_size is None and "pixels of unknown size" in repr(series)


def test_a_particle_that_lies_alone_is_aligned_by_its_center_of_mass(specimen):
    angles, haadf, maps, density = specimen
    drift = np.random.default_rng(2).uniform(-2, 2, (len(angles), 2))
    drift[:, 0] /= 4
    noisy = prepare.apply_shifts(np.pad(haadf, ((0, 0), (8, 8), (0, 0))), drift) + 300
    noisy += np.random.default_rng(4).normal(0, 3, noisy.shape)
    series = io.TiltSeries.from_arrays(
        noisy,
        prepare.apply_shifts(np.pad(maps, ((0, 0), (0, 0), (8, 8), (0, 0))), drift),
        angles=angles,
    )
    aligned = series.remove_offset().align()
    assert aligned.history[-1]["found"] == {"by": "center of mass"}
    left = prepare.alignment_error(aligned.shifts, drift, angles)
    assert np.sqrt((left**2).mean()) < 0.1
    np.testing.assert_array_equal(aligned.maps, prepare.apply_shifts(series.maps, aligned.shifts))


def test_a_series_reconstructs_what_its_arrays_do(specimen):
    angles, haadf, maps, density = specimen
    series = io.TiltSeries.from_arrays(haadf, {"Au": maps[0], "Ag": maps[1]}, angles=angles)
    fit = series.ratios()
    np.testing.assert_array_equal(fit.ratios, hebt.response_ratios(haadf, maps).ratios)
    assert fit.names == ("Au", "Ag")
    W = hebt.Projector(angles, haadf.shape[-1])
    with pytest.raises(ValueError, match="pixel_size of the series is None; expected nm"):
        series.reconstruct("hebt", 5)
    series = dataclasses.replace(series, pixel_size=2.0).bin(1)
    result = series.reconstruct("hebt", 5, alpha=0.6)
    expected = hebt.reconstruct(W, haadf, maps, fit.ratios, 0.6, 5)
    np.testing.assert_array_equal(result.x, expected)
    assert result.elements == ("Au", "Ag") and result.pixel_size == 2.0
    assert result.method == "hebt" and len(result.residuals.eds) == 5
    assert result.settings == {"method": "hebt", "alpha": 0.6, "iterations": 5}
    assert [record["step"] for record in result.history] == ["bin"]
    np.testing.assert_array_equal(result.ratios.ratios, fit.ratios)


def test_the_method_follows_from_the_data(specimen):
    angles, haadf, maps, density = specimen
    series = io.TiltSeries.from_arrays(
        haadf, {"Au": maps[0], "Ag": maps[1]}, angles=angles, pixel_size=1.0
    )
    method = series.suited_method()
    assert isinstance(method, hebt.CompositionEM) and method.variance is None
    # about 113 X-rays under the widest kernel, (4 pi)^(3/2) its width cubed, of those in each voxel
    inside = np.count_nonzero(density.sum(axis=0))
    width = (113 * inside / maps.sum(axis=(1, 2, 3)).min()) ** (1 / 3) / np.sqrt(4 * np.pi)
    # HAADF of so few tilts leaves a sum that is not hard the better one, which keeps that kernel
    assert method.total == "free" and method.kernel[0] == method.kernel[1]
    np.testing.assert_allclose(method.kernel[1], width, rtol=0.3)  # S is wider
    result = series.reconstruct()
    x = result.x
    assert result.settings["method"].total == method.total and result.method == "CompositionEM"
    W = hebt.Projector(angles, haadf.shape[-1])
    fit = series.ratios()
    own = [hebt.metrics.scaled_mse(density[e], x[e]) for e in range(2)]
    for other in (
        {"alpha": 0, "iterations": 50},
        {"method": dataclasses.replace(method, total="hard")},
    ):
        y = hebt.reconstruct(W, haadf, maps, fit.ratios, progress=False, **other)
        assert all(own[e] < 0.9 * hebt.metrics.scaled_mse(density[e], y[e]) for e in range(2))
    known = dataclasses.replace(series, maps=maps - 0.25, variance=maps + 0.1)
    assert isinstance(known.suited_method(), hebt.Fused)
    assert isinstance(series.smooth(width=3, sigma=1.0).suited_method(), hebt.Fused)
    assert dataclasses.replace(known, variance=None).suited_method() == "hebt"


def test_what_a_wide_kernel_smooths_is_not_taken_for_a_contradiction():
    """Where one element has a hundred times the counts of the other, and HAADF is exact."""
    angles, slices, size = np.arange(-70, 71, 10), 6, 32
    W = hebt.Projector(angles, size)
    density = np.stack([hebt.simulate.phantom(size).density] * slices, axis=1)
    haadf = hebt.simulate.haadf_tilt_series(W, density, [79, 47])
    maps = hebt.simulate.eds_tilt_series(W, density, [100, 1], seed=1)
    series = io.TiltSeries.from_arrays(haadf, maps, angles=angles)
    fit, method = series.ratios(), series.suited_method()
    # a kernel for the scarce element's counts is too wide for the other one
    wide = hebt.choose(W, haadf, maps, fit.ratios, kernels=[0.7]).method
    assert method.total == "hard" and wide.total == "free"

    def errors(chosen):
        x = hebt.reconstruct(W, haadf, maps, fit.ratios, method=chosen)
        return np.array([hebt.metrics.scaled_mse(d, v) for d, v in zip(density, x, strict=True)])

    assert (errors(method) < errors(wide) / 2).all()


def test_pixels_that_no_factor_takes_say_what_to_crop():
    series = io.TiltSeries.from_arrays(
        np.ones((3, 6, 13)), np.ones((1, 3, 6, 13)), angles=[-9, 0, 9]
    )
    with pytest.raises(ValueError, match=r"size is 13 pixels.*call crop\(size=9\) first"):
        series.bin(3)
    assert series.crop(size=9).bin(3).maps.shape == (1, 3, 2, 3)
    with pytest.raises(ValueError, match="multiple of the factor: take another factor"):
        series.bin(2)  # an odd number has no even one that is symmetric within it


def test_haadf_at_other_tilts_is_known_to_ratios_and_reconstruction(specimen):
    angles, haadf, maps, density = specimen
    series = io.TiltSeries.from_arrays(
        haadf,
        {"Au": maps[0, ::2], "Ag": maps[1, ::2]},
        angles=angles[::2],
        haadf_angles=angles,
        pixel_size=1.0,
    )
    fit = series.ratios()
    expected = hebt.response_ratios(haadf[::2], maps[:, ::2]).ratios
    np.testing.assert_array_equal(fit.ratios, expected)
    W, every = (hebt.Projector(a, haadf.shape[-1]) for a in (angles[::2], angles))
    expected = hebt.reconstruct(
        W, haadf, maps[:, ::2], fit.ratios, iterations=3, haadf_projector=every
    )
    np.testing.assert_array_equal(series.reconstruct("hebt", 3).x, expected)
    shifts = np.arange(2.0 * len(angles)).reshape(-1, 2) / 10
    moved = series.apply_shifts(shifts)
    np.testing.assert_array_equal(moved.maps, prepare.apply_shifts(maps[:, ::2], shifts[::2]))
    assert "maps of Au, Ag at 8 tilts from -70 to 70" in repr(series)
    lone = io.TiltSeries.from_arrays(haadf, maps, angles=angles + 0.5, haadf_angles=angles)
    with pytest.raises(ValueError, match=r"angles .* no tilt in common"):
        lone.apply_shifts(shifts)


@pytest.mark.parametrize("unlike", ["haadf", "maps"])
def test_images_at_a_tilt_that_comes_twice_have_partners_or_an_error(unlike):
    """Moved by the shift of the image with which they were recorded, not of any at that tilt."""
    rng = np.random.default_rng(5)
    tilts, others = np.array([0.0, 20, 0, -20]), np.array([-20.0, 0, 0, 10, 20])
    haadf, maps = rng.random((5, 8, 8)), rng.random((1, 4, 8, 8))
    shifts = rng.uniform(-2, 2, (5, 2))
    series = io.TiltSeries.from_arrays(haadf, maps, angles=tilts, haadf_angles=others)
    # maps in rising order of their tilts, those of one tilt as they came
    expected = prepare.apply_shifts(maps[:, [3, 0, 2, 1]], shifts[[0, 1, 2, 4]])
    np.testing.assert_array_equal(series.apply_shifts(shifts).maps, expected)
    if unlike == "maps":
        tilts, maps = tilts[1:], maps[:, 1:]
    else:
        others, haadf, shifts = others[[0, 1, 3, 4]], haadf[[0, 1, 3, 4]], shifts[1:]
    series = io.TiltSeries.from_arrays(haadf, maps, angles=tilts, haadf_angles=others)
    near = dataclasses.replace(series, haadf_angles=series.haadf_angles + 0.03)
    for one in (series, near):  # a stage does not come back to the same number
        with pytest.raises(ValueError, match=r"angles has 0 degrees .x, .* expected it as often"):
            one.apply_shifts(shifts)


def test_a_variance_too_small_for_its_digits_is_refused():
    """Maps in a unit far from counts: the squares would come out with other ratios."""
    counts = made().maps.astype(np.float64)
    unit = 1e-21
    with pytest.raises(ValueError, match=r"variance has values up to .*e-41; .* in counts"):
        io.TiltSeries.from_arrays(counts[0], unit * counts, angles=TILTS, variance=unit**2 * counts)
    none = io.TiltSeries.from_arrays(counts[0], counts, angles=TILTS, variance=0 * counts)
    assert not none.variance.any()


def test_haadf_of_finer_pixels_is_averaged_by_area(specimen):
    angles, haadf, maps, _ = specimen
    fine = np.kron(haadf, np.ones((1, 3, 3)))
    series = io.TiltSeries.from_arrays(
        fine, maps, angles=angles, pixel_size=3.0, haadf_pixel_size=1.0
    )
    with pytest.raises(ValueError, match=r"maps .* same pixels for ratios.*match_pixels"):
        series.ratios()
    matched = series.match_pixels()
    np.testing.assert_allclose(matched.haadf, haadf, rtol=1e-5, atol=1e-3)
    assert matched.haadf_pixel_size is None and len(matched.ratios().ratios) == 2


def test_what_is_missing_is_said(specimen):
    angles, haadf, maps, _ = specimen
    alone = io.TiltSeries.from_arrays(haadf, angles=angles, pixel_size=1.0)
    assert "no element maps" in repr(alone)
    assert alone.bin(2).haadf.shape[1:] == (6, 24) and alone.bin(2).maps.shape == (0, 15, 6, 24)
    with pytest.raises(ValueError, match=r"no maps; expected .*maps=\{'Au'"):
        alone.reconstruct()
    series = io.TiltSeries.from_arrays(haadf, maps, angles=angles)
    with pytest.raises(ValueError, match="W is given, but the series has its own"):
        series.reconstruct(W=hebt.Projector(angles, 48))
    with pytest.raises(ValueError, match="haadf has 15 tilts and maps 14; expected 15"):
        io.TiltSeries.from_arrays(haadf, maps[:, 1:], angles=angles)


def test_a_ratio_of_zero_stops_a_reconstruction_with_what_to_do(specimen):
    angles, haadf, maps, _ = specimen
    gold, silver = maps
    named = {"Au": gold, "Ag": silver, "Ga": gold * (silver == 0)}
    series = io.TiltSeries.from_arrays(haadf, named, angles=angles, pixel_size=1.0)
    fit = hebt.response_ratios(haadf, series.maps, series.elements, variance=None)
    fit = dataclasses.replace(fit, ratios=np.array([2.0, 3.0, 0.0]))
    with pytest.raises(ValueError, match=r"ratio of Ga came .*pick\('Au', 'Ag'\).*hebt lines"):
        series.reconstruct("hebt", 2, ratios=fit)
    two = series.pick("Au", "Ag")
    assert two.reconstruct("hebt", 2).elements == ("Au", "Ag")


def test_ratios_of_elements_in_another_order_are_refused(specimen):
    angles, haadf, maps, _ = specimen
    maps = {"Au": maps[0], "Ag": maps[1]}
    series = io.TiltSeries.from_arrays(haadf, maps, angles=angles, pixel_size=1)
    fit, turned = series.ratios(), series.pick("Ag", "Au")
    options = {"iterations": 2, "progress": False}
    for call in (turned.reconstruct, turned.pick("Ag").reconstruct):
        with pytest.raises(ValueError, match="ratios are those of Au, Ag, and the elements are Ag"):
            call("hebt", ratios=fit, **options)
    with pytest.raises(ValueError, match="in the same order"):
        turned.suited_method(fit)
    with pytest.raises(ValueError, match="in the same order"):
        hebt.Result(np.ones((2, 4, 4)), ("Ag", "Au"), 1.0, ratios=fit)
    # names that are none of the elements' tell nothing
    nameless = hebt.response_ratios(haadf, series.maps)
    found = series.reconstruct("hebt", ratios=nameless, **options)
    np.testing.assert_array_equal(found.x, series.reconstruct("hebt", ratios=fit, **options).x)
