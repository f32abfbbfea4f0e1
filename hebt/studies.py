"""The book's experiments: each a function that returns plain results.

Results are kept on disk (see `hebt._cache`), so a figure, a table and an explorer that need the
same experiment compute it once.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np

import hebt
from hebt import _checks, _paper, metrics, microscope, preprocess, specimens
from hebt._cache import cached

METHODS = ("hebt_est", "hebt_gt", "eds")
# Table 1's three scores. "ssim" is the structure term over the whole image and "mse" the mean over
# its pixels, which meet Table 1 best; the other readings of the paper stand beside them.
TABLE_1 = ("ssim", "mse", "dp")
SCORES = {
    "ssim": lambda x, y: metrics.structure_similarity(x, y, window=None),
    "ssim_windowed": lambda x, y: metrics.structure_similarity(x, y, window="gaussian"),
    "mse": lambda x, y: metrics.scaled_mse(x, y, normalise="pixels"),
    "mse_reference": lambda x, y: metrics.scaled_mse(x, y, normalise="reference"),
    "dp": metrics.pixel_difference,
}
BEST_IS_LARGE = ("ssim", "ssim_windowed")

# σ is not printed. Four pixels meet the printed R² with the phantom of `hebt.specimens.phantom`.
SIGMA = 4.0


def paper(key: str) -> _paper.Printed:
    """Return one of the paper's printed numbers with its unit and place.

    Parameters
    ----------
    key
        Its name in data/paper.json, such as ``"table1.mse.Au.eds"``.

    Raises
    ------
    KeyError
        If there is no such number.
    """
    return _paper.printed(key)


def _printed(key):
    return _paper.printed(key).value


@dataclasses.dataclass(frozen=True)
class PhantomSettings:
    """Settings of the phantom study; `phantom_settings` gives those of the paper.

    Attributes
    ----------
    size
        Pixels along one side of the frame.
    angles
        Tilt angles in degrees.
    z, zeta
        Response factors of Au and Ag as printed: per density 1 and per pixel of a 512-pixel frame.
    dose
        Factor on the X-ray counts; 1 takes the printed ζ literally.
    width, sigma
        Length and standard deviation of the Gaussian that smooths the element maps, in pixels of
        a 512-pixel frame. ``width=0`` leaves the maps as they are.
    centred
        Whether the kernel is centred on a pixel.
    alpha, iterations
        Weight of HAADF and number of SIRT iterations.
    seeds
        Seeds of the counting noise.
    """

    size: int
    angles: tuple[float, ...]
    z: tuple[float, float]
    zeta: tuple[float, float]
    dose: float
    width: int
    sigma: float
    centred: bool
    alpha: float
    iterations: int
    seeds: tuple[int, ...]

    @property
    def pixel(self) -> float:
        """Side of a pixel, in pixels of the paper's frame."""
        return _printed("phantom.size") / self.size

    @property
    def true_ratios(self) -> np.ndarray:
        """(elements,): r = z/ζ, in HAADF intensity per count."""
        return np.array(self.z) / np.array(self.zeta) / self.dose


