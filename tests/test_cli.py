"""The command hebt: from files to saved volumes, with exit codes, and nothing lost on the way."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from test_io_files import energy, image, length, measured, save, spectra, write_stacks
from test_io_files import signal as saved_signal

import hebt
from hebt import io
from hebt._cli import run as steps
from hebt._cli.commands import hebt as command
from hebt.io import beside, files, reading, survey, tilt_series
from hebt.reconstruct import reconstruct as of_arrays

TILTS = np.arange(-70, 71, 20)
SIZE, SLICES = 16, 4
START = [sys.executable, "-c", "from hebt._cli import main; main()"]


@pytest.fixture(autouse=True, scope="module")
def one_child():
    """One process for all tests of this module, which would spend their time on starting it."""
    with pytest.MonkeyPatch.context() as patch, files.Reader() as reader:
        for module in (tilt_series, reading, beside, survey):
            patch.setattr(module, "Reader", lambda: contextlib.nullcontext(reader))
        yield


def call(*args, code=0, **options):
    """Run the command in this process; return the result after checking its exit code."""
    done = CliRunner().invoke(command, [str(a) for a in args], **options)
    assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
    assert "Traceback" not in done.output
    return done


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """A simulated particle as stacks of HAADF and of counted maps."""
    folder = tmp_path_factory.mktemp("stacks")
    return write_stacks(folder, TILTS, (SLICES, SIZE))


@pytest.fixture
def per_tilt(tmp_path):
    """One file per tilt, called like options."""
    folder = tmp_path / "tilts"
    folder.mkdir()
    for tilt in (-20, 0, 20):
        save(folder / f"{tilt}.hspy", spectra(), image())
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A simulated particle of copper and iron, one file per tilt."""
    folder = tmp_path_factory.mktemp("scans") / "tilts"
    folder.mkdir()
    tilts = np.arange(-60, 61, 30)
    W = hebt.Projector(tilts, SIZE)
    density = np.stack([hebt.simulate.phantom(SIZE).density] * 2, axis=1)
    haadf = hebt.simulate.haadf_tilt_series(W, density, [50, 40])
    emitted = np.moveaxis([W.forward(d) for d in density], 0, -1)  # (tilts, slices, size, 2)
    counts = np.random.default_rng(3).poisson(0.02 + 0.3 * emitted @ shapes(8.046, 6.404))
    pixels = [length("y", 2), length("x", SIZE)]
    flat = [{**axis, "navigate": False} for axis in pixels]
    for i, tilt in enumerate(tilts):
        cube = saved_signal("EDS", counts[i].astype(np.uint16), "EDS_TEM", axes=[*pixels, energy()])
        save(folder / f"{tilt}.hspy", cube, saved_signal("HAADF", haadf[i], axes=flat))
    return folder


def shapes(*energies):
    """Peaks of lines as a detector sees them, (lines, channels), 1 at most."""
    channels = -0.1 + 0.01 * np.arange(1024)
    width = hebt.prepare.line_width(np.array(energies), 130)[:, None] / 2.3548
    return np.exp(-((channels - np.array(energies)[:, None]) ** 2) / (2 * width**2))


# --- reconstruct ---


def test_files_become_the_volumes_that_the_same_calls_give(stacks, tmp_path):
    target = tmp_path / "particle.vti"
    done = call(
        *("reconstruct", stacks, "--remove-offset", "--bin", 2, "--method", "hebt"),
        *("--alpha", 0.5, "--iterations", 7, "-o", target),
    )
    assert done.stdout.strip() == str(target)
    for said in ("Reading", "remove offset", "bin by 2", "response ratios", "7 iterations"):
        assert said in done.stderr
    series = io.read(stacks).remove_offset().bin(2)
    W = hebt.Projector(TILTS, SIZE // 2)
    ratios = hebt.response_ratios(series.haadf, series.maps).ratios
    expected = of_arrays(W, series.haadf, series.maps, ratios, alpha=0.5, iterations=7)
    saved = io.load(target)
    np.testing.assert_array_equal(saved.x, expected)
    assert saved.elements == series.elements and saved.pixel_size == pytest.approx(3.0)
    assert saved.settings["iterations"] == 7 and saved.settings["alpha"] == 0.5
    assert [step["step"] for step in saved.history] == ["read", "remove_offset", "bin"]
    assert set(saved.inputs) == {"HAADF.mrc", "Au.mrc", "Ag.mrc"}


def test_a_flat_specimen_is_cropped_before_it_is_binned(stacks, tmp_path):
    target = tmp_path / "particle.vti"
    options = ("--crop-flat", 12, "--bin", 2, "--method", "hebt", "--iterations", 1)
    call("reconstruct", stacks, *options, "-o", target)
    saved = io.load(target)
    assert [step["step"] for step in saved.history] == ["read", "crop_flat", "bin"]
    assert saved.x.shape == (2, SLICES // 2, 6, 6)


def test_saved_volumes_have_their_spacing_for_vtk(stacks, tmp_path):
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    target = tmp_path / "particle.vti"
    call("reconstruct", stacks, "--method", "hebt", "--iterations", 2, "-o", target)
    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(target))
    reader.Update()
    assert reader.GetOutput().GetSpacing() == pytest.approx((1.5, 1.5, 1.5))
    assert reader.GetOutput().GetDimensions() == (SIZE, SIZE, SLICES)


def test_images_are_cropped_before_they_are_binned(stacks, tmp_path):
    target = tmp_path / "particle.vti"
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 2, "-o", target)
    done = call(*options, "--bin", 3, code=1)
    assert "crop(slices=2)" in done.stderr or "take another factor" in done.stderr
    done = call(*options, "--crop", "12", "--bin", 4)
    assert "crop to size 12" in done.stderr
    assert io.load(target).x.shape == (2, 1, 3, 3)
    call(*options, "--crop", "12,2", "--bin", 2, "--overwrite")
    expected = io.read(stacks).crop(size=12, slices=2).bin(2).reconstruct("hebt", 2)
    np.testing.assert_array_equal(io.load(target).x, expected.x)
    for wrong in ("12,2,2", "wide", "0"):
        call(*options, "--crop", wrong, code=2)


