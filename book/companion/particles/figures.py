"""Figures of the two chapters on the particles."""

import matplotlib.pyplot as plt
import numpy as np

from ..paper import printed
from ..style import ELEMENT_COLOR, METHOD_STYLE, WIDTH, panel, scale_bar, styled, title
from ..tables import spread_text
from .alloy import AlloyStudy
from .dose import DoseStudy
from .measures import COLUMNS, ELEMENTS, METHODS
from .nonalloy import NonAlloyStudy
from .views import from_steps

NAME = {
    "eds": "EDS only",
    "hebt": "HEBT",
    "haadf": "HAADF",
    "volume_mask": "EDS, volume mask",
    "projection_mask": "EDS, masked maps",
}
STYLE = {"eds": METHOD_STYLE["eds"], "hebt": METHOD_STYLE["hebt_est"]}
LIMITS = (0.0, 1.2)


def seeds_text(study):
    text = "one noise seed" if len(study.settings) == 1 else f"{len(study.settings)} noise seeds"
    return f"mean ± standard deviation over {text}"


def _five_columns(study, images, chosen):
    """Rows of slices, five columns each, densities and HAADF on one scale."""
    rows = len(chosen)
    figure, axes = plt.subplots(
        rows, 5, figsize=(WIDTH, 1.5 * rows + 0.75), layout="constrained", squeeze=False
    )
    for c, column in enumerate(COLUMNS):
        element, _, method = column.partition("_")
        name = "HAADF" if column == "haadf" else f"{element}, {NAME[method]}"
        for r, number in enumerate(chosen):
            ax = axes[r, c]
            shown = panel(
                ax,
                images[c][r],
                name=name if r == 0 else "",
                unit="",
                kind="haadf" if column == "haadf" else "density",
                limits=LIMITS,
                bar_for=[],
            )
            if c == 0:
                ax.set_ylabel(f"slice {number}")
            if c in (0, 4) and r == rows - 1:
                bar = figure.colorbar(
                    shown,
                    ax=axes[-1, :4] if c == 0 else axes[-1, 4],
                    location="bottom",
                    fraction=0.06,
                    pad=0.04,
                    aspect=40 if c == 0 else 10,
                    extend="max",
                )
                bar.set_label(_density_unit(study) if c == 0 else "brightest: 1")
                bar.outline.set_visible(False)
    nm = _bar(study, images.shape[-1] * _pixel(study, images))
    scale_bar(axes[0, 0], nm / _pixel(study, images), f"{nm:g} nm")
    return figure


def _pixel(study, images):
    """Side of a pixel of the pictures, in nm."""
    return study.voxel_size * study.settings[0].size / images.shape[-1]


def _bar(study, width):
    return next(v for v in (50, 20, 10, 5, 2) if v < 0.45 * width)


def _density_unit(study):
    return "density of the element (bulk: 1, at the scale nearest to the truth)"


@styled
def figure5(study: NonAlloyStudy):
    """Draw Figure 5: three slices, Au and Ag by EDS alone and by HEBT, and HAADF.

    Parameters
    ----------
    study
        From `companion.particles.nonalloy_study`.

    Returns
    -------
    matplotlib.figure.Figure
        The first noise seed, slices 80, 150 and 220 of 300.
    """
    return _five_columns(study, from_steps(study.views.whole), study.views.chosen)


@styled
def figure10(study: AlloyStudy):
    """Draw Figure 10: slices of the alloy particle, as in `figure5`."""
    return _five_columns(study, from_steps(study.views.whole), study.views.chosen)


@styled
def plot_stills(pictures: dict):
    """Draw renderings side by side, as in Figures 6 and 11.

    Parameters
    ----------
    pictures
        Title -> (rows, columns, 3), uint8.
    """
    figure, axes = plt.subplots(
        1, len(pictures), figsize=(WIDTH, WIDTH / len(pictures) + 0.3), layout="constrained"
    )
    for ax, mark, (name, picture) in zip(np.atleast_1d(axes), "abcdef", pictures.items()):
        ax.imshow(picture, interpolation="bilinear")
        title(ax, name, mark)
        ax.set_axis_off()
    return figure


def figure6(study: NonAlloyStudy):
    """Draw Figure 6: Au (yellow) and Ag (blue) by EDS, by HEBT, and segmented from HAADF."""
    from .explorers import view

    names = {"eds": "EDS only", "hebt": "HEBT", "segmented": "segmented HAADF"}
    return plot_stills({text: view(study, name) for name, text in names.items()})


def figure11(study: AlloyStudy):
    """Draw Figure 11: Au (yellow) and Ag (blue) of the alloy by EDS and by HEBT."""
    from .explorers import view

    return plot_stills({NAME[name]: view(study, name) for name in METHODS})


