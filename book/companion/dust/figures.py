"""Figures and tables of the chapter on the interplanetary dust particle."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from hebt import prepare

from ..style import CMAP, WIDTH, panel, scale_bar, styled
from .tables import line_name

# Okabe and Ito's colours; lines differ in marker as well
_COLORS = {
    "C": "#000000",
    "O": "#D55E00",
    "Mg": "#009E73",
    "Si": "#0072B2",
    "Fe": "#CC79A7",
    "Pt": "#E69F00",
    "Ga": "#8C6D1F",
    "Ti": "#56B4E9",
    "Cu": "#7F3C8D",
}
_MARKERS = dict(zip(_COLORS, "osD^vP*Xd", strict=True))
# peaks that are not mapped: keV and name
_OTHER_PEAKS = (
    (0.71, "Fe L"),
    (0.94, "Cu L"),
    (1.11, "Ga L"),
    (1.49, "Al K"),
    (2.33, "Pt Mγ, S K"),
    (4.95, "Ti Kβ"),
    (7.06, "Fe Kβ"),
    (8.91, "Cu Kβ"),
    (9.46, "Pt Lα"),
)
_FIRST, _SECOND, _THIRD = "#0072B2", "#D55E00", "#009E73"


def _bar(ax, width, pixel_size, color="white"):
    """Draw a scale bar of a round length, about a quarter of the image."""
    length = min((200, 500, 1000), key=lambda nm: abs(nm - width * pixel_size / 4))
    text = f"{length} nm" if length < 1000 else "1 µm"
    scale_bar(ax, length / pixel_size, text, color=color)


def _blocks(image, factor):
    high, wide = (n // factor for n in image.shape)
    return prepare.bin_images(image[: high * factor, : wide * factor], factor)


@styled
def plot_spectrum(series):
    """Show the spectrum of the whole series, with the windows that make the element maps."""
    counts = series.spectra.sum(axis=0)
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 5.2), layout="constrained")
    for ax, (low, high) in zip(axes, ((0.17, 2.55), (4.1, 9.9)), strict=True):
        shown = (series.energies >= low) & (series.energies <= high)
        ax.semilogy(series.energies[shown], counts[shown], color="0.15", linewidth=1.1)
        bottom, top = counts[shown].min() * 0.7, counts[shown].max() * 4
        for window in series.windows:
            if not low < window.energy < high:
                continue
            color = _COLORS.get(window.name.split("_")[0], "0.4")
            ax.axvspan(*window.peaks[0], color=color, alpha=0.45, linewidth=0)
            for side in window.backgrounds[0]:
                ax.axvspan(*side, ymax=0.12, color=color, alpha=0.8, linewidth=0)
            ax.text(
                window.energy, top / 1.25, line_name(window.name), ha="center", va="top", fontsize=8
            )
        for energy, name in _OTHER_PEAKS:
            if low < energy < high:
                height = counts[np.abs(series.energies - energy) < 0.03].max()
                ax.annotate(
                    name,
                    (energy, height),
                    (0, 3),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                    color="0.35",
                )
        ax.set(xlim=(low, high), ylim=(bottom, top), ylabel="counts per channel")
    axes[-1].set_xlabel("energy (keV)")
    return figure


@styled
def plot_images(series, tilt: float, factor: int = 4):
    """Show the HAADF image and the element maps at one tilt."""
    (place,) = np.flatnonzero(series.angles == tilt)
    count = 1 + len(series.lines)
    columns = min(5, -(-count // 2))
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH * 1.15, 1.72 * rows), layout="constrained", squeeze=False
    )
    flat = axes.ravel()
    panel(flat[0], series.haadf[place], name="HAADF", unit="intensity", kind="haadf")
    _bar(flat[0], series.haadf.shape[-1], series.pixel_size)
    for ax, line, image in zip(flat[1:], series.lines, series.maps[:, place], strict=False):
        shown = _blocks(image, factor)
        panel(
            ax,
            shown,
            name=line_name(line),
            unit="counts",
            kind="counts",
            limits=(0, max(np.percentile(shown, 99.5), 1)),
        )
    for ax in flat[count:]:
        ax.axis("off")
    return figure


@styled
def plot_totals(angles, haadf, maps, names):
    """Show how much of each signal the same strip of the specimen gives at each tilt."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained", sharey=False)
    share = haadf.sum(axis=(1, 2), dtype=np.float64)
    own = maps.sum(axis=(2, 3), dtype=np.float64)
    for ax, chosen, title in (
        (axes[0], [n for n in names if n not in ("Ti", "Cu")], "specimen and deposit"),
        (axes[1], [n for n in names if n in ("Ti", "Cu")], "grid and holder"),
    ):
        if not chosen:
            ax.axis("off")
            continue
        ax.axhline(1, color="0.7", linewidth=0.8)
        ax.plot(angles, share / share.mean(), color="0.35", linewidth=2.4, label="HAADF")
        for name in chosen:
            values = own[list(names).index(name)]
            ax.plot(
                angles,
                values / values.mean(),
                color=_COLORS.get(name, "0.5"),
                marker=_MARKERS.get(name, "o"),
                markersize=4,
                linewidth=1.1,
                label=name,
            )
        ax.set(title=title, xlabel="tilt (degrees)")
        ax.legend(ncols=2)
    axes[0].set_ylabel("total, relative to its mean")
    return figure


