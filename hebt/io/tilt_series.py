"""Tilt series from the microscope's own files."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import check_angles
from .._hyperspy import hyperspy, quiet
from .._progress import progress_bar
from ..prepare.windows import EnergyWindow, element_maps, line_windows
from .signals import in_nm


@dataclass(frozen=True, repr=False)
class TiltSeries:
    """A HAADF and EDS tilt series as arrays, with what is needed to read their axes.

    Attributes
    ----------
    angles
        (tilts,), degrees.
    haadf
        (tilts, slices, size), as the detector gave it.
    maps
        (elements, tilts, slices, size), X-ray counts in the line less background.
    lines
        Names of the X-ray lines, one for each map: "O_Ka".
    pixel_size
        Length of a pixel's side, in nm.
    energies
        (channels,), keV, the centre of each channel.
    spectra
        (tilts, channels), counts: the spectrum of each tilt, added up over its pixels.
    windows
        One `EnergyWindow` per line: which energies were counted, and which as background.
    """

    angles: np.ndarray
    haadf: np.ndarray
    maps: np.ndarray
    lines: tuple[str, ...]
    pixel_size: float
    energies: np.ndarray
    spectra: np.ndarray
    windows: tuple[EnergyWindow, ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Names of the elements, one for each map: "O"."""
        return tuple(line.split("_")[0] for line in self.lines)

    def pick(self, *lines: str) -> TiltSeries:
        """Return the same series with the maps of these lines only, in this order.

        Parameters
        ----------
        *lines
            Names of X-ray lines that were mapped: "O_Ka".

        Returns
        -------
        TiltSeries
            The same series with these maps and windows alone.

        Raises
        ------
        ValueError
            If a line was not mapped, or none is given.
        """
        strange = [line for line in lines if line not in self.lines]
        if strange or not lines:
            raise ValueError(
                f"lines are {lines}; expected some of {', '.join(self.lines)}, which were mapped."
            )
        kept = [self.lines.index(line) for line in lines]
        return replace(
            self, lines=lines, maps=self.maps[kept], windows=tuple(self.windows[i] for i in kept)
        )

    def __repr__(self):
        tilts, slices, size = self.haadf.shape
        return (
            f"TiltSeries: {tilts} tilts from {self.angles.min():g} to {self.angles.max():g} "
            f"degrees\n{slices} x {size} pixels of {self.pixel_size:.4g} nm\n"
            f"maps of {', '.join(self.elements)}\n"
            f"{self.spectra.sum() / 1e6:.2f} million X-ray counts"
        )


def read_tilt_series(
    files: Iterable[str | Path],
    *,
    lines: Sequence[str],
    angles: Sequence[float] | None = None,
    avoid: Sequence[str | tuple[float, float]] = (),
    progress: bool | None = None,
) -> TiltSeries:
    """Read HAADF images and EDS spectrum images, one file per tilt, and make element maps.

    One file at a time is in memory. Any format that HyperSpy reads as an image and an EDS
    spectrum image of the same scan will do (Bruker ``.bcf``, Velox ``.emd``).

    Parameters
    ----------
    files
        One file per tilt.
    lines
        X-ray lines to map, as HyperSpy writes them: "O_Ka", "Pt_Ma".
    angles
        Tilts in degrees, one per file. Without them, each file's name is its tilt ("-40.bcf");
        what the metadata say of the stage is not used.
    avoid
        Other lines, or (from, to) in keV, to keep backgrounds clear of; see `line_windows`.
    progress
        Whether to show a progress bar; if None, where somebody can see it.

    Returns
    -------
    TiltSeries
        In rising order of the tilts.

    Raises
    ------
    ValueError
        If a file has no HAADF image, no EDS spectrum image or more than one, if files differ in
        size or calibration, or if a file's name is no tilt.
    """
    paths = [Path(f) for f in files]
    if not paths:
        raise ValueError("files is empty; expected one file per tilt.")
    tilts = _tilts_of(paths, angles)
    if isinstance(lines, str):
        raise ValueError(f"lines is {lines!r}; expected several, such as ('O_Ka', 'Fe_Ka').")

    order = np.argsort(tilts)
    paths = [paths[i] for i in order]
    haadf: list[np.ndarray] = []
    maps, spectra = [], []
    first: Any = None
    with progress_bar(len(paths), "reading tilts", progress) as bar:
        for path in paths:
            image, cube = _read(path)
            axes = _axes_of(cube)
            if first is None:
                first = axes
                windows = line_windows(
                    axes.energies, lines, avoid=avoid, resolution=axes.resolution
                )
            elif image.data.shape != haadf[0].shape or not axes.agrees(first):
                raise ValueError(
                    f"{path.name} has {image.data.shape} pixels of {axes.pixel_size:.4g} nm "
                    f"and {len(axes.energies)} channels; expected {haadf[0].shape} pixels of "
                    f"{first.pixel_size:.4g} nm and {len(first.energies)} channels, calibrated "
                    f"as in {paths[0].name}. Rebin or crop the files to one size first."
                )
            haadf.append(np.array(image.data, np.float32))
            spectra.append(np.asarray(cube.data).sum(axis=(0, 1), dtype=np.int64))
            maps.append(element_maps(cube, windows, first.energies))
            # signals refer to themselves in circles: without this, all cubes would pile up
            del image, cube
            gc.collect()
            bar.update()
    return TiltSeries(
        angles=tilts[order],
        haadf=np.stack(haadf),
        maps=np.stack(maps, axis=1),
        lines=tuple(lines),
        pixel_size=first.pixel_size,
        energies=first.energies,
        spectra=np.stack(spectra),
        windows=tuple(windows),
    )


