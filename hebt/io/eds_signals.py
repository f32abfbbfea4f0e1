"""HyperSpy signals of EDS spectra, lazy too, in place of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .angles import check_once, same_tilt
from .files import Signal
from .scan import Scan, scan_of
from .signals import tilts_of_signal


def are_spectra(signal: Any) -> bool:
    """Whether a HyperSpy signal holds EDS spectra."""
    kind = str(signal.metadata.get_item("Signal.signal_type", ""))
    return kind.startswith("EDS") and signal.axes_manager.signal_dimension == 1


class Scans:
    """The scans of a tilt series in HyperSpy signals, of which one at a time is computed.

    Parameters
    ----------
    found
        Spectrum images, (slices, size | energy), one for each tilt, each with its HAADF image or
        all without; or one (tilt, slices, size | energy), with a stack of HAADF images elsewhere.
    image
        Title of the HAADF images; None for those that say so.

    Raises
    ------
    ValueError
        If there are other axes, not as many images as spectrum images, or stages of the two that
        contradict each other.
    """

    def __init__(self, found: Sequence[Any], image: str | None):
        self.cubes = [s for s in found if are_spectra(s)]
        self.images = [s for s in found if not are_spectra(s)]
        self.image, self.is_stack = image, self.cubes[0].data.ndim == 4
        dims = {s.data.ndim for s in self.cubes}
        if dims not in ({3}, {4}) or (self.is_stack and len(self.cubes) > 1):
            raise ValueError(
                f"files holds spectra of shape {', '.join(str(s.data.shape) for s in self.cubes)}; "
                "expected one spectrum image (slices, size | energy) for each tilt, or one of "
                "(tilt, slices, size | energy)."
            )
        if self.is_stack and self.images:
            raise ValueError(
                "files holds spectra with an axis of tilts, and images beside them; expected the "
                "spectra alone. Give the stack of HAADF images as haadf=."
            )
        if self.images and len(self.images) != len(self.cubes):
            raise ValueError(
                f"files holds {len(self.cubes)} spectrum images and {len(self.images)} images; "
                "expected a HAADF image for each, or one stack of them as haadf=."
            )
        for cube, image_ in zip(self.cubes, self.images):
            of_cube, of_image = _stage(cube), _stage(image_)
            if of_cube is None or of_image is None:
                continue
            if not same_tilt(of_cube, of_image):
                raise ValueError(
                    f"files holds spectra with the stage at {of_cube:g} degrees and, in the same "
                    f"place among the images, one at {of_image:g}; expected each image with its "
                    "spectra. Put both in one order, or all images into one stack, as haadf=."
                )

    @property
    def paths(self) -> list[Path]:
        """What to call each scan: no name that could be a tilt."""
        count = self.cubes[0].data.shape[0] if self.is_stack else len(self.cubes)
        return [Path(f"signal {i}") for i in range(count)]

    @property
    def tilts(self) -> np.ndarray | None:
        """Degrees of a stack, from its axis or metadata; None for one signal per tilt."""
        if not self.is_stack:
            return None
        cube = self.cubes[0]
        tilts, source = tilts_of_signal(cube, cube.axes_manager._axes[0])
        check_once(tilts, source)
        return tilts

    def __iter__(self) -> Iterator[Scan]:
        for i, path in enumerate(self.paths):
            if self.is_stack:
                cube, held = self.cubes[0], []
                axes = cube.axes_manager._axes[1:]
                held = [_signal(cube, np.asarray(cube.data[i]), axes, None)]
            else:
                held = [_whole(s) for s in (self.cubes[i], *self.images[i : i + 1])]
            yield scan_of(path.name, held, self.image, alone=not self.images)


def _whole(signal: Any) -> Signal:
    axes = signal.axes_manager._axes
    return _signal(signal, np.asarray(signal.data), axes, _stage(signal))


def _stage(signal: Any) -> float | None:
    """Return the degrees that a signal says its stage had."""
    tilt = signal.metadata.get_item("Acquisition_instrument.TEM.Stage.tilt_alpha", None)
    return None if tilt is None else float(tilt)


def _signal(signal: Any, data: np.ndarray, axes: Sequence[Any], tilt: float | None) -> Signal:
    """Return what `hebt.io.files.Reader` would give of a file with this signal."""
    resolution = signal.metadata.get_item(
        "Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", None
    )
    described = [
        {
            "name": str(axis.name),
            "scale": float(axis.scale) if axis.is_uniform else None,
            "offset": float(axis.offset) if axis.is_uniform else None,
            "units": None if str(axis.units) == "<undefined>" else str(axis.units),
            "navigate": bool(axis.navigate),
            "expression": None,
        }
        for axis in axes
    ]
    return Signal(
        title=str(signal.metadata.get_item("General.title", "")),
        kind=str(signal.metadata.get_item("Signal.signal_type", "")),
        shape=data.shape,
        axes=described,
        tilt=tilt,
        resolution=None if resolution is None else float(resolution),
        counts=None,
        data=data,
    )
