"""Figures of the chapter."""

import numpy as np

from ..dust.figures import plot_judged
from ..style import WIDTH, panel, styled, subplots
from .judgement import PICTURED, Volumes

__all__ = ["plot_judged", "plot_series", "plot_slices"]


@styled
def plot_series(series, tilt: float = 0.0):
    """Show the HAADF image and the element maps at one tilt, and one row of them at all tilts."""
    (place,) = np.flatnonzero(series.angles == tilt)
    names = ("HAADF", *series.elements)
    figure, axes = subplots(2, 4, 3.6, width=1.15 * WIDTH)
    row = series.maps.shape[2] // 2
    high, wide = series.maps.shape[2:]
    beside = (0, wide, series.angles[-1], series.angles[0])
    for column, (name, images) in enumerate(zip(names, (series.haadf, *series.maps), strict=True)):
        look = {"unit": "intensity", "kind": "haadf"} if column == 0 else {}
        look = {"unit": "counts", "kind": "counts", **look}
        look |= {"limits": (0, max(float(np.percentile(images, 99.9)), 1)), "aspect": "auto"}
        top, bottom = axes[:, column]
        panel(top, images[place], name=name, ticks=True, extent=(0, wide, high, 0), **look)
        panel(bottom, images[:, row], name=f"{name}, row {row}", ticks=True, extent=beside, **look)
        if column == 0:
            top.set_ylabel("along the axis (px)")
            bottom.set_ylabel("tilt (degrees)")
        bottom.set_xlabel("across (px)")
    return figure


def limits_of(volumes: Volumes, element: int) -> tuple[float, float]:
    """Return the ends of an element's color scale, which all methods share."""
    return 0.0, max(float(np.percentile(x[element], 99.9)) for x in volumes.x.values())


@styled
def plot_slices(volumes: Volumes):
    """Show the middle slice: a row for each method, a column for each element, and their sum."""
    middle = volumes.haadf.shape[0] // 2
    columns = len(volumes.elements) + 1
    figure, axes = subplots(len(PICTURED), columns, 1.85 * len(PICTURED), width=1.1 * WIDTH)
    whole = 0.0, float(np.percentile(volumes.haadf, 99.9))
    for row, name in zip(axes, PICTURED, strict=True):
        x = volumes.x[name][:, middle]
        for e, (ax, element) in enumerate(zip(row, volumes.elements, strict=False)):
            panel(ax, x[e], name=element, unit="", limits=limits_of(volumes, e))
        look = {"unit": "intensity", "kind": "haadf", "limits": whole}
        panel(row[-1], x.sum(axis=0), name="sum", **look)
        row[0].set_ylabel(name)
    return figure
