"""Figures of the two chapters on the particles."""

import numpy as np

from ..paper import value
from ..spectra.settings import READINGS
from ..style import METHOD_STYLE, WIDTH, panel, scale_bar, styled, subplots, title
from .absorption import PEAKS, AbsorptionStudy
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .explorers import view
from .grid import Grid
from .measures import ELEMENTS, METHODS
from .nonalloy import NonAlloyStudy
from .rim import MODELS, RimStudy
from .surfaces import EDGES
from .tables import NAME, REFERENCE_NAME, column_name
from .views import COLUMNS, from_steps

STYLE = {"eds": METHOD_STYLE["eds"], "hebt": METHOD_STYLE["hebt_est"]}
LIMITS = (0.0, 1.2)
WIDTHS = (2, 5, 10, 20, 50)  # nm, at an axis
COLORS = ("#222222", "#7a5195", "#2a9d8f", "#e07a5f")  # of the kernels, by σ
DENSITY = "density of the element (bulk: 1, at the scale nearest to the truth)"


def _color_bar(figure, shown, axes, label, aspect=40):
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", fraction=0.06, pad=0.04, aspect=aspect, extend="max"
    )
    bar.set_label(label)
    bar.outline.set_visible(False)


def _bar_in(ax, study, size):
    """Draw a scale bar of a round length into a picture of the whole field."""
    field = study.voxel_size * study.settings[0].size
    nm = next(v for v in (50, 20, 10, 5, 2) if v < 0.45 * field)
    scale_bar(ax, nm * size / field, f"{nm:g} nm")


def _picture(ax, image, name, **options):
    return panel(ax, image, name=name, unit="", limits=LIMITS, bar_for=[], **options)


@styled
def plot_slices(study: ParticleStudy):
    """Draw Figure 5 or 10: three slices, Au and Ag by EDS alone and by HEBT, and HAADF."""
    images, numbers = from_steps(study.views.whole), study.views.chosen
    rows = len(numbers)
    figure, axes = subplots(rows, 5, 1.5 * rows + 0.75, squeeze=False)
    for c, column in enumerate(COLUMNS):
        kind = "haadf" if column == "haadf" else "density"
        for r in range(rows):
            name = column_name(column) if r == 0 else ""
            shown = _picture(axes[r, c], images[c][r], name, kind=kind)
        if c == 0:
            _color_bar(figure, shown, axes[-1, :4], DENSITY)
    _color_bar(figure, shown, axes[-1, 4], "brightest: 1", aspect=10)
    for ax, number in zip(axes[:, 0], numbers, strict=True):
        ax.set_ylabel(f"slice {number}")
    _bar_in(axes[0, 0], study, images.shape[-1])
    return figure


@styled
def plot_bodies(study: ParticleStudy):
    """Draw Figure 6 or 11: Au (yellow) and Ag (blue), by EDS and by HEBT, and HAADF's body."""
    names = NAME | {"segmented": "segmented HAADF"}
    n = len(study.views.bodies)
    figure, axes = subplots(1, n, WIDTH / n + 0.3)
    for ax, mark, name in zip(axes, "abc", study.views.bodies):
        ax.imshow(view(study, name), interpolation="bilinear")
        title(ax, names[name], mark)
        ax.set_axis_off()
    return figure


def _mean_curve(ax, study, values, **options):
    """Plot the mean over the seeds of values (seeds, checkpoints), where they were taken."""
    seen = np.isfinite(values).all(axis=0)
    ax.plot(study.checkpoints[seen], values[:, seen].mean(axis=0), **options)


