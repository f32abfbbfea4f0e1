"""Settings of the simulated experiments with the two particles (section 3.2)."""

import dataclasses
import functools

import numpy as np

import hebt
from hebt import prepare, simulate

from .. import paper
from ..fidelity import fidelity
from ..settings import chosen, make_plain
from ..store import cached

PARTICLES = ("nonalloy", "alloy")
ELEMENTS = ("Au", "Ag")
# The lines that the paper maps; exspy's tables call the strongest Lβ line Lb1.
LINES = {"Au": ("Ma", "Mb", "La"), "Ag": ("La", "Lb1")}
# In keV: most of each peak, and background at a distance from all strong lines. Au Mα and Mβ
# overlap, and so do Ag Lα and Lβ; each pair is one window.
WINDOWS = (
    prepare.EnergyWindow(
        "Au",
        peaks=((2.055, 2.275), (9.605, 9.815)),
        backgrounds=(((1.845, 1.975), (2.555, 2.685)), ((9.345, 9.485), (9.945, 10.085))),
    ),
    prepare.EnergyWindow(
        "Ag", peaks=((2.915, 3.225),), backgrounds=(((2.555, 2.685), (3.795, 3.955)),)
    ),
)
# the channels near the Au and Ag peaks, and those of the holder's copper
NEAR_PEAKS = ((1.80, 4.00), (9.30, 10.15))
COPPER = ((7.75, 9.20),)


