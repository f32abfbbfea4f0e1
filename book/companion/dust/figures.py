"""Figures of the chapter on a measured series."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from hebt import prepare

from ..judging import EDS, relative
from ..spectrum import name_peaks, shade_window
from ..style import CMAP, WIDTH, grid, length_bar, log_ticks, panel, styled, subplots
from .claims import HOLDER
from .study import ratios_by_tilt, totals
from .tables import line_name

# Okabe and Ito's colors; lines differ in marker as well
_COLORS = {"C": "#000000", "O": "#D55E00", "Mg": "#009E73", "Si": "#0072B2", "Fe": "#CC79A7"}
_COLORS |= {"Pt": "#E69F00", "Ga": "#8C6D1F", "Ti": "#56B4E9", "Cu": "#7F3C8D"}
_MARKERS = dict(zip(_COLORS, "osD^vP*Xd", strict=True))
# peaks that are not mapped: name and keV
_OTHER_PEAKS = {"Fe L": 0.71, "Cu L": 0.94, "Ga L": 1.11, "Al K": 1.49, "Pt Mγ, S K": 2.33}
_OTHER_PEAKS |= {"Ti Kβ": 4.95, "Fe Kβ": 7.06, "Cu Kβ": 8.91, "Pt Lα": 9.46}
_FIRST, _SECOND, _THIRD = "#0072B2", "#D55E00", "#009E73"


def _points(ax, x, y, color, marker, label):
    ax.plot(x, y, color=color, marker=marker, markersize=4, linewidth=1.1, label=label)


@styled
def plot_spectrum(study):
    """Show the spectrum of the whole series, with the windows that make the element maps."""
    series = study.series
    counts = series.spectra.sum(axis=0)
    figure, axes = subplots(2, 1, 5.2)
    for ax, (low, high) in zip(axes, ((0.17, 2.55), (4.1, 9.9)), strict=True):
        shown = (series.energies >= low) & (series.energies <= high)
        energies, here = series.energies[shown], counts[shown]
        ax.semilogy(energies, here, color="0.15", linewidth=1.1)
        bottom, top = here.min() * 0.7, here.max() * 4
        for window in series.windows:
            if low < window.energy < high:
                shade_window(ax, window, _COLORS[window.name.split("_")[0]], 0.12)
                place = window.energy, top / 1.25
                ax.text(*place, line_name(window.name), ha="center", va="top", fontsize=8)
        name_peaks(ax, energies, here, _OTHER_PEAKS, fontsize=7, color="0.35")
        ax.set(xlim=(low, high), ylim=(bottom, top), ylabel="counts per channel")
    axes[-1].set_xlabel("energy (keV)")
    return figure


@styled
def plot_images(study, tilt: float, factor: int = 4):
    """Show the HAADF image and the element maps at one tilt, blocks of pixels added up."""
    series = study.series
    (place,) = np.flatnonzero(series.angles == tilt)
    count = 1 + len(series.lines)
    columns = min(5, -(-count // 2))
    figure, (first, *others) = grid(count, columns, 1.72, width=1.15 * WIDTH)
    panel(first, series.haadf[place], name="HAADF", unit="intensity", kind="haadf")
    length_bar(first, series.haadf.shape[-1], series.pixel_size)
    maps = prepare.bin_images(series.maps[:, place], factor)
    for ax, line, shown in zip(others, series.lines, maps, strict=True):
        limits = (0, max(np.percentile(shown, 99.5), 1))
        panel(ax, shown, name=line_name(line), unit="counts", kind="counts", limits=limits)
    return figure


@styled
def plot_totals(study):
    """Show how much of each signal the same strip of the specimen gives at each tilt."""
    figure, axes = subplots(1, 3, 2.9, width=1.15 * WIDTH)
    total, corrected, angles = totals(study), totals(study, corrected=True), study.angles
    specimen = [name for name in study.elements if name not in HOLDER]
    parts = (
        (total, specimen, "specimen and deposit"),
        (corrected, specimen, "divided by the response"),
        (total, HOLDER, "grid and holder"),
    )
    for ax, (shown, names, title) in zip(axes, parts, strict=True):
        ax.axhline(1, color="0.7", linewidth=0.8)
        ax.plot(angles, total["HAADF"], color="0.35", linewidth=2.4, label="HAADF")
        for name in names:
            _points(ax, angles, shown[name], _COLORS[name], _MARKERS[name], name)
        ax.set(title=title, xlabel="tilt (degrees)")
    axes[0].plot(angles, study.response, color="0.6", linestyle="--", label="response")
    axes[0].set_ylabel("total, relative to its mean")
    axes[1].sharey(axes[0])
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=9, columnspacing=1, handlelength=1.5)
    axes[2].legend()
    return figure


@styled
def plot_ratios(study, fit):
    """Show the response ratios of each tilt alone, and of all tilts together."""
    ratios, errors = ratios_by_tilt(study)
    figure, axes = grid(len(fit.names), 3, 1.9, sharex=True)
    for e, (ax, name) in enumerate(zip(axes, fit.names, strict=True)):
        low, high = fit.ratios[e] - fit.tilt_errors[e], fit.ratios[e] + fit.tilt_errors[e]
        ax.axhspan(low, high, color="0.85", label="all tilts")
        ax.axhline(fit.ratios[e], color="0.5", linewidth=0.9)
        bars = np.nan_to_num(errors[:, e])
        look = {"color": _COLORS[name], "fmt": _MARKERS[name], "markersize": 4, "linewidth": 1}
        ax.errorbar(study.angles, ratios[:, e], bars, label="one tilt", **look)
        ax.set(title=name, ylim=(min(0, 1.1 * (ratios[:, e] - bars).min()), None))
        if e % 3 == 0:
            ax.set_ylabel("response ratio")
        if e >= len(fit.names) - 3:
            ax.set_xlabel("tilt (degrees)")
    axes[0].legend()
    return figure


@styled
def plot_judged(judgement):
    """Show how much better or worse than EDS alone each contender predicts, with two errors."""
    kinds = (("held-out tilts", judgement.tilts, "o", _FIRST, -0.13),)
    kinds += (("held-out counts", judgement.counts, "s", _SECOND, 0.13),)
    others = [name for name in judgement.tilts.contenders if name != EDS]
    # two columns, so that labels can be read on a narrow screen
    figure, axes = grid(len(judgement.tilts.elements), 2, 2.2, width=0.72 * WIDTH, sharey=True)
    for e, (ax, element) in enumerate(zip(axes, judgement.tilts.elements, strict=True)):
        ax.axvline(0, color="0.6", linewidth=0.9)
        for label, judged, marker, color, shift in kinds:
            percent, errors = relative(judged)
            rows = [judged.contenders.index(name) for name in others]
            places = np.arange(len(others)) + shift
            look = {"fmt": marker, "color": color, "markersize": 4, "linewidth": 1.2}
            ax.errorbar(percent[rows, e], places, xerr=2 * errors[rows, e], label=label, **look)
        ax.set_xscale("symlog", linthresh=10)
        # ticks beyond what is drawn would widen the axis
        ticks = [tick for tick in (-10, 0, 10, 100, 1000) if tick <= max(10, ax.get_xlim()[1])]
        ax.set_xticks(ticks, [f"{tick}".replace("-", "−") for tick in ticks])
        ax.set(title=element, yticks=range(len(others)), yticklabels=others)
        ax.tick_params(labelsize=9)
        if e >= len(judgement.tilts.elements) - 2:
            ax.set_xlabel("χ² less EDS alone's (%)")
    axes[0].invert_yaxis()
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure


@styled
def plot_alignment(study, row: int = 180):
    """Show one row of all tilts before and after alignment, and the shifts."""
    figure, axes = subplots(2, 2, 5.0)
    angles, before = study.angles, study.series.haadf
    step = np.median(np.diff(angles))
    extent = (0, before.shape[-1], angles[-1] + step / 2, angles[0] - step / 2)
    look = {"unit": "HAADF intensity", "kind": "haadf", "extent": extent, "aspect": "auto"}
    pairs = (before, "as recorded"), (study.aligned, "aligned")
    for ax, (images, title) in zip(axes[0], pairs, strict=True):
        panel(ax, images[:, row], name=f"row {row}, {title}", ticks=True, **look)
        ax.set(xlabel="across the tilt axis (pixels)", ylabel="tilt (degrees)")
    for ax, axis, title in zip(axes[1], (1, 0), ("across", "along"), strict=True):
        for shifts, *look in (
            (study.manual, "0.45", "x", "by hand (data's authors)"),
            (study.neighbors, _SECOND, "s", "from neighbors"),
            (study.shifts, _FIRST, "o", "from the reprojection"),
        ):
            _points(ax, angles, shifts[:, axis], *look)
        ax.set(title=f"shift {title} the tilt axis", xlabel="tilt (degrees)", ylabel="pixels")
    figure.legend(*axes[1, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def plot_geometry(study):
    """Show how well the reprojection fits, over the tilt axis' place and the depth allowed."""
    figure, axes = subplots(1, 2, 2.7, sharey=True)
    axes[0].plot(*zip(*study.by_offset.items()), marker="o", color=_FIRST)
    axes[0].set(xlabel="tilt axis moved by (pixels)", ylabel="reprojection residual")
    depths = np.array(list(study.by_depth)) * study.series.pixel_size / 1e3
    axes[1].plot(depths, list(study.by_depth.values()), marker="o", color=_FIRST)
    axes[1].set(xlabel="depth allowed (µm)")
    return figure


