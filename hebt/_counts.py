"""Maps and spectra as they were counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, check_seed, check_variance

_SHIFT_TILTS, _SHIFT_PIXELS = 0.7, 3 / 128  # how far the shift is smoothed; pixels per size
_LEAST_SHIFT = 1e-3


def split_counts(counts: ArrayLike, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give each count to one of two halves at random (binomial thinning).

    Of counts with Poisson noise, both halves have Poisson noise that is independent of the
    other's. They serve as `half` of `response_ratios`, also after filters and interpolation.

    Parameters
    ----------
    counts
        Whole numbers from 0, of any shape: element maps, or spectra before their windows.
    seed
        Seed of the random numbers.

    Returns
    -------
    tuple of numpy.ndarray
        Both halves, in the shape and type of `counts`, which is their sum.

    Raises
    ------
    ValueError
        If values are no whole numbers from 0.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> first, second = hebt.split_counts(np.array([0, 7, 100]), seed=1)
    >>> first + second
    array([  0,   7, 100])
    """
    checked = as_float32("counts", counts)
    counts = np.asarray(counts) + 0  # where they are bool, True is a count of 1
    if not are_counts(checked):
        raise ValueError(
            f"counts holds values from {counts.min():g} to {counts.max():g} that are not all "
            "whole numbers from 0; expected raw counts. Split them before they are processed."
        )
    first = counts.copy()
    some = counts > 0
    rng = np.random.default_rng(check_seed("seed", seed))
    first[some] = rng.binomial(counts[some].astype(np.int64), 0.5)
    return first, counts - first


def are_counts(maps: np.ndarray) -> bool:
    """Whether all are whole numbers from 0, and not multiples of one (counts times a gain)."""
    if maps.min() < 0 or (maps != np.rint(maps)).any():
        return False
    some = maps[maps > 0][:100_000].astype(np.int64)
    return len(some) < 100 or bool(np.gcd.reduce(some) == 1)


def shifted_counts(
    maps: np.ndarray, variance: ArrayLike | None, along: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return counts that are Poisson distributed to good approximation, and their shift.

    What was taken off as background has left its variance: variance - maps, smoothed, goes on
    again, so that mean and variance are equal. Raw counts stay as they are.
    """
    if variance is None:
        if maps.min() < 0 or (maps != np.rint(maps)).any():
            raise ValueError(
                f"maps hold values from {maps.min():g} to {maps.max():g} that are not all whole "
                "numbers from 0; expected raw counts. Give them, or the variance of each value, "
                "variance=..., with the method."
            )
        return maps, None
    from scipy import ndimage

    variance = check_variance(variance, maps)
    pixels = _SHIFT_PIXELS * maps.shape[-1]
    sigma = [0.0, _SHIFT_TILTS, *[0.0] * (maps.ndim - 3), pixels]
    if along and maps.ndim > 3:
        sigma[-2] = pixels
    shift = np.maximum(ndimage.gaussian_filter(variance - maps, sigma), _LEAST_SHIFT)
    return np.maximum(maps + shift, 0), shift
