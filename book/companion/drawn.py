"""The data behind a figure: what it draws, curves as a table and images as arrays."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.container import BarContainer, ErrorbarContainer

# what matplotlib or `companion.style.title` puts around a panel's letter
_MARK = re.compile(r"^\$\\mathbf\{(\w+)\}\$\s*")


class Column(NamedTuple):
    """One column of the table of curves."""

    name: str
    values: np.ndarray


def curves(figure) -> list[Column]:
    """Return all that a figure draws as lines, points, bars and bands, panel by panel.

    Points of a curve are rows. Where curves that follow each other have the same abscissa, it
    stands once. Lines that cross a whole panel, such as a threshold, are one value.
    """
    found: list[Column] = []
    for name, ax in _panels(figure):
        along, up = _axis(ax.xaxis), _axis(ax.yaxis)
        for label, x, y, spread in _drawn(ax):
            at = _named(name, (along or "x") + (", line" if y is None and not spread else ""))
            if x is not None and not _repeats(found, at, x):
                found.append(Column(at, x))
            label = f"{label} ({up})" if label and up else label or up or "y"
            if y is not None:
                label += ", line" if x is None else ""
                found.append(Column(_named(name, label), y))
            found += [Column(_named(name, f"{label}, {end}"), v) for end, v in spread.items()]
    return found


def images(figure) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Return all images of a figure that hold values, name -> array, and what is shown there.

    Rendered pictures, which hold colors, are left out.
    """
    arrays: dict[str, np.ndarray] = {}
    about: list[dict[str, Any]] = []
    for name, ax in _panels(figure):
        for artist in [*ax.images, *_meshes(ax)]:
            values = np.ma.filled(artist.get_array().astype(_plain(artist.get_array())), np.nan)
            if values.ndim != 2:
                continue
            key = f"image_{len(arrays) + 1}"
            arrays[key] = values
            about.append(
                {
                    "array": key,
                    "panel": name,
                    "unit": _unit(artist),
                    "x": _axis(ax.xaxis),
                    "y": _axis(ax.yaxis),
                    "extent": [round(float(v), 6) for v in _extent(artist)],
                    "shown_from_to": [float(f"{v:.6g}") for v in artist.get_clim()],
                }
            )
    return arrays, about


