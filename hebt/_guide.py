"""HAADF alone: its noise, and the reconstruction S that says how much there is in a voxel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._engine.accelerated import accelerated_sirt
from ._engine.arrays import inverse, slices_first
from ._problem import Problem

_HAADF_ITERATIONS, _EXACT_HAADF_ITERATIONS = 50, 200
_DISCREPANCY = 1.02
_NORMAL_QUARTILE = 0.3186  # lower quartile of absolute values over the standard deviation
_MANY = 2**22  # pixels, of which more tell no more of the noise
_ENOUGH = 2**14  # pixels of an image that tell its steps
_GOLDEN = 0.6180339887498949
_WHOLE = 2**24  # from here on all of float32's values are whole numbers
_BESIDE = 4  # pixels beside a zero of a cut off background
_LEAST_SHOWN = 0.01  # of all differences
_LITTLE = 1e-3  # noise relative to the brightest pixel that stops nothing too late


def haadf_reconstruction(problem: Problem, noise: float | None = None) -> np.ndarray:
    """Return S, (*lead, size, size): SIRT with momentum, each slice stopped at its noise."""
    W = problem.haadf_projector or problem.W
    haadf: Any = problem.haadf
    tilts, size = len(W.angles), W.size
    p = haadf.reshape(tilts, -1, size)
    if noise is None:
        noise = haadf_noise(haadf)
    mask = np.ones((1, size**2)) if problem.mask is None else problem.mask.reshape(-1, size**2)
    slices = p.shape[1]
    noisy = noise > _LITTLE * p.max(axis=(0, 2))
    x = accelerated_sirt(
        W._beam,
        p,
        np.ascontiguousarray(mask.T, np.float32),
        np.where(noisy, _HAADF_ITERATIONS, _EXACT_HAADF_ITERATIONS),
        np.full(slices, _DISCREPANCY * noise * np.sqrt(tilts * size)),
    )
    return slices_first(x, slices).reshape(*problem.lead, size, size)


def haadf_noise(haadf: np.ndarray) -> float:
    """Estimate the standard deviation of a HAADF pixel's noise, where that is not smoothed.

    From third differences across the tilt axis, of which the specimen leaves little. It has some
    large ones, so their lower quartile counts. Where images are stored in steps, such as whole
    numbers, what rounding does is noise as well: differences of 0 count there, each is spread over
    its step, and the noise is at least that of rounding.
    """
    images = haadf.reshape(len(haadf), -1, haadf.shape[-1])
    images = images[:, :: max(1, images.size // _MANY)]  # whole lines
    if images.shape[-1] < 4:
        return 0.0
    steps = _stored_steps(images)
    differences = np.diff(images, 3, axis=-1)
    if steps.any():
        # fractions of the golden ratio's multiples lie evenly in any part of the images
        spread = (np.arange(differences.size) * _GOLDEN % 1 - 0.5).reshape(differences.shape)
        differences = differences + steps[:, None, None] * spread
    differences = np.abs(differences[_shows_noise(images)])
    differences = differences[differences > 0]
    found = np.quantile(differences, 0.25) / np.sqrt(20) if differences.size else 0.0
    return float(max(found / _NORMAL_QUARTILE, np.sqrt(np.mean(steps**2) / 12)))


def _stored_steps(images: np.ndarray) -> np.ndarray:
    """Return the step between values that each image can have, (tilts,); all 0 if any has none."""
    steps = np.zeros(len(images))
    for tilt, image in enumerate(images):
        values = np.unique(image[:: max(1, image.size // _ENOUGH)]).astype(float)
        if len(values) > 1:
            steps[tilt] = step = _common_step(np.diff(values), np.abs(values).max())
            if step == 0:
                return np.zeros(len(images))
    return steps


def _common_step(gaps: np.ndarray, most: float) -> float:
    """Return the largest number that gaps are multiples of, to float32's digits; 0 if none is."""
    digits = 2 * np.finfo(np.float32).eps * most
    if (gaps == np.rint(gaps)).all() and most < _WHOLE:
        return float(np.gcd.reduce(gaps.astype(np.int64)))
    step = gaps.min()
    while step > 16 * digits:
        multiples = np.rint(gaps / step)
        fitted = gaps.sum() / multiples.sum()
        if np.abs(gaps - fitted * multiples).max() <= 2 * digits:
            return float(fitted)
        rest = np.abs(gaps - step * multiples)
        step = rest.min(initial=step / 2, where=rest > digits * (1 + multiples))  # as Euclid did
    return 0.0


def _shows_noise(images: np.ndarray) -> np.ndarray:
    """Say which third differences show noise, (tilts, slices, size - 3).

    None do where images were blanked, nor beside zeros where all below 0 was cut off; if hardly
    any is left, all count.
    """
    from scipy import ndimage

    dull = (images == 0).view(np.uint8)
    if images.min() < 0:  # a zero is a value like others, but for runs of them
        dull = ndimage.minimum_filter1d(dull, 4, axis=-1)
    dull = ndimage.maximum_filter1d(dull, 4 + 2 * _BESIDE, axis=-1)
    shown = dull[..., 2:-1] == 0
    return shown if shown.mean() > _LEAST_SHOWN else np.ones_like(shown)


def mean_inside(S: np.ndarray) -> np.ndarray:
    """Return S's mean within the specimen, for each of its columns; 0 where it is empty.

    Within is what has a tenth of the typical intensity, which is the mean weighted by itself.
    """
    parts = np.array_split(S, max(1, len(S) // 4096))  # no array of the size of S beside it

    def total(values):
        return np.sum([values(part).sum(axis=0, dtype=float) for part in parts], axis=0)

    squares = total(lambda part: np.square(part, dtype=float))
    typical = squares * inverse(total(np.asarray))
    within = total(lambda part: typical < 10 * part)
    return total(lambda part: np.where(typical < 10 * part, part, 0)) * inverse(within)
