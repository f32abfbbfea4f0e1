"""Sources of a tilt series beside the usual: Oxford's export, JEOL's parts, arrays, EDS signals."""

import contextlib
import warnings

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from test_io_files import CUBE, image, measured, save, spectra

from hebt import io
from hebt.io import beside, files, reading, tilt_series

TILTS = [-20.0, 0.0, 20.0]
RNG = np.random.default_rng(7)
COUNTS = RNG.poisson(0.4, (3, *CUBE)).astype(np.int32)
IMAGES = RNG.integers(1, 999, (3, *CUBE[:2])).astype(np.uint16)


@pytest.fixture(autouse=True, scope="module")
def one_child():
    """One process for all tests of this module, which would spend their time on starting it."""
    with pytest.MonkeyPatch.context() as patch, files.Reader() as reader:
        for module in (tilt_series, reading, beside):
            patch.setattr(module, "Reader", lambda: contextlib.nullcontext(reader))
        yield


def read(*args, **options):
    return io.read(*args, lines=["Cu_Ka"], progress=False, **options)


def same(series, other):
    for name in ("angles", "haadf", "maps", "variance", "spectra", "energies"):
        np.testing.assert_array_equal(getattr(series, name), getattr(other, name))
    assert series.lines == other.lines and series.pixel_size == pytest.approx(other.pixel_size)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The series of the same counts and images, as HyperSpy's files have it."""
    folder = tmp_path_factory.mktemp("usual")
    for tilt, counts, seen in zip(TILTS, COUNTS, IMAGES):
        shown = image()
        save(folder / f"{tilt:g}.hspy", spectra(data=counts), {**shown, "data": seen})
    return read(folder)


# --- angles that are given ---


def per_tilt(folder, names):
    for name, counts, seen in zip(names, COUNTS, IMAGES):
        save(folder / f"{name}.hspy", spectra(data=counts), {**image(), "data": seen})
    return [folder / f"{name}.hspy" for name in names]


