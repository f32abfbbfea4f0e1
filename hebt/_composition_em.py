"""Composition EM: HAADF is reconstructed first, then X-rays say how each voxel divides.

x_e = S (K a_e), with S the HAADF reconstruction, K a smoothing kernel, and sum_e a_e = 1. The a_e
maximize the Poisson likelihood of the counts by expectation maximization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ._checks import as_float32, check_choice, check_number
from ._engine.arrays import inverse, slices_first
from ._engine.em import Bilateral, EmRun, Gaussian, accelerated_sirt
from ._problem import Problem, Run
from ._progress import progress_bar
from ._solve import Interrupted, _Result, _text

_HAADF_ITERATIONS, _EXACT_HAADF_ITERATIONS = 50, 200
_DISCREPANCY = 1.02
_SHIFT_TILTS, _SHIFT_PIXELS = 0.7, 3 / 128  # how far the shift is smoothed; pixels per size
_LEAST_SHIFT = 1e-3
_NORMAL_QUARTILE = 0.3186  # lower quartile of absolute values over the standard deviation
_LITTLE = 1e-3  # noise relative to the brightest pixel that stops nothing too late


@dataclass(frozen=True, eq=False)
class Division:
    """How composition EM divides what HAADF sees among the elements.

    Attributes
    ----------
    kernel
        Standard deviation of K in voxels, along the slices and within them; a single number is
        for both. 0 along the slices leaves them apart; 0 for both is no kernel.
    contrast
        None for a Gaussian. A number makes K bilateral within slices: relative to S, this is the
        difference at which neighbors lose their weight.
    total
        "hard": the elements sum to S. "free": they need not. A number, about 0.3 to 1: how
        strongly they are held there, relative to what the counts say.
    variance
        Variance of the maps, in their shape, where they are not raw counts; None where they are.
    haadf_noise
        Standard deviation of the noise of a HAADF pixel, at which S stops; None to estimate it.
    guide
        S, shape (*lead, size, size), or without some of the first axes, along which all share it;
        None to reconstruct it.
    weights
        Where a begins, in the shape of the result, such as those of an earlier run; None for
        equal shares.
    """

    kernel: Any = 1.0
    contrast: float | None = None
    total: str | float = "hard"
    variance: ArrayLike | None = None
    haadf_noise: float | None = None
    guide: ArrayLike | None = None
    weights: ArrayLike | None = None

    def widths(self) -> tuple[float, float]:
        """Return the kernel's widths along the slices and within them."""
        pair = np.ravel(self.kernel).tolist() if np.ndim(self.kernel) < 2 else []
        if len(pair) not in (1, 2):
            raise ValueError(
                f"kernel is {self.kernel!r}; expected a width in voxels, or two: along the slices "
                "and within them."
            )
        expected = "widths in voxels of at least 0"
        along, inside = [
            check_number("kernel", value, expected, also_least=True) for value in (pair * 2)[:2]
        ]
        return (0.0 if self.contrast is not None else along), inside


def divide(problem: Problem, run: Run, division: Division) -> tuple[np.ndarray, np.ndarray]:
    """Iterate, and return x and the weights a, both in the shape of the result."""
    state = _state(problem, division)
    slices = np.arange(state.slices)
    result = _Result(state, problem, slices)
    run.history.clear()
    done = 0
    with progress_bar(run.iterations, run.label, run.progress) as bar:
        try:
            residuals = state.residuals()
            run.history.add(residuals)
            while done < run.iterations:
                state.advance()
                done += 1
                run.history.iterations = done
                bar.set_postfix_str(_text(residuals), refresh=False)
                bar.update()
                if done == run.iterations and not run.is_watched:
                    break
                state.project()
                residuals = state.residuals()
                run.history.add(residuals)
                if run.ends(done, result.view, residuals):
                    break
            x = result.take()
        except KeyboardInterrupt:
            raise Interrupted(result.take(), done) from None
    del result, state.x  # before a second volume is copied
    return x, slices_first(state.a, state.columns).reshape(problem.shape)


