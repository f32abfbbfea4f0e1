"""Binning, smoothing and alignment, against what they must conserve and known shifts."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import hebt
from hebt import prepare


def blobs(seed, shape=(96, 96), count=25, margin=18):
    """Return the centers, widths and heights of random Gaussian blobs inside an image."""
    rng = np.random.default_rng(seed)
    low, high = margin, np.array(shape) - margin
    centers = rng.uniform(low, high, (count, 2))
    return centers, rng.uniform(1.5, 5, count), rng.uniform(0.3, 1, count)


def render(scene, shift=(0, 0), shape=(96, 96)):
    """Draw blobs, moved by any fraction of a pixel: nothing is interpolated."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for (r, c), width, height in zip(*scene, strict=True):
        far = (rows - r - shift[0]) ** 2 + (columns - c - shift[1]) ** 2
        image += height * np.exp(-far / (2 * width**2))
    return image


def centroid(image):
    image = np.asarray(image, np.float64)
    return np.array([(g * image).sum() / image.sum() for g in np.indices(image.shape)])


# --- binning ---


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_binning_conserves_counts(factor, high, wide, seed):
    counts = np.random.default_rng(seed).poisson(3, (2, 3, high * factor, wide * factor))
    binned = prepare.bin_images(counts, factor)
    assert binned.shape == (2, 3, high, wide) and binned.dtype == np.float32
    np.testing.assert_array_equal(binned.sum((2, 3)), counts.sum((2, 3)))
    np.testing.assert_array_equal(
        binned[1, 2, 0, 0], counts[1, 2, :factor, :factor].sum(), "the first block"
    )


def test_binning_of_a_single_slice_leaves_the_tilts_alone():
    sinogram = np.arange(3 * 8.0).reshape(3, 8)
    binned = prepare.bin_images(sinogram, 4, axis=-1)
    np.testing.assert_array_equal(binned, [[6, 22], [38, 54], [70, 86]])


def test_binning_refuses_what_does_not_divide():
    with pytest.raises(ValueError, match="images has 10 pixels along axis 2.*crop to 8"):
        prepare.bin_images(np.ones((2, 8, 10)), 4)
    with pytest.raises(ValueError, match="axis is 5.*3 axes"):
        prepare.bin_images(np.ones((2, 8, 8)), 4, axis=5)
    with pytest.raises(ValueError, match="each axis once"):
        prepare.bin_images(np.ones((2, 8, 8)), 4, axis=(2, -1))


# --- smoothing ---

WIDTHS = st.integers(1, 12)
SIGMAS = st.floats(0.5, 6)


@given(WIDTHS, SIGMAS, st.sampled_from([-1, -2, (-2, -1)]), st.integers(0, 2**32 - 1))
def test_smoothing_keeps_the_sum(width, sigma, axis, seed):
    counts = np.random.default_rng(seed).poisson(4, (2, 13, 17))
    smoothed = prepare.smooth(counts, width=width, sigma=sigma, axis=axis)
    np.testing.assert_allclose(smoothed.sum((1, 2)), counts.sum((1, 2)), rtol=1e-5)


@given(WIDTHS, SIGMAS)
def test_centered_smoothing_moves_nothing(width, sigma):
    image = np.zeros((41, 41))
    image[20, 20] = 1
    smoothed = prepare.smooth(image, width=width, sigma=sigma, axis=(0, 1))
    np.testing.assert_allclose(centroid(smoothed), [20, 20], atol=1e-5)
    np.testing.assert_allclose(smoothed, smoothed[::-1, ::-1], atol=1e-7)
    np.testing.assert_allclose(smoothed, smoothed.T, atol=1e-7, err_msg="same in both directions")


@given(WIDTHS, SIGMAS)
def test_an_even_kernel_that_is_not_centered_moves_by_half_a_pixel(width, sigma):
    image = np.zeros((41, 41))
    image[20, 20] = 1
    smoothed = prepare.smooth(image, width=width, sigma=sigma, axis=-1, centered=False)
    expected = 20.5 if width % 2 == 0 else 20.0
    np.testing.assert_allclose(centroid(smoothed), [20, expected], atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 7, 8, 12])
def test_the_kernel_is_a_gaussian_of_its_width(width):
    sigma = 3.0
    kernel = prepare.smoothing_kernel(width, sigma, centered=False)
    assert len(kernel) == width
    taps = np.arange(width) - (width - 1) / 2
    np.testing.assert_allclose(
        kernel / kernel.max(), np.exp(-(taps**2) / 18) / np.exp(-(taps**2) / 18).max()
    )
    np.testing.assert_allclose(kernel.sum(), 1)
    centered = prepare.smoothing_kernel(width, sigma)
    assert len(centered) == width + (width % 2 == 0)
    # variances add where kernels are convolved; (1/2, 1/2) has 1/4
    spread = np.arange(len(centered)) - (len(centered) - 1) / 2
    extra = 0.25 if width % 2 == 0 else 0
    np.testing.assert_allclose((centered * spread**2).sum(), (kernel * taps**2).sum() + extra)


