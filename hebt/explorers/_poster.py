"""The still picture of a `FrameExplorer`, for readers without JavaScript."""

import base64
import io
from typing import Any

import numpy as np

# dark enough on white, and different in lightness for color-vision deficiency
COLORS = ("#0b5fa5", "#c2410c", "#0f766e", "#9d3c8f", "#4d4d4d", "#8a6d00")
DASHES = ("-", (0, (6, 2.5)), (0, (2, 2)), (0, (7, 2, 2, 2)))
_WIDTH = 8.0  # inches
_GAP = 0.22
_ENTRIES = 3  # of a legend, in each of its rows
_TEXT = "#1f2933"
_MUTED = "#52606d"


def draw(spec: dict, picture: dict) -> bytes:
    """Return a picture of a `FrameExplorer` as PNG, from what its script would draw."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": _MUTED}
        )
        boxes, height = _layout(spec)
        figure = Figure(figsize=(_WIDTH, height), facecolor="white")
        FigureCanvasAgg(figure)

        def axes(x, y, w, h):
            return figure.add_axes((x / _WIDTH, 1 - (y + h) / height, w / _WIDTH, h / height))

        def text(x, y, s, **kwargs):
            figure.text(x / _WIDTH, 1 - y / height, s, va="top", **{"color": _TEXT} | kwargs)

        def bar(panel, low, high, x, y, w):
            _bar(axes(x, y, w, 0.09), luts[panel["cmap"]], low, high, w)
            text(x, y + 0.12, panel["ends"][0], size=8, color=_MUTED)
            text(x + w / 2, y + 0.12, panel["unit"], size=8, color=_MUTED, ha="center")
            text(x + w, y + 0.12, panel["ends"][1], size=8, color=_MUTED, ha="right")

        luts = {
            name: np.frombuffer(base64.b64decode(lut), np.uint8).reshape(256, 3)
            for name, lut in spec["luts"].items()
        }
        text(_GAP / 2, 0.1, _state(spec, picture), color=_MUTED)
        for panel, (x, y, w, h) in zip(spec["panels"], boxes["panels"]):
            name = panel["name"]
            text(x, y, panel["title"], weight="bold")
            steps = np.frombuffer(picture["frames"][name], np.uint8)
            ax = axes(x, y + 0.22, w, h)
            ax.imshow(
                luts[panel["cmap"]][steps.reshape(panel["shape"])],
                interpolation="bilinear" if panel["smooth"] else "nearest",
                aspect="auto",
            )
            ax.set(xticks=[], yticks=[])
            below = y + 0.22 + h + 0.06
            if not spec["shared"]:
                bar(panel, picture["low"][name], picture["high"][name], x, below, w)
                below += 0.32
            for r in spec["readouts"]:
                if r["panel"] == name:
                    text(x, below, f"{r['label']}  {_number(r, picture)}")
                    below += 0.2
        if spec["shared"]:
            x, y, w, _ = boxes["bar"]
            low, high = any(picture["low"].values()), any(picture["high"].values())
            bar(spec["panels"][0], low, high, x, y, w)
        for curve, (x, y, w, h) in zip(spec["curves"], boxes["curves"]):
            text(x, y, curve["title"], weight="bold")
            above = 0.45 + 0.17 * ((len(curve["lines"]) - 1) // _ENTRIES)  # the legend
            _curve(axes(x + 0.75, y + above, w - 0.9, h - above - 0.5), spec, curve, picture)
        table = [r for r in spec["readouts"] if r["panel"] is None]
        for r, (x, y, _, _) in zip(table, boxes["table"]):
            text(x, y, r["label"], color=_MUTED)
            text(x + 2.0, y, _number(r, picture))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    return _compact(stream.getvalue())


def _layout(spec):
    """Boxes (x, y, width, height) in inches from the top left, and the height of the figure."""
    columns = spec["columns"]
    width = min((_WIDTH - _GAP * columns) / columns, 4.0)
    y = 0.42
    boxes: dict[str, Any] = {"panels": [], "curves": [], "table": []}
    for k in range(0, len(spec["panels"]), columns):
        row = spec["panels"][k : k + columns]
        below = 0.0
        for i, p in enumerate(row):
            height = min(width * p["shape"][0] / p["shape"][1], 6.0)
            boxes["panels"].append((_GAP / 2 + i * (width + _GAP), y, width, height))
            notes = sum(r["panel"] == p["name"] for r in spec["readouts"])
            below = max(below, 0.28 + height + (not spec["shared"]) * 0.32 + 0.2 * notes)
        y += below + 0.16
    if spec["shared"]:
        used = min(columns, len(spec["panels"])) * (width + _GAP) - _GAP
        boxes["bar"] = (_GAP / 2, y, min(used, 4.0), 0)
        y += 0.4
    across = min(len(spec["curves"]), 2)
    for k in range(0, len(spec["curves"]), 2):
        w = _WIDTH / across
        boxes["curves"] += [
            (_GAP / 2 + i * w, y, w - _GAP, 2.8) for i in range(len(spec["curves"][k : k + 2]))
        ]
        y += 2.9
    for r in spec["readouts"]:
        if r["panel"] is None:
            boxes["table"].append((_GAP / 2, y, 0, 0))
            y += 0.2
    return boxes, y + 0.1


def _state(spec, picture):
    parts = []
    for c, i in zip(spec["controls"], picture["position"]):
        gap = "" if c["unit"] in ("", "°") else " "
        parts.append(f"{c['label']} {c['texts'][i]}{gap}{c['unit']}")
    return "   ·   ".join(parts)


def _number(readout, picture):
    return f"{picture['readouts'][readout['name']]} {readout['unit']}".strip()


def _bar(ax, lut, low, high, w):
    from matplotlib.patches import Polygon

    ax.set_axis_off()
    left, right = (0.1 if low else 0), w - (0.1 if high else 0)
    ax.imshow(lut[None], extent=(left, right, 0, 1), aspect="auto", interpolation="nearest")
    ax.set(xlim=(0, w), ylim=(0, 1))
    # without an arrow its triangle is flat, and the outline a rectangle
    arrows = [(left, 0), (0, 0.5), (left, 1)], [(right, 1), (w, 0.5), (right, 0)]
    for color, corners in zip((lut[0], lut[-1]), arrows):
        ax.add_patch(Polygon(corners, facecolor=tuple(color / 255), edgecolor="none"))
    outline = [*arrows[0], *arrows[1]]
    ax.add_patch(Polygon(outline, facecolor="none", edgecolor=_MUTED, lw=0.6, clip_on=False))


def _curve(ax, spec, curve, picture):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    control = spec["controls"][curve["along"]]
    i = picture["position"][curve["along"]]
    at = control["numbers"][i] if control["numbers"] else i
    x = np.array(curve["x"], float)
    for k, (name, rows) in enumerate(zip(curve["lines"], picture["curves"][curve["name"]])):
        rows = np.array(rows, float)  # None becomes NaN: a gap
        y = rows[len(rows) // 2]
        color = COLORS[k % len(COLORS)]
        if len(rows) == 3:
            ax.fill_between(x, rows[0], rows[2], color=color, alpha=0.18, lw=0)
        ax.plot(x, y, color=color, ls=DASHES[k % len(DASHES)], lw=1.6, label=name)
        if x[0] <= at <= x[-1]:
            ax.plot(at, np.interp(at, x, y), "o", color=color, ms=6, mec="white")
    ax.axvline(at, color=_MUTED, lw=0.8)
    ax.set(
        xscale="log" if "x" in curve["log"] else "linear",
        yscale="log" if "y" in curve["log"] else "linear",
        xlabel=f"{control['label']} ({control['unit']})" if control["unit"] else control["label"],
        ylabel=curve["ylabel"],
    )
    for axis, log in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        if log in curve["log"]:
            low, high = axis.get_view_interval()
            plain = FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−"))
            axis.set_major_formatter(plain)
            axis.set_minor_locator(LogLocator(subs=(2, 5)))
            axis.set_minor_formatter(plain if high < 50 * low else NullFormatter())
    if curve["limits"]:
        ax.set_ylim(curve["limits"])
    if not control["numbers"]:
        ax.set_xticks(x, control["texts"])
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(which="both", color=_MUTED, labelcolor=_TEXT)
    ax.legend(
        frameon=False, ncols=_ENTRIES, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0
    )


def _compact(png):
    """The same picture in fewer bytes."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
