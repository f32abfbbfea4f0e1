"""Stacks of images with a tilt axis: HAADF and ready-made maps in files of their own."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import as_float32, check_angles
from .._hyperspy import hyperspy, quiet
from .._units import LENGTHS, measure
from .angles import check_once
from .files import Signal
from .scan import ELEMENTS, is_haadf
from .series import TiltSeries
from .signals import from_signal

# files of angles that may lie beside a stack
ANGLE_FILES = (".rawtlt", ".tlt", ".mdoc", ".csv")
# sources of angles that may hold a tilt twice, as somebody said so
GIVEN, OF_SPECTRA = "given", "files"
_SAME = 0.3  # degrees by which a stage may miss the tilt that was asked for
_MDOC = re.compile(r"^\s*TiltAngle\s*=\s*(\S+)", re.MULTILINE)
_SECTION = re.compile(r"^\s*\[\s*ZValue\s*=\s*(\d+)\s*\]", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Stack:
    """Images at several tilts, in rising order, or such images of several elements.

    Attributes
    ----------
    name
        Of its file and in it, for messages.
    data
        ([elements,] tilts, slices, size), float32.
    angles
        (tilts,), degrees.
    source
        Where the angles were found.
    pixel_size
        In nm; None where nobody says.
    elements
        Names, where there are several.
    """

    name: str
    data: NDArray[np.float32]
    angles: NDArray[np.float64]
    source: str
    pixel_size: float | None
    elements: tuple[str, ...] | None

    @property
    def role(self) -> str | None:
        """What it shows by its name: "HAADF", an element, or None where that is not certain."""
        if is_haadf(self.name):
            return "HAADF"
        return element_in(self.name)


def element_in(name: str) -> str | None:
    """Return the element that a name says; None if it says none or several."""
    found = {word for word in re.split(r"[\W_]+", name) if word in ELEMENTS}
    return found.pop() if len(found) == 1 else None


def read_angles(path: Path) -> NDArray[np.float64]:
    """Return the tilts in a file: a column of degrees, a CSV with a header, or SerialEM's mdoc."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".mdoc":
            values = _sections(text)
        else:
            values = _column(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path.name} cannot be read as tilt angles ({error}); expected a number of degrees in "
            "each line, or a CSV whose header names a column 'angle' or 'tilt'."
        ) from None
    if not values:
        raise ValueError(f"{path.name} holds no tilt angles; expected one for each image.")
    return check_angles(values, f"angles of {path.name}")


def _sections(text):
    """Return the tilts in SerialEM's mdoc in the order of the images, which ZValue numbers."""
    head, *rest = _SECTION.split(text)
    if not rest:
        return [float(found) for found in _MDOC.findall(head)]
    found: dict[int, float] = {}
    for number, section in zip(map(int, rest[::2]), rest[1::2], strict=True):
        tilts = _MDOC.findall(section)
        if number in found or len(tilts) != 1:
            raise ValueError(f"ZValue = {number} comes twice, or has not one TiltAngle")
        found[number] = float(tilts[0])
    return [found[number] for number in sorted(found)]


def _column(text):
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    separator = next((c for c in ",;\t" if lines and c in lines[0]), None)
    rows = (
        list(csv.reader(lines, delimiter=separator))
        if separator
        else [line.split() for line in lines]
    )
    columns = [i for i, head in enumerate(rows[0]) if re.search("angle|tilt", head, re.I)]
    if len(columns) == 1:
        rows = rows[1:]
    elif columns or len(rows[0]) > 1:
        raise ValueError(f"its first line is {lines[0][:80]!r}")
    return [float(row[columns[0] if columns else 0]) for row in rows]


