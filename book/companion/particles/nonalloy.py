"""The Ag particle with the Au octahedron (section 4.2)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare, segmentation
from hebt._checks import as_float32

from ..fidelity import fidelity
from ..paper import value
from ..scores import Scores
from ..spectra.processing import process
from ..spectra.settings import settings as particle_settings
from ..spectra.settings import specimen
from ..store import cached
from .follow import Follow, gathered, windowed
from .measures import COLUMNS, EDGES, ELEMENTS, LOCALIZED, METHODS, REFERENCES, checkpoints
from .truth import Truth
from .views import Views, to_steps


@dataclasses.dataclass(frozen=True, eq=False)
class NonAlloyStudy:
    """Results for the Ag particle with the Au octahedron.

    Attributes
    ----------
    settings
        One for each noise seed, from `companion.spectra.settings`.
    voxel_size
        In nm.
    every
        Of the slices, each one that this divides is scored.
    ratios, r_squared
        (seeds, elements) and (seeds,): estimated from the processed series.
    scores
        Reference -> `Scores` at iterations beyond the paper's too. DP counts voxels of a volume
        of 300³. ``ssim_windowed`` is taken at the paper's iteration only, NaN elsewhere.
    overlap, volume_error
        (elements, seeds): Dice coefficient of the segmentation with the true specimen, and error
        of its volume, relative.
    crosstalk
        Of Ag in Au, name -> (methods, seeds, checkpoints). "share": of all intensity in the Au
        reconstruction, that in pure Ag, away from Au. "level": its mean in pure Ag divided by
        that in pure Au; "background": the same for the empty space. "cleared_share",
        "cleared_level": share, and share of the voxels in pure Ag that stay, once values below
        half the mean in pure Au are set to 0.
    profiles
        (method, "haadf" or "true", element or "haadf", "interface" or "edge") -> a Profile for
        each seed.
    localized
        Name -> (elements, seeds) for each of `LOCALIZED`, over every second slice of the middle
        third: "error", squared error inside the true particle relative to the reference, at the
        best scale; "outside", share of the intensity that lies outside the particle; "width", of
        the interface in nm; "mse", mean over voxels, against the truth.
    masked
        (mask, element, size, size), uint8 steps: the middle slice of Figure 9 from the first
        seed, for the volume and the projection mask.
    views
        Pictures of the first seed.
    """

    settings: tuple
    voxel_size: float
    every: int
    ratios: np.ndarray
    r_squared: np.ndarray
    scores: dict[str, Scores]
    overlap: np.ndarray
    volume_error: np.ndarray
    crosstalk: dict[str, np.ndarray]
    profiles: dict
    localized: dict
    masked: np.ndarray
    views: Views

    @property
    def size(self) -> int:
        """Voxels along each side."""
        return self.settings[0].size

    @property
    def iterations(self) -> int:
        """The paper's number of iterations."""
        return self.scores["true"].printed

    @property
    def checkpoints(self) -> np.ndarray:
        """(checkpoints,): the iterations at which scores were taken."""
        return self.scores["true"].iterations

    @property
    def printed(self) -> int:
        """Place of the paper's number of iterations among the checkpoints."""
        return int(np.flatnonzero(self.checkpoints == self.iterations)[0])

    def widths(self, method: str, element: str, surface: str) -> np.ndarray:
        """Return the width of an edge over the seeds, in nm."""
        return np.array([p.width for p in self.profiles[method, element, surface]])


def nonalloy_study(*, seeds=None, every=None, **changes) -> NonAlloyStudy:
    """Reconstruct the Ag particle with the Au octahedron, and score it (section 4.2).

    For each noise seed: HAADF alone and its segmentation, EDS alone, HEBT, and the two mask
    experiments of Figure 9, these in every second slice of the middle third. Of the first seed
    all slices are reconstructed, for the pictures. At paper fidelity every second slice is scored
    (`every`), and of the other seeds only these are reconstructed. Takes minutes then, and 3 GB.
    """
    every = every or (1 if fidelity() == "quick" else 2)
    return _nonalloy_study(seed_settings("nonalloy", seeds, changes), every)


def seed_settings(name, seeds, changes) -> tuple:
    """Return a particle's settings for each noise seed; three at paper fidelity, two at quick."""
    seeds = range(2 if fidelity() == "quick" else 3) if seeds is None else seeds
    if np.ndim(seeds) == 0 or len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds is {seeds!r}; expected a list of seeds without repeats, such as range(3)."
        )
    return tuple(particle_settings(name, seed=seed, **changes) for seed in seeds)


@cached
def _nonalloy_study(settings, every=1):
    truth = Truth(specimen(settings[0]), surfaces=True)
    seeds = [_seed(one, truth, every, k == 0) for k, one in enumerate(settings)]
    iterations = int(value("nonalloy.best_iterations"))
    steps = checkpoints(iterations, 2 * iterations)
    looks = [[seed[m]["looks"] for seed in seeds] for m in METHODS]
    last = [[seed[m]["windowed"] for seed in seeds] for m in METHODS]
    scores = gathered(looks, last, int(np.flatnonzero(steps == iterations)[0]))

    def over_seeds(values):
        return np.stack(list(values), axis=-1)

    return NonAlloyStudy(
        settings=settings,
        voxel_size=truth.voxel_size,
        every=every,
        ratios=np.stack([seed["ratios"] for seed in seeds]),
        r_squared=np.array([seed["r_squared"] for seed in seeds]),
        scores={r: Scores(scores[r], METHODS, ELEMENTS, steps, iterations) for r in REFERENCES},
        overlap=over_seeds(seed["overlap"] for seed in seeds),
        volume_error=over_seeds(seed["volume_error"] for seed in seeds),
        crosstalk={
            name: np.array([[[one[name] for one in seed] for seed in method] for method in looks])
            for name in looks[0][0][0]
            if name != "scores"
        },
        profiles={key: [seed["profiles"][key] for seed in seeds] for key in seeds[0]["profiles"]},
        localized={
            name: {
                key: over_seeds(seed["localized"][name][key] for seed in seeds)
                for key in seeds[0]["localized"][name]
            }
            for name in LOCALIZED
        },
        masked=seeds[0]["masked"],
        views=seeds[0]["views"],
    )


