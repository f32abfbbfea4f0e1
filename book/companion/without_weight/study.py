"""All methods on the paper's phantom: errors, their course over the iterations, and pictures."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..fidelity import fidelity
from ..phantom.data import PhantomSettings
from ..phantom.data import data as simulate_phantom
from ..phantom.study import study as paper_study
from ..store import cached
from .runs import Course, fitted_ratios, follow, noisy_series, reconstruct

SEEDS = 5  # the last ones of the phantom chapter
MOST = {"fused": 100, "em": 200}  # how far a run is followed beyond its stated stop
NEW = ("fused", "em", "tv")
SMALL = {"paper": 128, "quick": 64}  # a frame in which a bilateral kernel takes seconds


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomComparison:
    """Scores of all methods on the phantom over noise seeds."""

    settings: PhantomSettings
    elements: tuple[str, ...]
    truth: np.ndarray  # (elements, size, size)
    ratios: np.ndarray  # (elements, seeds): fitted to the raw counts
    true_ratios: np.ndarray  # (elements,)
    courses: dict[str, Course]
    pictures: dict[str, np.ndarray]  # (elements, size, size): densities of the first seed
    deviance: np.ndarray  # (iterations, elements): of the counts, by composition EM

    def error(self, method: str, *, stop: str = "stated", name: str = "mse") -> np.ndarray:
        """Return a method's score, (elements, seeds)."""
        return self.courses[method].at(stop, name)

    def ratio(self, method: str, other: str, stop: str) -> np.ndarray:
        """Return a method's MSE over that of another at a stop of that one: (elements, seeds)."""
        return self.error(method) / self.error(other, stop=stop)


def study(**changes) -> PhantomComparison:
    """Compare the methods on the phantom.

    EDS alone and HEBT are those of the phantom chapter, of which the last seeds count here; they
    have the ratios of the paper's fit, the others ratios fitted to the raw counts. `changes` are
    settings of that chapter.
    """
    settings = PhantomSettings.paper(**changes)
    return _study(settings)


@cached
def _study(settings):
    paper = paper_study(**vars(settings))
    own = dataclasses.replace(settings, seeds=settings.seeds[-SEEDS:])
    data = simulate_phantom(own)
    ratios = fitted_ratios(data)
    courses = {name: _of_paper(paper, data, name) for name in ("eds", "hebt")}
    pictures, history = {}, hebt.History()
    first = dataclasses.replace(data, counts=data.counts[:, :, :1], maps=data.maps[:, :, :1])
    for name, course in courses.items():
        stops = {e: int(n) for e, n in enumerate(course.best_iterations())}
        keep = hebt.Snapshots(sorted(set(stops.values())), lambda x: x[:, 0].copy())
        reconstruct(name, first, ratios[:, :1], max(stops.values()), callback=keep)
        scale = ratios[:, 0] * own.counts_per_density
        pictures[name] = np.stack([keep[n][e] / np.float32(scale[e]) for e, n in stops.items()])
    for name in NEW:
        options = {"history": history} if name == "em" else {}
        courses[name], pictures[name] = follow(
            name, data, ratios, most=MOST.get(name), late=("dp",), **options
        )
    return PhantomComparison(
        settings=own,
        elements=data.elements,
        truth=data.density,
        ratios=ratios,
        true_ratios=own.true_ratios,
        courses=courses,
        pictures=pictures,
        deviance=history.deviance[1:],
    )


def _of_paper(paper, data, name):
    """Return the course of a method of the phantom chapter, of the seeds that count here."""
    method = {"hebt": "hebt_est"}.get(name, name)
    scores = paper.scores
    norms = (data.density.astype(float) ** 2).mean(axis=(1, 2))
    found = {}
    for score in ("mse", "dp"):
        each = np.stack([scores.curve(score, method, e)[-SEEDS:] for e in paper.elements])
        found[score] = np.moveaxis(each, -1, 0)  # (checkpoints, elements, seeds)
    # a mean over pixels there, relative to the reference here
    found["mse"] = found["mse"] / norms[:, None]
    return Course(scores.iterations, scores.printed, found)


@dataclasses.dataclass(frozen=True, eq=False)
class KernelComparison:
    """Composition EM with a Gaussian and with a bilateral kernel, in a small frame."""

    size: int
    seeds: tuple[int, ...]
    gaussian: np.ndarray  # (elements, seeds): MSE
    bilateral: np.ndarray


def kernel_comparison(*, seeds=None, size: int | None = None) -> KernelComparison:
    """Compare both kernels of composition EM on the phantom."""
    seeds = range(2 if fidelity() == "quick" else 3) if seeds is None else seeds
    return _kernel_comparison(tuple(seeds), SMALL[fidelity()] if size is None else size)


@cached
def _kernel_comparison(seeds, size):
    data = noisy_series(seeds, size=size)
    ratios = fitted_ratios(data)
    errors = [follow(name, data, ratios)[0].at() for name in ("em", "bilateral")]
    return KernelComparison(size, seeds, *errors)
