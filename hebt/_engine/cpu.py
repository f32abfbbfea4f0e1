"""A run on the CPU."""

from __future__ import annotations

import numpy as np

from .arrays import empty, slices_last
from .beam import load_kernels
from .system import Residuals, System
from .threads import in_parts as _in_parts


class CpuRun(System):
    """A run on the processor: x and its projections, and what an iteration does to them."""

    def __init__(self, beam, maps, haadf, weights, mask, ratios, haadf_beam, blur, x0):
        super().__init__(beam, maps, haadf, weights, mask, ratios, haadf_beam, blur)
        columns = self.columns
        self.squares = np.zeros((self.tilts, self.elements + 1))
        self.changes = np.zeros((*beam.tiles(columns), 2))
        if haadf_beam is not None:
            self.haadf_squares = np.zeros((len(haadf_beam.cosines), 1))
            # the sum over the elements, and in turn what goes back to all of them
            self.shared = empty(self.size**2, self.slices)
            self.w_shared = empty(len(haadf_beam.cosines), self.size, self.slices)
        self.wx = empty(self.tilts, self.size, columns)
        if x0 is None:
            self.x = empty(self.size**2, columns)
            self.x[:], self.wx[:] = 0, 0
            if haadf_beam is not None:
                self.w_shared[:] = 0
        else:
            self.x = slices_last(x0.reshape(columns, -1))
            self.project()

    def fetch(self):
        """Return x in this machine's memory, (size * size, at least columns); one array always."""
        return self.x

    def free(self):
        """Give back all but x."""
        del self.maps, self.haadf, self.wx

    def project(self):
        """Project x."""
        self.beam.forward(self.x, out=self.wx)
        if self.haadf_beam is not None:
            arguments = self.x, self.shared, self.slices, self.elements
            _in_parts(load_kernels().add_up, self.size**2, *arguments)
            self.haadf_beam.forward(self.shared, out=self.w_shared)

    def residuals(self) -> Residuals:
        """The residuals' norms; they replace the projections, weighted as SIRT sends them back."""
        kernels = load_kernels()
        wx, maps, squares = self.wx, self.maps, self.squares
        weights, rows, elements = self.weights, self.inverse_rows, self.elements
        if self.blur is not None:
            self._blurred_residuals(self.blur)
        elif self.haadf is None or self.haadf_beam is not None:
            alone = wx, maps, weights[0, 0], rows, elements, squares
            _in_parts(kernels.residual_alone, self.tilts, *alone)
        else:
            both = wx, maps, self.haadf, weights, rows, elements, squares
            _in_parts(kernels.residual, self.tilts, *both)
        sums = squares.sum(axis=0)
        haadf = sums[-1]
        if self.haadf_beam is not None:
            rows, squares = self.haadf_inverse_rows, self.haadf_squares
            images = self.w_shared, self.haadf, weights[1, 0], rows, 1, squares
            _in_parts(kernels.residual_alone, self.haadf_beam.tilts, *images)
            haadf = squares.sum()
        return self.norms(sums[:-1], haadf, *self.changes.reshape(-1, 2).sum(axis=0))

    def _blurred_residuals(self, blur):
        from . import blur as kernels

        smoothing = blur.along, blur.across, blur.slice_at, blur.ray_at
        rows = self.inverse_blurred_rows, self.inverse_rows
        haadf = self.haadf if self.haadf_beam is None else None
        data = self.wx, self.maps, haadf, self.weights
        _in_parts(kernels.residual, self.tilts, *data, rows, smoothing, self.squares)

    def advance(self):
        """Send the weighted residuals back, and step."""
        if self.haadf_beam is not None:
            self.haadf_beam.backward(self.w_shared, out=self.shared)
        self.beam.backward_tiles(self.wx, self._step)
        self.advanced = True

    def _step(self, tile, row, column, first, last):
        kernels, size = load_kernels(), self.size
        if self.haadf_beam is not None:
            kernels.add_shared(
                tile, self.shared, self.slices, self.elements, size, row, column, first, last
            )
        change = self.changes[self.beam.tile(self.columns, row, column, first)]
        kernels.step(
            tile, self.x, self.inverse_columns, self.mask, size, row, column, first, last, change
        )
