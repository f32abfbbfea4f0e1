"""The geometry of a tilt series, and its projections on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

import numpy as np

from .arrays import empty, scratch
from .threads import in_parts, run, threads

# How many slices share one working-out of the weights at most. More would no longer fit the cache.
MOST = 320
# Up to so many columns, vectors along a row of pixels are faster than vectors along the columns.
FEW, FEW_FORWARD = 8, 16
# Up to so many, weights take longer than what is done with them: those of half a slice serve all.
HALVED = 2


def block_width(columns: int) -> int:
    """Return how many columns share one working-out of the weights: as many in each block."""
    blocks = -(-columns // MOST)
    return -(-columns // (16 * blocks)) * 16


def load_kernels() -> ModuleType:
    """Import the compiled functions, which take longer to load than all the rest."""
    from . import kernels

    return kernels


def _load_slice_kernels() -> ModuleType:
    from . import slice_kernels

    return slice_kernels


@dataclass(frozen=True, eq=False)
class Beam:
    """Projection along the tilts of a series, for arrays made by `arrays.empty`.

    Their last axis, the columns, holds slices: x is (size * size, columns), its projections are
    (tilts, size, columns).
    """

    angles: np.ndarray  # degrees, (tilts,)
    size: int  # pixels along the edge of a slice
    cosines: np.ndarray = field(init=False)
    sines: np.ndarray = field(init=False)

    def __post_init__(self):
        radians = np.deg2rad(self.angles)
        object.__setattr__(self, "cosines", np.cos(radians))
        object.__setattr__(self, "sines", np.sin(radians))

    @property
    def tilts(self) -> int:
        """How many tilts there are."""
        return len(self.angles)

    def forward(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Project x."""
        kernels, tilts, columns = load_kernels(), self.tilts, x.shape[1]
        if out is None:
            out = empty(tilts, self.size, columns)
        if columns <= FEW_FORWARD:
            self._forward_few(x, out)
            return out
        width = block_width(columns)
        share = -(-tilts // threads())  # each share reads all of x, so not more than one a thread
        geometry = self.cosines, self.sines, self.size

        def work(first, tilt):
            last = min(tilt + share, tilts), first, min(first + width, columns)
            kernels.forward(x, out, *geometry, tilt, *last)

        run(work, [(b, a) for b in range(0, columns, width) for a in range(0, tilts, share)])
        return out

    def _forward_few(self, x, out):
        kernels, size = _load_slice_kernels(), self.size
        rows, columns = self._walked(x.shape[1])
        shape = -(-size // kernels.LANES), rows + rows % 2, columns, kernels.LANES
        with scratch("blocks", *shape) as blocks:
            in_parts(kernels.split, shape[1], x, blocks, size, rows)
            arguments = blocks, out, x.shape[1], self.cosines, self.sines
            run(lambda tilt: kernels.forward(*arguments, tilt, tilt + 1), _each(self.tilts))

    def _walked(self, slices):
        """Return how many rows are walked, and how many columns they have."""
        return ((self.size + 1) // 2, 2 * slices) if slices <= HALVED else (self.size, slices)

    def backward(self, p: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Project p back."""
        x = empty(self.size * self.size, p.shape[2]) if out is None else out

        def keep(tile, row, column, first, last):
            load_kernels().store(tile, x, self.size, row, column, first, last)

        self.backward_tiles(p, keep)
        return x

    def backward_tiles(self, p: np.ndarray, use: Callable) -> None:
        """Project p back tile by tile, and hand each tile to `use`."""
        kernels, columns = load_kernels(), p.shape[2]
        if columns <= FEW:
            self._backward_few(p, use)
            return
        width = block_width(columns)
        spare = [empty(kernels.TILE**2, width) for _ in range(threads())]

        def work(first, row, column):
            place = row, column, first, min(first + width, columns)
            tile = spare.pop()
            if columns == kernels.LANES:
                kernels.backward_narrow(p, self.cosines, self.sines, self.size, *place[:2], tile)
            else:
                kernels.backward(p, self.cosines, self.sines, self.size, *place, tile)
            use(tile, *place)
            spare.append(tile)

        edges = range(0, self.size, kernels.TILE)
        run(work, [(f, r, c) for f in range(0, columns, width) for r in edges for c in edges])

    def _backward_few(self, p, use):
        kernels, size, slices = _load_slice_kernels(), self.size, p.shape[2]
        rows, columns = self._walked(slices)
        geometry, edge = (self.cosines, self.sines), kernels.TILE
        starts, share = range(0, size, edge), max(1, edge * slices // columns)

        def work(row):
            last = min(row + share, rows)
            kernels.backward(moved, *geometry, size, tiles, row, last)

        def hand_on(row):
            for k, column in enumerate(starts):
                use(tiles[row // edge, k], row, column, 0, slices)

        with scratch("tiles", len(starts), len(starts), edge * edge, slices) as tiles:
            shape = self.tilts, kernels.moved_bins(size), columns, kernels.LANES
            with scratch("moved", *shape) as moved:
                arguments = p, moved, *geometry
                run(lambda tilt: kernels.move(*arguments, tilt, tilt + 1), _each(self.tilts))
                run(work, [(row,) for row in range(0, rows, share)])
            run(hand_on, [(row,) for row in starts])

    def tiles(self, columns: int) -> tuple[int, int, int]:
        """Return how many blocks of columns, and rows and columns of tiles, there are."""
        edge = -(-self.size // load_kernels().TILE)
        return -(-columns // block_width(columns)), edge, edge

    @staticmethod
    def tile(columns: int, row: int, column: int, first: int) -> tuple[int, int, int]:
        """Return which of these one tile is."""
        edge = load_kernels().TILE
        return first // block_width(columns), row // edge, column // edge

    @cached_property
    def row_sums(self) -> np.ndarray:
        """(tilts, size): the length of each ray within the slice, in pixels."""
        sums = self.forward(np.ones((self.size * self.size, 1), np.float32))[:, :, 0]
        sums.setflags(write=False)
        return sums

    @cached_property
    def column_sums(self) -> np.ndarray:
        """(size, size): how much of each voxel the detector sees, added up over the tilts."""
        sums = self.backward(np.ones((self.tilts, self.size, 1), np.float32))
        sums = sums[:, 0].reshape(self.size, self.size)
        sums.setflags(write=False)
        return sums


def _each(count):
    return [(n,) for n in range(count)]
