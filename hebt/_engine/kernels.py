"""The projector's inner loops, compiled with numba.

A voxel seen at a tilt casts a trapezoidal shadow on the detector: the convolution of two boxes of
widths |cos| and |sin|, of area 1. The weight of a (pixel, detector bin) pair is the part of that
shadow that falls into the bin. All slices of a single-axis tilt series share these weights, so the
arrays here hold the slices along their last, contiguous axis, a weight is worked out once for a
block of slices, and the work is a few multiply-adds on vectors. The image is walked in square
tiles, small enough that a tile and its shadows stay in the processor's cache for all tilts.

Names: `x` is the volume as (size * size, columns), `p` the projections as (tilts, size, columns),
with a column for each slice of each element. Detector coordinates count bins, bin 0 centered at 0.
"""

import math
from functools import partial

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .compiled import kept
from .shadows import beyond, shadow_shape
from .vectors import LANES, address, read, where_below, write

TILE = 28  # pixels along the edge of a tile
_ROOM = 32  # for what a line of a tile holds or is seen by: at most TILE + 2 bins for two lines
_EDGE = 1e-9  # overlaps narrower than this (in pixels) are rounding, not weights
_ZERO = np.float32(0)
_compiler = partial(numba.njit, nogil=True, fastmath=True, error_model="numpy")
_jit, _inline = kept(_compiler), kept(partial(_compiler, inline="always"))


@intrinsic
def _add_weighted(typingctx, target, sources, weights, count):
    """target[:count] += sum(weight * source[:count]), for float32 vectors given by address.

    Written for LLVM's vector type because the compiler, left alone, has to allow for the vectors
    to overlap and then runs at half this speed. They must not overlap.
    """
    if len(sources) != len(weights):
        return None

    def build(context, builder, signature, args):
        target, sources, weights, count = args
        scalar = ir.FloatType()
        pick = range(len(signature.args[1]))
        starts = [
            builder.inttoptr(builder.extract_value(sources, k), scalar.as_pointer()) for k in pick
        ]
        factors = [builder.extract_value(weights, k) for k in pick]
        target = builder.inttoptr(target, scalar.as_pointer())

        def steps(begin, end, width):
            kind = ir.VectorType(scalar, width)
            spread = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
            empty = ir.Constant(kind, ir.Undefined)
            wide = [
                builder.shuffle_vector(
                    builder.insert_element(empty, f, ir.IntType(32)(0)), empty, spread
                )
                for f in factors
            ]
            with cgutils.for_range_slice(builder, begin, end, count.type(width), count.type) as (
                m,
                _,
            ):
                at = builder.bitcast(builder.gep(target, [m]), kind.as_pointer())
                total = builder.load(at, align=4)
                for start, factor in zip(starts, wide):
                    part = builder.bitcast(builder.gep(start, [m]), kind.as_pointer())
                    product = builder.fmul(builder.load(part, align=4), factor, flags=["fast"])
                    total = builder.fadd(total, product, flags=["fast"])
                builder.store(total, at, align=4)

        done = count.type(0)
        for width in (LANES, 4, 1):
            until = builder.and_(count, count.type(-width))
            steps(done, until, width)
            done = until
        return context.get_dummy_value()

    return types.void(target, sources, weights, count), build


@_inline
def _footprint(theta_cos, theta_sin):
    """Half the width of a voxel's shadow and, in single precision, its shape for `_shadow`: half
    its width and that of its flat top, the width of a ramp, its inverse, the height of the top."""
    a = abs(theta_cos)
    b = abs(theta_sin)
    narrow = min(a, b)
    wide = max(a, b)
    return 0.5 * (a + b), (
        np.float32(0.5 * (a + b)),
        np.float32(0.5 * (wide - narrow)),
        np.float32(narrow),
        np.float32(1.0 / max(narrow, 1e-30)),
        np.float32(1.0 / wide),
    )


