"""Shifts between the images of a tilt series."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from .._checks import as_float32, check_angles, check_count, check_signs
from .images import apply_shifts, check_shifts

# Correlation looks at structure of 1 to 20 pixels: finer is noise, coarser is how thick the
# specimen is, which changes with the tilt.
_FINE, _COARSE = 1.0, 20.0


def estimate_shifts(haadf: ArrayLike, *, upsample: int = 50) -> np.ndarray:
    """Find how far each HAADF image must be moved to fit its neighbours, by cross-correlation.

    From the middle tilt outwards, each image is compared with its aligned neighbour, band-passed
    and faded out towards the edges, and moved until it stays. Neighbours look most alike, but
    their errors add up along the series: `refine_alignment` takes that out.

    Parameters
    ----------
    haadf
        (tilts, slices, size), in the order of the tilts.
    upsample
        Shifts are found to 1/`upsample` of a pixel.

    Returns
    -------
    numpy.ndarray
        (tilts, 2), float64, pixels along and across the tilt axis, for `apply_shifts`. The free
        common shift of all images is chosen so that the medians are 0.

    Raises
    ------
    ValueError
        If there are fewer than two tilts or an image has no structure to compare.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> at = np.arange(48) - 24
    >>> image = np.exp(-(at**2) / 30) * np.exp(-(at[:, None] ** 2) / 60)
    >>> moved = hebt.prepare.apply_shifts([image] * 3, [[0, 0], [2, -3], [-1, 2]])
    >>> shifts = hebt.prepare.estimate_shifts(moved)
    >>> shifts.round(1)
    array([[ 0.,  0.],
           [-2.,  3.],
           [ 1., -2.]])
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    upsample = check_count("upsample", upsample)
    tilts = len(haadf)
    if tilts < 2:
        raise ValueError(f"haadf has {tilts} tilts; expected at least two to align.")
    flat = [i for i in range(tilts) if np.ptp(haadf[i]) == 0]
    if flat:
        raise ValueError(
            f"haadf has the same value in every pixel of tilt {flat[0]}; expected structure that "
            "can be compared with its neighbours. Leave out empty images."
        )
    shifts = np.zeros((tilts, 2))
    middle = tilts // 2
    for way in (range(middle + 1, tilts), range(middle - 1, -1, -1)):
        for i in way:
            neighbor = i - 1 if i > middle else i + 1
            (still,) = apply_shifts(haadf[neighbor, None], shifts[neighbor, None])
            shifts[i] = move_onto(still, haadf[i], shifts[neighbor], upsample)
    return shifts - np.median(shifts, axis=0)


def center_of_mass(images: ArrayLike) -> np.ndarray:
    """Return where the centre of mass of each image lies, (tilts, 2), in pixels from its middle.

    Parameters
    ----------
    images
        Shape (tilts, slices, size), with a sum above 0 at every tilt.

    Returns
    -------
    numpy.ndarray
        Shape (tilts, 2): pixels from the middle, along and across the tilt axis.

    Raises
    ------
    ValueError
        If the sum over an image is not above 0, or the detector's black level is still in it.
    """
    images = as_float32("images", images, ndim=(3,))
    check_signs("images", images)
    return mass_centers("images", images)


