"""Counts thinned into parts: each in turn judges what the others are reconstructed to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, as_list, check_shares
from ._composition_em import CompositionEM, divide
from ._counts import are_counts, shifted_counts, split_counts
from ._guide import haadf_reconstruction
from ._problem import Problem, Run

_LEAST = 1e-6  # counts expected in a pixel, as in the iteration
_PARTS = 5
_UNLIKE = 0.05  # how far parts may be from adding up, where they were processed


@dataclass(frozen=True, eq=False)
class Folds:
    """Parts of the counts, and reconstructions of all but one of them, side by side as slices.

    Attributes
    ----------
    problem
        What is reconstructed: maps (elements, tilts, folds, slices, size) of all parts but one.
    judges
        The part left out, in the same shape.
    ratios
        Those of a single part, (elements, 1, 1, slices or 1, 1).
    shift
        What a part's variance has beyond its counts, (elements, tilts, 1, slices, size); or 0.
    variance
        That of `problem`'s maps, in their shape; None for raw counts.
    guide
        S, (slices, size, size), the same for all folds.
    inner
        Which slices judge.
    """

    problem: Problem
    judges: np.ndarray
    ratios: np.ndarray
    shift: np.ndarray
    variance: np.ndarray | None
    guide: np.ndarray
    inner: slice

    @classmethod
    def of(
        cls,
        problem: Problem,
        parts: np.ndarray,
        judging: int,
        variance: np.ndarray | None,
        noise: float | None,
        along: bool,
        inner: slice,
    ) -> Folds:
        """Return the folds of a problem with one axis of slices; `parts` is (parts, *maps.shape).

        The first `judging` of them judge. A part's share of the counts goes into the ratios. Parts
        have that share of the variance too, and of what is to be added to the maps to make them
        Poisson distributed.
        """
        count = len(parts)
        kept = np.float32((count - 1) / count)
        judges = np.moveaxis(parts[:judging], 0, 2)
        maps = parts.sum(axis=0)[:, :, None] - judges
        shift = np.zeros((len(maps), *[1] * 4), np.float32)
        if variance is not None:
            whole: Any = shifted_counts(problem.maps, variance, along, problem.W.angles)[1]
            shift = whole[:, :, None] / np.float32(count)
            variance = np.broadcast_to(variance[:, :, None] * kept, maps.shape)
        haadf, ratios = problem.haadf, problem.ratios
        assert haadf is not None and ratios is not None
        shape = len(haadf), judging, *haadf.shape[1:]
        every = ratios.reshape(len(maps), -1)
        train = replace(
            problem,
            haadf=np.broadcast_to(haadf[:, None], shape),
            maps=maps,
            ratios=(every if every.shape[1] == 1 else np.tile(every, (1, judging))) / kept,
            mask=None,
        )
        single = count * every[:, None, None, :, None]
        guide = haadf_reconstruction(problem, noise)
        return cls(train, judges, single, shift, variance, guide, inner)

    def deviance(self, method: CompositionEM, iterations: int) -> np.ndarray:
        """Return the Poisson deviance of the parts left out, shape (folds, tilts).

        2 sum (l - n ln l), with n their counts and l what the reconstruction of the others lets
        expect, plus what makes it 0 for l = n. Processed counts can be below 0, which is left in:
        so the difference between two methods is right in the mean.
        """
        method = replace(method, variance=self.variance)
        x = divide(self.problem, Run(iterations), method, self.guide)
        _, tilts, folds, *_ = self.judges.shape
        result = np.zeros((tilts, folds))
        for one, judge, ratio, shift in zip(x, self.judges, self.ratios, self.shift, strict=True):
            expected = self.problem.W.forward(one) / ratio + shift
            pixels = poisson_deviance(judge + shift, expected)
            result += pixels[:, :, self.inner].sum(axis=(2, 3))
        return result.T


def poisson_deviance(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the deviance of each pixel, 2 (l - n ln l) up to what depends on n alone."""
    n = counts.astype(float)
    expected = np.maximum(expected, _LEAST).astype(float)
    least = np.maximum(n, _LEAST)
    return 2 * (expected - n * np.log(expected) - least + n * np.log(least))


def checked_parts(maps: np.ndarray, parts: Any, seed: Any) -> np.ndarray:
    """Return the parts of maps, (parts, *maps.shape), float32: given, or drawn from raw counts."""
    if parts is None:
        if not are_counts(maps):
            raise ValueError(
                f"maps hold values from {maps.min():g} to {maps.max():g} that are no raw counts, "
                "which cannot be thinned; expected whole numbers from 0, or parts. Split what was "
                "counted, hebt.split_counts(spectra, seed=1, parts=5), process each part as the "
                "whole, and give the results as parts."
            )
        return np.stack(split_counts(maps, seed=seed, parts=_PARTS))
    given: Sequence[ArrayLike] = as_list("parts", parts, "element maps of each part of the counts")
    if len(given) < 2:
        raise ValueError(f"parts has length {len(given)}; expected at least 2 parts.")
    checked = [as_float32(f"parts[{i}]", part) for i, part in enumerate(given)]
    for i, part in enumerate(checked):
        if part.shape != maps.shape:
            raise ValueError(
                f"parts[{i}] has shape {part.shape} and maps {maps.shape}; expected the same shape."
            )
    result = np.stack(checked)
    sums = result.sum(axis=tuple(range(2, result.ndim)), dtype=float)
    whole = maps.sum(axis=tuple(range(1, maps.ndim)), dtype=float)
    for e, each in enumerate(sums.T):
        if abs(each.sum() - whole[e]) > _UNLIKE * abs(whole[e]):
            raise ValueError(
                f"parts of maps[{e}] add up to {each.sum():.4g} and maps[{e}] to {whole[e]:.4g}; "
                "expected the same. Give maps made of parts of the counts, neither means nor "
                "rescaled, and their sum as maps."
            )
    check_shares("parts", result)
    return result