def _seed(settings, truth, every, pictures):
    """All results of one seed, as plain arrays."""
    series = process(settings)
    W = hebt.Projector(series.angles, settings.size)
    iterations = int(value("nonalloy.best_iterations"))
    haadf = hebt.sirt(W, series.haadf, iterations=iterations)
    parts = segmentation.segment(haadf)
    result = truth.compare(parts) | {
        "ratios": np.asarray(series.fit.ratios, float),
        "r_squared": float(series.fit.r_squared),
        "profiles": {("haadf", "haadf", s): truth.profile(haadf, s) for s in truth.surfaces}
        | truth.own_profiles(),
        "localized": {},
    }
    album = Album(truth) if pictures else None
    for method in METHODS:
        result[method] = _method(method, series, W, truth, parts, every, album, result)
    result["masked"] = _masks(series, W, truth, parts, result)
    result["views"] = None
    if album is not None:
        brightest = np.float32(np.median(haadf[parts.mask(2)]))
        bodies = np.stack([parts.mask(2), parts.mask(1)])
        album.keep("haadf", [haadf / brightest])
        album.bodies["segmented"] = truth.body(bodies)
        result["views"] = album.views()
    return result


def _method(method, series, W, truth, parts, every, album, result) -> dict:
    """Run one method to twice the paper's iterations, the second half on scored slices alone."""
    scored = slice(None, None, every)
    kept, step = (slice(None), every) if album is not None else (scored, 1)
    iterations = int(value("nonalloy.best_iterations"))
    follow = Follow(truth.part(scored), parts.labels[scored], step)
    steps = checkpoints(iterations, 2 * iterations)

    def run(slices, keep, x0=None):
        maps = series.maps[:, :, slices]
        options = {"iterations": iterations, "x0": x0, "callback": keep}
        if method == "eds":
            return hebt.sirt(W, np.moveaxis(maps, 0, 1), **options)
        haadf, alpha = series.haadf[:, slices], float(value("nonalloy.best_alpha"))
        return hebt.reconstruct(W, haadf, maps, series.fit.ratios, alpha, **options)

    keep = hebt.Snapshots(steps[steps <= iterations], follow.look)
    x = run(kept, keep)
    looks = keep.values
    found = {"windowed": windowed(follow.truth, x[:, ::step], parts.labels[scored])}
    scaled = x * truth.scale(x, kept)[:, None, None, None]
    result["profiles"] |= {
        (method, e, s): truth.profile(scaled[ELEMENTS.index(e)], s, kept) for e, s in EDGES
    }
    result["localized"][method] = truth.localized(scaled[:, truth.in_band(kept)])
    if album is not None:
        album.keep(method, scaled)
    del scaled
    # on to twice as many iterations, to find the best stop
    follow.every = 1
    keep = hebt.Snapshots(steps[steps > iterations] - iterations, follow.look)
    run(scored, keep, np.ascontiguousarray(x[:, ::step]))
    return found | {"looks": looks + keep.values}


def _masks(series, W, truth, parts, result) -> np.ndarray:
    """Do the mask experiments of Figure 9, and return their pictures of the middle slice."""
    iterations = int(value("nonalloy.best_iterations"))
    band, pictures = truth.band, []
    maps = series.maps[:, :, band]
    inside = parts.particle[band].astype(np.float32)
    masked = mask_maps(series.haadf, series.maps)[:, :, band]
    for name, data, mask in (
        ("volume_mask", maps, np.stack([inside] * len(ELEMENTS))),
        ("projection_mask", masked, None),
    ):
        x = hebt.sirt(W, np.moveaxis(data, 0, 1), iterations=iterations, mask=mask)
        x *= truth.scale(x, band)[:, None, None, None]
        result["localized"][name] = truth.localized(x)
        pictures.append(to_steps(x[:, (truth.size // 2 - band.start) // band.step]))
    return np.stack(pictures)


class Album:
    """Pictures of the first seed, put together column by column."""

    def __init__(self, truth):
        self.truth, self.bodies = truth, {}
        self.slices, self.whole = {}, {}

    def keep(self, name, scaled) -> None:
        """Keep both elements' pictures of a method, or the one picture of HAADF."""
        columns = [name] if len(scaled) == 1 else [f"{e}_{name}" for e in ELEMENTS]
        for column, one in zip(columns, scaled, strict=True):
            self.slices[column], self.whole[column] = self.truth.views(one)
        if len(scaled) > 1:
            self.bodies[name] = self.truth.body(scaled)

    def views(self) -> Views:
        """Return all of them, in the order of `COLUMNS`."""
        slices, whole = ([kept[c] for c in COLUMNS] for kept in (self.slices, self.whole))
        return self.truth.gather(slices, whole, self.bodies)


def mask_maps(haadf, maps) -> np.ndarray:
    """Set element maps to 0 where the Z-contrast image shows no particle (Figure 9 c, d).

    `haadf`, (tilts, slices, size), is binarized by `hebt.prepare.binarize`; `maps` are (elements,
    tilts, slices, size).
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    maps = as_float32("maps", maps, ndim=(4,))
    if maps.shape[1:] != haadf.shape:
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected maps of shape "
            f"(elements, {', '.join(map(str, haadf.shape))})."
        )
    return maps * prepare.binarize(haadf)
