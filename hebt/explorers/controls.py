"""What an explorer consists of: controls, panels, readouts and curves."""

from __future__ import annotations

import base64
import contextlib
import keyword
import math
import numbers
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, as_list, check_choice, check_flag, check_names, check_text


def _check_name(kind: str, name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"{kind} name is {name!r}; expected a Python identifier such as 'alpha'. "
            "The text that readers see is its label or title."
        )
    return name


def _set(thing: Any, **fields: Any) -> None:
    for name, value in fields.items():
        object.__setattr__(thing, name, value)


def _check_texts(owner: str, **texts: Any) -> None:
    for name, value in texts.items():
        check_text(f"{name} of {owner}", value)


def _check_format(owner: str, spec: Any, *examples: Any) -> None:
    try:
        for example in examples:
            format(example, spec)
    except (TypeError, ValueError):
        raise ValueError(
            f"format of {owner} is {spec!r}; expected a format specification, such as '.3f'."
        ) from None


def _check_limits(owner: str, limits: Any) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in as_list("limits", limits, "a pair of numbers"))
    except (TypeError, ValueError):
        raise TypeError(
            f"limits of {owner} are {limits!r}; expected a pair of numbers (lowest, highest)."
        ) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"limits of {owner} are ({low:g}, {high:g}); expected finite values, the lower first."
        )
    return low, high


def _minus_sign(text: str) -> str:
    """The text of a number with a minus sign where ``format`` writes a hyphen."""
    return re.sub(r"(?<![\w.])-(?=[\d.])|(?<=e)-(?=\d)", "−", text)


def with_unit(text: str, unit: str) -> str:
    """Return a number and its unit as one text; degrees stand without a space."""
    return f"{text}{'' if unit in ('', '°') else ' '}{unit}"


def _depends(owner: str, depends: Any) -> tuple[str, ...] | None:
    if depends is None:
        return None
    if isinstance(depends, str):
        raise TypeError(
            f"depends of {owner} is {depends!r}; expected a tuple of control names such as "
            f"({depends!r},)."
        )
    depends = as_list(f"depends of {owner}", depends, "names of controls")
    return tuple(check_text(f"depends of {owner}", name) for name in depends)


