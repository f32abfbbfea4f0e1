"""The Ag particle with the Au octahedron (section 4.2)."""

import dataclasses

import numpy as np

import hebt
from hebt import prepare, segmentation
from hebt._checks import as_float32

from ..fidelity import fidelity
from ..paper import printed
from ..spectra.processing import process
from ..spectra.settings import settings as settings_settings
from ..spectra.settings import specimen
from ..store import cached
from . import measures
from .follow import Follow
from .measures import (
    BEST_IS_LARGE,
    COLUMNS,
    EDGES,
    ELEMENTS,
    LOCALIZED,
    METHODS,
    REFERENCES,
    SCORES,
)
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
    iterations
        The paper's number of iterations.
    ratios, r_squared
        (seeds, elements) and (seeds,): estimated from the processed series.
    checkpoints
        (checkpoints,): iterations at which scores were taken, beyond the paper's too.
    scores
        Reference -> score -> (methods, elements, seeds, checkpoints). DP counts voxels of a
        volume of 300³. ``ssim_windowed`` is taken at the paper's iteration only, NaN elsewhere.
    overlap, volume_error
        (elements, seeds): Dice coefficient of the segmentation with the true specimen, and error
        of its volume, relative.
    leak
        (methods, seeds, checkpoints): share of all intensity in the Au reconstruction that lies
        in pure Ag, away from Au.
    shadow
        (methods, seeds, checkpoints): mean of the Au reconstruction in pure Ag, divided by that
        in pure Au.
    haze
        (methods, seeds, checkpoints): the same for the empty space around the particle.
    cleared_leak, cleared_shadow
        (methods, seeds): leak after the paper's number of iterations once values below half the
        mean in pure Au are set to 0; and the share of voxels in pure Ag that stay above it.
    profiles
        (method, "haadf" or "true", element or "haadf", "interface" or "edge") -> a Profile for
        each seed.
    localised
        Name -> (elements, seeds) for each of `LOCALISED`, over every second slice of the middle
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
    iterations: int
    ratios: np.ndarray
    r_squared: np.ndarray
    checkpoints: np.ndarray
    scores: dict
    overlap: np.ndarray
    volume_error: np.ndarray
    leak: np.ndarray
    shadow: np.ndarray
    haze: np.ndarray
    cleared_leak: np.ndarray
    cleared_shadow: np.ndarray
    profiles: dict
    localized: dict
    masked: np.ndarray
    views: Views

    @property
    def size(self) -> int:
        """Voxels along each side."""
        return self.settings[0].size

    @property
    def printed(self) -> int:
        """Place of the paper's number of iterations among the checkpoints."""
        return int(np.flatnonzero(self.checkpoints == self.iterations)[0])

    def best(self, reference: str, name: str, method: str, element: str) -> int:
        """Return the place of the best checkpoint: that of the best mean over the seeds."""
        values = self._values(reference, name, method, element).mean(axis=0)
        return int(np.nanargmax(values) if name in BEST_IS_LARGE else np.nanargmin(values))

    def score(self, reference, name, method, element, *, stop: str = "printed") -> np.ndarray:
        """Return a score over the seeds, (seeds,).

        Parameters
        ----------
        reference
            One of `REFERENCES`.
        name
            One of `SCORES`.
        method
            One of `METHODS`.
        element
            "Au" or "Ag".
        stop
            "printed": after the paper's number of iterations; "best": at the checkpoint which is
            best for this very score, method and element in the mean over the seeds.
        """
        values = self._values(reference, name, method, element)
        if stop == "printed":
            return values[:, self.printed]
        if stop == "best":
            return values[:, self.best(reference, name, method, element)]
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")

    def gain(self, reference, name, element, *, stop: str = "printed") -> np.ndarray:
        """Return by which factor the fault of EDS alone exceeds that of HEBT, (seeds,)."""
        eds, bimodal = (self.score(reference, name, m, element, stop=stop) for m in METHODS)
        if name in BEST_IS_LARGE:
            eds, bimodal = 1 - eds, 1 - bimodal
        return eds / bimodal

    def outcome(self, reference, name, element, *, stop: str = "printed") -> str:
        """Say who is better: "HEBT" or "EDS" with every seed, else "tie"."""
        gain = self.gain(reference, name, element, stop=stop)
        return "HEBT" if (gain > 1).all() else "EDS" if (gain < 1).all() else "tie"

    def widths(self, method: str, element: str, surface: str) -> np.ndarray:
        """Return the width of an edge over the seeds, in nm."""
        return np.array([p.width for p in self.profiles[method, element, surface]])

    def _values(self, reference, name, method, element):
        at = METHODS.index(method), ELEMENTS.index(element)
        return self.scores[reference][name][at]


