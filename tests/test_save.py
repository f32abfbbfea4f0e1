"""Saved volumes, opened by programs that are not ours, and loaded again."""

import errno
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import hebt
from hebt import io

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:hyperspy")

FORMATS = [".vti", ".ome.tif", ".ome.tiff", ".mrc", ".hspy", ".ome.zarr"]
NAMES = ["Au", 'Fe "Kα" & <2>']
SIZE = 1.53  # nm
# of different lengths along each axis, so that none can be taken for another
X = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)


def fit():
    ratios, errors = np.array([1.5, 1 / 3]), np.array([0.1, np.nan])
    return hebt.ResponseRatios(ratios, 0.9, ("Au", NAMES[1]), 77, errors, errors / 2, "counts")


ABOUT = {"ratios": fit(), "alpha": np.float32(0.5), "note": "50 µm", "nothing": np.nan}
MEANT = {"alpha": 0.5, "note": "50 µm", "nothing": None}


def saved(folder, ending, x=X, **options):
    given = {"pixel_size": SIZE, "elements": NAMES, "about": ABOUT} | options
    return io.save(folder / f"particle{ending}", x, **given)


# --- opened by others ---


def test_vtk_reads_vti_with_spacing_axes_names_and_what_is_known(tmp_path):
    xml = pytest.importorskip("vtkmodules.vtkIOXML")
    (path,) = saved(tmp_path, ".vti")
    reader = xml.vtkXMLImageDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    assert image.GetSpacing() == (SIZE, SIZE, SIZE)
    assert image.GetDimensions() == (5, 4, 3)
    points = image.GetPointData()
    assert [points.GetArrayName(k) for k in range(points.GetNumberOfArrays())] == NAMES
    for name, volume in zip(NAMES, X):
        array = points.GetArray(name)
        for s, r, c in np.ndindex(volume.shape):
            # x is across, y the depth, and z runs along the tilt axis
            assert array.GetValue(image.ComputePointId((c, r, s))) == volume[s, r, c]
    fields = image.GetFieldData()
    record = json.loads(fields.GetAbstractArray("hebt").GetValue(0))
    assert record["about"] == MEANT | {"ratios": record["about"]["ratios"]}
    assert record["about"]["ratios"]["ratios"] == [1.5, 1 / 3]
    assert record["about"]["ratios"]["standard_errors"] == [0.1, None]
    assert fields.GetAbstractArray("unit").GetValue(0) == "nm"


def test_tifffile_and_pillow_read_ome_tiff(tmp_path):
    import tifffile
    from PIL import Image

    (path,) = saved(tmp_path, ".ome.tif")
    with tifffile.TiffFile(path) as file:
        assert file.is_ome and file.series[0].axes == "CZYX"
        np.testing.assert_array_equal(file.series[0].asarray(), X)
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    for axis in "XYZ":
        assert pixels[f"PhysicalSize{axis}"] == pytest.approx(SIZE / 1000)
        assert pixels[f"PhysicalSize{axis}Unit"] == "µm"
    assert [channel["Name"] for channel in pixels["Channel"]] == NAMES
    with Image.open(path) as image:
        assert image.n_frames == 6
        root = ET.fromstring(image.tag_v2[270].encode("latin1"))
        for k, plane in enumerate(X.reshape(6, 4, 5)):
            image.seek(k)
            np.testing.assert_array_equal(np.array(image), plane)
    texts = [v.text for v in root.findall(".//{*}Value") if v.text and v.text.startswith("{")]
    assert json.loads(texts[0])["about"]["note"] == "50 µm"


