"""Scores of a running reconstruction."""

from __future__ import annotations

import numpy as np

from ..paper import value
from ..threads import run, threads
from .measures import BINS, ELEMENTS, STEPS, TABLE_2, fewest_wrong, windowed_ssim


class Follow:
    """What is measured of a running reconstruction; `look` is a score for `hebt.Snapshots`.

    Parameters
    ----------
    truth
        The `Truth` of the slices that are scored.
    labels
        Their segmentation; None where there is none to score against.
    every
        Of the reconstruction's slices, each one that this divides is scored.
    """

    def __init__(self, truth, labels=None, every: int = 1):
        self.truth, self.every = truth, every
        self.code = truth.codes(labels)
        code = np.arange(truth.CODES)
        self.labels = {"segmented": code % 3, "true": code // 3 % 3}
        if labels is None:
            del self.labels["segmented"]
        self.region = code // 9

    def look(self, x) -> dict:
        """Return scores, reference -> name -> (elements,), and crosstalk of Ag in Au."""
        x = x[:, :: self.every]
        histogram, totals, sums, limits = self._tally(x)
        voxels = x.size // len(ELEMENTS)
        scores = {r: {name: np.empty(len(ELEMENTS)) for name in TABLE_2} for r in self.labels}
        for e, label in enumerate((2, 1)):
            for reference, labels in self.labels.items():
                own = labels == label
                ones, zeros = histogram[e, own].sum(axis=0), histogram[e, ~own].sum(axis=0)
                if reference == "segmented":
                    total = power = float(ones.sum())
                    cross = totals[e, own].sum()
                else:
                    total, power = self.truth.powers()[e]
                    cross = sums[e, 1]
                y, square = totals[e].sum(), sums[e, 0]
                found = scores[reference]
                found["mse"][e] = (power - cross**2 / square) / voxels
                found["ssim"][e] = (cross - total * y / voxels) / np.sqrt(
                    (power - total**2 / voxels) * (square - y**2 / voxels)
                )
                # so that DP counts the same volume at any size, and in some of the slices
                volume = value("nonalloy.size") ** 3 / voxels
                found["dp"][e] = fewest_wrong(ones, zeros) * volume
        return {"scores": scores} | self._crosstalk(histogram[0], totals[0], limits[0])

    def _tally(self, x):
        """Histograms, sums and products of x by the voxels' codes, on all threads."""
        from . import kernels

        # the solver's memory: (size, size, elements, slices)
        x = np.moveaxis(x, (-2, -1), (0, 1))
        size = len(x)
        share = -(-size // (2 * threads()))
        starts = range(0, size, share)
        # every second value bounds nothing, but the last bin takes all that is brighter
        limits = np.array(
            [max(float(x[::2, ::2, e].max()), 1e-30) * 1.0001 for e in range(len(ELEMENTS))]
        )
        histogram = np.zeros((len(starts), len(ELEMENTS), self.truth.CODES, BINS), np.int64)
        totals = np.zeros(histogram.shape[:3])
        sums = np.zeros((len(starts), len(ELEMENTS), 2))

        def work(k, first):
            rows = first, min(first + share, size)
            results = histogram[k], totals[k], sums[k]
            kernels.tally(x, self.truth.layout, self.code, limits, *rows, *results)

        run(work, list(enumerate(starts)))
        return *(a.sum(axis=0) for a in (histogram, totals, sums)), limits

    def _crosstalk(self, histogram, totals, limit) -> dict:
        """Return how much of the Au reconstruction lies where there is none.

        `cleared_` is the same once values below half the mean in pure Au are set to 0.
        """
        names = ("share", "level", "background", "cleared_share", "cleared_level")
        if not (self.region == 2).any() or not histogram[self.region == 3].any():
            return dict.fromkeys(names, np.nan)
        outside, silver, gold = (
            totals[self.region == r].sum() / histogram[self.region == r].sum() for r in (1, 2, 3)
        )
        centers = (np.arange(BINS) + 0.5) * (limit / BINS)
        stays = centers >= gold / 2
        in_silver = histogram[self.region == 2].sum(axis=0)
        every = histogram.sum(axis=0)
        values = (
            totals[self.region == 2].sum() / totals.sum(),
            silver / gold,
            outside / gold,
            (in_silver * centers)[stays].sum() / (every * centers)[stays].sum(),
            in_silver[stays].sum() / in_silver.sum(),
        )
        return dict(zip(names, values, strict=True))


def windowed(truth, x, parts=None) -> dict:
    """Return SSIM in windows of a finished reconstruction, reference -> (elements,)."""
    found = {"true": [windowed_ssim(f / np.float32(STEPS), y) for f, y in zip(truth.fraction, x)]}
    if parts is not None:
        found["segmented"] = [
            windowed_ssim((parts == label).astype(np.float32), y)
            for label, y in zip((2, 1), x, strict=True)
        ]
    return {reference: np.array(values) for reference, values in found.items()}


def gathered(looks, last, printed: int) -> dict:
    """Return reference -> name -> (methods, elements, seeds, checkpoints).

    Parameters
    ----------
    looks
        [method][seed]: what `Follow.look` gave at each checkpoint.
    last
        [method][seed]: what `windowed` gave.
    printed
        The place of the checkpoint to which `last` belongs.
    """
    scores = {}
    for reference, names in looks[0][0][0]["scores"].items():
        scores[reference] = found = {
            name: np.array(
                [
                    [[one["scores"][reference][name] for one in seed] for seed in method]
                    for method in looks
                ]
            ).transpose(0, 3, 1, 2)
            for name in names
        }
        found["ssim_windowed"] = np.full_like(found["mse"], np.nan)
        found["ssim_windowed"][..., printed] = np.swapaxes(
            [[seed[reference] for seed in method] for method in last], 1, 2
        )
    return scores