def nonalloy_study(*, seeds=None, **changes) -> NonAlloyStudy:
    """Reconstruct the Ag particle with the Au octahedron, and score it (section 4.2).

    For each noise seed: HAADF alone and its segmentation, EDS alone, HEBT, and the two mask
    experiments of Figure 9, these in every second slice of the middle third. Takes minutes at
    paper fidelity, and about 3 GB.

    Parameters
    ----------
    seeds
        Seeds of the simulated noise, at least one; three at paper fidelity, two at quick, if None.
    **changes
        Other settings, as in `companion.spectra.settings`.

    Returns
    -------
    NonAlloyStudy
    """
    return _nonalloy_study(seed_settings("nonalloy", seeds, changes))


def seed_settings(name, seeds, changes):
    seeds = range(2 if fidelity() == "quick" else 3) if seeds is None else seeds
    if np.ndim(seeds) == 0 or len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds is {seeds!r}; expected a list of seeds without repeats, such as range(3)."
        )
    return tuple(settings_settings(name, seed=seed, **changes) for seed in seeds)


@cached
def _nonalloy_study(settings):
    iterations = int(printed("nonalloy.best_iterations").value)
    truth = Truth(specimen(settings[0]), surfaces=True)
    seeds = [_nonalloy_seed(one, truth, iterations, k == 0) for k, one in enumerate(settings)]

    def over_seeds(*path):
        """Stack one result of all seeds along a new last axis."""
        values = []
        for seed in seeds:
            for key in path:
                seed = seed[key]
            values.append(seed)
        return np.stack(values, axis=-1)

    scores = {
        r: {
            name: np.stack([np.moveaxis(over_seeds(m, "scores", r, name), -1, 1) for m in METHODS])
            for name in SCORES
        }
        for r in REFERENCES
    }
    follows = {
        key: np.stack([np.moveaxis(over_seeds(m, key), -1, 0) for m in METHODS])
        for key in ("leak", "shadow", "haze", "cleared_leak", "cleared_shadow")
    }
    return NonAlloyStudy(
        settings=settings,
        voxel_size=truth.voxel_size,
        iterations=iterations,
        ratios=np.stack([seed["ratios"] for seed in seeds]),
        r_squared=over_seeds("r_squared"),
        checkpoints=measures.checkpoints(iterations, 2 * iterations),
        scores=scores,
        overlap=over_seeds("overlap"),
        volume_error=over_seeds("volume_error"),
        **follows,
        profiles={key: [seed["profiles"][key] for seed in seeds] for key in seeds[0]["profiles"]},
        localized={
            name: {key: over_seeds("localized", name, key) for key in seeds[0]["localized"][name]}
            for name in LOCALIZED
        },
        masked=seeds[0]["masked"],
        views=seeds[0]["views"],
    )


