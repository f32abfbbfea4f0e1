"""The phantom study of section 4.1: Figure 4 and Table 1."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import simulate

from ..scores import Scores
from ..store import cached
from .data import PhantomSettings, estimate_ratios, phantom_settings
from .data import data as simulate_phantom
from .measures import METHODS, SCORES, TABLE_1, checkpoints, score


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomStudy:
    """Results of the phantom study.

    Attributes
    ----------
    settings, elements
        What it was made with; symbols: Au, Ag.
    true_ratios
        (elements,): z/ζ.
    mean_counts
        (elements,): X-ray counts on a pixel before smoothing, averaged over seeds and over the
        pixels with HAADF > 0.
    ratios, r_squared
        (seeds, elements) and (seeds,): estimated by NNLS over the pixels with HAADF > 0, and the
        coefficient of determination.
    ratios_both, r_squared_both
        The same over the pixels at which both maps are above 0.
    scores
        Those of `SCORES`, for `METHODS`; DP counts pixels of a 512-pixel frame. Those outside
        `TABLE_1` are taken at the last checkpoint only and NaN before.
    residuals
        (1 + elements, iterations): relative residuals of HAADF, Au and Ag after each iteration of
        HEBT, |p - W x| / |p|, over all seeds and both kinds of ratios.
    images, best_images
        (methods, elements, size, size): densities of the first seed after the last iteration, and
        at the checkpoint where its MSE is lowest. The truth is 1 inside and 0 outside.
    """

    settings: PhantomSettings
    elements: tuple[str, ...]
    true_ratios: np.ndarray
    mean_counts: np.ndarray
    ratios: np.ndarray
    r_squared: np.ndarray
    ratios_both: np.ndarray
    r_squared_both: np.ndarray
    scores: Scores
    residuals: np.ndarray
    images: np.ndarray
    best_images: np.ndarray

    def pairs_won(self, *, method="hebt_est", stop="printed", names=TABLE_1):
        """Return the pairs (score, element) in which `method` beats EDS alone with every seed."""
        pairs = [(name, element) for name in names for element in self.elements]
        wins = {"method": method, "stop": stop}
        return [pair for pair in pairs if self.scores.outcome(*pair, **wins) == "HEBT"]

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
    return _study(phantom_settings(**changes))


@cached
def _study(settings):
    data = simulate_phantom(settings)
    seeds = len(settings.seeds)
    fits = [estimate_ratios(data, seed) for seed in range(seeds)]
    both = [estimate_ratios(data, seed, both=True) for seed in range(seeds)]
    ratios = np.stack([fit.ratios for fit in fits]).astype(np.float64)
    true = settings.true_ratios

    # HEBT with either kind of ratios as one batch
    twice = np.concatenate([data.maps, data.maps], axis=2)
    haadf = np.concatenate([data.haadf_of_seeds] * 2, axis=1)
    each = np.concatenate([ratios, np.tile(true, (seeds, 1))]).T
    history = hebt.History()
    bimodal, *pictures = _follow(
        data,
        each[:, ::seeds] * settings.counts_per_density[:, None],
        lambda keep: hebt.reconstruct(
            data.W,
            haadf,
            twice,
            each,
            alpha=settings.alpha,
            iterations=settings.iterations,
            callback=keep,
            history=history,
        ),
    )
    eds, *eds_pictures = _follow(
        data,
        settings.counts_per_density[:, None],
        lambda keep: hebt.sirt(
            data.W, np.moveaxis(data.maps, 0, 1), settings.iterations, callback=keep
        ),
    )
    # (names, checkpoints, elements, methods * seeds) -> name -> (methods, elements, seeds, ...)
    scores = np.concatenate([bimodal, eds], axis=-1)
    scores = scores.reshape(*scores.shape[:3], len(METHODS), seeds).transpose(0, 3, 2, 4, 1)
    return PhantomStudy(
        settings=settings,
        elements=data.elements,
        true_ratios=true,
        mean_counts=np.moveaxis(data.counts, 2, -1)[:, data.haadf > 0].mean(
            axis=(1, 2), dtype=np.float64
        ),
        ratios=ratios,
        r_squared=np.array([fit.r_squared for fit in fits]),
        ratios_both=np.stack([fit.ratios for fit in both]).astype(np.float64),
        r_squared_both=np.array([fit.r_squared for fit in both]),
        scores=Scores(
            dict(zip(SCORES, scores)),
            METHODS,
            data.elements,
            checkpoints(settings.iterations),
            settings.iterations,
        ),
        residuals=_relative(history, haadf, twice, each),
        **{
            name: np.concatenate(images)
            for name, images in zip(("images", "best_images"), zip(pictures, eds_pictures))
        },
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
    taken = np.array([values for values, _ in keep.values])
    scores = np.full((len(SCORES), len(taken), *x.shape[:2]), np.nan)
    for k, name in enumerate(SCORES):
        if name in TABLE_1:
            scores[k] = taken[:, TABLE_1.index(name)]
        else:
            scores[k, -1] = score(data, x, (name,))[0]
    best = np.nanargmin(taken[:, TABLE_1.index("mse"), :, ::seeds], axis=0)
    last = keep.values[-1][1]
    pictures = np.empty_like(last)
    for place in np.ndindex(best.shape):
        pictures[place] = keep.values[best[place]][1][place]
    return scores, last.swapaxes(0, 1), pictures.swapaxes(0, 1)
