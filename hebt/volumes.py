"""The experiments with the two simulated particles, in 3D (sections 4.2 and 4.3 of the paper).

Volumes of 300³ voxels are too large to keep. What stays of a run are scores, profiles, and small
views, cut to the particle, for pictures.
"""

import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import hebt
from hebt import _checks, _paper, metrics, particles, preprocess, segmentation, specimens
from hebt._cache import cached
from hebt.projector import run, threads
from hebt.settings import progress_bar

ELEMENTS = ("Au", "Ag")
METHODS = ("eds", "hebt")
# Table 2's scores. As for the phantom, "ssim" is the structure term over all voxels at once and
# "mse" their mean; the other reading of SSIM stands beside.
TABLE_2 = ("ssim", "mse", "dp")
SCORES = (*TABLE_2, "ssim_windowed")
BEST_IS_LARGE = ("ssim", "ssim_windowed")
# The paper's reference is the segmented HAADF reconstruction; a simulation also has the truth.
REFERENCES = ("segmented", "true")
LOCALISED = ("eds", "volume_mask", "projection_mask", "hebt")
COLUMNS = ("Au_eds", "Au_hebt", "Ag_eds", "Ag_hebt", "haadf")

VIEW_LIMIT = 1.5  # the value of 255 in views, where bulk density is 1
FIGURE_5 = (80, 150, 220)  # slices of 300
_BINS = 4096
_STEPS = 250  # of a true volume fraction, kept in 8 bits
FIGURE_5_SIZE = 300
_BINNING = 2
_SHELL = 8.0  # nm: what lies nearer to a surface than this belongs to no region
_SHELL_WIDTH = 1.0  # nm
_BALL = 14.0  # nm: radius of the ball that the alloy's shells fill
_BODY = 84  # voxels along the edge of a body to render, at most
# whose edge at which surface; gold has none at the outer edge
_EDGES = (("Au", "interface"), ("Ag", "interface"), ("Ag", "edge"))
_REACH = 12.0  # nm on both sides of a surface, for the profile across it
_CLEAR = 16.0  # nm from the other surface, so that the two do not mix


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """A reconstruction made small, for renderings.

    Attributes
    ----------
    density
        (elements, n, n, n), uint8: 255 stands for `VIEW_LIMIT` times bulk density.
    voxel_size
        In nm.
    """

    density: np.ndarray
    voxel_size: float

    def volumes(self) -> np.ndarray:
        """Return (elements, n, n, n), float32, where 1 is bulk density."""
        return from_steps(self.density)


def to_steps(values) -> np.ndarray:
    """Return values between 0 and `VIEW_LIMIT` as 8-bit steps, others as the nearer end."""
    return np.clip(np.rint(values * (255 / VIEW_LIMIT)), 0, 255).astype(np.uint8)


def from_steps(steps) -> np.ndarray:
    """Return what `to_steps` was given, to half a step."""
    return steps * np.float32(VIEW_LIMIT / 255)


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """Pictures of the first seed's reconstructions, where bulk density is 1.

    Attributes
    ----------
    first
        Number of the first slice in `slices`.
    slices
        (columns, slices, rows, columns), uint8 steps of `from_steps`: every slice that holds the
        particle, cut to it and binned by `binning` within the slice; in the order of `COLUMNS`,
        HAADF relative to its brightest material.
    binning
        Pixels of a slice along each side of one pixel here.
    chosen
        Numbers of the slices in `whole`.
    whole
        (columns, chosen, size, size), uint8 steps: those slices as they are.
    bodies
        Name -> Body.
    """

    first: int
    slices: np.ndarray
    binning: int
    chosen: tuple[int, ...]
    whole: np.ndarray
    bodies: dict[str, Body]


@dataclasses.dataclass(frozen=True, eq=False)
class Profile:
    """What an element's reconstruction does across a surface of the true specimen.

    Attributes
    ----------
    distance
        (points,): nm from the surface; positive outside.
    values
        (points,): mean reconstruction at that distance; bulk density is 1.
    width
        Distance in nm over which the fitted edge, an error function, goes from 10 to 90 %.
    """

    distance: np.ndarray
    values: np.ndarray
    width: float