def as_csv(columns: list[Column]) -> bytes:
    """Write columns as a table; those that are shorter end in empty cells."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for row in itertools.zip_longest(*(c.values for c in columns)):
        writer.writerow(["" if v is None or v != v else f"{v:.9g}" for v in row])
    return out.getvalue().encode()


def as_npz(arrays: dict[str, np.ndarray], about: list[dict[str, Any]]) -> bytes:
    """Write arrays, and what is said of them as JSON in the array ``about``."""
    out = io.BytesIO()
    np.savez_compressed(out, about=np.array(json.dumps(about, ensure_ascii=False)), **arrays)
    return out.getvalue()


def _panels(figure):
    """Yield the axes of a figure with their letter and title, without color bars."""
    waiting = [ax for ax in figure.axes if not hasattr(ax, "_colorbar")]
    for number, ax in enumerate(waiting, 1):  # insets join while it runs
        waiting += [inset for inset in ax.child_axes if inset not in waiting]
        titles = [ax.get_title(loc=place) for place in ("left", "center", "right")]
        title = " ".join(filter(None, titles)) or f"panel {number}" * (len(waiting) > 1)
        yield _MARK.sub(r"\1: ", " ".join(title.split())).removesuffix(": "), ax


def _axis(axis) -> str:
    """Return the name of an axis; where its ticks are called otherwise, what its numbers mean."""
    shared = getattr(axis.axes, f"get_shared_{axis.axis_name}_axes")().get_siblings(axis.axes)
    labels = [getattr(ax, f"get_{axis.axis_name}label")() for ax in (axis.axes, *shared)]
    name = " ".join(next(filter(None, labels), "").split())
    if not isinstance(axis.get_major_locator(), mpl.ticker.FixedLocator):
        return name
    places = axis.get_majorticklocs()
    labels = axis.get_major_formatter().format_ticks(places)
    called = [(float(at), " ".join(text.split())) for at, text in zip(places, labels)]
    called = [(at, text) for at, text in called if text and not _says(text, at)]
    meaning = "; ".join(f"{at:g} is {text}" for at, text in called)
    return f"{name} [{meaning}]".strip() if meaning else name


def _says(text: str, number: float) -> bool:
    """Whether a text is this number, as far as it is written out."""
    number = 100 * number if text.endswith("%") else number
    try:
        said = float(text.removesuffix("%").replace("\N{MINUS SIGN}", "-"))
        return abs(said - number) <= 0.01 * abs(number)
    except ValueError:
        return False


def _named(panel: str, what: str) -> str:
    return " | ".join(filter(None, (panel, " ".join(what.split()))))


def _repeats(found: list[Column], name: str, x: np.ndarray) -> bool:
    """Whether the last abscissa of this panel is the same."""
    last = next((c for c in reversed(found) if c.name == name), None)
    return last is not None and np.array_equal(last.values, x, equal_nan=True)


def _drawn(ax):
    """Yield label, abscissa, ordinate and limits of each thing drawn in `ax`."""
    taken: set[Any] = set()
    for group in ax.containers:
        if isinstance(group, ErrorbarContainer):
            line, caps, bars = group
            taken.update((line, *caps, *bars))
            if line is not None:
                x, y = _points(line)
                yield _label(group), x, y, _ends(bars, group)
        elif isinstance(group, BarContainer):
            taken.update(group.patches)
            boxes = [patch.get_bbox() for patch in group.patches]
            x, y, *rest = np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes]).T
            yield _label(group), x, y, {"right": rest[0], "top": rest[1]}
    for line in ax.lines:
        if line not in taken:
            yield from _line(ax, line)
    for artist in [*ax.collections, *ax.patches]:
        if artist not in taken:
            yield from _shape(ax, artist)


def _line(ax, line):
    x, y = _points(line)
    along, up = line.get_transform().contains_branch_seperately(ax.transData)
    if along and up:
        yield _label(line) or _look(ax, line), x, y, {}
    elif along:
        yield "", np.unique(x), None, {}
    elif up:
        yield _label(line), None, np.unique(y), {}


def _shape(ax, artist):
    """Yield the points of a cloud, or the outlines of bands and polygons, each after a gap."""
    if isinstance(artist, mpl.collections.QuadMesh):
        return  # an image
    places = artist.get_offsets() if isinstance(artist, mpl.collections.Collection) else ()
    if isinstance(artist, mpl.collections.PathCollection) or len(places) > 1:
        x, y = np.ma.filled(np.ma.asarray(places, float), np.nan).T
        values = artist.get_array()
        shown = {} if values is None else {"shown": np.ma.filled(values.astype(float), np.nan)}
        yield _label(artist), x, y, shown
        return
    label = _label(artist) or _like(ax, artist)
    is_group = isinstance(artist, mpl.collections.Collection)
    transform = artist.get_transform() if is_group else artist.get_data_transform()
    if not transform.contains_branch(ax.transData):
        return  # over a whole side of the panel, or a mark beside it
    paths = artist.get_paths() if is_group else [artist.get_path()]
    if not is_group:
        paths = [artist.get_patch_transform().transform_path(path) for path in paths]
    if is_group and len(paths) == 1 and (band := _band(paths[0].vertices)) is not None:
        x, low, high = band
        yield label, x, None, {"lowest": low, "highest": high}
        return
    ends = [np.vstack([path.vertices, [[np.nan, np.nan]]]) for path in paths]
    if ends:
        x, y = np.vstack(ends)[:-1].T
        yield f"{label} outline".strip(), x, y, {}


def _band(outline: np.ndarray):
    """Return abscissa, lower and upper side of what `fill_between` draws, or None."""
    n = (len(outline) - 3) // 2  # a point before each side, and the first again at the end
    low, high = outline[1 : n + 1], outline[n + 2 : 2 * n + 2][::-1]
    if n < 2 or len(outline) != 2 * n + 3 or not np.array_equal(low[:, 0], high[:, 0]):
        return None
    return low[:, 0], np.minimum(low[:, 1], high[:, 1]), np.maximum(low[:, 1], high[:, 1])


def _like(ax, artist) -> str:
    """Return the label of a curve of the same color, which a band goes along."""
    color = np.atleast_2d(artist.get_facecolor())
    for other in [*ax.containers, *ax.lines]:
        line = other[0] if isinstance(other, ErrorbarContainer) else other
        if len(color) and _label(other) and hasattr(line, "get_color"):
            if np.allclose(mpl.colors.to_rgb(line.get_color()), color[0, :3]):
                return _label(other)
    return ""


def _points(line) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.ma.asarray(values, float) for values in line.get_data(orig=False))
    return np.ma.filled(x, np.nan), np.ma.filled(y, np.nan)


def _label(artist) -> str:
    """Return what the legend calls a thing, or nothing."""
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") else label


def _look(ax, line) -> str:
    """Return what tells a curve without a name from the others of its kind in the panel."""
    if sum(not _label(other) for other in ax.lines) < 2:
        return ""
    color, style = mpl.colors.to_hex(line.get_color()), line.get_linestyle()
    return f"points, {color}" if style in ("None", "") else f"curve, {color}, {style}"


def _ends(bars, group) -> dict[str, np.ndarray]:
    """Return the lower and the upper ends of error bars."""
    ends = {}
    names = [name for name, has in (("x", group.has_xerr), ("y", group.has_yerr)) if has]
    for name, bar in zip(names, bars, strict=True):
        values = np.array([s[:, "xy".index(name)] for s in bar.get_segments()]).reshape(-1, 2)
        ends |= {f"lowest {name}": values[:, 0], f"highest {name}": values[:, 1]}
    return ends


def _meshes(ax):
    return [c for c in ax.collections if isinstance(c, mpl.collections.QuadMesh)]


def _plain(values) -> type:
    """Return the kind of number to write: results have single precision."""
    return values.dtype if values.dtype == np.uint8 and not np.ma.is_masked(values) else np.float32


def _unit(artist) -> str:
    """Return what a color bar says of an image, or what the image itself does."""
    bar = getattr(artist, "colorbar", None)
    said = (bar.ax.get_ylabel() or bar.ax.get_xlabel()) if bar is not None else ""
    return said or _label(artist)


def _extent(artist):
    if hasattr(artist, "get_extent"):
        return artist.get_extent()
    corners = artist.get_coordinates().reshape(-1, 2)
    return *corners[:, 0][[0, -1]], *corners[:, 1][[0, -1]]
