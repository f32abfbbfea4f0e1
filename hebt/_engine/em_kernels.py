"""The inner loops of composition EM, compiled with numba.

Arrays are those of `kernels`: slices along the last axis, elements side by side in the columns.
What all elements share (`factor`, `reach`) has `depth` columns, which repeat: column m of
x belongs to column m % depth of these.
"""

import math
from functools import partial

import numba
import numpy as np

from .compiled import kept
from .kernels import TILE, _add_weighted

_compiler = partial(numba.njit, nogil=True, error_model="numpy")
_jit = kept(partial(_compiler, fastmath=True))
_exact = kept(_compiler)  # sums keep their order: `common_root` lives from it
_ZERO, _ONE = np.float32(0), np.float32(1)
_HALF, _THIRD, _QUARTER = np.float32(1 / 2), np.float32(1 / 3), np.float32(1 / 4)
_FIFTH, _SIXTH = np.float32(1 / 5), np.float32(1 / 6)
_LEAST = np.float32(1e-6)  # expected counts below this count as this
_PROBLEMS = 64  # voxels whose sums are solved for together
_NEVER = 1e300
_FAR = np.float32(60)  # weights below 2^-60 are that: products keep clear of slow denormals,
_VANISHED = 1e-30  # and shares below this vanish
_CHUNK = 512  # floats of a line of pixels that are smoothed together, so that they stay in cache


@_jit
def store_scaled(tile, q, factor, size, row, column, first, last):
    """Write a tile of a back projection times `factor` into the volume q."""
    columns, depth = min(TILE, size - column), factor.shape[1]
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            begin = first
            while begin < last:
                s = begin % depth
                count = min(last - begin, depth - s)
                own, scale = q[pixel, begin : begin + count], factor[pixel, s : s + count]
                back = tile[i * columns + j, begin - first : begin - first + count]
                for m in range(count):
                    own[m] = scale[m] * back[m]
                begin += count


@_jit
def multiply(x, factor, first_pixel, last_pixel):
    """Multiply x by `factor`, in place."""
    depth = factor.shape[1]
    for pixel in range(first_pixel, last_pixel):
        scales = factor[pixel]
        for begin in range(0, x.shape[1] - depth + 1, depth):
            own = x[pixel, begin : begin + depth]
            for m in range(depth):
                own[m] *= scales[m]


@_jit
def compare(wx, maps, shift, haadf, ratios, squares, deviances, first_tilt, last_tilt):
    """Turn projections into what EM projects back, counts / expected counts, in place.

    The data are as they came, (elements, tilts, slices, size) and (tilts, slices, size). Counts
    are maps + shift, but not below 0, expected counts wx / ratio + shift; an empty `shift` is 0.
    ||ratio (counts - expected)||^2 and, if `haadf` is not empty, ||haadf - sum wx||^2 go to
    `squares[tilt]`, the Poisson deviance to `deviances[tilt]`.
    """
    elements, _, slices, size = maps.shape
    counts, more = np.empty((size, slices), np.float32), np.zeros((size, slices), np.float32)
    total = np.zeros((size, slices), np.float32)
    for a in range(first_tilt, last_tilt):
        squares[a, :] = 0.0
        deviances[a, :] = 0.0
        if len(haadf) > 0:
            total[:] = haadf[a].T
        for e in range(elements):
            counts[:] = maps[e, a].T
            if len(shift) > 0:
                more[:] = shift[e, a].T
            begin, end = e * slices, (e + 1) * slices
            ratio = ratios[begin:end]
            for d in range(size):
                projected, given, less = wx[a, d, begin:end], counts[d], more[d]
                left = total[d]
                square, deviance = 0.0, 0.0
                for m in range(slices):
                    left[m] -= projected[m]
                    expected = max(projected[m] / ratio[m] + less[m], _LEAST)
                    n = max(given[m] + less[m], _ZERO)
                    away = np.float64(n) - np.float64(expected)
                    square += (np.float64(ratio[m]) * away) ** 2
                    quotient = n / expected
                    deviance -= away
                    if n > _ZERO:
                        deviance += np.float64(n) * math.log(np.float64(n) / np.float64(expected))
                    projected[m] = quotient
                squares[a, e] += square
                deviances[a, e] += 2.0 * deviance
        if len(haadf) > 0:
            for d in range(size):
                left = total[d]
                square = 0.0
                for m in range(slices):
                    square += np.float64(left[m]) ** 2
                squares[a, elements] += square


