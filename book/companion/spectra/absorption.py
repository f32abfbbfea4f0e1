"""What the simulated specimens absorb of their own X-rays."""

import numpy as np

import hebt
from hebt import prepare, simulate

from ..store import cached
from .settings import ELEMENTS, LINES, PEAKS, ParticleSettings, specimen

# each peak that is mapped is absorbed by itself: which element emits it, and its lines
EMITTERS = [e for e, element in enumerate(ELEMENTS) for _ in PEAKS[element]]
PEAK_LINES = [lines for element in ELEMENTS for lines, *_ in PEAKS[element]]


def peak_factors(settings: ParticleSettings) -> np.ndarray:
    """Return which share of its X-rays absorption leaves each pixel, (peaks, tilts, slices, size).

    For the two detectors of a Super-X system that are on at each tilt.
    """
    return _peak_factors(settings.particle, settings.size, settings.angles)


@cached
def _peak_factors(particle, size, angles):
    made = specimen(ParticleSettings.paper(particle, size=size, angles=angles))
    lines = [_line_shares(ELEMENTS[e], names) for e, names in zip(EMITTERS, PEAK_LINES)]
    W, like = hebt.Projector(np.array(angles), size), {"voxel_size": made.voxel_size}
    return prepare.absorption_factors(W, made.density, made.elements, lines, **like)


def _line_shares(element, names, counts=1.0):
    """Return the counts of the lines of a peak, in the names of exspy, {"Au_Ma": 0.6, ...}."""
    weights = {name: prepare.xray_lines(element)[name]["weight"] for name in names}
    return {f"{element}_{n}": counts * w / sum(weights.values()) for n, w in weights.items()}


def split_by_peak(spectra) -> np.ndarray:
    """Split spectra, (elements, channels), into the parts nearest to each peak, (peaks, channels).

    Au M and Au L lines are absorbed differently, with all that lies beside them.
    """
    energies, parts = simulate.energies(), []
    for element, spectrum in zip(ELEMENTS, spectra, strict=True):
        middles = [np.mean(window) for _, window, _ in PEAKS[element]]
        nearest = np.abs(energies - np.array(middles)[:, None]).argmin(axis=0)
        parts += [np.where(nearest == k, spectrum, 0) for k in range(len(middles))]
    return np.stack(parts)


def map_lines(weights) -> list[dict[str, float]]:
    """Return which lines each map counts, with their shares, as `absorption_factors` takes them.

    `weights`, (elements, 2048), is what each channel counts in each element's map.
    """
    whole = [simulate.lines_spectrum(e, counted=LINES[e]) for e in ELEMENTS]
    lines = [{} for _ in ELEMENTS]
    for e, names, part in zip(EMITTERS, PEAK_LINES, split_by_peak(whole), strict=True):
        lines[e] |= _line_shares(ELEMENTS[e], names, float(weights[e] @ part))
    return lines


def map_factors(settings: ParticleSettings, lines) -> np.ndarray:
    """Return what absorption leaves of maps that count `lines`, (elements, tilts, slices, size)."""
    peaks = peak_factors(settings)
    factors = np.zeros((len(ELEMENTS), *peaks.shape[1:]), np.float32)
    for e, names, left in zip(EMITTERS, PEAK_LINES, peaks, strict=True):
        share = sum(lines[e][f"{ELEMENTS[e]}_{name}"] for name in names) / sum(lines[e].values())
        factors[e] += np.float32(share) * left
    return np.minimum(factors, 1, out=factors)
