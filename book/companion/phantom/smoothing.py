"""What the smoothing of the element maps does."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..scores import Scores
from ..store import cached
from .data import PhantomSettings, estimate_all_ratios
from .data import data as simulate_phantom
from .measures import as_scores, checkpoints, score, with_last


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A way to smooth the element maps, in pixels of a 512-pixel frame; width 0 is none."""

    name: str
    width: int
    sigma: float
    centered: bool = True


KERNELS = (
    Kernel("no smoothing", 0, 1.0),
    Kernel("8 taps, σ = 1", 8, 1.0),
    Kernel("8 taps, σ = 2", 8, 2.0),
    Kernel("8 taps, σ = 3", 8, 3.0),
    Kernel("8 taps, σ = 4", 8, 4.0),
    Kernel("8 taps, σ = 4, not centered", 8, 4.0, centered=False),
    Kernel("33 taps, σ = 4", 33, 4.0),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Smoothing:
    """What the smoothing of the element maps does to ratios and reconstructions."""

    settings: PhantomSettings
    kernels: tuple[Kernel, ...]
    elements: tuple[str, ...]
    ratio_errors: np.ndarray  # (kernels, seeds, elements), in percent
    r_squared: np.ndarray  # (kernels, seeds)
    # of HEBT with estimated ratios and of EDS alone, for each kernel: MSE, and at the paper's
    # iteration only SSIM
    scores: tuple[Scores, ...]

    def at(self, stop: str = "printed", name: str = "mse") -> np.ndarray:
        """Return a score at a stop, (kernels, 2, elements, seeds): of HEBT and of EDS alone."""
        return np.array(
            [
                [[s.at(name, m, e, stop=stop) for e in self.elements] for m in s.methods]
                for s in self.scores
            ]
        )


def smoothing(*, kernels=KERNELS, **changes) -> Smoothing:
    """Repeat the phantom study with other kernels, three noise seeds unless `changes` say else."""
    return _smoothing(PhantomSettings.paper(**({"seeds": range(3)} | changes)), tuple(kernels))


@cached
def _smoothing(settings, kernels):
    each = [
        simulate_phantom(
            dataclasses.replace(settings, width=k.width, sigma=k.sigma, centered=k.centered)
        )
        for k in kernels
    ]
    data, seeds = each[0], len(settings.seeds)
    ratios, r_squared = (np.array(v) for v in zip(*map(estimate_all_ratios, each)))
    # kernels, and seeds within them, are slices
    maps = np.concatenate([d.maps for d in each], axis=2)
    keep = hebt.Snapshots(checkpoints(settings.iterations), lambda x: score(data, x))
    late = ("ssim", "ssim_windowed")
    x = hebt.reconstruct(
        data.W,
        np.concatenate([d.haadf_of_seeds for d in each], axis=1),
        maps,
        np.concatenate(ratios).T,
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=keep,
    )
    runs = [with_last(data, keep.values, ("mse",), x, late)]
    x = hebt.sirt(data.W, np.moveaxis(maps, 0, 1), settings.iterations, callback=keep)
    runs.append(with_last(data, keep.values, ("mse",), x, late))
    parts = [slice(k * seeds, (k + 1) * seeds) for k in range(len(kernels))]
    return Smoothing(
        settings=settings,
        kernels=kernels,
        elements=data.elements,
        ratio_errors=100 * (ratios / settings.true_ratios - 1),
        r_squared=r_squared,
        scores=tuple(as_scores(data, ("hebt_est", "eds"), runs, part) for part in parts),
    )