@dataclasses.dataclass(frozen=True, eq=False)
class NonAlloyStudy:
    """Results for the Ag particle with the Au octahedron.

    Attributes
    ----------
    settings
        One for each noise seed, from `hebt.particles.settings`.
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
    localised: dict
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


@dataclasses.dataclass(frozen=True, eq=False)
class DoseStudy:
    """How the error of both methods depends on the dose, for the middle slices of the Ag particle.

    Attributes
    ----------
    settings
        One for each dose, from `hebt.particles.settings`, with rising counts.
    slices
        How many slices in the middle were reconstructed.
    iterations, checkpoints
        As in `NonAlloyStudy`.
    r_squared
        (doses,): of the response ratios' fit.
    mse
        (methods, elements, doses, checkpoints): mean-squared error against the true specimen.
    """

    settings: tuple
    slices: int
    iterations: int
    checkpoints: np.ndarray
    r_squared: np.ndarray
    mse: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(doses,): X-ray counts per element and particle pixel."""
        return np.array([s.counts for s in self.settings])

    def gain(self, element: str, *, stop: str = "printed") -> np.ndarray:
        """Return by which factor the error of EDS alone exceeds that of HEBT, (doses,).

        Parameters
        ----------
        element
            "Au" or "Ag".
        stop
            "printed": after the paper's number of iterations; "best": each method at the
            checkpoint where its own error is least.
        """
        values = self.mse[:, ELEMENTS.index(element)]
        if stop == "printed":
            eds, bimodal = values[..., list(self.checkpoints).index(self.iterations)]
        elif stop == "best":
            eds, bimodal = values.min(axis=-1)
        else:
            raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")
        return eds / bimodal

    def counts_at(self, r_squared: float) -> float:
        """Return the dose, in counts, at which R² has this value; NaN beyond the doses tried."""
        # 1 - R² falls about as a power of the dose
        fault = np.log(1 - self.r_squared[::-1])
        at = np.interp(
            np.log(1 - r_squared), fault, np.log(self.counts[::-1]), left=np.nan, right=np.nan
        )
        return float(np.exp(at))


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
        Other settings, as in `hebt.particles.settings`.

    Returns
    -------
    NonAlloyStudy
    """
    return _nonalloy_study(_settings("nonalloy", seeds, changes))


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
        Other settings, as in `hebt.particles.settings`.

    Returns
    -------
    AlloyStudy
    """
    return _alloy_study(_settings("alloy", seeds, changes))


def dose_study(*, counts=None, **changes) -> DoseStudy:
    """Compare both methods over the dose, on the middle slices of the Ag particle.

    Everything else stays as in `nonalloy_study`; the whole particle is recorded and processed
    anew for each dose. One noise seed.

    Parameters
    ----------
    counts
        X-ray counts per element and particle pixel, rising; if None, from a sixteenth of the
        chapter's dose to the whole of it.
    **changes
        Other settings, as in `hebt.particles.settings`.

    Returns
    -------
    DoseStudy
    """
    if counts is None:
        whole = particles.settings("nonalloy").counts
        steps = (16, 4, 1) if hebt.fidelity() == "quick" else (16, 8, 4, 2, 1)
        counts = [whole / n for n in steps]
    counts = np.asarray(counts, float)
    if counts.ndim != 1 or not len(counts) or not (counts > 0).all() or (np.diff(counts) <= 0).any():
        raise ValueError(f"counts is {counts.tolist()}; expected rising numbers above 0.")
    return _dose_study(tuple(particles.settings("nonalloy", counts=c, **changes) for c in counts))


def _settings(name, seeds, changes):
    seeds = range(2 if hebt.fidelity() == "quick" else 3) if seeds is None else seeds
    if np.ndim(seeds) == 0 or len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds is {seeds!r}; expected a list of seeds without repeats, such as range(3)."
        )
    return tuple(particles.settings(name, seed=seed, **changes) for seed in seeds)


@cached
def _nonalloy_study(settings):
    iterations = int(_paper.printed("nonalloy.best_iterations").value)
    truth = _Truth(particles.specimen(settings[0]), surfaces=True)
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
            name: np.stack(
                [np.moveaxis(over_seeds(m, "scores", r, name), -1, 1) for m in METHODS]
            )
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
        checkpoints=_checkpoints(iterations, 2 * iterations),
        scores=scores,
        overlap=over_seeds("overlap"),
        volume_error=over_seeds("volume_error"),
        **follows,
        profiles={key: [seed["profiles"][key] for seed in seeds] for key in seeds[0]["profiles"]},
        localised={
            name: {key: over_seeds("localised", name, key) for key in seeds[0]["localised"][name]}
            for name in LOCALISED
        },
        masked=seeds[0]["masked"],
        views=seeds[0]["views"],
    )