@_inline
def _walk(size, theta_cos, theta_sin, row, column, rows, columns):
    """How to walk a tile at one tilt, so that the detector coordinate grows along each line.

    Returns the detector coordinate and the pixel index of the first pixel, the number of lines
    and of pixels in a line, and, for a step to the next line and to the next pixel, the change
    of the detector coordinate and of the pixel index.
    """
    half = 0.5 * (size - 1)
    t = half + (column - half) * theta_cos + (half - row) * theta_sin
    pixel = row * size + column
    # along a line the coordinate must change by at least 0.7 per pixel
    if abs(theta_cos) >= abs(theta_sin):
        lines, length = rows, columns
        line_t, line_pixel, step_t, step_pixel = -theta_sin, size, theta_cos, 1
    else:
        lines, length = columns, rows
        line_t, line_pixel, step_t, step_pixel = theta_cos, 1, -theta_sin, size
    if step_t < 0:
        t += (length - 1) * step_t
        pixel += (length - 1) * step_pixel
        step_t, step_pixel = -step_t, -step_pixel
    return t, pixel, lines, length, line_t, line_pixel, step_t, step_pixel


@_inline
def _weigh_bins(w, begin, offset, t, bin0, along):
    """For detector bins from `bin0` on, the first pixel of a line that each sees, and the weights.

    A bin sees at most `taps` pixels; where it sees fewer, the others have weight 0. All loops
    run over the whole room, as a constant length is what the compiler turns into vectors best.
    """
    step_t, length, taps, reach, unit, shape = along
    half, high, ramp, half_inverse = shape
    last = max(length - taps, 0.0)
    inv_step = 1.0 / step_t
    for k in range(_ROOM):
        d = float(bin0 + k)
        first = min(max(np.ceil((d - reach - t) * inv_step), 0.0), last)
        begin[k] = np.int32(first)
        offset[k] = (t + first * step_t - d) * unit
    for q in range(taps):
        away, inside = np.float32(q * step_t * unit), np.float32(q < length)
        for k in range(0, _ROOM, LANES):
            u = read(address(offset) + 4 * k) + away
            u = max(u, _ZERO - u)
            # beyond the nearer edge of the bin, on whichever side the voxel's center lies
            part = beyond(min(half + high - u, u - (half - high)), ramp, half_inverse)
            far = beyond(high - half - u, ramp, half_inverse)
            weight = where_below(u, half, np.float32(1) - part, part) - far
            write(address(w) + 4 * (q * _ROOM + k), inside * weight)


