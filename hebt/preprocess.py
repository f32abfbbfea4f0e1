"""From measured images to a tilt series that HEBT can use: binning, alignment, smoothing.

Images come as (..., slices, size): axis -2 runs along the tilt axis, axis -1 across it.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from hebt import _checks, io, settings
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
            shifts[i] = _move_onto(still, haadf[i], shifts[neighbour], upsample)
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
                [
                    _correlate(_structure(there, 1 / factor), _structure(here, 1 / factor), 50)
                    for there, here in zip(q, p, strict=True)
                ]
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


# --- Z-contrast images ---------------------------------------------------------------------------


def particle_masks(haadf, *, border: int = 4, margin: int = 0) -> np.ndarray:
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
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    frame, edge = (_frame(haadf.shape[1:], n) for n in (border, 1))
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
                "narrower border, or mask and align the series otherwise, e.g. with `align`."
            )
        if margin:
            masks[i] = ndimage.binary_dilation(masks[i], iterations=margin)
    return masks


def binarise(haadf, *, fraction: float = 0.05) -> np.ndarray:
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
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    if not (np.isscalar(fraction) and 0 < fraction < 1):
        raise ValueError(f"fraction is {fraction!r}; expected a number above 0 and below 1.")
    brightest = haadf.max(axis=(1, 2))
    if brightest.min() <= 0:
        raise ValueError(
            f"haadf has nothing above 0 at tilt {int(brightest.argmin())}; expected a particle in "
            "every image."
        )
    return haadf > np.float32(fraction) * brightest[:, None, None]


def remove_offset(haadf, masks) -> np.ndarray:
    """Subtract what the detector reads without a specimen, and set empty pixels to 0.

    Parameters
    ----------
    haadf
        (tilts, slices, size), as recorded.
    masks
        (tilts, slices, size), bool: pixels that may show the specimen, from `particle_masks`.
        The mean of all the others is the offset of a tilt.

    Returns
    -------
    numpy.ndarray
        float32, in the shape and unit of `haadf`.

    Raises
    ------
    ValueError
        If the shapes differ, or an image has no empty pixel.
    """
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    masks = np.asarray(masks)
    if masks.shape != haadf.shape or masks.dtype != bool or masks.all(axis=(1, 2)).any():
        raise ValueError(
            f"masks has shape {masks.shape} and type {masks.dtype}, haadf {haadf.shape}; expected "
            "bool in the same shape, with some empty pixels at every tilt."
        )
    offset = [
        image[~mask].mean(dtype=np.float64) for image, mask in zip(haadf, masks, strict=True)
    ]
    return np.where(masks, haadf - np.array(offset, np.float32)[:, None, None], np.float32(0))


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
        correction, relative to their size; see `mass_spread`.
    """

    saturation: float
    tried: np.ndarray
    spread: np.ndarray


