"""Scores of a running reconstruction."""

from __future__ import annotations

import numpy as np

from hebt import metrics

from ..paper import value
from ..threads import run, threads
from .measures import ELEMENTS, STEPS
from .truth import Truth

BINS = 4096
# a voxel's code: label in the segmentation + 3 * label of the truth + 9 * region
CODE = np.arange(36)
SEGMENTED, TRUE, REGION = CODE % 3, CODE // 3 % 3, CODE // 9
# the labels of Au and Ag
LABELS = (2, 1)


class Scorer:
    """Scores a reconstruction; a score for `hebt.Snapshots`.

    References are the truth on the slices that are scored and, if given, `labels` of a
    segmentation; crosstalk of Ag into Au needs the `region` of `Surfaces`.
    """

    def __init__(self, truth: Truth, labels=None, region=None):
        code = truth.labels * np.uint8(3)
        for more, factor in ((labels, 1), (region, 9)):
            if more is not None:
                code += more * np.uint8(factor)
        # as the solver holds volumes
        self.code = np.ascontiguousarray(code.transpose(1, 2, 0))
        self.layout = np.ascontiguousarray(truth.fraction.transpose(0, 2, 3, 1))
        self.truth, self.labels = truth, labels
        # sum and sum of squares of each element's volume fractions
        self.powers = [(f.sum(), (f * f).sum()) for f in truth.fraction / STEPS]
        self.has_regions = region is not None and np.isin((2, 3), region).all()

    def __call__(self, x) -> dict:
        """Return reference -> score -> (elements,), and "crosstalk" -> name -> (1,).

        x is (elements, slices, size, size). DP counts voxels of a volume of the paper's size.
        """
        histogram, totals, sums, limit = self._tally(x)
        scores = {"true": self._scores(histogram, totals, sums, "true")}
        if self.labels is not None:
            scores["segmented"] = self._scores(histogram, totals, sums, "segmented")
        if self.has_regions:
            scores["crosstalk"] = _crosstalk(histogram[0], totals[0], limit)
        return scores

    def windowed(self, x) -> dict:
        """Return reference -> SSIM's structure with small windows, (elements,)."""
        references = {"true": self.truth.fractions()}
        if self.labels is not None:
            references["segmented"] = [(self.labels == k).astype(np.float32) for k in LABELS]
        return {
            name: np.array(run(metrics.ssim_structure, reference, x))
            for name, reference in references.items()
        }

    def _tally(self, x):
        """Sums of all voxels of a kind, in one pass on all threads."""
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
        histogram = np.zeros((len(starts), len(ELEMENTS), len(CODE), BINS), np.int64)
        totals = np.zeros(histogram.shape[:3])
        sums = np.zeros((len(starts), len(ELEMENTS), 2))

        def work(k, first):
            rows = first, min(first + share, size)
            out = histogram[k], totals[k], sums[k]
            kernels.tally(x, self.layout, self.code, limits, *rows, *out)

        run(work, range(len(starts)), starts)
        return histogram.sum(axis=0), totals.sum(axis=0), sums.sum(axis=0), limits[0]

    def _scores(self, histogram, totals, sums, reference):
        voxels = self.code.size
        scores = {name: np.full(len(ELEMENTS), np.nan) for name in ("mse", "ssim", "dp")}
        for e, label in enumerate(LABELS):
            own = (TRUE if reference == "true" else SEGMENTED) == label
            ones, zeros = histogram[e, own].sum(axis=0), histogram[e, ~own].sum(axis=0)
            if reference == "true":
                (total, power), cross = self.powers[e], sums[e, 1]
            else:
                total = power = float(ones.sum())
                cross = totals[e, own].sum()
            y, square = totals[e].sum(), sums[e, 0]
            scores["mse"][e] = (power - cross**2 / square) / voxels
            scores["ssim"][e] = (cross - total * y / voxels) / np.sqrt(
                (power - total**2 / voxels) * (square - y**2 / voxels)
            )
            papers = value("nonalloy.size") ** 3
            # over thresholds at the bins' edges
            missing, wrong = np.append(0, ones.cumsum()), zeros.sum() - np.append(0, zeros.cumsum())
            scores["dp"][e] = (missing + wrong).min() * papers / voxels
        return scores | {"ssim_windowed": np.full(len(ELEMENTS), np.nan)}


def _crosstalk(histogram, totals, limit):
    """How much of the Au reconstruction lies in pure Ag, as it is and after a threshold."""
    counts = {r: histogram[r == REGION].sum(axis=0) for r in (1, 2, 3)}
    sums = {r: totals[r == REGION].sum() for r in counts}
    outside, silver, gold = (sums[r] / counts[r].sum() for r in counts)
    centers = (np.arange(BINS) + 0.5) * (limit / BINS)
    # values below half the mean in pure Au are set to 0
    stays = centers >= gold / 2
    intensity = histogram.sum(axis=0) * centers
    return {
        "share": [sums[2] / totals.sum()],
        "level": [silver / gold],
        "background": [outside / gold],
        "cleared_share": [(counts[2] * centers)[stays].sum() / intensity[stays].sum()],
        "cleared_voxels": [counts[2][stays].sum() / counts[2].sum()],
    }
