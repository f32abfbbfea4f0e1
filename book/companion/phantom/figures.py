"""Figures of the phantom chapter."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..paper import printed
from ..style import (
    CMAP,
    ELEMENT_COLOR,
    METHOD_NAME,
    METHOD_STYLE,
    WIDTH,
    panel,
    scale_bar,
    styled,
    title,
)
from .data import PhantomData
from .measures import METHODS
from .smoothing import Smoothing
from .stability import Stability
from .study import PhantomStudy

DENSITY_LIMITS = (0.0, 1.3)


@styled
def figure1(data: PhantomData):
    """Draw Figure 1: the phantom (a-c) and its sinograms (d-f), of the first noise seed."""
    settings = data.settings
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.6), layout="constrained")
    z_contrast = np.tensordot(np.array(settings.z), data.density, axes=1)
    for ax, mark, image, name, unit, kind in zip(
        axes[0],
        "abc",
        [*data.density, z_contrast],
        [f"{data.elements[0]} phantom", f"{data.elements[1]} phantom", "Z-contrast phantom"],
        ["density", "density", "HAADF per pixel"],
        ["density", "density", "haadf"],
        strict=True,
    ):
        panel(ax, image, name=name, unit=unit, kind=kind, mark=mark)
    scale_bar(axes[0, 0], 100 / settings.binning, _bar_label(settings))
    half = settings.size / 2
    angles = np.array(settings.angles)
    step = abs(angles[1] - angles[0]) / 2 if len(angles) > 1 else 1.0
    for ax, mark, image, name, unit, kind in zip(
        axes[1],
        "def",
        [*data.counts[:, :, 0], data.haadf],
        [f"{data.elements[0]} EDS sinogram", f"{data.elements[1]} EDS sinogram", "HAADF sinogram"],
        ["X-ray counts", "X-ray counts", "HAADF intensity"],
        ["counts", "counts", "haadf"],
        strict=True,
    ):
        panel(
            ax,
            image,
            name=name,
            unit=unit,
            kind=kind,
            mark=mark,
            extent=(-half, half, angles[-1] + step, angles[0] - step),
            aspect="auto",
            ticks=True,
        )
        ax.set_yticks([-75, 0, 75])
        ax.set_xlabel("distance from the axis (pixels)")
    axes[1, 0].set_ylabel("tilt angle (°)")
    return figure


@styled
def figure4(study: PhantomStudy, *, stop: str = "printed"):
    """Draw Figure 4: Au (a-c) and Ag (d-f) by HEBT with either ratios and by EDS alone."""
    if stop not in ("printed", "best"):
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")
    pictures = study.images if stop == "printed" else study.best_images
    cut = slice(study.settings.size // 8, study.settings.size - study.settings.size // 8)
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 5.0), layout="constrained")
    for place, (ax, mark) in enumerate(zip(axes.ravel(), "abcdef", strict=True)):
        e, m = divmod(place, len(METHODS))
        panel(
            ax,
            pictures[m, e, cut, cut],
            name=f"{study.elements[e]}: {METHOD_NAME[METHODS[m]]}",
            unit="density (1 in the phantom)",
            limits=DENSITY_LIMITS,
            mark=mark,
            bar_for=axes if place == 0 else [],
        )
    scale_bar(axes[0, 0], 100 / study.settings.binning, _bar_label(study.settings))
    return figure


@styled
def plot_convergence(study: PhantomStudy):
    """Draw the MSE of each method against the iteration (a, b) and HEBT's residuals (c)."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    for ax, mark, element in zip(axes, "ab", study.elements, strict=False):
        for method in METHODS:
            look = METHOD_STYLE[method]
            values = study.scores.values["mse"][
                METHODS.index(method), study.elements.index(element)
            ]
            ax.plot(
                study.scores.iterations,
                values.mean(axis=0),
                color=look["color"],
                linestyle=look["linestyle"],
                # the two HEBT curves lie on each other: a broad one under a thin one shows both
                linewidth=4 if method == "hebt_gt" else 1.4,
                alpha=0.5 if method == "hebt_gt" else 1,
                zorder=1 if method == "hebt_gt" else 2,
                label=METHOD_NAME[method],
            )
            ax.fill_between(
                study.scores.iterations,
                values.min(axis=0),
                values.max(axis=0),
                color=look["color"],
                alpha=0.2,
                linewidth=0,
            )
            ax.plot(
                study.scores.best_iteration("mse", method, element),
                study.scores.at("mse", method, element, stop="best").mean(),
                color=look["color"],
                marker=look["marker"],
                markersize=9 if method == "hebt_gt" else 6,
                markeredgecolor="white",
                zorder=2 if method == "hebt_gt" else 3,
            )
        ax.set_xscale("log")
        ax.set_ylim(0, None)
        ax.set_xlabel("iteration")
        ax.set_ylabel("MSE, mean over pixels")
        title(ax, element, mark)
    ax = axes[2]
    steps = np.arange(1, study.residuals.shape[-1] + 1)
    names = ["HAADF", *study.elements]
    colors = ["0.2", *(ELEMENT_COLOR[e] for e in study.elements)]
    for values, name, color, line in zip(
        study.residuals, names, colors, ["-", "--", "-."], strict=True
    ):
        ax.plot(steps, values, color=color, linestyle=line, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("iteration")
    ax.set_ylabel("residual |p − Wx| / |p|")
    title(ax, "HEBT", "c")
    ax.legend(loc="upper right")
    ax.set_ylim(None, 2)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def plot_stability(result: Stability):
    """Draw the MSE under wrong response ratios, relative to that with the true ones."""
    relative = result.relative().mean(axis=-1)
    reach = max(np.abs(relative - 1).max(), 0.01)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), layout="constrained")
    places = np.arange(len(result.errors))
    for e, (ax, mark, element) in enumerate(zip(axes, "ab", result.elements, strict=True)):
        shown = ax.imshow(
            relative[:, :, e],
            cmap=CMAP["difference"],
            vmin=1 - reach,
            vmax=1 + reach,
            origin="lower",
        )
        for i in places:
            for j in places:
                value = relative[i, j, e]
                ink = "white" if abs(value - 1) > 0.6 * reach else "black"
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
        if len(places) > 1:
            ax.plot(
                np.interp(result.paper_errors[1], result.errors, places),
                np.interp(result.paper_errors[0], result.errors, places),
                marker="o",
                color="black",
                markersize=24,
                markerfacecolor="none",
                markeredgewidth=1.5,
            )
        labels = [f"{v:+g}".replace("-", "−") if v else "0" for v in result.errors]
        ax.set_xticks(places, labels)
        ax.set_yticks(places, labels)
        ax.set_xlabel(f"error of r of {result.elements[1]} (%)")
        ax.set_ylabel(f"error of r of {result.elements[0]} (%)")
        title(ax, element, mark)
        bar = figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.03)
        bar.set_label("MSE / MSE with true ratios")
        bar.outline.set_visible(False)
    return figure


