"""How far noise moves a result: the spread of reconstructions from resampled counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._blocks import is_lazy
from ._checks import check_count, check_errors, check_function, check_seed, check_variance
from ._composition_em import CompositionEM, divide
from ._counts import are_counts, shifted_counts
from ._fused import Fused, has_other_tilts
from ._guide import haadf_reconstruction
from ._method import Hebt, Method
from ._problem import Problem, Run
from ._solve import Interrupted, solve
from .projector import Projector
from .reconstruct import checked_method

_COLUMNS = 256  # slices of all elements that run together; more would hardly be faster


def noise_deviation(
    W: Projector,
    haadf: ArrayLike,
    maps: ArrayLike,
    ratios: ArrayLike,
    alpha: float | None = None,
    iterations: int | None = None,
    mask: ArrayLike | None = None,
    *,
    method: str | Method = "hebt",
    replicates: int = 8,
    seed: int = 0,
    ratio_errors: ArrayLike | None = None,
    of: Callable | None = None,
    haadf_projector: Projector | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> np.ndarray:
    """Return the standard deviation that counting noise gives each voxel: noise only.

    The maps are counted again, `replicates` times: each n becomes a Poisson number with mean n
    (the parametric bootstrap [1]_). All are reconstructed alike, and the standard deviation over
    the results is returned. It is the noise of the X-rays alone. What a method errs by even
    without noise, its bias (smoothed edges, missing tilts, ratios that are wrong), is in none of
    it, nor is the noise of the HAADF images. With `CompositionEM` and a hard sum the bias is often
    two or three times larger than the noise.

    Parameters
    ----------
    W, haadf, alpha, iterations, mask, method, haadf_projector, device, progress
        As for `reconstruct`; give what the result was reconstructed with.
    maps
        Raw counts, shape (elements, tilts, [slices,] size); or, with the `variance` of a
        `CompositionEM`, what it takes: the shifted counts are drawn, so that mean and variance
        are those of the maps.
    ratios
        Response ratios, as for `reconstruct`.
    replicates
        How often the counts are drawn, at least 2. With n of them a standard deviation is itself
        uncertain by 1 / sqrt(2 (n - 1)): 27 % for 8, in each voxel.
    seed
        Seed of the random numbers.
    ratio_errors
        Standard errors of the ratios, shape (elements,), such as `ResponseRatios.standard_errors`,
        to be included: each replicate is reconstructed with other ratios as well, drawn with
        these errors (log-normally, independent of each other). That takes more replicates than
        elements, and about 30 to be of use in other than small errors.
    of
        Whose standard deviation to return, instead of that of x: called as ``of(x, ratios)`` with
        the result and the ratios of each replicate, it returns numbers, of any shape, always the
        same. As noise moves the elements of a voxel together or against each other (with a hard
        sum what one gains another loses), fractions and sums have to be worked out for each
        replicate, and their deviations cannot be had from those of x.

    Returns
    -------
    numpy.ndarray
        float32, shape (elements, [slices,] size, size) and in the unit of x, or that of what `of`
        returns; NaN where that is NaN in any replicate.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.
    RuntimeError, MemoryError
        As for `reconstruct`.
    Interrupted
        At Ctrl-C or a notebook's stop button; its `x` holds the standard deviation over the
        replicates that are finished (NaN for fewer than two), `iteration` how many they are.

    Notes
    -----
    Replicates ride along as further slices, as many at once as make it faster. Composition EM
    reconstructs HAADF once for all, and `Fused` takes the HAADF noise of the data. Smoothed or
    denoised maps are refused, as their noise is not independent from pixel to pixel, and so is the
    variance of a `Fused`.

    References
    ----------
    .. [1] Efron and Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall (1993), ch. 6.

    Examples
    --------
    >>> import functools, hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> fit = hebt.response_ratios(haadf, maps)
    >>> data = W, haadf, maps, fit.ratios
    >>> method = hebt.CompositionEM(kernel=1)
    >>> hebt.noise_deviation(*data, method=method).shape
    (2, 64, 64)

    The standard deviation of the mass fractions, with the errors of the ratios:

    >>> fractions = functools.partial(hebt.composition, zeta_factors=[1900, 1000])
    >>> options = dict(method=method, ratio_errors=fit.standard_errors)
    >>> hebt.noise_deviation(*data, of=fractions, **options).shape
    (2, 64, 64)
    """
    own = checked_method(method, alpha, None, device, False)
    if any(map(is_lazy, (haadf, maps, mask))):
        raise TypeError(
            "haadf, maps or mask is a Dask array, but all replicates pass through memory; "
            "expected numpy arrays. Compute them, for a few slices if they are too large."
        )
    alpha = 0.7 if alpha is None else alpha
    problem = Problem.checked(W, haadf, maps, ratios, alpha, haadf_projector, mask)
    iterations = own.iterations if iterations is None else iterations
    run = Run(iterations, device=device, progress=progress)
    replicates = check_count("replicates", replicates, least=2)
    if of is not None:
        check_function("of", of, "a function of x and the ratios, e.g. hebt.density with factors")
    random = np.random.SeedSequence(check_seed("seed", seed))
    drawn = _draw_ratios(problem.ratios, ratio_errors, replicates, random.spawn(1)[0])
    spread = _Spread()
    try:
        for x, used in _reconstructions(problem, run, own, drawn, random.spawn(replicates)):
            spread.add(x if of is None else _derived(of, x, used))
    except KeyboardInterrupt:
        raise Interrupted(
            spread.deviation(),
            spread.count,
            f"interrupted after {spread.count} of {replicates} replicates; the standard "
            "deviation over these is in this exception's x (in a notebook: sys.last_value.x)",
        ) from None
    return spread.deviation()


def _draw_ratios(ratios: Any, errors: Any, replicates: int, seed: Any) -> np.ndarray:
    """Return the ratios of each replicate, (replicates, elements) or (replicates, *ratios.shape).

    The logarithms' means and covariances over the replicates are exactly the given ones, so that
    few draws do not add their own chance.
    """
    if errors is None:
        return np.broadcast_to(ratios, (replicates, *ratios.shape))
    if ratios.ndim > 1:
        raise ValueError(
            f"ratios has shape {ratios.shape} with ratio_errors; expected one ratio for each "
            "element. Leave ratio_errors out."
        )
    elements = len(ratios)
    errors = check_errors("ratio_errors", errors, elements)
    if replicates <= elements:
        raise ValueError(
            f"replicates is {replicates} with ratio_errors of {elements} elements; expected more "
            "replicates than elements, better 30."
        )
    drawn = np.random.default_rng(seed).standard_normal((replicates, elements))
    alike = np.linalg.qr(drawn - drawn.mean(axis=0))[0] * np.sqrt(replicates - 1)
    return (ratios * np.exp(alike * errors / ratios)).astype(np.float32)


def _reconstructions(
    problem: Problem, run: Run, method: Method, ratios: np.ndarray, seeds: list
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield x and the ratios of each replicate."""
    depth = problem.lead or (1,)
    counts, shift = _counts(problem, method)
    if isinstance(method, Fused):
        method = _settled(method, problem)
    solve_many = _solver(problem, method, depth)
    together = -(-_COLUMNS // (len(counts) * depth[0])) if solve_many else 1
    for first in range(0, len(seeds), together):
        own = ratios[first : first + together]
        last = first + len(own)
        maps = [
            np.random.default_rng(seed).poisson(counts).astype(np.float32) - shift
            for seed in seeds[first:last]
        ]
        which = f"{first + 1} to {last}" if last > first + 1 else f"{last}"
        run = dataclasses.replace(run, label=f"Replicate {which} of {len(seeds)}")
        if solve_many is None:
            alone = dataclasses.replace(problem, maps=maps[0], ratios=own[0])
            yield method._solve(alone, run), own[0]
            continue
        x = solve_many(_replicated(problem, maps, own, depth), run)
        del maps
        for r in range(len(own)):
            yield x[:, r].reshape(problem.shape), own[r]


def _settled(method: Fused, problem: Problem) -> Fused:
    """Return the fused method with the HAADF noise of the data themselves.

    Counts drawn from counts have noise twice, of which each replicate would take half for HAADF's.
    """
    if method.haadf_noise is not None:
        return method
    if has_other_tilts(problem):
        raise ValueError(
            "haadf_noise is None and haadf_projector has other tilts, so that each replicate would "
            "find another noise; expected hebt.Fused(haadf_noise=...). Give it, or 0 if HAADF has "
            "hardly any."
        )
    return method._with_noise(problem)


def _counts(problem: Problem, method: Method) -> tuple[np.ndarray, Any]:
    """Return what is drawn again, and what goes off again afterwards."""
    if getattr(method, "shares", None) is not None:
        raise ValueError(
            "method is a hebt.CompositionEM with shares, from which all replicates would begin "
            "alike; expected shares=None. Leave shares out, and give as many iterations as the "
            "result has had in all."
        )
    maps, variance = problem.maps, getattr(method, "variance", None)
    if variance is not None and isinstance(method, Fused):
        raise ValueError(
            "method is a hebt.Fused with a variance, as smoothed maps have it, whose noise is not "
            "independent from pixel to pixel; expected raw counts and hebt.Fused(). Give these, or "
            "reconstruct maps that were counted again and smoothed alike."
        )
    if variance is not None:
        along, _ = getattr(method, "kernel", (0, 0))
        counts, shift = shifted_counts(maps, variance, along > 0, problem.W.angles)
        return counts, 0 if shift is None else shift
    if not are_counts(maps):
        raise ValueError(
            f"maps hold values from {maps.min():g} to {maps.max():g} that are no raw counts "
            "(whole numbers from 0, and not all multiples of one); expected these, as their noise "
            "is known. Give them, or a method with variance=..., such as hebt.CompositionEM."
        )
    return maps, 0


def _solver(problem: Problem, method: Method, depth: tuple[int, ...]) -> Callable | None:
    """Return what reconstructs several replicates at once; None if the method does not."""
    if isinstance(method, Hebt):
        return solve
    if not isinstance(method, CompositionEM):
        return None
    several, guide = method, haadf_reconstruction(problem, method.haadf_noise)
    guide = guide.reshape(*depth, *guide.shape[-2:])
    if method.variance is not None:
        variance = check_variance(method.variance, problem.maps)
        shape = (*problem.maps.shape[:2], 1, *depth, problem.W.size)
        several = dataclasses.replace(method, variance=variance.reshape(shape))
    return lambda problem, run: divide(problem, run, several, guide)


def _replicated(
    problem: Problem, maps: list, ratios: np.ndarray, depth: tuple[int, ...]
) -> Problem:
    """Return the problem of several replicates, each a volume beside the others."""
    haadf: Any = problem.haadf
    count, size = len(maps), problem.W.size
    alone = len(haadf), 1, *depth, size
    mask = problem.mask
    if mask is not None and mask.ndim > 2:
        mask = np.repeat(mask[None], count, axis=0)
    # one for each slice where they differ from replicate to replicate
    ratios = ratios.reshape(count, len(problem.maps), -1)
    ratios = np.broadcast_to(ratios, (*ratios.shape[:2], *depth)).swapaxes(0, 1)
    return dataclasses.replace(
        problem,
        haadf=np.repeat(haadf.reshape(alone), count, axis=1),
        maps=np.stack(maps, axis=2).reshape(len(problem.maps), -1, count, *depth, size),
        ratios=np.ascontiguousarray(ratios),
        mask=mask,
    )


def _derived(of: Callable, x: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    values = np.asarray(of(x, ratios))
    if values.dtype.kind not in "fiub":
        raise TypeError(f"of {of!r} returned values of type {values.dtype}; expected real numbers.")
    return values


class _Spread:
    """Mean and standard deviation of arrays that come one after the other."""

    def __init__(self):
        self.count, self.mean, self.squares = 0, np.full((), np.nan), np.full((), np.nan)

    def add(self, values: np.ndarray) -> None:
        """Take one more into account."""
        if self.count == 0:
            self.mean = np.array(values, np.result_type(values, np.float32), order="C")
            self.squares = np.zeros_like(self.mean)
        if values.shape != self.mean.shape:
            raise ValueError(
                f"of returned shape {values.shape} after {self.mean.shape}; expected the same "
                "shape for each replicate."
            )
        self.count += 1
        away = values - self.mean
        self.mean += away / self.count
        away *= values - self.mean
        self.squares += away

    def deviation(self) -> np.ndarray:
        """Return the standard deviation, float32; NaN of fewer than two."""
        if self.count < 2:
            return np.full(self.mean.shape, np.nan, np.float32)
        return np.sqrt(self.squares / (self.count - 1)).astype(np.float32)
