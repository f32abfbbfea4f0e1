"""NumPy's ``.npz``: arrays whose names say what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .files import Signal
from .scan import is_haadf
from .series import TiltSeries
from .stacks import alike, element_in

_ANGLES = ("angles", "angle", "tilts", "tilt", "tilt_angles")
_NAMES = ("names", "elements", "lines")
_MAPS = ("maps", "counts", "eds")
_NUMBERS = ("pixel_size", "haadf_pixel_size")


def series_of_arrays(
    path: Path, signals: Sequence[Signal], given: Any, image: str | None, side: float | None
) -> TiltSeries:
    """Return the series in a file of arrays.

    HAADF images are the array whose name says so, (tilts, slices, size); maps those called by an
    element, or one of (elements, tilts, slices, size) called maps, counts or eds, with its elements
    in names or elements; degrees are in angles or tilts. One tilt may come without its axis.
    What else `TiltSeries.from_arrays` takes is taken by its name: variance (of maps in one array),
    haadf_angles, pixel_size and haadf_pixel_size.

    Parameters
    ----------
    path
        For messages.
    signals
        The arrays: values of short ones are in ``known``.
    given
        Degrees, or None for those in the file.
    image
        Name of the array of HAADF images; None for the one that says so.
    side
        Of a pixel, in nm, or None.

    Raises
    ------
    ValueError
        If something is missing or there twice, or if two arrays contradict each other.
    """
    held = "; ".join(map(str, signals))
    short = {s.title.lower(): s.known["values"] for s in signals if s.known.get("values")}
    angles = given if given is not None else _one_of(path, short, _ANGLES)
    if angles is None:
        raise ValueError(
            f"{path.name} holds no tilt angles ({held}); expected them in an array called "
            f"{' or '.join(_ANGLES[::2])}. Give angles=, in degrees, one for each image."
        )
    wanted = None if image is None else image.strip().lower()
    images = [
        s
        for s in signals
        if s.data is not None
        and s.data.ndim in (2, 3)
        and (s.title.lower() == wanted if wanted else is_haadf(s.title))
    ]
    if len(images) != 1:
        raise ValueError(
            f"{path.name} holds {len(images)} arrays of images called {image or 'HAADF'} ({held}); "
            "expected one, (tilts, slices, size). Give the name of the right one: image='name'."
        )
    maps = _maps(path, signals, short)
    series = TiltSeries.from_arrays(
        _with_tilts(images[0].data),
        {name: _with_tilts(data) for name, data in maps.items()} or None,
        angles=angles,
        **_others(path, signals, short, side, maps),
    )
    return series if given is not None else replace(series, angles_from="file")


def _others(
    path: Path, signals: Sequence[Signal], short: dict[str, Any], side: float | None, maps: Any
) -> dict[str, Any]:
    """Return what is called as an argument of `TiltSeries.from_arrays`; a given size goes first."""
    found: dict[str, Any] = {"haadf_angles": short.get("haadf_angles")}
    for name in _NUMBERS:
        values = short.get(name, [])
        if len(values) > 1:
            raise ValueError(f"{path.name} holds {len(values)} numbers in {name!r}; expected one.")
        found[name] = values[0] if values else None
    found["pixel_size"] = found["pixel_size"] if side is None else side
    for s in signals:
        if s.title.lower() == "variance":
            shape = (len(maps), *next(iter(maps.values())).shape) if maps else ()
            whole = any(one.title.lower() in _MAPS for one in signals)
            if s.data is None or s.shape != shape or not whole:
                raise ValueError(
                    f"{path.name} holds {s}; expected the variance of maps that are in one array, "
                    f"of their shape {shape}, or no array of this name."
                )
            found["variance"] = s.data if s.data.ndim == 4 else s.data[:, None]
    return found


def _one_of(path: Path, short: dict[str, Any], names: Sequence[str]) -> Any:
    """Return what arrays of these names hold, of which all that are there must say the same."""
    found = {name: short[name] for name in names if name in short}
    for name, values in found.items():
        first, other = next(iter(found.items()))
        if not _say_the_same(other, values):
            raise ValueError(
                f"{path.name} holds {first!r} ({_shown(other)}) and {name!r} ({_shown(values)}), "
                "which are not the same; expected one of them, or both alike. Leave the wrong one "
                f"out{', or give angles=' if names is _ANGLES else ''}."
            )
    return next(iter(found.values()), None)


def _say_the_same(one: list[Any], other: list[Any]) -> bool:
    """Whether two arrays hold the same numbers, or name the same elements."""
    if len(one) != len(other):
        return False
    if all(isinstance(v, (int, float)) for v in (*one, *other)):
        return alike(np.asarray(one), np.asarray(other))
    # Au_La is a line of Au
    return all(str(a).split("_")[0] == str(b).split("_")[0] for a, b in zip(one, other))


def _shown(values: list[Any]) -> str:
    few = values if len(values) < 6 else [*values[:2], "…", values[-1]]
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in few)


def _with_tilts(data):
    return data if data.ndim == 3 else data[None]


def _maps(path: Path, signals: Sequence[Signal], short: dict[str, Any]) -> dict[str, Any]:
    """Return the maps in a file by their elements."""
    found: dict[str, Any] = {}
    every = [(element_in(s.title), s.data) for s in signals if not is_haadf(s.title)]
    for s in signals:
        if s.data is None or s.data.ndim not in (3, 4) or s.title.lower() not in _MAPS:
            continue
        names = _one_of(path, short, _NAMES)
        if names is None or len(names) != len(s.data):
            raise ValueError(
                f"{path.name} holds {s}, and names of {names or 'no elements'}; expected one for "
                f"each of the first axis, in an array called {' or '.join(_NAMES[:2])}."
            )
        every += list(zip(map(str, names), s.data))
    for name, data in every:
        if name is None or data is None or data.ndim not in (2, 3):
            continue
        if name in found:
            raise ValueError(f"{path.name} holds maps of {name} twice; expected one of each.")
        found[name] = data
    return found