@styled
def plot_smoothing(result: Smoothing):
    """Draw what the kernel for the element maps does to the MSE (a, b) and to R² (c)."""
    figure, axes = plt.subplots(
        1, 3, figsize=(WIDTH, 3.1), layout="constrained", sharey=True, width_ratios=(3, 3, 2)
    )
    places = np.arange(len(result.kernels))
    for e, (ax, mark, element) in enumerate(zip(axes, "ab", result.elements, strict=False)):
        for m, method in enumerate(("hebt_est", "eds")):
            look = METHOD_STYLE[method]
            for stop, fill in (("printed", look["color"]), ("best", "white")):
                values = result.at(stop)[:, m, e]
                ax.errorbar(
                    values.mean(axis=-1),
                    places,
                    xerr=[
                        values.mean(axis=-1) - values.min(axis=-1),
                        values.max(axis=-1) - values.mean(axis=-1),
                    ],
                    linestyle="none",
                    color=look["color"],
                    marker=look["marker"],
                    markerfacecolor=fill,
                    label=f"{METHOD_NAME[method]}, "
                    f"{'best stop' if stop == 'best' else f'{result.settings.iterations} it.'}",
                )
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("MSE, mean over pixels")
        title(ax, element, mark)
        ax.grid(axis="x", color="0.9")
    axes[0].set_yticks(places, [k.name for k in result.kernels])
    axes[0].invert_yaxis()
    ax = axes[2]
    ax.plot(result.r_squared.mean(axis=1), places, "o", color="0.2")
    paper = printed("phantom.r_squared").value
    ax.axvline(paper, color="0.5", linestyle="--")
    ax.annotate(
        "paper",
        (paper, 0),
        (-4, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8,
        color="0.3",
    )
    ax.set_xlabel("R²")
    title(ax, "R² of the ratios", "c")
    ax.grid(axis="x", color="0.9")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _bar_label(settings):
    return f"{100 / settings.binning:g} pixels"
