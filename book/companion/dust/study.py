"""What the chapter on a measured series does with it, step by step."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import io, prepare, validation

from ..fidelity import fidelity

# the strip that lies in every image, in pixels: across the tilt axis, along it, and its thickness
STRIP = {"size": 192, "slices": 240}
DEPTH = 48


@dataclasses.dataclass(frozen=True)
class DustSettings:
    """How large the chapter runs.

    Attributes
    ----------
    binning, coarse
        Pixels that become one for the reconstructions, and for the tilts held out.
    held
        Tilts that are held out, in degrees.
    """

    binning: int
    coarse: int
    held: tuple[float, ...]

    def __post_init__(self):
        for name in ("binning", "coarse"):
            factor = getattr(self, name)
            if any(n % factor for n in STRIP.values()):
                raise ValueError(f"{name} is {factor}; expected a divisor of {STRIP}.")


def settings() -> DustSettings:
    """Return the settings for the fidelity at hand."""
    if fidelity() == "quick":
        return DustSettings(4, 8, (-10, 10))
    return DustSettings(2, 4, (-30, -10, 10, 30))


def cropped(series: io.TiltSeries, images) -> np.ndarray:
    """Return the strip that lies in every image."""
    return prepare.crop_flat(images, series.angles, **STRIP)


def binned(series: io.TiltSeries, images, factor: int) -> np.ndarray:
    """Return the same with blocks of pixels added up."""
    return prepare.bin_images(cropped(series, images), factor)


def mass_stages(series: io.TiltSeries, aligned) -> list[tuple[str, float]]:
    """Say how constant the row sums are after each step, as (label, value)."""
    stages = {
        "as recorded": series.haadf,
        "the same strip": cropped(series, series.haadf),
        "the same strip, aligned": cropped(series, aligned),
        "... if the axis were horizontal": cropped(series, aligned.mT),
    }
    return [(label, prepare.mass_inconsistency(images)) for label, images in stages.items()]


def geometry(series: io.TiltSeries, shifts) -> tuple[list, list, list, list]:
    """Return offsets of the tilt axis and depths of the slab, each with what they leave."""
    offsets = [-12, -8, -4, -2, 0, 2, 4, 8, 12]
    depths = [16, 24, 32, 40, 48, 56, 64, 80, 96]

    def residual(depth=DEPTH, offset=0):
        return prepare.reprojection_residual(
            series.haadf, series.angles, shifts, hebt.sirt, depth=depth, offset=offset, **STRIP
        )

    by_offset = [residual(offset=o) for o in offsets]
    return offsets, by_offset, depths, [residual(depth=d) for d in depths]


def held_out(series: io.TiltSeries, haadf, maps, smoothed, names) -> validation.HeldOut:
    """Predict the maps of tilts that were left out, at a coarse size."""
    now, places = settings(), [series.elements.index(name) for name in names]
    factor, size = now.coarse, STRIP["size"] // now.coarse
    return validation.leave_one_out(
        series.angles,
        binned(series, haadf, factor) / factor**2,
        binned(series, smoothed[places], factor),
        targets=binned(series, maps[places], factor),
        held=now.held,
        alphas=[0.3, 0.7],
        stops=[5, 10, 20, 50, 100, 200],
        mask=prepare.slab_mask(size, DEPTH / factor),
        margin=size // 6,
        names=names,
    )
