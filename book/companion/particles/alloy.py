"""The alloy particle (section 4.3)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import segmentation

from ..paper import printed
from ..spectra.processing import process
from ..spectra.settings import specimen
from ..store import cached
from .composition import Shells
from .experiment import ParticleStudy, Plan, Run, seed_settings, series_fields
from .measures import METHODS, box, checkpoints
from .scoring import Scorer
from .truth import Truth
from .views import Album


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AlloyStudy(ParticleStudy):
    """Results for the Au-Ag alloy particle.

    Attributes
    ----------
    radius
        (shells,): mean distance of a shell's voxels from the centre, in nm.
    true_profile
        (shells,): atomic fraction of Au of the specimen.
    profile
        (methods, seeds, shells): atomic fraction of Au in each shell, from the sums of both
        densities over the shell.
    voxel_error
        (methods, seeds): root mean square error of the atomic fraction of Au in single voxels
        that are wholly inside the particle.
    """

    radius: np.ndarray
    true_profile: np.ndarray
    profile: np.ndarray
    voxel_error: np.ndarray

    def profile_error(self) -> np.ndarray:
        """Return the root mean square error of the profiles over the shells, (methods, seeds)."""
        return np.sqrt(((self.profile - self.true_profile) ** 2).mean(axis=-1))


def alloy_study(*, seeds=None, **changes) -> AlloyStudy:
    """Reconstruct the Au-Ag alloy particle, and measure its composition (section 4.3).

    Only slices that hold the particle are reconstructed, with a margin. At the paper's size,
    pictures show every second of them, of the first seed; errors and composition are taken in
    every fourth (of a small volume: all, and every second).

    Parameters
    ----------
    seeds
        Seeds of the simulated noise, at least one; three at paper fidelity, two at quick, if None.
    **changes
        Other settings, as in `companion.spectra.settings`.
    """
    return _alloy_study(seed_settings("alloy", seeds, changes))


@cached
def _alloy_study(settings):
    iterations = int(printed("alloy.iterations").value)
    truth = Truth(specimen(settings[0]))
    held = box(truth.labels > 0, 6)[0]
    plan = Plan(
        # slices do not talk to each other, so some of a large volume stand for all
        slice(held.start, held.stop, 2 if settings[0].size >= 200 else 1),
        2,
        float(printed("alloy.alpha").value),
        iterations,
        checkpoints(iterations, iterations),
    )
    shells = Shells(truth.part(plan.scored))
    seeds = [_seed(one, truth, shells, plan, k == 0) for k, one in enumerate(settings)]
    return AlloyStudy(
        settings=settings,
        voxel_size=truth.voxel_size,
        **series_fields(seeds, plan, ("true",)),
        radius=shells.radius,
        true_profile=shells.profile,
        profile=np.stack([[seed["profile"][m] for seed in seeds] for m in METHODS]),
        voxel_error=np.array([[seed["voxel_error"][m] for seed in seeds] for m in METHODS]),
        views=seeds[0]["views"],
    )


def _seed(settings, whole, shells, plan, pictures):
    """All results of one seed."""
    series = process(settings)
    run = Run(series, plan, pictures=pictures)
    factors = np.asarray(series.zeta, float) * series.fit.ratios
    result = {"ratios": series.fit.ratios, "r_squared": series.fit.r_squared}
    result |= {"runs": {}, "profile": {}, "voxel_error": {}}
    scorer = Scorer(shells.truth)
    album = Album(whole, plan.shown) if pictures else None
    for method in METHODS:
        x, result["runs"][method] = run.follow(method, scorer)
        scored = x[:, :: run.every]
        result["profile"][method], result["voxel_error"][method] = shells.measure(scored, factors)
        if album:
            album.add_both(method, x * shells.truth.scale(scored)[:, None, None, None])
    if album:
        haadf = hebt.sirt(run.W, series.haadf[:, plan.shown], iterations=plan.iterations)
        particle = segmentation.segment(haadf, materials=1)
        album.add("haadf", haadf / np.float32(np.median(haadf[particle.particle])))
        result["views"] = album.views()
    return result
