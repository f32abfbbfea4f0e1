"""What energy windows count of other lines, and the warnings of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from .xray import line_width, other_shells, shell_lines

if TYPE_CHECKING:
    from .windows import EnergyWindow

_FLAGGED = 0.1  # crosstalk, as a share of what a window counts of its own line


def counted_of_lines(
    windows: Sequence[EnergyWindow],
    names: Sequence[str],
    energies: np.ndarray,
    step: float,
    resolution: float,
) -> np.ndarray:
    """Return what each window counts of each line, shape (windows, names)."""
    peaks = np.zeros((len(names), len(energies)))
    for peak, name in zip(peaks, names, strict=True):
        for energy, weight in shell_lines(name):
            sigma = line_width(energy, resolution) / np.sqrt(8 * np.log(2))
            edges = (energies - energy) / sigma, step / 2 / sigma
            peak += weight * (ndtr(edges[0] + edges[1]) - ndtr(edges[0] - edges[1]))
    return np.stack([w.weights(energies) for w in windows]) @ peaks.T


def warn_of_overlaps(
    windows: Sequence[EnergyWindow],
    names: Sequence[str],
    energies: np.ndarray,
    step: float,
    resolution: float,
) -> None:
    """Warn of lines that are counted in the window of another element's line.

    `names` are those of the windows, and more. Lines of the same elements' other shells are in the
    spectra as well.
    """
    lines = [*names, *other_shells(names)]
    counted = counted_of_lines(windows, lines, energies, step, resolution)
    named, hidden = [], []
    for i, window in enumerate(windows):
        for j, name in enumerate(lines):
            share, (element, line) = counted[i, j] / counted[i, i], name.split("_")
            if abs(share) <= _FLAGGED or element == window.name.split("_")[0]:
                continue
            counts = f"{window.name} counts {100 * share:.0f} % as well of {name}"
            if j >= len(names):
                hidden.append(
                    f"{element} has lines of its {line[0]} shell there, and the window of {counts}"
                )
                continue
            named.append(counts)
            if i < j < len(windows):
                (a,), (b,) = window.peaks, windows[j].peaks
                shared = (min(a[1], b[1]) - max(a[0], b[0])) / max(np.ptp(a), np.ptp(b))
                named[-1] += f" (both windows share {100 * max(shared, 0):.0f} % of their energies)"
    if named:
        warnings.warn(
            f"Energy windows overlap other lines. Compared with its own line, the window of "
            f"{'; '.join(named)}. Map other lines, or take this away with "
            "hebt.prepare.unmix(maps, windows, energies).",
            UserWarning,
            stacklevel=3,
        )
    if hidden:
        warnings.warn(
            "Energy windows overlap lines of other shells of the same elements. Compared with its "
            f"own line: {'; '.join(hidden)} (below 0: the background counts more). How strong such "
            "lines are depends on the voltage. Name them in avoid to keep backgrounds clear of "
            "them; map other lines, or these too and use hebt.prepare.unmix(maps, windows, "
            "energies).",
            UserWarning,
            stacklevel=3,
        )
