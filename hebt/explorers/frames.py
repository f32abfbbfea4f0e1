"""Images, numbers and curves that follow sliders over discrete values."""

import base64
import itertools
import keyword
import math
import numbers
import pathlib
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import traitlets

from hebt import _checks
from hebt.explorers import base

HERE = pathlib.Path(__file__).parent
DRAW = (HERE / "draw.js").read_text(encoding="utf-8")
_BLOCK = 1 << 18  # bytes of frames that a page unpacks or loads at once
_RAW = 256_000_000  # bytes before compression; beyond, nothing is computed
_FIELD = re.compile(r"\{(\w+)\}")


def _name(kind: str, name) -> str:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"{kind} name is {name!r}; expected a Python identifier such as 'alpha'. "
            "The text that readers see is its label or title."
        )
    return name


def _limits(owner: str, limits) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in limits)
    except (TypeError, ValueError):
        raise TypeError(
            f"limits of {owner} are {limits!r}; expected a pair of numbers (lowest, highest)."
        ) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"limits of {owner} are ({low:g}, {high:g}); expected finite values, the lower first."
        )
    return low, high


def _minus(text: str) -> str:
    """Text of a number with a minus sign where ``format`` writes a hyphen."""
    return re.sub(r"(?<![\w.])-(?=[\d.])|(?<=e)-(?=\d)", "−", text)


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{'' if unit in ('', '°') else ' '}{unit}"


def _depends(owner: str, depends) -> tuple[str, ...] | None:
    if depends is None:
        return None
    if isinstance(depends, str):
        raise TypeError(
            f"depends of {owner} is {depends!r}; expected a tuple of control names such as "
            f"({depends!r},)."
        )
    return tuple(depends)


@dataclass(frozen=True)
class Control:
    """A slider over discrete values.

    Parameters
    ----------
    name
        The keyword by which ``compute`` gets the value.
    label
        What the reader sees beside the slider.
    values
        The values, in the order of the slider: numbers or text.
    default
        The value at the start; the first, if None.
    unit
        Shown behind the value. Angles are degrees: ``"°"``.
    format
        How a value is written: a format specification such as ``".2f"``, or a function from
        value to text. If None, as many decimals as the values need.

    Raises
    ------
    ValueError
        If there are no values, two read the same, or `default` is not among them.
    """

    name: str
    label: str
    values: Sequence
    default: object = None
    unit: str = ""
    format: str | Callable | None = None

    def __post_init__(self):
        _name("Control", self.name)
        if isinstance(self.values, str):
            raise TypeError(
                f"values of control {self.name!r} are {self.values!r}; expected a sequence."
            )
        values = tuple(v.item() if isinstance(v, np.generic) else v for v in self.values)
        if not values:
            raise ValueError(f"values of control {self.name!r} are empty; expected at least one.")
        numeric = all(isinstance(v, numbers.Real) for v in values)
        if numeric and not all(math.isfinite(v) for v in values):
            raise ValueError(f"values of control {self.name!r} hold NaN or infinite values.")
        object.__setattr__(self, "values", values)
        if len(set(self.texts)) < len(values):
            same = next(t for t in self.texts if self.texts.count(t) > 1)
            raise ValueError(
                f"two values of control {self.name!r} read {same!r}; expected different texts. "
                "Remove the repeated value, or give a finer format."
            )
        if self.default is None:
            object.__setattr__(self, "default", values[0])
        object.__setattr__(self, "default", values[self.index(self.default)])

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(v, numbers.Real) for v in self.values)

    @property
    def texts(self) -> tuple[str, ...]:
        """What the reader sees for each value, without unit."""
        if callable(self.format):
            return tuple(str(self.format(v)) for v in self.values)
        if self.format is not None:
            return tuple(_minus(format(v, self.format)) for v in self.values)
        if not self.numeric:
            return tuple(str(v) for v in self.values)
        # the same number of decimals for all, as many as the one that needs most
        plain = [np.format_float_positional(v, trim="-") for v in self.values]
        decimals = max(len(p.partition(".")[2]) for p in plain)
        spec = f".{decimals}f" if decimals <= 6 else ".6g"
        return tuple(_minus(format(v, spec)) for v in self.values)

    def index(self, value) -> int:
        """Return the place of `value` among the values.

        Raises
        ------
        ValueError
            If it is none of them.
        """
        if self.numeric and isinstance(value, numbers.Real):
            for i, v in enumerate(self.values):
                if math.isclose(v, value, rel_tol=1e-9, abs_tol=1e-12):
                    return i
        elif value in self.values:
            return self.values.index(value)
        raise ValueError(
            f"{self.name} is {value!r}; expected one of {', '.join(map(repr, self.values))}."
        )


