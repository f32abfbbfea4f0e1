"""The rim of silver at the interface: iterations, and the maps' kernel in the model."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

import hebt
from hebt import prepare

from ..paper import value
from ..spectra.processing import kernel, process
from ..spectra.settings import settings as particle_settings
from ..spectra.settings import specimen
from ..store import cached
from .measures import ELEMENTS, METHODS
from .surfaces import Profile, Surfaces
from .truth import Truth

# with the kernel in the model or without
MODELS = tuple((method, blurred) for blurred in (False, True) for method in METHODS)
SLICES = 20  # of 300: neighbors, as the kernel reaches from each to the next
LEFT_OUT = 4  # of these at each end, where neighbors are missing


@dataclasses.dataclass(frozen=True, eq=False)
class RimStudy:
    """Ag's edge at the interface by both methods, with the maps' kernel in the model and without.

    Keys are (reading, method, whether the kernel is in the model). One noise seed.
    """

    readings: tuple[str, ...]
    printed: int  # the paper's number of iterations
    slices: int  # neighbors amid the particle, of which the numbers are
    iterations: dict[tuple, np.ndarray]  # (checkpoints,)
    profiles: dict[tuple, list[Profile]]  # at the checkpoints
    noise: dict[tuple, np.ndarray]  # (checkpoints,), of Ag: see `Surfaces.noise`
    # reading -> by which factor the kernel lengthens a run of HEBT, in the processor's time a slice
    slower: dict[str, float]

    def widths(self, key: tuple) -> np.ndarray:
        """Return the 10 to 90 % width at the checkpoints, in nm."""
        return np.array([profile.width for profile in self.profiles[key]])

    def at(self, key: tuple, iterations: int) -> tuple[float, float]:
        """Return width and noise after some iterations."""
        k = int(np.flatnonzero(self.iterations[key] == iterations)[0])
        return float(self.widths(key)[k]), float(self.noise[key][k])

    def width_at(self, key: tuple, noise: float) -> float:
        """Return the width of a run where it has some noise, which rises with its iterations."""
        return float(np.interp(noise, self.noise[key], self.widths(key)))


def rim_study(*, readings=("a", "b"), **changes) -> RimStudy:
    """Follow Ag's edge at the interface in neighboring slices amid the particle.

    EDS alone runs to the paper's number of iterations, HEBT to five times as many, which are the
    most in the paper's Figure 7. `changes` are other settings, as in `companion.spectra.settings`.
    """
    settings = {r: particle_settings("nonalloy", reading=r, **changes) for r in readings}
    return _rim_study(tuple(settings.items()))


@cached
def _rim_study(settings):
    printed = int(value("nonalloy.best_iterations"))
    most = {"eds": printed, "hebt": 5 * printed}
    truth = Truth(specimen(settings[0][1]))
    surfaces, size = Surfaces(truth), truth.size
    half, margin = max(4, SLICES * size // 600), max(1, LEFT_OUT * size // 300)
    band = slice(size // 2 - half, size // 2 + half)
    inner = slice(band.start + margin, band.stop - margin)
    part, region, silver = truth.part(inner), surfaces.region[inner], ELEMENTS.index("Ag")

    def measure(x):
        x = x[:, margin:-margin] if x.shape[1] > len(part.numbers) else x
        x = x * part.scale(x)
        profile = surfaces.profile(x[silver], "interface", part.numbers)
        return profile, surfaces.noise(x, region)[silver]

    iterations, profiles, noise, slower = {}, {}, {}, {}
    for reading, one in settings:
        series, seconds, options = process(one), {}, kernel(one)
        W = hebt.Projector(series.angles, size)
        data = series.haadf[:, band], series.maps[:, :, band], series.fit.ratios
        # the kernel alone reaches from slice to slice: without it those that are measured will do
        alone = series.haadf[:, inner], series.maps[:, :, inner], series.fit.ratios
        taps = prepare.smoothing_kernel(options["width"], options["sigma"])
        for method, blurred in MODELS:
            key, last = (reading, method, blurred), most[method]
            alpha = value("nonalloy.best_alpha") if method == "hebt" else 0
            iterations[key] = last // np.array([10, 7, 5, 4, 3, 2, 1])
            keep = hebt.Snapshots(iterations[key], measure)
            start, blur = time.process_time(), taps if blurred else None
            hebt.reconstruct(
                W, *(data if blurred else alone), alpha, last, blur=blur, callback=keep
            )
            used = 2 * half if blurred else len(part.numbers)
            seconds[method, blurred] = (time.process_time() - start) / used
            profiles[key], found = map(list, zip(*keep.values, strict=True))
            noise[key] = np.array(found)
        slower[reading] = seconds["hebt", True] / seconds["hebt", False]
    readings = tuple(reading for reading, _ in settings)
    return RimStudy(readings, printed, len(part.numbers), iterations, profiles, noise, slower)
