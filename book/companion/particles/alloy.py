"""The alloy particle (section 4.3)."""

from __future__ import annotations

import dataclasses

import numpy as np

from hebt import segmentation

from ..paper import value
from ..spectra.settings import specimen
from ..store import cached
from .composition import Shells
from .experiment import ParticleStudy, Plan, Run, common_fields, over_seeds, seed_settings
from .measures import MANY, METHODS, box, checkpoints
from .scoring import Scorer
from .truth import Truth
from .views import Album


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AlloyStudy(ParticleStudy):
    """Results for the Au-Ag alloy particle; the profile is the atomic fraction of Au in shells."""

    radius: np.ndarray  # (shells,), mean distance of the voxels from the center, nm
    true_profile: np.ndarray  # (shells,), of the specimen
    profile: np.ndarray  # (methods, seeds, shells), from the sums of both densities over a shell
    # (methods, seeds): root mean square error in single voxels wholly inside the particle
    voxel_error: np.ndarray
    # (methods, elements, seeds): see `Truth.localize`
    inside_error: np.ndarray
    outside: np.ndarray
    outline: float  # Dice overlap of the particle, segmented from HAADF, with the true one

    def profile_error(self) -> np.ndarray:
        """Return the root mean square error of the profiles over the shells, (methods, seeds)."""
        return np.sqrt(((self.profile - self.true_profile) ** 2).mean(axis=-1))


def alloy_study(*, seeds=None, **changes) -> AlloyStudy:
    """Reconstruct the Au-Ag alloy particle, and measure its composition (section 4.3).

    Only slices that hold the particle are reconstructed, with a margin. Errors and composition
    are taken in every second one; at the paper's size, pictures show every fourth slice of the
    first seed, and every eighth is scored. `changes` are other settings, as in
    `companion.spectra.settings`.
    """
    return _alloy_study(seed_settings("alloy", seeds, changes))


@cached
def _alloy_study(settings):
    iterations = int(value("alloy.iterations"))
    alpha = value("alloy.alpha")
    truth = Truth(specimen(settings[0]))
    held = box(truth.labels > 0)[0]
    shown = slice(held.start, held.stop, 4 if settings[0].size >= MANY else 1)
    plan = Plan(shown, 2, alpha, iterations, checkpoints(iterations, iterations))
    shells = Shells(truth.part(plan.scored))
    seeds = [_seed(one, truth, shells, plan, k == 0) for k, one in enumerate(settings)]
    # (elements, methods, seeds)
    localized = over_seeds([seed["localized"] for seed in seeds])
    inside_error, outside = (np.swapaxes(localized[k], 0, 1) for k in ("error", "outside"))
    return AlloyStudy(
        **common_fields(settings, truth, plan, seeds, ("true",)),
        radius=shells.radius,
        true_profile=shells.profile,
        profile=np.stack([[seed["profile"][m] for seed in seeds] for m in METHODS]),
        voxel_error=np.array([[seed["voxel_error"][m] for seed in seeds] for m in METHODS]),
        inside_error=inside_error,
        outside=outside,
        outline=seeds[0]["outline"],
    )


def _seed(settings, whole, shells, plan, pictures):
    """All results of one seed."""
    run = Run(settings, plan, pictures=pictures)
    factors = np.asarray(run.series.zeta, float) * run.series.fit.ratios
    scorer, album = Scorer(shells.truth), Album(whole, plan.shown)
    runs, profile, error, localized = {}, {}, {}, {}
    for method in METHODS:
        x, scored, runs[method] = run.follow(method, scorer)
        profile[method], error[method] = shells.measure(scored, factors)
        localized[method] = shells.truth.localize(scored)
        if pictures:
            album.add_method(method, x * shells.truth.scale(scored))
    if pictures:
        haadf = run.haadf()
        particle = segmentation.segment(haadf, materials=1)
        haadf /= np.float32(np.median(haadf[particle.particle]))
        album.add("haadf", haadf)
        album.add_body("haadf", haadf[None])
    return {
        "found": run.found(),
        "runs": runs,
        "profile": profile,
        "voxel_error": error,
        "localized": over_seeds([localized[m] for m in METHODS]),
        "outline": _dice(particle.particle, whole.part(run.slices).labels > 0)
        if pictures
        else None,
        "views": album.views() if pictures else None,
    }


def _dice(found, true):
    """Return the Dice overlap of two masks."""
    both = np.count_nonzero(found & true)
    return 2 * both / (np.count_nonzero(found) + np.count_nonzero(true))