@dataclass(frozen=True)
class Panel:
    """An image that follows the sliders.

    Parameters
    ----------
    name
        The key under which ``compute`` returns the image, a 2D array.
    title
        Written above the image.
    limits
        The values at both ends of the colour bar. Values outside are shown as the nearer end,
        and the colour bar then ends in an arrow. A page stores 8 bits: steps of
        ``(high - low) / 255``.
    unit
        Of the values; written beside the colour bar.
    cmap
        Name of a matplotlib colour map.
    depends
        Names of the controls the image varies with; all, if None. A page stores one image for
        each combination of their values.
    smooth
        Interpolate between pixels on screen; square pixels otherwise.
    alt
        Alternative text. ``{name}`` stands for the value of a control or a read-out, without its
        unit. If None, the title and the sliders' values.
    """

    name: str
    title: str
    limits: tuple[float, float]
    unit: str = ""
    cmap: str = "gray"
    depends: Sequence[str] | None = None
    smooth: bool = False
    alt: str | None = None

    def __post_init__(self):
        _name("Panel", self.name)
        object.__setattr__(self, "limits", _limits(f"panel {self.name!r}", self.limits))
        object.__setattr__(self, "depends", _depends(f"panel {self.name!r}", self.depends))
        _lut(self.cmap)

    @property
    def ends(self) -> tuple[str, str]:
        """The limits as the colour bar writes them."""
        return tuple(_minus(f"{v:.4g}") for v in self.limits)


@dataclass(frozen=True)
class Readout:
    """A number that follows the sliders.

    Parameters
    ----------
    name
        The key under which ``compute`` returns the number. NaN is shown as a dash.
    label
        What the reader sees beside it.
    unit
        Shown behind the number.
    format
        How it is written: a format specification such as ``".3f"``.
    panel
        Name of the panel under which it stands; in a table below all panels, if None.
    depends
        Names of the controls it varies with; all, if None.
    """

    name: str
    label: str
    unit: str = ""
    format: str = ".3g"
    panel: str | None = None
    depends: Sequence[str] | None = None

    def __post_init__(self):
        _name("Readout", self.name)
        object.__setattr__(self, "depends", _depends(f"readout {self.name!r}", self.depends))
        try:
            format(0.5, self.format)
        except (TypeError, ValueError):
            raise ValueError(
                f"format of readout {self.name!r} is {self.format!r}; expected a format "
                "specification for a number, such as '.3f'."
            ) from None

    def text(self, value) -> str:
        """Return what the reader sees for `value`, without unit."""
        if not isinstance(value, (numbers.Real, np.number, np.ndarray)) or np.ndim(value):
            raise TypeError(f"readout {self.name!r} is {value!r}; expected a number.")
        value = float(value)
        return _minus(format(value, self.format)) if math.isfinite(value) else "–"


