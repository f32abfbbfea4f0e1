"""Whatever holds a tilt series is read into one object, or it is said what is missing."""

import contextlib
import hashlib
import os
import re
import warnings
import zipfile
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from test_io_files import image, save, spectra

from hebt import io
from hebt.io import files, reading, tilt_series

TILTS = np.array([-40.0, -15.0, 5.0, 30.0])
RNG = np.random.default_rng(5)
HAADF = RNG.integers(100, 999, (4, 6, 8)).astype(np.float32)
MAPS = RNG.poisson(5, (2, 4, 6, 8)).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def one_child():
    """One process for all tests of this module, which would spend their time on starting it."""
    with pytest.MonkeyPatch.context() as patch, files.Reader() as reader:
        for module in (tilt_series, reading):
            patch.setattr(module, "Reader", lambda: contextlib.nullcontext(reader))
        yield


def mrc(path, data, side=None):
    """Write a stack with the library of the format."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.asarray(data, np.float32))
        file.set_image_stack()
        if side is not None:
            file.voxel_size = (10 * side, 10 * side, 1)
    return path


def column(path, values=TILTS):
    path.write_text("\n".join(f"{v:g}" for v in values))
    return path


@pytest.fixture
def folder(tmp_path):
    """Stacks of HAADF, gold and silver, with their angles."""
    for name, data in (("HAADF", HAADF), ("Au_counts", MAPS[0]), ("x-Ag", MAPS[1])):
        mrc(tmp_path / f"{name}.mrc", data)
        column(tmp_path / f"{name}.rawtlt")
    return tmp_path


# --- stacks ---


def test_names_say_what_the_stacks_of_a_folder_show(folder):
    series = io.read(folder)
    np.testing.assert_array_equal(series.haadf, HAADF)
    np.testing.assert_array_equal(series.angles, TILTS)
    assert series.angles_from == "HAADF.rawtlt" and series.pixel_size is None
    for element, data in (("Au", MAPS[0]), ("Ag", MAPS[1])):
        np.testing.assert_array_equal(series.pick(element).maps[0], data)
    digest = hashlib.sha256((folder / "x-Ag.mrc").read_bytes()).hexdigest()
    assert series.inputs["x-Ag.mrc"] == digest
    assert io.read(folder, pixel_size=1.5).pixel_size == 1.5
    assert set(io.read(f"{folder}/*.mrc").elements) == {"Au", "Ag"}


def test_what_stacks_show_can_be_said(folder):
    os.rename(folder / "x-Ag.mrc", folder / "second.mrc")
    os.rename(folder / "x-Ag.rawtlt", folder / "second.rawtlt")
    with pytest.raises(ValueError, match=r"second\.mrc .* says neither HAADF nor one element"):
        io.read(folder)
    series = io.read(
        maps={"Ag": folder / "second.mrc", "Au": str(folder / "Au_counts.mrc")},
        haadf=folder / "HAADF.mrc",
    )
    assert series.elements == ("Ag", "Au")
    np.testing.assert_array_equal(series.maps, MAPS[::-1])


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
@pytest.mark.parametrize("ending", ["rawtlt", "tlt", "mdoc", "mrc.mdoc", "csv", "one.csv"])
def test_images_are_sorted_with_their_angles(tmp_path, order, ending):
    stack = mrc(tmp_path / "HAADF.mrc", HAADF[order])
    beside = tmp_path / f"HAADF.{ending.removeprefix('one.')}"
    values = TILTS[order]
    if ending.endswith("mdoc"):
        text = "".join(f"[ZValue = {i}]\nTiltAngle = {v}\n\n" for i, v in enumerate(values))
        beside.write_text(text)
    elif ending == "csv":
        rows = "".join(f"{i},{v}\n" for i, v in enumerate(values))
        beside.write_text(f"image,Tilt angle (deg)\n{rows}")
    else:
        column(beside, values)
    # maps lie in another order, each with its own angles
    maps = mrc(tmp_path / "Au.mrc", MAPS[0])
    column(tmp_path / "Au.rawtlt")
    series = io.read([stack, maps])
    np.testing.assert_array_equal(series.angles, TILTS)
    np.testing.assert_array_equal(series.haadf, HAADF)
    np.testing.assert_array_equal(series.maps[0], MAPS[0])
    assert series.haadf_angles is None


@pytest.mark.parametrize("name", ["HAADF.mdoc", "HAADF.mrc.mdoc"])
def test_sections_of_an_mdoc_belong_to_the_images_that_they_number(tmp_path, name):
    stack = mrc(tmp_path / "HAADF.mrc", HAADF)
    sections = [f"[ZValue = {i}]\nTiltAngle = {TILTS[i]}\nDefocus = 1\n\n" for i in (2, 0, 3, 1)]
    (tmp_path / name).write_text("PixelSpacing = 20\n\n" + "".join(sections))
    series = io.read(stack)
    np.testing.assert_array_equal(series.angles, TILTS)
    np.testing.assert_array_equal(series.haadf, HAADF)
    (tmp_path / name).write_text("".join([*sections[:3], sections[0]]))
    with pytest.raises(ValueError, match=r"mdoc cannot be read .*ZValue = 2 comes twice"):
        io.read(stack)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<u2", ">u2", "<f4", ">f4"])
def test_stacks_of_either_byte_order_have_their_values(tmp_path, dtype):
    """IMOD wrote the highest byte first on the machines of its day."""
    for name, data in (("HAADF", HAADF), ("Au", MAPS[0])):
        with mrcfile.new(tmp_path / f"{name}.mrc") as file:
            file.set_data(data.astype(dtype))
            file.voxel_size = 20
        column(tmp_path / f"{name}.rawtlt")
    series = io.read(tmp_path)
    np.testing.assert_array_equal(series.haadf, HAADF)
    np.testing.assert_array_equal(series.maps[0], MAPS[0])
    assert series.pixel_size == pytest.approx(2)


def test_a_given_pixel_size_stands_in_place_of_what_stacks_say(tmp_path):
    for name, data in (("HAADF", HAADF), ("Au", MAPS[0])):
        with mrcfile.open(mrc(tmp_path / f"{name}.mrc", data), "r+") as file:
            file.voxel_size = (20, 21, 20)
        column(tmp_path / f"{name}.rawtlt")
    with pytest.raises(ValueError, match=r"pixels of 2\.1 nm by 2\.0 nm.* give pixel_size"):
        io.read(tmp_path)
    named = {"maps": {"Au": tmp_path / "Au.mrc"}, "haadf": tmp_path / "HAADF.mrc"}
    for given in ({"files": tmp_path}, named):
        assert io.read(**given, pixel_size=1.5).pixel_size == 1.5


def test_signals_without_a_calibration_take_a_given_pixel_size():
    hs = pytest.importorskip("hyperspy.api")
    stacks = [hs.signals.Signal2D(data) for data in (HAADF, MAPS[0])]
    for stack, title in zip(stacks, ("HAADF", "Au")):
        stack.metadata.General.title = title
    with pytest.raises(ValueError, match="expected a length"):
        io.read(stacks, angles=TILTS)
    series = io.read(stacks, angles=TILTS, pixel_size=1.5)
    assert series.pixel_size == 1.5
    np.testing.assert_array_equal(series.maps[0], MAPS[0])


def test_what_macos_hides_in_a_folder_is_no_file_of_the_series(folder):
    """On a disk of another system it puts a file of its own beside each."""
    for path in list(folder.glob("*.mrc")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(4092))
    assert set(io.read(folder).inputs) == {"HAADF.mrc", "Au_counts.mrc", "x-Ag.mrc"}


def test_brackets_in_the_name_of_a_folder_are_no_pattern(folder):
    place = folder / "particle [2] ü"
    place.mkdir()
    for path in [*folder.glob("*.mrc"), *folder.glob("*.rawtlt")]:
        path.rename(place / path.name)
    found = io.read(f"{place}/*.mrc")
    np.testing.assert_array_equal(found.haadf, HAADF)
    with pytest.raises(FileNotFoundError, match="matches no file"):
        io.read(f"{place}/*.emd")


def test_tiff_pages_take_their_angles_from_a_csv(tmp_path):
    tifffile.imwrite(tmp_path / "HAADF.tif", HAADF.astype(np.uint16), photometric="minisblack")
    tifffile.imwrite(tmp_path / "Fe_Ka.tiff", MAPS[0].astype(np.uint16), photometric="minisblack")
    angles = tmp_path / "angles.txt"
    angles.write_text("tilt\n" + "\n".join(map(str, TILTS)))
    series = io.read(tmp_path, angles=angles, pixel_size=2.0)
    np.testing.assert_array_equal(series.haadf, HAADF)
    np.testing.assert_array_equal(series.pick("Fe").maps[0], MAPS[0])
    with pytest.raises(ValueError, match=r"Fe_Ka\.tiff: .* no tilts .*Fe_Ka\.rawtlt"):
        io.read(tmp_path)


def test_haadf_at_other_tilts_keeps_them(folder):
    mrc(folder / "HAADF.mrc", np.concatenate([HAADF, HAADF]))
    every = np.concatenate([TILTS, TILTS + 10])
    column(folder / "HAADF.rawtlt", every)
    series = io.read(folder)
    np.testing.assert_array_equal(series.haadf_angles, np.sort(every))
    np.testing.assert_array_equal(series.angles, TILTS)


def test_a_tilt_that_was_recorded_twice_is_taken_where_it_is_said(tmp_path):
    """A list of tilts beside a stack may be one of a stage that nobody wrote down."""
    data = np.random.default_rng(2).random((3, 4, 6)).astype(np.float32)
    for name in ("HAADF", "Au"):
        mrc(tmp_path / f"{name}.mrc", data if name == "HAADF" else 2 * data)
        column(tmp_path / f"{name}.rawtlt", [10, -10, 10])
    with pytest.raises(ValueError, match=r"a tilt twice \(10; source: .*rawtlt\).*give angles="):
        io.read(tmp_path)
    given = io.read(tmp_path, angles=[10, -10, 10])
    arrays = io.TiltSeries.from_arrays(data, {"Au": 2 * data}, angles=[10, -10, 10])
    named = io.read(tmp_path, angles=tmp_path / "Au.rawtlt")
    for series in (given, named):
        np.testing.assert_array_equal(series.haadf, arrays.haadf)
        np.testing.assert_array_equal(series.maps, arrays.maps)


def test_pixels_have_the_side_that_files_say(folder):
    for name, data in (("HAADF", HAADF), ("Au_counts", MAPS[0]), ("x-Ag", MAPS[1])):
        mrc(folder / f"{name}.mrc", data, side=0.75)
    np.testing.assert_allclose(io.read(folder).pixel_size, 0.75, rtol=1e-5)
    mrc(folder / "HAADF.mrc", HAADF, side=0.25)
    series = io.read(folder)
    np.testing.assert_allclose([series.pixel_size, series.haadf_pixel_size], [0.75, 0.25], 1e-5)
    mrc(folder / "x-Ag.mrc", MAPS[1], side=0.5)
    with pytest.raises(ValueError, match="maps have pixels of different size"):
        io.read(folder)


def test_what_does_not_fit_is_refused(folder):
    column(folder / "x-Ag.rawtlt", TILTS + 1)
    with pytest.raises(ValueError, match="maps have other tilts: Ag"):
        io.read(folder)
    column(folder / "x-Ag.rawtlt", TILTS[:3])
    with pytest.raises(ValueError, match=r"x-Ag\.rawtlt holds 3 tilts, but x-Ag\.mrc 4 images"):
        io.read(folder)
    column(folder / "x-Ag.rawtlt", [0, 0, 5, 30])
    with pytest.raises(ValueError, match="a tilt twice"):
        io.read(folder)
    (folder / "x-Ag.rawtlt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"x-Ag\.rawtlt cannot be read as tilt angles"):
        io.read(folder)
    with pytest.raises(ValueError, match=r"lines is .* holds no spectra"):
        io.read(folder, lines=["Au"], angles=TILTS)
    with pytest.raises(ValueError, match="angles is 'names', which is for one file per tilt"):
        io.read(folder, angles="names")
    (folder / "HAADF.mrc").unlink()
    with pytest.raises(ValueError, match="files hold 0 stacks called HAADF.*maps of Au, Ag"):
        io.read(folder, angles=TILTS)


def test_angles_beside_a_stack_agree_with_those_in_it(tmp_path):
    path = tmp_path / "HAADF.hspy"
    io.to_signal(HAADF, pixel_size=2.0, angles=TILTS, title="HAADF").save(path)
    np.testing.assert_array_equal(io.read(path).angles, TILTS)
    column(tmp_path / "HAADF.rawtlt", TILTS + 0.1)
    np.testing.assert_array_equal(io.read(path).angles, TILTS + 0.1)
    column(tmp_path / "HAADF.rawtlt", TILTS[::-1])
    with pytest.raises(ValueError, match=r"angles of HAADF\.rawtlt .* expected the same"):
        io.read(path)


def test_expressions_in_a_stack_are_not_run(tmp_path):
    marker = tmp_path / "it ran"
    planted = f"x + 0*open({str(marker)!r}, 'w').write('1')"
    axis = {"_type": "FunctionalDataAxis", "expression": planted, "name": "tilt"}
    axes = [
        {**axis, "size": 4, "navigate": True, "x": {"_type": "UniformDataAxis", "size": 4}},
        *(
            {"name": n, "size": s, "scale": 1.0, "units": "nm", "navigate": False}
            for n, s in (("y", 6), ("x", 8))
        ),
    ]
    item = {"title": "HAADF", "data": HAADF, "kind": "", "tilt": None, "axes": axes}
    path = save(tmp_path / "HAADF.hspy", item)
    with pytest.raises(ValueError, match="expressions in files are not run"):
        io.read(path)
    assert not marker.exists()


# --- signals ---


def signals(lazy=False):
    haadf = io.to_signal(HAADF, pixel_size=2.0, angles=TILTS, title="HAADF")
    maps = io.to_signal(MAPS, pixel_size=2.0, angles=TILTS, elements=["Au", "Ag"], title="EDS")
    return [s.as_lazy() for s in (haadf, maps)] if lazy else [haadf, maps]


@pytest.mark.parametrize("lazy", [False, True])
def test_signals_are_a_series_too(lazy):
    series = io.read(signals(lazy))
    np.testing.assert_array_equal(series.haadf, HAADF)
    np.testing.assert_array_equal(series.maps, MAPS)
    assert series.elements == ("Au", "Ag") and series.pixel_size == 2.0


def test_saved_signals_come_back(tmp_path):
    for signal, name in zip(signals(), ("HAADF", "maps"), strict=True):
        signal.save(tmp_path / f"{name}.hspy")
    series = io.read(tmp_path)
    np.testing.assert_array_equal(series.maps, MAPS)
    np.testing.assert_array_equal(series.angles, TILTS)
    assert series.elements == ("Au", "Ag")


def test_spectra_and_arrays_say_where_to_go():
    cube = io.spectra_to_signal(
        np.ones((2, 3, 8)),
        pixel_size=1.0,
        energies=np.arange(8) + 1.0,
        tilt=0.0,
        voltage=200.0,
        elements=["Au"],
    )
    with pytest.raises(ValueError, match="lines is None, and files holds spectra"):
        io.read(cube)
    with pytest.raises(ValueError, match="0 HAADF images beside spectra, and haadf is None"):
        io.read(cube, lines=["Au"])
    with pytest.raises(TypeError, match="files is an array .*from_arrays"):
        io.read(HAADF)


# --- one file per tilt ---


@pytest.fixture
def per_tilt(tmp_path):
    for tilt in (-20, 0, 20):
        save(tmp_path / f"{tilt}.hspy", spectra(), image())
    return tmp_path


def test_one_file_per_tilt_by_pattern_or_folder_is_what_its_reader_gives(per_tilt):
    listed = sorted(per_tilt.glob("*.hspy"))
    expected = io.read_tilt_series(listed, lines=["Cu_Ka"], progress=False)
    for found in (per_tilt, f"{per_tilt}/*.hspy", listed):
        series = io.read(found, lines=["Cu"], progress=False)
        np.testing.assert_array_equal(series.maps, expected.maps)
        np.testing.assert_array_equal(series.angles, [-20, 0, 20])
        assert series.lines == ("Cu_Ka",) and len(series.inputs) == 3
    with pytest.raises(ValueError, match=r"lines is None, and -20\.hspy holds spectra"):
        io.read(per_tilt)
    with pytest.raises(ValueError, match="does not say in which order"):
        io.read(per_tilt, lines=["Cu"], angles=[1, 2, 3])


def test_an_image_of_another_name_is_taken_only_on_the_users_word(tmp_path):
    path = save(tmp_path / "5.hspy", spectra(), image("IMG1"))
    with pytest.raises(ValueError, match="no image .* called HAADF or ADF, but 'IMG1'"):
        io.read(path, lines=["Cu"], angles=[5])
    series = io.read(path, lines=["Cu"], angles=[5], image="IMG1")
    np.testing.assert_array_equal(series.haadf[0], image()["data"])
    path = save(tmp_path / "6.hspy", spectra(), image("ADF"), image("BF"))
    assert io.read(path, lines=["Cu"], angles=[5]).haadf.any()


# --- files that nobody here made ---

DATA = Path(os.environ.get("HEBT_DATA", ""))


def measured(place):
    if not (DATA / place).exists():
        pytest.skip(f"{place} is not on this machine")
    return DATA / place


def test_the_published_phantom_is_read_from_its_folder():
    """Ratios of raw counts: normal equations less the counts on their diagonal, worked out here."""
    series = io.read(measured("alsiyb-phantom"))
    assert series.elements == ("Al", "Si", "Yb")
    np.testing.assert_array_equal(series.angles, np.arange(-175, 1, 5))
    for element in series.elements:
        path = DATA / f"alsiyb-phantom/{element}_EDXsino.mrc"
        np.testing.assert_array_equal(series.pick(element).maps[0, ::-1], mrcfile.read(path))
    np.testing.assert_allclose(series.ratios().ratios, [4428, 29023, 49300], rtol=1e-4)
    inside = series.haadf > 0
    maps = series.maps[:, inside].astype(float)
    matrix = maps @ maps.T - np.diag(maps.sum(axis=1))
    expected = np.linalg.solve(matrix, maps @ series.haadf[inside].astype(float))
    np.testing.assert_allclose(series.ratios().ratios, expected, rtol=1e-6)


SAID = {
    "alsiyb-phantom/HAADF_lrsino.mrc": ({}, "36 tilts from -175 to 0 degrees"),
    "cases/etspy_HAADF_91tilts.dm3": ({}, "91 tilts from -90 to 90 .*\n64 x 64 pixels of 17.99 nm"),
    "cases/jeol/rawdata.ASW": ({"lines": ["Fe"], "angles": [0]}, r"'IMG1'.*image='title'"),
    "cases/test_STEM_image.dm3": (
        {},
        "0 stacks of images .'test_STEM_image' .68, 68.*one file per",
    ),
    "cases/needle_raw_bin2.npz": ({}, "39 tilts from -76 to 76 degrees .source: file"),
    "cases/msaem_Co3O4_Mn3O4.npz": ({"angles": [0]}, "maps of Co, Mn, O"),
    "cases/SAIT_024_2_6.npz": ({}, "holds no tilt angles.*Give angles="),
    "cases/velox_emd_v11_elementSelection.zip": ({}, "an archive.*Unpack"),
    "eds-reader-files/velox_EELS_EDS.zip": ({}, "an archive.*Unpack"),
    "eds-reader-files/test_TEM.bcf": (
        {"lines": ["Cu"], "angles": [12.5]},
        "1 tilt from 12.5 .*\n64 x 64 pixels of 0.771 nm\nmaps of Cu",
    ),
    "eds-reader-files/bcf_v2_50x50px.bcf": ({"lines": ["Fe"], "angles": [0]}, "but 'Ch 1'.*image="),
}


def answer(path, options):
    """Return what is printed of a file's series, or the sentence that refuses it."""
    try:
        return repr(io.read(path, progress=False, **options))
    except ValueError as error:
        return str(error)


