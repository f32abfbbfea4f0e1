"""A particle to turn on the first page: small, simulated, and reconstructed in seconds."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import metrics, simulate
from hebt.simulate.specimens import DENSITY

from ..dose import on_pixel
from ..fidelity import fidelity
from ..paper import value
from ..spectra.settings import READINGS
from ..store import cached

SIZE = {"paper": 72, "quick": 36}  # voxels along a side
TILTS = np.arange(-75.0, 76.0, 5.0)
ALPHA = 0.7
METHODS = {"eds": 0.0, "hebt": ALPHA}  # name -> weight of HAADF
STOPS = (2, 3, 5, 8, 12, 20, 30, 50, 80)
PAPER_SIZE = 300  # pixels along a side of the paper's frame
COUNTS = READINGS["b"].counts["nonalloy"]  # X-rays of a map on such a pixel


@dataclasses.dataclass(frozen=True, eq=False)
class Particle:
    """An Ag particle with an Au octahedron, its tilt series, and what was made of them.

    Densities are relative to the bulk element, (elements, n, n, n).
    """

    voxel: float  # nm
    truth: np.ndarray
    haadf: np.ndarray  # (tilts, slices, size)
    maps: np.ndarray  # (elements, tilts, slices, size), X-ray counts
    density: dict[str, np.ndarray]  # method -> densities where its own error is least
    error: dict[str, float]  # the mean-squared error there, relative, mean over elements
    stop: dict[str, int]  # iterations there

    @property
    def gain(self) -> float:
        """How many times the error of HEBT that of EDS alone is."""
        return self.error["eds"] / self.error["hebt"]


def particle(seed: int = 0) -> Particle:
    """Simulate the particle and reconstruct it by both methods, each stopped at its best."""
    return _particle(SIZE[fidelity()], seed)


@cached
def _particle(size, seed):
    specimen = simulate.embedded_octahedron(size)
    bulk = np.array([DENSITY[e] for e in specimen.elements])
    truth = (specimen.density / bulk[:, None, None, None]).astype(np.float32)
    W = hebt.Projector(TILTS, size)
    z = np.array([value(f"phantom.z.{e}") for e in specimen.elements])
    haadf = simulate.haadf_tilt_series(W, truth, z)
    zeta = np.array([value(f"phantom.zeta.{e}") for e in specimen.elements])
    mean = simulate.mean_counts(W, truth, zeta)[:, haadf > 0].mean(dtype=float)
    counts = on_pixel(COUNTS, side=1 / PAPER_SIZE, other=1 / size)
    maps = simulate.eds_tilt_series(W, truth, zeta, dose=counts / mean, seed=seed)
    ratios = hebt.response_ratios(haadf, maps, names=specimen.elements).ratios

    def score(x):
        density = (x / z[:, None, None, None]).astype(np.float32)
        errors = [metrics.scaled_mse(*pair) for pair in zip(truth, density, strict=True)]
        return float(np.mean(errors)), density

    best = {}
    for method, alpha in METHODS.items():
        kept = hebt.Snapshots(STOPS, score)
        hebt.reconstruct(W, haadf, maps, ratios, alpha, STOPS[-1], callback=kept)
        errors = [error for error, _ in kept.values]
        best[method] = (*kept.values[int(np.argmin(errors))], STOPS[int(np.argmin(errors))])
    error, density, stop = ({m: values[k] for m, values in best.items()} for k in range(3))
    return Particle(specimen.voxel_size, truth, haadf, maps, density, error, stop)
