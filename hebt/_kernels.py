"""The projector's inner loops, compiled with numba.

A voxel seen at a tilt casts a trapezoidal shadow on the detector: the convolution of two boxes of
widths |cos| and |sin|, of area 1. The weight of a (pixel, detector bin) pair is the part of that
shadow that falls into the bin. All slices of a single-axis tilt series share these weights, so the
arrays here hold the slices along their last, contiguous axis, a weight is worked out once for a
block of slices, and the work is a few multiply-adds on vectors. The image is walked in square
tiles, small enough that a tile and its shadows stay in the processor's cache for all tilts.

Names: `x` is the volume as (size * size, columns), `p` the projections as (tilts, size, columns),
with a column for each slice of each element. Detector coordinates count bins, bin 0 centred at 0.
"""

import math

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_LANES = 16  # floats in a vector; LLVM splits it where the processor has shorter ones
TILE = 24  # pixels along the edge of a tile
_EDGE = 1e-9  # overlaps narrower than this (in pixels) are rounding, not weights

_jit = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
_inline = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")


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
        scalar, vector = ir.FloatType(), ir.VectorType(ir.FloatType(), _LANES)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
        pick = range(len(signature.args[1]))
        starts = [
            builder.inttoptr(builder.extract_value(sources, k), scalar.as_pointer()) for k in pick
        ]
        factors = [builder.extract_value(weights, k) for k in pick]
        undefined = ir.Constant(vector, ir.Undefined)
        wide_factors = [
            builder.shuffle_vector(
                builder.insert_element(undefined, f, ir.IntType(32)(0)), undefined, spread
            )
            for f in factors
        ]
        target = builder.inttoptr(target, scalar.as_pointer())

        def steps(begin, end, width, kind, factors):
            with cgutils.for_range_slice(
                builder, begin, end, count.type(width), count.type
            ) as (m, _):
                at = builder.bitcast(builder.gep(target, [m]), kind.as_pointer())
                total = builder.load(at, align=4)
                for start, factor in zip(starts, factors):
                    part = builder.bitcast(builder.gep(start, [m]), kind.as_pointer())
                    product = builder.fmul(builder.load(part, align=4), factor, flags=["fast"])
                    total = builder.fadd(total, product, flags=["fast"])
                builder.store(total, at, align=4)

        whole = builder.and_(count, count.type(-_LANES))
        steps(count.type(0), whole, _LANES, vector, wide_factors)
        steps(whole, count, 1, scalar, factors)
        return context.get_dummy_value()

    return types.void(target, sources, weights, count), build


@_inline
def _shadow(u, high, low, narrow, inv_narrow, inv_wide):
    """Part of a voxel's shadow that lies left of `u` (measured from the shadow's centre)."""
    zero, half = np.float32(0.0), np.float32(0.5)
    rise = min(max(u + high, zero), narrow)
    flat = min(max(u + low, zero), low + low)
    fall = min(max(u - low, zero), narrow)
    return inv_wide * (flat + fall + half * inv_narrow * (rise * rise - fall * fall))