NO_SERIES = (".md", ".json", ".rawtlt")


@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=[pytest.mark.slow] * ("jeol" in p)) for p in SAID]
)
def test_public_files_give_a_right_answer_or_say_what_is_missing(place):
    options, expected = SAID[place]
    said = answer(measured(place), options)
    assert re.search(expected, said), said


def test_all_public_files_are_tried():
    """But those of the dust particle, which have tests of their own, and what belongs to others."""
    measured("README.md")
    there = {str(p.relative_to(DATA)) for p in DATA.rglob("*") if p.is_file()}
    there = {p for p in there if not p.startswith(("dust", "cases/jeol/Sample"))}
    missing = {p for p in there - set(SAID) if not p.endswith(NO_SERIES)}
    assert {p for p in missing if not p.endswith("_EDXsino.mrc")} == set()


def test_velox_files_are_read_or_say_what_they_lack(tmp_path):
    for place in (
        "eds-reader-files/velox_EELS_EDS.zip",
        "cases/velox_emd_v11_elementSelection.zip",
    ):
        with zipfile.ZipFile(measured(place)) as archive:
            archive.extractall(tmp_path)
    found = sorted(tmp_path.rglob("*.emd"))
    assert len(found) >= 2
    said = [answer(path, {"lines": ["O"], "angles": [0]}) for path in found]
    assert all("maps of O" in text or "expected" in text for text in said)
    assert any("maps of O" in text for text in said)


def test_the_needle_is_a_series_of_arrays():
    with np.load(measured("cases/needle_raw_bin2.npz")) as arrays:
        series = io.TiltSeries.from_arrays(arrays["haadf"], angles=arrays["angles"])
    with pytest.warns(UserWarning, match=r"tilt axis of haadf looks horizontal.*turn\(\)"):
        series.remove_offset().align()
    turned = series.remove_offset().turn()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        turned.align()
