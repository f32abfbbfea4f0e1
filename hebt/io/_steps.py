"""What the methods of a tilt series do, and the rules by which they choose."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .._checks import (
    as_float32,
    check_angles,
    check_count,
    check_names,
    check_number,
    check_order,
    check_seed,
    check_signs,
    check_variance,
)
from .._counts import are_counts
from .._fused import Fused
from .._guide import haadf_reconstruction
from .._method import Hebt, Method
from .._problem import Problem
from .._search import LEAST, width_by_counts
from ..choose import choose
from ..prepare.alignment import estimate_center_shifts, estimate_shifts
from ..prepare.haadf import particle_masks
from ..prepare.images import apply_shifts, bin_images, smooth
from ..prepare.reprojection import refine_alignment
from ..prepare.tilt_axis import direction_errors, is_clearly_horizontal
from ..projector import Projector, common_tilts
from ..ratios import ResponseRatios, response_ratios
from ..reconstruct import reconstruct as reconstruct_arrays
from ..reconstruct import sirt
from ..result import Result
from ..stopping import History
from ._noise import bin_matrix, crop_matrices, mixed, same, shift_matrices

# slices from which the widest kernel is worked out; those with which held-out counts judge, and
# voxels of all elements beyond which there are fewer
_SAMPLE, _FEW, _SLAB, _WORK = 48, 8, 16, 4e6
_COARSE = 64  # pixels of the images that are compared with their reprojection
_PIXELS = "a length in nm above 0, or None"


def checked_arrays(
    haadf: Any,
    maps: Any,
    angles: Any,
    elements: Any,
    pixel_size: Any,
    variance: Any,
    haadf_angles: Any,
    haadf_pixel_size: Any,
) -> dict[str, Any]:
    """Return the attributes of a series made of arrays, in rising order of the tilts."""
    haadf = as_float32("haadf", haadf, ndim=(3,))
    maps, elements = _named_maps(maps, elements)
    tilts = check_angles(angles)
    others = None if haadf_angles is None else check_angles(haadf_angles, "haadf_angles")
    of_haadf = len(tilts if others is None else others)
    if maps is None:
        if elements is not None or variance is not None:
            raise ValueError("elements or variance is given without maps; expected maps.")
        maps, names = np.empty((0, len(tilts), *haadf.shape[1:]), np.float32), []
    else:
        maps = as_float32("maps", maps, ndim=(4,))
        names = check_names(elements, len(maps), name="elements")
    if len(haadf) != of_haadf or maps.shape[1] != len(tilts):
        raise ValueError(
            f"haadf has {len(haadf)} tilts and maps {maps.shape[1]}; expected {of_haadf} and "
            f"{len(tilts)}, one for each of the angles."
        )
    if haadf_pixel_size is None and maps.shape[2:] != haadf.shape[1:]:
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected the same slices and "
            "size, or haadf_pixel_size."
        )
    if haadf_pixel_size is not None and pixel_size is None:
        raise ValueError("haadf_pixel_size is given without pixel_size; expected both.")
    sides = {
        name: None if side is None else check_number(name, side, _PIXELS)
        for name, side in (("pixel_size", pixel_size), ("haadf_pixel_size", haadf_pixel_size))
    }
    order = np.argsort(tilts, kind="stable")
    haadf_order = order if others is None else np.argsort(others, kind="stable")
    return {
        "angles": tilts[order],
        "haadf": haadf[haadf_order],
        "maps": maps[:, order],
        "lines": tuple(names),
        "energies": np.empty(0),
        "spectra": np.empty((len(tilts), 0)),
        "windows": (),
        "variance": None if variance is None else check_variance(variance, maps)[:, order],
        "haadf_angles": None if others is None else others[haadf_order],
        **sides,
    }


def _named_maps(maps: Any, elements: Any) -> tuple[Any, Any]:
    """Return maps as a list or array, or None, and the names that are given with them."""
    if not isinstance(maps, Mapping):
        return maps, elements
    if elements is not None:
        raise ValueError(
            f"elements is {elements!r}, and maps have names; expected names once. Leave elements "
            "out."
        )
    names = check_names(list(maps), len(maps), name="maps")
    arrays = [as_float32(f"maps[{k!r}]", v, ndim=(3,)) for k, v in maps.items()]
    if len({a.shape for a in arrays}) > 1:
        raise ValueError(
            f"maps have shapes {', '.join(str(a.shape) for a in arrays)}; expected the same."
        )
    return (arrays, names) if arrays else (None, None)


def plain(value: Any) -> Any:
    """Return a setting as a number, text or list that JSON can hold."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def _image_axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return axes of an image, which are -2 and -1."""
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    whole = all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in axes)
    if not whole or not axes or len(set(axes)) < len(axes) or not set(axes) <= {-2, -1}:
        raise ValueError(f"axis is {axis!r}; expected -1, -2 or (-2, -1), axes of an image.")
    return axes


