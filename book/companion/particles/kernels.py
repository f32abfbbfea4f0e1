"""Loops over volumes of tens of millions of voxels, compiled with numba."""

import math

import numba

_jit = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")


@_jit
def tally(x, truth, code, limits, first, last, histogram, totals, sums):
    """Add up what the scores of a reconstruction are made of, in one pass over its rows.

    x, (size, size, elements, slices), and truth, (elements, size, size, slices) in steps of 1/250,
    give a histogram (elements, codes, bins) up to limits (elements,), the totals of x (elements,
    codes), and the sums of x² and truth x, (elements, 2). code is the class of each voxel.
    """
    size, elements, slices = x.shape[1], x.shape[2], x.shape[3]
    bins = histogram.shape[2]
    for i in range(first, last):
        for j in range(size):
            for e in range(elements):
                scale = bins / limits[e]
                square, cross = 0.0, 0.0
                for s in range(slices):
                    value = x[i, j, e, s]
                    square += value * value
                    cross += value * truth[e, i, j, s]
                    kind = code[i, j, s]
                    totals[e, kind] += value
                    histogram[e, kind, min(int(value * scale), bins - 1)] += 1
                sums[e, 0] += square
                sums[e, 1] += cross / 250.0


@_jit
def _sample(volume, x, y, z):
    """Value between voxels, by trilinear interpolation; 0 outside."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    if i < 0 or j < 0 or k < 0:
        return 0.0
    if i + 1 >= volume.shape[0] or j + 1 >= volume.shape[1] or k + 1 >= volume.shape[2]:
        return 0.0
    a, b, c = x - i, y - j, z - k
    value = 0.0
    for di, wi in ((0, 1 - a), (1, a)):
        for dj, wj in ((0, 1 - b), (1, b)):
            row = volume[i + di, j + dj]
            value += wi * wj * (row[k] * (1 - c) + row[k + 1] * c)
    return value


@_jit
def _directions(turn, tip):
    """The picture's right, its down and the ray, as (vertical, depth, across); from above."""
    ct, st, cp, sp = math.cos(turn), math.sin(turn), math.cos(tip), math.sin(tip)
    return (0.0, st, ct), (cp, sp * ct, -sp * st), (sp, -cp * ct, cp * st)


@_jit
def cut(volumes, turn, tip, depth, first, last, section):
    """Sample volumes on a plane across the rays, `depth` voxels behind the middle.

    Rows first to last of section, (materials, rows, columns), are written.
    """
    n, rows, columns = volumes.shape[1], section.shape[1], section.shape[2]
    right, down, ray = _directions(turn, tip)
    middle, scale = (n - 1) / 2, n / columns
    for row in range(first, last):
        for column in range(columns):
            u = (column + 0.5 - columns / 2) * scale
            v = (row + 0.5 - rows / 2) * scale
            x = middle + u * right[0] + v * down[0] + depth * ray[0]
            y = middle + u * right[1] + v * down[1] + depth * ray[1]
            z = middle + u * right[2] + v * down[2] + depth * ray[2]
            for m in range(volumes.shape[0]):
                section[m, row, column] = _sample(volumes[m], x, y, z)


@_jit
def cast(volumes, colors, opacities, edges, view, first, last, step, clear_at, picture):
    """Cast parallel rays through volumes and add up their colors from front to back on white.

    As `render`; `view` holds turn and tip in radians and where rays begin, in voxels behind the
    middle. Rows first to last of the picture are added to; `clear_at`, (rows, columns), says how
    much light is left there.
    """
    n = volumes.shape[1]
    rows, columns = picture.shape[0], picture.shape[1]
    middle, reach = (n - 1) / 2, 0.5 * n * math.sqrt(3.0)
    right, down, ray = _directions(view[0], view[1])
    # the light comes from the upper left, behind the viewer
    light = (
        -0.45 * right[0] - 0.6 * down[0] - 0.66 * ray[0],
        -0.45 * right[1] - 0.6 * down[1] - 0.66 * ray[1],
        -0.45 * right[2] - 0.6 * down[2] - 0.66 * ray[2],
    )
    scale = n / columns
    for row in range(first, last):
        for column in range(columns):
            u = (column + 0.5 - columns / 2) * scale
            v = (row + 0.5 - rows / 2) * scale
            clear, t = clear_at[row, column], max(-reach, view[2])
            while t < reach and clear > 0.01:
                x = middle + u * right[0] + v * down[0] + t * ray[0]
                y = middle + u * right[1] + v * down[1] + t * ray[1]
                z = middle + u * right[2] + v * down[2] + t * ray[2]
                t += step
                if x < 0 or y < 0 or z < 0 or x > n - 1 or y > n - 1 or z > n - 1:
                    continue
                for m in range(volumes.shape[0]):
                    volume = volumes[m]
                    value = (_sample(volume, x, y, z) - edges[0]) / (edges[1] - edges[0])
                    if value <= 0.0:
                        continue
                    value = min(value, 1.0)
                    thin = 1 - (1 - opacities[m]) ** (value * value * (3 - 2 * value) * step)
                    shade, steep, gx, gy, gz = 0.8, 0.0, 0.0, 0.0, 0.0
                    if value < 1.0:  # else inside the material, where no surface is
                        gx = _sample(volume, x + 1, y, z) - _sample(volume, x - 1, y, z)
                        gy = _sample(volume, x, y + 1, z) - _sample(volume, x, y - 1, z)
                        gz = _sample(volume, x, y, z + 1) - _sample(volume, x, y, z - 1)
                        steep = math.sqrt(gx * gx + gy * gy + gz * gz)
                    if steep > 1e-3:
                        along = -(gx * light[0] + gy * light[1] + gz * light[2]) / steep
                        shade = 0.35 + 0.75 * max(0.0, along)
                        # surfaces show more than the inside of a material
                        thin = min(1.0, thin * (1 + 4 * min(1.0, steep)))
                    for k in range(3):
                        picture[row, column, k] += clear * thin * min(1.0, shade * colors[m, k])
                    clear *= 1 - thin
            picture[row, column, :] += clear
