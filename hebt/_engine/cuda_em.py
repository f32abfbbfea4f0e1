"""Composition EM on a GPU, with a Gaussian kernel; as `em` and `em_kernels` have it for the CPU.

A thread owns a column, or where a voxel divides among the elements, a slice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from .arrays import empty, slices_first, slices_last
from .compiled import kept
from .cuda import _RUN, _Launch, _pitch, _Rays, _runs, _Sums, _zeros, add_up, refuse, shortfall
from .em_kernels import _LEAST, _NEVER, _VANISHED
from .system import Residuals

_kernel = kept(cuda.jit)
_ZERO = np.float32(0)


@_kernel
def smooth(p, out, taps, places, stride, rows, size, columns, pitch, factor, factors):
    """Set out to p smoothed along an axis, and times `factor`, unless that has no `factors`.

    Blocks: runs of pixels, columns. Along a slice's axes pixels are `stride` apart; with a stride
    of 0 columns are smoothed, in groups of `size`. `places` says where the values of an axis come
    from that is continued at its ends. Column m goes with column m % factors of `factor`.
    """
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if column >= columns:
        return
    first = cuda.blockIdx.x * _RUN
    for pixel in range(first, min(first + _RUN, rows)):
        value = _ZERO
        for q in range(len(taps)):
            if stride == 0:
                m = column % size
                at = np.uint64(pixel) * np.uint64(pitch) + np.uint64(column - m + places[m + q])
            else:
                i = pixel // stride % size
                other = pixel + (places[i + q] - i) * stride
                at = np.uint64(other) * np.uint64(pitch) + np.uint64(column)
            value += taps[q] * p[at]
        if factors > 0:
            value *= factor[np.uint64(pixel) * np.uint64(factors) + np.uint64(column % factors)]
        out[np.uint64(pixel) * np.uint64(pitch) + np.uint64(column)] = value


@_kernel
def scale(p, factor, factors, rows, columns, pitch):
    """Multiply p by `factor`. Blocks: runs of pixels, columns."""
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if column >= columns:
        return
    first = cuda.blockIdx.x * _RUN
    for pixel in range(first, min(first + _RUN, rows)):
        by = factor[np.uint64(pixel) * np.uint64(factors) + np.uint64(column % factors)]
        p[np.uint64(pixel) * np.uint64(pitch) + np.uint64(column)] *= by


@_kernel
def compare(wx, maps, shift, with_shift, ratios, rays, columns, pitch, squares, deviances):
    """Turn projections into counts / expected counts. Blocks: runs of rays, columns.

    ||ratio (counts - expected)||^2 and half the Poisson deviance go to the last two, for each run
    and column.
    """
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if column >= columns:
        return
    first = cuda.blockIdx.x * _RUN
    ratio = ratios[column]
    square, deviance = 0.0, 0.0
    for ray in range(first, min(first + _RUN, rays)):
        at = np.uint64(ray) * np.uint64(pitch) + np.uint64(column)
        own = np.uint64(ray) * np.uint64(columns) + np.uint64(column)
        more = shift[own] if with_shift else _ZERO
        expected = max(wx[at] / ratio + more, _LEAST)
        n = max(maps[own] + more, _ZERO)
        away = np.float64(n) - np.float64(expected)
        square += (np.float64(ratio) * away) ** 2
        deviance -= away
        if n > _ZERO:
            deviance += np.float64(n) * math.log(np.float64(n) / np.float64(expected))
        wx[at] = n / expected
    at = np.uint64(cuda.blockIdx.x) * np.uint64(columns) + np.uint64(column)
    squares[at], deviances[at] = square, deviance


@cuda.jit(device=True)
def _part(a, q, reach, inverse, e, m, at, slices):
    """Return E_e and s_e of a voxel."""
    own = at + np.uint64(e * slices)
    by = inverse[e * slices + m]
    return np.float64(a[own] * q[own]) * by, np.float64(reach) * by


@cuda.jit(device=True)
def _root(a, q, reach, inverse, m, at, elements, slices, least, slope):
    """Return d, at which sum_e E_e / (s_e - least + d) = 1 - least slope + slope d.

    As `em_kernels.common_roots`, whose steps these are.
    """
    constant, d = 1.0 - least * slope, 0.0
    for e in range(elements):
        expected, s = _part(a, q, reach, inverse, e, m, at, slices)
        gap = s - least if expected > 0.0 else 0.0
        single = expected - gap * constant
        if slope > 0.0:
            total, away = constant + slope * gap, constant - slope * gap
            root = math.sqrt(away * away + 4.0 * slope * expected)
            if total > 0.0:
                single = 2.0 * single / (total + root)
            else:
                single = (root - total) / (2.0 * slope)
        d = max(d, single)
    for _ in range(60):
        left, falls = 0.0, 0.0
        for e in range(elements):
            expected, s = _part(a, q, reach, inverse, e, m, at, slices)
            if expected > 0.0:
                part = expected / (s - least + d)
                left += part
                falls += part / (s - least + d)
        right = constant + slope * d
        step = (left - right) * left * right / (falls * right * right + slope * left * left)
        d += step if step > 0.0 else 0.0
        if not step > 1e-6 * d:
            break
    return d


@_kernel
def update(
    a, q, reach, factor, depth, inverse, softness, elements, slices, rows, pitch, moved, totals
):
    """EM's step, as `em_kernels.update`. Blocks: runs of pixels, slices."""
    m = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if m >= slices:
        return
    first = cuda.blockIdx.x * _RUN
    change, square = 0.0, 0.0
    for pixel in range(first, min(first + _RUN, rows)):
        at = np.uint64(pixel) * np.uint64(pitch) + np.uint64(m)
        shared = np.uint64(pixel) * np.uint64(depth) + np.uint64(m % depth)
        own, weight = reach[shared], np.float64(factor[shared])
        least = _NEVER
        for e in range(elements):
            expected, s = _part(a, q, own, inverse, e, m, at, slices)
            if expected > 0.0:
                least = min(least, s)
        there = 0.0 < least < _NEVER
        d = least
        if there and softness[m] >= 0.0:
            d = _root(a, q, own, inverse, m, at, elements, slices, least, softness[m])
        for e in range(elements):
            expected, s = _part(a, q, own, inverse, e, m, at, slices)
            where = at + np.uint64(e * slices)
            old = np.float64(a[where])
            value = old
            if there:
                value = expected / (s - least + d) if expected > 0.0 else 0.0
            value = value if value > _VANISHED else 0.0
            a[where] = value
            change += (weight * (value - old)) ** 2
            square += (weight * value) ** 2
    at = np.uint64(cuda.blockIdx.x) * np.uint64(slices) + np.uint64(m)
    moved[at], totals[at] = change, square


