"""Small pictures of large reconstructions."""

from __future__ import annotations

import dataclasses

import numpy as np

from hebt import prepare

from .measures import ELEMENTS, METHODS, box
from .truth import Truth

VIEW_LIMIT = 1.5  # the value of 255 in views, where bulk density is 1
COLUMNS = (*(f"{e}_{m}" for e in ELEMENTS for m in METHODS), "haadf")
CHOSEN = (80, 150, 220)  # slices of 300 in Figures 5 and 10
BINNING = 2
BODY = 84  # voxels along the edge of a body to render, at most


def to_steps(values) -> np.ndarray:
    """Return values between 0 and `VIEW_LIMIT` as 8-bit steps, others as the nearer end."""
    return np.clip(np.rint(values * (255 / VIEW_LIMIT)), 0, 255).astype(np.uint8)


def from_steps(steps) -> np.ndarray:
    """Return what `to_steps` was given, to half a step."""
    return steps * np.float32(VIEW_LIMIT / 255)


def small(volume, box) -> np.ndarray:
    """Cut slices, (..., rows, columns), to a particle's box within them, and bin them."""
    cut = volume[(..., *box[1:])]
    rows, columns = (n - n % BINNING for n in cut.shape[-2:])
    return prepare.bin_images(cut[..., :rows, :columns], BINNING, mean=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """Pictures of the first seed's reconstructions in 8-bit steps, where bulk density is 1.

    Columns are `COLUMNS`, HAADF relative to its brightest material.
    """

    numbers: np.ndarray  # (slices,), which slices are in `slices`
    # (columns, slices, rows, columns), cut to the particle and binned by BINNING within the slice
    slices: np.ndarray
    chosen: np.ndarray  # numbers of the slices in `whole`
    whole: np.ndarray  # (columns, chosen, size, size), those slices as they are
    # (elements, n, n, n), a cube around the particle to render; of HAADF (1, n, n, n)
    bodies: dict[str, np.ndarray]
    binned: int  # voxels of the reconstruction along an edge of one of these cubes' voxels

    @property
    def step(self) -> int:
        """How far the slices in `slices` are apart."""
        return int(self.numbers[1] - self.numbers[0])


class Album:
    """Takes the pictures for `Views`, of volumes that hold the slices `shown` of a whole."""

    def __init__(self, truth: Truth, shown: slice):
        self.size, self.numbers, self.box = truth.size, truth.numbers[shown], box(truth.labels > 0)
        self.held = (self.numbers >= self.box[0].start) & (self.numbers < self.box[0].stop)
        self.chosen = [int(np.abs(self.numbers - n * self.size / 300).argmin()) for n in CHOSEN]
        self.slices, self.whole, self.bodies = {}, {}, {}
        self.longest = max(s.stop - s.start for s in self.box)
        self.factor = max(1, -(-self.longest // BODY))

    def add(self, column: str, volume) -> None:
        """Take the pictures of one of `COLUMNS`, (slices, size, size)."""
        self.slices[column] = to_steps(small(volume[self.held], self.box))
        self.whole[column] = to_steps(volume[self.chosen])

    def add_method(self, method: str, densities) -> None:
        """Take the pictures of both elements, and their body."""
        for element, density in zip(ELEMENTS, densities, strict=True):
            self.add(f"{element}_{method}", density)
        self.add_body(method, densities)

    def add_body(self, name: str, densities) -> None:
        """Bin a cube around the particle to at most `BODY` voxels a side."""
        factor = self.factor
        side = min(self.size // factor, -(-self.longest // factor))
        planes, rows, columns = (
            min(max(0, (s.start + s.stop - side * factor) // 2), self.size - side * factor)
            + np.arange(side * factor)
            for s in self.box
        )
        # a slice that is not there looks like the nearest one before it
        there = np.maximum(np.searchsorted(self.numbers, planes, side="right") - 1, 0)
        cube = np.asarray(densities)[:, there][:, :, rows][..., columns]
        binned = prepare.bin_images(cube, factor, axis=(1, 2, 3), mean=True)
        self.bodies[name] = to_steps(binned)

    def views(self) -> Views:
        """Return all that was taken."""
        slices, whole = (np.stack([p[c] for c in COLUMNS]) for p in (self.slices, self.whole))
        held, chosen = self.numbers[self.held], self.numbers[self.chosen]
        return Views(held, slices, chosen, whole, self.bodies, self.factor)
