"""What signals of other programs and cropped, flipped or reordered ones say of themselves."""

import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from hebt import io
from hebt._units import in_kev

hs = pytest.importorskip("hyperspy.api")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:hyperspy")

ANGLES = {
    "even": [-40.0, -20.0, 0.0, 20.0],
    "falling": [30.0, 20.0, 10.0, 0.0],
    "uneven": [-60.0, -20.0, 0.0, 45.0],
    "mixed": [0.0, 30.0, -30.0, 60.0],
    "counting": [0.0, 1.0, 2.0, 3.0],
}
NAMES = ("Au", "Ag", "O")
CROPS = [slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1), slice(1, 3)]


def series(angles, pixels=(5, 6), elements=NAMES):
    shape = (len(elements), len(angles), *pixels)
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    return io.to_signal(data, pixel_size=2.0, angles=angles, elements=elements)


def stack(count=4, **third):
    """Return a signal of another program: square pixels of 2 nm, and a third axis."""
    data = np.random.default_rng(0).random((count, 5, 6)).astype(np.float32)
    pixels = [{"name": n, "size": k, "scale": 2.0, "units": "nm"} for n, k in (("y", 5), ("x", 6))]
    return hs.signals.Signal2D(data, axes=[{"name": "z", "size": count, **third}, *pixels])


def measured(name):
    path = Path(os.environ.get("HEBT_DATA", "")) / name
    if not path.is_file():
        pytest.skip(f"{name} is not on this machine")
    return path


# --- metadata follow their axis ---


@pytest.mark.promise
def test_tilts_and_names_follow_what_hyperspy_leaves_out_and_flips(promise):
    tried = 0
    for angles in ANGLES.values():
        signal = series(angles)
        for crop, kept in itertools.product(CROPS, CROPS):
            found = io.from_signal(signal.inav[crop, kept])
            np.testing.assert_allclose(found.angles, np.array(angles)[crop], atol=1e-9)
            assert found.elements == NAMES[kept]
            np.testing.assert_array_equal(found.data, signal.data[kept, crop])
            one = io.from_signal(signal.inav[crop, 1])
            np.testing.assert_allclose(one.angles, np.array(angles)[crop], atol=1e-9)
            assert one.elements is None
            tried += 2
    promise("signals_cropped_or_flipped", signals=tried)


def test_a_cropped_series_in_random_order_keeps_its_tilts_when_it_is_saved(tmp_path):
    series(ANGLES["mixed"]).inav[1:, :2].save(tmp_path / "cropped.hspy")
    found = io.from_signal(hs.load(tmp_path / "cropped.hspy"))
    np.testing.assert_array_equal(found.angles, [30, -30, 60])
    assert found.elements == NAMES[:2] and "HEBT" in found.angles_from


@pytest.mark.parametrize("angles", ANGLES.values(), ids=ANGLES)
def test_images_that_were_put_in_another_order_by_hand_keep_their_names_and_tilts(angles):
    changed = series(angles)
    changed.data = changed.data[[2, 0, 1]][:, [3, 1, 0, 2]]
    found = io.from_signal(changed)
    assert found.elements == ("O", "Au", "Ag")
    np.testing.assert_allclose(found.angles, np.array(angles)[[3, 1, 0, 2]])
    stacked = hs.stack([changed.inav[:, 1], changed.inav[:, 0]], show_progressbar=False)
    assert io.from_signal(stacked).elements == ("Au", "O")


@pytest.mark.parametrize("turn", [2, 0.2])
def test_an_axis_that_was_calibrated_anew_is_not_overruled(turn):
    signal = series(ANGLES["even"])
    signal.axes_manager["tilt"].offset += turn
    for changed in (signal, signal * 2.0):
        with pytest.raises(ValueError, match=f"from {turn - 40:g} to .*from -40 to 20"):
            io.from_signal(changed)
    assert io.from_signal(signal, angles=[-38, -18, 2, 22]).angles[0] == -38


def test_processed_images_keep_the_names_of_their_axis():
    smoothed = series(ANGLES["even"])
    smoothed.data = smoothed.data * 2 + 1
    found = io.from_signal(smoothed.inav[1:, ::-1].isig[1:4, :3])
    assert found.elements == ("O", "Ag", "Au") and found.data.shape == (3, 3, 3, 3)
    np.testing.assert_array_equal(found.angles, [-20, 0, 20])


