"""How many X-rays the paper's dose gives on a pixel of the phantom."""

import functools

import numpy as np

import hebt
from hebt import simulate

from ..dose import on_pixel
from .data import PhantomSettings

_SIZE = 128  # pixels along a side: the mean over the particle hardly knows the grid


@functools.cache
def paper_counts(size: int = _SIZE) -> float:
    """Return the counts on a pixel of the particle, in such a frame, at the paper's dose."""
    settings = PhantomSettings.paper(size=size)
    W = hebt.Projector(np.array(settings.angles), size)
    density = simulate.phantom(size).density
    inside = W.forward(density.sum(axis=0)) > 0
    counts = simulate.mean_counts(W, density, settings.counts_per_density)
    return float(counts[:, inside].mean(dtype=np.float64))


def counts_on_paper_pixel(dose: float = 1.0) -> float:
    """Return the counts on a pixel of the paper's frame, the unit of the whole book."""
    side = PhantomSettings.paper(size=_SIZE).binning
    return on_pixel(dose * paper_counts(_SIZE), side=side, other=1, sides=1)