def kept(shape: tuple[int, int], size: Any, slices: Any) -> tuple[int, int]:
    """Return how many pixels to keep along each axis of an image."""
    found = []
    for name, value, there in (("slices", slices, shape[0]), ("size", size, shape[1])):
        keep = there if value is None else check_count(name, value, most=there)
        if (there - keep) % 2:
            raise ValueError(
                f"{name} is {keep}, but images have {there} pixels there; expected an even number "
                "less, so that the tilt axis stays in the middle."
            )
        found.append(keep)
    return found[0], found[1]


def find_shifts(
    haadf: NDArray, angles: NDArray, given: dict, rounds: int, progress: bool | None
) -> tuple[NDArray, dict[str, Any]]:
    """Return the shifts that align HAADF images, and by which way they were found."""
    rounds = check_count("rounds", rounds)
    check_signs("haadf", haadf)
    alone = None
    if all(given[name] is None for name in ("size", "slices", "depth")):
        # else something reaches the border
        with contextlib.suppress(ValueError):
            alone = particle_masks(haadf, margin=4)
    if alone is not None:
        shifts = estimate_center_shifts(np.where(alone, haadf, 0))
        if len(angles) >= 6:
            _warn_if_horizontal(direction_errors(haadf, angles, shifts, None))
        return shifts, {"by": "center of mass"}
    within = _strip(haadf.shape[1:], given)
    first = estimate_shifts(haadf)
    found = refine_alignment(haadf, angles, first, sirt, rounds=rounds, progress=progress, **within)
    settings = {"by": "reprojection", **within, "rounds": len(found.steps)}
    return found.shifts, settings | {"last_step": float(found.steps[-1])}


