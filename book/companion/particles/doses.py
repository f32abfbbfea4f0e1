"""Fewer and more X-rays than the chapter's, in some slices of a particle."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..paper import value
from ..spectra.processing import process
from ..spectra.settings import ParticleSettings, specimen
from ..store import cached
from .experiment import ParticleStudy
from .measures import ALPHA, METHODS, box
from .truth import Truth
from .views import small, to_steps

SLICES = 5  # across the tilt axis, evenly through the particle


@dataclasses.dataclass(frozen=True, eq=False)
class DoseSlices:
    """Slices of both methods at other doses, as `Views.slices` has them at the chapter's.

    A lower dose is a random half of the first recording's counts. A higher one is all recordings
    together, one for each noise seed, each processed and aligned by itself. HAADF, ratios and all
    else are those of the first recording.
    """

    settings: tuple[ParticleSettings, ...]  # of the recordings
    numbers: np.ndarray  # (slices,), of the volume
    # counts per element and pixel of the paper's frame -> (methods, elements, slices, rows,
    # columns), 8-bit steps; without those of the chapter
    pictures: dict[float, np.ndarray]

    @property
    def own(self) -> float:
        """The counts of the chapter."""
        return self.settings[0].counts

    @property
    def counts(self) -> tuple[float, ...]:
        """All doses, rising."""
        return tuple(sorted((self.own, *self.pictures)))


def dose_slices(study: ParticleStudy) -> DoseSlices:
    """Reconstruct some of a study's slices from half of its counts, and from those of all seeds."""
    shown = study.views.numbers
    places = np.linspace(0, len(shown) - 1, SLICES + 2)[1:-1]
    numbers = tuple(int(n) for n in shown[np.rint(places).astype(int)])
    return _dose_slices(study.settings, numbers, study.iterations)


@cached
def _dose_slices(settings, numbers, iterations):
    at, first = list(numbers), process(settings[0])
    maps = {settings[0].counts / 2: 2 * first.half[:, :, at]}
    if len(settings) > 1:
        # a mean has the ratios of one recording, and the noise of all
        recorded = [process(one).maps[:, :, at] for one in settings]
        maps[len(settings) * settings[0].counts] = np.mean(recorded, axis=0, dtype=np.float32)
    truth = Truth(specimen(settings[0]))
    found = _reconstructed(first, at, list(maps.values()), iterations)
    there, around = truth.part(at), box(truth.labels > 0)
    pictures = {
        counts: np.stack([to_steps(small(x * there.scale(x), around)) for x in methods])
        for counts, methods in zip(maps, found, strict=True)
    }
    return DoseSlices(settings, np.array(at), pictures)


def _reconstructed(series, at, maps, iterations):
    """Return x of each of several maps: for each a list over the methods."""
    W = hebt.Projector(series.angles, series.settings.size)
    # all are one batch of slices
    haadf = np.tile(series.haadf[:, at], (1, len(maps), 1))
    together = np.concatenate(maps, axis=2)
    runs = []
    for method in METHODS:
        alpha = value(ALPHA[series.settings.particle]) if method == "hebt" else 0
        x = hebt.reconstruct(W, haadf, together, series.fit.ratios, alpha, iterations)
        runs.append(np.split(x, len(maps), axis=1))
    return list(zip(*runs, strict=True))