def test_what_is_not_known_has_no_name_and_no_tilt():
    changed = series(ANGLES["even"])
    changed.data = changed.data[[2, 0, 1]].copy()
    changed.data[1] *= 2  # which was the first
    assert io.from_signal(changed).elements == ("O", "element 1", "Ag")
    moved = series(ANGLES["even"])
    moved.data = moved.data[:, [3, 1, 0, 2]].copy()
    moved.data[:, 0] *= 2
    with pytest.raises(ValueError, match=r"no tilts.*metadata\.HEBT\.angles from -40 to 20"):
        io.from_signal(moved)
    replaced = hs.stack([series(ANGLES["even"]).inav[:, i] * 2.0 for i in (1, 0)])
    assert io.from_signal(replaced).elements == ("element 0", "element 1")


def test_names_of_a_volume_follow_too():
    x = np.random.default_rng(0).random((3, 4, 6, 6)).astype(np.float32)
    signal = io.to_signal(x, pixel_size=2, elements=NAMES)
    assert io.from_signal(signal.inav[1:3, ::-1]).elements == ("O", "Ag", "Au")
    signal.data = signal.data[::-1]
    assert io.from_signal(signal).elements == ("O", "Ag", "Au")


@pytest.mark.parametrize("names", ["CON", {"Au", "Ag", "O"}, {"Au": 1, "Ag": 2, "O": 3}])
def test_what_has_no_order_names_no_element(names):
    with pytest.raises(TypeError, match="elements is"):
        io.to_signal(np.ones((3, 4, 5, 6)), pixel_size=1, angles=[0, 1, 2, 3], elements=names)
    with pytest.raises(TypeError, match="elements is"):
        io.spectra_to_signal(
            np.ones((4, 5, 3)),
            pixel_size=1,
            energies=[1, 1.01, 1.02],
            tilt=0,
            voltage=200,
            elements=names,
        )


# --- sources of tilts ---


def test_gatans_series_has_the_tilts_and_pixels_of_its_axes():
    found = io.from_signal(hs.load(measured("cases/etspy_HAADF_91tilts.dm3")))
    np.testing.assert_allclose(found.angles, np.arange(-90, 91, 2))
    assert found.data.shape == (91, 64, 64) and abs(found.pixel_size - 17.995) < 1e-3
    assert found.angles_from == "axis 'z' in deg"


def test_a_tilt_series_in_mrc_takes_what_its_header_does_not_say():
    signal = hs.load(measured("alsiyb-phantom/Al_EDXsino.mrc"))
    tilts = np.loadtxt(measured("alsiyb-phantom/Al_EDXsino.rawtlt"))
    with pytest.raises(ValueError, match=r"pixels of 0.0 nm by 0.0 nm.*pixel_size in nm"):
        io.from_signal(signal)
    with pytest.raises(ValueError, match=r"axis 'z' in <undefined> from 0 to 35.*Give angles"):
        io.from_signal(signal, pixel_size=1.5)
    found = io.from_signal(signal, pixel_size=1.5, angles=tilts)
    np.testing.assert_array_equal(found.angles, np.arange(0, -180, -5))
    assert found.pixel_size == 1.5 and found.data.shape == (36, 60, 433)
    assert found.data.max() == 44 and found.angles_from == "angles"
    with pytest.raises(ValueError, match="36 entries, but signal has 35 tilts"):
        io.from_signal(signal.inav[1:], pixel_size=1.5, angles=tilts)


def mrc(path, tilts, pixel=3.36e-9):
    """Write an MRC file with FEI's extended header: 1024 records of 32 floats, tilts first."""
    header = bytearray(1024)
    struct.pack_into("<4I", header, 0, 6, 5, len(tilts), 2)
    struct.pack_into("<3I", header, 28, 6, 5, len(tilts))
    struct.pack_into("<I", header, 92, 1024 * 128)
    records = np.zeros((1024, 32), "<f4")
    records[: len(tilts), 0], records[: len(tilts), 11] = tilts, pixel
    images = np.arange(30 * len(tilts), dtype="<f4")
    path.write_bytes(bytes(header) + records.tobytes() + images.tobytes())
    return hs.load(path)


