"""Figures of the chapter on speed, from what `make bench` measured."""

import statistics

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator

from ..style import WIDTH, styled, title
from .data import ASTRA, median, on_processor, times_text


@styled
def plot_peers(results: dict):
    """Draw the time of one iteration of one slice for every program, with its rounds as dots."""
    entries = [e for e in on_processor(results) if e["threads"] == 1]
    entries.sort(key=lambda e: statistics.median(e["processor"]))
    astra = median(results, ASTRA)
    figure, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(entries) + 0.8), layout="constrained")
    for row, entry in enumerate(entries):
        times = 1e3 * np.array(entry["processor"])
        ours = entry["name"].startswith("hebt")
        ax.barh(row, np.median(times), color="#0072B2" if ours else "0.75", height=0.65)
        ax.plot(times, np.full(len(times), row), ".", color="black", ms=3, alpha=0.6)
        text = f"{np.median(times):.3g} ms"
        if astra is not None and entry["name"] != ASTRA:
            ratio = 1e3 * astra / np.median(times)
            text += f", {times_text(ratio)} ASTRA's speed"
        ax.text(1.15 * times.max(), row, text, va="center", fontsize=8)
    ax.set_yticks(range(len(entries)), [e["name"] for e in entries])
    ax.invert_yaxis()
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(low, high * 30)
    ax.set_xlabel("processor time of one iteration of one slice (ms), one thread")
    size, tilts = (results["settings"][name] for name in ("size", "tilts"))
    title(ax, f"slices of {size} × {size} pixels, {tilts} tilts")
    return figure


@styled
def plot_scaling(results: dict):
    """Draw the time of a reconstruction against each quantity, beside proportionality."""
    curves = results["scaling"]["curves"]
    power = {"size": 2}
    figure, axes = plt.subplots(
        1, len(curves), figsize=(WIDTH, 0.32 * WIDTH), layout="constrained", squeeze=False
    )
    for ax, (name, curve), mark in zip(axes[0], curves.items(), "abcdefgh"):
        values = np.array(curve["values"], float)
        medians = 1e3 * np.median(curve["processor"], axis=1)
        exponent = power.get(name, 1)
        line = np.exp(np.mean(np.log(medians / values**exponent))) * values**exponent
        label = "∝ size²" if exponent == 2 else "proportional"
        ax.loglog(values, line, color="0.6", label=label, zorder=0)
        ax.loglog(values, medians, "o", color="#0072B2", ms=4)
        ax.set_xticks(values, [f"{v:g}" for v in values], rotation=90)
        ax.set_xticks([], minor=True)
        ax.set_xlabel(name)
        ax.legend(loc="upper left", handlelength=1.2, fontsize=6.5)
        title(ax, "", mark)
    low = min(ax.get_ylim()[0] for ax in axes[0])
    high = max(ax.get_ylim()[1] for ax in axes[0]) * 1.6
    for ax in axes[0]:
        ax.set_ylim(low, high)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")
        if ax is not axes[0][0]:
            ax.tick_params(labelleft=False, which="both")
    axes[0][0].set_ylabel("processor time (ms)")
    base = results["scaling"]["base"]
    figure.suptitle(
        "{slices} slices, {elements} elements, {tilts} tilts, {iterations} iterations, "
        "size {size}".format(**base),
        fontsize=8,
    )
    return figure