def phantom_settings(**changes) -> PhantomSettings:
    """Return the paper's settings (section 3.1 and 4.1) for the fidelity at hand, with `changes`.

    At paper fidelity everything that the paper prints is as printed, with ten noise seeds. At
    quick fidelity the frame has 128 pixels and there are three seeds. A larger pixel then collects
    the counts of all the pixels that it stands for, so that the specimen gets the same dose.

    Parameters
    ----------
    **changes
        Any attribute of `PhantomSettings`, to change it.

    Raises
    ------
    TypeError
        If a name is no setting.
    """
    quick = hebt.fidelity() == "quick"
    first, last = _printed("phantom.tilt_first"), _printed("phantom.tilt_last")
    angles = np.arange(first, last + 1, _printed("phantom.tilt_step"))
    values = {
        "size": 128 if quick else _printed("phantom.size"),
        "angles": angles,
        "z": (_printed("phantom.z.Au"), _printed("phantom.z.Ag")),
        "zeta": (_printed("phantom.zeta.Au"), _printed("phantom.zeta.Ag")),
        "dose": 1.0,
        "width": _printed("phantom.filter_width"),
        "sigma": SIGMA,
        "centred": True,
        "alpha": _printed("phantom.alpha"),
        "iterations": _printed("phantom.iterations"),
        "seeds": range(3 if quick else 10),
    }
    unknown = [name for name in changes if name not in values]
    if unknown:
        raise TypeError(
            f"{', '.join(unknown)}: no such setting; expected some of {', '.join(values)}."
        )
    values |= changes
    if np.ndim(values["seeds"]) == 0:
        raise TypeError(
            f"seeds is {values['seeds']!r}; expected a list of seeds, such as range(3) or [7]."
        )
    # plain tuples and numbers, so that equal settings find the same stored result
    for name in ("angles", "z", "zeta"):
        values[name] = tuple(float(v) for v in values[name])
    for name in ("dose", "sigma", "alpha"):
        values[name] = float(values[name])
    for name in ("size", "iterations"):
        values[name] = _checks.check_count(name, values[name])
    values["width"] = _checks.check_count("width", values["width"], least=0)
    values["seeds"] = tuple(int(s) for s in values["seeds"])
    values["centred"] = bool(values["centred"])
    if not values["seeds"]:
        raise ValueError("seeds is empty; expected at least one seed.")
    return PhantomSettings(**values)


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomData:
    """A simulated bimodal tilt series of the phantom.

    Attributes
    ----------
    settings
        What it was made with.
    W
        Projector of the tilt series.
    elements, density
        Symbols, and (elements, size, size): 1 where an element is.
    haadf
        (tilts, size): Z-contrast sinogram, HAADF intensity.
    counts
        (elements, tilts, seeds, size): X-ray counts with Poisson noise.
    maps
        The same after smoothing.
    """

    settings: PhantomSettings
    W: object
    elements: tuple[str, ...]
    density: np.ndarray
    haadf: np.ndarray
    counts: np.ndarray
    maps: np.ndarray


