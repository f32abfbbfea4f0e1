"""All methods judged on the benchmark, by tilts and by counts that they have not seen."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter

import numpy as np

import hebt
from hebt import io, validation
from hebt.validation import Judged, Recipe

from .. import datasets
from ..judging import EDS, judging
from ..store import cached
from .study import BenchmarkSettings, BenchmarkStudy, folder, study

WEIGHT = 0.7
HEBT, FUSED = f"HEBT, α = {WEIGHT:g}", "fused by variance"
HARD, FREE, TV = "composition EM, hard", "composition EM, free", "guided TV"
POISSON = "EDS only, Poisson"  # composition EM with a guide that says nothing
CONTENDERS = (EDS, HEBT, FUSED, HARD, FREE, TV, POISSON)
PICTURED = (EDS, HEBT, FUSED, HARD, FREE, TV)


@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
    """What held-out tilts, and held-out counts, say of each contender."""

    tilts: Judged
    counts: Judged

    def recipe(self, contender: str) -> tuple[str, int]:
        """Return the recipe's name and the number of iterations that were chosen most often."""
        picks = self.tilts.chosen[contender] + self.counts.chosen[contender]
        return Counter(picks).most_common(1)[0][0]


def contenders(own: BenchmarkStudy, maps) -> dict[str, list[Recipe]]:
    """Return the recipes of each contender for such maps, among which held-out data choose.

    EDS alone, HEBT and fusing may take maps as counted or smoothed, the others take counts.
    """
    now = own.settings
    smooth, variance = own.smoothed(maps), own.variance(maps)
    guide = featureless(own)

    def weighed(alpha):
        return [
            Recipe(alpha, now.counted, name="as counted"),
            Recipe(alpha, now.smoothed, maps=smooth, name="smoothed"),
        ]

    def composed(total, **more):
        noise = 0.0 if more else None
        return [
            Recipe(
                hebt.CompositionEM(width / now.binning, total=total, haadf_noise=noise),
                now.em,
                name=f"kernel {width / now.binning:.2g}",
                **more,
            )
            for width in now.kernels
        ]

    fused = Recipe(hebt.Fused(variance=variance), now.fused, maps=smooth, name="smoothed")
    return {
        EDS: weighed(0.0),
        HEBT: weighed(WEIGHT),
        FUSED: [Recipe(hebt.Fused(), now.fused, name="as counted"), fused],
        HARD: composed("hard"),
        FREE: composed("free"),
        TV: [
            Recipe(hebt.GuidedTV(s, along=True), now.tv, name=f"strength {s:g}")
            for s in now.strengths
        ],
        POISSON: composed("free", haadf=guide),
    }


def featureless(own: BenchmarkStudy) -> np.ndarray:
    """Return HAADF images of a disc as wide as they are, which is the same everywhere."""
    W, haadf = own.W, own.series.haadf
    place = np.arange(W.size) - (W.size - 1) / 2
    disc = np.hypot(*np.meshgrid(place, place)) < W.size / 2
    images = W.forward(np.broadcast_to(disc.astype(np.float32), (haadf.shape[1], *disc.shape)))
    return images * (haadf.mean() / images.mean())


def judge(own: BenchmarkStudy) -> Judgement:
    """Judge all contenders, each with settings that others than its judges chose."""
    series = own.series
    return _judge(own.settings, series.angles, series.haadf, series.maps, series.elements)


def judge_if_here() -> Judgement | None:
    """Judge the series where it is on this machine, for other chapters; else None."""
    try:
        place = folder()
    except datasets.MissingDataError:
        return None
    return judge(study(io.read(place)))


@cached
def _judge(now: BenchmarkSettings, angles, haadf, maps, elements) -> Judgement:
    own = BenchmarkStudy(now, io.TiltSeries.from_arrays(haadf, maps, angles=angles))
    like = {"inner": now.inner, "names": elements, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # ratios of parts of few counts differ
        return Judgement(
            tilts=validation.nested(
                angles,
                haadf,
                maps,
                contenders(own, maps),
                held=now.judges,
                variance=judging(maps),
                scale=False,
                **like,
            ),
            counts=validation.nested_counts(
                angles,
                haadf,
                own.parts,
                contenders(own, own.parts),
                variance=judging(own.parts),
                **like,
            ),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Volumes:
    """Reconstructions in HAADF intensity per voxel."""

    elements: tuple[str, ...]
    haadf: np.ndarray  # (slices, size, size): HAADF alone
    x: dict[str, np.ndarray]  # method -> (elements, slices, size, size)
    recipes: dict[str, tuple[str, int]]  # method -> what it was made by


def volumes(own: BenchmarkStudy, judgement: Judgement) -> Volumes:
    """Reconstruct by each method, with the recipe that held-out data chose most often."""
    recipes = {name: judgement.recipe(name) for name in PICTURED}
    series = own.series
    given = series.angles, series.haadf, series.maps, series.elements
    return _volumes(own.settings, *given, recipes)


@cached
def _volumes(now: BenchmarkSettings, angles, haadf, maps, elements, recipes) -> Volumes:
    series = io.TiltSeries.from_arrays(haadf, maps, angles=angles, elements=elements)
    own = BenchmarkStudy(now, series)
    ratios, known, found = series.ratios().ratios, contenders(own, maps), {}
    for name, (label, stop) in recipes.items():
        recipe = next(r for r in known[name] if r.label == label)
        taken = maps if recipe.maps is None else recipe.maps
        how = {"alpha": recipe.method}
        if not isinstance(recipe.method, float):
            how = {"method": recipe.method}
        found[name] = hebt.reconstruct(
            own.W, haadf, taken, ratios, iterations=stop, progress=False, **how
        )
    alone = hebt.sirt(own.W, haadf, 200, progress=False)
    return Volumes(elements, alone, found, recipes)


def choose(own: BenchmarkStudy) -> hebt.Choice:
    """Let counts that were held out choose composition EM's kernel and its sum."""
    series = own.series
    return _choose(own.settings, series.angles, series.haadf, series.maps)


@cached
def _choose(now: BenchmarkSettings, angles, haadf, maps) -> hebt.Choice:
    series = io.TiltSeries.from_arrays(haadf, maps, angles=angles)
    W = hebt.Projector(angles, maps.shape[-1])
    tried = [width / now.binning for width in now.kernels] if len(now.kernels) == 1 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # doubts are shown with the choice
        return hebt.choose(
            W,
            haadf,
            maps,
            series.ratios().ratios,
            kernels=tried,
            totals=("hard", "free"),
            iterations=now.em[0],
            seed=now.seed,
            progress=False,
        )
