"""The tilt axis: where it lies in the images, and images turned so that it is vertical."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, sparse

from .._checks import as_float32, check_choice, check_count, check_flag, check_number
from .._progress import progress_bar
from .axis_search import ROTATIONS, ROUNDS, Search, upright_places
from .images import MODES, check_shifts

# By how much one error must be the larger; and with which standard error, in degrees, a rotation is
# no longer worth applying.
_CLEARLY, _UNSURE = 1.1, 2.0


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
        Standard errors, in degrees and pixels, from how much tilts and slices disagree; the
        offset's is for these shifts. NaN if not estimated, infinite where images do not tell.
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
    depth: float | None = None,
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
    depth
        Of a flat specimen that leaves the images across the tilt axis, such as a section: how thick
        it may be, in pixels; see `crop_flat` and `slab_mask`. None for a particle or a needle.
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
        If images do not tell the direction or the rotation, as the specimen is nearly round or the
        tilts are few; or if the specimen leaves the images and `depth` is not given.

    Notes
    -----
    While images are aligned by their contents, an offset can hide in the shifts: what is sure is
    where the axis lies in images that were moved by just these. An axis that points the other way
    fits as well, with the mirror image of the specimen; only the microscope tells which is right.
    Standard errors are those of an M-estimator whose errors are shared within tilts and within
    blocks of slices [1]_.

    References
    ----------
    .. [1] Cameron, Gelbach and Miller, "Robust inference with multiway clustering", Journal of
       Business and Economic Statistics 29 (2011) 238-249.

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
    with progress_bar(1 + ROUNDS, "looking for the tilt axis", progress) as bar:
        search, tilts = Search.of(haadf, angles, shifts, depth)
        errors, along, place = search.directions(ROTATIONS)
        bar.update()
        place, error = search.run(along, place, bar.update)
    back = np.empty_like(search.shifts)
    back[tilts] = search.shifts * search.factor - search.middle
    (rotation, offset), (turn, aside) = (pair * (1, search.factor) for pair in (place, error))
    axis = TiltAxis(along, rotation, offset, float(turn), float(aside), errors, back)
    if search.is_cut(along, place):
        warnings.warn(
            "haadf shows the specimen up to the edges on both sides of the tilt axis: tilts do not "
            "show the same of it, and the axis may come out wrong. If it is flat, give its "
            "thickness as depth.",
            UserWarning,
            stacklevel=2,
        )
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
    places = upright_places(images.shape[-2:], axis.along, axis.rotation, axis.offset)
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


def axis_matrices(
    shape: tuple[int, ...], axis: TiltAxis, shifts: np.ndarray
) -> tuple[sparse.csr_array, ...]:
    """Return what `apply_tilt_axis` weighs the pixels of each tilt with, for its usual mode."""
    places = upright_places(shape, axis.along, axis.rotation, axis.offset)
    at = (places - move[:, None, None] for move in shifts)
    return tuple(_linear_weights(shape, here.reshape(2, -1), "nearest") for here in at)


def direction_errors(
    haadf: ArrayLike, angles: ArrayLike, shifts: ArrayLike, depth: float | None
) -> np.ndarray:
    """Return the errors of predicted tilts, (2,), with a vertical and with a horizontal axis."""
    return Search.of(haadf, angles, shifts, depth)[0].directions((0.0,))[0]


def is_clearly_horizontal(errors: np.ndarray) -> bool:
    """Say whether a horizontal axis predicts tilts clearly better than a vertical one."""
    return errors[0] > _CLEARLY * errors[1]


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
