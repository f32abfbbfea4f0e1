"""What figures of spectra mark: peaks and energy windows."""

import numpy as np


def name_peaks(ax, energies, counts, peaks: dict[str, float], **look):
    """Write names above those peaks, name -> keV, that lie within a spectrum."""
    for name, energy in peaks.items():
        if energies[0] < energy < energies[-1]:
            at = energy, counts[np.abs(energies - energy) < 0.03].max()
            ax.annotate(name, at, (0, 3), textcoords="offset points", ha="center", **look)


def shade_window(ax, window, color: str, height: float):
    """Mark what an energy window counts, and by bars of a share of the height its background."""
    for peak, sides in zip(window.peaks, window.backgrounds, strict=True):
        ax.axvspan(*peak, color=color, alpha=0.45, linewidth=0)
        for side in sides:
            ax.axvspan(*side, ymax=height, color=color, alpha=0.8, linewidth=0)
