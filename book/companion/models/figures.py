"""Figures and the table of the chapter on imaging models."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker

from hebt._checks import check_count

from ..style import ELEMENT_COLOR, WIDTH, panel, styled, title
from ..tables import Table
from .theory import weight_in_equation_9


@styled
def plot_ray_weights(W, tilt: int = 0, ray: int | None = None):
    """Draw one ray through a small slice, with the weights w_ij of Eq. 3 in the pixels."""
    size = W.size
    if size > 16:
        raise ValueError(f"W has size {size}; expected at most 16, or no weight can be read.")
    ray = size // 2 + 1 if ray is None else ray
    weights = W.matrix()[[tilt * size + ray]].toarray().reshape(size, size)
    angle = np.deg2rad(W.angles[tilt])
    across, along = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    half = (size - 1) / 2

    figure, ax = plt.subplots(figsize=(0.62 * WIDTH, 0.6 * WIDTH), layout="constrained")
    shown = ax.pcolormesh(
        np.arange(size + 1) - size / 2,
        size / 2 - np.arange(size + 1),
        np.ma.masked_equal(weights, 0),
        cmap="Blues",
        vmin=0,
        vmax=1.3,
        edgecolor="0.8",
        linewidth=0.6,
    )
    ax.set_xlim(-size / 2 - 0.6, size / 2 + 0.6)
    ax.set_ylim(-size / 2 - 0.6, size / 2 + 0.6)
    for k in range(size + 1):
        ax.plot([-size / 2, size / 2], [k - size / 2] * 2, color="0.85", lw=0.6, zorder=0)
        ax.plot([k - size / 2] * 2, [-size / 2, size / 2], color="0.85", lw=0.6, zorder=0)
    for edge in (ray - half - 0.5, ray - half + 0.5):
        ends = [[edge * across[d] + reach * along[d] for reach in (-size, size)] for d in (0, 1)]
        ax.plot(*ends, color="#D55E00")
    for row, column in zip(*np.nonzero(weights > 0.005), strict=True):
        ax.text(
            column - half,
            half - row,
            f"{weights[row, column]:.2f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if weights[row, column] > 0.75 else "black",
        )
    ax.set_aspect("equal")
    ax.set_axis_off()
    bar = figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.02, boundaries=np.linspace(0, 1, 65))
    bar.set_label("weight $w_{ij}$ (area, pixels²)")
    bar.set_ticks([0, 0.5, 1])
    title(ax, f"ray {ray} at {W.angles[tilt]:g}°: the weights sum to {weights.sum():.2f}")
    return figure


@styled
def plot_two_modalities(specimen, z, angles, haadf, maps):
    """Draw a specimen and what both detectors record of it."""
    contrast = np.tensordot(z, specimen.density, 1)
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 0.62 * WIDTH), layout="constrained")
    panel(axes[0, 0], contrast, name="Σ z ρ, the slice", unit="HAADF intensity per voxel", mark="a")
    for e, (name, mark) in enumerate(zip(specimen.elements, "bc", strict=True)):
        panel(
            axes[0, 1 + e],
            specimen.density[e],
            name=f"{name}, the slice",
            unit="density ρ",
            mark=mark,
        )
    extent = (-0.5, haadf.shape[1] - 0.5, angles[-1], angles[0])
    options = dict(extent=extent, aspect="auto", ticks=True)
    panel(
        axes[1, 0],
        haadf,
        name="HAADF sinogram $p_h$",
        unit="HAADF intensity",
        kind="haadf",
        mark="d",
        **options,
    )
    for e, (name, mark) in enumerate(zip(specimen.elements, "ef", strict=True)):
        panel(
            axes[1, 1 + e],
            maps[e],
            name=f"{name} sinogram $p^{{({name})}}$",
            unit="X-ray counts",
            kind="counts",
            mark=mark,
            **options,
        )
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
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    ax.set_xlabel("HAADF intensity $p_h$")
    ax.set_ylabel("$Σ_e r^{(e)} p^{(e)}$")
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
    for line in range(1, k + 1):
        ax.axhline(line, color="0.6", lw=0.8)
        if line < k:
            ax.axvline(line, color="0.6", lw=0.8)
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
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="α of Eq. 11, solved by SIRT")
    ax.set_ylabel("α of Eq. 9 with the same minimum")
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
    for a, (alpha, color) in enumerate(zip(alphas, colors, strict=True)):
        for ax, error in zip(axes, errors[a], strict=True):
            style = ("-", "--", "-.", ":")[a % 4]
            ax.loglog(iterations, error, style, color=color, label=f"α = {alpha:g}")
    for ax, what, mark in zip(axes, ("sum", "difference"), "ab", strict=True):
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
    for ax, image, what, mark in zip(
        axes, (truth[0], fractions[0]), ("true", "HEBT"), "ab", strict=False
    ):
        panel(
            ax,
            np.ma.masked_invalid(image),
            name=f"{name}, {what}",
            unit=unit,
            limits=(0, 1),
            mark=mark,
            bar_for=None if mark == "b" else [],
        )
        ax.set_facecolor("0.92")
    size = truth.shape[-1]
    offsets = np.arange(size) - (size - 1) / 2
    radius = np.hypot(offsets[:, None], offsets[None, :]).astype(int)
    for image, label, color, style in (
        (truth[0], "true", "black", "--"),
        (fractions[0], "HEBT", ELEMENT_COLOR.get(name, "#0072B2"), "-"),
    ):
        inside = np.isfinite(image)
        count = np.bincount(radius[inside])
        mean = np.bincount(radius[inside], image[inside]) / np.maximum(count, 1)
        rings = np.flatnonzero(count > 8)
        axes[2].plot(rings + 0.5, mean[rings], style, color=color, label=label)
    axes[2].set(xlabel="radius (pixels)", ylabel=unit, ylim=(0, 1))
    axes[2].legend(loc="upper left")
    title(axes[2], "mean over rings", "c")
    return figure


def cost_table(elements: int = 2) -> Table:
    """Count the projections of one iteration: EDS alone, HEBT, and HEBT built naively."""
    k = check_count("elements", elements)
    rows = [
        ("EDS alone, k runs of SIRT", k, k),
        ("HEBT with the stacked matrix of Eq. 11 row by row", 2 * k, 2 * k),
        ("HEBT as implemented here", k, k),
    ]
    return Table(
        ("one iteration of", "forward projections", "back projections"),
        [(name, str(f), str(b)) for name, f, b in rows],
        title=f"What an iteration costs for k = {k} elements.",
    )
