"""Small pictures of large reconstructions."""

from __future__ import annotations

import dataclasses

import numpy as np

from .measures import ELEMENTS, METHODS, box
from .truth import Truth

VIEW_LIMIT = 1.5  # the value of 255 in views, where bulk density is 1
COLUMNS = (*(f"{e}_{m}" for e in ELEMENTS for m in METHODS), "haadf")
CHOSEN = (80, 150, 220)  # slices of 300 in Figures 5 and 10
BINNING = 2
BODY = 84  # voxels along the edge of a body to render, at most


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """A reconstruction made small, for renderings.

    Attributes
    ----------
    density
        (elements, n, n, n), uint8: 255 stands for `VIEW_LIMIT` times bulk density.
    voxel_size
        In nm.
    """

    density: np.ndarray
    voxel_size: float

    def volumes(self) -> np.ndarray:
        """Return (elements, n, n, n), float32, where 1 is bulk density."""
        return from_steps(self.density)


def to_steps(values) -> np.ndarray:
    """Return values between 0 and `VIEW_LIMIT` as 8-bit steps, others as the nearer end."""
    return np.clip(np.rint(values * (255 / VIEW_LIMIT)), 0, 255).astype(np.uint8)


def from_steps(steps) -> np.ndarray:
    """Return what `to_steps` was given, to half a step."""
    return steps * np.float32(VIEW_LIMIT / 255)


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """Pictures of the first seed's reconstructions, where bulk density is 1.

    Attributes
    ----------
    numbers
        (slices,): which slices are in `slices`.
    slices
        (columns, slices, rows, columns), uint8 steps of `from_steps`: slices that hold the
        particle, cut to it and binned by `BINNING` within the slice; in the order of `COLUMNS`,
        HAADF relative to its brightest material.
    chosen
        Numbers of the slices in `whole`.
    whole
        (columns, chosen, size, size), uint8 steps: those slices as they are.
    bodies
        Name -> Body.
    """

    numbers: np.ndarray
    slices: np.ndarray
    chosen: tuple[int, ...]
    whole: np.ndarray
    bodies: dict[str, Body]

    @property
    def step(self) -> int:
        """How far the slices in `slices` are apart."""
        return int(self.numbers[1] - self.numbers[0])


class Album:
    """Takes the pictures for `Views`, of volumes that hold the slices of `shown`."""

    def __init__(self, truth: Truth, shown: slice):
        numbers = truth.numbers[shown]
        self.size, self.voxel_size = truth.size, truth.voxel_size
        self.box = box(truth.labels > 0, 6)
        held = self.box[0]
        self.held = (numbers >= held.start) & (numbers < held.stop)
        self.numbers, self.step = numbers[self.held], shown.step or 1
        wanted = [round(s * self.size / 300) for s in CHOSEN]
        self.chosen = [int(np.abs(numbers - n).argmin()) for n in wanted]
        self.chosen_numbers = tuple(int(n) for n in numbers[self.chosen])
        self.shown, self.slices, self.whole, self.bodies = shown, {}, {}, {}

    def add(self, column: str, volume) -> None:
        """Take the pictures of one of `COLUMNS`, (slices, size, size)."""
        cut = volume[(self.held, *self.box[1:])]
        rows, columns = (n - n % BINNING for n in cut.shape[1:])
        cut = cut[:, :rows, :columns].reshape(len(cut), rows // BINNING, BINNING, -1, BINNING)
        self.slices[column] = to_steps(cut.mean(axis=(2, 4)))
        self.whole[column] = to_steps(volume[self.chosen])

    def add_both(self, method: str, densities) -> None:
        """Take the pictures of both elements by a method, and its body."""
        for element, density in zip(ELEMENTS, densities, strict=True):
            self.add(f"{element}_{method}", density)
        self.add_body(method, densities)

    def add_body(self, name: str, densities) -> None:
        """Bin a cube around the particle to at most `BODY` voxels a side."""
        longest = max(s.stop - s.start for s in self.box)
        factor = max(1, -(-longest // BODY))
        side = min(self.size // factor, -(-longest // factor))
        starts = [
            min(max(0, (s.start + s.stop - side * factor) // 2), self.size - side * factor)
            for s in self.box
        ]
        planes, rows, columns = (slice(a, a + side * factor) for a in starts)
        # slices that are not shown look like the last one before them
        every = np.arange(planes.start, planes.stop)
        nearest = np.searchsorted(np.arange(self.size)[self.shown], every, side="right") - 1
        cut = np.asarray(densities)[:, :, rows, columns][:, np.maximum(nearest, 0)]
        shape = [n for _ in range(3) for n in (side, factor)]
        binned = cut.astype(np.float32).reshape(-1, *shape).mean(axis=(2, 4, 6))
        self.bodies[name] = Body(to_steps(binned), factor * self.voxel_size)

    def views(self) -> Views:
        """Return all that was taken."""
        return Views(
            self.numbers,
            np.stack([self.slices[c] for c in COLUMNS]),
            self.chosen_numbers,
            np.stack([self.whole[c] for c in COLUMNS]),
            self.bodies,
        )
