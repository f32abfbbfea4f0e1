"""Element maps: their noise, and what the detectors see of them at each tilt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32
from .windows import EnergyWindow, weighted_sums


def map_variance(
    spectrum_image: Any, windows: Sequence[EnergyWindow], energies: ArrayLike
) -> np.ndarray:
    """Estimate the variance of each value of `element_maps` from the counts.

    A map is a weighted sum of counts, less background, and those have Poisson noise: its variance
    is the sum of the counts, each times the square of its weight. It is more than the map itself.

    Parameters
    ----------
    spectrum_image
        As `element_maps` took it: raw counts, (slices, size, channels).
    windows
        One for each map, from `line_windows`.
    energies
        Center of each channel in keV, shape (channels,), evenly spaced.

    Returns
    -------
    numpy.ndarray
        Counts squared, float32, shape (elements, slices, size): an unbiased estimate for each
        pixel, and as noisy as the counts are few.

    Raises
    ------
    ValueError
        If `energies` do not fit the spectra or do not hold one of the windows, or if counts are
        masked, NaN or infinite there.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> window = hebt.prepare.EnergyWindow("X", [(0.9, 1.1)], [[(0.5, 0.7), (1.3, 1.5)]])
    >>> spectra, energies = np.full((1, 1, 11), 8), 0.5 + 0.1 * np.arange(11)
    >>> hebt.prepare.element_maps(spectra, [window], energies).round(2).item() + 0
    0.0
    >>> hebt.prepare.map_variance(spectra, [window], energies).round(2).item()
    18.0
    """
    return weighted_sums(spectrum_image, windows, energies, 2)


def tilt_response(maps: ArrayLike) -> np.ndarray:
    """Estimate which share of the X-rays was counted at each tilt, from the maps themselves.

    All counts of a particle that lies wholly in every image change only with the detectors. The
    same share is taken for all elements: what is hidden of a detector does not depend on them.

    Parameters
    ----------
    maps
        (elements, tilts, slices, size), less background.

    Returns
    -------
    numpy.ndarray
        (tilts,), with a mean of 1.

    Raises
    ------
    ValueError
        If a tilt has no counts.
    """
    maps = as_float32("maps", maps, ndim=(4,))
    totals = maps.sum(axis=(0, 2, 3), dtype=np.float64)
    if totals.min() <= 0:
        raise ValueError(
            f"maps hold {totals.min():g} counts in all at tilt {int(totals.argmin())}; expected "
            "more than 0."
        )
    return totals / totals.mean()


def normalize_tilts(maps: ArrayLike, response: ArrayLike) -> np.ndarray:
    """Return maps divided by the response of their tilt, (elements, tilts, slices, size).

    Parameters
    ----------
    maps
        Shape (elements, tilts, slices, size).
    response
        Shape (tilts,), above 0, from `tilt_response`.

    Returns
    -------
    numpy.ndarray
        Maps as all tilts would have been counted alike, float32, shape of `maps`.

    Raises
    ------
    ValueError
        If there is not one response above 0 for each tilt.
    """
    maps = as_float32("maps", maps, ndim=(4,))
    response = as_float32("response", response, ndim=(1,))
    if len(response) != maps.shape[1] or response.min() <= 0:
        raise ValueError(
            f"response has {len(response)} values from {response.min():g}, but maps have "
            f"{maps.shape[1]} tilts; expected one value above 0 for each."
        )
    return maps / response[:, None, None]
