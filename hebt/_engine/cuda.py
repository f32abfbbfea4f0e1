"""The parts of a SIRT iteration on a GPU, with numba's CUDA target.

The arrays and the weights are those of `_kernels`: a voxel's shadow on the detector, cut into bins,
with the slices of all elements along the last axis. Here a thread owns a column. The threads of a
block, side by side in memory, first work out the weights that they share, one each, and then
gather: `forward` for a detector bin at a tilt, line by line of the slice; `backward` for a pixel,
tilt by tilt. No two threads write to the same place, so results do not depend on their order.

Arrays are flat on the device, and so are their indices: unsigned, which spares numba the question
whether they count from the end.
"""

from __future__ import annotations

import math
import threading
import warnings

import numpy as np
from numba import cuda

from . import cuda_blur
from .arrays import empty, slices_last
from .compiled import kept
from .kernels import _EDGE, _footprint, _walk
from .system import Residuals, System

_LANES = 128  # threads of a block at most, and the weights that they work out at once
_WARP = 32  # threads that run together, so a block has a multiple of it
_RUN = 32  # pixels, or rays, that a block takes one after the other
_PARTS = 64  # how many sums of squares are left of each column, to be added up here
_NOTHING = np.uint64(2**64 - 1)
_ZERO, _HALF = np.float32(0), np.float32(0.5)
# One run at a time: each wants the memory for itself.
turn = threading.RLock()
_kernel = kept(cuda.jit)
_LEAST = np.float32(3e-7)  # weights below this are rounding, in single precision


@cuda.jit(device=True)
def _shadow(u, high, low, narrow, inv_narrow, inv_wide):
    """Part of a voxel's shadow that lies left of `u` (measured from the shadow's center)."""
    rise = min(max(u + high, _ZERO), narrow)
    flat = min(max(u + low, _ZERO), low + low)
    fall = min(max(u - low, _ZERO), narrow)
    return inv_wide * (flat + fall + _HALF * inv_narrow * (rise * rise - fall * fall))


@_kernel
def forward(x, p, coordinates, pixels, shapes, size, columns, pitch):
    """Set p to the projections of x. Blocks: detector bins, tilts, columns."""
    begin = cuda.shared.array(_LANES, np.uint64)
    w = cuda.shared.array((4, _LANES), np.float32)
    d, a = cuda.blockIdx.x, cuda.blockIdx.y
    lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
    column = cuda.blockIdx.z * lanes + lane
    extent, t0 = coordinates[a, 2], coordinates[a, 3]
    line_t, step_t = coordinates[a, 4], coordinates[a, 5]
    pixel0, line_pixel, step_pixel = pixels[a, 0], pixels[a, 1], pixels[a, 2]
    high, low, narrow = shapes[a, 0], shapes[a, 1], shapes[a, 2]
    inv_narrow, inv_wide = shapes[a, 3], shapes[a, 4]
    # a bin sees at most so many pixels of a line
    reach = 0.5 + extent - _EDGE
    taps = min(int(2.0 * reach / step_t) + 1, size)
    one = np.uint64(abs(step_pixel)) * np.uint64(pitch)
    two, three = one + one, one + one + one
    total = _ZERO
    for line0 in range(0, size, lanes):
        line = line0 + lane
        if line < size:
            t = t0 + line * line_t
            start = min(max(math.ceil((d - reach - t) / step_t), 0.0), float(size - taps))
            offset = np.float32(t + start * step_t - d)
            # indices that rise, also where the line is walked backwards
            pixel = pixel0 + line * line_pixel + int(start) * step_pixel
            if step_pixel < 0:
                pixel += (taps - 1) * step_pixel
            seen = False
            for q in range(4):
                u = offset + np.float32(q * step_t)
                right = _shadow(_HALF - u, high, low, narrow, inv_narrow, inv_wide)
                left = _shadow(-_HALF - u, high, low, narrow, inv_narrow, inv_wide)
                weight = right - left
                if q < taps and weight > _LEAST:
                    seen = True
                else:
                    weight = _ZERO
                w[taps - 1 - q if step_pixel < 0 and q < taps else q, lane] = weight
            begin[lane] = np.uint64(pixel) * np.uint64(pitch) if seen else _NOTHING
        cuda.syncthreads()
        if column < columns:
            k, count = np.uint64(0), np.uint64(min(lanes, size - line0))
            while k < count:
                if begin[k] != _NOTHING:
                    at = begin[k] + np.uint64(column)
                    total += w[0, k] * x[at]
                    if taps > 1:
                        total += w[1, k] * x[at + one]
                    if taps > 2:
                        total += w[2, k] * x[at + two]
                    if taps > 3:
                        total += w[3, k] * x[at + three]
                k += np.uint64(1)
        cuda.syncthreads()
    if column < columns:
        ray = np.uint64(a) * np.uint64(size) + np.uint64(d)
        p[ray * np.uint64(pitch) + np.uint64(column)] = total