@styled
def plot_alignment(angles, before, after, row: int, found, refined, manual):
    """Show one row of all tilts before and after alignment, and the shifts."""
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.0), layout="constrained")
    step = np.median(np.diff(angles))
    extent = (0, before.shape[-1], angles[-1] + step / 2, angles[0] - step / 2)
    for ax, images_, title in ((axes[0, 0], before, "as recorded"), (axes[0, 1], after, "aligned")):
        panel(
            ax,
            images_[:, row],
            name=f"row {row}, {title}",
            unit="HAADF intensity",
            kind="haadf",
            extent=extent,
            aspect="auto",
            ticks=True,
        )
        ax.set(xlabel="across the tilt axis (pixels)", ylabel="tilt (degrees)")
    for ax, axis, title in (
        (axes[1, 0], 1, "shift across the tilt axis"),
        (axes[1, 1], 0, "shift along the tilt axis"),
    ):
        for shifts, name, color, marker in (
            (manual, "by hand (data's authors)", "0.45", "x"),
            (found, "from neighbours", _SECOND, "s"),
            (refined, "from the reprojection", _FIRST, "o"),
        ):
            ax.plot(
                angles,
                shifts[:, axis],
                color=color,
                marker=marker,
                markersize=4,
                linewidth=1.1,
                label=name,
            )
        ax.set(title=title, xlabel="tilt (degrees)", ylabel="pixels")
    figure.legend(*axes[1, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def plot_geometry(offsets, by_offset, depths, by_depth, pixel_size):
    """Show how well the reprojection fits, over the tilt axis' place and the depth allowed."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.7), layout="constrained", sharey=True)
    axes[0].plot(offsets, by_offset, marker="o", color=_FIRST)
    axes[0].set(xlabel="tilt axis moved by (pixels)", ylabel="reprojection residual")
    axes[1].plot(np.asarray(depths) * pixel_size / 1e3, by_depth, marker="o", color=_FIRST)
    axes[1].set(xlabel="depth allowed (µm)")
    return figure


@styled
def plot_predicted(angles, haadf, maps, ratios, tilt: float, pixel_size):
    """Show a HAADF image beside the weighted sum of the maps, and one against the other."""
    (place,) = np.flatnonzero(angles == tilt)
    model = np.tensordot(np.asarray(ratios, np.float64), maps, axes=1)
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH * 1.1, 2.9), layout="constrained")
    limits = (0, np.percentile(haadf[place], 99.5))
    panel(
        axes[0], haadf[place], name="HAADF, measured", unit="intensity", kind="haadf", limits=limits
    )
    panel(axes[1], model[place], name="Σ r · map", unit="intensity", kind="haadf", limits=limits)
    _bar(axes[0], haadf.shape[-1], pixel_size)
    inside = haadf > 0
    top = float(np.percentile(model[inside], 99.9))
    axes[2].hexbin(
        model[inside],
        haadf[inside],
        gridsize=45,
        bins="log",
        cmap=CMAP["counts"],
        extent=(0, top, 0, haadf.max()),
        linewidths=0,
    )
    axes[2].plot([0, top], [0, top], color=_SECOND, linestyle="--", label="equal")
    axes[2].set(
        xlim=(0, top),
        ylim=(0, 1.05 * haadf.max()),
        xlabel="Σ r · map",
        ylabel="HAADF",
        title="all tilts, pixel by pixel",
    )
    axes[2].ticklabel_format(scilimits=(-2, 4))
    axes[2].legend(loc="lower right")
    return figure


@styled
def plot_planes(eds, hebt, haadf, names, pixel_size):
    """Show the middle plane of the section: HAADF alone, each element by EDS alone and by HEBT."""
    plane = haadf.shape[1] // 2
    return _side_by_side(
        [v[:, plane] for v in eds], [v[:, plane] for v in hebt], haadf[:, plane], names, pixel_size
    )


@styled
def plot_cross_sections(eds, hebt, haadf, names, pixel_size, *, place: float, depth: float):
    """Show one slice perpendicular to the tilt axis, at a share of its length; depth in pixels."""
    slice_, middle = round(place * haadf.shape[0]), haadf.shape[1] // 2
    rows = np.s_[slice_, round(middle - depth / 2) : round(middle + depth / 2)]
    return _side_by_side(
        [v[rows] for v in eds], [v[rows] for v in hebt], haadf[rows], names, pixel_size
    )


def _side_by_side(eds, hebt, haadf, names, pixel_size):
    pairs = [("HAADF alone", haadf, "sum of HEBT", sum(hebt), "haadf")]
    pairs += [
        (f"{name}, EDS only", alone, f"{name}, HEBT", both, "density")
        for name, alone, both in zip(names, eds, hebt, strict=True)
    ]
    columns = 4
    blocks = -(-len(pairs) // columns)
    height = WIDTH / columns * haadf.shape[0] / haadf.shape[1] + 0.25
    figure = plt.figure(figsize=(WIDTH, blocks * (2 * height + 0.5)), layout="constrained")
    for block, part in enumerate(np.atleast_1d(figure.subfigures(blocks, 1))):
        axes = part.subplots(2, columns, squeeze=False)
        for column, pair in enumerate(pairs[block * columns : (block + 1) * columns]):
            above, first, below, second, kind = pair
            limits = (0, max(np.percentile(first, 99.5), np.percentile(second, 99.5)))
            for ax, name, image in zip(axes[:, column], (above, below), (first, second)):
                panel(ax, image, name=name, unit="", kind=kind, limits=limits, bar_for=[])
            bar = part.colorbar(
                axes[1, column].images[0],
                ax=list(axes[:, column]),
                location="bottom",
                shrink=0.8,
                aspect=18,
                pad=0.03,
            )
            bar.outline.set_visible(False)
            bar.locator = MaxNLocator(3)
            bar.update_ticks()
            if pair is pairs[0]:
                _bar(axes[0, 0], haadf.shape[-1], pixel_size)
        for ax in axes[:, len(pairs) - block * columns :].ravel():
            ax.axis("off")
    return figure


@styled
def plot_held_out(result):
    """Show the error of predicted maps over the iterations, per element and method."""
    count = len(result.elements)
    columns = min(3, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 2.1 * rows), layout="constrained", sharex=True, squeeze=False
    )
    mean = result.mean()
    styles = ((_SECOND, "^", "-."), (_THIRD, "s", "--"), (_FIRST, "o", "-"), ("0.4", "D", ":"))
    for place, (ax, name) in enumerate(zip(axes.ravel(), result.elements, strict=False)):
        for method, (color, marker, line) in zip(range(len(result.methods)), styles, strict=False):
            ax.semilogx(
                result.stops,
                mean[method, :, place],
                color=color,
                marker=marker,
                linestyle=line,
                markersize=3.5,
                label=result.methods[method],
            )
        ax.set(title=name, ylim=(0, None))
        if place >= count - columns:
            ax.set_xlabel("iterations")
        if place % columns == 0:
            ax.set_ylabel("prediction error")
    for ax in axes.ravel()[count:]:
        ax.axis("off")
    axes[0, 0].legend()
    return figure
