"""Planes of a volume in its three directions, as explorers page through them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from hebt import explorers

# each plane by the axis of a volume to which it is perpendicular
PLANES = {"across the tilt axis": 0, "seen along the beam at 0°": 1, "seen from the side": 2}
WHERE = ("plane", "number")  # the controls that say which plane is shown


@dataclasses.dataclass(frozen=True)
class Planes:
    """Evenly spaced planes in each direction, and pictures of them of one size."""

    shape: tuple[int, int, int]
    most: int  # planes in each direction, at most
    side: float = 1.0  # of a voxel
    axes: Mapping[str, int] = dataclasses.field(default_factory=lambda: PLANES)

    @property
    def count(self) -> int:
        """How many planes there are in each direction."""
        return min(self.most, *self.shape)

    def controls(self) -> list[explorers.Control]:
        """Return the sliders that choose a plane."""
        numbers = range(1, self.count + 1)
        return [
            explorers.Control("plane", "Plane", tuple(self.axes)),
            explorers.Control("number", "Number", numbers, numbers[self.count // 2]),
        ]

    def place(self, plane: str, number: int) -> tuple:
        """Return where the plane of a number lies in a volume."""
        axis = self.axes[plane]
        at = int((number - 0.5) * self.shape[axis] / self.count)
        return (slice(None),) * axis + (at,)

    def offset(self, plane: str, number: int) -> float:
        """Return how far a plane lies from the middle."""
        at = self.place(plane, number)[-1]
        return (at - (self.shape[self.axes[plane]] - 1) / 2) * self.side

    def picture(self, image: np.ndarray) -> np.ndarray:
        """Return the picture of a plane, in the middle of one that has room for all of them."""
        slices, rows, columns = self.shape
        whole = np.zeros((max(slices, rows), max(rows, columns)), np.float32)
        first = [(n - m) // 2 for n, m in zip(whole.shape, image.shape, strict=True)]
        whole[tuple(slice(f, f + m) for f, m in zip(first, image.shape, strict=True))] = image
        return whole


def apart_percent(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the root mean square of a difference, in % of that of the reference; NaN for none."""
    size = float(np.linalg.norm(reference))
    return 100 * float(np.linalg.norm(image - reference)) / size if size > 0 else float("nan")
