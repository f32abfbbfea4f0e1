"""What the chapter on a measured series does with it, step by step."""

from __future__ import annotations

import dataclasses
import functools
import warnings

import numpy as np

import hebt
from hebt import io, prepare, validation

from .. import datasets
from ..fidelity import fidelity

OFFSETS = (-12, -8, -4, -2, 0, 2, 4, 8, 12)
DEPTHS = (16, 24, 32, 40, 48, 56, 64, 80, 96)


@dataclasses.dataclass(frozen=True)
class DustSettings:
    """What the chapter takes from the series, and how large it runs; lengths in recorded pixels."""

    binning: int  # pixels that become one for the reconstructions
    coarse: int  # ... and for the tilts held out
    held: tuple[float, ...]  # degrees
    # X-ray lines that are mapped, what their backgrounds keep clear of (lines or keV), and the
    # elements that are reconstructed
    lines: tuple[str, ...] = (
        *("C_Ka", "O_Ka", "Mg_Ka", "Si_Ka", "Fe_Ka", "Pt_Ma"),
        *("Ga_Ka", "Ti_Ka", "Cu_Ka"),
    )
    avoid: tuple[str | tuple[float, float], ...] = ("Ga_La", "Fe_La", "Cu_La", "Pt_La", (-1, 0.16))
    kept: tuple[str, ...] = ("C", "O", "Mg", "Si", "Fe", "Pt")
    # the strip that lies in every image: across the tilt axis, along it, and its thickness
    size: int = 192
    slices: int = 240
    depth: int = 48
    # the kernel that smooths the maps
    width: int = 12
    sigma: float = 4.0
    # weights and numbers of iterations with which held-out tilts are predicted
    alphas: tuple[float, ...] = (0.3, 0.7)
    stops: tuple[int, ...] = (5, 10, 20, 50, 100, 200)

    def __post_init__(self):
        for name in ("binning", "coarse"):
            factor = getattr(self, name)
            if self.size % factor or self.slices % factor:
                raise ValueError(
                    f"{name} is {factor}; expected a divisor of {self.size} and {self.slices}."
                )

    @property
    def strip(self) -> dict[str, int]:
        """The strip, as `hebt.prepare` takes it."""
        return {"size": self.size, "slices": self.slices}


def settings() -> DustSettings:
    """Return the settings for the fidelity at hand."""
    if fidelity() == "quick":
        return DustSettings(binning=4, coarse=8, held=(-10, 10))
    return DustSettings(binning=2, coarse=4, held=(-30, -10, 10, 30))


