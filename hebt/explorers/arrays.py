"""Explorers of the reader's own arrays: a tilt series, and a sweep of weight and iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, as_float64, as_list, check_angles, check_count, check_names
from ..metrics import optimal_scale, scaled_mse
from ._shown import AXES, Compared, Limits, Plain, about, largest, named, panels_of
from .controls import Control, Curve, Readout, place
from .frames import FrameExplorer

_SAME = 0.05  # degrees by which images at one tilt may differ


def tilts(
    images: ArrayLike | Mapping[str, ArrayLike],
    angles: ArrayLike | Mapping[str, ArrayLike],
    *,
    limits: Limits = None,
    unit: str = "",
    cmap: str = "gray",
    start: float | None = None,
    columns: int | None = None,
    caption: str = "",
) -> FrameExplorer:
    """Page through the tilts of a series, or of several side by side.

    Parameters
    ----------
    images
        ``(tilts, slices, size)``, or a mapping from names to such series, each with pixels of its
        own.
    angles
        (tilts,), degrees; or by the same names, where series have tilts of their own. A series that
        has no image at a tilt is empty there.
    start
        The angle shown first; the one nearest to 0, if None.
    limits, unit, cmap, columns, caption
        As for `slices`.

    Returns
    -------
    FrameExplorer
        A slider over the tilts, in rising order.

    Raises
    ------
    TypeError, ValueError
        If the series are not finite 3D arrays with an image for each angle.

    Examples
    --------
    >>> hebt.explorers.tilts(haadf, angles)                               # doctest: +SKIP
    >>> hebt.explorers.tilts({"Au": maps[0], "Ag": maps[1]}, angles)      # doctest: +SKIP
    """
    if isinstance(angles, Mapping):
        images, angles = _at_all_tilts(images, angles)
    series = named("images", images, axes=1)
    angles = check_angles(angles)
    count = len(next(iter(series.values())))
    if count != len(angles):
        raise ValueError(
            f"images hold {count} tilts and angles {len(angles)}; expected as many "
            "angles as images."
        )
    order = np.argsort(angles, kind="stable")
    values = [float(angles[i]) for i in order]
    if len(set(values)) < count:
        raise ValueError(f"angles is {angles.tolist()}; expected each tilt once.")
    places = {angle: int(i) for angle, i in zip(values, order)}
    shown = min(values, key=abs) if start is None else values[place("start", values, start)]
    readouts, said = largest("series", series, unit)

    def compute(tilt):
        images = {f"series{k}": v[places[tilt]] for k, v in enumerate(series.values())}
        return images | {f"{name}_largest": image.max() for name, image in images.items()}

    return FrameExplorer(
        compute,
        [Control("tilt", "Tilt", values, default=shown, unit="°")],
        panels_of("series", series, limits, unit=unit, cmap=cmap),
        readouts=readouts,
        alt="The tilt series at {tilt} degrees"
        + (f": {', '.join(series)}. {said}" if any(series) else f". {said}"),
        caption=caption,
        columns=columns,
        filename="tilt",
    )


def sweep(
    x: ArrayLike,
    alphas: Sequence[float],
    iterations: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    reference: ArrayLike | None = None,
    limits: Limits = None,
    unit: str = "HAADF intensity",
    cmap: str = "inferno",
    start: tuple[float, int] | None = None,
    caption: str = "",
) -> FrameExplorer:
    """Move weight and iterations over the result of `hebt.sweep`.

    Parameters
    ----------
    x
        ``(alphas, iterations, elements, size, size)``, as `hebt.sweep` gives it for one slice.
    alphas, iterations
        What the first two axes stand for.
    names
        The elements' names; numbers, if None.
    reference
        The truth, or what to take for it, ``(elements, size, size)``: adds the differences from
        it, after the best scaling, and the relative mean-squared error against the weight.
    limits
        As for `slices`; if None, 0 and the 99.8th percentile of each element.
    start
        Weight and iterations shown first; the middle ones, if None.
    unit, cmap, caption
        As for `slices`.

    Returns
    -------
    FrameExplorer
        Sliders for weight and iterations.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit. For a static page also if the pictures are too many.

    Examples
    --------
    >>> x = hebt.sweep(W, haadf, maps, ratios, alphas, iterations)           # doctest: +SKIP
    >>> hebt.explorers.sweep(x, alphas, iterations, names=["Au", "Ag"])      # doctest: +SKIP
    """
    x = as_float32("x", x, ndim=(5,))
    alphas, iterations, (alpha, steps) = _swept(alphas, iterations, start)
    if x.shape[:2] != (len(alphas), len(iterations)):
        raise ValueError(
            f"x has shape {x.shape}, alphas {len(alphas)} and iterations {len(iterations)} values; "
            "expected (alphas, iterations, elements, size, size), as hebt.sweep returns it."
        )
    names = check_names(names, x.shape[2])
    if limits is None:
        top = [float(np.percentile(x[:, :, e], 99.8)) or 1.0 for e in range(len(names))]
        limits = {name: (0.0, t) for name, t in zip(names, top)}
    panels = panels_of("element", dict.fromkeys(names), limits, unit=unit, cmap=cmap)
    curves: list[Curve] = []
    readouts, said = largest("element", dict.fromkeys(names), unit)
    scale, mse, true = np.empty(0), np.empty(0), None
    if reference is not None:
        true, scale, mse = _against(reference, x)
        more = _differences(names, true)
        panels, curves = panels + more[0], more[1]
        readouts, said = readouts + more[2], f"{said} {more[3]}"

    def compute(**state):
        a, i = alphas.index(state["alpha"]), iterations.index(state["iterations"])
        result = {f"element{e}": image for e, image in enumerate(x[a, i])}
        result |= {f"{name}_largest": image.max() for name, image in result.items()}
        if true is not None:
            differences = scale[a, i, :, None, None] * x[a, i] - true
            result |= {f"difference{e}": image for e, image in enumerate(differences)}
            result |= {f"difference{e}_mse": error for e, error in enumerate(mse[a, i])}
            result["mse"] = {name: mse[:, i, e] for e, name in enumerate(names)}
        return result

    return FrameExplorer(
        compute,
        [
            Control("alpha", "Weight α", alphas, default=alpha, format="g"),
            Control("iterations", "Iterations", iterations, default=steps),
        ],
        panels,
        readouts=readouts,
        curves=curves,
        columns=min(len(names), 4),
        alt=f"{', '.join(names)} at weight {{alpha}} after {{iterations}} iterations"
        + (", and their differences from the reference. " if true is not None else ". ")
        + said,
        caption=caption,
        filename="sweep",
    )


def slices(
    volume: ArrayLike | Mapping[str, ArrayLike],
    *,
    reference: ArrayLike | Mapping[str, ArrayLike] | None = None,
    limits: Limits = None,
    unit: str = "",
    cmap: str = "gray",
    axis: int | None = 0,
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
    reference
        The truth, or what to take for it: a volume for all, or a mapping with one for each name.
        Adds it and the difference from it, the volume brought to its best scale as a whole, and
        the root-mean-square of the difference, in the slice and in the volume.
    limits
        Ends of the color bar: a pair for all volumes, or a mapping from names to pairs. If None,
        the lowest and highest value of each volume, and of its reference.
    unit
        Of the values.
    cmap
        Name of a matplotlib color map.
    axis
        The axis to page along. With 0 the pictures are slices perpendicular to the tilt axis;
        with 1 or 2 they contain it, along their vertical direction. If None, the reader chooses
        among all three. Where the axes differ in length, pictures are then filled up with 0 to
        the longest, and beyond the end of an axis they are empty.
    start
        The first slice shown; the middle one, if None.
    smooth
        Interpolate between pixels on screen.
    columns
        The most pictures side by side; as many as look well, if None.
    caption
        A sentence below the figure.

    Returns
    -------
    FrameExplorer
        A slider over the slices; one over the axes, if `axis` is None.

    Raises
    ------
    TypeError, ValueError
        If the volumes are not 3D arrays of finite numbers and of one shape, or another argument
        does not fit. For a static page also if they are too large; the message says how to bin.

    Examples
    --------
    >>> hebt.explorers.slices(x, unit="HAADF intensity")                    # doctest: +SKIP
    >>> hebt.explorers.slices({"Au, EDS": a, "Au, HEBT": b}, limits=(0, 2)) # doctest: +SKIP
    >>> hebt.explorers.slices({"Au": au}, reference=truth, axis=None)       # doctest: +SKIP
    """
    volumes = named("volume", volume)
    shape = next(iter(volumes.values())).shape
    axes = (0, 1, 2) if axis is None else (check_count("axis", axis, least=0, most=2),)
    numbers = range(max(shape[a] for a in axes))
    middle = min(shape[a] for a in axes) // 2
    shown = middle if start is None else place("start", numbers, start)
    controls = [Control("slice", AXES[axes[0]] if axis is not None else "Number", numbers, shown)]
    if axis is None:
        controls.insert(0, Control("along", "Page along", AXES))
    look = {"unit": unit, "cmap": cmap, "smooth": smooth}
    parts = Plain(volumes, limits, look)
    if reference is not None:
        parts = Compared(volumes, limits, look, reference)

    def compute(slice, along=AXES[axes[0]]):
        return parts.compute(AXES.index(along), slice, side=max(shape) if axis is None else None)

    what = "{along} {slice}" if axis is None else f"{AXES[axes[0]]} {{slice}}"
    of = " x ".join(map(str, shape)) if axis is None else str(shape[axes[0]])
    which = f"the volumes {', '.join(volumes)}" if any(volumes) else "a volume"
    return FrameExplorer(
        compute,
        controls,
        parts.panels,
        readouts=parts.readouts,
        alt=f"{what} of {of} of {which}. {parts.said}",
        caption=caption,
        columns=3 if columns is None and reference is not None else columns,
        filename="slice",
    )


