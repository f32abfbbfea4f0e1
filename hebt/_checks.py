"""Checks of arguments, shared by the whole package.

Every message names the argument, says what came and what was expected, and what to do. It comes
with a TypeError where there are no numbers at all, with a ValueError where these do not fit.
"""

import operator
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._background import check_background


def as_float32(
    name: str, array: ArrayLike, *, ndim: tuple[int, ...] | None = None
) -> NDArray[np.float32]:
    """Return `array` as float32, after refusing what no computation should start from.

    It is never changed; where it is float32 already, it is returned itself. `ndim` holds the
    numbers of dimensions that are accepted; any, if None. Values that are not real numbers, NaN or
    infinite, or masked, are refused, and so is an empty array.
    """
    if np.ma.is_masked(array):
        raise ValueError(
            f"{name} is a masked array with {np.ma.count_masked(array)} masked values; expected "
            "values everywhere. Say what they are, e.g. by array.filled(0)."
        )
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds values of type {array.dtype}; expected real numbers.")
    if ndim is not None and array.ndim not in ndim:
        expected = " or ".join(str(n) for n in ndim)
        raise ValueError(
            f"{name} has {array.ndim} dimensions (shape {array.shape}); expected {expected}."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}); expected at least one value.")
    result = array.astype(np.float32, copy=False)
    # the sum is finite where all values are, and it needs no array of flags
    if not np.isfinite(result.sum(dtype=np.float64)):
        bad = np.argwhere(~np.isfinite(result))
        if len(bad):
            raise ValueError(
                f"{name} holds {len(bad)} NaN or infinite values, the first at index "
                f"{tuple(int(i) for i in bad[0])}; expected finite values. "
                "Replace or mask them first."
            )
    return result


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an int, after checking that it is a whole number of at least `least`."""
    expected = f"expected a whole number of at least {least}."
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}; {expected}")
    if number < least:
        raise ValueError(f"{name} is {number}; {expected}")
    return number


def check_number(
    name: str, value: Any, expected: str, *, least: float = 0.0, also_least: bool = False
) -> float:
    """Return `value` as a finite float above `least` (or of at least it), as `expected` says."""
    number = float(value) if isinstance(value, (int, float, np.number)) else np.nan
    if not np.isfinite(number) or not (number > least or (also_least and number == least)):
        raise ValueError(f"{name} is {value!r}; expected {expected}.")
    return number


def check_angles(angles: ArrayLike) -> NDArray[np.float64]:
    """Return tilt angles as a float64 array of shape (tilts,), in degrees.

    Warns if they look like radians: at least three of them, all within ±π, in steps that are
    smaller than 0.2 in the median.
    """
    angles = np.asarray(angles)
    if angles.dtype.kind not in "fiu":
        raise TypeError(f"angles holds values of type {angles.dtype}; expected degrees.")
    if angles.ndim != 1 or angles.size == 0:
        raise ValueError(
            f"angles has shape {angles.shape}; expected (tilts,) with at least one tilt."
        )
    angles = angles.astype(np.float64)
    if not np.isfinite(angles).all():
        raise ValueError(f"angles holds NaN or infinite values ({angles}); expected degrees.")
    if (
        angles.size >= 3
        and np.abs(angles).max() <= np.pi
        and np.median(np.abs(np.diff(angles))) < 0.2
    ):
        warnings.warn(
            f"angles run from {angles.min():.3g} to {angles.max():.3g} in steps below 0.2 and "
            "look like radians; expected degrees. Use numpy.rad2deg(angles) if they are radians.",
            UserWarning,
            stacklevel=3,
        )
    return angles


def check_names(names: Any, count: int, *, kind: str = "elements") -> list[str]:
    """Return `count` element names; "element 0", "element 1", ... if `names` is None."""
    if names is None:
        return [f"element {i}" for i in range(count)]
    names = [str(n) for n in names]
    if len(names) != count:
        raise ValueError(
            f"names has {len(names)} entries {names}; expected {count}, one for each of the {kind}."
        )
    return names


def check_signs(name: str, array: NDArray[np.float32], *, counts: bool = False) -> None:
    """Refuse images that are negative, but not the slightly negative values of processed ones.

    Background subtraction and denoising leave values around 0 on both sides, but no negative
    value that is larger than the largest positive one. With `counts` these are X-ray counts:
    whole numbers are then raw and cannot be negative at all. Nor do they have a black level.
    """
    low = array.min()
    if low < 0:
        whole = counts and bool((array == np.rint(array)).all())
        check_range(name, float(low), float(array.max()), whole=whole)
    if low < 0 or not counts:
        check_background(name, array, counts=counts)


def check_range(name: str, low: float, high: float, *, whole: bool) -> None:
    """Do `check_signs` for the lowest and highest value, and whether all are raw counts."""
    if low >= 0:
        return
    if -low > high:
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}; expected intensities or counts of at "
            "least 0 (slightly negative ones after background subtraction are accepted). Check "
            "its sign and its background: hebt.prepare.remove_offset takes a black level away."
        )
    if whole:
        raise ValueError(
            f"{name} holds whole numbers from {low:g} to {high:g}; expected raw counts of at "
            "least 0. Check how the file was read (a signed type for unsigned counts?)."
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
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected maps of shape "
            f"(elements, {', '.join(map(str, expected))}): {same}.{hint}"
        )
    check_signs("haadf", haadf)
    check_seen(haadf, maps)
    for e, element in enumerate(maps):
        check_signs(f"maps[{e}]", element, counts=True)
    return haadf, maps


def check_seen(haadf: NDArray, maps: NDArray) -> None:
    """Raise a ValueError if only the element maps show anything."""
    if not haadf.any() and maps.any():
        raise ValueError(
            "haadf is 0 everywhere, but maps is not; expected images of the same specimen. Check "
            "how the HAADF images were read."
        )
