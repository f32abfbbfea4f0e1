"""The alloy particle (section 4.3)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import segmentation

from ..paper import value
from ..scores import Scores
from ..spectra.processing import process
from ..spectra.settings import specimen
from ..store import cached
from .follow import Follow, gathered, windowed
from .measures import ELEMENTS, METHODS, checkpoints
from .nonalloy import Album, seed_settings
from .truth import Truth
from .views import Views


@dataclasses.dataclass(frozen=True, eq=False)
class AlloyStudy:
    """Results for the Au-Ag alloy particle.

    Attributes
    ----------
    settings, voxel_size, ratios, r_squared
        As in `NonAlloyStudy`.
    scores
        `Scores` against the true specimen. These and all that follows for both methods are taken
        in every second of the slices that hold the particle, with a margin.
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
    views
        Pictures of the first seed.
    """

    settings: tuple
    voxel_size: float
    ratios: np.ndarray
    r_squared: np.ndarray
    scores: Scores
    radius: np.ndarray
    true_profile: np.ndarray
    profile: np.ndarray
    voxel_error: np.ndarray
    views: Views

    @property
    def iterations(self) -> int:
        """The paper's number of iterations."""
        return self.scores.printed

    @property
    def checkpoints(self) -> np.ndarray:
        """(checkpoints,): the iterations at which scores were taken."""
        return self.scores.iterations

    def profile_error(self) -> np.ndarray:
        """Return the root mean square error of the profiles over the shells, (methods, seeds)."""
        return np.sqrt(((self.profile - self.true_profile) ** 2).mean(axis=-1))


def alloy_study(*, seeds=None, **changes) -> AlloyStudy:
    """Reconstruct the Au-Ag alloy particle, and measure its composition (section 4.3).

    Of the first seed all slices that hold the particle are reconstructed, for the pictures. Errors
    and composition are taken in every second of them, and of the other seeds only these are
    reconstructed.
    """
    return _alloy_study(seed_settings("alloy", seeds, changes))


@cached
def _alloy_study(settings):
    whole = Truth(specimen(settings[0]), surfaces=False)
    # The slices that hold the particle, with a margin, and those that are scored: slices do not
    # talk to each other, and half of them are still enough. Pictures need all, of the first seed.
    held = whole.box.slices[0]
    scored = slice(held.start, held.stop, 2)
    truth = whole.part(scored)
    album = Album(whole)
    seeds = [
        _seed(one, truth, *((held, 2, album) if k == 0 else (scored, 1, None)))
        for k, one in enumerate(settings)
    ]
    iterations = int(value("alloy.iterations"))
    steps = checkpoints(iterations, iterations)
    every = [[seed[m] for seed in seeds] for m in METHODS]
    looks, last = ([[one[key] for one in m] for m in every] for key in ("looks", "windowed"))
    radius, true_profile = truth.true_profile()
    return AlloyStudy(
        settings=settings,
        voxel_size=truth.voxel_size,
        ratios=np.stack([seed["ratios"] for seed in seeds]),
        r_squared=np.array([seed["r_squared"] for seed in seeds], float),
        scores=Scores(gathered(looks, last, -1)["true"], METHODS, ELEMENTS, steps, iterations),
        radius=radius,
        true_profile=true_profile,
        profile=np.stack([[one["profile"] for one in m] for m in every]),
        voxel_error=np.array([[one["voxel_error"] for one in m] for m in every]),
        views=album.views(),
    )


def _seed(settings, truth, kept, every, album) -> dict:
    """All results of one seed; with an album also its pictures."""
    series = process(settings)
    W = hebt.Projector(series.angles, settings.size)
    iterations = int(value("alloy.iterations"))
    haadf, maps = series.haadf[:, kept], np.ascontiguousarray(series.maps[:, :, kept])
    result = {"ratios": series.fit.ratios, "r_squared": series.fit.r_squared}
    follow = Follow(truth, every=every)
    for method in METHODS:
        keep = hebt.Snapshots(checkpoints(iterations, iterations), follow.look)
        factors = np.asarray(series.zeta, float)
        if method == "eds":
            x = hebt.sirt(W, np.moveaxis(maps, 0, 1), iterations, callback=keep)
        else:
            alpha, ratios = float(value("alloy.alpha")), series.fit.ratios
            x = hebt.reconstruct(W, haadf, maps, ratios, alpha, iterations, callback=keep)
            factors = factors * ratios
        some = x[:, ::every]
        result[method] = truth.composition(some, factors) | {
            "looks": keep.values,
            "windowed": windowed(truth, some),
        }
        if album is not None:
            scaled = x * truth.scale(some)[:, None, None, None]
            album.keep(method, album.truth.filled(scaled, kept))
            del scaled
        del x, some
    if album is not None:
        x = hebt.sirt(W, haadf, iterations=iterations)
        particle = segmentation.segment(x, materials=1)
        x /= np.float32(np.median(x[particle.particle]))
        album.keep("haadf", [album.truth.filled(x, kept)])
    return result
