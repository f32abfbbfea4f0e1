"""Shifts between the images of a tilt series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from .._checks import as_float32, check_angles, check_count, check_signs
from .images import apply_shifts, check_shifts

# Correlation looks at structure of 1 to 20 pixels: finer is noise, coarser is how thick the
# specimen is, which changes with the tilt.
_FINE, _COARSE = 1.0, 20.0
# Where an image is fitted: the variance where there is no specimen, relative to the mean; how many
# standard errors its brightness must be; and by how many pixels the last step may still move it.
_FLOOR, _SEEN, _LOST = 0.1, 5.0, 0.5


def estimate_shifts(haadf: ArrayLike, *, upsample: int = 50) -> np.ndarray:
    """Find how far each HAADF image must be moved to fit its neighbors, by cross-correlation.

    From the middle tilt outwards, each image is compared with its aligned neighbor, band-passed
    and faded out towards the edges, and moved until it stays. Neighbors look most alike, but
    their errors add up along the series: `refine_alignment` takes that out.

    Parameters
    ----------
    haadf
        (tilts, slices, size), in the order of their angles, so that neighbors are alike.
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
    _check_structure("haadf", haadf)
    shifts = np.zeros((tilts, 2))
    middle = tilts // 2
    for way in (range(middle + 1, tilts), range(middle - 1, -1, -1)):
        for i in way:
            neighbor = i - 1 if i > middle else i + 1
            (still,) = apply_shifts(haadf[neighbor, None], shifts[neighbor, None])
            shifts[i] = move_onto(still, haadf[i], shifts[neighbor], upsample)
    return shifts - np.median(shifts, axis=0)


def _check_structure(name, images):
    flat = [i for i, image in enumerate(images) if np.ptp(image) == 0]
    if flat:
        raise ValueError(
            f"{name} has the same value in every pixel of tilt {flat[0]}; expected structure that "
            "can be compared. Leave out empty images."
        )


def center_of_mass(images: ArrayLike) -> np.ndarray:
    """Return where the center of mass of each image lies, (tilts, 2), in pixels from its middle.

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
    """Find the shifts that bring the center of mass of each image into its middle.

    The center of mass of a projection is the projection of the center of mass. For a particle
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


@dataclass(frozen=True, eq=False)
class MatchedShifts:
    """What `estimate_shifts_to` found, in pixels along and across the tilt axis.

    Attributes
    ----------
    shifts
        (tilts, 2), for `apply_shifts`.
    errors
        (tilts, 2): their standard errors, from the noise.
    spread
        (2,): standard deviation of the true shifts over the tilts, as the shifts tell it.
    """

    shifts: np.ndarray
    errors: np.ndarray
    spread: np.ndarray


def estimate_shifts_to(reference: ArrayLike, images: ArrayLike) -> MatchedShifts:
    """Find the shifts that bring noisy images onto their references, and how sure they are.

    The reference, moved and scaled, is fitted to each image by least squares, weighted as counts
    are: with little noise in the reference, no estimate has much smaller errors [1]_. These are
    then shrunk towards the mean over the tilts, as far as their errors explain why they differ, so
    that a noisy tilt does no harm [2]_.

    Parameters
    ----------
    reference
        (tilts, slices, size), Z-contrast images. Best as they were recorded with `images`: what is
        found is then the further drift, which is small, and the maps are moved by
        ``estimate_center_shifts(haadf) + found.shifts``. Maps that were recorded in the very scan
        of the HAADF images need no shifts but theirs.
    images
        (tilts, slices, size): the same specimen in another signal, e.g. a weighted sum of its maps
        from `ResponseRatios.predict`. Do not smooth them first: strongly smoothed ones are matched
        worse.

    Returns
    -------
    MatchedShifts
        With `shifts`, for `apply_shifts`, and `errors`.

    Raises
    ------
    ValueError
        If the shapes differ or have fewer than 3 pixels along an axis, a reference has no
        structure, or no image shows its reference.

    Notes
    -----
    Errors come from the residuals of the pixels, times what the residuals' spectra at all tilts
    say of correlated noise, as where images were smoothed. An image that does not show its
    reference takes the mean. They hold where the noise of the reference is small beside its
    structure along both axes: of a wire that leaves the images along the tilt axis, the shifts
    along it are noise, and their errors far too small.

    References
    ----------
    .. [1] Robinson and Milanfar, "Fundamental performance limits in image registration", IEEE
       Transactions on Image Processing 13 (2004) 1185-1199.
    .. [2] Efron and Morris, "Stein's estimation rule and its competitors - an empirical Bayes
       approach", Journal of the American Statistical Association 68 (1973) 117-130.
    """
    reference = as_float32("reference", reference, ndim=(3,))
    images = as_float32("images", images, ndim=(3,))
    if reference.shape != images.shape:
        raise ValueError(
            f"reference has shape {reference.shape} and images {images.shape}; expected the same."
        )
    if min(reference.shape[1:]) < 3:
        raise ValueError(
            f"reference has shape {reference.shape}; expected at least 3 pixels along and across "
            "the tilt axis, to tell shifts along both. Of one slice, estimate_center_shifts tells "
            "that across it."
        )
    _check_structure("reference", reference)
    parts = [_match(*pair) for pair in zip(reference, images)]
    shifts, variance, more = (np.array(part) for part in zip(*parts))
    seen = np.isfinite(shifts).all(axis=1)
    if not seen.any():
        raise ValueError(
            "images show nothing of reference at any tilt; expected the same specimen in both."
        )
    # what is fitted is no longer in the residuals, which makes it come out low
    variance *= np.maximum(more[seen].mean(axis=0), 1)
    axes = [_shrink(*axis) for axis in zip(shifts.T, variance.T)]
    return MatchedShifts(*(np.stack(part, axis=-1) for part in zip(*axes)))


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

    # without normalization: with it, noise counts as much as structure
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


