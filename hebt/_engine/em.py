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
        sharpness = inverse((contrast * level) ** 2) / (18 * np.log(2))
        self.sharpness = np.tile(sharpness, size).astype(np.float32)
        image = guide.reshape(size, size, depth)
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
    counts
        n, at least 0, shape (elements, tilts, slices, size).
    shift
        b, what n holds beyond the specimen's X-rays; the same shape, or None.
    haadf
        p_h, shape (tilts, slices, size), with the tilts of `haadf_beam`, if any.
    guide
        S, shape (size * size, depth); `slices` is a multiple of depth, and volumes share S.
    smoothing
        K, `Gaussian` or `Bilateral`.
    ratios
        Shape (elements, slices or 1).
    softness
        0: the sum of a is 1; above: how far it may be from it; below: it is free. (depth,)
    weights
        Where a begins, shape (elements, slices, size * size); None for equal shares.
    haadf_beam
        The geometry of the HAADF images where it is another one.
    """

    def __init__(
        self, beam, counts, shift, haadf, guide, smoothing, ratios, softness, weights, haadf_beam
    ):
        self.beam, self.haadf_beam, self.smoothing = beam, haadf_beam, smoothing
        self.elements, self.tilts, self.slices, self.size = counts.shape
        self.columns = self.elements * self.slices

        def last(images):
            return np.array(images.transpose(1, 3, 0, 2), order="C").reshape(
                self.tilts, self.size, self.columns
            )

        self.counts = last(counts)
        self.shift = np.zeros_like(self.counts) if shift is None else last(shift)
        self.haadf = np.ascontiguousarray(haadf.swapaxes(1, 2))
        factor = smoothing.normalized(guide)
        reach = factor * beam.column_sums.reshape(-1, 1)
        smoothing.apply(reach, reach, _NONE)
        shared: Any = [factor, reach, softness[None].astype(np.float64)]
        if factor.shape[1] == 1:  # the kernels' inner loops go over these columns
            shared = [np.repeat(each, self.slices, axis=1) for each in shared]
        self.factor, self.reach, softness = shared
        self.softness = softness[0]
        each = np.broadcast_to(ratios, (self.elements, self.slices)).astype(np.float32)
        self.inverse_ratios, self.ratios = 1 / each.astype(np.float64), each.ravel()
        self.squares = np.zeros((self.tilts, self.elements))
        self.deviances = np.zeros_like(self.squares)
        self.changes = np.zeros((self.size**2, 2))
        self.advanced = False
        if weights is None:
            self.a = empty(self.size**2, self.columns)
            self.a[:, : self.columns] = 1 / self.elements
        else:
            self.a = slices_last(weights.reshape(self.columns, -1))
        self.x, self.wx = empty(self.size**2, self.columns), empty(*self.counts.shape)
        self.x[:] = 0
        seen = haadf_beam or beam
        self.w_total = empty(seen.tilts, self.size, self.slices)
        smoothing.apply(self.a, self.x, self.factor)
        self.project()

    def fetch(self) -> np.ndarray:
        """Return x, (size * size, at least columns); one array always."""
        return self.x

    def weights(self) -> np.ndarray:
        """Return a, (elements * slices, size * size)."""
        return slices_first(self.a, self.columns)

    def free(self) -> None:
        """Give back all but x and a."""
        del self.counts, self.shift, self.haadf, self.wx, self.w_total
        del self.factor, self.reach, self.smoothing

    def project(self) -> None:
        """Project x, and its sum over the elements."""
        self.beam.forward(self.x, out=self.wx)
        add_up, own = load_kernels().add_up, (self.slices, self.elements)
        if self.haadf_beam is None:
            pixels = self.tilts * self.size
            lines = [array.reshape(pixels, -1) for array in (self.wx, self.w_total)]
            _in_parts(add_up, pixels, *lines, *own)
        else:
            total = empty(self.size**2, self.slices)
            _in_parts(add_up, self.size**2, self.x, total, *own)
            self.haadf_beam.forward(total, out=self.w_total)

    def residuals(self) -> Residuals:
        """Return the residuals; n / l replaces the projections."""
        own = self.wx, self.counts, self.shift, self.ratios, self.elements
        _in_parts(_load().compare, self.tilts, *own, self.squares, self.deviances)
        moved, total = self.changes.sum(axis=0)
        away = self.haadf - self.w_total[:, :, : self.slices]
        change = np.sqrt(moved / total) if total > 0 else 0.0
        return Residuals(
            eds=np.sqrt(self.squares.sum(axis=0)),
            haadf=float(np.sqrt(np.square(away, dtype=np.float64).sum())),
            change=float(change) if self.advanced else float("nan"),
            deviance=self.deviances.sum(axis=0),
        )

    def advance(self) -> None:
        """Send n / l back, and step."""
        kernels = _load()

        def keep(tile, *place):
            kernels.store_scaled(tile, self.x, self.factor, self.size, *place)

        self.beam.backward_tiles(self.wx, keep)
        self.smoothing.apply(self.x, self.x, _NONE)
        own = self.a, self.x, self.reach, self.factor, self.inverse_ratios, self.softness
        _in_parts(kernels.update, self.size**2, *own, self.elements, self.changes)
        self.advanced = True
        self.smoothing.apply(self.a, self.x, self.factor)
