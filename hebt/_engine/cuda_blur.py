"""The smoothing of element maps on a GPU, as `blur` has it for the CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import cuda

from .compiled import kept
from .system import Blur

_ZERO = np.float32(0)


@kept(cuda.jit)
def smooth(p, out, kernel, places, along, total, rows, with_total, rays, size, run, slices, sizes):
    """Set out to p smoothed along the slices or across them, and perhaps add rows * total.

    Blocks: any number, columns. `places` says where the values of an image come from that is
    continued at its edges; a volume has `run` slices. `total` has `slices` columns.
    """
    column = cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    columns, pitch = sizes
    if column >= columns:
        return
    for ray in range(cuda.blockIdx.x, rays, cuda.gridDim.x):
        m, d = column % run, ray % size
        value = _ZERO
        for q in range(len(kernel)):
            if along:
                at = np.uint64(ray) * np.uint64(pitch) + np.uint64(column - m + places[m + q])
            else:
                at = np.uint64(ray - d + places[d + q]) * np.uint64(pitch) + np.uint64(column)
            value += kernel[q] * p[at]
        if with_total:
            at = np.uint64(ray) * np.uint64(slices) + np.uint64(column % slices)
            value += rows[ray] * total[at]
        out[np.uint64(ray) * np.uint64(pitch) + np.uint64(column)] = value


class Smoothing:
    """Smooths projections, (tilts * size, columns), by `launch`, which calls `smooth`."""

    def __init__(
        self, blur: Blur, launch: Callable, rays: int, size: int, slices: int, sizes: tuple
    ):
        self.along = *map(cuda.to_device, (blur.along, blur.slice_at)), True
        self.across = *map(cuda.to_device, (blur.across, blur.ray_at)), False
        run = len(blur.slice_at) - len(blur.along) + 1
        self.launch, self.counts = launch, (rays, size, run, slices, sizes)
        self.spare = cuda.device_array(rays * sizes[1], np.float32)

    def __call__(self, p, total, rows, with_total):
        """Smooth p in place, and perhaps add rows * total, (rays,) and (rays, slices)."""
        self.launch(p, self.spare, *self.along, total, rows, False, *self.counts)
        self.launch(self.spare, p, *self.across, total, rows, with_total, *self.counts)