@_inline
def _footprint(theta_cos, theta_sin):
    """Shape of a voxel's shadow: half its width (in double and single precision), half the width
    of its flat top, the width of its ramps and that one's inverse, and the height of its top."""
    a = abs(theta_cos)
    b = abs(theta_sin)
    narrow = min(a, b)
    wide = max(a, b)
    return (
        0.5 * (a + b),
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


@_jit
def forward(x, p, cosines, sines, size, first_tilt, last_tilt, first, last):
    """Project columns `first` to `last` of `x` into tilts `first_tilt` to `last_tilt` of `p`."""
    bins = 2 * TILE + 4
    start = np.empty(bins, np.int32)
    taps = np.empty(bins, np.int32)
    offset = np.empty(bins, np.float32)
    half = np.float32(0.5)
    w = np.empty((4, bins), np.float32)
    width = x.shape[1]
    count = last - first
    x_at = x.ctypes.data + 4 * first
    p_at = p.ctypes.data + 4 * first
    for a in range(first_tilt, last_tilt):
        p[a, :, first:last] = 0.0
    for row in range(0, size, TILE):
        rows = min(TILE, size - row)
        for column in range(0, size, TILE):
            columns = min(TILE, size - column)
            for a in range(first_tilt, last_tilt):
                c, s = cosines[a], sines[a]
                extent, high, low, narrow, inv_narrow, inv_wide = _footprint(c, s)
                t0, pixel0, lines, length, line_t, line_pixel, step_t, step_pixel = _walk(
                    size, c, s, row, column, rows, columns
                )
                inv_step = 1.0 / step_t
                step = step_pixel * width * 4
                reach = 0.5 + extent - _EDGE
                for line in range(lines):
                    t = t0 + line * line_t
                    pixel = pixel0 + line * line_pixel
                    d0 = max(0, math.ceil(t - reach))
                    d1 = min(size - 1, math.floor(t + (length - 1) * step_t + reach))
                    n = d1 - d0 + 1
                    for k in range(n):
                        d = float(d0 + k)
                        begin = max(np.ceil((d - reach - t) * inv_step), 0.0)
                        end = min(np.floor((d + reach - t) * inv_step), length - 1.0)
                        start[k] = np.int32(begin)
                        taps[k] = np.int32(end - begin) + 1
                        offset[k] = t + begin * step_t - d
                    for q in range(4):
                        away = np.float32(q * step_t)
                        for k in range(n):
                            u = offset[k] + away
                            right = _shadow(half - u, high, low, narrow, inv_narrow, inv_wide)
                            left = _shadow(-half - u, high, low, narrow, inv_narrow, inv_wide)
                            w[q, k] = right - left
                    for k in range(n):
                        to = p_at + ((a * size + d0 + k) * width) * 4
                        i0 = x_at + (pixel + start[k] * step_pixel) * width * 4
                        i1 = i0 + step
                        i2 = i1 + step
                        i3 = i2 + step
                        w0, w1, w2, w3 = w[0, k], w[1, k], w[2, k], w[3, k]
                        if taps[k] == 1:
                            _add_weighted(to, (i0,), (w0,), count)
                        elif taps[k] == 2:
                            _add_weighted(to, (i0, i1), (w0, w1), count)
                        elif taps[k] == 3:
                            _add_weighted(to, (i0, i1, i2), (w0, w1, w2), count)
                        elif taps[k] == 4:
                            _add_weighted(to, (i0, i1, i2, i3), (w0, w1, w2, w3), count)


@_jit
def backward(p, cosines, sines, size, row, column, first, last, tile):
    """Set `tile` to the back projection of columns `first` to `last` of `p` at one tile's pixels.

    `tile` is (TILE * TILE, at least last - first); it holds the tile's pixels row by row.
    """
    start = np.empty(TILE, np.int64)
    taps = np.empty(TILE, np.int64)
    w = np.empty((3, TILE), np.float32)
    one = np.float32(1.0)
    rows = min(TILE, size - row)
    columns = min(TILE, size - column)
    n = last - first
    width = p.shape[2]
    tile_width = tile.shape[1]
    p_at = p.ctypes.data + 4 * first
    tile_at = tile.ctypes.data
    tile[: rows * columns, :n] = 0.0
    for a in range(len(cosines)):
        c, s = cosines[a], sines[a]
        extent, high, low, narrow, inv_narrow, inv_wide = _footprint(c, s)
        t0, pixel0, lines, length, line_t, line_pixel, step_t, step_pixel = _walk(
            size, c, s, row, column, rows, columns
        )
        # the same walk within the tile
        line_pixel = columns if line_pixel == size else 1
        jump = columns if abs(step_pixel) == size else 1
        begin_pixel = 0
        if step_pixel < 0:
            begin_pixel = (length - 1) * jump
            jump = -jump
        for line in range(lines):
            t = t0 + line * line_t
            pixel = begin_pixel + line * line_pixel
            for k in range(length):
                u = t + k * step_t
                d = np.ceil(u - extent + _EDGE - 0.5)
                left = np.float32(d + 0.5 - u)
                w0 = _shadow(left, high, low, narrow, inv_narrow, inv_wide)
                w01 = _shadow(left + one, high, low, narrow, inv_narrow, inv_wide)
                start[k] = np.int64(d)
                taps[k] = np.int64(np.floor(u + extent - _EDGE + 0.5) - d) + 1
                w[0, k] = w0
                w[1, k] = w01 - w0
                w[2, k] = one - w01
            for k in range(length):
                d = start[k]
                j = pixel + k * jump
                w0, w1, w2 = w[0, k], w[1, k], w[2, k]
                to = tile_at + j * tile_width * 4
                i0 = p_at + ((a * size + d) * width) * 4
                i1 = i0 + 4 * width
                i2 = i1 + 4 * width
                if d < 0 or d + taps[k] > size:
                    for q in range(taps[k]):
                        if 0 <= d + q < size:
                            _add_weighted(to, (i0 + 4 * q * width,), (w[q, k],), n)
                elif taps[k] == 1:
                    _add_weighted(to, (i0,), (w0,), n)
                elif taps[k] == 2:
                    _add_weighted(to, (i0, i1), (w0, w1), n)
                else:
                    _add_weighted(to, (i0, i1, i2), (w0, w1, w2), n)


@_jit
def store(tile, x, size, row, column, first, last):
    """Write a tile of `backward` into the volume."""
    columns = min(TILE, size - column)
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            for m in range(last - first):
                x[pixel, first + m] = tile[i * columns + j, m]


@_jit
def step(tile, x, inverse_sums, mask, size, row, column, first, last):
    """SIRT's step at one tile: x <- max(0, x + tile / column sum) * mask.

    `mask` is (size * size, 1), or one column per slice that repeats for each element.
    """
    columns = min(TILE, size - column)
    masks = mask.shape[1]
    for i in range(min(TILE, size - row)):
        for j in range(columns):
            pixel = (row + i) * size + column + j
            scale = inverse_sums[pixel]
            if masks == 1:
                keep = mask[pixel, 0]
                for m in range(last - first):
                    value = x[pixel, first + m] + scale * tile[i * columns + j, m]
                    x[pixel, first + m] = keep * max(value, np.float32(0.0))
            else:
                for m in range(last - first):
                    value = x[pixel, first + m] + scale * tile[i * columns + j, m]
                    keep = mask[pixel, (first + m) % masks]
                    x[pixel, first + m] = keep * max(value, np.float32(0.0))


@_jit
def residual(wx, maps, haadf, weights, inverse_sums, first_tilt, last_tilt, squares):
    """Turn projections into the weighted residual that SIRT projects back.

    In place in `wx`, (tilts, size, elements, slices), for each element e:
    R^-1 [(1 - alpha) (maps_e - wx_e) + (alpha / k) (haadf - sum_e wx_e)],
    with `weights` (2, slices) holding 1 - alpha and alpha / k. The squared norms of the plain
    residuals (EDS per element, then HAADF) go to `squares[tilt]`.
    """
    tilts, size, elements, slices = wx.shape
    for a in range(first_tilt, last_tilt):
        squares[a, :] = 0.0
        for d in range(size):
            scale = inverse_sums[a, d]
            for m in range(slices):
                total = haadf[a, d, m]
                for e in range(elements):
                    total -= wx[a, d, e, m]
                squares[a, elements] += np.float64(total) ** 2
                total *= weights[1, m]
                for e in range(elements):
                    own = maps[a, d, e, m] - wx[a, d, e, m]
                    squares[a, e] += np.float64(own) ** 2
                    wx[a, d, e, m] = scale * (weights[0, m] * own + total)