@pytest.mark.parametrize(
    ("options", "method"),
    [
        pytest.param((), "CompositionEM", marks=pytest.mark.slow),
        (("--method", "composition-em", "--kernel", 1), "CompositionEM"),
        (("--method", "fused"), "Fused"),
        pytest.param(
            ("--method", "guided-tv", "--strength", 1), "GuidedTV", marks=pytest.mark.slow
        ),
    ],
)
def test_each_method_has_a_name(stacks, tmp_path, options, method):
    target = tmp_path / "particle.vti"
    call("reconstruct", stacks, "--iterations", 2, "-o", target, *options)
    assert io.load(target).method == method


def test_stacks_can_be_named_one_by_one(stacks, tmp_path):
    named = ("--haadf", stacks / "HAADF.mrc", "--map", f"Au={stacks / 'Ag.mrc'}")
    assert re.search(r"maps of Au\nmap +counts", call("info", *named).stdout)
    target = tmp_path / "one.mrc"
    done = call("reconstruct", *named, "--method", "hebt", "--iterations", 2, "-o", target)
    assert str(target) in done.stdout.splitlines()
    call("info", *named, stacks, code=2)
    call("info", "--haadf", stacks / "HAADF.mrc", "--map", "Au", code=2)
    call("info", code=2)


def test_spectrum_images_become_volumes(scans, tmp_path):
    target = tmp_path / "p.hspy"
    options = ("--method", "hebt", "--iterations", 2, "-l", "Cu", "-l", "Fe_Ka")
    call("reconstruct", scans, *options, "-o", target)
    assert io.load(target).elements == ("Cu", "Fe")
    done = call("reconstruct", scans, "-o", tmp_path / "q.vti", code=1)
    assert "lines is None" in done.stderr and "(Here: --lines.)" in done.stderr


# --- nothing is lost, and nothing is begun in vain ---


@pytest.mark.parametrize("ending", [".vti", ".mrc"])
def test_what_is_there_is_refused_before_anything_is_read(stacks, tmp_path, monkeypatch, ending):
    target = tmp_path / f"particle{ending}"
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 2, "-o", target)
    call(*options)
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(steps, "read", lambda *_, **__: pytest.fail("files were read"))
        done = call(*options, code=1)
    assert "is there already" in done.stderr and "--overwrite" in done.stderr
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == kept
    call(*options[:-3], 3, "-o", target, "--overwrite")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} != kept


def test_a_map_that_is_there_is_refused_before_it_is_computed(stacks, tmp_path, monkeypatch):
    (tmp_path / "particle_Au.mrc").write_text("another's")
    monkeypatch.setattr(
        io.TiltSeries, "reconstruct", lambda *_, **__: pytest.fail("it was computed")
    )
    done = call("reconstruct", stacks, "-o", tmp_path / "particle.mrc", code=1)
    assert "particle_Au.mrc is there already" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["particle_Au.mrc"]


