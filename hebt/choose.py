"""Settings without a truth: held-out counts judge the kernel of composition EM and its sum."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_list, check_count, check_flag, check_variance
from ._composition_em import CompositionEM, haadf_noise
from ._problem import Problem
from ._progress import progress_bar
from ._solve import Interrupted
from ._thinning import Folds, checked_parts
from .projector import Projector

_ENOUGH = 113  # X-rays of the scarcest element under the kernel that the search begins with
_LEAST, _MOST = 0.35, 0.25  # kernels tried: from so many voxels to this share of a slice
_BILATERAL = 2.5  # how much wider a kernel is that stops at edges
_SLICES, _MARGIN = 24, 4
_SURE = 2.0  # standard errors


@dataclass(frozen=True, repr=False, eq=False)
class Choice:
    """Settings of composition EM, chosen by held-out counts, and what speaks for them.

    Attributes
    ----------
    method
        What was chosen, for `reconstruct` with all counts.
    candidates
        (candidates,): what was tried, without its variance.
    deviance
        (folds, candidates): Poisson deviance of the counts of each fold, of which a candidate has
        not seen any; about 1 a pixel where a model is right. A lower one is better.
    chosen
        Which candidate was chosen.
    standard_errors
        (candidates,): of the difference to the chosen one, in deviance of all folds together.
    slices
        The slices that were reconstructed; None where there are no slices.
    doubts
        What the data do not say, as warned of.
    """

    method: CompositionEM
    candidates: tuple[CompositionEM, ...]
    deviance: np.ndarray
    chosen: int
    standard_errors: np.ndarray
    slices: slice | None
    doubts: tuple[str, ...]

    @property
    def differences(self) -> np.ndarray:
        """(candidates,): how much higher the deviance of all folds is than with the chosen one."""
        total = self.deviance.sum(axis=0)
        return total - total[self.chosen]

    def curve(
        self, total: str | float = "hard", contrast: float | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return widths of the kernel within slices, `differences` and their standard errors.

        Parameters
        ----------
        total, contrast
            Of the candidates to return.

        Returns
        -------
        tuple of numpy.ndarray
            Three arrays of one length, by rising width; empty where nothing like this was tried.
        """
        places = [
            i for i, c in enumerate(self.candidates) if (c.total, c.contrast) == (total, contrast)
        ]
        widths = np.array([_width(self.candidates[i]) for i in places])
        order = np.array(places, int)[np.argsort(widths)]
        return np.sort(widths), self.differences[order], self.standard_errors[order]

    def __repr__(self) -> str:
        folds, count = self.deviance.shape
        lines = [
            f"Choice of {count} by {folds} folds of the counts: {self.method}",
            "  kernel       sum   contrast   held-out deviance, less the chosen one's",
        ]
        rows = zip(self.candidates, self.differences, self.standard_errors, strict=True)
        for i, (one, difference, error) in enumerate(rows):
            along, inside = one.kernel  # type: ignore[misc]
            kernel = f"{inside:g}" if along == inside else f"{along:g}, {inside:g}"
            contrast = "-" if one.contrast is None else f"{one.contrast:g}"
            last = "chosen" if i == self.chosen else f"{difference:+.1f} +- {error:.1f}"
            mark = "*" if i == self.chosen else " "
            lines.append(f"{mark} {kernel:<10} {one.total!s:>5}   {contrast:>8}   {last}")
        return "\n".join([*lines, *(f"Note: {doubt}" for doubt in self.doubts)])


