"""Element maps from spectra, and what their windows share."""

import numpy as np

from hebt import prepare, simulate

from .recording import Acquisition
from .settings import ELEMENTS, LINES, WINDOWS


def blocks(spectra, settings, mask):
    """Return the spectra of blocks of 4 × 4 pixels of the paper's size, inside the mask."""
    factor = 4 if settings.binning == 1 else 1
    return prepare.bin_spectra(spectra, mask.shape, factor, mask)


def weighted_sum(spectra, weights, size) -> np.ndarray:
    """Return a spectrum image's maps, (maps, size, size), of weights (maps, channels)."""
    return np.ascontiguousarray((spectra @ weights.T).T, np.float32).reshape(-1, size, size)


def element_maps(acquisition: Acquisition, found: prepare.Components | None = None):
    """Make the element maps of all tilts, (elements, tilts, slices, size), less background."""
    weights = map_weights(acquisition.energies)
    if found is not None:
        weights = found.weights(weights)
    size = acquisition.settings.size
    return np.stack([weighted_sum(s, weights, size) for s in acquisition.spectra], axis=1)


def crosstalk_matrix() -> np.ndarray:
    """Return what the windows of one element count of another's lines, (elements, elements).

    Row: whose windows. Column: whose counts in the mapped lines, of which this is the share. Off
    the diagonal it is not 0: Ag Ll lies in a background window of Au, for example.
    """
    energies = simulate.energies()
    lines = [simulate.lines_spectrum(e, counted=LINES[e]) for e in ELEMENTS]
    return np.array([[w.weights(energies) @ line for line in lines] for w in WINDOWS])


def collection_efficiency() -> np.ndarray:
    """Return which share of the counts in an element's mapped lines its map keeps, (elements,).

    Less than 1: the ends of the peaks lie outside the windows, and what other lines of the
    element leave in the background windows is subtracted.
    """
    return np.diag(crosstalk_matrix())


def map_weights(energies) -> np.ndarray:
    """Return what each channel counts in each element's map, (elements, channels).

    The windows' weights, combined so that no element counts in another's map.
    """
    shares = crosstalk_matrix()
    windows = np.stack([w.weights(energies) for w in WINDOWS])
    return np.diag(shares)[:, None] * np.linalg.solve(shares, windows)
