"""What the absorption of X-rays does to both particles, and its correction."""

from __future__ import annotations

import dataclasses

import numpy as np

import hebt
from hebt import prepare, simulate

from ..fidelity import fidelity
from ..paper import value
from ..spectra.absorption import EMITTERS, PEAK_LINES, map_factors, map_lines, peak_factors
from ..spectra.maps import map_weights
from ..spectra.processing import smooth_maps
from ..spectra.recording import ideal_haadf, true_zeta
from ..spectra.settings import ELEMENTS, ParticleSettings, mass_thickness, specimen
from ..spectra.settings import settings as particle_settings
from ..store import cached
from .composition import Shells
from .measures import ALPHA
from .truth import Truth

SIZE = 75  # voxels along each side: absorption changes slowly from voxel to voxel
PEAKS = tuple(f"{ELEMENTS[e]} {names[0][0]}" for e, names in zip(EMITTERS, PEAK_LINES, strict=True))
# what is reconstructed: maps without absorption, with it, and after rounds of correction
CASES = ("without", "with", "once", "twice")
ITERATIONS = {"nonalloy": "nonalloy.best_iterations", "alloy": "alloy.iterations"}


@dataclasses.dataclass(frozen=True, eq=False)
class AbsorptionStudy:
    """What absorption does to one particle, and what is left of it; cases are `CASES`."""

    settings: ParticleSettings
    loss: np.ndarray  # (peaks,): share of all X-rays that is absorbed, of each of `PEAKS`
    most: np.ndarray  # (peaks,): in the pixel where it is largest
    tilt: float  # degrees, of `images`
    images: np.ndarray  # (peaks, slices, size): what each pixel loses at this tilt
    noise: bool
    ratios: np.ndarray  # (cases, elements): error of the response ratios, relative
    mass: np.ndarray  # (cases, elements): error of the whole mass, relative
    # (cases, elements): change of the density in voxels of one element alone, relative to its bulk
    # density: mean and standard deviation; NaN where there are none
    change: np.ndarray
    spread: np.ndarray
    gold: np.ndarray  # (cases,): atomic fraction of Au in the whole particle
    true_gold: float
    radius: np.ndarray  # (shells,), nm
    profile: np.ndarray  # (cases, shells): atomic fraction of Au in shells around the center
    true_profile: np.ndarray  # (shells,)

    def profile_error(self) -> np.ndarray:
        """Return the root mean square error of the profile over the shells, (cases,)."""
        return np.sqrt(((self.profile - self.true_profile) ** 2).mean(axis=-1))


def absorption_study(particle: str, *, noise: bool = False, **changes) -> AbsorptionStudy:
    """Reconstruct a particle by HEBT without absorption and with it, and correct it twice.

    The maps have neither background nor drift; with `noise` they are counted and smoothed, as the
    settings say. `changes` are other settings, as in `companion.spectra.settings`.
    """
    if fidelity() == "paper":
        changes = {"size": SIZE} | changes
    return _absorption_study(particle_settings(particle, **changes), noise)


@cached
def _absorption_study(settings, noise):
    thickness, made = mass_thickness(settings), specimen(settings)
    haadf = ideal_haadf(settings, thickness)
    W = hebt.Projector(np.array(settings.angles), settings.size)
    zeta = true_zeta(settings, thickness)
    factors = {"eds_response": zeta * made.voxel_size * 1e-9}
    lines = map_lines(map_weights(simulate.energies()))
    counts = zeta[:, None, None, None] * thickness

    def reconstruct(maps, left=1.0):
        """Return densities and the ratios, of maps divided by what absorption has left of them."""
        variance = maps / left**2 if noise else None
        maps = maps / left
        ratios = hebt.response_ratios(haadf, maps, names=ELEMENTS, variance=variance).ratios
        maps = smooth_maps(maps, settings) if noise else maps
        alpha, iterations = (value(of[settings.particle]) for of in (ALPHA, ITERATIONS))
        x = hebt.reconstruct(W, haadf, maps, ratios, alpha, int(iterations))
        return hebt.density(x, ratios, **factors), ratios

    seen, rng = map_factors(settings, lines), np.random.default_rng(settings.seed)
    if noise:
        # those X-rays that arrive are some of the same
        counts = rng.poisson(counts)
        absorbed = rng.binomial(counts, seen)
    else:
        absorbed = counts * seen
    found = [reconstruct(counts), reconstruct(absorbed)]
    for _ in range(2, len(CASES)):
        like = {"voxel_size": made.voxel_size}
        left = prepare.absorption_factors(W, found[-1][0], ELEMENTS, lines, **like)
        found.append(reconstruct(absorbed, left))
    return _measure(settings, noise, found, np.array(settings.z) / zeta)


def _measure(settings, noise, found, true_ratios):
    """Compare (densities, ratios) of all cases with the truth."""
    made, peaks = specimen(settings), peak_factors(settings)
    shells, middle = Shells(Truth(made)), int(np.abs(settings.angles).argmin())
    thickness = mass_thickness(settings)[EMITTERS]
    seen = (thickness * peaks).sum(axis=(1, 2, 3), dtype=np.float64)
    masses = np.array([d.sum(axis=(1, 2, 3), dtype=np.float64) for d, _ in found])
    whole = made.density.sum(axis=(1, 2, 3), dtype=np.float64)
    changes = np.array([_change(d - found[0][0], made.density) for d, _ in found])
    return AbsorptionStudy(
        settings=settings,
        loss=1 - seen / thickness.sum(axis=(1, 2, 3), dtype=np.float64),
        most=1 - peaks.min(axis=(1, 2, 3)),
        tilt=settings.angles[middle],
        images=1 - peaks[:, middle],
        noise=noise,
        ratios=np.array([ratios for _, ratios in found]) / true_ratios - 1,
        mass=masses / whole - 1,
        change=changes[..., 0],
        spread=changes[..., 1],
        gold=np.array([_gold(m) for m in masses]),
        true_gold=float(_gold(whole)),
        radius=shells.radius,
        profile=np.stack([shells.measure(d, np.ones(2))[0] for d, _ in found]),
        true_profile=shells.profile,
    )


def _change(change, true):
    """Return mean and standard deviation in voxels of one element alone, (elements, 2)."""
    found = np.full((len(ELEMENTS), 2), np.nan)
    for e, element in enumerate(ELEMENTS):
        bulk = simulate.DENSITY[element]
        values = change[e][true[e] > 0.99 * bulk] / bulk
        if len(values):
            found[e] = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    return found


def _gold(masses):
    ones = np.ones(len(ELEMENTS))
    return hebt.composition(masses, ones, ELEMENTS, eds_response=ones, kind="atomic")[0]
