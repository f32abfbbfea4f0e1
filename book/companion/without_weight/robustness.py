"""What happens when data or settings are wrong."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from hebt import simulate

from ..fidelity import fidelity
from ..phantom.data import PhantomData
from ..store import cached
from .runs import Course, fitted_ratios, follow, method_of, noisy_series, together

RATIO_ERROR, NOISE, DAMPED, SHIFT = 0.2, 0.03, 0.2, 1.0


class Case(NamedTuple):
    """One thing that is wrong."""

    name: str
    ratios: tuple[float, float] = (1.0, 1.0)  # factors on the fitted ones
    noise: float = 0.0  # of HAADF, relative to its brightest pixel
    stops: bool = True  # whether the reconstruction of S stops at that noise
    damped: float = 0.0  # how much the brightest pixel of HAADF lost to damping
    shift: float = 0.0  # of the maps against HAADF, in pixels
    kernel: float = 1.0  # factor on the width of composition EM's kernel


CASES = (
    Case("nothing wrong"),
    Case("r of Au 20 % too high, of Ag too low", ratios=(1 + RATIO_ERROR, 1 - RATIO_ERROR)),
    Case("r of Au 20 % too low, of Ag too high", ratios=(1 - RATIO_ERROR, 1 + RATIO_ERROR)),
    Case("HAADF with 3 % noise, S stopped at it", noise=NOISE),
    Case("HAADF with 3 % noise, S not stopped", noise=NOISE, stops=False),
    Case("HAADF damped, not corrected", damped=DAMPED),
    Case("maps one pixel beside HAADF", shift=SHIFT),
    Case("kernel half as wide", kernel=0.5),
    Case("kernel twice as wide", kernel=2.0),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Robustness:
    """Errors of the methods where something is wrong."""

    size: int
    seeds: tuple[int, ...]
    elements: tuple[str, ...]
    cases: tuple[Case, ...]
    courses: dict[tuple, Course]  # (place of the case, method)

    def error(self, case: int, method: str, *, stop: str = "stated") -> np.ndarray:
        """Return the MSE, (elements, seeds)."""
        return self.courses[case, method].at(stop)

    def loses(self, case: int, other: str, stop: str = "best") -> list[str]:
        """Return for which elements composition EM is worse, in the mean over the seeds."""
        mine, theirs = self.error(case, "em"), self.error(case, other, stop=stop)
        worse = mine.mean(axis=1) > theirs.mean(axis=1)
        return [e for e, lost in zip(self.elements, worse, strict=True) if lost]


def robustness(*, seeds=None, cases=CASES, size: int | None = None) -> Robustness:
    """Reconstruct the phantom from data, or with settings, that are wrong in one thing each.

    The ratios are fitted to the wrong data, as an experimenter would.
    """
    seeds = range(2 if fidelity() == "quick" else 3) if seeds is None else seeds
    return _robustness(tuple(seeds), tuple(cases), size)


@cached
def _robustness(seeds, cases, size):
    right = noisy_series(seeds, size=size)
    series = [spoiled(right, case) for case in cases]
    ratios = [
        fitted_ratios(data) * np.array(case.ratios)[:, None]
        for data, case in zip(series, cases, strict=True)
    ]
    # EDS alone meets neither HAADF nor, at the best scale, the ratios
    eds, _ = follow("eds", right, ratios[0])
    courses = {(place, "eds"): eds for place in range(len(cases))}
    course, _ = follow("hebt", together(series), np.concatenate(ratios, axis=1))
    courses |= {(k, "hebt"): one for k, one in enumerate(course.parts(len(cases)))}
    for place, case in enumerate(cases):
        # fusing estimates HAADF's noise from all slices that it gets: each case by itself
        courses[place, "fused"], _ = follow("fused", series[place], ratios[place])
        noise = None if case.stops else 0.0
        method = method_of("em", series[place], kernel=case.kernel, haadf_noise=noise)
        courses[place, "em"], _ = follow("em", series[place], ratios[place], method=method)
    return Robustness(right.W.size, seeds, right.elements, cases, courses)


def spoiled(data: PhantomData, case: Case) -> PhantomData:
    """Return the data with what is wrong in them."""
    haadf = data.haadf
    if case.damped:
        haadf = simulate.damp(haadf, saturation_for(case.damped) * float(haadf.max()))
    if case.noise:
        rng = np.random.default_rng(1)
        noise = case.noise * haadf.max() * rng.standard_normal(haadf.shape)
        haadf = (haadf + noise).astype(np.float32)
    if case.shift:
        # HAADF moves, as counts would be no whole numbers any more
        haadf = ndimage.shift(haadf, (0, case.shift), order=1, mode="nearest")
    return dataclasses.replace(data, haadf=haadf)


def saturation_for(lost: float) -> float:
    """Return the saturation, relative to an intensity, at which damping takes this share of it."""
    low, high = 1e-2, 1e4
    for _ in range(100):
        middle = np.sqrt(low * high)
        taken = 1 + middle * np.expm1(-1 / middle)
        low, high = (middle, high) if taken > lost else (low, middle)
    return float(low)
