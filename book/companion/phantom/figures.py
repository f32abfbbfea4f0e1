"""Figures of the phantom chapter."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..paper import value
from ..style import ELEMENT_COLOR, METHOD_NAME, METHOD_STYLE, WIDTH, panel, scale_bar, styled, title
from .data import PhantomData
from .measures import METHODS
from .smoothing import Smoothing
from .stability import Stability
from .study import PhantomStudy

DENSITY_LIMITS = (0.0, 1.3)


@styled
def figure1(data: PhantomData):
    """Draw Figure 1: the phantom (a-c) and its sinograms (d-f), of the first noise seed."""
    settings, (gold, silver) = data.settings, data.elements
    z_contrast = np.tensordot(np.array(settings.z), data.density, axes=1)
    panels = [
        (data.density[0], f"{gold} phantom", "density", "density"),
        (data.density[1], f"{silver} phantom", "density", "density"),
        (z_contrast, "Z-contrast phantom", "HAADF per pixel", "haadf"),
        (data.counts[0, :, 0], f"{gold} EDS sinogram", "X-ray counts", "counts"),
        (data.counts[1, :, 0], f"{silver} EDS sinogram", "X-ray counts", "counts"),
        (data.haadf, "HAADF sinogram", "HAADF intensity", "haadf"),
    ]
    half, angles = settings.size / 2, settings.angles
    step = abs(angles[1] - angles[0]) / 2 if len(angles) > 1 else 1.0
    extent = (-half, half, angles[-1] + step, angles[0] - step)
    looks = 3 * [{}] + 3 * [{"extent": extent, "aspect": "auto", "ticks": True}]
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.6), layout="constrained")
    for ax, mark, (image, name, unit, kind), look in zip(axes.flat, "abcdef", panels, looks):
        panel(ax, image, name=name, unit=unit, kind=kind, mark=mark, **look)
    for ax in axes[1]:
        ax.set(yticks=[-75, 0, 75], xlabel="distance from the axis (pixels)")
    axes[1, 0].set_ylabel("tilt angle (°)")
    _scale_bar(axes[0, 0], settings)
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
    _scale_bar(axes[0, 0], study.settings)
    return figure


def _scale_bar(ax, settings):
    scale_bar(ax, 100 / settings.binning, f"{100 / settings.binning:g} pixels")


@styled
def plot_convergence(study: PhantomStudy):
    """Draw the MSE of each method against the iteration (a, b) and HEBT's residuals (c)."""
    figure, (*above, ax) = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    for one, mark, element in zip(above, "ab", study.elements, strict=True):
        for method in METHODS:
            _plot_error(one, study.scores, method, element)
        one.set(xscale="log", xlabel="iteration", ylabel="MSE, mean over pixels")
        one.set_ylim(0, None)
        title(one, element, mark)
    colors = ["0.2", *(ELEMENT_COLOR[e] for e in study.elements)]
    for values, name, color, line in zip(
        study.residuals, ["HAADF", *study.elements], colors, ["-", "--", "-."], strict=True
    ):
        steps = np.arange(1, len(values) + 1)
        ax.plot(steps, values, color=color, linestyle=line, label=name)
    ax.set(xscale="log", yscale="log", xlabel="iteration", ylabel="residual |p − Wx| / |p|")
    title(ax, "HEBT", "c")
    ax.legend(loc="upper right")
    ax.set_ylim(None, 2)
    figure.legend(*above[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _plot_error(ax, scores, method, element):
    """Draw a method's MSE: mean and range over the seeds, and its best stop."""
    values = scores.curve("mse", method, element)
    # the two HEBT curves lie on each other: a broad one under a thin one shows both
    broad = {"linewidth": 4, "alpha": 0.5, "markersize": 9, "zorder": 1}
    thin = {"linewidth": 1.4, "markersize": 6, "zorder": 2}
    ax.plot(
        scores.iterations,
        values.mean(axis=0),
        label=METHOD_NAME[method],
        markevery=[scores.place("mse", method, element, stop="best")],
        markeredgecolor="white",
        **METHOD_STYLE[method],
        **(broad if method == "hebt_gt" else thin),
    )
    low, high = values.min(axis=0), values.max(axis=0)
    ax.fill_between(
        scores.iterations, low, high, color=METHOD_STYLE[method]["color"], alpha=0.2, linewidth=0
    )


@styled
def plot_stability(result: Stability):
    """Draw the MSE under wrong response ratios, relative to that with the true ones."""
    relative = result.relative().mean(axis=-1)
    reach = max(np.abs(relative - 1).max(), 0.01)
    places = np.arange(len(result.errors))
    edges = -0.5, len(places) - 0.5
    look = {"kind": "difference", "limits": (1 - reach, 1 + reach), "extent": edges * 2}
    labels = [f"{v:+g}".replace("-", "−") if v else "0" for v in result.errors]
    across, up = (f"error of r of {name} (%)" for name in result.elements[::-1])
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), layout="constrained")
    for e, (ax, mark, element) in enumerate(zip(axes, "ab", result.elements, strict=True)):
        numbers = relative[:, :, e]
        unit = "MSE / MSE with true ratios"
        panel(ax, numbers[::-1], name=element, unit=unit, mark=mark, ticks=True, **look)
        for (i, j), number in np.ndenumerate(numbers):
            ink = "white" if abs(number - 1) > 0.6 * reach else "black"
            ax.text(j, i, f"{number:.2f}", ha="center", va="center", color=ink, fontsize=8)
        if len(places) > 1:
            at = [np.interp(v, result.errors, places) for v in result.paper_errors[::-1]]
            ax.plot(*at, "ko", markersize=24, markerfacecolor="none", markeredgewidth=1.5)
        ax.set_xticks(places, labels)
        ax.set_yticks(places, labels)
        ax.set(xlabel=across, ylabel=up)
    return figure


