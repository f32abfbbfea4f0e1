"""HAADF alone: its noise, and the reconstruction S that says how much there is in a voxel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._engine.accelerated import accelerated_sirt
from ._engine.arrays import inverse, slices_first
from ._problem import Problem

_HAADF_ITERATIONS, _EXACT_HAADF_ITERATIONS = 50, 200
_DISCREPANCY = 1.02
_NORMAL_QUARTILE = 0.3186  # lower quartile of absolute values over the standard deviation
_LITTLE = 1e-3  # noise relative to the brightest pixel that stops nothing too late


def haadf_reconstruction(problem: Problem, noise: float | None = None) -> np.ndarray:
    """Return S, (*lead, size, size): SIRT with momentum, each slice stopped at its noise."""
    W = problem.haadf_projector or problem.W
    haadf: Any = problem.haadf
    tilts, size = len(W.angles), W.size
    p = haadf.reshape(tilts, -1, size)
    if noise is None:
        noise = haadf_noise(haadf)
    mask = np.ones((1, size**2)) if problem.mask is None else problem.mask.reshape(-1, size**2)
    slices = p.shape[1]
    noisy = noise > _LITTLE * p.max(axis=(0, 2))
    x = accelerated_sirt(
        W._beam,
        p,
        np.ascontiguousarray(mask.T, np.float32),
        np.where(noisy, _HAADF_ITERATIONS, _EXACT_HAADF_ITERATIONS),
        np.full(slices, _DISCREPANCY * noise * np.sqrt(tilts * size)),
    )
    return slices_first(x, slices).reshape(*problem.lead, size, size)


def haadf_noise(haadf: np.ndarray) -> float:
    """Estimate the standard deviation of a HAADF pixel's noise, where that is not smoothed.

    From third differences across the tilt axis, of which the specimen leaves little. It has some
    large ones, so their lower quartile counts; where they are 0, images were blanked.
    """
    differences = np.abs(np.diff(haadf, 3, axis=-1))
    differences = differences[differences > 0]
    if differences.size == 0:
        return 0.0
    return float(np.quantile(differences, 0.25) / (_NORMAL_QUARTILE * np.sqrt(20)))


def mean_inside(S: np.ndarray) -> np.ndarray:
    """Return S's mean within the specimen, for each of its columns; 0 where it is empty.

    Within is what has a tenth of the typical intensity, which is the mean weighted by itself.
    """
    parts = np.array_split(S, max(1, len(S) // 4096))  # no array of the size of S beside it

    def total(values):
        return np.sum([values(part).sum(axis=0, dtype=float) for part in parts], axis=0)

    typical = total(np.square) * inverse(total(np.asarray))
    within = total(lambda part: typical < 10 * part)
    return total(lambda part: np.where(typical < 10 * part, part, 0)) * inverse(within)