def test_tilts_of_an_fei_header_are_found_and_follow(tmp_path):
    tilts = [-61.5, -40, -20.25, 0.5, 22, 60]
    signal = mrc(tmp_path / "fei.mrc", tilts)
    found = io.from_signal(signal)
    np.testing.assert_allclose(found.angles, tilts)
    assert abs(found.pixel_size - 3.36) < 1e-6 and "fei_header" in found.angles_from
    for crop in CROPS:
        np.testing.assert_allclose(io.from_signal(signal.inav[crop]).angles, np.array(tilts)[crop])
    two = hs.stack([signal.inav[2], signal.inav[4]], show_progressbar=False)
    with pytest.raises(ValueError, match="'stack_element'"):
        io.from_signal(two)
    with pytest.raises(ValueError, match="no tilts that are known"):
        io.from_signal(mrc(tmp_path / "empty.mrc", [0.0] * 6))


def test_tilts_that_etspy_wrote_are_found_and_never_guessed():
    """etspy names the axis "degrees", where it knows no tilts also the axis of their numbers."""
    needle = np.load(measured("cases/needle_raw_bin2.npz"))
    signal = hs.signals.Signal2D(needle["haadf"].astype(np.float32))
    tilt, *pixels = signal.axes_manager._axes
    tilt.name, tilt.units = "Projections", "degrees"
    for axis in pixels:
        axis.scale, axis.units = 6.72, "nm"
    with pytest.raises(ValueError, match=r"'Projections' in degrees from 0 to 38.*no tilts, and"):
        io.from_signal(signal)
    written = hs.signals.Signal1D(needle["angles"][:, None])
    for tilts in (needle["angles"], written):
        signal.metadata.set_item("Tomography.tilts", tilts)
        found = io.from_signal(signal)
        np.testing.assert_allclose(found.angles, np.arange(-76, 77, 4))
        assert found.angles_from == "metadata.Tomography.tilts"
    with pytest.raises(ValueError, match=r"size 30; metadata.Tomography.tilts from -76 to 76"):
        io.from_signal(signal.inav[5:35])
    tilt.scale, tilt.offset = 4, -76
    np.testing.assert_allclose(
        io.from_signal(signal.inav[5:35]).angles, needle["angles"][5:35], atol=1e-9
    )
    signal.metadata.set_item("Tomography.tilts", np.zeros(39))  # it knew none
    assert io.from_signal(signal).angles_from == "axis 'Projections' in degrees"


def test_lists_that_agree_with_the_axis_do_not_stand_in_its_way(tmp_path):
    tilts = np.arange(-30.0, 31, 10)
    signal = mrc(tmp_path / "fei.mrc", tilts)
    axis = signal.axes_manager._axes[0]
    axis.scale, axis.offset, axis.units = 10, -30, "degrees"
    signal.metadata.set_item("Tomography.tilts", tilts + 0.005)
    np.testing.assert_allclose(io.from_signal(signal).angles, tilts, atol=0.02)
    np.testing.assert_allclose(io.from_signal(signal.inav[2:5]).angles, [-10, 0, 10])


def test_an_axis_of_mean_steps_does_not_hide_uneven_tilts():
    tilts = np.array([-60.0, -50, -35, 0, 20, 60])
    signal = stack(6, scale=24.0, offset=-60.0, units="degrees")
    signal.metadata.set_item("Tomography.tilts", tilts)
    np.testing.assert_array_equal(io.from_signal(signal).angles, tilts)
    with pytest.raises(ValueError, match="no tilts that are known"):
        io.from_signal(signal.inav[1:4])


def test_sources_that_differ_are_refused():
    signal = stack(4, scale=10.0, offset=-15.0, units="degrees")
    signal.metadata.set_item("Tomography.tilts", [-20.0, -10.0, 0.0, 10.0])
    with pytest.raises(ValueError, match=r"from -15 to 15.*Tomography\.tilts from -20 to 10"):
        io.from_signal(signal)
    found = io.from_signal(signal, angles=[-14, -4, 6, 16])
    np.testing.assert_array_equal(found.angles, [-14, -4, 6, 16])