def _nonalloy_seed(settings, truth, iterations, pictures):
    """All results of one seed, as plain arrays."""
    series = process(settings)
    W = hebt.Projector(series.angles, settings.size)
    stacked = np.concatenate(list(series.maps), axis=1)
    volume = (len(ELEMENTS), settings.size, settings.size, settings.size)
    checkpoints = measures.checkpoints(iterations, 2 * iterations)
    haadf = hebt.sirt(W, series.haadf, iterations=iterations)
    parts = segmentation.segment(haadf)
    brightest = float(np.median(haadf[parts.mask(2)]))
    result = truth.compare(parts) | {
        "ratios": np.asarray(series.fit.ratios, float),
        "r_squared": float(series.fit.r_squared),
        "profiles": {("haadf", "haadf", s): truth.profile(haadf, s) for s in truth.surfaces}
        | truth.own_profiles(),
        "localized": {},
    }
    slices, whole, bodies = [None] * len(COLUMNS), [None] * len(COLUMNS), {}

    def look(name, x):
        """Profiles, localisation and pictures of a finished reconstruction."""
        scaled = x * truth.scale(x)[:, None, None, None]
        result["profiles"] |= {
            (name, e, s): truth.profile(scaled[ELEMENTS.index(e)], s) for e, s in EDGES
        }
        result["localized"][name] = truth.localized(scaled[:, truth.band])
        if pictures:
            for k, e in enumerate(ELEMENTS):
                at = COLUMNS.index(f"{e}_{name}")
                slices[at], whole[at] = truth.views(scaled[k])
            bodies[name] = truth.body(scaled)

    follow = Follow(truth, parts.labels, checkpoints)
    x = hebt.sirt(W, stacked, iterations=iterations, callback=follow.stacked).reshape(volume)
    result["eds"] = follow.results(x, parts)
    look("eds", x)
    # on to twice as many iterations, to find the best stop
    follow.done = iterations
    x = x.reshape(-1, *x.shape[2:])
    hebt.sirt(W, stacked, iterations=iterations, x0=x, callback=follow.stacked)
    del x

    follow = Follow(truth, parts.labels, checkpoints)
    x = hebt.reconstruct(
        W,
        series.haadf,
        series.maps,
        series.fit.ratios,
        alpha=float(printed("nonalloy.best_alpha").value),
        iterations=iterations,
        callback=follow.volume,
    )
    result["hebt"] = follow.results(x, parts)
    look("hebt", x)
    follow.done = iterations
    hebt.reconstruct(
        W,
        series.haadf,
        series.maps,
        series.fit.ratios,
        alpha=float(printed("nonalloy.best_alpha").value),
        iterations=iterations,
        x0=x,
        callback=follow.volume,
    )
    del x, follow

    # slices do not talk to each other, so some of the middle stand for all
    def middle(maps):
        maps = maps.reshape(len(maps), len(ELEMENTS), -1, settings.size)[:, :, truth.band]
        return maps.reshape(len(maps), -1, settings.size)

    mask = np.concatenate([parts.particle[truth.band]] * len(ELEMENTS)).astype(np.float32)
    masked = []
    for name, maps, kept in (
        ("volume_mask", stacked, mask),
        ("projection_mask", mask_maps(series.haadf, stacked), None),
    ):
        x = hebt.sirt(W, middle(maps), iterations=iterations, mask=kept)
        x = x.reshape(len(ELEMENTS), -1, settings.size, settings.size)
        x *= truth.scale(x, truth.band)[:, None, None, None]
        result["localized"][name] = truth.localized(x)
        masked.append(to_steps(x[:, (settings.size // 2 - truth.band.start) // truth.band.step]))
    del x, mask
    if pictures:
        slices[-1], whole[-1] = truth.views(haadf / np.float32(brightest))
        bodies["segmented"] = truth.body(np.stack([parts.mask(2), parts.mask(1)]))
        result["views"] = truth.gather(slices, whole, bodies)
        result["masked"] = np.stack(masked)
    else:
        result["views"] = result["masked"] = None
    return result


def mask_maps(haadf, maps) -> np.ndarray:
    """Set element maps to 0 where the Z-contrast image shows no particle (Figure 9 c, d).

    Parameters
    ----------
    haadf
        Z-contrast tilt series, (tilts, slices, size), binarised by `hebt.prepare.binarize`.
    maps
        Element maps, (tilts, slices, size), or several behind each other along the slices.

    Returns
    -------
    numpy.ndarray
        float32, shape of `maps`.

    Raises
    ------
    ValueError
        If the slices of `maps` are no multiple of those of `haadf`.
    """
    haadf = as_float32("haadf", haadf, ndim=(3,))
    maps = as_float32("maps", maps, ndim=(3,))
    if maps.shape[1] % haadf.shape[1] or maps.shape[::2] != haadf.shape[::2]:
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected the same, or several "
            "maps behind each other along the slices."
        )
    inside = prepare.binarize(haadf)
    return maps * np.concatenate([inside] * (maps.shape[1] // haadf.shape[1]), axis=1)