@dataclasses.dataclass(frozen=True, eq=False)
class DustStudy:
    """The measured series, read and aligned."""

    settings: DustSettings
    series: io.TiltSeries  # as it was read
    # (tilts, 2): shifts found from neighbours, from the reprojection, and by the data's authors
    neighbors: np.ndarray
    shifts: np.ndarray
    manual: np.ndarray
    aligned: np.ndarray  # (tilts, rows, columns): HAADF images moved by `shifts`
    aligned_maps: np.ndarray  # (elements, tilts, rows, columns)
    # pixels -> reprojection residual, with the tilt axis moved, and with the depth changed
    by_offset: dict[int, float]
    by_depth: dict[int, float]

    @property
    def angles(self) -> np.ndarray:
        return self.series.angles

    @property
    def elements(self) -> tuple[str, ...]:
        return self.series.elements

    @property
    def pixel_size(self) -> float:
        """Side of a binned pixel, in nm."""
        return self.series.pixel_size * self.settings.binning

    @functools.cached_property
    def haadf(self) -> np.ndarray:
        """(tilts, slices, size): the strip's HAADF images, binned."""
        return self.binned(self.aligned) / self.settings.binning**2

    @functools.cached_property
    def maps(self) -> np.ndarray:
        """(elements, tilts, slices, size): the strip's element maps, smoothed and binned."""
        return self.binned(self.smoothed())

    @property
    def slab(self) -> np.ndarray:
        """(size, size): where the section can be, in a binned slice."""
        factor = self.settings.binning
        return prepare.slab_mask(self.settings.size // factor, self.settings.depth / factor)

    def smoothed(self) -> np.ndarray:
        """Return the aligned maps after smoothing, before binning."""
        width, sigma = self.settings.width, self.settings.sigma
        return prepare.smooth(self.aligned_maps, width=width, sigma=sigma, axis=(-2, -1))

    def cropped(self, images) -> np.ndarray:
        """Return the strip that lies in every image."""
        return prepare.crop_flat(images, self.angles, **self.settings.strip)

    def binned(self, images, factor: int | None = None) -> np.ndarray:
        """Return the same with blocks of pixels added up."""
        return prepare.bin_images(self.cropped(images), factor or self.settings.binning)


def study() -> DustStudy:
    """Read the series, make its maps, and align it."""
    now = settings()
    with warnings.catch_warnings():
        # titanium's L lines lie in the background of oxygen; the chapter says so
        warnings.filterwarnings("ignore", ".*: Ti has lines of its L shell", UserWarning)
        series = datasets.read_tilt_series("dust", "*.bcf", lines=now.lines, avoid=now.avoid)
    neighbors = prepare.estimate_shifts(series.haadf)
    images = series.haadf, series.angles
    within = {"depth": now.depth, **now.strip}
    shifts = prepare.refine_alignment(*images, neighbors, hebt.sirt, **within).shifts
    (by_hand,) = datasets.locate("dust", "*.json")

    def residual(**change):
        return prepare.reprojection_residual(*images, shifts, hebt.sirt, **within | change)

    return DustStudy(
        settings=now,
        series=series,
        neighbors=neighbors,
        shifts=shifts,
        manual=io.read_tomviz_shifts(by_hand, tilts=range(-50, 51, 5), keep=series.angles),
        aligned=prepare.apply_shifts(series.haadf, shifts),
        aligned_maps=prepare.apply_shifts(series.maps, shifts),
        by_offset={offset: residual(offset=offset) for offset in OFFSETS},
        by_depth={depth: residual(depth=depth) for depth in DEPTHS},
    )


def keep(study: DustStudy) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names and the maps of the elements that are reconstructed."""
    kept = study.settings.kept
    return kept, study.maps[[study.elements.index(name) for name in kept]]


def mass_stages(study: DustStudy) -> dict[str, float]:
    """Say how constant the row sums are after each step: label -> value."""
    stages = {
        "as recorded": study.series.haadf,
        "the same strip": study.cropped(study.series.haadf),
        "the same strip, aligned": study.cropped(study.aligned),
        "... if the axis were horizontal": study.cropped(study.aligned.mT),
    }
    return {label: prepare.mass_inconsistency(images) for label, images in stages.items()}


def totals(study: DustStudy) -> dict[str, np.ndarray]:
    """Return each signal's total in the strip over the tilts, (tilts,), relative to its mean."""
    signals = {"HAADF": study.aligned} | dict(zip(study.elements, study.aligned_maps))
    for name, images in signals.items():
        total = study.cropped(images).sum(axis=(1, 2), dtype=float)
        signals[name] = total / total.mean()
    return signals


def held_out(study: DustStudy) -> validation.HeldOut:
    """Predict the maps of tilts that were left out, at a coarse size."""
    now = study.settings
    factor, size = now.coarse, now.size // now.coarse
    kept = [study.elements.index(name) for name in now.kept]
    with warnings.catch_warnings():
        # the chapter has said that ratios differ between tilts
        warnings.simplefilter("ignore", UserWarning)
        return validation.leave_one_out(
            study.angles,
            study.binned(study.aligned, factor) / factor**2,
            study.binned(study.smoothed()[kept], factor),
            targets=study.binned(study.aligned_maps[kept], factor),
            held=now.held,
            alphas=now.alphas,
            stops=now.stops,
            mask=prepare.slab_mask(size, now.depth / factor),
            margin=size // 6,
            names=now.kept,
        )
