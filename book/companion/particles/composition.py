"""The composition of the alloy particle, over shells and in single voxels."""

import numpy as np

import hebt
from hebt import simulate

from .measures import ELEMENTS, STEPS
from .truth import Truth

WIDTH = 1.0  # nm: of a shell
BALL = 14.0  # nm: radius of the ball that the shells fill
BULK = np.array([simulate.DENSITY[e] for e in ELEMENTS])


class Shells:
    """Atomic fraction of Au in shells around the center; `radius` and true `profile`, (shells,)."""

    def __init__(self, truth: Truth):
        self.truth = truth
        at = ((np.arange(truth.size) - (truth.size - 1) / 2) * truth.voxel_size).astype("f4")
        z = at[truth.numbers]
        radius = np.sqrt(z[:, None, None] ** 2 + at[:, None] ** 2 + at**2)
        width = max(WIDTH, 2 * truth.voxel_size)
        shell = (radius / np.float32(width)).astype(np.int32)
        self.ball = shell < int(BALL / width)
        self.shell = shell[self.ball]
        self.radius = np.bincount(self.shell, weights=radius[self.ball]) / np.bincount(self.shell)
        self.fraction = truth.fraction * np.float32(1 / STEPS)
        self.profile = self._profile(self.fraction)

    def measure(self, x, factors) -> tuple[np.ndarray, float]:
        """Return the profile of x, (shells,), and the error in single voxels wholly inside.

        x / `factors`, (elements,), are densities; the error is the root mean square.
        """
        parts = x / (np.asarray(factors) * BULK)[:, None, None, None].astype("f4")
        full = self.truth.fraction.sum(axis=0, dtype=np.uint16) >= STEPS - 2
        bulk = BULK[:, None].astype("f4")
        found, true = (_gold(part[:, full] * bulk) for part in (parts, self.fraction))
        error = (found - true).astype(np.float64)
        # a voxel in which nothing was reconstructed has no composition
        return self._profile(parts), float(np.sqrt(np.nanmean(error**2)))

    def _profile(self, parts):
        masses = [
            np.bincount(self.shell, weights=part[self.ball]) * bulk
            for part, bulk in zip(parts, BULK, strict=True)
        ]
        return _gold(masses)


def _gold(densities):
    ones = np.ones(2)
    return hebt.composition(densities, ones, ELEMENTS, eds_response=ones, kind="atomic")[0]
