"""When to stop without the truth: the discrepancy principle on processed maps."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import metrics

from ..paper import value
from ..spectra.processing import process
from ..spectra.settings import PARTICLES, truth
from ..spectra.settings import settings as particle_settings
from ..store import cached
from .measures import ALPHA, METHODS

RULES = ("variance", "fitted")  # what the rule knows: how large the noise is, and what is fitted
MOST = 200  # iterations; a run is left where it has gone 1.5 times as far as its best stop
SLICES = 6  # about the middle of the particle


@dataclasses.dataclass(frozen=True, eq=False)
class StoppingStudy:
    """Where the discrepancy principle stops both methods, and their errors against the truth."""

    particles: tuple[str, ...]
    slices: int
    # (particle, method) -> (iterations,): squared error relative to the truth's square, at the
    # best scale, averaged over the elements, after 1, 2, ... iterations,
    # up to 1.5 times the best stop
    errors: dict[tuple, np.ndarray]
    # (particle, method, rule) -> after how many iterations it stops; where it never does, no key
    stops: dict[tuple, int]

    def best(self, key: tuple) -> int:
        """Return after how many iterations the error is least, which takes the truth to know."""
        return int(np.argmin(self.errors[key])) + 1

    def loss(self, key: tuple, rule: str) -> float:
        """Return the error at a rule's stop, or at the end of the run, divided by the least one."""
        errors = self.errors[key]
        return float(errors[self.stops.get((*key, rule), len(errors)) - 1] / errors.min())


def stopping_study(*, particles=PARTICLES, **changes) -> StoppingStudy:
    """Stop both methods by the noise of the maps, in slices about the middle of the particles.

    `changes` are other settings, as in `companion.spectra.settings`. One noise seed.
    """
    return _stopping_study(tuple(particle_settings(one, **changes) for one in particles))


@cached
def _stopping_study(settings):
    errors, stops = {}, {}
    for one in settings:
        series, size = process(one), one.size
        # neighbors share their noise, so they are some way apart
        step = max(1, size // 60)
        first = size // 2 - step * (SLICES // 2)
        band = slice(first, first + SLICES * step, step)
        W, ratios = hebt.Projector(series.angles, size), series.fit.ratios
        maps, half = series.maps[:, :, band], series.half[:, :, band]
        noise = hebt.poisson_noise(maps, ratios, variance=series.variance[:, :, band])
        data = W, series.haadf[:, band], maps, ratios
        for method in METHODS:
            alpha = value(ALPHA[one.particle]) if method == "hebt" else 0
            follow = _Follow(truth(one)[:, band])
            hebt.reconstruct(*data, alpha, MOST, callback=follow)
            n = len(follow.errors)
            fitted = hebt.fitted_noise(*data, half=half, iterations=n, alpha=alpha)
            for name, known in zip(RULES, (None, fitted), strict=True):
                rule, key = hebt.Discrepancy(noise, fitted=known), (one.particle, method, name)
                held = [k for k, left in enumerate(follow.residuals, 1) if rule(k, left)]
                stops |= {key: held[0]} if held else {}
            errors[one.particle, method] = np.array(follow.errors)
    return StoppingStudy(tuple(one.particle for one in settings), SLICES, errors, stops)


class _Follow:
    """The errors and residuals of a run, which ends at 1.5 times its best stop."""

    def __init__(self, true):
        self.true, self.errors, self.residuals = true, [], []

    def __call__(self, iteration, x, residuals):
        pairs = zip(self.true, x, strict=True)
        self.errors.append(np.mean([metrics.scaled_mse(true, now) for true, now in pairs]))
        self.residuals.append(residuals)
        return iteration >= 1.5 * (np.argmin(self.errors) + 1)
