"""Figures and the table of the chapter on imaging models."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker

from hebt._checks import check_count

from ..style import ELEMENT_COLOR, WIDTH, panel, styled, title
from ..tables import Table
from .theory import weight_in_equation_9


@styled
def plot_ray_weights(W):
    """Draw a ray of the first tilt through a small slice, and its weights w_ij of Eq. 3."""
    size = W.size
    if size > 16:
        raise ValueError(f"W has size {size}; expected at most 16, or no weight can be read.")
    ray = size // 2 + 1
    weights = W.matrix()[[ray]].toarray().reshape(size, size)
    angle = np.deg2rad(W.angles[0])
    across, along = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    half = (size - 1) / 2

    edges = np.arange(size + 1) - size / 2
    figure, ax = plt.subplots(figsize=(0.62 * WIDTH, 0.6 * WIDTH), layout="constrained")
    ax.hlines(edges, edges[0], edges[-1], color="0.8", lw=1)
    ax.vlines(edges, edges[0], edges[-1], color="0.8", lw=1)
    shown = ax.pcolormesh(
        edges, -edges, np.ma.masked_equal(weights, 0), cmap="Blues", vmin=0, vmax=1.3
    )
    ax.set(xlim=(-size / 2 - 0.6, size / 2 + 0.6), ylim=(-size / 2 - 0.6, size / 2 + 0.6))
    for edge in (ray - half - 0.5, ray - half + 0.5):
        ends = [[edge * across[d] + reach * along[d] for reach in (-size, size)] for d in (0, 1)]
        ax.plot(*ends, color="#D55E00")
    for row, column in np.argwhere(weights > 0.005):
        weight = weights[row, column]
        ink = {"color": "white" if weight > 0.75 else "black", "fontsize": 7}
        ax.text(column - half, half - row, f"{weight:.2f}", ha="center", va="center", **ink)
    ax.set_aspect("equal")
    ax.set_axis_off()
    bar = figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.02, boundaries=np.linspace(0, 1, 65))
    bar.set_label("weight $w_{ij}$ (area, pixels²)")
    bar.set_ticks([0, 0.5, 1])
    title(ax, f"ray {ray} at {W.angles[0]:g}°: the weights sum to {weights.sum():.2f}")
    return figure


@styled
def plot_two_modalities(specimen, z, angles, haadf, maps):
    """Draw a specimen and what both detectors record of it."""
    contrast = np.tensordot(z, specimen.density, 1)
    panels = [(contrast, "Σ z ρ, the slice", "HAADF intensity per voxel", "density")]
    for name, density in zip(specimen.elements, specimen.density, strict=True):
        panels.append((density, f"{name}, the slice", "density ρ", "density"))
    panels.append((haadf, "HAADF sinogram $p_h$", "HAADF intensity", "haadf"))
    for name, counts in zip(specimen.elements, maps, strict=True):
        panels.append((counts, f"{name} sinogram $p^{{({name})}}$", "X-ray counts", "counts"))
    extent = (-0.5, haadf.shape[1] - 0.5, angles[-1], angles[0])
    looks = 3 * [{}] + 3 * [{"extent": extent, "aspect": "auto", "ticks": True}]
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 0.62 * WIDTH), layout="constrained")
    for ax, mark, (image, name, unit, kind), look in zip(axes.flat, "abcdef", panels, looks):
        panel(ax, image, name=name, unit=unit, kind=kind, mark=mark, **look)
    for ax in axes[1]:
        ax.set_xlabel("detector (pixels)")
    axes[1, 0].set_ylabel("tilt (degrees)")
    return figure


@styled
def plot_ratio_fit(haadf, maps, fit):
    """Draw Eq. 6: the HAADF intensity against the weighted sum of the maps, pixel by pixel."""
    haadf, predicted = np.asarray(haadf), fit.predict(maps)
    inside = haadf > 0
    top = 1.05 * max(haadf.max(), predicted.max())
    figure, ax = plt.subplots(figsize=(0.6 * WIDTH, 0.5 * WIDTH), layout="constrained")
    shown = ax.hexbin(
        haadf[inside],
        predicted[inside],
        gridsize=40,
        cmap="viridis",
        mincnt=1,
        bins="log",
        extent=(0, top, 0, top),
        linewidths=0.1,
    )
    ax.plot([0, top], [0, top], color="#D55E00", label="$p_h = Σ_e r^{(e)} p^{(e)}$")
    ax.set(xlim=(0, top), ylim=(0, top))
    ax.set(xlabel="HAADF intensity $p_h$", ylabel="$Σ_e r^{(e)} p^{(e)}$")
    ax.ticklabel_format(style="sci", scilimits=(-2, 4))
    ax.legend(loc="upper left")
    figure.colorbar(shown, ax=ax, label="number of pixels")
    title(ax, f"R² = {fit.r_squared:.2f} over {fit.pixels} pixels")
    return figure


@styled
def plot_stacked_matrix(matrix, elements):
    """Draw where the matrix of Eq. 11 has entries."""
    k = len(elements)
    rows, columns = matrix.shape
    figure, ax = plt.subplots(figsize=(0.62 * WIDTH, 0.48 * WIDTH), layout="constrained")
    # entries are far smaller than a pixel of the picture: count them in cells
    entries = matrix.tocoo()
    cells = np.histogram2d(
        entries.row, entries.col, bins=(60 * (k + 1), 60 * k), range=((0, rows), (0, columns))
    )[0]
    ax.imshow(
        np.ma.masked_equal(cells, 0),
        cmap="Blues",
        vmin=-cells.max() / 3,
        aspect="auto",
        extent=(0, k, k + 1, 0),
    )
    ax.hlines(range(1, k + 1), 0, k, color="0.6", lw=0.8)
    ax.vlines(range(1, k), 0, k + 1, color="0.6", lw=0.8)
    ax.set_xticks(np.arange(k) + 0.5, [f"$x^{{({e})}}$" for e in elements])
    ax.xaxis.tick_top()
    labels = [f"$(1-α)\\, r^{{({e})}} p^{{({e})}}$" for e in elements] + ["$α\\, p_h$"]
    ax.set_yticks(np.arange(k + 1) + 0.5, labels)
    ax.tick_params(length=0)
    share = matrix.nnz / rows / columns
    ax.set_xlabel(f"{rows} rows × {columns} columns, {100 * share:.2g} % of them filled")
    return figure


@styled
def plot_meaning_of_alpha(elements=(2, 3, 5)):
    """Draw which weight of Eq. 9 SIRT's alpha stands for."""
    alpha = np.linspace(0.001, 0.999, 500)
    figure, ax = plt.subplots(figsize=(0.55 * WIDTH, 0.46 * WIDTH), layout="constrained")
    ax.plot([0, 1], [0, 1], color="0.75", lw=1, label="the same")
    colors = plt.get_cmap("viridis")(np.linspace(0.1, 0.75, len(elements)))
    for k, color, style in zip(elements, colors, ("-", "--", "-.", ":") * len(elements)):
        ax.plot(alpha, weight_in_equation_9(alpha, k), style, color=color, label=f"k = {k}")
    at = float(weight_in_equation_9(0.7, elements[0]))
    ax.plot([0.7, 0.7, 0], [0, at, at], color="#D55E00", lw=1)
    ax.annotate(
        f"0.7 → {at:.3f}",
        (0.7, at),
        (0.36, at + 0.2),
        color="#D55E00",
        arrowprops={"arrowstyle": "->", "color": "#D55E00"},
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="α of the paper's Eq. 11, solved by SIRT")
    ax.set_ylabel("α of the paper's Eq. 9 with the same minimum")
    ax.legend(loc="upper left")
    return figure