def _strip(shape, given):
    """Return size, slices, depth and factor of a flat specimen, by rule where none is given."""
    factor = given["factor"]
    factor = max(1, min(shape) // _COARSE) if factor is None else check_count("factor", factor)

    def most(there, share):
        # a multiple of the factor that leaves as many pixels on both sides
        fits = range(int(share * there), 0, -1)
        return next((n for n in fits if n % factor == 0 and (there - n) % 2 == 0), there)

    size = most(shape[1], 3 / 4) if given["size"] is None else given["size"]
    slices = most(shape[0], 15 / 16) if given["slices"] is None else given["slices"]
    depth = size / 4 if given["depth"] is None else given["depth"]
    return {"size": size, "slices": slices, "depth": depth, "factor": factor}


def _warn_if_horizontal(errors):
    if is_clearly_horizontal(errors):
        warnings.warn(
            "the tilt axis of haadf looks horizontal: so left-out tilts are predicted with an "
            f"error of {errors[1]:.2g}, with a vertical one of {errors[0]:.2g}. hebt "
            "expects it vertical: call turn() before align().",
            UserWarning,
            stacklevel=4,
        )


def binned(series: Any, factor: int) -> dict[str, Any]:
    """Return HAADF, maps and variances with blocks of pixels made one."""
    tilts, (high, wide) = len(series.angles), series.maps.shape[2:]
    for images in {series.haadf.shape[1:], series.maps.shape[2:]}:
        _check_blocks(factor, *images)
    changes = mixed(
        series,
        lambda maps: bin_images(maps, factor),
        lambda: same(bin_matrix(high, factor), tilts),
        lambda: same(bin_matrix(wide, factor), tilts),
    )
    return changes | {"haadf": bin_images(series.haadf, factor, mean=True)}


def _check_blocks(factor: int, high: int, wide: int) -> None:
    """Refuse a factor that leaves pixels over, and say what crop would leave none over."""
    for name, there in (("size", wide), ("slices", high)):
        if there % factor:
            # crop takes as much from either edge
            fit = [n for n in range(there - 2, 0, -2) if n % factor == 0]
            way = f"call crop({name}={fit[0]}) first, or take" if fit else "take"
            raise ValueError(
                f"factor is {factor}, but {name} is {there} pixels; expected a multiple of the "
                f"factor: {way} another factor."
            )


def smoothed(series: Any, axis: int | tuple[int, ...], **kernel: Any) -> dict[str, Any]:
    """Return smoothed maps and their variances."""
    axes = _image_axes(axis)

    def matrices(which):
        weights = np.eye(series.maps.shape[which])
        if which in axes:
            weights = smooth(weights, axis=0, **kernel)
        return same(weights, len(series.angles))

    return mixed(
        series,
        lambda maps: smooth(maps, axis=axes, **kernel),
        lambda: matrices(-2),
        lambda: matrices(-1),
    )


def moved(series: Any, step: str, settings: dict, shifts: NDArray) -> Any:
    """Return the series with all channels moved."""
    haadf = apply_shifts(series.haadf, shifts)
    of_maps = _shifts_of_maps(series, shifts)
    high, wide = series.maps.shape[2:]
    changes = mixed(
        series,
        lambda maps: apply_shifts(maps, of_maps),
        lambda: shift_matrices(high, of_maps[:, 0]),
        lambda: shift_matrices(wide, of_maps[:, 1]),
    )
    total = shifts if series.shifts is None else series.shifts + shifts
    return series._done(step, settings, haadf=haadf, shifts=total, **changes)


def _shifts_of_maps(series, shifts):
    """Return the shifts of HAADF at the tilts of the maps."""
    if series.haadf_angles is None:
        return shifts
    own, others = common_tilts(series.angles, series.haadf_angles)
    if len(own) < len(series.angles):
        missing = np.delete(series.angles, own)
        raise ValueError(
            f"angles has {', '.join(f'{a:g}' for a in missing)} degrees, at which there is no "
            "image in haadf; expected one at each tilt of the maps, whose shift is theirs. Align "
            "haadf and maps as arrays, and make a series of them by TiltSeries.from_arrays."
        )
    return shifts[others[np.argsort(own)]]


def cropped(
    series: Any, step: str, settings: dict, change: Callable, windows: NDArray | None
) -> Any:
    """Return the series with cropped images, perhaps with a window for each tilt."""
    haadf = change(series.haadf, series._haadf_angles)
    tilts, (high, wide) = len(series.angles), series.maps.shape[2:]
    changes = mixed(
        series,
        lambda maps: change(maps, series.angles),
        lambda: crop_matrices(high, haadf.shape[1], None, tilts),
        lambda: crop_matrices(wide, haadf.shape[2], windows, tilts),
    )
    return series._done(step, settings, haadf=haadf, **changes)


def matched_haadf(series: Any) -> NDArray:
    """Return HAADF images in the pixels of the maps, each the mean over its area."""
    fine, coarse = series.haadf_pixel_size, series.pixel_size
    if fine is None:
        return series.haadf
    images = series.haadf
    for axis in (1, 2):
        weights = _overlaps(images.shape[axis], fine, series.maps.shape[axis + 1], coarse)
        images = np.moveaxis(np.moveaxis(images, axis, -1) @ weights.T, -1, axis)
    return np.ascontiguousarray(images, np.float32)


def _overlaps(there: int, fine: float, wanted: int, coarse: float) -> Any:
    """Return which share of each wanted pixel each pixel covers; middles lie on each other."""
    edges = fine * (np.arange(there + 1) - there / 2)
    limits = coarse * (np.arange(wanted + 1) - wanted / 2)
    low = np.maximum(edges[:-1], limits[:-1, None])
    shares = np.maximum(np.minimum(edges[1:], limits[1:, None]) - low, 0)
    covered = shares.sum(axis=1, keepdims=True)
    if covered.min() < 0.5 * coarse:
        raise ValueError(
            f"haadf covers {fine * there:.4g} nm and maps {coarse * wanted:.4g} nm; expected HAADF "
            "images of all that the maps show. Crop the maps first, or check haadf_pixel_size."
        )
    return sparse.csr_array(shares / covered).toarray()


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
    known = variance is not None and not are_counts(maps)
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
    raw = are_counts(series.maps)
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
    ratios = series.ratios() if ratios is None else ratios
    if isinstance(ratios, ResponseRatios):
        check_order(ratios.names, series.elements)
        _check_positive(series, ratios)
    if method is None:
        fit = ratios if isinstance(ratios, ResponseRatios) else series.ratios()
        method = suited_method(series, fit, 0)
    own = isinstance(method, Method) and method.variance is None and series.variance is not None
    if own and not are_counts(series.maps):
        known: Any = method
        method = replace(known, variance=series.variance)
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
    return Result(
        np.asarray(x),
        series.elements,
        series.pixel_size,
        ratios=fit,
        angles=series.angles,
        method=method if isinstance(method, str) else type(method).__name__,
        settings=_settings(method, iterations, options),
        residuals=options.get("history"),
        history=series.history,
        inputs=series.inputs,
    )


def _settings(method: Any, iterations: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a result says of how it was made: arguments that are numbers or texts."""
    own = (
        {} if isinstance(method, str) else {f.name: getattr(method, f.name) for f in fields(method)}
    )
    if isinstance(method, str):
        own["alpha"] = 0.7 if options.get("alpha") is None else options["alpha"]
    usual = Hebt.iterations if isinstance(method, str) else method.iterations
    own |= {"iterations": usual if iterations is None else iterations, **options}
    simple = (bool, int, float, str, tuple, list, np.generic)
    return {
        name: plain(value)
        for name, value in own.items()
        if isinstance(value, simple) or (isinstance(value, np.ndarray) and value.ndim == 0)
    }


def shown(series: Any) -> str:
    """Return what is printed of a series."""
    tilts, slices, size = series.haadf.shape
    side = "unknown size" if series.pixel_size is None else f"{series.pixel_size:.4g} nm"
    angles = series._haadf_angles
    lines = [
        f"TiltSeries: {tilts} tilts from {angles.min():g} to {angles.max():g} "
        f"degrees (source: {series.angles_from})",
        f"{slices} x {size} pixels of {side}",
        f"maps of {', '.join(series.elements)}" if series.lines else "no element maps",
    ]
    if series.haadf_angles is not None:
        low, high = series.angles.min(), series.angles.max()
        lines[-1] += f" at {len(series.angles)} tilts from {low:g} to {high:g} degrees"
    if series.spectra.size:
        lines.append(f"{series.spectra.sum() / 1e6:.2f} million X-ray counts")
    if series.history:
        lines.append(f"steps: {', '.join(record['step'] for record in series.history)}")
    return "\n".join(lines)
