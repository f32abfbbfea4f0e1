"""What a specimen absorbs of its own X-rays on their way to the detectors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, as_float64, as_list, check_names, check_number
from .._problem import check_projector
from ..projector import Projector
from .xray import mass_absorption


def absorption_factors(
    W: Projector,
    density: ArrayLike,
    elements: Sequence[str],
    lines: Sequence[str | Mapping[str, float]],
    *,
    voxel_size: float,
    azimuths: ArrayLike | None = None,
    elevation: float = 18.0,
) -> np.ndarray:
    """Return which share of the X-rays of each pixel of element maps absorption leaves.

    Of the X-rays that a voxel emits, exp(-Σ_a (µ/ρ)_a ∫ρ_a ds) reach a detector, with the integral
    along the straight way to it. The factor is the mean of that along the beam, weighted with the
    density of the element that emits: a map without absorption times the factor is the map with it.

    So maps are corrected by their own reconstruction: turn it into densities with `hebt.density`,
    divide the maps by the factors, fit the ratios and reconstruct again. The error that is left
    after one round is of second order in the absorption; more than two rounds change nothing.

    Parameters
    ----------
    W
        `hebt.Projector` of the tilt series.
    density
        Densities in kg/m³, shape (elements, slices, size, size). All slices of the specimen are
        needed, as X-rays leave along the tilt axis too.
    elements
        Symbols of the elements.
    lines
        What each map counts: the name of a line, "Ag_La"; or, for lines of an element that are
        added up, names and the shares that they have without absorption,
        {"Au_Ma": 0.75, "Au_La": 0.25}.
    voxel_size
        Side of a voxel, in nm.
    azimuths
        Of the detectors that are on, in degrees, shape (detectors,), or (tilts, detectors) where
        they change. 0 is across the tilt axis, on the side of the last pixel, towards which a
        specimen is tilted at positive angles; 90 is along the tilt axis, towards the last slice.
        If None, of the four of a Super-X system the two towards which the specimen is tilted, as
        in section 3.2 of the paper: 45 and 315 at angles from 0 on, 135 and 225 below.
    elevation
        Of the detectors, in degrees above the plane across the beam, on the side from which the
        electrons come: at 0 degrees, that of a slice's first row. A Super-X system has 18.

    Returns
    -------
    numpy.ndarray
        float32, (maps, tilts, slices, size), from 0 to 1; 1 where nothing is emitted.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, `density` is negative, a line is unknown or of none of `elements`, or
        `elevation` is not from 0 to 90.

    Warns
    -----
    UserWarning
        If the density looks like g/cm³.

    Notes
    -----
    The angles of a Super-X system are those that its users set in HyperSpy; the paper prints none.
    Detectors count as points far away; fluorescence is left out. The integrals are trapezoidal from
    plane to plane of voxels, with linear interpolation within each plane.

    Examples
    --------
    A gold block of 10 × 10 × 10 nm absorbs 1 % of its own Au Ma on the way to the detectors:

    >>> import hebt, numpy as np
    >>> gold = np.zeros((1, 14, 14, 14))
    >>> gold[:, 2:-2, 2:-2, 2:-2] = 19300
    >>> W = hebt.Projector([0], 14)
    >>> factors = hebt.prepare.absorption_factors(W, gold, ["Au"], ["Au_Ma"], voxel_size=1.0)
    >>> factors.shape, round(float(factors[0, 0, 7, 7]), 2)
    ((1, 1, 14, 14), 0.99)
    """
    check_projector(W)
    density = as_float32("density", density, ndim=(4,))
    if density.shape[2:] != (W.size, W.size) or density.min() < 0:
        raise ValueError(
            f"density has shape {density.shape} and values from {density.min():g}; expected "
            f"(elements, slices, {W.size}, {W.size}) for this W, and none below 0."
        )
    if 0 < density.max() < 50:
        warnings.warn(
            f"density goes up to {density.max():g}; expected kg/m³. Multiply g/cm³ by 1000.",
            UserWarning,
            stacklevel=2,
        )
    elements = check_names(elements, len(density), name="elements")
    expected = "the side of a voxel in nm, above 0.0001"  # as meters it would do nothing
    length = check_number("voxel_size", voxel_size, expected, least=1e-4)
    maps = [_shares(line, elements) for line in as_list("lines", lines, "one entry for each map")]
    if not maps:
        raise ValueError("lines is empty; expected one entry for each map.")
    names = sorted({name for shares in maps for name in shares})
    emitters = [elements.index(next(iter(shares)).split("_")[0]) for shares in maps]
    coefficients = (1e-9 * length * mass_absorption(names, elements)).astype(np.float32)
    weights = np.array([[shares.get(name, 0.0) for name in names] for shares in maps], np.float32)
    directions = _directions(W.angles, azimuths, elevation)
    filled = density.max(axis=0) > 0
    left = np.zeros((len(maps), *filled.shape), np.float32)
    factors = np.ones((len(maps), len(W.angles), len(filled), W.size), np.float32)
    for t, angle in enumerate(W.angles):
        kept = np.zeros((len(names), np.count_nonzero(filled)), np.float32)
        for direction in directions[t]:
            kept += np.exp(-coefficients @ _paths(density, direction)[:, filled])
        left[:, filled] = weights @ kept / np.float32(len(directions[t]))
        view = Projector([angle], W.size)
        for k, e in enumerate(emitters):
            whole, seen = view.forward(np.stack([density[e], density[e] * left[k]]))[0]
            np.divide(seen, whole, out=factors[k, t], where=whole > 1e-6 * whole.max())
    return np.minimum(factors, 1, out=factors)


def _shares(lines: str | Mapping[str, float], elements: Sequence[str]) -> dict[str, float]:
    """Return the shares of the lines of a map, which add up to 1."""
    shares = dict(lines) if isinstance(lines, Mapping) else {str(lines): 1.0}
    emitters = {str(name).split("_")[0] for name in shares}
    if len(emitters) != 1 or not emitters <= set(elements):
        raise ValueError(
            f"lines holds {lines!r}; expected lines of one of {', '.join(elements)}, such as "
            f"'{elements[0]}_La' or a dictionary of them with their shares."
        )
    shares = {n: check_number(f"lines: {n}", s, "a share above 0") for n, s in shares.items()}
    return {name: share / sum(shares.values()) for name, share in shares.items()}


def _directions(angles: np.ndarray, azimuths: ArrayLike | None, elevation: float) -> np.ndarray:
    """Return unit vectors to the detectors, (tilts, detectors, 3), along a volume's axes."""
    elevation = np.deg2rad(
        check_number("elevation", elevation, "degrees from 0 to 90", also_least=True, most=90)
    )
    if azimuths is None:
        azimuths = np.where(angles[:, None] < 0, (135.0, 225.0), (45.0, 315.0))
    azimuths = as_float64("azimuths", azimuths, ndim=(1, 2))
    if np.abs(azimuths).max() > 360:
        raise ValueError(f"azimuths go up to {np.abs(azimuths).max():g}; expected degrees.")
    if azimuths.ndim == 2 and len(azimuths) != len(angles):
        raise ValueError(
            f"azimuths has shape {azimuths.shape}; expected (detectors,) or ({len(angles)}, "
            "detectors), one row for each tilt."
        )
    turned = np.deg2rad(np.broadcast_to(azimuths, (len(angles), azimuths.shape[-1])))
    tilt = np.deg2rad(angles)[:, None]
    along, across = np.cos(elevation) * np.sin(turned), np.cos(elevation) * np.cos(turned)
    # rows are counted downwards, and electrons come from above
    rows = -across * np.sin(tilt) - np.sin(elevation) * np.cos(tilt)
    columns = across * np.cos(tilt) - np.sin(elevation) * np.sin(tilt)
    return np.stack([along, rows, columns], axis=-1)


