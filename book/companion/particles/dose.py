"""How the gain of HEBT depends on the dose."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import metrics
from hebt._progress import progress_bar

from ..fidelity import fidelity
from ..paper import value
from ..scores import Scores
from ..spectra.processing import process, process_steps
from ..spectra.recording import acquire
from ..spectra.settings import settings as particle_settings
from ..spectra.settings import truth
from ..store import cached
from .measures import ELEMENTS, METHODS, checkpoints


@dataclasses.dataclass(frozen=True, eq=False)
class DoseStudy:
    """How the error of both methods depends on the dose, for the middle slices of the Ag particle.

    Attributes
    ----------
    settings
        One for each dose, from `companion.spectra.settings`, with rising counts.
    slices
        How many slices in the middle were reconstructed.
    r_squared
        (doses,): of the response ratios' fit.
    scores
        One `Scores` for each dose: mean-squared error against the true specimen.
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
        """Return by which factor the error of EDS alone exceeds that of HEBT, (doses,)."""
        return np.array([s.gain("mse", element, stop=stop)[0] for s in self.scores])

    def counts_at(self, r_squared: float) -> float:
        """Return the dose, in counts, at which R² has this value; NaN beyond the doses tried."""
        # 1 - R² falls about as a power of the dose
        error = np.log(1 - self.r_squared[::-1])
        at = np.interp(
            np.log(1 - r_squared), error, np.log(self.counts[::-1]), left=np.nan, right=np.nan
        )
        return float(np.exp(at))


def dose_study(*, counts=None, **changes) -> DoseStudy:
    """Compare both methods over the dose, on the middle slices of the Ag particle.

    Everything else stays as in `nonalloy_study`; the whole particle is recorded and processed
    anew for each dose. One noise seed. `counts` are X-ray counts per element and particle pixel,
    rising; if None, from a sixteenth of the chapter's dose to the whole of it.
    """
    if counts is None:
        whole = particle_settings("nonalloy").counts
        steps = (16, 4, 1) if fidelity() == "quick" else (16, 8, 4, 2, 1)
        counts = [whole / n for n in steps]
    counts = np.asarray(counts, float)
    rising = counts.ndim == 1 and len(counts) and (np.diff(counts) > 0).all()
    if not rising or not (counts > 0).all():
        raise ValueError(f"counts is {counts.tolist()}; expected rising numbers above 0.")
    return _dose_study(tuple(particle_settings("nonalloy", counts=c, **changes) for c in counts))


@cached
def _dose_study(settings):
    size = settings[0].size
    slices = max(2, size // 30)
    band = slice((size - slices) // 2, (size - slices) // 2 + slices)
    true = truth(settings[0])[:, band]
    fits, scores = [], []
    with progress_bar(len(settings), "doses") as bar:
        for one in settings:
            series = _process(one)
            fits.append(series.fit.r_squared)
            scores.append(_score(series, band, true))
            bar.update()
    return DoseStudy(settings, slices, np.array(fits, float), tuple(scores))


def _process(settings):
    if settings == particle_settings("nonalloy", seed=settings.seed):
        return process(settings)
    # nobody else needs it, so it need not fill the disk
    return process_steps(acquire(settings, progress=False), progress=False)[0]


def _score(series, band, true) -> Scores:
    iterations = int(value("nonalloy.best_iterations"))
    steps = checkpoints(iterations, 2 * iterations)
    keep = hebt.Snapshots(
        steps, lambda x: [metrics.scaled_mse(t, y) for t, y in zip(true, x, strict=True)]
    )
    W = hebt.Projector(series.angles, true.shape[-1])
    haadf, maps = series.haadf[:, band], series.maps[:, :, band]
    options = {"iterations": steps[-1], "callback": keep, "progress": False}
    hebt.sirt(W, np.moveaxis(maps, 0, 1), **options)
    mse = [keep.values]
    alpha = float(value("nonalloy.best_alpha"))
    hebt.reconstruct(W, haadf, maps, series.fit.ratios, alpha, **options)
    mse.append(keep.values)
    # (methods, checkpoints, elements) -> (methods, elements, seeds, checkpoints)
    mse = np.swapaxes(mse, 1, 2)[:, :, None]
    return Scores({"mse": mse}, METHODS, ELEMENTS, steps, iterations)