def undamp(haadf, saturation: float) -> np.ndarray:
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
    The inverse of `hebt.microscope.damp`. Source for the effect: Z. Zhong et al.,
    Ultramicroscopy 184 (2018) 57-65.
    """
    haadf = _checks.as_float32("haadf", haadf)
    if saturation == np.inf:
        return haadf.copy()
    if not saturation > haadf.max():
        raise ValueError(
            f"saturation is {saturation:g}, but haadf goes up to {haadf.max():g}; expected a "
            "saturation above every intensity. Remove the detector's offset and hot pixels first."
        )
    linear = haadf / np.float32(-saturation)
    np.log1p(linear, out=linear)
    linear *= np.float32(-saturation)
    return linear


def estimate_damping(haadf, *, groups: int = 20) -> Damping:
    """Estimate the damping of HAADF from the tilt series alone.

    At every tilt the beam passes through the same mass, but through other thicknesses. So the
    sum over the rows of a slice stays the same over the tilts where intensity is linear in the
    mass-thickness, and S is chosen for the smallest change.

    Parameters
    ----------
    haadf
        (tilts, slices, size), less the detector's offset, 0 where there is no specimen; the whole
        specimen lies within every image. Along the tilt axis they are brought to their centre of
        mass here; across it they need not be aligned.
    groups
        Neighbouring rows are added up to this many groups, which takes noise out.

    Returns
    -------
    Damping

    Raises
    ------
    ValueError
        If there are fewer than two tilts, an image is empty, or the damping is too strong to be
        estimated.
    """
    from scipy.optimize import minimize_scalar

    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    tilts, slices, _ = haadf.shape
    if tilts < 2:
        raise ValueError(f"haadf has {tilts} tilts; expected at least two to compare.")
    along = -centre_of_mass(haadf)[:, 0]
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


def centre_of_mass(images) -> np.ndarray:
    """Return where the centre of mass of each image lies, (tilts, 2), in pixels from its middle."""
    images = _checks.as_float32("images", images, ndim=(3,))
    total = images.sum(axis=(1, 2), dtype=np.float64)
    if total.min() <= 0:
        raise ValueError(
            f"images hold {total.min():g} in all at tilt {int(total.argmin())}; expected "
            "intensities with a sum above 0."
        )
    places = []
    for axis, other in ((1, 2), (2, 1)):
        profile = images.sum(axis=other, dtype=np.float64)
        at = np.arange(images.shape[axis]) - (images.shape[axis] - 1) / 2
        places.append(profile @ at / total)
    return np.stack(places, axis=1)


def align_to_centre(haadf) -> np.ndarray:
    """Find the shifts that bring the centre of mass of each image into its middle.

    The centre of mass of a projection is the projection of the centre of mass. For a particle
    that lies wholly in every image this holds all tilts together at once, so no errors add up
    along the series, and the tilt axis comes to lie in the middle.

    Parameters
    ----------
    haadf
        (tilts, slices, size), linear in the mass-thickness, 0 where there is no specimen.

    Returns
    -------
    numpy.ndarray
        (tilts, 2), pixels along and across the tilt axis, for `shift_images`.
    """
    return -centre_of_mass(haadf)


def align_to(reference, images, *, upsample: int = 50) -> np.ndarray:
    """Find the shifts that bring each image onto its reference, by cross-correlation.

    Parameters
    ----------
    reference
        (tilts, slices, size), aligned Z-contrast images.
    images
        (tilts, slices, size): what the same specimen looks like in another signal, such as the
        weighted sum of its element maps.
    upsample
        Shifts are found to 1/`upsample` of a pixel.

    Returns
    -------
    numpy.ndarray
        (tilts, 2), pixels along and across the tilt axis, for `shift_images`.
    """
    reference = _checks.as_float32("reference", reference, ndim=(3,))
    images = _checks.as_float32("images", images, ndim=(3,))
    if reference.shape != images.shape:
        raise ValueError(
            f"reference has shape {reference.shape} and images {images.shape}; expected the same."
        )
    shifts = np.zeros((len(images), 2))
    for i, (still, moving) in enumerate(zip(reference, images, strict=True)):
        shifts[i] = _move_onto(still, moving, shifts[i], upsample)
    return shifts


def alignment_error(shifts, drift, angles) -> np.ndarray:
    """Return what an alignment left of a known drift, (tilts, 2), in pixels.

    What no alignment can know is taken out by least squares first: where the specimen lies. That
    is a constant along the tilt axis, and a cos(θ) + b sin(θ) across it.

    Parameters
    ----------
    shifts
        (tilts, 2), as found.
    drift
        (tilts, 2), by how much the images had moved.
    angles
        (tilts,), degrees.
    """
    left = _check_shifts(shifts) + _check_shifts(drift)
    radians = np.deg2rad(_checks.check_angles(angles))
    if not len(left) == len(radians):
        raise ValueError(
            f"there are {len(left)} shifts and {len(radians)} angles; expected as many."
        )
    across = np.stack([np.cos(radians), np.sin(radians)], axis=1)
    free = across @ np.linalg.lstsq(across, left[:, 1], rcond=None)[0]
    return np.stack([left[:, 0] - left[:, 0].mean(), left[:, 1] - free], axis=1)


# --- spectra -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ElementWindow:
    """Energies, in keV, that make an element's map.

    Attributes
    ----------
    element
        Symbol.
    peaks
        (from, to) of each window that is counted.
    backgrounds
        For each of `peaks`, the windows from which the background under it is taken.
    """

    element: str
    peaks: tuple[tuple[float, float], ...]
    backgrounds: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self):
        if len(self.peaks) != len(self.backgrounds) or not self.peaks:
            raise ValueError(
                f"the window of {self.element} has {len(self.peaks)} peaks and "
                f"{len(self.backgrounds)} backgrounds; expected at least one, and as many."
            )

    def weights(self, energies, *, background: bool = True) -> np.ndarray:
        """Return the weight of each channel in the map, (channels,).

        1 in a peak, and less than 0 in its background windows. The background under a peak is
        the straight line through the mean counts of two windows, or the mean of one.

        Parameters
        ----------
        energies
            (channels,), keV.
        background
            Whether the background is subtracted.
        """
        energies = np.asarray(energies, np.float64)
        weights = np.zeros(len(energies))
        for peak, sides in zip(self.peaks, self.backgrounds, strict=True):
            inside = _within(energies, peak, self.element)
            weights[inside] += 1
            if not background:
                continue
            sides = [_within(energies, side, self.element) for side in sides]
            centres = [energies[side].mean() for side in sides]
            shares = [1.0]
            if len(sides) == 2:
                nearer = (energies[inside].mean() - centres[0]) / (centres[1] - centres[0])
                shares = [1 - nearer, nearer]
            for side, share in zip(sides, shares, strict=True):
                weights[side] -= inside.sum() * share / side.sum()
        return weights


def _within(energies, window, element):
    inside = (energies >= window[0]) & (energies <= window[1])
    if not inside.any():
        raise ValueError(
            f"a window of {element} goes from {window[0]:g} to {window[1]:g} keV, where energies "
            f"({energies.min():g} to {energies.max():g} keV) has no channel; expected one."
        )
    return inside


def near(energies, ranges) -> np.ndarray:
    """Return the numbers of the channels that lie in one of the `ranges` (from, to), in keV."""
    energies = np.asarray(energies)
    return np.flatnonzero(np.any([(energies >= a) & (energies <= b) for a, b in ranges], axis=0))


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of spectra.

    A spectrum s is denoised as Σ_k (s · dual_k) factor_k over the first components.

    Attributes
    ----------
    energies
        (channels,), keV.
    factors
        (components, channels): their spectra.
    duals
        (components, channels): what to weigh a spectrum with to learn how much of each it has.
    variance
        (all components,): share of the variance of each, largest first.
    """

    energies: np.ndarray
    factors: np.ndarray
    duals: np.ndarray
    variance: np.ndarray

    def denoise(self, spectra, count: int | None = None) -> np.ndarray:
        """Return spectra (..., channels) made of the first `count` components; all, if None."""
        spectra = _checks.as_float32("spectra", getattr(spectra, "data", spectra))
        return ((spectra @ self.duals[:count].T) @ self.factors[:count]).astype(np.float32)

    def weights(self, weights, count: int | None = None) -> np.ndarray:
        """Return channel weights that give, from raw spectra, the map of denoised ones.

        A map is a weighted sum over the channels. So the denoised map, the sum of the denoised
        spectrum weighed with `weights`, is the sum of the raw spectrum weighed with these: the
        denoised spectrum image need not be held.

        Parameters
        ----------
        weights
            (..., channels), from `ElementWindow.weights`.
        count
            How many components to use; all, if None.
        """
        seen = np.asarray(weights, np.float64) @ self.factors[:count].T
        return seen @ self.duals[:count]


