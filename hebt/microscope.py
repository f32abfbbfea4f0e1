"""What a microscope records of a specimen: Z-contrast tilt series and element maps."""

from collections.abc import Sequence

import numpy as np

from hebt import _checks


def haadf_tilt_series(W, density, z) -> np.ndarray:
    """Return the Z-contrast tilt series of a specimen, Eq. 3, without noise.

    p_h = Σ_e z^(e) W ρ^(e). The paper takes HAADF as low-noise and adds none (section 3.1).

    Parameters
    ----------
    W
        `hebt.Projector` of the tilt series.
    density
        (elements, [slices,] size, size): density ρ of each element.
    z
        (elements,): HAADF response factors, intensity per density and pixel length.

    Returns
    -------
    numpy.ndarray
        float32, (tilts, [slices,] size), HAADF intensity.

    Raises
    ------
    ValueError
        If there is not one factor for each element, or a factor or a density is negative.
    """
    density = _density(density)
    z = _factors("z", z, len(density))
    # projecting is linear, so the elements are weighed and added first: one projection, not k
    weighed = np.einsum("e,e...->...", z, density.astype(np.float64))
    return W.forward(weighed.astype(np.float32))


def mean_counts(W, density, zeta, *, dose: float = 1.0) -> np.ndarray:
    """Return the X-ray counts to be expected on each pixel of the element maps, Eq. 5.

    p^(e) = dose · ζ^(e) W ρ^(e).

    Parameters
    ----------
    W
        `hebt.Projector` of the tilt series.
    density
        (elements, [slices,] size, size): density ρ of each element.
    zeta
        (elements,): EDS response factors ζ, counts per density and pixel length.
    dose
        Factor on all counts: 2 for twice the beam current or twice the time. HAADF, which is
        recorded apart, does not change with it.

    Returns
    -------
    numpy.ndarray
        float32, (elements, tilts, [slices,] size), counts.

    Raises
    ------
    ValueError
        If there is not one factor for each element, a factor or a density is negative, or `dose`
        is not positive.
    """
    density = _density(density)
    zeta = _factors("zeta", zeta, len(density))
    if not (np.isscalar(dose) and np.isfinite(dose) and dose > 0):
        raise ValueError(f"dose is {dose!r}; expected a finite factor above 0.")
    projected = np.moveaxis(W.forward(density), 1, 0).astype(np.float64)
    weights = (float(dose) * zeta).reshape(-1, *[1] * (projected.ndim - 1))
    # rounding may leave a projection of nothing just below 0, which no count can be
    return np.maximum(weights * projected, 0).astype(np.float32)


def element_maps(
    W, density, zeta, *, dose: float = 1.0, seed: int | Sequence[int] = 0
) -> np.ndarray:
    """Return element maps with counting noise: Poisson numbers about `mean_counts` (Eq. 5).

    Parameters
    ----------
    W, density, zeta, dose
        As for `mean_counts`.
    seed
        Seed of the noise. For a specimen of one slice it may be a list of seeds: each then makes
        one series, and they come stacked along the slices axis, as one batch for the solvers.
        A seed gives the same noise alone as in a list.

    Returns
    -------
    numpy.ndarray
        float32, (elements, tilts, [slices or seeds,] size), counts: whole numbers from 0.

    Raises
    ------
    ValueError
        If a list of seeds comes with a specimen of several slices, or as `mean_counts`.
    """
    mean = mean_counts(W, density, zeta, dose=dose).astype(np.float64)
    if np.ndim(seed) == 0:
        return np.random.default_rng(seed).poisson(mean).astype(np.float32)
    if np.ndim(density) != 3:
        raise ValueError(
            f"seed is a list, but density has shape {np.shape(density)}; expected one slice, "
            "(elements, size, size), as seeds are stacked along the slices axis."
        )
    if len(seed) == 0:
        raise ValueError("seed is an empty list; expected at least one seed.")
    series = [np.random.default_rng(s).poisson(mean) for s in seed]
    return np.stack(series, axis=-2).astype(np.float32)


def _density(density):
    density = _checks.as_float32("density", density, ndim=(3, 4))
    if density.min() < 0:
        raise ValueError(f"density goes down to {density.min():g}; expected no negative value.")
    return density


def _factors(name, values, count):
    values = _checks.as_float32(name, values, ndim=(1,))
    if len(values) != count:
        raise ValueError(
            f"{name} has {len(values)} factors, but density has {count} elements; "
            "expected one factor for each element."
        )
    if values.min() < 0:
        raise ValueError(f"{name} is {values.tolist()}; expected no negative response factor.")
    return values.astype(np.float64)
