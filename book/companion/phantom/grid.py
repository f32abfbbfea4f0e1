"""What it changes that one grid makes the phantom's data and reconstructs them."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare, simulate

from ..store import cached
from .data import PhantomData, PhantomSettings, estimate_all_ratios, smoothed
from .data import data as simulate_phantom
from .measures import score
from .study import study


@dataclasses.dataclass(frozen=True, eq=False)
class FinerGrid:
    """The phantom's MSE where its data come from the page's own grid, and from a finer one."""

    settings: PhantomSettings
    factor: int  # pixels of the finer grid along the side of a pixel
    elements: tuple[str, ...]
    difference: float  # between the two HAADF sinograms, relative, in the 2-norm
    # (elements, seeds): MSE of EDS alone divided by that of HEBT with estimated ratios
    own_gain: np.ndarray
    finer_gain: np.ndarray


def finer_grid(*, factor: int = 4, **changes) -> FinerGrid:
    """Repeat the phantom study with data from a finer grid, for its first three noise seeds.

    `changes` are as in `study`, which gives the gain on the page's own grid.
    """
    return _finer_grid(PhantomSettings.paper(**changes), factor)


@cached
def _finer_grid(whole, factor):
    settings = dataclasses.replace(whole, seeds=whole.seeds[:3])
    own = simulate_phantom(settings)
    data = from_finer_grid(own, simulate.phantom(factor * settings.size).density)
    x = hebt.reconstruct(
        data.W,
        data.haadf_of_seeds,
        data.maps,
        estimate_all_ratios(data)[0].T,
        alpha=settings.alpha,
        iterations=settings.iterations,
    )
    eds = hebt.sirt(data.W, np.moveaxis(data.maps, 0, 1), settings.iterations)
    scores = study(**dataclasses.asdict(whole)).scores
    gains = [scores.gain("mse", e)[: len(settings.seeds)] for e in data.elements]
    return FinerGrid(
        settings=settings,
        factor=factor,
        elements=data.elements,
        difference=float(np.linalg.norm(data.haadf - own.haadf) / np.linalg.norm(own.haadf)),
        own_gain=np.array(gains),
        finer_gain=score(data, eds)[0] / score(data, x)[0],
    )


def from_finer_grid(data: PhantomData, density: np.ndarray) -> PhantomData:
    """Return the same tilt series, but of a finer density (elements, factor · size, ...).

    A pixel of the detector takes what falls on all the finer ones that lie in it.
    """
    settings = data.settings
    factor = density.shape[-1] // settings.size
    W = hebt.Projector(data.W.angles, density.shape[-1])
    # both the width of the beam and the path through a finer pixel are shorter by the factor
    area = (settings.binning / factor) ** 2
    z, zeta = area * np.array(settings.z), area * np.array(settings.zeta)
    series = (
        simulate.haadf_tilt_series(W, density, z),
        simulate.mean_counts(W, density, zeta, dose=settings.dose),
    )
    haadf, mean = (prepare.bin_images(s, factor, axis=-1) for s in series)
    counts = [np.random.default_rng(s).poisson(mean) for s in settings.seeds]
    counts = np.stack(counts, axis=2).astype(np.float32)
    maps = smoothed(counts, settings)
    return dataclasses.replace(data, haadf=haadf, counts=counts, maps=maps)
