"""An experiment as a still picture and as a table."""

import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..style import panel, styled
from ..tables import Table
from .bench import ELEMENTS, METHODS, Outcome

LIMITS = (0.0, 1.3)
UNIT = "density, 1 in the specimen"
NAMES = {"em": "Composition EM", "hebt": "HEBT", "eds": "EDS only"}
_LINES = ("hebt", "eds")  # whose residuals are drawn
# of the residuals' lines, as on the page
_COLORS = ("#0b5fa5", "#c2410c", "#0f766e", "#9d3c8f", "#4d4d4d")
_STYLES = ("-", "--", ":", "-.", (0, (1, 1)))
_SCORES = (
    ("mse", "MSE, relative", ".4f"),
    ("ssim", "SSIM, whole image", ".4f"),
    ("dp", "DP (pixels)", ".0f"),
)


def picture(outcome: Outcome) -> bytes:
    """Draw an experiment, as PNG: specimen, reconstructions, and residuals."""
    out = io.BytesIO()
    _figure(outcome).savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


@styled
def _figure(outcome):
    figure = plt.figure(figsize=(9.6, 7.2), layout="constrained")
    axes = figure.subplot_mosaic("abcd;efgh;iiii", height_ratios=(3, 3, 2.2))
    images = {"truth": outcome.series.density, **outcome.densities}
    places = [(e, method) for e in range(len(ELEMENTS)) for method in images]
    for mark, (e, method) in zip("abcdefgh", places, strict=True):
        name = f"{ELEMENTS[e]}, {NAMES.get(method, 'specimen')}"
        if method in NAMES:
            name += f"\nMSE {outcome.scores['mse', method, ELEMENTS[e]]:.3f}"
        look = {"unit": UNIT, "limits": LIMITS, "bar_for": []}
        shown = panel(axes[mark], images[method][e], name=name, **look)
    above = [axes[mark] for mark in "abcdefgh"]
    figure.colorbar(shown, ax=above, label=UNIT, extend="max", fraction=0.03, aspect=40)
    _residuals(axes["i"], outcome.residuals)
    return figure


def _residuals(ax, residuals):
    lines = {"HAADF, HEBT": residuals["hebt"][:, 0]}
    for method in _LINES:
        for e, element in enumerate(ELEMENTS):
            lines[f"{element} map, {NAMES[method]}"] = residuals[method][:, 1 + e]
    for (label, values), color, style in zip(lines.items(), _COLORS, _STYLES, strict=True):
        ax.plot(np.arange(1, 1 + len(values)), values, linestyle=style, label=label, color=color)
    ax.set(xscale="log", yscale="log", xlabel="Iterations", ylabel="|p − W x| / |p|")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def scores_table(outcome: Outcome) -> Table:
    """Return the scores of an experiment, and the response ratios that it used."""
    rows = [
        (f"{e}, {NAMES[m]}", *(format(outcome.scores[name, m, e], d) for name, _, d in _SCORES))
        for e in ELEMENTS
        for m in METHODS
    ]
    ratios = ", ".join(f"{e} {r:.3g}" for e, r in zip(ELEMENTS, outcome.ratios, strict=True))
    return Table(
        ("reconstruction", *(label for _, label, _ in _SCORES)),
        [[cell.replace("nan", "–") for cell in row] for row in rows],
        note=f"Response ratios: {ratios}; R² of the fit: {outcome.fit.r_squared:.3f}.",
    )
