"""Settings without a truth: held-out counts judge the kernel of composition EM and its sum."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_list, check_count, check_flag, check_variance
from ._composition_em import CompositionEM
from ._guide import haadf_noise as estimated_noise
from ._problem import Problem
from ._progress import progress_bar
from ._search import LEAST, Search, families_of, family_of
from ._solve import Interrupted
from ._thinning import Folds, checked_parts
from .projector import Projector

_SLICES, _MARGIN = 48, 12  # of a slab whose slices the kernel joins; which do not judge
_ALONE = 8  # slices where it does not
_WORK = 4e6  # voxels of all elements and folds, beyond which fewer folds judge
_USUAL = 12  # candidates
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
    doubts: tuple[str, ...] = ()

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
            Three arrays of one length, by rising width.

        Raises
        ------
        ValueError
            If nothing like this was tried.
        """
        family = families_of([total], [contrast])[0]
        found = [(_width(c), i) for i, c in enumerate(self.candidates) if family_of(c) == family]
        if not found:
            tried = list(dict.fromkeys(map(family_of, self.candidates)))
            raise ValueError(
                f"total is {total!r} and contrast {contrast!r}; expected a pair that was tried: "
                f"{', '.join(map(str, tried))}."
            )
        widths, order = (list(values) for values in zip(*sorted(found), strict=True))
        return np.array(widths), self.differences[order], self.standard_errors[order]

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
    totals: Sequence[str | float] = ("hard", 0.5, "free"),
    along: bool = True,
    parts: Sequence[ArrayLike] | None = None,
    variance: ArrayLike | None = None,
    folds: int | None = None,
    slices: int | slice | None = None,
    mask: ArrayLike | None = None,
    haadf_projector: Projector | None = None,
    haadf_noise: float | None = None,
    iterations: int = 50,
    seed: int = 0,
    progress: bool | None = None,
) -> Choice:
    """Choose the kernel of `CompositionEM`, and whether elements sum to HAADF, from counts alone.

    The counts are split into five equal parts at random. With each candidate, four of them are
    reconstructed, and the Poisson deviance of the fifth says how well that predicts X-rays which
    it has not seen [1]_. The parts take turns as the judge, so that every count judges once.

    Parameters
    ----------
    W, haadf, ratios, mask, haadf_projector
        As for `reconstruct`.
    maps
        Element maps as they were counted, whole numbers, shape (elements, tilts, [slices,] size);
        or, with `parts`, processed ones.
    kernels
        Widths to try, in voxels, or pairs of them, as for `CompositionEM`. None looks for the best
        one: by doubling, then in steps of sqrt 2, then at the lowest point of the parabola through
        three of them. It begins with the width under which lie 113 X-rays of the scarcest element:
        3 sqrt(voxels / counts) within slices, 1.4 (voxels / counts)^(1/3) with those beside it.
    contrasts
        Contrasts to try, as for `CompositionEM`, such as ``(None, 0.1)``.
    totals
        Sums to try, as for `CompositionEM`, from the strictest to the freest.
    along
        Whether kernels that are numbers join slices. False for slices of different specimens.
    parts
        The parts of the counts, where maps are processed: at least two arrays in the shape of
        `maps`, which is their sum. Split what was counted, and process each part as the whole:
        ``[process(part) for part in hebt.split_counts(spectra, seed=1, parts=5)]``.
    variance
        That of `maps`, where they are no raw counts, as for `CompositionEM`; parts have their share
        of it.
    folds
        How many of the parts judge, at least two. None: all, or fewer where slices are many and
        large.
    slices
        Which slices to use: how many, about where most counts are, or ``slice(first, last)``. None:
        48, of which the outer 12 at each cut only lend their counts to the kernel; or 8, if
        `along` is False. A kernel joins slices within three times its width.
    haadf_noise
        As for `CompositionEM`.
    iterations
        Of each candidate; reconstruct with as many.
    seed
        Seed of the split.
    progress
        Show a progress bar; if None, where somebody can see it (a terminal, a live notebook).

    Returns
    -------
    Choice
        Its `method` is what was chosen: the kernel with the lowest deviance; and of `totals` and
        `contrasts` one that comes later only where it is better than those before it by more than
        two standard errors, as a free sum lets much noise in.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.
    KeyboardInterrupt
        At Ctrl-C or a notebook's stop button.

    Warns
    -----
    UserWarning
        If the chosen kernel is the widest or narrowest that was tried, or counts do not tell a
        kernel from one twice as wide.

    Notes
    -----
    Standard errors are those of counting noise: from the spread over the f folds at each tilt,
    times sqrt(1 + f / (p - 1)) for p parts, as reconstructions share most of their counts [2]_.

    A sum that is not hard is chosen where HAADF and the counts contradict each other. It predicts
    the maps better then, but voxels have more noise: on a simulated phantom of separate phases the
    hard sum kept the lower error in the volume even then. Remove what contradicts first (damping,
    an offset, misalignment, an element that has no map).

    Four parts are fewer counts than all: the best kernel for all is a little narrower. Counts judge
    projections, not voxels, so nothing is offered here for which that failed on simulated
    specimens: when to stop (fused and HEBT; `CompositionEM` hardly depends on it, and the fused
    method has a fixed number), and the strength of guided total variation.
    Neither does a fit of raw counts to
    their noise tell when to stop; it ends far too early.

    References
    ----------
    .. [1] Stone, "Cross-validatory choice and assessment of statistical predictions", Journal of
       the Royal Statistical Society B 36 (1974) 111-147.
    .. [2] Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52 (2003)
       239-281.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(32)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 32)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> counts = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> ratios = hebt.response_ratios(haadf, counts).ratios
    >>> choice = hebt.choose(W, haadf, counts, ratios, kernels=[0.25, 0.5, 1])
    >>> choice.method.total
    'hard'
    >>> x = hebt.reconstruct(W, haadf, counts, ratios, method=choice.method)
    """
    problem = Problem.checked(W, haadf, maps, ratios, 0.0, haadf_projector, mask)
    if problem.is_lazy:
        raise ValueError(
            "haadf, maps or mask is a Dask array; expected numpy arrays. Give some slices of them, "
            "such as maps[:, :, 100:148].compute()."
        )
    families = families_of(totals, contrasts)
    if kernels is not None and not (kernels := as_list("kernels", kernels, "widths")):
        raise ValueError("kernels is empty; expected some widths, or None to look for one.")
    settings = CompositionEM(0, haadf_noise=haadf_noise)
    if haadf_noise is None:
        haadf_noise = estimated_noise(problem.haadf)  # type: ignore[arg-type]
    along = check_flag("along", along) and problem.maps.ndim > 3
    slab, inner = _slab(problem.maps, slices, along)
    split = checked_parts(problem.maps, parts, seed)
    judging = _judging(problem, folds, len(split), slab)
    varied = None if variance is None else check_variance(variance, problem.maps)
    problem, split, varied = _part(problem, split, varied, slab)
    _check_counted(problem.maps)
    run = Folds.of(problem, split, judging, varied, haadf_noise, along, inner)
    search = Search(run, along, settings, check_count("iterations", iterations))
    with progress_bar(_USUAL, "held-out counts", progress) as search.bar:
        try:
            search.run(kernels, families)
        except Interrupted:
            raise KeyboardInterrupt(
                f"interrupted, too early to choose; candidates done: {len(search.found)}"
            ) from None
    choice = _choice(
        search, kernels is not None, variance, slab if np.ndim(haadf) == 3 else None, len(split)
    )
    for doubt in choice.doubts:
        warnings.warn(doubt, UserWarning, stacklevel=2)
    return choice


