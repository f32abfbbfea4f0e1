"""Checks of arguments, shared by the whole package.

Every message names the argument, says what came and what was expected, and what to do. It comes
with a TypeError where there are no numbers at all, with a ValueError where these do not fit.
"""

import contextlib
import operator
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._background import check_background

_LEAST_VARIANCE = 1e-35


def as_float32(
    name: str, array: ArrayLike, *, ndim: tuple[int, ...] | None = None
) -> NDArray[np.float32]:
    """Return `array` as float32, after refusing what no computation should start from.

    It is never changed; where it is float32 already, it is returned itself. `ndim` holds the
    numbers of dimensions that are accepted; any, if None. Values that are not real numbers, NaN or
    infinite, or masked, are refused, and so is an empty array.
    """
    return _as_real(name, array, np.float32, ndim)


def as_float64(
    name: str, array: ArrayLike, *, ndim: tuple[int, ...] | None = None
) -> NDArray[np.float64]:
    """Do the same as `as_float32` for what needs the precision: angles, energies, factors."""
    return _as_real(name, array, np.float64, ndim)


def as_float64_or_nan(name: str, array: ArrayLike) -> tuple[NDArray[np.float64], NDArray]:
    """Do the same where NaN stands for "none"; return the array with 0 there, and where it is."""
    if not _count_masked(array):
        with contextlib.suppress(TypeError, ValueError):  # the check names what cannot be
            given = np.asarray(array)
            if given.dtype.kind == "f":
                none = np.isnan(given)
                return as_float64(name, np.where(none, 0, given)), none
    values = as_float64(name, array)
    return values, np.zeros(values.shape, bool)


def _as_real(name: str, array: Any, dtype: Any, ndim: tuple[int, ...] | None) -> NDArray:
    masked = _count_masked(array)
    if masked:
        raise ValueError(
            f"{name} is a masked array with {masked} masked values; expected "
            "values everywhere. Say what they are, e.g. by array.filled(0)."
        )
    try:
        array = np.asarray(array)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is no array ({error}); expected real numbers.") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds values of type {array.dtype}; expected real numbers.")
    if ndim is not None and array.ndim not in ndim:
        expected = " or ".join(str(n) for n in ndim)
        raise ValueError(
            f"{name} has {array.ndim} dimensions (shape {array.shape}); expected {expected}."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}); expected at least one value.")
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(dtype, copy=False)
        # the sum is finite where all values are, and it needs no array of flags
        total = result.sum(dtype=np.float64)
    if not np.isfinite(total):
        bad = np.argwhere(~np.isfinite(result))
        if len(bad):
            first = tuple(int(i) for i in bad[0])
            limit = f" up to {np.finfo(dtype).max:.2g}" if np.isfinite(array[first]) else ""
            raise ValueError(
                f"{name} holds {len(bad)} NaN or infinite values, the first at index {first} "
                f"({array[first]}); expected finite values{limit}. Replace or mask them first."
            )
    return result


def _count_masked(array: Any) -> int:
    """Return how many values are masked, also of masked arrays in a list."""
    if isinstance(array, (list, tuple)):
        return sum(map(_count_masked, array))
    return int(np.ma.count_masked(array)) if isinstance(array, np.ma.MaskedArray) else 0


def data_of(array: Any) -> Any:
    """Return the array of a HyperSpy signal; what is no signal as it is."""
    return array.data if hasattr(array, "axes_manager") else array


def check_count(name: str, value: Any, *, least: int = 1, most: float = 2**31 - 1) -> int:
    """Return `value` as an int, after checking that it is a whole number from least to most."""
    expected = f"expected a whole number of at least {least}"
    expected += "." if most in (2**31 - 1, np.inf) else f" and at most {most}."
    try:
        number = None if np.ma.is_masked(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {_short(value)}; {expected}")
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}; {expected}")
    return number


def check_counts(name: str, values: Any, *, rising: bool = True) -> list[int]:
    """Return rising whole numbers of at least 1, such as iteration counts.

    If they may come in any order, they are sorted.
    """
    counts = [check_count(name, n) for n in as_list(name, values, "whole numbers")]
    ordered = sorted(set(counts))
    if not counts or (counts != ordered if rising else len(counts) > len(ordered)):
        raise ValueError(
            f"{name} is {counts}; expected at least one number, "
            f"{'rising' if rising else 'each once'}, e.g. (50, 100, 200)."
        )
    return ordered


