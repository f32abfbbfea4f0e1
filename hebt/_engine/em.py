"""Composition EM on the CPU: HAADF says how much there is, X-rays how it divides."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from .arrays import empty, inverse, slices_first, slices_last
from .beam import load_kernels
from .cpu import _in_parts
from .system import Residuals


def _load() -> ModuleType:
    from . import em_kernels

    return em_kernels


class Gaussian:
    """A Gaussian kernel along the axes of a volume, cut at three sigma, with mirrored edges.

    It is symmetric, also at the edges, and its rows add up to 1.

    Parameters
    ----------
    along
        Standard deviation along the slices, in voxels; 0 for none.
    inside
        The same within a slice, along both axes.
    size
        Voxels along the edge of a slice.
    depth
        How many slices a volume has.
    """

    def __init__(self, along: float, inside: float, size: int, depth: int):
        self.size = size
        self.taps, self.index = _taps(inside, size)
        self.taps_along, self.index_along = _taps(along if depth > 1 else 0, depth)

    def apply(self, source: np.ndarray, target: np.ndarray, factor: np.ndarray) -> None:
        """Smooth `source` into `target` (which may be it), and multiply by `factor`, if any."""
        kernels, size = _load(), self.size
        if len(self.taps):
            lines = [array.reshape(size, -1) for array in (source, target)]
            _in_parts(kernels.smooth_down, lines[0].shape[1], *lines, self.taps, self.index)
        elif source is not target:
            np.copyto(target, source)
        more = self.taps, self.index, self.taps_along, self.index_along
        _in_parts(kernels.finish_rows, size, target, factor, *more, size)

    def normalized(self, guide: np.ndarray) -> np.ndarray:
        """Return the guide over the sums of the kernel's rows."""
        return guide

    def rows(self, guide: np.ndarray, scale: np.ndarray, first: int, last: int) -> np.ndarray:
        """Return some rows of pixels of K (guide * scale), with a scale for each pixel."""
        size, kernels = self.size, _load()
        out = np.empty(((last - first) * size, guide.shape[1]), np.float32)
        lines = [guide.reshape(size, -1), scale, out.reshape(last - first, -1)]
        down = [self.taps, self.index]
        if not len(self.taps):
            down = [np.eye(1, 4, dtype=np.float32)[0], np.pad(np.arange(size), (0, 3))]
        _in_parts(kernels.scale_down, size, *lines, *down, first)
        more = self.taps, self.index, self.taps_along, self.index_along
        _in_parts(kernels.finish_rows, last - first, out, _NONE, *more, size)
        return out


class Bilateral:
    """A kernel within slices whose weights fall with distance, and where the guide changes.

    exp(-|i - j|^2 / 2 inside^2 - mean (S_i - S_j)^2 / 2 (contrast level)^2), with the mean over
    3 x 3 pixels; it is symmetric. Pixels further away than 1.25 `inside` have no weight.

    Parameters
    ----------
    inside
        Standard deviation within a slice, in voxels.
    contrast
        Which differences of the guide count as an edge, relative to `level`.
    guide
        S, shape (size * size, depth).
    level
        The guide's mean within the specimen, shape (depth,).
    """

    def __init__(self, inside: float, contrast: float, guide: np.ndarray, level: np.ndarray):
        size, depth = int(np.sqrt(len(guide))), guide.shape[1]
        reach = max(1, int(np.ceil(1.25 * inside)))
        offsets = np.arange(-reach, reach + 1)
        line = np.exp(-0.5 * (offsets / inside) ** 2)
        self.near = np.outer(line, line).astype(np.float32)
        self.size, self.spare = size, _NONE
        # as a power of 1/2; 0 where a slice is empty
        unit = np.ldexp(1.0, np.frexp(level.max())[1])  # whose square single precision can hold
        sharpness = inverse((contrast * level / unit) ** 2) / (18 * np.log(2))
        self.sharpness = np.tile(sharpness, size).astype(np.float32)
        image = guide.reshape(size, size, depth) / np.float32(unit)
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
        self.padded = np.ascontiguousarray(padded.reshape(size + 2, -1))
        self.box = _box(image.any(axis=2), reach)

    def apply(self, source: np.ndarray, target: np.ndarray, factor: np.ndarray) -> None:
        """Smooth as `Gaussian` does, but for the sums of rows."""
        kernels = _load()
        if source is target:
            if self.spare.shape != source.shape:
                self.spare = np.empty_like(source)
            np.copyto(self.spare, source)
            source = self.spare
        more = self.padded, self.near, self.sharpness, self.box
        _in_parts(kernels.gather, self.size, source, target, *more)
        if len(factor):
            _in_parts(kernels.multiply, len(target), target, factor)

    def normalized(self, guide: np.ndarray) -> np.ndarray:
        """Return the guide over the sums of the kernel's rows."""
        sums = np.zeros_like(guide)
        self.apply(np.ones_like(guide), sums, _NONE)
        return guide * inverse(sums)


