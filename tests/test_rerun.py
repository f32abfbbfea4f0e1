"""The cell of a report that makes a result again: real files, and equal numbers."""

import contextlib
import warnings

import mrcfile
import numpy as np
import pytest
from bs4 import BeautifulSoup
from test_io_files import CUBE, image, save, spectra, write_stacks

import hebt
from hebt import io, prepare
from hebt._report import _rerun
from hebt.io import files, reading

TILTS = np.arange(-60.0, 61, 20)
SIZE, SLICES = 16, 6
RNG = np.random.default_rng(4)


@pytest.fixture(autouse=True, scope="module")
def one_child():
    """One process for all tests of this module, which would spend their time on starting it."""
    with pytest.MonkeyPatch.context() as patch, files.Reader() as reader:
        patch.setattr(reading, "Reader", lambda: contextlib.nullcontext(reader))
        yield


@pytest.fixture(autouse=True)
def _quiet():
    """Data of chance make ratios that differ between tilts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.fixture
def stacks(tmp_path):
    """A simulated particle as stacks of HAADF, with a black level, and of counted maps."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    return write_stacks(folder, TILTS, (SLICES, SIZE), black=50)


@pytest.fixture
def scans(tmp_path):
    """Spectra with lines of copper and iron, one file per tilt."""
    folder = tmp_path / "scans"
    folder.mkdir()
    energies = -0.1 + 0.01 * np.arange(CUBE[2])
    peaks = [np.exp(-(((energies - e) / 0.07) ** 2)) for e in (8.046, 6.404)]
    for tilt in (-40, -10, 20, 50):
        counts = RNG.poisson(np.einsum("eyx,ec->yxc", RNG.random((2, *CUBE[:2])), peaks) + 0.05)
        counts = counts.astype(np.uint8)
        seen = {**image(), "data": (counts.sum(axis=2) % 251 + 9).astype(np.uint16)}
        save(folder / f"{tilt}.hspy", spectra(data=counts), seen)
    return folder


def made_again(result, folder):
    """Return what the report's cell makes, after the result was saved and loaded."""
    saved = io.load(result.save(folder / "x.vti")[0])
    cells = [code_of(one) for one in (result, saved)]
    names = {}
    exec(compile(cells[1], "cell", "exec"), names)
    np.testing.assert_array_equal(names["result"].x, result.x)
    assert names["result"].settings.keys() == result.settings.keys()
    # lists for tuples is all that JSON changes
    assert cells[0].replace("(", "[").replace(")", "]") == cells[1].replace("(", "[").replace(
        ")", "]"
    )
    return cells[1]


def code_of(result):
    """Return the cell in a report; the rest of it is made elsewhere."""
    (part,) = _rerun(result)
    return BeautifulSoup(part, "html.parser").select("pre code")[0].get_text()


SHIFTS = np.round(RNG.uniform(-1, 1, (len(TILTS), 2)), 3)
AXIS = prepare.TiltAxis(rotation=3.0, offset=0.4)


@pytest.mark.parametrize(
    "steps",
    [
        lambda s: s.remove_offset().apply_shifts(SHIFTS).bin(2).reconstruct("hebt", 4, alpha=0.6),
        lambda s: (
            s.remove_offset()
            .apply_tilt_axis(AXIS)
            .smooth(width=3, sigma=1.0, axis=(-2, -1))
            .pick("Ag", "Au")
            .crop(size=12, slices=4)
            .reconstruct(iterations=3)
        ),
        lambda s: s.turn().turn().reconstruct("hebt", 3, ratios=[30.0, 20.0], device="cpu"),
        lambda s: s.remove_offset().reconstruct(hebt.CompositionEM((0, 1), total=0.5), 3),
        lambda s: s.reconstruct("hebt", 90, stop=hebt.RelativeChange(0.1)),
    ],
)
def test_stacks_are_read_prepared_and_reconstructed_again(stacks, tmp_path, steps):
    code = made_again(steps(io.read(stacks)), tmp_path)
    assert "HAADF.mrc" in code and "assert series.inputs == {" in code