def check_number(
    name: str,
    value: Any,
    expected: str,
    *,
    least: float = 0.0,
    also_least: bool = False,
    most: float = np.inf,
    also_most: bool = True,
) -> float:
    """Return `value` as a float between two bounds; `expected` says which.

    It is above `least` (or, with `also_least`, at least that) and at most `most` (or, without
    `also_most`, below it). Infinity is refused.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.isMaskedArray(value):
        value = value[()]
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    try:
        number = float(value) if is_number and not isinstance(value, bool) else np.nan
    except OverflowError:
        number = np.nan
    above = number > least or (also_least and number == least)
    below = number < most or (also_most and number == most)
    if not (np.isfinite(number) and above and below):
        raise ValueError(f"{name} is {_short(value)}; expected {expected}.")
    return number


def check_flag(name: str, value: Any) -> bool:
    """Return `value` as a bool, after checking that it is one: "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {_short(value)}; expected True or False.")
    return bool(value)


def check_choice(name: str, value: Any, options: Iterable[str | None]) -> Any:
    """Return `value`, after checking that it is one of some words (or None, if that is one)."""
    options = tuple(options)
    if not isinstance(value, (str, type(None))) or value not in options:
        *others, last = [f'"{o}"' if isinstance(o, str) else str(o) for o in options]
        listed = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{name} is {_short(value)}; expected {listed}.")
    return value


def check_function(name: str, value: Any, expected: str) -> Any:
    """Return `value`, after checking that it can be called; a class would make an object of it."""
    if isinstance(value, type) or not callable(value):
        raise TypeError(f"{name} is {_short(value)}; expected {expected}.")
    return value


def check_text(name: str, value: Any) -> str:
    """Return `value`, after checking that it is text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {_short(value)}; expected text.")
    return value


def check_path(path: Any, name: str = "path") -> Path:
    """Return a path, in which ``~`` stands for the user's home."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{name} is {_short(path)}; expected the path of a file.")
    return Path(path).expanduser()


def check_seed(name: str, value: Any) -> int | list[int]:
    """Return the seed of random numbers: a whole number from 0, or a list of some.

    None would give other numbers at every run.
    """
    if not np.iterable(value):
        return check_count(name, value, least=0, most=np.inf)
    seeds = as_list(name, value, "a whole number or some")
    if not seeds:
        raise ValueError(f"{name} is an empty list; expected at least one whole number.")
    return [check_count(name, v, least=0, most=np.inf) for v in seeds]


def check_angles(angles: ArrayLike, name: str = "angles") -> NDArray[np.float64]:
    """Return tilt angles as a new float64 array of shape (tilts,), in degrees.

    Warns if they look like radians: at least three of them, all within ±2π, and not all whole
    numbers, which radians hardly ever are.
    """
    if isinstance(angles, np.ndarray) and angles.dtype.kind == "b":
        raise TypeError(f"{name} holds values of type bool; expected degrees.")
    angles = np.array(as_float64(name, angles))
    if angles.ndim != 1:
        raise ValueError(
            f"{name} has shape {angles.shape}; expected (tilts,) with at least one tilt."
        )
    if np.abs(angles).max() > 360:
        raise ValueError(
            f"{name} go from {angles.min():g} to {angles.max():g}; expected degrees from -360 to "
            "360. Leave out what stands for an unknown tilt."
        )
    if (
        angles.size >= 3
        and np.ptp(angles) > 0
        and np.abs(angles).max() <= 6.3
        and (angles != np.rint(angles)).any()
    ):
        warnings.warn(
            f"{name} run from {angles.min():.3g} to {angles.max():.3g} and look like radians; "
            f"expected degrees. Use numpy.rad2deg({name}) if they are radians.",
            UserWarning,
            stacklevel=3,
        )
    return angles


def check_names(
    names: Any, count: int, *, kind: str = "elements", name: str = "names"
) -> list[str]:
    """Return `count` different names; "element 0", "element 1", ... if `names` is None.

    A set has no order, and "CO" is one name, not two: both are refused.
    """
    if names is None:
        return [f"element {i}" for i in range(count)]
    names = as_list(name, names, f"{count} names, one for each of the {kind}")
    if not all(isinstance(n, str) for n in names):
        raise TypeError(f"{name} is {_short(names)}; expected texts, e.g. ['Au', 'Ag'].")
    names = [str(n) for n in names]
    if len(names) != count:
        raise ValueError(
            f"{name} has {len(names)} entries {names}; expected {count}, one for each of the "
            f"{kind}."
        )
    if len(set(names)) < count:
        raise ValueError(f"{name} is {names}; expected a different one for each of the {kind}.")
    return names


