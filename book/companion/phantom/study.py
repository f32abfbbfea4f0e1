"""The phantom study of section 4.1: Figure 4 and Table 1."""

import dataclasses

import numpy as np

import hebt
from hebt import simulate

from ..store import cached
from ..threads import run
from . import measures
from .data import PhantomSettings, estimate_ratios, phantom_settings
from .data import data as data_data
from .measures import BEST_IS_LARGE, METHODS, SCORES, TABLE_1, as_slices, norm, repeat, weighed


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomStudy:
    """Results of the phantom study.

    Attributes
    ----------
    settings
        What it was made with.
    elements
        Symbols: Au, Ag.
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
    iterations
        (checkpoints,): the iterations at which scores were taken; the last one is the paper's.
    scores
        Name -> (methods, elements, seeds, checkpoints), methods in the order of `METHODS`; the
        names are those of `SCORES`, and DP counts pixels of a 512-pixel frame. Those outside
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
    iterations: np.ndarray
    scores: dict[str, np.ndarray]
    residuals: np.ndarray
    images: np.ndarray
    best_images: np.ndarray

    def score(self, name: str, method: str, element: str, *, stop: str = "printed"):
        """Return a score over the noise seeds, (seeds,).

        Parameters
        ----------
        name
            One of `SCORES`.
        method
            One of `METHODS`.
        element
            "Au" or "Ag".
        stop
            "printed": after the paper's number of iterations. "best": at the iteration at which
            this score of this method and element, averaged over the seeds, is best. It knows the
            truth, so it is the most that stopping early can give.
        """
        values = self._values(name, method, element)
        if stop == "printed":
            return values[:, -1]
        if stop == "best":
            return values[:, self._best(name, method, element)]
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")

    def best_iteration(self, name: str, method: str, element: str) -> int:
        """Return the iteration of the best stop; see `score`."""
        return int(self.iterations[self._best(name, method, element)])

    def fault(self, name: str, method: str, element: str, *, stop: str = "printed"):
        """Return how far a score is from perfect: 1 - similarity, or the error itself."""
        values = self.score(name, method, element, stop=stop)
        return 1 - values if name in BEST_IS_LARGE else values

    def gain(self, name: str, element: str, *, method: str = "hebt_est", stop: str = "printed"):
        """Return by which factor the fault of EDS alone exceeds that of `method`, (seeds,)."""
        eds = self.fault(name, "eds", element, stop=stop)
        return eds / self.fault(name, method, element, stop=stop)

    def pairs_won(
        self, *, method: str = "hebt_est", stop: str = "printed", names=TABLE_1
    ) -> list[tuple[str, str]]:
        """Return the pairs (score, element) in which `method` beats EDS alone with every seed."""
        return [
            (name, element)
            for name in names
            for element in self.elements
            if (self.gain(name, element, method=method, stop=stop) > 1).all()
        ]

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

    def _values(self, name, method, element):
        return self.scores[name][METHODS.index(method), self.elements.index(element)]

    def _best(self, name, method, element):
        mean = self._values(name, method, element).mean(axis=0)
        return int(np.nanargmax(mean) if name in BEST_IS_LARGE else np.nanargmin(mean))


def study(**changes) -> PhantomStudy:
    """Run the phantom study of section 4.1: EDS alone, and HEBT with estimated and true ratios.

    The true ratios are z/ζ of the printed factors, which is not the paper's printed r_gt. All
    seeds and methods run as one batch each, and the scores are followed over the iterations.

    Parameters
    ----------
    **changes
        Settings to change, as in `phantom_settings`: for instance ``dose=0.5``.

    Returns
    -------
    PhantomStudy
    """
    return _phantom_study(phantom_settings(**changes))


@cached
def _phantom_study(settings):
    data = data_data(settings)
    seeds = len(settings.seeds)
    fits = [estimate_ratios(data, seed) for seed in range(seeds)]
    both = [estimate_ratios(data, seed, both=True) for seed in range(seeds)]
    ratios = np.stack([fit.ratios for fit in fits]).astype(np.float64)
    true = settings.true_ratios
    checkpoints = measures.checkpoints(settings.iterations)
    densities = np.array(settings.zeta) * settings.dose * settings.pixel**2

    recorder = _Recorder(data, checkpoints)
    residuals = []
    # HEBT with either kind of ratios as one batch; only r p matters, so r goes into the maps
    both_ratios = np.concatenate([ratios, np.tile(true, (seeds, 1))])
    maps = weighed(np.concatenate([data.maps, data.maps], axis=2), both_ratios)
    haadf = repeat(data.haadf, 2 * seeds)
    hebt_scale = (both_ratios * densities).T
    eds_scale = np.tile(densities, (seeds, 1)).T

    def follow_hebt(iteration, x, residual):
        residuals.append([residual.haadf, *residual.eds])
        recorder.take(iteration, ("hebt_est", "hebt_gt"), x, hebt_scale)

    def follow_eds(iteration, x, residual):
        x = x.reshape(len(data.elements), seeds, *x.shape[1:])
        recorder.take(iteration, ("eds",), x, eds_scale)

    hebt.reconstruct(
        data.W,
        haadf,
        maps,
        np.ones(len(data.elements)),
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=follow_hebt,
    )
    hebt.sirt(data.W, as_slices(data.maps), iterations=settings.iterations, callback=follow_eds)
    norms = np.array([norm(haadf), *map(norm, maps)])
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
        iterations=checkpoints,
        scores=recorder.scores,
        residuals=np.array(residuals).T / norms[:, None],
        images=recorder.last,
        best_images=recorder.best,
    )


class _Recorder:
    """Scores and pictures of running reconstructions, at checkpoints."""

    def __init__(self, data, checkpoints):
        self.reference = data.density
        self.area = data.settings.pixel**2
        self.checkpoints = list(checkpoints)
        elements, size = self.reference.shape[:2]
        seeds = len(data.settings.seeds)
        shape = (len(METHODS), elements, seeds, len(checkpoints))
        self.scores = {name: np.full(shape, np.nan) for name in SCORES}
        self.last = np.zeros((len(METHODS), elements, size, size), np.float32)
        self.best = np.zeros_like(self.last)

    def take(self, iteration, methods, x, scale):
        """Score x (elements, methods * seeds, size, size) and keep pictures of the first seed.

        `scale`, (elements, methods * seeds), is what turns x into density when divided by it.
        """
        if iteration not in self.checkpoints:
            return
        at = self.checkpoints.index(iteration)
        seeds = x.shape[1] // len(methods)
        table_1 = [(name, SCORES[name]) for name in TABLE_1]
        jobs = [
            (METHODS.index(method), e, s, m * seeds + s)
            for m, method in enumerate(methods)
            for e in range(len(x))
            for s in range(seeds)
        ]

        def score(m, e, s, place):
            image = np.ascontiguousarray(x[e, place])
            last = at == len(self.checkpoints) - 1
            for name, function in SCORES.items() if last else table_1:
                value = function(self.reference[e], image)
                # so that DP counts the same area at any size
                self.scores[name][m, e, s, at] = value * self.area if name == "dp" else value
            if s == 0:
                density = image / np.float32(scale[e, place])
                self.last[m, e] = density
                if at == np.nanargmin(self.scores["mse"][m, e, 0]):
                    self.best[m, e] = density

        run(score, jobs)