@dataclass(frozen=True)
class Curve:
    """A plot of lines along one control, with a marker at the slider's value.

    ``compute`` returns, under `name`, a mapping from each of `lines` to its values, an array
    ``(points,)``, or ``(3, points)`` for the lower end, middle and upper end of a band.

    Parameters
    ----------
    name
        The key under which ``compute`` returns the values.
    title
        Written above the plot.
    along
        Name of the control on the horizontal axis.
    lines
        Names of the lines, as the legend shows them.
    ylabel, unit
        What the lines show, and its unit.
    x
        The points of the horizontal axis; the control's values, if None. Values of text are
        evenly spaced.
    log
        Which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    limits
        Ends of the vertical axis; around the lines that are shown, if None.
    depends
        Names of the controls the lines vary with; all but `along`, if None.
    alt
        Alternative text, as for `Panel`.
    """

    name: str
    title: str
    along: str
    lines: Sequence[str]
    ylabel: str = ""
    unit: str = ""
    x: Sequence[float] | None = None
    log: str = ""
    limits: tuple[float, float] | None = None
    depends: Sequence[str] | None = None
    alt: str | None = None

    def __post_init__(self):
        owner = f"curve {self.name!r}"
        _name("Curve", self.name)
        if isinstance(self.lines, str) or not self.lines:
            raise ValueError(f"lines of {owner} are {self.lines!r}; expected names of lines.")
        lines = tuple(str(line) for line in self.lines)
        if len(set(lines)) < len(lines):
            raise ValueError(f"lines of {owner} are {lines}; expected different names.")
        object.__setattr__(self, "lines", lines)
        if self.log not in ("", "x", "y", "xy"):
            raise ValueError(f"log of {owner} is {self.log!r}; expected '', 'x', 'y' or 'xy'.")
        if self.limits is not None:
            object.__setattr__(self, "limits", _limits(owner, self.limits))
            if "y" in self.log and self.limits[0] <= 0:
                raise ValueError(
                    f"limits of {owner} are {self.limits}; expected values above 0 for a "
                    "logarithmic axis."
                )
        depends = _depends(owner, self.depends)
        if depends is not None and self.along in depends:
            raise ValueError(
                f"depends of {owner} holds {self.along!r}, which is its horizontal axis; expected "
                "other controls."
            )
        object.__setattr__(self, "depends", depends)
        if self.x is not None:
            x = _checks.as_float32(f"x of {owner}", self.x, ndim=(1,))
            object.__setattr__(self, "x", tuple(float(v) for v in np.asarray(self.x, float)))
            if (np.diff(np.asarray(self.x)) <= 0).any() or len(x) < 2:
                raise ValueError(f"x of {owner} has to rise from point to point.")


def quantise(frame, limits: tuple[float, float]) -> tuple[np.ndarray, bool, bool]:
    """Return an image as 8-bit steps between `limits`.

    Parameters
    ----------
    frame
        Array of any shape.
    limits
        The values that become 0 and 255. Values outside become 0 or 255 too.

    Returns
    -------
        The steps (uint8), and whether any value lies below or above the limits, by more than the
        half step that every value may be off.
    """
    low, high = limits
    steps = (np.asarray(frame, np.float64) - low) * (255 / (high - low))
    below, above = bool((steps < -0.5).any()), bool((steps > 255.5).any())
    return np.clip(np.rint(steps), 0, 255).astype(np.uint8), below, above


def _lut(cmap: str) -> bytes:
    """256 colours of a matplotlib colour map, as RGB bytes."""
    import matplotlib

    if not isinstance(cmap, str) or cmap not in matplotlib.colormaps:
        raise ValueError(
            f"cmap is {cmap!r}; expected the name of a matplotlib colour map, such as 'gray', "
            "'inferno', 'viridis' or 'RdBu_r'."
        )
    colours = matplotlib.colormaps[cmap].resampled(256)(np.arange(256))[:, :3]
    return np.rint(255 * colours).astype(np.uint8).tobytes()  # bytes=True would cut, not round