def as_list(name: str, values: Any, expected: str) -> list:
    """Return some values as a list; neither a text nor what has no order is one."""
    if isinstance(values, (str, bytes, set, frozenset, Mapping)) or not np.iterable(values):
        raise TypeError(f"{name} is {_short(values)}; expected {expected}, e.g. in a list.")
    if np.ma.is_masked(values):
        raise ValueError(f"{name} is {_short(values)}; expected {expected}, none of them masked.")
    return list(values)


def _short(value: Any) -> str:
    """Return what a message shows of a value that may be long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_ratios(
    ratios: ArrayLike, elements: int, lead: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Return response ratios as float32, one for each element, or for each slice of each."""
    ratios = as_float32("ratios", ratios)
    if ratios.shape not in ((elements,), (elements, *lead)):
        each = f" or {(elements, *lead)}, one for each slice of each" if lead else ""
        raise ValueError(
            f"ratios has shape {ratios.shape}; expected ({elements},), one for each element "
            f"map{each}."
        )
    if (ratios <= 0).any():
        raise ValueError(
            f"ratios is {ratios.tolist()}; expected values above 0. An element whose ratio came "
            "out as 0 cannot be told from the others by these data: leave its map out."
        )
    return ratios


def check_order(names: Iterable[str], elements: Iterable[str]) -> None:
    """Refuse response ratios of which one has the name of an element in another place.

    Names that are none of the elements' (lines, numbers) tell nothing.
    """
    names, elements = list(names), list(elements)
    places = {name: i for i, name in enumerate(elements)}
    if len(names) != len(elements) or any(places.get(n, i) != i for i, n in enumerate(names)):
        raise ValueError(
            f"ratios are those of {', '.join(names)}, and the elements are {', '.join(elements)}; "
            "expected one for each, in the same order. Fit them to these maps."
        )


def check_errors(name: str, errors: ArrayLike, elements: int) -> NDArray[np.float64]:
    """Return standard errors as float64, one of at least 0 for each element."""
    as_float32(name, errors)  # also refuses what is beyond it
    errors = as_float64(name, errors)
    if errors.shape != (elements,) or errors.min() < 0:
        raise ValueError(
            f"{name} is {_short(errors.tolist())}; expected {elements} values of at least 0, one "
            "for each element."
        )
    return errors


def check_signs(name: str, array: NDArray[np.float32], *, counts: bool = False) -> None:
    """Refuse images that are negative, but not the slightly negative values of processed ones.

    Background subtraction and denoising leave values around 0 on both sides, but no negative
    value that is larger than the largest positive one. With `counts` these are X-ray counts: of
    whole numbers none is negative by more than half of that. Nor do they have a black level.
    """
    low = array.min()
    if low < 0:
        whole = counts and bool((array == np.rint(array)).all())
        check_range(name, float(low), float(array.max()), whole=whole)
    if low < 0 or not counts:
        check_background(name, array, counts=counts)


