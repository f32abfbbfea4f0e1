"""Which X-ray lines a spectrum supports, and what their windows count."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..io.scan import ELEMENTS
from ..io.survey import Spectra
from ..prepare.windows import EnergyWindow, line_windows
from ..prepare.xray import best_line, line_energy, line_width, xray_lines

# standard deviations that a line has to stand above its background
_LEAST = 5.0
_SOFTEST = 0.1  # keV
# share of the counts in a window that makes a line of another element worth to be named
_SHARE = 0.1


def counted(spectra: Spectra, window: EnergyWindow) -> tuple[float, float]:
    """Return the counts in a window less its background, and their standard deviation."""
    weights = window.weights(spectra.energies)
    return float(spectra.spectrum @ weights), float(np.sqrt(spectra.spectrum @ weights**2))


def supported_windows(spectra: Spectra) -> list[EnergyWindow]:
    """Return a window for each element whose line the spectrum shows, by rising energy.

    The line is the one that the element's name stands for. It is shown where a peak lies within
    half its FWHM, and where its window counts 5 standard deviations more than its background.
    """
    peaks = _peaks(spectra)
    found = []
    for element in sorted(ELEMENTS):
        try:
            line = best_line(element, spectra.energies, spectra.resolution)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                (window,) = line_windows(spectra.energies, [line], resolution=spectra.resolution)
        except ValueError:
            continue  # no line in this range, or no background beside it
        energy = line_energy(line)
        if energy < _SOFTEST:
            continue  # the zero peak of the electronics
        near = np.abs(peaks - energy) < line_width(energy, spectra.resolution) / 2
        counts, error = counted(spectra, window)
        if near.any() and counts > _LEAST * error:
            found.append(window)
    return sorted(found, key=lambda window: window.energy)


def _peaks(spectra: Spectra) -> NDArray:
    """Return the energies at which the spectrum, smoothed by a third of the FWHM, has maxima."""
    energies = spectra.energies
    step = float(np.median(np.diff(energies)))
    width = float(line_width(max(1.0, float(energies[0])), spectra.resolution)) / step / 3
    smooth = ndimage.gaussian_filter1d(spectra.spectrum.astype(float), width)
    inner = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
    return energies[1:-1][inner]


def rows(spectra: Spectra, windows: Sequence[EnergyWindow]) -> list[list[str]]:
    """Return for each window its line, energies, counts, their error, and what may be in it.

    That is the lines of others of the windows' elements within a FWHM that, by their weight in
    their shell, have a tenth of its counts.
    """
    counts = {window.name: counted(spectra, window) for window in windows}
    made = []
    for window in windows:
        energy, (own, error) = line_energy(window.name), counts[window.name]
        width = float(line_width(energy, spectra.resolution))
        close = [
            f"{name.split('_')[0]}_{line}"
            for name, (there, _) in counts.items()
            if name != window.name
            for line, at, weight in _shell(name)
            if abs(at - energy) < width and there * weight > _SHARE * own > 0
        ]
        (low, high), *_ = window.peaks
        made.append(
            [window.name, f"{energy:.3f}", f"{low:.3f}-{high:.3f}"]
            + [f"{own:.0f}", f"{error:.0f}", " ".join(close) or "-"]
        )
    return made


def _shell(name: str) -> list[tuple[str, float, float]]:
    """Return (line, energy, weight) of a line's shell; the line that is named has the weight 1."""
    element, own = name.split("_")
    table = {k: v for k, v in xray_lines(element).items() if k[0] == own[0]}
    return [(k, v["energy (keV)"], v["weight"] / table[own]["weight"]) for k, v in table.items()]
