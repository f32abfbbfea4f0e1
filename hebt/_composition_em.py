"""Composition EM: HAADF is reconstructed first, then X-rays say how each voxel divides.

x_e = S (K a_e), with S the HAADF reconstruction, K a smoothing kernel, and sum_e a_e = 1. The a_e
maximize the Poisson likelihood of the counts by expectation maximization.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, check_choice, check_number
from ._counts import shifted_counts
from ._engine.arrays import inverse, pages
from ._engine.device import choose_device
from ._engine.em import Bilateral, EmRun, Gaussian
from ._guide import haadf_reconstruction, mean_inside
from ._method import Method
from ._problem import Problem, Run
from ._solve import iterate

_LEAST_SHARE = np.float32(1e-3)


@dataclass(frozen=True, eq=False)
class CompositionEM(Method):
    """A method of `reconstruct`: HAADF says how much there is, X-rays only how it divides.

    HAADF alone is reconstructed first, which gives S. Then x_e = S (K a_e), with K a smoothing
    kernel, and the shares a_e of the elements, which sum to 1 in each voxel, are those that make
    the counted X-rays most likely (Poisson noise). With counts n_e whose means are
    l_e = W x_e / r_e + b_e, an iteration is expectation maximization [1]_ with a kernel [2]_,
    where mu makes the sum of the new shares 1:

    a_e <- a_e K^T [S W^T (n_e / l_e)] / (K^T [S W^T 1] + r_e mu)

    There is no weight to choose, no step size, and the likelihood never falls. As the kernel, and
    not the stop, says how smooth the composition is, more iterations hardly harm.

    Parameters
    ----------
    kernel
        Standard deviation of the Gaussian K in voxels; or two, along the slices and within them:
        ``(0, 2)`` leaves slices apart, 0 is no kernel. It has to be given: choose the width of the
        finest change of composition that matters, but so wide that the voxels under K emitted
        about a hundred X-rays of the scarcest element in the whole series: within a slice, that
        is 3 sqrt(voxels of this element / its counts).
    contrast
        Let K stop at edges of S (bilateral, within slices only): the difference of S, relative to
        its mean in the specimen, at which voxels count as unlike. About 0.1, with a `kernel` two
        or three times wider, where phases differ in S; None where composition changes gradually.
    total
        ``"hard"``: the elements sum to S. ``"free"``: they need not, where HAADF and EDS
        contradict each other (damping, shadows, light elements that have no map); S is then a
        guide, and HAADF's noise comes through where it is right. A number, about 0.3 to 1: in
        between, how strongly the sum is held relative to the counts.
    variance
        Variance of each value of the maps, in a shape that broadcasts to theirs, where they are
        no raw counts. After background subtraction it is larger than the maps: that of the counts
        in all windows, each times the square of its weight. What was taken off goes on again as
        b_e. None for raw counts: whole numbers, and b_e = 0.
    haadf_noise
        Standard deviation of the noise of a HAADF pixel, in its unit, at which the reconstruction
        of S stops; 0 if there is none. None estimates it from the images, which must not have
        been smoothed for that.
    shares
        Where the a_e begin, in the shape of the result: those that an earlier run ended with, kept
        by ``history=hebt.History(shares=True)``. With them 10 iterations and 20 more are exactly
        30; x0 alone does not tell them, as K has smoothed it. None: x0 / S, or equal shares.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.

    Notes
    -----
    It takes maps as counted, aligned but not smoothed, nor denoised by components: noise is what
    the likelihood and K are for. With a hard sum and hardly any counts the surplus of S goes to
    the element with the largest ratio: the most likely answer, but no measurement.

    A run takes about 2.5 times the memory of data and result for two elements, 3 for one, and
    with `contrast` 4.6; in blocks of slices, with `out`, only that of the blocks.

    References
    ----------
    .. [1] Shepp and Vardi, "Maximum likelihood reconstruction for emission tomography", IEEE
       Transactions on Medical Imaging 1 (1982) 113-122.
    .. [2] Wang and Qi, "PET image reconstruction using kernel method", IEEE Transactions on
       Medical Imaging 34 (2015) 61-71.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> ratios = hebt.response_ratios(haadf, maps).ratios
    >>> x = hebt.reconstruct(W, haadf, maps, ratios, method=hebt.CompositionEM(kernel=0.5))
    >>> hebt.metrics.scaled_mse(specimen.density[0], x[0]) < 0.02
    True
    """

    label: ClassVar[str] = "Composition EM"
    iterations: ClassVar[int] = 50
    runs_on_cuda: ClassVar[bool] = True
    kernel: float | tuple[float, float] | None = None
    contrast: float | None = None
    total: str | float = "hard"
    variance: ArrayLike | None = field(default=None, repr=False)
    haadf_noise: float | None = None
    shares: ArrayLike | None = field(default=None, repr=False)

    def __post_init__(self):
        set_ = object.__setattr__
        kernel: Any = self.kernel
        along, inside = _widths(kernel)
        if self.contrast is not None:
            expected = "a difference relative to S above 0, e.g. 0.1, or None"
            set_(self, "contrast", check_number("contrast", self.contrast, expected))
            along = 0.0 if np.ndim(kernel) == 0 else along
            if along > 0 or inside == 0:
                raise ValueError(
                    f"kernel is {kernel!r} with contrast, which works within slices alone; "
                    "expected a width above 0, e.g. 4. Leave contrast out for slices that belong "
                    "together."
                )
        set_(self, "kernel", (along, inside))
        if isinstance(self.total, str):
            check_choice("total", self.total, ("hard", "free"))
        else:
            expected = '"hard", "free" or a number above 0, about 0.3 to 1'
            set_(self, "total", check_number("total", self.total, expected))
        self._check_noise()
        if self.shares is not None:
            set_(self, "shares", as_float32("shares", self.shares))

    def _check_call(self, alpha: Any, blur: Any, device: Any, accelerate: bool = False) -> None:
        """Raise a ValueError for what does not go with this method."""
        super()._check_call(alpha, blur, device, accelerate)
        if isinstance(device, str) and device == "cuda" and self.contrast is not None:
            raise ValueError(
                f'device is "cuda", but contrast is {self.contrast:g}, and a kernel that stops at '
                'edges runs on the CPU; expected "auto" or "cpu".'
            )

    def _check_blocks(self) -> None:
        """Raise a ValueError if the kernel joins slices, or shares would be those of blocks."""
        kernel: Any = self.kernel
        if self.shares is not None:
            raise ValueError(
                "shares is given, but out and Dask arrays have none; expected None. Go on from "
                "x0, or give numpy arrays and no out."
            )
        if kernel[0] > 0:
            raise ValueError(
                f"kernel is {kernel}, which joins slices, but with out or Dask arrays each block "
                f"of slices is reconstructed alone; expected kernel=(0, {kernel[1]:g}). Give that, "
                "or numpy arrays and no out for the whole volume at once."
            )

    def _solve(self, problem: Problem, run: Run) -> np.ndarray:
        """Return x in its public shape."""
        return divide(problem, run, self)


def _widths(kernel: Any) -> tuple[float, float]:
    """Return the kernel's widths along the slices and within them."""
    expected = (
        "its standard deviation in voxels, or two of them (along the slices, within them), e.g. 4. "
        "Choose one so wide that the voxels under it emitted about a hundred X-rays of the "
        "scarcest element: 3 sqrt(voxels / counts) within a slice; 0 is no kernel"
    )
    pair = list(kernel) if isinstance(kernel, (tuple, list, np.ndarray)) and np.ndim(kernel) else []
    if len(pair) not in (0, 2):
        raise ValueError(f"kernel is {kernel!r}; expected {expected}.")
    along, inside = [
        check_number("kernel", value, expected, also_least=True) for value in pair or [kernel] * 2
    ]
    return along, inside


