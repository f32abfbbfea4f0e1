"""What the smoothing of the element maps does."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..store import cached
from .data import PhantomSettings, estimate_ratios, phantom_settings
from .data import data as simulate_phantom
from .measures import checkpoints, score


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
    Kernel("8 taps, σ = 4, not centred", 8, 4.0, centered=False),
    Kernel("33 taps, σ = 4", 33, 4.0),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Smoothing:
    """What the smoothing of the element maps does to ratios and reconstructions.

    Attributes
    ----------
    settings, kernels, elements
        What it was made with.
    ratio_errors, r_squared
        (kernels, seeds, elements), in percent, and (kernels, seeds).
    iterations
        (checkpoints,)
    mse
        (kernels, 2, elements, seeds, checkpoints): of HEBT with the estimated ratios, and of EDS
        alone.
    ssim, ssim_windowed
        (kernels, 2, elements, seeds): after the last iteration, with one window as large as the
        image and with windows of 11 x 11 pixels.
    """

    settings: PhantomSettings
    kernels: tuple[Kernel, ...]
    elements: tuple[str, ...]
    ratio_errors: np.ndarray
    r_squared: np.ndarray
    iterations: np.ndarray
    mse: np.ndarray
    ssim: np.ndarray
    ssim_windowed: np.ndarray

    def at(self, stop: str = "printed") -> np.ndarray:
        """Return the MSE, (kernels, 2, elements, seeds), after the printed number of iterations,
        or at the iteration that is best for each in the mean over the seeds ("best")."""
        if stop == "printed":
            return self.mse[..., -1]
        if stop == "best":
            best = self.mse.mean(axis=3).argmin(axis=-1)
            return np.take_along_axis(self.mse, best[..., None, None], axis=-1)[..., 0]
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")


def smoothing(*, kernels=KERNELS, **changes) -> Smoothing:
    """Repeat the phantom study with other kernels, three noise seeds unless `changes` say else."""
    return _smoothing(phantom_settings(**({"seeds": range(3)} | changes)), tuple(kernels))


@cached
def _smoothing(settings, kernels):
    seeds = range(len(settings.seeds))
    each = [
        simulate_phantom(
            dataclasses.replace(settings, width=k.width, sigma=k.sigma, centered=k.centered)
        )
        for k in kernels
    ]
    data = each[0]
    fits = [[estimate_ratios(d, seed) for seed in seeds] for d in each]
    ratios = np.array([[fit.ratios for fit in row] for row in fits], np.float64)
    elements = len(data.elements)
    # kernels, and seeds within them, are slices
    maps = np.concatenate([d.maps for d in each], axis=2)
    keep = hebt.Snapshots(checkpoints(settings.iterations), lambda x: score(data, x)[0])
    hebt_x = hebt.reconstruct(
        data.W,
        np.tile(data.haadf_of_seeds, (1, len(kernels), 1)),
        maps,
        np.moveaxis(ratios, -1, 0).reshape(elements, -1),
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=keep,
    )
    mse = [keep.values]
    eds_x = hebt.sirt(data.W, np.moveaxis(maps, 0, 1), settings.iterations, callback=keep)
    mse.append(keep.values)

    def by_kernel(values):
        """(2, ..., elements, kernels * seeds) -> (kernels, 2, elements, seeds, ...)."""
        values = np.array(values)
        values = values.reshape(*values.shape[:-1], len(kernels), len(seeds))
        return np.moveaxis(values, (-2, 0, -3, -1), (0, 1, 2, 3))

    names = ("ssim", "ssim_windowed")
    ssim = np.moveaxis([score(data, x, names) for x in (hebt_x, eds_x)], 1, 0)
    return Smoothing(
        settings=settings,
        kernels=kernels,
        elements=data.elements,
        ratio_errors=100 * (ratios / settings.true_ratios - 1),
        r_squared=np.array([[fit.r_squared for fit in row] for row in fits]),
        iterations=checkpoints(settings.iterations),
        mse=by_kernel(mse),
        **{name: by_kernel(values) for name, values in zip(names, ssim)},
    )
