"""The tilt series as the simulated microscope records it."""

import dataclasses
import functools

import numpy as np

from hebt import io, prepare, simulate
from hebt._progress import progress_bar

from .. import threads
from .settings import (
    ELEMENTS,
    LINES,
    NEAR_PEAKS,
    ParticleSettings,
    mass_thickness,
    voxel_size,
    zeta_factors,
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Acquisition:
    """What the simulated microscope recorded, and what only a simulation can know.

    Attributes
    ----------
    settings
        What it was made with.
    angles
        (tilts,), degrees.
    voxel_size
        Side of a pixel, in nm.
    haadf
        (tilts, slices, size): as recorded, damped and with noise.
    energies
        (channels,), keV: the channels near the Au and Ag peaks, the only ones that are held.
    spectra
        One spectrum image for each tilt: sparse, uint16, (slices * size, channels).
    zeta
        (elements,): true ζ, counts in the mapped lines per pixel and per kg/m².
    drift, spectrum_drift
        (tilts, 2): by how many pixels HAADF and spectrum images have moved.
    response
        (tilts,): share of the X-rays that the detectors see.
    """

    settings: ParticleSettings
    angles: np.ndarray
    voxel_size: float
    haadf: np.ndarray
    energies: np.ndarray
    spectra: tuple
    zeta: np.ndarray
    drift: np.ndarray
    spectrum_drift: np.ndarray
    response: np.ndarray

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
        return _dense(self.spectra[tilt], self.settings.size)

    def to_signal(self):
        """Return the HAADF tilt series as a HyperSpy signal with units."""
        return io.to_signal(
            self.haadf, pixel_size=self.voxel_size, angles=self.angles, title="HAADF as recorded"
        )

    def spectrum_signals(self, tilt: int, found: prepare.Components | None = None) -> list:
        """Return the spectrum image of one tilt as HyperSpy EDS signals with units."""
        image, what = self.spectrum_image(tilt), "Spectra"
        if found is not None:
            image = found.denoise(image.reshape(-1, image.shape[-1])).reshape(image.shape)
            image, what = image.astype(np.float32), "Denoised spectra"
        gaps = np.flatnonzero(np.diff(self.energies) > 1.5 * simulate.CHANNEL) + 1
        runs = np.split(np.arange(len(self.energies)), gaps)
        angle = float(self.angles[tilt])
        return [
            io.spectra_to_signal(
                image[..., run],
                pixel_size=self.voxel_size,
                energies=self.energies[run],
                tilt=angle,
                voltage=simulate.VOLTAGE,
                elements=ELEMENTS,
                title=f"{what} at {angle:g} degrees",
            )
            for run in runs
        ]


def _dense(spectra, size):
    return spectra.toarray().reshape(size, size, -1)


def acquire(settings: ParticleSettings, *, progress: bool | None = None) -> Acquisition:
    """Record a tilt series of HAADF images and EDS spectrum images with the simulated microscope.

    HAADF is Eq. 2 with damping, drift, offset and noise. Each pixel of a spectrum image holds
    Poisson counts of the lines of Au and Ag and their bremsstrahlung (Eq. 4, times what the
    detectors see at that tilt). Copper and the support film are in other channels: see
    `spectrum_study`.
    """
    thickness = mass_thickness(settings)
    angles = np.array(settings.angles)
    shifts, spectrum_shifts = _drifts(settings)
    haadf = simulate.record_haadf(
        ideal_haadf(settings, thickness),
        saturation=settings.saturation,
        # a larger pixel stands for several, whose noise averages out
        noise=settings.noise / settings.binning,
        offset=settings.offset,
        shifts=shifts,
        seed=[settings.seed, 1],
    )
    energies = simulate.energies()
    used = prepare.channels_near(energies, NEAR_PEAKS)
    zeta = zeta_factors(settings, thickness)
    spectra = [None] * len(angles)
    with progress_bar(len(angles), "recording spectra", progress) as bar:

        def record(tilt):
            spectra[tilt] = _record(settings, thickness, zeta, tilt, used, stream=2)
            bar.update()

        threads.run(record, [(tilt,) for tilt in range(len(angles))])
    return Acquisition(
        settings=settings,
        angles=angles,
        voxel_size=voxel_size(settings),
        haadf=haadf,
        energies=energies[used],
        spectra=tuple(spectra),
        zeta=zeta,
        drift=shifts,
        spectrum_drift=spectrum_shifts,
        response=simulate.detector_response(angles),
    )


def _drifts(settings):
    tilts = len(settings.angles)
    size = settings.drift / settings.binning
    shifts = simulate.drift(tilts, size, seed=[settings.seed, 0])
    further = simulate.drift(tilts, size / 2, seed=[settings.seed, 3])
    return shifts, shifts + further


def ideal_haadf(settings, thickness):
    return np.einsum("e,e...->...", np.array(settings.z, np.float32), thickness)


def _record(settings, thickness, zeta, tilt, channels, *, stream):
    """Draw the spectrum image of one tilt in some of the channels."""
    _, shifts = _drifts(settings)
    zeta = zeta * simulate.detector_response(np.array(settings.angles))[tilt]
    means = simulate.apply_drift(thickness[:, tilt : tilt + 1], shifts[tilt : tilt + 1])[:, 0]
    means = means * zeta[:, None, None].astype(np.float32)
    stray = _stray(settings, settings.angles[tilt])
    spectra = _contributions(settings.background)[:, channels]
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