@pytest.mark.parametrize(
    ("target", "said"),
    [("particle.xyz", "expected a name that ends in"), ("no/particle.vti", "no folder")],
)
def test_where_nothing_can_be_written_nothing_is_read(stacks, tmp_path, monkeypatch, target, said):
    monkeypatch.setattr(steps, "read", lambda *_, **__: pytest.fail("files were read"))
    assert said in call("reconstruct", stacks, "-o", tmp_path / target, code=1).stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_read(
    stacks, tmp_path, monkeypatch
):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(steps, "read", lambda *_, **__: pytest.fail("files were read"))
    for name in ("save", "locked"):
        with monkeypatch.context() as patch:
            patch.setattr(steps, name, refused)
            done = call("reconstruct", stacks, "-o", tmp_path / "particle.vti", code=1)
        assert re.search(
            r"--output is .*particle\.vti, but .*denied.*; expected .*Give", done.stderr
        )
    assert not list(tmp_path.iterdir())


def test_two_runs_at_once_do_not_write_the_same_volumes(stacks, tmp_path, monkeypatch):
    """The second ends before it reads; the first has its volumes as if it had been alone."""
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 2, "-o")
    call(*options, tmp_path / "alone.vti")
    original, seen = io.TiltSeries.reconstruct, []

    def with_another(series, *args, **kept):
        with monkeypatch.context() as patch:
            patch.setattr(steps, "read", lambda *_, **__: pytest.fail("files were read"))
            for more in ((), ("--overwrite",), ("--anew",)):
                seen.append(call(*options, tmp_path / "particle.vti", *more, code=1).stderr)
        return original(series, *args, **kept)

    monkeypatch.setattr(io.TiltSeries, "reconstruct", with_another)
    call(*options, tmp_path / "particle.vti")
    assert len(seen) == 3
    for said in seen:
        assert re.search(rf"particle\.vti is being written by process {os.getpid()} on .*", said)
    assert {p.name for p in tmp_path.iterdir()} == {"alone.vti", "particle.vti"}
    first, second = (io.load(tmp_path / name).x for name in ("alone.vti", "particle.vti"))
    np.testing.assert_array_equal(first, second)


@pytest.fixture
def interrupted_at(monkeypatch):
    """Let Ctrl-C come in an iteration, once for each number."""
    original = io.TiltSeries.reconstruct

    def set_to(*iterations):
        left = list(iterations)

        def interrupted(series, *args, callback, **options):
            at = left.pop(0) if left else None

            def watched(n, *rest):
                if n == at:
                    signal.raise_signal(signal.SIGINT)
                return callback(n, *rest)

            return original(series, *args, callback=watched, **options)

        monkeypatch.setattr(io.TiltSeries, "reconstruct", interrupted)

    return set_to


EXACT = {
    "hebt": ("--method", "hebt"),
    "em": ("--method", "composition-em", "--kernel", 1),
    "fused": ("--method", "fused"),
}


@pytest.mark.parametrize(
    ("method", "ending"), [("hebt", ".mrc"), ("em", ".vti"), ("fused", ".vti"), ("fused", ".mrc")]
)
def test_an_interrupted_call_goes_on_to_the_same_volumes(
    stacks, tmp_path, interrupted_at, method, ending
):
    """30 = 10 + 12 + 8, to the last bit."""
    target, kept = tmp_path / f"particle{ending}", tmp_path / f"particle.interrupted{ending}"
    options = ("reconstruct", stacks, *EXACT[method], "--iterations", 30)
    interrupted_at(10, 12)
    done = call(*options, "-o", target, code=130)
    assert f"10 iterations are in {kept}" in done.stderr
    about = dict(io.load(kept).about)
    momentum = about.pop("momentum", None)
    assert not target.exists() and about == {"interrupted after": 10}
    assert (momentum is not None and max(momentum) > 1) == (method == "fused")
    done = call(*options, "-o", target, code=130)
    assert "Going on after 10 iterations" in done.stderr and "22 iterations are in" in done.stderr
    done = call(*options, "-o", target)
    assert "Going on after 22 iterations" in done.stderr and "nearly" not in done.stderr
    assert not list(tmp_path.glob("*interrupted*"))
    call(*options, "-o", tmp_path / f"whole{ending}")
    whole, went_on = io.load(tmp_path / f"whole{ending}"), io.load(target)
    np.testing.assert_array_equal(whole.x, went_on.x)
    np.testing.assert_allclose(whole.residuals.eds, went_on.residuals.eds, rtol=1e-6)
    assert went_on.settings == whole.settings and went_on.about == {"went on after": 22}
    assert went_on.residuals.iterations == 30


def test_what_is_kept_has_a_name_of_its_own_whatever_the_output_is_called(
    stacks, tmp_path, interrupted_at
):
    """Brackets are no pattern, and a kept run may be called otherwise."""
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 9)
    target = tmp_path / "scan[1].vti"
    interrupted_at(4, 5)
    call(*options, "-o", target, code=130)
    call(*options, "-o", target, "--anew", code=130)
    kept = tmp_path / "scan[1].interrupted.vti", tmp_path / "scan[1].interrupted-2.vti"
    assert [io.load(place).about["interrupted after"] for place in kept] == [4, 5]
    other = kept[1].rename(tmp_path / "kept.vti")
    call(*options, "-o", target, "--start", other)
    assert io.load(target).about == {"went on after": 5}