def bin_spectra(spectra, shape: tuple[int, int], factor: int, mask=None):
    """Add up the spectra of blocks of pixels.

    Parameters
    ----------
    spectra
        Sparse, (slices * size, channels).
    shape
        (slices, size).
    factor
        Pixels along each side of a block; it must divide both.
    mask
        (slices, size), bool: blocks that hold one of these pixels are kept; all, if None.

    Returns
    -------
    numpy.ndarray
        float32, (blocks, channels).
    """
    slices, size = shape
    factor = _checks.check_count("factor", factor)
    if slices % factor or size % factor or spectra.shape[0] != slices * size:
        raise ValueError(
            f"spectra has shape {spectra.shape}, shape is {shape} and factor {factor}; expected "
            "slices * size spectra, and a factor that divides both."
        )
    blocks = (np.arange(slices) // factor)[:, None] * (size // factor) + np.arange(size) // factor
    count = slices * size // factor**2
    kept = np.arange(count)
    if mask is not None:
        kept = np.unique(blocks[np.asarray(mask, bool)])
    place = np.full(count, -1)
    place[kept] = np.arange(len(kept))
    row = place[blocks.ravel()]
    inside = np.flatnonzero(row >= 0)
    adder = sparse.csr_array(
        (np.ones(len(inside), np.float32), (row[inside], inside)),
        shape=(len(kept), slices * size),
    )
    return (adder @ spectra).toarray().astype(np.float32, copy=False)


class _CovarianceSolver:
    """Principal components without centring, from the covariance of the channels.

    There are far fewer channels than pixels, so this takes a fraction of the time and memory of
    a singular value decomposition of the data. HyperSpy takes it as an algorithm.
    """

    def __init__(self, components):
        self.n_components = components

    def fit_transform(self, data):
        covariance = data.T.astype(np.float32) @ data
        values, vectors = np.linalg.eigh(covariance.astype(np.float64))
        values, vectors = values[::-1], vectors[:, ::-1]
        self.all_variance_ = np.maximum(values, 0) / len(data)
        self.explained_variance_ = self.all_variance_[: self.n_components]
        self.components_ = vectors[:, : self.n_components].T
        # the sign is free; the largest entry is made positive
        largest = np.abs(self.components_).argmax(axis=1)
        self.components_ *= np.sign(self.components_[range(len(largest)), largest])[:, None]
        return data @ self.components_.T.astype(data.dtype)


def decompose(
    spectra, energies, *, components: int = 15, scaled: bool = True
) -> Components:
    """Decompose spectra into principal components, scaled for Poisson noise.

    HyperSpy's decomposition: each channel and each spectrum is divided by the square root of its
    mean first, so that counting noise is about the same everywhere and a strong line does not
    pass for a component for its noise alone [1]_; this is undone afterwards.

    Components are the same for the spectra of single pixels as for those of blocks of pixels,
    which are fewer: decompose blocks of all tilts (`bin_spectra`), and give the result the
    spectra of single pixels.

    Parameters
    ----------
    spectra
        Counts, (..., channels); those without any count are left out.
    energies
        (channels,), keV.
    components
        How many to keep.
    scaled
        Whether to scale for Poisson noise.

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        If shapes do not fit, counts are negative, or there are not enough spectra or channels
        with counts.

    References
    ----------
    .. [1] M. R. Keenan and P. G. Kotula, Surf. Interface Anal. 36 (2004) 203-212.
    """
    hs = io.hyperspy()
    spectra = _checks.as_float32("spectra", getattr(spectra, "data", spectra))
    energies = np.asarray(energies, np.float64)
    components = _checks.check_count("components", components)
    if spectra.ndim < 2 or spectra.shape[-1] != len(energies) or spectra.min() < 0:
        raise ValueError(
            f"spectra has shape {spectra.shape} and values from {spectra.min():g}, and there are "
            f"{len(energies)} energies; expected (..., channels) with as many, and counts."
        )
    spectra = spectra.reshape(-1, len(energies))
    # what is empty would be divided by zero, and tells nothing
    some, channels = spectra.sum(axis=1) > 0, spectra.sum(axis=0, dtype=np.float64) > 0
    if some.sum() < max(2, components) or channels.sum() < components:
        raise ValueError(
            f"{some.sum()} spectra and {channels.sum()} channels have counts; expected at least "
            f"as many of each as components, {components}."
        )
    data = spectra[np.ix_(some, channels)]
    mean = data.mean(axis=0, dtype=np.float64) if scaled else np.ones(channels.sum())
    solver = _CovarianceSolver(components)
    with io.quiet():
        signal = hs.signals.Signal1D(data)
        signal.decomposition(
            normalize_poissonian_noise=scaled,
            algorithm=solver,
            output_dimension=components,
            print_info=False,
        )
    found = signal.learning_results.factors.T.astype(np.float64)
    # orthogonal in HyperSpy's scaled channels; the length is free, and becomes 1 there
    length = np.sqrt((found**2 / mean).sum(axis=1, keepdims=True))
    factors = np.zeros((components, len(energies)))
    factors[:, channels] = found / length
    duals = np.zeros_like(factors)
    duals[:, channels] = factors[:, channels] / mean
    variance = solver.all_variance_ / solver.all_variance_.sum()
    return Components(energies, factors, duals, variance)


# --- counts that change with the tilt -----------------------------------------------------------


def tilt_response(maps) -> np.ndarray:
    """Estimate which share of the X-rays was counted at each tilt, from the maps themselves.

    A particle that lies wholly in every image has the same mass at every tilt, so all its counts
    together change only with the detectors. The same share is taken for all elements: more
    counts make it more precise, and which part of a detector is hidden does not depend on them.

    Parameters
    ----------
    maps
        (elements, tilts, slices, size), less background.

    Returns
    -------
    numpy.ndarray
        (tilts,), with a mean of 1.

    Raises
    ------
    ValueError
        If a tilt has no counts.
    """
    maps = _checks.as_float32("maps", maps, ndim=(4,))
    totals = maps.sum(axis=(0, 2, 3), dtype=np.float64)
    if totals.min() <= 0:
        raise ValueError(
            f"maps hold {totals.min():g} counts in all at tilt {int(totals.argmin())}; expected "
            "more than 0."
        )
    return totals / totals.mean()


def normalise_tilts(maps, response) -> np.ndarray:
    """Return maps divided by the response of their tilt: float32, (elements, tilts, slices, size)."""
    maps = _checks.as_float32("maps", maps, ndim=(4,))
    response = _checks.as_float32("response", response, ndim=(1,))
    if len(response) != maps.shape[1] or response.min() <= 0:
        raise ValueError(
            f"response has {len(response)} values from {response.min():g}, but maps have "
            f"{maps.shape[1]} tilts; expected one value above 0 for each."
        )
    return maps / response[:, None, None]


def _frame(shape, border):
    border = _checks.check_count("border", border)
    if 2 * border >= min(shape):
        raise ValueError(
            f"border is {border} pixels, but images are {shape[0]} by {shape[1]}; expected less "
            "than half of that."
        )
    frame = np.ones(shape, bool)
    frame[border:-border, border:-border] = False
    return frame


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


def _move_onto(still, moving, shift, upsample):
    """Return the shift that brings an image onto another, (2,), from a first guess."""
    shift, still = np.array(shift), _structure(still)
    for _ in range(5):
        step = _correlate(still, _structure(_shift(moving, shift)), upsample)
        shift += step
        if np.abs(step).max() <= 1 / upsample:
            break
    return shift


def _structure(image, scale=1.0):
    """Return what of an image can be compared: band-passed, and faded out towards the edges."""
    fade = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
    fine = ndimage.gaussian_filter(image, max(_FINE * scale, 0.5))
    return (fine - ndimage.gaussian_filter(image, _COARSE * scale)) * fade


def _correlate(still, moving, upsample):
    """Return by how many pixels the structure `moving` must move to fit `still`, (2,)."""
    from skimage.registration import phase_cross_correlation

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