def choose(
    W: Projector,
    haadf: ArrayLike,
    maps: ArrayLike,
    ratios: ArrayLike,
    *,
    kernels: Sequence[float | tuple[float, float]] | None = None,
    contrasts: Sequence[float | None] = (None,),
    totals: Sequence[str | float] = ("hard", "free"),
    along: bool = True,
    parts: Sequence[ArrayLike] | None = None,
    variance: ArrayLike | None = None,
    folds: int = 5,
    slices: int | slice | None = None,
    mask: ArrayLike | None = None,
    haadf_projector: Projector | None = None,
    haadf_noise: float | None = None,
    iterations: int = 50,
    seed: int = 0,
    progress: bool | None = None,
) -> Choice:
    """Choose the kernel of `CompositionEM`, and whether elements sum to HAADF, from the data alone.

    The counts are split into five parts at random. Four of them are reconstructed, with each of
    the candidates, and the fifth says by its Poisson deviance how well that predicts X-rays which
    it has not seen [1]_. Each part judges once, so that all counts do.

    Returns
    -------
    Choice
    """
    problem = Problem.checked(W, haadf, maps, ratios, 0.0, haadf_projector, mask)
    shape = problem.maps.shape
    folds = check_count("folds", folds, least=2)
    split = checked_parts(problem.maps, parts, folds, seed)
    varied = None if variance is None else check_variance(variance, problem.maps)
    settings = CompositionEM(0, haadf_noise=haadf_noise)
    noise = settings.haadf_noise
    if noise is None:
        noise = _noise(problem.haadf)
    slab, inner = _slab(problem.maps, slices, check_flag("along", along))
    del shape
    problem, split, varied = _part(problem, split, varied, slab)
    run = Folds.of(problem, split, varied, noise, along, inner)
    grid = _Grid(run, along and problem.lead[0] > 1, settings, iterations)
    with progress_bar(1, "held-out counts", progress) as bar:
        grid.bar = bar
        try:
            grid.run(kernels, as_list("totals", totals, "sums"), contrasts)
        except Interrupted:
            raise KeyboardInterrupt(
                f"interrupted after {len(grid.found)} candidates, too early to choose one"
            ) from None
    return grid.choice(kernels is not None, variance, slab if np.ndim(haadf) == 3 else None)


_noise = haadf_noise


def _width(method: CompositionEM) -> float:
    kernel: Any = method.kernel
    return kernel[1]


