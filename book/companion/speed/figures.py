"""Figures of the chapter on speed, from what `make bench` measured."""

import statistics

import numpy as np

from ..style import WIDTH, log_ticks, styled, subplots, title
from . import errors
from .data import ASTRA, median, on_processor, scaling, times_text


@styled
def plot_peers(results: dict):
    """Draw the time of one iteration of one slice for every program, with its rounds as dots."""
    entries = [e for e in on_processor(results) if e["threads"] == 1]
    entries.sort(key=lambda e: statistics.median(e["processor"]))
    astra = median(results, ASTRA)
    figure, ax = subplots(1, 1, 0.42 * len(entries) + 0.8)
    for row, entry in enumerate(entries):
        times = 1e3 * np.array(entry["processor"])
        ours = entry["name"].startswith("hebt")
        ax.barh(row, np.median(times), color="#0072B2" if ours else "0.75", height=0.65)
        ax.plot(times, np.full(len(times), row), ".", color="black", ms=3, alpha=0.6)
        text = f"{np.median(times):.3g} ms"
        if astra is not None and entry["name"] != ASTRA:
            ratio = 1e3 * astra / np.median(times)
            text += f", {times_text(ratio)} the speed of ASTRA's strip"
        ax.text(1.15 * times.max(), row, text, va="center", fontsize=8)
    ax.set_yticks(range(len(entries)), [e["name"] for e in entries])
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel="processor time of one iteration of one slice (ms), one thread")
    ax.set_xlim(right=60 * ax.get_xlim()[1])
    title(ax, "slices of {size} × {size} pixels, {tilts} tilts".format(**results["settings"]))
    return figure


@styled
def plot_scaling(results: dict):
    """Draw the time of a reconstruction against each quantity, beside proportionality."""
    curves = scaling(results)
    figure, (axes,) = subplots(1, len(curves), 0.32 * WIDTH, squeeze=False, sharey=True)
    for ax, (name, (values, times)), mark in zip(axes, curves.items(), "abcdefgh"):
        medians = 1e3 * times
        exponent = 2 if name == "size" else 1
        line = np.exp(np.mean(np.log(medians / values**exponent))) * values**exponent
        label = "∝ size²" if exponent == 2 else "proportional"
        ax.loglog(values, line, color="0.6", label=label, zorder=0)
        ax.loglog(values, medians, "o", color="#0072B2", ms=4)
        ax.set_xticks(values, [f"{v:g}" for v in values], rotation=90)
        ax.set_xticks([], minor=True)
        ax.set_xlabel(name)
        ax.legend(loc="upper left", handlelength=1.2, fontsize=7)
        title(ax, "", mark)
    axes[0].set(ylabel="processor time (ms)", ylim=(None, 1.6 * axes[0].get_ylim()[1]))
    log_ticks(axes[0].yaxis, (1, 3))
    base = results["scaling"]["base"]
    figure.suptitle(
        "{slices} slices, {elements} elements, {tilts} tilts, {iterations} iterations, "
        "size {size}".format(**base),
        fontsize=8,
    )
    return figure


# Okabe and Ito's colors for hebt, grays for peers; told apart by markers too
_OWN_COLORS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#E69F00")
_MARKERS = "osD^vP*Xd<>hp"


@styled
def plot_errors(results: dict):
    """Draw how each contender's error falls with time, up to its best stop."""
    figure, ax = subplots(1, 1, 4.6)
    own = [one for one in results["contenders"] if one["program"] == "hebt"]
    own = [one for one in own if one["name"] != errors.RESTATED]
    peers = [one for one in results["contenders"] if one not in own]
    grays = np.linspace(0.1, 0.65, len(peers))
    looks = [(color, "-") for color in _OWN_COLORS[: len(own)]]
    looks += [(str(gray), ":") for gray in grays]
    for one, (color, line), marker in zip(own + peers, looks, _MARKERS, strict=False):
        seconds, means = errors.curve(one)
        best = means.argmin()
        ax.plot(seconds[: best + 1], means[: best + 1], line, color=color, lw=1.2)
        ax.plot(seconds[best], means[best], marker, color=color, ms=6, label=one["name"])
    ax.set(xscale="log", yscale="log", xlabel=f"time for {errors.WHOLE} slices of two elements (s)")
    ax.set_ylabel("scaled mean-squared error")
    log_ticks(ax.yaxis, (1, 2, 5))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    title(ax, "slices of {size} × {size} pixels, {tilts} tilts".format(**results["settings"]))
    return figure
