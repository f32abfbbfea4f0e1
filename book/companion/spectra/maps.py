"""Element maps from spectra, and what their windows share."""

from collections.abc import Iterable

import numpy as np

from hebt import prepare, simulate

from .settings import ELEMENTS, LINES, WINDOWS


def blocks(spectra, mask, factor):
    """Return the spectra of blocks of so many pixels a side, inside the mask; whole blocks only."""
    slices, size = (factor * (n // factor) for n in mask.shape)
    kept = np.arange(mask.size).reshape(mask.shape)[:slices, :size]
    return prepare.bin_spectra(spectra[kept.ravel()], kept.shape, factor, mask[:slices, :size])


def block_sides(settings) -> list[int]:
    """Return the sides of the blocks that may be decomposed, in pixels, rising.

    From 10 pixels of the paper's size on, in steps of about one and a half; ten blocks of the
    largest are as wide as the frame.
    """
    sides = (round(10 / settings.binning * 1.5**step) for step in range(12))
    return sorted({max(1, side) for side in sides if side <= settings.size // 10}) or [1]


def measured_mixing(parts, energies, weights, components, scaled=True) -> prepare.Mixing:
    """Measure in each third of the spectra what the components of the others mix; the mean."""
    third, found = np.arange(len(parts)) % 3, []
    for i in range(3):
        rest = parts[third != i]
        made = prepare.decompose(rest, energies, components=components, scaled=scaled)
        used = made.weights(weights)
        found.append(prepare.measure_mixing(parts[third == i], weights, used))
    response = np.mean([one.response for one in found], axis=0)
    errors = np.linalg.norm([one.errors for one in found], axis=0) / 3
    contents = np.mean([one.contents for one in found], axis=0)
    return prepare.Mixing(response, errors, contents)


def weighted_sum(spectra, weights, size) -> np.ndarray:
    """Return a spectrum image's maps, (maps, size, size), of weights (maps, channels)."""
    return np.ascontiguousarray((spectra @ weights.T).T, np.float32).reshape(-1, size, size)


def element_maps(spectra: Iterable, weights, size: int) -> np.ndarray:
    """Return the maps of all tilts, (maps, tilts, slices, size), of weights (maps, channels)."""
    return np.stack([weighted_sum(s, weights, size) for s in spectra], axis=1)


def crosstalk_matrix(background: float = 0.0) -> np.ndarray:
    """Return what the windows of one element count of another's X-rays, (elements, elements).

    Row: whose windows. Column: whose counts in the mapped lines, of which this is the share. Off
    the diagonal it is not 0: Ag Ll lies in a background window of Au, for example, and the
    bremsstrahlung under the lines, `background` counts per channel at 3 keV for a mapped count, is
    not quite straight.
    """
    energies, shape = simulate.energies(), background * simulate.bremsstrahlung()
    pure = [simulate.lines_spectrum(e, counted=LINES[e]) + shape for e in ELEMENTS]
    return np.array([[w.weights(energies) @ spectrum for spectrum in pure] for w in WINDOWS])


def collection_efficiency(background: float = 0.0) -> np.ndarray:
    """Return which share of the counts in an element's mapped lines its map keeps, (elements,).

    Less than 1: the ends of the peaks lie outside the windows, and what other lines of the
    element leave in the background windows is subtracted. `background` as for `crosstalk_matrix`.
    """
    return np.diag(crosstalk_matrix(background))


def map_weights(energies, background: float = 0.0) -> np.ndarray:
    """Return what each channel counts in each element's map, (elements, channels).

    The windows' weights, combined so that no element counts in another's map; `background` as for
    `crosstalk_matrix`.
    """
    shares = crosstalk_matrix(background)
    windows = np.stack([w.weights(energies) for w in WINDOWS])
    return np.diag(shares)[:, None] * np.linalg.solve(shares, windows)
