"""Microscope files of all kinds: nothing in them is run, and nothing about them is guessed."""

import contextlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import zarr

import hebt
from hebt import io
from hebt.io import files, tilt_series
from hebt.io.angles import tilts_of

CUBE, IMAGE = (6, 7, 1024), (6, 7)


def measured(place):
    """Return a file that nobody here made; skip where it is not on this machine."""
    path = Path(os.environ.get("HEBT_DATA", "")) / place
    if not path.is_file():
        pytest.skip(f"{place} is not on this machine")
    return path


@pytest.fixture(scope="module")
def velox(tmp_path_factory):
    """Velox files: one of 128 x 128 pixels, and one of 16 x 20 whose image is called HAADF."""
    folder = tmp_path_factory.mktemp("velox")
    for place in (
        "eds-reader-files/velox_EELS_EDS.zip",
        "cases/velox_emd_v11_elementSelection.zip",
    ):
        with zipfile.ZipFile(measured(place)) as archive:
            archive.extractall(folder)
    return sorted(folder.rglob("*.emd"), key=lambda path: -path.stat().st_size)


@pytest.fixture(autouse=True, scope="module")
def one_child():
    """One process for all tests of this module, which would spend their time on starting it."""
    with pytest.MonkeyPatch.context() as patch, files.Reader() as reader:
        patch.setattr(tilt_series, "Reader", lambda: contextlib.nullcontext(reader))
        yield


# --- files as HyperSpy saves them ---


def length(name, size, scale=2.5, units="nm", navigate=True):
    return {"name": name, "size": size, "scale": scale, "units": units, "navigate": navigate}


def energy(**changes):
    return {**length("Energy", CUBE[2], 0.01, "keV", False), "offset": -0.1, **changes}


def signal(title, data, kind="", tilt=None, axes=None):
    axes = axes or [length("y", data.shape[0]), length("x", data.shape[1])]
    return {"title": title, "data": data, "kind": kind, "tilt": tilt, "axes": axes}


def write_stacks(folder, tilts, shape, *, black=0):
    """Write a simulated particle as stacks of HAADF and of counted maps, .mrc with .rawtlt."""
    slices, size = shape
    W = hebt.Projector(tilts, size)
    density = np.stack([hebt.simulate.phantom(size).density] * slices, axis=1)
    images = {
        "HAADF": hebt.simulate.haadf_tilt_series(W, density, [79, 47]) + black,
        **dict(zip(("Au", "Ag"), hebt.simulate.eds_tilt_series(W, density, [20, 10], seed=1))),
    }
    for name, data in images.items():
        with mrcfile.new(folder / f"{name}.mrc") as file:
            file.set_data(np.asarray(data, np.float32))
            file.set_image_stack()
            file.voxel_size = 15.0
        (folder / f"{name}.rawtlt").write_text("\n".join(map(str, tilts)))
    return folder


def spectra(*, tilt=None, data=None, **energy_axis):
    if data is None:
        data = np.random.default_rng(0).poisson(0.4, CUBE).astype(np.uint8)
    axes = [length("y", CUBE[0]), length("x", CUBE[1]), energy(**energy_axis)]
    return signal("EDS", data, "EDS_TEM", tilt, axes)


def image(title="HAADF", shape=IMAGE, **axis):
    data = np.random.default_rng(1).integers(1, 999, shape).astype(np.uint16)
    axes = [{**length(n, s, navigate=False), **axis} for n, s in zip("yx", shape, strict=True)]
    return signal(title, data, axes=axes)


def save(path, *signals):
    """Write signals as HyperSpy lays them out, in HDF5 or zarr (version 2)."""
    if path.suffix == ".hspy":
        root = h5py.File(path, "w")
    else:
        root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.3"})
    experiments = root.create_group("Experiments")
    for number, item in enumerate(signals):
        group = experiments.create_group(f"{number} {item['title']}")
        group.create_group("original_metadata")
        metadata = group.create_group("metadata")
        metadata.create_group("General").attrs["title"] = item["title"]
        metadata.create_group("Signal").attrs["signal_type"] = item["kind"]
        if item["tilt"] is not None:
            stage = metadata.create_group("Acquisition_instrument/TEM/Stage")
            stage.attrs["tilt_alpha"] = item["tilt"]
        for place, axis in enumerate(item["axes"]):
            inner = axis.get("x")
            own = group.create_group(f"axis-{place}")
            own.attrs.update({k: v for k, v in axis.items() if k != "x" and v is not None})
            if inner:
                own.create_group("x").attrs.update(inner)
        if path.suffix == ".hspy":
            group.create_dataset("data", data=item["data"])
        else:
            group.create_array("data", data=item["data"], chunks=item["data"].shape)
    if path.suffix == ".hspy":
        root.close()
    return path


