"""Energy windows: which channels of a spectrum make an element map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import (
    as_float32,
    as_list,
    check_flag,
    check_names,
    check_number,
    check_text,
    data_of,
)
from .._units import in_kev
from .crosstalk import counted_of_lines, warn_of_overlaps
from .xray import as_kev, best_line, check_resolution, line_energy, line_width, shell_energies


@dataclass(frozen=True, repr=False)
class EnergyWindow:
    """Energies, in keV, that make the element map of a line, or of several lines of an element.

    Attributes
    ----------
    name
        Of the line, "O_Ka", or of the element, "O".
    peaks
        (from, to) of each window that is counted.
    backgrounds
        For each of `peaks`, one or two windows from which the background under it is taken.
    """

    name: str
    peaks: tuple[tuple[float, float], ...]
    backgrounds: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self):
        check_text("name", self.name)
        sides = self.backgrounds if isinstance(self.backgrounds, (list, tuple)) else [None]
        given = [("peaks", self.peaks), *(("backgrounds", side) for side in sides)]
        for name, windows in given:
            if not isinstance(windows, (list, tuple)) or not all(map(_is_range, windows)):
                raise ValueError(
                    f"{name} of the window of {self.name} holds {windows!r}; expected windows "
                    "(from, to) in keV, from below to above."
                )
        object.__setattr__(self, "peaks", _as_tuples(self.peaks))
        object.__setattr__(self, "backgrounds", tuple(map(_as_tuples, self.backgrounds)))
        if len(self.peaks) != len(self.backgrounds) or not self.peaks:
            raise ValueError(
                f"the window of {self.name} has {len(self.peaks)} peaks and "
                f"{len(self.backgrounds)} backgrounds; expected at least one, and as many."
            )
        if any(len(sides) not in (1, 2) for sides in self.backgrounds):
            raise ValueError(
                f"the window of {self.name} has backgrounds {self.backgrounds}; expected one or "
                "two windows (from, to) for each peak."
            )

    def __repr__(self):
        def text(windows):
            return " and ".join(f"{low:.3f} to {high:.3f}" for low, high in windows)

        pairs = zip(self.peaks, self.backgrounds, strict=True)
        parts = (f"{text([peak])} less background at {text(sides)}" for peak, sides in pairs)
        return f"{self.name}: {'; '.join(parts)} keV"

    @property
    def energy(self) -> float:
        """Middle of the first peak, in keV: the energy of the line."""
        return float(np.mean(self.peaks[0]))

    def weights(self, energies: ArrayLike, *, background: bool = True) -> np.ndarray:
        """Return the weight of each channel in the map.

        It is the share of the channel in a peak, less that in the background under it: the
        straight line through the mean counts of two windows, or the mean of one.

        Parameters
        ----------
        energies
            (channels,), keV, evenly spaced; there may be gaps.
        background
            Whether the background is subtracted.

        Returns
        -------
        numpy.ndarray
            Weights, shape (channels,): ``spectra @ weights`` is the map.

        Raises
        ------
        ValueError
            If `energies` are no such energies in keV, or do not hold one of the windows.

        Examples
        --------
        >>> import hebt, numpy as np
        >>> window = hebt.prepare.EnergyWindow("X", [(0.9, 1.1)], [[(0.5, 0.7), (1.3, 1.5)]])
        >>> window.weights(0.5 + 0.1 * np.arange(11)).round(2)
        array([-0.25, -0.5 , -0.25,  0.  ,  0.5 ,  1.  ,  0.5 ,  0.  , -0.25,
               -0.5 , -0.25])
        """
        energies, step = check_energies(energies)
        background = check_flag("background", background)
        weights = np.zeros(len(energies))
        for peak, sides in zip(self.peaks, self.backgrounds, strict=True):
            counted = self._shares(energies, step, peak)
            weights += counted
            if not background:
                continue
            seen = (self._shares(energies, step, side) for side in sides)
            means = [share / share.sum() for share in seen]
            under = means[0]
            if len(sides) == 2:
                left, right = np.mean(sides[0]), np.mean(sides[1])
                # the straight line through both, taken in the middle of the peak
                towards_right = (np.mean(peak) - left) / (right - left)
                under = (1 - towards_right) * means[0] + towards_right * means[1]
            weights -= counted.sum() * under
        return weights

    def _shares(self, energies, step, window):
        """Return which share of each channel lies in a window of energies, (channels,)."""
        low = np.maximum(energies - step / 2, window[0])
        high = np.minimum(energies + step / 2, window[1])
        shares = np.clip((high - low) / step, 0, 1)
        seen = shares.sum() * step / (window[1] - window[0])
        if seen < 0.98:
            what = f"there is only {100 * seen:.0f} %" if seen else "there is no channel"
            raise ValueError(
                f"a window of {self.name} goes from {window[0]:g} to {window[1]:g} keV, of which "
                f"{what} in energies ({energies.min():g} to {energies.max():g} keV); expected all "
                "of it. Was it chosen for spectra of another calibration?"
            )
        return shares


def check_energies(energies: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Return the energies of channels in keV, and their step; in any order, and with gaps."""
    energies = as_kev("energies", energies)
    rising = np.sort(energies)
    steps = np.diff(rising)
    step = float(np.median(steps)) if len(steps) else 0.0
    if step > 0:
        counts = np.rint(steps / step)
        if counts.min() >= 1:
            places = np.concatenate([[0], np.cumsum(counts)])
            step = float((rising[-1] - rising[0]) / places[-1])
            # single precision may be what a file holds
            off = np.abs(rising - rising[0] - step * places).max()
            if step < 1 and off < 0.1 * step:
                return energies, step
    raise ValueError(
        f"energies go from {rising[0]:g} to {rising[-1]:g}, {len(energies)} channels in steps "
        f"of {step:g} in the median; expected different ones in keV, in equal steps below 1 keV "
        "(there may be gaps). Divide by 1000 if they are eV; interpolate spectra of other channels."
    )


