"""Fusion by variance: HAADF's misfit is shared out by how uncertain each map is, then SIRT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._blocks import is_lazy
from ._checks import check_variance
from ._counts import MEAN_PIXELS, are_counts, gaussian_matrix, tilt_means
from ._engine.accelerated import Acceleration
from ._guide import haadf_reconstruction
from ._method import Method
from ._problem import Problem, Run
from ._solve import solve

_CERTAIN = 3  # standard errors by which HAADF's noise has to show
_NEGLIGIBLE = 0.01  # HAADF's own variance relative to that of the maps that counts as none
_LEAST = 1e-30  # variances below this, in about counts, are 0


@dataclass(frozen=True, eq=False)
class Fused(Method):
    """A method of `reconstruct`: HAADF corrects the maps, each by as much as it is uncertain.

    Where p_h and sum_e r_e p_e differ, the most likely projections under Gaussian noise of
    variances v_e and v_h minimize sum_e (r_e p_e - q_e)^2 / v_e + (p_h - sum_e q_e)^2 / v_h:

    q_e = r_e p_e + v_e / (sum_e v_e + v_h) (p_h - sum_e r_e p_e)

    SIRT with momentum and restart then reconstructs all q_e, which sum to p_h where v_h is 0. There
    a step keeps the sum of the elements in each voxel, unless it is below 0: the elements below 0
    are set to 0, and the others give way. It is linear but for that, takes about 14 iterations, and
    has no weight to choose: it shows what alpha would have to be, at each pixel and for each
    element.

    Parameters
    ----------
    variance
        Variance of each value of the maps, in a shape that broadcasts to theirs, where they are
        no raw counts: for maps smoothed by a kernel what `hebt.prepare.smooth_variance` gives.
        None for raw counts: whole numbers. v_e is r_e^2 times its local mean, Gaussian over 0.7
        tilts, in the order of their angles, and 3/128 of a slice's size.
    haadf_noise
        Standard deviation of the noise of a HAADF pixel, in its unit, by which it may differ from
        sum_e r_e p_e; 0 if there is none. None estimates it from the misfit: what its mean square
        has beyond the variance of the maps. That holds all that makes them contradict each other.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.

    Notes
    -----
    An estimated v_h counts as 0 if it is not above three standard errors, which come from the
    spread of the tilts' means, and not above 1 % of the mean sum of the v_e. Where v_h is above 0,
    steps set what is below 0 to 0, as SIRT does. Where nothing was counted nearby and v_h is 0, all
    elements have equal shares.

    Momentum is not in x: 10 iterations and 10 more from their result are nearly, not exactly, 20.
    The command ``hebt reconstruct`` keeps it, on the CPU, and goes on exactly.

    With a `haadf_projector` of other tilts there is no p_h beside each map: the projections of
    HAADF's reconstruction, which is made first, take its place.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> ratios = hebt.response_ratios(haadf, maps).ratios
    >>> x = hebt.reconstruct(W, haadf, maps, ratios, method=hebt.Fused())
    >>> hebt.metrics.scaled_mse(specimen.density[0], x[0]) < 0.05
    True
    """

    label: ClassVar = "Fused"
    iterations: ClassVar = 14
    runs_on_cuda: ClassVar = True
    variance: ArrayLike | None = field(default=None, repr=False)
    haadf_noise: float | None = None

    def __post_init__(self):
        self._check_noise()

    def _check_call(self, alpha: Any, blur: Any, device: Any, accelerate: bool = False) -> None:
        """Raise a ValueError for arguments of `reconstruct` that are HEBT's alone."""
        if blur is not None:
            raise ValueError(
                "blur is given, but hebt.Fused takes smoothed maps as they are; expected None. "
                "Leave blur out, and give the maps' variance as hebt.Fused(variance=...)."
            )
        super()._check_call(alpha, blur, device, accelerate)

    def _solve(self, problem: Problem, run: Run) -> np.ndarray:
        """Return x in its public shape."""
        offset, own = share_out(problem, self.variance, self.haadf_noise)
        return solve(replace(problem, alpha=0.0), run, Acceleration(offset, keeps_sum=own == 0))

    def _in_blocks(self, problem: Problem) -> tuple[Callable, Problem, dict | None]:
        """Return what reconstructs a block of slices, with the v_h of them all."""
        if self.haadf_noise is not None:
            return super()._in_blocks(problem)
        data = problem.haadf, problem.maps, self.variance
        if has_other_tilts(problem) or any(map(is_lazy, data)):
            raise ValueError(
                "haadf_noise is None, but each block of slices would show another noise; expected "
                "hebt.Fused(haadf_noise=...) with Dask arrays, and with out where haadf_projector "
                "has other tilts. Give it, or 0 if HAADF has hardly any."
            )
        return self._with_noise(problem)._in_blocks(problem)

    def _with_noise(self, problem: Problem) -> Fused:
        """Return the same with the HAADF noise that these data show."""
        noise = float(np.sqrt(share_out(problem, self.variance, None)[1]))
        return replace(self, haadf_noise=noise)


