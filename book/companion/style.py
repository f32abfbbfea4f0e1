"""One look for all figures: fonts, colors, color bars with units, scale bars, panel letters."""

import functools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from .origins import explained

# Opaque white in light and in dark mode: transparent figures lose their labels in one of them.
RC = {
    "figure.facecolor": "white",
    "figure.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
    "image.cmap": "inferno",
    "axes.edgecolor": "0.3",
    "xtick.color": "0.2",
    "ytick.color": "0.2",
}
# Points. On a phone a figure opens so large that text of this size is read (book/_web/hebt.js).
SMALLEST = 7.0
WIDTH = 7.4  # inches: the text column of a page, with room for color bars
# Perceptually even, and readable with any color vision.
CMAP = {"density": "inferno", "counts": "viridis", "haadf": "gray", "difference": "RdBu_r"}
# Okabe and Ito's colors, told apart also by line style and marker
METHOD_STYLE = {
    "hebt_est": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "hebt_gt": {"color": "#009E73", "linestyle": "--", "marker": "s"},
    "eds": {"color": "#D55E00", "linestyle": "-.", "marker": "^"},
}
METHOD_NAME = {
    "hebt_est": "HEBT, estimated ratios",
    "hebt_gt": "HEBT, true ratios",
    "eds": "EDS only",
}
ELEMENT_COLOR = {"Au": "#E69F00", "Ag": "#56B4E9"}


def styled(function):
    """Draw in the book's style, and close the figure: it then shows once, where it is returned.

    On a page it says how it was made.
    """

    @explained
    @functools.wraps(function)
    def draw(*args, **kwargs):
        with mpl.rc_context(RC):
            figure = function(*args, **kwargs)
        plt.close(figure)
        refuse_small_text(figure)
        return figure

    return draw


def refuse_small_text(figure) -> None:
    """Raise ValueError if the figure holds text of less than `SMALLEST` points."""
    for text in figure.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text().strip() and text.get_fontsize() < SMALLEST:
            raise ValueError(
                f"The text {text.get_text()!r} has {text.get_fontsize():g} points; expected "
                f"{SMALLEST:g} or more, or it is not read on a phone. Make it larger or shorter."
            )


def title(ax, text: str, mark: str | None = None):
    """Write the title of `ax`, after its panel letter in bold."""
    ax.set_title(rf"$\mathbf{{{mark}}}$  {text}" if mark else text, loc="left")


def subplots(rows: int, columns: int, height: float, *, width: float = WIDTH, **more):
    """Return a figure of this size in inches, by default as wide as the text, and its axes."""
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **more)


def grid(count: int, columns: int, height: float, **more):
    """Return a figure of `count` axes, so many a row and each `height` high, and these axes."""
    rows = -(-count // columns)
    figure, axes = subplots(rows, columns, height * rows, squeeze=False, **more)
    for ax in axes.flat[count:]:
        ax.axis("off")
    return figure, list(axes.flat[:count])


def log_ticks(axis, steps=(1, 2, 5)):
    """Write plain numbers at these steps of each decade of a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def scale_bar(ax, length: float, label: str):
    """Draw a bar of `length` pixels with its label into the lower right corner of `ax`."""
    bar = AnchoredSizeBar(
        ax.transData,
        length,
        label,
        "lower right",
        pad=0.2,
        borderpad=0.4,
        sep=3,
        frameon=False,
        color="white",
        size_vertical=length / 25,
        fontproperties=mpl.font_manager.FontProperties(size=8),
    )
    ax.add_artist(bar)


def length_bar(ax, size: int, pixel_size: float):
    """Draw a scale bar of a round length, about a quarter of an image of `size` pixels (nm)."""
    rounds = (5, 10, 20, 50, 100, 200, 500, 1000)
    length = min(rounds, key=lambda nm: abs(nm - size * pixel_size / 4))
    scale_bar(ax, length / pixel_size, f"{length} nm" if length < 1000 else "1 µm")


def panel(
    ax,
    image,
    *,
    name: str,
    unit: str,
    kind: str = "density",
    limits=None,
    mark: str | None = None,
    bar_for=None,
    extent=None,
    aspect="equal",
    ticks: bool = False,
):
    """Show an image with its title, its letter and a color bar that carries the unit."""
    low, high = limits if limits is not None else (np.min(image), np.max(image))
    look = {"cmap": CMAP[kind], "extent": extent, "aspect": aspect}
    shown = ax.imshow(image, vmin=low, vmax=high, label=unit, **look)
    title(ax, name, mark)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if not ticks:
        ax.set_xticks([])
        ax.set_yticks([])
    axes = ax if bar_for is None else bar_for
    if np.size(axes) == 0:
        return shown
    below, above = np.min(image) < low, np.max(image) > high
    beyond = ("both" if above else "min") if below else ("max" if above else "neither")
    bar = ax.figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03, extend=beyond, aspect=25)
    bar.set_label(unit)
    bar.outline.set_visible(False)
    bar.formatter.set_powerlimits((-2, 4))
    bar.ax.yaxis.offsetText.set_fontsize(7)
    return shown
