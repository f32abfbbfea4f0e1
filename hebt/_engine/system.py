"""The data and weights of a run, the same for a CPU and a GPU."""

from __future__ import annotations

import numpy as np

from ..stopping import Residuals
from .arrays import inverse


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
