"""The tilt axis: where it lies in the images, and images turned so that it is vertical."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, sparse

from .._checks import (
    as_float32,
    check_angles,
    check_choice,
    check_count,
    check_flag,
    check_number,
    check_signs,
)
from .._progress import progress_bar
from ..projector import Projector
from .alignment import estimate_shifts, mass_centers
from .images import MODES, apply_shifts, bin_images, check_shifts

# Tilts, at least; as many pixels are enough; by how much one error must be the larger; and with
# which standard error, in degrees, a rotation is no longer worth applying.
LEAST_TILTS, _PIXELS, _CLEARLY, _UNSURE = 6, 64, 1.1, 2.0
# Where the search begins, in degrees; how wide it looks around the best, in degrees and pixels.
_ROTATIONS, _FIRST, _THEN = np.arange(-45.0, 46.0, 7.5), (3.0, 1.0), (2.0, 0.7)
_ITERATIONS, _ROUNDS = 50, 6


@dataclass(frozen=True, eq=False)
class TiltAxis:
    """Where the tilt axis lies in the recorded images.

    Found by `estimate_tilt_axis`; or made by hand, where the microscope says it.

    Attributes
    ----------
    along
        The axis of an image that it lies along: 0, vertical, as all of hebt expects, or 1,
        horizontal.
    rotation
        By how many degrees it is turned from there, counter-clockwise on the screen, where axis 0
        points down.
    offset
        How many pixels it lies from the middle of the images once they are moved by `shifts`,
        turned and upright: positive towards higher indices of axis 1 there.
    rotation_error, offset_error
        Standard errors, in degrees and pixels, from how much tilts disagree; the offset's is for
        these shifts. NaN if not estimated, infinite where the images do not tell.
    errors
        (2,): errors of predicted images, relative, with the axis along 0 and along 1, both turned
        by about `rotation`: one belongs to an axis 90 degrees off. None if not estimated.
    shifts
        (tilts, 2), by which images are moved first, in pixels along axes 0 and 1 of the recorded
        images; None for none.
    """

    along: int = 0
    rotation: float = 0.0
    offset: float = 0.0
    rotation_error: float = np.nan
    offset_error: float = np.nan
    errors: np.ndarray | None = None
    shifts: np.ndarray | None = None

    def __post_init__(self):
        if isinstance(self.along, (bool, np.bool_)) or self.along not in (0, 1):
            raise ValueError(
                f"along is {self.along!r}; expected 0, where the tilt axis lies along the columns "
                "of an image, or 1, along its rows."
            )
        object.__setattr__(self, "along", int(self.along))
        for name, unit in (("rotation", "degrees"), ("offset", "pixels")):
            value = check_number(name, getattr(self, name), f"a number of {unit}", least=-np.inf)
            object.__setattr__(self, name, value)
        if self.shifts is not None:
            object.__setattr__(self, "shifts", check_shifts(self.shifts))

    @property
    def decided(self) -> bool:
        """Whether one direction predicts tilts clearly better than the other."""
        return self.errors is None or bool(max(self.errors) > _CLEARLY * min(self.errors))


def estimate_tilt_axis(
    haadf: ArrayLike,
    angles: ArrayLike,
    *,
    shifts: ArrayLike | None = None,
    progress: bool | None = None,
) -> TiltAxis:
    """Find the direction, the rotation and the offset of the tilt axis: what predicts tilts best.

    Every second tilt is predicted from a reconstruction of the others, in small images and for
    some slices, with the axis in many places; directions over half a turn come first, then a
    parabola is laid through the squared errors around the best, until it stays. In between images
    are moved onto their predictions. Sums over rows (`mass_inconsistency`) do not tell the
    direction: while images are not aligned, they may stay more alike across the tilt axis.

    Parameters
    ----------
    haadf
        (tilts, slices, size), less the detector's offset. Each tilt may have a brightness of its
        own.
    angles
        (tilts,), degrees.
    shifts
        (tilts, 2), pixels along axes 0 and 1 of the images, which are aligned by them and stay so.
        From `estimate_shifts`, and then refined, if None.
    progress
        Whether to show a progress bar; if None, where somebody can see it.

    Returns
    -------
    TiltAxis
        For `apply_tilt_axis`, with the shifts that it was found with.

    Raises
    ------
    ValueError
        If there are fewer than six tilts, or not as many images as angles.

    Warns
    -----
    UserWarning
        If images do not tell the direction or the rotation: the specimen is nearly round, or the
        tilts are few.

    Notes
    -----
    While images are aligned by their contents, an offset can hide in the shifts: what is sure is
    where the axis lies in images that were moved by just these. An axis that points the other way
    fits as well, with the mirror image of the specimen; only the microscope tells which is right.
    Standard errors are those of an M-estimator whose parts are the tilts [1]_.

    References
    ----------
    .. [1] White, "Maximum likelihood estimation of misspecified models", Econometrica 50 (1982)
       1-25.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> volume = np.zeros((32, 32, 32), np.float32)
    >>> volume[6:22, 9:15, 12:26] = volume[14:27, 15:22, 8:16] = 1
    >>> angles = np.arange(-70, 71, 10.0)
    >>> images = hebt.Projector(angles, 32).forward(volume)
    >>> turned = np.rot90(images, -1, axes=(1, 2))
    >>> axis = hebt.prepare.estimate_tilt_axis(turned, angles, shifts=np.zeros((15, 2)))
    >>> axis.along, round(abs(axis.rotation))
    (1, 0)
    """
    images, order, angles, moves, (factor, middle) = _checked(haadf, angles, shifts)
    with progress_bar(2 + _ROUNDS, "looking for the tilt axis", progress) as bar:
        found = moves
        if found is None:
            found = estimate_shifts(images, upsample=20) + middle / factor
        bar.update()
        errors, along, place = _directions(images, angles, found, _ROTATIONS)
        bar.update()
        search = _Search(images, angles, along, found, moves is None)
        place, error = search.run(place, bar)
    back = np.empty_like(search.shifts)
    back[order] = search.shifts * factor - middle
    rotation, offset = place[0], place[1] * factor
    axis = TiltAxis(along, rotation, offset, error[0], error[1] * factor, errors, back)
    _warn_if_unsure(axis)
    return axis


def apply_tilt_axis(
    images: ArrayLike,
    axis: TiltAxis,
    *,
    shifts: ArrayLike | None = None,
    order: int = 1,
    mode: str = "nearest",
    variance: bool = False,
) -> np.ndarray:
    """Move and turn images, of any channel, so that the tilt axis is vertical and in the middle.

    Shift and rotation are one interpolation. Images with a horizontal axis are turned as by
    ``np.rot90(images, axes=(-2, -1))``; to transpose them would mirror the specimen.

    Parameters
    ----------
    images
        (..., tilts, slices, size): HAADF images or element maps, as recorded.
    axis
        From `estimate_tilt_axis`.
    shifts
        (tilts, 2), pixels along axes 0 and 1 of `images`; those of `axis`, if None.
    order, mode
        As for `apply_shifts`.
    variance
        Whether `images` are variances of pixels with independent noise: what they are weighted
        with is squared. For `order` 1, and `mode` "nearest" or "constant".

    Returns
    -------
    numpy.ndarray
        float32, (..., tilts, slices, size), slices along the tilt axis: with a horizontal axis as
        many as `images` have along axis -1.

    Raises
    ------
    TypeError, ValueError
        If `axis` is no TiltAxis, there is not one shift per tilt, or an argument is out of range.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> images = np.array([[[0, 0, 4, 0], [0, 0, 0, 8]]])
    >>> hebt.prepare.apply_tilt_axis(images, hebt.prepare.TiltAxis(along=1, offset=0.5))
    array([[[4., 8.],
            [2., 0.],
            [0., 0.],
            [0., 0.]]], dtype=float32)
    """
    images = as_float32("images", images)
    if not isinstance(axis, TiltAxis):
        raise TypeError(
            f"axis is a {type(axis).__name__}; expected a hebt.prepare.TiltAxis, from "
            "hebt.prepare.estimate_tilt_axis."
        )
    order = check_count("order", order, least=0, most=5)
    mode = check_choice("mode", mode, MODES)
    if check_flag("variance", variance) and (order != 1 or mode not in ("nearest", "constant")):
        raise ValueError(
            f"order is {order} and mode {mode!r}; expected 1, and 'nearest' or 'constant', for a "
            "variance."
        )
    given = axis.shifts if shifts is None else check_shifts(shifts)
    tilts = images.shape[-3] if images.ndim > 2 else 0
    moves = np.zeros((tilts, 2)) if given is None else given
    if images.ndim < 3 or len(moves) != tilts:
        whose = "axis.shifts" if shifts is None else "shifts"
        raise ValueError(
            f"images has shape {images.shape} and {whose} {moves.shape}; expected "
            "(..., tilts, slices, size) and (tilts, 2) with as many tilts. Give shifts of these "
            "images."
        )
    places = _places(images.shape[-2:], axis.along, axis.rotation, axis.offset)
    turned = np.empty((*images.shape[:-2], *places.shape[1:]), np.float32)
    for tilt, move in enumerate(moves):
        at = places - move[:, None, None]
        here = images[..., tilt, :, :].reshape(-1, *images.shape[-2:])
        if variance:
            weights = _linear_weights(images.shape[-2:], at.reshape(2, -1), mode)
            weights.data **= 2
            made = (weights @ here.reshape(len(here), -1).T.astype(np.float64)).T
        else:
            made = np.array([ndimage.map_coordinates(i, at, order=order, mode=mode) for i in here])
        turned[..., tilt, :, :] = made.reshape(*images.shape[:-3], *places.shape[1:])
    return turned


def direction_errors(haadf: ArrayLike, angles: ArrayLike, shifts: ArrayLike) -> np.ndarray:
    """Return the errors of predicted tilts, (2,), with a vertical and with a horizontal axis."""
    images, _, angles, moves, _ = _checked(haadf, angles, shifts)
    return _directions(images, angles, moves, (0.0,))[0]


def is_clearly_horizontal(errors: np.ndarray) -> bool:
    """Say whether a horizontal axis predicts tilts clearly better than a vertical one."""
    return errors[0] > _CLEARLY * errors[1]


class _Search:
    """Where the axis lies, to a fraction of a degree and of a pixel, and how the images lie."""

    def __init__(self, images, angles, along, shifts, free):
        self.splines, self.angles, self.along = _splines(images), angles, along
        self.shifts, self.free = shifts, free

    def run(self, place, bar):
        """Return the (rotation, offset), from a first guess, and their standard errors."""
        width, error = np.array(_FIRST), np.full(2, np.inf)
        for at_round in range(_ROUNDS):
            if self.free:
                for _ in range(2):
                    self.move(place)
            steps = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]) * width
            squares = _predict(self.splines, self.angles, self.along, steps + place, self.shifts)
            step, error = _lowest(steps, squares)
            place = place + step.clip(-1.5 * width, 1.5 * width)
            width = np.array(_THEN)
            bar.update()
            if at_round and (np.abs(step) < 0.1 * error).all():
                break
        return place, error

    def move(self, place):
        """Move the images onto their predictions from other tilts, by least squares.

        First those of one half, then, when these have been moved, those of the other: at once,
        the halves would change places.
        """
        frame = np.array(_frame(self.along, place[0]))
        for first in (0, 1):
            held = slice(1 - first, None, 2)
            p = _turn(self.splines, self.along, *place, self.shifts, 1)
            q = _predicted(p, self.angles, first)
            inner = _inner(*p.shape[1:])
            slopes = np.gradient(q, axis=(1, 2))
            for move, image, *parts in zip(self.shifts[held], p[held], q, *slopes, strict=True):
                rows = np.stack([part[inner].ravel() for part in parts], axis=1).astype(np.float64)
                scale, *step = np.linalg.lstsq(rows, image[inner].ravel(), rcond=None)[0]
                if scale > 0:
                    move += (np.array(step) / scale).clip(-1, 1) @ frame


def _checked(haadf, angles, shifts):
    """Return small images in the order of the tilts, this order, angles, shifts, and `_binned`'s.

    What is finer than a pixel after the binning would be smoothed the more, the further images are
    turned: they are smoothed before.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    check_signs("haadf", haadf)
    angles = check_angles(angles)
    moves = None if shifts is None else check_shifts(shifts)
    counts = [len(haadf), len(angles), len(angles if moves is None else moves)]
    if len(set(counts)) > 1 or len(angles) < LEAST_TILTS:
        raise ValueError(
            f"there are {counts[0]} images in haadf, {counts[1]} angles and {counts[2]} shifts; "
            f"expected as many, and at least {LEAST_TILTS}."
        )
    order = np.argsort(angles)
    images, factor, middle = _binned(haadf[order] / max(haadf.max(), 1e-30), _PIXELS)
    moves = None if moves is None else (moves[order] + middle) / factor
    moved = images if moves is None else apply_shifts(images, moves)
    shows = (moved > 0).any(axis=(1, 2))
    if not shows.all():
        raise ValueError(
            f"haadf shows nothing at {angles[order][shows.argmin()]:g} degrees once moved by "
            "shifts; expected a specimen in every image."
        )
    smoothed = ndimage.gaussian_filter(images, (0, 1, 1))
    return smoothed, order, angles[order], moves, (factor, middle)