def _at_all_tilts(images: Any, angles: Mapping[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Return series at the tilts of them all, empty where they have no image."""
    if not isinstance(images, Mapping) or set(images) != set(angles):
        named = ", ".join(map(str, images)) if isinstance(images, Mapping) else "no names"
        raise ValueError(
            f"angles is given by the names {', '.join(map(str, angles))}, and images by {named}; "
            "expected the same."
        )
    own = {name: check_angles(values, f"angles[{name!r}]") for name, values in angles.items()}
    every: list[float] = []
    for tilt in np.sort(np.concatenate(list(own.values()))):
        if not every or tilt - every[-1] > _SAME:
            every.append(float(tilt))
    spread = {}
    for name, values in images.items():
        series = as_float32(f"images[{name!r}]", values, ndim=(3,))
        if len(series) != len(own[name]):
            raise ValueError(
                f"images[{name!r}] holds {len(series)} tilts and angles {len(own[name])}; expected "
                "as many angles as images."
            )
        spread[name] = np.zeros((len(every), *series.shape[1:]), np.float32)
        spread[name][[int(np.argmin(np.abs(np.array(every) - t))) for t in own[name]]] = series
    return spread, np.array(every)


def _swept(alphas, iterations, start):
    """Weights and iteration counts of a sweep, each once, and the two that are shown first."""
    alphas = as_float64("alphas", alphas, ndim=(1,)).tolist()
    counts = as_list("iterations", iterations, "whole numbers")
    counts = [check_count("iterations", n) for n in counts]
    if len(set(alphas)) < len(alphas) or not counts:
        raise ValueError(
            f"alphas is {alphas} and iterations {counts}; expected each weight once, and at least "
            "one number of iterations."
        )
    pair = [alphas[len(alphas) // 2], counts[len(counts) // 2]]
    if start is not None:
        pair = as_list("start", start, "a weight and a number of iterations")
    if len(pair) != 2:
        raise ValueError(f"start is {start!r}; expected a weight and a number of iterations.")
    values = zip((alphas, counts), pair)
    return alphas, counts, [known[place("start", known, value)] for known, value in values]


def _differences(names, true):
    """Panels of differences from a reference, curves and read-outs of errors, and their words."""
    spans = np.ptp(true, axis=(1, 2)).tolist()
    ends = {f"{name}, less the reference": (-s, s) for name, s in zip(names, spans)}
    title, ylabel = "Error against the weight", "MSE, relative"
    alt = "Mean-squared error against the weight after {iterations} iterations"
    curve = Curve("mse", title, "alpha", names, ylabel=ylabel, alt=alt)
    keys = [f"difference{e}" for e in range(len(names))]
    each = ", ".join(about(name, f"{{{key}_mse}}") for name, key in zip(names, keys))
    return (
        panels_of("difference", ends, ends, cmap="RdBu_r"),
        [curve],
        [Readout(f"{key}_mse", "MSE, relative", "", ".4f", key) for key in keys],
        f"Mean-squared error: {each}.",
    )


def _against(reference, x):
    """The reference, and for each image its best scale and what MSE is left, relative to it."""
    true = as_float32("reference", reference, ndim=(3,))
    if true.shape != x.shape[2:]:
        raise ValueError(
            f"reference has shape {true.shape}; expected {x.shape[2:]}, an image for each element."
        )
    scale, mse = np.empty(x.shape[:3], np.float32), np.empty(x.shape[:3])
    for a, i, e in np.ndindex(*x.shape[:3]):
        scale[a, i, e] = optimal_scale(true[e], x[a, i, e])
        mse[a, i, e] = scaled_mse(true[e], x[a, i, e])
    return true, scale, mse
