"""Figures of the chapter on weight and iterations."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from ..laboratory.bench import ELEMENTS, PRESETS
from ..spectra.settings import voxel_size
from ..style import WIDTH, panel, scale_bar, styled, title
from .bands import PhantomBands
from .slice import PRINTED_ITERATIONS, REFERENCES, SliceSweep

REFERENCE_NAME = {"segmented": "by the paper's protocol", "true": "against the truth"}
# from few to many iterations; told apart by lightness and line style too
_COLORS = ("#b3b3b3", "#E69F00", "#009E73", "#0072B2", "#000000")
_LINES = ((0, (1, 1)), ":", "-.", "--", "-")
_DOSE_STYLE = (("#D55E00", "v"), ("#E69F00", "o"), ("#009E73", "s"), ("#0072B2", "^"))
_PER_BULK = "density (bulk: 1)"


def _look(k, count):
    """Colour and line of the k-th of some numbers of iterations; the most get a full line."""
    at = k + len(_COLORS) - count
    return {"color": _COLORS[at], "linestyle": _LINES[at]}


def _shown(iterations, many=4):
    """The numbers of iterations that a plot has room for: those that are printed, if any."""
    printed = [i for i in iterations if i in PRINTED_ITERATIONS]
    return (printed or list(iterations))[-many:]


@styled
def figure7(study: SliceSweep):
    """Draw Figure 7: the MSE of Au and Ag against the weight, by both references."""
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.2), layout="constrained", sharex=True)
    steps = _shown(study.iterations)
    marks = iter("abcd")
    for row, reference in zip(axes, REFERENCES, strict=True):
        for ax, (e, element) in zip(row, enumerate(study.elements), strict=True):
            for k, n in enumerate(steps):
                i = study.iterations.index(n)
                values = study.mse[reference][:, i, e]
                look = _look(k, len(steps))
                ax.plot(study.alphas, values, label=f"{n}", **look)
                best = study.best_alpha(reference, element, n)
                ax.plot(
                    best,
                    np.interp(best, study.alphas, values),
                    "o",
                    color=look["color"],
                    markersize=6,
                    markeredgecolor="white",
                )
            ax.set_yscale("log")
            ax.yaxis.set_minor_formatter(NullFormatter())
            _plain(ax)
            ax.set_xlim(0, 1)
            title(ax, f"{element}, {REFERENCE_NAME[reference]}", next(marks))
        row[0].set_ylabel("MSE, mean over pixels")
    for ax in axes[1]:
        ax.set_xlabel("weight α of HAADF")
    axes[0, 0].legend(title="iterations")
    return figure


def _plain(ax):
    """Numbers of a logarithmic axis as decimals, at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator

    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


@styled
def figure8(study: SliceSweep):
    """Draw Figure 8: the segmented reference, and HEBT at α = 0.7 after 50, 100, 500 iterations."""
    steps = [n for n in (50, 100, 500) if n in study.iterations] or list(study.iterations)[-3:]
    alpha = min(study.alphas, key=lambda a: abs(a - 0.7))
    figure, axes = plt.subplots(
        2, 1 + len(steps), figsize=(WIDTH, 4.1), layout="constrained", squeeze=False
    )
    marks = iter("abcdefgh")
    for row, (e, element) in zip(axes, enumerate(study.elements), strict=True):
        pictures = [study.reference_pictures["segmented"][e]] + [
            study.pictures[(*study.at(alpha, n), e)] for n in steps
        ]
        names = [f"{element}, reference", *(f"{element}, {n} iterations" for n in steps)]
        for ax, picture, name in zip(row, pictures, names, strict=True):
            panel(
                ax,
                picture * (1.5 / 255),
                name=name,
                unit=_PER_BULK,
                limits=(0, 1.5),
                mark=next(marks),
                bar_for=axes if ax is axes[0, 0] else [],
            )
    voxel = voxel_size(study.settings) * study.binning
    scale_bar(axes[0, 0], 50 / voxel, "50 nm")
    return figure


