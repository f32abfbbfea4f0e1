"""All methods judged on the measured series, by tilts and by counts that they have not seen."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter

import numpy as np

import hebt
from hebt import validation
from hebt.validation import Judged, Recipe

from ..judging import EDS, judging
from ..store import cached
from .study import Coarse, DustSettings, DustStudy, keep

MILD, STRONG = "HEBT, α = 0.3", "HEBT, α = 0.7"
POISSON = "EDS only, Poisson"  # composition EM with a guide that says nothing
FUSED = "fused by variance"
HARD, SOFT, FREE = "composition EM, hard", "composition EM, soft", "composition EM, free"
CONTENDERS = (EDS, STRONG, MILD, FUSED, HARD, SOFT, FREE, POISSON)
SOFTNESS = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
    """What held-out tilts, and held-out counts, say of each contender."""

    tilts: Judged
    counts: Judged  # without a factor for each predicted map

    def setting(self, contender: str) -> tuple[float, int]:
        """Return the kernel, in coarse pixels, and the stop that were chosen most often."""
        picks = self.tilts.chosen[contender] + self.counts.chosen[contender]
        (name, stop), _ = Counter(picks).most_common(1)[0]
        return float(name.split()[-1]), stop


def contenders(now: DustSettings, maps, smoothed, variance, guide) -> dict[str, list[Recipe]]:
    """Return the recipes of each contender, among which tilts or counts choose.

    A sum that is held needs no wide kernel, as HAADF is sharp: it has the narrower ones to choose
    from. EDS alone may take maps as counted or smoothed; `guide` are HAADF images of a slab without
    any features.
    """

    def weighed(alpha):
        return [Recipe(alpha, now.sirt_stops, maps=maps, name="as counted")]

    def composed(total, kernels=now.kernels, **more):
        return [
            Recipe(
                hebt.CompositionEM(width, total=total, variance=variance, haadf_noise=noise),
                now.em_stops,
                maps=maps,
                name=f"kernel {width:g}",
                **more,
            )
            for width in kernels
            for noise in [0.0 if more else None]
        ]

    fused = Recipe(hebt.Fused(variance=variance), now.fused_stops, maps=maps, name="as counted")
    return {
        EDS: [*weighed(0.0), Recipe(0.0, now.smooth_stops, maps=smoothed, name="smoothed")],
        STRONG: weighed(0.7),
        MILD: weighed(0.3),
        FUSED: [fused],
        HARD: composed("hard", now.kernels[:2]),
        SOFT: composed(SOFTNESS, now.kernels[:2]),
        FREE: composed("free"),
        POISSON: composed("free", haadf=guide),
    }


def held_out(study: DustStudy) -> validation.HeldOut:
    """Follow the error of predicted maps over the iterations, as the paper's methods have it."""
    return _held_out(study.settings, study.angles, study.coarse)


@cached
def _held_out(now: DustSettings, angles, coarse: Coarse) -> validation.HeldOut:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return validation.leave_one_out(
            angles,
            coarse.haadf,
            coarse.smoothed,
            targets=coarse.maps,
            held=now.held,
            alphas=now.alphas,
            stops=now.stops,
            mask=coarse.mask,
            margin=coarse.haadf.shape[-1] // 6,
            names=now.kept,
        )


def judge(study: DustStudy) -> Judgement:
    """Judge all contenders, each with settings that others than its judges chose."""
    return _judge(study.settings, study.angles, study.coarse)


@cached
def _judge(now: DustSettings, angles, coarse: Coarse) -> Judgement:
    guide = featureless(angles, coarse)
    like = {"inner": now.inner, "mask": coarse.mask, "names": now.kept}
    like |= {"margin": coarse.haadf.shape[-1] // 6}
    with warnings.catch_warnings():
        # the chapter has said that ratios differ between tilts
        warnings.simplefilter("ignore", UserWarning)
        maps = coarse.maps, coarse.smoothed, coarse.variance
        parts = coarse.parts, coarse.parts_smoothed, coarse.parts_variance
        return Judgement(
            tilts=validation.nested(
                angles,
                coarse.haadf,
                coarse.maps,
                contenders(now, *maps, guide),
                held=now.judges,
                variance=judging(coarse.variance),
                ratio_maps=coarse.smoothed,
                **like,
            ),
            counts=validation.nested_counts(
                angles,
                coarse.haadf,
                coarse.parts,
                contenders(now, *parts, guide),
                variance=judging(coarse.parts_variance),
                ratio_parts=coarse.parts_smoothed,
                **like,
            ),
        )


def featureless(angles, coarse: Coarse) -> np.ndarray:
    """Return HAADF images of a slab that is the same everywhere."""
    W = hebt.Projector(angles, coarse.haadf.shape[-1])
    slab = np.broadcast_to(coarse.mask, (coarse.haadf.shape[1], *coarse.mask.shape))
    images = W.forward(slab)
    return images * (coarse.haadf.mean() / images.mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Volumes:
    """Reconstructions of the whole strip, in HAADF intensity per voxel."""

    haadf: np.ndarray  # (slices, size, size): HAADF alone
    eds: np.ndarray  # (elements, slices, size, size)
    hebt: np.ndarray
    em: np.ndarray  # composition EM with a free sum
    kernel: float  # its kernel, in voxels
    iterations: int  # ... and its stop


def volumes(study: DustStudy) -> Volumes:
    """Reconstruct HAADF alone, and all elements by EDS alone, HEBT and composition EM."""
    now = study.settings
    kernel, stop = judge(study).setting(FREE)
    kernel *= now.coarse / now.binning
    data = study.haadf, keep(study)[1], *study.counted(now.binning)
    return _volumes(now.kept, study.angles, *data, study.slab, kernel, stop)


@cached
def _volumes(names, angles, haadf, maps, counted, variance, slab, kernel, stop) -> Volumes:
    W = hebt.Projector(angles, maps.shape[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the chapter has shown what is doubtful
        ratios = hebt.response_ratios(haadf, maps, names, variance=None).ratios
    options = {"mask": slab, "progress": False}
    method = hebt.CompositionEM(kernel, total="free", variance=variance)
    return Volumes(
        hebt.sirt(W, haadf, 200, **options),
        hebt.reconstruct(W, haadf, maps, ratios, 0, 200, **options),
        hebt.reconstruct(W, haadf, maps, ratios, 0.7, 200, **options),
        hebt.reconstruct(W, haadf, counted, ratios, None, stop, method=method, **options),
        kernel,
        stop,
    )
