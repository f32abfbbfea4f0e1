"""The paper's three measures of image quality (section 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, as_float64, check_choice, check_number


def ssim_structure(
    reference: ArrayLike, image: ArrayLike, window: str | None = "gaussian"
) -> float:
    """Structure term of the structural similarity index (SSIM), in the mean over the image.

    s = (cov(x, y) + C3) / (std(x) std(y) + C3), without SSIM's luminance and contrast terms,
    since reconstructions from HAADF and from EDS have different intensities [1]_.

    Parameters
    ----------
    reference
        The true image or volume, shape ([slices,] size, size).
    image
        The reconstruction, same shape. It is first scaled by its optimal c (`optimal_scale`).
    window
        ``"gaussian"``: statistics within a Gaussian window of 11 x 11 pixels and sigma 1.5,
        averaged over all pixels, slice by slice; beyond the edge the nearest pixel counts. None:
        the correlation coefficient, with the whole array as one window.

    Returns
    -------
    float
        At most 1, which is reached by c * reference for any c > 0; 0 for a constant image.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, or the reference is constant.

    Notes
    -----
    C3 = (0.03 L)^2 / 2 with L the range of the reference. The paper prints neither window nor
    constants; those of [1]_ are taken. With ``window=None`` C3 is left out. Where both images are
    flat within a window, its term is 1: much empty background brings any method close to 1.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> reference = np.kron(np.eye(2), np.ones((16, 16)))
    >>> round(hebt.metrics.ssim_structure(reference, 3 * reference), 4)
    1.0
    >>> round(hebt.metrics.ssim_structure(reference, reference.T[::-1], window=None), 4)
    -1.0

    References
    ----------
    .. [1] Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment:
       from error visibility to structural similarity", IEEE Transactions on Image Processing 13
       (2004) 600-612.
    """
    check_choice("window", window, ("gaussian", None))
    reference, image = _check_pair(reference, image)
    if window is None:
        x, y = reference - reference.mean(), image - image.mean()
        norm = np.sqrt((x * x).sum() * (y * y).sum())
        return float((x * y).sum() / norm) if norm > 0 else 0.0
    if np.ptp(image) == 0:
        return 0.0
    image = image * _scale(reference, image)
    c3 = (0.03 * np.ptp(reference)) ** 2 / 2
    slices = [
        structure_map(x, y, c3).mean()
        for x, y in zip(_as_slices(reference), _as_slices(image), strict=True)
    ]
    return float(np.mean(slices))


def optimal_scale(reference: ArrayLike, image: ArrayLike) -> float:
    """The factor c that brings `image` closest to `reference`: ``argmin_c |x - c y|^2``.

    Parameters
    ----------
    reference, image
        Arrays of the same shape.

    Returns
    -------
    float
        <x, y> / <y, y>; 0 for an image that is 0 everywhere.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, or the reference is constant.
    """
    return _scale(*_check_pair(reference, image))


def scaled_mse(reference: ArrayLike, image: ArrayLike, normalise: str = "reference") -> float:
    """Mean-squared error after scaling the image by its optimal factor, ``|x - c y|^2``.

    Parameters
    ----------
    reference
        The true image or volume.
    image
        The reconstruction, same shape.
    normalise
        ``"reference"``: divided by ``|x|^2``, so that an empty image has 1. ``"pixels"``: by
        the number of pixels. The paper does not say which of them it prints.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, or the reference is constant.

    Examples
    --------
    >>> import hebt
    >>> hebt.metrics.scaled_mse([[0, 1], [1, 0]], [[0, 2], [2, 0]])
    0.0
    >>> hebt.metrics.scaled_mse([[0, 1], [1, 0]], [[1, 1], [1, 1]])
    0.5
    """
    check_choice("normalise", normalise, ("reference", "pixels"))
    reference, image = _check_pair(reference, image)
    error = ((reference - _scale(reference, image) * image) ** 2).sum()
    return float(error / (reference.size if normalise == "pixels" else (reference**2).sum()))


def pixel_difference(reference: ArrayLike, image: ArrayLike) -> int:
    """Number of wrong pixels at the best threshold, ``min_b |x - B_b(y)|_1`` (DP in the paper).

    Parameters
    ----------
    reference
        The true binary image or volume, of 0 and 1 or bool.
    image
        The reconstruction, same shape; B_b is 1 where it exceeds b.

    Returns
    -------
    int
        The minimum over all thresholds b, exactly, by sorting the pixels once: O(n log n).

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, or the reference is not binary or constant.

    Examples
    --------
    >>> import hebt
    >>> hebt.metrics.pixel_difference([[0, 1], [1, 0]], [[0.1, 0.8], [0.3, 0.4]])
    1
    """
    reference, image = _check_pair(reference, image)
    if not ((reference == 0) | (reference == 1)).all():
        raise ValueError(
            f"reference has values from {reference.min():g} to {reference.max():g}; expected a "
            "binary image of 0 and 1. Binarize it first, e.g. reference > 0.5."
        )
    order = np.argsort(image, axis=None)[::-1]
    values, ones = image.ravel()[order], reference.ravel()[order]
    # with the m brightest pixels set: ones that are missed, zeros that are set
    found = np.concatenate([[0], np.cumsum(ones)])
    wrong = (found[-1] - found) + (np.arange(len(found)) - found)
    # a threshold cannot separate pixels of the same value
    possible = np.concatenate([[True], values[1:] != values[:-1], [True]])
    return int(wrong[possible].min())


def _check_pair(reference: ArrayLike, image: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    reference = as_float32("reference", reference).astype(np.float64)
    image = as_float32("image", image).astype(np.float64)
    if reference.shape != image.shape:
        raise ValueError(
            f"reference has shape {reference.shape} and image {image.shape}; expected the same."
        )
    if np.ptp(reference) == 0:
        raise ValueError(
            f"reference is {reference.flat[0]:g} everywhere; expected an image with structure."
        )
    return reference, image


def _scale(reference: np.ndarray, image: np.ndarray) -> float:
    power = (image**2).sum()
    return float((reference * image).sum() / power) if power > 0 else 0.0


def _as_slices(array):
    if array.ndim < 2:
        raise ValueError(f"images have shape {array.shape}; expected ([slices,] size, size).")
    return array.reshape(-1, *array.shape[-2:])


def structure_map(x: ArrayLike, y: ArrayLike, c3: float) -> np.ndarray:
    """Return SSIM's structure term in each window of an image.

    Parameters
    ----------
    x, y
        Reference and image, scaled to it, shape (rows, columns).
    c3
        The constant above 0 that keeps windows without structure from dividing by 0.

    Returns
    -------
    numpy.ndarray
        float64, shape (rows, columns).

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, or `c3` is not above 0.
    """
    from scipy.ndimage import gaussian_filter

    x, y = as_float64("x", x, ndim=(2,)), as_float64("y", y, ndim=(2,))
    if x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}; expected the same.")
    c3 = check_number("c3", c3, "a number above 0")

    def mean(a):
        return gaussian_filter(a, 1.5, mode="nearest", radius=5)

    mean_x, mean_y = mean(x), mean(y)
    std_x = np.sqrt(np.maximum(mean(x * x) - mean_x**2, 0))
    std_y = np.sqrt(np.maximum(mean(y * y) - mean_y**2, 0))
    return (mean(x * y) - mean_x * mean_y + c3) / (std_x * std_y + c3)
