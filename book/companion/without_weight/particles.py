"""Both simulated particles, from raw maps: neighboring slices about the middle."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

import hebt
from hebt import metrics, prepare

from ..fidelity import fidelity
from ..paper import value
from ..particles.composition import Shells
from ..particles.experiment import seed_settings
from ..particles.measures import ALPHA
from ..particles.truth import Truth
from ..spectra.processing import ProcessedSeries, process
from ..spectra.settings import specimen
from ..store import cached
from .runs import STRENGTH

# of composition EM, as a share of the field: what first trials took for an alloy of 128 voxels a
# side, and for the phantom, which has separate phases as the octahedron
KERNELS = {"alloy": 4 / 128, "nonalloy": 4 / 512}
BAND = 12 / 300  # share of the slices, about the middle, which the kernel joins
SCORED = 3  # each one of this number is scored
EDS_EARLY, HEBT_EARLY = 20, 100  # near the best stop of an alloy in these trials
LATE = 200
ITERATIONS = {"fused": hebt.Fused.iterations, "em": 50, "tv": 300}


@dataclasses.dataclass(frozen=True, eq=False)
class ParticleComparison:
    """What the methods make of a simulated particle; a run is a method and its iterations."""

    particle: str
    size: int
    seeds: tuple[int, ...]
    slices: int  # that are reconstructed together, about the middle
    scored: int
    kernel: float  # voxels
    elements: tuple[str, ...]
    runs: tuple[tuple[str, int], ...]
    mse: np.ndarray  # (runs, elements, seeds), relative to the true volume fractions
    # of the alloy, (runs, seeds), NaN where a run has not all seeds: atomic fraction of Au
    voxel_error: np.ndarray
    profiles: np.ndarray  # (runs, seeds, shells)
    radius: np.ndarray  # (shells,), nm
    true_profile: np.ndarray
    pictures: dict[tuple, np.ndarray]  # run, or "truth" -> (elements, size, size), one slice

    def profile_error(self) -> np.ndarray:
        """Return the root mean square error over the shells, (runs, seeds)."""
        return np.sqrt(((self.profiles - self.true_profile) ** 2).mean(axis=-1))

    def slope(self) -> np.ndarray:
        """Return the slope of the found profiles over the true one, (runs, seeds): 1 is right."""
        true = self.true_profile - self.true_profile.mean()
        away = self.profiles - self.profiles.mean(axis=-1, keepdims=True)
        return (away @ true) / (true @ true)

    def place(self, method: str, iterations: int | None = None) -> int:
        """Return which run this is; the first of the method, if no number is given."""
        wanted = [i for i, run in enumerate(self.runs) if run == (method, iterations or run[1])]
        return wanted[0]


def particle_comparison(which: str, *, seeds=None, **changes) -> ParticleComparison:
    """Reconstruct a simulated particle from its processed maps, and from raw ones.

    EDS alone, HEBT and fusing take the processed maps of the paper's chain; composition EM and
    guided TV (first seed only) take raw maps, aligned and normalized like them, and their variance.
    `changes` are other settings, as in `companion.spectra.settings`.
    """
    if seeds is None and fidelity() == "paper":
        seeds = range(5 if which == "alloy" else 3)
    return _particle_comparison(seed_settings(which, seeds, changes))


class Taken(NamedTuple):
    """What the methods take of one seed: neighboring slices, and some of them."""

    haadf: np.ndarray  # (tilts, slices, size)
    raw: np.ndarray  # (elements, tilts, slices, size), as `raw_maps`
    raw_variance: np.ndarray
    maps: np.ndarray  # processed ones of the scored slices
    variance: np.ndarray
    ratios: np.ndarray  # (elements,)
    factors: np.ndarray  # (elements,): HAADF intensity per density


def _take(settings, band, picks) -> Taken:
    series = process(settings)
    raw, raw_variance = raw_maps(series, band)
    maps, variance = (
        np.ascontiguousarray(each[:, :, band][:, :, picks])
        for each in (series.maps, series.variance)
    )
    haadf = np.ascontiguousarray(series.haadf[:, band])
    ratios = np.asarray(series.fit.ratios, float)
    return Taken(haadf, raw, raw_variance, maps, variance, ratios, series.zeta * ratios)


@cached
def _particle_comparison(settings):
    now, truth = settings[0], Truth(specimen(settings[0]))
    size = now.size
    band, picks = band_of(size)
    scored = truth.part(band).part(picks)
    shells = Shells(scored) if now.particle == "alloy" else None
    taken = [_take(one, band, picks) for one in settings]
    W = hebt.Projector(np.array(now.angles), size)
    found = _from_processed(W, taken, picks, value(ALPHA[now.particle]))
    kernel = KERNELS[now.particle] * size
    for k, one in enumerate(taken):
        for run, x in _from_raw(W, one, picks, kernel, k == 0):
            found.setdefault(run, {})[k] = x
    runs = tuple(found)
    mse = np.full((len(runs), 2, len(settings)), np.nan)
    voxel_error = np.full((len(runs), len(settings)), np.nan)
    profiles = np.full((*voxel_error.shape, len(shells.radius) if shells else 0), np.nan)
    for (i, run), k in itertools.product(enumerate(runs), range(len(settings))):
        x = found[run].get(k)
        if x is not None:
            pairs = zip(scored.fractions(), x, strict=True)
            mse[i, :, k] = [metrics.scaled_mse(*pair) for pair in pairs]
            if shells:
                profiles[i, k], voxel_error[i, k] = shells.measure(x, taken[k].factors)
    middle = len(scored.numbers) // 2
    pictures = {run: (scored.scale(x[0]) * x[0])[:, middle] for run, x in found.items()}
    return ParticleComparison(
        particle=now.particle,
        size=size,
        seeds=tuple(one.seed for one in settings),
        slices=band.stop - band.start,
        scored=len(scored.numbers),
        kernel=kernel,
        elements=tuple(specimen(now).elements),
        runs=runs,
        mse=mse,
        voxel_error=voxel_error,
        profiles=profiles,
        radius=shells.radius if shells else np.empty(0),
        true_profile=shells.profile if shells else np.empty(0),
        pictures=pictures | {"truth": scored.fractions()[:, middle]},
    )


def band_of(size: int) -> tuple[slice, slice]:
    """Return the band of slices about the middle, and which of them are scored."""
    count = max(SCORED * 2, round(BAND * size))
    first = (size - count) // 2
    return slice(first, first + count), slice(SCORED // 2, count, SCORED)


def raw_maps(series: ProcessedSeries, band: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return raw maps of a band, normalized and aligned like the processed ones, and variance."""
    steps = series.steps
    maps = steps.raw_maps - steps.offset[:, None, None, None]
    maps = prepare.normalize_tilts(maps, steps.response)
    variance = prepare.normalize_tilts(steps.raw_variance, steps.response**2)
    # means move with the images, as what was taken off as background does
    moved = (prepare.apply_shifts(each, steps.map_shifts) for each in (maps, variance))
    maps, variance = (np.ascontiguousarray(each[:, :, band]) for each in moved)
    return maps, variance