def test_a_long_odd_kernel_is_scipys_gaussian():
    image = np.random.default_rng(0).random((30, 60))
    ours = prepare.smooth(image, width=17, sigma=2.0, axis=(-2, -1))
    np.testing.assert_allclose(ours, ndimage.gaussian_filter(image, 2.0, truncate=4), atol=1e-6)


def test_smoothing_refuses_what_makes_no_sense():
    image = np.ones((5, 20))
    with pytest.raises(ValueError, match="width is 6 pixels, but images has only 5 along axis 0"):
        prepare.smooth(image, width=6, sigma=2, axis=(0, 1))
    with pytest.raises(ValueError, match="sigma is -1"):
        prepare.smooth(image, width=3, sigma=-1)
    with pytest.raises(ValueError, match="sigma is nan"):
        prepare.smooth(image, width=3, sigma=np.nan)
    with pytest.raises(ValueError, match="width is 0"):
        prepare.smooth(image, width=0, sigma=1)
    with pytest.raises(ValueError, match="NaN"):
        prepare.smooth(np.full((5, 5), np.nan), width=3, sigma=1)


def test_inputs_stay_as_they_are():
    image = np.random.default_rng(0).random((3, 24, 24)).astype(np.float32)
    before = image.copy()
    prepare.smooth(image, width=8, sigma=2)
    prepare.smooth(image, width=1, sigma=2)
    prepare.bin_images(image, 2)
    shifts = prepare.estimate_shifts(image)
    kept = shifts.copy()
    prepare.apply_shifts(image, shifts)
    prepare.crop_flat(image, [-10, 0, 10], size=12)
    prepare.refine_alignment(
        image, [-10, 0, 10], shifts, hebt.sirt, size=24, depth=8, factor=2, rounds=2, iterations=3
    )
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(shifts, kept)


# --- alignment ---


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_alignment_recovers_known_shifts(noise):
    rng = np.random.default_rng(1)
    scene = blobs(2)
    true = rng.uniform(-6, 6, (7, 2))
    series = np.stack([render(scene, -t) for t in true])
    series += noise * rng.standard_normal(series.shape)
    found = prepare.estimate_shifts(series)
    wanted = true - np.median(true, axis=0)
    assert np.abs(found - wanted).max() < 0.1
    # and moving the images by them brings the features together
    moved = prepare.apply_shifts(series, found)
    inner = moved[:, 20:-20, 20:-20]
    apart = np.abs(inner - inner.mean(0)).max()
    assert apart < 0.06 * inner.max() + 5 * noise


def test_shifts_are_the_same_for_every_element_and_keep_values_between_neighbors():
    rng = np.random.default_rng(0)
    maps = rng.poisson(2, (3, 4, 20, 22)).astype(np.float32)
    shifts = rng.uniform(-3, 3, (4, 2))
    moved = prepare.apply_shifts(maps, shifts)
    np.testing.assert_allclose(moved[1], prepare.apply_shifts(maps[1], shifts))
    assert moved.min() >= maps.min() and moved.max() <= maps.max()
    whole = prepare.apply_shifts(maps, np.tile([2, -3], (4, 1)))
    np.testing.assert_array_equal(whole[..., 2:, :-3], maps[..., :-2, 3:])


def test_alignment_refuses_what_cannot_be_aligned():
    series = np.random.default_rng(0).random((3, 16, 16))
    with pytest.raises(ValueError, match="1 tilts"):
        prepare.estimate_shifts(series[:1])
    series[1] = 4.0
    with pytest.raises(ValueError, match="same value in every pixel of tilt 1"):
        prepare.estimate_shifts(series)
    with pytest.raises(ValueError, match=r"shifts has shape \(3,\)"):
        prepare.apply_shifts(series, [1, 2, 3])
    with pytest.raises(ValueError, match="as many tilts"):
        prepare.apply_shifts(series, np.zeros((4, 2)))


@pytest.fixture(scope="module")
def flat_specimen():
    """A slab of blobs, its tilt series, and shifts that take it out of order."""
    size, slices, depth = 64, 48, 12
    rng = np.random.default_rng(4)
    volume = rng.random((slices, size, size))
    volume = ndimage.gaussian_filter(volume, 1.6) - 0.5
    volume = np.maximum(volume, 0) * prepare.slab_mask(size, depth)
    volume[..., :6] = volume[..., -6:] = 0
    angles = np.arange(-40.0, 41, 5)
    series = hebt.Projector(angles, size).forward(volume)
    true = rng.uniform(-2.5, 2.5, (len(angles), 2))
    jittered = np.stack([ndimage.shift(p, -t, order=3) for p, t in zip(series, true, strict=True)])
    return angles, series, jittered, true, depth