def zipped(folder):
    """Return a .zspy folder as a .zspy of one file."""
    archive = shutil.make_archive(str(folder.with_suffix("")), "zip", folder)
    return Path(archive).rename(folder.with_name("zipped.zspy"))


def read(*paths, **options):
    options = {"lines": ["Cu_Ka"], "progress": False, **options}
    return io.read_tilt_series(list(paths), **options)


def saved(folder, kind, *signals):
    path = save(folder / f"series.{'hspy' if kind == 'hspy' else 'zspy'}", *signals)
    return zipped(path) if kind == "zip" else path


KINDS = pytest.mark.parametrize("kind", ["hspy", "folder", "zip"])


@KINDS
def test_what_hyperspy_saved_is_read(tmp_path, kind):
    cube, haadf = spectra(), image()
    series = read(saved(tmp_path, kind, cube, haadf), angles=[12])
    np.testing.assert_array_equal(series.haadf[0], haadf["data"])
    np.testing.assert_array_equal(series.spectra[0], cube["data"].sum((0, 1), dtype=int))
    np.testing.assert_allclose(series.energies, -0.1 + 0.01 * np.arange(1024))
    assert series.pixel_size == 2.5 and series.angles_from == "given"


# --- nothing in a file is run ---


@KINDS
def test_expressions_in_a_file_are_not_run(tmp_path, kind):
    """HyperSpy evaluates the expression of an axis as it opens the file."""
    marker = tmp_path / "it ran"
    planted = f"x + 0*open({str(marker)!r}, 'w').write('1')"
    inner = {**energy(), "_type": "UniformDataAxis"}
    axis = {"_type": "FunctionalDataAxis", "expression": planted, "scale": None, "offset": None}
    path = saved(tmp_path, kind, spectra(**axis, x=inner), image())
    with pytest.raises(ValueError, match=rf"{path.name}.*'Energy'.*expressions .* are not run"):
        read(path, angles=[0])
    assert not marker.exists()


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_pickles_in_a_file_are_not_opened(tmp_path, monkeypatch, place):
    marker = tmp_path / "it ran"
    # somebody else's software may have asked for this
    monkeypatch.setenv("NUMCODECS_ALLOW_UNSAFE_PICKLE_DECODE", "1")

    class Planted:
        def __reduce__(self):
            return open, (str(marker), "w")

    path = save(tmp_path / "x.zspy", spectra(), image())
    data = path / "Experiments" / "1 HAADF" / "data"
    stored = zarr.open_array(data, mode="r").metadata.to_dict()
    codec = {"id": "pickle", "protocol": 5}
    stored |= {"compressor": codec if place == "compressor" else None}
    stored |= {"filters": [codec] if place == "filters" else None, "dtype": "<u2"}
    (data / ".zarray").write_text(json.dumps(stored))
    (data / "0.0").write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ValueError, match=r"x\.zspy cannot be read"):
        read(path, angles=[0])
    assert not marker.exists()


def test_a_plain_script_needs_no_guard(tmp_path):
    """A process started by multiprocessing would run the user's script once more."""
    path = save(tmp_path / "12.hspy", spectra(), image())
    script = tmp_path / "script.py"
    script.write_text(
        "print('begins')\nfrom hebt import io\n"
        f"print(io.read_tilt_series([{str(path)!r}], lines=['Cu_Ka']).angles[0])\n"
    )
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["begins", "12.0"]
    assert run.stderr == ""


# --- Velox, and which image is HAADF ---


def test_velox_files_are_read(velox):
    series = read(velox[0], angles=[0])
    with h5py.File(velox[0]) as file:
        streams = [group["Data"][:, 0] for group in file["Data/SpectrumStream"].values()]
        (metadata, *_) = [g["Metadata"][:, 0] for g in file["Data/SpectrumStream"].values()]
        (stored,) = [
            group["Data"][:, :, 0]
            for group in file["Data/Image"].values()
            if group["Data"].shape[:2] == (128, 128)
        ]
    # a stream holds the channel of each count; 65535 goes on to the next pixel
    counts = sum(np.bincount(s[s != 65535], minlength=4096) for s in streams)
    np.testing.assert_array_equal(series.spectra[0], counts)
    # the only image of the scan, though it is called "a"
    np.testing.assert_array_equal(series.haadf[0], stored)
    np.testing.assert_allclose(series.pixel_size, 158.658038, rtol=1e-6)
    detectors = metadata.tobytes().decode()
    (first,) = set(re.findall(r'"OffsetEnergy":\s*"(.*?)"', detectors))
    (step,) = set(re.findall(r'"Dispersion":\s*"(\d+)"', detectors))
    np.testing.assert_allclose(
        series.energies, (float(first) + float(step) * np.arange(4096)) / 1000
    )


