"""What the methods of a tilt series do, and the rules by which they choose."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
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
    check_signs,
    check_variance,
)
from ..prepare.alignment import estimate_center_shifts, estimate_shifts
from ..prepare.axis_search import frame
from ..prepare.haadf import particle_masks
from ..prepare.images import apply_shifts, bin_images, smooth
from ..prepare.maps import normalize_tilts
from ..prepare.reprojection import refine_alignment
from ..prepare.tilt_axis import (
    apply_tilt_axis,
    axis_matrices,
    direction_errors,
    is_clearly_horizontal,
)
from ..prepare.windows import unmix
from ..projector import common_tilts
from ..reconstruct import sirt
from ._noise import (
    bin_matrix,
    changed,
    crop_matrices,
    known_noise,
    mixed,
    noise_fields,
    same,
    shift_matrices,
)

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
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
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


def moved(
    series: Any, step: str, settings: dict, shifts: NDArray, found: dict | None = None
) -> Any:
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
    return series._done(step, settings, found, haadf=haadf, shifts=total, **changes)


def _shifts_of_maps(series, shifts):
    """Return the shifts of HAADF at the tilts of the maps."""
    if series.haadf_angles is None:
        return shifts
    own, others = common_tilts(series.angles, series.haadf_angles)
    here, there = _times(series.angles)[own], _times(series.haadf_angles)[others]
    if (here != there).any():
        i = int((here != there).argmax())
        raise ValueError(
            f"angles has {series.angles[own[i]]:g} degrees {here[i]}x, and haadf_angles has it "
            f"{there[i]}x; expected it as often in both, in one order, or which image a map was "
            "recorded with, whose shift is its own, is not certain. Leave out what has no partner."
        )
    if len(own) < len(series.angles):
        missing = np.delete(series.angles, own)
        raise ValueError(
            f"angles has {', '.join(f'{a:g}' for a in missing)} degrees, at which there is no "
            "image in haadf; expected one at each tilt of the maps, whose shift is theirs. Align "
            "haadf and maps as arrays, and make a series of them by TiltSeries.from_arrays."
        )
    return shifts[others]


def _times(angles):
    """Return how often each tilt is there."""
    return (np.abs(angles[:, None] - angles) < 1e-3).sum(axis=1)


def uprighted(series: Any, axis: Any) -> Any:
    """Return the series with all channels moved and turned until the tilt axis stands."""
    haadf = apply_tilt_axis(series.haadf, axis)
    shifts = np.zeros((len(haadf), 2)) if axis.shifts is None else axis.shifts
    of_maps, shape = _shifts_of_maps(series, shifts), series.maps.shape[2:]
    changes = changed(series, lambda maps: apply_tilt_axis(maps, axis, shifts=of_maps))
    if len(series.maps) and (noise := known_noise(series)) is not None:
        noise = noise.whole(axis_matrices(shape, axis, of_maps), haadf.shape[1:])
        changes |= noise_fields(noise)
    total = shifts if series.shifts is None else series.shifts + shifts
    along, across = np.array(frame(axis.along, axis.rotation))
    changes["shifts"] = np.stack([total @ along, total @ across], axis=1)
    known = {name: getattr(axis, name) for name in ("along", "rotation", "offset")}
    known |= {"kind": "prepare.TiltAxis", "shifts": shifts.tolist()}
    return series._done("apply_tilt_axis", {"axis": known}, haadf=haadf, **changes)


def normalized(series: Any, response: Any) -> dict[str, Any]:
    """Return maps and variances divided by the response of their tilt."""
    tilts, (high, wide) = len(series.angles), series.maps.shape[2:]

    def scaled():
        eye = sparse.eye_array(high, format="csr")
        return tuple(sparse.csr_array(eye / float(share)) for share in response)

    return mixed(
        series,
        lambda maps: normalize_tilts(maps, response),
        scaled,
        lambda: same(sparse.eye_array(wide, format="csr"), tilts),
    )


def unmixed(series: Any, resolution: float) -> tuple[dict[str, Any], float]:
    """Return unmixed maps and their variances, and the resolution that was taken."""
    if not series.windows:
        raise ValueError(
            "the series has no windows, as its maps came ready-made; expected maps of spectra, "
            "from hebt.io.read with lines=."
        )
    if any(record["step"] == "unmix" for record in series.history):
        raise ValueError("the series was unmixed before; expected one call of unmix.")
    windows, energies = series.windows, series.energies
    changes = changed(series, lambda maps: unmix(maps, windows, energies, resolution=resolution))
    shares = np.eye(len(windows))[:, :, None, None]
    weights = unmix(shares, windows, energies, resolution=resolution)[:, :, 0, 0]
    together = _noise_in_common(series)

    def variance(of_maps):
        made = np.zeros_like(of_maps)
        for e, row in enumerate(weights):
            for (f, g), share in np.ndenumerate(np.outer(row, row)):
                common = share * together[:, f, g, None, None]
                made[e] += common * np.sqrt(of_maps[f] * of_maps[g])
        return np.maximum(made, 0)

    if (noise := known_noise(series)) is not None:
        changes |= noise_fields(noise.combined(variance))
    return changes, float(resolution)


def _noise_in_common(series):
    """Return how the noise of maps is correlated, as windows share channels, for each tilt."""
    weights = np.array([window.weights(series.energies) for window in series.windows])
    covariance = np.einsum("ec,fc,tc->tef", weights, weights, series.spectra, optimize=True)
    spread = np.sqrt(np.einsum("tee->te", covariance))
    scale = spread[:, :, None] * spread[:, None, :]
    found = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    found[:, np.arange(len(weights)), np.arange(len(weights))] = 1
    return found


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


def shown(series: Any) -> str:
    """Return what is printed of a series."""
    tilts, slices, size = series.haadf.shape
    side = "unknown size" if series.pixel_size is None else f"{series.pixel_size:.4g} nm"
    angles = series._haadf_angles
    lines = [
        f"TiltSeries: {tilts} tilt{'s' * (tilts > 1)} from {angles.min():g} to {angles.max():g} "
        f"degrees (source: {series.angles_from})",
        f"{slices} x {size} pixels of {side}",
        f"maps of {', '.join(series.elements)}" if series.lines else "no element maps",
    ]
    if series.haadf_angles is not None:
        low, high = series.angles.min(), series.angles.max()
        lines[-1] += f" at {len(series.angles)} tilts from {low:g} to {high:g} degrees"
    if series.spectra.size:
        lines.append(f"{series.spectra.sum() / 1e6:.2f} million X-ray counts")
    if steps := [record["step"] for record in series.history if record["step"] != "read"]:
        lines.append(f"steps: {', '.join(steps)}")
    return "\n".join(lines)