@pytest.mark.slow
def test_reprojection_takes_out_what_neighbors_leave(flat_specimen):
    angles, series, jittered, true, depth = flat_specimen
    first = prepare.estimate_shifts(jittered)
    refined = prepare.refine_alignment(
        jittered,
        angles,
        first,
        hebt.sirt,
        size=64,
        depth=depth,
        factor=1,
        rounds=12,
        tolerance=0.05,
    )

    def error(shifts):
        # a shift of the volume as a whole is free: along the axis one number for all tilts,
        # across it a sine and a cosine of the tilt
        away = shifts - true
        along = away[:, 0] - away[:, 0].mean()
        radians = np.deg2rad(angles)
        free = np.stack([np.cos(radians), np.sin(radians)], axis=1)
        across = away[:, 1] - free @ np.linalg.lstsq(free, away[:, 1], rcond=None)[0]
        return np.sqrt((along**2).mean()), np.sqrt((across**2).mean())

    assert max(error(refined.shifts)) < 0.35
    assert error(refined.shifts)[1] < error(first)[1]
    assert refined.residuals[-1] < refined.residuals[0]
    assert len(refined.steps) == len(refined.residuals) <= 12


@pytest.mark.slow
def test_the_residual_is_lowest_at_the_true_axis_and_depth(flat_specimen):
    angles, series, _, _, depth = flat_specimen
    still = np.zeros((len(angles), 2))

    def residual(**changed):
        options = {"size": 64, "depth": depth, "factor": 1, **changed}
        return prepare.reprojection_residual(series, angles, still, hebt.sirt, **options)

    by_offset = [residual(offset=o) for o in (-6, -3, 0, 3, 6)]
    assert np.argmin(by_offset) == 2
    by_depth = [residual(depth=d) for d in (4, 8, 12, 16)]
    assert np.argmin(by_depth) in (2, 3) and by_depth[0] > 1.2 * by_depth[2]


def test_the_row_sums_tell_the_direction_of_the_axis(flat_specimen):
    _, series, jittered, _, _ = flat_specimen
    straight = prepare.mass_inconsistency(series)
    assert straight < 1e-3
    assert prepare.mass_inconsistency(series.mT) > 30 * straight
    assert prepare.mass_inconsistency(jittered) > 10 * straight


def test_the_same_strip_of_a_flat_specimen_has_the_same_mass_at_every_tilt():
    # an endless flat film: the steeper the tilt, the longer the way through it
    angles = np.array([-60.0, -30.0, 0.0, 45.0])
    film = np.ones((4, 10, 200)) / np.cos(np.deg2rad(angles))[:, None, None]
    totals = prepare.crop_flat(film, angles, size=100).sum((1, 2))
    np.testing.assert_allclose(totals, 920, rtol=1e-3)
    kept = prepare.crop_flat(film[None], angles, size=100, slices=6)
    assert kept.shape == (1, 4, 6, 100)
    assert (kept[0, 0, :, :20] == 0).all() and (kept[0, 2, :, 8:92] == 1).all()
    with pytest.raises(ValueError, match="edge is 0"):
        prepare.crop_flat(film, angles, size=100, edge=0)


def test_cropping_refuses_what_moves_the_axis():
    images = np.ones((2, 10, 20))
    with pytest.raises(ValueError, match="size is 11, but images have 20"):
        prepare.crop_flat(images, [0, 10], size=11)
    with pytest.raises(ValueError, match="slices is 12, but images have 10"):
        prepare.crop_flat(images, [0, 10], size=20, slices=12)
    with pytest.raises(ValueError, match="90 degrees"):
        prepare.crop_flat(images, [0, 90], size=20)
    with pytest.raises(ValueError, match="3 angles"):
        prepare.crop_flat(images, [0, 10, 20], size=20)


@pytest.mark.parametrize(("size", "depth"), [(8, 4), (9, 3), (8, 3.5), (9, 9), (10, 0.5)])
def test_a_slab_is_as_deep_as_asked(size, depth):
    mask = prepare.slab_mask(size, depth)
    assert mask.shape == (size, size) and mask.dtype == np.float32
    if depth >= 1:
        np.testing.assert_allclose(mask.sum(axis=0), depth, atol=1e-6)
    np.testing.assert_array_equal(mask, mask[::-1])
    with pytest.raises(ValueError, match="depth is"):
        prepare.slab_mask(size, 0)


# --- particles -----------------------------------------------------------------------------------


def ball(shifts, size=48, radius=14.0, stretch=0.0):
    """Projections of a ball-like body, moved by `shifts`: (tilts, size, size)."""
    at = np.arange(size) - (size - 1) / 2
    images = []
    for i, (along, across) in enumerate(shifts):
        wide = radius * (1 + stretch * np.cos(0.4 * i))
        r2 = ((at[:, None] - along) / radius) ** 2 + ((at - across) / wide) ** 2
        # the same mass at every tilt
        images.append(np.sqrt(np.clip(1 - r2, 0, None)) * radius / wide)
    return np.array(images, np.float32)


