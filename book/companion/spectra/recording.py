"""The tilt series as the simulated microscope records it."""

import dataclasses
import functools

import numpy as np

from hebt import io, prepare, simulate

from ..threads import run
from .absorption import EMITTERS, peak_factors, split_by_peak
from .settings import ELEMENTS, LINES, NEAR_PEAKS, ParticleSettings, mass_thickness, specimen


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Acquisition:
    """What the simulated microscope recorded, and what only a simulation can know."""

    settings: ParticleSettings
    angles: np.ndarray  # (tilts,), degrees
    voxel_size: float  # side of a pixel, in nm
    haadf: np.ndarray  # (tilts, slices, size): as recorded, damped and with noise
    energies: np.ndarray  # (channels,), keV: those near the Au and Ag peaks, which alone are held
    spectra: list  # one spectrum image a tilt: sparse, uint16, (slices * size, channels)
    zeta: np.ndarray  # (elements,): true ζ, counts in the mapped lines per pixel and per kg/m²
    drift: np.ndarray  # (tilts, 2): by how many pixels the HAADF images have moved
    spectrum_drift: np.ndarray  # and the spectrum images
    response: np.ndarray  # (tilts,): share of the X-rays that the detectors see

    def __repr__(self):
        tilts, slices, size = self.haadf.shape
        counts = sum(int(s.data.sum(dtype=np.int64)) for s in self.spectra)
        return (
            f"Acquisition ({self.settings.particle}): {tilts} tilts from {self.angles.min():g} to "
            f"{self.angles.max():g} degrees, {slices} x {size} pixels of {self.voxel_size:.3g} nm, "
            f"{counts:.3g} X-ray counts in {len(self.energies)} channels"
        )

    def spectrum_image(self, tilt: int) -> np.ndarray:
        """Return the spectrum image of one tilt, uint16, (slices, size, channels)."""
        size = self.settings.size
        return self.spectra[tilt].toarray().reshape(size, size, -1)

    def spectrum_signals(self, tilt: int, found: prepare.Components | None = None) -> list:
        """Return the spectrum image of one tilt as HyperSpy EDS signals with units."""
        image, what = self.spectrum_image(tilt), "Spectra"
        if found is not None:
            image = found.denoise(image.reshape(-1, image.shape[-1])).reshape(image.shape)
            image, what = image.astype(np.float32), "Denoised spectra"
        gaps = np.flatnonzero(np.diff(self.energies) > 1.5 * simulate.CHANNEL) + 1
        runs = np.split(np.arange(len(self.energies)), gaps)
        angle = float(self.angles[tilt])
        like = {"pixel_size": self.voxel_size, "tilt": angle, "voltage": simulate.VOLTAGE}
        like |= {"elements": ELEMENTS, "title": f"{what} at {angle:g} degrees"}
        return [
            io.spectra_to_signal(image[..., run], energies=self.energies[run], **like)
            for run in runs
        ]


def acquire(settings: ParticleSettings) -> Acquisition:
    """Record a tilt series of HAADF images and EDS spectrum images with the simulated microscope.

    Copper and the support film are in other channels: see `companion.spectra.study`.
    """
    thickness = mass_thickness(settings)
    angles = np.array(settings.angles)
    shifts, spectrum_shifts = _drifts(settings)
    haadf = simulate.record_haadf(
        ideal_haadf(settings, thickness),
        saturation=settings.saturation,
        # a larger pixel stands for several, whose electrons add up and whose noise averages out
        electrons=settings.electrons * settings.binning**2 / settings.saturation,
        noise=settings.noise / settings.binning,
        offset=settings.offset,
        shifts=shifts,
        seed=[settings.seed, 1],
    )
    energies = simulate.energies()
    used = prepare.channels_near(energies, NEAR_PEAKS)
    zeta = true_zeta(settings, thickness)

    def record(tilt):
        return record_spectra(settings, thickness, zeta, tilt, used, stream=2)

    spectra = run(record, range(len(angles)), label="recording spectra")
    return Acquisition(
        settings=settings,
        angles=angles,
        voxel_size=specimen(settings).voxel_size,
        haadf=haadf,
        energies=energies[used],
        spectra=spectra,
        zeta=zeta,
        drift=shifts,
        spectrum_drift=spectrum_shifts,
        response=simulate.detector_response(angles),
    )


def true_zeta(settings, thickness):
    """ζ in counts of the mapped lines per pixel and per kg/m², (elements,)."""
    # in which pixels there is particle; the share of a voxel is not enough to be called one
    total = thickness.sum(axis=0)
    inside = total > 0.01 * total.max()
    sensitivity = np.array(settings.sensitivity)
    expected = sensitivity * [element[inside].mean(dtype=np.float64) for element in thickness]
    return sensitivity * settings.counts * settings.binning**2 / np.mean(expected)


def _drifts(settings):
    tilts = len(settings.angles)
    size = settings.drift / settings.binning
    shifts = simulate.drift(tilts, size, seed=[settings.seed, 0])
    further = simulate.drift(tilts, size / 2, seed=[settings.seed, 3])
    return shifts, shifts + further


def ideal_haadf(settings, thickness):
    """Return HAADF without damping, noise and drift, (tilts, slices, size)."""
    return np.einsum("e,e...->...", np.array(settings.z, np.float32), thickness)


def record_spectra(settings, thickness, zeta, tilt, channels, *, stream):
    """Draw the spectrum image of one tilt in some of the channels."""
    _, shifts = _drifts(settings)
    zeta = zeta * simulate.detector_response(np.array(settings.angles))[tilt]
    emitting, contributions = thickness[:, tilt : tilt + 1], _contributions(settings.background)
    if settings.absorption:
        zeta = zeta[EMITTERS]
        emitting = emitting[EMITTERS] * peak_factors(settings)[:, tilt : tilt + 1]
        contributions = np.concatenate([split_by_peak(contributions[:2]), contributions[2:]])
    means = simulate.apply_drift(emitting, shifts[tilt : tilt + 1])[:, 0]
    means = means * zeta[:, None, None].astype(np.float32)
    stray = _stray(settings, settings.angles[tilt])
    spectra = contributions[:, channels]
    seed = [settings.seed, stream, tilt]
    return simulate.spectrum_image(np.concatenate([means, stray]), spectra, seed=seed)


@functools.lru_cache(maxsize=4)
def _contributions(background):
    """(4, channels): spectra of Au, Ag, the holder's copper and the film, for a mean of 1."""
    shape = simulate.bremsstrahlung()
    elements = [simulate.lines_spectrum(e, counted=LINES[e]) + background * shape for e in ELEMENTS]
    copper = simulate.lines_spectrum("Cu", counted=("Ka", "Kb"))
    film = simulate.lines_spectrum("C") + 0.01 * shape
    return np.stack([*elements, copper, film])


def _stray(settings, angle):
    """Means of copper and support film on each pixel, (2, slices, size).

    The grid bar lies on one side of the particle, and scattered electrons reach more of the
    holder the further it is tilted.
    """
    size = settings.size
    slope = 1 + 0.3 * np.linspace(-1, 1, size, dtype=np.float32)
    more = 1 + abs(angle) / 75
    copper = settings.copper * settings.binning**2 * more * np.tile(slope, (size, 1))
    film = np.full((size, size), 0.5 * settings.binning**2)
    return np.stack([copper, film]).astype(np.float32)


def element_spectra(settings, energies):
    """Return the spectra of the elements, (elements, channels), for a mean of 1 in their lines."""
    channels = np.searchsorted(simulate.energies(), energies)
    return _contributions(settings.background)[: len(ELEMENTS), channels]