@pytest.mark.parametrize("interrupted", [False, True])
def test_volumes_whose_place_cannot_be_written_any_more_are_saved_elsewhere(
    stacks, tmp_path, monkeypatch, interrupted_at, interrupted
):
    """As on a disk that has become full since the call began."""
    target, original = tmp_path / "particle.vti", hebt.Result.save
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def full(result, path, **options):
        if path.parent == tmp_path:
            raise OSError(28, "No space left on device")
        return original(result, path, **options)

    monkeypatch.setattr(hebt.Result, "save", full)
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 5)
    if interrupted:
        interrupted_at(3)
    done = call(*options, "-o", target, code=130 if interrupted else 1)
    (place,) = tmp_path.glob("hebt-*/*.vti")
    assert "No space left" in done.stderr and f"are in {place}" in done.stderr
    monkeypatch.undo()
    if interrupted:
        call(*options, "-o", target, "--start", place)
        assert io.load(target).about == {"went on after": 3}
    call(*options, "-o", tmp_path / "whole.vti")
    found, whole = io.load(target if interrupted else place), io.load(tmp_path / "whole.vti")
    np.testing.assert_array_equal(found.x, whole.x)


def test_only_the_same_call_goes_on(stacks, tmp_path, interrupted_at):
    target, kept = tmp_path / "particle.vti", tmp_path / "particle.interrupted.vti"
    options = ("reconstruct", stacks, "--method", "hebt", "-o", target)
    interrupted_at(4)
    call(*options, "--iterations", 9, code=130)
    content = kept.read_bytes()
    for changes, said in (
        (("--iterations", 9, "--alpha", 0.4), "4 iterations of a call with other method"),
        (("--iterations", 9, "--bin", 2), "other steps, pixel size"),
        (("--iterations", 4, "--start", kept), "holds 4 iterations, and 4 are asked for"),
    ):
        assert said in call(*options, *changes, code=1).stderr
    call(*options, "--start", kept, "--anew", code=2)
    assert not target.exists()
    call(*options, "--iterations", 2, "--anew")
    assert kept.read_bytes() == content and "went on after" not in io.load(target).about
    # whatever is named stays
    call(*options, "--iterations", 9, "--start", kept, "--overwrite")
    assert kept.read_bytes() == content and io.load(target).about == {"went on after": 4}
    done = call(*options, "--start", target, "--overwrite", code=1)
    assert "holds no interrupted run" in done.stderr


def test_ctrl_c_twice_ends_at_once_and_keeps_what_was_done(stacks, tmp_path, monkeypatch):
    original = io.TiltSeries.reconstruct

    def twice(series, *args, callback, **options):
        def watched(n, *rest):
            for _ in range(2 * (n == 3)):
                signal.raise_signal(signal.SIGINT)
            return callback(n, *rest)

        return original(series, *args, callback=watched, **options)

    monkeypatch.setattr(io.TiltSeries, "reconstruct", twice)
    target = tmp_path / "particle.vti"
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 9, "-o", target)
    call(*options, code=130)
    kept = io.load(tmp_path / "particle.interrupted.vti")
    assert kept.about["interrupted after"] == 3 and kept.x.any()
    monkeypatch.undo()
    assert "nearly, not exactly, 9" in call(*options).stderr


def test_ctrl_c_while_what_was_reached_is_saved_loses_nothing(
    stacks, tmp_path, monkeypatch, interrupted_at
):
    """A large volume takes a while to save, in which the impatient press it again."""
    original = hebt.Result.save

    def slow(result, path, **options):
        signal.raise_signal(signal.SIGINT)
        return original(result, path, **options)

    monkeypatch.setattr(hebt.Result, "save", slow)
    interrupted_at(3)
    target = tmp_path / "particle.vti"
    options = ("reconstruct", stacks, "--method", "hebt", "--iterations", 9, "-o", target)
    done = call(*options, code=130)
    assert "3 iterations are in" in done.stderr
    kept = io.load(tmp_path / "particle.interrupted.vti")
    assert kept.about["interrupted after"] == 3 and kept.x.any()


# the command, which gets a SIGINT in its fifth iteration
SIGNALED = (
    "import os, signal\nfrom hebt.io import TiltSeries\nfrom hebt._cli import main\n"
    "whole = TiltSeries.reconstruct\n"
    "def signaled(*args, callback, **options):\n"
    "    def watched(n, *rest):\n"
    "        if n == 5: os.kill(os.getpid(), signal.SIGINT)\n"
    "        return callback(n, *rest)\n"
    "    return whole(*args, callback=watched, **options)\n"
    "TiltSeries.reconstruct = signaled\nmain()"
)
NEEDS_SIGINT = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a process")