@cuda.jit(device=True)
def _gather(p, coordinates, shapes, pixel, size, tilts, column, columns, pitch):
    """Back projection of one column of p at one pixel; all threads of a block call it together."""
    begin = cuda.shared.array(_LANES, np.uint64)
    w = cuda.shared.array((3, _LANES), np.float32)
    lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
    half = 0.5 * (size - 1)
    right_of_axis, above_axis = pixel % size - half, half - pixel // size
    one = np.uint64(pitch if size > 1 else 0)
    two = np.uint64(2 * pitch if size > 2 else 0)
    total = _ZERO
    for a0 in range(0, tilts, lanes):
        a = a0 + lane
        if a < tilts:
            u = half + right_of_axis * coordinates[a, 0] + above_axis * coordinates[a, 1]
            extent = coordinates[a, 2]
            high, low, narrow = shapes[a, 0], shapes[a, 1], shapes[a, 2]
            inv_narrow, inv_wide = shapes[a, 3], shapes[a, 4]
            d = min(max(math.ceil(u - extent + _EDGE - 0.5), 0.0), max(size - 3.0, 0.0))
            offset = np.float32(d - u)
            for q in range(3):
                away = offset + np.float32(q)
                right = _shadow(away + _HALF, high, low, narrow, inv_narrow, inv_wide)
                left = _shadow(away - _HALF, high, low, narrow, inv_narrow, inv_wide)
                weight = right - left
                w[q, lane] = weight if weight > _LEAST and q < size else _ZERO
            begin[lane] = np.uint64(a * size + int(d)) * np.uint64(pitch)
        cuda.syncthreads()
        if column < columns:
            k, count = np.uint64(0), np.uint64(min(lanes, tilts - a0))
            while k < count:
                at = begin[k] + np.uint64(column)
                total += w[0, k] * p[at] + w[1, k] * p[at + one] + w[2, k] * p[at + two]
                k += np.uint64(1)
        cuda.syncthreads()
    return total


@_kernel
def backward(p, x, coordinates, shapes, size, tilts, columns, pitch):
    """Set x to the back projection of p. Blocks: runs of pixels, columns."""
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    first = cuda.blockIdx.x * _RUN
    for pixel in range(first, min(first + _RUN, size * size)):
        total = _gather(p, coordinates, shapes, pixel, size, tilts, column, columns, pitch)
        if column < columns:
            x[np.uint64(pixel) * np.uint64(pitch) + np.uint64(column)] = total


@_kernel
def advance(
    p,
    x,
    coordinates,
    shapes,
    size,
    tilts,
    columns,
    pitch,
    inverse_sums,
    mask,
    masks,
    shared,
    shared_pitch,
    slices,
    moved,
    totals,
):
    """SIRT's step: x <- max(0, x + (back projection of p + shared) / column sum) * mask.

    Blocks: runs of pixels, columns. `mask` has `masks` columns, 1 or one for each slice; `shared`
    has `slices`, unless `shared_pitch` is 0. The squared norms of the step and of the new x go to
    moved and totals, for each run and column.
    """
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    first = cuda.blockIdx.x * _RUN
    change, square = _ZERO, _ZERO
    for pixel in range(first, min(first + _RUN, size * size)):
        total = _gather(p, coordinates, shapes, pixel, size, tilts, column, columns, pitch)
        if column < columns:
            if shared_pitch > 0:
                total += shared[
                    np.uint64(pixel) * np.uint64(shared_pitch) + np.uint64(column % slices)
                ]
            keep = mask[np.uint64(pixel) * np.uint64(masks) + np.uint64(column % masks)]
            at = np.uint64(pixel) * np.uint64(pitch) + np.uint64(column)
            old = x[at]
            value = keep * max(old + inverse_sums[pixel] * total, _ZERO)
            x[at] = value
            change += (value - old) * (value - old)
            square += value * value
    if column < columns:
        at = np.uint64(cuda.blockIdx.x) * np.uint64(columns) + np.uint64(column)
        moved[at], totals[at] = change, square


