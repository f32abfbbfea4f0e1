"""HAADF images: masks, offset, and the damping of thick specimens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from .._background import darkest, without_padding
from .._checks import as_float32, check_count, check_number, check_signs
from .alignment import mass_centers
from .images import common_frame


def particle_masks(haadf: ArrayLike, *, border: int = 4, margin: int = 0) -> np.ndarray:
    """Find the pixels that show a particle which lies alone in the image.

    The images are smoothed (σ of 1.5 pixels). What is then above the brightness of the border by
    five times its noise, and hangs together with the largest such piece, is the particle.

    Parameters
    ----------
    haadf
        (tilts, slices, size), as recorded; the border of each image shows no specimen.
    border
        Width of the border that is taken for empty, in pixels.
    margin
        By how many pixels to widen the masks.

    Returns
    -------
    numpy.ndarray
        bool, (tilts, slices, size).

    Raises
    ------
    ValueError
        If an image shows nothing that stands out from its border, or something in it.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    margin = check_count("margin", margin, least=0)
    frame, edge = (common_frame(haadf.shape[1:], n) for n in (border, 1))
    masks = np.empty(haadf.shape, bool)
    for i, image in enumerate(haadf):
        smoothed = ndimage.gaussian_filter(image, 1.5)
        empty = smoothed[frame]
        # without noise there is still what the smoothing carries over the edge
        spread = max(empty.std(dtype=np.float64), 1e-3 * np.ptp(smoothed))
        pieces, count = ndimage.label(smoothed > empty.mean(dtype=np.float64) + 5 * spread)
        if count == 0:
            raise ValueError(
                f"haadf shows nothing that stands out from the border at tilt {i}; expected a "
                "particle in an empty surrounding."
            )
        largest = 1 + np.argmax(np.bincount(pieces.ravel())[1:])
        masks[i] = ndimage.binary_fill_holes(pieces == largest)
        # a bright part of a particle in the border makes it uneven, and hides the particle
        if (masks[i] & edge).any() or np.ptp(empty) > 0.4 * np.ptp(smoothed):
            raise ValueError(
                f"haadf shows something in the border of {border} pixels at tilt {i}; expected a "
                "particle that lies wholly in every image, in an empty surrounding. Give a "
                "narrower border, or mask and align the series otherwise, e.g. with "
                "`estimate_shifts`."
            )
        if margin:
            masks[i] = ndimage.binary_dilation(masks[i], iterations=margin)
    return masks