def test_mrcfile_and_hyperspy_read_mrc(tmp_path):
    mrcfile = pytest.importorskip("mrcfile")
    hs = pytest.importorskip("hyperspy.api")
    *paths, beside = saved(tmp_path, ".mrc")
    assert [p.name for p in paths] == ["particle_Au.mrc", "particle_Fe_Kα_2_.mrc"]
    assert json.loads(beside.read_text())["about"]["alpha"] == 0.5
    for path, name, volume in zip(paths, NAMES, X):
        assert mrcfile.validate(path)
        with mrcfile.open(path) as file:
            assert file.is_volume()
            np.testing.assert_array_equal(file.data, volume)
            np.testing.assert_allclose(file.voxel_size.tolist(), 10 * SIZE, rtol=1e-6)
            labels = [label.decode() for label in file.header.label]
        assert any(label.startswith(name[:4]) for label in labels)
        assert any(label.startswith("response ratio") for label in labels)
        assert any("particle.mrc.json" in label for label in labels)
        signal = hs.load(path)
        np.testing.assert_array_equal(signal.data, volume)
        axes = signal.axes_manager._axes
        assert [a.scale for a in axes] == pytest.approx([SIZE] * 3)
        assert [a.units for a in axes[1:]] == ["nm", "nm"]  # it knows none of z


def test_one_element_keeps_its_path_in_mrc_and_names_differ_on_every_disk(tmp_path):
    path, _ = saved(tmp_path, ".mrc", X[:1], elements=["Au"], about={})
    assert path == tmp_path / "particle.mrc" and path.is_file()
    paths = io.save(tmp_path / "b.mrc", X, pixel_size=1, elements=["Co", "CO"])
    assert len({p.name.lower() for p in paths}) == 3


def test_hyperspy_reads_hspy_with_axes_in_nm(tmp_path):
    hs = pytest.importorskip("hyperspy.api")
    (path,) = saved(tmp_path, ".hspy")
    signal = hs.load(path)
    np.testing.assert_array_equal(signal.data, X)
    axes = signal.axes_manager._axes
    assert [a.name for a in axes] == ["element", "slice", "depth", "across"]
    assert [(a.scale, a.units) for a in axes[1:]] == [(SIZE, "nm")] * 3
    found = io.from_signal(signal)
    assert found.elements == tuple(NAMES) and found.pixel_size == SIZE
    assert json.loads(signal.metadata.HEBT.volumes)["about"]["note"] == "50 µm"


