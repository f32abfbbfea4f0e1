"""Projection images: binned, smoothed, shifted, cropped."""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike
from scipy import ndimage

from .._checks import (
    as_float32,
    as_float64,
    check_angles,
    check_choice,
    check_count,
    check_flag,
    check_number,
)

# what scipy.ndimage does beyond the edges
MODES = ("nearest", "constant", "reflect", "mirror", "wrap")
MODES += ("grid-mirror", "grid-constant", "grid-wrap")


def bin_images(
    images: ArrayLike, factor: int, *, axis: int | tuple[int, ...] = (-2, -1), mean: bool = False
) -> np.ndarray:
    """Add up blocks of neighboring pixels, as a camera bins its pixels.

    Counts are conserved: the sum over a binned image is the sum over the image. With `mean`,
    intensities are: the mean over a binned image is the mean over the image.

    Parameters
    ----------
    images
        (..., slices, size), or any other shape with `axis` to match.
    factor
        How many pixels become one along each binned axis; it must divide their lengths.
    axis
        The axis or axes to bin. Give -1 for a single slice, (tilts, size).
    mean
        Average the pixels of a block instead of adding them up.

    Returns
    -------
    numpy.ndarray
        float32, `factor` times shorter along each binned axis.

    Raises
    ------
    TypeError, ValueError
        If `factor` does not divide the length of an axis.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> hebt.prepare.bin_images(np.arange(16).reshape(2, 8), 2)
    array([[18., 26., 34., 42.]], dtype=float32)
    """
    images = as_float32("images", images)
    factor = check_count("factor", factor)
    axes = _axes(images, axis)
    mean = check_flag("mean", mean)
    shape: list[int] = []
    for i, length in enumerate(images.shape):
        if i not in axes:
            shape.append(length)
        elif length % factor:
            raise ValueError(
                f"images has {length} pixels along axis {i}; expected a multiple of factor = "
                f"{factor}: crop to {length - length % factor} pixels, or take another factor."
            )
        else:
            shape += [length // factor, factor]
    blocks = np.cumsum([2 if i in axes else 1 for i in range(images.ndim)]) - 1
    summed = images.reshape(shape).sum(axis=tuple(int(blocks[i]) for i in axes), dtype=np.float64)
    return (summed / (factor ** len(axes) if mean else 1)).astype(np.float32)


def smoothing_kernel(width: int, sigma: float, *, centered: bool = True) -> np.ndarray:
    """Return the weights of a Gaussian cut to `width` pixels; their sum is 1.

    An even number of taps has no middle one and moves the picture by half a pixel. With
    `centered`, an even kernel is averaged over its two nearest positions (convolved with
    (1/2, 1/2)), which gives `width` + 1 symmetric taps and moves nothing.

    Parameters
    ----------
    width
        Number of taps, in pixels.
    sigma
        Standard deviation of the Gaussian before it is cut, in pixels.
    centered
        Whether an even kernel is centered on a pixel.

    Returns
    -------
    numpy.ndarray
        float64, (width,), or (width + 1,) for an even width that is centered.

    Raises
    ------
    TypeError, ValueError
        If `width` is no whole number of at least 1, or `sigma` not above 0.

    Examples
    --------
    >>> import hebt
    >>> hebt.prepare.smoothing_kernel(2, sigma=1)
    array([0.25, 0.5 , 0.25])
    """
    width = check_count("width", width)
    sigma = check_number("sigma", sigma, "a length in pixels above 0")
    centered = check_flag("centered", centered)
    offsets = np.arange(width) - (width - 1) / 2
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    if centered and width % 2 == 0:
        kernel = np.convolve(kernel, (0.5, 0.5))
    return kernel


def smooth(
    images: ArrayLike,
    *,
    width: int,
    sigma: float,
    axis: int | tuple[int, ...] = -1,
    centered: bool = True,
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
    centered
        With False, an even kernel moves images half a pixel up the indices; see `smoothing_kernel`.

    Returns
    -------
    numpy.ndarray
        float32, in the shape and unit of `images`. At the edges images are continued by their
        mirror image; with a centered kernel, the sum over an image stays what it was.

    Raises
    ------
    TypeError, ValueError
        If the kernel is longer than an axis that it smooths, or an argument is out of range.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> hebt.prepare.smooth(np.eye(5)[2], width=3, sigma=1).round(2)
    array([0.  , 0.27, 0.45, 0.27, 0.  ], dtype=float32)
    """
    images = as_float32("images", images)
    kernel = smoothing_kernel(width, sigma, centered=centered)
    for i in _axes(images, axis):
        if width > images.shape[i]:
            raise ValueError(
                f"width is {width} pixels, but images has only {images.shape[i]} along axis {i}; "
                "expected a kernel that is not longer than the image."
            )
        # the taps of an even kernel lie at -width/2 ... width/2 - 1 from the pixel they are for
        images = ndimage.correlate1d(images, kernel, axis=i, mode="reflect")
    return images


def smooth_variance(
    variance: ArrayLike,
    *,
    width: int,
    sigma: float,
    axis: int | tuple[int, ...] = -1,
    centered: bool = True,
    shifts: ArrayLike | None = None,
    binning: int = 1,
) -> np.ndarray:
    """Return the variance that images have after `smooth`, `apply_shifts` and `bin_images`.

    The noise of a pixel before them is taken to be independent of the next one's; what it is
    weighted with, in all steps together, is squared.

    Parameters
    ----------
    variance
        Of each pixel, (..., [tilts,] slices, size), in the unit of the images squared.
    width, sigma, axis, centered
        As `smooth` took them; 1 for `width` if it did not smooth.
    shifts
        (tilts, 2), as `apply_shifts` took them, with its linear interpolation; None for none.
    binning
        The factor of `bin_images`, which added blocks of pixels up; 1 for none.

    Returns
    -------
    numpy.ndarray
        float32, shape of `variance`; (..., slices / binning, size / binning) with binning.

    Raises
    ------
    TypeError, ValueError
        If `variance` has values below 0, or an argument is out of range.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> hebt.prepare.smooth_variance(np.full((1, 3), 8), width=2, sigma=1)
    array([[5., 3., 5.]], dtype=float32)
    """
    variance = as_float32("variance", variance)
    if variance.ndim < 2 or variance.min() < 0:
        raise ValueError(
            f"variance has shape {variance.shape} and values from {variance.min():g}; expected "
            "(..., slices, size), and none below 0."
        )
    axes = _axes(variance, axis)
    if axes[0] < variance.ndim - 2:
        raise ValueError(
            f"axis is {axis} of {variance.ndim}; expected axes of an image, -2 and -1."
        )
    tilts = variance.shape[-3] if variance.ndim > 2 else 1
    moves = np.zeros((tilts, 2)) if shifts is None else check_shifts(shifts)
    if len(moves) != tilts:
        raise ValueError(f"shifts has shape {moves.shape}; expected ({tilts}, 2), as many tilts.")
    # what each pixel of an axis gives to each, (to, from)
    given = [np.eye(n, dtype=np.float32) for n in variance.shape[-2:]]
    for i in axes:
        which = i - variance.ndim
        given[which] = smooth(given[which], width=width, sigma=sigma, axis=0, centered=centered)
    binning = check_count("binning", binning)
    if any(n % binning for n in variance.shape[-2:]):
        raise ValueError(
            f"variance has images of {variance.shape[-2:]} pixels; expected multiples of binning = "
            f"{binning}."
        )
    high, wide = (n // binning for n in variance.shape[-2:])
    made = np.empty((*variance.shape[:-2], high, wide), np.float32)
    for where in np.ndindex(variance.shape[:-2]):
        moved = [
            ndimage.shift(taps, (by, 0), order=1, mode="nearest")
            for taps, by in zip(given, moves[where[-1] if where else 0], strict=True)
        ]
        along, across = (m.reshape(-1, binning, len(m)).sum(axis=1) ** 2 for m in moved)
        made[where] = along @ variance[where] @ across.T
    return made


def apply_shifts(
    images: ArrayLike, shifts: ArrayLike, *, order: int = 1, mode: str = "nearest"
) -> np.ndarray:
    """Move each tilt's image by its shift, the same for every element.

    Parameters
    ----------
    images
        (..., tilts, slices, size): HAADF images or element maps.
    shifts
        (tilts, 2), pixels along and across the tilt axis, from `estimate_shifts`. Positive shifts
        move the picture towards higher indices.
    order
        Order of the spline between pixels, 0 to 5. The linear one makes no value lower or higher
        than its neighbors; a cubic one, 3, smooths less.
    mode
        At edges ``"nearest"`` repeats them, ``"constant"`` is 0; see `scipy.ndimage.shift`.

    Returns
    -------
    numpy.ndarray
        float32, in the shape of `images`.

    Raises
    ------
    TypeError, ValueError
        If there is not one shift per tilt.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> images = np.array([[[0, 0, 4, 0]], [[0, 8, 0, 0]]])
    >>> hebt.prepare.apply_shifts(images, [[0, -1], [0, 0.5]])
    array([[[0., 4., 0., 0.]],
           [[0., 4., 4., 0.]]], dtype=float32)
    """
    images = as_float32("images", images)
    shifts = check_shifts(shifts)
    order = check_count("order", order, least=0, most=5)
    mode = check_choice("mode", mode, MODES)
    if images.ndim < 3 or images.shape[-3] != len(shifts):
        raise ValueError(
            f"images has shape {images.shape} and shifts {shifts.shape}; expected "
            "(..., tilts, slices, size) and (tilts, 2) with as many tilts."
        )
    moved = np.empty_like(images)
    for where in np.ndindex(images.shape[:-2]):
        ndimage.shift(images[where], shifts[where[-1]], moved[where], order=order, mode=mode)
    return moved


def crop_flat(
    images: ArrayLike, angles: ArrayLike, *, size: int, slices: int | None = None, edge: float = 8.0
) -> np.ndarray:
    """Keep, at every tilt, what belongs to the same strip of a flat specimen.

    The further the specimen is tilted, the more of it comes into view; but all tilts must show the
    same matter. A flat specimen that is level at 0 degrees appears narrower by cos(angle): what
    lies further from the tilt axis than (`size` - `edge`)/2 times that is set to 0, softly.

    Parameters
    ----------
    images
        (..., tilts, slices, size), aligned, with the tilt axis in the middle of axis -1.
    angles
        (tilts,), degrees.
    size
        How many pixels across the tilt axis to keep at 0 degrees. Images are cropped to it.
    slices
        How many pixels along the tilt axis to keep, in the middle; all, if None.
    edge
        Width of the soft edge, in pixels.

    Returns
    -------
    numpy.ndarray
        (..., tilts, slices, size), float32.

    Raises
    ------
    TypeError, ValueError
        If a tilt is 90 degrees or more, or more pixels are to be kept than there are.
    """
    images = as_float32("images", images)
    angles = check_angles(angles)
    if images.ndim < 3 or images.shape[-3] != len(angles):
        raise ValueError(
            f"images has shape {images.shape} and there are {len(angles)} angles; expected "
            "(..., tilts, slices, size) with as many tilts."
        )
    if np.abs(angles).max() >= 90:
        raise ValueError(
            f"angles go to {np.abs(angles).max():g} degrees; expected less than 90, where a flat "
            "specimen is seen from the side. Leave those tilts out."
        )
    high, wide = images.shape[-2:]
    size = check_count("size", size)
    expected = f"a number of pixels above 0 and below size = {size}"
    edge = check_number("edge", edge, expected, most=size, also_most=False)
    slices = high if slices is None else check_count("slices", slices)
    for name, kept, there in (("size", size, wide), ("slices", slices, high)):
        if kept > there or (there - kept) % 2:
            raise ValueError(
                f"{name} is {kept}, but images have {there} pixels there; expected at most that "
                "many, and an even number less, so that the tilt axis stays in the middle."
            )
    top, left = (high - slices) // 2, (wide - size) // 2
    kept = images[..., top : top + slices, left : left + size]
    from_axis = np.abs(np.arange(size) - (size - 1) / 2)
    # the soft edge has to fit in at 0 degrees too, or that tilt would show less
    limit = (size - edge) / 2 * np.cos(np.deg2rad(angles))
    window = np.clip((limit[:, None] - from_axis) / edge + 0.5, 0, 1)
    return (kept * window[:, None, :]).astype(np.float32)


def mass_inconsistency(images: ArrayLike) -> float:
    """Say how much the sum over each row changes from tilt to tilt, relative to its size.

    It comes near 0 where axis -2 lies along the tilt axis, images are aligned along it and all
    tilts show the same matter.

    Parameters
    ----------
    images
        (tilts, slices, size).

    Returns
    -------
    float
        Root mean square of the deviations from the mean over the tilts, relative to the sums'.

    Raises
    ------
    TypeError, ValueError
        If images are no finite real numbers of that shape, or all their sums are 0.
    """
    rows = as_float32("images", images, ndim=(3,)).sum(axis=2, dtype=np.float64)
    if not rows.any():
        raise ValueError("images are 0 in the sum over each row; expected images of a specimen.")
    return float(np.linalg.norm(rows - rows.mean(axis=0)) / np.linalg.norm(rows))


def slab_mask(size: int, depth: float) -> np.ndarray:
    """Return the mask of a flat specimen, (size, size): 1 within `depth` pixels, else 0.

    The slab is level at 0 degrees and centered on the rotation axis. Voxels that it cuts have the
    share that lies inside.

    Parameters
    ----------
    size
        Pixels along the edge of a slice.
    depth
        Thickness of the slab, in pixels; at most `size`.

    Returns
    -------
    numpy.ndarray
        The mask, float32, shape (size, size); values from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If `depth` is not above 0 and at most `size`.
    """
    size = check_count("size", size)
    expected = f"a number of pixels above 0 and at most size = {size}"
    depth = check_number("depth", depth, expected, most=size)
    height = np.abs(np.arange(size) - (size - 1) / 2)
    inside = np.clip(depth / 2 - height + 0.5, 0, 1)
    return np.repeat(inside[:, None], size, axis=1).astype(np.float32)


def common_frame(shape: tuple[int, int], border: int) -> np.ndarray:
    """Return which pixels of an image lie within `border` pixels of its edges."""
    border = check_count("border", border)
    if 2 * border >= min(shape):
        raise ValueError(
            f"border is {border} pixels, but images are {shape[0]} by {shape[1]}; expected less "
            "than half of that."
        )
    frame = np.ones(shape, bool)
    frame[border:-border, border:-border] = False
    return frame


def check_shifts(shifts: ArrayLike, name: str = "shifts") -> np.ndarray:
    """Return shifts as float64, (tilts, 2), after checking that they are that and finite."""
    shifts = as_float64(name, shifts)
    if shifts.ndim != 2 or shifts.shape[1] != 2:
        raise ValueError(
            f"{name} has shape {shifts.shape}; expected (tilts, 2), numbers of pixels along and "
            "across the tilt axis."
        )
    return shifts


def _axes(images, axis):
    """Return the axes meant as sorted, non-negative numbers; refuse doubles and strangers."""
    try:
        axes = normalize_axis_tuple(axis, images.ndim)
    except (TypeError, ValueError):
        axes = ()
    if not axes or isinstance(axis, bool):
        raise ValueError(
            f"axis is {axis}, but images has {images.ndim} axes (shape {images.shape}); expected "
            "each axis once, and only axes that it has."
        )
    return sorted(axes)