def test_center_of_mass_undoes_any_drift():
    drift = np.random.default_rng(0).normal(0, 2, (9, 2))
    shifts = prepare.estimate_center_shifts(ball(drift))
    np.testing.assert_allclose(shifts, -drift, atol=0.02)
    with pytest.raises(ValueError, match="sum above 0"):
        prepare.estimate_center_shifts(np.zeros((2, 8, 8)))


def test_alignment_error_takes_out_what_no_alignment_can_know():
    angles = np.arange(-70, 71, 10.0)
    drift = np.random.default_rng(2).normal(0, 1, (len(angles), 2))
    radians = np.deg2rad(angles)
    free = np.stack([np.full(len(angles), 3.0), 2 * np.cos(radians) - np.sin(radians)], axis=1)
    np.testing.assert_allclose(prepare.alignment_error(free - drift, drift, angles), 0, atol=1e-9)
    left = np.zeros((len(angles), 2))
    left[4] = 1.0
    assert np.abs(prepare.alignment_error(left - drift, drift, angles)[4]).min() > 0.5


def test_particle_masks_and_offset():
    rng = np.random.default_rng(3)
    images = ball(np.zeros((3, 2)), size=60)
    noisy = 0.3 + images + 0.01 * rng.standard_normal(images.shape).astype(np.float32)
    masks = prepare.particle_masks(noisy, margin=1)
    assert masks[images > 0.05].all() and masks.mean() < 2 * (images > 0).mean()
    cleaned = prepare.remove_offset(noisy, masks)
    assert np.abs(cleaned[masks] - images[masks]).max() < 0.06
    assert (cleaned[~masks] == 0).all()
    with pytest.raises(ValueError, match="stands out"):
        prepare.particle_masks(np.full((1, 30, 30), 2.0))
    with pytest.raises(ValueError, match="some empty pixels"):
        prepare.remove_offset(noisy, np.ones(noisy.shape, bool))


@pytest.mark.parametrize("saturation", [3e30, 1e39, 1e300])
def test_a_saturation_far_above_all_intensities_changes_none(saturation):
    haadf = np.array([[[-1e-10, 0, 2e-10, 3]]], np.float32)
    np.testing.assert_allclose(prepare.correct_damping(haadf, saturation), haadf, rtol=1e-6)


@pytest.mark.parametrize("saturation", [1.3, 2.5])
def test_damping_is_estimated_from_the_images_alone(saturation):
    ideal = ball(np.zeros((12, 2)), stretch=0.3)
    recorded = (saturation * -np.expm1(-ideal.astype(np.float64) / saturation)).astype(np.float32)
    found = prepare.estimate_damping(recorded)
    assert found.saturation == pytest.approx(saturation, rel=0.02)
    np.testing.assert_allclose(prepare.correct_damping(recorded, saturation), ideal, atol=1e-5)
    # another form of damping is at least mended in part
    other = (ideal / (1 + ideal / 4)).astype(np.float32)
    mended = prepare.correct_damping(other, prepare.estimate_damping(other).saturation)
    assert np.linalg.norm(mended - ideal) < 0.35 * np.linalg.norm(other - ideal)
    with pytest.raises(ValueError, match="saturation is 0.5, but haadf goes up to"):
        prepare.correct_damping(ideal, 0.5)


def test_windows_take_a_straight_background_away_and_leave_the_peak():
    energies = np.arange(200) * 0.01
    window = prepare.EnergyWindow("X", ((0.9, 1.1),), (((0.5, 0.6), (1.5, 1.7)),))
    weights = window.weights(energies)
    assert weights @ (3 + 2 * energies) == pytest.approx(0, abs=1e-9)
    peak = np.exp(-0.5 * ((energies - 1) / 0.02) ** 2)
    assert weights @ peak == pytest.approx(peak.sum(), rel=1e-4)
    assert window.weights(energies, background=False) @ np.ones(200) == pytest.approx(20)
    with pytest.raises(ValueError, match="no channel"):
        prepare.EnergyWindow("X", ((9.0, 9.1),), (((0.5, 0.6),),)).weights(energies)


def mixture(pixels=3000, channels=40, seed=0):
    """Counts of two spectra mixed in each pixel, and their means."""
    rng = np.random.default_rng(seed)
    at = np.arange(channels)
    spectra = np.stack([np.exp(-0.5 * ((at - c) / 3) ** 2) for c in (10, 28)]) + 0.02
    # one strong and one weak: without scaling, the noise of the strong line passes for structure
    share = rng.uniform(0, 1, (pixels, 2)) * (30, 0.5)
    mean = share @ spectra
    return rng.poisson(mean).astype(np.float32), mean