def check_variance(variance: ArrayLike, maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the variance of each value of the maps, float32, in their shape."""
    values = as_float32("variance", variance)
    try:
        given = np.broadcast_to(values, maps.shape)
    except ValueError:
        raise ValueError(
            f"variance has shape {values.shape} and maps {maps.shape}; expected a shape that "
            "broadcasts to that of maps."
        ) from None
    if values.min() < 0:
        raise ValueError(f"variance has values from {values.min():g}; expected none below 0.")
    # the square of a unit far from a count; single precision has fewer and fewer digits there
    if values.max() < _LEAST_VARIANCE and np.any(variance):
        raise ValueError(
            f"variance has values up to {np.max(variance):g}; expected 0, or values that go above "
            f"{_LEAST_VARIANCE:g}, as smaller ones lose their digits. Give maps and their variance "
            "in counts."
        )
    return given


def check_half(half: ArrayLike, maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return maps from half of the counts, after checking that they can be that."""
    half = as_float32("half", half)
    if half.shape != maps.shape:
        raise ValueError(
            f"half has shape {half.shape} and maps {maps.shape}; expected the same shape."
        )
    share = half.sum(dtype=np.float64) / (maps.sum(dtype=np.float64) or 1)
    if not 0.25 < share < 0.75:
        raise ValueError(
            f"half holds {100 * share:.0f} % of the counts of maps; expected about 50 %. Give "
            "the sum of both halves as maps, and one of them as half."
        )
    return half


def check_shares(name: str, parts: NDArray[np.float32]) -> None:
    """Refuse parts of the counts, (parts, elements, ...), that are far from equal."""
    sums = parts.sum(axis=tuple(range(2, parts.ndim)), dtype=float)
    for e, each in enumerate(sums.T):
        share = each / (each.sum() or 1)
        # of few counts chance leaves more in one part
        if each.sum() > 0 and (abs(share * len(share) - 1) > 0.5 + 5 / np.sqrt(each.sum())).any():
            text = ", ".join(f"{100 * s:.0f} %" for s in share)
            raise ValueError(
                f"{name} hold {text} of the counts of maps[{e}]; expected about as many each. "
                "Split what was counted by hebt.split_counts(spectra, seed=1, parts=5)."
            )


def check_range(name: str, low: float, high: float, *, whole: bool) -> None:
    """Do `check_signs` for the lowest and highest value, and whether all are whole counts."""
    if low >= 0:
        return
    if -low > high:
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}; expected intensities or counts of at "
            "least 0 (slightly negative ones after background subtraction are accepted). Check "
            "its sign and its background: hebt.prepare.remove_offset takes a black level away."
        )
    if whole and -low > max(high / 2, 10):
        raise ValueError(
            f"{name} holds whole numbers from {low:g} to {high:g}; expected counts of at least 0, "
            "or net counts of which the negative ones are small. Check how the file was read (a "
            "signed type for unsigned counts?) and what was subtracted (a background too high?)."
        )


def check_series(
    haadf: ArrayLike, maps: ArrayLike, tilts: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a HAADF tilt series and its element maps as float32, after checking that they fit.

    Their shapes are (tilts, [slices,] size) and (elements, tilts, [slices,] size). Maps with tilts
    of their own should have so many `tilts`; that is left to `Projector.check_projections`.
    """
    haadf = as_float32("haadf", haadf, ndim=(2, 3))
    maps = as_float32("maps", maps)
    expected = (tilts or len(haadf), *haadf.shape[1:])
    if (maps.shape[1:] if tilts is None else (tilts, *maps.shape[2:])) != expected:
        same = f"the same {'' if tilts else 'tilts, '}slices and size"
        hint = " For a single element, give maps[None]." if maps.shape == expected else ""
        if not tilts and maps.ndim > 2 and maps.shape[2:] == haadf.shape[1:]:
            hint = (
                " If HAADF has tilts of its own, i, j = hebt.common_tilts(angles, haadf_angles) "
                "finds those of both: give haadf[j] and maps[:, i] for ratios, and to reconstruct "
                "all with haadf_projector=hebt.Projector(haadf_angles, size)."
            )
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected maps of shape "
            f"(elements, {', '.join(map(str, expected))}): {same}.{hint}"
        )
    check_signs("haadf", haadf)
    check_seen(haadf, maps)
    if tilts is None:
        _check_tilts(haadf, maps)
    for e, element in enumerate(maps):
        check_signs(f"maps[{e}]", element, counts=True)
    return haadf, maps


def _check_tilts(haadf: NDArray[np.float32], maps: NDArray[np.float32]) -> None:
    """Warn where one of the signals is missing at some of the tilts."""
    seen = haadf.reshape(len(haadf), -1).any(axis=1)
    counted = maps.any(axis=0).reshape(len(haadf), -1).any(axis=1)
    # where there are few counts, none at all may be chance
    enough = maps.sum(dtype=np.float64) > 100 * len(haadf)
    for name, missing in (("haadf is", counted & ~seen), ("maps are", seen & ~counted & enough)):
        if missing.any():
            warnings.warn(
                f"{name} 0 everywhere at {np.count_nonzero(missing)} tilts, the first "
                f"{np.argmax(missing)}, but not the other signal; expected both at each tilt. "
                "Leave these tilts out, or give haadf_projector for other tilts of haadf.",
                UserWarning,
                stacklevel=4,
            )


def check_seen(haadf: NDArray, maps: NDArray) -> None:
    """Raise a ValueError if only the element maps show anything."""
    if not haadf.any() and maps.any():
        raise ValueError(
            "haadf is 0 everywhere, but maps is not; expected images of the same specimen. Check "
            "how the HAADF images were read."
        )
