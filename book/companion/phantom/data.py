"""The phantom and its simulated tilt series (section 3.1)."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare, simulate

from ..fidelity import fidelity
from ..paper import value
from ..settings import chosen, make_plain

# σ is not printed. Four pixels meet the printed R² with the phantom of `hebt.simulate.phantom`.
SIGMA = 4.0


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
    centered
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
    centered: bool
    alpha: float
    iterations: int
    seeds: tuple[int, ...]

    def __post_init__(self):
        if np.ndim(self.seeds) == 0:
            raise TypeError(
                f"seeds is {self.seeds!r}; expected a list of seeds, such as range(3) or [7]."
            )
        if not len(self.seeds):
            raise ValueError("seeds is empty; expected at least one seed.")
        object.__setattr__(self, "seeds", tuple(int(s) for s in self.seeds))
        object.__setattr__(self, "centered", bool(self.centered))
        make_plain(
            self,
            tuples=("angles", "z", "zeta"),
            floats=("dose", "sigma", "alpha"),
            counts=("size", "iterations"),
            naturals=("width",),
        )

    @property
    def binning(self) -> float:
        """Side of a pixel, in pixels of the paper's frame."""
        return value("phantom.size") / self.size

    @property
    def true_ratios(self) -> np.ndarray:
        """(elements,): r = z/ζ, in HAADF intensity per count."""
        return np.array(self.z) / np.array(self.zeta) / self.dose

    @property
    def counts_per_density(self) -> np.ndarray:
        """(elements,): X-ray counts on a pixel for density 1 and a path of one pixel."""
        return np.array(self.zeta) * self.dose * self.binning**2


def phantom_settings(**changes) -> PhantomSettings:
    """Return the paper's settings (section 3.1 and 4.1) for the fidelity at hand, with `changes`.

    At paper fidelity everything that the paper prints is as printed, with ten noise seeds. At
    quick fidelity the frame has 128 pixels and there are three seeds. A larger pixel then collects
    the counts of all the pixels that it stands for, so that the specimen gets the same dose.
    """
    quick = fidelity() == "quick"
    first, last = value("phantom.tilt_first"), value("phantom.tilt_last")
    values = {
        "size": 128 if quick else value("phantom.size"),
        "angles": np.arange(first, last + 1, value("phantom.tilt_step")),
        "z": (value("phantom.z.Au"), value("phantom.z.Ag")),
        "zeta": (value("phantom.zeta.Au"), value("phantom.zeta.Ag")),
        "dose": 1.0,
        "width": value("phantom.filter_width"),
        "sigma": SIGMA,
        "centered": True,
        "alpha": value("phantom.alpha"),
        "iterations": value("phantom.iterations"),
        "seeds": range(3 if quick else 10),
    }
    return PhantomSettings(**chosen(values, changes))


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomData:
    """A simulated bimodal tilt series of the phantom.

    Attributes
    ----------
    settings, W
        What it was made with, and the projector.
    elements, density
        Symbols, and (elements, size, size): 1 where an element is.
    haadf
        (tilts, size): Z-contrast sinogram, HAADF intensity.
    counts, maps
        (elements, tilts, seeds, size): X-ray counts with Poisson noise, and smoothed.
    """

    settings: PhantomSettings
    W: hebt.Projector
    elements: tuple[str, ...]
    density: np.ndarray
    haadf: np.ndarray
    counts: np.ndarray
    maps: np.ndarray

    @property
    def haadf_of_seeds(self) -> np.ndarray:
        """(tilts, seeds, size): the same HAADF sinogram for each seed."""
        return np.repeat(self.haadf[:, None], self.maps.shape[2], axis=1)


def data(settings: PhantomSettings | None = None) -> PhantomData:
    """Simulate the tilt series of section 3.1: HAADF by Eq. 3, element maps by Eq. 5."""
    settings = phantom_settings() if settings is None else settings
    W = hebt.Projector(np.array(settings.angles), settings.size)
    specimen = simulate.phantom(settings.size)
    # a coarse pixel stands for pixel² of the paper's: width of the beam times path through it
    area = settings.binning**2
    haadf = simulate.haadf_tilt_series(W, specimen.density, area * np.array(settings.z))
    counts = simulate.eds_tilt_series(
        W, specimen.density, area * np.array(settings.zeta), dose=settings.dose, seed=settings.seeds
    )
    maps = counts
    if settings.width:
        maps = prepare.smooth(
            counts,
            width=max(1, round(settings.width / settings.binning)),
            sigma=settings.sigma / settings.binning,
            centered=settings.centered,
        )
    return PhantomData(settings, W, specimen.elements, specimen.density, haadf, counts, maps)


def estimate_ratios(data: PhantomData, seed: int, *, both: bool = False) -> hebt.ResponseRatios:
    """Estimate the response ratios from one seed's maps (Eq. 6).

    Over the pixels with HAADF > 0, or where both maps are above 0 too.
    """
    haadf, maps = data.haadf, data.maps[:, :, seed]
    if both:
        haadf = np.where((maps > 0).all(axis=0), haadf, 0)
    return hebt.response_ratios(haadf, maps, names=data.elements)
