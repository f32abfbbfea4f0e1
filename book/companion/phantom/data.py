"""The phantom and its simulated tilt series (section 3.1)."""

import dataclasses

import numpy as np

import hebt
from hebt import prepare, simulate
from hebt._checks import check_count

from ..fidelity import fidelity
from ..paper import printed

# σ is not printed. Four pixels meet the printed R² with the phantom of `hebt.simulate.phantom`.
SIGMA = 4.0


def value(key):
    return printed(key).value


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
        return value("phantom.size") / self.size

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
    quick = fidelity() == "quick"
    first, last = value("phantom.tilt_first"), value("phantom.tilt_last")
    angles = np.arange(first, last + 1, value("phantom.tilt_step"))
    values = {
        "size": 128 if quick else value("phantom.size"),
        "angles": angles,
        "z": (value("phantom.z.Au"), value("phantom.z.Ag")),
        "zeta": (value("phantom.zeta.Au"), value("phantom.zeta.Ag")),
        "dose": 1.0,
        "width": value("phantom.filter_width"),
        "sigma": SIGMA,
        "centred": True,
        "alpha": value("phantom.alpha"),
        "iterations": value("phantom.iterations"),
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
        values[name] = check_count(name, values[name])
    values["width"] = check_count("width", values["width"], least=0)
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


def data(settings: PhantomSettings | None = None) -> PhantomData:
    """Simulate the tilt series of section 3.1: HAADF by Eq. 3, element maps by Eq. 5.

    Parameters
    ----------
    settings
        Those of the paper for the fidelity at hand, if None.
    """
    settings = phantom_settings() if settings is None else settings
    W = hebt.Projector(np.array(settings.angles), settings.size)
    specimen = simulate.phantom(settings.size)
    # a coarse pixel stands for pixel² of the paper's: width of the beam times path through it
    area = settings.pixel**2
    haadf = simulate.haadf_tilt_series(W, specimen.density, area * np.array(settings.z))
    counts = simulate.element_maps(
        W, specimen.density, area * np.array(settings.zeta), dose=settings.dose, seed=settings.seeds
    )
    maps = counts
    if settings.width:
        maps = prepare.smooth(
            counts,
            width=max(1, round(settings.width / settings.pixel)),
            sigma=settings.sigma / settings.pixel,
            centred=settings.centred,
        )
    return PhantomData(settings, W, specimen.elements, specimen.density, haadf, counts, maps)


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
