"""The variance of maps after steps that mix their pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .._counts import are_counts

Matrices = tuple[sparse.csr_array, ...]


@dataclass(frozen=True, eq=False)
class Noise:
    """Variances as they were counted, and what all steps since gave of each pixel to each.

    Neighbors share noise once a step has mixed them. So steps are multiplied first and squared
    then: to square one after the other would lose what they share.

    Attributes
    ----------
    counted
        Of maps, (elements, tilts, slices, size), and of their parts or None: noise of each pixel
        is independent of the next one's.
    along, across
        One matrix a tilt, for each axis of an image, (pixels now, pixels before).
    made
        The variance of the maps now. A series with another one has forgotten these steps.
    before
        What was done before them by steps that mix both axes at once, such as a rotation: for each
        `along` and `across` before it, and then one matrix a tilt, (pixels after, pixels before).
    """

    counted: tuple[NDArray, NDArray | None]
    along: Matrices
    across: Matrices
    made: NDArray
    before: tuple[tuple[Matrices, Matrices, Matrices], ...] = ()

    @classmethod
    def of(cls, variance: NDArray, parts: NDArray | None) -> Noise:
        """Return variances of pixels that no step has mixed."""
        tilts, *shape = variance.shape[1:]
        return cls((variance, parts), *_still(tilts, tuple(shape)), variance)

    def then(self, along: Sequence, across: Sequence) -> Noise:
        """Return the same after a step; matrices as `along` and `across`, one for each tilt."""
        lines = _products(along, self.along), _products(across, self.across)
        return self._with(self.counted, *lines)

    def whole(self, matrices: Matrices, shape: tuple[int, ...]) -> Noise:
        """Return the same after a step that mixes both axes, to images of this shape."""
        before = *self.before, (self.along, self.across, matrices)
        along, across = _still(len(matrices), shape)
        return self._with(self.counted, along, across, before)

    def turned(self) -> Noise:
        """Return the same of images turned by ``np.rot90(images, axes=(-2, -1))``."""
        if self.before:
            high, wide = self.made.shape[-2:]
            places = np.rot90(np.arange(high * wide).reshape(high, wide)).ravel()
            moved = sparse.csr_array(sparse.eye_array(high * wide, format="csr")[places])
            return self.whole((moved,) * len(self.along), (wide, high))
        of_maps, of_parts = self.counted
        flipped = None if of_parts is None else np.swapaxes(of_parts, -2, -1)
        counted = np.swapaxes(of_maps, -2, -1), flipped
        return self._with(counted, tuple(m[::-1] for m in self.across), self.along)

    def picked(self, kept: list[int]) -> Noise:
        """Return the same of some elements."""
        of_maps, of_parts = self.counted
        counted = of_maps[kept], None if of_parts is None else of_parts[:, kept]
        return replace(self, counted=counted, made=self.made[kept])

    def combined(self, change: Callable) -> Noise:
        """Return the same after a step that mixes elements, not pixels, given its variances."""
        of_maps, of_parts = self.counted
        parts = None if of_parts is None else np.stack([change(part) for part in of_parts])
        return self._with((change(of_maps), parts), self.along, self.across)

    @property
    def of_parts(self) -> NDArray | None:
        """Variance of the parts now."""
        parts = self.counted[1]
        if parts is None:
            return None
        return _filtered(parts, self.along, self.across, self.before)

    def _with(self, counted, along, across, before=None):
        before = self.before if before is None else before
        made = _filtered(counted[0], along, across, before)
        return Noise(counted, along, across, made, before)


def _still(tilts: int, shape: tuple[int, ...]) -> tuple[Matrices, Matrices]:
    """Return matrices along and across that leave images as they are."""
    along, across = ((sparse.eye_array(n, format="csr"),) * tilts for n in shape)
    return along, across


def _filtered(variance, along, across, before=()):
    """Return what squared matrices make of variances, (..., tilts, slices, size)."""
    shape = along[0].shape[0], across[0].shape[0]
    made = np.empty((*variance.shape[:-2], *shape), np.float32)
    if before:
        for tilt in range(variance.shape[-3]):
            total = sparse.csr_array(sparse.kron(along[tilt], across[tilt]))
            for first, second, mixing in reversed(before):
                total = total @ mixing[tilt] @ sparse.kron(first[tilt], second[tilt], format="csr")
            here = variance[..., tilt, :, :].reshape(-1, total.shape[1])
            made[..., tilt, :, :] = (total.power(2) @ here.T).T.reshape(*made.shape[:-3], *shape)
        return made
    squares = {id(m): m.power(2) for m in (*along, *across)}
    for where in np.ndindex(variance.shape[:-2]):
        rows, columns = squares[id(along[where[-1]])], squares[id(across[where[-1]])]
        made[where] = (columns @ (rows @ variance[where]).T).T
    return made


def _products(later, earlier):
    """Return the products of matrices, tilt by tilt; those of the same pair once."""
    known: dict = {}
    made = []
    for pair in zip(later, earlier, strict=True):
        key = tuple(map(id, pair))
        if key not in known:
            known[key] = sparse.csr_array(pair[0] @ pair[1])
        made.append(known[key])
    return tuple(made)


def shift_matrices(size: int, shifts: NDArray) -> Matrices:
    """Return what `hebt.prepare.apply_shifts` does along one axis, linearly, for each shift."""
    made = []
    for by in shifts:
        at = np.clip(np.arange(size) - by, 0, size - 1)
        low = np.minimum(at.astype(int), max(size - 2, 0))
        share = at - low
        rows = np.arange(size)
        columns = np.concatenate([low, np.minimum(low + 1, size - 1)])
        weights = np.concatenate([1 - share, share])
        made.append(sparse.csr_array((weights, (np.tile(rows, 2), columns)), shape=(size, size)))
    return tuple(made)


def same(matrix: NDArray | sparse.sparray, tilts: int) -> Matrices:
    """Return the matrix of a step that does the same at each tilt."""
    return (sparse.csr_array(matrix),) * tilts


def bin_matrix(size: int, factor: int) -> sparse.csr_array:
    """Return what `hebt.prepare.bin_images` does along one axis."""
    return sparse.csr_array(np.kron(np.eye(size // factor), np.ones((1, factor))))


def crop_matrices(size: int, kept: int, windows: NDArray | None, tilts: int) -> Matrices:
    """Return what cropping to the middle does along one axis, with a window a tilt or None."""
    first = (size - kept) // 2
    rows = sparse.csr_array(sparse.eye_array(kept, size, k=first))
    if windows is None:
        return (rows,) * tilts
    return tuple(sparse.csr_array(sparse.diags_array(window) @ rows) for window in windows)


def are_raw(series: Any) -> bool:
    """Whether maps are as they were counted: whole numbers, and their variance, if known, they.

    Counts that were scaled at some tilts alone may be whole numbers, too.
    """
    if not are_counts(series.maps):
        return False
    return series.variance is None or np.allclose(series.variance, series.maps, 1e-4, 1e-6)


def known_noise(series: Any) -> Noise | None:
    """Return the noise of a series as it was counted, unless its variance is another one by now.

    The variance of raw counts is the counts. None, where nobody knows it.
    """
    if series.variance is None:
        raw = len(series.maps) and are_counts(series.maps)
        return Noise.of(series.maps, series.parts) if raw else None
    if series._noise is not None and series._noise.made is series.variance:
        return series._noise
    return Noise.of(series.variance, series.part_variance)


def noise_fields(noise: Noise) -> dict[str, Any]:
    """Return what a series has of its noise."""
    return {"variance": noise.made, "part_variance": noise.of_parts, "_noise": noise}


def mixed(series: Any, change: Callable, along: Callable, across: Callable) -> dict[str, Any]:
    """Return maps, parts and variances of a series after a linear step.

    Parameters
    ----------
    series
        A `TiltSeries`.
    change
        The step, of maps (elements, tilts, slices, size).
    along, across
        Functions that make its matrices, one for each tilt.
    """
    changes = changed(series, change)
    if len(series.maps) and (noise := known_noise(series)) is not None:
        changes |= noise_fields(noise.then(along(), across()))
    return changes


def changed(series: Any, change: Callable) -> dict[str, Any]:
    """Return maps and parts of a series after a linear step, of maps (elements, tilts, ...)."""
    if not len(series.maps):
        return {"maps": change(np.zeros((1, *series.maps.shape[1:]), np.float32))[:0]}
    changes: dict[str, Any] = {"maps": change(series.maps)}
    if series.parts is not None:
        changes["parts"] = np.stack([change(part) for part in series.parts])
    return changes
