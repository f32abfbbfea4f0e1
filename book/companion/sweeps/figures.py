"""Figures of the chapter on weight and iterations."""

import numpy as np
from scipy.ndimage import gaussian_filter

from ..laboratory.bench import ELEMENTS, PRESETS
from ..particles.measures import REFERENCES
from ..particles.views import from_steps
from ..spectra.settings import specimen
from ..style import log_ticks, panel, scale_bar, styled, subplots, title
from .bands import PhantomBands
from .slice import SliceSweep, nearest

METHODS = {"HEBT": "hebt", "EDS only": "eds"}
REFERENCE_NAME = {"segmented": "by the paper's protocol", "true": "against the truth"}
# from few to many iterations; told apart by lightness and line style too
_COLORS = ("#b3b3b3", "#E69F00", "#009E73", "#0072B2", "#000000")
_LINES = ((0, (1, 1)), ":", "-.", "--", "-")
_WEIGHTS = (0.1, 0.5, 0.7, 0.9, 0.99)
_FAINT = 0.15  # of bulk density: where a scale for what is weak ends
_GRAIN = 60  # parts of a picture's edge that are averaged, to see what grains hide
_DOSE_STYLE = (("#D55E00", "v"), ("#E69F00", "o"), ("#009E73", "s"), ("#0072B2", "^"))


def _looks(values):
    """Each value with its color and line; the last gets a full line."""
    looks = [{"color": c, "linestyle": line} for c, line in zip(_COLORS, _LINES, strict=True)]
    return zip(values, looks[-len(values) :], strict=True)


def _against_weight(ax, name, mark):
    ax.set(xlim=(0, 1), yscale="log", xlabel="weight α of HAADF")
    log_ticks(ax.yaxis)
    title(ax, name, mark)


@styled
def figure7(study: SliceSweep):
    """Draw Figure 7: the MSE of Au and Ag against the weight, by both references.

    Lines are means over the noise seeds, bands reach from the lowest to the highest.
    """
    figure, axes = subplots(2, 2, 5.2, sharex=True)
    marks = iter("abcd")
    for row, reference in zip(axes, REFERENCES, strict=True):
        for ax, (e, element) in zip(row, enumerate(study.elements), strict=True):
            for n, look in _looks(study.printed):
                values = study.after(reference, n)[:, e]
                mean = values.mean(axis=1)
                ax.plot(study.alphas, mean, label=f"{n}", **look)
                band = values.min(axis=1), values.max(axis=1)
                ax.fill_between(study.alphas, *band, color=look["color"], alpha=0.3, linewidth=0)
                best = study.best_alphas(reference, element, n)
                at = best.mean(), np.interp(best.mean(), study.alphas, mean)
                ax.plot(*at, "o", color=look["color"], markersize=6, markeredgecolor="white")
            _against_weight(ax, f"{element}, {REFERENCE_NAME[reference]}", next(marks))
        row[0].set_ylabel("MSE, mean over pixels")
    for ax in axes[0]:
        ax.set_xlabel("")
    lines, names = axes[0, 0].get_legend_handles_labels()
    names = [f"{name} iterations" for name in names]
    figure.legend(lines, names, loc="outside upper center", ncols=len(names))
    return figure


@styled
def figure8(study: SliceSweep):
    """Draw Figure 8: the segmented reference, and HEBT at α = 0.7 after 50, 100, 500 iterations."""
    steps = [n for n in (50, 100, 500) if n in study.iterations] or list(study.iterations)[-3:]
    figure, axes = subplots(2, 1 + len(steps), 4.1)
    marks = iter("abcdefgh")
    for row, (e, element) in zip(axes, enumerate(study.elements), strict=True):
        pictures = {"reference": study.reference_pictures["segmented"][e]}
        for n in steps:
            pictures[f"{n} iterations"] = study.pictures[(*study.at(study.usual, n), e)]
        for ax, (name, picture) in zip(row, pictures.items(), strict=True):
            look = {"unit": "density (bulk: 1)", "limits": (0, 1.5), "mark": next(marks)}
            bar_for = axes if ax is axes[0, 0] else []
            panel(ax, from_steps(picture), name=f"{element}, {name}", bar_for=bar_for, **look)
    pixel = specimen(study.settings[0]).voxel_size * study.binning
    scale_bar(axes[0, 0], 50 / pixel, "50 nm")
    return figure


@styled
def plot_ghost(study: SliceSweep):
    """Draw the weak part of Figure 8: Au and Ag at α = 0.7, smoothed, on a scale that ends early.

    The ghost of the other element is a few hundredths of bulk density, and grains are as strong.
    """
    steps = [n for n in (50, 100, 500) if n in study.iterations] or list(study.iterations)[-3:]
    figure, axes = subplots(2, len(steps), 4.7, squeeze=False)
    marks = iter("abcdef")
    for row, (e, element) in zip(axes, enumerate(study.elements), strict=True):
        for ax, n in zip(row, steps, strict=True):
            picture = from_steps(study.pictures[(*study.at(study.usual, n), e)])
            picture = gaussian_filter(picture, max(1.0, picture.shape[-1] / _GRAIN))
            look = {"unit": "density (bulk: 1)", "limits": (0, _FAINT), "mark": next(marks)}
            bar_for = axes if ax is axes[0, 0] else []
            panel(ax, picture, name=f"{element}, {n} iterations", bar_for=bar_for, **look)
    return figure


