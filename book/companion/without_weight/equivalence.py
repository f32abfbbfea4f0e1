"""What the methods turn into where they meet: on a small problem, by independent formulas."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt

from ..store import cached

SIZE, ALPHA = 16, 0.7
MANY, SOME = 600, 60


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Largest differences, relative to the largest value."""

    shared: float  # HEBT, run on, against fusing with equal shares
    exact: float  # fusing with equal shares against EDS alone's formula on shared-out objects
    apart: float  # HEBT against EDS alone, for comparison
    likelihood: float  # composition EM without kernel and sum against MLEM
    iterations: int  # of MLEM


@cached
def equivalence() -> Equivalence:
    """Compare HEBT with fusing in equal shares, and composition EM with MLEM.

    HEBT: maps and HAADF contradict each other by objects that are smooth and small, so that
    non-negativity has nothing to do, and what HEBT tends to can be written down. MLEM: counts.
    """
    W = hebt.Projector(np.arange(-80, 81, 5), SIZE)
    u = ((np.arange(SIZE) - (SIZE - 1) / 2) / SIZE).astype(np.float32)
    blob = np.exp(-(u[:, None] ** 2 + u**2) / (2 * 0.15**2))
    objects = np.stack([blob * (1 + u), blob * (1 - u[:, None])])
    wrong = np.stack([0.3 * blob**2, -0.2 * blob * (1 + 2 * u)])
    ratios = np.array([2.0, 1.0], np.float32)
    true, seen = (np.stack([W.forward(one) for one in each]) for each in (objects, objects + wrong))
    haadf = np.tensordot(ratios, true, axes=1)
    bimodal, alone = (hebt.reconstruct(W, haadf, seen, ratios, a, MANY) for a in (ALPHA, 0.0))
    fused = hebt.reconstruct(W, haadf, seen, ratios, None, MANY, method=equal_shares(seen, ratios))
    shared = share_evenly(np.tensordot(ratios, objects, axes=1), objects + wrong, ratios, ALPHA)
    counts = np.random.default_rng(3).poisson(30 * true).astype(np.float32)
    full = hebt.CompositionEM(0, total="free", haadf_noise=0.0)
    start, em = (
        hebt.reconstruct(W, 30 * haadf, counts, ratios, None, n, method=full) for n in (1, SOME)
    )
    return Equivalence(
        shared=_difference(fused, bimodal),
        exact=_difference(fused, shared),
        apart=_difference(alone, bimodal),
        likelihood=_difference(em, mlem(W, start, counts, ratios, SOME - 1)),
        iterations=SOME,
    )


def equal_shares(maps, ratios) -> hebt.Fused:
    """Return the method that gives each element alpha / k of the misfit.

    All maps are as uncertain, v = 1 in HAADF's unit, and v_h is such that k v / (k v + v_h) is
    alpha.
    """
    variance = np.ones_like(maps) / np.asarray(ratios)[:, None, None] ** 2
    own = len(maps) * (1 / ALPHA - 1)
    return hebt.Fused(variance=variance, haadf_noise=float(np.sqrt(own)))


def share_evenly(haadf, maps, ratios, alpha) -> np.ndarray:
    """Return r_e p_e + (alpha / k) (p_h - sum_e r_e p_e), of projections or of objects."""
    scaled = np.asarray(ratios)[:, None, None] * maps
    return scaled + alpha / len(maps) * (haadf - scaled.sum(axis=0))


def mlem(W, x, counts, ratios, iterations) -> np.ndarray:
    """Return x after so many iterations of MLEM: x_e W^T(n_e / (W x_e / r_e)) / (W^T 1)."""
    A = W.matrix()
    sums = np.asarray(A.sum(axis=0)).ravel()
    result = []
    for one, n, r in zip(x, counts, ratios, strict=True):
        x_e, n = one.astype(float).ravel(), n.astype(float).ravel()
        for _ in range(iterations):
            expected = A @ x_e / r
            quotient = np.divide(n, expected, out=np.zeros_like(n), where=expected > 0)
            x_e *= np.divide(A.T @ quotient, sums, out=np.zeros_like(sums), where=sums > 0)
        result.append(x_e.reshape(one.shape))
    return np.stack(result)


def _difference(x, y) -> float:
    return float(np.abs(x - y).max() / np.abs(y).max())
