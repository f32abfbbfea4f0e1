"""How the gain of HEBT depends on the dose."""

import dataclasses

import numpy as np

import hebt
from hebt import metrics
from hebt._progress import progress_bar

from ..fidelity import fidelity
from ..paper import printed
from ..spectra.processing import process, process_steps
from ..spectra.recording import acquire
from ..spectra.settings import settings as settings_settings
from ..spectra.settings import truth
from ..store import cached
from . import measures
from .measures import ELEMENTS, METHODS


@dataclasses.dataclass(frozen=True, eq=False)
class DoseStudy:
    """How the error of both methods depends on the dose, for the middle slices of the Ag particle.

    Attributes
    ----------
    settings
        One for each dose, from `companion.spectra.settings`, with rising counts.
    slices
        How many slices in the middle were reconstructed.
    iterations, checkpoints
        As in `NonAlloyStudy`.
    r_squared
        (doses,): of the response ratios' fit.
    mse
        (methods, elements, doses, checkpoints): mean-squared error against the true specimen.
    """

    settings: tuple
    slices: int
    iterations: int
    checkpoints: np.ndarray
    r_squared: np.ndarray
    mse: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(doses,): X-ray counts per element and particle pixel."""
        return np.array([s.counts for s in self.settings])

    def gain(self, element: str, *, stop: str = "printed") -> np.ndarray:
        """Return by which factor the error of EDS alone exceeds that of HEBT, (doses,).

        Parameters
        ----------
        element
            "Au" or "Ag".
        stop
            "printed": after the paper's number of iterations; "best": each method at the
            checkpoint where its own error is least.
        """
        values = self.mse[:, ELEMENTS.index(element)]
        if stop == "printed":
            eds, bimodal = values[..., list(self.checkpoints).index(self.iterations)]
        elif stop == "best":
            eds, bimodal = values.min(axis=-1)
        else:
            raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")
        return eds / bimodal

    def counts_at(self, r_squared: float) -> float:
        """Return the dose, in counts, at which R² has this value; NaN beyond the doses tried."""
        # 1 - R² falls about as a power of the dose
        fault = np.log(1 - self.r_squared[::-1])
        at = np.interp(
            np.log(1 - r_squared), fault, np.log(self.counts[::-1]), left=np.nan, right=np.nan
        )
        return float(np.exp(at))


def dose_study(*, counts=None, **changes) -> DoseStudy:
    """Compare both methods over the dose, on the middle slices of the Ag particle.

    Everything else stays as in `nonalloy_study`; the whole particle is recorded and processed
    anew for each dose. One noise seed.

    Parameters
    ----------
    counts
        X-ray counts per element and particle pixel, rising; if None, from a sixteenth of the
        chapter's dose to the whole of it.
    **changes
        Other settings, as in `companion.spectra.settings`.

    Returns
    -------
    DoseStudy
    """
    if counts is None:
        whole = settings_settings("nonalloy").counts
        steps = (16, 4, 1) if fidelity() == "quick" else (16, 8, 4, 2, 1)
        counts = [whole / n for n in steps]
    counts = np.asarray(counts, float)
    if (
        counts.ndim != 1
        or not len(counts)
        or not (counts > 0).all()
        or (np.diff(counts) <= 0).any()
    ):
        raise ValueError(f"counts is {counts.tolist()}; expected rising numbers above 0.")
    return _dose_study(tuple(settings_settings("nonalloy", counts=c, **changes) for c in counts))


@cached
def _dose_study(settings):
    iterations = int(printed("nonalloy.best_iterations").value)
    alpha = float(printed("nonalloy.best_alpha").value)
    checkpoints = measures.checkpoints(iterations, 2 * iterations)
    size = settings[0].size
    slices = max(2, size // 30)
    band = slice((size - slices) // 2, (size - slices) // 2 + slices)
    true = truth(settings[0])[:, band]
    mse = np.full((len(METHODS), len(ELEMENTS), len(settings), len(checkpoints)), np.nan)
    fits = []

    def follow(method, dose):
        def take(iteration, x, residuals):
            if iteration in checkpoints:
                at = int(np.flatnonzero(checkpoints == iteration)[0])
                for e, y in enumerate(x.reshape(true.shape)):
                    mse[METHODS.index(method), e, dose, at] = metrics.scaled_mse(true[e], y)

        return take

    with progress_bar(len(settings), "doses") as bar:
        for dose, one in enumerate(settings):
            if one == settings_settings("nonalloy", seed=one.seed):
                series = process(one)
            else:
                # nobody else needs it, so it need not fill the disk
                recording = acquire(one, progress=False)
                series, _ = process_steps(recording, progress=False)
            fits.append(series.fit.r_squared)
            W = hebt.Projector(series.angles, size)
            haadf, maps = series.haadf[:, band], series.maps[:, :, band]
            hebt.sirt(
                W,
                np.concatenate(list(maps), axis=1),
                iterations=2 * iterations,
                callback=follow("eds", dose),
                progress=False,
            )
            hebt.reconstruct(
                W,
                haadf,
                maps,
                series.fit.ratios,
                alpha=alpha,
                iterations=2 * iterations,
                callback=follow("hebt", dose),
                progress=False,
            )
            bar.update()
    return DoseStudy(settings, slices, iterations, checkpoints, np.array(fits, float), mse)
