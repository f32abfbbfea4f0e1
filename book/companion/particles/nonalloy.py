"""The Ag particle with the Au octahedron (section 4.2)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare, segmentation

from ..paper import printed
from ..spectra.processing import process
from ..spectra.settings import specimen
from ..store import cached
from .experiment import ParticleStudy, Plan, Run, over_runs, seed_settings, series_fields
from .measures import METHODS, REFERENCES, checkpoints
from .scoring import Scorer
from .surfaces import Surfaces
from .truth import Truth
from .views import Album, to_steps

LOCALIZED = ("eds", "volume_mask", "projection_mask", "hebt")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class NonAlloyStudy(ParticleStudy):
    """Results for the Ag particle with the Au octahedron.

    Attributes
    ----------
    overlap, volume_error
        (elements, seeds): Dice coefficient of the segmentation with the true specimen, and error
        of its volume, relative.
    crosstalk
        Of Ag into the Au reconstruction, name -> (methods, seeds, checkpoints). "share": of all
        intensity, what lies in pure Ag; "level" and "background": the mean in pure Ag and in the
        empty space, divided by that in pure Au; "cleared_share" and "cleared_voxels": the share
        once values below half the mean in pure Au are set to 0, and the share of voxels of pure
        Ag that stay above it.
    profiles
        (method, "haadf" or "true", element or "haadf", "interface" or "edge") -> a Profile for
        each seed.
    localized
        Name -> what `Surfaces.localization` finds, (elements, seeds), for each of `LOCALIZED`, in
        the slices of the middle third.
    masked
        (mask, element, size, size), uint8 steps: the middle slice of Figure 9 from the first
        seed, for the volume and the projection mask.
    """

    overlap: np.ndarray
    volume_error: np.ndarray
    crosstalk: dict[str, np.ndarray]
    profiles: dict
    localized: dict
    masked: np.ndarray

    def widths(self, method: str, element: str, surface: str) -> np.ndarray:
        """Return the width of an edge over the seeds, in nm."""
        return np.array([p.width for p in self.profiles[method, element, surface]])

    def printed_crosstalk(self, name: str) -> np.ndarray:
        """Return a crosstalk after the paper's number of iterations, (methods, seeds)."""
        return self.crosstalk[name][..., list(self.checkpoints).index(self.iterations)]


def nonalloy_study(*, seeds=None, **changes) -> NonAlloyStudy:
    """Reconstruct the Ag particle with the Au octahedron, and score it (section 4.2).

    For each noise seed: HAADF alone and its segmentation, EDS alone, HEBT, and the two mask
    experiments of Figure 9, these in the middle third. At the paper's size, pictures show every
    second slice of the first seed, and scores are taken in every fourth slice.

    Parameters
    ----------
    seeds
        Seeds of the simulated noise, at least one; three at paper fidelity, two at quick, if None.
    **changes
        Other settings, as in `companion.spectra.settings`.
    """
    return _nonalloy_study(seed_settings("nonalloy", seeds, changes))


@cached
def _nonalloy_study(settings):
    iterations = int(printed("nonalloy.best_iterations").value)
    size = settings[0].size
    # slices do not talk to each other, so some of a large volume stand for all
    shown, every = (slice(0, size, 2), 2) if size >= 200 else (slice(0, size, 1), 1)
    plan = Plan(
        shown,
        every,
        float(printed("nonalloy.best_alpha").value),
        iterations,
        checkpoints(iterations, 2 * iterations),
    )
    truth = Truth(specimen(settings[0]))
    surfaces = Surfaces(truth)
    seeds = [_seed(one, truth, surfaces, plan, k == 0) for k, one in enumerate(settings)]

    def over_seeds(values):
        return np.stack(values, axis=-1)

    return NonAlloyStudy(
        settings=settings,
        voxel_size=truth.voxel_size,
        **series_fields(seeds, plan, REFERENCES),
        overlap=over_seeds([seed["overlap"] for seed in seeds]),
        volume_error=over_seeds([seed["volume_error"] for seed in seeds]),
        crosstalk=over_runs(seeds, "crosstalk"),
        profiles={key: [seed["profiles"][key] for seed in seeds] for key in seeds[0]["profiles"]},
        localized={
            name: {
                key: over_seeds([seed["localized"][name][key] for seed in seeds])
                for key in seeds[0]["localized"][name]
            }
            for name in LOCALIZED
        },
        masked=seeds[0]["masked"],
        views=seeds[0]["views"],
    )


def _seed(settings, whole, surfaces, plan, pictures):
    """All results of one seed."""
    series = process(settings)
    run = Run(series, plan, pictures=pictures)
    haadf = hebt.sirt(run.W, series.haadf, iterations=plan.iterations)
    parts = segmentation.segment(haadf)
    truth, middle = whole.part(plan.scored), _middle(plan, settings.size)
    scorer = Scorer(truth, parts.labels[plan.scored], surfaces.region[plan.scored])
    result = whole.compare(parts) | {
        "ratios": series.fit.ratios,
        "r_squared": series.fit.r_squared,
        "runs": {},
        "profiles": {("haadf", "haadf", s): surfaces.profile(haadf, s) for s in surfaces.distance}
        | {("true", *k): v for k, v in surfaces.profiles(truth.fractions(), truth.numbers).items()},
        "localized": {},
    }
    album = Album(whole, plan.shown) if pictures else None
    for method in METHODS:
        x, result["runs"][method] = run.follow(method, scorer)
        x *= truth.scale(x[:, :: run.every])[:, None, None, None]
        scored = x[:, :: run.every]
        found = surfaces.profiles(scored, truth.numbers)
        result["profiles"] |= {(method, *key): profile for key, profile in found.items()}
        part = np.isin(truth.numbers, whole.numbers[middle])
        result["localized"][method] = surfaces.localization(whole.part(middle), scored[:, part])
        if album:
            album.add_both(method, x)
    masks = {
        "volume_mask": {"mask": parts.particle[middle].astype(np.float32)},
        "projection_mask": {"maps": mask_maps(series.haadf, series.maps)},
    }
    masked = []
    for name, options in masks.items():
        x = run.solve("eds", middle, plan.iterations, **options)
        x = whole.part(middle).scaled(x)
        result["localized"][name] = surfaces.localization(whole.part(middle), x)
        masked.append(to_steps(x[:, (settings.size // 2 - middle.start) // middle.step]))
    if album:
        brightest = np.float32(np.median(haadf[parts.mask(2)]))
        album.add("haadf", haadf[plan.shown] / brightest)
        album.add_body("segmented", np.stack([parts.mask(2), parts.mask(1)])[:, plan.shown])
        result |= {"views": album.views(), "masked": np.stack(masked)}
    return result


def _middle(plan, size):
    """The slices of the middle third for the mask experiments: those scored, or every second."""
    step = max(2, plan.scored.step)
    first = step * (size // (3 * step))
    return slice(first, size - first, step)


def mask_maps(haadf, maps) -> np.ndarray:
    """Set element maps to 0 where the Z-contrast image shows no particle (Figure 9 c, d).

    `haadf` is (tilts, slices, size), `maps` (elements, tilts, slices, size).
    """
    return np.asarray(maps, np.float32) * prepare.binarize(haadf)
