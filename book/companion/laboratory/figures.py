"""An experiment as a still picture and as a table."""

import io

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from .bench import ELEMENTS, METHODS, Outcome

LIMITS = (0.0, 1.3)
UNIT = "density, 1 in the specimen"
NAMES = {"hebt": "HEBT", "eds": "EDS only"}
# of the residuals' lines, as on the page
_COLORS = ("#0b5fa5", "#c2410c", "#0f766e", "#9d3c8f", "#4d4d4d")
_STYLES = ("-", "--", ":", "-.", (0, (1, 1)))
_SCORES = (
    ("mse", "MSE, relative", ".4f"),
    ("ssim", "SSIM, whole image", ".4f"),
    ("dp", "DP (pixels)", ".0f"),
)


def picture(outcome: Outcome, *, width: float = 8.0) -> bytes:
    """Draw an experiment, as PNG: specimen, HEBT and EDS alone, and the residuals."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlelocation": "left"})
        figure = Figure(figsize=(width, 0.95 * width), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(3, 3, height_ratios=(3, 3, 2.2))
        _images(figure, grid, outcome)
        _residuals(figure.add_subplot(grid[2, :]), outcome)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _images(figure, grid, outcome):
    axes = []
    for e, element in enumerate(ELEMENTS):
        for k, (name, text) in enumerate((("truth", "specimen"), *NAMES.items())):
            ax = figure.add_subplot(grid[e, k])
            image = outcome.series.density if name == "truth" else outcome.densities[name]
            shown = ax.imshow(image[e], cmap="inferno", vmin=LIMITS[0], vmax=LIMITS[1])
            score = outcome.scores.get(("mse", name, element))
            ax.set_title(f"{element}, {text}" + ("" if score is None else f"\nMSE {score:.3f}"))
            ax.set_axis_off()
            axes.append(ax)
    figure.colorbar(shown, ax=axes, label=UNIT, extend="max", fraction=0.03, aspect=40)


def _residuals(ax, outcome):
    lines = [("HAADF, HEBT", outcome.residuals["hebt"][:, 0])] + [
        (f"{element} map, {text}", outcome.residuals[name][:, 1 + e])
        for name, text in NAMES.items()
        for e, element in enumerate(ELEMENTS)
    ]
    n = np.arange(1, 1 + len(lines[0][1]))
    for (label, values), color, style in zip(lines, _COLORS, _STYLES, strict=True):
        ax.plot(n, values, linestyle=style, label=label, color=color)
    ax.set(xscale="log", yscale="log", xlabel="Iterations", ylabel="|p − W x| / |p|")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def scores_html(outcome: Outcome) -> str:
    """Return the scores of an experiment as an HTML table."""
    columns = [(m, e) for e in ELEMENTS for m in METHODS]

    def cell(name, m, e, digits):
        value = outcome.scores[name, m, e]
        return "–" if np.isnan(value) else format(value, digits)

    head = "".join(
        f'<th scope="col" style="padding:0 1em 0 0">{e}, {NAMES[m]}</th>' for m, e in columns
    )
    body = "".join(
        f'<tr><th scope="row" style="padding:0 1em 0 0;text-align:left">{label}</th>'
        + "".join(f"<td>{cell(name, m, e, digits)}</td>" for m, e in columns)
        + "</tr>"
        for name, label, digits in _SCORES
    )
    ratios = ", ".join(f"{e} {r:.3g}" for e, r in zip(ELEMENTS, outcome.ratios, strict=True))
    return (
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>Response ratios: {ratios}; R² of the fit: {outcome.fit.r_squared:.3f}.</p>"
    )
