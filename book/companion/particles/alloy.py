"""The alloy particle (section 4.3)."""

import dataclasses

import numpy as np

import hebt
from hebt import segmentation

from ..paper import printed
from ..spectra.processing import process
from ..spectra.settings import specimen
from ..store import cached
from . import measures
from .follow import Follow
from .measures import BEST_IS_LARGE, COLUMNS, ELEMENTS, METHODS
from .nonalloy import seed_settings
from .truth import Truth
from .views import Views


@dataclasses.dataclass(frozen=True, eq=False)
class AlloyStudy:
    """Results for the Au-Ag alloy particle.

    Attributes
    ----------
    settings, voxel_size, ratios, r_squared, checkpoints, iterations
        As in `NonAlloyStudy`.
    scores
        Score -> (methods, elements, seeds, checkpoints), against the true specimen. These and
        all that follows for both methods are taken in every second of the slices that hold the
        particle, with a margin.
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
    checkpoints: np.ndarray
    iterations: int
    scores: dict
    radius: np.ndarray
    true_profile: np.ndarray
    profile: np.ndarray
    voxel_error: np.ndarray
    views: Views

    def best(self, name: str, method: str, element: str) -> int:
        """Return the place of the best checkpoint: that of the best mean over the seeds."""
        values = self.scores[name][METHODS.index(method), ELEMENTS.index(element)].mean(axis=0)
        return int(np.nanargmax(values) if name in BEST_IS_LARGE else np.nanargmin(values))

    def score(self, name, method, element, *, stop: str = "printed") -> np.ndarray:
        """Return a score over the seeds, (seeds,); see `NonAlloyStudy.score`."""
        values = self.scores[name][METHODS.index(method), ELEMENTS.index(element)]
        if stop not in ("printed", "best"):
            raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")
        at = list(self.checkpoints).index(self.iterations)
        return values[:, at if stop == "printed" else self.best(name, method, element)]

    def profile_error(self) -> np.ndarray:
        """Return the root mean square error of the profiles over the shells, (methods, seeds)."""
        return np.sqrt(((self.profile - self.true_profile) ** 2).mean(axis=-1))


def alloy_study(*, seeds=None, **changes) -> AlloyStudy:
    """Reconstruct the Au-Ag alloy particle, and measure its composition (section 4.3).

    Of the first seed all slices that hold the particle are reconstructed, for the pictures. Errors
    and composition are taken in every second of them, and of the other seeds only these are
    reconstructed.

    Parameters
    ----------
    seeds
        Seeds of the simulated noise, at least one; three at paper fidelity, two at quick, if None.
    **changes
        Other settings, as in `companion.spectra.settings`.

    Returns
    -------
    AlloyStudy
    """
    return _alloy_study(seed_settings("alloy", seeds, changes))


@cached
def _alloy_study(settings):
    iterations = int(printed("alloy.iterations").value)
    alpha = float(printed("alloy.alpha").value)
    whole = Truth(specimen(settings[0]), surfaces=False)
    checkpoints = measures.checkpoints(iterations, iterations)
    # The slices that hold the particle, with a margin, and those that are scored: slices do not
    # talk to each other, and half of them are still enough. Pictures need all, of the first seed.
    held = whole.box.slices[0]
    scored = slice(held.start, held.stop, 2)
    truth = whole.part(scored)
    seeds, views = [], None
    for number, one in enumerate(settings):
        pictures = number == 0
        kept, every = (held, 2) if pictures else (scored, 1)
        series = process(one)
        W = hebt.Projector(series.angles, one.size)
        maps = np.ascontiguousarray(series.maps[:, :, kept])
        result = {"ratios": series.fit.ratios, "r_squared": series.fit.r_squared}
        slices, pages, bodies = [None] * len(COLUMNS), [None] * len(COLUMNS), {}
        for method in METHODS:
            follow = Follow(truth, None, checkpoints, every)
            if method == "eds":
                stacked = np.concatenate(list(maps), axis=1)
                x = hebt.sirt(W, stacked, iterations=iterations, callback=follow.stacked)
                x = x.reshape(len(ELEMENTS), -1, *x.shape[1:])
                factors = np.asarray(series.zeta, float)
            else:
                x = hebt.reconstruct(
                    W,
                    series.haadf[:, kept],
                    maps,
                    series.fit.ratios,
                    alpha=alpha,
                    iterations=iterations,
                    callback=follow.volume,
                )
                factors = np.asarray(series.zeta, float) * series.fit.ratios
            result[method] = follow.results(x[:, ::every], None)
            result[method] |= truth.composition(x[:, ::every], factors)
            if pictures:
                scaled = whole.filled(x * truth.scale(x[:, ::every])[:, None, None, None], held)
                for k, e in enumerate(ELEMENTS):
                    at = COLUMNS.index(f"{e}_{method}")
                    slices[at], pages[at] = whole.views(scaled[k])
                bodies[method] = whole.body(scaled)
                del scaled
            del x, follow
        if pictures:
            haadf = hebt.sirt(W, series.haadf[:, kept], iterations=iterations)
            particle = segmentation.segment(haadf, materials=1)
            haadf /= np.float32(np.median(haadf[particle.particle]))
            slices[-1], pages[-1] = whole.views(whole.filled(haadf, held))
            views = whole.gather(slices, pages, bodies)
            del haadf
        seeds.append(result)
    radius, true_profile = truth.true_profile()
    return AlloyStudy(
        settings=settings,
        voxel_size=truth.voxel_size,
        ratios=np.stack([seed["ratios"] for seed in seeds]),
        r_squared=np.array([seed["r_squared"] for seed in seeds], float),
        checkpoints=checkpoints,
        iterations=iterations,
        scores={
            name: np.stack(
                [
                    np.stack([seed[m]["scores"]["true"][name] for seed in seeds], axis=1)
                    for m in METHODS
                ]
            )
            for name in ("ssim", "mse", "ssim_windowed")
        },
        radius=radius,
        true_profile=true_profile,
        profile=np.stack([[seed[m]["profile"] for seed in seeds] for m in METHODS]),
        voxel_error=np.array([[seed[m]["voxel_error"] for seed in seeds] for m in METHODS]),
        views=views,
    )