def _from_processed(W, taken, picks, alpha):
    """Run what takes processed maps.

    Slices are alone there, so that all seeds are one batch; but fusing estimates HAADF's noise from
    all that it gets, so that it has each seed by itself. Return run -> seed -> x, (elements, scored
    slices, size, size).
    """
    count = len(taken)
    haadf = np.concatenate([one.haadf[:, picks] for one in taken], axis=1)
    maps = np.concatenate([one.maps for one in taken], axis=2)
    each = taken[0].maps.shape[2]
    ratios = np.repeat(np.stack([one.ratios for one in taken], axis=1), each, axis=1)
    data, found = (W, haadf, maps, ratios), {}
    for name, weight, early in (("eds", 0.0, EDS_EARLY), ("hebt", alpha, HEBT_EARLY)):
        keep = hebt.Snapshots((early, LATE), np.array)
        hebt.reconstruct(*data, weight, LATE, callback=keep)
        found |= {(name, n): keep[n] for n in (early, LATE)}
    seeds = {run: dict(enumerate(np.split(x, count, axis=1))) for run, x in found.items()}
    n = ITERATIONS["fused"]
    seeds["fused", n] = {}
    for k, one in enumerate(taken):
        own, method = (W, one.haadf[:, picks], one.maps), hebt.Fused(variance=one.variance)
        seeds["fused", n][k] = hebt.reconstruct(*own, one.ratios, None, n, method=method)
    return seeds


def _from_raw(W, one, picks, kernel, first):
    """Run what takes raw maps: run and x, (elements, scored slices, size, size)."""
    methods = {"em": hebt.CompositionEM(kernel, variance=one.raw_variance)}
    if first:
        methods["tv"] = hebt.GuidedTV(STRENGTH, variance=one.raw_variance, along=True)
    for name, method in methods.items():
        n = ITERATIONS[name]
        x = hebt.reconstruct(W, one.haadf, one.raw, one.ratios, None, n, method=method)
        yield (name, n), x[:, picks]