@pytest.mark.slow
@NEEDS_SIGINT
def test_measured_spectra_become_volumes_that_vtk_reads_also_after_ctrl_c(tmp_path):
    """The dust of README, at six of its tilts and in coarse pixels, as the whole takes minutes."""
    from rsciio.bruker import file_reader
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    folder = measured(f"{DUST}/0.bcf").parent
    files = [str(folder / f"{tilt}.bcf") for tilt in (-40, -25, -10, 5, 20, 35)]
    target = tmp_path / "particle.vti"
    options = ["--lines", "C,Si,Fe,Pt", "--remove-offset", "--bin", "8", "--method", "fused"]
    call_ = "reconstruct", *files, *options, "-o", str(target)
    status, _, printed = python(SIGNALED, *call_)
    assert status == 130 and "the same call goes on" in printed, printed
    kept = io.load(tmp_path / "particle.interrupted.vti")
    assert 5 <= kept.about["interrupted after"] < hebt.Fused.iterations and not target.exists()
    done = subprocess.run([*START, *call_], capture_output=True, text=True)
    assert done.returncode == 0 and "nearly" not in done.stderr, done.stderr
    assert "Going on after" in done.stderr and done.stdout.strip() == str(target)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]
    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(target))
    reader.Update()
    shown = reader.GetOutput()
    haadf = next(s for s in file_reader(files[0]) if s["data"].shape == (256, 256))
    sides = [8 * a["scale"] * {"nm": 1, "µm": 1000}[a["units"]] for a in haadf["axes"]]
    assert shown.GetSpacing() == pytest.approx((sides[1], sides[1], sides[0]), rel=1e-4)
    assert shown.GetDimensions() == (32, 32, 32)
    series = io.read(files, lines=["C", "Si", "Fe", "Pt"], progress=False).remove_offset().bin(8)
    whole = series.reconstruct(hebt.Fused())
    data = shown.GetCellData() if shown.GetCellData().GetNumberOfArrays() else shown.GetPointData()
    for element, x in zip(series.elements, whole.x, strict=True):
        found = vtk_to_numpy(data.GetArray(element)).reshape(x.shape)
        np.testing.assert_array_equal(found, x)


