"""SIRT against weighted backprojection, on the phantom's noisy element maps (section 2.3)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt._checks import as_float32

from ..phantom.data import PhantomSettings
from ..phantom.data import data as simulate_phantom
from ..phantom.measures import score
from ..phantom.study import study
from ..store import cached

# ends of the Hann windows on the ramp, in cycles a pixel of the paper's frame; None: the ramp alone
CUTS = (None, 0.5, 0.25, 0.125, 0.0625, 0.03125)


@dataclasses.dataclass(frozen=True, eq=False)
class Backprojection:
    """Errors of weighted backprojection and of SIRT, both from EDS alone, over noise seeds."""

    settings: PhantomSettings
    elements: tuple[str, ...]
    cuts: tuple[float | None, ...]
    mse: np.ndarray  # (cuts, elements, seeds): of weighted backprojection, negative values set to 0
    sirt: np.ndarray  # (elements, seeds): of SIRT after the paper's iterations
    best_sirt: np.ndarray  # the same at its best stop
    stops: tuple[int, ...]  # where that is, for each element

    @property
    def best(self) -> np.ndarray:
        """Where the mean error of each element is lowest, (elements,): places in `cuts`."""
        return self.mse.mean(axis=-1).argmin(axis=0)

    def gain(self, *, best: bool = False) -> np.ndarray:
        """Return the error of weighted backprojection over that of SIRT, (elements, seeds).

        With the ramp alone and after the paper's iterations, or both at their best.
        """
        if not best:
            return self.mse[0] / self.sirt
        mse = np.take_along_axis(self.mse, self.best[None, :, None], axis=0)[0]
        return mse / self.best_sirt


def backprojection(**changes) -> Backprojection:
    """Reconstruct the phantom's element maps by weighted backprojection, beside SIRT.

    `changes` are settings of the phantom study.
    """
    return _backprojection(PhantomSettings.paper(**changes))


@cached
def _backprojection(settings):
    data = simulate_phantom(settings)
    p = np.moveaxis(data.maps, 0, 1)  # (tilts, elements, seeds, size)
    mse = []
    for cut in CUTS:
        x = weighted_backprojection(data.W, p, cut and cut * settings.binning)
        mse.append(score(data, np.maximum(x, 0))[0])
    scores = study(**dataclasses.asdict(settings)).scores
    printed, best = (
        np.array([scores.at("mse", "eds", e, stop=stop) for e in data.elements])
        for stop in ("printed", "best")
    )
    stops = tuple(scores.best_iteration("mse", "eds", e) for e in data.elements)
    return Backprojection(settings, data.elements, CUTS, np.array(mse), printed, best, stops)


def weighted_backprojection(W: hebt.Projector, p, cut: float | None = None) -> np.ndarray:
    """Reconstruct slices by weighted backprojection: filtered with the ramp, and projected back.

    p is (tilts, [axes...,] size). A Hann window falls from 1 to 0 at `cut`, in cycles a pixel; None
    leaves the ramp as it is. Each tilt stands for an even share of half a turn, so that a
    slice whose tilts are complete comes back at its own scale.
    """
    p = as_float32("p", p)
    if p.ndim < 2 or p.shape[0] != len(W.angles) or p.shape[-1] != W.size:
        expected = f"({len(W.angles)}, [axes...,] {W.size})"
        raise ValueError(f"p has shape {p.shape}; expected {expected}, as the projector.")
    if cut is not None and not cut > 0:
        raise ValueError(f"cut is {cut!r}; expected cycles a pixel, above 0, or None.")
    n = 2 ** int(np.ceil(np.log2(2 * W.size)))
    # the ramp, sampled in space: its mean is then that of the continuous one
    at = np.fft.fftfreq(n) * n
    ramp = np.zeros(n)
    ramp[0] = 1 / 4
    odd = at % 2 == 1
    ramp[odd] = -1 / (np.pi * at[odd]) ** 2
    filtered = np.fft.rfft(ramp).real
    if cut is not None:
        f = np.fft.rfftfreq(n)
        filtered *= np.where(f < cut, 0.5 + 0.5 * np.cos(np.pi * f / cut), 0)
    q = np.fft.irfft(np.fft.rfft(p.astype(np.float64), n) * filtered, n)[..., : W.size]
    return W.backward(q.astype(np.float32)) * np.float32(np.pi / len(W.angles))