def test_images_that_hyperspy_stacked_have_the_tilts_of_their_stages(tmp_path):
    tilts, paths = np.round(np.linspace(-60, 50, 12), 2), []
    for i, tilt in enumerate(tilts):
        image = stack(2).inav[0]
        image.metadata.set_item("Acquisition_instrument.TEM.Stage.tilt_alpha", float(tilt))
        paths.append(tmp_path / f"{i:02}.hspy")
        image.save(paths[-1])
    stacked = hs.load(paths, stack=True, show_progressbar=False)
    stacked.save(tmp_path / "stacked.hspy")
    for signal in (stacked, hs.load(tmp_path / "stacked.hspy")):
        np.testing.assert_allclose(io.from_signal(signal).angles, tilts)
        np.testing.assert_allclose(io.from_signal(signal.inav[3:]).angles, tilts[3:])


def test_radians_become_degrees():
    signal = stack(5, scale=np.pi / 12, offset=-np.pi / 6, units="rad")
    np.testing.assert_allclose(io.from_signal(signal).angles, [-30, -15, 0, 15, 30])
    named = stack(5, name="tilt", scale=np.pi / 12, offset=-np.pi / 6)
    with pytest.raises(ValueError, match=r"axis 'tilt' in <undefined> from -0\.52"):
        io.from_signal(named)


@pytest.mark.parametrize("axis", [{}, {"name": "tilt"}, {"units": "degrees"}, {"units": "s"}])
@pytest.mark.parametrize(("first", "last", "step"), [(0, 3, 1), (1, 4, 1), (12, 9, -1), (7, 10, 1)])
def test_numbers_of_images_are_no_tilts(axis, first, last, step):
    signal = stack(offset=first, scale=step, **axis)
    with pytest.raises(ValueError, match=rf"from {first} to {last}, size 4.*Give angles in degr"):
        io.from_signal(signal)


def test_fine_steps_through_zero_are_tilts():
    found = io.from_signal(stack(5, offset=-2.0, scale=1.0, units="degrees"))
    np.testing.assert_array_equal(found.angles, [-2, -1, 0, 1, 2])


def test_an_axis_of_elements_is_no_axis_of_tilts():
    signal = series([0, 30, -30])
    with pytest.raises(ValueError, match="axis 'element' in"):
        io.from_signal(signal.inav[0])
    for factor in (1.0, 2.0):
        images = [signal.inav[0, i] * factor for i in range(3)]
        with pytest.raises(ValueError, match="axis 'stack_element' in"):
            io.from_signal(hs.stack(images, show_progressbar=False))


# --- signals that HyperSpy put together ---

EVEN, UNEVEN = np.arange(-60.0, 61, 20), np.array([-60.0, -41, -20, 0, 20, 43, 60])
LEFT_OUT = [[0, 1, 2, 4, 5, 6], [0, 3, 4, 5, 6], [0, 1, 5, 6, 2, 3, 4], [4, 5, 0, 1, 2, 3], [3, 5]]
NOT_KNOWN = "no tilts that are known for sure.*Give angles in degrees"


def join(signal, kept, axis):
    """Join images of the last navigation axis but one (elements), or of the last one (tilts)."""
    runs = np.split(kept, np.nonzero(np.diff(kept) != 1)[0] + 1)
    cut = [slice(int(run[0]), int(run[-1]) + 1) for run in runs]
    parts = [signal.inav[:, c] if axis == "element" else signal.inav[c] for c in cut]
    return hs.stack(parts, axis=axis, show_progressbar=False)


def tilts_or_none(signal):
    try:
        return io.from_signal(signal).angles
    except ValueError as error:
        if "Give angles in degrees" not in str(error):
            raise
        return None


def fei(tilts, **third):
    signal = stack(len(tilts), **third)
    header = {"fei_header": {"a_tilt": np.r_[tilts, np.zeros(9)]}, "std_header": {"NZ": len(tilts)}}
    signal.original_metadata.add_dictionary(header)
    return signal


def etspy(tilts):
    signal = stack(len(tilts), units="degrees")
    signal.metadata.set_item("Tomography.tilts", tilts)
    return signal


