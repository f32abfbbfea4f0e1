"""The search for the kernel of composition EM by the deviance of counts that it has not seen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ._checks import as_list
from ._composition_em import CompositionEM
from ._thinning import Folds

_ENOUGH = 113  # X-rays of the scarcest element under the kernel that the search begins with
LEAST, _MOST = 0.25, 0.25  # kernels tried: from so many voxels to this share of a slice
_BILATERAL = 2.5  # how much wider a kernel is that stops at edges
_NEAR = 0.05  # widths that are as good as the same


def families_of(totals: Any, contrasts: Any) -> list[tuple]:
    """Return each sum with each contrast, after checking them."""
    given = {"totals": as_list("totals", totals, "sums")}
    given["contrasts"] = as_list("contrasts", contrasts, "contrasts, or None")
    for name, values in given.items():
        if not values:
            raise ValueError(f"{name} is empty; expected at least one to try.")
    for name, values in given.items():
        for value in values:
            with named(name):
                CompositionEM((0, 1), **{name[:-1]: value})
    return [
        family_of(CompositionEM((0, 1), contrast=c, total=t))
        for c in given["contrasts"]
        for t in given["totals"]
    ]


def family_of(method: CompositionEM) -> tuple:
    return method.total, method.contrast


@contextlib.contextmanager
def named(name: str) -> Iterator[None]:
    """Say in an error in which argument a value was."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def width_by_counts(S: np.ndarray, counts: float, along: bool) -> float:
    """Return the width of a Gaussian that holds about a hundred of so many X-rays."""
    typical = (S**2).sum(dtype=float) / S.sum(dtype=float)
    voxels = np.count_nonzero(typical < 10 * S)
    return (_ENOUGH * voxels / counts) ** (1 / (3 if along else 2)) / np.sqrt(4 * np.pi)


class Search:
    """Candidates that were tried, and the deviance of what they have not seen."""

    def __init__(self, folds: Folds, along: bool, settings: CompositionEM, iterations: int):
        self.folds, self.along, self.settings = folds, along, settings
        self.iterations = iterations
        self.found: dict[CompositionEM, np.ndarray] = {}  # (folds, tilts) each
        self.families: dict[tuple, dict[Any, CompositionEM]] = {}
        self.bar: Any = None

    def candidate(self, kernel: Any, family: tuple) -> CompositionEM:
        """Return composition EM with a kernel, of which a number is its width along all axes."""
        total, contrast = family
        if np.ndim(kernel) == 0:
            kernel = (kernel if self.along and contrast is None else 0.0, kernel)
        return replace(self.settings, kernel=kernel, total=total, contrast=contrast)

    def judge(self, method: CompositionEM) -> float:
        """Return the deviance of a candidate, which is worked out once."""
        tried = self.families.setdefault(family_of(method), {})
        kernel: Any = method.kernel
        if kernel not in tried:
            self.found[method] = self.folds.deviance(method, self.iterations)
            tried[kernel] = method
            self.bar.total = max(self.bar.total, len(self.found))
            self.bar.update()
        return float(self.found[tried[kernel]].sum())

    def run(self, kernels: Any, families: list[tuple]) -> None:
        """Try the kernels that are given, or look for the best one, in each of the families."""
        if kernels is not None:
            with named("kernels"):
                methods = [self.candidate(k, family) for family in families for k in kernels]
            for method in methods:
                self.judge(method)
            return
        best = self.descend(self.first_width(), families[0])
        for family in families[1:]:
            wider = 1.0 if (families[0][1] is None) == (family[1] is None) else _BILATERAL
            self.descend(best * wider, family, strides=(1,))

    def first_width(self) -> float:
        """Return the width that holds about a hundred X-rays of the scarcest element."""
        counts = self.folds.problem.maps.mean(axis=2, dtype=float).sum(axis=(1, 2, 3)).min()
        return width_by_counts(self.folds.guide, counts, self.along)

    def descend(self, start: float, family: tuple, strides: tuple[int, ...] = (2, 1)) -> float:
        """Look for the best width in steps of sqrt 2, first by strides; then between three."""
        most = _MOST * self.folds.problem.W.size
        start = min(max(start, LEAST), most)

        def width(k):
            return float(f"{min(max(start * 2 ** (k / 2), LEAST), most):.2g}")

        def deviance(k):
            return self.judge(self.candidate(width(k), family))

        best = 0
        for stride in strides:
            while (near := min((best, best + stride, best - stride), key=deviance)) != best:
                best = near
        low, here, high = (deviance(best + k) for k in (-1, 0, 1))
        bend = low + high - 2 * here
        if bend > 0 and width(best - 1) < width(best) < width(best + 1):
            lowest = width(best + (low - high) / (2 * bend))
            lower = self.candidate(lowest, family)
            if abs(lowest / width(best) - 1) > _NEAR and self.judge(lower) < here:
                return lowest
        return width(best)
