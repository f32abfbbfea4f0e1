"""Pictures of what was read."""

from __future__ import annotations

import importlib
from typing import Any

from .series import TiltSeries


def plot_lines(series: TiltSeries) -> Any:
    """Draw the spectrum of all tilts with the windows of the maps.

    Bands are counted as a line, the bars at the bottom as its background. A line whose window may
    count another's is orange, and says which; lines that the spectrum may show beside those that
    were mapped are gray. The command ``hebt lines FILES -o lines.png`` draws the same.

    Parameters
    ----------
    series
        A series that was read from spectrum images, with ``lines=``.

    Returns
    -------
    matplotlib.figure.Figure
        Counts per channel over keV.

    Raises
    ------
    TypeError
        If `series` is no `TiltSeries`.
    ValueError
        If the series has no spectra, as where maps came ready-made.
    ImportError
        If matplotlib is not installed, or exspy, which knows the lines.
    """
    if not isinstance(series, TiltSeries):
        raise TypeError(
            f"series is of type {type(series).__name__}; expected a TiltSeries, as hebt.io.read "
            "returns it."
        )
    if not series.windows:
        raise ValueError(
            "series has no spectra; expected one that was read from spectrum images, with lines=. "
            "Ready-made maps have none."
        )
    # By its name: what is computed would otherwise depend on how it is shown.
    lines = importlib.import_module(".._lines", __package__)
    spectrum = lines.Spectrum(series.energies, series.spectra.sum(axis=0))
    return lines.drawn(spectrum, series.windows)
