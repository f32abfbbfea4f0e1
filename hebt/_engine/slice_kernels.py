"""The projector's inner loops for few slices, whose columns would leave a vector's lanes empty.

The lanes hold sixteen neighbors of a row instead. At one tilt they are seen a fixed number of bins
apart, up to a part of a bin. So a copy of the projections in which each lane is moved by its whole
number of bins, `moved`, makes one bin of all lanes a vector, and four of these are all that a
vector of pixels is seen by. What the lanes are moved by is the same for all rows and all blocks
of sixteen columns.

To work a weight out takes longer than to use it for one slice. A slice that is turned by 180
degrees is seen turned, by the same weights: so the lower half of a slice, turned, may stand beside
the upper half as one more column, and its projections are turned back. A middle row is in the upper
half.

Weights are as in `kernels`, and so are names. `blocks` is the volume as (blocks, rows, columns,
LANES), with zeros beyond the slice's edge, and an even number of rows. Arrays that have twice the
columns of the volume hold halves of slices, then turned ones.
"""

import math
from functools import partial

import numba
import numpy as np

from .compiled import kept
from .kernels import TILE
from .shadows import beyond, shadow_shape
from .vectors import LANES, address, read, where_below, write

_compiler = partial(numba.njit, nogil=True, fastmath=True, error_model="numpy")
_jit, _inline = kept(_compiler), kept(partial(_compiler, inline="always"))
_ONE = np.float32(1)


@_inline
def _weigh(u, shape):
    """Weights in four bins of pixels that lie `u` right of the second one, -1/2 to 3/2 bins."""
    half, high, ramp, half_inverse = shape
    first = beyond(high - half - u, ramp, half_inverse)
    last = beyond(u - (np.float32(3) * half - high), ramp, half_inverse)
    # the edge in the middle may lie on either side of a shadow's center
    part = beyond(min(half + high - u, u - (half - high)), ramp, half_inverse)
    left = where_below(u, half, _ONE - part, part)
    return first, left - first, _ONE - left - last, last


@_inline
def _move(theta_cos, unit, moves, rest):
    """By how many bins each lane is moved, and what is left of its way, in units."""
    for lane in range(LANES):
        whole = math.floor(lane * theta_cos + 0.5)
        moves[lane] = int(whole)
        rest[lane] = np.float32((lane * theta_cos - whole) * unit)


@_inline
def _lowest(size, theta_cos, theta_sin):
    """The first bin of `moved`, below all in which a block's pixels are seen."""
    return math.floor(0.5 * (size - 1) * (1 - abs(theta_cos) - abs(theta_sin))) - 4


@_jit
def moved_bins(size):
    """How many bins `moved` has: those in which pixels can be seen, and some to spare."""
    return math.ceil(math.sqrt(2.0) * size) + 12


@_jit
def split(x, blocks, size, rows, first_row, last_row):
    """Copy rows of the volume into `blocks`, of which so many are walked; others are 0."""
    count, _, columns, _ = blocks.shape
    slices = x.shape[1]
    for b in range(count):
        inside = min(LANES, size - b * LANES)
        for i in range(first_row, last_row):
            target, begin = blocks[b, i], i * size + b * LANES
            if i >= rows or 2 * i + 1 == size or inside < LANES:
                target[:] = 0.0
            if i < rows:
                source = x[begin : begin + inside]
                for m in range(slices):
                    for lane in range(inside):
                        target[m, lane] = source[lane, m]
            if columns > slices and 2 * i + 1 < size:
                end = size * size - begin
                source = x[end - inside : end]
                for m in range(slices):
                    for lane in range(inside):
                        target[slices + m, lane] = source[inside - 1 - lane, m]


@_inline
def _gather(moved, begins, line, p, slices):
    """Set the first slices of projections, (bins, at least slices), by way of `line`."""
    size = len(p)
    p[:, :slices] = 0.0
    for m in range(moved.shape[1]):
        line[:] = 0.0
        for k in range(len(moved)):
            own = moved[k, m]
            for lane in range(LANES):
                line[k + begins[lane]] += own[lane]
        if m < slices:
            for d in range(size):
                p[d, m] += line[len(moved) + d]
        else:
            for d in range(size):
                p[size - 1 - d, m - slices] += line[len(moved) + d]