def _width(method: CompositionEM) -> float:
    kernel: Any = method.kernel
    return kernel[1]


def _check_counted(maps: np.ndarray) -> None:
    for e, total in enumerate(maps.sum(axis=(1, 2, 3), dtype=float)):
        if total <= 0:
            raise ValueError(
                f"maps[{e}] holds no counts in the slices that are used, nor can it judge; "
                "expected some. Leave the element out, or use other slices."
            )


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
        usual = min(_SLICES if along else _ALONE, depth)
        count = usual if slices is None else check_count("slices", slices, most=depth)
        counts = np.cumsum([0.0, *maps.sum(axis=(0, 1, 3), dtype=float)])
        first = int(np.argmax(counts[count:] - counts[:-count]))
        last = first + count
    inner = slice(0, last - first)
    if along:
        margin = min(_MARGIN, (last - first) // 4)
        inner = slice(margin if first > 0 else 0, last - first - (margin if last < depth else 0))
    return slice(first, last), inner


def _judging(problem: Problem, folds: Any, parts: int, slab: slice) -> int:
    """Return how many of the parts judge."""
    if folds is not None:
        return check_count("folds", folds, least=2, most=parts)
    voxels = len(problem.maps) * (slab.stop - slab.start) * problem.W.size**2
    return int(min(parts, max(2, _WORK // voxels)))


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


def _choice(search: Search, given: bool, variance: Any, slab: slice | None, parts: int) -> Choice:
    """Return the best of the first family, or of one that is better for sure."""
    methods = [
        method
        for tried in search.families.values()
        for method in sorted(tried.values(), key=_width)
    ]
    found = np.stack([search.found[method] for method in methods])
    sums, folds = found.sum(axis=(1, 2)), found.shape[1]
    factor = folds * (1 + folds / (parts - 1))

    def errors(i):
        each = np.var(found - found[i], axis=1, ddof=1)  # (candidates, tilts)
        return np.sqrt(factor * each.sum(axis=1))

    bests = [
        min(map(methods.index, tried.values()), key=lambda i: sums[i])
        for tried in search.families.values()
    ]
    chosen = bests[0]
    for later in bests[1:]:
        if sums[later] + _SURE * errors(chosen)[later] < sums[chosen]:
            chosen = later
    result = Choice(
        replace(methods[chosen], variance=variance),
        tuple(methods),
        found.sum(axis=2).T,
        chosen,
        errors(chosen),
        slab,
    )
    return replace(result, doubts=tuple(_doubts(result, given)))


def _doubts(choice: Choice, given: bool) -> Iterator[str]:
    """Say what the data do not tell."""
    one = choice.candidates[choice.chosen]
    widths, differences, errors = choice.curve(one.total, one.contrast)
    width = _width(one)
    end = None
    if len(widths) > 1 and width == widths[-1]:
        end = "the widest that was tried: try wider ones, kernels=[...]"
        if not given:
            end = "the widest that is tried: these counts show no change of the composition"
    elif len(widths) > 1 and width == widths[0] and width > LEAST:  # that smooths nothing
        end = "the narrowest that was tried: try narrower ones, kernels=[...]"
    if end:
        yield f"the chosen kernel, {width:g}, is {end}."
    alike = widths[differences <= _SURE * errors]
    if alike.max() >= 2 * width or alike.min() <= width / 2:
        yield (
            f"these counts do not tell kernels from {alike.min():g} to {alike.max():g} apart: "
            "their held-out deviances differ by less than two standard errors."
        )