def phantom_data(settings: PhantomSettings | None = None) -> PhantomData:
    """Simulate the tilt series of section 3.1: HAADF by Eq. 3, element maps by Eq. 5.

    Parameters
    ----------
    settings
        Those of the paper for the fidelity at hand, if None.
    """
    settings = phantom_settings() if settings is None else settings
    W = hebt.Projector(np.array(settings.angles), settings.size)
    specimen = specimens.phantom(settings.size)
    # a coarse pixel stands for pixel² of the paper's: width of the beam times path through it
    area = settings.pixel**2
    haadf = microscope.haadf_tilt_series(W, specimen.density, area * np.array(settings.z))
    counts = microscope.element_maps(
        W,
        specimen.density,
        area * np.array(settings.zeta),
        dose=settings.dose,
        seed=settings.seeds,
    )
    maps = counts
    if settings.width:
        maps = preprocess.smooth(
            counts,
            width=max(1, round(settings.width / settings.pixel)),
            sigma=settings.sigma / settings.pixel,
            centred=settings.centred,
        )
    return PhantomData(settings, W, specimen.elements, specimen.density, haadf, counts, maps)


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomStudy:
    """Results of the phantom study.

    Attributes
    ----------
    settings
        What it was made with.
    elements
        Symbols: Au, Ag.
    true_ratios
        (elements,): z/ζ.
    mean_counts
        (elements,): X-ray counts on a pixel before smoothing, averaged over seeds and over the
        pixels with HAADF > 0.
    ratios, r_squared
        (seeds, elements) and (seeds,): estimated by NNLS over the pixels with HAADF > 0, and the
        coefficient of determination.
    ratios_both, r_squared_both
        The same over the pixels at which both maps are above 0.
    iterations
        (checkpoints,): the iterations at which scores were taken; the last one is the paper's.
    scores
        Name -> (methods, elements, seeds, checkpoints), methods in the order of `METHODS`; the
        names are those of `SCORES`, and DP counts pixels of a 512-pixel frame. Those outside
        `TABLE_1` are taken at the last checkpoint only and NaN before.
    residuals
        (1 + elements, iterations): relative residuals of HAADF, Au and Ag after each iteration of
        HEBT, |p - W x| / |p|, over all seeds and both kinds of ratios.
    images, best_images
        (methods, elements, size, size): densities of the first seed after the last iteration, and
        at the checkpoint where its MSE is lowest. The truth is 1 inside and 0 outside.
    """

    settings: PhantomSettings
    elements: tuple[str, ...]
    true_ratios: np.ndarray
    mean_counts: np.ndarray
    ratios: np.ndarray
    r_squared: np.ndarray
    ratios_both: np.ndarray
    r_squared_both: np.ndarray
    iterations: np.ndarray
    scores: dict[str, np.ndarray]
    residuals: np.ndarray
    images: np.ndarray
    best_images: np.ndarray

    def score(self, name: str, method: str, element: str, *, stop: str = "printed"):
        """Return a score over the noise seeds, (seeds,).

        Parameters
        ----------
        name
            One of `SCORES`.
        method
            One of `METHODS`.
        element
            "Au" or "Ag".
        stop
            "printed": after the paper's number of iterations. "best": at the iteration at which
            this score of this method and element, averaged over the seeds, is best. It knows the
            truth, so it is the most that stopping early can give.
        """
        values = self._values(name, method, element)
        if stop == "printed":
            return values[:, -1]
        if stop == "best":
            return values[:, self._best(name, method, element)]
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")

    def best_iteration(self, name: str, method: str, element: str) -> int:
        """Return the iteration of the best stop; see `score`."""
        return int(self.iterations[self._best(name, method, element)])

    def fault(self, name: str, method: str, element: str, *, stop: str = "printed"):
        """Return how far a score is from perfect: 1 - similarity, or the error itself."""
        values = self.score(name, method, element, stop=stop)
        return 1 - values if name in BEST_IS_LARGE else values

    def gain(self, name: str, element: str, *, method: str = "hebt_est", stop: str = "printed"):
        """Return by which factor the fault of EDS alone exceeds that of `method`, (seeds,)."""
        eds = self.fault(name, "eds", element, stop=stop)
        return eds / self.fault(name, method, element, stop=stop)

    def pairs_won(
        self, *, method: str = "hebt_est", stop: str = "printed", names=TABLE_1
    ) -> list[tuple[str, str]]:
        """Return the pairs (score, element) in which `method` beats EDS alone with every seed."""
        return [
            (name, element)
            for name in names
            for element in self.elements
            if (self.gain(name, element, method=method, stop=stop) > 1).all()
        ]

    def ratio_errors(self, *, both: bool = False) -> np.ndarray:
        """Return the relative errors of the estimated ratios in percent, (seeds, elements)."""
        ratios = self.ratios_both if both else self.ratios
        return 100 * (ratios / self.true_ratios - 1)

    def error_correlation(self, method: str) -> float:
        """Return the correlation of the density errors of Au and Ag inside the particle.

        Over the pixels of the first seed's final picture. -1 means that what one element has too
        much, the other has too little.
        """
        truth = specimens.phantom(self.settings.size).density
        errors = self.images[METHODS.index(method)].astype(np.float64) - truth
        inside = truth.sum(axis=0) > 0
        return float(np.corrcoef(errors[0][inside], errors[1][inside])[0, 1])

    def _values(self, name, method, element):
        return self.scores[name][METHODS.index(method), self.elements.index(element)]

    def _best(self, name, method, element):
        mean = self._values(name, method, element).mean(axis=0)
        return int(np.nanargmax(mean) if name in BEST_IS_LARGE else np.nanargmin(mean))


def phantom_study(**changes) -> PhantomStudy:
    """Run the phantom study of section 4.1: EDS alone, and HEBT with estimated and true ratios.

    The true ratios are z/ζ of the printed factors, which is not the paper's printed r_gt. All
    seeds and methods run as one batch each, and the scores are followed over the iterations.

    Parameters
    ----------
    **changes
        Settings to change, as in `phantom_settings`: for instance ``dose=0.5``.

    Returns
    -------
    PhantomStudy
    """
    return _phantom_study(phantom_settings(**changes))