def stack_of(
    path: Path,
    signals: Sequence[Signal],
    image: str | None,
    given: Any,
    pixel_size: float | None = None,
) -> Stack:
    """Return the stack of images that a file holds.

    Parameters
    ----------
    path
        The file, beside which one of angles may lie.
    signals
        All that it holds.
    image
        Title of the stack; None for the only one.
    given
        Degrees, or None.
    pixel_size
        In nm, in place of what the file says, or None.
    """
    held = "; ".join(map(str, signals))
    found = [s for s in signals if _is_stack(s)]
    if image is not None and len(found) > 1:
        found = [s for s in found if s.title.strip().lower() == image.strip().lower()]
    if len(found) != 1:
        raise ValueError(
            f"{path.name} holds {len(found)} stacks of images ({held}); expected one, with the "
            "axes ([element,] tilt, slice, across). Give its title, image='title', or one file "
            "per tilt with HAADF image and spectrum image."
        )
    (signal,) = found
    known = pixel_size is not None or all(
        isinstance(axis["scale"], float)
        and axis["scale"] > 0
        and measure(axis["units"], LENGTHS) is not None
        for axis in signal.axes[-2:]
    )
    beside = [p for p in _beside(path) if p.is_file()]
    own: Any = given
    if given is None and beside:
        own = read_angles(beside[0])
    _check_count(path, own, beside, given, signal.shape[-3])
    side = pixel_size if known else 1.0
    try:
        calibrated = from_signal(_as_signal(signal), angles=own, pixel_size=side)
    except ValueError as error:
        raise ValueError(
            f"{path.name}: {error} Angles can also lie beside it, in "
            f"{path.with_suffix('.rawtlt').name}, .tlt, .mdoc or .csv."
        ) from None
    if calibrated.angles is None:
        raise ValueError(
            f"{path.name} is a volume, by the units of its axes, or has no tilts; expected a "
            "tilt series. Give angles=, in degrees, or put them beside it, in "
            f"{path.with_suffix('.rawtlt').name}."
        )
    source = GIVEN if given is not None else beside[0].name if beside else "file"
    if beside and given is None:
        _check_agreement(path, signal, side, calibrated.angles, beside[0])
    return in_order(
        Stack(
            f"{path.name} {signal.title}",
            calibrated.data,
            calibrated.angles,
            source,
            calibrated.pixel_size if known else None,
            calibrated.elements,
        )
    )


def stack_of_signal(signal: Any, given: ArrayLike | None, pixel_size: float | None = None) -> Stack:
    """Return the stack that a HyperSpy signal holds; a lazy one is computed.

    A pixel size in nm stands in place of what its axes say.
    """
    title = str(signal.metadata.get_item("General.title", ""))
    if signal.axes_manager.signal_dimension == 1:
        raise ValueError(
            f"files holds the spectra {title!r}; expected stacks of images as signals. Save "
            "spectrum images as .hspy, each with its HAADF image, and give the files."
        )
    calibrated = from_signal(signal, angles=given, pixel_size=pixel_size)
    if calibrated.angles is None:
        raise ValueError(
            f"files holds the volume {title!r}; expected a tilt series. Give angles=, in degrees."
        )
    name = f"{title} {signal.metadata.get_item('General.original_filename', '')}"
    source = GIVEN if given is not None else str(calibrated.angles_from)
    return in_order(
        Stack(
            name.strip(),
            calibrated.data,
            calibrated.angles,
            source,
            calibrated.pixel_size,
            calibrated.elements,
        )
    )


def series_of(haadf: Stack, maps: dict[str, Stack], pixel_size: float | None) -> TiltSeries:
    """Return the series of stacks: HAADF, and a map for each element."""
    every = list(maps.values())
    for name, stack in maps.items():
        if not alike(stack.angles, every[0].angles):
            raise ValueError(
                f"maps have other tilts: {name} ({stack.name}) from {stack.angles[0]:g} to "
                f"{stack.angles[-1]:g} degrees, {len(stack.angles)} images; expected those of "
                f"{every[0].name}."
            )
    sides = {s.name: s.pixel_size for s in (*every, haadf) if s.pixel_size is not None}
    side, other = pixel_size, None
    if side is None and sides:
        of_maps = {s.pixel_size for s in every if s.pixel_size is not None}
        side = next(iter(of_maps), next(iter(sides.values())))
        if any(not np.isclose(one, side, rtol=1e-3) for one in of_maps):
            text = ", ".join(f"{k} {v:.4g}" for k, v in sides.items())
            raise ValueError(
                f"maps have pixels of different size, in nm: {text}; expected one. Resample them, "
                "or give pixel_size=."
            )
        if haadf.pixel_size is not None and not np.isclose(haadf.pixel_size, side, rtol=1e-3):
            other = haadf.pixel_size
    same = not every or alike(haadf.angles, every[0].angles)
    series = TiltSeries.from_arrays(
        haadf.data,
        {name: stack.data for name, stack in maps.items()} or None,
        angles=haadf.angles if same else every[0].angles,
        pixel_size=side,
        haadf_angles=None if same else haadf.angles,
        haadf_pixel_size=other,
    )
    return replace(series, angles_from=haadf.source)