def line_windows(
    energies: ArrayLike,
    lines: Sequence[str],
    *,
    avoid: Sequence[str | tuple[float, float]] = (),
    resolution: float = 130.0,
    width: float = 1.2,
) -> list[EnergyWindow]:
    """Choose the energies that make each line's map.

    A window of 1.2 times the peak's full width at half maximum (FWHM) holds 84 % of a Gaussian
    peak. The background under it is read off a straight line through two windows of half a FWHM,
    one on each side, as near as they can be at one FWHM from the center of every other line.

    There is a warning where the window of a line counts another element's line, of `lines` or
    `avoid`, more than a tenth as well as its own; `unmix` takes that away. There is another for
    lines of the other shells of these elements, which are in the spectra too: where Pb_La is
    mapped, Pb M lies in the window of S_Ka.

    Parameters
    ----------
    energies
        (channels,), keV, evenly spaced.
    lines
        Lines to map: "O_Ka". Their energies come from exspy's tables. The other lines of their
        shells that have at least 10 % of its intensity are kept clear of as well. An element, "O",
        stands for its K-alpha line if the spectrum holds that below 20 keV, where detectors still
        count most X-rays; else for L-alpha, or M-alpha.
    avoid
        More lines to keep clear of, or (from, to) in keV.
    resolution
        FWHM of the detector at Mn K-alpha, in eV; see `line_width`.
    width
        Width of the line's window, in FWHM.

    Returns
    -------
    list of EnergyWindow
        One for each line.

    Raises
    ------
    ValueError
        If a line is in no table or not in the spectrum, or has no background within 8 FWHM.
    TypeError
        If `lines` or `avoid` is a text or has no order.
    """
    energies, step = check_energies(energies)
    resolution = check_resolution(resolution)
    width = check_number("width", width, "a width in FWHM above 0")
    lines = as_list("lines", lines, "X-ray lines such as 'O_Ka'")
    if not lines:
        raise ValueError("lines is empty; expected X-ray lines such as 'O_Ka'.")
    lines = check_names(lines, len(lines), kind="lines", name="lines")
    lines = [best_line(name, energies, resolution) for name in lines]
    lines = check_names(lines, len(lines), kind="lines", name="lines")
    avoided = as_list("avoid", avoid, "lines or (from, to) in keV")
    ranges = [a for a in avoided if not isinstance(a, str)]
    if not all(map(_is_range, ranges)):
        raise ValueError(f"avoid holds {ranges}; expected lines, or (from, to) in keV.")
    names = [*lines, *(a for a in avoided if isinstance(a, str))]
    others = sorted({e for name in names for e in shell_energies(name)})
    spans = line_width(others, resolution)
    forbidden = [*ranges, *((e - span, e + span) for e, span in zip(others, spans, strict=True))]
    windows = [_line_window(energies, step, name, forbidden, resolution, width) for name in lines]
    warn_of_overlaps(windows, names, energies, step, resolution)
    return windows


