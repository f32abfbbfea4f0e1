"""What files of a tilt series hold, before lines are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._progress import progress_bar
from .angles import tilts_of
from .files import NAMED, STACKS, Reader, Signal
from .reading import found_files, given_angles, haadf_title, hold_spectra
from .scan import Scan, scan_of
from .tilt_series import asked_tilts, check_alike


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectrum images of a tilt series, one file per tilt, added up.

    Attributes
    ----------
    angles
        (tilts,), degrees, rising.
    angles_from
        Their source: "given", "names" or "stage".
    shape
        (slices, size) of each.
    pixel_size
        In nm.
    energies
        (channels,), keV.
    spectrum
        (channels,), counts of all tilts and pixels.
    resolution
        FWHM of the X-ray detector at Mn K-alpha, in eV.
    """

    angles: NDArray
    angles_from: str
    shape: tuple[int, ...]
    pixel_size: float
    energies: NDArray
    spectrum: NDArray
    resolution: float

    def __str__(self):
        low, high = self.energies[[0, -1]]
        count = f"{len(self.angles)} tilt{'s' * (len(self.angles) > 1)}"
        return (
            f"{count} from {self.angles[0]:g} to {self.angles[-1]:g} degrees "
            f"(source: {self.angles_from})\n"
            f"{self.shape[0]} x {self.shape[1]} pixels of {self.pixel_size:.4g} nm\n"
            f"{len(self.energies)} channels from {low:.3g} to {high:.3g} keV\n"
            f"{self.spectrum.sum() / 1e6:.2f} million X-ray counts"
        )


def first_file(files: Any) -> tuple[list[Path], list[Signal]]:
    """Return the files that a pattern, a folder or a list names, and what the first of them holds.

    Raises
    ------
    ValueError, FileNotFoundError
        If there is none, or it cannot be read.
    """
    found = found_files(files)
    with Reader() as reader:
        return found, reader.read(found[0], stacks=True)


def is_per_tilt(path: Path, signals: list[Signal]) -> bool:
    """Whether files like this one hold a tilt each, with spectra."""
    return path.suffix.lower() not in STACKS | NAMED and hold_spectra(signals)


def survey(
    files: Any,
    angles: Any = None,
    image: str | None = None,
    progress: bool | None = None,
    *,
    alone: bool = False,
) -> Spectra:
    """Return what spectrum images hold, held against each other as `hebt.io.read` does it.

    Parameters
    ----------
    files, angles, image, progress
        As for `hebt.io.read`.
    alone
        Whether spectra will do, without HAADF images of the same scans.

    Raises
    ------
    ValueError, FileNotFoundError
        As `hebt.io.read`; also if the files hold no spectra.
    """
    paths, first = first_file(files)
    if not is_per_tilt(paths[0], first):
        raise ValueError(
            f"{paths[0].name} holds no spectrum image ({'; '.join(map(str, first))}); expected one "
            "file per tilt, with HAADF image and EDS spectrum image."
        )
    image = None if alone else haadf_title(paths[0].name, first, image)
    del first
    wanted, given = asked_tilts(given_angles(angles), paths)
    known: Scan | None = None
    stage, total = [], np.zeros(1)
    for path, scan in _scans(paths, image, progress, alone):
        known = replace(scan, cube=np.empty(0)) if known is None else known
        check_alike(path, scan, paths[0], known)
        stage.append(scan.stage)
        total = total + scan.spectrum
    assert known is not None
    tilts, source = tilts_of(paths, stage, wanted) if given is None else (given, "given")
    return Spectra(
        np.sort(tilts),
        source,
        known.shape,
        known.pixel_size,
        known.energies,
        total,
        known.resolution,
    )


def _scans(
    paths: list[Path], image: str | None, progress: bool | None, alone: bool
) -> Iterator[tuple[Path, Scan]]:
    with Reader() as reader, progress_bar(len(paths), "reading tilts", progress) as bar:
        for path in paths:
            yield path, scan_of(path.name, reader.read(path), image, alone=alone)
            bar.update()