JOINED = {
    "fei": lambda: (fei(UNEVEN), UNEVEN, "z"),
    "etspy": lambda: (etspy(UNEVEN), UNEVEN, "z"),
    "own axis": lambda: (stack(7, scale=20.0, offset=-60.0, units="deg"), EVEN, "z"),
    "kept by number": lambda: (series(UNEVEN[[3, 1, 0, 2, 4, 6, 5]]), None, "tilt"),
    **{
        f"{name}, {step}": lambda a=a, f=f: (series(a) * f if f else series(a), a, "tilt")
        for name, a in (("even", EVEN), ("uneven", UNEVEN), ("falling", UNEVEN[::-1]))
        for step, f in (("raw", None), ("processed", 2.0))
    },
}


def test_joined_images_have_their_own_tilts_or_none():
    """HyperSpy's stack lengthens an even axis as if no image were left out."""
    right = refused = 0
    for turn, (make, kept) in enumerate(itertools.product(JOINED.values(), LEFT_OUT)):
        signal, tilts, axis = make()
        tilts = UNEVEN[[3, 1, 0, 2, 4, 6, 5]] if tilts is None else tilts
        try:
            joined = join(signal, kept, axis if turn % 2 else 0)
        except ValueError:  # uneven axes that would not rise
            continue
        for images, which in (
            (joined, kept),
            (joined.inav[1:], kept[1:]),
            (joined.inav[::-1] * 2.0, kept[::-1]),
        ):
            assert len(io.from_signal(images, angles=tilts[which]).angles) == len(which)
            found = tilts_or_none(images)
            if found is not None:
                np.testing.assert_allclose(found, tilts[which], atol=1e-6)
            right, refused = right + (found is not None), refused + (found is None)
    assert right > 15 and refused > 15


@pytest.mark.parametrize("axis", ["z", 0])
def test_joined_images_are_known_as_such_when_they_are_saved_or_joined_again(axis, tmp_path):
    joined = join(stack(7, scale=20.0, offset=-60.0, units="deg"), LEFT_OUT[0], axis)
    joined.save(tmp_path / "joined.hspy")
    again = hs.stack([joined, joined * 2.0], show_progressbar=False)
    for signal in (hs.load(tmp_path / "joined.hspy"), again, again.inav[:, 1]):
        with pytest.raises(ValueError, match=NOT_KNOWN):
            io.from_signal(signal)


def test_what_is_known_of_joined_images_is_found():
    kept = LEFT_OUT[0]
    for signal, tilts in ((series(EVEN), EVEN), (series(UNEVEN) * 2.0, UNEVEN)):
        np.testing.assert_allclose(io.from_signal(join(signal, kept, "tilt")).angles, tilts[kept])
    by_element = hs.stack([stack(7, scale=20.0, offset=-60.0, units="deg")] * 2)
    np.testing.assert_allclose(io.from_signal(by_element).angles, EVEN)
    by_name = join(series(EVEN) * 2.0, [2, 0], "element")
    np.testing.assert_allclose(io.from_signal(by_name).angles, EVEN)


def test_gatans_series_without_an_image_is_not_numbered_on():
    signal = hs.load(measured("cases/etspy_HAADF_91tilts.dm3"))
    joined = hs.stack([signal.inav[:45], signal.inav[46:]], axis="z", show_progressbar=False)
    with pytest.raises(ValueError, match=NOT_KNOWN):
        io.from_signal(joined)
    tilts = np.delete(np.arange(-90.0, 91, 2), 45)
    np.testing.assert_array_equal(io.from_signal(joined, angles=tilts).angles, tilts)


def test_images_of_a_new_axis_are_not_numbered_as_the_list_of_their_series():
    for signal in (fei(UNEVEN), etspy(UNEVEN)):
        signal.metadata.set_item("Acquisition_instrument.TEM.Stage.tilt_alpha", -60.0)
        images = [signal.inav[i] for i in (2, 4, 5)]
        with pytest.raises(ValueError, match=NOT_KNOWN):
            io.from_signal(hs.stack(images, new_axis_name="Tilt", show_progressbar=False))