def test_two_components_hold_two_spectra():
    counts, mean = mixture()
    found = prepare.decompose(counts, np.arange(40), components=6)
    denoised = found.denoise(counts, 2)
    assert np.linalg.norm(denoised - mean) < 0.4 * np.linalg.norm(counts - mean)
    # a map of the denoised spectra is a weighted sum of the recorded ones
    weights = np.zeros(40)
    weights[20:36] = 1
    np.testing.assert_allclose(
        counts @ found.weights(weights, 2), denoised @ weights, rtol=1e-3, atol=1e-3
    )
    # all components together change nothing
    whole = prepare.decompose(counts, np.arange(40), components=40)
    np.testing.assert_allclose(whole.denoise(counts), counts, atol=2e-3)


def test_the_scaling_for_poisson_noise_acts():
    counts, _ = mixture()
    scaled = prepare.decompose(counts, np.arange(40), components=2)
    plain = prepare.decompose(counts, np.arange(40), components=2, scaled=False)
    # the same as scaling by hand and a plain singular value decomposition
    some = counts.sum(axis=1) > 0
    data = counts[some].astype(np.float64)
    root = np.sqrt(np.outer(data.sum(axis=1), data.sum(axis=0)))
    _, values, vectors = np.linalg.svd(data / root, full_matrices=False)
    share = values**2 / (values**2).sum()
    np.testing.assert_allclose(scaled.variance[:5], share[:5], rtol=1e-3)
    by_hand = vectors[:2] * np.sqrt(data.mean(axis=0))
    for k in range(2):
        assert abs(np.corrcoef(by_hand[k], scaled.factors[k])[0, 1]) > 0.9999
    assert np.abs(scaled.variance[:3] - plain.variance[:3]).max() > 0.01


def test_empty_spectra_and_channels_are_left_out_and_errors_are_named():
    counts, _ = mixture(300)
    counts[::7] = 0
    counts[:, 3] = 0
    found = prepare.decompose(counts, np.arange(40), components=3)
    assert np.isfinite(found.denoise(counts)).all()
    assert (found.denoise(counts)[::7] == 0).all()
    with pytest.raises(ValueError, match="expected at least as many of each as components, 5"):
        prepare.decompose(np.eye(4, 40), np.arange(40), components=5)
    with pytest.raises(ValueError, match="there are 7 energies"):
        prepare.decompose(counts, np.arange(7))


def test_blocks_of_pixels_add_up_their_spectra():
    from scipy import sparse

    cube = np.random.default_rng(4).poisson(0.4, (6, 8, 5))
    spectra = sparse.csr_array(cube.reshape(48, 5).astype(np.uint16))
    expected = cube.reshape(3, 2, 4, 2, 5).sum(axis=(1, 3)).reshape(12, 5)
    np.testing.assert_array_equal(prepare.bin_spectra(spectra, (6, 8), 2), expected)
    for kind in ("csc", "coo", "lil", "dok", "bsr", "dia"):
        binned = prepare.bin_spectra(spectra.asformat(kind), (6, 8), 2)
        np.testing.assert_array_equal(binned, expected, err_msg=kind)
    # events one by one: several of a place, which together are more than their type can hold
    places = np.zeros(300, int), np.full(300, 2)
    events = sparse.coo_array((np.ones(300, np.uint8), places), shape=(48, 5))
    assert prepare.bin_spectra(events, (6, 8), 2)[0].tolist() == [0, 0, 300, 0, 0]
    mask = np.zeros((6, 8), bool)
    mask[0, 0] = mask[5, 7] = True
    np.testing.assert_array_equal(prepare.bin_spectra(spectra, (6, 8), 2, mask), expected[[0, 11]])
    with pytest.raises(ValueError, match="divides both"):
        prepare.bin_spectra(spectra, (6, 8), 5)


def test_the_response_of_the_tilts_comes_from_the_totals():
    response = np.array([0.6, 1.0, 1.4])
    maps = np.ones((2, 3, 4, 5)) * response[:, None, None] * np.array([2, 7])[:, None, None, None]
    found = prepare.tilt_response(maps)
    np.testing.assert_allclose(found, response)
    np.testing.assert_allclose(prepare.normalize_tilts(maps, found)[1], 7, rtol=1e-6)
    with pytest.raises(ValueError, match="at tilt 1"):
        prepare.tilt_response(maps * np.array([1, 0, 1])[:, None, None])
    with pytest.raises(ValueError, match="one value above 0"):
        prepare.normalize_tilts(maps, response[:2])


def _balls(saturation):
    """A ball of another thickness at each tilt, of the same mass, as HAADF records it."""
    y, x = np.mgrid[-20:21, -20:21] / 12
    images = []
    for squeeze in (1, 0.8, 0.65):
        images.append(2 / squeeze * np.sqrt(np.maximum(1 - (x / squeeze) ** 2 - y**2, 0)))
    images = np.stack(images)
    return saturation * (1 - np.exp(-images / saturation))