def test_spectra_are_read_prepared_and_reconstructed_again(scans, tmp_path):
    series = io.read(scans, lines=["Cu_Ka", "Fe"], avoid=["Co_Ka", (3.0, 3.1)], parts=2, seed=3)
    result = series.normalize_tilts().unmix().reconstruct(hebt.Fused(), 3)
    code = made_again(result, tmp_path)
    assert "parts = 2, seed = 3" in code


@pytest.mark.parametrize("how", ["pattern", "folder", "list"])
def test_spectra_and_haadf_in_files_of_their_own_are_read_again(tmp_path, how):
    """Files of a pattern and a list of images are paired by their tilts, then as now."""
    for folder in ("eds", "images"):
        (tmp_path / folder).mkdir()
    tilts, shown = [20, -40, 50, -10], {}
    energies = -0.1 + 0.01 * np.arange(CUBE[2])
    peak = np.exp(-(((energies - 8.046) / 0.07) ** 2))
    for tilt in tilts:
        counts = RNG.poisson(RNG.random(CUBE[:2])[..., None] * peak + 0.05).astype(np.uint8)
        save(tmp_path / f"eds/{tilt}.hspy", spectra(data=counts))
        shown[tilt] = (counts.sum(axis=2) % 251 + 9).astype(np.uint16)
        save(tmp_path / f"images/{tilt}.hspy", {**image("overview"), "data": shown[tilt]})
    images = [tmp_path / f"images/{tilt}.hspy" for tilt in tilts]
    files = {
        "pattern": str(tmp_path / "eds" / "*.hspy"),
        "folder": tmp_path / "eds",
        "list": [tmp_path / f"eds/{tilt}.hspy" for tilt in tilts],
    }[how]
    series = io.read(files, haadf=images, lines=["Cu_Ka"], progress=False)
    # by their tilts, whichever order the files of the pattern have
    np.testing.assert_array_equal(series.angles, sorted(tilts))
    np.testing.assert_array_equal(series.haadf, [shown[tilt] for tilt in sorted(tilts)])
    made_again(series.reconstruct("hebt", 3), tmp_path)


def test_one_file_of_spectra_and_one_of_haadf_are_read_again(tmp_path):
    save(tmp_path / "eds.hspy", spectra())
    save(tmp_path / "image.hspy", image("overview"))
    files = {"files": tmp_path / "eds.hspy", "haadf": str(tmp_path / "image.hspy")}
    series = io.read(**files, lines=["Cu_Ka"], angles=[3], progress=False)
    made_again(series.reconstruct("hebt", 3, ratios=[1.0]), tmp_path)


def test_a_changed_file_is_told(stacks, tmp_path):
    result = io.read(stacks).reconstruct("hebt", 2)
    page = result.report(tmp_path / "a.html").read_text(encoding="utf-8")
    code = BeautifulSoup(page, "html.parser").select("pre code")[0].get_text()
    assert code == code_of(result)
    with mrcfile.open(stacks / "Au.mrc", "r+") as file:
        file.data[0, 0, 0] += 1
    with pytest.raises(AssertionError, match="other files"):
        exec(compile(code, "cell", "exec"), {})


def test_what_is_too_large_to_print_is_said(stacks):
    series = io.read(stacks)
    masks = np.zeros(series.haadf.shape, bool)
    masks[:, :, 1:-1] = True  # where the particle may be
    mask = np.ones((SIZE, SIZE))
    for result, said in (
        (series.remove_offset(masks).reconstruct("hebt", 2), "in full: remove_offset(masks=...)"),
        (series.reconstruct("hebt", 2, mask=mask), "in full: reconstruct(mask=...)"),
        (
            series.reconstruct(hebt.Fused(variance=series.maps + 1), 2),
            "in full: reconstruct(variance=...)",
        ),
        (
            io.TiltSeries.from_arrays(
                series.haadf, dict(zip(series.elements, series.maps)), angles=TILTS, pixel_size=1
            ).reconstruct("hebt", 2),
            "from the reading of the files on",
        ),
    ):
        assert f"not recorded {said}" in "".join(_rerun(result))
