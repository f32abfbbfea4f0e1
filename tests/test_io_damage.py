"""Damaged files: an error that names them, whatever they do to the process that reads them."""

import contextlib
import os
import re
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from hebt import io
from hebt.io import files, tilt_series

PLACES = 40
OPTIONS = {"lines": ["Cu_Ka"], "angles": [0], "progress": False}


def measured(place):
    """Return a file that nobody here made; skip where it is not on this machine."""
    path = Path(os.environ.get("HEBT_DATA", "")) / place
    if not path.is_file():
        pytest.skip(f"{place} is not on this machine")
    return path


def whole_files(folder):
    """Bruker files of two versions, and Velox files of two versions."""
    yield from (measured(f"eds-reader-files/{n}.bcf") for n in ("test_TEM", "bcf_v2_50x50px"))
    for place in (
        "eds-reader-files/velox_EELS_EDS.zip",
        "cases/velox_emd_v11_elementSelection.zip",
    ):
        with zipfile.ZipFile(measured(place)) as archive:
            for name in archive.namelist():
                if name.endswith(".emd"):
                    yield Path(archive.extract(name, folder))


@pytest.fixture(scope="module")
def one_child():
    """One process for all files, until one of them ends it."""
    with pytest.MonkeyPatch.context() as patch, files.Reader() as reader:
        patch.setattr(tilt_series, "Reader", lambda: contextlib.nullcontext(reader))
        patch.setattr(files, "PATIENCE", (10.0, 0.0))
        yield reader


def outcome(path):
    """Return the counts that are read; None if they are refused, -1 if they are doubted.

    An error or a warning must name the file.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            counts = io.read_tilt_series([path], **OPTIONS).spectra.sum()
        except ValueError as error:
            said, counts = [error], None
        else:
            said = [warning.message for warning in said]
    assert all(path.name in str(message) for message in said), said
    return -1 if counts and any("header" in str(message) for message in said) else counts


def places(size):
    """Where bytes are flipped: near the beginning, where most depends on each, and anywhere."""
    rng = np.random.default_rng(size)
    return [*rng.choice(4096, PLACES // 2, replace=False), *rng.integers(4096, size, PLACES // 2)]


@pytest.mark.slow
@pytest.mark.promise
def test_damaged_files_are_refused_or_read(tmp_path, one_child, promise):
    tried = cuts = flips = 0
    for path in whole_files(tmp_path):
        tried += 1
        content, right = path.read_bytes(), outcome(path)
        damaged = tmp_path / f"damaged {tried}{path.suffix}"
        for size in np.linspace(0, len(content) - 1, PLACES).astype(int):
            damaged.write_bytes(content[:size])
            assert outcome(damaged) is None, f"{path.name}, {size} of {len(content)} bytes"
            cuts += 1
        for place in places(len(content)):
            flipped = bytearray(content)
            flipped[place] ^= 0xFF
            damaged.write_bytes(flipped)
            found = outcome(damaged)
            assert found != 0, f"{path.name}, byte {place}"
            assert found in (None, -1) or abs(found - right) < 0.002 * right, f"byte {place}"
            flips += 1
    promise("damaged_files", files=tried, cuts=cuts, flips=flips)


def test_cut_files_with_a_right_header_are_refused(tmp_path, one_child):
    """What the header cannot tell: the compiled reader goes on behind the end of the data."""
    content = measured("eds-reader-files/test_TEM.bcf").read_bytes()
    path = tmp_path / "cut.bcf"
    for chunks in range(1, 81, 2):
        cut = bytearray(content[: 0x118 + 4096 * chunks])
        cut[0x148:0x14C] = chunks.to_bytes(4, "little")
        path.write_bytes(cut)
        # of 81 chunks the last hold no counts: refused, or as many counts as without a cut
        assert outcome(path) in ((None,) if chunks < 74 else (None, 26005)), chunks


def test_counts_that_the_header_does_not_know_are_said(tmp_path, one_child):
    """Its sum spectrum is the only check of the counts that Bruker's format has."""
    content = measured("eds-reader-files/test_TEM.bcf").read_bytes()
    found = re.search(rb"<Channels>[\d,]*?,([1-8])(?=\d\d,)", content)
    path = tmp_path / "changed.bcf"
    path.write_bytes(content[: found.start(1)] + b"9" + content[found.end(1) :])
    right = 26005 + (9 - int(found[1])) * 100
    with pytest.warns(UserWarning, match=rf"changed\.bcf has 26005 .* but {right} .* header"):
        io.read_tilt_series([path], **OPTIONS)


def test_a_process_that_dies_is_an_error_of_that_file(tmp_path):
    path = measured("eds-reader-files/test_TEM.bcf")
    with files.Reader() as reader:
        whole = reader.read(path)
        reader._child.kill()
        with pytest.raises(ValueError, match=r"test_TEM\.bcf cannot be read: .* crashed \(-9\)"):
            reader.read(path)
        again = reader.read(path)
        child = reader._child
    assert [s.shape for s in again] == [s.shape for s in whole]
    assert child.poll() is not None, "no process is left behind"


def test_a_file_that_takes_for_ever_is_given_up(tmp_path, monkeypatch):
    path = measured("eds-reader-files/test_TEM.bcf")
    with files.Reader() as reader:
        monkeypatch.setattr(files, "PATIENCE", (0.0, 0.0))
        with pytest.raises(ValueError, match=r"test_TEM\.bcf .* did not finish in 0 s"):
            reader.read(path)
        monkeypatch.setattr(files, "PATIENCE", (60.0, 0.0))
        assert len(reader.read(path)) == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_a_size_that_no_memory_holds_is_refused(tmp_path):
    path = tmp_path / "huge.hspy"
    with h5py.File(path, "w") as file:
        file.attrs["file_format_version"] = "3.3"
        group = file.create_group("Experiments/EDS")
        group.create_group("metadata"), group.create_group("original_metadata")
        group.create_dataset("data", (4000, 4000, 4096), np.uint8, chunks=(8, 8, 4096))
    with pytest.raises(ValueError, match=r"huge\.hspy cannot be read: .*(allocate|Memory)"):
        io.read_tilt_series([path], **OPTIONS)


def test_every_error_of_a_series_names_its_file(tmp_path, one_child):
    good = measured("eds-reader-files/test_TEM.bcf")
    bad = tmp_path / "5.bcf"
    bad.write_bytes(good.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"5\.bcf .*332055 bytes; expected 332056"):
        io.read_tilt_series([good, bad], **OPTIONS | {"angles": [0, 5]})
    bad.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"5\.bcf cannot be read: .*Bruker"):
        io.read_tilt_series([good, bad], **OPTIONS | {"angles": [0, 5]})
