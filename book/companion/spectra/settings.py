"""Settings of the simulated experiments with the two particles (section 3.2)."""

import dataclasses
import functools

import numpy as np

import hebt
from hebt import prepare, simulate

from ..fidelity import fidelity
from ..paper import value
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
    """Settings of a particle's simulated experiment; `ParticleSettings.paper` has the paper's.

    Pixels, counts, noise and lengths are those of the paper's size; `binning` tells how many of the
    paper's pixels one of ours is wide.
    """

    particle: (
        str  # "nonalloy": Ag with an embedded Au octahedron; "alloy": Au-Ag, Au richer outside
    )
    size: int  # voxels and pixels along each side
    angles: tuple[float, ...]  # degrees
    # HAADF intensity per mass-thickness, m²/kg: the numbers printed for the phantom, taken for the
    # inverse of their printed unit
    z: tuple[float, float]
    sensitivity: tuple[float, float]  # ζ of the elements relative to each other
    # X-ray counts in the mapped lines that a pixel is to expect where there is particle, averaged
    # over the elements, with the detectors free; ζ follows from it
    counts: float
    saturation: float  # HAADF intensity that no thickness can exceed
    noise: float  # standard deviation of what the HAADF detector adds to a pixel, and its mean
    offset: float
    # standard deviation in pixels, between the tilts; half as much between the HAADF image and the
    # spectrum image of a tilt
    drift: float
    background: float  # bremsstrahlung counts per channel at 3 keV, for a count in the mapped lines
    copper: float  # counts of Cu K alpha and beta on every pixel at 0 degrees
    components: int  # principal components that are kept
    width: int  # of the Gaussian that smooths the maps, in pixels; σ is not printed
    sigma: float
    seed: int  # of drift and noise

    def __post_init__(self):
        _check_particle(self.particle)
        above = ("counts", "saturation", "sigma")
        least = ("noise", "offset", "drift", "background", "copper")
        make_plain(
            self,
            tuples=("angles", "z", "sensitivity"),
            floats=above + least,
            counts=("size", "components"),
            naturals=("width", "seed"),
        )
        for name in above + least:
            number, finite = getattr(self, name), name != "saturation"
            if not (number > 0 or (number == 0 and name in least)) or (finite and np.isinf(number)):
                what = "above 0" if name in above else "of at least 0"
                raise ValueError(f"{name} is {number:g}; expected a number {what}.")
        for name in ("z", "sensitivity"):
            values = getattr(self, name)
            if len(values) != len(ELEMENTS) or not min(values) > 0:
                raise ValueError(
                    f"{name} is {values}; expected a number above 0 for each of "
                    f"{', '.join(ELEMENTS)}."
                )

    @property
    def binning(self) -> float:
        """Side of a pixel, in pixels of the paper's frame."""
        return value("particles.size") / self.size

    @classmethod
    def paper(cls, particle: str, **changes) -> "ParticleSettings":
        """Return the paper's settings of a particle for the fidelity at hand, with `changes`.

        At quick fidelity there are 60³ voxels and half of the tilts; a larger pixel collects the
        counts of all the pixels that it stands for.
        """
        _check_particle(particle)
        quick = fidelity() == "quick"
        first, last = value(f"{particle}.tilt_first"), value(f"{particle}.tilt_last")
        step = value("particles.tilt_step") * (2 if quick else 1)
        values = {
            "size": 60 if quick else value("particles.size"),
            "angles": np.arange(first, last + 1, step),
            "z": (value("phantom.z.Au"), value("phantom.z.Ag")),
            "sensitivity": (2.0, 1.0),
            "counts": {"nonalloy": 4.0, "alloy": 3.0}[particle],
            "saturation": 2.0,
            "noise": {"nonalloy": 0.01, "alloy": 0.003}[particle],
            "offset": 0.05,
            "drift": 1.5,
            "background": 0.002,
            "copper": 12.0,
            "components": value("particles.pca_components"),
            "width": value("particles.filter_width"),
            "sigma": 4.0,
            "seed": 0,
        }
        return cls(particle, **chosen(values, changes))


settings = ParticleSettings.paper


def _check_particle(particle):
    if particle not in PARTICLES:
        raise ValueError(f"particle is {particle!r}; expected one of {', '.join(PARTICLES)}.")


def specimen(settings: ParticleSettings) -> simulate.Specimen:
    """Return the specimen: density (elements, size, size, size) in kg/m³, and its voxel size."""
    return _specimen(settings.particle, settings.size)


@functools.lru_cache(maxsize=1)
def _specimen(particle, size):
    makers = {"nonalloy": simulate.embedded_octahedron, "alloy": simulate.alloy_particle}
    made = makers[particle](size)
    made.density.setflags(write=False)
    return made


def truth(settings: ParticleSettings) -> np.ndarray:
    """Return the true densities, float32, (elements, slices, size, size), in kg/m³; read-only."""
    return specimen(settings).density


def voxel_size(settings: ParticleSettings) -> float:
    """Return the side of a voxel in nm."""
    return specimen(settings).voxel_size


def mass_thickness(settings: ParticleSettings) -> np.ndarray:
    """Return the mass-thickness in kg/m², (elements, tilts, slices, size)."""
    return _projections(settings.particle, settings.size, settings.angles)


# noise and dose do not change it
@cached
def _projections(particle, size, angles):
    made = _specimen(particle, size)
    W = hebt.Projector(np.array(angles), size)
    projected = np.stack([W.forward(element) for element in made.density])
    # rounding may leave a projection of nothing just below 0
    return np.maximum(projected * np.float32(made.voxel_size * 1e-9), 0)
