"""The phantom with many weights and numbers of iterations."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare

from ..fidelity import fidelity
from ..store import cached
from .data import PhantomSettings, estimate_ratios
from .data import data as simulate_phantom
from .measures import score


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomSweep:
    """The phantom reconstructed with many weights and numbers of iterations, one noise seed.

    Pictures are float32 densities, cut to the particle and binned; errors are those of the whole
    frame before that.
    """

    settings: PhantomSettings  # alpha and iterations in it do not count
    elements: tuple[str, ...]
    alphas: tuple[float, ...]
    iterations: tuple[int, ...]
    truth: np.ndarray  # (elements, pixels, pixels)
    hebt: np.ndarray  # (alphas, iterations, elements, pixels, pixels), with estimated ratios
    eds: np.ndarray  # (iterations, elements, pixels, pixels)
    hebt_mse: np.ndarray  # (alphas, iterations, elements)
    eds_mse: np.ndarray  # (iterations, elements)


ALPHAS = (0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
ITERATIONS = (5, 10, 20, 50, 100, 200, 500)
SIZE = {"paper": 256, "quick": 128}  # pixels along a side of the frame
FRAME = 96  # pixels: three quarters of the frame, which hold the particle, binned


def sweeps(doses, *, alphas=ALPHAS, iterations=ITERATIONS, **changes) -> tuple[PhantomSweep, ...]:
    """Reconstruct noisy tilt series of the phantom with many weights, all doses as one batch.

    The frame is smaller than the paper's (`SIZE`), and the specimen gets the same dose. `changes`
    are settings to change; the first of the seeds counts.
    """
    changes = {"seeds": (0,), "size": SIZE[fidelity()]} | changes
    settings = tuple(PhantomSettings.paper(**changes, dose=dose) for dose in doses)
    if not settings:
        raise ValueError("doses is empty; expected at least one dose.")
    return _sweeps(
        settings, tuple(float(a) for a in alphas), tuple(sorted(int(i) for i in iterations))
    )


@cached
def _sweeps(settings, alphas, iterations):
    series = [simulate_phantom(dataclasses.replace(s, seeds=s.seeds[:1])) for s in settings]
    fits = [estimate_ratios(d, 0) for d in series]
    # projector, phantom and HAADF are the same for all; doses are slices with their own ratios
    swept = hebt.sweep(
        series[0].W,
        np.concatenate([d.haadf_of_seeds for d in series], axis=1),
        np.concatenate([d.maps for d in series], axis=2),
        np.stack([fit.ratios for fit in fits], axis=1),
        (0, *alphas),
        iterations,
    )
    return tuple(
        _sweep_at(d, f, swept[:, :, :, at], alphas, iterations)
        for at, (d, f) in enumerate(zip(series, fits, strict=True))
    )


def _sweep_at(data, fit, swept, alphas, iterations):
    settings = data.settings
    per_density = np.array(fit.ratios) * settings.counts_per_density
    mse = np.array([[score(data, x[:, None])[0, :, 0] for x in row] for row in swept])
    frames = cut_frames(swept / per_density[:, None, None].astype(np.float32))
    return PhantomSweep(
        settings=settings,
        elements=data.elements,
        alphas=alphas,
        iterations=iterations,
        truth=cut_frames(data.density),
        hebt=frames[1:],
        eds=frames[0],
        hebt_mse=mse[1:],
        eds_mse=mse[0],
    )


def cut_frames(images):
    """Cut (..., size, size) to the middle three quarters and bin it to `FRAME` pixels."""
    size = images.shape[-1]
    if size * 3 % (4 * FRAME):
        raise ValueError(
            f"size is {size}; expected a multiple of {4 * FRAME // 3}, so that the particle's "
            f"part of the frame can be binned to {FRAME} pixels."
        )
    margin = size // 8
    cut = images[..., margin : size - margin, margin : size - margin]
    factor = cut.shape[-1] // FRAME
    return prepare.bin_images(cut, factor, mean=True)
