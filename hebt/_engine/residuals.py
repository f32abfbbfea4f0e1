"""How far a reconstruction is from its data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        ||x - x_before|| / ||x||, how far the last iteration has moved the reconstruction; NaN
        before the first.
    """

    eds: np.ndarray
    haadf: float
    change: float = float("nan")