def test_ome_zarr_is_valid_by_a_model_of_its_specification(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v05.image")
    zarr = pytest.importorskip("zarr")
    (path,) = saved(tmp_path, ".ome.zarr")
    group = zarr.open_group(path, mode="r")
    image = models.Image.from_zarr(group)
    (multiscale,) = image.ome_attributes.multiscales
    assert [(a.name, a.type, a.unit) for a in multiscale.axes] == [
        ("c", "channel", None),
        *[(name, "space", "nanometer") for name in "zyx"],
    ]
    (dataset,) = multiscale.datasets
    assert dataset.coordinateTransformations[0].scale == [1, SIZE, SIZE, SIZE]
    assert [c["label"] for c in group.attrs["ome"]["omero"]["channels"]] == NAMES
    np.testing.assert_array_equal(group[dataset.path][:], X)
    assert group.attrs["hebt"]["about"]["note"] == "50 µm"


def test_large_volumes_are_a_pyramid_whose_voxels_lie_where_they_are(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v05.image")
    zarr = pytest.importorskip("zarr")
    x = np.random.default_rng(3).random((1, 3, 66, 130)).astype(np.float32)
    (path,) = io.save(tmp_path / "a.ome.zarr", x, pixel_size=SIZE, elements=["Au"])
    group = zarr.open_group(path, mode="r")
    (multiscale,) = models.Image.from_zarr(group).ome_attributes.multiscales
    shapes = [group[d.path].shape for d in multiscale.datasets]
    assert shapes == [(1, 3, 66, 130), (1, 2, 33, 65), (1, 1, 17, 33)]
    fine, coarse = group["0"][:], group["1"][:]
    np.testing.assert_allclose(
        coarse[0, 0], fine[0, :2].reshape(2, 33, 2, 65, 2).mean((0, 2, 4)), 1e-5
    )
    # the third slice is repeated
    np.testing.assert_allclose(coarse[0, 1], fine[0, 2].reshape(33, 2, 65, 2).mean((1, 3)), 1e-5)
    for number, dataset in enumerate(multiscale.datasets[1:], start=1):
        scale, moved = dataset.coordinateTransformations
        assert scale.scale == [1, *[2**number * SIZE] * 3]
        # the middle of the first voxel lies among those of the voxels that it holds
        middle = np.mean(np.arange(2**number) * SIZE)
        np.testing.assert_allclose(moved.translation, [0, *[middle] * 3])
    np.testing.assert_array_equal(io.load(path).x, x)
    io.save(path, x, pixel_size=SIZE, elements=["Au"], overwrite=True)


# --- round trips ---


def result():
    residuals = hebt.History()
    residuals.add(hebt.Residuals(np.array([3.0, 1 / 3]), 7.0))
    residuals.add(hebt.Residuals(np.array([2.0, 0.1]), 6.0, 0.25))
    residuals.iterations = 2
    return hebt.Result(
        X,
        NAMES,
        SIZE,
        ratios=fit(),
        angles=[-60.5, 0, 61.25],
        method="CompositionEM",
        settings={"method": hebt.CompositionEM((0, 1), haadf_noise=0.5), "iterations": 50},
        residuals=residuals,
        history=[{"step": "bin", "settings": {"factor": 2}, "pictures": {"a": X[0, 0]}}, "aligned"],
        inputs={"a.emd": "00ff"},
        about={"sample": "B7"},
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_a_result_comes_back_as_it_was_saved(tmp_path, ending):
    before = result()
    before.save(tmp_path / f"particle{ending}")
    after = io.load(tmp_path / f"particle{ending}")
    np.testing.assert_array_equal(after.x, X)
    assert after.x.dtype == np.float32
    assert after.elements == tuple(NAMES) and after.pixel_size == SIZE
    for name in ("ratios", "standard_errors", "tilt_errors"):
        np.testing.assert_array_equal(getattr(after.ratios, name), getattr(before.ratios, name))
    assert (after.ratios.pixels, after.ratios.r_squared) == (77, 0.9)
    assert after.ratios.variance == "counts" and after.ratios.names == after.elements
    np.testing.assert_array_equal(after.angles, before.angles)
    assert after.method == "CompositionEM"
    method = after.settings["method"]
    assert (method["kind"], method["haadf_noise"]) == ("CompositionEM", 0.5)
    assert after.settings["iterations"] == 50
    np.testing.assert_array_equal(after.residuals.eds, before.residuals.eds)
    np.testing.assert_array_equal(after.residuals.change, before.residuals.change)
    assert after.residuals.iterations == 2
    assert after.history == ({"step": "bin", "settings": {"factor": 2}}, "aligned")
    assert after.inputs == before.inputs and after.about == {"sample": "B7"}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 4, 4), (1, 3, 1, 5), (1, 1, 1)])
