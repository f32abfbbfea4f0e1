"""From HEBT's result to densities and fractions (section 2.3, end)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, check_names


def density(x: ArrayLike, ratios: ArrayLike, zeta: ArrayLike) -> np.ndarray:
    """Turn HEBT's result into densities: rho_e = x_e / z_e = x_e / (r_e zeta_e).

    Parameters
    ----------
    x
        HEBT's result x_e = z_e rho_e, in HAADF intensity per voxel, shape (elements, ...).
    ratios
        Response ratios r_e = z_e / zeta_e, shape (elements,).
    zeta
        Zeta factors zeta_e, shape (elements,): counts per mass-thickness, thickness in voxels.

    Returns
    -------
    numpy.ndarray
        float32, shape of x, in the unit of mass per volume that `zeta` implies.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a ratio or zeta factor is not above 0.

    Examples
    --------
    >>> import hebt
    >>> hebt.density([[8, 4], [0, 6]], ratios=[2, 3], zeta=[2, 1])
    array([[2., 1.],
           [0., 2.]], dtype=float32)
    """
    x = as_float32("x", x)
    factors = _positive("ratios", ratios, x) * _positive("zeta", zeta, x)
    return (x / factors.reshape(-1, *[1] * (x.ndim - 1))).astype(np.float32)


def composition(
    x: ArrayLike,
    ratios: ArrayLike,
    zeta: ArrayLike,
    elements: Sequence[str] | None = None,
    kind: str = "mass",
    *,
    least: float = 0.0,
) -> np.ndarray:
    """Turn HEBT's result into mass or atomic fractions.

    x alone is no composition: it is density times the HAADF response factor of each element.

    Parameters
    ----------
    x
        HEBT's result, shape (elements, ...).
    ratios
        Response ratios, shape (elements,).
    zeta
        EDS response factors, shape (elements,). A common scale of all of them cancels.
    elements
        Element symbols, e.g. ["Au", "Ag"]; needed for ``kind="atomic"``.
    kind
        ``"mass"`` or ``"atomic"``.
    least
        Total density (in the unit that `zeta` implies) below which a voxel has no composition.

    Returns
    -------
    numpy.ndarray
        Fractions, float32, shape of x; they add up to 1 over the elements. NaN where the total
        density is 0 or below `least`: an empty voxel has no composition.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, a symbol is unknown, `kind` is another word, or x is negative.

    Examples
    --------
    Gold and silver, half and half by mass, are about one atom to two:

    >>> import hebt
    >>> hebt.composition([[6], [3]], [2, 1], [1, 1])
    array([[0.5],
           [0.5]], dtype=float32)
    >>> hebt.composition([[6], [3]], [2, 1], [1, 1], ["Au", "Ag"], "atomic").round(2)
    array([[0.35],
           [0.65]], dtype=float32)
    """
    if kind not in ("mass", "atomic"):
        raise ValueError(f'kind is {kind!r}; expected "mass" or "atomic".')
    parts = density(x, ratios, zeta)
    if parts.min() < 0:
        raise ValueError(
            f"x has values down to {np.min(x):g}; expected at least 0, as reconstruct returns."
        )
    total = parts.sum(axis=0)
    defined = (total > 0) & (total >= least)
    if kind == "atomic":
        if elements is None:
            raise ValueError(
                'elements is None; atomic fractions need symbols, e.g. elements=["Au", "Ag"].'
            )
        weights = _atomic_weights(check_names(elements, len(parts)))
        parts = parts / weights.reshape(-1, *[1] * (parts.ndim - 1))
        total = parts.sum(axis=0)
    fractions = np.full(parts.shape, np.nan, np.float32)
    np.divide(parts, total, out=fractions, where=np.broadcast_to(defined, parts.shape))
    return fractions


def _atomic_weights(symbols: Iterable[str]) -> np.ndarray:
    import periodictable

    weights = []
    for symbol in symbols:
        try:
            # "n" would be the neutron
            weights.append(periodictable.elements.symbol(symbol if symbol != "n" else "").mass)
        except ValueError:
            raise ValueError(
                f"elements holds {symbol!r}; expected chemical symbols such as 'Au'."
            ) from None
    return np.array(weights)


def _positive(name: str, values: ArrayLike, x: np.ndarray) -> np.ndarray:
    values = as_float32(name, values, ndim=(1,)).astype(np.float64)
    if len(values) != len(x):
        raise ValueError(
            f"{name} has {len(values)} values and x {len(x)} elements (shape {x.shape}); "
            "expected one for each element."
        )
    if (values <= 0).any():
        raise ValueError(f"{name} is {values.tolist()}; expected values above 0.")
    return values