@_jit
def forward(blocks, p, slices, cosines, sines, first_tilt, last_tilt):
    """Project so many slices into tilts `first_tilt` to `last_tilt` of p.

    Rows are taken in pairs, whose bins are the same, or one apart.
    """
    count, rows, columns, _ = blocks.shape
    size = p.shape[1]
    half = 0.5 * (size - 1)
    moved = np.empty((moved_bins(size), columns, LANES), np.float32)
    moves, rest = np.empty(LANES, np.int64), np.empty(LANES, np.float32)
    # bin 0 of the detector lies behind as many values as `moved` has bins
    line, begins = np.zeros(size + 2 * len(moved), np.float32), np.empty(LANES, np.int64)
    jump = 4 * columns * LANES
    for a in range(first_tilt, last_tilt):
        c, s = cosines[a], sines[a]
        unit, shape = shadow_shape(c, s)
        _move(c, unit, moves, rest)
        lowest, ways = _lowest(size, c, s), read(address(rest))
        moved[:] = 0.0
        at = address(blocks)
        for b in range(count):
            t0 = half + (b * LANES - half) * c + half * s
            for i in range(0, rows, 2):
                t = t0 - i * s
                d, d2 = math.floor(t), math.floor(t - s)
                d2 = min(max(d2, d - 1), d + 1)
                w = _weigh(ways + np.float32((t - d) * unit), shape)
                w2 = _weigh(ways + np.float32((t - s - d2) * unit), shape)
                to = address(moved) + (int(min(d, d2)) - 1 - lowest) * jump
                if d == d2:
                    for m in range(0, jump, 4 * LANES):
                        pixels, pixels2 = read(at + m), read(at + jump + m)
                        for q in (0, 1, 2, 3):
                            row = to + q * jump + m
                            write(row, read(row) + w[q] * pixels + w2[q] * pixels2)
                else:
                    one, two = (at, at + jump) if d < d2 else (at + jump, at)
                    v, v2 = (w, w2) if d < d2 else (w2, w)
                    for m in range(0, jump, 4 * LANES):
                        pixels, pixels2 = read(one + m), read(two + m)
                        write(to + m, read(to + m) + v[0] * pixels)
                        for q in (1, 2, 3):
                            row = to + q * jump + m
                            write(row, read(row) + v[q] * pixels + v2[q - 1] * pixels2)
                        row = to + 4 * jump + m
                        write(row, read(row) + v2[3] * pixels2)
                at += 2 * jump
        for lane in range(LANES):
            begins[lane] = min(max(0, lowest + moves[lane] + len(moved)), len(moved) + size)
        _gather(moved, begins, line, p[a], slices)


@_jit
def move(p, moved, cosines, sines, first_tilt, last_tilt):
    """Copy projections into `moved`, (tilts, moved bins, columns, LANES), 0 beyond their edges."""
    _, size, slices = p.shape
    _, bins, columns, _ = moved.shape
    moves, rest = np.empty(LANES, np.int64), np.empty(LANES, np.float32)
    line, begins = np.zeros(size + 2 * bins, np.float32), np.empty(LANES, np.int64)
    for a in range(first_tilt, last_tilt):
        _move(cosines[a], 1.0, moves, rest)
        lowest = _lowest(size, cosines[a], sines[a])
        for lane in range(LANES):
            begins[lane] = min(max(0, lowest + moves[lane] + bins), bins + size)
        for m in range(columns):
            for d in range(size):
                line[bins + d] = p[a, d, m] if m < slices else p[a, size - 1 - d, m - slices]
            for k in range(bins):
                target = moved[a, k, m]
                for lane in range(LANES):
                    target[lane] = line[k + begins[lane]]


@_inline
def _keep(total, tiles, size, row, turned):
    """Write one row of pixels into their tiles, or the row opposite."""
    to = size - 1 - row if turned else row
    columns = tiles.shape[3]
    begin = columns if turned else 0
    for tile in range(tiles.shape[1]):
        inside = min(TILE, size - tile * TILE)
        target = tiles[to // TILE, tile]
        for j in range(inside):
            column = tile * TILE + j
            source = size - 1 - column if turned else column
            for m in range(columns):
                own = total[source // LANES, begin + m, source % LANES]
                target[to % TILE * inside + j, m] = own


@_jit
def backward(moved, cosines, sines, size, tiles, row, last_row):
    """Set `tiles` to the back projection at some rows, and of half slices at those opposite.

    `tiles` is (rows of tiles, columns of tiles, TILE * TILE, slices); a tile holds its pixels as in
    `kernels.backward`.
    """
    tilts, bins, columns, _ = moved.shape
    half, rows, count = 0.5 * (size - 1), last_row - row, -(-size // LANES)
    total = np.zeros((rows, count, columns, LANES), np.float32)
    rest, moves = np.empty(LANES, np.float32), np.empty(LANES, np.int64)
    jump = 4 * columns * LANES
    for a in range(tilts):
        c, s = cosines[a], sines[a]
        unit, shape = shadow_shape(c, s)
        _move(c, unit, moves, rest)
        ways = read(address(rest))
        source = address(moved) + (a * bins - 1 - _lowest(size, c, s)) * jump
        to = address(total)
        for i in range(row, row + rows):
            t0 = half - half * c + (half - i) * s
            for b in range(count):
                t = t0 + b * LANES * c
                d = math.floor(t)
                w = _weigh(ways + np.float32((t - d) * unit), shape)
                at = source + int(d) * jump
                for _ in range(columns):
                    seen = read(to)
                    for q in (0, 1, 2, 3):
                        seen = seen + w[q] * read(at + q * jump)
                    write(to, seen)
                    at += 4 * LANES
                    to += 4 * LANES
    for i in range(rows):
        _keep(total[i], tiles, size, row + i, False)
        if columns > tiles.shape[3] and 2 * (row + i) + 1 < size:
            _keep(total[i], tiles, size, row + i, True)
