"""What images read where there is no specimen: about 0, or a detector's black level."""

from __future__ import annotations

import math
import warnings
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

# so many values tell as much as all
_ENOUGH = 2**17
# fewer have no mode
_LEAST = 500
# share of the specimen's intensity that a level may have
_SHARE = 0.05


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
    """

    level: float
    noise: float
    low: float
    high: float
    share: float

    @property
    def is_empty(self) -> bool:
        """Whether it is even, as where no specimen is, and not a darker part of a specimen."""
        return self.noise < 0.1 * (self.high - self.level)


def darkest(image: NDArray, most: int = _ENOUGH) -> Background:
    """Find the darkest area of an image by the half-sample mode of its darkest values.

    At most so many of the values are looked at.
    """
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
    return Background(level, noise, float(low), float(high), share)


def check_background(name: str, images: NDArray, *, counts: bool = False) -> None:
    """Refuse a series whose darkest area is far below 0; warn if it is far from 0.

    X-ray counts (`counts`) may have a background above 0, or somewhat below after subtraction.
    """
    if images.size < _LEAST:
        return
    # single lines are too short to have a mode each
    series = images if images[0].size >= _LEAST else images[None]
    areas = np.array([astuple(darkest(i, _ENOUGH // len(series) + 1)) for i in series])
    level, noise, low, high, share = np.median(areas, axis=0)
    found = Background(level, noise, low, high, share)
    if share < _SHARE or abs(level) <= (2 if level > 0 else 3) * noise:
        return
    reads = f"{name} reads {level:.3g} in its darkest area, up to {high:.3g} in its brightest"
    remedy = "Remove it, e.g. by hebt.prepare.remove_offset(haadf)."
    if -level > _SHARE * (high - level):
        raise ValueError(
            f"{reads}; expected about 0 where there is no specimen. This is a detector's black "
            f"level, or a background taken too high. {remedy}"
        )
    floor = areas[:, 2].min()  # nothing comes near 0, at no tilt
    if not counts and (level < 0 or found.is_empty or floor > areas[:, 3].max() - floor):
        warnings.warn(
            f"{reads}. Is this the detector's black level? It would falsify the mass. {remedy} If "
            "the specimen fills all images, all is well.",
            UserWarning,
            stacklevel=4,
        )
