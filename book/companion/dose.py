"""One unit for the dose of X-rays in the whole book, and how it carries over to other pixels.

A dose is given as X-ray counts of one element's map on a pixel, where there is particle, before
smoothing, and the pixel is said: one of the paper's frame where nothing else is. A pixel that is
twice as wide gets four times the counts of the same dose; in a phantom of one slice, which grows
along one side only, twice.
"""

from __future__ import annotations

import math


def _check(name: str, number, *, zero: bool = False) -> float:
    """Return a number above 0, or 0 where that may be."""
    if isinstance(number, bool) or not hasattr(number, "__float__"):
        raise TypeError(f"{name} is {number!r}; expected a number.")
    number = float(number)
    if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
        raise ValueError(
            f"{name} is {number:g}; expected a number {'from' if zero else 'above'} 0."
        )
    return number


def on_pixel(counts: float, *, side: float, other: float, sides: int = 2) -> float:
    """Return the counts that the same dose gives on a pixel of another side.

    `side` and `other` are in one unit. Pixels grow along both sides, or along one (`sides=1`) in a
    phantom of one slice.
    """
    if sides not in (1, 2):
        raise ValueError(f"sides is {sides!r}; expected 1 or 2.")
    factor = _check("other", other) / _check("side", side)
    return _check("counts", counts, zero=True) * factor**sides


def per_nm2(counts: float, *, side: float) -> float:
    """Return counts per nm² of the image, from those on a pixel whose side is in nm."""
    return _check("counts", counts, zero=True) / _check("side", side) ** 2


def per_nm3(counts: float, *, side: float, thickness: float) -> float:
    """Return counts per nm³ of the specimen, whose thickness along the beam is in nm."""
    return per_nm2(counts, side=side) / _check("thickness", thickness)