def _as_tuples(windows):
    return tuple((float(low), float(high)) for low, high in windows)


def _is_range(window: Any) -> bool:
    """Whether this is (from, to): two energies, the first below the second."""
    if not isinstance(window, (list, tuple, np.ndarray)) or not getattr(window, "ndim", 1):
        return False
    real = all(isinstance(e, (int, float, np.floating, np.integer)) for e in window)
    return real and len(window) == 2 and -np.inf < window[0] < window[1] < np.inf


def _line_window(energies, step, name, forbidden, resolution, width):
    energy = line_energy(name)
    fwhm = float(line_width(energy, resolution))
    first, last = energies.min(), energies.max()
    if not first + fwhm <= energy <= last - fwhm:
        raise ValueError(
            f"The line {name} at {energy:.3f} keV lies outside the spectrum, which goes from "
            f"{first:.3f} to {last:.3f} keV."
        )

    def clear(low, high):
        inside = first <= low and high <= last
        return inside and all(high <= a or low >= b for a, b in forbidden)

    def search(side):
        for distance in np.arange(fwhm, 8 * fwhm, step / 2):
            center = energy + side * (distance + fwhm / 4)
            if clear(center - fwhm / 4, center + fwhm / 4):
                return center - fwhm / 4, center + fwhm / 4
        raise ValueError(
            f"The line {name} at {energy:.3f} keV has no clear background within 8 FWHM on its "
            f"{'right' if side > 0 else 'left'}; expected a gap of half a FWHM "
            f"({fwhm / 2:.3f} keV). Map fewer lines, or avoid fewer."
        )

    window = energy - width * fwhm / 2, energy + width * fwhm / 2
    return EnergyWindow(name, (window,), ((search(-1), search(+1)),))


def element_maps(
    spectrum_image: Any, windows: Sequence[EnergyWindow], energies: ArrayLike
) -> np.ndarray:
    """Add up the counts of each pixel within the windows of each map, less background.

    Pixels that noise makes negative stay so: cutting them off would add counts that are not there.

    Parameters
    ----------
    spectrum_image
        A HyperSpy signal or an array of counts, shape (slices, size, channels).
    windows
        One for each map, from `line_windows`.
    energies
        Center of each channel in keV, shape (channels,), evenly spaced.

    Returns
    -------
    numpy.ndarray
        Counts less background, float32, shape (elements, slices, size).

    Raises
    ------
    ValueError
        If `energies` do not fit the spectra or do not hold one of the windows, or if counts are
        masked, NaN or infinite there.
    """
    return weighted_sums(spectrum_image, windows, energies, 1)


def weighted_sums(
    spectrum_image: Any, windows: Sequence[EnergyWindow], energies: ArrayLike, power: int
) -> np.ndarray:
    """Return the counts of each pixel, times a power of the windows' weights, added up."""
    windows, (energies, step) = _checked(windows), check_energies(energies)
    counts = data_of(spectrum_image)
    counts = counts if hasattr(counts, "shape") else as_float32("spectrum_image", counts)
    if len(counts.shape) != 3 or counts.shape[2] != len(energies):
        raise ValueError(
            f"spectrum_image has shape {counts.shape} and there are {len(energies)} energies; "
            "expected three dimensions, (slices, size, channels), with an energy for each channel."
        )
    own_axes = getattr(spectrum_image, "axes_manager", None)
    if own_axes and own_axes.signal_dimension == 1:
        (axis,) = own_axes.signal_axes
        own = np.asarray(axis.axis) * in_kev(axis.units)
        if np.abs(own - energies).max() > step / 2:
            raise ValueError(
                f"spectrum_image has energies from {own[0]:g} to {own[-1]:g} keV, but energies go "
                f"from {energies[0]:g} to {energies[-1]:g} keV; expected the same calibration."
            )
    maps = np.empty((len(windows), *counts.shape[:2]), np.float32)
    for made, window in zip(maps, windows, strict=True):
        weights = (window.weights(energies) ** power).astype(np.float32)
        used = np.flatnonzero(weights)
        part = slice(used[0], used[-1] + 1)
        np.matmul(as_float32("spectrum_image", counts[..., part]), weights[part], out=made)
    return maps


