"""Energy windows: which channels of a spectrum make an element map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .xray import line_energy, line_width, shell_energies


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
            If there is no channel within one of the windows.

        Examples
        --------
        >>> import hebt, numpy as np
        >>> window = hebt.prepare.EnergyWindow("X", [(0.9, 1.1)], [[(0.5, 0.7), (1.3, 1.5)]])
        >>> window.weights(0.5 + 0.1 * np.arange(11)).round(2)
        array([-0.25, -0.5 , -0.25,  0.  ,  0.5 ,  1.  ,  0.5 ,  0.  , -0.25,
               -0.5 , -0.25])
        """
        energies = np.asarray(energies, np.float64)
        weights = np.zeros(len(energies))
        for peak, sides in zip(self.peaks, self.backgrounds, strict=True):
            counted = self._shares(energies, peak)
            weights += counted
            if not background:
                continue
            means = [share / share.sum() for share in (self._shares(energies, s) for s in sides)]
            under = means[0]
            if len(sides) == 2:
                left, right = np.mean(sides[0]), np.mean(sides[1])
                # the straight line through both, taken in the middle of the peak
                towards_right = (np.mean(peak) - left) / (right - left)
                under = (1 - towards_right) * means[0] + towards_right * means[1]
            weights -= counted.sum() * under
        return weights

    def _shares(self, energies, window):
        """Return which share of each channel lies in a window of energies, (channels,)."""
        step = energies[1] - energies[0]
        low = np.maximum(energies - step / 2, window[0])
        high = np.minimum(energies + step / 2, window[1])
        shares = np.clip((high - low) / step, 0, 1)
        if not shares.any():
            raise ValueError(
                f"a window of {self.name} goes from {window[0]:g} to {window[1]:g} keV, where "
                f"energies ({energies.min():g} to {energies.max():g} keV) has no channel; "
                "expected one."
            )
        return shares


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
    one on each side, as near as they can be at one FWHM from the centre of every other line.

    Parameters
    ----------
    energies
        (channels,), keV, evenly spaced.
    lines
        Lines to map: "O_Ka". Their energies come from exspy's tables. The other lines of their
        shells that have at least 10 % of its intensity are kept clear of as well.
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
    """
    energies = np.asarray(energies, np.float64)
    if not lines:
        raise ValueError("lines is empty; expected X-ray lines such as 'O_Ka'.")
    names = [*lines, *(a for a in avoid if isinstance(a, str))]
    others = sorted({e for name in names for e in shell_energies(name)})
    forbidden = [tuple(map(float, a)) for a in avoid if not isinstance(a, str)]
    spans = line_width(others, resolution)
    forbidden += [(e - span, e + span) for e, span in zip(others, spans, strict=True)]
    return [_line_window(energies, name, forbidden, resolution, width) for name in lines]


def _line_window(energies, name, forbidden, resolution, width):
    energy = line_energy(name)
    fwhm = float(line_width(energy, resolution))
    step = energies[1] - energies[0]
    if not energies[0] + fwhm <= energy <= energies[-1] - fwhm:
        raise ValueError(
            f"The line {name} at {energy:.3f} keV lies outside the spectrum, which goes from "
            f"{energies[0]:.3f} to {energies[-1]:.3f} keV."
        )

    def clear(low, high):
        inside = energies[0] <= low and high <= energies[-1]
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
        Centre of each channel in keV, shape (channels,), evenly spaced.

    Returns
    -------
    numpy.ndarray
        Counts less background, float32, shape (elements, slices, size).

    Raises
    ------
    ValueError
        If there is no channel within one of the windows.
    """
    counts = np.asarray(getattr(spectrum_image, "data", spectrum_image))
    maps = np.empty((len(windows), *counts.shape[:2]), np.float32)
    for made, window in zip(maps, windows, strict=True):
        weights = window.weights(energies).astype(np.float32)
        used = np.flatnonzero(weights)
        part = slice(used[0], used[-1] + 1)
        np.matmul(counts[..., part].astype(np.float32), weights[part], out=made)
    return maps


def channels_near(energies: ArrayLike, ranges: Sequence[tuple[float, float]]) -> np.ndarray:
    """Find the channels that lie in one of several ranges of energy.

    Parameters
    ----------
    energies
        Centre of each channel in keV, shape (channels,).
    ranges
        (from, to) in keV, both included.

    Returns
    -------
    numpy.ndarray
        Numbers of the channels, rising.
    """
    energies = np.asarray(energies)
    return np.flatnonzero(np.any([(energies >= a) & (energies <= b) for a, b in ranges], axis=0))
