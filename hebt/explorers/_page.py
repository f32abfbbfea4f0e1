"""What the script of a `FrameExplorer` knows beforehand, and what a page stores for it."""

from __future__ import annotations

import itertools
import math

from ._definition import Definition
from .base import Lazy, is_static
from .controls import Panel, Readout, palettes

BLOCK = 1 << 18  # bytes of frames that a page unpacks or loads at once
RAW = 256_000_000  # bytes before compression; beyond, nothing is computed


def specify(definition: Definition, *, alt: str, columns: int | None, filename: str) -> dict:
    """Everything that the script has to know before the first picture."""
    n = len(definition.panels)
    if columns is None:
        columns = {0: 1, 5: 3, 6: 3, 9: 3}.get(n, min(n, 4))
    return {
        "alt": alt,
        "columns": columns,
        "shared": definition.shared_colorbar,
        "filename": filename,
        "luts": palettes(p.cmap for p in definition.panels),
        "controls": [
            {
                **_fields(c, "name", "label", "unit"),
                "texts": list(c.texts),
                "numbers": [float(v) for v in c.values] if c.numeric else None,
                "start": start,
            }
            for c, start in zip(definition.controls, definition.start)
        ],
        "panels": [_panel(definition, p) for p in definition.panels],
        "readouts": [_fields(r, "name", "label", "unit", "panel") for r in definition.readouts],
        "curves": [_curve(definition, c) for c in definition.curves],
    }


def _fields(part, *names):
    return {name: getattr(part, name) for name in names}


def _panel(definition, p):
    return {
        **_fields(p, "name", "title", "unit", "cmap", "smooth"),
        "limits": list(p.limits),
        "ends": list(p.ends),
        "shape": list(definition.shapes[p.name]),
        "alt": definition.template(f"alt of panel {p.name!r}", p.alt, p.title, p.depends),
    }


def _curve(definition, c):
    label = f"{c.ylabel} ({c.unit})" if c.ylabel and c.unit else c.ylabel or c.unit
    return {
        **_fields(c, "name", "title", "log"),
        "along": [control.name for control in definition.controls].index(c.along),
        "x": [float(v) for v in definition.points(c)],
        "ylabel": label,
        "lines": list(c.lines),
        "limits": None if c.limits is None else list(c.limits),
        "alt": definition.template(f"alt of curve {c.name!r}", c.alt, c.title, c.depends),
    }


def stored(definition: Definition, advice: str) -> dict[str, dict]:
    """Everything that the sliders can show; `advice` says what to do where that is too much."""
    axes = {item.name: definition.axes(item) for item in definition.shown}
    sizes = {
        name: [len(definition.controls[i].values) for i in places] for name, places in axes.items()
    }
    raw = sum(
        math.prod(definition.shapes[p.name]) * math.prod(sizes[p.name]) for p in definition.panels
    )
    if raw > RAW:
        raise ValueError(
            f"The images of this explorer take {raw / 1e6:.0f} MB before compression; at most "
            f"{RAW / 1e6:.0f} MB are accepted. {advice}"
        )
    found = _all_states(definition, axes, sizes)
    store: dict[str, dict] = {"panels": {}, "readouts": {}, "curves": {}}
    for p in definition.panels:
        frames, low, high = zip(*found[p.name])
        block = max(1, BLOCK // len(frames[0]))
        store["panels"][p.name] = {
            "axes": axes[p.name],
            "block": block,
            "parts": [Lazy(b"".join(frames[k : k + block])) for k in range(0, len(frames), block)],
            "low": "".join("01"[flag] for flag in low),
            "high": "".join("01"[flag] for flag in high),
        }
    for kind, items in (("readouts", definition.readouts), ("curves", definition.curves)):
        for item in items:
            store[kind][item.name] = {"axes": axes[item.name], "values": found[item.name]}
    return store


def _all_states(definition, axes, sizes):
    """What each part shows in each of its states: name -> list, the last axis running fastest."""
    from tqdm.auto import tqdm

    found: dict[str, list] = {name: [None] * math.prod(n) for name, n in sizes.items()}
    # in a page's cell a progress bar would be a second output
    needed = sorted(_positions(definition.start, axes, sizes))
    for position in tqdm(needed, desc="states", delay=1, disable=is_static()):
        picture = definition.evaluate(position)
        for item in definition.shown:
            name, k = item.name, 0
            one = _part(picture, item)
            for i, n in zip(axes[name], sizes[name]):
                k = k * n + position[i]
            if found[name][k] is None:
                found[name][k] = one
            elif found[name][k] != one:
                names = ", ".join(definition.controls[i].name for i in axes[name])
                raise ValueError(
                    f"{name!r} depends on ({names}) but came out differently at "
                    f"{definition.state(position)}. Name every control it varies with in depends, "
                    "and let compute give the same result for the same values (fix its seed)."
                )
    return found


def _positions(start, axes, sizes):
    """Positions that together show each part in each of its states."""
    needed = set()
    for name, places in axes.items():
        for values in itertools.product(*map(range, sizes[name])):
            position = list(start)
            for i, k in zip(places, values):
                position[i] = k
            needed.add(tuple(position))
    return needed


def _part(picture, item):
    name = item.name
    if isinstance(item, Panel):
        return picture["frames"][name], picture["low"][name], picture["high"][name]
    return picture["readouts" if isinstance(item, Readout) else "curves"][name]
