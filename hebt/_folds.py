"""What is held out of a tilt series, tilts or counts, and how well the rest predicts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import (
    as_float32,
    check_angles,
    check_count,
    check_counts,
    check_flag,
    check_names,
    check_series,
    check_shares,
    check_signs,
    check_text,
)
from ._method import Method
from ._problem import check_alpha, check_blur
from .projector import Projector
from .ratios import response_ratios
from .reconstruct import reconstruct, sirt
from .stopping import Snapshots


@dataclass(frozen=True, eq=False)
class Recipe:
    """One way to reconstruct, with the numbers of iterations at which it may end.

    Parameters
    ----------
    method
        HEBT's weight of the HAADF term (0: EDS alone), or a method of `reconstruct` such as a
        `CompositionEM`. Its `variance` is that of all maps; the part that belongs to what is held
        out is taken away with them.
    stops
        Numbers of iterations, rising.
    maps
        What to reconstruct from, in the shape of the maps that are judged, such as smoothed ones;
        None for those.
    haadf
        HAADF images for this recipe, in the same unit: the ratios are fitted to those of all. None
        for those.
    blur
        The kernel of the maps, as for `reconstruct`; for HEBT alone.
    name
        What to call it; None for what it is made of.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above.
    """

    method: float | Method = 0.7
    stops: Sequence[int] = (10, 20, 50, 100, 200)
    maps: ArrayLike | None = None
    haadf: ArrayLike | None = None
    blur: Any = None
    name: str | None = None

    def __post_init__(self):
        set_ = object.__setattr__
        if not isinstance(self.method, Method):
            set_(self, "method", check_alpha("method", self.method))
        set_(self, "stops", tuple(check_counts("stops", self.stops)))
        for name in ("maps", "haadf"):
            if (value := getattr(self, name)) is not None:
                set_(self, name, as_float32(name, value))
        if getattr(self.method, "shares", None) is not None:
            raise ValueError(
                "method is a hebt.CompositionEM with shares, in which an earlier run has left what "
                "it saw of the data held out; expected shares=None. Leave shares out."
            )
        if self.name is not None:
            check_text("name", self.name)
        if self.blur is not None:
            set_(self, "blur", check_blur(self.blur, (1,)))
            if isinstance(self.method, Method):
                raise ValueError(
                    f"blur is given with {type(self.method).__name__}, which takes maps as they "
                    "are; expected None. Leave blur out."
                )

    @property
    def label(self) -> str:
        """What to call it."""
        if self.name is not None:
            return self.name
        if isinstance(self.method, Method):
            return self.method.label
        return "EDS only" if self.method == 0 else f"HEBT, α = {self.method:g}"


@dataclass(frozen=True, eq=False)
class Series:
    """A tilt series whose counts are all there, or split into random parts.

    Attributes
    ----------
    angles, haadf, mask
        As for a reconstruction.
    maps, ratio_maps, targets, variance
        ([parts,] elements, tilts, slices, size): what is reconstructed, what the response ratios
        are fitted to, and what is predicted, with its variance (None for errors as a share).
    names
        Of the elements.
    margin
        Columns at either edge that do not judge.
    scale
        Whether each predicted map is scaled by its best factor.
    by_counts
        Whether parts of the counts are held out; else tilts.
    """

    angles: np.ndarray
    haadf: np.ndarray
    maps: np.ndarray
    ratio_maps: np.ndarray
    targets: np.ndarray
    variance: np.ndarray | None
    names: tuple[str, ...]
    mask: np.ndarray | None = None
    margin: int = 0
    scale: bool = True
    by_counts: bool = False

    @property
    def units(self) -> int:
        """How many tilts or parts there are."""
        return self.maps.shape[0] if self.by_counts else len(self.angles)

    def kept(self, array: np.ndarray, rest: list[int]) -> np.ndarray:
        """Return maps, or their variance, less what is held out: (elements, tilts, ...)."""
        return array[rest].sum(axis=0) if self.by_counts else array[:, rest]

    def in_ring(self, units: Sequence[int]) -> list[int]:
        """Return units so that neighbors follow each other: tilts by angle, parts as they are."""
        return list(units) if self.by_counts else sorted(units, key=lambda unit: self.angles[unit])

    def run(
        self, recipe: Recipe, out: Sequence[int], judges: Sequence[int], last: int | None = None
    ) -> np.ndarray:
        """Reconstruct without the units `out`, and predict the units `judges`.

        Returns the errors, (stops, judges, tilts, elements), where a tilt that is held out is
        alone on its axis. A `last` stop ends the run early.
        """
        rest = [unit for unit in range(self.units) if unit not in out]
        tilts = list(range(len(self.angles))) if self.by_counts else rest
        W = Projector(self.angles[tilts], self.maps.shape[-1])
        haadf: Any = self.haadf if recipe.haadf is None else recipe.haadf
        maps = self.kept(self.maps if recipe.maps is None else recipe.maps, rest)  # type: ignore
        stops = [stop for stop in recipe.stops if last is None or stop <= last]
        options: dict[str, Any] = {"iterations": stops[-1], "mask": self.mask, "progress": False}
        factors: np.ndarray = np.ones(len(maps))
        if recipe.method != 0:
            fitted = self.haadf[tilts], self.kept(self.ratio_maps, rest)
            factors = response_ratios(*fitted, self.names).ratios
        if self.by_counts:  # what all but some parts predict of one part
            factors = factors * len(rest)
        keep = Snapshots(stops, self._score(judges, factors))
        if recipe.method == 0:
            sirt(W, np.moveaxis(maps, 0, 1), callback=keep, blur=recipe.blur, **options)
        else:
            how: dict[str, Any] = {"alpha": recipe.method, "blur": recipe.blur}
            if isinstance(recipe.method, Method):
                how = {"method": self._restricted(recipe.method, rest)}
            ratios = factors / len(rest) if self.by_counts else factors
            reconstruct(W, haadf[tilts], maps, ratios, callback=keep, **how, **options)
        return np.array(keep.values)

    def _restricted(self, method: Any, rest: list[int]) -> Any:
        """Return a method whose variance is that of the maps that are left."""
        if method.variance is None:
            return method
        variance = np.broadcast_to(method.variance, self.maps.shape)
        return replace(method, variance=self.kept(variance, rest))

    def _score(self, judges: Sequence[int], factors: np.ndarray) -> Callable:
        if self.by_counts:
            towards = Projector(self.angles, self.maps.shape[-1])
        else:
            towards = Projector(self.angles[list(judges)], self.maps.shape[-1])

        def of(array, unit):  # (elements, tilts, slices, size)
            return array[unit] if self.by_counts else array[:, [unit]]

        def score(x):
            seen = np.moveaxis(towards.forward(x), 1, 0) / factors[:, None, None, None]
            found = []
            for place, unit in enumerate(judges):
                predicted = seen if self.by_counts else seen[:, [place]]
                variance = None if self.variance is None else of(self.variance, unit)
                found.append(self._errors(of(self.targets, unit), predicted, variance))
            return found

        return score

    def _errors(self, targets, predicted, variance):
        """Return the errors of each tilt and element, (tilts, elements)."""
        inner = np.s_[..., self.margin : targets.shape[-1] - self.margin]
        target, image = targets[inner].astype(np.float64), predicted[inner].astype(np.float64)
        weight = 1.0 if variance is None else 1 / variance[inner].astype(np.float64)
        if self.scale:
            power = (weight * image**2).sum(axis=(2, 3), keepdims=True)
            overlap = (weight * target * image).sum(axis=(2, 3), keepdims=True)
            image = image * np.divide(overlap, power, out=np.zeros_like(power), where=power > 0)
        misfit = weight * (target - image) ** 2
        if variance is None:
            return (misfit.sum(axis=(2, 3)) / (target**2).sum(axis=(2, 3))).T
        return misfit.mean(axis=(2, 3)).T


def inner_judges(held: Sequence[int], inner: int) -> dict[int, list[int]]:
    """Say for each unit held out, in a ring, which others choose: neighbors at some distances.

    The distances are as far apart as they can be, and the pairs are mutual, so that a
    reconstruction without both serves either.
    """
    count = len(held)
    steps = [round((n + 1) * count / (inner + 1)) for n in range(inner // 2)]
    steps += [count - step for step in reversed(steps)]
    if inner % 2:
        steps.append(count // 2)
    chosen = {}
    for place, unit in enumerate(held):
        others = {held[(place + step) % count] for step in steps} - {unit}
        chosen[unit] = sorted(others)
    return chosen


def nested_errors(
    series: Series,
    contenders: Mapping[str, Sequence[Recipe]],
    held: Sequence[int],
    inner: int,
    advance: Callable[[], Any],
) -> tuple[np.ndarray, dict[str, list[tuple[Recipe, int]]]]:
    """Let other units choose each contender's recipe and stop, then judge it by a unit.

    Returns the errors, (contenders, units, tilts, elements), and what was chosen for each unit.
    """
    judges = inner_judges(series.in_ring(held), inner)
    pairs: dict[frozenset[int], dict] = {}
    for unit, others in judges.items():
        for other in others:
            both = frozenset((unit, other))
            if both not in pairs:
                both_list = sorted(both)
                pairs[both] = {
                    (name, i): dict(zip(both_list, np.moveaxis(found, 1, 0), strict=True))
                    for name, recipes in contenders.items()
                    for i, recipe in enumerate(recipes)
                    for found in [series.run(recipe, both_list, both_list)]
                }
                advance()
    errors, chosen = [], {name: [] for name in contenders}  # type: ignore[var-annotated]
    for unit in held:
        row = []
        for name, recipes in contenders.items():
            scores = [  # of each recipe, (stops,): the mean over judges, tilts, and elements
                np.mean([pairs[frozenset((unit, o))][name, i][o] for o in judges[unit]], (0, 2, 3))
                for i in range(len(recipes))
            ]
            best = min(range(len(recipes)), key=lambda i: scores[i].min())
            stop = recipes[best].stops[int(scores[best].argmin())]
            row.append(series.run(recipes[best], [unit], [unit], stop)[-1, 0])
            chosen[name].append((recipes[best], stop))
        errors.append(row)
        advance()
    return np.swapaxes(np.array(errors), 0, 1), chosen


def tilt_series(
    angles: Any,
    haadf: Any,
    maps: Any,
    targets: Any,
    variance: Any,
    ratio_maps: Any,
    mask: Any,
    margin: Any,
    scale: Any,
    names: Any,
) -> Series:
    """Return the series of `hebt.validation.nested` after checking it."""
    angles = check_angles(angles)
    haadf, maps = check_series(as_float32("haadf", haadf, ndim=(3,)), maps)
    names = check_names(names, len(maps))
    targets = maps if targets is None else as_float32("targets", targets, ndim=(4,))
    if targets.shape != maps.shape or len(angles) != len(haadf):
        raise ValueError(
            f"haadf has shape {haadf.shape}, maps {maps.shape}, targets {targets.shape}, and there "
            f"are {len(angles)} angles; expected (tilts, slices, size), twice (elements, tilts, "
            "slices, size), and one angle per tilt."
        )
    return Series(
        angles,
        haadf,
        maps,
        _like("ratio_maps", ratio_maps, maps, "maps"),
        targets,
        _variance(variance, targets),
        tuple(names),
        None if mask is None else as_float32("mask", mask),
        _margin(margin, maps.shape[-1]),
        check_flag("scale", scale),
    )


def count_series(
    angles: Any,
    haadf: Any,
    parts: Any,
    targets: Any,
    variance: Any,
    ratio_parts: Any,
    mask: Any,
    margin: Any,
    names: Any,
) -> Series:
    """Return the series of `hebt.validation.nested_counts` after checking it."""
    angles = check_angles(angles)
    parts = as_float32("parts", parts, ndim=(5,))
    check_signs("parts", parts.sum(axis=0), counts=True)
    haadf, _ = check_series(as_float32("haadf", haadf, ndim=(3,)), parts.sum(axis=0))
    if len(angles) != len(haadf):
        raise ValueError(
            f"haadf has shape {haadf.shape} and there are {len(angles)} angles; expected one angle "
            "per tilt."
        )
    check_shares("parts", parts)
    targets = _like("targets", targets, parts, "parts")
    return Series(
        angles,
        haadf,
        parts,
        _like("ratio_parts", ratio_parts, parts, "parts"),
        targets,
        _variance(variance, targets),
        tuple(check_names(names, parts.shape[1])),
        None if mask is None else as_float32("mask", mask),
        _margin(margin, parts.shape[-1]),
        scale=False,
        by_counts=True,
    )


def _like(name, array, maps, model):
    if array is None:
        return maps
    array = as_float32(name, array)
    if array.shape != maps.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {maps.shape}, as {model} has.")
    return array


def _variance(variance, targets):
    if variance is None:
        return None
    variance = _like("variance", variance, targets, "targets")
    if variance.min() <= 0:
        raise ValueError(
            f"variance goes down to {variance.min():g}; expected above 0. Smooth it, and give it a "
            "floor where nothing was counted."
        )
    return variance


def _margin(margin, size):
    return check_count("margin", margin, least=0, most=(size - 1) // 2)
