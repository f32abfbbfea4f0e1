"""Element maps: what the detectors see of them at each tilt."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32


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
