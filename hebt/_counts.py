"""Maps and spectra as they were counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, check_count, check_seed, check_variance

# standard deviations of a local mean, in tilts, and in pixels per size of a slice
MEAN_TILTS, MEAN_PIXELS = 0.7, 3 / 128
_LEAST_SHIFT = 1e-3


def split_counts(counts: ArrayLike, *, seed: int, parts: int = 2) -> tuple[np.ndarray, ...]:
    """Give each count to one of some equal parts at random (multinomial thinning).

    Of counts with Poisson noise, each part has Poisson noise that is independent of the others'.
    Halves serve as `half` of `response_ratios`, and five parts as `parts` of `choose`, also after
    filters and interpolation.

    Parameters
    ----------
    counts
        Whole numbers from 0, of any shape: element maps, or spectra before their windows.
    seed
        Seed of the random numbers.
    parts
        How many parts, at least 2.

    Returns
    -------
    tuple of numpy.ndarray
        The parts, in the shape and type of `counts`, which is their sum.

    Raises
    ------
    TypeError, ValueError
        If values are no whole numbers from 0, or `parts` is none from 2.

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
    parts = check_count("parts", parts, least=2)
    rng = np.random.default_rng(check_seed("seed", seed))
    result, rest = [], counts
    for left in range(parts, 1, -1):
        part, some = rest.copy(), rest > 0
        part[some] = rng.binomial(rest[some].astype(np.int64), 1 / left)
        result.append(part)
        rest = rest - part
    return *result, rest


def are_counts(maps: np.ndarray) -> bool:
    """Whether all are whole numbers from 0, and no map holds multiples of one (a gain)."""
    if maps.min() < 0 or (maps != np.rint(maps)).any():
        return False
    return not any(map(_have_gain, [maps, *maps] if maps.ndim > 2 else [maps]))


def _have_gain(counts: np.ndarray) -> bool:
    some = counts[counts > 0][:100_000].astype(np.int64)
    return len(some) >= 100 and bool(np.gcd.reduce(some) != 1)


def tilt_means(angles: np.ndarray) -> np.ndarray:
    """Return what takes means over neighboring tilts, (tilts, tilts); its rows sum to 1.

    A Gaussian over the tilts in the order of their angles, in whichever order they come, with
    mirrored ends. Those of one angle count alike.
    """
    order = np.argsort(angles, kind="stable")
    weights = np.empty((len(angles), len(angles)))
    weights[np.ix_(order, order)] = gaussian_matrix(MEAN_TILTS, len(angles))
    alike = (angles[:, None] == angles).astype(float)
    alike /= alike.sum(axis=1, keepdims=True)
    return (alike @ weights @ alike).astype(np.float32)


def gaussian_matrix(sigma: float, length: int) -> np.ndarray:
    """Return a Gaussian's matrix, (length, length), with mirrored edges; its rows sum to 1."""
    from scipy import ndimage

    return ndimage.gaussian_filter1d(np.eye(length), sigma, axis=0)


def shifted_counts(
    maps: np.ndarray, variance: ArrayLike | None, along: bool, angles: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return counts that are Poisson distributed to good approximation, and their shift.

    What was taken off as background has left its variance: variance - maps, smoothed, goes on
    again, so that mean and variance are equal. Raw counts stay as they are. `angles` say which
    tilts are neighbors.
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
    pixels = MEAN_PIXELS * maps.shape[-1]
    sigma = np.zeros(maps.ndim)
    sigma[-1] = pixels
    if along and maps.ndim > 3:
        sigma[-2] = pixels
    smooth = variance - maps
    ndimage.gaussian_filter(smooth, sigma, output=smooth)
    flat = smooth.reshape(len(maps), len(angles), -1)
    shift = (tilt_means(angles) @ flat).reshape(maps.shape)
    del smooth, flat
    np.maximum(shift, _LEAST_SHIFT, out=shift)
    return np.maximum(maps + shift, 0), shift
