"""Images, numbers and curves that follow sliders over discrete values."""

import base64
import itertools
import math
import pathlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from .._checks import as_float32, check_count
from .base import Explorer, Lazy, is_static
from .controls import (
    _FIELD,
    Control,
    Curve,
    Panel,
    Readout,
    _all_of,
    _labeled,
    colormap_table,
    quantise,
    with_unit,
)

HERE = pathlib.Path(__file__).parent
DRAW = (HERE / "draw.js").read_text(encoding="utf-8")
_BLOCK = 1 << 18  # bytes of frames that a page unpacks or loads at once
_RAW = 256_000_000  # bytes before compression; beyond, nothing is computed


class FrameExplorer(Explorer):
    """Images, numbers and curves that follow sliders over discrete values.

    In JupyterLab a move of a slider calls `compute` in Python. On a static page everything was
    computed beforehand, over the product of the values of the controls that each panel depends
    on, and lies in the page. Both draw with the same script.

    Parameters
    ----------
    compute
        Function of all controls by keyword, ``compute(alpha=0.7, iterations=200)``. It returns a
        mapping with an image for each panel, a number for each read-out and the lines of each
        curve, under their names. It must give the same result for the same values.
    controls
        The sliders, from top to bottom.
    panels
        The images, in reading order. One slider moves all panels that depend on it.
    readouts
        Numbers shown with the images.
    curves
        Plots below the images.
    alt
        Alternative text of the whole, in which ``{name}`` stands for the value of a control or a
        read-out without its unit; ``"Au at weight {alpha}, {iterations} iterations"``. If None,
        the panels' titles and the sliders' values.
    caption
        A sentence below the figure, seen in every host.
    columns
        The most panels side by side; as many as look well, if None.
    shared_colorbar
        One colour bar below all panels instead of one each.
    filename
        Start of the name of pictures saved by the reader.

    Raises
    ------
    TypeError, ValueError
        If names clash or are unknown, or `compute` does not return what the panels, read-outs and
        curves expect.

    Examples
    --------
    >>> FrameExplorer(                                              # doctest: +SKIP
    ...     lambda alpha: {"au": x[alpha]},
    ...     [Control("alpha", "Weight α", [0.1, 0.3, 0.5, 0.7, 0.9], default=0.7)],
    ...     [Panel("au", "Au, HEBT", limits=(0, 1.2), unit="HAADF intensity", cmap="inferno")],
    ...     alt="Au by HEBT at weight {alpha}: a rounded square with a dark diamond inside.",
    ... )
    """

    _esm = DRAW + (HERE / "frames.js").read_text(encoding="utf-8")
    _css = (HERE / "frames.css").read_text(encoding="utf-8")

    spec = traitlets.Dict().tag(sync=True)
    position = traitlets.List(traitlets.Int()).tag(sync=True)
    picture = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        compute: Callable[..., Mapping],
        controls: Sequence[Control],
        panels: Sequence[Panel],
        *,
        readouts: Sequence[Readout] = (),
        curves: Sequence[Curve] = (),
        alt: str | None = None,
        caption: str = "",
        columns: int | None = None,
        shared_colorbar: bool = False,
        filename: str = "hebt",
    ):
        if not callable(compute):
            raise TypeError(f"compute is {compute!r}; expected a function of the controls.")
        self._compute = compute
        self._controls = _all_of(Control, "controls", controls)
        self._panels = _all_of(Panel, "panels", panels)
        self._readouts = _all_of(Readout, "readouts", readouts)
        self._curves = _all_of(Curve, "curves", curves)
        if columns is not None:
            check_count("columns", columns)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._serial = 0
        self._check(shared_colorbar)
        self._alt = self._template("alt", alt, ", ".join(p.title for p in self._panels), None)

        start = [c.index(c.default) for c in self._controls]
        picture = self._evaluate(start)
        super().__init__(
            caption=caption,
            spec=self._specify(columns, shared_colorbar, filename),
            position=start,
            picture=picture,
        )
        self.observe(self._moved, "position")

    @property
    def state(self) -> dict:
        """The present value of each control."""
        return self._state(self.position)

    def move(self, **values: Any) -> None:
        """Move sliders from Python; ``explorer.move(alpha=0.5)``.

        Raises
        ------
        ValueError
            If a control is unknown or a value is not on its slider.
        """
        position = list(self.position)
        names = [c.name for c in self._controls]
        for name, value in values.items():
            if name not in names:
                raise ValueError(f"{name!r} is no control; expected one of {', '.join(names)}.")
            position[names.index(name)] = self._controls[names.index(name)].index(value)
        self.position = position

    def describe(self) -> str:
        """Return the alternative text of the present picture.

        Returns
        -------
        str
            Caption and values of the controls.
        """
        return self._fill(self._alt)

    def static_state(self) -> dict:
        """Compute everything that the sliders can show, for a page without a kernel.

        Returns
        -------
        dict
            Pictures, numbers and curves for each position of the sliders.

        Raises
        ------
        ValueError
            If the images are too many, a panel varies with a control that its `depends` leaves
            out, or the present state has no picture.
        """
        from tqdm.auto import tqdm

        if self.picture["error"]:
            raise ValueError(
                f"The present state {self.state} has no picture ({self.picture['error']}). Move "
                "to another one first."
            )

        everything = [*self._panels, *self._readouts, *self._curves]
        axes = {item.name: self._axes(item) for item in everything}
        raw = sum(math.prod(self._shapes[p.name]) * self._count(axes[p.name]) for p in self._panels)
        if raw > _RAW:
            raise ValueError(
                f"The images of this explorer take {raw / 1e6:.0f} MB before compression; at most "
                f"{_RAW / 1e6:.0f} MB are accepted. {self._advice()}"
            )

        start = [c.index(c.default) for c in self._controls]
        needed = set()
        for name in axes:
            grid = itertools.product(*(range(len(self._controls[i].values)) for i in axes[name]))
            for place in grid:
                position = list(start)
                for i, k in zip(axes[name], place):
                    position[i] = k
                needed.add(tuple(position))

        found = {item.name: [None] * self._count(axes[item.name]) for item in everything}
        # in a page's cell a progress bar would be a second output
        for position in tqdm(sorted(needed), desc="states", delay=1, disable=is_static()):
            picture = self._evaluate(position)
            for item in everything:
                name = item.name
                one: Any
                if isinstance(item, Panel):
                    one = (picture["frames"][name], picture["low"][name], picture["high"][name])
                elif isinstance(item, Readout):
                    one = picture["readouts"][name]
                else:
                    one = picture["curves"][name]
                k = 0
                for i in axes[name]:
                    k = k * len(self._controls[i].values) + position[i]
                if found[name][k] is None:
                    found[name][k] = one
                elif found[name][k] != one:
                    names = ", ".join(self._controls[i].name for i in axes[name])
                    raise ValueError(
                        f"{name!r} depends on ({names}) but came out differently at "
                        f"{self._state(position)}. Name every control it varies with in depends, "
                        "and let compute give the same result for the same values (fix its seed)."
                    )

        store: dict[str, dict] = {"panels": {}, "readouts": {}, "curves": {}}
        for p in self._panels:
            frames, low, high = zip(*found[p.name])
            block = max(1, _BLOCK // len(frames[0]))
            store["panels"][p.name] = {
                "axes": axes[p.name],
                "block": block,
                "parts": [
                    Lazy(b"".join(frames[k : k + block])) for k in range(0, len(frames), block)
                ],
                "low": "".join("01"[flag] for flag in low),
                "high": "".join("01"[flag] for flag in high),
            }
        for kind, items in (("readouts", self._readouts), ("curves", self._curves)):
            for item in items:
                values = found[item.name]
                store[kind][item.name] = {"axes": axes[item.name], "values": values}
        return {"store": store}

    def poster(self) -> bytes:
        """Return the present picture as PNG on white.

        Returns
        -------
        bytes
            The picture as PNG.
        """
        from . import _poster

        return _poster.draw(self.spec, self.picture)

    def _state(self, position):
        return {c.name: c.values[i] for c, i in zip(self._controls, position)}

    def _axes(self, item):
        """Places of the controls that `item` varies with."""
        if item.depends is None:
            along = getattr(item, "along", None)
            return [i for i, c in enumerate(self._controls) if c.name != along]
        return [i for i, c in enumerate(self._controls) if c.name in item.depends]

    def _count(self, axes):
        return math.prod(len(self._controls[i].values) for i in axes)

    def _advice(self):
        sizes = [f"{len(c.values)} values of {c.name}" for c in self._controls]
        images = [f"{p.name} {'×'.join(map(str, self._shapes[p.name]))}" for p in self._panels]
        return (
            f"It has {', '.join(sizes)} and images of {', '.join(images)} pixels. Give fewer "
            "values, name in depends only the controls a panel varies with, crop the images, or "
            "bin them, for instance by skimage.measure.block_reduce(image, (2, 2), numpy.mean)."
        )

    def _check(self, shared_colorbar):
        names = [
            item.name for item in (*self._controls, *self._panels, *self._readouts, *self._curves)
        ]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"{name!r} names two things; expected a different name for each control, "
                    "panel, read-out and curve."
                )
        if not self._panels and not self._curves:
            raise ValueError("panels and curves are both empty; expected something to show.")
        controls = [c.name for c in self._controls]
        for item in (*self._panels, *self._readouts, *self._curves):
            for name in item.depends or ():
                if name not in controls:
                    raise ValueError(
                        f"depends of {item.name!r} holds {name!r}; expected names of controls: "
                        f"{', '.join(controls)}."
                    )
        for r in self._readouts:
            if r.panel is not None and r.panel not in [p.name for p in self._panels]:
                raise ValueError(
                    f"panel of readout {r.name!r} is {r.panel!r}; expected one of "
                    f"{', '.join(p.name for p in self._panels)}, or None."
                )
        for c in self._curves:
            if c.along not in controls:
                raise ValueError(
                    f"along of curve {c.name!r} is {c.along!r}; expected one of "
                    f"{', '.join(controls)}."
                )
            control = self._controls[controls.index(c.along)]
            if c.x is not None and not control.numeric:
                raise ValueError(
                    f"curve {c.name!r} has x, but the values of {c.along!r} are no numbers."
                )
            points = self._points(c)
            if "x" in c.log and min(points) <= 0:
                raise ValueError(
                    f"curve {c.name!r} has a logarithmic horizontal axis from {min(points):g}; "
                    "expected points above 0."
                )
        if shared_colorbar and len({(p.limits, p.unit, p.cmap) for p in self._panels}) > 1:
            raise ValueError(
                "shared_colorbar needs panels with the same limits, unit and cmap. Make them "
                "equal, or leave one colour bar to each."
            )

    def _points(self, curve):
        if curve.x is not None:
            return list(curve.x)
        control = next(c for c in self._controls if c.name == curve.along)
        return list(control.values) if control.numeric else list(range(len(control.values)))

    def _template(self, owner, text, subject, depends):
        """Check an alternative text, or make one of `subject` and the sliders' values."""
        values = [c for c in self._controls if depends is None or c.name in depends]
        if text is None:
            state = ", ".join(f"{c.label} {with_unit('{' + c.name + '}', c.unit)}" for c in values)
            return ": ".join(t for t in (subject, state) if t) + "."
        known = [item.name for item in (*self._controls, *self._readouts)]
        for name in _FIELD.findall(text):
            if name not in known:
                raise ValueError(
                    f"{owner} holds {{{name}}}; expected names of controls or read-outs: "
                    f"{', '.join(known)}."
                )
        return text

    def _fill(self, text):
        values = {c.name: c.texts[i] for c, i in zip(self._controls, self.picture["position"])}
        values |= self.picture["readouts"]
        return _FIELD.sub(lambda m: values.get(m[1], m[0]), text)

    def _specify(self, columns, shared_colorbar, filename):
        """Everything the script has to know before the first picture."""
        n = len(self._panels)
        if columns is None:
            columns = {0: 1, 5: 3, 6: 3, 9: 3}.get(n, min(n, 4))
        names = [c.name for c in self._controls]
        return {
            "alt": self._alt,
            "columns": columns,
            "shared": shared_colorbar,
            "filename": filename,
            "luts": {
                cmap: base64.b64encode(colormap_table(cmap)).decode()
                for cmap in sorted({p.cmap for p in self._panels})
            },
            "controls": [
                {
                    "name": c.name,
                    "label": c.label,
                    "unit": c.unit,
                    "texts": list(c.texts),
                    "numbers": [float(v) for v in c.values] if c.numeric else None,
                    "start": c.index(c.default),
                }
                for c in self._controls
            ],
            "panels": [
                {
                    "name": p.name,
                    "title": p.title,
                    "limits": list(p.limits),
                    "ends": list(p.ends),
                    "unit": p.unit,
                    "cmap": p.cmap,
                    "smooth": p.smooth,
                    "shape": list(self._shapes[p.name]),
                    "alt": self._template(f"alt of panel {p.name!r}", p.alt, p.title, p.depends),
                }
                for p in self._panels
            ],
            "readouts": [
                {"name": r.name, "label": r.label, "unit": r.unit, "panel": r.panel}
                for r in self._readouts
            ],
            "curves": [
                {
                    "name": c.name,
                    "title": c.title,
                    "along": names.index(c.along),
                    "x": [float(v) for v in self._points(c)],
                    "ylabel": _labeled(c.ylabel, c.unit),
                    "lines": list(c.lines),
                    "log": c.log,
                    "limits": None if c.limits is None else list(c.limits),
                    "alt": self._template(f"alt of curve {c.name!r}", c.alt, c.title, c.depends),
                }
                for c in self._curves
            ],
        }

    def _evaluate(self, position):
        """Call compute and return what the script draws."""
        state = self._state(position)
        result = self._compute(**state)
        if not isinstance(result, Mapping):
            raise TypeError(
                f"compute returned {type(result).__name__}; expected a mapping from the names of "
                "panels, read-outs and curves to their values."
            )
        expected = [i.name for i in (*self._panels, *self._readouts, *self._curves)]
        missing = [name for name in expected if name not in result]
        if missing:
            raise ValueError(
                f"compute returned {', '.join(map(repr, result)) or 'nothing'} at {state}, "
                f"without {', '.join(map(repr, missing))}; expected a value for each panel, "
                "read-out and curve."
            )
        picture: dict[str, Any] = {
            "position": [int(i) for i in position],
            "asked": [int(i) for i in position],
            "serial": self._serial,
            "frames": {},
            "low": {},
            "high": {},
            "readouts": {r.name: r.text(result[r.name]) for r in self._readouts},
            "curves": {c.name: self._lines(c, result[c.name]) for c in self._curves},
            "error": "",
        }
        for p in self._panels:
            frame = as_float32(f"compute()[{p.name!r}]", result[p.name], ndim=(2,))
            shape = self._shapes.setdefault(p.name, frame.shape)
            if frame.shape != shape:
                raise ValueError(
                    f"compute()[{p.name!r}] has shape {frame.shape} at {state}; expected {shape} "
                    "as at the start."
                )
            steps, low, high = quantise(frame, p.limits)
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
        n = len(self._points(curve))
        rows = []
        for line in curve.lines:
            y = np.asarray(result[line])
            if y.dtype.kind not in "fiub" or y.shape not in ((n,), (3, n)):
                raise ValueError(
                    f"{owner}[{line!r}] has shape {y.shape} and type {y.dtype}; expected real "
                    f"numbers of shape ({n},) or (3, {n})."
                )
            y = np.atleast_2d(y.astype(np.float64))
            if "y" in curve.log and (y <= 0).any():
                raise ValueError(
                    f"{owner}[{line!r}] goes down to {np.nanmin(y):g}; expected values above 0 "
                    "for a logarithmic axis."
                )
            rows.append([[float(f"{v:.6g}") if math.isfinite(v) else None for v in r] for r in y])
        return rows

    def _moved(self, change):
        """Answer the front end: the picture for its newest position, or the reason for none."""
        position = change["new"]
        self._serial += 1
        try:
            for i, c in zip(position, self._controls, strict=True):
                if not 0 <= i < len(c.values):
                    raise ValueError(f"position {position} is not on the sliders.")
            self.picture = self._evaluate(position)
        except (Exception, KeyboardInterrupt) as error:
            reason = traceback.format_exception_only(error)[-1].strip()
            self.picture = {
                **self.picture,
                "asked": list(position),
                "serial": self._serial,
                "error": reason,
            }