def _nonalloy_seed(settings, truth, iterations, pictures):
    """All results of one seed, as plain arrays."""
    series = particles.process(settings)
    W = hebt.Projector(series.angles, settings.size)
    stacked = np.concatenate(list(series.maps), axis=1)
    volume = (len(ELEMENTS), settings.size, settings.size, settings.size)
    checkpoints = _checkpoints(iterations, 2 * iterations)
    haadf = hebt.sirt(W, series.haadf, iterations=iterations)
    parts = segmentation.segment(haadf)
    brightest = float(np.median(haadf[parts.mask(2)]))
    result = truth.compare(parts) | {
        "ratios": np.asarray(series.fit.ratios, float),
        "r_squared": float(series.fit.r_squared),
        "profiles": {("haadf", "haadf", s): truth.profile(haadf, s) for s in truth.surfaces}
        | truth.own_profiles(),
        "localised": {},
    }
    slices, whole, bodies = [None] * len(COLUMNS), [None] * len(COLUMNS), {}

    def look(name, x):
        """Profiles, localisation and pictures of a finished reconstruction."""
        scaled = x * truth.scale(x)[:, None, None, None]
        result["profiles"] |= {
            (name, e, s): truth.profile(scaled[ELEMENTS.index(e)], s) for e, s in _EDGES
        }
        result["localised"][name] = truth.localised(scaled[:, truth.band])
        if pictures:
            for k, e in enumerate(ELEMENTS):
                at = COLUMNS.index(f"{e}_{name}")
                slices[at], whole[at] = truth.views(scaled[k])
            bodies[name] = truth.body(scaled)

    follow = _Follow(truth, parts.labels, checkpoints)
    x = hebt.sirt(W, stacked, iterations=iterations, callback=follow.stacked).reshape(volume)
    result["eds"] = follow.results(x, parts)
    look("eds", x)
    # on to twice as many iterations, to find the best stop
    follow.done = iterations
    x = x.reshape(-1, *x.shape[2:])
    hebt.sirt(W, stacked, iterations=iterations, start=x, callback=follow.stacked)
    del x

    follow = _Follow(truth, parts.labels, checkpoints)
    x = hebt.reconstruct(
        W, series.haadf, series.maps, series.fit.ratios,
        alpha=float(_paper.printed("nonalloy.best_alpha").value),
        iterations=iterations, callback=follow.volume,
    )  # fmt: skip
    result["hebt"] = follow.results(x, parts)
    look("hebt", x)
    follow.done = iterations
    hebt.reconstruct(
        W, series.haadf, series.maps, series.fit.ratios,
        alpha=float(_paper.printed("nonalloy.best_alpha").value),
        iterations=iterations, start=x, callback=follow.volume,
    )  # fmt: skip
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
        result["localised"][name] = truth.localised(x)
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


