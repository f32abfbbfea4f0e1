"""The phantom and its simulated tilt series (section 3.1)."""

from __future__ import annotations

import dataclasses
import warnings

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
    """Settings of the phantom study; `PhantomSettings.paper` gives those of the paper.

    A pixel of the paper is one of a 512-pixel frame.
    """

    size: int  # pixels along one side of the frame
    angles: tuple[float, ...]  # degrees
    z: tuple[float, float]  # HAADF response of Au and Ag: per density 1 and pixel of the paper
    zeta: tuple[float, float]  # the same of EDS
    dose: float  # factor on the X-ray counts; 1 takes the printed ζ literally
    width: int  # taps of the Gaussian that smooths the maps, in pixels of the paper; 0: none
    sigma: float  # its standard deviation, in pixels of the paper
    centered: bool  # whether it is centered on a pixel
    alpha: float  # weight of HAADF
    iterations: int
    seeds: tuple[int, ...]  # of the counting noise

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

    @classmethod
    def paper(cls, **changes) -> PhantomSettings:
        """Return the paper's settings (sections 3.1 and 4.1) with `changes`.

        At quick fidelity the frame is smaller, and there are fewer noise seeds. A larger pixel
        collects the counts of all the pixels that it stands for: the dose stays the same.
        """
        quick = fidelity() == "quick"
        first, last = value("phantom.tilt_first"), value("phantom.tilt_last")
        paper = cls(
            size=128 if quick else value("phantom.size"),
            angles=np.arange(first, last + 1, value("phantom.tilt_step")),
            z=(value("phantom.z.Au"), value("phantom.z.Ag")),
            zeta=(value("phantom.zeta.Au"), value("phantom.zeta.Ag")),
            dose=1.0,
            width=value("phantom.filter_width"),
            sigma=SIGMA,
            centered=True,
            alpha=value("phantom.alpha"),
            iterations=value("phantom.iterations"),
            seeds=range(3 if quick else 10),
        )
        return cls(**chosen(vars(paper), changes))

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


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomData:
    """A simulated bimodal tilt series of the phantom."""

    settings: PhantomSettings
    W: hebt.Projector
    elements: tuple[str, ...]
    density: np.ndarray  # (elements, size, size): 1 where an element is
    haadf: np.ndarray  # (tilts, size)
    counts: np.ndarray  # (elements, tilts, seeds, size): X-ray counts with Poisson noise
    maps: np.ndarray  # the same, smoothed

    @property
    def haadf_of_seeds(self) -> np.ndarray:
        """(tilts, seeds, size): the same HAADF sinogram for each seed."""
        return np.repeat(self.haadf[:, None], self.maps.shape[2], axis=1)


def data(settings: PhantomSettings | None = None) -> PhantomData:
    """Simulate the tilt series of section 3.1: HAADF by Eq. 3, element maps by Eq. 5."""
    settings = PhantomSettings.paper() if settings is None else settings
    W = hebt.Projector(np.array(settings.angles), settings.size)
    specimen = simulate.phantom(settings.size)
    # a coarse pixel stands for binning² of the paper's: width of the beam times path through it
    area = settings.binning**2
    haadf = simulate.haadf_tilt_series(W, specimen.density, area * np.array(settings.z))
    counts = simulate.eds_tilt_series(
        W, specimen.density, area * np.array(settings.zeta), dose=settings.dose, seed=settings.seeds
    )
    maps = smoothed(counts, settings)
    return PhantomData(settings, W, specimen.elements, specimen.density, haadf, counts, maps)


def smoothed(counts: np.ndarray, settings: PhantomSettings) -> np.ndarray:
    """Smooth element maps along each projection, with the kernel of the settings."""
    if not settings.width:
        return counts
    return prepare.smooth(
        counts,
        width=max(1, round(settings.width / settings.binning)),
        sigma=settings.sigma / settings.binning,
        centered=settings.centered,
    )


def estimate_ratios(data: PhantomData, seed: int, *, both: bool = False) -> hebt.ResponseRatios:
    """Estimate the response ratios from one seed's maps as in the paper (Eq. 6).

    Over the pixels with HAADF > 0, or where both maps are above 0 too.
    """
    haadf, maps = data.haadf, data.maps[:, :, seed]
    if both:
        haadf = np.where((maps > 0).all(axis=0), haadf, 0)
    with warnings.catch_warnings():
        # how far noise takes the paper's fit is what the studies show
        warnings.simplefilter("ignore", UserWarning)
        return hebt.response_ratios(haadf, maps, names=data.elements, variance=None)


def estimate_all_ratios(data: PhantomData, *, both: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the estimated ratios of all seeds, (seeds, elements), and their R², (seeds,)."""
    fits = [estimate_ratios(data, seed, both=both) for seed in range(data.maps.shape[2])]
    return np.array([fit.ratios for fit in fits], float), np.array([fit.r_squared for fit in fits])