def test_stages_of_stacks_are_no_stages_of_their_images():
    stacks = []
    for tilt in (-60.0, 30.0):
        images = [stack(2).inav[0] for _ in range(3)]
        for i, image in enumerate(images):
            image.metadata.set_item("Acquisition_instrument.TEM.Stage.tilt_alpha", tilt + 5 * i)
        stacks.append(hs.stack(images, show_progressbar=False))
    np.testing.assert_allclose(io.from_signal(stacks[0]).angles, [-60, -55, -50])
    joined = hs.stack(stacks, axis="stack_element", show_progressbar=False)
    both = hs.stack([s.inav[:2] for s in stacks], show_progressbar=False)
    for signal in (joined.inav[:2], both):
        with pytest.raises(ValueError, match=NOT_KNOWN):
            io.from_signal(signal)


def test_ends_of_uneven_tilts_do_not_stand_for_those_between():
    other = np.array([-60.0, -45, -25, 5, 22, 40, 60])
    parts = [series(UNEVEN).inav[:4] * 2.0, series(other).inav[4:] * 2.0]
    joined = hs.stack(parts, axis="tilt", show_progressbar=False)
    with pytest.raises(ValueError, match=NOT_KNOWN):
        io.from_signal(joined)


@pytest.mark.parametrize("factor", [None, 2.0])
@pytest.mark.parametrize("order", [(1, 0), (0, 2, 1)])
def test_joined_elements_have_their_own_names_or_none(order, factor):
    signal = series(EVEN) if factor is None else series(EVEN) * factor
    cuts = [signal.inav[:, i : i + 1] for i in order]
    images = [signal.inav[:, i] for i in order]
    by_name = hs.stack(cuts, axis="element", show_progressbar=False)
    again = hs.stack([by_name.inav[:3], by_name.inav[3:]], axis="tilt", show_progressbar=False)
    by_number = hs.stack(cuts, axis=1, show_progressbar=False)
    anew = hs.stack(images, new_axis_name="element", show_progressbar=False)
    for joined, cut in itertools.product(
        (by_name, again, by_number, anew), (slice(None), slice(None, None, -1))
    ):
        names = io.from_signal(joined.inav[:, cut], angles=EVEN).elements
        for at, (name, i) in enumerate(zip(names, order[cut], strict=True)):
            assert name in (NAMES[i], f"element {at}")
        if factor is None and joined is not anew:
            assert names == tuple(NAMES[i] for i in order[cut])


