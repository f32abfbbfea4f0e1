"""Scores of a running reconstruction."""

import numpy as np

from ..threads import run, threads
from .measures import BINS, ELEMENTS, SCORES, STEPS, fewest_wrong, voxels_of_300, windowed_ssim


class Follow:
    """Scores of a running reconstruction at checkpoints; its methods are solvers' callbacks.

    `every`: of the reconstruction's slices, `truth` has only each one that this divides.
    """

    def __init__(self, truth, labels, checkpoints, every=1):
        self.truth, self.checkpoints, self.every = truth, list(checkpoints), every
        self.code = truth.codes(labels)
        code = np.arange(truth.CODES)
        self.labels = {"segmented": code % 3, "true": code // 3 % 3}
        if labels is None:
            del self.labels["segmented"]
        self.region = code // 9
        shape = (len(ELEMENTS), len(checkpoints))
        self.scores = {r: {name: np.full(shape, np.nan) for name in SCORES} for r in self.labels}
        self.leak, self.shadow, self.haze = (np.full(len(checkpoints), np.nan) for _ in range(3))
        self.last = None
        self.done = 0

    def stacked(self, iteration, x, residual):
        """Callback of `sirt` on the maps of all elements behind each other."""
        self.volume(iteration, x.reshape(len(ELEMENTS), -1, *x.shape[1:]), residual)

    def volume(self, iteration, x, residuals):
        """Callback of `reconstruct`."""
        iteration += self.done
        if iteration in self.checkpoints:
            self._take(self.checkpoints.index(iteration), x[:, :: self.every])

    def _take(self, at, x):
        from . import kernels as _volume_kernels

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
            _volume_kernels.tally(
                x,
                self.truth.layout,
                self.code,
                limits,
                first,
                min(first + share, size),
                histogram[k],
                totals[k],
                sums[k],
            )

        run(work, list(enumerate(starts)))
        histogram, totals, sums = (a.sum(axis=0) for a in (histogram, totals, sums))
        voxels = x.size // len(ELEMENTS)
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
                scores = self.scores[reference]
                scores["mse"][e, at] = (power - cross**2 / square) / voxels
                scores["ssim"][e, at] = (cross - total * y / voxels) / np.sqrt(
                    (power - total**2 / voxels) * (square - y**2 / voxels)
                )
                scores["dp"][e, at] = fewest_wrong(ones, zeros) * voxels_of_300(size)
        if not (self.region == 2).any() or not histogram[0, self.region == 3].any():
            return
        mean = {
            r: totals[0, self.region == r].sum() / histogram[0, self.region == r].sum()
            for r in (1, 2, 3)
        }
        self.leak[at] = totals[0, self.region == 2].sum() / totals[0].sum()
        self.shadow[at], self.haze[at] = mean[2] / mean[3], mean[1] / mean[3]
        self.last = histogram[0], limits[0], mean[3]

    def results(self, x, parts) -> dict:
        """Return all scores, with those that are taken of the finished reconstruction x."""
        at = self.checkpoints.index(max(c for c in self.checkpoints if self._seen(c)))
        for reference, scores in self.scores.items():
            for e, label in enumerate((2, 1)):
                true = (
                    self.truth.fraction[e] / np.float32(STEPS)
                    if reference == "true"
                    else parts.mask(label).astype(np.float32)
                )
                scores["ssim_windowed"][e, at] = windowed_ssim(true, x[e])
        return {
            "scores": self.scores,
            "leak": self.leak,
            "shadow": self.shadow,
            "haze": self.haze,
        } | self._cleared()

    def _seen(self, checkpoint):
        return np.isfinite(self.scores["true"]["mse"][0, self.checkpoints.index(checkpoint)])

    def _cleared(self):
        """Leak and shadow once values below half the mean in pure Au are set to 0."""
        if self.last is None:
            return {}
        histogram, limit, mean = self.last
        centers = (np.arange(BINS) + 0.5) * (limit / BINS)
        stays = centers >= mean / 2
        silver = histogram[self.region == 2].sum(axis=0)
        every = histogram.sum(axis=0)
        return {
            "cleared_leak": (silver * centers)[stays].sum() / (every * centers)[stays].sum(),
            "cleared_shadow": silver[stays].sum() / silver.sum(),
        }
