"""The data and weights of a run, the same for a CPU and a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import inverse
from .beam import Beam


@dataclass(frozen=True)
class Residuals:
    """How far the present reconstruction is from the data, in HAADF intensity.

    Attributes
    ----------
    eds : numpy.ndarray
        ||r_e p_e - W x_e|| for each element, shape (elements,).
    haadf : float
        ||p_h - sum_e W x_e||; NaN for `sirt`, which has one modality.
    change : float
        ||x - x_before|| / ||x||, how far the last iteration has moved x; NaN before the first.
    """

    eds: np.ndarray
    haadf: float
    change: float = float("nan")


class System:
    """The data and weights of a run, for slices that all have data.

    Parameters
    ----------
    beam
        The geometry of the element maps.
    maps
        Shape (elements, tilts, slices, size).
    haadf
        Shape (tilts, slices, size), with the tilts of `haadf_beam`, if any; None for SIRT alone.
    weights
        1 - alpha and alpha / k, shape (2, slices or 1).
    mask
        Shape (size * size, slices or 1).
    ratios
        Multiply the maps, shape (elements, slices or 1); None to leave them as they are.
    haadf_beam
        The geometry of the HAADF images where it is another one; then all weights are equal.
    """

    def __init__(
        self,
        beam: Beam,
        maps: np.ndarray,
        haadf: np.ndarray | None,
        weights: np.ndarray,
        mask: np.ndarray,
        ratios: np.ndarray | None,
        haadf_beam: Beam | None,
    ):
        self.beam, self.haadf_beam, self.mask = beam, haadf_beam, mask
        self.elements, self.tilts, self.slices, self.size = maps.shape
        self.columns = self.elements * self.slices
        # (tilts, size, elements, slices), with elements and slices flattened
        self.maps = np.array(maps.transpose(1, 3, 0, 2), order="C")
        if ratios is not None:
            self.maps *= ratios
        self.maps = self.maps.reshape(self.tilts, self.size, self.columns)
        self.haadf = None if haadf is None else np.ascontiguousarray(haadf.swapaxes(1, 2))
        self.weights = np.empty((len(weights), self.slices), np.float32)
        self.weights[:] = weights
        self.alone = haadf is None
        self.inverse_rows = inverse(beam.row_sums)
        sums = beam.column_sums
        if haadf_beam is not None:
            own = weights[0, 0]
            sums = own * sums + (1 - own) * haadf_beam.column_sums
            self.haadf_inverse_rows = inverse(haadf_beam.row_sums)
        self.inverse_columns = inverse(sums).ravel()
        self.advanced = False

    def norms(
        self, eds: np.ndarray, haadf: np.ndarray, moved: np.ndarray, total: np.ndarray
    ) -> Residuals:
        """Return the residuals from sums of squares: of the data, of the last step and of x."""
        # the relative change where x is 0
        change = np.sqrt(moved / total) if total > 0 else 0.0 if self.advanced else np.nan
        haadf = np.nan if self.alone else float(np.sqrt(haadf))
        return Residuals(eds=np.sqrt(eds), haadf=haadf, change=float(change))
