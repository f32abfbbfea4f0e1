"""What a `FrameExplorer` shows: its parts, their checks, and the picture at a position."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._checks import as_float32, as_list, check_flag, check_function
from .controls import Control, Curve, Panel, Readout, quantize, with_unit

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Definition:
    """Controls, what follows them, and the function that computes it; see `FrameExplorer`."""

    compute: Callable[..., Mapping]
    controls: Sequence[Control]
    panels: Sequence[Panel]
    readouts: Sequence[Readout] = ()
    curves: Sequence[Curve] = ()
    shared_colorbar: bool = False
    # (rows, columns) of each panel's image, as the first ones came
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict, init=False)

    def __post_init__(self):
        check_function("compute", self.compute, "a function of the controls")
        kinds = {"controls": Control, "panels": Panel, "readouts": Readout, "curves": Curve}
        for name, kind in kinds.items():
            object.__setattr__(self, name, _all_of(kind, name, getattr(self, name)))
        self._check_names()
        self._check_curves()
        check_flag("shared_colorbar", self.shared_colorbar)
        if self.shared_colorbar and len({(p.limits, p.unit, p.cmap) for p in self.panels}) > 1:
            raise ValueError(
                "shared_colorbar needs panels with one color bar; expected the same limits, unit "
                "and cmap. Make them equal, or leave one color bar to each."
            )

    @property
    def shown(self) -> list[Panel | Readout | Curve]:
        """All that follows the controls."""
        return [*self.panels, *self.readouts, *self.curves]

    @property
    def start(self) -> list[int]:
        """The position at the start: the place of each control's default."""
        return [c.index(c.default) for c in self.controls]

    def state(self, position: Sequence[int]) -> dict[str, Any]:
        """Return the value of each control at a position."""
        return {c.name: c.values[i] for c, i in zip(self.controls, position)}

    def axes(self, item: Panel | Readout | Curve) -> list[int]:
        """Return the places of the controls that `item` varies with."""
        if item.depends is None:
            along = getattr(item, "along", None)
            return [i for i, c in enumerate(self.controls) if c.name != along]
        return [i for i, c in enumerate(self.controls) if c.name in item.depends]

    def points(self, curve: Curve) -> list[float]:
        """Return the points of the horizontal axis of a curve."""
        if curve.x is not None:
            return list(curve.x)
        control = next(c for c in self.controls if c.name == curve.along)
        return list(control.values) if control.numeric else list(range(len(control.values)))

    def template(
        self, owner: str, text: str | None, subject: str, depends: Sequence[str] | None = None
    ) -> str:
        """Check an alternative text, or make one of `subject` and the controls' values."""
        if text is None:
            values = [c for c in self.controls if depends is None or c.name in depends]
            state = ", ".join(f"{c.label} {with_unit('{' + c.name + '}', c.unit)}" for c in values)
            return ": ".join(t for t in (subject, state) if t) + "."
        known = [c.name for c in self.controls] + [r.name for r in self.readouts]
        for name in _FIELD.findall(text):
            if name not in known:
                raise ValueError(
                    f"{owner} holds {{{name}}}; expected names of controls or read-outs: "
                    f"{', '.join(known)}."
                )
        return text

    def fill(self, text: str, picture: Mapping) -> str:
        """Put the values of a picture into an alternative text."""
        values = {c.name: c.texts[i] for c, i in zip(self.controls, picture["position"])}
        values |= picture["readouts"]
        return _FIELD.sub(lambda m: values.get(m[1], m[0]), text)

    def evaluate(self, position: Sequence[int]) -> dict[str, Any]:
        """Call `compute`, and return what the script draws."""
        state = self.state(position)
        result = self.compute(**state)
        if not isinstance(result, Mapping):
            raise TypeError(
                f"compute returned {type(result).__name__}; expected a mapping from the names of "
                "panels, read-outs and curves to their values."
            )
        missing = [item.name for item in self.shown if item.name not in result]
        if missing:
            raise ValueError(
                f"compute returned {', '.join(map(repr, result)) or 'nothing'} at {state}, "
                f"without {', '.join(map(repr, missing))}; expected a value for each panel, "
                "read-out and curve."
            )
        picture: dict[str, Any] = {
            "position": [int(i) for i in position],
            "asked": [int(i) for i in position],
            "frames": {},
            "low": {},
            "high": {},
            "readouts": {r.name: r.text(result[r.name]) for r in self.readouts},
            "curves": {c.name: self._lines(c, result[c.name]) for c in self.curves},
            "error": "",
        }
        for p in self.panels:
            frame = as_float32(f"compute()[{p.name!r}]", result[p.name], ndim=(2,))
            shape = self.shapes.setdefault(p.name, frame.shape)
            if frame.shape != shape:
                raise ValueError(
                    f"compute()[{p.name!r}] has shape {frame.shape} at {state}; expected {shape} "
                    "as at the start."
                )
            steps, low, high = quantize(frame, p.limits)
            picture["frames"][p.name] = steps.tobytes()
            picture["low"][p.name], picture["high"][p.name] = low, high
        return picture

    def _lines(self, curve, result):
        """The lines of a curve as lists of one or three rows, None where a value is missing."""
        owner = f"compute()[{curve.name!r}]"
        if not isinstance(result, Mapping) or set(result) != set(curve.lines):
            came = list(result) if isinstance(result, Mapping) else type(result).__name__
            raise ValueError(
                f"{owner} holds {came}; expected a mapping with the lines {list(curve.lines)}."
            )
        n = len(self.points(curve))
        rows = []
        for line in curve.lines:
            y = np.asarray(result[line])
            fits = y.dtype.kind in "fiub" and y.shape in ((n,), (3, n))
            if not fits or np.ma.is_masked(result[line]):
                raise ValueError(
                    f"{owner}[{line!r}] has shape {y.shape} and type {y.dtype}; expected real "
                    f"numbers of shape ({n},) or (3, {n}), NaN where one is missing, none masked."
                )
            y = np.atleast_2d(y.astype(np.float64))
            if "y" in curve.log and (y <= 0).any():
                raise ValueError(
                    f"{owner}[{line!r}] goes down to {np.nanmin(y):g}; expected values above 0 "
                    "for a logarithmic axis."
                )
            rows.append([[float(f"{v:.6g}") if math.isfinite(v) else None for v in r] for r in y])
        return rows

    def _check_names(self):
        names = [item.name for item in (*self.controls, *self.shown)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"{name!r} names two things; expected a different name for each of controls, "
                    "panels, readouts and curves."
                )
        if not self.panels and not self.curves:
            raise ValueError("panels and curves are both empty; expected something to show.")
        controls, panels = [c.name for c in self.controls], [p.name for p in self.panels]
        for item in self.shown:
            for name in item.depends or ():
                if name not in controls:
                    raise ValueError(
                        f"depends of {item.name!r} holds {name!r}; expected names of controls: "
                        f"{', '.join(controls)}."
                    )
        for r in self.readouts:
            if r.panel is not None and r.panel not in panels:
                raise ValueError(
                    f"panel of readout {r.name!r} is {r.panel!r}; expected one of "
                    f"{', '.join(panels)}, or None."
                )

    def _check_curves(self):
        controls = {c.name: c for c in self.controls}
        for c in self.curves:
            if c.along not in controls:
                raise ValueError(
                    f"along of curve {c.name!r} is {c.along!r}; expected one of "
                    f"{', '.join(controls)}."
                )
            if c.x is not None and not controls[c.along].numeric:
                raise ValueError(
                    f"curve {c.name!r} has x, but the values of {c.along!r} are no numbers."
                )
            points = self.points(c)
            if "x" in c.log and min(points) <= 0:
                raise ValueError(
                    f"curve {c.name!r} has a logarithmic horizontal axis from {min(points):g}; "
                    "expected points above 0."
                )


def _all_of(kind, name, items):
    items = [items] if isinstance(items, kind) else as_list(name, items, f"{kind.__name__} objects")
    for item in items:
        if not isinstance(item, kind):
            raise TypeError(f"{name} holds {item!r}; expected {kind.__name__} objects.")
    return tuple(items)