def test_thin_volumes_keep_their_shape(tmp_path, ending, shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    names = NAMES[: len(x)]
    io.save(tmp_path / f"a{ending}", x, pixel_size=2, elements=names)
    loaded = io.load(tmp_path / f"a{ending}")
    assert loaded.x.shape == shape
    np.testing.assert_array_equal(loaded.x, x)


def test_what_a_user_calls_by_a_known_name_is_kept_in_his_words(tmp_path):
    about = {"ratios": [2.0, 3.0], "history": "binned", "angles": "see notebook"}
    loaded = io.load(saved(tmp_path, ".vti", about=about)[0])
    assert loaded.ratios is None and loaded.history == ()
    assert loaded.about == {f"{name} (as saved)": value for name, value in about.items()}


def test_names_are_made_for_elements_without_and_one_volume_is_not_taken_for_elements(tmp_path):
    path = tmp_path / "a.vti"
    with pytest.raises(ValueError, match=r"x has three dimensions.*elements is None"):
        io.save(path, X[0], pixel_size=1)
    io.save(path, X, pixel_size=1)
    assert io.load(path).elements == ("element 0", "element 1")


def test_ratios_save_and_load(tmp_path):
    path = fit().save(tmp_path / "ratios.json")
    with pytest.raises(FileExistsError, match="there already"):
        fit().save(path)
    assert repr(hebt.ResponseRatios.load(path)) == repr(fit())
    fit().save(path, overwrite=True)
    np.testing.assert_array_equal(hebt.ResponseRatios.load(path).tilt_errors, fit().tilt_errors)
    for text in ("{", "[1]", '{"ratios": [1]}', path.read_text().replace("1.5", '"a"')):
        path.write_text(text)
        with pytest.raises(ValueError, match="expected"):
            hebt.ResponseRatios.load(path)


# --- nothing is lost ---


def all_in(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_there_stays_unless_one_says_so(tmp_path, ending):
    saved(tmp_path, ending)
    before = all_in(tmp_path)
    with pytest.raises(FileExistsError, match="there already; give another, or overwrite=True"):
        saved(tmp_path, ending, 2 * X)
    assert all_in(tmp_path) == before
    paths = saved(tmp_path, ending, 2 * X, overwrite=True)
    np.testing.assert_array_equal(io.load(tmp_path / f"particle{ending}").x, 2 * X)
    assert set(tmp_path.iterdir()) == set(paths)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(tmp_path, ending, stop, monkeypatch):
    def full(*_):
        raise stop

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(type(stop)):
        saved(tmp_path, ending)
    assert not any(tmp_path.iterdir())
    monkeypatch.undo()
    saved(tmp_path, ending)
    before = all_in(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(type(stop)):
        saved(tmp_path, ending, 2 * X, overwrite=True)
    assert all_in(tmp_path) == before


# one process for all, which HDF5 may leave with files that it cannot close
_FULL = """
import json, resource, sys
import numpy as np
from hebt import io
folder, *endings = sys.argv[1:]
small, large = np.ones((1, 2, 3, 3)), np.random.default_rng(0).random((2, 8, 64, 64), np.float32)
for ending in endings:
    io.save(f"{folder}/first{ending}", small, pixel_size=1)  # so that libraries are there
said = []
for room in (2048, 50_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    for ending in endings:
        try:
            io.save(f"{folder}/full{ending}", large, pixel_size=1)
            said.append([ending, room, "nothing"])
        except Exception as error:
            said.append([ending, room, "OSError" if isinstance(error, OSError) else repr(error)])
print(json.dumps(said))
"""


def test_a_full_disk_is_an_error_of_the_system_in_each_format(tmp_path):
    """By a limit on the size of files: at the first byte of the values, and amid them."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", _FULL, str(tmp_path), *FORMATS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) == 2 * len(FORMATS) and {what for *_, what in said} == {"OSError"}, said
    assert {path.name.partition(".")[0].partition("_")[0] for path in tmp_path.iterdir()} == {
        "first"
    }


def test_one_file_that_is_there_keeps_all_others_from_being_written(tmp_path):
    (tmp_path / "particle_Fe_Kα_2_.mrc").write_text("mine")
    with pytest.raises(FileExistsError):
        saved(tmp_path, ".mrc")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (path,) = saved(tmp_path, ".ome.zarr")
    (path / "notes.txt").write_text("mine")
    other = tmp_path / "other.ome.zarr"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    for each in (path, other):
        with pytest.raises(FileExistsError, match="holds something else"):
            io.save(each, X, pixel_size=1, overwrite=True)
        assert (each / "notes.txt").read_text() == "mine"


def test_a_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    (path,) = saved(tmp_path, ".ome.zarr")
    before, rename = all_in(tmp_path), os.rename

    def refuse(source, target):
        if "-old" not in str(source) and str(target) == str(path):
            raise PermissionError(errno.EACCES, "in use")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PermissionError):
        saved(tmp_path, ".ome.zarr", 2 * X, overwrite=True)
    assert all_in(tmp_path) == before


@pytest.mark.parametrize("ending", FORMATS)
def test_values_that_do_not_fit_write_nothing(tmp_path, ending):
    for wrong in (
        {"pixel_size": 0},
        {"elements": ["Au"]},
        {"elements": ["Au", "\n"]},
        {"about": {"x": object()}},
        {"about": {"x": np.inf}},
        {"x": X[0]},
        {"x": X * np.nan},
    ):
        with pytest.raises((TypeError, ValueError)):
            saved(tmp_path, ending, **wrong)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a", ".vti", "a.vti/"])
def test_other_endings_are_refused(tmp_path, name):
    if name == "a.vti/":
        (tmp_path / "a.vti").mkdir()
        with pytest.raises(OSError):
            io.save(tmp_path / name, X, pixel_size=1, overwrite=True)
        return
    with pytest.raises(ValueError, match=r"expected a name that ends in one of \.vti, \.ome\.tif"):
        io.save(tmp_path / name, X, pixel_size=1)


# --- damage ---


@pytest.mark.parametrize("ending", FORMATS)
def test_a_damaged_file_is_never_taken_for_a_good_one(tmp_path, ending):
    saved(tmp_path, ending)
    path = tmp_path / f"particle{ending}"
    good = io.load(path)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    rng = np.random.default_rng(1)
    refused = 0
    for file in files:
        whole = file.read_bytes()
        places = rng.integers(0, len(whole), 40)
        harmed = [whole[:n] for n in (*places[:8], 0, len(whole) // 2)]
        harmed += [whole[:n] + bytes([whole[n] ^ 0x41]) + whole[n + 1 :] for n in places]
        for text in harmed:
            file.write_bytes(text)
            try:
                found = io.load(path)
            except ValueError:
                refused += 1
            else:
                # what was hit is of no consequence: a label, free space
                np.testing.assert_array_equal(found.x, good.x)
                assert found.pixel_size == good.pixel_size and found.elements == good.elements
                assert found.about == good.about and repr(found.ratios) == repr(good.ratios)
        file.write_bytes(whole)
    assert refused >= 10


def test_a_lost_chunk_is_noticed(tmp_path):
    (path,) = saved(tmp_path, ".ome.zarr")
    shutil.rmtree(path / "0" / "c" / "1")
    with pytest.raises(ValueError, match="other values than were saved"):
        io.load(path)


def test_files_of_other_programs_are_named_as_such(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.ome.tif", X[0], ome=True, metadata={"axes": "ZYX"})
    with pytest.raises(ValueError, match=r"not written by hebt.io.save.*Fiji"):
        io.load(tmp_path / "a.ome.tif")
    (tmp_path / "a.vti").write_text("<VTKFile/>")
    with pytest.raises(ValueError, match=r"not written by hebt.io.save.*ParaView"):
        io.load(tmp_path / "a.vti")
    with pytest.raises(FileNotFoundError, match=r"b.vti does not exist"):
        io.load(tmp_path / "b.vti")


@pytest.mark.parametrize("known", ["ratios", "angles"])
def test_what_is_known_of_something_else_keeps_no_volume_from_being_read(known, tmp_path):
    about = {"ratios": fit(), "angles": [-60.0, 999.0]}
    io.save(tmp_path / "a.vti", X[:1], pixel_size=1.0, elements=["Ag"], about={known: about[known]})
    result = io.load(tmp_path / "a.vti")
    np.testing.assert_array_equal(result.x, X[:1])
    assert getattr(result, known) is None and f"{known} (as saved)" in result.about


def test_a_new_mrc_takes_the_files_of_former_elements_with_it(tmp_path):
    path = tmp_path / "a.mrc"
    io.save(path, np.ones((3, 2, 4, 4)), pixel_size=1, elements=["Au", "Ag", "Cu"])
    mine = (tmp_path / "a_Cu.mrc").read_bytes()
    changed = bytearray(mine)
    changed[-1] ^= 1
    (tmp_path / "a_Cu.mrc").write_bytes(changed)
    other = tmp_path / "a_Pt.mrc"
    other.write_bytes(mine)
    io.save(path, np.ones((1, 2, 4, 4)), pixel_size=1, elements=["Au"], overwrite=True)
    assert io.load(path).elements == ("Au",)
    # what somebody has changed since, and what no call wrote, stays
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.mrc",
        "a.mrc.json",
        "a_Cu.mrc",
        "a_Pt.mrc",
    ]