def split_elements(stack: Stack) -> dict[str, Stack]:
    """Return a stack for each of the elements of one."""
    assert stack.elements is not None
    return {
        element: replace(stack, name=f"{stack.name} {element}", data=data, elements=None)
        for element, data in zip(stack.elements, stack.data, strict=True)
    }


def alike(one: NDArray, other: NDArray) -> bool:
    """Whether two lists of tilts are the same."""
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=0.05))


def _is_stack(signal):
    return (
        signal.data is not None
        and signal.data.ndim in (3, 4)
        and (not signal.kind.startswith(("EDS", "EELS")))
    )


def _beside(path):
    """Return where angles of a stack may lie."""
    yield from (path.with_suffix(ending) for ending in ANGLE_FILES)
    yield path.with_name(f"{path.name}.mdoc")


def _check_count(path, angles, beside, given, images):
    if angles is not None and np.size(angles) != images:
        source = "angles" if given is not None else beside[0].name
        raise ValueError(
            f"{source} holds {np.size(angles)} tilts, but {path.name} {images} images; expected "
            "one for each."
        )


def _check_agreement(path, signal, side, angles, beside):
    """Refuse angles beside a stack that are not those in it."""
    try:
        inside = from_signal(_as_signal(signal), pixel_size=side).angles
    except ValueError:
        return  # it has none
    if inside is not None and not np.allclose(inside, angles, rtol=0, atol=_SAME):
        raise ValueError(
            f"angles of {beside.name} go from {angles[0]:g} to {angles[-1]:g} degrees, those in "
            f"{path.name} from {inside[0]:g} to {inside[-1]:g}; expected the same. Give the right "
            "ones, angles=."
        )


def _as_signal(signal: Signal) -> Any:
    """Return a HyperSpy signal with the axes and tilts of what was read; nothing else of it."""
    known, tilt_axis = signal.known, len(signal.axes) - 3
    axes = []
    for number, axis in enumerate(signal.axes):
        if axis["expression"] is not None:
            raise ValueError(
                f"the axis {axis['name']!r} is an expression; expressions in files are not run. "
                "Give it a scale and an offset instead."
            )
        made = {"name": axis["name"], "units": axis["units"], "size": signal.shape[number]}
        if number == tilt_axis and known.get("axis") and axis["scale"] is None:
            made["axis"] = np.asarray(known["axis"], float)
        else:
            made |= {"scale": axis["scale"] or 1.0, "offset": axis["offset"] or 0.0}
        axes.append(made | {"navigate": number <= tilt_axis})
    hs = hyperspy()
    with quiet():
        made_signal = hs.signals.Signal2D(
            as_float32(f"the stack {signal.title!r}", signal.data), axes=axes
        )
    ours = {k: v for k, v in known.get("HEBT", {}).items() if v is not None}
    if ours:
        made_signal.metadata.add_dictionary({"HEBT": ours})
    if known.get("tilts") is not None:
        made_signal.metadata.set_item("Tomography.tilts", np.asarray(known["tilts"], float))
    if known.get("a_tilt") is not None:
        header = {"fei_header": {"a_tilt": known["a_tilt"]}, "std_header": {"NZ": known["count"]}}
        made_signal.original_metadata.add_dictionary(header)
    return made_signal


def in_order(stack: Stack) -> Stack:
    """Return the same in rising order of the tilts, each of which is there once, unless given."""
    if stack.source not in (GIVEN, OF_SPECTRA):
        check_once(stack.angles, stack.source)
    order = np.argsort(stack.angles, kind="stable")
    return replace(
        stack, angles=stack.angles[order], data=stack.data.take(order, axis=stack.data.ndim - 3)
    )
