"""Figures of the chapter."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np

from hebt import Result, io

from ..style import CMAP, grid, length_bar, panel, styled, subplots, title
from .mistakes import SHOWN, Mistakes

NARROW_WIDTH = 5.2  # inches: two pictures side by side, whose titles can be read on a phone


@styled
def plot_lines(series: io.TiltSeries):
    """Show the spectrum with the windows of the maps."""
    return io.plot_lines(series)


@styled
def plot_result(result: Result):
    """Show the middle plane of each element, seen along the beam at 0 degrees."""
    figure, axes = grid(len(result.elements), 2, 3.2)
    middle = result.x.shape[2] // 2
    for ax, name, x in zip(axes, result.elements, result.x, strict=True):
        plane = x[:, middle]
        high = float(np.percentile(plane, 99.5))
        panel(ax, plane, name=name, unit="HAADF intensity per voxel", limits=(0, high))
        length_bar(ax, plane.shape[1], result.pixel_size)
    return figure


@styled
def plot_right(study: Mistakes):
    """Show the middle slice of the truth, and its reconstruction where nothing is wrong."""
    figure, axes = subplots(1, 2, 2.75, width=NARROW_WIDTH)
    _slice(axes[0], study, study.truth, f"{SHOWN}, the truth", "a")
    error = study.right.errors[SHOWN]
    _slice(axes[1], study, study.right.plane, f"nothing wrong: error {error:.2f}", "b")
    return figure


@styled
def plot_mistakes(study: Mistakes, kind: str):
    """Show the middle slice with the mistakes of a kind, "geometry" or "signals", and cured."""
    shown = [one for one in study.each if one.kind == kind]
    figure, axes = subplots(len(shown), 2, 2.75 * len(shown), width=NARROW_WIDTH, squeeze=False)
    marks = iter("abcdefghijklmnop")
    for row, one in zip(axes, shown, strict=True):
        wrong, cured = (tried.errors[SHOWN] for tried in (one.wrong, one.cured))
        _slice(row[0], study, one.wrong.plane, f"{one.name}:\nerror {wrong:.2f}", next(marks))
        _slice(row[1], study, one.cured.plane, f"cured: error {cured:.2f}", next(marks))
    return figure


def _slice(ax, study, plane, name, mark):
    """Show a slice on the scale of the truth; outside of a narrow field it is gray."""
    colors = mpl.colormaps[CMAP["density"]].with_extremes(bad="0.8")
    ax.imshow(plane, cmap=colors, vmin=0, vmax=1.2 * study.truth.max())
    ax.set_axis_off()
    title(ax, name, mark)