@pytest.mark.slow
@NEEDS_SIGINT
def test_a_published_benchmark_becomes_volumes_that_vtk_reads_also_after_ctrl_c(tmp_path):
    """From .mrc and .rawtlt to .vti, in a shell; coarse pixels, as the whole takes minutes."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    folder = measured("alsiyb-phantom/Al_EDXsino.mrc").parent
    target = tmp_path / "particle.vti"
    options = ("--pixel-size", "0.8", "--crop", "297,18", "--bin", "9", "-o", str(target))
    status, _, printed = python(SIGNALED, "reconstruct", str(folder), *options)
    assert status == 130 and "the same call goes on" in printed, printed
    kept = io.load(tmp_path / "particle.interrupted.vti")
    assert kept.about["interrupted after"] >= 5 and not target.exists()
    done = subprocess.run([*START, "reconstruct", folder, *options], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == str(target), done.stderr
    assert "Going on after" in done.stderr and "nearly" not in done.stderr
    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(target))
    reader.Update()
    image = reader.GetOutput()
    assert image.GetSpacing() == pytest.approx((7.2, 7.2, 7.2))
    assert image.GetDimensions() == (33, 33, 2)
    data = image.GetCellData() if image.GetCellData().GetNumberOfArrays() else image.GetPointData()
    series = io.read(folder, pixel_size=0.8).crop(size=297, slices=18).bin(9)
    x = np.stack([vtk_to_numpy(data.GetArray(e)).reshape(2, 33, 33) for e in series.elements])
    np.testing.assert_array_equal(x, series.reconstruct().x)  # as without the interruption
    # the elements together are what HAADF shows, and each gives the counts that its maps hold
    W = hebt.Projector(series.angles, 33)
    again = np.moveaxis(W.forward(x), 1, 0)
    assert np.linalg.norm(again.sum(axis=0) - series.haadf) < 0.03 * np.linalg.norm(series.haadf)
    counts = again.sum(axis=(1, 2, 3), dtype=float) / series.ratios().ratios
    np.testing.assert_allclose(counts, series.maps.sum(axis=(1, 2, 3), dtype=float), rtol=0.02)
    assert f"total={io.load(target).settings['method']['total']!r}" in done.stderr


@NEEDS_SIGINT
def test_ctrl_c_in_a_shell_keeps_what_was_done_and_the_same_call_goes_on(stacks, tmp_path):
    target = tmp_path / "particle.vti"
    options = ("reconstruct", str(stacks), "--method", "hebt", "--iterations", "30")
    status, _, printed = python(SIGNALED, *options, "-o", str(target))
    assert status == 130, printed
    assert "Traceback" not in printed and "the same call goes on" in printed
    kept = io.load(tmp_path / "particle.interrupted.vti")
    assert 5 <= kept.about["interrupted after"] < 30 and kept.x.any()
    assert not target.exists()
    call(*options, "-o", target)
    call(*options, "-o", tmp_path / "whole.vti")
    np.testing.assert_array_equal(io.load(target).x, io.load(tmp_path / "whole.vti").x)


# --- info and lines ---

# By the data's README, and by what HyperSpy and mrcfile read: the folder or file, the options of
# the call, the exit code, and what is said. Zip archives are unpacked.
DUST = "dust-particle-L2083-K-4-1/Input"
JEOL = "cases/jeol/Sample/00_View000/View000_000000"
SAID = {
    "alsiyb-phantom": (
        (),
        0,
        "36 tilts from -175 to 0 .*\n60 x 433 pixels.*\nmaps of Al, Si, Yb(.*\n)+"
        r"Al +9633503 .*\nSi +420406 .*\nYb +102633 .*\n.*pixel size is missing",
    ),
    "cases/etspy_HAADF_91tilts.dm3": (
        (),
        0,
        "91 tilts from -90 to 90 .*\n64 x 64 pixels of 17.99 nm(.*\n)+Element maps are missing",
    ),
    "cases/test_STEM_image.dm3": ((), 1, r"an image of 68 x 68, stage at 24.95.*\n.*0 stacks"),
    "cases/needle_raw_bin2.npz": (
        (),
        0,
        "39 tilts from -76 to 76 .*file(.*\n)+Element maps are mis",
    ),
    "cases/SAIT_024_2_6.npz": ((), 1, "3 x 15 x 256 x 256(.*\n)+.*no tilt angles.*--angles"),
    "cases/msaem_Co3O4_Mn3O4.npz": (
        ("--angles", 0),
        0,
        "1 tilt from 0 to 0 .*\n400 x 400 pixels.*\nmaps of Co, Mn, O(.*\n)+Co +48 ",
    ),
    "cases/velox_emd_v11_elementSelection.zip": ((), 1, "Unpack it"),
    "eds-reader-files/velox_EELS_EDS.zip": ((), 1, "Unpack it"),
    "cases/velox_emd_v11_elementSelection.zip!SI_empty selection.emd": (
        ("--angles", 3),
        0,
        "1 tilt from 3 to 3 .*\n16 x 20 pixels of 1.997 nm\n4096 channels from .* to 20",
    ),
    "eds-reader-files/velox_EELS_EDS.zip!example_velox_EELS_EDS.emd": (
        ("--image", "a", "--angles", 0),
        0,
        "an EELS spectrum image of 16 x 20 x 2048(.*\n)+128 x 128 pixels of 158.7 nm\n4096",
    ),
    "eds-reader-files/bcf_v2_50x50px.bcf": (
        (),
        1,
        "'Ch 1'.*\n(.*\n)*.*spectrum image of 50 x 50 x 2048\n.*--image",
    ),
    "eds-reader-files/test_TEM.bcf": (
        (),
        1,
        r"'HAADF': an image of 64 x 64\n(.*\n)*.*64 x 64 x 2048\n.*not certain.*--angles",
    ),
    f"{JEOL}0.img": ((), 1, "'IMG1': an image of 512 x 512\n.*0 stacks of images"),
    f"{JEOL}1.map": ((), 1, "'C K': an image of 512 x 512\n.*0 stacks of images"),
    f"{JEOL}6.pts": (
        (),
        1,
        "spectrum image of 512 x 512 x 4096\n.*HAADF images are missing.*--haa",
    ),
    DUST: (
        (),
        0,
        "16 files; .*\n(.*\n)*16 tilts from -40 to 35 .*names.*\n256 x 256 pixels of 13.08 nm\n"
        "2048 channels from -0.471 to 20 keV\n15.81 million",
    ),
}
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=[SLOW] * (p in (DUST, f"{JEOL}6.pts"))) for p in SAID]
)
def test_public_files_give_a_right_answer_or_say_what_is_missing(place, tmp_path):
    options, code, expected = SAID[place]
    measured("README.md")
    archive, _, inside = place.partition("!")
    path = f"{os.environ['HEBT_DATA']}/{archive}"
    if inside:
        with zipfile.ZipFile(path) as file:
            path = file.extract(inside, tmp_path)
    done = call("info", path, *options, code=code)
    bare = re.sub(r"[^\n]*\r", "", done.stderr)  # of bars, which only slow machines show
    said = done.stdout + bare
    assert re.search(expected, said), said


def test_no_public_file_is_left_out():
    measured("README.md")
    root = os.environ["HEBT_DATA"]
    there = {os.path.relpath(os.path.join(f, n), root) for f, _, ns in os.walk(root) for n in ns}
    told = tuple(place.partition("!")[0] for place in SAID)
    others = (f"{JEOL}{n}.map" for n in range(2, 6))  # of other elements
    told = (*told, *others, "cases/jeol/rawdata.ASW")
    rest = {p for p in there if not p.startswith(told)}
    assert {p for p in rest if not p.endswith((".md", ".json"))} == set()


@pytest.mark.slow
def test_a_jeol_file_says_that_its_image_has_to_be_named():
    path = measured("cases/jeol/rawdata.ASW")
    assert "'Fe K': an image" in call("info", path, code=1).output
    done = call("info", path, "--image", "IMG1", "--angles", 0)
    assert "1 tilt from 0 to 0 degrees" in done.stdout


def test_a_published_file_is_one_tilt_where_its_tilt_is_said():
    path = measured("eds-reader-files/test_TEM.bcf")
    said = call("info", path, "--angles", "12.5").stdout
    assert "1 tilt from 12.5 to 12.5 degrees (source: given)" in said
    assert "64 x 64 pixels of 0.771 nm" in said and "2048 channels" in said


def test_one_file_per_tilt_may_be_called_like_an_option(per_tilt, monkeypatch):
    monkeypatch.chdir(per_tilt)
    files = sorted(p.name for p in per_tilt.iterdir())
    assert files[0].startswith("-")
    for given in (files, ["*.hspy"], ["."], [per_tilt]):
        said = call("info", *given).stdout
        assert "3 tilts from -20 to 20 degrees (source: names)" in said
        assert "'HAADF': an image of 6 x 7" in said
    call("info", "-3.hspy", code=2)
    angles = per_tilt / "angles.txt"
    angles.write_text("5\n10\n15")
    for given in (angles, "5,10,15"):
        assert "from 5 to 15" in call("info", *files, "--angles", given).stdout
    call("info", *files, "--angles", "nowhere", code=2)


def peaks(*energies):
    """A spectrum image with Gaussian peaks on a background."""
    rates = 2 + 40 * shapes(*energies).sum(axis=0)
    return np.random.default_rng(2).poisson(rates, (6, 7, 1024)).astype(np.uint16)


def test_the_lines_of_a_spectrum_are_those_that_were_put_in(tmp_path):
    path = save(tmp_path / "5.hspy", spectra(data=peaks(1.740, 6.404)), image())
    shown = [line.split() for line in call("lines", path, "--angles", 5).stdout.splitlines()[1:]]
    named = {row[0] for row in shown}
    assert {"Si_Ka", "Fe_Ka"} <= named
    for row in shown:  # others lie at the same peaks
        assert min(abs(float(row[1]) - e) for e in (1.740, 6.404)) < 0.07


def test_windows_count_what_the_maps_hold(tmp_path):
    path = save(tmp_path / "5.hspy", spectra(data=peaks(1.740, 6.404)), image())
    rows = call("lines", path, "--angles", 5, "-l", "Si,Fe").stdout.splitlines()[1:]
    maps = io.read(path, lines=["Si", "Fe"], angles=[5], progress=False).maps
    for row, counts in zip(rows, maps.sum(axis=(1, 2, 3))):
        assert float(row.split()[3]) == pytest.approx(float(counts), abs=1)
    done = call("lines", path, "--angles", 5, "-l", "Xx", code=1)
    assert "no element" in done.stderr


def test_a_line_of_another_element_in_the_window_is_named(tmp_path):
    # Ti K-beta lies at V K-alpha, with 0.15 of its counts or so
    path = save(tmp_path / "5.hspy", spectra(data=peaks(4.511)), image())
    row = call("lines", path, "--angles", 5, "-l", "Ti,Ba_La").stdout.splitlines()[2]
    assert row.startswith("Ba_La") and "Ti_Ka" in row


def test_the_lines_are_drawn_with_what_may_be_in_their_windows(tmp_path):
    path = save(tmp_path / "5.hspy", spectra(data=peaks(1.740, 4.511)), image())
    page = tmp_path / "lines.html"
    shown = call("lines", path, "--angles", 5, "-l", "Si,V", "-o", page)
    assert str(page) in shown.stderr and "V_Ka" in shown.stdout
    text = page.read_text(encoding="utf-8")
    assert (
        "data:image/png;base64," in text and 'alt="Spectrum with windows of Si Ka, V Ka."' in text
    )
    assert re.findall(r"<td>([\d.]+-[\d.]+)</td>", text) == [
        row.split()[2] for row in shown.stdout.splitlines()[1:]
    ]
    again = ("lines", path, "--angles", 5, "-l", "Si", "-o", page)
    assert "is there already" in call(*again, code=1).stderr and page.read_text() == text
    call(*again, "--overwrite")
    assert "V_Ka" not in page.read_text(encoding="utf-8")
    call("lines", path, "--angles", 5, "-o", tmp_path / "lines.txt", code=2)


def test_the_picture_names_overlaps_and_elements_without_a_map(tmp_path):
    path = save(tmp_path / "5.hspy", spectra(data=peaks(1.740, 4.511, 8.046)), image())
    series = io.read(path, lines=["Si", "Ti", "Ba_La"], angles=[5], progress=False)
    figure = io.plot_lines(series)
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"
    (axes,) = figure.axes
    written = {text.get_text(): text.get_color() for text in axes.texts}
    orange = [text for text, color in written.items() if color == "#D55E00"]
    assert orange == ["Ba La, Ti Ka"]
    assert written["Si Ka"] == "#0072B2" and written["Cu Ka?"] == "0.45"
    assert not [text for text in written if "Fe" in text or "Ni" in text], "nothing is there"


def test_without_matplotlib_a_plot_says_what_to_install(tmp_path, monkeypatch):
    path = save(tmp_path / "5.hspy", spectra(data=peaks(1.740)), image())
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    options = ("--angles", 5, "-l", "Si", "-o", tmp_path / "lines.png")
    assert 'pip install "hebt[explorers]"' in call("lines", path, *options, code=1).stderr
    assert not (tmp_path / "lines.png").exists()


def test_stacks_have_no_spectra(stacks):
    assert "holds no spectrum image" in call("lines", stacks, code=1).stderr


# --- report ---


def test_a_report_lies_beside_the_volumes(stacks, tmp_path):
    target = tmp_path / "particle.ome.tif"
    call("reconstruct", stacks, "--method", "hebt", "--iterations", 2, "-o", target)
    page = tmp_path / "particle.html"
    assert call("report", target).stdout.strip() == str(page)
    assert "HAADF.mrc" in page.read_text(encoding="utf-8")
    assert "is there already" in call("report", target, code=1).stderr
    call("report", target, "--overwrite", "--zeta-factors", "1200,900")
    call("report", target, "--zeta-factors", "many", code=2)
    call("report", tmp_path / "nothing.vti", code=1)


# --- the command itself ---


def test_versions_and_help_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"hebt": "hebt._cli:main"}
    assert call("--version").stdout.split() == ["hebt", hebt.__version__]
    text = call("--help").stdout
    for name in command.commands:
        assert name in text and call(name, "--help").stdout
    call("reconstruct", "somewhere", code=2)
    call("nonsense", code=2)
    for options in (("--kernel", 2), ("--alpha", 0.5), ("--method", "composition-em")):
        call("reconstruct", "somewhere", "-o", "a.vti", *options, code=2)


def test_readme_shows_commands_that_run(scans, monkeypatch):
    monkeypatch.chdir(scans.parent)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\s+hebt ((?:info|lines|reconstruct|report) .*)$", readme, re.MULTILINE)
    assert {line.split()[0] for line in shown} == set(command.commands) - {"data"}
    for line in shown:
        call(*shlex.split(line))
    assert io.load("particle.vti").elements == ("Cu", "Fe")
    assert os.path.exists("particle.html") and os.path.exists("lines.png")


def python(code, *args):
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom hebt._cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'scipy', 'numba', 'hyperspy', 'exspy', 'skimage', 'matplotlib', 'dask'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    assert python(code)[2] == "[]\n"


def test_without_its_library_the_command_says_what_to_install():
    code = "import sys; sys.modules['click'] = None; from hebt._cli import main; main(['--help'])"
    status, _, said = python(code)
    assert status == 1 and 'pip install "hebt[io]"' in said and "Traceback" not in said


def test_the_shell_completes_names():
    environment = {**os.environ, "_HEBT_COMPLETE": "bash_complete"}
    environment |= {"COMP_WORDS": "hebt reco", "COMP_CWORD": "1"}
    done = subprocess.run(START, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "plain,reconstruct"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_line_that_help_says_makes_bash_complete(tmp_path):
    (line,) = re.findall(r'eval "\$\(.*?\)"', " ".join(call("--help").stdout.split()))
    names = tmp_path / "hebt"
    names.write_text(f'#!/bin/sh\nexec {shlex.join(START)} "$@"\n')
    names.chmod(0o755)
    script = (
        f"{line}\ncomplete -p hebt\n"
        "for word in reco --ver; do\n"
        "  COMP_WORDS=(hebt $word) COMP_CWORD=1 COMPREPLY=()\n"
        "  $(complete -p hebt | sed 's/.*-F //; s/ .*//') hebt $word hebt\n"
        '  echo "${COMPREPLY[@]}"\ndone'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["reconstruct", "--version"], done.stderr