def test_velox_files_of_version_11_are_read(velox):
    with pytest.warns(UserWarning, match=r"SI_empty selection\.emd has 65535 in every pixel"):
        series = read(velox[1], angles=[0])
    assert series.haadf.shape == (1, 16, 20) and series.spectra.sum() == 72
    np.testing.assert_allclose(series.pixel_size, 1.99684875, rtol=1e-6)


def test_velox_files_need_no_place_for_compiled_code(velox, tmp_path, monkeypatch):
    """Neither the package nor a home can be written to, as in containers and on clusters."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "sitecustomize.py").write_text(
        "import numba.core.caching as caching\n"
        "ensure = caching._CacheLocator.ensure_cache_path\n"
        "def refuse(self):\n"
        f"    if not self.get_cache_path().startswith({str(scratch)!r}):\n"
        "        raise OSError('read-only file system')\n"
        "    ensure(self)\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"
    )
    monkeypatch.setenv("TMPDIR", str(scratch))
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with files.Reader() as reader:
        assert (
            sum(s.data.sum() for s in reader.read(velox[1]) if s.kind and s.data is not None) == 72
        )
    assert not list(scratch.iterdir())


def test_velox_images_are_the_mean_of_all_frames(velox, tmp_path):
    """The spectra are those of all frames; one of them would be a noisier image."""
    path = shutil.copy(velox[1], tmp_path / "0.emd")
    frames = np.random.default_rng(0).poisson(9.0, (16, 20, 5)).astype(np.uint16)
    with h5py.File(path, "r+") as file:
        (group,) = file["Data/Image"].values()
        del group["Data"]
        group.create_dataset("Data", data=frames, chunks=(16, 20, 1))
    series = read(path, angles=[0])
    np.testing.assert_allclose(series.haadf[0], frames.mean(axis=-1), rtol=1e-6)


@pytest.mark.slow
def test_jeol_files_are_read():
    series = read(measured("cases/jeol/rawdata.ASW"), angles=[0])
    assert series.haadf.shape == (1, 512, 512) and series.haadf.sum() == 137518  # its IMG1
    assert series.spectra.sum() == 308261
    np.testing.assert_allclose(series.pixel_size, 8.69140625)


OTHERS = ["BF", "ABF", "DF4", "DF-S", "ADF", "BSE", "SE", "Bright Field", "iDPC"]
MAPS = ["Au", "Au_Ka", "Fe-EELS", "C K"]


@pytest.mark.parametrize("title", OTHERS + MAPS)
def test_an_image_that_says_it_is_another_is_not_taken(tmp_path, title):
    path = save(tmp_path / "x.hspy", spectra(), image(title))
    with pytest.raises(ValueError, match=rf'x\.hspy holds 0 images.*{title}.*haadf="title"'):
        read(path, angles=[0])
    named = read(path, angles=[0], haadf=title.lower())
    np.testing.assert_array_equal(named.haadf[0], image()["data"])


@pytest.mark.parametrize("title", ["", "a", "Ch 1", "Image 1", "STEM", "DCFI(HAADF)", "haadf 2"])
def test_the_only_image_of_the_scan_is_taken(tmp_path, title):
    others = [image("BF"), image("Au"), image("overview", (9, 9))]
    path = save(tmp_path / "x.hspy", *others, spectra(), image(title))
    assert read(path, angles=[0]).haadf.shape == (1, *IMAGE)


def test_of_two_haadf_images_one_is_asked_for(tmp_path):
    other = signal("HAADF 2", image()["data"] + 1, axes=image()["axes"])
    path = save(tmp_path / "x.hspy", spectra(), image(), other)
    with pytest.raises(ValueError, match=r"2 images.*'HAADF' .*'HAADF 2'.*haadf="):
        read(path, angles=[0])
    two = read(path, angles=[0], haadf="HAADF 2").haadf
    np.testing.assert_array_equal(two[0], other["data"])
    with pytest.raises(ValueError, match="holds 0 images .* called 'BF'"):
        read(path, angles=[0], haadf="BF")


def test_an_overview_of_the_same_name_is_told_by_its_pixels(tmp_path):
    overview = signal("HAADF", image()["data"] + 1, axes=image(scale=100.0)["axes"])
    path = save(tmp_path / "x.hspy", overview, spectra(), image())
    for options in ({}, {"haadf": "HAADF"}):
        np.testing.assert_array_equal(read(path, angles=[0], **options).haadf[0], image()["data"])


def test_a_missing_package_is_said(tmp_path, monkeypatch):
    path = save(tmp_path / "0.hspy", spectra(), image())
    (tmp_path / "rsciio").mkdir()
    (tmp_path / "rsciio" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'rsciio'\")"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        files.Reader() as reader,
        pytest.raises(ImportError, match=r"0\.hspy .*'rsciio'.*pip install \"hebt\[io\]\""),
    ):
        reader.read(path)


# --- units ---


@pytest.mark.parametrize("units", [None, "", "channels", "V"])
def test_energies_without_a_known_unit_are_refused(tmp_path, units):
    path = save(tmp_path / "x.hspy", spectra(units=units), image())
    with pytest.raises(ValueError, match=r"x\.hspy: Energies .*expected keV or eV"):
        read(path, angles=[0])


@pytest.mark.parametrize(
    ("units", "factor"), [("keV", 1), ("kev", 1), (" KeV", 1), ("eV", 1000), ("ev", 1000)]
)
def test_energy_units_may_be_written_oddly(tmp_path, units, factor):
    axis = {"units": units, "scale": 0.01 * factor, "offset": -0.1 * factor}
    path = save(tmp_path / "x.hspy", spectra(**axis), image())
    np.testing.assert_allclose(read(path, angles=[0]).energies, -0.1 + 0.01 * np.arange(1024))


def test_pixels_are_compared_with_their_units(tmp_path):
    same = save(tmp_path / "same.hspy", spectra(), image(units="µm", scale=0.0025))
    assert read(same, angles=[0]).pixel_size == 2.5
    other = save(tmp_path / "other.hspy", spectra(), image(units="µm", scale=2.5))
    with pytest.raises(ValueError, match=r"other\.hspy: pixels have sides of 2\.5, 2500 nm"):
        read(other, angles=[0])
    cube = spectra()
    cube["axes"][1] |= {"units": "m", "scale": 2.5e-8}
    with pytest.raises(ValueError, match=r"sides of 2\.5, 25 nm.*square"):
        read(save(tmp_path / "wide.hspy", cube, image()), angles=[0])
    cube["axes"][1] |= {"units": "px", "scale": 1.0}
    with pytest.raises(ValueError, match=r"pixels\.hspy: Pixels are measured in 'px'"):
        read(save(tmp_path / "pixels.hspy", cube, image()), angles=[0])
    cube["axes"][1] |= {"units": "nm", "scale": 0.0}
    with pytest.raises(ValueError, match=r"zero\.hspy: the axis 'x' has the scale 0"):
        read(save(tmp_path / "zero.hspy", cube, image()), angles=[0])


def test_oblong_pixels_of_a_real_file_are_refused():
    """RosettaSciIO gives this file's spectrum image the height of a pixel on both axes."""
    path = measured("eds-reader-files/bcf_v2_50x50px.bcf")
    with pytest.raises(ValueError, match=r"bcf_v2_50x50px\.bcf: .*11\.808, 12\.731 nm.*square"):
        read(path, angles=[0])