@_jit
def forward(x, p, cosines, sines, size, first_tilt, last_tilt, first, last):
    """Project columns `first` to `last` of `x` into tilts `first_tilt` to `last_tilt` of `p`.

    Lines of pixels are taken in pairs, and each detector bin gathers what it sees of both.
    """
    begin, begin2 = np.empty(_ROOM, np.int32), np.empty(_ROOM, np.int32)
    offset = np.empty(_ROOM, np.float32)
    w, w2 = np.empty((4, _ROOM), np.float32), np.empty((4, _ROOM), np.float32)
    width = 4 * x.shape[1]
    count = last - first
    x_at = x.ctypes.data + 4 * first
    p_at = p.ctypes.data + 4 * first
    p[first_tilt:last_tilt, :, first:last] = 0.0
    for row in range(0, size, TILE):
        rows = min(TILE, size - row)
        for column in range(0, size, TILE):
            columns = min(TILE, size - column)
            for a in range(first_tilt, last_tilt):
                c, s = cosines[a], sines[a]
                unit, shape = shadow_shape(c, s)
                t0, pixel0, lines, length, line_t, line_pixel, step_t, step_pixel = _walk(
                    size, c, s, row, column, rows, columns
                )
                reach = 0.5 + _footprint(c, s)[0] - _EDGE
                taps = int(2.0 * reach / step_t) + 1
                end = length - 1
                # the steps to the next pixels, unless a line has no more
                jump = step_pixel * width
                one = jump if length > 1 else 0
                two = 2 * jump if length > 2 else one
                three = 3 * jump if length > 3 else two
                for line in range(0, lines, 2):
                    t = t0 + line * line_t
                    t2 = t + line_t
                    at = x_at + (pixel0 + line * line_pixel) * width
                    at2 = at + line_pixel * width
                    bin0 = max(0, math.ceil(min(t, t2) - reach))
                    bin1 = min(size - 1, math.floor(max(t, t2) + end * step_t + reach))
                    bins = bin1 - bin0 + 1
                    along = step_t, length, taps, reach, unit, shape
                    _weigh_bins(w, begin, offset, t, bin0, along)
                    if line + 1 < lines:
                        _weigh_bins(w2, begin2, offset, t2, bin0, along)
                    else:
                        at2 = at
                        w2[:, :] = 0.0
                        begin2[:] = begin
                    for k in range(bins):
                        to = p_at + (a * size + bin0 + k) * width
                        i, i2 = at + begin[k] * jump, at2 + begin2[k] * jump
                        ats = i, i + one, i + two, i + three
                        ats2 = i2, i2 + one, i2 + two, i2 + three
                        ws = w[0, k], w[1, k], w[2, k], w[3, k]
                        ws2 = w2[0, k], w2[1, k], w2[2, k], w2[3, k]
                        if taps <= 2:
                            _add_weighted(to, ats[:2] + ats2[:2], ws[:2] + ws2[:2], count)
                        elif taps == 3:
                            _add_weighted(to, ats[:3] + ats2[:3], ws[:3] + ws2[:3], count)
                        else:
                            _add_weighted(to, ats + ats2, ws + ws2, count)


@_inline
def _weigh_pixels(w, begin, offset, t, step_t, length, size, unit, shape):
    """For each pixel of a row, the first detector bin that it is seen by, and three weights."""
    half, high, ramp, half_inverse = shape
    for k in range(_ROOM):
        u = t + k * step_t
        d = np.floor(u + 0.5)
        begin[k] = np.int32(d) - 1
        offset[k] = (u - d) * unit
    for k in range(0, _ROOM, LANES):
        u = read(address(offset) + 4 * k)
        left = beyond(high - half - u, ramp, half_inverse)
        right = beyond(u + (high - half), ramp, half_inverse)
        write(address(w) + 4 * k, left)
        write(address(w) + 4 * (_ROOM + k), np.float32(1) - left - right)
        write(address(w) + 4 * (2 * _ROOM + k), right)
    end = max(size - 3, 0)
    ends = begin[0], begin[length - 1]
    if min(ends) < 0 or max(ends) > end or size < 3:
        for k in range(length):
            inside = min(max(begin[k], 0), end)
            away, old = inside - begin[k], (w[0, k], w[1, k], w[2, k])
            begin[k] = inside
            for q in range(3):
                w[q, k] = old[q + away] if 0 <= q + away < 3 and q < size else _ZERO


