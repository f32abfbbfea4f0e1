"""Fused multi-modal tomography, restated on hebt's projector as a reference for benchmarks.

This is our restatement of the model of Schwartz et al., not their program, which needs a GPU. From
the papers [1]_ [2]_ and the published program (tomofusion, formerly tomo_TV) are the objective, for
densities u_e >= 0 of elements with atomic numbers Z_e,

    haadf / 2 |A sum_e w_e u_e^gamma - b_H|^2
    + chemistry sum_e sum (A u_e - (b_e + eps) log(A u_e + eps)) + tv sum_e TV(u_e),

and the way down: the chemistry alone first, from 0; then in turn a step along HAADF, taken by a few
iterations of SIRT from the present mixture, one along the likelihood of the maps, and total
variation of each channel by fast gradient projection [3]_. Maps are divided by their maximum, and
eps is a tenth of it; w_e is Z_e or Z_e^gamma, divided by their sum. The papers have b_e alone
before the logarithm; with eps beside it the term has the derivative that the program takes, which
is 0 where A u_e = b_e.

Ours are the projector, several parameters at a time (as slices), TV within slices only, since
slices are alike but for their noise here, and one factor by which HAADF fits the mixture, by least
squares, for the ratio of the brightest pixels of each tilt, which follows noise.

References
----------
.. [1] Schwartz et al., "Imaging 3D chemistry at 1 nm resolution with fused multi-modal electron
   tomography", Nature Communications 15 (2024) 3555.
.. [2] Schwartz et al., "Imaging atomic-scale chemistry from fused multi-modal electron microscopy",
   npj Computational Materials 8 (2022) 16.
.. [3] Beck and Teboulle, "Fast gradient-based algorithms for constrained total variation image
   denoising and deblurring problems", IEEE Transactions on Image Processing 18 (2009) 2419-2434.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np

import hebt
from hebt._engine.threads import run

EPS = 0.1  # of a map's maximum
CHEMISTRY_ITERATIONS, SIRT_ITERATIONS, TV_ITERATIONS = 100, 5, 5


@dataclass(frozen=True)
class Parameters:
    """Weights of the model; each may be an array, (slices,), for as many runs at a time."""

    gamma: Any = 1.6
    link: Any = 1.0  # w_e is Z_e to this power, 1 or gamma, over the sum
    haadf: Any = 1.0
    chemistry: Any = 0.05
    tv: Any = 1e-4

    def columns(self, slices: int) -> dict[str, np.ndarray]:
        """Return all of them as float32, (slices, 1, 1)."""
        return {
            name: np.broadcast_to(np.asarray(value, np.float32), slices).reshape(-1, 1, 1)
            for name, value in vars(self).items()
        }


class Model:
    """The objective for one tilt series, its gradients and the steps along them.

    Parameters
    ----------
    W
        The projector.
    haadf
        Shape (tilts, slices, size).
    counts
        Shape (elements, tilts, slices, size).
    numbers
        Atomic numbers of the elements.
    parameters
        Weights of the model.
    """

    def __init__(self, W: hebt.Projector, haadf, counts, numbers, parameters: Parameters):
        self.W, self.haadf = W, np.asarray(haadf, np.float32)
        brightest = np.max(counts, axis=(1, 2, 3), keepdims=True)
        self.maps = (np.asarray(counts) / brightest).astype(np.float32)
        # lengths in halves of the frame, so that a voxel is near 1
        self.unit = W.size / 2
        self.slices = self.maps.shape[2]
        self.parameters = parameters.columns(self.slices)
        self.lipschitz = float(W.backward(W.row_sums).max())
        power = np.asarray(numbers, np.float32).reshape(-1, 1, 1, 1) ** self.parameters["link"]
        self.shares = power / power.sum(axis=0)

    def mixture(self, u: np.ndarray) -> np.ndarray:
        """Return sum_e w_e u_e^gamma, (slices, size, size)."""
        gamma = self.parameters["gamma"]
        raised = u if (gamma == 1).all() else u**gamma
        return (self.shares * raised).sum(axis=0)

    def projected(self, u: np.ndarray) -> np.ndarray:
        """Return A u in the unit of the maps, (elements, tilts, slices, size)."""
        return np.moveaxis(self.W.forward(u), 1, 0) / np.float32(self.unit)

    def fit_haadf(self, u: np.ndarray) -> None:
        """Scale HAADF to the mixture's projections, by least squares over all pixels."""
        model = self.W.forward(self.mixture(u))
        scale = np.vdot(model, self.haadf) / np.vdot(self.haadf, self.haadf)
        self.haadf = self.haadf * np.float32(scale)

    def terms(self, u: np.ndarray) -> tuple[float, float, float]:
        """Return the three terms without their weights: misfit of HAADF, of the maps, TV."""
        away = self.W.forward(self.mixture(u)) - self.haadf
        seen = self.projected(u).astype(np.float64)
        return (
            0.5 * float(np.square(away, dtype=np.float64).sum()),
            float((seen - (self.maps + EPS) * np.log(seen + EPS)).sum()),
            total_variation(u),
        )

    def chemistry_gradient(self, u: np.ndarray) -> np.ndarray:
        """Return the gradient of the second term."""
        seen = self.projected(u)
        ratio = (seen - self.maps) / (seen + np.float32(EPS))
        return self.W.backward(np.moveaxis(ratio, 0, 1)) / np.float32(self.unit)

    def through_link(self, u: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return the derivative of the mixture, applied to an image of it."""
        gamma = self.parameters["gamma"]
        slope = self.shares if (gamma == 1).all() else self.shares * gamma * u ** (gamma - 1)
        return slope * image

    def haadf_gradient(self, u: np.ndarray) -> np.ndarray:
        """Return the gradient of the first term."""
        away = self.W.forward(self.mixture(u)) - self.haadf
        return self.through_link(u, self.W.backward(away))

    def haadf_step(self, u: np.ndarray, iterations: int = SIRT_ITERATIONS) -> np.ndarray:
        """Return what takes the mixture to where SIRT takes it; it replaces minus the gradient."""
        mixture = self.mixture(u)
        ahead = hebt.sirt(self.W, self.haadf, iterations, x0=mixture, device="cpu", progress=False)
        return self.through_link(u, ahead - mixture)

    def chemistry_step(self, u: np.ndarray) -> np.ndarray:
        """Return minus the gradient of the second term, over its Lipschitz constant."""
        return self.chemistry_gradient(u) * np.float32(-(self.unit**2) / self.lipschitz)

    def begin(self, iterations: int = CHEMISTRY_ITERATIONS) -> np.ndarray:
        """Return the maximum likelihood of the maps alone, so far, and scale HAADF to it."""
        size = self.W.size
        u = np.zeros((len(self.maps), self.slices, size, size), np.float32)
        for _ in range(iterations):
            u = np.maximum(0, u + self.parameters["chemistry"] * self.chemistry_step(u))
        self.fit_haadf(u)
        return u

    def advance(self, u: np.ndarray) -> np.ndarray:
        """Return u after one iteration of the whole model."""
        p = self.parameters
        u = u + p["haadf"] * self.haadf_step(u) + p["chemistry"] * self.chemistry_step(u)
        strengths = np.broadcast_to(p["tv"].ravel(), u.shape[:2])
        return tv_denoised(np.maximum(0, u), strengths)


def reconstruct(
    W: hebt.Projector,
    haadf: np.ndarray,
    counts: np.ndarray,
    numbers: Any,
    parameters: Parameters,
    iterations: int = 50,
    callback: Callable[[int, np.ndarray], None] | None = None,
    chemistry_iterations: int = CHEMISTRY_ITERATIONS,
) -> np.ndarray:
    """Reconstruct u, (elements, slices, size, size), up to a factor for each element."""
    model = Model(W, haadf, counts, numbers, parameters)
    u = model.begin(chemistry_iterations)
    for n in range(iterations):
        u = model.advance(u)
        if callback is not None:
            callback(n + 1, u)
    return u


def total_variation(u: np.ndarray) -> float:
    """Return the isotropic total variation within slices, with no difference across the edges."""
    down, across = np.zeros_like(u, np.float64), np.zeros_like(u, np.float64)
    down[..., :-1, :], across[..., :-1] = np.diff(u, axis=-2), np.diff(u, axis=-1)
    return float(np.hypot(down, across).sum())


def tv_denoised(
    u: np.ndarray, strengths: np.ndarray, iterations: int = TV_ITERATIONS
) -> np.ndarray:
    """Return argmin_v |v - u|^2 / 2 + strength TV(v) over v >= 0, so far, for each slice."""
    images = np.ascontiguousarray(u, np.float32).reshape(-1, *u.shape[-2:])
    out = np.empty_like(images)
    each = np.ascontiguousarray(np.broadcast_to(strengths, u.shape[:-2]), np.float32).ravel()
    run(lambda i: _denoise(images, each, iterations, out, i), [(i,) for i in range(len(images))])
    return out.reshape(u.shape)


@numba.njit(nogil=True, fastmath=True, cache=True)
def _denoise(images, strengths, iterations, out, i):
    shape = images.shape[1], images.shape[2]
    strength = strengths[i]
    if strength <= 0:
        out[i] = np.maximum(images[i], np.float32(0))
        return
    dual = np.zeros((2, *shape), np.float32)
    ahead, before = np.zeros_like(dual), np.zeros_like(dual)
    step, age = np.float32(1) / (np.float32(8) * strength), 1.0
    for _ in range(iterations):
        _primal(images[i], ahead, strength, out[i])
        before[:] = dual
        _dual(out[i], ahead, step, dual)
        older, age = age, (1 + np.sqrt(1 + 4 * age * age)) / 2
        momentum = np.float32((older - 1) / age)
        for a in range(2):
            for y in range(shape[0]):
                for x in range(shape[1]):
                    now = dual[a, y, x]
                    ahead[a, y, x] = now + momentum * (now - before[a, y, x])
    _primal(images[i], dual, strength, out[i])


@numba.njit(nogil=True, fastmath=True, cache=True)
def _primal(image, dual, strength, out):
    """Set out to max(0, image + strength * divergence of the dual)."""
    rows, columns = image.shape
    zero = np.float32(0)
    for y in range(rows):
        for x in range(columns):
            value = dual[0, y, x] + dual[1, y, x]
            if y > 0:
                value -= dual[0, y - 1, x]
            if x > 0:
                value -= dual[1, y, x - 1]
            out[y, x] = max(zero, image[y, x] + strength * value)


@numba.njit(nogil=True, fastmath=True, cache=True)
def _dual(image, ahead, step, dual):
    """Set the dual to what is ahead plus step * gradient, within the unit ball."""
    rows, columns = image.shape
    one, zero = np.float32(1), np.float32(0)
    for y in range(rows):
        for x in range(columns):
            here = image[y, x]
            down = ahead[0, y, x] + step * (image[y + 1, x] - here) if y + 1 < rows else zero
            across = ahead[1, y, x] + step * (image[y, x + 1] - here) if x + 1 < columns else zero
            norm = max(one, np.sqrt(down * down + across * across))
            dual[0, y, x] = down / norm
            dual[1, y, x] = across / norm


def grid(**values) -> Parameters:
    """Return every combination of the values, as parameters of as many runs."""
    names = list(values)
    mesh = np.meshgrid(*(np.asarray(values[name], np.float32) for name in names), indexing="ij")
    columns = {name: axis.ravel() for name, axis in zip(names, mesh)}
    return Parameters(**columns)


def picked(parameters: Parameters, place: int) -> Parameters:
    """Return the parameters of one run of a grid."""
    one = {n: float(v) if np.ndim(v) == 0 else float(v[place]) for n, v in vars(parameters).items()}
    return replace(parameters, **one)