def place(name: str, values: Sequence, value: Any) -> int:
    """Return the place of `value` among values of a control; `name` is what messages call it."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.isMaskedArray(value):
        value = value[()]
    for i, v in enumerate(values):
        if isinstance(v, numbers.Real) and isinstance(value, numbers.Real):
            with contextlib.suppress(OverflowError):
                near = math.isclose(v, value, rel_tol=1e-9, abs_tol=1e-12)
                if near and isinstance(v, bool) == isinstance(value, bool):
                    return i
        elif isinstance(value, str) and value == v:
            return i
    raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, values))}.")


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
    TypeError, ValueError
        If there are no values, two read the same, or `default` is not among them.
    """

    name: str
    label: str
    values: Sequence
    default: object = None
    unit: str = ""
    format: str | Callable | None = None

    def __post_init__(self):
        _check_name("Control", self.name)
        owner = f"control {self.name!r}"
        _check_texts(owner, label=self.label, unit=self.unit)
        values = as_list(f"values of {owner}", self.values, "a sequence of numbers or texts")
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
        if not values:
            raise ValueError(f"values of {owner} are empty; expected at least one.")
        for v in values:
            if not isinstance(v, str) and not (isinstance(v, numbers.Real) and math.isfinite(v)):
                raise ValueError(
                    f"values of {owner} hold {v!r}; expected finite numbers or texts, no NaN."
                )
        if self.format is not None and not callable(self.format):
            _check_format(owner, self.format, *values)
        _set(self, values=tuple(values))
        if len(set(self.texts)) < len(values):
            same = next(t for t in self.texts if self.texts.count(t) > 1)
            raise ValueError(
                f"two values of control {self.name!r} read {same!r}; expected different texts. "
                "Remove the repeated value, or give a finer format."
            )
        at = 0 if self.default is None else place(f"default of {self.name}", values, self.default)
        _set(self, default=values[at])

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
            return tuple(_minus_sign(format(v, self.format)) for v in self.values)
        if not self.numeric:
            return tuple(str(v) for v in self.values)
        # the same number of decimals for all, as many as the one that needs most
        plain = [np.format_float_positional(v, trim="-") for v in self.values]
        decimals = max(len(p.partition(".")[2]) for p in plain)
        spec = f".{decimals}f" if decimals <= 6 else ".6g"
        return tuple(_minus_sign(format(v, spec)) for v in self.values)

    def index(self, value: Any) -> int:
        """Return the place of `value` among the values.

        Parameters
        ----------
        value
            One of the values.

        Returns
        -------
        int
            Its place, from 0.

        Raises
        ------
        ValueError
            If it is none of them.
        """
        return place(self.name, self.values, value)


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
        The values at both ends of the color bar, which ends in an arrow where values lie
        outside. A page stores 8 bits: steps of ``(high - low) / 255``.
    unit
        Of the values; written beside the color bar.
    cmap
        Name of a matplotlib color map.
    depends
        Names of the controls it varies with (None: all); a page stores an image per combination.
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
        owner = f"panel {self.name!r}"
        _check_name("Panel", self.name)
        alt = self.title if self.alt is None else self.alt
        _check_texts(owner, title=self.title, unit=self.unit, alt=alt)
        check_flag(f"smooth of {owner}", self.smooth)
        _set(self, limits=_check_limits(owner, self.limits), depends=_depends(owner, self.depends))
        colormap_table(self.cmap)

    @property
    def ends(self) -> tuple[str, str]:
        """The limits as the color bar writes them."""
        low, high = self.limits
        return _minus_sign(f"{low:.4g}"), _minus_sign(f"{high:.4g}")


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
        _check_name("Readout", self.name)
        owner = f"readout {self.name!r}"
        panel = "" if self.panel is None else self.panel
        _check_texts(owner, label=self.label, unit=self.unit, panel=panel)
        _set(self, depends=_depends(owner, self.depends))
        _check_format(owner, self.format, 0.5)

    def text(self, value: Any) -> str:
        """Return what the reader sees for `value`, without unit.

        Parameters
        ----------
        value
            A number.

        Returns
        -------
        str
            The number in the format of the read-out; a dash where it is not finite.
        """
        if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.is_masked(value):
            value = value[()]
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            raise TypeError(f"value of readout {self.name!r} is {value!r}; expected a number.")
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(
                f"value of readout {self.name!r} is beyond 1.8e308; expected a smaller number."
            ) from None
        return _minus_sign(format(value, self.format)) if math.isfinite(value) else "–"


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
        The points of the horizontal axis; the control's values, if None (text: evenly spaced).
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
        _check_name("Curve", self.name)
        texts = {"title": self.title, "along": self.along, "ylabel": self.ylabel}
        alt = self.title if self.alt is None else self.alt
        _check_texts(owner, **texts, unit=self.unit, alt=alt)
        lines = as_list(f"lines of {owner}", self.lines, "names of lines")
        if not lines:
            raise ValueError(f"lines of {owner} are empty; expected at least one name.")
        lines = check_names(lines, len(lines), kind="lines", name=f"lines of {owner}")
        check_choice(f"log of {owner}", self.log, ("", "x", "y", "xy"))
        if self.limits is not None:
            _set(self, limits=_check_limits(owner, self.limits))
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
        _set(self, lines=tuple(lines), depends=depends)
        if self.x is not None:
            as_float32(f"x of {owner}", self.x, ndim=(1,))
            x = np.asarray(self.x, float)
            if (np.diff(x) <= 0).any() or len(x) < 2:
                raise ValueError(
                    f"x of {owner} is {x.tolist()}; expected two values or more, and each has to "
                    "rise above the one before."
                )
            _set(self, x=tuple(x.tolist()))


def colormap_table(cmap: str) -> bytes:
    """Return red, green and blue of 256 colors of a matplotlib color map, uint8."""
    import matplotlib

    if not isinstance(cmap, str) or cmap not in matplotlib.colormaps:
        raise ValueError(
            f"cmap is {cmap!r}; expected the name of a matplotlib color map, such as 'gray', "
            "'inferno', 'viridis' or 'RdBu_r'."
        )
    colors = matplotlib.colormaps[cmap].resampled(256)(np.arange(256))[:, :3]
    return np.rint(255 * colors).astype(np.uint8).tobytes()  # bytes=True would cut, not round


def palettes(cmaps: Iterable[str]) -> dict[str, str]:
    """Return `colormap_table` in base64 of each of these color maps, for the scripts."""
    return {cmap: base64.b64encode(colormap_table(cmap)).decode() for cmap in sorted(set(cmaps))}


def quantize(frame: ArrayLike, limits: tuple[float, float]) -> tuple[np.ndarray, bool, bool]:
    """Return an image of any shape as uint8 steps: 0 and 255 stand for `limits` and all beyond.

    Also whether any value lies below or above them by more than the half step that every value
    may be off.
    """
    low, high = limits
    steps = (np.asarray(frame, np.float64) - low) * (255 / (high - low))
    below, above = bool((steps < -0.5).any()), bool((steps > 255.5).any())
    return np.clip(np.rint(steps), 0, 255).astype(np.uint8), below, above