@_jit
def backward(p, cosines, sines, size, row, column, first, last, tile):
    """Set `tile` to the back projection of columns `first` to `last` of `p` at one tile's pixels.

    `tile` is (TILE * TILE, at least last - first); it holds the tile's pixels row by row. Tilts
    are taken in pairs, and each pixel gathers what both detectors see of it.
    """
    begin, begin2 = np.empty(_ROOM, np.int32), np.empty(_ROOM, np.int32)
    offset = np.empty(_ROOM, np.float32)
    w, w2 = np.empty((3, _ROOM), np.float32), np.empty((3, _ROOM), np.float32)
    half = 0.5 * (size - 1)
    rows = min(TILE, size - row)
    columns = min(TILE, size - column)
    tilts = len(cosines)
    count = last - first
    width = 4 * p.shape[2]
    tile_width = 4 * tile.shape[1]
    p_at = p.ctypes.data + 4 * first
    tile_at = tile.ctypes.data
    one = width if size > 1 else 0
    two = 2 * width if size > 2 else one
    tile[: rows * columns, :count] = 0.0
    for a in range(0, tilts, 2):
        c, s = cosines[a], sines[a]
        unit, shape = shadow_shape(c, s)
        at = p_at + a * size * width
        pair = a + 1 < tilts
        a2 = a + 1 if pair else a
        c2, s2 = cosines[a2], sines[a2]
        unit2, shape2 = shadow_shape(c2, s2)
        at2 = p_at + a2 * size * width
        for i in range(rows):
            t = half + (column - half) * c + (half - row - i) * s
            t2 = half + (column - half) * c2 + (half - row - i) * s2
            _weigh_pixels(w, begin, offset, t, c, columns, size, unit, shape)
            _weigh_pixels(w2, begin2, offset, t2, c2, columns, size, unit2, shape2)
            if not pair:
                w2[:, :] = 0.0
            for k in range(columns):
                to = tile_at + (i * columns + k) * tile_width
                j, j2 = at + begin[k] * width, at2 + begin2[k] * width
                _add_weighted(
                    to,
                    (j, j + one, j + two, j2, j2 + one, j2 + two),
                    (w[0, k], w[1, k], w[2, k], w2[0, k], w2[1, k], w2[2, k]),
                    count,
                )


@_jit
def backward_narrow(p, cosines, sines, size, row, column, tile):
    """Do as `backward` does for p with as many columns as a vector has lanes.

    What a pixel sees stays in registers over all tilts, so the weights of a row of pixels are
    worked out for all of them first.
    """
    tilts = len(cosines)
    begin, offset = np.empty((tilts, _ROOM), np.int32), np.empty(_ROOM, np.float32)
    w = np.empty((tilts, 3, _ROOM), np.float32)
    half = 0.5 * (size - 1)
    columns = min(TILE, size - column)
    width = 4 * LANES
    one = width if size > 1 else 0
    two = 2 * width if size > 2 else one
    for i in range(min(TILE, size - row)):
        for a in range(tilts):
            c, s = cosines[a], sines[a]
            unit, shape = shadow_shape(c, s)
            t = half + (column - half) * c + (half - row - i) * s
            _weigh_pixels(w[a], begin[a], offset, t, c, columns, size, unit, shape)
        for k in range(columns):
            at = address(p) + begin[0, k] * width
            left, middle = w[0, 0, k] * read(at), w[0, 1, k] * read(at + one)
            right = w[0, 2, k] * read(at + two)
            for a in range(1, tilts):
                at = address(p) + (a * size + begin[a, k]) * width
                left = left + w[a, 0, k] * read(at)
                middle = middle + w[a, 1, k] * read(at + one)
                right = right + w[a, 2, k] * read(at + two)
            write(address(tile) + (i * columns + k) * width, left + middle + right)


@_jit
def store(tile, x, size, row, column, first, last):
    """Write a tile of `backward` into the volume."""
    columns = min(TILE, size - column)
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            x[pixel, first:last] = tile[i * columns + j, : last - first]


@_jit
def step(tile, x, inverse_sums, mask, size, row, column, first, last, change):
    """SIRT's step at one tile: x <- max(0, x + tile / column sum) * mask.

    `mask` is (size * size, 1), or one column per slice that repeats for each element. The squared
    norms of the step and of the new x go to `change`.
    """
    columns = min(TILE, size - column)
    masks = mask.shape[1]
    moved, total = 0.0, 0.0
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            scale = inverse_sums[pixel]
            back = tile[i * columns + j]
            own = x[pixel, first:last]
            if masks == 1:
                keep = mask[pixel, 0]
                for m in range(last - first):
                    old = own[m]
                    value = keep * max(old + scale * back[m], _ZERO)
                    own[m] = value
                    moved += np.float64(value - old) ** 2
                    total += np.float64(value) ** 2
            else:
                begin = 0
                while begin < last - first:
                    s = (first + begin) % masks
                    count = min(last - first - begin, masks - s)
                    keeps = mask[pixel, s : s + count]
                    part, back_part = own[begin : begin + count], back[begin : begin + count]
                    for m in range(count):
                        old = part[m]
                        value = keeps[m] * max(old + scale * back_part[m], _ZERO)
                        part[m] = value
                        moved += np.float64(value - old) ** 2
                        total += np.float64(value) ** 2
                    begin += count
    change[0], change[1] = moved, total