def _match(still, moving):
    """Return by how much an image must move onto its reference, and how sure that is.

    Also the variances of the shift from independent pixels, and by how much the spectrum of the
    noise makes them larger; NaN, where the image does not show its reference.
    """
    nothing = np.full((3, 2), np.nan)
    if np.ptp(moving) == 0:
        return nothing
    shift = correlate(structure(still), structure(moving), 1)
    for _ in range(20):
        there = apply_shifts(still[None], -shift[None])[0].astype(np.float64)
        # noise of the reference must not be taken for its slopes
        clean = ndimage.gaussian_filter(there, _FINE)
        slopes, one = np.gradient(clean), np.ones_like(clean)
        expected = np.maximum(clean, 0)
        weights = 1 / (expected + _FLOOR * expected.mean())
        rows = np.reshape([*slopes, there, one], (4, -1))
        asked = np.reshape([*slopes, clean, one], (4, -1)) * weights.ravel()
        try:
            inverse = np.linalg.inv(asked @ rows.T)
        except np.linalg.LinAlgError:
            return nothing
        found = inverse @ (asked @ moving.ravel())
        left = moving.ravel() - found @ rows
        if not found[2] > _SEEN * np.linalg.norm(inverse[2] @ (asked * left)):
            return nothing
        step = (found[:2] / found[2]).clip(-1, 1)
        shift = shift + step
        if np.abs(step).max() < 1e-3:
            break
    if np.abs(step).max() > _LOST:
        return nothing
    influence = (inverse[:2] @ asked / found[2]).reshape(2, *still.shape)
    left = left.reshape(still.shape)
    # noise with the variance 1 / weights, and by how much more it counts than white noise would
    spectra = np.fft.fft2([*(influence / np.sqrt(weights)), left * np.sqrt(weights)])
    *taken, noise = np.abs(spectra) ** 2
    more = [np.average(noise, weights=part) / noise.mean() for part in taken]
    return shift, ((influence * left) ** 2).sum(axis=(1, 2)), np.array(more)


def _shrink(found, variance):
    """Return estimates shrunk towards their mean, their errors, and the spread of the true ones.

    What is not known of the spread is part of the errors: all spreads count, each by how likely it
    makes the estimates.
    """
    seen = np.isfinite(found)
    variance = np.where(seen, np.maximum(variance, 1e-12), np.inf)
    spreads = np.linspace(0, np.ptp(found[seen]) + 1e-6, 500)[:, None]
    weights = 1 / (spreads**2 + variance)
    total, w = weights.sum(axis=1, keepdims=True), weights[:, seen]
    mean = w @ found[seen, None] / total
    # restricted likelihood: the mean is unknown too
    unlikely = (w * (found[seen] - mean) ** 2 - np.log(w)).sum(axis=1) + np.log(total[:, 0])
    share = np.exp((unlikely.min() - unlikely) / 2)
    share /= share.sum()
    kept = spreads**2 * weights
    each = mean + kept * np.where(seen, found - mean, 0)
    shrunk = share @ each
    own = spreads**2 * (1 - kept) + (1 - kept) ** 2 / total
    errors = np.sqrt(share @ (own + (each - shrunk) ** 2))
    return shrunk, errors, float(spreads[unlikely.argmin(), 0])
