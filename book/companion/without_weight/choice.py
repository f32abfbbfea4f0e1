"""Settings and errors without a truth, held against the truth."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..fidelity import fidelity
from ..phantom.measures import score
from ..store import cached
from .runs import ITERATIONS, fitted_ratios, noisy_series

REPLICATES = 8
SIZE = {"paper": 128, "quick": 64}


@dataclasses.dataclass(frozen=True, eq=False)
class ChoiceStudy:
    """What held-out counts choose, beside what the truth would; and a map of the noise."""

    size: int
    seeds: tuple[int, ...]
    elements: tuple[str, ...]
    widths: list[np.ndarray]  # of each seed: kernels that were tried, with a hard sum, in pixels
    differences: list[np.ndarray]  # held-out deviance less the lowest, of each of these
    standard_errors: list[np.ndarray]
    errors: list[np.ndarray]  # (elements, widths): MSE with each of them and all counts
    chosen: np.ndarray  # (seeds,): the width that was chosen
    totals: tuple[str, ...]  # and the sum
    deviation: np.ndarray  # (elements, size, size): by resampled counts, first seed, densities
    away: np.ndarray  # (elements, size, size): reconstruction less truth, densities
    inside: np.ndarray  # (size, size): where there is specimen
    spread: np.ndarray  # (elements,): standard deviation over the seeds inside, root mean square

    def oracle(self) -> np.ndarray:
        """Return the width of least error, averaged over the elements, (seeds,)."""
        return np.array([w[self._merit(k).argmin()] for k, w in enumerate(self.widths)])

    def loss(self) -> np.ndarray:
        """Return the error with the chosen width over the least one, (seeds,)."""
        found = []
        for k, (widths, chosen) in enumerate(zip(self.widths, self.chosen, strict=True)):
            merit = self._merit(k)
            found.append(merit[np.abs(widths - chosen).argmin()] / merit.min())
        return np.array(found)

    def _merit(self, k):
        """Error relative to the least one, averaged over the elements, (widths,)."""
        errors = self.errors[k]
        return (errors / errors.min(axis=1, keepdims=True)).mean(axis=0)

    def noise(self) -> np.ndarray:
        """Return root mean squares inside, (3, elements): noise by resampling, error, bias."""
        deviation, error = (
            np.sqrt((each[:, self.inside].astype(float) ** 2).mean(axis=1))
            for each in (self.deviation, self.away)
        )
        return np.stack([deviation, error, np.sqrt(np.maximum(error**2 - deviation**2, 0))])


def choice_study(*, seeds=None, size: int | None = None) -> ChoiceStudy:
    """Choose the kernel by `hebt.choose` for several seeds, and ask the truth as well."""
    seeds = range(2 if fidelity() == "quick" else 3) if seeds is None else seeds
    return _choice_study(tuple(seeds), SIZE[fidelity()] if size is None else size)


@cached
def _choice_study(seeds, size):
    data = noisy_series(seeds, size=size)
    ratios = fitted_ratios(data)
    curves, errors, chosen = [], [], []
    for s in range(len(seeds)):
        own = data.W, data.haadf, data.counts[:, :, s], ratios[:, s]
        choice = hebt.choose(*own, seed=s)
        widths, *curve = choice.curve()
        curves.append((widths, *curve))
        tried = [_run(own, hebt.CompositionEM((0, width))) for width in widths]
        errors.append(score(data, np.stack(tried, axis=1), ["mse_reference"])[0])
        chosen.append(choice.method)
    # noise with the first seed's choice
    method, own = chosen[0], (data.W, data.haadf, data.counts[:, :, 0], ratios[:, 0])
    scale = (ratios[:, 0] * data.settings.counts_per_density)[:, None, None].astype(np.float32)
    deviation = hebt.noise_deviation(
        *own, None, ITERATIONS["em"], method=method, replicates=REPLICATES, seed=1
    )
    x = hebt.reconstruct(
        data.W, data.haadf_of_seeds, data.counts, ratios, None, ITERATIONS["em"], method=method
    )
    inside = data.density.sum(axis=0) > 0
    spread = x.std(axis=1, ddof=1)[:, inside] / scale[:, 0]
    widths, differences, standard_errors = zip(*curves, strict=True)
    return ChoiceStudy(
        size=data.W.size,
        seeds=seeds,
        elements=data.elements,
        widths=list(widths),
        differences=list(differences),
        standard_errors=list(standard_errors),
        errors=errors,
        chosen=np.array([one.kernel[1] for one in chosen]),
        totals=tuple(str(one.total) for one in chosen),
        deviation=deviation / scale,
        away=x[:, 0] / scale - data.density,
        inside=inside,
        spread=np.sqrt((spread.astype(float) ** 2).mean(axis=1)),
    )


def _run(own, method):
    return hebt.reconstruct(*own, None, ITERATIONS["em"], method=method)
