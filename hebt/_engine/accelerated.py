"""SIRT with the momentum of the proximal optimized gradient method (POGM), on the CPU.

SIRT is a proximal gradient step in the metric of the column sums, where the Lipschitz constant is
1. With g what SIRT adds to x, and a, b, c = 1 + a + b from `Momentum`, a step of POGM is

w = x + g,  z = w + a (w - y) + b (w - x),  x_new = P_c(z),  y_new = w + (x_new - z) / c

(Taylor, Hendrickx & Glineur 2017; as in Kim & Fessler 2018, where w_before and z_before, which are
nowhere else needed, are here y = w_before + (x - z_before) / c_before). P_c is max(0, z), or what
keeps the sum over the elements, times mask / (mask + c (1 - mask)): SIRT's factor of a mask between
0 and 1 is the proximal operator of a penalty, and has to know the length of the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from .arrays import empty, slices_last
from .beam import MOST, Beam, block_width, load_kernels
from .cpu import CpuRun, _in_parts
from .system import Residuals
from .threads import run, threads


def _load() -> ModuleType:
    from . import accelerated_kernels

    return accelerated_kernels


@dataclass(frozen=True, eq=False)
class Acceleration:
    """What an accelerated run has beyond its problem.

    Attributes
    ----------
    offset
        Added to the EDS residuals before they are sent back, shape (elements, tilts, slices,
        size); None for nothing.
    keeps_sum
        Whether the sum over the elements is kept where a step leads below 0.
    depth
        How many slices belong together and share their momentum.
    begin
        Where a run that goes on was: its y, shape (elements, slices, size * size), and its t, one
        for each `depth` slices; None for a new run.
    """

    offset: Any = field(default=None, repr=False)
    keeps_sum: bool = False
    depth: int = 1
    begin: Any = field(default=None, repr=False)


class Momentum:
    """How far each slice goes on the way it went, which starts anew where that leads astray.

    `values` holds a = (t - 1) / t_next and b = t / t_next, shape (2, slices), where t begins at 1
    and t_next = (1 + sqrt(1 + 4 t^2)) / 2.

    Parameters
    ----------
    slices
        How many there are.
    depth
        How many of them, one after the other, share it.
    """

    def __init__(self, slices: int, depth: int = 1):
        self.depth = depth
        self.begin(np.ones(slices // depth))

    def begin(self, t: np.ndarray) -> None:
        """Let the next step be one with this t."""
        self.t = t
        self.after = (1 + np.sqrt(1 + 4 * t**2)) / 2
        values = np.stack([t - 1, t]) / self.after
        self.values = np.repeat(values, self.depth, axis=1).astype(np.float32)

    def update(self, dots: np.ndarray) -> None:
        """Take <x - y_new, x_new - x> of each slice: above 0, the step went uphill."""
        astray = dots.reshape(-1, self.depth).sum(axis=1) > 0
        self.begin(np.where(astray, 1, self.after))


class AcceleratedRun(CpuRun):
    """A run with momentum, to the fixed points of SIRT. Each step takes the residuals of x."""

    def __init__(
        self, beam, maps, haadf, weights, mask, ratios, haadf_beam, blur, x0, acceleration
    ):
        super().__init__(beam, maps, haadf, weights, mask, ratios, haadf_beam, blur, x0)
        self.keeps_sum, self.offset = acceleration.keeps_sum, None
        self.momentum = Momentum(self.slices, acceleration.depth)
        if acceleration.offset is not None:
            offset = np.array(acceleration.offset.transpose(1, 3, 0, 2), order="C")
            self.offset = offset.reshape(-1, self.columns)
        self.keep, self.ended = False, None
        if acceleration.begin is None:
            self.y = self.x.copy()
        else:
            y, t = acceleration.begin
            self.y = slices_last(y.reshape(self.columns, -1))
            self.momentum.begin(t)
        self.unit = self._unit()
        # all elements of a slice are needed at once: in one block, or side by side
        self.together = self.columns <= MOST
        width = self.width = self.slices if self.together else block_width(self.slices)
        self.blocks = [(s, min(s + width, self.slices)) for s in range(0, self.slices, width)]
        _, *edges = beam.tiles(self.columns)
        self.changes = np.zeros((len(self.blocks), *edges, 2))
        self.dots = np.zeros((len(self.blocks), *edges, width))
        self.sends_haadf = haadf_beam is not None and bool(self.weights[1].any())

    def _unit(self) -> np.float32:
        """Return the power of 2 that brings the largest value to about 1."""
        arrays = [a for a in (self.maps, self.haadf, self.x) if a is not None]
        most = max(max(float(a.max()), -float(a.min())) for a in arrays)
        return np.float32(np.ldexp(1.0, -np.clip(np.frexp(most)[1], -120, 120)))

    def free(self):
        """Give back all but x, and what a run that goes on begins with, if that is kept."""
        super().free()
        self.offset = None
        if self.keep:
            self.ended = self.y, self.momentum.t
        del self.y

    def residuals(self) -> Residuals:
        """The residuals' norms; what is sent back has the offset in it too."""
        found = super().residuals()
        if self.offset is not None:
            lines, scales = self.tilts * self.size, self.inverse_rows.ravel()
            wx = self.wx.reshape(lines, -1)
            _in_parts(_load().add_weighted, lines, wx, self.offset, scales)
        return found

    def advance(self):
        """Send the weighted residuals back, and step."""
        if self.sends_haadf and self.haadf_beam is not None:
            self.haadf_beam.backward(self.w_shared, out=self.shared)
        kernels, size = load_kernels(), self.size
        series, most = (1, self.columns) if self.together else (self.elements, self.width)
        spare = [empty(series, kernels.TILE**2, most) for _ in range(threads())]

        def work(block, row, column):
            tiles = spare.pop()
            self._step_at(tiles, block, row, column)
            spare.append(tiles)

        edges = range(0, size, kernels.TILE)
        run(work, [(b, r, c) for b in range(len(self.blocks)) for r in edges for c in edges])
        self.advanced = True
        self.momentum.update(self.dots.sum(axis=(1, 2)).ravel()[: self.slices])

    def _step_at(self, tiles, block, row, column):
        """Step at one tile of one block of slices."""
        kernels, beam, (first, last) = load_kernels(), self.beam, self.blocks[block]
        size, slices, elements = self.size, self.slices, self.elements
        for e, tile in enumerate(tiles):
            begin = e * slices + first
            end = self.columns if self.together else e * slices + last
            kernels.backward(self.wx, beam.cosines, beam.sines, size, row, column, begin, end, tile)
            if self.sends_haadf:
                place = size, row, column, begin, end
                kernels.add_shared(tile, self.shared, slices, elements, *place)
        place = block, row // kernels.TILE, column // kernels.TILE
        _load().step(
            tiles,
            self.x,
            self.y,
            self.momentum.values,
            self.inverse_columns,
            self.mask,
            elements,
            self.keeps_sum,
            (size, row, column, first, last),
            self.unit,
            self.dots[place],
            self.changes[place],
        )


