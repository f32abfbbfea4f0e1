"""What the experiments with both particles share: seeds, slices, runs and their results."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..fidelity import fidelity
from ..scores import Scores
from ..spectra.settings import ParticleSettings
from ..spectra.settings import settings as particle_settings
from .measures import ELEMENTS, METHODS
from .scoring import Scorer
from .views import Views


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ParticleStudy:
    """Results that both particles have.

    Attributes
    ----------
    settings
        One for each noise seed, from `companion.spectra.settings`.
    voxel_size
        In nm.
    step
        Scores are taken in every slice of this number, in those that were looked at.
    ratios, r_squared
        (seeds, elements) and (seeds,): estimated from the processed series.
    scores
        Reference -> Scores. DP counts voxels of a volume of the paper's size; "ssim_windowed" is
        taken at the paper's iteration only, NaN elsewhere.
    views
        Pictures of the first seed.
    """

    settings: tuple[ParticleSettings, ...]
    voxel_size: float
    step: int
    ratios: np.ndarray
    r_squared: np.ndarray
    scores: dict[str, Scores]
    views: Views

    @property
    def iterations(self) -> int:
        """The paper's number of iterations."""
        return self.scores["true"].printed

    @property
    def checkpoints(self) -> np.ndarray:
        """Iterations at which scores were taken, (checkpoints,)."""
        return self.scores["true"].iterations


def seed_settings(which: str, seeds, changes: dict) -> tuple[ParticleSettings, ...]:
    """Return settings for each seed; if None, three at paper fidelity and two at quick."""
    seeds = range(2 if fidelity() == "quick" else 3) if seeds is None else seeds
    if np.ndim(seeds) == 0 or len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds is {seeds!r}; expected a list of seeds without repeats, such as range(3)."
        )
    return tuple(particle_settings(which, seed=seed, **changes) for seed in seeds)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which slices are reconstructed, and how.

    Attributes
    ----------
    shown
        Slices of the first seed, for the pictures.
    every
        Of these, each one of this number is scored; other seeds have only those.
    alpha
        HEBT's weight; EDS alone is the same with 0.
    iterations, checkpoints
        The paper's iterations, and at which ones scores are taken.
    """

    shown: slice
    every: int
    alpha: float
    iterations: int
    checkpoints: np.ndarray

    @property
    def scored(self) -> slice:
        """The slices that are scored."""
        return slice(self.shown.start, self.shown.stop, self.shown.step * self.every)


class Run:
    """Reconstructions from one processed series."""

    def __init__(self, series, plan: Plan, *, pictures: bool):
        self.series, self.plan = series, plan
        self.W = hebt.Projector(series.angles, series.haadf.shape[-1])
        self.slices, self.every = (plan.shown, plan.every) if pictures else (plan.scored, 1)

    def solve(self, method: str, slices: slice, iterations: int, maps=None, **options):
        """Reconstruct some slices, (elements, slices, size, size)."""
        maps = self.series.maps if maps is None else maps
        return hebt.reconstruct(
            self.W,
            self.series.haadf[:, slices],
            maps[:, :, slices],
            self.series.fit.ratios,
            self.plan.alpha if method == "hebt" else 0,
            iterations,
            **options,
        )

    def follow(self, method: str, scorer: Scorer):
        """Return x after the paper's iterations, and the scores at all checkpoints."""
        plan = self.plan
        early = plan.checkpoints <= plan.iterations
        keep = hebt.Snapshots(plan.checkpoints[early], lambda x: scorer(x[:, :: self.every]))
        x = self.solve(method, self.slices, plan.iterations, callback=keep)
        scores = keep.values
        for reference, values in scorer.windowed(x[:, :: self.every]).items():
            scores[-1][reference]["ssim_windowed"] = values
        more = plan.checkpoints[~early] - plan.iterations
        if len(more):
            # on to find the best stop, only in the slices that are scored
            keep = hebt.Snapshots(more, scorer)
            self.solve(method, plan.scored, int(more[-1]), x0=x[:, :: self.every], callback=keep)
            scores += keep.values
        return x, scores


def series_fields(seeds, plan: Plan, reference_names) -> dict:
    """Put the results of all seeds together, as fields of `ParticleStudy`."""
    return {
        "step": plan.scored.step,
        "ratios": np.stack([seed["ratios"] for seed in seeds]),
        "r_squared": np.array([seed["r_squared"] for seed in seeds], float),
        "scores": {
            name: Scores(
                over_runs(seeds, name), METHODS, ELEMENTS, plan.checkpoints, plan.iterations
            )
            for name in reference_names
        },
    }


def over_runs(seeds, kind: str) -> dict:
    """Return name -> (methods, [elements,] seeds, checkpoints) of what `Scorer` calls `kind`."""
    names = seeds[0]["runs"][METHODS[0]][0][kind]
    values = {
        name: np.array(
            [[[at[kind][name] for at in seed["runs"][m]] for seed in seeds] for m in METHODS]
        )
        for name in names
    }
    return {name: np.moveaxis(v, -1, 1) if v.ndim == 4 else v for name, v in values.items()}