@_jit
def add_shared(tile, shared, slices, elements, size, row, column, first, last):
    """Add to a tile of `backward` what all elements share, (size * size, at least slices)."""
    columns = min(TILE, size - column)
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            for e in range(elements):
                begin, end = max(first, e * slices), min(last, (e + 1) * slices)
                if begin < end:
                    own = tile[i * columns + j, begin - first : end - first]
                    more = shared[pixel, begin - e * slices : end - e * slices]
                    for m in range(end - begin):
                        own[m] += more[m]


@_jit
def add_up(x, shared, slices, elements, first_pixel, last_pixel):
    """Set `shared`, (size * size, at least slices), to the sum of x over the elements."""
    for pixel in range(first_pixel, last_pixel):
        total = shared[pixel, :slices]
        total[:] = x[pixel, :slices]
        for e in range(1, elements):
            own = x[pixel, e * slices : (e + 1) * slices]
            for m in range(slices):
                total[m] += own[m]


@_jit
def residual_alone(wx, data, weight, inverse_sums, series, squares, first_tilt, last_tilt):
    """Turn projections of one modality into its weighted residual, in place.

    weight * R^-1 (data - wx), where `data` holds `series` tilt series side by side in its columns.
    Their squared norms go to `squares[tilt]`.
    """
    size, columns = data.shape[1:]
    slices = columns // series
    for a in range(first_tilt, last_tilt):
        squares[a, :] = 0.0
        for d in range(size):
            scale = inverse_sums[a, d] * weight
            for e in range(series):
                given = data[a, d, e * slices : (e + 1) * slices]
                projected = wx[a, d, e * slices : (e + 1) * slices]
                square = 0.0
                for m in range(slices):
                    own = given[m] - projected[m]
                    square += np.float64(own) ** 2
                    projected[m] = scale * own
                squares[a, e] += square


@_jit
def residual(wx, maps, haadf, weights, inverse_sums, elements, squares, first_tilt, last_tilt):
    """Turn projections into the weighted residual that SIRT projects back, in place.

    For each element e: R^-1 [(1 - alpha) (maps_e - wx_e) + (alpha / k) (haadf - sum_e wx_e)],
    with `weights` (2, slices) holding 1 - alpha and alpha / k. `wx` and `maps` have the columns
    (elements, slices), flattened, `haadf` (slices). The squared norms of the plain residuals
    (EDS per element, then HAADF) go to `squares[tilt]`.
    """
    size, slices = haadf.shape[1:]
    own_weights, total_weights = weights[0], weights[1]
    total = np.empty(slices, np.float32)
    for a in range(first_tilt, last_tilt):
        squares[a, :] = 0.0
        for d in range(size):
            scale = inverse_sums[a, d]
            total[:] = haadf[a, d]
            for e in range(elements):
                projected = wx[a, d, e * slices : (e + 1) * slices]
                for m in range(slices):
                    total[m] -= projected[m]
            square = 0.0
            for m in range(slices):
                square += np.float64(total[m]) ** 2
                total[m] *= total_weights[m]
            squares[a, elements] += square
            for e in range(elements):
                given = maps[a, d, e * slices : (e + 1) * slices]
                projected = wx[a, d, e * slices : (e + 1) * slices]
                square = 0.0
                for m in range(slices):
                    own = given[m] - projected[m]
                    square += np.float64(own) ** 2
                    projected[m] = scale * (own_weights[m] * own + total[m])
                squares[a, e] += square
