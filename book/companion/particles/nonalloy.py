"""The Ag particle with the Au octahedron (section 4.2)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare, segmentation

from ..paper import value
from ..scores import Scores
from ..spectra.settings import specimen
from ..store import cached
from .experiment import ParticleStudy, Plan, Run, common_fields, gather, over_seeds, seed_settings
from .measures import MANY, METHODS, REFERENCES, checkpoints
from .scoring import Scorer
from .surfaces import Surfaces
from .truth import Truth
from .views import Album, to_steps

MASKS = ("volume_mask", "projection_mask")
LOCALIZED = ("eds", *MASKS, "hebt")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class NonAlloyStudy(ParticleStudy):
    """Results for the Ag particle with the Au octahedron."""

    overlap: np.ndarray  # (elements, seeds), Dice coefficient of the segmentation with the truth
    volume_error: np.ndarray  # (elements, seeds), of the segmentation, relative
    # of Ag into the Au reconstruction. "share": of all intensity, what lies in pure Ag; "level"
    # and "background": the mean in pure Ag and in the empty space, divided by that in pure Au;
    # "cleared_share" and "cleared_voxels": the share once values below half the mean in pure Au
    # are set to 0, and the share of voxels of pure Ag above it
    crosstalk: Scores
    # (method, "haadf" or "true", element or "haadf", surface) -> a Profile for each seed
    profiles: dict[tuple, list]
    # each of LOCALIZED -> what `Surfaces.localization` finds in the middle third, (elements, seeds)
    localized: dict[str, dict]
    # (mask, element, size, size), 8-bit steps: Figure 9's middle slice, by either mask
    masked: np.ndarray
    noise: np.ndarray  # (methods, elements, seeds): see `Surfaces.noise`

    def widths(self, method: str, element: str, surface: str) -> np.ndarray:
        """Return the width of an edge over the seeds, in nm."""
        return np.array([p.width for p in self.profiles[method, element, surface]])


def nonalloy_study(*, seeds=None, every: int | None = None, **changes) -> NonAlloyStudy:
    """Reconstruct the Ag particle with the Au octahedron, and score it (section 4.2).

    For each noise seed: HAADF alone and its segmentation, EDS alone, HEBT, and the two mask
    experiments of Figure 9, these in the middle third. Of the slices that the first seed shows,
    each one of the number `every` is scored. At the paper's size, every fourth slice is shown, and
    every twelfth is scored; else all, if None. `changes` are other settings, as in
    `companion.spectra.settings`.
    """
    return _nonalloy_study(seed_settings("nonalloy", seeds, changes), every)


@cached
def _nonalloy_study(settings, every):
    iterations = int(value("nonalloy.best_iterations"))
    size = settings[0].size
    step, scored = (4, 3) if size >= MANY else (1, 1)
    at = checkpoints(iterations, 2 * iterations)
    alpha = value("nonalloy.best_alpha")
    plan = Plan(slice(0, size, step), every or scored, alpha, iterations, at)
    truth = Truth(specimen(settings[0]))
    surfaces = Surfaces(truth)
    seeds = [_seed(one, truth, surfaces, plan, k == 0) for k, one in enumerate(settings)]
    return NonAlloyStudy(
        **common_fields(settings, truth, plan, seeds, REFERENCES),
        **over_seeds([seed["segmented"] for seed in seeds]),
        crosstalk=gather(seeds, plan, "crosstalk", ("Au",)),
        profiles={key: [seed["profiles"][key] for seed in seeds] for key in seeds[0]["profiles"]},
        localized=over_seeds([seed["localized"] for seed in seeds]),
        masked=seeds[0]["masked"],
        noise=np.moveaxis([[seed["noise"][m] for m in METHODS] for seed in seeds], 0, -1),
    )


def _seed(settings, whole, surfaces, plan, pictures):
    """All results of one seed."""
    run = Run(settings, plan, pictures=pictures)
    haadf = run.haadf()
    # one voxel in all directions, where slices are some voxels apart
    parts = segmentation.segment(haadf, sigma=(1 / run.slices.step, 1, 1))
    held = whole.part(run.slices)
    truth, middle = whole.part(plan.scored), whole.part(_middle(plan, settings.size))
    region = surfaces.region[plan.scored]
    scorer = Scorer(truth, parts.labels[:: run.every], region)
    profiles = surfaces.profiles("true", truth.fractions(), truth.numbers)
    for surface in surfaces.distance:
        profile = surfaces.profile(haadf[:: run.every], surface, truth.numbers)
        profiles["haadf", "haadf", surface] = profile
    album = Album(whole, plan.shown)
    runs, localized, noise = {}, {}, {}
    for method in METHODS:
        x, scored, runs[method] = run.follow(method, scorer)
        x *= truth.scale(scored)
        noise[method] = surfaces.noise(scored, region)
        profiles |= surfaces.profiles(method, scored, truth.numbers)
        there = np.isin(truth.numbers, middle.numbers)
        localized[method] = surfaces.localization(middle, scored[:, there])
        if pictures:
            album.add_method(method, x)
    particle = parts.particle[np.isin(held.numbers, middle.numbers)]
    masks = dict(zip(MASKS, _with_masks(run, middle.numbers, particle), strict=True))
    for name, x in masks.items():
        x *= middle.scale(x)
        localized[name] = surfaces.localization(middle, x)
    at = np.abs(middle.numbers - settings.size // 2).argmin()
    if pictures:
        album.add("haadf", haadf / np.float32(np.median(haadf[parts.mask(2)])))
        album.add_body("segmented", np.stack([parts.mask(2), parts.mask(1)]))
    return {
        "found": run.found(),
        "segmented": held.compare(parts),
        "noise": noise,
        "runs": runs,
        "profiles": profiles,
        "localized": localized,
        "masked": np.stack([to_steps(x[:, at]) for x in masks.values()]),
        "views": album.views() if pictures else None,
    }


def _with_masks(run, numbers, particle):
    """Reconstruct EDS alone, with a mask on the volume and from masked maps: x of each."""
    series = run.series
    masked = mask_maps(series.haadf, series.maps)
    # both are one batch of slices
    x = hebt.reconstruct(
        run.W,
        np.tile(series.haadf[:, numbers], (1, 2, 1)),
        np.concatenate([maps[:, :, numbers] for maps in (series.maps, masked)], axis=2),
        series.fit.ratios,
        0,
        run.plan.iterations,
        mask=np.concatenate([particle, np.ones_like(particle)]).astype(np.float32),
    )
    return np.split(x, 2, axis=1)


def _middle(plan, size):
    """The slices of the middle third for the mask experiments: those scored, or every second."""
    step = max(2, plan.scored.step)
    first = step * (size // (3 * step))
    return slice(first, size - first, step)


def mask_maps(haadf, maps) -> np.ndarray:
    """Set element maps, (elements, tilts, slices, size), to 0 where HAADF shows no particle."""
    haadf, maps = np.asarray(haadf, np.float32), np.asarray(maps, np.float32)
    if maps.shape[1:] != haadf.shape:
        expected = f"(elements, {', '.join(map(str, haadf.shape))}), as haadf"
        raise ValueError(f"maps has shape {maps.shape}; expected {expected}.")
    return maps * prepare.binarize(haadf)