def _binned(images, pixels):
    """Return binned images, the factor, and by how much their middle lies further up, (2,)."""
    factor = max(1, min(images.shape[1:]) // pixels)
    odd = np.array(images.shape[1:]) % factor
    high, wide = images.shape[1:] - odd
    return bin_images(images[:, :high, :wide], factor, mean=True), factor, -odd / 2


def _directions(images, angles, shifts, rotations):
    """Return the errors along either image axis, (2,), which is better, and (rotation, offset).

    The errors are those of the best place, and of the one 90 degrees from it.
    """
    small, factor, middle = _binned(images, _PIXELS // 2)
    splines = _splines(small)
    mass = mass_centers("haadf", np.maximum(apply_shifts(images, shifts), 0)).mean(axis=0)
    squares = np.empty((2, len(rotations), 3))
    places = np.empty((*squares.shape, 2))
    for along in (0, 1):
        aside = 0.04 * small.shape[1 if along else 2] * np.arange(-1, 2)
        for i, rotation in enumerate(rotations):
            places[along, i, :, 0] = rotation
            places[along, i, :, 1] = mass @ _frame(along, rotation)[1] / factor + aside
        tried = places[along].reshape(-1, 2)
        predicted = _predict(splines, angles, along, tried, (shifts + middle) / factor)
        squares[along] = predicted.mean(axis=1).reshape(-1, 3)
    best = np.unravel_index(squares.argmin(), squares.shape)
    errors = np.sqrt(squares[:, best[1]].min(axis=1))
    return errors, int(best[0]), places[best] * (1, factor)


def _predict(splines, angles, along, places, shifts):
    """Return squared errors of predicted tilts, (places, tilts), for (rotation, offset) each."""
    high = splines.shape[2 if along else 1]
    step = 2 if high >= 32 else 1
    p = np.stack([_turn(splines, along, *place, shifts, step) for place in places], axis=1)
    q = np.empty_like(p)
    for first in (0, 1):
        q[1 - first :: 2] = _predicted(p, angles, first)
    p, q = (part[(..., *_inner(*p.shape[-2:], rows=False))].astype(np.float64) for part in (p, q))
    norms = (p**2).sum(axis=(2, 3))
    # the brightness is free: a tilt may be brighter than another, or damped
    match = (p * q).sum(axis=(2, 3)) ** 2 / np.maximum((q**2).sum(axis=(2, 3)), 1e-30)
    return ((norms - match) / norms.mean(axis=0)).T


def _predicted(p, angles, first):
    """Return what every second of turned images is, by a reconstruction of those from `first`."""
    from ..reconstruct import sirt

    W = Projector(angles[first::2], p.shape[-1])
    x = sirt(W, np.maximum(p[first::2], 0), _ITERATIONS, progress=False)
    return Projector(angles[1 - first :: 2], p.shape[-1]).forward(x)


def _turn(splines, along, rotation, offset, shifts, step):
    places = _places(splines.shape[1:], along, rotation, offset)
    if step > 1:
        edge = places.shape[1] // 8
        places = places[:, edge : places.shape[1] - edge : step]
    options = dict(order=3, mode="nearest", prefilter=False, output=np.float32)
    return np.stack(
        [
            ndimage.map_coordinates(image, places - move[:, None, None], **options)
            for image, move in zip(splines, shifts, strict=True)
        ]
    )


def _splines(images):
    return np.stack([ndimage.spline_filter(image, 3, mode="nearest") for image in images])


def _inner(high, wide, rows=True):
    """Return the pixels that are compared: those near the edges miss what has left the images."""
    edge = high // 8 if rows else 0
    return slice(edge, high - edge), slice(wide // 10, wide - wide // 10)


def _lowest(steps, squares):
    """Return where a parabola through summed squares is lowest, and the standard errors of that.

    The sandwich formula: tilts are the parts of the sum, each with a slope of its own there.
    """
    x, y = steps.T
    terms = np.stack([np.ones_like(x), x, y, x * x / 2, x * y, y * y / 2], axis=1)
    fits = np.linalg.lstsq(terms, squares, rcond=None)[0]
    curved = fits[[3, 4, 4, 5]].reshape(2, 2, -1)
    total = curved.sum(axis=2)
    if not np.linalg.eigvalsh(total).min() > 0:
        return steps[squares.sum(axis=1).argmin()], np.full(2, np.inf)
    step = -np.linalg.solve(total, fits[1:3].sum(axis=1))
    slopes = fits[1:3] + np.einsum("abt,b->at", curved, step)
    tilts = squares.shape[1]
    inverse = np.linalg.inv(total)
    covariance = inverse @ (slopes @ slopes.T) @ inverse * tilts / (tilts - 2)
    return step, np.sqrt(np.diag(covariance))


def _frame(along, rotation):
    """Return the directions along and across the axis, as (axis 0, axis 1) of a recorded image."""
    c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    # a horizontal one as np.rot90 turns images
    return ((s, -c), (c, s)) if along else ((c, s), (-s, c))


def _places(shape, along, rotation, offset):
    """Return where the pixels of an upright image lie in a recorded one, (2, slices, size)."""
    slices, size = shape[::-1] if along else shape
    at = np.arange(slices) - (slices - 1) / 2
    across = np.arange(size) - (size - 1) / 2 + offset
    frame = np.array(_frame(along, rotation))[:, :, None, None]
    middle = (np.array(shape)[:, None, None] - 1) / 2
    return middle + frame[0] * at[:, None] + frame[1] * across


def _linear_weights(shape, places, mode):
    """Return what linear interpolation weighs pixels with, sparse (places, pixels)."""
    last = np.array(shape)[:, None] - 1
    inside = np.clip(places, 0, last)
    low = np.minimum(inside.astype(int), np.maximum(last - 1, 0))
    share = inside - low
    if mode == "constant":
        kept = (places == inside).all(axis=0)
    else:
        kept = np.ones(places.shape[1], bool)
    parts = []
    for down, right in np.ndindex(2, 2):
        y, x = np.minimum(low + [[down], [right]], last)
        worth = [part if by else 1 - part for part, by in zip(share, (down, right), strict=True)]
        parts.append((worth[0] * worth[1] * kept, y * shape[1] + x))
    data, columns = (np.stack(part, axis=1).ravel() for part in zip(*parts, strict=True))
    starts = np.arange(0, len(data) + 1, 4)
    return sparse.csr_array((data, columns, starts), (places.shape[1], shape[0] * shape[1]))


def _warn_if_unsure(axis):
    known = "Where you know it, give hebt.prepare.TiltAxis(along=..., rotation=...) instead."
    if not axis.decided:
        vertical, horizontal = axis.errors
        warnings.warn(
            "haadf does not tell whether the tilt axis is vertical or horizontal: left-out tilts "
            f"are predicted with errors of {vertical:.2g} and {horizontal:.2g}. The specimen is "
            f"nearly round, or the tilts are few. {known}",
            UserWarning,
            stacklevel=3,
        )
    elif not axis.rotation_error <= _UNSURE:
        warnings.warn(
            f"haadf hardly tells the rotation of the tilt axis: {axis.rotation:.1f} degrees, with "
            f"a standard error of {axis.rotation_error:.1f}. {known}",
            UserWarning,
            stacklevel=3,
        )
