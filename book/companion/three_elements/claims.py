"""The numbers in the sentences of the chapter."""

from __future__ import annotations

import hebt

from ..judging import EDS, counts_of, outcome
from .judgement import FREE, FUSED, HARD, HEBT, POISSON, TV, Judgement
from .study import BenchmarkStudy, ratio_fits
from .tables import RIGHT

SHORT = {"hebt": HEBT, "fused": FUSED, "hard": HARD, "tv": TV, "poisson": POISSON}


def series_numbers(series, study: BenchmarkStudy) -> dict[str, str]:
    """Return what the sentences quote of the series and its ratios, ready for `glue`."""
    now, angles = study.settings, series.angles
    _, tilts, slices, size = series.maps.shape
    _, _, few, wide = study.series.maps.shape
    fits = ratio_fits(series)
    plain, right = fits["plain least squares"][0], fits[RIGHT][0]
    per_pixel = series.maps.mean(axis=(1, 2, 3), dtype=float)
    numbers = {
        "tilts": f"{tilts}",
        "span": f"{angles[-1] - angles[0]:.0f}",
        "step": f"{(angles[-1] - angles[0]) / (tilts - 1):g}",
        "frame": f"{slices} slices of {size} pixels",
        "counts": _listed(per_pixel, ".2f"),
        "plain": _listed(plain / right, ".2f"),
        "r_squared": f"{series.ratios().r_squared:.3f}",
        "r_squared_binned": f"{study.series.ratios().r_squared:.4f}",
        "binning": f"{now.binning}",
        "binned": f"{few} slices of {wide} pixels",
        "judges": f"{len(now.judges)}",
        "inner": f"{now.inner}",
        "parts": f"{now.parts}",
    }
    return {f"three_{name}": text for name, text in numbers.items()}


def judged_numbers(judgement: Judgement, choice: hebt.Choice) -> dict[str, str]:
    """Return what the sentences quote of the methods' judgement and of the choice."""
    numbers = {
        "kernel": f"{choice.method.kernel[1]:g}",
        "sum": f"{choice.method.total}",
        "verdict": verdict(judgement, choice),
    }
    for kind, judged in (("tilts", judgement.tilts), ("counts", judgement.counts)):
        for key, name in SHORT.items():
            numbers[f"{key}_{kind}"] = outcome(judged, name)
        numbers[f"free_hard_{kind}"] = outcome(judged, FREE, HARD)
        numbers[f"guide_{kind}"] = outcome(judged, FREE, POISSON)
        sums = judged.mean().sum(axis=1)
        best = int(sums.argmin())
        numbers[f"best_{kind}"] = judged.contenders[best]
        numbers[f"best_of_eds_{kind}"] = f"{sums[best] / sums[judged.contenders.index(EDS)]:.2f}"
    return {f"three_{name}": text for name, text in numbers.items()}


def verdict(judgement: Judgement, choice: hebt.Choice) -> str:
    """Say whether held-out tilts, which the choice has not seen, agree with its sum."""
    taken, other = (HARD, FREE) if choice.method.total == "hard" else (FREE, HARD)
    found = counts_of(judgement.tilts, other, taken)
    better, worse = (", ".join(found[word]) for word in ("better", "worse"))
    if better and worse:
        return f"they are divided, as the other sum predicts {better} better and {worse} worse"
    if better:
        return f"they do not agree, as the other sum predicts {better} better"
    if worse:
        return f"they agree, as the other sum predicts {worse} worse"
    return "they do not tell the sums apart"


def _listed(values, form: str) -> str:
    *first, last = (format(v, form) for v in values)
    return f"{', '.join(first)} and {last}"
