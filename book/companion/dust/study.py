"""What the chapter on a measured series does with it, step by step."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from dataclasses import replace

import numpy as np

import hebt
from hebt import io, prepare

from .. import datasets
from ..fidelity import fidelity
from ..store import cached

OFFSETS = (-12, -8, -4, -2, 0, 2, 4, 8, 12)
DEPTHS = (16, 24, 32, 40, 48, 56, 64, 80, 96)


@dataclasses.dataclass(frozen=True)
class DustSettings:
    """What the chapter takes from the series, and how large it runs; lengths in recorded pixels."""

    binning: int  # pixels that become one for the reconstructions
    coarse: int  # ... and for the tilts and counts held out
    held: tuple[float, ...]  # degrees: the tilts whose error is followed over the iterations
    judges: tuple[float, ...] = ()  # ... and those that judge all methods
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
    # elements that rise and fall together over the tilts, by the detectors' shadows alone
    shadowed: tuple[str, ...] = ("Mg", "Si", "Fe", "Pt")
    # weights and numbers of iterations with which held-out tilts are predicted
    alphas: tuple[float, ...] = (0.3, 0.7)
    stops: tuple[int, ...] = (5, 10, 20, 50, 100)
    # random parts into which the counts are split, and how many units choose for each that judges
    parts: int = 5
    seed: int = 0
    inner: int = 2
    # kernels of composition EM in coarse pixels, and stops, among which those choose
    kernels: tuple[float, ...] = (0.5, 0.7, 1.0)
    em_stops: tuple[int, ...] = (20, 30)
    sirt_stops: tuple[int, ...] = (10, 20, 40, 80)
    smooth_stops: tuple[int, ...] = (80, 200)  # of EDS alone from smoothed maps
    fused_stops: tuple[int, ...] = (5, 10, 20, 30)

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
        few = {"parts": 3, "kernels": (0.5, 1.0), "em_stops": (10,), "sirt_stops": (20,)}
        few |= {"smooth_stops": (20,)}
        few |= {"fused_stops": (10,), "stops": (5, 10, 20, 50)}
        return DustSettings(binning=4, coarse=8, held=(-10, 10), judges=(-25, -5, 15), **few)
    judges = tuple(range(-35, 26, 10))
    return DustSettings(binning=2, coarse=4, held=(-30, -10, 10, 30), judges=judges)


@dataclasses.dataclass(frozen=True, eq=False)
class DustStudy:
    """The measured series, read and aligned."""

    settings: DustSettings
    series: io.TiltSeries  # as it was read
    # (tilts, 2): shifts found from neighbors, from the reprojection, and by the data's authors
    neighbors: np.ndarray
    shifts: np.ndarray
    manual: np.ndarray
    # (parts, elements, tilts, slices, size): coarse maps of random parts of the counts, of the
    # elements that are kept, as counted and smoothed, and the variance of those as counted
    parts: np.ndarray
    parts_smoothed: np.ndarray
    parts_variance: np.ndarray
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
    def aligned(self) -> np.ndarray:
        """(tilts, rows, columns): HAADF images moved by `shifts`."""
        return prepare.apply_shifts(self.series.haadf, self.shifts)

    @functools.cached_property
    def aligned_maps(self) -> np.ndarray:
        """(elements, tilts, rows, columns): element maps moved by `shifts`, as counted."""
        return prepare.apply_shifts(self.series.maps, self.shifts)

    @functools.cached_property
    def haadf(self) -> np.ndarray:
        """(tilts, slices, size): the strip's HAADF images, binned."""
        return self.binned(self.aligned) / self.settings.binning**2

    @functools.cached_property
    def maps(self) -> np.ndarray:
        """(elements, tilts, slices, size): the strip's element maps, smoothed and binned."""
        return self.normalized(self.binned(self.smoothed()))

    @functools.cached_property
    def response(self) -> np.ndarray:
        """(tilts,): which share of the X-rays the detectors' shadows let through."""
        seen = [self.elements.index(name) for name in self.settings.shadowed]
        return prepare.tilt_response(self.cropped(self.aligned_maps[seen]))

    def normalized(self, maps) -> np.ndarray:
        """Return maps, (..., elements, tilts, slices, size), as all tilts would have counted."""
        return (maps / self.response[:, None, None]).astype(np.float32)

    @property
    def slab(self) -> np.ndarray:
        """(size, size): where the section can be, in a binned slice."""
        factor = self.settings.binning
        return prepare.slab_mask(self.settings.size // factor, self.settings.depth / factor)

    def smoothed(self) -> np.ndarray:
        """Return the aligned maps after smoothing, before binning."""
        return _smoothed(self.settings, self.aligned_maps)

    def cropped(self, images) -> np.ndarray:
        """Return the strip that lies in every image."""
        return prepare.crop_flat(images, self.angles, **self.settings.strip)

    def binned(self, images, factor: int | None = None) -> np.ndarray:
        """Return the same with blocks of pixels added up."""
        return prepare.bin_images(self.cropped(images), factor or self.settings.binning)

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """(elements, tilts, slices, size): that of `maps`, which are smoothed."""
        now = self.settings
        given = now, self.series.variance, self.angles, self.shifts, now.binning
        carried = _carried(*given, width=now.width, sigma=now.sigma)
        return self.normalized(self.normalized(carried))

    def counted(self, factor: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps of the elements that are kept, as counted, and their variance."""
        kept = [self.elements.index(name) for name in self.settings.kept]
        variance = self.series.variance[kept]
        carried = _carried(self.settings, variance, self.angles, self.shifts, factor)
        maps = self.binned(self.aligned_maps[kept], factor)
        return self.normalized(maps), self.normalized(self.normalized(carried))

    @functools.cached_property
    def coarse(self) -> Coarse:
        """What the tilts and counts held out are judged on."""
        now, factor = self.settings, self.settings.coarse
        kept = [self.elements.index(name) for name in now.kept]
        return Coarse(
            haadf=self.binned(self.aligned, factor) / factor**2,
            maps=self.counted(factor)[0],
            smoothed=self.normalized(self.binned(self.smoothed()[kept], factor)),
            variance=self.counted(factor)[1],
            parts=self.normalized(self.parts),
            parts_smoothed=self.normalized(self.parts_smoothed),
            parts_variance=self.normalized(self.normalized(self.parts_variance)),
            mask=prepare.slab_mask(now.size // factor, now.depth / factor),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Coarse:
    """The elements that are kept, in large pixels, each tilt divided by its response."""

    haadf: np.ndarray  # (tilts, slices, size)
    maps: np.ndarray  # (elements, tilts, slices, size), as counted, less background
    smoothed: np.ndarray
    variance: np.ndarray  # of `maps`
    parts: np.ndarray  # (parts, elements, tilts, slices, size)
    parts_smoothed: np.ndarray
    parts_variance: np.ndarray
    mask: np.ndarray  # (size, size)


def study() -> DustStudy:
    """Read the series, make its maps, and align it."""
    return _study(datasets.stamps("dust", "*.bcf"), datasets.stamps("dust", "*.json"), settings())


@cached
def _study(files, by_hand, now) -> DustStudy:
    with warnings.catch_warnings():
        # titanium's L lines lie in the background of oxygen; the chapter says so
        warnings.filterwarnings("ignore", ".*: Ti has lines of its L shell", UserWarning)
        series = io.read_tilt_series(
            [path for path, *_ in files],
            lines=now.lines,
            avoid=now.avoid,
            parts=now.parts,
            seed=now.seed,
        )
    neighbors = prepare.estimate_shifts(series.haadf)
    images = series.haadf, series.angles
    within = {"depth": now.depth, **now.strip}
    shifts = prepare.refine_alignment(*images, neighbors, hebt.sirt, **within).shifts

    def residual(**change):
        return prepare.reprojection_residual(*images, shifts, hebt.sirt, **within | change)

    parts, smoothed, variance = _coarse_parts(now, series, shifts)
    return DustStudy(
        settings=now,
        series=replace(series, parts=None, part_variance=None),
        neighbors=neighbors,
        shifts=shifts,
        manual=io.read_tomviz_shifts(by_hand[0][0], tilts=range(-50, 51, 5), keep=series.angles),
        parts=parts,
        parts_smoothed=smoothed,
        parts_variance=variance,
        by_offset={offset: residual(offset=offset) for offset in OFFSETS},
        by_depth={depth: residual(depth=depth) for depth in DEPTHS},
    )


def _smoothed(now: DustSettings, maps) -> np.ndarray:
    return prepare.smooth(maps, width=now.width, sigma=now.sigma, axis=(-2, -1))


def _coarse_parts(now: DustSettings, series: io.TiltSeries, shifts) -> list[np.ndarray]:
    """Return the maps of parts of the counts, as counted and smoothed, and their variance."""
    factor = now.coarse
    kept = series.pick(*(line for line in series.lines if line.split("_")[0] in now.kept))
    maps = prepare.apply_shifts(kept.parts, shifts)
    both = [
        prepare.bin_images(prepare.crop_flat(m, series.angles, **now.strip), factor)
        for m in (maps, _smoothed(now, maps))
    ]
    return [*both, _carried(now, kept.part_variance, series.angles, shifts, factor)]


def _carried(now: DustSettings, variance, angles, shifts, factor: int, **kernel) -> np.ndarray:
    """Return the variance of maps after shifts, smoothing, the strip, and binning."""
    kernel = kernel or {"width": 1, "sigma": 1}
    moved = prepare.smooth_variance(
        variance, axis=(-2, -1), shifts=shifts, binning=factor, **kernel
    )
    strip = {name: pixels // factor for name, pixels in now.strip.items()}
    for _ in range(2):  # the soft edge of the strip is squared
        moved = prepare.crop_flat(moved, angles, **strip, edge=8 / factor)
    return moved


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


def totals(study: DustStudy, *, corrected: bool = False) -> dict[str, np.ndarray]:
    """Return each signal's total in the strip over the tilts, (tilts,), relative to its mean.

    That of X-rays is divided by the detectors' response, if `corrected`.
    """
    signals = {"HAADF": study.aligned} | dict(zip(study.elements, study.aligned_maps))
    for name, images in signals.items():
        total = study.cropped(images).sum(axis=(1, 2), dtype=float)
        if corrected and name != "HAADF":
            total = total / study.response
        signals[name] = total / total.mean()
    return signals


def likeness(study: DustStudy) -> np.ndarray:
    """Return the cosines of the maps, less what noise adds, (elements, elements)."""
    inside = study.haadf > 0
    maps = study.maps[:, inside].astype(float)
    products = maps @ maps.T - np.diag(study.variance[:, inside].sum(axis=1, dtype=float))
    norms = np.sqrt(np.diag(products))
    return products / np.outer(norms, norms)


def fit_and_doubts(study: DustStudy, names) -> tuple[hebt.ResponseRatios, list[str]]:
    """Fit the ratios of these elements with the maps' noise taken off, and what is doubtful."""
    rows = [study.elements.index(name) for name in names]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = hebt.response_ratios(
            study.haadf, study.maps[rows], names, variance=study.variance[rows]
        )
    return fit, [str(warning.message) for warning in caught]


def ratios_by_tilt(study: DustStudy) -> tuple[np.ndarray, np.ndarray]:
    """Fit the response ratios to each tilt alone: them and their errors, (tilts, elements)."""
    names, maps = keep(study)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some come out as 0, which is what is shown
        fits = [
            hebt.response_ratios(study.haadf[[t]], maps[:, [t]], names, variance=None)
            for t in range(len(study.angles))
        ]
    return np.array([f.ratios for f in fits]), np.array([f.standard_errors for f in fits])
