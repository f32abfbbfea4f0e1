"""The inner loops of guided total variation, compiled with numba.

Arrays are those of `kernels`: slices along the last axis, elements side by side in the columns.
Gradients, and what is dual to them, have one more axis in front: along the columns of a slice,
along its rows, and in volumes along the slices. A gradient is a forward difference, 0 at the last
voxel. The guide's is 0 there too, and so is what D makes of them: edges need no case of their own.
"""

import math
from functools import partial

import numba
import numpy as np

from .compiled import kept
from .kernels import TILE

_jit = kept(partial(numba.njit, nogil=True, error_model="numpy", fastmath=True))
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_FOUR = np.float32(4)
_LEAST = np.float32(1e-6)  # expected counts below this count as this in the deviance
GRADIENT = np.float32(2)  # what the gradient's rows are multiplied by, to balance the steps


@_jit
def directions(guide, smooth, depth, size, xi, first_row, last_row):
    """Set xi to grad S / sqrt(|grad S|^2 + smooth^2), with `smooth` for each column."""
    for i in range(first_row, last_row):
        for j in range(size):
            pixel = i * size + j
            down = pixel + size if i + 1 < size else pixel
            right = pixel + 1 if j + 1 < size else pixel
            for m in range(guide.shape[1]):
                here = guide[pixel, m]
                gy, gx, gz = guide[down, m] - here, guide[right, m] - here, _ZERO
                if len(xi) == 3 and (m + 1) % depth != 0:
                    gz = guide[pixel, m + 1] - here
                square = gy * gy + gx * gx + gz * gz + smooth[m] * smooth[m]
                scale = _ONE / math.sqrt(square) if square > _ZERO else _ZERO
                xi[0, pixel, m], xi[1, pixel, m] = scale * gy, scale * gx
                if len(xi) == 3:
                    xi[2, pixel, m] = scale * gz


@_jit
def dual_gradient(x, y, xi, scales, guidance, radius, depth, size, first_row, last_row):
    """Take the step of what is dual to the gradients: y <- P(y + scale D grad x), in place.

    D = 1 - guidance xi xi^T, and P projects each voxel's onto the ball of this radius.
    """
    slices, elements = scales.shape[1], len(scales)
    differences = np.zeros(slices, np.float32)
    for i in range(first_row, last_row):
        for j in range(size):
            pixel = i * size + j
            down = pixel + size if i + 1 < size else pixel
            right = pixel + 1 if j + 1 < size else pixel
            for e in range(elements):
                begin, end = e * slices, (e + 1) * slices
                own = x[pixel, begin:end], x[down, begin:end], x[right, begin:end], scales[e]
                if len(y) == 2:
                    _dual_inside(own, y, xi, pixel, begin, guidance, radius)
                else:
                    here = own[0]
                    for m in range(slices - 1):
                        differences[m] = here[m + 1] - here[m]
                    differences[depth - 1 :: depth] = _ZERO
                    _dual_in_volume(own, differences, y, xi, pixel, begin, guidance, radius)


@_jit
def _dual_inside(own, y, xi, pixel, begin, guidance, radius):
    here, below, beside, scale = own
    slices = len(here)
    y0, y1 = y[0, pixel, begin : begin + slices], y[1, pixel, begin : begin + slices]
    xi0, xi1 = xi[0, pixel, :slices], xi[1, pixel, :slices]
    for m in range(slices):
        gy, gx = scale[m] * (below[m] - here[m]), scale[m] * (beside[m] - here[m])
        part = guidance * (gy * xi0[m] + gx * xi1[m])
        vy, vx = y0[m] + gy - part * xi0[m], y1[m] + gx - part * xi1[m]
        norm = math.sqrt(vy * vy + vx * vx)
        shrink = radius / norm if norm > radius else _ONE
        y0[m], y1[m] = shrink * vy, shrink * vx


@_jit
def _dual_in_volume(own, differences, y, xi, pixel, begin, guidance, radius):
    here, below, beside, scale = own
    slices = len(here)
    end = begin + slices
    y0, y1, y2 = y[0, pixel, begin:end], y[1, pixel, begin:end], y[2, pixel, begin:end]
    xi0, xi1, xi2 = xi[0, pixel, :slices], xi[1, pixel, :slices], xi[2, pixel, :slices]
    for m in range(slices):
        gy, gx = scale[m] * (below[m] - here[m]), scale[m] * (beside[m] - here[m])
        gz = scale[m] * differences[m]
        part = guidance * (gy * xi0[m] + gx * xi1[m] + gz * xi2[m])
        vy, vx = y0[m] + gy - part * xi0[m], y1[m] + gx - part * xi1[m]
        vz = y2[m] + gz - part * xi2[m]
        norm = math.sqrt(vy * vy + vx * vx + vz * vz)
        shrink = radius / norm if norm > radius else _ONE
        y0[m], y1[m], y2[m] = shrink * vy, shrink * vx, shrink * vz