def accelerated_sirt(
    beam: Beam, p: np.ndarray, mask: np.ndarray, iterations: np.ndarray, enough: np.ndarray
) -> np.ndarray:
    """Reconstruct slices by accelerated SIRT, each until it is near enough to its data.

    Parameters
    ----------
    beam
        The geometry.
    p
        Projections, shape (tilts, slices, size).
    mask
        Shape (size * size, slices or 1).
    iterations
        How many at most, shape (slices,).
    enough
        Norm of p - W x at which a slice is done, shape (slices,).

    Returns
    -------
    numpy.ndarray
        x, shape (size * size, slices).
    """
    slices = p.shape[1]
    weights = np.array([[1], [0]], np.float32)
    state = AcceleratedRun(
        beam, p[None], None, weights, mask, None, None, None, None, Acceleration()
    )
    done = empty(beam.size**2, slices)
    rows = beam.row_sums[:, :, None]
    # what rays outside the slice measured, they keep
    outside = _squares(state.maps, rows == 0)
    open_ = np.sqrt(_squares(state.maps, np.ones_like(rows))) > enough
    done[:] = 0
    state.residuals()
    for n in range(iterations.max()):
        if not open_.any():
            break
        state.advance()
        state.project()
        state.residuals()
        left = np.sqrt(_squares(state.wx[:, :, :slices], rows) + outside)
        closed = open_ & ((left <= enough) | (n + 1 == iterations))
        np.copyto(done[:, :slices], state.x[:, :slices], where=closed)
        open_ &= ~closed
    return done[:, :slices]


def _squares(images: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return the squared norm of scales * images in each column, without an array as large."""
    parts = [np.square(s * i, dtype=float).sum(axis=0) for i, s in zip(images, scales)]
    return np.sum(parts, axis=0)
