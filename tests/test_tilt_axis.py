"""The tilt axis: found where it is known, and images of any channel turned to it."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import hebt
from hebt import prepare
from hebt.prepare import TiltAxis

ANGLES = np.arange(-70, 71, 10.0)
TILTS = len(ANGLES)


def case(name):
    """Return a file from outside, as its arrays."""
    file = Path(os.environ.get("HEBT_DATA", "")) / "cases" / name
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    if file.suffix == ".npz":
        return dict(np.load(file))
    from rsciio.digitalmicrograph import file_reader

    return file_reader(file)[0]["data"]


def read_needle(name):
    """Recorded series of needles, which turn about their length; it lies along the rows."""
    if name == "dm3":
        return np.arange(-90, 91, 2.0), prepare.remove_offset(case("etspy_HAADF_91tilts.dm3"))
    needle = case("needle_raw_bin2.npz")
    return needle["angles"], prepare.remove_offset(needle["haadf"])


def lump(seed, top, drift):
    """An uneven ellipsoid about a vertical axis, with noise: (angles, images)."""
    rng = np.random.default_rng(seed)
    size = 40
    inside = (np.indices([size] * 3) - (size - 1) / 2) / rng.uniform(7, 14, (3, 1, 1, 1))
    texture = ndimage.gaussian_filter(rng.random([size] * 3), 2)
    volume = ((inside**2).sum(axis=0) < 1) * np.maximum(1 + 8 * (texture - 0.5), 0)
    angles = np.arange(-top, top + 1, 5.0)
    images = hebt.Projector(angles, size).forward(volume)
    images += 0.01 * images.max() * rng.standard_normal(images.shape)
    return angles, prepare.apply_shifts(images, rng.normal(0, drift, (len(angles), 2)))


def sphere(size=40):
    at = np.arange(size) - (size - 1) / 2
    image = np.sqrt(np.clip(1 - (at[:, None] ** 2 + at**2) / (0.3 * size) ** 2, 0, None))
    return np.repeat(image[None], TILTS, axis=0).astype(np.float32)


def beads(rotation, offset, *, along=0, drift=0.0, noise=0.0, seed=0, size=64):
    """Gaussian beads about an axis that lies anywhere: (images, shifts that undo their drift).

    In closed form: neither projector nor interpolation takes part. The axis goes from the middle,
    moved by `offset` across it, `rotation` degrees counter-clockwise on the screen from downwards,
    or from leftwards where it is horizontal.
    """
    rng = np.random.default_rng(seed)
    place = rng.uniform(-0.28, 0.28, (8, 3)) * size
    width, mass = rng.uniform(1.5, 4, 8), rng.uniform(0.5, 1.5, 8)
    turned = np.deg2rad(rotation - 90 * along)
    s = np.array([np.cos(turned), np.sin(turned)])
    u = np.array([-np.sin(turned), np.cos(turned)])
    moved = drift * rng.standard_normal((TILTS, 2))
    at = np.indices((size, size)) - (size - 1) / 2
    images = np.zeros((TILTS, size, size))
    for image, angle, by in zip(images, np.deg2rad(ANGLES), moved, strict=True):
        across = place[:, 1] * np.cos(angle) + place[:, 2] * np.sin(angle) + offset
        for along_axis, v, wide, weight in zip(place[:, 0], across, width, mass, strict=True):
            y, x = along_axis * s + v * u + by
            r2 = (at[0] - y) ** 2 + (at[1] - x) ** 2
            image += weight / wide * np.exp(-r2 / (2 * wide**2))
    return images + noise * images.max() * rng.standard_normal(images.shape), -moved


def centers(images, angles):
    """Where the center of mass of each row lies once it is freed of x cos + z sin."""
    at = np.arange(images.shape[2]) - (images.shape[2] - 1) / 2
    mass = images.sum(axis=(0, 2))
    rows = np.flatnonzero(mass > 0.3 * mass.max())
    path = (images[:, rows] @ at) / images[:, rows].sum(axis=2)
    radians = np.deg2rad(angles)
    terms = np.stack([np.ones_like(radians), np.cos(radians), np.sin(radians)], axis=1)
    return rows, np.linalg.lstsq(terms, path, rcond=None)[0][0]


# --- found ---


@pytest.mark.parametrize(
    ("rotation", "offset", "along"), [(3.0, 1.5, 0), (-4.6, -2.0, 1), (0.0, 0.0, 0), (33.0, 1.0, 1)]
)
def test_an_axis_is_found_where_it_lies_within_its_errors(rotation, offset, along):
    images, shifts = beads(rotation, offset, along=along, drift=1.0, noise=0.02)
    kept = images.copy()
    found = prepare.estimate_tilt_axis(images, ANGLES, shifts=shifts)
    np.testing.assert_array_equal(images, kept)
    assert found.along == along and found.decided
    assert 0.005 < found.rotation_error < 0.4
    # where an axis lies between both directions, fewer rows tell it
    assert 0.001 < found.offset_error < (0.2 if abs(rotation) < 10 else 0.3)
    assert abs(found.rotation - rotation) < 3 * found.rotation_error
    assert abs(found.offset - offset) < 3 * found.offset_error
    np.testing.assert_allclose(found.shifts, shifts, atol=1e-6)


@pytest.mark.parametrize("along", [0, 1])
def test_images_that_are_not_aligned_are_aligned_on_the_way(along):
    images, shifts = beads(-3.0, 1.0, along=along, drift=1.5, noise=0.01, seed=1)
    shuffled = np.random.default_rng(0).permutation(TILTS)
    found = prepare.estimate_tilt_axis(images[shuffled], ANGLES[shuffled])
    assert found.along == along
    assert abs(found.rotation + 3) < 3 * found.rotation_error < 1
    turned = np.deg2rad(found.rotation - 90 * along)
    s, u = (np.cos(turned), np.sin(turned)), (-np.sin(turned), np.cos(turned))
    apart = np.zeros((TILTS, 2))
    apart[shuffled] = found.shifts - shifts[shuffled]
    # an offset of the axis is a common shift across it
    apart = np.stack([apart @ s, apart @ u - (found.offset - 1)], axis=1)
    left = prepare.alignment_error(apart, np.zeros_like(apart), ANGLES)
    assert np.sqrt((left**2).mean(axis=0)).max() < 0.15


def test_damped_images_of_uneven_brightness_tell_the_axis_too():
    images, shifts = beads(2.0, -1.0)
    brightness = np.random.default_rng(0).uniform(0.7, 1.3, (TILTS, 1, 1))
    damped = hebt.simulate.damp(images, 2 * images.max()) * brightness
    found = prepare.estimate_tilt_axis(damped, ANGLES, shifts=shifts)
    assert abs(found.rotation - 2) < 0.2 and found.offset_error < 0.1
    assert abs(found.offset + 1) < 3 * found.offset_error


def test_binning_changes_pixels_and_not_the_axis():
    images, shifts = beads(3.0, 4.0, size=131, drift=2.0)
    found = prepare.estimate_tilt_axis(images, ANGLES, shifts=shifts)
    assert abs(found.rotation - 3) < 0.2 and abs(found.offset - 4) < 0.15


@pytest.mark.slow
@pytest.mark.promise
def test_the_tilt_axis_is_told_by_what_predicts_left_out_tilts(promise):
    series = [(0, 70, 1), (1, 40, 0), (2, 40, 1)]
    for key in series[::-1]:
        angles, images = lump(*key)
        with warnings.catch_warnings():
            # over 80 degrees such a lump hardly tells the rotation
            warnings.filterwarnings("ignore", "haadf hardly tells the rotation")
            found = prepare.estimate_tilt_axis(images, angles)
        assert found.along == 0 and found.decided and np.argmin(found.errors) == 0, key
        assert abs(found.rotation) < 3 * found.rotation_error, key
    turned = np.rot90(images, axes=(1, 2))[::-1]
    found = prepare.estimate_tilt_axis(turned, angles[::-1])
    assert found.along == 1 and found.decided
    recorded = 0
    for name in ("npz", "dm3"):
        angles, images = read_needle(name)
        for top in (90, 60):
            some = np.flatnonzero(np.abs(angles) <= top)[:: 1 + (name == "dm3")]
            found = prepare.estimate_tilt_axis(images[some], angles[some])
            assert found.along == 1 and found.decided, (name, top)
            recorded += 1
    promise("tilt_axes", simulated=len(series) + 1, recorded=recorded)


@pytest.mark.slow
def test_the_needle_turns_about_the_axis_that_another_program_found():
    """ETSpy found -2.793 degrees (counter-clockwise on the screen) with shifts of its own."""
    other = case("needle_raw_bin2.npz")
    angles, images = read_needle("npz")
    found = prepare.estimate_tilt_axis(images, angles)
    assert found.along == 1 and found.rotation_error < 0.1
    assert abs(found.rotation - other["etspy_tiltaxis_deg"]) < 0.2
    apart = found.shifts - other["etspy_shifts_px"]
    # along the axis; and across it but for a free x cos + z sin
    left = prepare.alignment_error(apart[:, ::-1], np.zeros_like(apart), angles)
    assert np.sqrt((left**2).mean(axis=0)).max() < 0.3
    theirs = prepare.estimate_tilt_axis(images, angles, shifts=other["etspy_shifts_px"])
    assert abs(theirs.rotation - found.rotation) < 0.2
    # the center of mass of each row turns about the middle then
    upright = prepare.apply_tilt_axis(images, found)
    rows, middles = centers(np.maximum(upright, 0), angles)
    before = centers(np.maximum(np.rot90(images, axes=(1, 2)), 0), angles)[1]
    assert np.abs(middles).mean() < 0.5 < np.abs(before).mean()


def test_a_round_specimen_does_not_tell_and_a_warning_says_so():
    with pytest.warns(UserWarning, match="does not tell whether.*nearly round, or the tilts"):
        found = prepare.estimate_tilt_axis(sphere(), ANGLES, shifts=np.zeros((TILTS, 2)))
    assert not found.decided


def test_a_film_beyond_the_images_tells_the_axis_by_its_depth():
    """A film 40 pixels wider than the images on either side, 8 thick, with an uneven density."""
    rng = np.random.default_rng(0)
    size, edge = 128, 40
    film = ndimage.gaussian_filter(rng.random((48, size, size)), 2.5) > 0.5
    film[:, : size // 2 - 4] = film[:, size // 2 + 4 :] = False
    angles = np.arange(-40, 41, 5.0)
    images = hebt.Projector(angles, size).forward(film.astype(np.float32))[..., edge:-edge]
    still = np.zeros((len(angles), 2))
    for shown, along in ((images, 0), (np.rot90(images, -1, axes=(1, 2)), 1)):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*edges on both sides")
            found = prepare.estimate_tilt_axis(shown, angles, shifts=still, depth=10)
        assert found.along == along and found.decided
        assert abs(found.rotation) < min(1, 3 * found.rotation_error)
    with pytest.warns(UserWarning, match="up to the edges on both sides.*thickness as depth"):
        prepare.estimate_tilt_axis(images, angles, shifts=still)


def test_the_dust_particle_was_tilted_about_the_vertical():
    folder = Path(os.environ.get("HEBT_DATA", "")) / "dust-particle-L2083-K-4-1" / "Input"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    from rsciio.bruker import file_reader

    angles = np.arange(-40.0, 36.0, 5.0)
    images = []
    for angle in angles:
        kept = file_reader(folder / f"{angle:.0f}.bcf", select_type="image")
        images += [i["data"] for i in kept if "HAADF" in i["metadata"]["General"]["title"]]
    # a section of about 200 nm at 13.08 nm a pixel, which need not lie level
    found = prepare.estimate_tilt_axis(np.stack(images), angles, depth=48)
    assert found.along == 0 and found.errors[1] > 2 * found.errors[0]
    assert abs(found.rotation) < 3 * found.rotation_error < 3


def test_what_does_not_fit_is_refused():
    images = sphere()
    with pytest.raises(ValueError, match="5 images in haadf, 5 angles.*at least 6"):
        prepare.estimate_tilt_axis(images[:5], ANGLES[:5])
    with pytest.raises(ValueError, match="15 angles and 1 shifts; expected as many"):
        prepare.estimate_tilt_axis(images, ANGLES, shifts=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="14 images in haadf, 15 angles"):
        prepare.estimate_tilt_axis(images[1:], ANGLES)
    with pytest.raises(ValueError, match="shows nothing at -60 degrees once moved by shifts"):
        prepare.estimate_tilt_axis(images, ANGLES, shifts=np.eye(TILTS)[:, [1, 1]] * 99)


def test_an_alignment_says_that_the_axis_lies_the_other_way():
    angles, images = lump(0, 70, 0)
    options = dict(size=40, depth=30, factor=1, rounds=1, iterations=3)
    still = np.zeros((len(angles), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare.refine_alignment(images, angles, still, hebt.sirt, **options)
        turned = np.rot90(images, axes=(1, 2))
        with pytest.raises(UserWarning, match="tilt axis of haadf looks horizontal.*apply_tilt"):
            prepare.refine_alignment(turned, angles, still, hebt.sirt, **options)


def test_sums_over_rows_prefer_the_wrong_axis_of_the_needle():
    _, needle = read_needle("npz")
    assert prepare.mass_inconsistency(needle) > 2 * prepare.mass_inconsistency(needle.mT)


# --- applied ---


@pytest.mark.parametrize("along", [0, 1])
def test_turned_images_are_those_of_an_upright_axis(along):
    """With a cubic spline, to what beads about a vertical axis in the middle look like."""
    tilted, shifts = beads(-7.0, 2.5, along=along, drift=2.0)
    upright, _ = beads(0.0, 0.0)
    axis = TiltAxis(along, -7.0, 2.5)
    made = prepare.apply_tilt_axis(tilted, axis, shifts=shifts, order=3)
    inner = (slice(None), slice(10, -10), slice(10, -10))
    np.testing.assert_allclose(made[inner], upright[inner], atol=5e-3 * upright.max())
    own = prepare.apply_tilt_axis(tilted, TiltAxis(along, -7.0, 2.5, shifts=shifts), order=3)
    np.testing.assert_array_equal(own, made)


def test_a_vertical_axis_takes_nothing_but_shifts_and_a_horizontal_one_a_quarter_turn():
    rng = np.random.default_rng(0)
    images, shifts = rng.random((2, 3, 7, 11), np.float32), rng.normal(0, 2, (3, 2))
    for mode in ("nearest", "constant"):
        for order in (1, 3):
            options = dict(order=order, mode=mode)
            moved = prepare.apply_shifts(images, shifts, **options)
            made = prepare.apply_tilt_axis(images, TiltAxis(shifts=shifts), **options)
            np.testing.assert_allclose(made, moved, atol=1e-5)
            made = prepare.apply_tilt_axis(images, TiltAxis(1), shifts=shifts, **options)
            np.testing.assert_allclose(made, np.rot90(moved, axes=(-2, -1)), atol=1e-5)
    exact = prepare.apply_tilt_axis(images, TiltAxis(1))
    np.testing.assert_array_equal(exact, np.rot90(images, axes=(-2, -1)))
    made = prepare.apply_tilt_axis(images, TiltAxis(offset=2))
    np.testing.assert_allclose(made[..., :-2], images[..., 2:], atol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "constant"])
def test_a_variance_goes_through_the_same_weights_squared(mode):
    rng = np.random.default_rng(1)
    high, wide, tilts = 5, 6, 3
    axis = TiltAxis(1, 12.0, 0.7, shifts=rng.normal(0, 1.5, (tilts, 2)))
    units = np.eye(high * wide, dtype=np.float32).reshape(-1, 1, high, wide)
    units = np.repeat(units, tilts, axis=1)
    weights = prepare.apply_tilt_axis(units, axis, mode=mode).astype(np.float64)
    variance = rng.random((2, tilts, high, wide))
    expected = np.einsum("ptyx,etp->etyx", weights**2, variance.reshape(2, tilts, -1))
    made = prepare.apply_tilt_axis(variance, axis, mode=mode, variance=True)
    assert made.dtype == np.float32 and made.shape == (2, tilts, wide, high)
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_noise_has_the_variance_that_is_said():
    rng = np.random.default_rng(2)
    variance = np.linspace(0.5, 3, 12 * 10).reshape(1, 12, 10)
    axis = TiltAxis(0, 9.0, 0.3, shifts=[[0.4, -1.3]])
    noise = np.sqrt(variance) * rng.standard_normal((4000, 1, 12, 10))
    seen = prepare.apply_tilt_axis(noise, axis).var(axis=0)
    said = prepare.apply_tilt_axis(variance, axis, variance=True)
    np.testing.assert_allclose(seen, said, rtol=0.15)


def test_an_axis_or_images_that_do_not_fit_are_refused():
    images = np.ones((3, 4, 5))
    with pytest.raises(TypeError, match="axis is a int; expected a hebt.prepare.TiltAxis"):
        prepare.apply_tilt_axis(images, 1)
    with pytest.raises(ValueError, match="axis.shifts .2, 2.; expected .* Give shifts of these"):
        prepare.apply_tilt_axis(images, TiltAxis(shifts=np.zeros((2, 2))))
    with pytest.raises(ValueError, match="order is 3 and mode 'nearest'; expected 1"):
        prepare.apply_tilt_axis(images, TiltAxis(), order=3, variance=True)
    with pytest.raises(ValueError, match="along is 2; expected 0, where the tilt axis lies along"):
        TiltAxis(2)