@cached
def _phantom_study(settings):
    data = phantom_data(settings)
    seeds = len(settings.seeds)
    fits = [estimate_ratios(data, seed) for seed in range(seeds)]
    both = [estimate_ratios(data, seed, both=True) for seed in range(seeds)]
    ratios = np.stack([fit.ratios for fit in fits]).astype(np.float64)
    true = settings.true_ratios
    checkpoints = _checkpoints(settings.iterations)
    densities = np.array(settings.zeta) * settings.dose * settings.pixel**2

    recorder = _Recorder(data, checkpoints)
    residuals = []
    # HEBT with either kind of ratios as one batch; only r p matters, so r goes into the maps
    both_ratios = np.concatenate([ratios, np.tile(true, (seeds, 1))])
    maps = _weighed(np.concatenate([data.maps, data.maps], axis=2), both_ratios)
    haadf = _repeat(data.haadf, 2 * seeds)
    hebt_scale = (both_ratios * densities).T
    eds_scale = np.tile(densities, (seeds, 1)).T

    def follow_hebt(iteration, x, residual):
        residuals.append([residual.haadf, *residual.eds])
        recorder.take(iteration, ("hebt_est", "hebt_gt"), x, hebt_scale)

    def follow_eds(iteration, x, residual):
        x = x.reshape(len(data.elements), seeds, *x.shape[1:])
        recorder.take(iteration, ("eds",), x, eds_scale)

    hebt.reconstruct(
        data.W,
        haadf,
        maps,
        np.ones(len(data.elements)),
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=follow_hebt,
    )
    hebt.sirt(
        data.W, _as_slices(data.maps), iterations=settings.iterations, callback=follow_eds
    )
    norms = np.array([_norm(haadf), *map(_norm, maps)])
    return PhantomStudy(
        settings=settings,
        elements=data.elements,
        true_ratios=true,
        mean_counts=np.moveaxis(data.counts, 2, -1)[:, data.haadf > 0].mean(
            axis=(1, 2), dtype=np.float64
        ),
        ratios=ratios,
        r_squared=np.array([fit.r_squared for fit in fits]),
        ratios_both=np.stack([fit.ratios for fit in both]).astype(np.float64),
        r_squared_both=np.array([fit.r_squared for fit in both]),
        iterations=checkpoints,
        scores=recorder.scores,
        residuals=np.array(residuals).T / norms[:, None],
        images=recorder.last,
        best_images=recorder.best,
    )


def estimate_ratios(data: PhantomData, seed: int, *, both: bool = False):
    """Estimate the response ratios of one noise seed by Eq. 6.

    Parameters
    ----------
    data
        From `phantom_data`.
    seed
        Which of the seeds, counted from 0.
    both
        Only over the pixels at which both smoothed maps are above 0. That selects pixels by their
        noise, which the paper's "non-zero pixels" may or may not have meant.

    Returns
    -------
    hebt.ResponseRatios
    """
    maps = data.maps[:, :, seed]
    haadf = data.haadf
    if both:
        # pixels with HAADF 0 stay out of the fit
        haadf = np.where((maps > 0).all(axis=0), haadf, 0)
    return hebt.response_ratios(haadf, maps, names=data.elements)