@styled
def plot_residuals(study: SliceSweep):
    """Draw the residuals of HAADF (a) and of the maps (b, c) against the iteration."""
    chosen = [min(study.alphas, key=lambda a: abs(a - wanted)) for wanted in _WEIGHTS]
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    names = ["HAADF", *(f"{e} map" for e in study.elements)]
    for k, (ax, name, mark) in enumerate(zip(axes, names, "abc", strict=True)):
        for j, alpha in enumerate(dict.fromkeys(chosen)):
            a = study.alphas.index(alpha)
            ax.plot(
                study.iterations,
                study.residuals[a, :, k],
                label=f"{alpha:g}",
                **_look(j, len(set(chosen))),
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        _plain(ax)
        ax.set_xlabel("iteration")
        title(ax, name, mark)
    axes[0].set_ylabel("|p − W x| / |p|")
    axes[0].legend(title="weight α")
    return figure


_WEIGHTS = (0.1, 0.5, 0.7, 0.9, 0.99)


@styled
def plot_bands(study: PhantomBands):
    """Draw the MSE of the phantom's Au (a) and Ag (b) against the weight, at dose 1."""
    d = study.doses.index(1.0)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
    for ax, mark, (e, element) in zip(axes, "ab", enumerate(study.elements), strict=True):
        for k, n in enumerate(study.iterations[-5:]):
            values = study.mse[d][:, study.iterations.index(n), e]
            look = _look(k, len(study.iterations[-5:]))
            ax.plot(study.alphas, values.mean(axis=1), label=f"{n}", **look)
            ax.fill_between(
                study.alphas,
                values.min(axis=1),
                values.max(axis=1),
                color=look["color"],
                alpha=0.3,
                linewidth=0,
            )
        eds = study.eds_mse[d][:, e].mean(axis=1).min()
        ax.axhline(eds, color="0.5", linewidth=1)
        ax.text(
            0.01,
            eds * 1.02,
            "EDS only, best stop",
            color="0.3",
            fontsize=7,
            va="bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(NullFormatter())
        _plain(ax)
        ax.set_xlim(0, 1)
        ax.set_xlabel("weight α of HAADF")
        title(ax, element, mark)
    axes[0].set_ylabel("MSE, mean over pixels")
    axes[1].legend(title="iterations")
    return figure


@styled
def plot_minima(study: PhantomBands):
    """Draw where the minimum lies (a), and how much chemistry it has had (b)."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), layout="constrained")
    for (color, marker), dose, counts in zip(_DOSE_STYLE, study.doses, study.counts, strict=False):
        found = np.array([study.best_alphas(dose, n) for n in study.iterations])
        # at an end of the weights there is no minimum to speak of
        there = [(f > study.alphas[0]).all() and (f < study.alphas[-1]).all() for f in found]
        n = np.array(study.iterations)[there]
        if not len(n):
            continue
        for ax, values in ((axes[0], found[there]), (axes[1], (1 - found[there]) * n[:, None])):
            mean = values.mean(axis=1)
            spread = [mean - values.min(axis=1), values.max(axis=1) - mean]
            ax.errorbar(
                n,
                mean,
                spread,
                color=color,
                marker=marker,
                markersize=5,
                capsize=2,
                linewidth=1.2,
                label=f"{counts:.3g}",
            )
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xticks(study.iterations, [str(n) for n in study.iterations])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("iterations T")
    axes[0].set_ylim(0, 1)
    axes[1].set_ylim(0, None)
    title(axes[0], "best weight α", "a")
    title(axes[1], "(1 − α) T at the best weight", "b")
    axes[1].legend(title="counts a pixel", loc="upper left")
    return figure


@styled
def plot_failures(outcomes: dict):
    """Draw what presets of the laboratory make of Au and Ag, with the name of each artefact."""
    figure, axes = plt.subplots(
        len(outcomes),
        4,
        figsize=(WIDTH, 1.85 * len(outcomes) + 0.3),
        layout="constrained",
        squeeze=False,
    )
    columns = [("hebt", 0), ("eds", 0), ("hebt", 1), ("eds", 1)]
    method_names = {"hebt": "HEBT", "eds": "EDS only"}
    for row, (name, outcome) in zip(axes, outcomes.items(), strict=True):
        preset = PRESETS[name]
        for ax, (method, e) in zip(row, columns, strict=True):
            element = ELEMENTS[e]
            score = outcome.scores["mse", method, element]
            panel(
                ax,
                outcome.densities[method][e],
                name=f"{element}, {method_names[method]}: {score:.2g}",
                unit="density (1 in the specimen)",
                limits=(0, 1.3),
                bar_for=axes if ax is axes[0, 0] else [],
            )
        row[0].set_ylabel(preset.artefact or "none", fontsize=9, fontweight="bold")
    return figure
