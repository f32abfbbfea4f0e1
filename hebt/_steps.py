"""The parts of a SIRT iteration for all elements and slices, on the processor.

`_cuda` holds the same for a GPU. The arrays hold the slices of all elements along their last axis,
as `_kernels` explains.
"""

from __future__ import annotations

import numpy as np

from .projector import empty, inverse, run, slices_last, threads
from .stopping import Residuals


class System:
    """The data and weights of a run, for slices that all have data.

    Parameters
    ----------
    maps
        Shape (elements, tilts, slices, size).
    haadf
        Shape (tilts, slices, size), with the tilts of `haadf_projector`, if there is one; None
        for SIRT alone.
    weights
        1 - alpha and alpha / k, shape (2, slices or 1).
    mask
        Shape (size * size, slices or 1).
    ratios
        Multiply the maps; None to leave them as they are.
    """

    def __init__(self, W, maps, haadf, weights, mask, ratios, haadf_projector):
        self.W, self.W_haadf, self.mask = W, haadf_projector, mask
        self.elements, self.tilts, self.slices, self.size = maps.shape
        self.columns = self.elements * self.slices
        # (tilts, size, elements, slices), with elements and slices flattened
        self.maps = np.array(maps.transpose(1, 3, 0, 2), order="C")
        if ratios is not None:
            self.maps *= ratios[:, None]
        self.maps = self.maps.reshape(self.tilts, self.size, self.columns)
        self.haadf = None if haadf is None else np.ascontiguousarray(haadf.swapaxes(1, 2))
        self.weights = np.empty((len(weights), self.slices), np.float32)
        self.weights[:] = weights
        self.alone = haadf is None
        self.inverse_rows = inverse(W.row_sums)
        sums = W.column_sums
        if haadf_projector is not None:
            own = weights[0, 0]
            sums = own * sums + (1 - own) * haadf_projector.column_sums
            self.haadf_inverse_rows = inverse(haadf_projector.row_sums)
        self.inverse_columns = inverse(sums).ravel()
        self.advanced = False

    def norms(self, eds, haadf, moved, total) -> Residuals:
        """Residuals from sums of squares: of the data, of the last step and of x."""
        # the relative change where x is 0
        change = np.sqrt(moved / total) if total > 0 else 0.0 if self.advanced else np.nan
        haadf = np.nan if self.alone else float(np.sqrt(haadf))
        return Residuals(eds=np.sqrt(eds), haadf=haadf, change=float(change))


class Processor(System):
    """A run on the processor: x and its projections, and what an iteration does to them."""

    def __init__(self, W, maps, haadf, weights, mask, ratios, haadf_projector, start):
        super().__init__(W, maps, haadf, weights, mask, ratios, haadf_projector)
        columns = self.columns
        self.squares = np.zeros((self.tilts, self.elements + 1))
        self.changes = np.zeros((*W._tiles(columns), 2))
        if haadf_projector is not None:
            self.haadf_squares = np.zeros((len(haadf), 1))
            # the sum over the elements, and in turn what goes back to all of them
            self.shared = empty(self.size**2, self.slices)
            self.w_shared = empty(len(haadf), self.size, self.slices)
        self.wx = empty(self.tilts, self.size, columns)
        if start is None:
            self.x = empty(self.size**2, columns)
            self.x[:], self.wx[:] = 0, 0
            if haadf_projector is not None:
                self.w_shared[:] = 0
        else:
            self.x = slices_last(start.reshape(columns, -1))
            self.project()

    def fetch(self):
        """Return x in this machine's memory, (size * size, at least columns); one array always."""
        return self.x

    def free(self):
        """Give back all but x."""
        self.maps = self.haadf = self.wx = self.w_shared = self.shared = None

    def project(self):
        """Project x."""
        self.W._forward(self.x, out=self.wx)
        if self.W_haadf is not None:
            arguments = self.x, self.shared, self.slices, self.elements
            _in_parts(_kernels().add_up, self.size**2, *arguments)
            self.W_haadf._forward(self.shared, out=self.w_shared)

    def residuals(self) -> Residuals:
        """The residuals' norms; they replace the projections, weighted as SIRT sends them back."""
        kernels = _kernels()
        wx, maps, squares = self.wx, self.maps, self.squares
        weights, rows, elements = self.weights, self.inverse_rows, self.elements
        if self.haadf is None or self.W_haadf is not None:
            arguments = wx, maps, weights[0, 0], rows, elements, squares
            _in_parts(kernels.residual_alone, self.tilts, *arguments)
        else:
            arguments = wx, maps, self.haadf, weights, rows, elements, squares
            _in_parts(kernels.residual, self.tilts, *arguments)
        sums = squares.sum(axis=0)
        haadf = sums[-1]
        if self.W_haadf is not None:
            rows, squares = self.haadf_inverse_rows, self.haadf_squares
            arguments = self.w_shared, self.haadf, weights[1, 0], rows, 1, squares
            _in_parts(kernels.residual_alone, len(self.haadf), *arguments)
            haadf = squares.sum()
        return self.norms(sums[:-1], haadf, *self.changes.reshape(-1, 2).sum(axis=0))

    def advance(self):
        """Send the weighted residuals back, and step."""
        if self.W_haadf is not None:
            self.W_haadf._backward(self.w_shared, out=self.shared)
        self.W._backward_tiles(self.wx, self._step)
        self.advanced = True

    def _step(self, tile, row, column, first, last):
        kernels, size = _kernels(), self.size
        if self.W_haadf is not None:
            kernels.add_shared(
                tile, self.shared, self.slices, self.elements, size, row, column, first, last
            )
        change = self.changes[self.W._tile(row, column, first)]
        kernels.step(
            tile, self.x, self.inverse_columns, self.mask, size, row, column, first, last, change
        )


def _kernels():
    from . import _kernels

    return _kernels


def _in_parts(kernel, count, *arguments):
    """Call a kernel for parts of a range, on all threads."""
    share = -(-count // threads())
    run(
        lambda first: kernel(*arguments, first, min(first + share, count)),
        [(first,) for first in range(0, count, share)],
    )
