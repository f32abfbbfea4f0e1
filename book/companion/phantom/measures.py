"""How reconstructions of the phantom are scored."""

import numpy as np

from hebt import metrics

METHODS = ("hebt_est", "hebt_gt", "eds")
# Table 1's three scores. "ssim" is the structure term over the whole image and "mse" the mean over
# its pixels, which meet Table 1 best; the other readings of the paper stand beside them.
TABLE_1 = ("ssim", "mse", "dp")
SCORES = {
    "ssim": lambda x, y: metrics.ssim_structure(x, y, window=None),
    "ssim_windowed": lambda x, y: metrics.ssim_structure(x, y, window="gaussian"),
    "mse": lambda x, y: metrics.scaled_mse(x, y, normalise="pixels"),
    "mse_reference": lambda x, y: metrics.scaled_mse(x, y, normalise="reference"),
    "dp": metrics.pixel_difference,
}
BEST_IS_LARGE = ("ssim", "ssim_windowed")


def mse(data, x):
    return scores("mse", data, x)


def scores(name, data, x):
    """Score x (elements, several, size, size) against the phantom -> (elements, several)."""
    return np.array(
        [
            [SCORES[name](reference, np.ascontiguousarray(image)) for image in images]
            for reference, images in zip(data.density, x, strict=True)
        ]
    )


def checkpoints(iterations):
    """Return iterations to look at: each of the first ones, then in steps of a fifth."""
    values = [1]
    while values[-1] < iterations:
        values.append(max(values[-1] + 1, round(values[-1] * 1.2)))
    return np.array(sorted({v for v in values if v <= iterations} | {iterations}))


def weighed(maps, ratios):
    """(elements, tilts, seeds, size) times ratios (seeds, elements)."""
    return (maps * ratios.T[:, None, :, None]).astype(np.float32)


def repeat(haadf, slices):
    """(tilts, size) -> (tilts, slices, size)."""
    return np.repeat(haadf[:, None], slices, axis=1)


def norm(array):
    return float(np.sqrt((array.astype(np.float64) ** 2).sum()))


def as_slices(maps):
    """(elements, tilts, seeds, size) -> (tilts, elements * seeds, size)."""
    return np.concatenate(list(maps), axis=1)
