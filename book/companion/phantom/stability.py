"""What wrong response ratios do (section 4.1)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..paper import value
from ..store import cached
from .data import PhantomSettings
from .data import data as simulate_phantom
from .measures import checkpoints, score
from .study import study


@dataclasses.dataclass(frozen=True, eq=False)
class Stability:
    """How HEBT answers to wrong response ratios."""

    settings: PhantomSettings
    elements: tuple[str, ...]
    errors: np.ndarray  # (errors,): relative errors put on each ratio, in percent
    mse: np.ndarray  # (errors of r_Au, errors of r_Ag, elements, seeds): of HEBT
    best_mse: np.ndarray  # the same, each combination and element at its own best stop
    paper_errors: np.ndarray  # (elements,): of the ratios that the paper estimated, in percent
    paper_mse: np.ndarray  # (elements, seeds): of HEBT, with these errors of the true ratios
    eds_mse: np.ndarray  # (elements, seeds): of EDS alone at its best stop

    def relative(self) -> np.ndarray:
        """Return the MSE divided by that with the true ratios, seed by seed."""
        return self.mse / self._right

    def paper_relative(self) -> np.ndarray:
        """Return the MSE at the paper's errors divided by that with the true ratios."""
        return self.paper_mse / self._right

    def worst(self, stop: str = "printed") -> np.ndarray:
        """Return the highest MSE on the grid divided by that of EDS alone at its best stop.

        (elements,); `stop` is that of HEBT, "printed" or "best".
        """
        return self._against_eds(stop).max(axis=(0, 1, 3))

    def right(self, stop: str = "printed") -> np.ndarray:
        """Return the same with the true ratios."""
        return self._against_eds(stop)[self._zero, self._zero].max(axis=-1)

    def _against_eds(self, stop):
        return {"printed": self.mse, "best": self.best_mse}[stop] / self.eds_mse

    @property
    def _zero(self):
        return int(np.flatnonzero(self.errors == 0)[0])

    @property
    def _right(self):
        return self.mse[self._zero, self._zero]


def stability(*, errors=(-20.0, -10.0, 0.0, 10.0, 20.0), **changes) -> Stability:
    """Reconstruct the phantom with wrong response ratios, each combination of `errors`.

    These are relative, in percent, and 0 must be among them. `changes` are as in `study`, of whose
    noise seeds the first two are taken; EDS alone is that of the study.
    """
    errors = tuple(float(v) for v in errors)
    if 0.0 not in errors:
        raise ValueError(f"errors is {errors}; expected 0 among them, as the others refer to it.")
    if min(errors) <= -100:
        raise ValueError(f"errors is {errors}; expected percentages above -100.")
    return _stability(PhantomSettings.paper(**changes), errors)


@cached
def _stability(whole, errors):
    settings = dataclasses.replace(whole, seeds=whole.seeds[:2])
    data = simulate_phantom(settings)
    elements, seeds = len(data.elements), len(settings.seeds)
    paper_errors = np.array([value(f"phantom.r_error.{e}") for e in data.elements])
    factors = [(1 + a / 100, 1 + b / 100) for a in errors for b in errors]
    factors.append(tuple(1 + paper_errors / 100))
    # combinations, and seeds within them, are slices with ratios of their own
    keep = hebt.Snapshots(checkpoints(settings.iterations), lambda x: score(data, x)[0])
    hebt.reconstruct(
        data.W,
        np.tile(data.haadf_of_seeds, (1, len(factors), 1)),
        np.tile(data.maps, (1, 1, len(factors), 1)),
        np.repeat(settings.true_ratios[:, None] * np.array(factors).T, seeds, axis=1),
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=keep,
    )
    curves = np.array(keep.values).reshape(-1, elements, len(factors), seeds)
    best = curves.mean(axis=-1, keepdims=True).argmin(axis=0)[None]
    mse, best_mse = (
        np.moveaxis(v, 0, 1) for v in (curves[-1], np.take_along_axis(curves, best, axis=0)[0])
    )
    eds = study(**dataclasses.asdict(whole)).scores
    grid = len(errors), len(errors), elements, seeds
    return Stability(
        settings=settings,
        elements=data.elements,
        errors=np.array(errors),
        mse=mse[:-1].reshape(grid),
        best_mse=best_mse[:-1].reshape(grid),
        paper_errors=paper_errors,
        paper_mse=mse[-1],
        eds_mse=np.array([eds.at("mse", "eds", e, stop="best")[:seeds] for e in data.elements]),
    )
