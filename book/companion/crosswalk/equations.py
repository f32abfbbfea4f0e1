"""The paper's equations, taken literally in double precision, against what `hebt` computes."""

from __future__ import annotations

import numpy as np

import hebt
from hebt import simulate

from ..models.theory import sirt_on_matrix, stacked_system

Z, ZETA = np.array([3.0, 2.0]), np.array([0.5, 0.8])
WEIGHT = np.array([196.97, 107.87])  # atomic weights of Au and Ag
ALPHA = 0.7
# relative; an integral over a disc is met to the width of a voxel, SIRT to single precision
TOLERANCE = {1: 1e-5, 2: 1e-2, 3: 1e-5, 4: 1e-2, 5: 1e-5, 6: 1e-4, 7: 1e-5, 8: 1e-5}
TOLERANCE |= {10: 1e-5, 11: 1e-4}


def checks(size: int = 32) -> dict[int, float]:
    """Return how far `hebt` is from each equation but Eq. 9, relative to the largest value.

    On the phantom in a small frame, without noise. Projections are compared with the explicit
    matrix, integrals with those over a disc, and the solver with SIRT on the stacked system.
    """
    W = hebt.Projector(np.arange(-75, 76, 15), size)
    density = simulate.phantom(size).density.astype(np.float64)
    literal = np.stack([(W.matrix().astype(np.float64) @ d.ravel()) for d in density])
    shape = (len(W.angles), size)
    haadf = simulate.haadf_tilt_series(W, density, Z)
    counts = simulate.mean_counts(W, density, ZETA)
    thickness = literal.reshape(-1, *shape)
    atoms = thickness / WEIGHT[:, None, None]
    x = Z[:, None, None] * density
    ratios = Z / ZETA
    fit = hebt.response_ratios(haadf, counts, variance=None)
    return {
        1: _apart(haadf, np.tensordot(Z * WEIGHT, atoms, axes=1)),
        2: _disc(lambda W, rho: simulate.haadf_tilt_series(W, rho[None], Z[:1]) / Z[0]),
        3: _apart(haadf, np.tensordot(Z, thickness, axes=1)),
        4: _disc(lambda W, rho: simulate.mean_counts(W, rho[None], ZETA[:1])[0] / ZETA[0]),
        5: _apart(counts, ZETA[:, None, None] * thickness),
        6: _apart(np.asarray(fit.ratios), ratios),
        7: _apart(W.forward(x.sum(axis=0)), np.tensordot(Z, thickness, axes=1)),
        8: _apart(np.moveaxis(W.forward(x), 1, 0), ratios[:, None, None] * counts),
        **_stacked(W, haadf, counts, ratios),
    }


def _apart(ours, literal):
    return float(np.abs(ours - literal).max() / np.abs(literal).max())


def _disc(project, size: int = 96, radius: float = 30.0):
    """Project a disc of density 1, against its chords over each pixel: root mean square."""
    W = hebt.Projector([0, 20, 45], size)
    fine = (np.arange(8 * size) + 0.5) / 8 - size / 2
    inside = np.hypot(fine[:, None], fine) < radius
    disc = inside.reshape(size, 8, size, 8).mean(axis=(1, 3))
    edges = np.clip(np.arange(size + 1) - size / 2, -radius, radius)
    area = edges * np.sqrt(radius**2 - edges**2) + radius**2 * np.arcsin(edges / radius)
    chords = np.diff(area)
    return float(np.sqrt(((project(W, disc) - chords) ** 2).mean()) / chords.max())


def _stacked(W, haadf, maps, ratios):
    """Return Eq. 10 against Eq. 9 at some x, and HEBT against SIRT on Eq. 11."""
    matrix, data = stacked_system(W, haadf, maps, ratios, ALPHA)
    x = np.random.default_rng(0).random((len(maps), W.size, W.size))
    projected = np.moveaxis(W.forward(x), 1, 0).astype(np.float64)
    nine = ALPHA**2 * ((haadf - projected.sum(axis=0)) ** 2).sum()
    nine += (1 - ALPHA) ** 2 * ((ratios[:, None, None] * maps - projected) ** 2).sum()
    ten = ((data - matrix @ x.ravel()) ** 2).sum()
    found = hebt.reconstruct(W, haadf, maps, ratios, alpha=ALPHA, iterations=30)
    return {
        10: float(abs(ten / nine - 1)),
        11: _apart(found.ravel(), sirt_on_matrix(matrix, data, 30)),
    }
