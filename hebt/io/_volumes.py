"""From a tilt series to volumes: ratios, the method that suits the data, and the result."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._checks import check_order, check_seed
from .._fused import Fused
from .._guide import haadf_reconstruction
from .._method import Hebt, Method
from .._problem import Problem
from .._search import LEAST, width_by_counts
from ..choose import choose
from ..projector import Projector, common_tilts
from ..ratios import ResponseRatios, response_ratios
from ..reconstruct import reconstruct as reconstruct_arrays
from ..result import Result
from ..stopping import History
from ._noise import are_raw
from ._steps import plain

# slices from which the widest kernel is worked out; those with which held-out counts judge, and
# voxels of all elements beyond which there are fewer
_SAMPLE, _FEW, _SLAB, _WORK = 48, 8, 16, 4e6


def _check_maps(series):
    if not len(series.maps):
        raise ValueError(
            "the series has no maps; expected HAADF images and element maps. Give spectrum images "
            "with lines=, or ready-made maps with maps={'Au': ...}."
        )


def fit_ratios(series: Any) -> ResponseRatios:
    """Return the response ratios of a series."""
    _check_maps(series)
    series._check_matched("ratios")
    haadf, maps, variance = series.haadf, series.maps, series.variance
    if series.haadf_angles is not None:
        own, others = common_tilts(series.angles, series.haadf_angles)
        haadf, maps = haadf[others], maps[:, own]
        variance = None if variance is None else variance[:, own]
    known = variance is not None and not are_raw(series)
    return response_ratios(haadf, maps, series.elements, variance=variance if known else "auto")


def _check_positive(series, fit):
    """Refuse response ratios of 0, and say what to do about them."""
    if not (zero := fit.ratios <= 0).any():
        return
    kept = ", ".join(map(repr, np.array(series.lines)[~zero].tolist()))
    raise ValueError(
        f"the response ratio of {', '.join(np.array(fit.names)[zero])} came out as 0, and must be "
        f"above. Either these maps cannot be told from others: go on with series.pick({kept}); or "
        f"HAADF shows an element without a map (R2 = {fit.r_squared:.2f}): see hebt lines."
    )


def _projectors(series):
    size = series.maps.shape[-1]
    W = Projector(series.angles, size)
    if series.haadf_angles is None:
        return W, None
    return W, Projector(series.haadf_angles, size)


def suited_method(series: Any, fit: Any, seed: int) -> str | Method:
    """Return the method that suits the data; see `TiltSeries.suited_method`."""
    _check_maps(series)
    check_seed("seed", seed)
    if not isinstance(fit, ResponseRatios):
        raise TypeError(
            f"fit is of type {type(fit).__name__}; expected what response_ratios returns, or None."
        )
    check_order(fit.names, series.elements)
    raw = are_raw(series)
    smoothed = any(record["step"] == "smooth" for record in series.history)
    if smoothed or not (raw or series.parts is not None):
        known = raw or series.variance is not None
        return Fused(series.variance) if known else "hebt"
    W, other = _projectors(series)
    depth = series.maps.shape[2]
    step = -(-depth // _SAMPLE)
    sample = series.haadf[:, ::step], series.maps[:, :, ::step]
    problem = Problem.checked(W, *sample, fit.ratios, 0.0, other)
    scarcest = problem.maps.sum(axis=(1, 2, 3), dtype=float).min()
    widest = min(width_by_counts(haadf_reconstruction(problem), scarcest, depth > 1), W.size / 4)
    kernels = {float(f"{max(widest / n, LEAST):.2g}") for n in (4, 2, 1)}
    few = int(_WORK // (len(series.maps) * W.size**2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a kernel at the end of a short list
        choice = choose(
            W,
            series.haadf,
            series.maps,
            fit.ratios,
            kernels=sorted(kernels),
            along=depth > 1,
            parts=None if raw else list(series.parts),
            variance=None if raw else series.variance,
            slices=min(depth, max(_FEW, min(few, _SLAB))),
            haadf_projector=other,
            seed=seed,
        )
    if choice.method.total != "free":
        return choice.method
    # what it lets in of the noise of voxels hardly shows in projections, by which counts judge
    return replace(choice.method, kernel=choice.candidates[-1].kernel)


def reconstruct(
    series: Any, method: Any, iterations: Any, ratios: Any, options: dict[str, Any]
) -> Any:
    """Return the result of a series; see `TiltSeries.reconstruct`."""
    _check_maps(series)
    series._check_matched("reconstruct")
    taken = {"W", "haadf", "maps", "haadf_projector"} & set(options)
    if taken:
        raise ValueError(
            f"{', '.join(sorted(taken))} is given, but the series has its own; expected other "
            "arguments of hebt.reconstruct."
        )
    asked_ratios = ratios
    ratios = series.ratios() if ratios is None else ratios
    if isinstance(ratios, ResponseRatios):
        check_order(ratios.names, series.elements)
        _check_positive(series, ratios)
    if method is None:
        fit = ratios if isinstance(ratios, ResponseRatios) else series.ratios()
        method = suited_method(series, fit, 0)
    asked = method
    method = _with_variance(method, series)
    if series.pixel_size is None:
        raise ValueError(
            "pixel_size of the series is None; expected nm, which volumes are measured by. Read "
            "the files with pixel_size=, or give it to TiltSeries.from_arrays."
        )
    W, other = _projectors(series)
    fit = ratios if isinstance(ratios, ResponseRatios) else None
    blocks = options.get("out") is not None
    if "history" not in options and not blocks:
        options = {**options, "history": History()}
    x = reconstruct_arrays(
        W,
        series.haadf,
        series.maps,
        ratios if fit is None else fit.ratios,
        iterations=iterations,
        method=method,
        haadf_projector=other,
        **options,
    )
    given = {}
    if asked_ratios is not None:
        given["ratios"] = np.asarray(getattr(asked_ratios, "ratios", asked_ratios), np.float64)
    history = options.get("history")
    done = getattr(history, "iterations", None) or iterations
    settings, lost = _settings(asked, done, options | given, series)
    return Result(
        np.asarray(x),
        series.elements,
        series.pixel_size,
        ratios=fit,
        angles=series.angles,
        method=method if isinstance(method, str) else type(method).__name__,
        settings=settings,
        residuals=history,
        history=series.history,
        inputs=series.inputs,
        about={"not kept": lost} if lost else {},
    )


def _with_variance(method: Any, series: Any) -> Any:
    """Return a method with the variance of the maps, where it has none and these are no counts."""
    own = isinstance(method, Method) and method.variance is None and series.variance is not None
    if not own or are_raw(series):
        return method
    return replace(method, variance=series.variance)


# what changes no value, once it is known how many iterations were done
_HARMLESS = {"progress", "callback", "history", "stop"}


def _settings(
    method: Any, iterations: Any, options: dict[str, Any], series: Any
) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments of a call that makes the same, and the names of those left out.

    Arrays are left out, but for ratios; so is a variance, unless it is that of the series.
    """
    told: dict[str, Any] = {"method": method}
    lost: list[str] = []
    if isinstance(method, str):
        told["alpha"] = 0.7 if options.get("alpha") is None else options["alpha"]
    else:
        arrays = {f.name for f in fields(method) if _held(method, f.name) is not None}
        told["method"] = replace(method, **dict.fromkeys(arrays))
        lost = sorted(n for n in arrays if _held(method, n) is not series.variance)
    usual = Hebt.iterations if isinstance(method, str) else method.iterations
    told["iterations"] = usual if iterations is None else iterations
    for name, value in options.items():
        if name in _HARMLESS or value is None or name in told:
            continue
        simple = isinstance(value, (bool, int, float, str, np.generic))
        if simple or (name == "ratios" and np.ndim(value) == 1):
            told[name] = plain(value)
        else:
            lost.append(name)
    return told, lost


def _held(method, name):
    """Return an array that a method has for a field; None for a number or a width."""
    value = getattr(method, name)
    return value if isinstance(value, np.ndarray) else None
