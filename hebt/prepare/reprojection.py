"""Alignment refined against reprojections of the reconstruction."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .._checks import (
    as_float32,
    check_angles,
    check_count,
    check_function,
    check_number,
    check_signs,
)
from .._progress import progress_bar
from ..projector import Projector
from .alignment import correlate, estimate_shifts, mass_centers, structure
from .images import apply_shifts, bin_images, check_shifts, crop_flat, slab_mask

# What it takes to tell the tilt axis: tilts, at least; as many pixels and tilts as are enough; and
# by how much one error must be the larger.
_LEAST, _SMALL, _FEW, _CLEARLY = 6, 64, 21, 1.1


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


@dataclass(frozen=True)
class TiltAxis:
    """What `estimate_tilt_axis` found.

    Attributes
    ----------
    direction
        "vertical", as all of hebt expects, "horizontal", or "undecided" where one error is hardly
        larger than the other.
    errors
        (2,): errors of predicted images, with the axis taken for vertical and for horizontal.
    """

    direction: str
    errors: np.ndarray


def estimate_tilt_axis(
    haadf: ArrayLike, angles: ArrayLike, *, shifts: ArrayLike | None = None
) -> TiltAxis:
    """Tell along which axis of the images the tilt axis lies: which one predicts tilts better.

    Every second tilt is predicted from a reconstruction of the others, in small images. Sums over
    rows (`mass_inconsistency`) do not tell: while images are not aligned, they may stay more alike
    across the tilt axis.

    Parameters
    ----------
    haadf
        (tilts, slices, size), less the detector's offset.
    angles
        (tilts,), degrees.
    shifts
        (tilts, 2), to align the images; from `estimate_shifts`, if None.

    Returns
    -------
    TiltAxis
        Images with a horizontal axis are turned by ``np.rot90(haadf, axes=(-2, -1))``, and maps
        too; to transpose them would mirror the specimen.

    Raises
    ------
    ValueError
        If there are fewer than six tilts, or not as many images as angles.
    """
    from ..reconstruct import sirt

    haadf = as_float32("haadf", haadf, ndim=(3,))
    check_signs("haadf", haadf)
    angles = check_angles(angles)
    moves = None if shifts is None else check_shifts(shifts)
    counts = [len(haadf), len(angles), len(angles if moves is None else moves)]
    if len(set(counts)) > 1 or len(angles) < _LEAST:
        raise ValueError(
            f"there are {counts[0]} images in haadf, {counts[1]} angles and {counts[2]} shifts; "
            f"expected as many, and at least {_LEAST}."
        )
    order = np.argsort(angles)
    factor = max(1, min(haadf.shape[1:]) // _SMALL)
    high, wide = (n // factor * factor for n in haadf.shape[1:])
    images = bin_images(haadf[order, :high, :wide] / max(haadf.max(), 1e-30), factor)
    moves = estimate_shifts(images, upsample=5) if moves is None else moves[order] / factor
    few = slice(None, None, -(-len(angles) // _FEW))
    images = np.maximum(apply_shifts(images, moves), 0)[few]
    angles = angles[order][few]
    shows = images.any(axis=(1, 2))
    if not shows.all():
        raise ValueError(
            f"haadf shows nothing at {angles[shows.argmin()]:g} degrees once moved by shifts; "
            "expected a specimen in every image."
        )
    errors = []
    for p in (images, np.rot90(images, axes=(1, 2))):
        middle = np.array([[0, mass_centers("haadf", p)[:, 1].mean()]])
        p = apply_shifts(p, np.repeat(-middle, len(p), axis=0))
        apart = 0.0
        for seen, held in (
            (slice(0, None, 2), slice(1, None, 2)),
            (slice(1, None, 2), slice(0, None, 2)),
        ):
            x = sirt(Projector(angles[seen], p.shape[-1]), p[seen], 100, progress=False)
            q = Projector(angles[held], p.shape[-1]).forward(x)
            apart += float(((p[held] - q) ** 2).sum(dtype=np.float64))
        errors.append(np.sqrt(apart / (p**2).sum(dtype=np.float64)))
    better = ("vertical", "horizontal")[int(np.argmin(errors))]
    clear = max(errors) > _CLEARLY * min(errors)
    return TiltAxis(better if clear else "undecided", np.array(errors))


def refine_alignment(
    haadf: ArrayLike,
    angles: ArrayLike,
    shifts: ArrayLike,
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

    Unlike a neighbour, the reprojection agrees with all tilts at once and with a rotation about
    the middle column, so errors do not add up, and the tilt axis comes to lie there.

    Parameters
    ----------
    haadf
        (tilts, slices, size), less the detector's offset.
    angles
        (tilts,), degrees.
    shifts
        (tilts, 2), where to begin: from `estimate_shifts`.
    solve
        Reconstructs: ``solve(W, p, iterations=..., mask=...)``, such as `hebt.sirt`.
    size, slices
        What to keep of the images; see `crop_flat`.
    depth
        How thick the specimen may be, in pixels of `haadf`; see `slab_mask`.
    factor
        Reconstructions are made of images binned by this factor.
    rounds, tolerance
        Stop after so many rounds, or when no image asks to be moved by more pixels than that.
    iterations
        Iterations of each reconstruction.
    progress
        Whether to show a progress bar; if None, where somebody can see it.

    Returns
    -------
    Alignment
        Shifts for `apply_shifts`, and how the rounds went.

    Raises
    ------
    ValueError
        If an argument is out of range; see `crop_flat` and `slab_mask`.

    Warns
    -----
    UserWarning
        If the tilt axis looks horizontal; see `estimate_tilt_axis`.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    shifts = check_shifts(shifts).copy()
    rounds = check_count("rounds", rounds)
    expected = "a number of pixels of at least 0"
    tolerance = check_number("tolerance", tolerance, expected, also_least=True)
    if len(haadf) >= _LEAST:
        _warn_if_horizontal(estimate_tilt_axis(haadf, angles, shifts=shifts))
    steps, residuals = [], []
    with progress_bar(rounds, "aligning with the reprojection", progress) as bar:
        for _ in range(rounds):
            p, q = _reproject(haadf, angles, shifts, solve, size, depth, slices, factor, iterations)
            there, here = ([structure(image, 1 / factor) for image in images] for images in (q, p))
            step = factor * np.array([correlate(*pair, 50) for pair in zip(there, here)])
            steps.append(np.abs(step).max())
            residuals.append(_apart(p, q))
            bar.update()
            if steps[-1] <= tolerance:
                break
            shifts += step
    return Alignment(shifts, np.array(steps), np.array(residuals))


def reprojection_residual(
    haadf: ArrayLike,
    angles: ArrayLike,
    shifts: ArrayLike,
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

    Raises
    ------
    ValueError
        If an argument is out of range; see `crop_flat` and `slab_mask`.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    offset = check_number("offset", offset, "a number of pixels", least=-np.inf)
    moved = check_shifts(shifts) + [0.0, offset]
    return _apart(*_reproject(haadf, angles, moved, solve, size, depth, slices, factor, iterations))


def _warn_if_horizontal(axis):
    if axis.direction == "horizontal":
        vertical, horizontal = axis.errors
        warnings.warn(
            "the tilt axis of haadf looks horizontal: so left-out tilts are predicted with an "
            f"error of {horizontal:.2g}, with a vertical one of {vertical:.2g}. hebt expects "
            "it vertical: turn haadf and maps by np.rot90(images, axes=(-2, -1)).",
            UserWarning,
            stacklevel=3,
        )


def _reproject(haadf, angles, shifts, solve, size, depth, slices, factor, iterations):
    solve = check_function("solve", solve, "a function such as hebt.sirt")
    depth = check_number("depth", depth, "a number of pixels above 0")
    iterations = check_count("iterations", iterations)
    images = crop_flat(apply_shifts(haadf, shifts), angles, size=size, slices=slices)
    p = bin_images(images, factor)
    W = Projector(angles, p.shape[-1])
    mask = slab_mask(W.size, min(depth / factor, W.size))
    x = solve(W, p, iterations=iterations, mask=mask)
    return p, W.forward(x)


def _apart(p, q):
    # what tilts in from beyond the strip is no error of the alignment
    inner = slice(p.shape[-1] // 6, p.shape[-1] - p.shape[-1] // 6)
    p, q = p[..., inner].astype(np.float64), q[..., inner]
    if not p.any():
        raise ValueError(
            "haadf is 0 everywhere in what is kept of it; expected images of a specimen. Check "
            "shifts, size and slices."
        )
    return float(np.linalg.norm(p - q) / np.linalg.norm(p))