@styled
def plot_sum_and_difference(errors, alphas):
    """Draw how HEBT converges: the sum of two elements, and their difference."""
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 0.42 * WIDTH), sharey=True, layout="constrained"
    )
    iterations = 1 + np.arange(errors.shape[2])
    colors = plt.get_cmap("viridis")(np.linspace(0.05, 0.8, len(alphas)))
    for k, (ax, what, mark) in enumerate(zip(axes, ("sum", "difference"), "ab", strict=True)):
        for a, (alpha, color) in enumerate(zip(alphas, colors, strict=True)):
            style = ("-", "--", "-.", ":")[a % 4]
            ax.loglog(iterations, errors[a, k], style, color=color, label=f"α = {alpha:g}")
        ax.set_xlabel("iterations")
        title(ax, f"error of the {what} of the elements", mark)
        ax.grid(alpha=0.25, which="both", lw=0.4)
        ax.yaxis.set_major_locator(ticker.FixedLocator([0.1, 0.2, 0.5, 1]))
        ax.yaxis.set_minor_locator(ticker.NullLocator())
        ax.yaxis.set_major_formatter(ticker.PercentFormatter(1))
    axes[0].set_ylabel("relative error")
    axes[0].legend(loc="lower left")
    return figure


@styled
def plot_composition(truth, fractions, elements, kind: str):
    """Draw true and reconstructed fractions side by side, and both along a radius."""
    name, unit = elements[0], f"{elements[0]} ({kind} fraction)"
    figure, axes = plt.subplots(
        1, 3, figsize=(WIDTH, 0.34 * WIDTH), layout="constrained", width_ratios=(1, 1, 1.1)
    )
    size = truth.shape[-1]
    offsets = np.arange(size) - (size - 1) / 2
    radius = np.hypot(offsets[:, None], offsets[None, :]).astype(int)
    images = {"true": truth[0], "HEBT": fractions[0]}
    looks = {"color": "black", "ls": "--"}, {"color": ELEMENT_COLOR.get(name, "#0072B2")}
    for ax, (what, image), look, mark in zip(axes, images.items(), looks, "ab", strict=False):
        bar_for = None if mark == "b" else []
        masked = np.ma.masked_invalid(image)
        panel(
            ax, masked, name=f"{name}, {what}", unit=unit, limits=(0, 1), mark=mark, bar_for=bar_for
        )
        ax.set_facecolor("0.92")
        inside = np.isfinite(image)
        count = np.bincount(radius[inside])
        mean = np.bincount(radius[inside], image[inside]) / np.maximum(count, 1)
        rings = np.flatnonzero(count > 8)
        axes[2].plot(rings + 0.5, mean[rings], label=what, **look)
    axes[2].set(xlabel="radius (pixels)", ylabel=unit, ylim=(0, 1))
    axes[2].legend(loc="upper left")
    title(axes[2], "mean over rings", "c")
    return figure


def cost_table(elements: int = 2) -> Table:
    """Count the projections of one iteration: EDS alone, HEBT, and HEBT built naively."""
    k = check_count("elements", elements)
    return Table(
        ("one iteration of", "forward projections", "back projections"),
        [
            ("EDS alone, k runs of SIRT", k, k),
            ("HEBT with the stacked matrix of the paper's Eq. 11", 2 * k, 2 * k),
            ("HEBT as implemented here", k, k),
        ],
        title=f"What an iteration costs for k = {k} elements.",
    )