@cached
def _dose_study(settings):
    iterations = int(_paper.printed("nonalloy.best_iterations").value)
    alpha = float(_paper.printed("nonalloy.best_alpha").value)
    checkpoints = _checkpoints(iterations, 2 * iterations)
    size = settings[0].size
    slices = max(2, size // 30)
    band = slice((size - slices) // 2, (size - slices) // 2 + slices)
    true = particles.truth(settings[0])[:, band]
    mse = np.full((len(METHODS), len(ELEMENTS), len(settings), len(checkpoints)), np.nan)
    fits = []

    def follow(method, dose):
        def take(iteration, x, residuals):
            if iteration in checkpoints:
                at = int(np.flatnonzero(checkpoints == iteration)[0])
                for e, y in enumerate(x.reshape(true.shape)):
                    mse[METHODS.index(method), e, dose, at] = metrics.scaled_mse(true[e], y)

        return take

    with progress_bar(len(settings), "doses") as bar:
        for dose, one in enumerate(settings):
            if one == particles.settings("nonalloy", seed=one.seed):
                series = particles.process(one)
            else:
                # nobody else needs it, so it need not fill the disk
                recording = particles.acquire(one, progress=False)
                series, _ = particles.process_steps(recording, progress=False)
            fits.append(series.fit.r_squared)
            W = hebt.Projector(series.angles, size)
            haadf, maps = series.haadf[:, band], series.maps[:, :, band]
            hebt.sirt(
                W, np.concatenate(list(maps), axis=1), iterations=2 * iterations,
                callback=follow("eds", dose), progress=False,
            )  # fmt: skip
            hebt.reconstruct(
                W, haadf, maps, series.fit.ratios, alpha=alpha, iterations=2 * iterations,
                callback=follow("hebt", dose), progress=False,
            )  # fmt: skip
            bar.update()
    return DoseStudy(settings, slices, iterations, checkpoints, np.array(fits, float), mse)


def mask_maps(haadf, maps) -> np.ndarray:
    """Set element maps to 0 where the Z-contrast image shows no particle (Figure 9 c, d).

    Parameters
    ----------
    haadf
        Z-contrast tilt series, (tilts, slices, size), binarised by `hebt.preprocess.binarise`.
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
    haadf = _checks.as_float32("haadf", haadf, ndim=(3,))
    maps = _checks.as_float32("maps", maps, ndim=(3,))
    if maps.shape[1] % haadf.shape[1] or maps.shape[::2] != haadf.shape[::2]:
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected the same, or several "
            "maps behind each other along the slices."
        )
    inside = preprocess.binarise(haadf)
    return maps * np.concatenate([inside] * (maps.shape[1] // haadf.shape[1]), axis=1)


# ---- the alloy particle ----


@cached
def _alloy_study(settings):
    iterations = int(_paper.printed("alloy.iterations").value)
    alpha = float(_paper.printed("alloy.alpha").value)
    whole = _Truth(particles.specimen(settings[0]), surfaces=False)
    checkpoints = _checkpoints(iterations, iterations)
    # The slices that hold the particle, with a margin, and those that are scored: slices do not
    # talk to each other, and half of them are still enough. Pictures need all, of the first seed.
    held = whole.box.slices[0]
    scored = slice(held.start, held.stop, 2)
    truth = whole.part(scored)
    seeds, views = [], None
    for number, one in enumerate(settings):
        pictures = number == 0
        kept, every = (held, 2) if pictures else (scored, 1)
        series = particles.process(one)
        W = hebt.Projector(series.angles, one.size)
        maps = np.ascontiguousarray(series.maps[:, :, kept])
        result = {"ratios": series.fit.ratios, "r_squared": series.fit.r_squared}
        slices, pages, bodies = [None] * len(COLUMNS), [None] * len(COLUMNS), {}
        for method in METHODS:
            follow = _Follow(truth, None, checkpoints, every)
            if method == "eds":
                stacked = np.concatenate(list(maps), axis=1)
                x = hebt.sirt(W, stacked, iterations=iterations, callback=follow.stacked)
                x = x.reshape(len(ELEMENTS), -1, *x.shape[1:])
                factors = np.asarray(series.zeta, float)
            else:
                x = hebt.reconstruct(
                    W, series.haadf[:, kept], maps, series.fit.ratios, alpha=alpha,
                    iterations=iterations, callback=follow.volume,
                )  # fmt: skip
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


# ---- measuring ----


def _checkpoints(iterations, most):
    """Return where a run is looked at: in steps of about a quarter, and at `iterations`."""
    values = [2]
    while values[-1] < most:
        values.append(max(values[-1] + 1, round(values[-1] * 1.3)))
    return np.array(sorted({v for v in values if v <= most} | {iterations, most}))


class _Truth:
    """The true specimen, and what reconstructions are measured against it.

    Parameters
    ----------
    specimen
        `hebt.specimens.Specimen` of Au and Ag, density in kg/m³.
    surfaces
        Whether the two elements are apart, with surfaces to measure at.
    """

    # a voxel's code: label in the segmentation + 3 * label of the truth + 9 * region; labels are
    # 0 outside, 1 Ag, 2 Au; regions 0 near a surface, 1 outside, 2 Ag, 3 Au
    CODES = 36
    surfaces = ("interface", "edge")

    def __init__(self, specimen, *, surfaces: bool):
        if tuple(specimen.elements) != ELEMENTS:
            raise ValueError(f"specimen has {specimen.elements}; expected {ELEMENTS}.")
        self.voxel_size = float(specimen.voxel_size)
        self.size = specimen.size
        bulk = np.array([specimens.DENSITY[e] for e in ELEMENTS], np.float32)
        # (elements, slices, size, size): volume fractions in 8 bits
        self.fraction = np.stack(
            [np.rint(d * (_STEPS / b)).astype(np.uint8) for d, b in zip(specimen.density, bulk)]
        )
        inside = self.fraction.sum(axis=0, dtype=np.uint16) * 2 > _STEPS
        self.labels = np.where(inside, 1, 0).astype(np.uint8)
        self.labels[self.fraction[0] > _STEPS // 2] = 2
        self.region = np.zeros_like(self.labels)
        self.distance = {}
        # nm from the middle
        self.heights = (np.arange(self.size) - (self.size - 1) / 2) * self.voxel_size
        if surfaces:
            self._measure()
        self._complete()

    def _complete(self):
        self.box = _Box(self.labels > 0, 6)
        # as the solver holds volumes
        self.layout = np.ascontiguousarray(self.fraction.transpose(0, 2, 3, 1))
        self._powers = None

    def part(self, slices: slice) -> "_Truth":
        """Return the truth of some slices, for scores and composition.

        What belongs to the whole stays there: surfaces, `band` and pictures.
        """
        part = copy.copy(self)
        part.fraction, part.labels = self.fraction[:, slices], self.labels[slices]
        part.region, part.heights = self.region[slices], self.heights[slices]
        part.distance = {}
        part._complete()
        return part

    def _measure(self):
        """Distances from both surfaces, in nm, at every second voxel; and the regions."""
        from scipy.ndimage import distance_transform_edt

        thin = self.labels[::2, ::2, ::2]
        with ThreadPoolExecutor(threads()) as pool:
            bodies = [thin == 2, thin > 0]
            jobs = [
                pool.submit(distance_transform_edt, b, sampling=2 * self.voxel_size)
                for body in bodies
                for b in (~body, body)
            ]
            found = [job.result().astype(np.float32) for job in jobs]
        for k, name in enumerate(self.surfaces):
            # the surface runs half way between the voxels on both sides
            self.distance[name] = found[2 * k] - found[2 * k + 1]
            self.distance[name] -= np.sign(self.distance[name]) * np.float32(self.voxel_size)
        interface, edge = (self.distance[name] for name in self.surfaces)
        region = np.zeros(thin.shape, np.uint8)
        region[edge > _SHELL] = 1
        region[(edge < -_SHELL) & (interface > _SHELL)] = 2
        region[interface < -_SHELL] = 3
        for axis in range(3):
            region = region.repeat(2, axis)
        self.region = region[: self.size, : self.size, : self.size]

    def codes(self, labels=None) -> np.ndarray:
        """Return the code of each voxel, (size, size, slices), uint8."""
        code = self.labels * np.uint8(3) + self.region * np.uint8(9)
        if labels is not None:
            code += labels
        return np.ascontiguousarray(code.transpose(1, 2, 0))

    def compare(self, parts) -> dict:
        """Say how well a segmentation meets the truth, for Au and Ag."""
        overlap, error = [], []
        for label in (2, 1):
            true, found = self.labels == label, parts.mask(label)
            both = np.count_nonzero(true & found)
            n_true, n_found = np.count_nonzero(true), np.count_nonzero(found)
            overlap.append(2 * both / (n_true + n_found))
            error.append(n_found / n_true - 1)
        return {"overlap": np.array(overlap), "volume_error": np.array(error)}

    def powers(self):
        """Sum and sum of squares of each element's true volume fractions."""
        if self._powers is None:
            values = np.arange(256) / _STEPS
            counts = [np.bincount(f.ravel(), minlength=256) for f in self.fraction]
            self._powers = [(float(c @ values), float(c @ values**2)) for c in counts]
        return self._powers

    @property
    def band(self) -> slice:
        """Every second slice of the middle third, for the mask experiments."""
        first = 2 * (self.size // 6)
        return slice(first, self.size - first, 2)

    def scale(self, x, band=slice(None)) -> np.ndarray:
        """Return (elements,): the factor that brings each element nearest to the truth."""
        factors = []
        for true, y in zip(self.fraction[:, band], x, strict=True):
            cross, square = _dots(true, y)
            factors.append(cross / square / _STEPS if square else 0.0)
        return np.array(factors, np.float32)

    def profile(self, image, surface: str, *, banded: bool = False) -> Profile:
        """Average a volume over surfaces of equal distance from one of the true surfaces.

        `image` holds all slices, or those of `band`.
        """
        thin, image = slice(None), image[:, ::2, ::2]
        if banded:
            first = self.band.start // 2
            thin = slice(first, first + len(image))
        else:
            image = image[::2]
        distance = self.distance[surface][thin]
        other = self.distance["edge" if surface == "interface" else "interface"][thin]
        # deep below the edge, or far outside the gold
        clear = other < -_CLEAR if surface == "interface" else other > _CLEAR
        use = (np.abs(distance) < _REACH) & clear
        step = max(1.0, 2 * self.voxel_size)
        bins = np.rint((distance[use] + _REACH) / step).astype(int)
        counts = np.bincount(bins)
        some = counts > 0
        values = np.bincount(bins, weights=image[use])[some] / counts[some]
        at = np.bincount(bins, weights=distance[use])[some] / counts[some]
        return Profile(at, values, _edge_width(at, values, counts[some]))

    def own_profiles(self) -> dict:
        """Return the profiles of the true specimen itself, which nothing has blurred."""
        fraction = self.fraction / np.float32(_STEPS)
        return {
            ("true", e, s): self.profile(fraction[ELEMENTS.index(e)], s) for e, s in _EDGES
        }

    def localised(self, scaled) -> dict:
        """Say how well both elements are told apart in the slices of `band`, at the best scale."""
        inside = self.labels[self.band] > 0
        error, outside, mse, width = [], [], [], []
        for k, y in enumerate(scaled):
            f = self.fraction[k, self.band][inside] * np.float32(1 / _STEPS)
            cut = y[inside]
            cross, square, power = (float(np.dot(a, b)) for a, b in ((f, cut), (cut, cut), (f, f)))
            error.append(1 - cross**2 / (square * power))
            outside.append(1 - cut.sum(dtype=np.float64) / y.sum(dtype=np.float64))
            cross, square = _dots(self.fraction[k, self.band], y)
            values = np.bincount(self.fraction[k, self.band].ravel(), minlength=256)
            whole = float(values @ (np.arange(256) / _STEPS) ** 2)
            mse.append((whole - (cross / _STEPS) ** 2 / square) / y.size)
            width.append(self.profile(y, "interface", banded=True).width)
        keys = ("error", "outside", "mse", "width")
        values = (error, outside, mse, width)
        return {key: np.array(v, np.float64) for key, v in zip(keys, values, strict=True)}

    # ---- composition

    def true_profile(self):
        """Return the mean radius (nm) and the atomic fraction of Au of each shell."""
        shell, radius = self._shells()
        counts = np.bincount(shell)
        mean = np.bincount(shell, weights=radius) / counts
        return mean, self._profile(self.box.cut(self.fraction) * np.float32(1 / _STEPS))

    def composition(self, x, factors) -> dict:
        """Measure the atomic fraction of Au in shells, and its error in single voxels.

        `factors` (elements,) divide x to give densities.
        """
        bulk = np.array([specimens.DENSITY[e] for e in ELEMENTS])
        # volume fractions times bulk densities are what composition() makes of the factors 1
        parts = self.box.cut(x) / (np.asarray(factors) * bulk)[:, None, None, None].astype("f4")
        full = self.box.cut(self.fraction).sum(axis=0, dtype=np.uint16) >= _STEPS - 2
        found, true = (
            hebt.composition(
                np.ascontiguousarray(part[:, full]) * bulk[:, None].astype("f4"),
                np.ones(2), np.ones(2), ELEMENTS, "atomic",
            )[0]
            for part in (parts, self.box.cut(self.fraction) / np.float32(_STEPS))
        )  # fmt: skip
        error = (found - true).astype(np.float64)
        return {
            "profile": self._profile(parts),
            # a voxel in which nothing was reconstructed has no composition
            "voxel_error": float(np.sqrt(np.nanmean(error**2))),
        }

    def _shells(self):
        """Number of the shell of 1 nm, and the radius, of each voxel of a ball in the box."""
        across = (np.arange(self.size) - (self.size - 1) / 2) * self.voxel_size
        z, y, x = (
            at[part].astype(np.float32)
            for at, part in zip((self.heights, across, across), self.box.slices, strict=True)
        )
        radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        width = max(_SHELL_WIDTH, 2 * self.voxel_size)
        shells = int(_BALL / width)
        shell = (radius / np.float32(width)).astype(np.int32)
        self._ball = shell < shells
        return shell[self._ball], radius[self._ball]

    def _profile(self, parts):
        """Atomic fraction of Au in each shell, from volume fractions (elements, ...) of the box."""
        shell, _ = self._shells()
        masses = [
            np.bincount(shell, weights=part[self._ball]) * specimens.DENSITY[e]
            for e, part in zip(ELEMENTS, parts, strict=True)
        ]
        return hebt.composition(masses, np.ones(2), np.ones(2), ELEMENTS, "atomic")[0]

    # ---- pictures

    def filled(self, x, slices: slice) -> np.ndarray:
        """Return x (..., slices, size, size) among all slices; those that it lacks are 0."""
        every = np.zeros((*x.shape[:-3], self.size, *x.shape[-2:]), np.float32)
        every[..., slices, :, :] = x
        return every

    def views(self, scaled):
        """Return the slices of the box, binned, and the chosen slices, as 8-bit steps."""
        boxed = self.box.cut(scaled)
        slices, rows, columns = (n - n % _BINNING for n in boxed.shape)
        binned = boxed[:, :rows, :columns].reshape(
            len(boxed), rows // _BINNING, _BINNING, columns // _BINNING, _BINNING
        )
        return to_steps(binned.mean(axis=(2, 4))), to_steps(scaled[list(self.chosen)])

    @property
    def chosen(self):
        """The slices of Figure 5, for this size."""
        return tuple(round(s * self.size / FIGURE_5_SIZE) for s in FIGURE_5)

    def body(self, scaled) -> Body:
        """Return a cube around the particle, binned to at most `_BODY` voxels a side."""
        inside = [s.stop - s.start for s in self.box.slices]
        factor = max(1, -(-max(inside) // _BODY))
        side = min(self.size // factor, -(-max(inside) // factor))
        starts = [
            min(max(0, (s.start + s.stop - side * factor) // 2), self.size - side * factor)
            for s in self.box.slices
        ]
        cube = tuple(slice(a, a + side * factor) for a in starts)
        cut = np.asarray(scaled)[(slice(None), *cube)].astype(np.float32)
        shape = [n for _ in range(3) for n in (side, factor)]
        return Body(
            to_steps(cut.reshape(-1, *shape).mean(axis=(2, 4, 6))), factor * self.voxel_size
        )

    def gather(self, slices, whole, bodies) -> Views:
        """Put the pictures of all columns together."""
        return Views(
            self.box.slices[0].start,
            np.stack(slices),
            _BINNING,
            self.chosen,
            np.stack(whole),
            bodies,
        )


class _Box:
    """The part of a volume that holds what is `inside`, with a margin on each side."""

    def __init__(self, inside, margin: int):
        self.slices = []
        for k, n in enumerate(inside.shape):
            at = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {k})))
            self.slices.append(slice(max(0, at[0] - margin), min(n, at[-1] + 1 + margin)))

    def cut(self, volume) -> np.ndarray:
        """Return the part of (..., slices, size, size)."""
        return volume[(..., *self.slices)]


class _Follow:
    """Scores of a running reconstruction at checkpoints; its methods are solvers' callbacks.

    `every`: of the reconstruction's slices, `truth` has only each one that this divides.
    """

    def __init__(self, truth, labels, checkpoints, every=1):
        self.truth, self.checkpoints, self.every = truth, list(checkpoints), every
        self.code = truth.codes(labels)
        code = np.arange(truth.CODES)
        self.labels = {"segmented": code % 3, "true": code // 3 % 3}
        if labels is None:
            del self.labels["segmented"]
        self.region = code // 9
        shape = (len(ELEMENTS), len(checkpoints))
        self.scores = {
            r: {name: np.full(shape, np.nan) for name in SCORES} for r in self.labels
        }
        self.leak, self.shadow, self.haze = (np.full(len(checkpoints), np.nan) for _ in range(3))
        self.last = None
        self.done = 0

    def stacked(self, iteration, x, residual):
        """Callback of `sirt` on the maps of all elements behind each other."""
        self.volume(iteration, x.reshape(len(ELEMENTS), -1, *x.shape[1:]), residual)

    def volume(self, iteration, x, residuals):
        """Callback of `reconstruct`."""
        iteration += self.done
        if iteration in self.checkpoints:
            self._take(self.checkpoints.index(iteration), x[:, :: self.every])

    def _take(self, at, x):
        from hebt import _volume_kernels

        # the solver's memory: (size, size, elements, slices)
        x = np.moveaxis(x, (-2, -1), (0, 1))
        size = len(x)
        share = -(-size // (2 * threads()))
        starts = range(0, size, share)
        # every second value bounds nothing, but the last bin takes all that is brighter
        limits = np.array(
            [max(float(x[::2, ::2, e].max()), 1e-30) * 1.0001 for e in range(len(ELEMENTS))]
        )
        histogram = np.zeros((len(starts), len(ELEMENTS), self.truth.CODES, _BINS), np.int64)
        totals = np.zeros(histogram.shape[:3])
        sums = np.zeros((len(starts), len(ELEMENTS), 2))

        def work(k, first):
            _volume_kernels.tally(
                x, self.truth.layout, self.code, limits, first, min(first + share, size),
                histogram[k], totals[k], sums[k],
            )  # fmt: skip

        run(work, list(enumerate(starts)))
        histogram, totals, sums = (a.sum(axis=0) for a in (histogram, totals, sums))
        voxels = x.size // len(ELEMENTS)
        for e, label in enumerate((2, 1)):
            for reference, labels in self.labels.items():
                own = labels == label
                ones, zeros = histogram[e, own].sum(axis=0), histogram[e, ~own].sum(axis=0)
                if reference == "segmented":
                    total = power = float(ones.sum())
                    cross = totals[e, own].sum()
                else:
                    total, power = self.truth.powers()[e]
                    cross = sums[e, 1]
                y, square = totals[e].sum(), sums[e, 0]
                scores = self.scores[reference]
                scores["mse"][e, at] = (power - cross**2 / square) / voxels
                scores["ssim"][e, at] = (cross - total * y / voxels) / np.sqrt(
                    (power - total**2 / voxels) * (square - y**2 / voxels)
                )
                scores["dp"][e, at] = _fewest_wrong(ones, zeros) * _voxels(size)
        if not (self.region == 2).any() or not histogram[0, self.region == 3].any():
            return
        mean = {
            r: totals[0, self.region == r].sum() / histogram[0, self.region == r].sum()
            for r in (1, 2, 3)
        }
        self.leak[at] = totals[0, self.region == 2].sum() / totals[0].sum()
        self.shadow[at], self.haze[at] = mean[2] / mean[3], mean[1] / mean[3]
        self.last = histogram[0], limits[0], mean[3]

    def results(self, x, parts) -> dict:
        """Return all scores, with those that are taken of the finished reconstruction x."""
        at = self.checkpoints.index(max(c for c in self.checkpoints if self._seen(c)))
        for reference, scores in self.scores.items():
            for e, label in enumerate((2, 1)):
                true = (
                    self.truth.fraction[e] / np.float32(_STEPS)
                    if reference == "true"
                    else parts.mask(label).astype(np.float32)
                )
                scores["ssim_windowed"][e, at] = windowed_similarity(true, x[e])
        return {
            "scores": self.scores, "leak": self.leak, "shadow": self.shadow, "haze": self.haze,
        } | self._cleared()  # fmt: skip

    def _seen(self, checkpoint):
        return np.isfinite(self.scores["true"]["mse"][0, self.checkpoints.index(checkpoint)])

    def _cleared(self):
        """Leak and shadow once values below half the mean in pure Au are set to 0."""
        if self.last is None:
            return {}
        histogram, limit, mean = self.last
        centres = (np.arange(_BINS) + 0.5) * (limit / _BINS)
        stays = centres >= mean / 2
        silver = histogram[self.region == 2].sum(axis=0)
        every = histogram.sum(axis=0)
        return {
            "cleared_leak": (silver * centres)[stays].sum() / (every * centres)[stays].sum(),
            "cleared_shadow": silver[stays].sum() / silver.sum(),
        }


def _fewest_wrong(ones, zeros) -> int:
    """DP from the histograms of what should be 1 and what should be 0.

    Thresholds run over the bins' edges, so this is at most a little above the exact minimum.
    """
    below = np.concatenate([[0], np.cumsum(ones)])
    above = zeros.sum() - np.concatenate([[0], np.cumsum(zeros)])
    return int((below + above).min())


def _voxels(size) -> float:
    """Voxels of a 300³ volume in one of size³."""
    return (_paper.printed("nonalloy.size").value / size) ** 3


def _dots(true, y):
    """<true, y> and <y, y>, slice by slice in single precision, added up in double."""
    cross = square = 0.0
    for a, b in zip(true, y, strict=True):
        b = b.ravel()
        cross += float(np.dot(a.ravel().astype(np.float32), b))
        square += float(np.dot(b, b))
    return cross, square


def windowed_similarity(reference, image) -> float:
    """`hebt.metrics.structure_similarity` of a volume, worked out only where it is not 1.

    Parameters
    ----------
    reference
        (slices, size, size), of a body on a background of 0.
    image
        The reconstruction, same shape.

    Returns
    -------
    float
        The mean over the volume. A window in which the reference is constant has the structure
        term 1, whatever the image shows there.
    """
    cross, square = _dots(reference, image)
    scale = np.float32(cross / square if square else 0.0)
    # the window's radius is 5: once for the windows that see the body, once for what they see
    box = _Box(reference > 0, 5)
    wide = tuple(
        slice(max(0, s.start - 5), min(n, s.stop + 5))
        for s, n in zip(box.slices[1:], reference.shape[1:], strict=True)
    )
    middle = tuple(
        slice(s.start - w.start, s.stop - w.start) for s, w in zip(box.slices[1:], wide)
    )
    c3 = (0.03 * float(reference.max() - reference.min())) ** 2 / 2

    def fault(s):
        x = reference[(s, *wide)]
        if not x.any():
            return 0.0
        similar = metrics._structure_map(x, image[(s, *wide)] * scale, np.float32(c3))
        return float((1 - similar[middle]).sum(dtype=np.float64))

    with ThreadPoolExecutor(threads()) as pool:
        faults = sum(pool.map(fault, range(len(reference))))
    return 1 - faults / reference.size


def _edge_width(distance, values, weights) -> float:
    """10 to 90 % width of the error function fitted to an edge; NaN where there is no edge."""
    from scipy.optimize import curve_fit
    from scipy.special import erf

    def edge(d, low, high, at, sigma):
        return low + (high - low) * (1 + erf((d - at) / (np.sqrt(2) * sigma))) / 2

    start = (values[0], values[-1], 0.0, 2.0)
    bounds = ([-np.inf, -np.inf, -_REACH, 0.05], [np.inf, np.inf, _REACH, 3 * _REACH])
    try:
        found, _ = curve_fit(
            edge, distance, values, start, sigma=1 / np.sqrt(weights), bounds=bounds
        )
    except RuntimeError:
        return np.nan
    return float(2 * 1.2815515655446004 * found[3])