class CudaEmRun:
    """A run on a GPU: as `em.EmRun`, with all arrays on the device."""

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
        self.elements, self.tilts, self.slices, self.size = maps.shape
        self.columns, self.pixels = self.elements * self.slices, self.size**2
        self.count, self.keep, self.shares = self.tilts * self.size, keep, None
        elements, slices, columns = self.elements, self.slices, self.columns
        self.pitch, self.depth = _pitch(columns), guide.shape[1]
        images = 0 if haadf_beam is None else haadf_beam.tilts * self.size + self.pixels
        numbers = 3 * self.pixels * self.pitch + 2 * guide.size + 2 * haadf.size
        numbers += self.count * (self.pitch + (1 if shift is None else 2) * columns)
        numbers += images * _pitch(slices)
        refuse(4 * numbers, maps.shape)
        self.rays = _Rays(beam, columns)

        def last(array):
            return cuda.to_device(np.array(array.transpose(1, 3, 0, 2), order="C").reshape(-1))

        self.maps, self.with_shift = last(maps), shift is not None
        self.shift = _zeros(1) if shift is None else last(shift)
        self.haadf = cuda.to_device(np.array(haadf.swapaxes(1, 2), order="C").reshape(-1))
        reach = guide * beam.column_sums.reshape(-1, 1)
        smoothing.apply(reach, reach, np.empty((0, 1), np.float32))
        self.factor, self.reach = cuda.to_device(guide.ravel()), cuda.to_device(reach.ravel())
        self.softness = cuda.to_device(np.resize(softness.astype(np.float64), slices))
        each = np.broadcast_to(ratios, (elements, slices)).astype(np.float32).ravel()
        self.ratios, self.inverse = cuda.to_device(each), cuda.to_device(1 / each.astype(float))
        self._prepare(smoothing, haadf_beam)
        if weights is None:
            a = empty(self.pixels, columns)
            a[:, :columns] = 1 / elements
        else:
            a = slices_last(weights.reshape(columns, -1))
        self.a = cuda.to_device(a.reshape(-1))
        self.x, self.spare = (_zeros(self.pixels * self.pitch) for _ in range(2))
        self.wx, self.host, self.advanced = _zeros(self.count * self.pitch), None, False
        self.x = self._apply(self.a, self.x, self.spare, self.depth)
        self.project()

    def _prepare(self, smoothing, haadf_beam):
        """Prepare launches, sums, and the passes of the smoothing."""
        columns, slices = self.columns, self.slices
        self._smooth = _Launch(smooth, columns, _runs(self.pixels))
        self._scale = _Launch(scale, columns, _runs(self.pixels))
        self._compare = _Launch(compare, columns, _runs(self.count))
        self._update = _Launch(update, slices, _runs(self.pixels))
        runs = _runs(self.count), columns, np.float64
        self.squares, self.deviances = _Sums(*runs), _Sums(*runs)
        runs = _runs(self.pixels), slices, np.float64
        self.moved, self.totals = _Sums(*runs), _Sums(*runs)
        taps, index = smoothing.taps, smoothing.index
        if not len(taps):
            taps, index = np.ones(1, np.float32), np.arange(self.size)
        inside = cuda.to_device(taps), cuda.to_device(index)
        self.passes: list[Any] = [(*inside, self.size, self.size), (*inside, 1, self.size)]
        if len(smoothing.taps_along):
            along = cuda.to_device(smoothing.taps_along), cuda.to_device(smoothing.index_along)
            depth = len(smoothing.index_along) - len(smoothing.taps_along) + 1
            self.passes.append((*along, 0, depth))
        rays, pitch = self.count, self.pitch
        self.images, elements = None, self.elements
        if haadf_beam is not None:
            self.images, elements, pitch = _Rays(haadf_beam, slices), 1, _pitch(slices)
            rays = haadf_beam.tilts * self.size
            self.total, self.w_total = _zeros(self.pixels * pitch), _zeros(rays * pitch)
            self._add_up = _Launch(add_up, slices, _runs(self.pixels))
        self.shortfall_of = rays, elements, slices, pitch
        self._shortfall = _Launch(shortfall, slices, _runs(rays))
        self.haadf_squares = _Sums(_runs(rays), slices, np.float64)
        self.left, self.ones = _zeros(rays * slices), cuda.to_device(np.ones((2, slices), "f4"))

    def _apply(self, source, one, other, factors):
        """Smooth into one of two arrays, of which the first may be no source; return which."""
        for n, (taps, index, stride, size) in enumerate(self.passes):
            target = one if (len(self.passes) - n) % 2 else other
            by = factors if n == len(self.passes) - 1 else 0
            geometry = stride, self.pixels, size, self.columns, self.pitch
            self._smooth(source, target, taps, index, *geometry, self.factor, by)
            source = target
        return source

    def fetch(self) -> np.ndarray:
        """Return x in this machine's memory, (size * size, at least columns); one array always."""
        if self.host is None:
            self.host = empty(self.pixels, self.columns)
        self.x.copy_to_host(self.host.reshape(-1))
        return self.host

    def free(self) -> None:
        """Give back all but x, and the shares, (elements * slices, size * size), if kept."""
        self.maps = self.shift = self.haadf = self.wx = self.left = self.spare = None
        self.factor = self.reach = self.total = self.w_total = None
        if self.keep:
            a = self.a.copy_to_host().reshape(self.pixels, self.pitch)
            self.shares = slices_first(a, self.columns)
        self.a = None

    def project(self) -> None:
        """Project x, and its sum over the elements where HAADF has tilts of its own."""
        self.rays.forward(self.x, self.wx)
        if self.images is not None:
            counts = self.elements, self.slices, self.pixels, self.pitch, self.images.pitch
            self._add_up(self.x, self.total, *counts)
            self.images.forward(self.total, self.w_total)

    def residuals(self) -> Residuals:
        """Return the residuals; n / l replaces the projections."""
        rays, elements, slices, pitch = self.shortfall_of
        seen = self.wx if self.images is None else self.w_total
        counts = rays, elements, slices, pitch, self.left, self.haadf_squares.squares
        self._shortfall(seen, self.haadf, self.ones, *counts)
        data = self.wx, self.maps, self.shift, self.with_shift, self.ratios
        counts = self.count, self.columns, self.pitch
        self._compare(*data, *counts, self.squares.squares, self.deviances.squares)
        each = self.elements, self.slices
        change = float("nan")
        if self.advanced:
            moved, total = self.moved().sum(), self.totals().sum()
            change = float(np.sqrt(moved / total)) if total > 0 else 0.0
        return Residuals(
            eds=np.sqrt(self.squares().reshape(each).sum(axis=1)),
            haadf=float(np.sqrt(self.haadf_squares().sum())),
            change=change,
            deviance=2 * self.deviances().reshape(each).sum(axis=1),
        )

    def advance(self) -> None:
        """Send n / l back, and step."""
        self.rays.backward(self.wx, self.x)
        counts = self.pixels, self.columns, self.pitch
        self._scale(self.x, self.factor, self.depth, *counts)
        one, other = self.x, self.spare
        if len(self.passes) % 2:  # the first pass is not into x
            one, other = other, one
        q = self._apply(self.x, one, other, 0)
        shares = self.a, q, self.reach, self.factor, self.depth, self.inverse, self.softness
        counts = self.elements, self.slices, self.pixels, self.pitch
        self._update(*shares, *counts, self.moved.squares, self.totals.squares)
        self.advanced = True
        self.x = self._apply(self.a, self.x, self.spare, self.depth)