@dataclasses.dataclass(frozen=True, eq=False)
class Stability:
    """How HEBT answers to wrong response ratios.

    Attributes
    ----------
    settings
        What it was made with.
    elements
        Symbols: Au, Ag.
    errors
        (errors,): relative errors put on each ratio, in percent.
    mse
        (errors of r_Au, errors of r_Ag, elements, seeds): scaled MSE of HEBT, mean over pixels.
    paper_errors, paper_mse
        (elements,), in percent, and (elements, seeds): the paper's own errors of its estimated
        ratios, and the MSE of HEBT with the true ratios changed by them.
    eds_mse
        (elements, seeds): the same score of EDS alone after as many iterations.
    """

    settings: PhantomSettings
    elements: tuple[str, ...]
    errors: np.ndarray
    mse: np.ndarray
    paper_errors: np.ndarray
    paper_mse: np.ndarray
    eds_mse: np.ndarray

    def relative(self) -> np.ndarray:
        """Return the MSE divided by that with the true ratios, seed by seed."""
        at = int(np.flatnonzero(self.errors == 0)[0])
        return self.mse / self.mse[at, at]

    def paper_relative(self) -> np.ndarray:
        """Return the MSE at the paper's errors divided by that with the true ratios."""
        at = int(np.flatnonzero(self.errors == 0)[0])
        return self.paper_mse / self.mse[at, at]

    def worst(self) -> np.ndarray:
        """Return the highest MSE anywhere on the grid divided by that of EDS alone, (elements,)."""
        return (self.mse / self.eds_mse).max(axis=(0, 1, 3))


def stability(*, errors=(-20.0, -10.0, 0.0, 10.0, 20.0), **changes) -> Stability:
    """Reconstruct the phantom with wrong response ratios, each combination of `errors`.

    Parameters
    ----------
    errors
        Relative errors of a ratio in percent; 0 must be among them.
    **changes
        Settings to change, as in `phantom_settings`; two noise seeds unless given.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If 0 is not among the errors, or one is -100 or less, which leaves no positive ratio.
    """
    errors = tuple(float(v) for v in errors)
    if 0.0 not in errors:
        raise ValueError(f"errors is {errors}; expected 0 among them, as the others refer to it.")
    if min(errors) <= -100:
        raise ValueError(f"errors is {errors}; expected percentages above -100.")
    return _stability(phantom_settings(**({"seeds": range(2)} | changes)), errors)