@styled
def plot_convergence(study: NonAlloyStudy):
    """Draw the MSE against the iteration, by both references, and the leak of Ag into Au."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    for ax, mark, element in zip(axes, "ab", ELEMENTS, strict=False):
        for method in METHODS:
            for reference, line in (("segmented", "--"), ("true", "-")):
                values = study.scores[reference].curve("mse", method, element)
                seen = np.isfinite(values).all(axis=0)
                ax.plot(
                    study.checkpoints[seen],
                    values[:, seen].mean(axis=0),
                    color=STYLE[method]["color"],
                    linestyle=line,
                    label=f"{NAME[method]}, "
                    f"{'true specimen' if reference == 'true' else 'segmented HAADF'}",
                )
        ax.axvline(study.iterations, color="0.7", linewidth=1, zorder=0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("iteration")
        ax.set_ylabel("MSE, mean over voxels")
        title(ax, element, mark)
    ax = axes[2]
    for m, method in enumerate(METHODS):
        values = 100 * study.crosstalk["level"][m]
        seen = np.isfinite(values).all(axis=0)
        ax.plot(study.checkpoints[seen], values[:, seen].mean(axis=0), color=STYLE[method]["color"])
    ax.axvline(study.iterations, color="0.7", linewidth=1, zorder=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("iteration")
    ax.set_ylabel("Au in pure Ag (% of pure Au)")
    title(ax, "shadow", "c")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def plot_dose(study: DoseStudy):
    """Draw what HEBT gains in MSE over EDS alone, and R², against the dose."""
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 2.9), layout="constrained", width_ratios=(3, 2)
    )
    stops = {"printed": (f"after {study.iterations} iterations", "-"), "best": ("best stop", "--")}
    for element in ELEMENTS:
        for stop, (words, line) in stops.items():
            axes[0].plot(
                study.counts,
                study.gain(element, stop=stop),
                color=ELEMENT_COLOR[element],
                linestyle=line,
                marker="o" if element == "Au" else "s",
                markersize=4,
                label=f"{element}, {words}",
            )
    axes[0].axhline(1, color="0.4", linewidth=1)
    axes[0].set_ylabel("MSE of EDS only / MSE of HEBT")
    axes[1].plot(study.counts, study.r_squared, color="0.2", marker="o", markersize=4, label="ours")
    axes[1].axhline(printed("nonalloy.r_squared").value, color="0.6", linestyle=":", label="paper")
    axes[1].set_ylabel("R² of the response ratios")
    axes[1].legend()
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(study.counts, [f"{c:g}" for c in study.counts])
        ax.set_xlabel("counts per element and pixel")
    title(axes[0], "gain", "a")
    title(axes[1], "fit", "b")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def plot_edges(study: NonAlloyStudy):
    """Draw the profiles across the Au/Ag interface (a, b) and across the outer edge (c)."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.7), layout="constrained", sharey=True)
    for ax, mark, element, surface, name in zip(
        axes,
        "abc",
        ("Au", "Ag", "Ag"),
        ("interface", "interface", "edge"),
        ("Au at the interface", "Ag at the interface", "Ag at the outer edge"),
        strict=True,
    ):
        for method in METHODS:
            found = study.profiles[method, element, surface]
            values = np.mean([p.values for p in found], axis=0)
            ax.plot(
                found[0].distance,
                values,
                color=STYLE[method]["color"],
                linestyle=STYLE[method]["linestyle"],
                label=f"{NAME[method]}: {np.mean([p.width for p in found]):.1f} nm",
            )
        outside = element == "Au" or surface == "edge"
        ax.step([-12, 0, 12], [outside, outside, not outside], color="0.6", linewidth=1, zorder=0)
        ax.axvline(0, color="0.8", linewidth=1, zorder=0)
        ax.set_xlabel(
            "distance from the interface (nm)"
            if surface == "interface"
            else "distance from the outer edge (nm)"
        )
        title(ax, name, mark)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    axes[0].set_ylabel("density (bulk: 1)")
    return figure


@styled
def figure9(study: NonAlloyStudy):
    """Draw Figure 9: Au and Ag from EDS with a mask on the volume (a, b) or on the maps (c, d)."""
    images = from_steps(study.masked)
    figure, axes = plt.subplots(1, 4, figsize=(WIDTH, 2.6), layout="constrained")
    for k, (ax, mark) in enumerate(zip(axes, "abcd", strict=True)):
        m, e = divmod(k, 2)
        shown = panel(
            ax,
            images[m, e],
            name=f"{ELEMENTS[e]}, {('volume mask', 'masked maps')[m]}",
            unit="",
            limits=LIMITS,
            mark=mark,
            bar_for=[],
        )
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", fraction=0.06, pad=0.04, aspect=40, extend="max"
    )
    bar.set_label(_density_unit(study))
    bar.outline.set_visible(False)
    nm = _bar(study, images.shape[-1] * study.voxel_size)
    scale_bar(axes[0], nm / study.voxel_size, f"{nm:g} nm")
    return figure


@styled
def plot_gold_profile(study: AlloyStudy):
    """Draw the atomic fraction of Au against the radius: true, by EDS and by HEBT."""
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 3.0), layout="constrained", width_ratios=(3, 2)
    )
    axes[0].plot(study.radius, 100 * study.true_profile, color="0.2", label="true specimen")
    for m, method in enumerate(METHODS):
        values = 100 * study.profile[m]
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(study.radius))
        look = STYLE[method]
        axes[0].errorbar(
            study.radius + (m - 0.5) * 0.12,
            values.mean(axis=0),
            yerr=spread,
            color=look["color"],
            marker=look["marker"],
            markersize=4,
            linestyle="none",
            capsize=2,
            label=NAME[method],
        )
        axes[1].errorbar(
            study.radius + (m - 0.5) * 0.12,
            values.mean(axis=0) - 100 * study.true_profile,
            yerr=spread,
            color=look["color"],
            marker=look["marker"],
            markersize=4,
            linestyle="none",
            capsize=2,
        )
    axes[1].axhline(0, color="0.2")
    axes[0].set_ylabel("Au (atomic %)")
    axes[1].set_ylabel("difference (atomic %)")
    for ax in axes:
        ax.set_xlabel("distance from the centre (nm)")
    title(axes[0], "radial profile", "a")
    title(axes[1], "error", "b")
    axes[0].legend()
    return figure


def _common(study):
    size = study.settings[0].size
    return {
        "seeds": f"{len(study.settings)}",
        "size": f"{size}",
        "voxel": f"{study.voxel_size:.2g}",
        "iterations": f"{study.iterations}",
        "tilts": f"{len(study.settings[0].angles)}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "slices": f"{study.views.slices.shape[1]}",
    }
