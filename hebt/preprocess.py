"""From measured images to a tilt series that HEBT can use: binning, alignment, smoothing.

Images come as (..., slices, size): axis -2 runs along the tilt axis, axis -1 across it.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hebt import _checks, settings
from hebt.projector import Projector

# Correlation looks at structure of 1 to 20 pixels: finer is noise, coarser is how thick the
# specimen is, which changes with the tilt.
_FINE, _COARSE = 1.0, 20.0


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
                f"divide; crop to {length - length % factor} pixels first, or take another factor."
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


def align(haadf, *, upsample: int = 50) -> np.ndarray:
    """Find how far each HAADF image must be moved to fit its neighbours, by cross-correlation.

    From the middle tilt outwards, each image is compared with the neighbour that is aligned
    already (band-passed and faded out towards the edges; the compared image is moved and compared
    again until it stays). Neighbours look most alike, but their errors add up along the series:
    `refine_alignment` takes that out.

    Parameters
    ----------
    haadf
        (tilts, slices, size), in the order of the tilts.
    upsample
        Shifts are found to 1/`upsample` of a pixel.

    Returns
    -------
    numpy.ndarray
        (tilts, 2), float64, pixels: along the tilt axis, and across it. Give them to
        `shift_images`. A common shift of all images is free; it is chosen so that the medians
        are 0.

    Raises
    ------
    ValueError
        If there are fewer than two tilts or an image has no structure to compare.
    """
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    upsample = _checks.check_count("upsample", upsample)
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
            neighbour = i - 1 if i > middle else i + 1
            still = _shift(haadf[neighbour], shifts[neighbour])
            shifts[i] = shifts[neighbour]
            for _ in range(5):
                step = _correlate(still, _shift(haadf[i], shifts[i]), upsample)
                shifts[i] += step
                if np.abs(step).max() <= 1 / upsample:
                    break
    return shifts - np.median(shifts, axis=0)


def shift_images(images, shifts) -> np.ndarray:
    """Move each tilt's image by its shift, the same for every element.

    Parameters
    ----------
    images
        (..., tilts, slices, size): HAADF images or element maps.
    shifts
        (tilts, 2), pixels along and across the tilt axis, from `align`. Positive shifts move
        the picture towards higher indices.

    Returns
    -------
    numpy.ndarray
        float32, in the shape of `images`. Between pixels it is interpolated linearly, which
        makes no value lower or higher than its neighbours; what comes in from outside repeats
        the edge.

    Raises
    ------
    ValueError
        If there is not one shift per tilt.
    """
    images = _checks.as_float32("images", images)
    shifts = _check_shifts(shifts)
    if images.ndim < 3 or images.shape[-3] != len(shifts):
        raise ValueError(
            f"images has shape {images.shape} and shifts {shifts.shape}; expected "
            "(..., tilts, slices, size) and (tilts, 2) with as many tilts."
        )
    moved = np.empty_like(images)
    for where in np.ndindex(images.shape[:-2]):
        moved[where] = _shift(images[where], shifts[where[-1]])
    return moved


def crop_flat(images, angles, *, size: int, slices: int | None = None, edge: float = 8.0):
    """Keep, at every tilt, what belongs to the same strip of a flat specimen.

    The specimen goes on beyond the image, and the further it is tilted, the more of it comes
    into view; but all tilts must show the same matter. A flat specimen that is level at 0 degrees
    appears narrower by cos(angle): what lies further from the tilt axis than (`size` - `edge`)/2
    times that is set to 0, along a soft edge.

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
    ValueError
        If a tilt is 90 degrees or more, or more pixels are to be kept than there are.
    """
    images = _checks.as_float32("images", images)
    angles = _checks.check_angles(angles)
    if images.ndim < 3 or images.shape[-3] != len(angles):
        raise ValueError(
            f"images has shape {images.shape} and there are {len(angles)} angles; expected "
            "(..., tilts, slices, size) with as many tilts."
        )
    if np.abs(angles).max() >= 90:
        raise ValueError(
            f"angles go to {np.abs(angles).max():g} degrees; a flat specimen is seen from the "
            "side at 90 degrees. Leave those tilts out."
        )
    high, wide = images.shape[-2:]
    size = _checks.check_count("size", size)
    if not 0 < edge < size:
        raise ValueError(f"edge is {edge!r}; expected above 0 and below size = {size} pixels.")
    slices = high if slices is None else _checks.check_count("slices", slices)
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


def mass_spread(images) -> float:
    """Say how much the sum over each row changes from tilt to tilt, relative to its size.

    Every slice holds the same matter at every tilt. So where axis -2 lies along the tilt axis,
    images are aligned along it and all tilts show the same matter, the sums over the rows stay
    the same, and this comes near 0.

    Parameters
    ----------
    images
        (tilts, slices, size).

    Returns
    -------
    float
        Root mean square of the deviations from the mean over the tilts, divided by the root mean
        square of the sums.
    """
    rows = _checks.as_float32("images", images, ndim=(3,)).sum(axis=2, dtype=np.float64)
    return float(np.linalg.norm(rows - rows.mean(axis=0)) / np.linalg.norm(rows))


def slab(size: int, depth: float) -> np.ndarray:
    """Return the mask of a flat specimen, (size, size): 1 within `depth` pixels, else 0.

    The slab is level at 0 degrees and centred on the rotation axis. With an odd or fractional
    `depth`, voxels that it cuts have the share that lies inside.
    """
    size = _checks.check_count("size", size)
    if not (np.isfinite(depth) and 0 < depth <= size):
        raise ValueError(f"depth is {depth!r}; expected above 0 and at most size = {size} pixels.")
    height = np.abs(np.arange(size) - (size - 1) / 2)
    inside = np.clip(depth / 2 - height + 0.5, 0, 1)
    return np.repeat(inside[:, None], size, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Alignment:
    """What `refine_alignment` found.

    Attributes
    ----------
    shifts
        (tilts, 2), pixels along and across the tilt axis.
    steps
        (rounds,), pixels: the largest shift that each round still asked for.
    residuals
        (rounds,): how far images and reprojection were apart at the start of each round.
    """

    shifts: np.ndarray
    steps: np.ndarray
    residuals: np.ndarray


def refine_alignment(
    haadf,
    angles,
    shifts,
    solve: Callable,
    *,
    size: int,
    depth: float,
    slices: int | None = None,
    factor: int = 4,
    rounds: int = 8,
    iterations: int = 60,
    tolerance: float = 0.1,
    progress: bool | None = None,
) -> Alignment:
    """Align each HAADF image with its reprojection, until no image asks to be moved.

    A first reconstruction is projected again at every tilt. Unlike a neighbour, that projection
    agrees with all tilts at once and with a rotation about the middle column, so errors do not
    add up, and the tilt axis comes to lie there.

    Parameters
    ----------
    haadf
        (tilts, slices, size), less the detector's offset.
    angles
        (tilts,), degrees.
    shifts
        (tilts, 2), where to begin: from `align`.
    solve
        Reconstructs: ``solve(W, p, iterations=..., mask=...)``, such as `hebt.sirt`.
    size, slices
        What to keep of the images; see `crop_flat`.
    depth
        How thick the specimen may be, in pixels of `haadf`; see `slab`.
    factor
        Reconstructions are made of images binned by this factor.
    rounds, tolerance
        Stop after so many rounds, or when no image asks to be moved by more than `tolerance`
        pixels.
    iterations
        Iterations of each reconstruction.
    progress
        Whether to show a progress bar; if None, where somebody can see it.
    """
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    shifts = _check_shifts(shifts).copy()
    rounds = _checks.check_count("rounds", rounds)
    steps, residuals = [], []
    with settings.progress_bar(rounds, "aligning with the reprojection", progress) as bar:
        for _ in range(rounds):
            p, q = _reproject(haadf, angles, shifts, solve, size, depth, slices, factor, iterations)
            step = factor * np.array(
                [_correlate(there, here, 50, 1 / factor) for there, here in zip(q, p, strict=True)]
            )
            steps.append(np.abs(step).max())
            residuals.append(_apart(p, q))
            bar.update()
            if steps[-1] <= tolerance:
                break
            shifts += step
    return Alignment(shifts, np.array(steps), np.array(residuals))


def reprojection_residual(
    haadf,
    angles,
    shifts,
    solve: Callable,
    *,
    size: int,
    depth: float,
    offset: float = 0.0,
    slices: int | None = None,
    factor: int = 4,
    iterations: int = 60,
) -> float:
    """Say how far aligned images are from the reprojection of their reconstruction.

    The lowest residual tells how thick the specimen is (`depth`) and where the tilt axis lies
    (`offset`), as far as the data can tell.

    Parameters
    ----------
    offset
        Moves all images by so many pixels across the tilt axis, before the reconstruction.
    haadf, angles, shifts, solve, size, depth, slices, factor, iterations
        As for `refine_alignment`.

    Returns
    -------
    float
        ||p - W x|| / ||p||, leaving out the soft edges of `crop_flat`.
    """
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    moved = _check_shifts(shifts) + [0.0, offset]
    return _apart(
        *_reproject(haadf, angles, moved, solve, size, depth, slices, factor, iterations)
    )


def _reproject(haadf, angles, shifts, solve, size, depth, slices, factor, iterations):
    images = crop_flat(shift_images(haadf, shifts), angles, size=size, slices=slices)
    p = bin_images(images, factor)
    W = Projector(angles, p.shape[-1])
    mask = slab(W.size, min(depth / factor, W.size))
    x = solve(W, p, iterations=iterations, mask=mask)
    return p, W.forward(x)


def _apart(p, q):
    # what tilts in from beyond the strip is no fault of the alignment
    inner = slice(p.shape[-1] // 6, p.shape[-1] - p.shape[-1] // 6)
    p, q = p[..., inner].astype(np.float64), q[..., inner]
    return float(np.linalg.norm(p - q) / np.linalg.norm(p))


def _check_shifts(shifts):
    shifts = np.asarray(shifts, np.float64)
    if shifts.ndim != 2 or shifts.shape[1] != 2 or not np.isfinite(shifts).all():
        raise ValueError(
            f"shifts has shape {shifts.shape}; expected (tilts, 2) with finite numbers of pixels, "
            "along and across the tilt axis."
        )
    return shifts


def _shift(image, shift):
    return ndimage.shift(image, shift, order=1, mode="nearest")


def _correlate(still, moving, upsample, scale=1.0):
    """Return by how many pixels `moving` must move to fit `still`, (2,)."""
    from skimage.registration import phase_cross_correlation

    fade = np.outer(*(np.hanning(n + 2)[1:-1] for n in still.shape))
    still, moving = (
        (
            ndimage.gaussian_filter(image, max(_FINE * scale, 0.5))
            - ndimage.gaussian_filter(image, _COARSE * scale)
        )
        * fade
        for image in (still, moving)
    )
    # without normalisation: with it, noise counts as much as structure
    return phase_cross_correlation(still, moving, upsample_factor=upsample, normalization=None)[0]


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