class FrameExplorer(base.Explorer):
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
            _checks.check_count("columns", columns)
        self._shapes = {}
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

    def move(self, **values):
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
        """Return the alternative text of the present picture."""
        return self._fill(self._alt)

    def static_state(self) -> dict:
        """Compute everything that the sliders can show, for a page without a kernel.

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
        raw = sum(
            math.prod(self._shapes[p.name]) * self._count(axes[p.name]) for p in self._panels
        )
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
        for position in tqdm(sorted(needed), desc="states", delay=1, disable=base.is_static()):
            picture = self._evaluate(position)
            for item in everything:
                name = item.name
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
                        f"{name!r} depends on ({names}) but came out differently at {self._state(position)}. Name every control "
                        "it varies with in depends, and let compute give the same result for the "
                        "same values (fix its seed)."
                    )

        store = {"panels": {}, "readouts": {}, "curves": {}}
        for p in self._panels:
            frames, low, high = zip(*found[p.name])
            block = max(1, _BLOCK // len(frames[0]))
            store["panels"][p.name] = {
                "axes": axes[p.name],
                "block": block,
                "parts": [
                    base.Lazy(b"".join(frames[k : k + block]))
                    for k in range(0, len(frames), block)
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
        """Return the present picture as PNG on white."""
        from hebt.explorers import _poster

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
            item.name
            for item in (*self._controls, *self._panels, *self._readouts, *self._curves)
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
            state = ", ".join(f"{c.label} {_with_unit('{' + c.name + '}', c.unit)}" for c in values)
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
                cmap: base64.b64encode(_lut(cmap)).decode()
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
                    "ylabel": _labelled(c.ylabel, c.unit),
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
        picture = {
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
            frame = _checks.as_float32(f"compute()[{p.name!r}]", result[p.name], ndim=(2,))
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


def slices(
    volume,
    *,
    limits=None,
    unit: str = "",
    cmap: str = "gray",
    axis: int = 0,
    start: int | None = None,
    smooth: bool = False,
    columns: int | None = None,
    caption: str = "",
) -> FrameExplorer:
    """Page through the slices of a volume, or of several volumes side by side.

    Parameters
    ----------
    volume
        ``(slices, size, size)``, or a mapping from names to such volumes of one shape. They are
        looked at, not copied, where they are float32.
    limits
        Ends of the colour bar: a pair for all volumes, or a mapping from names to pairs. If None,
        the lowest and highest value of each volume.
    unit
        Of the values.
    cmap
        Name of a matplotlib colour map.
    axis
        The axis to page along. With 0 the pictures are slices perpendicular to the tilt axis;
        with 1 or 2 they contain it, along their vertical direction.
    start
        The first slice shown; the middle one, if None.
    smooth
        Interpolate between pixels on screen.
    columns
        The most volumes side by side; as many as look well, if None.
    caption
        A sentence below the figure.

    Raises
    ------
    TypeError, ValueError
        If the volumes are not 3D arrays of finite numbers and of one shape, or another argument
        does not fit. For a static page also if they are too large; the message says how to bin.

    Examples
    --------
    >>> hebt.explorers.slices(x, unit="HAADF intensity")                    # doctest: +SKIP
    >>> hebt.explorers.slices({"Au, EDS": a, "Au, HEBT": b}, limits=(0, 2)) # doctest: +SKIP
    """
    volumes = volume if isinstance(volume, Mapping) else {"": volume}
    if not volumes:
        raise ValueError("volume is an empty mapping; expected at least one volume.")
    volumes = {
        str(name): _checks.as_float32(f"volume {name!r}" if name else "volume", v, ndim=(3,))
        for name, v in volumes.items()
    }
    shapes = {name: v.shape for name, v in volumes.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"volumes have the shapes {shapes}; expected the same for all.")
    shape = next(iter(shapes.values()))
    if axis not in (0, 1, 2):
        raise ValueError(f"axis is {axis!r}; expected 0, 1 or 2.")
    if isinstance(limits, Mapping) and set(map(str, limits)) != set(volumes):
        raise ValueError(
            f"limits are given for {list(limits)}; expected a pair for each of {list(volumes)}."
        )

    panels = []
    for k, (name, v) in enumerate(volumes.items()):
        if limits is None:
            low, high = float(v.min()), float(v.max())
            pair = (low, high if high > low else low + 1)
        else:
            pair = {str(n): p for n, p in limits.items()}[name] if isinstance(
                limits, Mapping
            ) else limits
        panels.append(
            Panel(f"volume{k}", name, limits=pair, unit=unit, cmap=cmap, smooth=smooth)
        )
    places = range(shape[axis])
    what = ("Slice", "Row", "Column")[axis]
    return FrameExplorer(
        lambda slice: {
            f"volume{k}": v.take(slice, axis=axis) for k, v in enumerate(volumes.values())
        },
        [Control("slice", what, places, default=shape[axis] // 2 if start is None else start)],
        panels,
        alt=f"{what} {{slice}} of {shape[axis]}"
        + (f" of the volumes {', '.join(volumes)}." if any(volumes) else " of a volume."),
        caption=caption,
        columns=columns,
        filename="slice",
    )


def _labelled(label, unit):
    return f"{label} ({unit})" if label and unit else label or unit


def _all_of(kind, name, items):
    items = (items,) if isinstance(items, kind) else tuple(items)
    for item in items:
        if not isinstance(item, kind):
            raise TypeError(f"{name} holds {item!r}; expected {kind.__name__} objects.")
    return items
