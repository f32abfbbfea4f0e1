"""HAADF images in files of their own, beside files or signals of spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import as_float32
from .._units import LENGTHS, in_nm, measure
from .angles import check_pairs, tilts_of
from .files import Reader, Signal
from .series import TiltSeries
from .stacks import OF_SPECTRA, Stack, alike, in_order, stack_of, stack_of_signal


def haadf_beside(
    found: Sequence[Any], image: str | None, given: Any, tilts: np.ndarray | None, count: int
) -> Stack:
    """Return the HAADF images of a series whose spectra lie elsewhere.

    Parameters
    ----------
    found
        A stack, or one file per tilt: paths, or HyperSpy signals.
    image
        Title of the image or stack in the files; None for the only one.
    given
        Degrees of the spectra where they were given, for as many images; or "names" or "stage".
    tilts
        Degrees of the spectra in the order of their files, where `found` has the same order; None
        where nobody says that it has.
    count
        How many files or signals hold spectra.

    Raises
    ------
    ValueError
        If there is no such image, its tilt is not certain, or it is another one than that of the
        spectra whose place it has.
    """
    if hasattr(found[0], "axes_manager"):
        if len(found) != 1:
            raise ValueError(
                f"haadf holds {len(found)} signals; expected one stack of images with a tilt axis. "
                "Put them together by hs.stack, with their tilts as angles=."
            )
        known = _for_each(given, found[0].data.shape[0])
        return _own_first(lambda angles: stack_of_signal(found[0], angles), known)
    with Reader() as reader:
        signals = [reader.read(path, stacks=True) for path in found]
    if len(found) == 1 and not _images(signals[0], image):
        stacks = [s for s in signals[0] if s.data is not None and s.data.ndim == 3]
        known = _for_each(given, len(stacks[0].data)) if len(stacks) == 1 else None
        return _own_first(lambda angles: stack_of(found[0], signals[0], image, angles), known)
    chosen = [_image(path, held, image) for path, held in zip(found, signals, strict=True)]
    angles, source = _tilts(found, chosen, tilts, given, count)
    shapes = {one.shape for one in chosen}
    sides = {_side(one) for one in chosen}
    if len(shapes) > 1 or len(sides) > 1:
        raise ValueError(
            f"haadf has images of {', '.join(map(str, shapes))} pixels, of "
            f"{', '.join(map(str, sides))} nm; expected the same in all files."
        )
    data = np.stack([as_float32(f"haadf, {p.name}", s.data) for p, s in zip(found, chosen)])
    return in_order(Stack("haadf", data, angles, source, sides.pop(), None))


def _for_each(given: Any, count: int) -> Any:
    """Return the degrees that were given, if they are one for each of so many images."""
    return None if isinstance(given, str) or np.size(given) != count else given


def _own_first(stack: Callable[[Any], Stack], given: Any) -> Stack:
    """Return a stack with its own tilts, or where it has none with those that were given."""
    try:
        return stack(None)
    except ValueError:
        if given is None:
            raise
        return stack(given)


def _images(signals: Sequence[Signal], image: str | None) -> list[Signal]:
    """Return the single images of a file, or those of a title."""
    found = [s for s in signals if s.data is not None and s.data.ndim == 2]
    if image is not None and len(found) > 1:
        found = [s for s in found if s.title.strip().lower() == image.strip().lower()]
    return found


def _image(path: Path, signals: Sequence[Signal], image: str | None) -> Signal:
    found = _images(signals, image)
    if len(found) != 1:
        raise ValueError(
            f"haadf: {path.name} holds {len(found)} such images "
            f"({'; '.join(map(str, signals))}); expected one. Give the title of the right one: "
            "image='title'."
        )
    return found[0]


def _tilts(
    paths: Sequence[Path],
    images: Sequence[Signal],
    tilts: np.ndarray | None,
    given: Any,
    count: int,
) -> tuple[np.ndarray, str]:
    """Return the tilts of image files: those of the spectra, or what files say of themselves."""
    stage = [s.tilt for s in images]
    if tilts is not None and len(paths) == count:
        if given is None or isinstance(given, str):  # degrees are the user's word for each pair
            check_pairs(paths, stage, given, tilts)
        return tilts, OF_SPECTRA
    try:
        return tilts_of(paths, stage, None)
    except ValueError as error:
        raise ValueError(
            f"haadf: {error} Or give files and haadf as lists, in the same order."
        ) from None


def _side(image: Signal) -> float | None:
    """Return the length of a pixel's side in nm, where the image says it."""
    known = all(
        isinstance(a["scale"], float)
        and a["scale"] > 0
        and measure(a["units"], LENGTHS) is not None
        for a in image.axes
    )
    return float(image.axes[-1]["scale"] * in_nm(image.axes[-1]["units"])) if known else None


def with_haadf(series: TiltSeries, stack: Stack) -> TiltSeries:
    """Return a series of spectra with its HAADF images, of whichever tilts and pixels."""
    images, side = stack.data, stack.pixel_size
    other = side is not None and not np.isclose(side, series.pixel_size or side, rtol=1e-3)
    if not other and images.shape[1:] != series.maps.shape[2:]:
        raise ValueError(
            f"haadf has images of {images.shape[1:]} pixels and spectra {series.maps.shape[2:]}; "
            "expected the same, or files that say the size of their pixels."
        )
    same = alike(stack.angles, series.angles)
    return replace(
        series,
        haadf=images,
        haadf_angles=None if same else stack.angles,
        haadf_pixel_size=side if other else None,
    )
