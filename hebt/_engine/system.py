"""The data and weights of a run, the same for a CPU and a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .arrays import inverse, pages
from .beam import Beam


@dataclass(frozen=True)
class Residuals:
    """How far the present reconstruction is from the data, in HAADF intensity.

    Attributes
    ----------
    eds : numpy.ndarray
        ||r_e p_e - W x_e|| for each element, shape (elements,); ||r_e p_e - G W x_e|| where maps
        are smoothed (`blur`).
    haadf : float
        ||p_h - sum_e W x_e||; NaN for `sirt`, which has one modality.
    change : float
        ||x - x_before|| / ||x||, how far the last iteration has moved x; NaN before the first.
    deviance : numpy.ndarray or None
        2 sum (n log(n / l) - n + l) over the counts n of each element and their expected values l,
        shape (elements,); of `CompositionEM` and `GuidedTV` alone.
    """

    eds: np.ndarray
    haadf: float
    change: float = float("nan")
    deviance: np.ndarray | None = None


class Blur:
    """How maps are smoothed: by a kernel along the slices of a volume and one across them.

    Parameters
    ----------
    along, across
        An odd number of taps each, symmetric, with sum 1.
    slices
        How many slices a volume has.
    size
        Pixels across the tilt axis.
    """

    def __init__(self, along: np.ndarray, across: np.ndarray, slices: int, size: int):
        self.along, self.across = (np.asarray(k, np.float32) for k in (along, across))
        # where the values of an image come from that is continued by its mirror image
        self.slice_at, self.ray_at = (
            np.pad(np.arange(n), len(kernel) // 2, "symmetric")
            for n, kernel in ((slices, along), (size, across))
        )

    def across_of(self, sums: np.ndarray) -> np.ndarray:
        """Return (tilts, size), smoothed across the tilt axis."""
        return sliding_window_view(sums[:, self.ray_at], len(self.across), axis=1) @ self.across


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
    blur
        How the maps are smoothed, if they are.
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
        blur: Blur | None,
    ):
        self.beam, self.haadf_beam, self.mask, self.blur = beam, haadf_beam, mask, blur
        self.elements, self.tilts, self.slices, self.size = maps.shape
        self.columns = self.elements * self.slices
        # (tilts, size, elements, slices), with elements and slices flattened
        self.maps = pages(self.tilts, self.size, self.elements, self.slices)
        self.maps[:] = maps.transpose(1, 3, 0, 2)
        if ratios is not None:
            self.maps *= ratios
        self.maps = self.maps.reshape(self.tilts, self.size, self.columns)
        self.haadf = None if haadf is None else np.ascontiguousarray(haadf.swapaxes(1, 2))
        self.weights = np.empty((len(weights), self.slices), np.float32)
        self.weights[:] = weights
        self.alone = haadf is None
        self.inverse_rows = inverse(beam.row_sums)
        if blur is not None:  # the column sums stay, as those of G are 1
            self.inverse_blurred_rows = inverse(blur.across_of(beam.row_sums))
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