@styled
def plot_predicted(study, fit, maps, tilt: float = 0):
    """Show a HAADF image beside the weighted sum of the maps, and one against the other."""
    haadf = study.haadf
    (place,) = np.flatnonzero(study.angles == tilt)
    model = np.tensordot(np.asarray(fit.ratios, np.float64), maps, axes=1)
    figure, axes = subplots(1, 3, 2.9, width=1.1 * WIDTH)
    look = {"unit": "intensity", "kind": "haadf", "limits": (0, np.percentile(haadf[place], 99.5))}
    panel(axes[0], haadf[place], name="HAADF, measured", **look)
    panel(axes[1], model[place], name="Σ r · map", **look)
    length_bar(axes[0], haadf.shape[-1], study.pixel_size)
    inside = haadf > 0
    top = float(np.percentile(model[inside], 99.9))
    extent = (0, top, 0, haadf.max())
    look = {"gridsize": 45, "bins": "log", "cmap": CMAP["counts"], "linewidths": 0}
    axes[2].hexbin(model[inside], haadf[inside], extent=extent, **look)
    axes[2].plot([0, top], [0, top], color=_SECOND, linestyle="--", label="equal")
    axes[2].set(xlim=(0, top), ylim=(0, 1.05 * haadf.max()), xlabel="Σ r · map", ylabel="HAADF")
    axes[2].set_title("all tilts, pixel by pixel")
    axes[2].ticklabel_format(scilimits=(-2, 4))
    axes[2].legend(loc="lower right")
    return figure


