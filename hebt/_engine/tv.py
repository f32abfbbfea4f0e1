"""Guided total variation on the CPU: a primal-dual run with steps for each voxel and ray."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from .arrays import empty, inverse, slices_last
from .beam import load_kernels
from .cpu import _in_parts
from .system import Residuals


def _load() -> ModuleType:
    from . import tv_kernels

    return tv_kernels


class TvRun:
    """A run of Poisson likelihood, HAADF and guided total variation, and what an iteration does.

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
        S, shape (size * size, slices).
    level
        The unit of x in the total variation, above 0, shape (slices,).
    ratios
        Shape (elements, slices or 1).
    noise
        Standard deviation of a HAADF pixel in its unit, above 0, shape (slices,).
    strength
        lambda, of an edge of one voxel.
    guidance
        How much less an edge weighs where the guide has it too, from 0 to 1.
    smooth
        Which gradients of S count as an edge of the guide, relative to `level`.
    depth
        How many slices a volume has, if slices are neighbors; 1 if each stands alone.
    mask
        Shape (size * size, slices or 1).
    x0
        Shape (elements, slices, size * size).
    haadf_beam
        The geometry of the HAADF images where it is another one.
    """

    def __init__(
        self,
        beam,
        counts,
        shift,
        haadf,
        guide,
        level,
        ratios,
        noise,
        strength,
        guidance,
        smooth,
        depth,
        mask,
        x0,
        haadf_beam,
    ):
        self.beam, self.haadf_beam, self.depth = beam, haadf_beam, depth
        self.elements, self.tilts, self.slices, self.size = counts.shape
        self.columns = self.elements * self.slices
        self.level, self.noise = level.astype(np.float32), (noise / level).astype(np.float32)
        self.ratios = np.empty((self.elements, self.slices), np.float32)
        self.ratios[:] = ratios
        self.radius = np.float32(strength / _load().GRADIENT)
        self.guidance = np.float32(guidance)
        self._keep_data(counts, shift, haadf)
        self._keep_steps(mask)
        self._keep_directions(guide, smooth)
        self.x = slices_last(x0.reshape(self.columns, -1))
        self.ahead = empty(*self.x.shape)
        self.ahead[:] = self.x
        self.project()
        self.wx[:] = self.w_ahead[:, :, : self.columns]
        self.total[:] = self.w_total[:, :, : self.slices]

    def _keep_data(self, counts, shift, haadf):
        def last(images):
            return np.array(images.transpose(1, 3, 0, 2), order="C").reshape(
                self.tilts, self.size, self.columns
            )

        self.counts = last(counts)
        self.shift = np.zeros_like(self.counts) if shift is None else last(shift)
        self.haadf = np.ascontiguousarray(haadf.swapaxes(1, 2))
        self.y_counts, self.y_haadf = np.zeros_like(self.counts), np.zeros_like(self.haadf)
        self.wx, self.total = np.empty_like(self.counts), np.empty_like(self.haadf)
        self.w_ahead = empty(self.tilts, self.size, self.columns)
        self.w_total = empty(len(self.haadf), self.size, self.slices)
        self.squares = np.zeros((self.tilts, self.elements))
        self.deviances = np.zeros_like(self.squares)
        self.haadf_squares = np.zeros(len(self.haadf))

    def _keep_steps(self, mask):
        beam, seen = self.beam, self.haadf_beam or self.beam
        self.scales = (self.level / self.ratios).astype(np.float32)
        self.inverse_rows = inverse(beam.row_sums)
        self.haadf_inverse_rows = inverse(seen.row_sums) / np.float32(self.elements)
        self.seen, self.seen_haadf = beam.column_sums.ravel(), seen.column_sums.ravel()
        self.mask = np.ascontiguousarray(mask, np.float32)
        self.changes = np.zeros((*beam.tiles(self.columns), 2))
        self.advanced = False

    def _keep_directions(self, guide, smooth):
        axes = 3 if self.depth > 1 else 2
        self.xi = empty(axes, self.size**2, self.slices)
        self.y = empty(axes, self.size**2, self.columns)
        self.y[:] = 0
        edges = np.full_like(self.level, smooth)
        own = guide / self.level, edges, self.depth, self.size, self.xi
        _in_parts(_load().directions, self.size, *own)

    def fetch(self) -> np.ndarray:
        """Return x, (size * size, at least columns); one array always."""
        return self.x

    def free(self) -> None:
        """Give back all but x."""
        del self.counts, self.shift, self.haadf, self.wx, self.total, self.w_ahead, self.w_total
        del self.y, self.y_counts, self.y_haadf, self.xi, self.ahead

    def project(self) -> None:
        """Project 2 x - x_before, and its sum over the elements."""
        self.beam.forward(self.ahead, out=self.w_ahead)
        add_up, own = load_kernels().add_up, (self.slices, self.elements)
        if self.haadf_beam is None:
            pixels = self.tilts * self.size
            lines = [array.reshape(pixels, -1) for array in (self.w_ahead, self.w_total)]
            _in_parts(add_up, pixels, *lines, *own)
        else:
            total = empty(self.size**2, self.slices)
            _in_parts(add_up, self.size**2, self.ahead, total, *own)
            self.haadf_beam.forward(total, out=self.w_total)

    def residuals(self) -> Residuals:
        """Return the residuals; what is dual to the data takes its step."""
        kernels = _load()
        rows, noise, squares = self.haadf_inverse_rows, self.noise, self.haadf_squares
        haadf = self.w_total, self.total, self.haadf, self.y_haadf, rows, self.level, noise
        _in_parts(kernels.dual_haadf, len(self.haadf), *haadf, squares)
        shared = self.y_haadf if self.haadf_beam is None else self.y_haadf[:0]
        counts = self.w_ahead, self.wx, self.counts, self.shift, self.y_counts, shared
        more = self.inverse_rows, self.ratios, self.level, self.squares, self.deviances
        _in_parts(kernels.dual_counts, self.tilts, *counts, *more)
        moved, total = self.changes.reshape(-1, 2).sum(axis=0)
        change = np.sqrt(moved / total) if total > 0 else 0.0
        return Residuals(
            eds=np.sqrt(self.squares.sum(axis=0)),
            haadf=float(np.sqrt(squares.sum())),
            change=float(change) if self.advanced else float("nan"),
            deviance=self.deviances.sum(axis=0),
        )

    def advance(self) -> None:
        """Let what is dual to the gradients take its step, send all back, and step."""
        own = self.ahead, self.y, self.xi, np.ones_like(self.ratios) / (2 * self.level)
        how = self.guidance, self.radius, self.depth
        _in_parts(_load().dual_gradient, self.size, *own, *how, self.size)
        shared = None if self.haadf_beam is None else self.haadf_beam.backward(self.y_haadf)

        steps = self.seen, self.seen_haadf, self.scales, self.level, self.mask, len(self.xi)

        def use(tile, *place):
            kernels, own = _load(), (self.slices, self.elements, self.size, *place)
            if shared is not None:
                load_kernels().add_shared(tile, shared, *own)
            kernels.add_adjoint(tile, self.y, self.xi, self.guidance, *own)
            change = self.changes[self.beam.tile(self.columns, *place[:3])]
            kernels.step(tile, self.x, self.ahead, *steps, self.size, *place, change)

        self.beam.backward_tiles(self.w_ahead, use)
        self.advanced = True
