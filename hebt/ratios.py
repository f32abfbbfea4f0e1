"""Response ratios, the link between both modalities (Eq. 6, section 2.2)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._checks import check_names, check_series

# Belsley, Kuh and Welsch's limits for a harmful collinearity: the condition index, and the share
# of an element in the direction that the data cannot tell.
_CONDITION = 30
_SHARE = 0.3


@dataclass(frozen=True, eq=False, repr=False)
class ResponseRatios:
    """Result of `response_ratios`.

    Attributes
    ----------
    ratios
        r_e = z_e / zeta_e: HAADF intensity per X-ray count, shape (elements,), float64.
    r_squared
        Coefficient of determination, centred: 1 - SS_res / SS_tot over the fitted pixels.
    names
        Element names, in the order of the maps.
    pixels
        How many pixels were fitted.
    """

    ratios: np.ndarray
    r_squared: float
    names: tuple[str, ...]
    pixels: int

    def __repr__(self) -> str:
        parts = ", ".join(f"{n} {r:.3e}" for n, r in zip(self.names, self.ratios))
        return f"ResponseRatios({parts}; R² = {self.r_squared:.3f} over {self.pixels} pixels)"

    def predict(self, maps: ArrayLike) -> np.ndarray:
        """Return the HAADF images that the maps predict, sum_e r_e p_e (Eq. 6).

        Parameters
        ----------
        maps
            Element maps, shape (elements, ...).

        Returns
        -------
        numpy.ndarray
            float32, shape (...).
        """
        maps = np.asarray(maps)
        if len(maps) != len(self.ratios):
            raise ValueError(
                f"maps has shape {maps.shape}; expected ({len(self.ratios)}, ...), one map for "
                f"each of {', '.join(self.names)}."
            )
        return np.tensordot(self.ratios.astype(np.float32), maps.astype(np.float32, copy=False), 1)


def response_ratios(
    haadf: ArrayLike, maps: ArrayLike, names: Sequence[str] | None = None
) -> ResponseRatios:
    """Estimate the response ratios r_e = z_e / zeta_e from the tilt series alone (Eq. 6).

    Non-negative least squares of p_h = sum_e r_e p_e over the pixels with haadf > 0 [1]_.

    Parameters
    ----------
    haadf
        Z-contrast tilt series p_h, shape (tilts, [slices,] size).
    maps
        Element maps p_e in X-ray counts, shape (elements, tilts, [slices,] size), aligned with
        the HAADF images and smoothed as they will be for the reconstruction.
    names
        Element names for messages, e.g. ["Au", "Ag"].

    Returns
    -------
    ResponseRatios
        With `ratios`, shape (elements,), in HAADF intensity per count, and `r_squared`.

    Raises
    ------
    TypeError, ValueError
        If the arrays are no finite real numbers of fitting shapes; if a map is empty within the
        fitted pixels; if there are fewer such pixels than elements, or all have one intensity.

    Warns
    -----
    UserWarning
        If elements are collinear, so that only a combination of their ratios is determined, or
        if a ratio comes out as 0. The message names the elements.

    Notes
    -----
    Noise in the maps sits in the regressors, which draws the estimates towards 0 (attenuation):
    smooth the maps, or fit where counts are high. Ratios are determined together with the scale
    of the HAADF images; an offset (detector background) must have been removed.

    Collinearity is reported where the condition index of the maps exceeds 30 [2]_.

    References
    ----------
    .. [1] Lawson and Hanson, "Solving Least Squares Problems", SIAM (1995), ch. 23.
    .. [2] Belsley, Kuh and Welsch, "Regression Diagnostics", Wiley (1980), ch. 3.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> fit = hebt.response_ratios(haadf, maps, names=["Au", "Ag"])
    >>> bool(np.allclose(fit.ratios, [79 / 9, 47 / 4], rtol=0.05)), fit.r_squared > 0.95
    (True, True)
    """
    import scipy.optimize

    haadf, maps = check_series(haadf, maps)
    names = check_names(names, len(maps))
    inside = haadf > 0
    target = haadf[inside].astype(np.float64)
    if target.size < len(maps):
        raise ValueError(
            f"haadf has {target.size} pixels above 0; expected at least as many as there are "
            f"elements ({len(maps)}). Check its background and its sign."
        )
    regressors = np.stack([element[inside] for element in maps]).astype(np.float64)
    norms = np.sqrt((regressors**2).sum(axis=1))
    empty = [name for name, norm in zip(names, norms) if norm == 0]
    if empty:
        raise ValueError(
            f"maps of {', '.join(empty)} are empty (all 0 where haadf > 0); expected counts. "
            "Leave the element out, or check its energy window."
        )
    spread = ((target - target.mean()) ** 2).sum()
    if spread <= 1e-12 * (target**2).sum():
        raise ValueError(
            f"haadf has the same intensity {target[0]:g} in all {target.size} pixels above 0; "
            "expected images of a specimen."
        )
    # the normal equations of unit-length regressors, then least squares with their square root
    units = regressors / norms[:, None]
    values, vectors = np.linalg.eigh(units @ units.T)
    _warn_collinear(names, values, vectors)
    values = np.maximum(values, values[-1] * 1e-15)
    root = np.sqrt(values)[:, None] * vectors.T
    ratios, _ = scipy.optimize.nnls(root, (vectors.T @ (units @ target)) / np.sqrt(values))
    ratios /= norms
    zero = [name for name, ratio in zip(names, ratios) if ratio == 0]
    if zero:
        warnings.warn(
            f"the response ratio of {', '.join(zero)} came out as 0: the HAADF images can be "
            "explained without it, better than with it. The reconstruction needs ratios above 0; "
            "leave the element out, or find what its map shares with the others.",
            UserWarning,
            stacklevel=2,
        )
    residual = ((target - ratios @ regressors) ** 2).sum()
    return ResponseRatios(ratios, float(1 - residual / spread), tuple(names), target.size)


def _warn_collinear(names: Sequence[str], values: np.ndarray, vectors: np.ndarray) -> None:
    for value, vector in zip(values, vectors.T):
        if value * _CONDITION**2 < values[-1]:
            involved = [name for name, part in zip(names, vector) if abs(part) > _SHARE]
            warnings.warn(
                f"the maps of {', '.join(involved)} are collinear: only a combination of their "
                "response ratios is determined by these data, not each of them. Leave all but "
                "one of them out, or add them up into one map.",
                UserWarning,
                stacklevel=3,
            )
