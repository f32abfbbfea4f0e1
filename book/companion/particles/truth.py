"""The true specimen."""

from __future__ import annotations

import copy

import numpy as np

from hebt import metrics, simulate

from .measures import ELEMENTS, STEPS


class Truth:
    """A true specimen of Au and Ag, on all slices or some of them."""

    def __init__(self, specimen: simulate.Specimen):
        if tuple(specimen.elements) != ELEMENTS:
            raise ValueError(f"specimen has {specimen.elements}; expected {ELEMENTS}.")
        self.size, self.voxel_size = specimen.size, float(specimen.voxel_size)
        self.numbers = np.arange(self.size)  # which slices of the whole these are
        bulk = np.array([simulate.DENSITY[e] for e in ELEMENTS], np.float32)
        # (elements, slices, size, size): volume fractions in 8 bits
        self.fraction = np.stack(
            [np.rint(d * (STEPS / b)).astype(np.uint8) for d, b in zip(specimen.density, bulk)]
        )
        inside = self.fraction.sum(axis=0, dtype=np.uint16) * 2 > STEPS
        # (slices, size, size): 0 outside, 1 Ag, 2 Au
        self.labels = np.where(inside, 1, 0).astype(np.uint8)
        self.labels[self.fraction[0] > STEPS // 2] = 2

    def part(self, slices: slice) -> Truth:
        """Return the truth of some slices."""
        part = copy.copy(self)
        part.numbers, part.labels = self.numbers[slices], self.labels[slices]
        part.fraction = self.fraction[:, slices]
        return part

    def fractions(self) -> np.ndarray:
        """Return the volume fractions from 0 to 1, float32."""
        return self.fraction / np.float32(STEPS)

    def scale(self, x) -> np.ndarray:
        """Return the factors, (elements, 1, 1, 1), that bring x nearest to the truth."""
        factors = [metrics.optimal_scale(*pair) for pair in zip(self.fractions(), x, strict=True)]
        return np.array(factors, np.float32)[:, None, None, None]

    def localize(self, x) -> dict:
        """Say how well x tells particle from background and its elements apart, (elements,) each.

        "error" is the squared error inside the particle relative to the truth there, at the best
        scale; "outside" is the share of the intensity that lies outside.
        """
        inside = self.labels > 0
        pairs = zip(self.fractions()[:, inside], x[:, inside], strict=True)
        totals = x.sum(axis=(1, 2, 3), dtype=float)
        return {
            "error": np.array([metrics.scaled_mse(true[None], y[None]) for true, y in pairs]),
            "outside": 1 - x[:, inside].sum(axis=1, dtype=float) / totals,
        }

    def compare(self, parts) -> dict:
        """Say how well a segmentation meets the truth: Dice overlap and volume, (elements,)."""
        overlap, error = [], []
        for label in (2, 1):
            true, found = self.labels == label, parts.mask(label)
            both = np.count_nonzero(true & found)
            n_true, n_found = np.count_nonzero(true), np.count_nonzero(found)
            overlap.append(2 * both / (n_true + n_found))
            error.append(n_found / n_true - 1)
        return {"overlap": np.array(overlap), "volume_error": np.array(error)}