def binarize(haadf: ArrayLike, *, fraction: float = 0.05) -> np.ndarray:
    """Return where each Z-contrast image is brighter than a fraction of its brightest pixel.

    Parameters
    ----------
    haadf
        (tilts, slices, size), without offset.
    fraction
        Above 0 and below 1.

    Returns
    -------
    numpy.ndarray
        bool, (tilts, slices, size).

    Raises
    ------
    ValueError
        If `fraction` is out of range, or an image shows nothing above 0.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    check_signs("haadf", haadf)
    fraction = check_number("fraction", fraction, "a number above 0 and below 1")
    if fraction >= 1:
        raise ValueError(f"fraction is {fraction!r}; expected a number above 0 and below 1.")
    brightest = haadf.max(axis=(1, 2))
    if brightest.min() <= 0:
        raise ValueError(
            f"haadf has nothing above 0 at tilt {int(brightest.argmin())}; expected a particle in "
            "every image."
        )
    return haadf > np.float32(fraction) * brightest[:, None, None]


def estimate_offset(haadf: ArrayLike) -> np.ndarray:
    """Estimate what the detector reads without a specimen, its black level, at each tilt.

    It is the mode of the darkest values of an image. The specimen need not lie alone nor wholly in
    the image; but some part must be empty. A border of zeros, as some programs leave when they
    align, is left out if it is narrow. An even film that takes up more of the image than the vacuum
    beside it passes for empty, and of two equally large areas comes a value between them: give
    `remove_offset` masks of all but the vacuum then.

    Parameters
    ----------
    haadf
        (tilts, slices, size), as recorded.

    Returns
    -------
    numpy.ndarray
        (tilts,), in the unit of `haadf`.

    Raises
    ------
    ValueError
        If the darkest area of an image is too uneven to be empty.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> images = np.pad(np.full((2, 9, 5), 50), ((0, 0), (0, 0), (0, 4))) - 1000
    >>> hebt.prepare.estimate_offset(images)
    array([-1000., -1000.])
    """
    as_float32("haadf", haadf, ndim=(3,))
    found = [darkest(image) for image in np.asarray(haadf)]
    full = [tilt for tilt, area in enumerate(found) if area.noise and not area.is_even]
    if full:
        first = found[full[0]]
        raise ValueError(
            f"haadf shows no empty area at {len(full)} tilts, the first {full[0]}: its darkest one "
            f"reads {first.level:.4g} and varies by {first.noise:.2g}; expected a part without a "
            "specimen. Subtract what the detector reads with a blanked beam, or at other tilts."
        )
    return np.array([area.level for area in found])


def remove_offset(haadf: ArrayLike, masks: ArrayLike | None = None) -> np.ndarray:
    """Subtract what the detector reads without a specimen, its black level.

    Parameters
    ----------
    haadf
        (tilts, slices, size), as recorded.
    masks
        (tilts, slices, size), bool: pixels that may show the specimen, from `particle_masks`.
        The mean of all the others is the offset of a tilt, and they are set to 0. If None,
        `estimate_offset` finds it, also where a particle does not lie alone, and the noise of empty
        pixels is left. A border of zeros stays 0.

    Returns
    -------
    numpy.ndarray
        float32, in the shape and unit of `haadf`.

    Raises
    ------
    ValueError
        If the shapes differ, or an image has no empty pixel; see `estimate_offset`.
    """
    as_float32("haadf", haadf, ndim=(3,))
    haadf = np.asarray(haadf)  # large whole numbers lose counts as float32
    shown = np.zeros(haadf.shape, bool)
    for image, inner in zip(haadf, shown, strict=True):
        inner[without_padding(image)] = True
    if masks is None:
        offset, kept = estimate_offset(haadf), shown
    else:
        as_float32("masks", masks, ndim=(3,))  # refuses what is masked
        kept = np.asarray(masks)
        if kept.shape != haadf.shape or kept.dtype != bool or (kept | ~shown).all((1, 2)).any():
            raise ValueError(
                f"masks has shape {kept.shape} and type {kept.dtype}, haadf {haadf.shape}; "
                "expected bool in the same shape, with some empty pixels at every tilt."
            )
        empty = zip(haadf, shown & ~kept, strict=True)
        offset = np.array([image[where].mean(dtype=np.float64) for image, where in empty])
    result = np.zeros(haadf.shape, np.float32)
    for to, image, level, where in zip(result, haadf, offset, kept, strict=True):
        np.subtract(image, level, out=to, where=where, dtype=np.float64, casting="same_kind")
    return result


@dataclass(frozen=True)
class Damping:
    """What `estimate_damping` found.

    Attributes
    ----------
    saturation
        S: the intensity that no thickness can exceed; infinite where none is seen.
    tried
        (trials,): values of S.
    spread
        (trials,): for each, how much the sums over the slices change over the tilts after the
        correction, relative to their size; see `mass_inconsistency`.
    """

    saturation: float
    tried: np.ndarray
    spread: np.ndarray


def correct_damping(haadf: ArrayLike, saturation: float) -> np.ndarray:
    """Return HAADF intensities that are linear in the mass-thickness: -S ln(1 - I / S).

    Parameters
    ----------
    haadf
        Intensities less the detector's offset; any shape.
    saturation
        S, from `estimate_damping`.

    Returns
    -------
    numpy.ndarray
        float32, in the shape of `haadf`.

    Raises
    ------
    ValueError
        If an intensity reaches S.

    Notes
    -----
    The inverse of `hebt.simulate.damp`. Source for the effect: Z. Zhong et al.,
    Ultramicroscopy 184 (2018) 57-65.
    """
    haadf = as_float32("haadf", haadf)
    if isinstance(saturation, (float, np.floating)) and saturation == np.inf:
        return haadf.copy()
    saturation = check_number("saturation", saturation, "a number above 0, or infinity")
    if not saturation > float(haadf.max()):
        raise ValueError(
            f"saturation is {saturation:g}, but haadf goes up to {haadf.max():g}; expected a "
            "saturation above every intensity. Remove the detector's offset and hot pixels first."
        )
    # in float32, a saturation far above haadf would leave hardly a digit, or overflow
    linear = np.divide(haadf, -saturation, dtype=np.float64)
    np.log1p(linear, out=linear)
    linear *= -saturation
    return linear.astype(np.float32)


def estimate_damping(haadf: ArrayLike, *, groups: int = 20) -> Damping:
    """Estimate the damping of HAADF from the tilt series alone.

    At every tilt the beam passes through the same mass. So the sum over a slice stays the same
    over the tilts where intensity is linear in the mass-thickness; S gives the smallest change.

    Parameters
    ----------
    haadf
        (tilts, slices, size), less the detector's offset, 0 where there is no specimen, which lies
        wholly within every image. They need not be aligned.
    groups
        Neighboring rows are added up to this many groups, which takes noise out.

    Returns
    -------
    Damping

    Raises
    ------
    ValueError
        If there are fewer than two tilts, an image is empty, or the damping is too strong.
    """
    from scipy.optimize import minimize_scalar

    haadf = as_float32("haadf", haadf, ndim=(3,))
    tilts, slices, _ = haadf.shape
    if tilts < 2:
        raise ValueError(f"haadf has {tilts} tilts; expected at least two to compare.")
    groups = check_count("groups", groups)
    check_signs("haadf", haadf)
    along = -mass_centers("haadf", haadf)[:, 0]
    highest = float(haadf.max())
    # -S ln(1 - I/S) = sum_n I^(n+1) / ((n+1) S^n): sums of powers give every correction at once
    terms = 60
    scaled = haadf / np.float32(highest)
    powers, rows = np.ones_like(scaled), np.empty((terms, tilts, slices))
    for n in range(terms):
        powers *= scaled
        rows[n] = powers.sum(axis=2, dtype=np.float64)
    for tilt in range(tilts):
        rows[:, tilt] = ndimage.shift(rows[:, tilt], (0, along[tilt]), order=1)
    starts = np.linspace(0, slices, min(groups, slices), endpoint=False).astype(int)
    rows = np.add.reduceat(rows, starts, axis=2)
    order = np.arange(terms)

    def spread(strength):  # highest / S
        sums = np.tensordot(strength**order / (order + 1), rows, 1)
        return float(np.linalg.norm(sums - sums.mean(axis=0)) / np.linalg.norm(sums))

    tried = np.linspace(0, 0.9, 46)
    spreads = np.array([spread(strength) for strength in tried])
    best = int(spreads.argmin())
    if best == len(tried) - 1:
        raise ValueError(
            f"haadf goes up to {highest:g} and would fit a saturation of "
            f"{highest / tried[-1]:.4g} or less; expected intensities below 0.9 of it. Damping so "
            "strong cannot be undone: leave out the thickest tilts, or remove hot pixels."
        )
    found = tried[best]
    if 0 < best < len(tried) - 1:
        bounds = tried[best - 1], tried[best + 1]
        found = minimize_scalar(spread, bounds=bounds, method="bounded").x
    with np.errstate(divide="ignore"):
        return Damping(float(np.divide(highest, found)), highest / tried, spreads)
