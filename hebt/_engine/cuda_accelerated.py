"""SIRT with POGM's momentum on a GPU: as `accelerated`, with all arrays on the device."""

from __future__ import annotations

import numpy as np
from numba import cuda

from .accelerated import Momentum
from .cuda import _RUN, _ZERO, CudaRun, _kernel, _Launch, _runs, _Sums, _zeros
from .system import Residuals


@_kernel
def add_weighted(target, offset, scales, rays, columns, pitch):
    """Add scales times offset to the rays of target. Blocks: runs of rays, columns."""
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if column >= columns:
        return
    first = cuda.blockIdx.x * _RUN
    for ray in range(first, min(first + _RUN, rays)):
        more = offset[np.uint64(ray) * np.uint64(columns) + np.uint64(column)]
        target[np.uint64(ray) * np.uint64(pitch) + np.uint64(column)] += scales[ray] * more


@cuda.jit(device=True)
def _keep_sum(values, at, slices, elements, total):
    """As in `accelerated_kernels`, for values[at], values[at + slices], ..."""
    shift, before = 0.0, -1
    while total > 0.0:
        above, count = 0.0, 0
        for e in range(elements):
            value = np.float64(values[at + np.uint64(e * slices)])
            if value > shift:
                above += value
                count += 1
        if count == before:
            break
        shift, before = (above - total) / count, count
    for e in range(elements):
        k = at + np.uint64(e * slices)
        value = np.float64(values[k]) - shift
        values[k] = np.float32(value) if value > 0.0 and total > 0.0 else _ZERO


@_kernel
def step(
    back,
    x,
    y,
    momentum,
    inverse_sums,
    mask,
    masks,
    shared,
    shared_pitch,
    pixels,
    elements,
    slices,
    pitch,
    keeps_sum,
    dots,
    moved,
    totals,
):
    """A step of POGM, as in `accelerated_kernels`. Blocks: runs of pixels, slices.

    `back` is the back projection, and is lost. The sums go to dots, moved and totals, for each run
    and slice.
    """
    m = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if m >= slices:
        return
    first = cuda.blockIdx.x * _RUN
    back_y, back_x, one = momentum[0, m], momentum[1, m], np.float32(1)
    length = one + back_y + back_x
    dot, change, square = 0.0, 0.0, 0.0
    for pixel in range(first, min(first + _RUN, pixels)):
        begin = np.uint64(pixel) * np.uint64(pitch) + np.uint64(m)
        scale = inverse_sums[pixel]
        more, total, least = _ZERO, 0.0, _ZERO
        if shared_pitch > 0:
            more = shared[np.uint64(pixel) * np.uint64(shared_pitch) + np.uint64(m)]
        for e in range(elements):
            at = begin + np.uint64(e * slices)
            w = x[at] + scale * (back[at] + more)
            value = w + back_y * (w - y[at]) + back_x * (w - x[at])
            y[at] = w
            back[at] = value
            total += np.float64(value)
            least = min(least, value)
        if keeps_sum and least < _ZERO:
            for e in range(elements):
                at = begin + np.uint64(e * slices)
                y[at] -= back[at] / length
            _keep_sum(back, begin, slices, elements, total)
        weight = 1.0 / np.float64(scale) if scale > _ZERO else 0.0
        keep = mask[np.uint64(pixel) * np.uint64(masks) + np.uint64(m % masks)]
        keep /= keep + length * (one - keep)
        for e in range(elements):
            at = begin + np.uint64(e * slices)
            old, new = x[at], keep * max(back[at], _ZERO)
            y[at] += (new if keeps_sum and least < _ZERO else new - back[at]) / length
            away = np.float64(new) - np.float64(old)
            dot += weight * (np.float64(old) - np.float64(y[at])) * away
            change += away * away
            square += np.float64(new) * np.float64(new)
            x[at] = new
    at = np.uint64(cuda.blockIdx.x) * np.uint64(slices) + np.uint64(m)
    dots[at], moved[at], totals[at] = dot, change, square


class AcceleratedCudaRun(CudaRun):
    """A run with momentum on a GPU: as `AcceleratedRun`, with all arrays on the device."""

    def __init__(
        self, beam, maps, haadf, weights, mask, ratios, haadf_beam, blur, x0, acceleration
    ):
        self.offset, offset = None, acceleration.offset
        self.more_arrays = 2, 0 if offset is None else 1
        super().__init__(beam, maps, haadf, weights, mask, ratios, haadf_beam, blur, x0)
        columns, slices, pixels = self.columns, self.slices, self.size**2
        rays = self.tilts * self.size
        self.keeps_sum = acceleration.keeps_sum
        self.momentum = Momentum(slices, acceleration.depth)
        self.forth = cuda.to_device(self.momentum.values)
        if offset is not None:
            offset = np.array(offset.transpose(1, 3, 0, 2), order="C")
            self.offset = cuda.to_device(offset.reshape(-1))
        self.y, self.back = (_zeros(pixels * self.rays.pitch) for _ in range(2))
        self.y.copy_to_device(self.x)
        self.sends_haadf = haadf_beam is not None and bool(weights[1].any())
        self.dots, self.moved, self.squares = (
            _Sums(_runs(pixels), slices, np.float64) for _ in range(3)
        )
        self._add_weighted = _Launch(add_weighted, columns, _runs(rays))
        self._step = _Launch(step, slices, _runs(pixels))

    def free(self):
        super().free()
        self.offset = self.y = self.back = None

    def residuals(self) -> Residuals:
        found = super().residuals()
        if self.offset is not None:
            counts = self.tilts * self.size, self.columns, self.rays.pitch
            self._add_weighted(self.wx, self.offset, self.inverse_rows, *counts)
        return found

    def advance(self):
        shared_pitch = 0
        if self.sends_haadf:
            self.images.backward(self.w_shared, self.shared)
            shared_pitch = self.shared_pitch
        self.rays.backward(self.wx, self.back)
        self._step(
            self.back,
            self.x,
            self.y,
            self.forth,
            self.inverse_columns,
            self.mask,
            self.masks,
            self.shared,
            shared_pitch,
            self.size**2,
            self.elements,
            self.slices,
            self.rays.pitch,
            self.keeps_sum,
            self.dots.squares,
            self.moved.squares,
            self.squares.squares,
        )
        self.advanced = True
        self.momentum.update(self.dots())
        self.forth.copy_to_device(self.momentum.values)