_NONE = np.empty((0, 1), np.float32)
_KEPT = 2**21  # values of K^T S W^T 1 up to which they are kept, and not worked out at each step
_BANDS = 32  # in so many bands of rows


def _taps(sigma: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a Gaussian's taps, and which pixel each of them meets; none for sigma 0."""
    reach = int(np.ceil(3 * sigma)) if length > 1 else 0
    if reach == 0:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    more = -len(taps) % 4
    index = np.pad(np.arange(length), reach, mode="symmetric")
    return np.pad(taps / taps.sum(), (0, more)).astype(np.float32), np.pad(index, (0, more))


def _box(inside: Any, reach: int) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of what is inside and of `reach` pixels around it."""
    edges = []
    for axis in (1, 0):
        found = np.flatnonzero(inside.any(axis=axis))
        first, last = (found[0], found[-1] + 1) if len(found) else (0, 0)
        edges += [max(int(first) - reach, 0), min(int(last) + reach, len(inside))]
    return edges[0], edges[1], edges[2], edges[3]


class EmRun:
    """A run of composition EM: x = S (K a), and what an iteration does to it.

    Parameters
    ----------
    beam
        The geometry of the element maps.
    maps
        Shape (elements, tilts, slices, size); with the shift they are counts, at least 0.
    shift
        b, what counts hold beyond the specimen's X-rays; the same shape, or None.
    haadf
        p_h, shape (tilts, slices, size), with the tilts of `haadf_beam`, if any.
    guide
        S, shape (size * size, depth); `slices` is a multiple of depth, and volumes share S.
    smoothing
        K, `Gaussian` or `Bilateral`.
    ratios
        Shape (elements, slices or 1).
    softness
        0: the sum of a is 1; above: how far it may be from it; below: it is free. Shape
        (slices,) or (depth,).
    weights
        Where a begins, shape (elements, slices, size * size); None for equal shares.
    haadf_beam
        The geometry of the HAADF images where it is another one.
    keep
        Whether `shares` has the a that the run ends with, once it is free.
    """

    def __init__(
        self,
        beam,
        maps,
        shift,
        haadf,
        guide,
        smoothing,
        ratios,
        softness,
        weights,
        haadf_beam,
        keep=False,
    ):
        self.beam, self.haadf_beam, self.smoothing = beam, haadf_beam, smoothing
        self.elements, self.tilts, self.slices, self.size = maps.shape
        self.columns = self.elements * self.slices
        # read as they came; kernels know one kind of arrays
        none = np.empty((0, 0, 0, 0), np.float32)
        self.maps = np.require(maps, np.float32, ["C", "W"])
        self.shift = none if shift is None else np.require(shift, np.float32, ["C", "W"])
        self.haadf = np.require(haadf, np.float32, ["C", "W"])
        factor = smoothing.normalized(guide)
        if factor.shape[1] == 1:  # the kernels' inner loops go over these columns
            factor = np.repeat(factor, self.slices, axis=1)
        self.factor, self.reach = factor, None
        if factor.size <= _KEPT or isinstance(smoothing, Bilateral):
            self.reach = factor * beam.column_sums.reshape(-1, 1)
            smoothing.apply(self.reach, self.reach, _NONE)
        self.softness = np.resize(softness.astype(np.float64), self.slices)
        each = np.broadcast_to(ratios, (self.elements, self.slices)).astype(np.float32)
        self.inverse_ratios, self.ratios = 1 / each.astype(np.float64), each.ravel()
        self.squares = np.zeros((self.tilts, self.elements + 1))
        self.deviances = np.zeros((self.tilts, self.elements))
        self.changes = np.zeros((self.size**2, 2))
        self.advanced, self.keep, self.shares = False, keep, None
        if weights is None:
            self.a = empty(self.size**2, self.columns)
            self.a[:, : self.columns] = 1 / self.elements
        else:
            self.a = slices_last(weights.reshape(self.columns, -1))
        self.x, self.wx = (empty(*n, self.columns) for n in [(self.size**2,), beam.row_sums.shape])
        self.x[:] = 0
        smoothing.apply(self.a, self.x, self.factor)
        self.project()

    def fetch(self) -> np.ndarray:
        """Return x, (size * size, at least columns); one array always."""
        return self.x

    def free(self) -> None:
        """Give back all but x, and the shares, (elements * slices, size * size), if kept."""
        del self.maps, self.shift, self.haadf, self.wx
        del self.factor, self.reach, self.smoothing
        if self.keep:
            self.shares = slices_first(self.a, self.columns)
        del self.a

    def project(self) -> None:
        """Project x."""
        self.beam.forward(self.x, out=self.wx)

    def residuals(self) -> Residuals:
        """Return the residuals; n / l replaces the projections."""
        shared = self.haadf_beam is None
        haadf = self.haadf if shared else self.haadf[:0]
        own = self.wx, self.maps, self.shift, haadf, self.ratios
        if not shared:
            away = self._haadf_residual()
        _in_parts(_load().compare, self.tilts, *own, self.squares, self.deviances)
        moved, total = self.changes.sum(axis=0)
        squares = self.squares.sum(axis=0)
        change = np.sqrt(moved / total) if total > 0 else 0.0
        return Residuals(
            eds=np.sqrt(squares[:-1]),
            haadf=float(np.sqrt(squares[-1])) if shared else away,
            change=float(change) if self.advanced else float("nan"),
            deviance=self.deviances.sum(axis=0),
        )

    def _haadf_residual(self) -> float:
        """Return ||p_h - W_H sum x_e||, where HAADF has tilts of its own."""
        total = empty(self.size**2, self.slices)
        own = self.x, total, self.slices, self.elements
        _in_parts(load_kernels().add_up, self.size**2, *own)
        projected = self.haadf_beam.forward(total)[:, :, : self.slices]
        away = self.haadf.swapaxes(1, 2) - projected
        return float(np.sqrt(np.square(away, dtype=np.float64).sum()))

    def advance(self) -> None:
        """Send n / l back, and step."""
        kernels = _load()

        def keep(tile, *place):
            kernels.store_scaled(tile, self.x, self.factor, self.size, *place)

        self.beam.backward_tiles(self.wx, keep)
        self.smoothing.apply(self.x, self.x, _NONE)
        rows = self.size if self.reach is not None else -(-self.size // _BANDS)
        for first in range(0, self.size, rows):
            self._update(first, min(first + rows, self.size))
        self.advanced = True
        self.smoothing.apply(self.a, self.x, self.factor)

    def _update(self, first: int, last: int) -> None:
        """Do the step in some rows of pixels."""
        reach = self.reach
        if reach is None:
            reach = self.smoothing.rows(self.factor, self.beam.column_sums, first, last)
        own = slice(first * self.size, last * self.size)
        arrays = self.a[own], self.x[own], reach, self.factor[own]
        more = self.inverse_ratios, self.softness, self.elements, self.changes[own]
        _in_parts(_load().update, len(reach), *arrays, *more)