@_kernel
def shortfall(wx, haadf, weights, rays, elements, slices, pitch, out, squares):
    """Set out to alpha / k (haadf - sum_e wx_e). Blocks: runs of rays, slices.

    The squared norms of the difference go to squares, for each run and slice.
    """
    m = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if m >= slices:
        return
    first = cuda.blockIdx.x * _RUN
    square = 0.0
    for ray in range(first, min(first + _RUN, rays)):
        at = np.uint64(ray) * np.uint64(slices) + np.uint64(m)
        total = haadf[at]
        for e in range(elements):
            total -= wx[np.uint64(ray) * np.uint64(pitch) + np.uint64(e * slices + m)]
        square += np.float64(total) * np.float64(total)
        out[at] = weights[1, m] * total
    squares[np.uint64(cuda.blockIdx.x) * np.uint64(slices) + np.uint64(m)] = square


@_kernel
def weigh(
    wx, data, inverse_sums, weights, which, total, with_total, rays, slices, columns, pitch, squares
):
    """Turn projections into the weighted residual that SIRT projects back, in place.

    R^-1 [weights[which] (data - wx) + total]. Blocks: runs of rays, columns. `total` has `slices`
    columns. The squared norms of data - wx go to squares, for each run and column.
    """
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if column >= columns:
        return
    first = cuda.blockIdx.x * _RUN
    m = column % slices
    weight = weights[which, m]
    square = 0.0
    for ray in range(first, min(first + _RUN, rays)):
        at = np.uint64(ray) * np.uint64(pitch) + np.uint64(column)
        own = data[np.uint64(ray) * np.uint64(columns) + np.uint64(column)] - wx[at]
        square += np.float64(own) * np.float64(own)
        own *= weight
        if with_total:
            own += total[np.uint64(ray) * np.uint64(slices) + np.uint64(m)]
        wx[at] = inverse_sums[ray] * own
    squares[np.uint64(cuda.blockIdx.x) * np.uint64(columns) + np.uint64(column)] = square


@_kernel
def add_up(x, out, elements, slices, pixels, pitch, out_pitch):
    """Set out to the sum of x over the elements. Blocks: runs of pixels, slices."""
    m = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if m >= slices:
        return
    first = cuda.blockIdx.x * _RUN
    for pixel in range(first, min(first + _RUN, pixels)):
        total = _ZERO
        for e in range(elements):
            total += x[np.uint64(pixel) * np.uint64(pitch) + np.uint64(e * slices + m)]
        out[np.uint64(pixel) * np.uint64(out_pitch) + np.uint64(m)] = total


@_kernel
def sum_runs(squares, runs, columns, out):
    """Add up squares over the runs, into as many parts as out has rows. Blocks: parts, columns."""
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if column >= columns:
        return
    total = 0.0
    for r in range(cuda.blockIdx.x, runs, cuda.gridDim.x):
        total += squares[np.uint64(r) * np.uint64(columns) + np.uint64(column)]
    out[cuda.blockIdx.x, column] = total


