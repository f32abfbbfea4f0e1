"""Energy windows: which channels of a spectrum make an element map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import xray
from .xray import line_energy, shell_energies


@dataclass(frozen=True)
class LineWindow:
    """Energies, in keV, that make an element map: the line's, and the background's on each side."""

    line: str
    energy: float
    window: tuple[float, float]
    left: tuple[float, float]
    right: tuple[float, float]
    weights: np.ndarray

    def __repr__(self):
        return (
            f"{self.line} {self.energy:.3f} keV: {self.window[0]:.3f} to {self.window[1]:.3f}, "
            f"background {self.left[0]:.3f} to {self.left[1]:.3f} and "
            f"{self.right[0]:.3f} to {self.right[1]:.3f}"
        )


def line_windows(
    energies: ArrayLike,
    lines: Sequence[str],
    *,
    avoid: Sequence[str | tuple[float, float]] = (),
    resolution: float = 130.0,
    width: float = 1.2,
) -> list[LineWindow]:
    """Choose the energies that make each line's map.

    The line's window is `width` times the peak's full width at half maximum (FWHM), 1.2 by
    default, which holds 84 % of a Gaussian peak. The background under it is read off a straight
    line through two windows of half a FWHM, one on each side: each as near as it can be while
    at least one FWHM away from the centre of every other line.

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
        FWHM of the detector at Mn K-alpha, in eV. The FWHM at energy E follows from it as
        ``FWHM² = resolution² + 2.5 eV (E - 5.8987 keV)``, with E in eV there (Fiori and Newbury,
        1978).
    width
        Width of the line's window, in FWHM.

    Returns
    -------
    list of LineWindow
        One for each line.

    Raises
    ------
    ValueError
        If a line is not in the tables or not in the spectrum, or has no clear background
        within 8 FWHM.
    """
    energies = np.asarray(energies, np.float64)
    if not lines:
        raise ValueError("lines is empty; expected X-ray lines such as 'O_Ka'.")
    names = [*lines, *(a for a in avoid if isinstance(a, str))]
    others = sorted({e for name in names for e in shell_energies(name)})
    forbidden = [tuple(map(float, a)) for a in avoid if not isinstance(a, str)]
    forbidden += [(e - xray.fwhm(e, resolution), e + xray.fwhm(e, resolution)) for e in others]
    return [_line_window(energies, name, forbidden, resolution, width) for name in lines]


def _line_window(energies, name, forbidden, resolution, width):
    energy = line_energy(name)
    fwhm = xray.fwhm(energy, resolution)
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
    left, right = search(-1), search(+1)
    counted, low, high = (_share(energies, w) for w in (window, left, right))
    # the straight line through both background windows, taken at the line's energy
    towards_right = (energy - np.mean(left)) / (np.mean(right) - np.mean(left))
    channels = counted.sum()
    weights = counted - channels * (
        (1 - towards_right) * low / low.sum() + towards_right * high / high.sum()
    )
    return LineWindow(name, energy, window, left, right, weights)


def _share(energies, window):
    """Return which share of each channel lies in a window of energies, (channels,)."""
    step = energies[1] - energies[0]
    low = np.maximum(energies - step / 2, window[0])
    high = np.minimum(energies + step / 2, window[1])
    return np.clip((high - low) / step, 0, 1)


def element_maps(spectrum_image: Any, windows: Sequence[LineWindow]) -> np.ndarray:
    """Add up each line's counts per pixel, less background: (elements, slices, size), float32.

    `spectrum_image` is a HyperSpy signal or an array, (slices, size, channels). Where there is
    little of an element, noise makes some pixels slightly negative; they are left so, because
    cutting them off at zero would add counts that are not there.

    Parameters
    ----------
    spectrum_image
        A HyperSpy signal or an array of counts, shape (slices, size, channels).
    windows
        One for each map, from `line_windows`.

    Returns
    -------
    numpy.ndarray
        Counts in the line less background, float32, shape (elements, slices, size).
    """
    counts = np.asarray(getattr(spectrum_image, "data", spectrum_image))
    maps = np.empty((len(windows), *counts.shape[:2]), np.float32)
    for made, window in zip(maps, windows, strict=True):
        used = np.flatnonzero(window.weights)
        part = slice(used[0], used[-1] + 1)
        np.matmul(
            counts[..., part].astype(np.float32), window.weights[part].astype(np.float32), out=made
        )
    return maps


@dataclass(frozen=True)
class ElementWindow:
    """Energies, in keV, that make an element's map.

    Attributes
    ----------
    element
        Symbol.
    peaks
        (from, to) of each window that is counted.
    backgrounds
        For each of `peaks`, the windows from which the background under it is taken.
    """

    element: str
    peaks: tuple[tuple[float, float], ...]
    backgrounds: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self):
        if len(self.peaks) != len(self.backgrounds) or not self.peaks:
            raise ValueError(
                f"the window of {self.element} has {len(self.peaks)} peaks and "
                f"{len(self.backgrounds)} backgrounds; expected at least one, and as many."
            )

    def weights(self, energies: ArrayLike, *, background: bool = True) -> np.ndarray:
        """Return the weight of each channel in the map, (channels,).

        1 in a peak, and less than 0 in its background windows. The background under a peak is
        the straight line through the mean counts of two windows, or the mean of one.

        Parameters
        ----------
        energies
            (channels,), keV.
        background
            Whether the background is subtracted.

        Returns
        -------
        numpy.ndarray
            Weights, shape (channels,): ``spectra @ weights`` is the map.
        """
        energies = np.asarray(energies, np.float64)
        weights = np.zeros(len(energies))
        for peak, sides in zip(self.peaks, self.backgrounds, strict=True):
            inside = within(energies, peak, self.element)
            weights[inside] += 1
            if not background:
                continue
            channels = [within(energies, side, self.element) for side in sides]
            centers = [energies[side].mean() for side in channels]
            shares = [1.0]
            if len(channels) == 2:
                nearer = (energies[inside].mean() - centers[0]) / (centers[1] - centers[0])
                shares = [1 - nearer, nearer]
            for side, share in zip(channels, shares, strict=True):
                weights[side] -= inside.sum() * share / side.sum()
        return weights


def within(energies: np.ndarray, window: tuple[float, float], element: str) -> np.ndarray:
    """Return which channels lie in a window; at least one must."""
    inside = (energies >= window[0]) & (energies <= window[1])
    if not inside.any():
        raise ValueError(
            f"a window of {element} goes from {window[0]:g} to {window[1]:g} keV, where energies "
            f"({energies.min():g} to {energies.max():g} keV) has no channel; expected one."
        )
    return inside


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
