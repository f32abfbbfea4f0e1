"""Errors over the X-ray dose: how little is enough for the error that HEBT has at the full dose?"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..fidelity import fidelity
from ..store import cached
from .runs import Course, fitted_ratios, follow, method_of, noisy_series, together

DOSES = (0.1, 0.3, 1.0, 3.0)
TENTH = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class DoseStudy:
    """Errors of the methods at several doses of X-rays."""

    doses: tuple[float, ...]  # 1: the printed ζ
    seeds: tuple[int, ...]
    elements: tuple[str, ...]
    courses: dict[tuple, Course]  # (method, dose)

    def error(self, method: str, dose: float, *, stop: str = "stated") -> np.ndarray:
        """Return the MSE, (elements, seeds)."""
        return self.courses[method, dose].at(stop)

    def at_a_tenth(self, other: str = "hebt", stop: str = "best") -> np.ndarray:
        """Return composition EM's error at a tenth of the dose over that of HEBT at all of it.

        (elements, seeds); HEBT at its best stop unless `stop` is "stated".
        """
        return self.error("em", TENTH) / self.error(other, 1.0, stop=stop)


def dose_study(*, seeds=None, doses=DOSES, size: int | None = None) -> DoseStudy:
    """Reconstruct the phantom at several doses.

    Composition EM's kernel holds the same number of counts at each dose, so that its width goes
    with one over the dose's root.
    """
    seeds = range(3 if fidelity() == "quick" else 5) if seeds is None else seeds
    return _dose_study(tuple(seeds), tuple(map(float, doses)), size)


@cached
def _dose_study(seeds, doses, size):
    series = [noisy_series(seeds, size=size, dose=dose) for dose in doses]
    ratios = [fitted_ratios(one) for one in series]
    courses = {}
    for name in ("eds", "hebt"):
        course, _ = follow(name, together(series), np.concatenate(ratios, axis=1))
        courses |= {(name, d): c for d, c in zip(doses, course.parts(len(doses)), strict=True)}
    for dose, data, own in zip(doses, series, ratios, strict=True):
        # fusing estimates HAADF's noise from all slices that it gets: each dose by itself
        courses["fused", dose], _ = follow("fused", data, own)
        method = method_of("em", data, kernel=kernel_at(dose))
        courses["em", dose], _ = follow("em", data, own, method=method)
    return DoseStudy(doses, seeds, series[0].elements, courses)


def kernel_at(dose: float) -> float:
    """Return how much wider the kernel has to be at a dose to hold as many counts."""
    return float(dose**-0.5)
