"""The phantom study of section 4.1: Figure 4 and Table 1."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import simulate

from ..scores import Scores
from ..store import cached
from .data import PhantomSettings, estimate_all_ratios
from .data import data as simulate_phantom
from .measures import METHODS, SCORES, TABLE_1, as_scores, checkpoints, score, with_last


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomStudy:
    """Results of the phantom study."""

    settings: PhantomSettings
    elements: tuple[str, ...]
    true_ratios: np.ndarray  # (elements,): z/ζ
    mean_counts: np.ndarray  # (elements,): counts on a pixel with HAADF > 0, before smoothing
    ratios: np.ndarray  # (seeds, elements): estimated over the pixels with HAADF > 0
    r_squared: np.ndarray  # (seeds,)
    ratios_both: np.ndarray  # the same over the pixels at which both maps are above 0
    r_squared_both: np.ndarray
    scores: Scores  # of METHODS; those outside TABLE_1 at the paper's iteration only
    # (1 + elements, iterations): |p - W x| / |p| of HAADF, Au and Ag after each iteration of HEBT,
    # over all seeds and both kinds of ratios
    residuals: np.ndarray
    images: np.ndarray  # (methods, elements, size, size): densities of the first seed, at the end
    best_images: np.ndarray  # the same at the checkpoint where its MSE is lowest

    def pairs_won(self, *, by="HEBT", names=TABLE_1, **options):
        """Return the pairs (score, element) in which HEBT, or "EDS" alone, wins with every seed.

        Options are those of `Scores.gain`.
        """
        pairs = [(name, element) for name in names for element in self.elements]
        return [pair for pair in pairs if self.scores.outcome(*pair, **options) == by]

    def ratio_errors(self, *, both: bool = False) -> np.ndarray:
        """Return the relative errors of the estimated ratios in percent, (seeds, elements)."""
        ratios = self.ratios_both if both else self.ratios
        return 100 * (ratios / self.true_ratios - 1)

    def error_correlation(self, method: str) -> float:
        """Return the correlation of the density errors of Au and Ag inside the particle.

        Over the pixels of the first seed's final picture. -1 means that what one element has too
        much, the other has too little.
        """
        truth = simulate.phantom(self.settings.size).density
        errors = self.images[METHODS.index(method)].astype(np.float64) - truth
        inside = truth.sum(axis=0) > 0
        return float(np.corrcoef(errors[0][inside], errors[1][inside])[0, 1])


def study(**changes) -> PhantomStudy:
    """Run the phantom study of section 4.1: EDS alone, and HEBT with estimated and true ratios.

    The true ratios are z/ζ of the printed factors, which is not the paper's printed r_gt. All
    seeds and methods run as one batch each, and the scores are followed over the iterations.
    `changes` are settings to change: for instance ``dose=0.5``.
    """
    return _study(PhantomSettings.paper(**changes))


@cached
def _study(settings):
    data = simulate_phantom(settings)
    seeds = len(settings.seeds)
    ratios, r_squared = estimate_all_ratios(data)
    ratios_both, r_squared_both = estimate_all_ratios(data, both=True)
    true = settings.true_ratios

    # HEBT with either kind of ratios as one batch
    haadf, maps = np.tile(data.haadf_of_seeds, (1, 2, 1)), np.tile(data.maps, (1, 1, 2, 1))
    each = np.concatenate([ratios, np.tile(true, (seeds, 1))]).T
    counts = settings.counts_per_density[:, None]
    options = {"alpha": settings.alpha, "iterations": settings.iterations}
    history = hebt.History()
    bimodal, last, best = _follow(
        data,
        each[:, ::seeds] * counts,
        lambda keep: hebt.reconstruct(
            data.W, haadf, maps, each, **options, callback=keep, history=history
        ),
    )
    p = np.moveaxis(data.maps, 0, 1)
    eds, eds_last, eds_best = _follow(
        data, counts, lambda keep: hebt.sirt(data.W, p, settings.iterations, callback=keep)
    )
    inside = np.moveaxis(data.counts, 2, -1)[:, data.haadf > 0]
    return PhantomStudy(
        settings=settings,
        elements=data.elements,
        true_ratios=true,
        mean_counts=inside.mean(axis=(1, 2), dtype=np.float64),
        ratios=ratios,
        r_squared=r_squared,
        ratios_both=ratios_both,
        r_squared_both=r_squared_both,
        scores=as_scores(data, METHODS, [bimodal, eds]),
        residuals=_relative(history, haadf, maps, each),
        images=np.concatenate([last, eds_last]),
        best_images=np.concatenate([best, eds_best]),
    )


def _relative(history, haadf, maps, ratios):
    """Return the residuals relative to the data, (1 + elements, iterations)."""
    norms = [np.linalg.norm(haadf.astype(float))]
    norms += [np.linalg.norm((m * r[:, None]).astype(float)) for m, r in zip(maps, ratios)]
    residuals = np.column_stack([history.haadf, history.eds])[1:]
    return residuals.T / np.array(norms)[:, None]


def _follow(data, scale, reconstruct):
    """Score a batch at checkpoints, and make pictures of each method's first seed."""
    seeds = data.maps.shape[2]

    def look(x):
        pictures = np.array(x[:, ::seeds]) / scale[..., None, None].astype(np.float32)
        return score(data, x, TABLE_1), pictures

    keep = hebt.Snapshots(checkpoints(data.settings.iterations), look)
    x = reconstruct(keep)
    taken, pictures = zip(*keep.values)
    late = [name for name in SCORES if name not in TABLE_1]
    scores = with_last(data, taken, TABLE_1, x, late)
    best = np.empty_like(pictures[-1])
    for place in np.ndindex(best.shape[:2]):
        e, m = place
        best[place] = pictures[np.argmin(scores["mse"][:, e, m * seeds])][place]
    return scores, pictures[-1].swapaxes(0, 1), best.swapaxes(0, 1)
