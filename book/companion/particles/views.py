"""Small pictures of large reconstructions."""

import dataclasses

import numpy as np

VIEW_LIMIT = 1.5  # the value of 255 in views, where bulk density is 1
FIGURE_5 = (80, 150, 220)  # slices of 300
FIGURE_5_SIZE = 300
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
    first
        Number of the first slice in `slices`.
    slices
        (columns, slices, rows, columns), uint8 steps of `from_steps`: every slice that holds the
        particle, cut to it and binned by `binning` within the slice; in the order of `COLUMNS`,
        HAADF relative to its brightest material.
    binning
        Pixels of a slice along each side of one pixel here.
    chosen
        Numbers of the slices in `whole`.
    whole
        (columns, chosen, size, size), uint8 steps: those slices as they are.
    bodies
        Name -> Body.
    """

    first: int
    slices: np.ndarray
    binning: int
    chosen: tuple[int, ...]
    whole: np.ndarray
    bodies: dict[str, Body]