# --- counts ---


def test_spectra_of_real_numbers_are_not_cut_to_whole_ones(tmp_path):
    data = np.full(CUBE, 0.25, np.float32)
    path = save(tmp_path / "x.hspy", spectra(data=data), image())
    np.testing.assert_allclose(read(path, angles=[0]).spectra[0], 0.25 * 42)


def test_files_without_counts_are_refused(tmp_path):
    path = save(tmp_path / "x.hspy", spectra(data=np.zeros(CUBE, np.uint8)), image())
    with pytest.raises(ValueError, match=r"x\.hspy holds no X-ray counts"):
        read(path, angles=[0])


def test_values_that_are_no_numbers_are_refused(tmp_path):
    for place, title in enumerate(("spectra", "image")):
        signals = [spectra(data=np.ones(CUBE, np.float32)), image()]
        signals[1]["data"] = signals[1]["data"].astype(np.float32)
        signals[place]["data"][1, 2] = np.nan
        path = save(tmp_path / f"{title}.hspy", *signals)
        with pytest.raises(ValueError, match=rf"{title}\.hspy .*NaN or infinite"):
            read(path, angles=[0])


def test_other_formats_are_refused_by_name(tmp_path):
    for name in ("series.mrc", "image.tif", "evil.npy", "noending"):
        (tmp_path / name).write_bytes(b"whatever")
        with pytest.raises(ValueError, match=rf"{name} is of no format .*\.bcf, \.emd, \.hspy"):
            read(tmp_path / name, angles=[0])
    with pytest.raises(FileNotFoundError, match=r"nothing\.bcf does not exist"):
        read(tmp_path / "nothing.bcf", angles=[0])
    series = measured("cases/etspy_HAADF_91tilts.dm3")
    with pytest.raises(ValueError, match=r"etspy_HAADF_91tilts\.dm3 holds 0 EDS spectrum images"):
        read(series, angles=[0])