@styled
def plot_convergence(study: NonAlloyStudy):
    """Draw the MSE against the iteration, by both references, and the crosstalk of Ag into Au."""
    figure, axes = subplots(1, 3, 2.9)
    for method in METHODS:
        color = STYLE[method]["color"]
        for ax, element in zip(axes, ELEMENTS, strict=False):
            for reference, line in (("segmented", "--"), ("true", "-")):
                values = study.scores[reference].curve("mse", method, element)
                label = f"{NAME[method]}, {REFERENCE_NAME[reference]}"
                _mean_curve(ax, study, values, color=color, linestyle=line, label=label)
        level = study.crosstalk.curve("level", method, "Au")
        _mean_curve(axes[2], study, 100 * level, color=color)
    names = (*ELEMENTS, "crosstalk")
    labels = (*["MSE, mean over voxels"] * 2, "Au in pure Ag (% of pure Au)")
    for ax, mark, name, label in zip(axes, "abc", names, labels, strict=True):
        ax.axvline(study.iterations, color="0.7", linewidth=1, zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="iteration", ylabel=label)
        title(ax, name, mark)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def plot_grid(grid: Grid):
    """Draw R², and what HEBT gains in MSE over EDS alone, over the counts for each kernel."""
    figure, axes = subplots(1, 3, 3.0)
    stops = {"printed": (f"after {grid.iterations} iterations", "-"), "best": ("best stop", "--")}
    for k, sigma in enumerate(grid.sigmas):
        look = {"color": COLORS[k], "marker": "o", "markersize": 3}
        axes[0].plot(grid.counts, grid.r_squared[k], label=f"σ = {sigma:g} pixels", **look)
        for ax, element in zip(axes[1:], ELEMENTS, strict=True):
            for stop, (_, line) in stops.items():
                ax.plot(grid.counts, grid.gain(element, stop=stop)[k], linestyle=line, **look)
    for reading in READINGS:
        at, x = grid.place(reading), READINGS[reading].counts["nonalloy"]
        for ax, y in zip(axes, (grid.r_squared, *(grid.gain(e) for e in ELEMENTS)), strict=True):
            ax.annotate(reading, (x, y[at]), xytext=(3, 4), textcoords="offset points")
    axes[0].axhline(
        value("nonalloy.r_squared"), color="0.6", linestyle=":", label="R² of the paper"
    )
    for words, line in stops.values():
        axes[0].plot([], [], color="0.2", linestyle=line, label=words)
    labels = ("R² of the response ratios", *["MSE of EDS only / MSE of HEBT"] * 2)
    for ax, mark, name, label in zip(axes, "abc", ("fit", *ELEMENTS), labels, strict=True):
        if mark != "a":
            ax.axhline(1, color="0.4", linewidth=1)
        ax.set_xscale("log", base=2)
        # a label has no room beside one that is near
        far = np.diff(np.log2(grid.counts), prepend=-np.inf) > 0.5
        ax.set_xticks(grid.counts, [f"{c:g}" if f else "" for c, f in zip(grid.counts, far)])
        ax.set(xlabel="counts per element and pixel", ylabel=label)
        title(ax, name, mark)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def plot_rim(study: RimStudy):
    """Draw the width of Ag's edge at the interface against the noise, over the iterations."""
    figure, axes = subplots(1, len(study.readings), 3.0, sharey=True, squeeze=False)
    for ax, mark, reading in zip(axes[0], "abc", study.readings):
        for method, blurred in MODELS:
            key = reading, method, blurred
            label = f"{NAME[method]}{', kernel in the model' if blurred else ''}"
            look = STYLE[method] | {"marker": "o", "markersize": 3}
            look |= {"linestyle": "--" if blurred else "-", "label": label}
            ax.plot(100 * study.noise[key], study.widths(key), **look)
            at = study.at(key, study.printed)
            ax.plot(100 * at[1], at[0], "o", color=look["color"], markersize=7, fillstyle="none")
        ax.set(xlabel="noise in pure Ag (%)", yscale="log", ylim=(2, 60))
        ax.set_yticks(WIDTHS, [f"{w}" for w in WIDTHS])
        ax.minorticks_off()
        title(ax, f"reading {reading}", mark)
    axes[0, 0].set_ylabel("width of Ag at the interface (nm)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def plot_edges(study: NonAlloyStudy):
    """Draw the profiles across the Au/Ag interface (a, b) and across the outer edge (c)."""
    figure, axes = subplots(1, 3, 2.7, sharey=True)
    words = {"interface": "the interface", "edge": "the outer edge"}
    for ax, mark, (element, surface) in zip(axes, "abc", EDGES, strict=True):
        for method in METHODS:
            found = study.profiles[method, element, surface]
            mean = np.mean([p.values for p in found], axis=0)
            label = f"{NAME[method]}: {study.widths(method, element, surface).mean():.1f} nm"
            ax.plot(found[0].distance, mean, label=label, **STYLE[method] | {"marker": None})
        # silver lies outside the interface
        inside = element == "Au" or surface == "edge"
        ax.step([-12, 0, 12], [inside, inside, not inside], color="0.6", linewidth=1, zorder=0)
        ax.axvline(0, color="0.8", linewidth=1, zorder=0)
        ax.set_xlabel(f"distance from {words[surface]} (nm)")
        title(ax, f"{element} at {words[surface]}", mark)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    axes[0].set_ylabel("density (bulk: 1)")
    return figure


@styled
def plot_masks(study: NonAlloyStudy):
    """Draw Figure 9: Au and Ag from EDS with a mask on the volume (a, b) or on the maps (c, d)."""
    images = from_steps(study.masked)
    figure, axes = subplots(1, 4, 2.6)
    for k, (ax, mark) in enumerate(zip(axes, "abcd", strict=True)):
        m, e = divmod(k, 2)
        name = f"{ELEMENTS[e]}, {('volume mask', 'masked maps')[m]}"
        shown = _picture(ax, images[m, e], name, mark=mark)
    _color_bar(figure, shown, axes, DENSITY)
    _bar_in(axes[0], study, images.shape[-1])
    return figure


@styled
def plot_gold_profile(study: AlloyStudy):
    """Draw the atomic fraction of Au against the radius: true, by EDS and by HEBT."""
    figure, axes = subplots(1, 2, 3.0, width_ratios=(3, 2))
    true = 100 * study.true_profile
    axes[0].plot(study.radius, true, color="0.2", label="true specimen")
    axes[1].axhline(0, color="0.2")
    for m, method in enumerate(METHODS):
        values = 100 * study.profile[m]
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(study.radius))
        mean, at = values.mean(axis=0), study.radius + (m - 0.5) * 0.12
        look = STYLE[method] | {"linestyle": "none", "markersize": 4, "capsize": 2}
        for ax, y in zip(axes, (mean, mean - true), strict=True):
            ax.errorbar(at, y, yerr=spread, label=NAME[method], **look)
    axes[0].set_ylabel("Au (atomic %)")
    axes[1].set_ylabel("difference (atomic %)")
    for ax, mark, name in zip(axes, "ab", ("radial profile", "error"), strict=True):
        ax.set_xlabel("distance from the center (nm)")
        title(ax, name, mark)
    axes[0].legend()
    return figure


@styled
def plot_absorption(octahedron: AbsorptionStudy, alloy: AbsorptionStudy):
    """Draw what pixels lose of Au M and Ag L (a, b), and how that moves the alloy's profile (c)."""
    figure, axes = subplots(1, 3, 2.7)
    for ax, mark, peak in zip(axes, "ab", ("Au M", "Ag L"), strict=False):
        image = 100 * octahedron.images[PEAKS.index(peak)]
        panel(ax, image, name=peak, unit="absorbed (%)", kind="counts", mark=mark)
    names = {1: ("absorbed", "s--"), 2: ("corrected once", "o-"), 3: ("corrected twice", "^:")}
    for case, (label, line) in names.items():
        moved = 100 * (alloy.profile[case] - alloy.profile[0])
        axes[2].plot(alloy.radius, moved, line, markersize=3.5, label=label)
    axes[2].axhline(0, color="0.6", linewidth=1, zorder=0)
    axes[2].set(xlabel="distance from the center (nm)", ylabel="change of Au (atomic %)")
    title(axes[2], "alloy", "c")
    axes[2].legend()
    return figure