def test_files_in_the_order_of_letters_are_told_from_angles_in_that_of_numbers(tmp_path):
    """As shells put them: *.hspy is 1, 10, 2."""
    first, second, tenth = per_tilt(tmp_path, ["scan 1", "scan 2", "scan 10"])
    with pytest.warns(UserWarning, match=r"scan 10\.hspy is number 2 .* scan 2\.hspy is"):
        read([first, tenth, second], angles=TILTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = read([first, second, tenth], angles=TILTS)
        read([second, first, tenth], angles=TILTS)  # an order of the user's own
    np.testing.assert_array_equal(series.haadf, IMAGES)


def test_angles_are_not_those_of_the_names_in_another_order(tmp_path):
    paths = per_tilt(tmp_path, ["-25", "-50", "40"])
    with pytest.raises(ValueError, match="expected them in the same order"):
        read(paths, angles=[-50, -25, 40])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in ([-25, -50, 40], [25, 50, -40], [-22, -47, 43]):  # also another sign or zero
            assert set(read(paths, angles=given).angles) == set(given)


# --- Oxford's .h5oina, by its published layout ---


def oxford(path, number, detectors=1, name="HAADF", tilt=None):
    """Write what AZtec exports of a map, by version 8 of the specification."""
    rows, columns, channels = CUBE

    def header(group, **more):
        entries = {"X Cells": columns, "Y Cells": rows, "X Step": 0.0025, "Y Step": 0.0025, **more}
        made = group.create_group("Header")
        for key, value in entries.items():
            made[key] = np.array([value], np.int32 if isinstance(value, int) else np.float32)
        if tilt is not None:
            made.create_group("Stage Position")["Tilt"] = np.array([np.deg2rad(tilt)], np.float32)

    with h5py.File(path, "w") as file:
        file["Format Version"], file["Index"] = [b"8.0"], [b"1"]
        flat = COUNTS[number].reshape(rows * columns, channels)
        shares = [flat] if detectors == 1 else [flat // 2, flat - flat // 2]
        for place, counts in enumerate(shares, start=1):
            group = file.create_group("1/EDS" + str(place) * (detectors > 1))
            more = {"Channel Width": 10.0, "Start Channel": -100.0, "Number Channels": channels}
            header(group, **more)
            group.create_dataset("Data/Spectrum", data=counts, compression="lzf")
            group["Data/Window Integral/Cu Ka1"] = np.ones((rows * columns, 1), np.float32)
        group = file.create_group("1/Electron Image")
        header(group)
        group[f"Data/BSE/{name}"] = IMAGES[number].reshape(-1, 1)
    return path


@pytest.mark.parametrize("detectors", [1, 2])
def test_oxford_files_are_read_as_their_layout_says(tmp_path, usual, detectors):
    for number, tilt in enumerate(TILTS):
        oxford(tmp_path / f"{number}.h5oina", number, detectors, tilt=tilt)
    series = read(tmp_path)
    assert series.angles_from == "stage"
    np.testing.assert_allclose(series.angles, TILTS, atol=1e-4)
    np.testing.assert_allclose(series.energies, usual.energies, atol=1e-6)
    np.testing.assert_array_equal(series.haadf, usual.haadf)
    np.testing.assert_array_equal(series.spectra, usual.spectra)
    np.testing.assert_allclose(series.maps, usual.maps, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(series.pixel_size, 2.5, rtol=1e-6)


def test_an_oxford_detectors_counts_are_added_as_they_are(tmp_path, usual):
    """Corrected counts need not be whole, nor do sums fit what holds each."""
    path = oxford(tmp_path / "0.h5oina", 0, detectors=2)
    rng = np.random.default_rng(9)
    for kind, most in ((np.float32, 0.9), (np.uint8, 250), (np.uint16, 65_000)):
        shares = (most * (0.9 + 0.1 * rng.random((2, *CUBE)))).astype(kind)
        with h5py.File(path, "r+") as file:
            for name, counts in zip(("EDS1", "EDS2"), shares, strict=True):
                del file[f"1/{name}/Data/Spectrum"]
                file[f"1/{name}/Data/Spectrum"] = counts.reshape(-1, CUBE[2])
        found = read(path, angles=[0]).spectra[0]
        np.testing.assert_allclose(found, shares.sum(axis=(0, 1, 2), dtype=float), rtol=1e-6)


def test_an_oxford_image_of_another_name_is_taken_on_the_users_word(tmp_path):
    path = oxford(tmp_path / "0.h5oina", 0, name="Electron Image 1")
    with pytest.raises(ValueError, match=r"called HAADF or ADF, but '.*Electron Image 1 \(BSE\)'"):
        read(path, angles=[0])
    series = read(path, angles=[0], image="Electron Image 1 (BSE)")
    np.testing.assert_array_equal(series.haadf[0], IMAGES[0])


def test_an_oxford_file_of_another_size_than_it_says_is_refused(tmp_path):
    path = oxford(tmp_path / "0.h5oina", 0)
    with h5py.File(path, "r+") as file:
        file["1/EDS/Header/X Cells"][0] = 4
    with pytest.raises(ValueError, match=r"0\.h5oina cannot be read: .*42 cells; .*says 24"):
        read(path, angles=[0])


# --- HAADF in files of its own ---


@pytest.fixture
def cubes(tmp_path):
    """Spectra alone, one file per tilt."""
    folder = tmp_path / "eds"
    folder.mkdir()
    return [
        save(folder / f"{t:g}.hspy", spectra(data=c)) for t, c in zip(TILTS, COUNTS, strict=True)
    ]


def test_haadf_lies_beside_the_spectra(tmp_path, cubes, usual):
    with pytest.raises(ValueError, match=r"no image of their scan; HAADF images are missing"):
        read(cubes)
    single = tmp_path / "images"
    single.mkdir()
    for tilt, seen in zip(TILTS, IMAGES):
        save(single / f"{tilt:g}.hspy", {**image("overview"), "data": seen})
    with mrcfile.new(tmp_path / "haadf.mrc") as file:
        file.set_data(IMAGES)
        file.set_image_stack()
        file.voxel_size = 25.0
    (tmp_path / "haadf.rawtlt").write_text("\n".join(map(str, TILTS)))
    for haadf in (single, f"{single}/*.hspy", tmp_path / "haadf.mrc"):
        same(read(cubes, haadf=haadf), usual)
    same(read(str(tmp_path / "eds"), haadf=single), usual)
    both = read(cubes, haadf=single).inputs  # names of both folders are the same
    assert {"eds/0.hspy", "images/0.hspy"} <= set(both)
    assert len(both) == len(set(both.values())) == 2 * len(TILTS)
    found = read(cubes, haadf=tmp_path / "haadf.mrc")
    assert {"0.hspy", "haadf.mrc"} <= set(found.inputs)


def test_haadf_of_other_tilts_and_pixels_keeps_them(tmp_path, cubes):
    every = np.arange(-30.0, 31, 10)
    fine = RNG.random((7, 12, 14)).astype(np.float32)
    with mrcfile.new(tmp_path / "haadf.mrc") as file:
        file.set_data(fine)
        file.set_image_stack()
        file.voxel_size = 12.5
    (tmp_path / "haadf.rawtlt").write_text("\n".join(map(str, every)))
    series = read(cubes, haadf=tmp_path / "haadf.mrc")
    np.testing.assert_array_equal(series.haadf_angles, every)
    assert series.pixel_size == 2.5 and series.haadf_pixel_size == pytest.approx(1.25)
    matched = series.match_pixels().haadf
    np.testing.assert_allclose(matched, fine.reshape(7, 6, 2, 7, 2).mean((2, 4)), rtol=1e-5)


def test_images_that_say_no_tilt_are_paired_only_where_the_order_is_given(tmp_path, cubes, usual):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, seen in zip("abc", IMAGES):
        tifffile.imwrite(folder / f"{name}.tif", seen)
    with pytest.raises(ValueError, match=r"not certain.* as lists, in the same order"):
        read(cubes, haadf=folder)
    listed = [folder / f"{name}.tif" for name in "cab"]
    order = [2, 0, 1]
    same(read([cubes[i] for i in order], haadf=listed), usual)


def staged(folder, tilts, names="abc"):
    """Write images of which each says at which tilt its stage was."""
    folder.mkdir()
    for name, tilt, seen in zip(names, tilts, IMAGES, strict=True):
        save(folder / f"{name}.hspy", {**image(), "data": seen, "tilt": tilt})
    return [folder / f"{name}.hspy" for name in names]


def test_images_that_say_another_tilt_than_their_spectra_are_refused(tmp_path, cubes, usual):
    near = staged(tmp_path / "near", [t + 0.4 for t in TILTS])
    same(read(cubes, haadf=near), usual)
    far = staged(tmp_path / "far", [t + 7 for t in TILTS])
    for listed, own in ((near[::-1], 20.4), (far, -13)):
        said = rf"by its stage \w\.hspy is at {own} degrees, and its spectra are at -20; .*pattern"
        with pytest.raises(ValueError, match=said):
            read(cubes, haadf=listed)
    # as a folder they have tilts of their own; degrees are the user's word on both
    np.testing.assert_allclose(read(cubes, haadf=tmp_path / "far").haadf_angles, [-13, 7, 27])
    same(read(cubes, haadf=far, angles=TILTS), usual)
    same(read(cubes, haadf=far, angles="names"), usual)
    with pytest.raises(ValueError, match=r"-20\.hspy is at -20 degrees, and its spectra .* 20"):
        read(cubes[::-1], haadf=cubes_named(tmp_path / "named"))


def cubes_named(folder):
    """Images called by their tilts, in rising order."""
    return staged(folder, [0.0] * 3, [f"{t:g}" for t in TILTS])


@pytest.mark.slow
def test_jeol_spectra_are_read_with_the_image_beside_them():
    folder = measured("cases/jeol/rawdata.ASW").parent / "Sample" / "00_View000"
    pts, img = folder / "View000_0000006.pts", folder / "View000_0000000.img"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a background window at the end of the spectrum
        series = io.read(pts, haadf=img, lines=["Fe"], angles=[0], progress=False)
    assert series.haadf.sum() == 137518 and series.spectra.sum() == 308261
    np.testing.assert_allclose(series.pixel_size, 8.69140625)


# --- HyperSpy's EDS signals ---


def eds(counts, tilt):
    energies = -0.1 + 0.01 * np.arange(CUBE[2])
    return io.spectra_to_signal(
        counts, pixel_size=2.5, energies=energies, tilt=tilt, voltage=200.0, elements=["Cu"]
    )


def shown(data):
    import hyperspy.api as hs

    signal = hs.signals.Signal2D(data)
    for axis in signal.axes_manager._axes:
        axis.scale, axis.units = 2.5, "nm"
    signal.metadata.General.title = "HAADF"
    return signal


@pytest.mark.parametrize("lazy", [False, True])
def test_eds_signals_are_a_series_too(usual, lazy):
    given = [s for c, t, i in zip(COUNTS, TILTS, IMAGES) for s in (eds(c, t), shown(i))]
    given = [s.as_lazy() if lazy else s for s in given]
    series = read(given)
    assert series.angles_from == "stage" and not series.history
    np.testing.assert_allclose(series.energies, usual.energies, atol=1e-9)
    np.testing.assert_allclose(series.maps, usual.maps, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(series.haadf, usual.haadf)
    np.testing.assert_array_equal(series.spectra, usual.spectra)
    stack = io.to_signal(IMAGES, pixel_size=2.5, angles=TILTS, title="HAADF")
    again = read(given[::2], haadf=stack)
    np.testing.assert_array_equal(again.maps, series.maps)
    np.testing.assert_array_equal(again.haadf, series.haadf)
    with pytest.raises(ValueError, match="0 HAADF images beside spectra, and haadf is None"):
        read(given[::2])


def test_signals_whose_stages_contradict_each_other_are_refused(usual):
    seen = [shown(i) for i in IMAGES]
    for signal, tilt in zip(seen, TILTS):
        signal.metadata.set_item("Acquisition_instrument.TEM.Stage.tilt_alpha", tilt)
    cubes = [eds(c, t) for c, t in zip(COUNTS, TILTS)]
    np.testing.assert_array_equal(read([*cubes, *seen]).haadf, usual.haadf)
    with pytest.raises(ValueError, match=r"stage at -20 degrees and, .* one at 20;"):
        read([*cubes, *seen[::-1]])


def test_one_eds_signal_may_have_all_tilts(usual):
    import hyperspy.api as hs

    signal = hs.signals.Signal1D(COUNTS)
    signal.set_signal_type("EDS_TEM")
    tilt, *pixels, channels = signal.axes_manager._axes
    tilt.scale, tilt.offset, tilt.units = 20.0, -20.0, "degrees"
    for axis in pixels:
        axis.scale, axis.units = 2.5, "nm"
    channels.scale, channels.offset, channels.units = 0.01, -0.1, "keV"
    stack = io.to_signal(IMAGES, pixel_size=2.5, angles=TILTS, title="HAADF")
    same(read(signal.as_lazy(), haadf=stack), usual)


# --- arrays ---


def test_arrays_say_by_their_names_what_they_show(tmp_path):
    maps = RNG.poisson(5, (2, 3, 6, 7))
    path = tmp_path / "case.npz"
    order = [2, 0, 1]
    np.savez(path, haadf=IMAGES[order], angles=np.array(TILTS)[order], Au=maps[0][order], b=3)
    series = io.read(path, pixel_size=2.0)
    np.testing.assert_array_equal(series.angles, TILTS)
    np.testing.assert_array_equal(series.haadf, IMAGES)
    np.testing.assert_array_equal(series.pick("Au").maps[0], maps[0])
    assert series.angles_from == "file" and series.pixel_size == 2.0
    assert set(series.inputs) == {"case.npz"}
    np.savez(path, HAADF=IMAGES, counts=maps, names=["Au", "Ag"])
    with pytest.raises(ValueError, match=r"case\.npz holds no tilt angles"):
        io.read(path)
    series = io.read(path, angles=TILTS)
    np.testing.assert_array_equal(series.maps, maps)
    assert series.elements == ("Au", "Ag")
    np.savez(path, HAADF=IMAGES, counts=maps, names=["Au"])
    with pytest.raises(ValueError, match=r"names of \['Au'\]; expected one for each"):
        io.read(path, angles=TILTS)
    np.savez(path, a=IMAGES, counts=maps, names=["Au", "Ag"])
    with pytest.raises(ValueError, match="0 arrays of images called HAADF"):
        io.read(path, angles=TILTS)
    np.testing.assert_array_equal(io.read(path, angles=TILTS, image="a").haadf, IMAGES)


def test_arguments_of_from_arrays_are_taken_from_a_file_by_their_names(tmp_path):
    maps, path = RNG.poisson(5, (2, 3, 6, 7)), tmp_path / "case.npz"
    given = {"haadf_angles": np.array(TILTS) + 7, "pixel_size": 2.5, "variance": maps + 3.0}
    np.savez(path, haadf=IMAGES, angles=TILTS, maps=maps, elements=["Au", "Ag"], **given)
    series = io.read(path)
    np.testing.assert_array_equal(series.haadf_angles, given["haadf_angles"])
    np.testing.assert_allclose(series.variance, given["variance"])
    assert series.pixel_size == 2.5 and io.read(path, pixel_size=2).pixel_size == 2
    given = {"angles": TILTS, "variance": maps + 3.0}
    np.savez(path, haadf=IMAGES, Au=maps[0], Ag=maps[1], **given)
    with pytest.raises(ValueError, match="variance of maps that are in one array"):
        io.read(path)


def test_arrays_of_two_names_for_one_thing_have_to_agree(tmp_path):
    maps, path = RNG.poisson(5, (2, 3, 6, 7)), tmp_path / "case.npz"
    given = {"haadf": IMAGES, "maps": maps, "angles": TILTS, "elements": ["Au", "Ag"]}
    np.savez(path, **given, tilts=TILTS, lines=["Au_La", "Ag_La"])
    assert io.read(path).elements == ("Au", "Ag")
    np.savez(path, **given, tilts=np.array(TILTS)[::-1])
    said = r"'angles' \(-20, 0, 20\) and 'tilts' \(20, 0, -20\), which are not the same"
    with pytest.raises(ValueError, match=said):
        io.read(path)
    np.testing.assert_array_equal(io.read(path, angles=TILTS).angles, TILTS)
    for other in (["Ag", "Au"], ["Au"]):
        np.savez(path, **given, names=other)
        with pytest.raises(ValueError, match=r"'names' \(A.*\) and 'elements' \(Au, Ag\)"):
            io.read(path)


def test_a_pixel_size_beside_spectra_is_refused(tmp_path):
    stack = io.to_signal(IMAGES, pixel_size=2.5, angles=TILTS, title="HAADF")
    with pytest.raises(ValueError, match="pixel_size is 9, but files holds spectra"):
        read([eds(c, t) for c, t in zip(COUNTS, TILTS)], haadf=stack, pixel_size=9)


def test_arrays_with_pickles_are_not_opened(tmp_path):
    path = tmp_path / "case.npz"
    np.savez(path, haadf=np.array([{}], object))
    with pytest.raises(ValueError, match=r"case\.npz cannot be read: .*pickle"):
        io.read(path)


def test_published_arrays_are_read_by_one_call():
    needle = io.read(measured("cases/needle_raw_bin2.npz"))
    assert needle.haadf.shape == (39, 128, 128) and needle.haadf.min() == -31904
    np.testing.assert_allclose(needle.angles, np.arange(-76, 77, 4))
    frames = measured("cases/SAIT_024_2_6.npz")
    series = io.read(frames, angles=np.arange(15.0))
    with np.load(frames) as file:
        np.testing.assert_array_equal(series.maps, file["counts"])
        assert series.elements == tuple(file["names"])
    oxides = io.read(measured("cases/msaem_Co3O4_Mn3O4.npz"), angles=[0])
    assert oxides.elements == ("Co", "Mn", "O") and oxides.maps.shape == (3, 1, 400, 400)


def test_a_tilt_without_counts_in_any_window_has_parts_too(tmp_path):
    for tilt in (-20, 0):
        counts = COUNTS[0].copy()
        if tilt:
            counts[..., 300:] = 0
        save(tmp_path / f"{tilt}.hspy", spectra(data=counts.astype(np.uint8)), image())
    series = read(tmp_path, parts=2)
    assert not series.parts[:, :, 0].any() and series.parts[:, :, 1].any()
    np.testing.assert_allclose(series.parts.sum(axis=0), series.maps, rtol=1e-4, atol=1e-3)