# --- angles ---


def names(*stems):
    return [Path(f"{stem}.bcf") for stem in stems]


def test_names_that_are_tilts_count_where_the_stage_stands_still():
    for stems in (("-40", "0", "35"), ("-5", "-4", "-3"), ("+1.5", "-1.5", "0"), ("10", "15")):
        for stage in (None, 0.0, 12.0):
            tilts, source = tilts_of(names(*stems), [stage] * len(stems), None)
            np.testing.assert_array_equal(tilts, [float(s) for s in stems])
            assert source == "names"
    tilts, _ = tilts_of(names("\N{MINUS SIGN}40deg", "7.5°"), [None, None], None)
    np.testing.assert_array_equal(tilts, [-40, 7.5])


def test_the_stage_counts_where_it_moved():
    stage = [-60.02, 0.01, 59.97]
    for stems in (("001", "002", "003"), ("a", "b", "c"), ("-60", "0", "60"), ("40_2", "x", "y")):
        tilts, source = tilts_of(names(*stems), stage, None)
        np.testing.assert_array_equal(tilts, stage)
        assert source == "stage"


@pytest.mark.parametrize(
    ("stems", "stage"),
    [
        (("40_2", "45_2"), [None, None]),  # Python reads 40_2 as 402
        (("001", "002", "003", "004", "005", "006", "007"), [0.0] * 7),
        (("1", "2", "3"), [None] * 3),
        (("0", "1", "2"), [0.01, 0.02, 0.0]),
        (("010", "020"), [None, None]),
        (("1e1", "inf"), [None, None]),
        (("nan", "0"), [None, None]),
        (("-40", "map"), [None, None]),
        (("a", "b"), [-60.0, None]),
        (("-40", "40"), [40.0, -40.0]),  # a contradiction
        (("-60", "60"), [-60.0, 57.0]),
    ],
)
def test_uncertain_tilts_are_an_error_that_shows_what_was_found(stems, stage):
    with pytest.raises(ValueError, match=r"not certain.*angles=.*\"names\" or \"stage\"") as error:
        tilts_of(names(*stems), stage, None)
    shown = [f"{stems[0]}.bcf", f"{stems[-1]}.bcf"]
    shown += ["nothing" if s is None else f"{s:g}" for s in stage[:1] + stage[-1:]]
    assert all(text in str(error.value) for text in shown)


def test_a_source_can_be_asked_for():
    stems, stage = names("1", "2", "3"), [30.0, 0.0, -30.0]
    assert tilts_of(stems, stage, "names")[0].tolist() == [1, 2, 3]
    assert tilts_of(stems, stage, "stage")[0].tolist() == stage
    with pytest.raises(ValueError, match="not certain"):
        tilts_of(names("a", "b"), [1.0, 2.0], "names")
    with pytest.raises(ValueError, match="not certain"):
        tilts_of(stems, [1.0, None, 3.0], "stage")
    with pytest.raises(ValueError, match="angles is 'index'"):
        tilts_of(stems, stage, "index")
    # before any file is opened
    with pytest.raises(ValueError, match="angles is 'index'"):
        read("no file.hspy", angles="index")
    with pytest.raises(ValueError, match="not certain"):
        read("no file.hspy", angles="names")
    with pytest.raises(ValueError, match="a tilt twice"):
        tilts_of(stems, [1.0, 1.0, 3.0], "stage")