def _paths(density: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return ∫ρ ds from each voxel's center on in a direction, in voxels; the shape of density."""
    axis, paths = int(np.abs(direction).argmax()), np.empty_like(density)
    # planes of both, from the detector's side on
    order = slice(None, None, -1 if direction[axis] > 0 else 1)
    planes, ends = (np.moveaxis(v, 1 + axis, 0)[order] for v in (density, paths))
    length = np.float32(1 / np.abs(direction[axis]))  # of the way from one plane to the next
    slopes = np.delete(direction, axis) * length
    # summed up along rays that pass by the pixels at this distance, less than one
    rays, offset = np.zeros_like(planes[0]), np.zeros(2)
    for plane, end in zip(planes, ends, strict=True):
        half = length / 2 * _sample(plane, -offset)
        rays += half
        end[:] = _sample(rays, offset)
        rays += half
        offset += slopes
        whole = np.trunc(offset)
        rays, offset = _sample(rays, whole), offset - whole
    return paths


def _sample(images: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return images, (..., rows, columns), at points moved by up to a pixel; 0 outside."""
    for axis, offset in zip((-2, -1), offsets, strict=True):
        if offset == 0:
            continue
        images = np.moveaxis(images, axis, -1)
        share = np.float32(abs(offset))
        moved = (1 - share) * images
        if offset > 0:
            moved[..., :-1] += share * images[..., 1:]
        else:
            moved[..., 1:] += share * images[..., :-1]
        images = np.moveaxis(moved, -1, axis)
    return images
