"""Total variation guided by HAADF: few edges in each element, and those where HAADF has them.

The likelihood of the counts, the misfit of HAADF, and the length of the elements' edges, of which
what runs along an edge of the HAADF reconstruction counts little, are minimized together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from ._blocks import is_lazy
from ._checks import as_float32, check_flag, check_number, check_variance
from ._composition_em import (
    CompositionEM,
    _level,
    divide,
    haadf_noise,
    haadf_reconstruction,
    shifted_counts,
)
from ._engine.tv import TvRun
from ._problem import Problem, Run
from ._solve import iterate

_SMOOTH = 0.05  # gradients of S, relative to its mean, from which on they are edges
_LEAST_NOISE = 1e-3  # of HAADF, relative to its brightest pixel
_START_ITERATIONS, _START_KERNEL = 50, 1 / 128  # of composition EM; voxels per size


@dataclass(frozen=True, eq=False)
class GuidedTV:
    strength: float
    variance: ArrayLike | None = field(default=None, repr=False)
    haadf_noise: float | None = None
    guidance: float = 0.95
    along: bool = False

    def __post_init__(self):
        set_ = object.__setattr__
        expected = "the cost of an edge across a whole slice, at least 0, e.g. 500"
        strength = check_number("strength", self.strength, expected, also_least=True)
        set_(self, "strength", strength)
        expected = "a number from 0 (HAADF is no guide) to 1, e.g. 0.95"
        set_(
            self,
            "guidance",
            check_number("guidance", self.guidance, expected, also_least=True, most=1),
        )
        if self.haadf_noise is not None:
            expected = "a standard deviation of at least 0, as haadf, or None"
            noise = check_number("haadf_noise", self.haadf_noise, expected, also_least=True)
            set_(self, "haadf_noise", noise)
        if self.variance is not None and not is_lazy(self.variance):
            set_(self, "variance", as_float32("variance", self.variance))
        set_(self, "along", check_flag("along", self.along))


def minimize(problem: Problem, run: Run, method: GuidedTV) -> np.ndarray:
    """Iterate, and return x."""
    state = _state(problem, run, method)
    return iterate(state, problem, np.arange(state.slices), run)


def _state(problem: Problem, run: Run, method: GuidedTV) -> TvRun:
    """Return what to iterate on."""
    W, size, elements = problem.W, problem.W.size, len(problem.maps)
    depth = problem.lead[-1] if method.along and problem.lead else 1
    noise = haadf_noise(problem.haadf) if method.haadf_noise is None else method.haadf_noise
    counts, shift = shifted_counts(problem.maps, method.variance, depth > 1)
    guide = haadf_reconstruction(problem, noise)
    x0 = problem.x0
    if x0 is None:
        x0 = _start(problem, run, method, guide)
    S = np.ascontiguousarray(guide.reshape(-1, size**2).T)
    del guide
    level = _levels(S, depth)
    mask = np.ones((1, size**2)) if problem.mask is None else problem.mask.reshape(-1, size**2)
    haadf = problem.haadf.reshape(len((problem.haadf_projector or W).angles), -1, size)

    def flat(array):
        return None if array is None else array.reshape(elements, len(W.angles), -1, size)

    return TvRun(
        W._beam,
        flat(counts),
        flat(shift),
        haadf,
        S,
        level,
        problem.ratios.reshape(elements, -1),
        np.maximum(noise, _LEAST_NOISE * _brightest(haadf, depth)),
        method.strength / size,
        method.guidance,
        _SMOOTH,
        depth,
        mask.T,
        x0.reshape(elements, -1, size**2),
        None if problem.haadf_projector is None else problem.haadf_projector._beam,
    )


def _start(problem: Problem, run: Run, method: GuidedTV, guide: np.ndarray) -> np.ndarray:
    """Return where to begin: what composition EM finds with a narrow kernel."""
    em = CompositionEM((0, _START_KERNEL * problem.W.size), variance=method.variance)
    first = Run(_START_ITERATIONS, progress=run.progress, label=f"{run.label}, start")
    return divide(problem, first, em, guide)[0]


def _levels(S: np.ndarray, depth: int) -> np.ndarray:
    """Return S's mean within the specimen for each slice, all of a volume alike; 1 if empty."""
    level = _level(S.reshape(len(S), -1, depth).swapaxes(1, 2).reshape(-1, S.shape[1] // depth))
    return np.repeat(np.where(level > 0, level, 1), depth)


def _brightest(haadf: np.ndarray, depth: int) -> np.ndarray:
    """Return HAADF's brightest pixel for each slice, all of a volume alike; 1 if empty."""
    most = haadf.max(axis=(0, 2)).reshape(-1, depth).max(axis=1)
    return np.repeat(np.where(most > 0, most, 1), depth)
