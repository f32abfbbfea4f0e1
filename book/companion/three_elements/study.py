"""A published benchmark of three elements: read, cropped and binned, and its response ratios."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from pathlib import Path

import numpy as np

import hebt
from hebt import io, prepare

from .. import datasets
from ..fidelity import fidelity

SERIES = "alsiyb"


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings:
    """How large the chapter runs, and what held-out data may choose from; in recorded pixels."""

    binning: int  # pixels that become one, along the tilt axis and across it
    slices: int  # in the middle of the images
    judges: tuple[float, ...]  # degrees: the tilts that judge
    # widths of composition EM's kernel, and the smoothing of what EDS alone, HEBT and fusing may
    # take instead of maps as counted: the phantom's
    kernels: tuple[float, ...] = (2.0, 3.0, 4.2)
    width: int = 8
    sigma: float = 4.0
    strengths: tuple[float, ...] = (15.0, 60.0, 250.0)  # of guided TV
    # numbers of iterations
    counted: tuple[int, ...] = (10, 20, 40)  # of EDS alone and HEBT
    smoothed: tuple[int, ...] = (50, 100, 200)
    fused: tuple[int, ...] = (5, 10, 20)
    em: tuple[int, ...] = (50,)
    tv: tuple[int, ...] = (100,)
    size: int = 297  # across the tilt axis: the specimen, and a pixel or two
    parts: int = 5  # of the counts, at random
    inner: int = 2  # how many units choose for each that judges
    seed: int = 0

    def __post_init__(self):
        for name in ("size", "slices"):
            if getattr(self, name) % self.binning:
                raise ValueError(
                    f"{name} is {getattr(self, name)} and binning {self.binning}; expected a "
                    "multiple of it."
                )

    @property
    def smoothing(self) -> dict[str, float | tuple[int, int]]:
        """The kernel that smooths the maps, in binned pixels, as `hebt.prepare` takes it."""
        width = max(1, round(self.width / self.binning))
        return {"width": width, "sigma": self.sigma / self.binning, "axis": (-2, -1)}


def settings() -> BenchmarkSettings:
    """Return the settings for the fidelity at hand."""
    if fidelity() == "quick":
        few = {"kernels": (4.5,), "strengths": (250.0,), "counted": (20,), "smoothed": (20,)}
        few |= {"fused": (10,), "em": (10,), "tv": (10,), "parts": 3}
        return BenchmarkSettings(9, 18, judges=(-150, -90, -30), **few)
    return BenchmarkSettings(3, 24, judges=tuple(range(-160, 0, 30)))


@dataclasses.dataclass(frozen=True, eq=False)
class BenchmarkStudy:
    """What is reconstructed, and what judges it."""

    settings: BenchmarkSettings
    series: io.TiltSeries  # cropped and binned

    @property
    def W(self) -> hebt.Projector:
        return hebt.Projector(self.series.angles, self.series.maps.shape[-1])

    @functools.cached_property
    def parts(self) -> np.ndarray:
        """(parts, elements, tilts, slices, size): random parts of the counts."""
        now = self.settings
        return np.stack(hebt.split_counts(self.series.maps, seed=now.seed, parts=now.parts))

    def smoothed(self, maps) -> np.ndarray:
        """Return maps smoothed as the phantom's."""
        return prepare.smooth(maps, **self.settings.smoothing)

    def variance(self, maps) -> np.ndarray:
        """Return the variance that counts have once they are smoothed."""
        return prepare.smooth_variance(maps, **self.settings.smoothing)


def folder() -> Path:
    """Return the folder of the series' files, checked; nothing is downloaded."""
    return datasets.locate(SERIES)[0].parent


def study(series: io.TiltSeries) -> BenchmarkStudy:
    """Crop and bin the series, as the chapter works on it."""
    now = settings()
    return BenchmarkStudy(now, series.crop(size=now.size, slices=now.slices).bin(now.binning))


def whole(series: io.TiltSeries) -> BenchmarkStudy:
    """Bin the series as `study` does, with as many slices as it has."""
    now = settings()
    slices = series.maps.shape[2] // now.binning * now.binning
    now = dataclasses.replace(now, slices=slices)
    return BenchmarkStudy(now, series.crop(size=now.size, slices=slices).bin(now.binning))


def ratio_fits(series: io.TiltSeries) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Fit the ratios in several ways: name -> ratios and, where they are known, their errors."""
    haadf, maps, names = series.haadf, series.maps, series.elements
    first, second = hebt.split_counts(maps, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # which is what the chapter is about to say
        fits = {
            "plain least squares": hebt.response_ratios(haadf, maps, names, variance=None),
            "counting noise taken off": series.ratios(),
            "two halves of the counts": hebt.response_ratios(
                haadf, first + second, names, half=first
            ),
        }
    found = {name: (fit.ratios, fit.standard_errors) for name, fit in fits.items()}
    return {**found, "worked out by hand": (by_hand(haadf, maps), None)}


def by_hand(haadf, maps) -> np.ndarray:
    """Return the right ratios of raw counts, (elements,), without hebt.

    Poisson noise adds each map's total to the diagonal of the normal equations, which is its
    variance; so it is subtracted there.
    """
    inside = haadf > 0
    counts = maps[:, inside].astype(float)
    matrix = counts @ counts.T - np.diag(counts.sum(axis=1))
    return np.linalg.solve(matrix, counts @ haadf[inside].astype(float))