class _Launch:
    """A kernel and its grid: `blocks`, and blocks of threads for so many columns."""

    def __init__(self, kernel, columns, *blocks):
        threads = min(_LANES, -(-columns // _WARP) * _WARP)
        self.kernel, self.shape = kernel, ((*blocks, -(-columns // threads)), threads)
        with warnings.catch_warnings():
            # a small problem keeps a GPU no more than a little busy; numba says so once
            warnings.simplefilter("ignore")
            kernel[self.shape]

    def __call__(self, *arguments):
        self.kernel[self.shape](*arguments)


def _runs(count):
    return -(-count // _RUN)


def _pitch(columns):
    return empty(1, columns).shape[1]


def _zeros(count):
    return cuda.to_device(np.zeros(count, np.float32))


class _Sums:
    """Sums of squares, for each of `runs` and each column, added up in double precision."""

    def __init__(self, runs, columns, dtype):
        self.arguments = runs, columns
        self.squares = cuda.device_array(runs * columns, dtype)
        parts = min(_PARTS, runs)
        self.parts = cuda.device_array((parts, columns), np.float64)
        self.launch = _Launch(sum_runs, columns, parts)

    def __call__(self):
        self.launch(self.squares, *self.arguments, self.parts)
        return self.parts.copy_to_host().sum(axis=0)


class _Rays:
    """A geometry on the device, for so many columns."""

    def __init__(self, beam, columns):
        # numba's compiled functions, called here as the plain ones
        footprint, walk = _footprint.py_func, _walk.py_func
        coordinates, pixels, shapes = [], [], []
        for c, s in zip(beam.cosines.tolist(), beam.sines.tolist()):
            extent, shape = footprint(c, s)
            t, pixel, _, _, line_t, line_pixel, step_t, step_pixel = walk(
                beam.size, c, s, 0, 0, beam.size, beam.size
            )
            coordinates.append((c, s, extent, t, line_t, step_t))
            pixels.append((pixel, line_pixel, step_pixel))
            shapes.append(shape)
        self.coordinates = cuda.to_device(np.array(coordinates, np.float64))
        self.pixels = cuda.to_device(np.array(pixels, np.int64))
        self.shapes = cuda.to_device(np.array(shapes, np.float32))
        self.size, self.tilts = beam.size, beam.tilts
        self.columns, self.pitch = columns, _pitch(columns)
        self._forward = _Launch(forward, columns, self.size, self.tilts)
        self._backward = _Launch(backward, columns, _runs(self.size**2))

    def forward(self, x, p):
        tables = self.coordinates, self.pixels, self.shapes
        self._forward(x, p, *tables, self.size, self.columns, self.pitch)

    def backward(self, p, x):
        self._backward(p, x, *self.geometry)

    @property
    def geometry(self):
        sizes = self.size, self.tilts, self.columns, self.pitch
        return self.coordinates, self.shapes, *sizes


class CudaRun(System):
    """A run on a GPU: as `CpuRun`, with all arrays on the device."""

    more_arrays = 0, 0  # as large as x, and as its projections, beyond those of this class

    def __init__(self, beam, maps, haadf, weights, mask, ratios, haadf_beam, blur, x0):
        own = maps.shape, mask.shape[1], haadf, haadf_beam, blur
        _refuse_what_has_no_room(*own, *self.more_arrays)
        super().__init__(beam, maps, haadf, weights, mask, ratios, haadf_beam, blur)
        columns, slices, pixels = self.columns, self.slices, self.size**2
        rays, pitch = self.tilts * self.size, _pitch(columns)
        self.rays = _Rays(beam, columns)
        self.maps = cuda.to_device(self.maps.ravel())
        self.weights = cuda.to_device(self.weights)
        self.inverse_rows = cuda.to_device(self.inverse_rows.ravel())
        self.inverse_columns = cuda.to_device(self.inverse_columns)
        self.masks, self.mask = mask.shape[1], cuda.to_device(mask.ravel())
        self.shared = self.total = cuda.to_device(np.zeros(1, np.float32))
        self.shared_pitch, self.with_total = 0, False
        self.eds = _Sums(_runs(rays), columns, np.float64)
        self.moved, self.squares = (_Sums(_runs(pixels), columns, np.float32) for _ in range(2))
        self._weigh = _Launch(weigh, columns, _runs(rays))
        self._advance = _Launch(advance, columns, _runs(pixels))
        if haadf_beam is not None:
            haadf_rays = len(haadf) * self.size
            self.images = _Rays(haadf_beam, slices)
            self.haadf_inverse_rows = cuda.to_device(self.haadf_inverse_rows.ravel())
            self.shared_pitch = _pitch(slices)
            # the sum over the elements, and in turn what goes back to all of them
            self.shared = _zeros(pixels * self.shared_pitch)
            self.w_shared = _zeros(haadf_rays * self.shared_pitch)
            self._add_up = _Launch(add_up, slices, _runs(pixels))
            self._weigh_haadf = _Launch(weigh, slices, _runs(haadf_rays))
            self.haadf_squares = _Sums(_runs(haadf_rays), slices, np.float64)
        elif haadf is not None:
            self.total, self.with_total = cuda.device_array(rays * slices, np.float32), True
            self._shortfall = _Launch(shortfall, slices, _runs(rays))
            self.haadf_squares = _Sums(_runs(rays), slices, np.float64)
        if haadf is not None:
            self.haadf = cuda.to_device(self.haadf.ravel())
        self.map_rows, self._smooth = self.inverse_rows, None
        if blur is not None:
            self.map_rows = cuda.to_device(self.inverse_blurred_rows.ravel())
            launch = _Launch(cuda_blur.smooth, columns, _runs(rays))
            counts = rays, self.size, slices, (columns, pitch)
            self._smooth = cuda_blur.Smoothing(blur, launch, *counts)
        self.wx = _zeros(rays * pitch)
        self.host = None
        if x0 is None:
            self.x = _zeros(pixels * pitch)
        else:
            self.x = cuda.to_device(slices_last(x0.reshape(columns, -1)).reshape(-1))
            self.project()

    def fetch(self):
        if self.host is None:
            self.host = empty(self.size**2, self.columns)
        self.x.copy_to_host(self.host.reshape(-1))
        return self.host

    def free(self):
        self.maps = self.haadf = self.wx = self.w_shared = self.shared = self.total = None
        self._smooth = None

    def project(self):
        self.rays.forward(self.x, self.wx)
        if self.haadf_beam is not None:
            counts = self.elements, self.slices, self.size**2
            self._add_up(self.x, self.shared, *counts, self.rays.pitch, self.shared_pitch)
            self.images.forward(self.shared, self.w_shared)

    def residuals(self) -> Residuals:
        rays, slices, columns = self.tilts * self.size, self.slices, self.columns
        pitch, weights, haadf = self.rays.pitch, self.weights, 0.0
        if self.with_total:
            counts = rays, self.elements, slices, pitch
            squares = self.haadf_squares.squares
            self._shortfall(self.wx, self.haadf, weights, *counts, self.total, squares)
        counts = rays, slices, columns, pitch
        if self._smooth is not None:
            self._smooth(self.wx, self.total, self.inverse_rows, False)
        total = self.total, self.with_total and self._smooth is None
        rows = self.map_rows
        self._weigh(self.wx, self.maps, rows, weights, 0, *total, *counts, self.eds.squares)
        if self._smooth is not None:
            self._smooth(self.wx, self.total, self.inverse_rows, self.with_total)
        if self.haadf_beam is not None:
            counts = self.images.tilts * self.size, slices, slices, self.shared_pitch
            rows, squares = self.haadf_inverse_rows, self.haadf_squares.squares
            self._weigh_haadf(self.w_shared, self.haadf, rows, weights, 1, *total, *counts, squares)
        if self.haadf is not None:
            haadf = self.haadf_squares().sum()
        eds = self.eds().reshape(self.elements, slices).sum(axis=1)
        moved, total = 0.0, 0.0
        if self.advanced:
            moved, total = self.moved().sum(), self.squares().sum()
        return self.norms(eds, haadf, moved, total)

    def advance(self):
        if self.haadf_beam is not None:
            self.images.backward(self.w_shared, self.shared)
        step = self.inverse_columns, self.mask, self.masks
        shared = self.shared, self.shared_pitch, self.slices
        squares = self.moved.squares, self.squares.squares
        self._advance(self.wx, self.x, *self.rays.geometry, *step, *shared, *squares)
        self.advanced = True


def _bytes(shape, masks, haadf, haadf_beam, blur, volumes=0, projections=0) -> int:
    """What a run takes of the device's memory."""
    elements, tilts, slices, size = shape
    columns, pixels, rays = elements * slices, size**2, tilts * size
    numbers = pixels * (_pitch(columns) + masks) + rays * (_pitch(columns) + columns)
    numbers += volumes * pixels * _pitch(columns) + projections * rays * _pitch(columns)
    numbers += 2 * columns * (_runs(pixels) + _runs(rays))  # sums of squares
    numbers += 2 * 3 * _PARTS * columns
    if haadf is not None:
        numbers += 2 * haadf.size
    if haadf_beam is not None:
        numbers += pixels * _pitch(slices)
    if blur is not None:
        numbers += rays * _pitch(columns)
    return 4 * numbers


def _refuse_what_has_no_room(shape, *arguments):
    refuse(_bytes(shape, *arguments), shape)


def refuse(needed: int, shape: tuple[int, ...]) -> None:
    """Raise a MemoryError unless the device has so many bytes free, for maps of this shape."""
    context = cuda.current_context()
    if hasattr(context, "deallocations"):  # not in the simulator
        context.deallocations.clear()  # what the last run has left and numba has yet to give back
    free = context.get_memory_info().free
    if needed > 0.95 * free:
        elements, _, slices, size = shape
        raise MemoryError(
            f"{slices} slices of {elements} x {size} x {size} voxels need {1e-9 * needed:.2g} GB "
            f"of the CUDA device's memory, of which {1e-9 * free:.2g} GB are free. Give Dask "
            "arrays, or out, to have them reconstructed in blocks of slices."
        )
