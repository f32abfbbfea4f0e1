"""The search for the tilt axis: which one predicts left-out tilts best."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import ndimage

from .._checks import as_float32, check_angles, check_number, check_signs
from ..projector import Projector
from .alignment import estimate_shifts, mass_centers
from .images import apply_shifts, bin_images, check_shifts, crop_flat, slab_mask

# Tilts, at least, and as many pixels as are enough.
LEAST_TILTS, _PIXELS = 6, 64
# Where the search begins, in degrees; how wide it looks around the best, in degrees and pixels.
ROTATIONS, _FIRST, _THEN = tuple(np.arange(-45.0, 46.0, 7.5)), (3.0, 1.0), (2.0, 0.7)
ROUNDS, _BLOCKS = 6, 6
# Iterations: fewer leave a needle's own misfit, which hides the directions' difference.
_ITERATIONS, _FIRST_ITERATIONS = 50, 200
# Where the specimen is cut off: how bright both edges are, relative to the mean.
_CUT = 0.3


class Search:
    """A tilt series in small images, and how well an axis predicts tilts from other tilts.

    What is finer than a pixel after the binning would be smoothed the more, the further images are
    turned: they are smoothed before. A place is a (rotation, offset), in degrees and small pixels.
    """

    def __init__(self, images, angles, shifts, factor, middle, depth, iterations):
        self.images, self.angles, self.depth = images, angles, depth
        self.factor, self.middle, self.iterations = factor, middle, iterations
        self.splines = np.stack([ndimage.spline_filter(i, 3, mode="nearest") for i in images])
        free = shifts is None
        self.shifts = estimate_shifts(images, upsample=20) + middle / factor if free else shifts
        self.free = free

    @classmethod
    def of(cls, haadf, angles, shifts, depth):
        """Return the search for what `estimate_tilt_axis` takes, and the order of the tilts."""
        haadf = as_float32("haadf", haadf, ndim=(3,))
        check_signs("haadf", haadf)
        angles = check_angles(angles)
        moves = None if shifts is None else check_shifts(shifts)
        counts = [len(haadf), len(angles), len(angles if moves is None else moves)]
        if len(set(counts)) > 1 or len(angles) < LEAST_TILTS:
            raise ValueError(
                f"there are {counts[0]} images in haadf, {counts[1]} angles and {counts[2]} "
                f"shifts; expected as many, and at least {LEAST_TILTS}."
            )
        order = np.argsort(angles)
        images, factor, middle = _binned(haadf[order] / max(haadf.max(), 1e-30), _PIXELS)
        moves = None if moves is None else (moves[order] + middle) / factor
        shows = (images if moves is None else apply_shifts(images, moves)).max(axis=(1, 2)) > 0
        if not shows.all():
            raise ValueError(
                f"haadf shows nothing at {angles[order][shows.argmin()]:g} degrees once moved by "
                "shifts; expected a specimen in every image."
            )
        if depth is not None:
            depth = check_number("depth", depth, "a number of pixels above 0") / factor
        smoothed = ndimage.gaussian_filter(images, (0, 1, 1))
        return cls(smoothed, angles[order], moves, factor, middle, depth, _ITERATIONS), order

    def directions(self, rotations):
        """Return the errors along either image axis, (2,), which is better, and the best place.

        The errors are those of the best place, and of the one 90 degrees from it.
        """
        images, factor, middle = _binned(self.images, _PIXELS // 2)
        depth = None if self.depth is None else self.depth / factor
        shifts = (self.shifts + middle) / factor
        small = Search(images, self.angles, shifts, 1, 0, depth, _FIRST_ITERATIONS)
        mass = mass_centers("haadf", np.maximum(apply_shifts(images, small.shifts), 0))
        squares = np.empty((2, len(rotations), 3))
        places = np.empty((*squares.shape, 2))
        for along in (0, 1):
            aside = 0.04 * images.shape[1 if along else 2] * np.arange(-1, 2)
            for i, rotation in enumerate(rotations):
                places[along, i, :, 0] = rotation
                places[along, i, :, 1] = mass.mean(axis=0) @ frame(along, rotation)[1] + aside
            tried = small.predict(along, places[along].reshape(-1, 2), disc=True)
            squares[along] = tried.sum(axis=2).mean(axis=1).reshape(-1, 3)
        best = np.unravel_index(squares.argmin(), squares.shape)
        errors = np.sqrt(squares[:, best[1]].min(axis=1))
        return errors, int(best[0]), places[best] * (1, factor)

    def run(self, along, place, update):
        """Return the best place, from a first guess, and its standard errors."""
        width, error = np.array(_FIRST), np.full(2, np.inf)
        for at_round in range(ROUNDS):
            if self.free:
                for _ in range(2):
                    self.move(along, place)
            steps = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]) * width
            step, error = _lowest(steps, self.predict(along, steps + place))
            place = place + step.clip(-1.5 * width, 1.5 * width)
            width = np.array(_THEN)
            update()
            if at_round and (np.abs(step) < 0.1 * error).all():
                break
        return place, error

    def move(self, along, place):
        """Move the images onto their predictions from other tilts, by least squares.

        First those of one half, then, when these have been moved, those of the other: at once,
        the halves would change places.
        """
        directions = np.array(frame(along, place[0]))
        for first in (0, 1):
            held = slice(1 - first, None, 2)
            p = self.turn(along, place)
            q = self.half(p, first)
            inner = _inner(p.shape[1:])
            slopes = np.gradient(q, axis=(1, 2))
            for move, image, *parts in zip(self.shifts[held], p[held], q, *slopes, strict=True):
                rows = np.stack([part[inner].ravel() for part in parts], axis=1).astype(np.float64)
                scale, *step = np.linalg.lstsq(rows, image[inner].ravel(), rcond=None)[0]
                if scale > 0:
                    move += (np.array(step) / scale).clip(-1, 1) @ directions

    def predict(self, along, places, disc=False):
        """Return squared errors of predicted tilts, (places, tilts, blocks of slices)."""
        step = 2 if self.images.shape[2 if along else 1] >= 32 else 1
        p = np.stack([self.turn(along, place, step) for place in places], axis=1)
        q = np.empty_like(p)
        for first in (0, 1):
            q[1 - first :: 2] = self.half(p, first)
        inner = (..., *_inner(p.shape[-2:], rows=False))
        p, q = p[inner].astype(np.float64), q[inner]
        if disc:
            # what turned images have in common, however far they were turned
            y, x = (np.arange(n) - (n - 1) / 2 for n in p.shape[-2:])
            near = np.hypot(step * y[:, None], x) < 0.45 * min(self.images.shape[1:])
            p, q = p * near, q * near
        # the brightness is free: a tilt may be brighter than another, or damped
        match = (p * q).sum(axis=(2, 3)) / np.maximum((q**2).sum(axis=(2, 3)), 1e-30)
        left = ((p - match[..., None, None] * q) ** 2).sum(axis=3)
        starts = np.arange(_BLOCKS) * left.shape[2] // _BLOCKS
        parts = np.add.reduceat(left, np.unique(starts), axis=2)
        norms = (p**2).sum(axis=(2, 3)).mean(axis=0)
        return np.moveaxis(parts / np.maximum(norms, 1e-30)[:, None], 0, 1)

    def half(self, p, first):
        """Return what every second of turned images is, by a reconstruction from `first`'s."""
        from ..reconstruct import sirt

        size = p.shape[-1]
        mask = None if self.depth is None else slab_mask(size, min(self.depth, size))
        W = Projector(self.angles[first::2], size)
        with warnings.catch_warnings():
            # of a black level, which was asked about where the images came in
            warnings.filterwarnings("ignore", ".* in its darkest area", UserWarning)
            x = sirt(W, np.maximum(p[first::2], 0), self.iterations, mask, progress=False)
        return Projector(self.angles[1 - first :: 2], size).forward(x)

    def turn(self, along, place, step=1):
        """Return upright images, (tilts, slices, size), or every `step`-th slice."""
        places = upright_places(self.images.shape[1:], along, *place)
        if step > 1:
            edge = places.shape[1] // 8
            places = places[:, edge : places.shape[1] - edge : step]
        options = dict(order=3, mode="nearest", prefilter=False, output=np.float32)
        p = np.stack(
            [
                ndimage.map_coordinates(image, places - move[:, None, None], **options)
                for image, move in zip(self.splines, self.shifts, strict=True)
            ]
        )
        if self.depth is None:
            return p
        # the strip of a flat specimen that all tilts show
        size = p.shape[-1]
        return crop_flat(p, self.angles, size=size, edge=size / 16)

    def is_cut(self, along, place):
        """Whether the specimen seems to leave the images on both sides of the axis."""
        profile = np.maximum(self.turn(along, place), 0).mean(axis=(0, 1))
        edge = max(1, len(profile) // 16)
        least = min(profile[:edge].mean(), profile[-edge:].mean())
        return self.depth is None and least > _CUT * profile.mean()


def _binned(images, pixels):
    """Return binned images, the factor, and by how much their middle lies further up, (2,)."""
    factor = max(1, min(images.shape[1:]) // pixels)
    odd = np.array(images.shape[1:]) % factor
    high, wide = images.shape[1:] - odd
    return bin_images(images[:, :high, :wide], factor, mean=True), factor, -odd / 2


def _inner(shape, rows=True):
    """Return the pixels that are compared: those near the edges miss what has left the images."""
    high, wide = shape
    edge = high // 8 if rows else 0
    return slice(edge, high - edge), slice(wide // 10, wide - wide // 10)


def _lowest(steps, squares):
    """Return where a parabola through summed squares is lowest, and the standard errors of that.

    The sandwich formula, clustered both by tilts and by blocks of slices: each is a part of the
    sum with a slope of its own there.
    """
    x, y = steps.T
    terms = np.stack([np.ones_like(x), x, y, x * x / 2, x * y, y * y / 2], axis=1)
    fits = np.linalg.lstsq(terms, squares.reshape(len(steps), -1), rcond=None)[0]
    fits = fits.reshape(-1, *squares.shape[1:])
    curved = fits[[3, 4, 4, 5]].reshape(2, 2, *squares.shape[1:])
    total = curved.sum(axis=(2, 3))
    if not np.linalg.eigvalsh(total).min() > 0:
        return steps[squares.sum(axis=(1, 2)).argmin()], np.full(2, np.inf)
    step = -np.linalg.solve(total, fits[1:3].sum(axis=(1, 2)))
    slopes = fits[1:3] + np.einsum("abtr,b->atr", curved, step)
    pull = np.einsum("ab,btr->atr", np.linalg.inv(total), slopes)
    tilts, blocks = squares.shape[1:]
    by_tilts = (pull.sum(axis=2) ** 2).sum(axis=1) * tilts / (tilts - 2)
    by_blocks = (pull.sum(axis=1) ** 2).sum(axis=1) * blocks / max(blocks - 1, 1)
    both = by_tilts + by_blocks - (pull**2).sum(axis=(1, 2))
    return step, np.sqrt(np.max([by_tilts, by_blocks, both], axis=0))


def frame(along, rotation):
    """Return the directions along and across the axis, as (axis 0, axis 1) of a recorded image."""
    c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    # a horizontal one as np.rot90 turns images
    return ((s, -c), (c, s)) if along else ((c, s), (-s, c))


def upright_places(shape, along, rotation, offset):
    """Return where the pixels of an upright image lie in a recorded one, (2, slices, size)."""
    slices, size = shape[::-1] if along else shape
    at = np.arange(slices) - (slices - 1) / 2
    across = np.arange(size) - (size - 1) / 2 + offset
    down, right = np.array(frame(along, rotation))[:, :, None, None]
    middle = (np.array(shape)[:, None, None] - 1) / 2
    return middle + down * at[:, None] + right * across