def divide(
    problem: Problem, run: Run, method: CompositionEM, guide: Any = None, weights: Any = None
) -> np.ndarray:
    """Iterate, and return x; a history that keeps shares gets the a that the run ended with.

    Parameters
    ----------
    problem, run, method
        What to solve, and how.
    guide
        S, shape (*lead, size, size), or without some of the first axes, along which all share it;
        None to reconstruct it.
    weights
        Where a begins, in the shape of the result, such as those of an earlier run; None for
        those of the method, for x0 / S, or for equal shares.
    """
    weights = method.shares if weights is None else weights
    with contextlib.ExitStack() as stack:
        kind: Any = EmRun
        if run.device == "cuda":
            choose_device("cuda")
            from ._engine import cuda, cuda_em

            stack.enter_context(cuda.turn)
            kind = cuda_em.CudaEmRun
        state = _state(problem, method, guide, weights, kind)
        state.keep = run.history.keeps_shares
        try:
            return iterate(state, problem, np.arange(state.slices), run)
        finally:
            if state.shares is not None:
                run.history.shares = state.shares.reshape(problem.shape)


def _state(problem: Problem, method: CompositionEM, guide: Any, weights: Any, kind: Any) -> Any:
    """Return what to iterate on."""
    W, size, elements = problem.W, problem.W.size, len(problem.maps)
    ratios: Any = problem.ratios
    along, inside = method.kernel  # type: ignore[misc]
    if max(along, inside) > size:
        raise ValueError(
            f"kernel is {method.kernel}; expected at most {size}, the size of a slice."
        )
    _, shift = shifted_counts(problem.maps, method.variance, along > 0, W.angles)
    if guide is None:
        guide = haadf_reconstruction(problem, method.haadf_noise)
    guide = _check_guide(guide, problem)
    depth = guide.shape[-3] if guide.ndim > 2 else 1
    if problem.x0 is not None:
        if weights is not None:
            raise ValueError(
                "x0 is given beside shares, which say by themselves where to begin; expected one "
                "of them. Leave x0 out."
            )
        weights = _shares(problem.x0, guide)
    S = pages(size**2, guide.size // size**2)
    S[:] = guide.reshape(-1, size**2).T
    del guide
    level = mean_inside(S)
    smoothing: Any = Gaussian(along, inside, size, depth)
    if method.contrast is not None:
        smoothing = Bilateral(inside, method.contrast, S, level)

    def flat(array):
        return None if array is None else array.reshape(elements, len(W.angles), -1, size)

    if weights is not None:
        weights = _check_shares(weights, problem).reshape(elements, -1, size**2)
    seen = problem.haadf_projector or W
    return kind(
        W._beam,
        flat(problem.maps),
        flat(shift),
        problem.haadf.reshape(len(seen.angles), -1, size),  # type: ignore[union-attr]
        S,
        smoothing,
        ratios.reshape(elements, -1),
        _softness(method.total, W, ratios, S, level),
        weights,
        None if problem.haadf_projector is None else problem.haadf_projector._beam,
    )


def _shares(x0: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Return the a to begin with: x0 / S, and equal shares where both are empty.

    Around the specimen S may be much less than x0, and K would spread what that gives: shares sum
    to 2 at most. One of 0 would stay 0, so they are at least 0.001.
    """
    x0 = np.maximum(x0, 0)
    shares = x0 * inverse(np.maximum(guide, x0.sum(axis=0) / 2))
    empty = shares.sum(axis=0) == 0
    return np.where(empty, np.float32(1 / len(x0)), np.maximum(shares, _LEAST_SHARE))


def _check_guide(guide: Any, problem: Problem) -> np.ndarray:
    guide = as_float32("guide", guide)
    size, lead = problem.W.size, problem.lead
    shapes = [(*lead[first:], size, size) for first in range(len(lead) + 1)]
    if guide.shape not in shapes:
        raise ValueError(f"guide has shape {guide.shape}; expected {shapes[0]}, that of S.")
    if guide.min() < 0:
        raise ValueError(f"guide goes down to {guide.min():g}; expected at least 0.")
    return guide


def _check_shares(shares: Any, problem: Problem) -> np.ndarray:
    shares = as_float32("shares", shares)
    if shares.shape != problem.shape or shares.min() < 0:
        raise ValueError(
            f"shares has shape {shares.shape} and values from {shares.min():g}; expected "
            f"{problem.shape}, that of the result, and at least 0, as a History has them."
        )
    return shares


def _softness(total: Any, W: Any, ratios: np.ndarray, S: np.ndarray, level: np.ndarray) -> Any:
    """Return how far each column's sum may be from 1, per unit of mu; below 0 it is free."""
    if isinstance(total, str):
        return np.full(len(level), 0.0 if total == "hard" else -1.0)
    middle = np.zeros(len(level))
    for m, (column, mean) in enumerate(zip(S.T, level)):
        within = column[mean < 10 * column]
        middle[m] = np.median(within) if len(within) else 0.0
    inverse_ratio = (1 / np.asarray(ratios, float)).reshape(len(ratios), -1).mean(axis=0)
    if len(inverse_ratio) > 1:  # volumes that share S may have ratios of their own
        middle = np.resize(middle, len(inverse_ratio))
    return inverse(total * middle * W.column_sums.mean(dtype=float) * inverse_ratio)
