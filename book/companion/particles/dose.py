"""How the gain of HEBT depends on the dose."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import metrics

from ..fidelity import fidelity
from ..paper import value
from ..scores import Scores
from ..spectra.processing import process, process_acquisition
from ..spectra.recording import acquire
from ..spectra.settings import settings as particle_settings
from ..spectra.settings import truth
from ..store import cached
from .measures import ELEMENTS, METHODS, checkpoints


@dataclasses.dataclass(frozen=True, eq=False)
class DoseStudy:
    """How the error of both methods depends on the dose, for slices amid the Ag particle.

    For each dose, rising: the settings, R² of the response ratios' fit, and the scores of one
    seed ("mse", against the true specimen). `slices` is how many were reconstructed.
    """

    settings: tuple
    slices: int
    r_squared: np.ndarray
    scores: tuple[Scores, ...]

    @property
    def iterations(self) -> int:
        """The paper's number of iterations."""
        return self.scores[0].printed

    @property
    def counts(self) -> np.ndarray:
        """(doses,): X-ray counts per element and particle pixel."""
        return np.array([s.counts for s in self.settings])

    def gain(self, element: str, *, stop: str = "printed") -> np.ndarray:
        """Return by which factor the MSE of EDS alone exceeds that of HEBT, (doses,)."""
        return np.array([s.gain("mse", element, stop=stop)[0] for s in self.scores])

    def counts_at(self, r_squared: float) -> float:
        """Return the dose, in counts, at which R² has this value; NaN beyond the doses tried."""
        # 1 - R² falls about as a power of the dose
        error, counts = np.log(1 - self.r_squared[::-1]), np.log(self.counts[::-1])
        at = np.interp(np.log(1 - r_squared), error, counts, left=np.nan, right=np.nan)
        return float(np.exp(at))


def dose_study(*, counts=None, **changes) -> DoseStudy:
    """Compare both methods over the dose, on slices amid the Ag particle; one seed.

    The whole particle is recorded and processed anew for each dose, in X-ray `counts` per element
    and particle pixel, rising; if None, from a sixteenth of the chapter's dose to the whole of it.
    """
    if counts is None:
        whole = particle_settings("nonalloy").counts
        steps = (16, 4, 1) if fidelity() == "quick" else (16, 8, 4, 1)
        counts = [whole / n for n in steps]
    counts = np.asarray(counts, float)
    if counts.ndim != 1 or not len(counts) or not (np.diff(counts, prepend=0) > 0).all():
        raise ValueError(f"counts is {counts.tolist()}; expected rising numbers above 0.")
    return _dose_study(tuple(particle_settings("nonalloy", counts=c, **changes) for c in counts))


@cached
def _dose_study(settings):
    iterations = int(value("nonalloy.best_iterations"))
    alpha = value("nonalloy.best_alpha")
    at = checkpoints(iterations, 2 * iterations)
    size = settings[0].size
    # neighbors share their noise, so those of a large volume are some way apart
    slices, step = max(2, size // 75), max(1, size // 60)
    first = (size - slices * step) // 2
    band = slice(first, first + slices * step, step)
    haadf, maps, fits = [], [], []
    for one in settings:
        if one == particle_settings("nonalloy", seed=one.seed):
            series = process(one)
        else:
            # nobody else needs it, so it need not fill the disk
            series = process_acquisition(acquire(one))
        haadf.append(series.haadf[:, band])
        maps.append(series.maps[:, :, band])
        fits.append(series.fit)
    # doses, and slices within them, are one batch
    swept = hebt.sweep(
        hebt.Projector(series.angles, size),
        np.concatenate(haadf, axis=1),
        np.concatenate(maps, axis=2),
        np.repeat([fit.ratios for fit in fits], slices, axis=0).T,
        (0, alpha),
        at,
    )
    true, scores = truth(settings[0])[:, band], []
    # (methods, iterations, elements, slices, size, size) for each dose
    for runs in np.split(swept, len(settings), axis=3):
        mse = [
            [[[metrics.scaled_mse(true[e], x[e]) for x in run]] for e in range(len(ELEMENTS))]
            for run in runs
        ]
        scores.append(Scores({"mse": np.array(mse)}, METHODS, ELEMENTS, at, iterations))
    r_squared = np.array([fit.r_squared for fit in fits], float)
    return DoseStudy(settings, slices, r_squared, tuple(scores))