def crosstalk_matrix(
    windows: Sequence[EnergyWindow], energies: ArrayLike, *, resolution: float = 130.0
) -> np.ndarray:
    """Return what each window counts of each line, less background.

    A line and the others of its shell are Gaussian peaks with the weights of exspy's tables, as
    wide as the detector makes them.

    Parameters
    ----------
    windows
        From `line_windows`, named by their lines.
    energies
        Center of each channel in keV, shape (channels,), evenly spaced.
    resolution
        FWHM of the detector at Mn K-alpha, in eV; see `line_width`.

    Returns
    -------
    numpy.ndarray
        Shape (windows, windows). Row: whose window. Column: whose counts, for one in the line.

    Raises
    ------
    ValueError
        If a window is named by no X-ray line of exspy's tables, or `energies` do not hold it.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> energies = 0.01 * np.arange(1000)
    >>> windows = hebt.prepare.line_windows(energies, ["O_Ka", "Si_Ka"])
    >>> hebt.prepare.crosstalk_matrix(windows, energies).round(2) + 0
    array([[0.82, 0.  ],
           [0.  , 0.8 ]])
    """
    windows, (energies, step) = _checked(windows), check_energies(energies)
    names = [w.name for w in windows]
    return counted_of_lines(windows, names, energies, step, check_resolution(resolution))


def unmix(
    maps: ArrayLike,
    windows: Sequence[EnergyWindow],
    energies: ArrayLike,
    *,
    resolution: float = 130.0,
) -> np.ndarray:
    """Return maps without what each window counted of the other maps' lines.

    Of its own line, a map keeps what its window counts. Windows that overlap much make much noise;
    there is a warning where it grows more than threefold, for maps that were equally noisy.

    Parameters
    ----------
    maps
        From `element_maps` or a series of them, shape (elements, [tilts,] [slices,] size).
    windows
        Those of the maps, from `line_windows`.
    energies
        Center of each channel in keV, shape (channels,), evenly spaced.
    resolution
        FWHM of the detector at Mn K-alpha, in eV; see `line_width`.

    Returns
    -------
    numpy.ndarray
        float32, shape of `maps`.

    Raises
    ------
    ValueError
        If there is not one window for each map, or two count the same.
    """
    maps = as_float32("maps", maps, ndim=(2, 3, 4))
    matrix = crosstalk_matrix(windows, energies, resolution=resolution)
    if len(maps) != len(matrix):
        raise ValueError(
            f"maps has {len(maps)} elements (shape {maps.shape}) and there are {len(matrix)} "
            "windows; expected one window for each map, (elements, ...)."
        )
    names = ", ".join(w.name for w in windows)
    if np.linalg.cond(matrix) > 1e4:
        raise ValueError(f"windows of {names} cannot be told apart. Map other lines.")
    weights = np.diag(matrix)[:, None] * np.linalg.inv(matrix)
    noise = np.linalg.norm(weights, axis=1)
    if noise.max() > 3:
        shown = ", ".join(f"{n:.1f} ({w.name})" for n, w in zip(noise, windows, strict=True))
        warnings.warn(
            f"unmixing makes the noise of maps {shown} times as large, as their lines are so near; "
            "smooth the maps or map other lines.",
            UserWarning,
            stacklevel=2,
        )
    return np.tensordot(weights.astype(np.float32), maps, 1)


def _checked(windows):
    if not isinstance(windows, (list, tuple)) or not windows:
        raise TypeError(f"windows is {windows!r}; expected EnergyWindows in a list or tuple.")
    if not all(isinstance(w, EnergyWindow) for w in windows):
        raise TypeError(f"windows holds {windows}; expected EnergyWindows, from line_windows.")
    return windows


def channels_near(energies: ArrayLike, ranges: Sequence[tuple[float, float]]) -> np.ndarray:
    """Find the channels that lie in one of several ranges of energy.

    Parameters
    ----------
    energies
        Center of each channel in keV, shape (channels,).
    ranges
        (from, to) in keV, both included.

    Returns
    -------
    numpy.ndarray
        Numbers of the channels, rising.

    Raises
    ------
    ValueError
        If `ranges` are no such ranges.
    """
    energies = as_kev("energies", energies)
    ranges = as_list("ranges", ranges, "(from, to) in keV")
    if not all(map(_is_range, ranges)):
        raise ValueError(f"ranges is {ranges}; expected (from, to) in keV.")
    return np.flatnonzero(np.any([(energies >= a) & (energies <= b) for a, b in ranges], axis=0))