def test_damping_beyond_what_is_tried_is_not_given_for_an_estimate():
    assert prepare.estimate_damping(_balls(4.0)).saturation == pytest.approx(4, rel=0.03)
    with pytest.raises(ValueError, match=r"a saturation of .* or less; expected intensities below"):
        prepare.estimate_damping(_balls(0.7))


def test_a_particle_cut_by_the_frame_is_not_taken_for_a_whole_one():
    image = np.pad(_balls(4.0)[:1], ((0, 0), (0, 0), (20, 20)))
    prepare.particle_masks(image)
    with pytest.raises(ValueError, match="shows something in the border of 4 pixels at tilt 0"):
        prepare.particle_masks(image[:, 10:])
    with pytest.raises(ValueError, match="nothing that stands out from the border at tilt 0"):
        prepare.particle_masks(image[:, 14:27, 30:50])


def test_a_binarized_image_holds_what_is_above_the_fraction():
    images = np.array([[[0, 0.4, 0.6, 10]], [[0, 0.04, 0.06, 1]]])
    assert prepare.binarize(images).tolist() == [[[False, False, True, True]]] * 2
    with pytest.raises(ValueError, match="nothing above 0 at tilt 1"):
        prepare.binarize(images * [[[1]], [[0]]])
    with pytest.raises(ValueError, match="fraction is 1"):
        prepare.binarize(images, fraction=1)
    with pytest.raises(ValueError, match="saturation is -inf"):
        prepare.correct_damping(images, -np.inf)


# --- black level ---------------------------------------------------------------------------------


def case(name):
    """Return a file from outside, as its arrays."""
    file = Path(os.environ.get("HEBT_DATA", "")) / "cases" / name
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    if file.suffix == ".npz":
        return dict(np.load(file))
    from rsciio.digitalmicrograph import file_reader

    return file_reader(file)[0]["data"]


def crowd(size=48, slices=24):
    """Two bars that leave the image along the tilt axis, and a bead: nothing lies alone."""
    at = (np.arange(size) - (size - 1) / 2) / size
    y, x = np.meshgrid(at, at, indexing="ij")
    bars = ((x - 0.2) ** 2 + y**2 < 0.015) + 2.0 * ((x + 0.2) ** 2 + (y - 0.1) ** 2 < 0.01)
    volume = np.repeat(bars[None], slices, axis=0)
    volume[8:14] += (x - 0.05) ** 2 + (y + 0.2) ** 2 < 0.008
    W = hebt.Projector(np.arange(-60.0, 61, 10), size)
    return W, W.forward(volume)