def estimate_center_shifts(haadf: ArrayLike) -> np.ndarray:
    """Find the shifts that bring the centre of mass of each image into its middle.

    The centre of mass of a projection is the projection of the centre of mass. For a particle
    that lies wholly in every image no errors add up, and the tilt axis comes to lie in the middle.

    Parameters
    ----------
    haadf
        (tilts, slices, size), linear in the mass-thickness, 0 where there is no specimen.

    Returns
    -------
    numpy.ndarray
        (tilts, 2), pixels along and across the tilt axis, for `apply_shifts`.

    Raises
    ------
    ValueError
        As for `center_of_mass`.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    check_signs("haadf", haadf)
    return -mass_centers("haadf", haadf)


def estimate_shifts_to(
    reference: ArrayLike, images: ArrayLike, *, upsample: int = 50
) -> np.ndarray:
    """Find the shifts that bring each image onto its reference, by cross-correlation.

    Parameters
    ----------
    reference
        (tilts, slices, size), aligned Z-contrast images.
    images
        (tilts, slices, size): the same specimen in another signal, e.g. a weighted sum of its maps.
    upsample
        Shifts are found to 1/`upsample` of a pixel.

    Returns
    -------
    numpy.ndarray
        (tilts, 2), pixels along and across the tilt axis, for `apply_shifts`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    reference = as_float32("reference", reference, ndim=(3,))
    images = as_float32("images", images, ndim=(3,))
    upsample = check_count("upsample", upsample)
    if reference.shape != images.shape:
        raise ValueError(
            f"reference has shape {reference.shape} and images {images.shape}; expected the same."
        )
    shifts = np.zeros((len(images), 2))
    for i, (still, moving) in enumerate(zip(reference, images, strict=True)):
        shifts[i] = move_onto(still, moving, shifts[i], upsample)
    return shifts


def alignment_error(shifts: ArrayLike, drift: ArrayLike, angles: ArrayLike) -> np.ndarray:
    """Return what an alignment left of a known drift, (tilts, 2), in pixels.

    Where the specimen lies, which no alignment can know, is taken out by least squares first: a
    constant along the tilt axis, and a cos(θ) + b sin(θ) across it.

    Parameters
    ----------
    shifts
        (tilts, 2), as found.
    drift
        (tilts, 2), by how much the images had moved.
    angles
        (tilts,), degrees.

    Returns
    -------
    numpy.ndarray
        What is left, shape (tilts, 2), in pixels.

    Raises
    ------
    ValueError
        If there are not as many shifts and drifts as angles.
    """
    shifts, drift = check_shifts(shifts), check_shifts(drift, "drift")
    radians = np.deg2rad(check_angles(angles))
    if not len(shifts) == len(drift) == len(radians):
        raise ValueError(
            f"there are {len(shifts)} shifts, {len(drift)} in drift, and {len(radians)} angles; "
            "expected as many."
        )
    left = shifts + drift
    across = np.stack([np.cos(radians), np.sin(radians)], axis=1)
    free = across @ np.linalg.lstsq(across, left[:, 1], rcond=None)[0]
    return np.stack([left[:, 0] - left[:, 0].mean(), left[:, 1] - free], axis=1)


def mass_centers(name: str, images: np.ndarray) -> np.ndarray:
    """Do what `center_of_mass` does, with images that are checked."""
    total = images.sum(axis=(1, 2), dtype=np.float64)
    if total.min() <= 0:
        raise ValueError(
            f"{name} adds up to {total.min():g} at tilt {int(total.argmin())}; expected "
            "intensities with a sum above 0."
        )
    places = []
    for axis, other in ((1, 2), (2, 1)):
        profile = images.sum(axis=other, dtype=np.float64)
        at = np.arange(images.shape[axis]) - (images.shape[axis] - 1) / 2
        places.append(profile @ at / total)
    return np.stack(places, axis=1)


def structure(image: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Return what of an image can be compared: band-passed, and faded out towards the edges."""
    fade = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
    fine = ndimage.gaussian_filter(image, max(_FINE * scale, 0.5))
    return (fine - ndimage.gaussian_filter(image, _COARSE * scale)) * fade


def correlate(still: ArrayLike, moving: ArrayLike, upsample: int) -> np.ndarray:
    """Return by how many pixels the structure `moving` must move to fit `still`, (2,)."""
    from skimage.registration import phase_cross_correlation

    # without normalisation: with it, noise counts as much as structure
    return phase_cross_correlation(still, moving, upsample_factor=upsample, normalization=None)[0]


def move_onto(still: np.ndarray, moving: np.ndarray, shift: ArrayLike, upsample: int) -> np.ndarray:
    """Return the shift that brings an image onto another, (2,), from a first guess."""
    shift, still = np.array(shift), structure(still)
    for _ in range(5):
        (moved,) = apply_shifts(moving[None], shift[None])
        step = correlate(still, structure(moved), upsample)
        shift += step
        if np.abs(step).max() <= 1 / upsample:
            break
    return shift
