"""From HEBT's result to densities and fractions (section 2.3, end)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._checks import (
    as_float32,
    as_float64_or_nan,
    check_choice,
    check_errors,
    check_names,
    check_number,
)


def density(
    x: ArrayLike,
    ratios: ArrayLike,
    *,
    zeta_factors: ArrayLike | None = None,
    eds_response: ArrayLike | None = None,
) -> np.ndarray:
    """Turn HEBT's result into densities.

    x_e / r_e are the counts that a voxel adds to the map of its element. A ζ-factor, as
    microscopists publish it [1]_, turns counts into mass: rho_e = ζ_e x_e / r_e. The paper calls
    ζ what is the reciprocal of that: rho_e = x_e / (r_e ζ_e); here it is `eds_response`.
    k-factors know only the ratios of masses, and give no density.

    Parameters
    ----------
    x
        HEBT's result x_e = z_e rho_e, in HAADF intensity per voxel, shape (elements, ...).
    ratios
        Response ratios r_e, HAADF intensity per count, shape (elements,).
    zeta_factors
        Mass-thickness per count, shape (elements,): published ζ-factors, in kg electrons / m²,
        divided by the electrons on each pixel of a map.
    eds_response
        In their place the paper's ζ, counts per mass-thickness, shape (elements,).

    Returns
    -------
    numpy.ndarray
        float32, shape of x: mass-thickness per voxel. Where thickness is counted in voxels, that
        is the density; else divide by the size of a voxel.

    Raises
    ------
    TypeError, ValueError
        If not just one of the factors is given, shapes do not fit, or a value is not above 0.

    References
    ----------
    .. [1] Watanabe and Williams, "The quantitative analysis of thin specimens", Journal of
       Microscopy 221 (2006) 89-109.

    Examples
    --------
    >>> import hebt
    >>> hebt.density([[8, 4], [0, 6]], ratios=[2, 3], zeta_factors=[0.5, 1])
    array([[2., 1.],
           [0., 2.]], dtype=float32)
    """
    return _masses(x, ratios, zeta_factors=zeta_factors, eds_response=eds_response)


def composition(
    x: ArrayLike,
    ratios: ArrayLike,
    elements: Sequence[str] | None = None,
    *,
    zeta_factors: ArrayLike | None = None,
    k_factors: ArrayLike | None = None,
    eds_response: ArrayLike | None = None,
    kind: str = "mass",
    least: float = 0.0,
) -> np.ndarray:
    """Turn HEBT's result into mass or atomic fractions.

    x alone is no composition: it is density times the HAADF response factor of each element. Give
    one kind of factors, by its name; a common scale of all of them cancels.

    Standard deviations of fractions come from ``noise_deviation(..., of=...)``, for the noise of
    the counts and the errors of the ratios, and from `composition_error`, for those of the factors.

    Parameters
    ----------
    x
        HEBT's result, shape (elements, ...).
    ratios
        Response ratios, HAADF intensity per count, shape (elements,).
    elements
        Element symbols, e.g. ["Au", "Ag"]; needed for ``kind="atomic"``.
    zeta_factors
        Published ζ-factors, mass-thickness per count, shape (elements,); see `density`.
    k_factors
        Cliff-Lorimer k-factors, shape (elements,), for masses: C_A / C_B = k_A I_A / (k_B I_B).
    eds_response
        The paper's ζ, counts per mass-thickness, shape (elements,): the reciprocal of ζ-factors.
    kind
        ``"mass"`` or ``"atomic"``.
    least
        Total density below which a voxel has no composition, in the unit of `density`; with
        k-factors, in counts of an element whose k is 1.

    Returns
    -------
    numpy.ndarray
        Fractions, float32, shape of x; they add up to 1 over the elements. NaN where the total
        density is 0 or below `least`: an empty voxel has no composition.

    Raises
    ------
    TypeError, ValueError
        If not just one of the factors is given, shapes do not fit, a symbol is unknown, `kind` is
        another word, or x is negative.

    Examples
    --------
    As many counts of one element as of the other:

    >>> import hebt
    >>> hebt.composition([[6], [3]], [2, 1], zeta_factors=[1900, 1000]).round(3)
    array([[0.655],
           [0.345]], dtype=float32)

    Half and half by mass are about one atom to two:

    >>> hebt.composition([[6], [3]], [2, 1], ["Au", "Ag"], k_factors=[1, 1], kind="atomic").round(2)
    array([[0.35],
           [0.65]], dtype=float32)
    """
    kind = check_choice("kind", kind, ("mass", "atomic"))
    parts = _masses(
        x, ratios, zeta_factors=zeta_factors, k_factors=k_factors, eds_response=eds_response
    )
    if parts.min() < 0:
        raise ValueError(
            f"x has values down to {np.min(x):g}; expected at least 0, as reconstruct returns."
        )
    least = check_number("least", least, "a total density of at least 0", also_least=True)
    names = check_names(elements, len(parts), name="elements")
    total = parts.sum(axis=0)
    defined = (total > 0) & (total >= least)
    if kind == "atomic":
        if elements is None:
            raise ValueError(
                'elements is None; atomic fractions need symbols, e.g. elements=["Au", "Ag"].'
            )
        weights = _atomic_weights(names)
        parts = parts / weights.reshape(-1, *[1] * (parts.ndim - 1))
        total = parts.sum(axis=0)
    fractions = np.full(parts.shape, np.nan, np.float32)
    np.divide(parts, total, out=fractions, where=np.broadcast_to(defined, parts.shape))
    return fractions


def composition_error(fractions: ArrayLike, factor_errors: ArrayLike) -> np.ndarray:
    """Carry the errors of zeta- or k-factors to the fractions that `composition` returns.

    With masses m_e proportional to the factors, c_e = m_e / sum m, and relative errors s_e that
    are independent of each other, the standard error of c_e is, to first order,

    sqrt(c_e^2 [(1 - 2 c_e) s_e^2 + sum_j c_j^2 s_j^2])

    Parameters
    ----------
    fractions
        Mass or atomic fractions, shape (elements, ...), which add up to 1; NaN where there are
        none.
    factor_errors
        Relative standard errors of the factors, shape (elements,), e.g. 0.05 for 5 %.

    Returns
    -------
    numpy.ndarray
        float32, shape of `fractions`: their standard errors, NaN where there is no fraction. They
        are those of all voxels together, up or down: a mean over voxels is no more accurate.

    Raises
    ------
    TypeError, ValueError
        If the fractions do not add up to 1, or the errors are not one from 0 to below 1 for each.

    Notes
    -----
    This is not for errors of the response ratios: with other ratios the reconstruction itself is
    another, and what that does to the fractions may even have the opposite sign. Those go into
    ``hebt.noise_deviation(..., ratio_errors=..., of=...)``. Both kinds add up in squares.

    Examples
    --------
    >>> import hebt
    >>> hebt.composition_error([[0.5, 0.9], [0.5, 0.1]], [0.04, 0.03]).round(4)
    array([[0.0125, 0.0045],
           [0.0125, 0.0045]], dtype=float32)
    """
    c, empty = as_float64_or_nan("fractions", fractions)
    if c.ndim == 0:
        raise ValueError(f"fractions is a single number, {c}; expected shape (elements, ...).")
    away = np.abs(c.sum(axis=0) - 1)[~empty.any(axis=0)]
    if c.min() < 0 or (away > 1e-3).any():
        raise ValueError(
            f"fractions go from {c.min():g} to {c.max():g} and add up to between "
            f"{1 - away.max(initial=0):g} and {1 + away.max(initial=0):g}; expected fractions "
            "that add up to 1, as from hebt.composition."
        )
    s = check_errors("factor_errors", factor_errors, len(c)) ** 2
    if s.max() >= 1:
        raise ValueError(
            f"factor_errors go up to {np.sqrt(s.max()):g}; expected relative errors below 1, 0.05 "
            "for 5 %. Divide percents by 100."
        )
    s = s.reshape(-1, *[1] * (c.ndim - 1))
    variance = c**2 * ((1 - 2 * c) * s + (c**2 * s).sum(axis=0))
    error = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    error[empty] = np.nan
    return error


def _masses(x: ArrayLike, ratios: ArrayLike, **factors: ArrayLike | None) -> np.ndarray:
    """Return the counts x / r times the one kind of factors that is not None."""
    given = {name: values for name, values in factors.items() if values is not None}
    if len(given) != 1:
        raise TypeError(
            f"factors given by name: {', '.join(given) or 'none'}; expected just one of "
            f"{', '.join(factors)}. zeta_factors are mass-thickness per count, as published, "
            "eds_response, the paper's ζ, counts per mass-thickness."
        )
    x = as_float32("x", x)
    if x.ndim == 0:
        raise ValueError(f"x is a single number, {x}; expected shape (elements, ...).")
    ((name, values),) = given.items()
    weights = _positive(name, values, x) ** (-1 if name == "eds_response" else 1)
    weights /= _positive("ratios", ratios, x)
    return (x * weights.reshape(-1, *[1] * (x.ndim - 1))).astype(np.float32)


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