@pytest.mark.parametrize("level", [-31900, -300, -40, 40, 500])
def test_a_black_level_is_said_and_removed_where_nothing_lies_alone(level):
    W, clean = crowd()
    rng = np.random.default_rng(0)
    recorded = np.rint(100 * clean + level + rng.normal(0, 4, clean.shape)).astype(np.int16)
    with pytest.raises(
        ValueError, match="shows (something in|nothing that stands out from) the border"
    ):
        prepare.particle_masks(recorded)
    if level < -100:
        with pytest.raises(ValueError, match="p (reads|has values).* black level"):
            hebt.sirt(W, recorded, 2)
        with pytest.raises(ValueError, match="haadf (reads|has values).* black level"):
            hebt.response_ratios(recorded, clean[None])
        with pytest.raises(ValueError, match="haadf (reads|has values).* black level"):
            hebt.reconstruct(W, recorded, clean[None], [100], iterations=2)
        with pytest.raises(ValueError, match="haadf (reads|has values).* black level"):
            prepare.estimate_center_shifts(recorded)
    else:
        with pytest.warns(UserWarning, match="p reads .* Is this the detector's black level"):
            hebt.sirt(W, recorded, 2)
        with pytest.warns(UserWarning, match="haadf reads .* Is this the detector's black level"):
            hebt.reconstruct(W, recorded, clean[None], [100], iterations=2)
    np.testing.assert_allclose(prepare.estimate_offset(recorded), level, atol=1.5)
    linear = prepare.remove_offset(recorded)
    assert linear.sum() == pytest.approx(100 * clean.sum(), rel=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = hebt.sirt(W, linear, 60)
    assert x.sum() * len(W.angles) == pytest.approx(100 * clean.sum(), rel=0.05)


def test_a_black_level_is_found_in_blocks_too(tmp_path):
    da = pytest.importorskip("dask.array")
    W, clean = crowd()
    haadf = da.from_array(clean - 3, chunks=(-1, 12, -1))
    x = hebt.reconstruct(W, haadf, clean[None], [1], iterations=2)
    with pytest.raises(ValueError, match="haadf reads -3.*black level"):
        x.compute()
    with pytest.raises(ValueError, match="haadf reads -3.*black level"):
        hebt.reconstruct(W, haadf, clean[None], [1], iterations=2, out=tmp_path / "x.zarr")


def test_functions_of_images_without_offset_say_that_there_is_one():
    images = ball(np.zeros((6, 2)), stretch=0.3) + 0.5
    for function in (prepare.binarize, prepare.estimate_damping, prepare.estimate_center_shifts):
        with pytest.warns(UserWarning, match="reads 0.5.*black level"):
            function(images)


@pytest.mark.parametrize(
    ("file", "key", "level"),
    [
        ("needle_raw_bin2.npz", "haadf", -31890),
        ("etspy_HAADF_91tilts.dm3", None, 516),
        ("msaem_Co3O4_Mn3O4.npz", "HAADF", 1.3e7),
        ("SAIT_024_2_6.npz", "haadf", 24),
    ],
)
def test_black_levels_of_recorded_series_are_found(file, key, level):
    """Levels are the peaks of the histograms, and what the files say of themselves."""
    images = np.asarray(case(file) if key is None else case(file)[key], np.float32)
    images = images if images.ndim == 3 else images[None]
    W = hebt.Projector(np.linspace(-60, 60, len(images)), images.shape[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            ValueError if level < 0 else UserWarning, match="p (reads|has values).*black level"
        ):
            hebt.sirt(W, images[:, ::5], 1)
        offset = prepare.estimate_offset(images)
        assert np.median(offset) == pytest.approx(level, rel=0.05)
        # it is the detector's, and stays the same
        assert np.ptp(offset) < 0.1 * (images.max() - level)
        hebt.sirt(W, prepare.remove_offset(images)[:, ::5], 1)


def specimens_without_black_level():
    rng = np.random.default_rng(1)
    W, clean = crowd()
    angles = np.deg2rad(W.angles)[:, None, None]
    film = (10 + ndimage.gaussian_filter(rng.normal(0, 8, (13, 24, 48)), (0, 2, 2))) / np.cos(
        angles
    )
    noise = rng.normal(0, 1, clean.shape)
    spot = np.pad(np.ones((13, 4, 4)), ((0, 0), (10, 10), (22, 22)))
    yield "clean", clean
    yield "as noisy as bright", clean + clean.max() * noise
    yield "noise and a spot", noise + 9 * spot
    yield "smoothed noise", ndimage.gaussian_filter(noise + 9 * spot, 2)
    yield "the same less a background taken a little too high", noise + 9 * spot - 0.5
    yield "net counts of nothing", rng.poisson(1.0, clean.shape) - rng.poisson(1.0, clean.shape)
    yield "net counts", rng.poisson(clean + 3) - rng.poisson(3.0, clean.shape)
    yield "counts", rng.poisson(clean)
    yield "overshoot of a spline", ndimage.shift(clean, (0, 0.5, 0.5), order=3)
    yield "a film that fills the view", film
    yield "a film with noise", film + 0.1 * noise


@pytest.mark.parametrize("what", [name for name, _ in specimens_without_black_level()])
def test_what_has_no_black_level_is_taken_without_a_word(what):
    images = dict(specimens_without_black_level())[what]
    W = hebt.Projector(np.arange(-60.0, 61, 10), 48)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hebt.sirt(W, images, 1)
        if what == "clean":
            hebt.response_ratios(images, images[None])


def test_a_film_that_fills_the_view_has_no_offset_that_images_could_tell():
    film = dict(specimens_without_black_level())["a film with noise"]
    with pytest.raises(ValueError, match="no empty area at 13 tilts, the first 0: .*blanked beam"):
        prepare.estimate_offset(film)


def sparse_counts(peak, background):
    """Few counts of a ball on some background: (images, counts)."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    true = np.stack([np.sqrt(np.maximum(0, 1 - (x**2 + y**2) / 0.12))] * 6)
    return true, np.random.default_rng(0).poisson(peak * true + background)


@pytest.mark.parametrize(
    ("peak", "background"), [(5, 0.3), (2, 0.3), (3, 0.7), (1, 0.1), (20, 0.4), (20, 2.0), (20, 5)]
)
def test_few_counts_less_their_background_are_taken_without_a_word(peak, background):
    true, counts = sparse_counts(peak, background)
    net = counts - background
    assert abs(net[:, :8].mean()) < 0.1 * background
    W = hebt.Projector(np.arange(6) * 25.0, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hebt.reconstruct(W, 100 * true, net[None], [20], 0.7, 1)
        hebt.sirt(W, net, 1)
        # a count less another is whole
        whole = counts - np.random.default_rng(1).poisson(background, counts.shape)
        hebt.reconstruct(W, 100 * true, whole[None], [20], 0.7, 1)


def test_a_background_taken_much_too_high_is_refused_in_maps_too():
    true, counts = sparse_counts(20, 2)
    W = hebt.Projector(np.arange(6) * 25.0, 64)
    with pytest.raises(ValueError, match=r"maps\[0\] reads -8.*background taken too high"):
        hebt.reconstruct(W, 100 * true, counts[None] - 10.1, [20], 0.7, 1)
    with pytest.raises(ValueError, match="whole numbers from -18 to.*signed.*background too high"):
        hebt.reconstruct(W, 100 * true, counts[None] - 18, [20], 0.7, 1)


def test_net_maps_of_a_recorded_series_are_taken_without_a_word():
    folder = Path(os.environ.get("HEBT_DATA", "")) / "dust-particle-L2083-K-4-1" / "Input"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    lines = ["O_Ka", "Fe_Ka", "Si_Ka", "Mg_Ka"]
    files = [folder / f"{angle}.bcf" for angle in (-10, 0)]
    series = hebt.io.read_tilt_series(files, lines=lines, progress=False)
    dark = series.haadf[0] < np.quantile(series.haadf[0], 0.1)
    assert np.abs(series.maps[:, 0, dark].mean(1)).max() < 0.01
    for factor in (1, 2, 4):
        haadf, maps = (prepare.bin_images(a, factor) for a in (series.haadf, series.maps))
        W = hebt.Projector(series.angles, haadf.shape[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            hebt.reconstruct(W, haadf, maps, np.ones(4), 0.7, 1)


def whole_ball(tilts, size=64, peak=1000.0, noise=3.0):
    """Images of a ball, with noise: (tilts, size, size)."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    image = peak * np.sqrt(np.maximum(0, 1 - (x**2 + y**2) / 0.3))
    rng = np.random.default_rng(0)
    return image, image + rng.normal(0, noise, (tilts, size, size))


@pytest.mark.parametrize("level", [-300, 300])
@pytest.mark.parametrize("some", [1, 3, 5, 6])
def test_a_black_level_at_some_tilts_is_said_with_the_tilts(some, level):
    images = whole_ball(11)[1]
    images[2 : 2 + some] += level
    W = hebt.Projector(np.linspace(-70, 70, 11), 64)
    where = f"at {some} of 11 tilts, the first 2" if some < 6 else "black level"
    if level < 0:
        with pytest.raises(ValueError, match=f"p reads -{30 if some < 6 else ''}.*{where}"):
            hebt.sirt(W, images, 1)
    else:
        with pytest.warns(UserWarning, match=f"p reads .*{where}"):
            hebt.sirt(W, images, 1)


def test_a_tiny_particle_and_an_empty_image_have_an_offset():
    images = np.random.default_rng(0).normal(300, 5, (4, 64, 64))
    np.testing.assert_allclose(prepare.estimate_offset(images), 300, atol=1.5)
    images[:, 30:33, 30:33] += 1000
    np.testing.assert_allclose(prepare.estimate_offset(images), 300, atol=1.5)
    np.testing.assert_array_equal(prepare.estimate_offset(np.full((2, 40, 40), 7)), 7)


@pytest.mark.parametrize("rows", [1, 2, 3, 6])
@pytest.mark.parametrize("level", [-300, 200, 1000, 30000])
def test_zeros_of_a_border_hide_no_black_level(rows, level):
    clean, images = whole_ball(6)
    images += level
    images[:, :rows] = 0
    np.testing.assert_allclose(prepare.estimate_offset(images), level, atol=1)
    W = hebt.Projector(np.arange(6) * 25.0, 64)
    if level < 0:
        with pytest.raises(ValueError, match="p reads .*black level"):
            hebt.sirt(W, images, 1)
    else:
        with pytest.warns(UserWarning, match="p reads .*black level"):
            hebt.sirt(W, images, 1)
    for masks in (None, np.tile(clean > 0, (6, 1, 1))):
        linear = prepare.remove_offset(images, masks)
        assert (linear[:, :rows] == 0).all()
        np.testing.assert_allclose(linear.sum((1, 2)), clean.sum(), rtol=0.01)


def test_zeros_around_a_thing_without_noise_are_its_background():
    W = hebt.Projector(np.arange(6) * 25.0, 64)
    disk = np.sum((np.indices((64, 64)) - 31.5) ** 2, axis=0) < 29**2
    images = W.forward(np.tile(disk, (64, 1, 1)).astype(np.float32))
    assert not images[..., 0].any() and np.mean(images > 0) > 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hebt.sirt(W, images, 1)


def test_large_whole_numbers_lose_no_counts():
    clean = np.rint(whole_ball(2, noise=0.0)[1])
    counts = (1_000_000_000 + clean).astype(np.int32)
    for masks in (None, clean > 0):
        np.testing.assert_array_equal(prepare.remove_offset(counts, masks), clean)


def test_masks_are_not_widened_by_less_than_nothing():
    with pytest.raises(ValueError, match="margin is -1; expected a whole number of at least 0"):
        prepare.particle_masks(ball(np.zeros((1, 2))), margin=-1)
