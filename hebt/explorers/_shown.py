"""What explorers of arrays show: panels, their numbers, and slices along any axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from .._checks import as_float32
from ..metrics import optimal_scale
from .controls import Panel, Readout

Limits: TypeAlias = tuple[float, float] | Mapping[str, tuple[float, float]] | None

AXES = ("Slice", "Row", "Column")  # what an axis of a volume is called


def plane(volume: np.ndarray, axis: int, number: int, side: int | None) -> np.ndarray:
    """Return a slice; with a side, in the first corner of a square, empty beyond the end."""
    if side is None:
        return volume.take(number, axis=axis)
    square = np.zeros((side, side), np.float32)
    if number < volume.shape[axis]:
        image = volume.take(number, axis=axis)
        square[: image.shape[0], : image.shape[1]] = image
    return square


class Plain:
    """Volumes side by side, and their largest values."""

    def __init__(self, volumes: Mapping[str, np.ndarray], limits: Limits, look: dict[str, Any]):
        self.volumes = volumes
        self.panels = panels_of("volume", volumes, limits, **look)
        self.readouts, self.said = largest("volume", volumes, look["unit"])

    def compute(self, axis: int, number: int, side: int | None) -> dict[str, Any]:
        """Return pictures and numbers; those of a slice that is not there are NaN."""
        result: dict[str, Any] = {}
        for k, volume in enumerate(self.volumes.values()):
            there = number < volume.shape[axis]
            result[f"volume{k}"] = plane(volume, axis, number, side)
            top = volume.take(number, axis=axis).max() if there else np.nan
            result[f"volume{k}_largest"] = top
        return result


class Compared(Plain):
    """A row for each volume: its reference, the volume, and what they differ by."""

    def __init__(self, volumes, limits, look, reference):
        self.true = _references(reference, volumes)
        pairs = list(zip(self.true, volumes.values()))
        self.scale = [optimal_scale(*pair) for pair in pairs]
        if limits is None:
            limits = {name: _ends(*pair, c) for name, pair, c in zip(volumes, pairs, self.scale)}
        super().__init__(volumes, limits, look)
        self.whole = [_rms(c * v - t) for c, (t, v) in zip(self.scale, pairs)]
        shown, self.panels = self.panels, []
        for k, (name, panel) in enumerate(zip(volumes, shown)):
            true, c, (low, high) = self.true[k], self.scale[k], panel.limits
            ends = (c * low, c * high) if c > 0 else _range(true)
            reach = float(np.ptp(true)) or 1.0
            first = Panel(f"reference{k}", about(name, "reference"), ends, **look)
            less = about(name, "less the reference")
            apart = Panel(f"difference{k}", less, (-reach, reach), cmap="RdBu_r")
            self.panels += [first, panel, apart]
            for key, label in (("here", "RMS difference here"), ("whole", "in the volume")):
                place = f"difference{k}"
                depends = () if key == "whole" else None
                self.readouts.append(
                    Readout(f"{place}_{key}", label, "", ".4g", place, depends=depends)
                )
        each = ", ".join(
            about(name, f"{{difference{k}_here}} here, {{difference{k}_whole}} in the volume")
            for k, name in enumerate(volumes)
        )
        self.said += f" Root-mean-square difference from the reference: {each}."

    def compute(self, axis: int, number: int, side: int | None) -> dict[str, Any]:
        result = super().compute(axis, number, side)
        for k, true in enumerate(self.true):
            there = number < true.shape[axis]
            result[f"reference{k}"] = plane(true, axis, number, side)
            scaled = self.scale[k] * result[f"volume{k}"]
            apart = scaled - result[f"reference{k}"]
            result[f"difference{k}"] = apart
            # beyond an end and in corners that are filled up nothing differs
            pixels = true.size // true.shape[axis]
            here = float(np.sqrt(np.sum(apart.astype(float) ** 2) / pixels))
            result[f"difference{k}_here"] = here if there else np.nan
            result[f"difference{k}_whole"] = self.whole[k]
        return result


def _references(reference: Any, volumes: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return a reference for each volume, checked."""
    shape = next(iter(volumes.values())).shape
    given = named("reference", reference)
    if isinstance(reference, Mapping) and set(given) != set(volumes):
        raise ValueError(
            f"reference is given for {list(given)}; expected one for each of {list(volumes)}, or "
            "one volume for all."
        )
    found = next(iter(given.values())).shape
    if found != shape:
        raise ValueError(f"reference has shape {found}; expected {shape}, as volume.")
    return [given[name] if name in given else given[""] for name in volumes]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2, dtype=float)))


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1


def _ends(true: np.ndarray, volume: np.ndarray, scale: float) -> tuple[float, float]:
    """Return the ends of a volume's color bar, so that its reference is within them, too."""
    (low, high), (least, most) = _range(volume), _range(true)
    return (min(low, least / scale), max(high, most / scale)) if scale > 0 else (low, high)


def named(what: str, arrays: Any, axes: int = 3) -> dict[str, np.ndarray]:
    """One array, or a mapping of some, as checked arrays under their names, alike in some axes."""
    arrays = arrays if isinstance(arrays, Mapping) else {"": arrays}
    if not arrays:
        raise ValueError(f"{what} is an empty mapping; expected at least one array.")
    arrays = {
        str(name): as_float32(f"{what} {name!r}" if name else what, v, ndim=(3,))
        for name, v in arrays.items()
    }
    shapes = {name: v.shape for name, v in arrays.items()}
    if len({shape[:axes] for shape in shapes.values()}) > 1:
        same = "the same for all" if axes == 3 else "as many tilts in all, or angles for each name"
        raise ValueError(f"{what} has the shapes {shapes}; expected {same}.")
    return arrays


def about(name: str, text: str) -> str:
    """Return a value after the name of what has it."""
    return f"{name} {text}" if name else text


def largest(prefix: str, arrays: Mapping, unit: str) -> tuple[list[Readout], str]:
    """A read-out of the largest value for each panel, and the sentence that says them."""
    keys = [f"{prefix}{k}" for k in range(len(arrays))]
    readouts = [Readout(f"{key}_largest", "largest", unit, ".4g", key) for key in keys]
    each = ", ".join(about(n, f"{{{key}_largest}}") for n, key in zip(arrays, keys))
    return readouts, f"Largest value: {each}."


def panels_of(prefix: str, arrays: Mapping, limits: Limits, **options: Any) -> list[Panel]:
    """A panel for each name, with its own or the common ends of the color bar."""
    if isinstance(limits, Mapping):
        pairs = {str(name): pair for name, pair in limits.items()}
        if set(pairs) != set(arrays):
            raise ValueError(
                f"limits are given for {list(pairs)}; expected a pair for each of {list(arrays)}."
            )
    elif limits is not None:
        pairs = dict.fromkeys(arrays, limits)
    else:
        ends = {name: (float(v.min()), float(v.max())) for name, v in arrays.items()}
        pairs = {name: (low, high if high > low else low + 1) for name, (low, high) in ends.items()}
    return [Panel(f"{prefix}{k}", name, pairs[name], **options) for k, name in enumerate(arrays)]
