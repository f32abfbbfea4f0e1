"""The HAADF image and the spectrum image of one tilt, chosen among a file's signals."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import periodictable

from .._checks import as_float32
from .._units import in_kev, in_nm
from .files import Signal

_HAADF = re.compile(r"HAADF|high[ -]?angle", re.IGNORECASE)
# other detectors and processed images; an annular dark field need not be of high angle
_OTHER = re.compile(
    r"[AC]?BF\d*|[LM]?A?A?DF\d*|BSED?|BEI|CBS|SED?|SEI|ETD|TLD|[ID]?DPC|ICOM|FFT|EELS|CETA|MAP"
    r"|BRIGHT\w*|DARK\w*|SECONDARY|BACK\w*",
    re.IGNORECASE,
)
ELEMENTS = {element.symbol for element in periodictable.elements if element.number}


@dataclass(frozen=True)
class Scan:
    """What is measured at one tilt.

    Attributes
    ----------
    image
        (slices, size), HAADF, float32; None where it lies elsewhere.
    cube
        (slices, size, channels), X-ray counts.
    spectrum
        (channels,), counts of all pixels.
    pixel_size
        In nm.
    energies
        (channels,), keV.
    resolution
        FWHM of the X-ray detector at Mn K-alpha, in eV.
    stage
        Tilt that the file says the stage had, in degrees, or None.
    shape
        (slices, size).
    """

    image: np.ndarray | None
    cube: np.ndarray
    spectrum: np.ndarray
    pixel_size: float
    energies: np.ndarray
    resolution: float
    stage: float | None
    shape: tuple[int, ...]

    def agrees(self, other: Scan) -> bool:
        """Whether the other has as many pixels and channels, calibrated in the same way."""
        return bool(
            self.shape == other.shape
            and self.energies.shape == other.energies.shape
            and np.isclose(self.pixel_size, other.pixel_size, rtol=1e-4, atol=0)
            and np.allclose(self.energies, other.energies, atol=1e-5)
        )

    def __str__(self):
        channels = len(self.energies)
        return f"{self.shape} pixels of {self.pixel_size:.4g} nm and {channels} channels"


def scan_of(
    name: str, signals: list[Signal], haadf: str | None = None, *, alone: bool = False
) -> Scan:
    """Return the HAADF image and the EDS spectrum image among a file's signals, calibrated.

    Parameters
    ----------
    name
        Of the file, for messages.
    signals
        All that the file holds.
    haadf
        Title of the HAADF image; if None, the one whose title says so, or the only image of the
        scan whose title does not say that it is something else.
    alone
        Whether to take the spectra alone, as HAADF images lie elsewhere.

    Raises
    ------
    ValueError
        If there is not one of each, if axes are given by expressions or have no units, if pixels
        are not square, or if there is no count or no intensity.
    """
    for signal in signals:
        for axis in signal.axes:
            if axis["expression"] is not None:
                raise ValueError(
                    f"{name}: the axis {axis['name']!r} of {signal} is the expression "
                    f"{str(axis['expression'])[:80]!r}; expressions in files are not run. Give it "
                    "a scale and an offset instead."
                )
    held = "; ".join(map(str, signals))
    cubes = [s for s in signals if s.data is not None and s.data.ndim == 3 and _is_cube(s)]
    if len(cubes) != 1:
        raise ValueError(
            f"{name} holds {len(cubes)} EDS spectrum images ({held}); expected one, with the axes "
            "(slices, size, energy)."
        )
    (cube,) = cubes
    shown = [s for s in signals if s.data is not None]
    image = None if alone else _image(name, shown, cube, haadf, held)
    # whole numbers stay whole, and real ones are not cut
    whole = np.int64 if cube.data.dtype.kind in "iub" else np.float64
    spectrum = cube.data.sum(axis=(0, 1), dtype=whole)
    _check_counts(name, cube, spectrum.sum(), image)
    found = None
    if image is not None:
        found = as_float32(f"the image {image.title!r} of {name}", image.data)
    return Scan(
        image=found,
        cube=cube.data,
        spectrum=spectrum,
        pixel_size=_pixel_size(name, cube, image),
        energies=_energies(name, cube),
        resolution=cube.resolution or 130.0,
        stage=next((s.tilt for s in (cube, image) if s is not None and s.tilt is not None), None),
        shape=cube.shape[:2],
    )


def _check_counts(name, cube, counts, image):
    """Refuse a scan that holds nothing, and warn of one that may be damaged."""
    if not np.isfinite(counts):
        raise ValueError(
            f"{name} has NaN or infinite values in its spectra; expected counts. Replace them, or "
            "leave this file out."
        )
    if not counts or not (image is None or image.data.any()):
        raise ValueError(
            f"{name} holds {'no image' if counts else 'no X-ray counts'}: all values "
            "are 0; expected a measurement. It may be damaged; leave this file out."
        )
    doubts = []
    if cube.counts is not None and abs(counts - cube.counts) > 1e-3 * cube.counts:
        doubts.append(
            f"{name} has {counts:.0f} X-ray counts, but {cube.counts} by the sum spectrum in its "
            "header; expected as many. It may be damaged: compare it with the original."
        )
    if image is not None and np.ptp(image.data) == 0:
        doubts.append(
            f"{name} has {image.data.flat[0]} in every pixel of {image.title!r}; expected an "
            "image. The detector may have been saturated: look at it before you go on."
        )
    for doubt in doubts:
        warnings.warn(doubt, UserWarning, stacklevel=4)


def _is_cube(signal):
    navigated = [bool(axis["navigate"]) for axis in signal.axes]
    return (
        signal.kind.startswith("EDS") and navigated == [True, True, False] and signal.shape[2] > 1
    )


def _same_pixels(one, other):
    return all(
        a["units"] == b["units"] and a["scale"] and np.isclose(a["scale"], b["scale"] or 0)
        for a, b in zip(one.axes, other.axes)
    )


def _image(name, signals, cube, haadf, held):
    """Return the HAADF image of the same scan as the cube."""
    images = [s for s in signals if s.data.ndim == 2 and s.shape == cube.shape[:2]]
    if haadf is not None:
        chosen = [s for s in images if s.title.strip().lower() == haadf.strip().lower()]
    else:
        chosen = [s for s in images if _HAADF.search(s.title)]
        chosen = chosen or [s for s in images if not _is_something_else(s.title)]
    if len(chosen) > 1:  # an overview has other pixels
        chosen = [s for s in chosen if _same_pixels(s, cube)] or chosen
    if len(chosen) != 1:
        expected = "the HAADF image" if haadf is None else f"one that is called {haadf!r}"
        raise ValueError(
            f"{name} holds {len(chosen)} images of {cube.shape[:2]} pixels, as the spectrum image "
            f"has, that can be {expected}; expected one. It holds {held}. Give the title of "
            'the right one: haadf="title".'
        )
    return chosen[0]


def is_haadf(title: str) -> bool:
    """Whether a title says HAADF, or annular dark field (ADF)."""
    words = re.split(r"[\W_]+", title.strip().upper())
    return bool(_HAADF.search(title)) or "ADF" in words


def _is_something_else(title):
    words = re.split(r"[\W_]+", title.strip())
    return words[0] in ELEMENTS or any(_OTHER.fullmatch(word) for word in words)


def _scale(name: str, axis: dict[str, Any]) -> float:
    scale = axis["scale"]
    if not isinstance(scale, float) or not scale > 0:
        raise ValueError(
            f"{name}: the axis {axis['name']!r} has the scale {scale}; expected even steps above "
            "0. Calibrate it, or rebin the data to even steps."
        )
    return scale


def _pixel_size(name, cube, image):
    """Return the length of a pixel's side in nm, after checking all axes that have a unit."""
    axes = cube.axes[:2] + [a for a in (image.axes if image is not None else ()) if a["units"]]
    sides = [_scale(name, axis) * _unit(name, in_nm, axis) for axis in axes]
    if not np.allclose(sides, sides[0], rtol=1e-3, atol=0):
        raise ValueError(
            f"{name}: pixels have sides of {', '.join(f'{s:.5g}' for s in dict.fromkeys(sides))} "
            "nm by the axes of the spectrum image and of the HAADF image; expected square pixels "
            "of one size. Rebin the data first."
        )
    return sides[0]


def _energies(name, cube):
    axis = cube.axes[2]
    offset = axis["offset"] if isinstance(axis["offset"], float) else 0.0
    channels = offset + _scale(name, axis) * np.arange(cube.shape[2])
    return channels * _unit(name, in_kev, axis)


def _unit(name, worth, axis):
    try:
        return worth(axis["units"])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