def share_out(
    problem: Problem, variance: ArrayLike | None, noise: float | None
) -> tuple[np.ndarray, float]:
    """Return q_e - r_e p_e, in the shape of the maps, and v_h (see `Fused`)."""
    ratios: Any = problem.ratios
    # variances in about counts, as HAADF's unit squared may be beyond single precision
    unit = float(np.ldexp(1.0, np.frexp(ratios.max())[1]))
    shares = _map_variances(problem, variance, unit)
    misfit = _misfit(problem, noise)
    total = shares.sum(axis=0)
    own = _haadf_variance(misfit / unit, total) if noise is None else (noise / unit) ** 2
    total += np.float32(own)
    unknown = total < _LEAST
    total[unknown] = 1
    shares /= total
    if own == 0:
        shares[:, unknown] = 1 / len(shares)
    shares *= misfit
    return shares, own * unit**2


def _haadf_variance(misfit: np.ndarray, total: np.ndarray) -> float:
    """Estimate v_h: the misfit's mean square beyond the variance of the maps, if it is certain.

    Parameters
    ----------
    misfit
        p_h - sum_e r_e p_e, shape (tilts, ..., size).
    total
        sum_e v_e, of the same shape.
    """
    beyond = misfit.astype(np.float64) ** 2 - total
    # noise is independent from tilt to tilt, smoothed or not
    groups = beyond.mean(axis=tuple(range(1, beyond.ndim))) if len(beyond) > 1 else beyond.ravel()
    error = groups.std(ddof=1) / np.sqrt(len(groups)) if len(groups) > 1 else np.inf
    found = float(groups.mean())
    least = max(_CERTAIN * error, _NEGLIGIBLE * total.mean(dtype=float))
    return found if found > least else 0.0


def _map_variances(problem: Problem, variance: ArrayLike | None, unit: float) -> np.ndarray:
    """Return v_e / unit^2 in the shape of the maps: r_e^2 times their variance's local mean."""
    maps = problem.maps
    if variance is not None:
        variance = check_variance(variance, maps)
    elif are_counts(maps):
        variance = maps
    else:
        raise ValueError(
            f"maps hold values from {maps.min():g} to {maps.max():g} that are not all whole "
            "numbers from 0; expected raw counts. Give them, or the variance of each value as "
            "hebt.Fused(variance=...)."
        )
    tilts, size = maps.shape[1], maps.shape[-1]
    mean = variance @ gaussian_matrix(MEAN_PIXELS * size, size).T.astype(np.float32)
    mean = (tilt_means(problem.W.angles) @ mean.reshape(len(maps), tilts, -1)).reshape(maps.shape)
    mean *= (_as_maps(problem.ratios, maps.ndim) / np.float32(unit)) ** 2
    return mean


def _as_maps(ratios: Any, ndim: int) -> np.ndarray:
    """Return ratios, (elements,) or (elements, slices), in a shape that broadcasts to the maps."""
    ratios = np.asarray(ratios, np.float32)
    if ratios.ndim == 1:
        return ratios.reshape(-1, *[1] * (ndim - 1))
    return ratios[:, None, :, None]


def has_other_tilts(problem: Problem) -> bool:
    """Whether HAADF images were taken at other tilts than the maps."""
    other = problem.haadf_projector
    return other is not None and not np.array_equal(other.angles, problem.W.angles)


def _misfit(problem: Problem, noise: float | None) -> np.ndarray:
    """Return p_h - sum_e r_e p_e, at the tilts of the maps."""
    haadf: Any = problem.haadf
    if has_other_tilts(problem):
        haadf = problem.W.forward(haadf_reconstruction(problem, noise))
    ratios = _as_maps(problem.ratios, problem.maps.ndim)
    misfit = haadf.copy()
    for ratio, p in zip(ratios, problem.maps):
        misfit -= ratio * p
    return misfit
