"""Alignment refined against reprojections of the reconstruction."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, check_count, check_function, check_number
from .._progress import progress_bar
from ..projector import Projector
from .alignment import correlate, structure
from .axis_search import LEAST_TILTS
from .images import apply_shifts, bin_images, check_shifts, crop_flat, slab_mask
from .tilt_axis import direction_errors, is_clearly_horizontal


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

    Unlike a neighbor, the reprojection agrees with all tilts at once and with a rotation about
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
    if len(haadf) >= LEAST_TILTS:
        _warn_if_horizontal(direction_errors(haadf, angles, shifts, depth))
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


def _warn_if_horizontal(errors):
    if is_clearly_horizontal(errors):
        warnings.warn(
            "the tilt axis of haadf looks horizontal: so left-out tilts are predicted with an "
            f"error of {errors[1]:.2g}, with a vertical one of {errors[0]:.2g}. hebt expects it "
            "vertical: find it with estimate_tilt_axis, and turn haadf and maps by "
            "apply_tilt_axis.",
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
