"""What chapters on series without a truth have in common: held-out data judge, and are read."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hebt.validation import Judged

EDS = "EDS only"
# the variance that judges is smoothed over so many pixels, and has at least this share of its
# mean, as where hardly anything was counted its noise would weigh most
SMOOTHED, LEAST = 2.0, 0.1


def judging(variance: np.ndarray) -> np.ndarray:
    """Return the variance that misfits are divided by: smoothed, and nowhere near 0."""
    axes = (0,) * (variance.ndim - 2)
    smooth = ndimage.gaussian_filter(variance, (*axes, SMOOTHED, SMOOTHED))
    return np.maximum(smooth, LEAST * smooth.mean(axis=(-3, -2, -1), keepdims=True))


def relative(judged: Judged, reference: str = EDS) -> tuple[np.ndarray, np.ndarray]:
    """Return differences to a contender and their standard errors, in % of its error."""
    whole = judged.mean()[judged.contenders.index(reference)]
    mean, error = judged.differences(reference)
    return 100 * mean / whole, 100 * error / whole


def counts_of(judged: Judged, contender: str, reference: str = EDS) -> dict[str, list[str]]:
    """Say which elements a contender predicts better, worse, or neither: word -> elements."""
    signs = judged.verdicts(reference)[judged.contenders.index(contender)]
    words = {1: "better", -1: "worse", 0: "neither"}
    return {
        word: [e for e, s in zip(judged.elements, signs, strict=True) if s == sign]
        for sign, word in words.items()
    }


def outcome(judged: Judged, contender: str, reference: str = EDS) -> str:
    """Say in how many elements, and which, a contender is better and worse than another."""
    found, count = counts_of(judged, contender, reference), len(judged.elements)

    def named(word):
        elements = found[word]
        which = "all" if len(elements) == count else len(elements)
        return f"{word} for {which} ({', '.join(elements)})"

    words = [named(word) for word in ("better", "worse") if found[word]]
    return " and ".join(words) or "neither better nor worse for any element"