def test_the_series_says_where_its_tilts_come_from(tmp_path):
    """Running numbers, while the stage goes from 60 down: sorted by the stage."""
    paths = [
        save(tmp_path / f"00{n}.hspy", spectra(tilt=60.0 - 30 * n), signal("HAADF", made))
        for n, made in enumerate(np.arange(1, 6)[:, None, None] * np.tri(*IMAGE))
    ]
    series = read(*paths)
    np.testing.assert_array_equal(series.angles, [-60, -30, 0, 30, 60])
    np.testing.assert_array_equal(series.haadf[:, 0, 0], [5, 4, 3, 2, 1])
    assert series.angles_from == "stage" and "(source: stage)" in repr(series)
    assert series.pick("Cu_Ka").angles_from == "stage"
    by_name = read(*paths[::-1], angles="names")
    np.testing.assert_array_equal(by_name.haadf[:, 0, 0], [1, 2, 3, 4, 5])
    given = read(*paths[:2], angles=[7, -7])
    np.testing.assert_array_equal(given.haadf[:, 0, 0], [2, 1])


def test_velox_stages_are_read_in_degrees(velox, tmp_path):
    """Velox writes radians."""
    paths = []
    for tilt in (-30, 45):
        paths.append(tmp_path / f"map {tilt + 100}.emd")
        shutil.copy(velox[1], paths[-1])
        with h5py.File(paths[-1], "r+") as file:
            groups = [*file["Data/SpectrumStream"].values(), *file["Data/Image"].values()]
            for metadata in (group["Metadata"] for group in groups if "Metadata" in group):
                for column in range(metadata.shape[1]):
                    text = metadata[:, column].tobytes().decode().rstrip("\0")
                    new = re.sub(
                        r'("AlphaTilt":\s*)"[^"]*"', rf'\1"{np.deg2rad(tilt):.9f}"', text
                    ).encode()
                    metadata[:, column] = np.frombuffer(
                        new.ljust(metadata.shape[0], b"\0"), np.uint8
                    )
    with pytest.warns(UserWarning, match="in every pixel"):
        series = read(*paths)
    np.testing.assert_allclose(series.angles, [-30, 45], atol=1e-3)
    assert series.angles_from == "stage"


@pytest.mark.parametrize("several", ["0.hspy", Path("0.hspy"), {"Cu_Ka", "O_Ka"}, 5, None])
def test_one_is_not_taken_for_many_and_order_matters(several):
    with pytest.raises(TypeError, match="files is .*expected one file per tilt"):
        io.read_tilt_series(several, lines=["Cu_Ka"])
    with pytest.raises(TypeError, match="lines is .*expected X-ray lines"):
        io.read_tilt_series(["0.hspy"], lines=several)
    with pytest.raises(TypeError, match="haadf is 3"):
        io.read_tilt_series(["0.hspy"], lines=["Cu_Ka"], haadf=3)


@pytest.mark.xfail(strict=True, raises=AttributeError, reason="needs zarr 2; its extra says zarr<3")
def test_rosettasciio_saves_zspy_with_this_zarr(tmp_path):
    """Once it does, README need no longer say that signals are saved as .hspy."""
    io.to_signal(np.ones((3, 4, 5)), pixel_size=1.0).save(tmp_path / "x.zspy")


@pytest.mark.parametrize("stems", [("1015", "1030"), ("20181129", "20181202"), ("100", "200")])
def test_times_and_dates_are_no_tilts(stems):
    with pytest.raises(ValueError, match="tilts of the files are not certain.*within 180.*angles="):
        tilts_of(names(*stems), [None] * len(stems), None)


def test_what_is_no_file_is_said_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "-10.bcf")
    (tmp_path / "10.hspy").mkdir()
    for name in ("-10.bcf", "10.hspy"):
        with pytest.raises(ValueError, match=f"{name} is no file; expected one of a microscope"):
            read(tmp_path / name)


def test_a_file_counts_once(tmp_path):
    path = saved(tmp_path, "hspy", spectra(), image())
    same = path.parent / ".." / path.parent.name / path.name
    with pytest.raises(ValueError, match="files names a file twice"):
        read(path, same, angles=[0, 5])


def test_a_process_that_cannot_start_is_no_damaged_file(tmp_path, monkeypatch):
    path = saved(tmp_path, "hspy", spectra(), image())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with files.Reader() as reader, pytest.raises(RuntimeError, match="No process can be started"):
        reader.read(path)