@styled
def plot_residuals(study: SliceSweep):
    """Draw the residuals of HAADF (a) and of the maps (b, c) against the iteration."""
    chosen = list(dict.fromkeys(nearest(study.alphas, wanted) for wanted in _WEIGHTS))
    figure, axes = subplots(1, 3, 2.9)
    names = ["HAADF", *(f"{e} map" for e in study.elements)]
    for k, (ax, name, mark) in enumerate(zip(axes, names, "abc", strict=True)):
        for alpha, look in _looks(chosen):
            values = study.residuals[study.alphas.index(alpha), :, k]
            ax.plot(study.iterations, values, label=f"{alpha:g}", **look)
        ax.set(xscale="log", yscale="log", xlabel="iteration")
        ax.xaxis.set_major_formatter("{x:g}")
        log_ticks(ax.yaxis)
        title(ax, name, mark)
    axes[0].set_ylabel("|p − W x| / |p|")
    axes[0].legend(title="weight α")
    return figure


@styled
def plot_bands(study: PhantomBands):
    """Draw the MSE of the phantom's Au (a) and Ag (b) against the weight, at dose 1."""
    d = study.doses.index(1.0)
    figure, axes = subplots(1, 2, 3.4)
    for ax, mark, (e, element) in zip(axes, "ab", enumerate(study.elements), strict=True):
        for n, look in _looks(study.iterations[-5:]):
            values = study.mse[d][:, study.iterations.index(n), e]
            ax.plot(study.alphas, values.mean(axis=1), label=f"{n}", **look)
            band = values.min(axis=1), values.max(axis=1)
            ax.fill_between(study.alphas, *band, color=look["color"], alpha=0.3, linewidth=0)
        eds = study.eds_mse[d][:, e].mean(axis=1).min()
        ax.axhline(eds, color="0.5", linewidth=1)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
        look = {"color": "0.3", "fontsize": 7, "va": "bottom", "bbox": box}
        ax.text(0.01, eds * 1.02, "EDS only, best stop", **look)
        _against_weight(ax, element, mark)
    axes[0].set_ylabel("MSE, mean over pixels")
    axes[1].legend(title="iterations")
    return figure


@styled
def plot_minima(study: PhantomBands):
    """Draw where the minimum lies (a), and how much chemistry it has had (b)."""
    figure, axes = subplots(1, 2, 3.2)
    doses = zip(_DOSE_STYLE, study.doses, study.counts_on_paper_pixel, strict=False)
    for (color, marker), dose, counts in doses:
        found = np.array([study.best_alphas(dose, n) for n in study.iterations])
        there = [study.is_inner(best) for best in found]
        n = np.array(study.iterations)[there]
        look = {"color": color, "marker": marker, "markersize": 5, "capsize": 2, "linewidth": 1.2}
        for ax, values in ((axes[0], found[there]), (axes[1], (1 - found[there]) * n[:, None])):
            if len(n):
                mean = values.mean(axis=1)
                spread = [mean - values.min(axis=1), values.max(axis=1) - mean]
                ax.errorbar(n, mean, spread, label=f"{counts:.3g}", **look)
    for ax in axes:
        ax.set(xscale="log", xlabel="iterations T", ylim=(0, None))
        ax.set_xticks(study.iterations, [str(n) for n in study.iterations])
        ax.xaxis.set_minor_formatter("")
    axes[0].set_ylim(0, 1)
    title(axes[0], "best weight α", "a")
    title(axes[1], "(1 − α) T at the best weight", "b")
    axes[1].legend(title="counts on a pixel of the paper", loc="upper left")
    return figure


@styled
def plot_failures(outcomes: dict):
    """Draw what presets of the laboratory make of Au and Ag, with the name of each artifact."""
    figure, axes = subplots(len(outcomes), 4, 1.85 * len(outcomes) + 0.3, squeeze=False)
    columns = [(name, method, e) for e in (0, 1) for name, method in METHODS.items()]
    for row, (preset, outcome) in zip(axes, outcomes.items(), strict=True):
        for ax, (name, method, e) in zip(row, columns, strict=True):
            score = outcome.scores["mse", method, ELEMENTS[e]]
            look = {"unit": "density (1 in the specimen)", "limits": (0, 1.3)}
            bar_for = axes if ax is axes[0, 0] else []
            name = f"{ELEMENTS[e]}, {name}: {score:.2g}"
            panel(ax, outcome.densities[method][e], name=name, bar_for=bar_for, **look)
        artifact = PRESETS[preset].artifact or "none"
        row[0].set_ylabel(artifact, fontsize=9, fontweight="bold")
    return figure