@_exact
def common_roots(expected, gaps, constant, slope, d):
    """Set d to the values above 0 at which sum_e expected_e / (gaps_e + d) = constant + slope d.

    `expected` and `gaps` are (elements, problems), the others (problems). Where an expected_e is
    above 0, gaps_e is at least 0, and 0 for one of them. The inverse of the left side less that of
    the right is concave and rises, and at the largest root of a single term it is not above 0:
    Newton's steps from there never pass the root, however near it lies to the pole at d = 0.
    """
    elements, problems = expected.shape
    d[:] = 0.0
    hard = slope.max() == 0.0
    for e in range(elements):
        for m in range(problems):
            single = expected[e, m] - gaps[e, m] * constant[m]
            if not hard:
                # one of two forms of the same root, in which nothing cancels
                total = constant[m] + slope[m] * gaps[e, m]
                away = constant[m] - slope[m] * gaps[e, m]
                root = math.sqrt(away * away + 4.0 * slope[m] * expected[e, m])
                other = (root - total) / (2.0 * slope[m])
                single = 2.0 * single / (total + root) if total > 0.0 else other
            d[m] = single if single > d[m] else d[m]
    left, falls = np.empty(problems), np.empty(problems)
    for _ in range(60):
        left[:], falls[:] = 0.0, 0.0
        for e in range(elements):
            for m in range(problems):
                inverse = 1.0 / (gaps[e, m] + d[m])
                part = expected[e, m] * inverse
                left[m] += part
                falls[m] += part * inverse
        more = 0
        for m in range(problems):
            right = constant[m] + slope[m] * d[m]
            rises = falls[m] * right * right + slope[m] * left[m] * left[m]
            step = (left[m] - right) * left[m] * right / rises
            d[m] += step if step > 0.0 else 0.0
            more += step > 1e-6 * d[m]  # the error left goes with the square of this
        if more == 0:
            break


@_jit
def _expect(a, q, reach, inverse_ratios, elements, first, last, expected, gaps, least):
    """Set, for all slices of some pixels, E_e, s_e less the smallest s_e, and that; 0 if all are.

    Only elements with an E_e above 0 count. Return whether there is any.
    """
    slices, depth = inverse_ratios.shape[1], reach.shape[1]
    count = (last - first) * slices
    least[:count] = _NEVER
    for pixel in range(first, last):
        for begin in range(0, slices, depth):
            k = (pixel - first) * slices + begin
            shared, smallest = reach[pixel], least[k : k + depth]
            for e in range(elements):
                at = e * slices + begin
                own, back = a[pixel, at : at + depth], q[pixel, at : at + depth]
                inverse = inverse_ratios[e, begin : begin + depth]
                values, s = expected[e, k : k + depth], gaps[e, k : k + depth]
                for m in range(depth):
                    values[m] = np.float64(own[m] * back[m]) * inverse[m]
                    s[m] = np.float64(shared[m]) * inverse[m]
                    smallest[m] = min(smallest[m], s[m] if values[m] > 0.0 else _NEVER)
    some = 0
    for k in range(count):
        least[k] = least[k] if least[k] < _NEVER else 0.0
        some += least[k] > 0.0
    for e in range(elements):
        for k in range(count):
            gaps[e, k] = gaps[e, k] - least[k] if expected[e, k] > 0.0 else 0.0
    return some > 0


@_jit
def _divide(a, expected, gaps, d, least, factor, slices, elements, first, last, changes):
    """Set a_e to E_e / (gaps_e + d), where not all are 0."""
    depth = factor.shape[1]
    for pixel in range(first, last):
        moved, total = 0.0, 0.0
        for begin in range(0, slices, depth):
            k, weights = (pixel - first) * slices + begin, factor[pixel]
            there, root = least[k : k + depth], d[k : k + depth]
            for e in range(elements):
                own = a[pixel, e * slices + begin : e * slices + begin + depth]
                values, s = expected[e, k : k + depth], gaps[e, k : k + depth]
                for m in range(depth):
                    weight, old = np.float64(weights[m]), np.float64(own[m])
                    value = values[m] / (s[m] + root[m]) if there[m] > 0.0 else old
                    value = value if value > _VANISHED else 0.0
                    own[m] = value
                    moved += (weight * (value - old)) ** 2
                    total += (weight * value) ** 2
        changes[pixel, 0], changes[pixel, 1] = moved, total


