"""The methods that the chapter compares, with settings that its runs did not change."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np

import hebt
from hebt import prepare

from ..fidelity import fidelity
from ..phantom.data import PhantomData, PhantomSettings
from ..phantom.data import data as simulate_phantom
from ..phantom.measures import checkpoints, score

# short name -> what it is called in tables and figures
NAMES = {
    "eds": "EDS only",
    "hebt": "HEBT",
    "fused": "fused by variance",
    "em": "composition EM",
    "bilateral": "composition EM, bilateral",
    "tv": "guided TV",
}
# in pixels of the paper's frame, and iterations: what first trials with this phantom took, and not
# touched since
KERNEL, BILATERAL, CONTRAST = 4.0, 10.0, 0.1
STRENGTH = 512.0  # of guided TV: 1 for a pixel of the paper's frame
ITERATIONS = {"eds": 200, "hebt": 200, "em": 75, "bilateral": 50, "tv": 300}
ITERATIONS["fused"] = hebt.Fused.iterations


def small_size() -> int:
    """Return the side of the frame in which the studies with many runs work."""
    return 64 if fidelity() == "quick" else 256


def noisy_series(seeds, *, size: int | None = None, dose: float = 1.0) -> PhantomData:
    """Return noisy tilt series of the phantom in a small frame; the dose is the specimen's."""
    size = small_size() if size is None else size
    return simulate_phantom(PhantomSettings.paper(size=size, dose=dose, seeds=seeds))


def together(series) -> PhantomData:
    """Return several series as one, with all seeds of the first, then of the second, and so on.

    Each seed has HAADF of its own; settings are those of the last series.
    """
    haadf = [one.haadf_of_seeds for one in series]
    counts, maps = ([getattr(one, name) for one in series] for name in ("counts", "maps"))
    return dataclasses.replace(
        series[-1],
        haadf=np.concatenate(haadf, axis=1),
        counts=np.concatenate(counts, axis=2),
        maps=np.concatenate(maps, axis=2),
    )


def fitted_ratios(data: PhantomData) -> np.ndarray:
    """Return response ratios fitted to raw counts, noise taken off: (elements, seeds)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # wrong data are what some studies are about
        fits = [
            hebt.response_ratios(data.haadf, data.counts[:, :, s], names=data.elements)
            for s in range(data.counts.shape[2])
        ]
    return np.array([fit.ratios for fit in fits], float).T


def method_of(name: str, data: PhantomData, *, kernel: float = 1.0, **options) -> Any:
    """Return the method of this name for `hebt.reconstruct`.

    `kernel` widens composition EM's kernel; `options` are further ones of the method.
    """
    now = data.settings
    if name == "em":
        return hebt.CompositionEM((0, kernel * KERNEL / now.binning), **options)
    if name == "bilateral":
        width = (0, kernel * BILATERAL / now.binning)
        return hebt.CompositionEM(width, contrast=CONTRAST, **options)
    if name == "fused":
        return hebt.Fused(variance=smoothed_variance(data), **options)
    if name == "tv":
        return hebt.GuidedTV(STRENGTH, **options)
    return "hebt"


def smoothed_variance(data: PhantomData) -> np.ndarray:
    """Return the counting variance of the smoothed maps, in their shape."""
    now = data.settings
    width, sigma = max(1, round(now.width / now.binning)), now.sigma / now.binning
    return prepare.smooth_variance(data.counts, width=width, sigma=sigma)


def reconstruct(name: str, data: PhantomData, ratios, iterations=None, *, method=None, **options):
    """Reconstruct all seeds by a method: (elements, seeds, size, size).

    EDS alone, HEBT and fusing take the smoothed maps, the others the counts.
    """
    smooth = name in ("eds", "hebt", "fused")
    return hebt.reconstruct(
        data.W,
        data.haadf if data.haadf.ndim == 3 else data.haadf_of_seeds,
        data.maps if smooth else data.counts,
        ratios,
        {"eds": 0.0, "hebt": data.settings.alpha}.get(name),
        ITERATIONS[name] if iterations is None else iterations,
        method=method_of(name, data) if method is None else method,
        **options,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """Scores of a method along its iterations."""

    iterations: np.ndarray  # (checkpoints,)
    stated: int  # where it stops by its settings
    scores: dict[str, np.ndarray]  # "mse", relative to the reference, and others

    def at(self, stop: str = "stated", name: str = "mse") -> np.ndarray:
        """Return a score, (elements, seeds), at the stated stop or at each element's best."""
        values = self.scores[name]
        if stop == "stated":
            return values[int(np.flatnonzero(self.iterations == self.stated)[0])]
        if stop == "best":
            places = np.nanargmin(values.mean(axis=-1), axis=0)
            return np.stack([values[place, e] for e, place in enumerate(places)])
        raise ValueError(f"stop is {stop!r}; expected 'stated' or 'best'.")

    def parts(self, count: int) -> list[Course]:
        """Return the courses of as many equal groups of seeds."""
        each = {name: np.split(values, count, axis=-1) for name, values in self.scores.items()}
        return [
            dataclasses.replace(self, scores={name: values[k] for name, values in each.items()})
            for k in range(count)
        ]

    def best_iterations(self) -> np.ndarray:
        """Return the iteration of the lowest error, which takes the truth to know: (elements,)."""
        return self.iterations[np.nanargmin(self.scores["mse"].mean(axis=-1), axis=0)]


class _Watch:
    """A callback that scores a run at some iterations, and looks closer at the stated stop."""

    def __init__(self, data, at, stated, late):
        self.data, self.at, self.stated = data, set(map(int, at)), stated
        self.names, self.errors, self.late, self.picture = late, [], None, None

    def __call__(self, iteration, x, residuals):
        if iteration in self.at:
            self.errors.append(score(self.data, x, ["mse_reference"])[0])
        if iteration == self.stated:
            self.picture = np.array(x[:, 0])
            self.late = score(self.data, x, self.names) if self.names else ()


def follow(name, data, ratios, *, most=None, late=(), **options) -> tuple[Course, np.ndarray]:
    """Reconstruct and score along the way; also return a picture of the first seed.

    The run goes on to `most` iterations; scores named in `late` are taken at the stated stop alone.
    The picture is that of this stop, as densities, (elements, size, size).
    """
    stated = ITERATIONS[name]
    most = stated if most is None else max(most, stated)
    at = np.union1d(checkpoints(most), [stated])
    watch = _Watch(data, at, stated, late)
    reconstruct(name, data, ratios, most, callback=watch, **options)
    scores = {"mse": np.array(watch.errors)}
    for score_name, values in zip(late, watch.late, strict=True):
        scores[score_name] = np.full_like(scores["mse"], np.nan)
        scores[score_name][at == stated] = values
    scale = ratios[:, 0] * data.settings.counts_per_density
    picture = watch.picture / scale[:, None, None].astype(np.float32)
    return Course(at, stated, scores), picture
