"""How the gain of HEBT depends on what the paper does not print: the kernel and the counts."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import metrics, prepare

from ..fidelity import fidelity
from ..paper import value
from ..scores import Scores
from ..spectra.processing import process, process_acquisition, smooth_maps
from ..spectra.recording import acquire
from ..spectra.settings import READINGS, truth
from ..spectra.settings import settings as particle_settings
from ..store import cached
from .measures import ELEMENTS, MANY, METHODS, checkpoints

SIGMAS = (0.5, 2.0, 4.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Grid:
    """How both methods do over σ of the maps' kernel and the counts, for one noise seed.

    Scores are "mse" against the true specimen, of some slices amid the Ag particle.
    """

    sigmas: tuple[float, ...]  # rising, in pixels
    counts: tuple[float, ...]  # rising, X-ray counts per element and particle pixel
    slices: int  # how many were reconstructed
    r_squared: np.ndarray  # (sigmas, counts), of the paper's fit
    scores: dict[tuple[float, float], Scores]  # by σ and counts

    @property
    def iterations(self) -> int:
        """The paper's number of iterations."""
        return next(iter(self.scores.values())).printed

    def gain(self, element: str, *, stop: str = "printed") -> np.ndarray:
        """Return by which factor the MSE of EDS alone exceeds that of HEBT, (sigmas, counts)."""
        return np.array(
            [
                [self.scores[s, c].gain("mse", element, stop=stop)[0] for c in self.counts]
                for s in self.sigmas
            ]
        )

    def place(self, reading: str) -> tuple[int, int]:
        """Return where one of `READINGS` lies in the grid."""
        sigma, counts = READINGS[reading]
        return self.sigmas.index(sigma), self.counts.index(counts["nonalloy"])


def noise_grid(*, sigmas=SIGMAS, counts=None, **changes) -> Grid:
    """Compare both methods over the kernel and the counts, on slices amid the Ag particle.

    The particle is recorded and denoised anew for each of the `counts`; if None, those of the
    readings, and one between at paper fidelity. One noise seed.
    """
    if counts is None:
        counts = {reading.counts["nonalloy"] for reading in READINGS.values()}
        counts |= set() if fidelity() == "quick" else {1.1}
    settings = (particle_settings("nonalloy", counts=c, **changes) for c in sorted(counts))
    return _noise_grid(tuple(settings), tuple(sorted(map(float, sigmas))))


@cached
def _noise_grid(settings, sigmas):
    parts = [_row(one, sigmas) for one in settings]
    counts = tuple(one.counts for one in settings)
    scores = {(s, c): part[1][k] for c, part in zip(counts, parts) for k, s in enumerate(sigmas)}
    r_squared = np.stack([found for found, _, _ in parts], axis=1)
    return Grid(sigmas, counts, parts[0][2], r_squared, scores)


def _row(settings, sigmas):
    """Return R² and the scores for each kernel at one dose, and how many slices they are of."""
    iterations, alpha = int(value("nonalloy.best_iterations")), value("nonalloy.best_alpha")
    at = checkpoints(iterations, 2 * iterations)
    size = settings.size
    # neighbors share their noise, so those of a large volume are some way apart
    slices, step = (2, 2) if size < MANY else (3, size // 30)
    first = size // 2 - step * (slices // 2)
    band = slice(first, first + slices * step, step)
    r_squared, haadf, maps = [], [], []
    for series, smoothed in _processed(settings, sigmas):
        # the paper's fit, of which it prints R²
        fit = hebt.response_ratios(series.haadf, smoothed, names=ELEMENTS, variance=None)
        r_squared.append(fit.r_squared)
        haadf.append(series.haadf[:, band])
        maps.append(smoothed[:, :, band])
    # kernels, and slices within them, are one batch
    swept = hebt.sweep(
        hebt.Projector(series.angles, size),
        np.concatenate(haadf, axis=1),
        np.concatenate(maps, axis=2),
        series.fit.ratios,
        (0, alpha),
        at,
    )
    true, scores = truth(settings)[:, band], []
    # (methods, iterations, elements, slices, size, size) for each kernel
    for runs in np.split(swept, len(sigmas), axis=3):
        mse = [
            [[[metrics.scaled_mse(true[e], x[e]) for x in run]] for e in range(len(ELEMENTS))]
            for run in runs
        ]
        scores.append(Scores({"mse": np.array(mse)}, METHODS, ELEMENTS, at, iterations))
    return np.array(r_squared, float), scores, slices


def _processed(settings, sigmas):
    """Yield a processed series and its maps for each kernel, from one recording.

    The series is that of the widest kernel, which leaves the least noise to the alignment.
    """
    one = dataclasses.replace(settings, sigma=max(sigmas))
    known = {(r.sigma, r.counts["nonalloy"]) for r in READINGS.values()}
    # what another chapter needs, too, is kept on disk
    series = process(one) if (one.sigma, one.counts) in known else process_acquisition(acquire(one))
    steps = series.steps
    for sigma in sigmas:
        maps = smooth_maps(steps.denoised, dataclasses.replace(settings, sigma=sigma))
        yield (
            series,
            prepare.apply_shifts(prepare.normalize_tilts(maps, steps.response), steps.map_shifts),
        )