@_jit
def update(
    a, q, reach, factor, inverse_ratios, softness, elements, changes, first_pixel, last_pixel
):
    """EM's step: a_e <- E_e / (s_e + mu), where E_e = a_e q_e / r_e and s_e = reach / r_e.

    mu makes the sum of a 1 + softness mu (softness 0: 1), or is 0 if softness is negative.
    Where all E_e are 0, a stays as it is. The squared norms of factor times the step, and of factor
    times the new a, go to `changes[pixel]`.
    """
    slices = len(softness)
    pixels = max(1, _PROBLEMS // slices)
    count = pixels * slices
    # problems that can be solved, also where the last pixels are fewer
    expected, gaps = np.ones((elements, count)), np.zeros((elements, count))
    least, slope, constant, d = np.ones(count), np.empty(count), np.empty(count), np.empty(count)
    for begin in range(0, count, slices):
        slope[begin : begin + slices] = softness
    for first in range(first_pixel, last_pixel, pixels):
        last = min(first + pixels, last_pixel)
        changes[first:last] = 0.0
        if not _expect(a, q, reach, inverse_ratios, elements, first, last, expected, gaps, least):
            continue
        if softness[0] < 0.0:
            d[:] = least
        else:
            for k in range(count):
                # also where there is nothing to solve
                expected[0, k] = expected[0, k] if least[k] > 0.0 else 1.0
                constant[k] = 1.0 - least[k] * slope[k]
            common_roots(expected, gaps, constant, slope, d)
        _divide(a, expected, gaps, d, least, factor, slices, elements, first, last, changes)


@_jit
def smooth_down(source, target, taps, index, first, last):
    """Convolve along the first axis of (size, floats of a line), which may be done in place.

    `taps` has a multiple of four entries; `index` says which line each tap of each line meets.
    """
    size = len(source)
    buffer = np.empty((size, _CHUNK), np.float32)
    at, width = buffer.ctypes.data, 4 * _CHUNK
    for begin in range(first, last, _CHUNK):
        count = min(_CHUNK, last - begin)
        buffer[:, :count] = source[:, begin : begin + count]
        to = target.ctypes.data + 4 * begin
        for i in range(size):
            target[i, begin : begin + count] = _ZERO
            for t in range(0, len(taps), 4):
                k = i + t
                lines = (
                    at + index[k] * width,
                    at + index[k + 1] * width,
                    at + index[k + 2] * width,
                    at + index[k + 3] * width,
                )
                weights = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
                _add_weighted(to + 4 * i * target.shape[1], lines, weights, count)


@_jit
def scale_down(source, scale, target, taps, index, row, first_pixel, last_pixel):
    """Convolve source * scale along the first axis, for some lines from `row` on.

    `source` is (size, size * depth), `scale` (size, size), `target` has lines like the source's.
    """
    size, rows = len(scale), len(target)
    depth = source.shape[1] // size
    pixels, lines = max(1, _CHUNK // depth), rows + len(taps) - 1
    buffer = np.empty((lines, pixels * depth), np.float32)
    at, width = buffer.ctypes.data, 4 * pixels * depth
    for begin in range(first_pixel, last_pixel, pixels):
        end = min(begin + pixels, last_pixel)
        count = (end - begin) * depth
        for k in range(lines):
            line = index[row + k]
            for j in range(begin, end):
                to, own = buffer[k, (j - begin) * depth :], source[line, j * depth :]
                by = scale[line, j]
                for m in range(depth):
                    to[m] = own[m] * by
        to_line = target.ctypes.data + 4 * begin * depth
        for i in range(rows):
            target[i, begin * depth : end * depth] = _ZERO
            for t in range(0, len(taps), 4):
                four = at + (i + t) * width
                parts = (four, four + width, four + 2 * width, four + 3 * width)
                weights = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
                _add_weighted(to_line + 4 * i * target.shape[1], parts, weights, count)


@_jit
def smooth_along(x, taps, index, first, last):
    """Convolve along the columns, in groups of `depth`, of pixels `first` to `last`, in place."""
    depth = len(index) - len(taps) + 1
    line = np.empty(len(index), np.float32)
    at = line.ctypes.data
    for pixel in range(first, last):
        for begin in range(0, x.shape[1] - depth + 1, depth):
            own = x[pixel, begin : begin + depth]
            for k in range(len(index)):
                line[k] = own[index[k]]
            own[:] = _ZERO
            for t in range(0, len(taps), 4):
                parts = (at + 4 * t, at + 4 * (t + 1), at + 4 * (t + 2), at + 4 * (t + 3))
                weights = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
                _add_weighted(
                    x.ctypes.data + 4 * (pixel * x.shape[1] + begin), parts, weights, depth
                )


@_jit
def finish_rows(x, factor, taps, index, taps_along, index_along, size, first_row, last_row):
    """Convolve along the second axis of the image and along the columns, then times `factor`.

    What is empty (`taps`, `taps_along`, `factor`) is left out.
    """
    for row in range(first_row, last_row):
        begin, end = row * size, (row + 1) * size
        line = x[begin:end]
        if len(taps) > 0:
            smooth_down(line, line, taps, index, 0, line.shape[1])
        if len(taps_along) > 0:
            smooth_along(line, taps_along, index_along, 0, size)
        if len(factor) > 0:
            multiply(line, factor[begin:end], 0, size)


@_jit
def gather(source, target, padded, near, sharpness, box, first_row, last_row):
    """Sum a pixel's neighbors, weighted by how near and how alike in the guide they are.

    target_i = sum_j near(i - j) 2^-(sharpness D_ij) source_j, with D_ij the squared difference of
    the guide, summed over 3 x 3 pixels around i and j. `padded` is the guide, (size + 2,
    (size + 2) * depth), with its edges repeated, and `sharpness` goes with a line of pixels,
    (size * depth). The weights are symmetric in i and j.
    """
    size, reach = len(padded) - 2, len(near) // 2
    depth = len(sharpness) // size
    columns = target.shape[1] // depth * depth
    top, bottom, left, right = box
    away = np.empty((size + 2) * depth, np.float32)
    weights = np.empty(size * depth, np.float32)
    for y in range(max(top, first_row), min(bottom, last_row)):
        target[y * size + left : y * size + right, :columns] = _ZERO
        for dy in range(max(-reach, top - y), min(reach, bottom - 1 - y) + 1):
            for dx in range(-reach, reach + 1):
                x0, x1 = max(left, left - dx), min(right, right - dx)
                if x0 >= x1:
                    continue
                # pixel x has its left neighbor at x * depth of a padded line
                begin, count = x0 * depth, (x1 - x0 + 2) * depth
                away[:count] = _ZERO
                for row in range(3):
                    own = padded[y + row, begin : begin + count]
                    other = padded[y + dy + row, begin + dx * depth : begin + dx * depth + count]
                    for k in range(count):
                        away[k] += (own[k] - other[k]) ** 2
                count -= 2 * depth
                _power_of_half(away, sharpness, near[dy + reach, dx + reach], weights, depth, count)
                for x in range(x1 - x0):
                    to = target[y * size + x0 + x]
                    given = source[(y + dy) * size + x0 + x + dx]
                    if depth == 1:
                        for m in range(columns):
                            to[m] += weights[x] * given[m]
                    else:
                        own_weights = weights[x * depth : (x + 1) * depth]
                        for g in range(0, columns, depth):
                            for m in range(depth):
                                to[g + m] += own_weights[m] * given[g + m]


@_jit
def _power_of_half(away, sharpness, near, weights, depth, count):
    """weights = near 2^-(sharpness t), with t the sum of three neighbors of `away`.

    As a power of a whole number, which is an exponent's bits, and one of a half at most, which is
    a series: the compiler makes vectors of it, which it cannot of a call of exp.
    """
    bits = np.empty(count, np.int32)
    for k in range(count):
        t = sharpness[k] * (away[k] + away[k + depth] + away[k + 2 * depth])
        t = min(t, _FAR)
        whole = np.int32(t + _HALF)
        u = (np.float32(whole) - t) * np.float32(0.6931471805599453)
        series = _ONE + u * _SIXTH
        series = _ONE + series * u * _FIFTH
        series = _ONE + series * u * _QUARTER
        series = _ONE + series * u * _THIRD
        series = _ONE + series * u * _HALF
        series = _ONE + series * u
        weights[k] = near * series
        bits[k] = (np.int32(127) - whole) << 23
    powers = bits.view(np.float32)
    for k in range(count):
        weights[k] *= powers[k]