@styled
def plot_smoothing(result: Smoothing):
    """Draw what the kernel for the element maps does to the MSE (a, b) and to R² (c)."""
    figure, (*above, ax) = plt.subplots(
        1, 3, figsize=(WIDTH, 3.1), layout="constrained", sharey=True, width_ratios=(3, 3, 2)
    )
    places = np.arange(len(result.kernels))
    for e, (one, mark, element) in enumerate(zip(above, "ab", result.elements, strict=True)):
        for m, method in enumerate(("hebt_est", "eds")):
            look = METHOD_STYLE[method]
            stops = {"printed": f"{result.settings.iterations} it.", "best": "best stop"}
            for stop, name in stops.items():
                values = result.at(stop)[:, m, e]
                mean = values.mean(axis=-1)
                one.errorbar(
                    mean,
                    places,
                    xerr=[mean - values.min(axis=-1), values.max(axis=-1) - mean],
                    fmt=look["marker"],
                    color=look["color"],
                    markerfacecolor="white" if stop == "best" else look["color"],
                    label=f"{METHOD_NAME[method]}, {name}",
                )
        one.set(xscale="log", xlabel="MSE, mean over pixels")
        one.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        one.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        one.xaxis.set_minor_formatter(NullFormatter())
        title(one, element, mark)
        one.grid(axis="x", color="0.9")
    above[0].set_yticks(places, [k.name for k in result.kernels])
    above[0].invert_yaxis()
    ax.plot(result.r_squared.mean(axis=1), places, "o", color="0.2")
    paper = value("phantom.r_squared")
    ax.axvline(paper, color="0.5", linestyle="--")
    ax.text(paper, 0, "paper ", ha="right", va="center", fontsize=8, color="0.3")
    ax.set_xlabel("R²")
    title(ax, "R² of the ratios", "c")
    ax.grid(axis="x", color="0.9")
    figure.legend(*above[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
