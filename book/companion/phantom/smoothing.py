"""What the smoothing of the element maps does."""

import dataclasses

import numpy as np

import hebt

from ..store import cached
from . import measures
from .data import PhantomSettings, estimate_ratios, phantom_settings
from .data import data as data_data
from .measures import as_slices, repeat, weighed


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A way to smooth the element maps.

    Attributes
    ----------
    name
        What to call it.
    width
        Taps, in pixels of a 512-pixel frame; 0 for no smoothing.
    sigma
        Standard deviation of the Gaussian, in the same pixels.
    centred
        Whether the kernel is centred on a pixel.
    """

    name: str
    width: int
    sigma: float
    centred: bool = True


KERNELS = (
    Kernel("no smoothing", 0, 1.0),
    Kernel("8 taps, σ = 1", 8, 1.0),
    Kernel("8 taps, σ = 2", 8, 2.0),
    Kernel("8 taps, σ = 3", 8, 3.0),
    Kernel("8 taps, σ = 4", 8, 4.0),
    Kernel("8 taps, σ = 4, not centred", 8, 4.0, centred=False),
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
    """Repeat the phantom study with other kernels for the element maps.

    Parameters
    ----------
    kernels
        Those to try.
    **changes
        Settings to change, as in `phantom_settings`; three noise seeds unless given.

    Returns
    -------
    Smoothing
    """
    return _smoothing(phantom_settings(**({"seeds": range(3)} | changes)), tuple(kernels))


@cached
def _smoothing(settings, kernels):
    seeds = len(settings.seeds)
    checkpoints = measures.checkpoints(settings.iterations)
    each = [
        data_data(dataclasses.replace(settings, width=k.width, sigma=k.sigma, centred=k.centred))
        for k in kernels
    ]
    data = each[0]
    fits = [[estimate_ratios(d, seed) for seed in range(seeds)] for d in each]
    ratios = np.array([[fit.ratios for fit in row] for row in fits], np.float64)
    shape = (len(kernels), 2, len(data.elements), seeds)
    mse = np.full((*shape, len(checkpoints)), np.nan)
    ssim = {name: np.full(shape, np.nan) for name in ("ssim", "ssim_windowed")}

    def scores(method):
        def follow(iteration, x, residual):
            if iteration in checkpoints:
                at = int(np.searchsorted(checkpoints, iteration))
                x = x.reshape(len(data.elements), len(kernels), seeds, *x.shape[-2:])
                for k in range(len(kernels)):
                    mse[k, method, :, :, at] = measures.mse(data, x[:, k])
                    if iteration == settings.iterations:
                        for name, values in ssim.items():
                            values[k, method] = measures.scores(name, data, x[:, k])

        return follow

    hebt.reconstruct(
        data.W,
        repeat(data.haadf, len(kernels) * seeds),
        np.concatenate([weighed(d.maps, r) for d, r in zip(each, ratios, strict=True)], axis=2),
        np.ones(len(data.elements)),
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=scores(0),
    )
    hebt.sirt(
        data.W,
        as_slices(np.concatenate([d.maps for d in each], axis=2)),
        iterations=settings.iterations,
        callback=scores(1),
    )
    return Smoothing(
        settings=settings,
        kernels=kernels,
        elements=data.elements,
        ratio_errors=100 * (ratios / settings.true_ratios - 1),
        r_squared=np.array([[fit.r_squared for fit in row] for row in fits]),
        iterations=checkpoints,
        mse=mse,
        **ssim,
    )