@dataclasses.dataclass(frozen=True)
class ParticleSettings:
    """Settings of a particle's simulated experiment; `settings` gives those of the paper.

    Attributes
    ----------
    particle
        "nonalloy": Ag with an embedded Au octahedron. "alloy": Au-Ag, Au richer outside.
    size
        Voxels and pixels along each side.
    angles
        Tilts in degrees.
    z
        (elements,): HAADF intensity per mass-thickness, in m²/kg: the numbers printed for the
        phantom, taken for the inverse of their printed unit.
    sensitivity
        (elements,): ζ of the elements relative to each other.
    counts
        X-ray counts in the mapped lines that a pixel of the paper's size is to expect where
        there is particle, averaged over the elements, with the detectors free. ζ follows from it.
    saturation
        HAADF intensity that no thickness can exceed.
    noise, offset
        Standard deviation and mean of what the HAADF detector adds to a pixel of the paper's
        size, as intensity.
    drift
        Standard deviation of the drift between the tilts, in pixels of the paper's size; between
        the HAADF image and the spectrum image of one tilt it is half as large.
    background
        Bremsstrahlung counts per channel at 3 keV for each count in the mapped lines.
    copper
        Counts of Cu K alpha and beta on every pixel of the paper's size at 0 degrees.
    components
        Principal components that are kept.
    width, sigma
        Length and standard deviation of the Gaussian that smooths the maps, in pixels of the
        paper's size. The paper does not print σ.
    seed
        Seed of drift and noise.
    """

    particle: str
    size: int
    angles: tuple[float, ...]
    z: tuple[float, float]
    sensitivity: tuple[float, float]
    counts: float
    saturation: float
    noise: float
    offset: float
    drift: float
    background: float
    copper: float
    components: int
    width: int
    sigma: float
    seed: int

    def __post_init__(self):
        make_plain(
            self,
            tuples=("angles", "z", "sensitivity"),
            floats=("counts", "saturation", "noise", "offset", "drift", "background", "copper"),
            counts=("size", "components"),
            naturals=("width", "seed"),
        )
        make_plain(self, floats=("sigma",))
        for name in ("counts", "saturation", "sigma"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("noise", "offset", "drift", "background", "copper"):
            self._check(name, getattr(self, name) >= 0, "of at least 0")
        for name in ("z", "sensitivity"):
            values = getattr(self, name)
            if len(values) != len(ELEMENTS) or not min(values) > 0:
                raise ValueError(
                    f"{name} is {values}; expected a number above 0 for each of "
                    f"{', '.join(ELEMENTS)}."
                )

    def _check(self, name, fits, expected):
        number = getattr(self, name)
        # nothing saturates where the limit is infinite
        if not fits or (np.isinf(number) and name != "saturation"):
            raise ValueError(f"{name} is {number:g}; expected a number {expected}.")

    @property
    def binning(self) -> float:
        """Side of a pixel, in pixels of the paper's frame."""
        return paper.printed("particles.size").value / self.size


def settings(which: str, **changes) -> ParticleSettings:
    """Return a particle's settings for the fidelity at hand, with `changes`.

    At paper fidelity sizes, tilts and components are as printed. At quick fidelity there are
    60³ voxels and a third of the tilts; a larger pixel collects the counts of all the pixels that
    it stands for.
    """
    if which not in PARTICLES:
        raise ValueError(f"which is {which!r}; expected one of {', '.join(PARTICLES)}.")
    quick = fidelity() == "quick"

    def printed(key):
        return paper.printed(key).value

    first, last = printed(f"{which}.tilt_first"), printed(f"{which}.tilt_last")
    step = printed("particles.tilt_step") * (2 if quick else 1)
    values = {
        "size": 60 if quick else printed("particles.size"),
        "angles": np.arange(first, last + 1, step),
        "z": (printed("phantom.z.Au"), printed("phantom.z.Ag")),
        "sensitivity": (2.0, 1.0),
        "counts": {"nonalloy": 4.0, "alloy": 3.0}[which],
        "saturation": 2.0,
        "noise": {"nonalloy": 0.01, "alloy": 0.003}[which],
        "offset": 0.05,
        "drift": 1.5,
        "background": 0.002,
        "copper": 12.0,
        "components": printed("particles.pca_components"),
        "width": printed("particles.filter_width"),
        "sigma": 4.0,
        "seed": 0,
    }
    return ParticleSettings(particle=which, **chosen(values, changes))


def specimen(settings: ParticleSettings) -> simulate.Specimen:
    """Return the specimen: density (elements, size, size, size) in kg/m³, and its voxel size."""
    return _SPECIMEN[settings.particle](settings.size)


_SPECIMEN = {"nonalloy": simulate.embedded_octahedron, "alloy": simulate.alloy_particle}


def truth(settings: ParticleSettings) -> np.ndarray:
    """Return the true densities, float32, (elements, slices, size, size), in kg/m³; read-only."""
    return _truth(settings.particle, settings.size).density


@functools.lru_cache(maxsize=1)
def _truth(particle, size):
    made = _SPECIMEN[particle](size)
    made.density.setflags(write=False)
    return made


def voxel_size(settings: ParticleSettings) -> float:
    """Return the side of a voxel in nm."""
    return _truth(settings.particle, settings.size).voxel_size


def mass_thickness(settings):
    return _projections(settings.particle, settings.size, settings.angles)


@cached
def _projections(particle, size, angles):
    """Mass-thickness in kg/m², (elements, tilts, slices, size): noise and dose do not change it."""
    made = _truth(particle, size)
    W = hebt.Projector(np.array(angles), size)
    projected = np.stack([W.forward(element) for element in made.density])
    # rounding may leave a projection of nothing just below 0
    return np.maximum(projected * np.float32(made.voxel_size * 1e-9), 0)


def zeta_factors(settings, thickness):
    """ζ in counts of the mapped lines per pixel and per kg/m², (elements,)."""
    # in which pixels there is particle; the share of a voxel is not enough to be called one
    total = thickness.sum(axis=0)
    inside = total > 0.01 * total.max()
    sensitivity = np.array(settings.sensitivity)
    expected = [
        s * element[inside].mean(dtype=np.float64)
        for s, element in zip(sensitivity, thickness, strict=True)
    ]
    return sensitivity * settings.counts * settings.binning**2 / np.mean(expected)