def _slab(maps: np.ndarray, slices: Any, along: bool) -> tuple[slice, slice]:
    """Return which slices to reconstruct, those with most counts, and which of these judge."""
    if maps.ndim == 3:
        return slice(0, 1), slice(0, 1)
    depth = maps.shape[2]
    if isinstance(slices, slice):
        first, last, step = slices.indices(depth)
        if step != 1 or last <= first:
            raise ValueError(
                f"slices is {slices}; expected neighbors among {depth}, such as slice(10, 30)."
            )
    else:
        count = min(_SLICES, depth) if slices is None else check_count("slices", slices, most=depth)
        counts = np.cumsum([0.0, *maps.sum(axis=(0, 1, 3), dtype=float)])
        first = int(np.argmax(counts[count:] - counts[:-count]))
        last = first + count
    inner = slice(0, last - first)
    if along:
        margin = min(_MARGIN, (last - first - 1) // 2)
        inner = slice(margin if first > 0 else 0, last - first - (margin if last < depth else 0))
    return slice(first, last), inner


def _part(problem: Problem, parts: np.ndarray, variance: Any, slab: slice) -> tuple:
    """Return the same of some slices, with an axis of slices in any case."""
    mask, ratios = problem.mask, problem.ratios
    if problem.maps.ndim == 3:
        flat = problem.maps[:, :, None], parts[:, :, :, None]
        haadf = problem.haadf[:, None]  # type: ignore[index]
        variance = None if variance is None else variance[:, :, None]
        return replace(problem, haadf=haadf, maps=flat[0]), flat[1], variance
    if mask is not None and mask.ndim == 3:
        mask = mask[slab]
    if ratios is not None and ratios.ndim == 2:
        ratios = ratios[:, slab]
    return (
        replace(
            problem,
            haadf=problem.haadf[:, slab],  # type: ignore[index]
            maps=problem.maps[:, :, slab],
            mask=mask,
            ratios=ratios,
        ),
        parts[:, :, :, slab],
        None if variance is None else variance[:, :, slab],
    )


class _Grid:
    """Candidates, and the deviance of what they have not seen."""

    def __init__(self, folds: Folds, along: bool, settings: CompositionEM, iterations: int):
        self.folds, self.along, self.settings = folds, along, settings
        self.iterations = iterations
        self.found: dict[tuple, np.ndarray] = {}
        self.methods: dict[tuple, CompositionEM] = {}
        self.bar: Any = None

    def total(self, key: tuple) -> float:
        return float(self.found[key].sum())

    def try_(self, kernel: Any, total: Any, contrast: Any) -> tuple:
        if np.ndim(kernel) == 0:
            kernel = (kernel if self.along and contrast is None else 0.0, kernel)
        method = replace(self.settings, kernel=kernel, total=total, contrast=contrast)
        key = (method.kernel, method.total, method.contrast)
        if key not in self.found:
            self.found[key] = self.folds.deviance(method, self.iterations)
            self.methods[key] = method
            self.bar.update()
        return key

    def run(self, kernels: Any, totals: Sequence, contrasts: Sequence) -> None:
        self.families = [(total, contrast) for contrast in contrasts for total in totals]
        start = self.start()
        for total, contrast in self.families:
            if kernels is not None:
                for kernel in kernels:
                    self.try_(kernel, total, contrast)
            else:
                wider = 1 if contrast is None else _BILATERAL
                best = self.descend(start * wider, total, contrast, total == self.families[0][0])
                start = best / wider

    def start(self) -> float:
        """Return the width that holds about a hundred X-rays of the scarcest element."""
        S = self.folds.guide
        typical = (S**2).sum(dtype=float) / S.sum(dtype=float)
        voxels = np.count_nonzero(typical < 10 * S)
        counts = self.folds.problem.maps.sum(axis=(1, 2, 3, 4), dtype=float).min()
        counts /= self.folds.judges.shape[2] - 1
        dimensions = 3 if self.along else 2
        return (_ENOUGH * voxels / counts) ** (1 / dimensions) / np.sqrt(4 * np.pi)

    def descend(self, start: float, total: Any, contrast: Any, coarse: bool) -> float:
        """Look for the best width: by doubling, then a step of sqrt 2 to both sides."""
        most = _MOST * self.folds.problem.W.size

        def at(width):
            width = float(f"{min(max(width, _LEAST), most):.2g}")
            return self.total(self.try_(width, total, contrast)), width

        tried = {w: d for d, w in map(at, [start / 2, start, 2 * start] if coarse else [start])}
        for factor in (2.0, 2**0.5) if coarse else (2**0.5,):
            while True:
                best = min(tried, key=lambda w: tried[w])
                near = [at(best / factor), at(best * factor)]
                tried |= {w: d for d, w in near}
                if min(tried, key=lambda w: tried[w]) == best:
                    break
        return best

    def choice(self, given: bool, variance: Any, slab: slice | None) -> Choice:
        keys = list(self.found)
        blocks = np.stack([self.found[key].ravel() for key in keys])
        sums = blocks.sum(axis=1)

        def best(family):
            return min(
                (i for i, k in enumerate(keys) if k[1:] == family), key=lambda i: sums[i]
            )

        def errors(i):
            return np.sqrt(blocks.shape[1]) * np.std(blocks - blocks[i], axis=1, ddof=1)

        bests = [best(f) for f in self.families]
        first = bests[0]
        lower = [i for i in bests if sums[i] < sums[first] - _SURE * errors(first)[i]]
        chosen = min(lower, key=lambda i: sums[i], default=first)
        deviance = np.stack([self.found[k].sum(axis=1) for k in keys], axis=1)
        method = replace(self.methods[keys[chosen]], variance=variance)
        return Choice(
            method,
            tuple(self.methods[k] for k in keys),
            deviance,
            chosen,
            errors(chosen),
            slab,
            (),
        )