def haadf_reconstruction(problem: Problem, noise: float | None = None) -> np.ndarray:
    """Return S, (*lead, size, size): SIRT with momentum, each slice stopped at its noise."""
    W = problem.haadf_projector or problem.W
    haadf: Any = problem.haadf
    tilts, size = len(W.angles), W.size
    p = np.ascontiguousarray(haadf.reshape(tilts, -1, size).swapaxes(1, 2))
    if noise is None:
        noise = haadf_noise(haadf)
    noise = check_number("haadf_noise", noise, "at least 0, as haadf", also_least=True)
    mask = np.ones((1, size**2)) if problem.mask is None else problem.mask.reshape(-1, size**2)
    slices = p.shape[2]
    x = accelerated_sirt(
        W._beam,
        p,
        mask.T,
        _HAADF_ITERATIONS if noise > _LITTLE * haadf.max() else _EXACT_HAADF_ITERATIONS,
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


def shifted_counts(
    maps: np.ndarray, variance: ArrayLike | None, along: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return counts that are Poisson distributed to good approximation, and their shift.

    What was taken off as background has left its variance: variance - maps, smoothed, goes on
    again, so that mean and variance are equal. Raw counts stay as they are.
    """
    if variance is None:
        if maps.min() < 0:
            raise ValueError(
                f"maps go down to {maps.min():g}; expected counts of at least 0, or their "
                "variance: give variance=, the variance of each pixel of the maps as counted."
            )
        return maps, None
    variance = as_float32("variance", variance)
    if variance.shape != maps.shape:
        raise ValueError(
            f"variance has shape {variance.shape}; expected {maps.shape}, that of maps."
        )
    if variance.min() < 0:
        raise ValueError(f"variance goes down to {variance.min():g}; expected at least 0.")
    pixels = _SHIFT_PIXELS * maps.shape[-1]
    sigma = [0.0, _SHIFT_TILTS, *[0.0] * (maps.ndim - 3), pixels]
    if along and maps.ndim > 3:
        sigma[-2] = pixels
    shift = np.maximum(ndimage.gaussian_filter(variance - maps, sigma), _LEAST_SHIFT)
    return np.maximum(maps + shift, 0), shift


def _state(problem: Problem, division: Division) -> EmRun:
    """Return what to iterate on."""
    W, size, elements = problem.W, problem.W.size, len(problem.maps)
    ratios: Any = problem.ratios
    along, inside = division.widths()
    counts, shift = shifted_counts(problem.maps, division.variance, along > 0)
    guide = division.guide
    if guide is None:
        guide = haadf_reconstruction(problem, division.haadf_noise)
    guide = _check_guide(guide, problem)
    depth = guide.shape[-3] if guide.ndim > 2 else 1
    S = np.ascontiguousarray(guide.reshape(-1, size**2).T)
    del guide
    level = _level(S)
    smoothing: Any = Gaussian(along, inside, size, depth)
    if division.contrast is not None:
        contrast = check_number("contrast", division.contrast, "a number above 0, e.g. 0.1")
        smoothing = Bilateral(inside, contrast, S, level)

    def flat(array):
        return None if array is None else array.reshape(elements, len(W.angles), -1, size)

    weights: Any = division.weights
    if weights is not None:
        weights = _check_weights(weights, problem).reshape(elements, -1, size**2)
    seen = problem.haadf_projector or W
    return EmRun(
        W._beam,
        flat(counts),
        flat(shift),
        problem.haadf.reshape(len(seen.angles), -1, size),  # type: ignore[union-attr]
        S,
        smoothing,
        ratios.reshape(elements, -1),
        _softness(division.total, W, ratios, S, level),
        weights,
        None if problem.haadf_projector is None else problem.haadf_projector._beam,
    )


def _check_guide(guide: Any, problem: Problem) -> np.ndarray:
    guide = as_float32("guide", guide)
    size, lead = problem.W.size, problem.lead
    shapes = [(*lead[first:], size, size) for first in range(len(lead) + 1)]
    if guide.shape not in shapes:
        raise ValueError(f"guide has shape {guide.shape}; expected {shapes[0]}, that of S.")
    if guide.min() < 0:
        raise ValueError(f"guide goes down to {guide.min():g}; expected at least 0.")
    return guide


def _check_weights(weights: Any, problem: Problem) -> np.ndarray:
    weights = as_float32("weights", weights)
    if weights.shape != problem.shape or weights.min() < 0:
        raise ValueError(
            f"weights has shape {weights.shape} and values from {weights.min():g}; expected "
            f"{problem.shape}, that of the result, and at least 0."
        )
    return weights


def _level(S: np.ndarray) -> np.ndarray:
    """Return S's mean within the specimen, for each of its columns; 0 where it is empty.

    Within is what has a tenth of the typical intensity, which is the mean weighted by itself.
    """
    typical = (S**2).sum(axis=0, dtype=float) * inverse(S.sum(axis=0, dtype=float))
    within = typical < 10 * S
    return np.where(within, S, 0).sum(axis=0, dtype=float) * inverse(within.sum(axis=0) * 1.0)


def _softness(total: Any, W: Any, ratios: np.ndarray, S: np.ndarray, level: np.ndarray) -> Any:
    """Return how far each column's sum may be from 1, per unit of mu; below 0 it is free."""
    if isinstance(total, str):
        check_choice("total", total, ("hard", "free"))
        return np.full(len(level), 0.0 if total == "hard" else -1.0)
    stiffness = check_number("total", total, '"hard", "free" or a number above 0, about 0.3 to 1')
    within = np.where(level < 10 * S, S, np.nan)
    middle = np.array([np.nanmedian(s) if np.isfinite(s).any() else 0.0 for s in within.T])
    inverse_ratio = (1 / np.asarray(ratios, float)).mean()
    return inverse(stiffness * middle * W.column_sums.mean(dtype=float) * inverse_ratio)
