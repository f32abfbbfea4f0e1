"""What the experiments with both particles share: seeds, slices, runs and their results."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..fidelity import fidelity
from ..scores import Scores
from ..spectra.processing import process
from ..spectra.settings import ParticleSettings
from ..spectra.settings import settings as particle_settings
from .measures import ELEMENTS, METHODS
from .scoring import Scorer
from .views import Views


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ParticleStudy:
    """Results that both particles have, over noise seeds."""

    settings: tuple[ParticleSettings, ...]  # one for each seed
    voxel_size: float  # nm
    step: int  # how far the slices are apart in which scores are taken
    ratios: np.ndarray  # (seeds, elements): of the fit that reconstructions use
    plain_ratios: np.ndarray  # (seeds, elements): of the paper's fit, noise left in
    true_ratios: np.ndarray  # (seeds, elements)
    r_squared: np.ndarray  # (seeds,), of the paper's fit
    mixing: np.ndarray  # (seeds,): most that a map takes from the other element, or loses
    # reference -> Scores; "dp" counts voxels of a volume of the paper's size, "ssim_windowed" is
    # taken at the paper's iteration only, NaN elsewhere
    scores: dict[str, Scores]
    views: Views  # of the first seed

    @property
    def iterations(self) -> int:
        """The paper's number of iterations."""
        return self.scores["true"].printed

    @property
    def checkpoints(self) -> np.ndarray:
        """Iterations at which scores were taken, (checkpoints,)."""
        return self.scores["true"].iterations


def seed_settings(which: str, seeds, changes: dict) -> tuple[ParticleSettings, ...]:
    """Return settings for each seed; if None, five at paper fidelity and two at quick."""
    seeds = range(2 if fidelity() == "quick" else 5) if seeds is None else seeds
    if np.ndim(seeds) == 0 or len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds is {seeds!r}; expected a list of seeds without repeats, such as range(3)."
        )
    return tuple(particle_settings(which, seed=seed, **changes) for seed in seeds)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which slices are reconstructed, and how."""

    shown: slice  # of the first seed, for the pictures
    every: int  # of these, each one of this number is scored; other seeds have only those
    alpha: float  # of HEBT; EDS alone is the same with 0
    iterations: int  # the paper's number
    checkpoints: np.ndarray  # iterations at which scores are taken

    @property
    def scored(self) -> slice:
        """The slices that are scored."""
        return slice(self.shown.start, self.shown.stop, self.shown.step * self.every)


FOUND = ("ratios", "plain_ratios", "true_ratios", "r_squared", "mixing")


class Run:
    """Reconstructions of one seed; `pictures` says whether it is the first."""

    def __init__(self, settings: ParticleSettings, plan: Plan, *, pictures: bool):
        self.series, self.plan = process(settings), plan
        self.W = hebt.Projector(self.series.angles, settings.size)
        self.slices, self.every = (plan.shown, plan.every) if pictures else (plan.scored, 1)

    def found(self) -> dict:
        """Return what the processing found, each of `FOUND`."""
        series = self.series
        fits = series.fit.ratios, series.plain.ratios, series.true_ratios
        numbers = series.plain.r_squared, series.mixing.worst
        return dict(zip(FOUND, map(np.asarray, (*fits, *numbers)), strict=True))

    def haadf(self):
        """Reconstruct HAADF alone, (slices, size, size)."""
        p = self.series.haadf[:, self.slices]
        return hebt.sirt(self.W, p, iterations=self.plan.iterations)

    def solve(self, method: str, slices: slice, iterations: int, **options):
        """Reconstruct some slices, (elements, slices, size, size)."""
        return hebt.reconstruct(
            self.W,
            self.series.haadf[:, slices],
            self.series.maps[:, :, slices],
            self.series.fit.ratios,
            self.plan.alpha if method == "hebt" else 0,
            iterations,
            **options,
        )

    def follow(self, method: str, scorer: Scorer):
        """Return x after the paper's iterations, its scored slices, and scores at checkpoints."""
        plan = self.plan
        early = plan.checkpoints <= plan.iterations
        keep = hebt.Snapshots(plan.checkpoints[early], lambda x: scorer(x[:, :: self.every]))
        x = self.solve(method, self.slices, plan.iterations, callback=keep)
        scored, scores = x[:, :: self.every], keep.values
        for reference, values in scorer.windowed(scored).items():
            scores[-1][reference]["ssim_windowed"] = values
        more = plan.checkpoints[~early] - plan.iterations
        if len(more):
            # on to find the best stop, only where it is scored
            keep = hebt.Snapshots(more, scorer)
            self.solve(method, plan.scored, int(more[-1]), x0=scored, callback=keep)
            scores += keep.values
        return x, scored, scores


def common_fields(settings, truth, plan: Plan, seeds, references) -> dict:
    """Put the results of all seeds together, as fields of `ParticleStudy`."""
    return {
        "settings": settings,
        "voxel_size": truth.voxel_size,
        "step": plan.scored.step,
        **{name: np.stack([seed["found"][name] for seed in seeds]) for name in FOUND},
        "scores": {reference: gather(seeds, plan, reference) for reference in references},
        "views": seeds[0]["views"],
    }


def over_seeds(values):
    """Stack arrays of all seeds along a last axis, also those within dictionaries."""
    if isinstance(values[0], dict):
        return {key: over_seeds([each[key] for each in values]) for key in values[0]}
    return np.stack(values, axis=-1)


def gather(seeds, plan: Plan, kind: str, elements=ELEMENTS) -> Scores:
    """Put together what a `Scorer` calls `kind`, over methods, seeds and checkpoints."""
    values = {}
    for name in seeds[0]["runs"][METHODS[0]][0][kind]:
        runs = [[[at[kind][name] for at in seed["runs"][m]] for seed in seeds] for m in METHODS]
        values[name] = np.moveaxis(runs, -1, 1)
    return Scores(values, METHODS, elements, plan.checkpoints, plan.iterations)
