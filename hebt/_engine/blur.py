"""The residual of element maps that are smoothed, beside HAADF images that are not.

Projections are (tilts, size, columns), and each run of so many columns is the slices of a volume:
an image is smoothed along the slices within each run, and across them over all of its rows. At its
edges it is continued by its mirror image, as `hebt.prepare.smooth` does: with a symmetric kernel
this smoothing is its own adjoint, and leaves the sum over an image as it is.
"""

import numpy as np

from .kernels import _jit


@_jit
def smooth(image, along, across, slice_at, ray_at, padded, spare):
    """Smooth an image, (size, at least columns), in place.

    `slice_at` and `ray_at` say where each value of the continued image comes from; `padded` has
    room for a run of slices that is continued, and `spare`, (size, columns), for an image.
    """
    size, columns = spare.shape
    slices = len(slice_at) - len(along) + 1
    if len(along) > 1:
        for d in range(size):
            for first in range(0, columns, slices):
                own = image[d, first : first + slices]
                for m in range(len(slice_at)):
                    padded[m] = own[slice_at[m]]
                own[:] = 0.0
                for q in range(len(along)):
                    weight = along[q]
                    moved = padded[q : q + slices]
                    for m in range(slices):
                        own[m] += weight * moved[m]
    if len(across) > 1:
        for d in range(size):
            total = spare[d]
            total[:] = 0.0
            for q in range(len(across)):
                weight = across[q]
                row = image[ray_at[d + q]]
                for m in range(columns):
                    total[m] += weight * row[m]
        image[:, :columns] = spare


@_jit
def residual(wx, maps, haadf, weights, inverse_rows, blur, squares, first_tilt, last_tilt):
    """Turn projections into the weighted residual that SIRT projects back, in place.

    As `kernels.residual`, with the smoothing G of the maps: for each element e,
    (1 - alpha) G R_G^-1 (maps_e - G wx_e) + (alpha / k) R^-1 (haadf - sum_e wx_e), the last only
    if `haadf` is not None. `inverse_rows` holds R_G^-1 and R^-1, `blur` the first arguments of
    `smooth` after the image.
    """
    size, columns = maps.shape[1:]
    slices = weights.shape[1]
    own_weights, total_weights = weights[0], weights[1]
    blurred_rows, rows = inverse_rows
    along, across, slice_at, ray_at = blur
    padded, spare = np.empty(len(slice_at), np.float32), np.empty((size, columns), np.float32)
    totals = np.empty((size, slices), np.float32)
    for a in range(first_tilt, last_tilt):
        image = wx[a]
        squares[a, :] = 0.0
        if haadf is not None:
            for d in range(size):
                total = totals[d]
                total[:] = haadf[a, d]
                for first in range(0, columns, slices):
                    projected = image[d, first : first + slices]
                    for m in range(slices):
                        total[m] -= projected[m]
                square = 0.0
                for m in range(slices):
                    square += np.float64(total[m]) ** 2
                    total[m] *= rows[a, d] * total_weights[m]
                squares[a, -1] += square
        smooth(image, along, across, slice_at, ray_at, padded, spare)
        for d in range(size):
            scale = blurred_rows[a, d]
            for first in range(0, columns, slices):
                given = maps[a, d, first : first + slices]
                projected = image[d, first : first + slices]
                square = 0.0
                for m in range(slices):
                    own = given[m] - projected[m]
                    square += np.float64(own) ** 2
                    projected[m] = scale * own_weights[m] * own
                squares[a, first // slices] += square
        smooth(image, along, across, slice_at, ray_at, padded, spare)
        if haadf is not None:
            for d in range(size):
                for first in range(0, columns, slices):
                    projected = image[d, first : first + slices]
                    for m in range(slices):
                        projected[m] += totals[d, m]
