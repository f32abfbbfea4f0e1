"""From measured images to a tilt series that HEBT can use: binning, alignment, smoothing.

Images come as (..., slices, size): axis -2 runs along the tilt axis, axis -1 across it.
"""

import operator

import numpy as np
from scipy import ndimage

from hebt import _checks


def bin_images(images, factor: int, *, axis: int | tuple[int, ...] = (-2, -1)) -> np.ndarray:
    """Add up blocks of neighbouring pixels, as a camera bins its pixels.

    Counts are conserved: the sum over a binned image is the sum over the image.

    Parameters
    ----------
    images
        (..., slices, size), or any other shape with `axis` to match.
    factor
        How many pixels become one along each binned axis; it must divide their lengths.
    axis
        The axis or axes to bin. Give -1 for a single slice, (tilts, size).

    Returns
    -------
    numpy.ndarray
        float32, `factor` times shorter along each binned axis.

    Raises
    ------
    ValueError
        If `factor` does not divide the length of an axis.
    """
    images = _checks.as_float32("images", images)
    factor = _checks.check_count("factor", factor)
    axes = _axes(images, axis)
    shape = []
    for i, length in enumerate(images.shape):
        if i not in axes:
            shape.append(length)
        elif length % factor:
            raise ValueError(
                f"images has {length} pixels along axis {i}, which factor = {factor} does not "
                f"divide; crop to {length - length % factor} pixels first, or choose another factor."
            )
        else:
            shape += [length // factor, factor]
    blocks = np.cumsum([2 if i in axes else 1 for i in range(images.ndim)]) - 1
    summed = images.reshape(shape).sum(axis=tuple(int(blocks[i]) for i in axes), dtype=np.float64)
    return summed.astype(np.float32)


def smoothing_kernel(width: int, sigma: float, *, centred: bool = True) -> np.ndarray:
    """Return the weights of a Gaussian cut to `width` pixels; their sum is 1.

    An even number of taps has no middle one: wherever it is put, the picture moves by half a
    pixel. With `centred`, an even kernel is averaged over its two nearest positions (convolved
    with (1/2, 1/2)); that gives `width` + 1 symmetric taps and moves nothing. An odd kernel is
    symmetric as it is.

    Parameters
    ----------
    width
        Number of taps, in pixels.
    sigma
        Standard deviation of the Gaussian before it is cut, in pixels.
    centred
        Whether an even kernel is centred on a pixel.

    Returns
    -------
    numpy.ndarray
        float64, (width,), or (width + 1,) for an even width that is centred.
    """
    width = _checks.check_count("width", width)
    if not (np.isscalar(sigma) and np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma is {sigma!r}; expected a length in pixels above 0.")
    offsets = np.arange(width) - (width - 1) / 2
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    if centred and width % 2 == 0:
        kernel = np.convolve(kernel, (0.5, 0.5))
    return kernel


def smooth(
    images,
    *,
    width: int,
    sigma: float,
    axis: int | tuple[int, ...] = -1,
    centred: bool = True,
) -> np.ndarray:
    """Smooth images with a Gaussian cut to `width` pixels, which does not move them.

    Parameters
    ----------
    images
        Any shape, in any unit; for instance maps (elements, tilts, slices, size).
    width
        Length of the kernel, in pixels ("8-pixel 1D Gaussian filter" in section 3.1 of the paper,
        "12 x 12 pixel Gaussian kernel" in section 3.2).
    sigma
        Standard deviation of the Gaussian, in pixels. The paper does not print it.
    axis
        -1 smooths across the tilt axis only, and is safe for a single slice (tilts, size).
        (-2, -1) smooths in both directions of an image (..., slices, size): the Gaussian is then
        rotationally symmetric, cut to a square.
    centred
        With False, an even kernel stays as it is and moves the images by half a pixel towards
        higher indices. See `smoothing_kernel`.

    Returns
    -------
    numpy.ndarray
        float32, in the shape and unit of `images`. At the edges images are continued by their
        mirror image; with a centred kernel, the sum over an image stays what it was.

    Raises
    ------
    ValueError
        If the kernel is longer than an axis that it smooths, or an argument is out of range.
    """
    images = _checks.as_float32("images", images)
    kernel = smoothing_kernel(width, sigma, centred=centred)
    for i in _axes(images, axis):
        if width > images.shape[i]:
            raise ValueError(
                f"width is {width} pixels, but images has only {images.shape[i]} along axis {i}; "
                "expected a kernel that is not longer than the image."
            )
        # the taps of an even kernel lie at -width/2 ... width/2 - 1 from the pixel they are for
        images = ndimage.correlate1d(images, kernel, axis=i, mode="reflect")
    return images


def _axes(images, axis):
    """Return the axes meant as sorted, non-negative numbers; refuse doubles and strangers."""
    wanted = axis if isinstance(axis, tuple | list) else (axis,)
    axes = []
    for a in wanted:
        a = operator.index(a)
        if not -images.ndim <= a < images.ndim:
            raise ValueError(
                f"axis is {axis}, but images has {images.ndim} axes (shape {images.shape}); "
                "expected axes that it has."
            )
        axes.append(a % images.ndim)
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis is {axis}; expected each axis once.")
    return sorted(axes)