@_jit
def add_adjoint(tile, y, xi, guidance, slices, elements, size, row, column, first, last):
    """Add GRADIENT grad^T D y to a tile of a back projection.

    Each voxel gives to itself and to the next along each axis, also from around the tile.
    """
    rows, columns = min(TILE, size - row), min(TILE, size - column)
    nowhere = np.empty(last - first, np.float32)
    for i in range(-1 if row > 0 else 0, rows):
        for j in range(-1 if column > 0 else 0, columns):
            if i < 0 and j < 0:
                continue
            pixel = (row + i) * size + column + j
            at = i * columns + j
            here = tile[at] if i >= 0 and j >= 0 else nowhere
            down = tile[at + columns] if i + 1 < rows and j >= 0 else nowhere
            right = tile[at + 1] if j + 1 < columns and i >= 0 else nowhere
            for e in range(elements):
                begin, end = max(first, e * slices), min(last, (e + 1) * slices)
                if begin >= end:
                    continue
                own = here[begin - first :], down[begin - first :], right[begin - first :]
                if len(y) == 2:
                    _add_inside(own, y, xi, guidance, pixel, begin, end, e * slices)
                else:
                    _add_in_volume(own, y, xi, guidance, pixel, begin, end, e * slices)


@_jit
def _add_inside(own, y, xi, guidance, pixel, begin, end, origin):
    here, down, right = own
    y0, y1 = y[0, pixel, begin:end], y[1, pixel, begin:end]
    xi0, xi1 = xi[0, pixel, begin - origin : end - origin], xi[1, pixel, begin - origin :]
    for m in range(end - begin):
        part = guidance * (y0[m] * xi0[m] + y1[m] * xi1[m])
        wy, wx = GRADIENT * (y0[m] - part * xi0[m]), GRADIENT * (y1[m] - part * xi1[m])
        here[m] -= wy + wx
        down[m] += wy
        right[m] += wx


@_jit
def _add_in_volume(own, y, xi, guidance, pixel, begin, end, origin):
    here, down, right = own
    s = begin - origin
    y0, y1, y2 = y[0, pixel, begin:end], y[1, pixel, begin:end], y[2, pixel, begin:end]
    xi0, xi1, xi2 = xi[0, pixel, s:], xi[1, pixel, s:], xi[2, pixel, s:]
    before = _ZERO
    if s > 0:
        part = y[0, pixel, begin - 1] * xi[0, pixel, s - 1]
        part += y[1, pixel, begin - 1] * xi[1, pixel, s - 1]
        part += y[2, pixel, begin - 1] * xi[2, pixel, s - 1]
        before = GRADIENT * (y[2, pixel, begin - 1] - guidance * part * xi[2, pixel, s - 1])
    for m in range(end - begin):
        part = guidance * (y0[m] * xi0[m] + y1[m] * xi1[m] + y2[m] * xi2[m])
        wy, wx = GRADIENT * (y0[m] - part * xi0[m]), GRADIENT * (y1[m] - part * xi1[m])
        wz = GRADIENT * (y2[m] - part * xi2[m])
        here[m] += before - (wy + wx + wz)
        down[m] += wy
        right[m] += wx
        before = wz


@_jit
def step(
    tile,
    x,
    ahead,
    seen,
    seen_haadf,
    scales,
    level,
    mask,
    axes,
    size,
    row,
    column,
    first,
    last,
    change,
):
    """Take the step x <- max(0, x - tau tile) mask, and set `ahead` to twice x less what it was.

    tau is level over the sum of the operator's column: `seen` times `scales`, the counts' for each
    element and slice, `seen_haadf`, and what the gradient along so many `axes` adds. `mask` has
    one column or one for each slice. The squared norms of the step and of x, both over the
    largest level, go to `change`.
    """
    columns, (elements, slices) = min(TILE, size - column), scales.shape
    gradient, largest = GRADIENT * np.float32(2 * axes), _ONE / level.max()
    moved, total = 0.0, 0.0
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            one, rest = seen[pixel], seen_haadf[pixel] + gradient
            for e in range(elements):
                begin, end = max(first, e * slices), min(last, (e + 1) * slices)
                if begin >= end:
                    continue
                s = begin - e * slices
                own, next_ = x[pixel, begin:end], ahead[pixel, begin:end]
                back, scale, unit = tile[i * columns + j, begin - first :], scales[e, s:], level[s:]
                keep = mask[pixel, s:] if mask.shape[1] > 1 else mask[pixel]
                apart = 1 if mask.shape[1] > 1 else 0
                square, way = _ZERO, _ZERO
                for m in range(end - begin):
                    old = own[m]
                    tau = unit[m] / (one * scale[m] + rest)
                    new = keep[apart * m] * max(old - tau * back[m], _ZERO)
                    own[m], next_[m] = new, new + (new - old)
                    length, walked = largest * new, largest * (new - old)
                    square += length * length
                    way += walked * walked
                moved += np.float64(way)
                total += np.float64(square)
    change[0], change[1] = moved, total


