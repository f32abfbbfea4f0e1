"""Figures of the chapter."""

import numpy as np

from ..phantom.counts import counts_on_paper_pixel
from ..style import WIDTH, log_ticks, panel, styled, subplots, title
from .choice import ChoiceStudy
from .dose import TENTH, DoseStudy
from .particles import ParticleComparison
from .runs import NAMES
from .study import PhantomComparison

LIMITS = (0.0, 1.3)
# Okabe and Ito's colors, told apart by line and marker too
STYLE = {
    "eds": {"color": "#D55E00", "linestyle": "-.", "marker": "^"},
    "hebt": {"color": "#0072B2", "linestyle": "--", "marker": "o"},
    "fused": {"color": "#009E73", "linestyle": ":", "marker": "s"},
    "em": {"color": "#222222", "linestyle": "-", "marker": "D"},
    "tv": {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1)), "marker": "v"},
}
BEST = {"eds": "EDS only, best stop", "hebt": "HEBT, best stop", "em": NAMES["em"]}


@styled
def plot_first(study: PhantomComparison, element: str = "Ag"):
    """Show one element: the truth, and three methods, EDS alone and HEBT at their best stop."""
    e = study.elements.index(element)
    size = study.settings.size
    cut = slice(size // 8, size - size // 8)
    pictures = {"the truth": study.truth} | {n: study.pictures[m] for m, n in BEST.items()}
    figure, axes = subplots(1, 4, 2.35, width=1.1 * WIDTH)
    for k, (ax, mark, (name, images)) in enumerate(zip(axes, "abcd", pictures.items())):
        panel(
            ax,
            images[e, cut, cut],
            name=name,
            unit="density",
            limits=LIMITS,
            mark=mark,
            bar_for=[axes[-1]] if k == 3 else [],
        )
    return figure


@styled
def plot_convergence(study: PhantomComparison):
    """Draw the errors (a, b) and composition EM's deviance (c) along the iterations."""
    figure, axes = subplots(1, 3, 3.0)
    for ax, mark, element in zip(axes, "ab", study.elements, strict=False):
        e = study.elements.index(element)
        for method in ("eds", "hebt", "fused", "em"):
            course = study.courses[method]
            mean = course.scores["mse"][:, e].mean(axis=-1)
            place = [int(np.flatnonzero(course.iterations == course.stated)[0])]
            look = STYLE[method] | {"markevery": place, "markersize": 6}
            ax.plot(course.iterations, mean, label=NAMES[method], **look)
        ax.set(xscale="log", yscale="log", xlabel="iteration", ylabel="MSE, relative")
        log_ticks(ax.yaxis)
        title(ax, element, mark)
    ax, relative = axes[2], study.deviance / study.deviance[0]
    steps = np.arange(1, len(relative) + 1)
    for e, (element, line) in enumerate(zip(study.elements, ("-", "--"), strict=True)):
        ax.plot(steps, relative[:, e], line, color=STYLE["em"]["color"], label=element)
    ax.set(xscale="log", xlabel="iteration", ylabel="deviance, relative to the first")
    title(ax, NAMES["em"], "c")
    ax.legend()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def plot_dose(study: DoseStudy):
    """Draw the errors over the dose, and what HEBT reaches at the whole dose."""
    figure, axes = subplots(1, 2, 3.2)
    lines = (("eds", "best"), ("hebt", "best"), ("fused", "stated"), ("em", "stated"))
    one = counts_on_paper_pixel()
    counts = one * np.array(study.doses)
    for e, (ax, mark, element) in enumerate(zip(axes, "ab", study.elements, strict=True)):
        for method, stop in lines:
            values = np.array([study.error(method, d, stop=stop)[e] for d in study.doses])
            name = NAMES[method] + (", best stop" if stop == "best" else "")
            mean = values.mean(axis=1)
            ax.plot(counts, mean, label=name, **STYLE[method], markersize=5)
            low, high = values.min(axis=1), values.max(axis=1)
            ax.fill_between(counts, low, high, color=STYLE[method]["color"], alpha=0.15)
        level = study.error("hebt", 1.0, stop="best")[e].mean()
        ax.axhline(level, color=STYLE["hebt"]["color"], linewidth=0.8)
        ax.axvline(TENTH * one, color="0.7", linewidth=0.8, zorder=0)
        ax.set(xscale="log", yscale="log", ylabel="MSE, relative")
        ax.set_xlabel("X-ray counts on a pixel of the paper's frame")
        log_ticks(ax.xaxis, (1, 3))
        log_ticks(ax.yaxis)
        title(ax, element, mark)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


ALLOY = (("hebt", 100), ("em", 50), ("tv", 300))


@styled
def plot_alloy(study: ParticleComparison):
    """Show Au in one slice of the alloy (a to d), and its atomic fraction over the radius (e)."""
    figure = subplots(1, 1, 4.6)[0]
    figure.clear()
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    axes = above.subplots(1, 4)
    names = {"truth": "the truth"} | {run: f"{NAMES[run[0]]}, {run[1]}" for run in ALLOY}
    for k, (ax, mark, (key, name)) in enumerate(zip(axes, "abcd", names.items(), strict=True)):
        panel(
            ax,
            study.pictures[key][0],
            name=name,
            unit="volume fraction of Au",
            limits=(0, 0.8),
            mark=mark,
            bar_for=[axes[-1]] if k == 3 else [],
        )
    ax = below.subplots(1, 1)
    ax.plot(study.radius, study.true_profile, color="0.75", linewidth=5, label="the truth")
    for method, iterations in (("eds", 200), *ALLOY):
        place = study.place(method, iterations)
        profile = study.profiles[place]
        mean = np.nanmean(profile, axis=0)
        look = STYLE[method] | {"markersize": 4}
        ax.plot(study.radius, mean, label=f"{NAMES[method]}, {iterations}", **look)
    ax.set(xlabel="distance from the center (nm)", ylabel="atomic fraction of Au")
    title(ax, "in shells, mean over the seeds", "e")
    ax.legend(ncols=2)
    return figure


@styled
def plot_choice(study: ChoiceStudy, seed: int = 0):
    """Draw what held-out counts say of each kernel (a), and what the truth says (b)."""
    figure, axes = subplots(1, 2, 3.0)
    widths, chosen = study.widths[seed], study.chosen[seed]
    own = study.differences[seed], study.standard_errors[seed]
    axes[0].errorbar(widths, own[0], own[1], color="black", marker="o", markersize=4, capsize=2)
    axes[0].set_ylabel("held-out deviance, less the lowest")
    axes[0].set_yscale("symlog", linthresh=max(float(np.nanmax(own[1])), 1.0))
    for e, (element, line) in enumerate(zip(study.elements, ("-", "--"), strict=True)):
        axes[1].plot(widths, study.errors[seed][e], line, color="black", marker="o", markersize=4)
        axes[1].text(widths[-1], study.errors[seed][e, -1], f" {element}", va="center")
    axes[1].set(yscale="log", ylabel="MSE, relative")
    log_ticks(axes[1].yaxis)
    for ax, mark, name in zip(axes, "ab", ("held-out counts", "the truth"), strict=True):
        ax.axvline(chosen, color="#D55E00", linewidth=1, zorder=0)
        ax.set(xscale="log", xlabel="width of the kernel (pixels)")
        log_ticks(ax.xaxis)
        title(ax, name, mark)
    return figure


@styled
def plot_noise(study: ChoiceStudy, element: str = "Ag"):
    """Show the standard deviation by resampled counts (a) beside the true error (b)."""
    e, size = study.elements.index(element), study.size
    cut = slice(size // 8, size - size // 8)
    top = float(np.percentile(np.abs(study.away[e]), 99))
    figure, axes = subplots(1, 2, 3.1)
    images = study.deviation[e], np.abs(study.away[e])
    names = "noise only: standard deviation", "the error, absolute"
    for ax, mark, image, name in zip(axes, "ab", images, names, strict=True):
        panel(
            ax,
            image[cut, cut],
            name=name,
            unit=f"density of {element}",
            kind="counts",
            limits=(0, top),
            mark=mark,
        )
    return figure
