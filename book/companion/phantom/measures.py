"""How reconstructions of the phantom are scored."""

from __future__ import annotations

import numpy as np

from hebt import metrics

from ..scores import Scores
from ..threads import run
from .data import PhantomData

METHODS = ("hebt_est", "hebt_gt", "eds")
# Table 1's three scores. SSIM's window and the normalization of the MSE are not printed: "ssim" is
# the structure term over the whole image and "mse" the mean over its pixels. Both were chosen with
# Table 1 in view, so that their nearness to it is a fit and no evidence; the other readings of the
# paper stand beside them.
TABLE_1 = ("ssim", "mse", "dp")
SCORES = {
    "ssim": lambda x, y: metrics.ssim_structure(x, y, window=None),
    "ssim_windowed": lambda x, y: metrics.ssim_structure(x, y, window="gaussian"),
    "mse": lambda x, y: metrics.scaled_mse(x, y, normalise="pixels"),
    "mse_reference": lambda x, y: metrics.scaled_mse(x, y, normalise="reference"),
    "dp": metrics.pixel_difference,
}


def score(data: PhantomData, x, names=("mse",)) -> np.ndarray:
    """Score x (elements, several, size, size) against the phantom: (names, elements, several).

    DP counts pixels of the paper's frame, so that it counts the same area at any size.
    """
    scale = {"dp": data.settings.binning**2}

    def one(name, e, place):
        value = SCORES[name](data.density[e], np.ascontiguousarray(x[e, place]))
        return value * scale.get(name, 1)

    jobs = [(name, e, s) for name in names for e in range(len(x)) for s in range(x.shape[1])]
    return np.array(run(one, *zip(*jobs))).reshape(len(names), *x.shape[:2])


def checkpoints(iterations: int) -> np.ndarray:
    """Return iterations to look at: each of the first ones, then in steps of a fifth."""
    values = [1]
    while values[-1] < iterations:
        values.append(max(values[-1] + 1, round(values[-1] * 1.2)))
    return np.array(sorted({v for v in values if v <= iterations} | {iterations}))


def with_last(data: PhantomData, taken, names, x, late) -> dict[str, np.ndarray]:
    """Put scores `taken` at the checkpoints beside `late` ones of the last reconstruction x.

    Return name -> (checkpoints, elements, several), NaN where a score was not taken.
    """
    values = dict(zip(names, np.moveaxis(np.array(taken), 1, 0), strict=True))
    for name, last in zip(late, score(data, x, late), strict=True):
        values[name] = np.full_like(values[names[0]], np.nan)
        values[name][-1] = last
    return values


def as_scores(data: PhantomData, methods, runs, part=slice(None)) -> Scores:
    """Return the scores of one or more runs, whose slices are methods and seeds within them.

    The runs are those of `with_last`; `part` is which of their slices count.
    """
    values = {}
    for name in runs[0]:
        each = np.concatenate([one[name][..., part] for one in runs], axis=-1)
        values[name] = each.reshape(*each.shape[:2], len(methods), -1).transpose(2, 1, 3, 0)
    iterations = data.settings.iterations
    return Scores(values, methods, data.elements, checkpoints(iterations), iterations)
