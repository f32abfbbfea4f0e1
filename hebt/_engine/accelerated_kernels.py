"""The inner loops of accelerated SIRT, compiled with numba.

Arrays are those of `kernels`: slices along the last axis, elements side by side in the columns.
`momentum` is (2, slices), and what is kept of sums has a value for each slice.
"""

import numpy as np

from .kernels import _ZERO, TILE, _jit


@_jit
def add_weighted(target, offset, scales, first, last):
    """Add scales times offset to the rays of `target`, which may have more columns."""
    columns = offset.shape[1]
    for ray in range(first, last):
        own, more, scale = target[ray, :columns], offset[ray], scales[ray]
        for m in range(columns):
            own[m] += scale * more[m]


@_jit
def _keep_sum(values, m, total):
    """Project values[:, m], whose sum is `total`, onto what is at least 0 with a sum of at least 0.

    max(0, values - shift), where the shift follows from those above it, and they from the shift.
    """
    elements = len(values)
    shift, before = 0.0, -1
    while total > 0.0:
        above, count = 0.0, 0
        for e in range(elements):
            if values[e, m] > shift:
                above += values[e, m]
                count += 1
        if count == before:
            break
        shift, before = (above - total) / count, count
    for e in range(elements):
        value = np.float64(values[e, m]) - shift
        values[e, m] = value if value > 0.0 and total > 0.0 else 0.0


@_jit
def _keep_sums(values, sums, least):
    """Do so for all columns; those without a value below 0 stay as they are."""
    if len(values) == 2:
        one, other = values[0], values[1]
        for m in range(len(sums)):
            total = max(sums[m], _ZERO)
            part = min(max(one[m], _ZERO), total)
            one[m], other[m] = part, total - part
    else:
        for m in range(len(sums)):
            if least[m] < _ZERO:
                _keep_sum(values, m, sums[m])


@_jit
def step(tiles, x, y, momentum, inverse_sums, mask, elements, keeps_sum, place, unit, dots, change):
    """A step of POGM (see `accelerated`) at one tile, for all elements of some slices.

    `tiles` is (elements, pixels, at least last - first), or (1, pixels, ...) with the elements side
    by side; `place` is (size, row, column, first, last), the last two of the slices. For each slice
    <x - y_new, x_new - x>, weighted by the column sums, goes to `dots`: above 0 the momentum leads
    astray. The squared norms of the step and of the new x go to `change`. All three are of x times
    `unit`, which keeps them within what single precision can hold.
    """
    size, row, column, first, last = place
    columns, slices, count = min(TILE, size - column), momentum.shape[1], last - first
    masks, one = mask.shape[1], np.float32(1)
    back_y, back_x = momentum[0, first:last], momentum[1, first:last]
    lengths = one + back_y + back_x
    shorter, shares = one / lengths, np.ones(count, np.float32)
    side_by_side = count if len(tiles) < elements else 0
    ahead, free = np.empty((2, elements, count), np.float32)
    sums, least = np.empty(count, np.float32), np.empty(count, np.float32)
    along = np.empty(count, np.float32)  # of one line of pixels, which single precision can hold
    moved, norm = 0.0, 0.0
    dots[:count] = 0.0
    for i in range(min(TILE, size - row)):
        along[:] = _ZERO
        for j in range(columns):
            pixel = (row + i) * size + column + j
            scale = inverse_sums[pixel]
            weight = unit / scale if scale > _ZERO else _ZERO
            if masks > 1 or mask[pixel, 0] != one:
                keep = mask[pixel, first:last] if masks > 1 else mask[pixel]
                for m in range(count):
                    kept = keep[m] if masks > 1 else keep[0]
                    shares[m] = kept / (kept + lengths[m] * (one - kept))
            else:
                shares[:] = one
            sums[:], least[:] = _ZERO, _ZERO
            for e in range(elements):
                at = e * slices + first
                own, other = x[pixel, at : at + count], y[pixel, at : at + count]
                begin, value, z = e * side_by_side, ahead[e], free[e]
                back = tiles[e % len(tiles), i * columns + j, begin : begin + count]
                for m in range(count):
                    w = own[m] + scale * back[m]
                    z[m] = w + back_y[m] * (w - other[m]) + back_x[m] * (w - own[m])
                    value[m] = z[m]
                    other[m] = w
                    sums[m] += z[m]
                    least[m] = min(least[m], z[m])
            if keeps_sum:
                _keep_sums(ahead, sums, least)
            for e in range(elements):
                at = e * slices + first
                own, other = x[pixel, at : at + count], y[pixel, at : at + count]
                value, z, far, large = ahead[e], free[e], _ZERO, _ZERO
                for m in range(count):
                    new = shares[m] * max(value[m], _ZERO)
                    other[m] += shorter[m] * (new - z[m])
                    step, length = unit * (new - own[m]), unit * new
                    along[m] += weight * (own[m] - other[m]) * step
                    far += step * step
                    large += length * length
                    own[m] = new
                moved += np.float64(far)
                norm += np.float64(large)
        for m in range(count):
            dots[m] += np.float64(along[m])
    change[0], change[1] = moved, norm
