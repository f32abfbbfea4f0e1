"""What the range and the step of the tilts are worth, with the same X-rays in all."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

import hebt
from hebt import simulate
from hebt.metrics import scaled_mse

from ..fidelity import fidelity
from ..store import cached

RANGES, STEPS = (40, 60, 75), (15, 5, 2.5)  # degrees
KERNEL = 0.8  # pixels of a frame of 64
ITERATIONS = 75


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Errors of composition EM over the range and the step of the tilts."""

    size: int
    elements: tuple[str, ...]
    counts: float  # of all tilts, in thousands, per element in the mean
    errors: dict[tuple[float, float], np.ndarray]  # (range, step) -> MSE, (elements, seeds)


def recording() -> Recording:
    """Record the phantom with several ranges and steps, and reconstruct it."""
    size, seeds = (64, 2) if fidelity() == "quick" else (128, 3)
    return _recording(size, tuple(range(seeds)))


@cached
def _recording(size: int, seeds: tuple[int, ...]) -> Recording:
    specimen = simulate.phantom(size)
    errors, counted = {}, []
    for most in RANGES:
        for step in STEPS:
            angles = np.arange(-most, most + step / 2, step)
            W = hebt.Projector(angles, size)
            haadf = simulate.haadf_tilt_series(W, specimen.density, [79, 47])
            dose = 40 / len(angles) * 64 / size
            maps = simulate.eds_tilt_series(
                W, specimen.density, [1, 0.5], dose=dose, seed=list(seeds)
            )
            counted.append(maps.sum(axis=(1, 3), dtype=float).mean())
            errors[most, step] = _errors(W, haadf, maps, specimen.density)
    return Recording(size, specimen.elements, float(np.mean(counted)) / 1e3, errors)


def _errors(W: hebt.Projector, haadf, maps, density) -> np.ndarray:
    """Return the errors of composition EM, (elements, seeds)."""
    haadf = np.repeat(haadf[:, None], maps.shape[2], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ratios = hebt.response_ratios(haadf, maps).ratios
        method = hebt.CompositionEM(kernel=(0, KERNEL * W.size / 64))
        x = hebt.reconstruct(
            W, haadf, maps, ratios, iterations=ITERATIONS, method=method, progress=False
        )
    return np.array(
        [
            [scaled_mse(truth, seed) for seed in own]
            for truth, own in zip(density.astype(float), x.astype(float), strict=True)
        ]
    )