@pytest.mark.parametrize("tilts", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_images_that_were_deleted_by_hand_leave_no_wrong_tilt(tilts):
    signal = series(tilts)
    signal.data = np.delete(signal.data, 3, axis=1)
    signal.get_dimensions_from_data()
    kept = np.delete(tilts, 3)
    np.testing.assert_allclose(io.from_signal(signal, angles=kept).angles, kept)
    if tilts is EVEN:
        np.testing.assert_allclose(io.from_signal(signal).angles, kept)
    else:
        for changed in (signal, signal * 2.0):
            with pytest.raises(ValueError, match=r"'tilt' has 7 values.*6 images.*angles"):
                io.from_signal(changed)


# --- units ---

UNITS = {
    "nm": 1,
    "µm": 1e3,  # micro sign
    "μm": 1e3,  # Greek mu
    "um": 1e3,
    "micron": 1e3,
    "microns": 1e3,
    "Å": 0.1,
    "\u212b": 0.1,  # Angstrom sign
    "Angstrom": 0.1,
    "angstroms": 0.1,
    "pm": 1e-3,
    "mm": 1e6,
    "m": 1e9,
    "meters": 1e9,
    "metres": 1e9,
    "nanometers": 1,
    "Nanometer": 1,
    "micrometre": 1e3,
    " nm ": 1,
}


def with_pixels(y, x):
    signal = stack(scale=10.0, offset=-15.0, units="deg")
    for axis, (scale, units) in zip(signal.axes_manager._axes[1:], (y, x), strict=True):
        axis.scale, axis.units = scale, units
    return signal


@pytest.mark.promise
def test_lengths_are_read_in_every_spelling(promise):
    for units, length in UNITS.items():
        found = io.from_signal(with_pixels((0.5, units), (0.5 * length, "nm")))
        np.testing.assert_allclose(found.pixel_size, 0.5 * length)
    promise("units_of_length", spellings=len(UNITS))


@pytest.mark.parametrize("units", ["", "px", "pixel", "A", "1/nm", "s", "M", "degrees"])
def test_what_is_no_length_is_refused(units):
    with pytest.raises(ValueError, match=r"measured in '.*'; expected a length: nm"):
        io.from_signal(with_pixels((0.5, units), (0.5, units)))
    assert io.from_signal(with_pixels((0, units), (1, units)), pixel_size=2).pixel_size == 2


@pytest.mark.parametrize(
    ("y", "x"),
    [
        ((2, "nm"), (2, "µm")),
        ((2e-9, "m"), (4e-9, "m")),
        ((5.1, "nm"), (0.0052, "µm")),
        ((0, "nm"), (0, "nm")),
        ((-2, "nm"), (-2, "nm")),
        ((np.nan, "nm"), (np.nan, "nm")),
    ],
)
def test_pixels_that_are_not_square_or_have_no_size_are_refused(y, x):
    with pytest.raises(ValueError, match="signal has pixels of .* by .*; expected"):
        io.from_signal(with_pixels(y, x))


def test_flipped_pixels_are_said_to_be_flipped():
    signal = with_pixels((2, "nm"), (2, "nm"))
    flipped = signal.isig[::-1]
    with pytest.raises(ValueError, match=r"2.0 nm by -2.0 nm.*is flipped: signal\.isig\[::-1\]"):
        io.from_signal(flipped)
    np.testing.assert_array_equal(io.from_signal(flipped.isig[::-1]).data, signal.data)
    np.testing.assert_array_equal(io.from_signal(flipped, pixel_size=2).data, flipped.data)


def test_one_length_in_two_units_is_one_length():
    found = io.from_signal(with_pixels((5.1, "nm"), (0.0051, "µm")))
    np.testing.assert_allclose(found.pixel_size, 5.1)


@pytest.mark.parametrize("units", ["keV", "kev", "KeV", "KEV", "kiloelectronvolts"])
def test_energies_are_read_in_every_spelling(units):
    assert in_kev(units) == 1 and in_kev("eV") == in_kev("ev") == 1e-3
    for wrong in (None, "", "V", "MeV", "nm"):
        with pytest.raises(ValueError, match=f"measured in '{wrong or ''}.*expected keV or eV"):
            in_kev(wrong)


# --- volumes, and what is none ---


def test_a_volume_has_cubic_voxels():
    found = io.from_signal(stack(scale=0.002, units="µm"))
    assert found.angles is None and found.angles_from is None and found.pixel_size == 2
    with pytest.raises(ValueError, match="5.0 nm by 2.0 nm by 2.0 nm.*cubic voxels"):
        io.from_signal(stack(scale=5.0, units="nm"))


def test_masked_signals_and_arrays_are_no_series():
    masked = stack(scale=0.002, units="µm")
    masked.data = np.ma.masked_less(masked.data, 0.5)
    with pytest.raises(ValueError, match="signal is a masked array"):
        io.from_signal(masked)
    with pytest.raises(TypeError, match="signal is of type ndarray; expected a HyperSpy signal"):
        io.from_signal(np.ones((3, 4, 4)))


def test_axes_in_another_order_are_refused():
    signal = series(ANGLES["even"])
    volume = io.to_signal(np.ones((4, 6, 6)), pixel_size=2)
    for wrong in (
        signal.transpose(signal_axes=["slice", "across"]),
        signal.transpose(navigation_axes=["element", "tilt"]),
        volume.swap_axes("slice", "across"),
    ):
        names = [str(a.name) for a in wrong.axes_manager._axes]
        with pytest.raises(ValueError, match=f"axes are {', '.join(names)}; expected the order"):
            io.from_signal(wrong)


def test_signals_that_are_not_in_memory_are_read(tmp_path):
    signal = series(ANGLES["mixed"])
    signal.save(tmp_path / "series.hspy")
    found = io.from_signal(hs.load(tmp_path / "series.hspy", lazy=True).inav[1:, ::-1])
    np.testing.assert_array_equal(found.data, signal.data[::-1, 1:])
    np.testing.assert_array_equal(found.angles, ANGLES["mixed"][1:])
    assert found.elements == NAMES[::-1]


def test_an_image_is_no_series():
    image = hs.load(measured("cases/test_STEM_image.dm3"))
    with pytest.raises(ValueError, match=r"signal has 2 axes \(shape \(68, 68\)\); expected three"):
        io.from_signal(image)