@styled
def plot_planes(study, volumes):
    """Show the middle plane of the section: HAADF alone, each element by three methods."""
    return _side_by_side(study, volumes, np.s_[..., volumes.haadf.shape[1] // 2, :])


@styled
def plot_cross_sections(study, volumes, place: float = 0.68):
    """Show one slice perpendicular to the tilt axis, at a share of its length."""
    # a third more than the section can be deep, so that its faces are seen
    half = round(study.settings.depth / study.settings.binning * 2 / 3)
    slices, middle = volumes.haadf.shape[0], volumes.haadf.shape[1] // 2
    cut = np.s_[..., round(place * slices), middle - half : middle + half, :]
    return _side_by_side(study, volumes, cut)


def _side_by_side(study, volumes, cut):
    """Show a column for HAADF and for each element, a row for each method."""
    shown = [[volumes.haadf, sum(volumes.hebt), sum(volumes.em)]]
    shown += [list(row) for row in zip(volumes.eds, volumes.hebt, volumes.em, strict=True)]
    names = ("HAADF alone", *study.settings.kept)
    methods = ("EDS only", "HEBT, α = 0.7", "composition EM")
    sums = ("HAADF alone", "sum of HEBT", "sum of EM")
    rows, width = volumes.haadf[cut].shape
    columns = 4
    blocks = -(-len(names) // columns)
    height = 3 * (WIDTH / columns * rows / width + 0.25) + 0.5
    figure, axes = subplots(3 * blocks, columns, blocks * height)
    for ax in axes.flat:
        ax.axis("off")
    for number, (name, three) in enumerate(zip(names, shown, strict=True)):
        block, column = divmod(number, columns)
        own = axes[3 * block : 3 * block + 3, column]
        images = [volume[cut] for volume in three]
        limits = (0, max(np.percentile(image, 99.5) for image in images))
        kind = "density" if number else "haadf"
        for which, (ax, image) in enumerate(zip(own, images, strict=True)):
            label = f"{name}, {methods[which]}" if number else sums[which]
            last = panel(ax, image, name=label, unit="", kind=kind, limits=limits, bar_for=[])
        look = {"location": "bottom", "shrink": 0.8, "aspect": 18, "pad": 0.03}
        bar = figure.colorbar(last, ax=list(own), **look)
        bar.outline.set_visible(False)
        bar.locator = MaxNLocator(3)
        bar.update_ticks()
    length_bar(axes[0, 0], width, study.pixel_size)
    return figure


@styled
def plot_held_out(result):
    """Show the error of predicted maps over the iterations, per element and method."""
    count = len(result.elements)
    columns = min(3, count)
    figure, axes = grid(count, columns, 2.1, sharex=True)
    styles = (("^-.", _SECOND), ("s--", _THIRD), ("o-", _FIRST), ("D:", "0.4"))
    for place, (ax, name) in enumerate(zip(axes, result.elements, strict=True)):
        for method, errors, (line, color) in zip(result.methods, result.mean(), styles):
            look = {"color": color, "label": method, "markersize": 3.5}
            ax.semilogx(result.stops, errors[:, place], line, **look)
        ax.set(title=name, ylim=(0, None))
        log_ticks(ax.xaxis)
        if place >= count - columns:
            ax.set_xlabel("iterations")
        if place % columns == 0:
            ax.set_ylabel("prediction error")
    axes[0].legend()
    return figure