@_jit
def dual_haadf(ahead, total, haadf, y, inverse_sums, level, noise, squares, first_tilt, last_tilt):
    """Take the step of what is dual to HAADF's term, and that of its projections.

    `ahead` is the projection of 2 x - x_before, summed over the elements, and `total` that of
    x_before, which becomes that of x. ||haadf - total||^2 goes to `squares[tilt]`.
    """
    for a in range(first_tilt, last_tilt):
        squares[a] = 0.0
        for d in range(haadf.shape[1]):
            own, next_, given = total[a, d], ahead[a, d], haadf[a, d]
            dual, sigma = y[a, d], inverse_sums[a, d]
            square = 0.0
            for m in range(haadf.shape[2]):
                own[m] = _HALF * (own[m] + next_[m])
                away = given[m] - own[m]
                square += np.float64(away) * np.float64(away)
                risen = dual[m] + sigma * (next_[m] - given[m]) / level[m]
                dual[m] = risen / (_ONE + sigma * noise[m] * noise[m])
            squares[a] += square


@_jit
def dual_counts(
    ahead,
    wx,
    counts,
    shift,
    y,
    shared,
    inverse_sums,
    ratios,
    level,
    squares,
    deviances,
    first_tilt,
    last_tilt,
):
    """Take the step of what is dual to the counts, and that of their projections.

    `ahead` and `wx` are as in `dual_haadf`, but for each element. What is to be projected back
    takes the place of `ahead`: y times the counts' scale, and `shared`, HAADF's, if there is any.
    ||ratio (counts - expected)||^2 and the Poisson deviance go to `squares[tilt]` and
    `deviances[tilt]`.
    """
    elements, slices = ratios.shape
    for a in range(first_tilt, last_tilt):
        squares[a, :] = 0.0
        deviances[a, :] = 0.0
        for d in range(counts.shape[1]):
            for e in range(elements):
                begin, end = e * slices, (e + 1) * slices
                own, next_ = wx[a, d, begin:end], ahead[a, d, begin:end]
                given, more = counts[a, d, begin:end], shift[a, d, begin:end]
                square, deviance = 0.0, 0.0
                for m in range(slices):
                    own[m] = _HALF * (own[m] + next_[m])
                    expected = max(own[m] / ratios[e, m] + more[m], _LEAST)
                    n, away = given[m], np.float64(given[m]) - np.float64(expected)
                    square += (np.float64(ratios[e, m]) * away) ** 2
                    deviance -= away
                    if n > _ZERO:
                        deviance += np.float64(n) * math.log(np.float64(n) / np.float64(expected))
                squares[a, e] += square
                deviances[a, e] += 2.0 * deviance
                _rise(next_, given, more, y[a, d, begin:end], inverse_sums[a, d], ratios[e], level)
                if len(shared):
                    haadf = shared[a, d]
                    for m in range(slices):
                        next_[m] += haadf[m]


@_jit
def _rise(ahead, counts, shift, y, inverse_sum, ratios, level):
    """Set y to the proximal point for the counts' likelihood, and `ahead` to y times their scale.

    The root is taken in the form in which nothing cancels.
    """
    for m in range(len(counts)):
        scale = level[m] / ratios[m]
        sigma = inverse_sum / scale
        v = y[m] + sigma * (ahead[m] / ratios[m] + shift[m])
        less = sigma * counts[m]
        root = math.sqrt((v - _ONE) * (v - _ONE) + _FOUR * less)
        other = _ONE + v + root
        new = _TWO * (v - less) / other if v > -_ONE else _HALF * (_ONE + v - root)
        y[m] = new
        ahead[m] = scale * new