@cached
def _stability(settings, errors):
    data = phantom_data(settings)
    seeds = len(settings.seeds)
    paper_errors = np.array([_printed(f"phantom.r_error.{e}") for e in data.elements])
    factors = [(1 + a / 100, 1 + b / 100) for a in errors for b in errors]
    factors.append(tuple(1 + paper_errors / 100))
    weighed = [
        _weighed(data.maps, np.tile(settings.true_ratios * np.array(f), (seeds, 1)))
        for f in factors
    ]
    x = hebt.reconstruct(
        data.W,
        _repeat(data.haadf, len(factors) * seeds),
        np.concatenate(weighed, axis=2),
        np.ones(len(data.elements)),
        alpha=settings.alpha,
        iterations=settings.iterations,
    )
    eds = hebt.sirt(data.W, _as_slices(data.maps), iterations=settings.iterations)
    # (elements, combinations, seeds) -> (combinations, elements, seeds)
    mse = np.moveaxis(_mse(data, x).reshape(len(x), len(factors), seeds), 0, 1)
    side = len(errors)
    return Stability(
        settings=settings,
        elements=data.elements,
        errors=np.array(errors),
        mse=mse[:-1].reshape(side, side, len(x), seeds),
        paper_errors=paper_errors,
        paper_mse=mse[-1],
        eds_mse=_mse(data, eds.reshape(len(x), seeds, *eds.shape[1:])),
    )


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A way to smooth the element maps.

    Attributes
    ----------
    name
        What to call it.
    width
        Taps, in pixels of a 512-pixel frame; 0 for no smoothing.
    sigma
        Standard deviation of the Gaussian, in the same pixels.
    centred
        Whether the kernel is centred on a pixel.
    """

    name: str
    width: int
    sigma: float
    centred: bool = True


KERNELS = (
    Kernel("no smoothing", 0, 1.0),
    Kernel("8 taps, σ = 1", 8, 1.0),
    Kernel("8 taps, σ = 2", 8, 2.0),
    Kernel("8 taps, σ = 3", 8, 3.0),
    Kernel("8 taps, σ = 4", 8, 4.0),
    Kernel("8 taps, σ = 4, not centred", 8, 4.0, centred=False),
    Kernel("33 taps, σ = 4", 33, 4.0),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Smoothing:
    """What the smoothing of the element maps does to ratios and reconstructions.

    Attributes
    ----------
    settings, kernels, elements
        What it was made with.
    ratio_errors, r_squared
        (kernels, seeds, elements), in percent, and (kernels, seeds).
    iterations
        (checkpoints,)
    mse
        (kernels, 2, elements, seeds, checkpoints): of HEBT with the estimated ratios, and of EDS
        alone.
    ssim, ssim_windowed
        (kernels, 2, elements, seeds): after the last iteration, with one window as large as the
        image and with windows of 11 x 11 pixels.
    """

    settings: PhantomSettings
    kernels: tuple[Kernel, ...]
    elements: tuple[str, ...]
    ratio_errors: np.ndarray
    r_squared: np.ndarray
    iterations: np.ndarray
    mse: np.ndarray
    ssim: np.ndarray
    ssim_windowed: np.ndarray

    def at(self, stop: str = "printed") -> np.ndarray:
        """Return the MSE, (kernels, 2, elements, seeds), after the printed number of iterations,
        or at the iteration that is best for each in the mean over the seeds ("best")."""
        if stop == "printed":
            return self.mse[..., -1]
        if stop == "best":
            best = self.mse.mean(axis=3).argmin(axis=-1)
            return np.take_along_axis(self.mse, best[..., None, None], axis=-1)[..., 0]
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")


def smoothing(*, kernels=KERNELS, **changes) -> Smoothing:
    """Repeat the phantom study with other kernels for the element maps.

    Parameters
    ----------
    kernels
        Those to try.
    **changes
        Settings to change, as in `phantom_settings`; three noise seeds unless given.

    Returns
    -------
    Smoothing
    """
    return _smoothing(phantom_settings(**({"seeds": range(3)} | changes)), tuple(kernels))


@cached
def _smoothing(settings, kernels):
    seeds = len(settings.seeds)
    checkpoints = _checkpoints(settings.iterations)
    each = [
        phantom_data(
            dataclasses.replace(settings, width=k.width, sigma=k.sigma, centred=k.centred)
        )
        for k in kernels
    ]
    data = each[0]
    fits = [[estimate_ratios(d, seed) for seed in range(seeds)] for d in each]
    ratios = np.array([[fit.ratios for fit in row] for row in fits], np.float64)
    shape = (len(kernels), 2, len(data.elements), seeds)
    mse = np.full((*shape, len(checkpoints)), np.nan)
    ssim = {name: np.full(shape, np.nan) for name in ("ssim", "ssim_windowed")}

    def scores(method):
        def follow(iteration, x, residual):
            if iteration in checkpoints:
                at = int(np.searchsorted(checkpoints, iteration))
                x = x.reshape(len(data.elements), len(kernels), seeds, *x.shape[-2:])
                for k in range(len(kernels)):
                    mse[k, method, :, :, at] = _mse(data, x[:, k])
                    if iteration == settings.iterations:
                        for name, values in ssim.items():
                            values[k, method] = _scores(name, data, x[:, k])

        return follow

    hebt.reconstruct(
        data.W,
        _repeat(data.haadf, len(kernels) * seeds),
        np.concatenate([_weighed(d.maps, r) for d, r in zip(each, ratios, strict=True)], axis=2),
        np.ones(len(data.elements)),
        alpha=settings.alpha,
        iterations=settings.iterations,
        callback=scores(0),
    )
    hebt.sirt(
        data.W,
        _as_slices(np.concatenate([d.maps for d in each], axis=2)),
        iterations=settings.iterations,
        callback=scores(1),
    )
    return Smoothing(
        settings=settings,
        kernels=kernels,
        elements=data.elements,
        ratio_errors=100 * (ratios / settings.true_ratios - 1),
        r_squared=np.array([[fit.r_squared for fit in row] for row in fits]),
        iterations=checkpoints,
        mse=mse,
        **ssim,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomSweep:
    """The phantom reconstructed with many weights and numbers of iterations, one noise seed.

    Attributes
    ----------
    settings
        What it was made with; ``alpha`` and ``iterations`` in it do not count.
    elements, alphas, iterations
        What the axes below stand for.
    truth
        (elements, pixels, pixels): the density, cut to the particle and binned as the frames.
    hebt
        (alphas, iterations, elements, pixels, pixels): density by HEBT with estimated ratios,
        float32, cut to the particle and binned.
    eds
        (iterations, elements, pixels, pixels): density by EDS alone.
    hebt_mse, eds_mse
        (alphas, iterations, elements) and (iterations, elements): scaled MSE, mean over all pixels
        of the whole frame before cutting and binning.
    """

    settings: PhantomSettings
    elements: tuple[str, ...]
    alphas: tuple[float, ...]
    iterations: tuple[int, ...]
    truth: np.ndarray
    hebt: np.ndarray
    eds: np.ndarray
    hebt_mse: np.ndarray
    eds_mse: np.ndarray


ALPHAS = (0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
ITERATIONS = (5, 10, 20, 50, 100, 200, 500)
EDS_ALONE = 1e-7
FRAME = 96  # pixels: three quarters of the frame, which hold the particle, binned


def phantom_sweep(*, alphas=ALPHAS, iterations=ITERATIONS, **changes) -> PhantomSweep:
    """Reconstruct one noisy tilt series of the phantom with many weights, as one batch.

    Parameters
    ----------
    alphas, iterations
        Weights of HAADF, and numbers of iterations to look at.
    **changes
        Settings to change, as in `phantom_settings`, such as ``dose=4``; the first of its seeds
        counts.

    Returns
    -------
    PhantomSweep
    """
    dose = changes.pop("dose", 1.0)
    return phantom_sweeps((dose,), alphas=alphas, iterations=iterations, **changes)[0]


def phantom_sweeps(
    doses, *, alphas=ALPHAS, iterations=ITERATIONS, **changes
) -> tuple[PhantomSweep, ...]:
    """Do the same at several doses, all in one batch, which costs little more than one of them.

    Parameters
    ----------
    doses
        Factors on the X-ray counts.
    alphas, iterations, **changes
        As for `phantom_sweep`.

    Returns
    -------
    tuple of PhantomSweep
        One for each dose.
    """
    settings = tuple(
        phantom_settings(**({"seeds": (0,)} | changes | {"dose": dose})) for dose in doses
    )
    if not settings:
        raise ValueError("doses is empty; expected at least one dose.")
    return _phantom_sweeps(
        settings, tuple(float(a) for a in alphas), tuple(sorted(int(i) for i in iterations))
    )


@cached
def _phantom_sweeps(settings, alphas, iterations):
    series = [phantom_data(dataclasses.replace(s, seeds=s.seeds[:1])) for s in settings]
    data = series[0]  # projector, phantom and HAADF are the same for all
    fits = [estimate_ratios(d, 0) for d in series]
    # the doses are slices of one batch; each has its own ratios, which the maps take up
    maps = np.concatenate(
        [_weighed(d.maps, np.array(f.ratios)[None]) for d, f in zip(series, fits, strict=True)],
        axis=2,
    )
    # EDS alone is HEBT at a weight of 0: next to 0 it rides in the same batch for almost nothing
    swept = hebt.sweep(
        data.W,
        _repeat(data.haadf, len(series)),
        maps,
        np.ones(len(maps)),
        (EDS_ALONE, *alphas),
        iterations,
    )
    return tuple(
        _sweep_at(d, f, swept[:, :, :, at], alphas, iterations)
        for at, (d, f) in enumerate(zip(series, fits, strict=True))
    )


def _sweep_at(data, fit, swept, alphas, iterations):
    settings = data.settings
    per_density = (
        np.array(fit.ratios) * np.array(settings.zeta) * settings.dose * settings.pixel**2
    )
    mse = np.array([[_mse(data, x[:, None])[:, 0] for x in row] for row in swept])
    frames = _frames(swept / per_density[:, None, None].astype(np.float32))
    return PhantomSweep(
        settings=settings,
        elements=data.elements,
        alphas=alphas,
        iterations=iterations,
        truth=_frames(data.density),
        hebt=frames[1:],
        eds=frames[0],
        hebt_mse=mse[1:],
        eds_mse=mse[0],
    )


def _frames(images):
    """Cut (..., size, size) to the middle three quarters and bin it to `FRAME` pixels."""
    size = images.shape[-1]
    if size * 3 % (4 * FRAME):
        raise ValueError(
            f"size is {size}; expected a multiple of {4 * FRAME // 3}, so that the particle's "
            f"part of the frame can be binned to {FRAME} pixels."
        )
    margin = size // 8
    cut = images[..., margin : size - margin, margin : size - margin]
    factor = cut.shape[-1] // FRAME
    return preprocess.bin_images(cut, factor) / np.float32(factor**2)


def _mse(data, x):
    return _scores("mse", data, x)


def _scores(name, data, x):
    """Score x (elements, several, size, size) against the phantom -> (elements, several)."""
    return np.array(
        [
            [SCORES[name](reference, np.ascontiguousarray(image)) for image in images]
            for reference, images in zip(data.density, x, strict=True)
        ]
    )


def _checkpoints(iterations):
    """Return iterations to look at: each of the first ones, then in steps of a fifth."""
    values = [1]
    while values[-1] < iterations:
        values.append(max(values[-1] + 1, round(values[-1] * 1.2)))
    return np.array(sorted({v for v in values if v <= iterations} | {iterations}))


def _weighed(maps, ratios):
    """(elements, tilts, seeds, size) times ratios (seeds, elements)."""
    return (maps * ratios.T[:, None, :, None]).astype(np.float32)


def _repeat(haadf, slices):
    """(tilts, size) -> (tilts, slices, size)."""
    return np.repeat(haadf[:, None], slices, axis=1)


def _norm(array):
    return float(np.sqrt((array.astype(np.float64) ** 2).sum()))


def _as_slices(maps):
    """(elements, tilts, seeds, size) -> (tilts, elements * seeds, size)."""
    return np.concatenate(list(maps), axis=1)


class _Recorder:
    """Scores and pictures of running reconstructions, at checkpoints."""

    def __init__(self, data, checkpoints):
        self.reference = data.density
        self.area = data.settings.pixel**2
        self.checkpoints = list(checkpoints)
        elements, size = self.reference.shape[:2]
        seeds = len(data.settings.seeds)
        shape = (len(METHODS), elements, seeds, len(checkpoints))
        self.scores = {name: np.full(shape, np.nan) for name in SCORES}
        self.last = np.zeros((len(METHODS), elements, size, size), np.float32)
        self.best = np.zeros_like(self.last)

    def take(self, iteration, methods, x, scale):
        """Score x (elements, methods * seeds, size, size) and keep pictures of the first seed.

        `scale`, (elements, methods * seeds), is what turns x into density when divided by it.
        """
        if iteration not in self.checkpoints:
            return
        at = self.checkpoints.index(iteration)
        seeds = x.shape[1] // len(methods)
        table_1 = [(name, SCORES[name]) for name in TABLE_1]
        jobs = [
            (METHODS.index(method), e, s, m * seeds + s)
            for m, method in enumerate(methods)
            for e in range(len(x))
            for s in range(seeds)
        ]

        def score(job):
            m, e, s, place = job
            image = np.ascontiguousarray(x[e, place])
            last = at == len(self.checkpoints) - 1
            for name, function in SCORES.items() if last else table_1:
                value = function(self.reference[e], image)
                # so that DP counts the same area at any size
                self.scores[name][m, e, s, at] = value * self.area if name == "dp" else value
            if s == 0:
                density = image / np.float32(scale[e, place])
                self.last[m, e] = density
                if at == np.nanargmin(self.scores["mse"][m, e, 0]):
                    self.best[m, e] = density

        with ThreadPoolExecutor(joblib.cpu_count()) as pool:
            list(pool.map(score, jobs))
