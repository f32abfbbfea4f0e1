"""What images read where there is no specimen: about 0, or a detector's black level."""

from __future__ import annotations

import math
import warnings
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

# so many values tell as much as all
_ENOUGH = 2**17
# fewer have no mode
_LEAST = 500
# fewer tell too little of a single tilt
_SINGLE = 64**2
# share of the specimen's intensity that a level may have
_SHARE = 0.05
# the same for X-ray counts, whose background is always uncertain
_SURE = 0.2


@dataclass(frozen=True)
class Background:
    """The darkest area of an image.

    Attributes
    ----------
    level
        What it reads: the mode of the darkest values.
    noise
        Its standard deviation, from the values below the mode.
    low, high
        Between them lie all but the lowest and the highest hundredth of all values.
    share
        What the level adds up to, relative to what the rest of the image differs from it.
    grain
        The noise as neighboring pixels have it, which is all there is where nothing else is.
    """

    level: float
    noise: float
    low: float
    high: float
    share: float
    grain: float

    @property
    def is_even(self) -> bool:
        """Whether it is even, as where no specimen is, and not a darker part of a specimen."""
        return self.noise < max(0.1 * (self.high - self.level), 1.3 * self.grain)

    @property
    def is_far(self) -> bool:
        """Whether it is clearly not 0."""
        return self.share >= _SHARE and abs(self.level) > (2 if self.level > 0 else 3) * self.noise


def darkest(image: NDArray, most: int = _ENOUGH) -> Background:
    """Find the darkest area of an image by the half-sample mode of its darkest values.

    At most so many of the values are looked at.
    """
    image = image[without_padding(image)]
    steps = np.diff(image.reshape(-1)[:most].astype(np.float64))
    step = max(1, image.size // most)
    while math.gcd(step, image.shape[-1]) > 1:
        step += 1
    values = np.sort(image.reshape(-1)[::step]).astype(np.float64)
    low, high = np.quantile(values, (0.01, 0.99), method="nearest")
    mode = values[: np.searchsorted(values, low + (high - low) / 8, "right")]
    while len(mode) > 3:
        half = (len(mode) + 1) // 2
        first = int((mode[half - 1 :] - mode[: len(mode) - half + 1]).argmin())
        mode = mode[first : first + half]
    level, noise = float(mode.mean()), 0.0
    for _ in range(20):  # towards the middle of the peak
        below = int(np.searchsorted(values, level))
        noise = 1.4826 * (level - float(values[below // 2])) if below else 0.0
        first, last = np.searchsorted(values, (level - 2 * noise, level + 2 * noise))
        before, level = level, float(values[first:last].mean()) if last > first else level
        if level == before:
            break
    rest = np.abs(values - level).mean()
    share = abs(level) / rest if rest else math.inf
    grain = 1.4826 * float(np.median(np.abs(steps))) / math.sqrt(2)
    return Background(level, noise, float(low), float(high), share, grain)


def without_padding(image: NDArray) -> tuple[slice, ...]:
    """Select an image without the few border lines of zeros of a program that aligned it."""
    if image.ndim == 2 and image.any():
        filled = [np.flatnonzero(image.any(axis=axis)) for axis in (1, 0)]
        lines = tuple(slice(some[0], some[-1] + 1) for some in filled)
        inner = image[lines]
        # 0 also elsewhere is what the detector reads
        if inner.size > 0.9 * image.size and np.count_nonzero(inner) > 0.99 * inner.size:
            return lines
    return (slice(None),) * image.ndim


def check_background(name: str, images: NDArray, *, counts: bool = False) -> None:
    """Refuse a series whose darkest area is far below 0; warn if it is far from 0.

    X-ray counts (`counts`) may have a background above 0, or somewhat below after subtraction.
    """
    if images.size < _LEAST:
        return
    # single lines are too short to have a mode each
    series = images if images[0].size >= _LEAST else images[None]
    areas = [darkest(image, _ENOUGH // len(series) + 1) for image in series]
    found, where = _middle(areas), ""
    if not found.is_far:
        far = [] if counts or series[0].size < _SINGLE else _find_others(areas, found)
        if not far:
            return
        where = f" at {len(far)} of {len(areas)} tilts, the first {far[0]}"
        series, areas = series[far], [areas[i] for i in far]
        found = _middle(areas)
    if found.level < 0:
        from scipy import ndimage

        # of few counts the commonest number is not the mean, which decides
        inner = [image[without_padding(image)] for image in series]
        means = _middle([darkest(ndimage.uniform_filter(image, 5)) for image in inner])
        if means.level >= 0 or not means.is_far:
            return
        found = replace(found, level=max(found.level, means.level))
    reads = (
        f"{name} reads {found.level:.3g} in its darkest area, up to {found.high:.3g} in its "
        f"brightest{where}"
    )
    remedy = "Remove it, e.g. by hebt.prepare.remove_offset(haadf)."
    if -found.level > (_SURE if counts else _SHARE) * (found.high - found.level):
        raise ValueError(
            f"{reads}; expected about 0 where there is no specimen. This is a detector's black "
            f"level, or a background taken too high. {remedy}"
        )
    floor = min(area.low for area in areas)  # nothing comes near 0, at no tilt
    bare = floor > max(area.high for area in areas) - floor
    if not counts and (found.level < 0 or found.is_even or bare):
        warnings.warn(
            f"{reads}. Is this the detector's black level? It would falsify the mass. {remedy} If "
            "the specimen fills these images, all is well.",
            UserWarning,
            stacklevel=4,
        )


def _middle(areas: list[Background]) -> Background:
    return Background(*np.median([astuple(area) for area in areas], axis=0))


def _find_others(areas: list[Background], usual: Background) -> list[int]:
    """Find images whose darkest area differs from the others', first of all those below 0."""
    away = np.abs([area.level - usual.level for area in areas])
    # noise as the others have it: of one image it may come out too low
    clear = away > max(5 * 1.4826 * float(np.median(away)), 5 * usual.noise)
    far = [i for i, area in enumerate(areas) if area.is_far and clear[i]]
    below = [i for i in far if areas[i].level < 0]
    # without noise it is simulated, and an even part of the specimen
    return below or [i for i in far if areas[i].noise and areas[i].is_even]