def _tilts_of(paths: list[Path], angles: ArrayLike | None) -> np.ndarray:
    """Return the tilt of each file: as given, or its name."""
    tilts = check_angles([_tilt_of(f) for f in paths] if angles is None else angles)
    if len(tilts) != len(paths):
        raise ValueError(
            f"angles has {len(tilts)} entries, but there are {len(paths)} files; expected one "
            "tilt per file."
        )
    if len(set(tilts)) < len(tilts):
        raise ValueError(f"angles holds a tilt twice ({tilts}); expected each tilt once.")
    return tilts


def read_tomviz_shifts(
    path: str | Path, tilts: Sequence[float], keep: Sequence[float]
) -> np.ndarray:
    """Read shifts that were found by hand in Tomviz and saved as a list of [across, along].

    Parameters
    ----------
    path
        The JSON file.
    tilts
        Degrees, one per entry of the file.
    keep
        Degrees; the tilts wanted.

    Returns
    -------
    numpy.ndarray
        (len(keep), 2), pixels along (downwards, where Tomviz counts upwards) and across the tilt
        axis, as `hebt.prepare.estimate_shifts` gives them. Their medians are 0.

    Raises
    ------
    ValueError
        If the file has another number of entries than `tilts`, or a wanted tilt is not there.
    """
    pairs = np.asarray(json.loads(Path(path).read_text(encoding="utf-8")), np.float64)
    tilts = list(tilts)
    if pairs.shape != (len(tilts), 2):
        raise ValueError(
            f"{Path(path).name} holds shifts of shape {pairs.shape}; expected "
            f"{(len(tilts), 2)}, an [across, along] for each of the tilts."
        )
    absent = [t for t in keep if t not in tilts]
    if absent:
        raise ValueError(f"keep has tilts {absent}, which are not among the tilts {tilts}.")
    shifts = np.array([[-pairs[tilts.index(t), 1], pairs[tilts.index(t), 0]] for t in keep])
    return shifts - np.median(shifts, axis=0)


def _tilt_of(path):
    try:
        return float(path.stem)
    except ValueError:
        raise ValueError(
            f"The file name {path.name} is no tilt; expected names such as -40.bcf. "
            "Otherwise give the tilts as angles, in degrees, one per file."
        ) from None


def _read(path):
    hs = hyperspy()
    with quiet():
        signals = hs.load(path)
    signals = signals if isinstance(signals, list) else [signals]
    cubes = [
        s
        for s in signals
        if s.axes_manager.signal_dimension == 1
        and s.axes_manager.navigation_dimension == 2
        and "EDS" in s.metadata.get_item("Signal.signal_type", "")
    ]
    images = [s for s in signals if s.data.ndim == 2]
    if len(images) > 1:
        images = [s for s in images if re.search("haadf", s.metadata.General.title, re.IGNORECASE)]
    if len(cubes) != 1 or len(images) != 1:
        held = "; ".join(f"{s.metadata.General.title} {s.data.shape}" for s in signals)
        raise ValueError(
            f"{path.name} holds {len(images)} HAADF images and {len(cubes)} EDS spectrum images "
            f"({held}); expected one of each."
        )
    if images[0].data.shape != cubes[0].data.shape[:2]:
        raise ValueError(
            f"{path.name} has a HAADF image of {images[0].data.shape} and a spectrum image of "
            f"{cubes[0].data.shape[:2]} pixels; expected the same scan."
        )
    return images[0], cubes[0]


@dataclass(frozen=True)
class _Axes:
    pixel_size: float
    energies: np.ndarray
    resolution: float

    def agrees(self, other: _Axes) -> bool:
        return bool(
            np.isclose(self.pixel_size, other.pixel_size, rtol=1e-4)
            and self.energies.shape == other.energies.shape
            and np.allclose(self.energies, other.energies, atol=1e-5)
        )


def _axes_of(cube):
    manager = cube.axes_manager
    energy = manager.signal_axes[0]
    across = manager.navigation_axes[0]
    along = manager.navigation_axes[1]
    if not np.isclose(across.scale, along.scale, rtol=1e-3):
        raise ValueError(
            f"Pixels are {across.scale:.4g} {across.units} wide and {along.scale:.4g} "
            f"{along.units} high; expected square pixels. Rebin the data first."
        )
    resolution = cube.metadata.get_item(
        "Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", 130.0
    )
    return _Axes(
        pixel_size=across.scale * in_nm(across.units),
        energies=energy.axis * {"keV": 1.0, "eV": 1e-3}[str(energy.units)],
        resolution=float(resolution),
    )
