"""Fusion by variance against numpy on the explicit matrix, and the properties that it must have."""

import math

import numpy as np
import pytest
from scipy import ndimage

import hebt
from hebt._fused import share_out
from hebt._problem import Problem

SIZE = 20
ANGLES = np.arange(-70, 71, 20.0)
R = np.array([3.0, 0.7, 1.9])


def scene(elements=2, slices=3, dose=30, seed=0, angles=ANGLES):
    """Overlapping blocks of several elements: W, HAADF images, counts and ratios."""
    W = hebt.Projector(angles, SIZE)
    x = np.zeros((elements, slices, SIZE, SIZE))
    for e in range(elements):
        for s in range(slices):
            x[e, s, 4 + 2 * e + s : 13 + e, 5:15] = 1 + e
    p = np.moveaxis(W.forward(x), 1, 0)
    ratios = R[:elements]
    counts = np.random.default_rng(seed).poisson(dose * p / ratios[:, None, None, None])
    return W, dose * p.sum(axis=0), counts, ratios


def close(x, y, tolerance=1e-5):
    assert np.abs(np.asarray(x) - y).max() <= tolerance * np.abs(y).max()


# The method written in numpy, in double precision, as its formulas stand.


def local_mean(variance):
    sigma = (0, 0.7, *[0] * (variance.ndim - 3), 3 * SIZE / 128)
    return ndimage.gaussian_filter(np.asarray(variance, float), sigma)


def fused_projections(haadf, maps, ratios, variance, v_h):
    """q_e, as the minimum of the weighted squares, solved pixel by pixel."""
    k = len(maps)
    r = np.asarray(ratios, float).reshape(k, 1, -1, 1)
    p, v = r * maps, r**2 * local_mean(variance)
    q = p.copy()
    for at in np.ndindex(haadf.shape):
        own, misfit = v[:, *at], haadf[at] - p[:, *at].sum()
        if v_h > 0:
            seen = own > 0
            if seen.any():
                A = np.diag(1 / own[seen]) + 1 / v_h
                q[:, *at][seen] = np.linalg.solve(A, p[:, *at][seen] / own[seen] + haadf[at] / v_h)
        elif own.sum() > 0:
            q[:, *at] += own / own.sum() * misfit
        else:
            q[:, *at] += misfit / k
    return q


def keep_sum(u):
    """Project each column of u onto {v >= 0, sum v = max(sum u, 0)}, by sorting."""
    out = np.zeros_like(u)
    for m, own in enumerate(u.T):
        total = own.sum()
        if total > 0:
            down = np.sort(own)[::-1]
            shifts = (np.cumsum(down) - total) / np.arange(1, len(own) + 1)
            out[:, m] = np.maximum(own - shifts[np.flatnonzero(down > shifts)[-1]], 0)
    return out


def clip(u):
    return np.maximum(u, 0)


def fista(W, q, project, iterations, mask=1.0, x0=None):
    """Accelerated SIRT of one slice, (elements, pixels), from q, (elements, rays)."""
    rows, columns = W.sum(axis=1), W.sum(axis=0)
    inverse = lambda sums: np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)  # noqa: E731
    x = np.zeros((len(q), W.shape[1])) if x0 is None else x0
    z, t = x, 1.0
    for _ in range(iterations):
        new = mask * project(z + inverse(columns) * (((q - z @ W.T) * inverse(rows)) @ W))
        if (columns * (z - new) * (new - x)).sum() > 0:
            t, z = (1 + math.sqrt(5)) / 2, new
        else:
            after = (1 + math.sqrt(1 + 4 * t * t)) / 2
            z, t = new + (t - 1) / after * (new - x), after
        x = new
    return x


def dense(W):
    return W.matrix().toarray().astype(float)


@pytest.mark.parametrize("elements", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 25.0])
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_its_formulas_in_numpy(elements, noise, masked):
    W, haadf, maps, ratios = scene(elements)
    q = fused_projections(haadf, maps, ratios, maps, noise**2)
    rng = np.random.default_rng(1)
    mask = rng.random((3, SIZE, SIZE)) > 0.2 if masked else np.ones((3, SIZE, SIZE))
    x0 = 20 * rng.random((elements, 3, SIZE, SIZE)) if masked else None
    method = hebt.Fused(haadf_noise=noise)
    x = hebt.reconstruct(
        W, haadf, maps, ratios, method=method, mask=mask if masked else None, x0=x0
    )
    A = dense(W)
    for s in range(3):
        own = q[:, :, s].reshape(elements, -1)
        start = None if x0 is None else x0[:, s].reshape(elements, -1)
        project = clip if noise else keep_sum
        expected = fista(A, own, project, 20, mask[s].ravel(), start)
        close(x[:, s].reshape(elements, -1), expected, 1e-4)


@pytest.mark.parametrize("noise", [0.0, 25.0])
def test_the_shares_are_the_most_likely_ones(noise):
    W, haadf, maps, ratios = scene(3)
    offset, own = share_out(Problem.checked(W, haadf, maps, ratios, 0.0), None, noise)
    q = ratios[:, None, None, None] * maps + offset
    close(q, fused_projections(haadf, maps, ratios, maps, noise**2))
    assert own == noise**2
    if noise == 0:
        close(q.sum(axis=0), haadf)
