"""The two nanoparticles of section 3.2: simulated in the microscope, and processed as in the paper.

`settings` says how, `acquire` records the tilt series, `process` makes of it what HEBT takes.
"""

import dataclasses
import functools

import numpy as np
from scipy import sparse

import hebt
from hebt import _checks, _paper, io, microscope, preprocess, specimens
from hebt import settings as _settings
from hebt._cache import cached
from hebt.preprocess import ElementWindow
from hebt.projector import run

PARTICLES = ("nonalloy", "alloy")
ELEMENTS = ("Au", "Ag")
# The lines that the paper maps; exspy's tables call the strongest Lβ line Lb1.
LINES = {"Au": ("Ma", "Mb", "La"), "Ag": ("La", "Lb1")}

# In keV: most of each peak, and background at a distance from all strong lines. Au Mα and Mβ
# overlap, and so do Ag Lα and Lβ; each pair is one window.
WINDOWS = (
    ElementWindow(
        "Au",
        peaks=((2.06, 2.27), (9.61, 9.81)),
        backgrounds=(((1.85, 1.97), (2.56, 2.68)), ((9.35, 9.48), (9.95, 10.08))),
    ),
    ElementWindow("Ag", peaks=((2.92, 3.22),), backgrounds=(((2.56, 2.68), (3.80, 3.95)),)),
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

    @property
    def pixel(self) -> float:
        """Side of a pixel, in pixels of the paper's frame."""
        return _paper.printed("particles.size").value / self.size


def settings(which: str, **changes) -> ParticleSettings:
    """Return a particle's settings for the fidelity at hand, with `changes`.

    At paper fidelity sizes, tilts and components are as printed. At quick fidelity there are
    60³ voxels and a third of the tilts; a larger pixel collects the counts of all the pixels that
    it stands for.

    Parameters
    ----------
    which
        "nonalloy" or "alloy".
    **changes
        Any attribute of `ParticleSettings`, to change it.

    Raises
    ------
    ValueError
        If there is no such particle.
    TypeError
        If a name is no setting.
    """
    if which not in PARTICLES:
        raise ValueError(f"which is {which!r}; expected one of {', '.join(PARTICLES)}.")
    quick = hebt.fidelity() == "quick"

    def printed(key):
        return _paper.printed(key).value

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
    unknown = [name for name in changes if name not in values]
    if unknown:
        raise TypeError(
            f"{', '.join(unknown)}: no such setting; expected some of {', '.join(values)}."
        )
    values |= changes
    for name in ("angles", "z", "sensitivity"):
        values[name] = tuple(float(v) for v in values[name])
    for name in ("size", "components"):
        values[name] = _checks.check_count(name, values[name])
    for name in ("width", "seed"):
        values[name] = _checks.check_count(name, values[name], least=0)
    others = set(values) - {"angles", "z", "sensitivity", "size", "components", "width", "seed"}
    for name in others:
        number = values[name] = float(values[name])
        least = "above 0" if name in ("counts", "saturation", "sigma") else "of at least 0"
        if not (number > 0 or (number == 0 and least == "of at least 0")) or (
            np.isinf(number) and name != "saturation"
        ):
            raise ValueError(f"{name} is {number:g}; expected a number {least}.")
    for name in ("z", "sensitivity"):
        if len(values[name]) != len(ELEMENTS) or not min(values[name]) > 0:
            raise ValueError(
                f"{name} is {values[name]}; expected a number above 0 for each of "
                f"{', '.join(ELEMENTS)}."
            )
    return ParticleSettings(particle=which, **values)


def specimen(settings: ParticleSettings) -> specimens.Specimen:
    """Return the specimen: density (elements, size, size, size) in kg/m³, and its voxel size."""
    return _SPECIMEN[settings.particle](settings.size)


_SPECIMEN = {"nonalloy": specimens.embedded_octahedron, "alloy": specimens.alloy_particle}


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


def _mass_thickness(settings):
    return _projections(settings.particle, settings.size, settings.angles)


@cached
def _projections(particle, size, angles):
    """Mass-thickness in kg/m², (elements, tilts, slices, size): noise and dose do not change it."""
    made = _truth(particle, size)
    W = hebt.Projector(np.array(angles), size)
    projected = np.stack([W.forward(element) for element in made.density])
    # rounding may leave a projection of nothing just below 0
    return np.maximum(projected * np.float32(made.voxel_size * 1e-9), 0)


def _zeta(settings, thickness):
    """ζ in counts of the mapped lines per pixel and per kg/m², (elements,)."""
    # in which pixels there is particle; the share of a voxel is not enough to be called one
    total = thickness.sum(axis=0)
    inside = total > 0.01 * total.max()
    sensitivity = np.array(settings.sensitivity)
    expected = [
        s * element[inside].mean(dtype=np.float64)
        for s, element in zip(sensitivity, thickness, strict=True)
    ]
    return sensitivity * settings.counts * settings.pixel**2 / np.mean(expected)


# --- recording -----------------------------------------------------------------------------------


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

    def spectrum_signals(self, tilt: int, found: preprocess.Components | None = None) -> list:
        """Return the spectrum image of one tilt as HyperSpy EDS signals with units.

        Parameters
        ----------
        tilt
            Number of the tilt.
        found
            Components to denoise the spectra with; None takes them as recorded.

        Returns
        -------
        list of exspy.signals.EDSTEMSpectrum
            One for each run of neighbouring channels, (slices, size | energy): uint16 as
            recorded, float32 denoised.
        """
        image, what = self.spectrum_image(tilt), "Spectra"
        if found is not None:
            image = found.denoise(image.reshape(-1, image.shape[-1])).reshape(image.shape)
            image, what = image.astype(np.float32), "Denoised spectra"
        gaps = np.flatnonzero(np.diff(self.energies) > 1.5 * microscope.CHANNEL) + 1
        runs = np.split(np.arange(len(self.energies)), gaps)
        angle = float(self.angles[tilt])
        return [
            io.spectra_to_signal(
                image[..., run],
                pixel_size=self.voxel_size,
                energies=self.energies[run],
                tilt=angle,
                voltage=microscope.VOLTAGE,
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

    Parameters
    ----------
    settings
        From `settings`.
    progress
        Whether to show a progress bar; if None, where somebody can see it.
    """
    thickness = _mass_thickness(settings)
    angles = np.array(settings.angles)
    shifts, spectrum_shifts = _drifts(settings)
    haadf = microscope.record_haadf(
        _ideal_haadf(settings, thickness),
        saturation=settings.saturation,
        # a larger pixel stands for several, whose noise averages out
        noise=settings.noise / settings.pixel,
        offset=settings.offset,
        shifts=shifts,
        seed=[settings.seed, 1],
    )
    energies = microscope.energies()
    used = preprocess.near(energies, NEAR_PEAKS)
    zeta = _zeta(settings, thickness)
    spectra = [None] * len(angles)
    with _settings.progress_bar(len(angles), "recording spectra", progress) as bar:

        def record(tilt):
            spectra[tilt] = _record(settings, thickness, zeta, tilt, used, stream=2)
            bar.update()

        run(record, [(tilt,) for tilt in range(len(angles))])
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
        response=microscope.detector_response(angles),
    )


def _drifts(settings):
    tilts = len(settings.angles)
    size = settings.drift / settings.pixel
    shifts = microscope.drift(tilts, size, seed=[settings.seed, 0])
    further = microscope.drift(tilts, size / 2, seed=[settings.seed, 3])
    return shifts, shifts + further


def _ideal_haadf(settings, thickness):
    return np.einsum("e,e...->...", np.array(settings.z, np.float32), thickness)


def _record(settings, thickness, zeta, tilt, channels, *, stream):
    """Draw the spectrum image of one tilt in some of the channels."""
    _, shifts = _drifts(settings)
    zeta = zeta * microscope.detector_response(np.array(settings.angles))[tilt]
    means = microscope.move(thickness[:, tilt : tilt + 1], shifts[tilt : tilt + 1])[:, 0]
    means = means * zeta[:, None, None].astype(np.float32)
    stray = _stray(settings, settings.angles[tilt])
    spectra = _contributions(settings.background)[:, channels]
    seed = [settings.seed, stream, tilt]
    return microscope.spectrum_image(np.concatenate([means, stray]), spectra, seed=seed)


@functools.lru_cache(maxsize=4)
def _contributions(background):
    """(4, channels): spectra of Au, Ag, the holder's copper and the support film, for a mean of 1."""
    shape = microscope.bremsstrahlung()
    elements = [
        microscope.lines_spectrum(e, counted=LINES[e]) + background * shape for e in ELEMENTS
    ]
    copper = microscope.lines_spectrum("Cu", counted=("Ka", "Kb"))
    film = microscope.lines_spectrum("C") + 0.01 * shape
    return np.stack([*elements, copper, film])


def _stray(settings, angle):
    """Means of copper and support film on each pixel, (2, slices, size).

    The grid bar lies on one side of the particle, and scattered electrons reach more of the
    holder the further it is tilted.
    """
    size = settings.size
    slope = 1 + 0.3 * np.linspace(-1, 1, size, dtype=np.float32)
    more = 1 + abs(angle) / 75
    copper = settings.copper * settings.pixel**2 * more * np.tile(slope, (size, 1))
    film = np.full((size, size), 0.5 * settings.pixel**2)
    return np.stack([copper, film]).astype(np.float32)


# --- processing ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ProcessedSeries:
    """A tilt series that HEBT can take.

    Attributes
    ----------
    settings
        What it was recorded with.
    elements
        Au, Ag.
    angles
        (tilts,), degrees.
    voxel_size
        Side of a pixel and of a voxel, in nm.
    haadf
        (tilts, slices, size): undamped and aligned, HAADF intensity.
    maps
        (elements, tilts, slices, size): counts; denoised, smoothed, normalised and aligned.
    fit
        Response ratios, Eq. 6.
    z
        (elements,): true z, intensity per kg/m³ and voxel.
    zeta
        (elements,): true ζ of `maps`, counts per kg/m³ and voxel. Their quotient is the true
        response ratio.
    ideal
        (tilts, slices, size): HAADF without damping, noise and drift.
    """

    settings: ParticleSettings
    elements: tuple[str, ...]
    angles: np.ndarray
    voxel_size: float
    haadf: np.ndarray
    maps: np.ndarray
    fit: hebt.ResponseRatios
    z: np.ndarray
    zeta: np.ndarray
    ideal: np.ndarray

    @property
    def ideal_maps(self) -> np.ndarray:
        """(elements, tilts, slices, size): the maps' counts without noise, drift and smoothing."""
        seen = self.zeta / (self.voxel_size * 1e-9)
        return _mass_thickness(self.settings) * seen[:, None, None, None].astype(np.float32)

    @property
    def true_ratios(self) -> np.ndarray:
        """(elements,): z/ζ, HAADF intensity per count."""
        return self.z / self.zeta

    def to_signals(self):
        """Return HAADF and maps as HyperSpy signals with units: a pair."""
        return (
            io.to_signal(
                self.haadf, pixel_size=self.voxel_size, angles=self.angles, title="HAADF"
            ),
            io.to_signal(
                self.maps, pixel_size=self.voxel_size, angles=self.angles,
                elements=self.elements, title="Element maps",
            ),
        )  # fmt: skip

    def __repr__(self):
        tilts, slices, size = self.haadf.shape
        return (
            f"ProcessedSeries ({self.settings.particle}): {tilts} tilts, {slices} x {size} pixels "
            f"of {self.voxel_size:.3g} nm, {self.fit}"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """What the steps of `process` found on the way, for a chapter to show.

    Attributes
    ----------
    recorded
        (tilts, slices, size): HAADF as recorded, less the detector's offset.
    damping
        The estimated damping.
    correlated, refined
        (tilts, 2): shifts of HAADF by cross-correlation alone, and then by the centre of mass.
    raw_maps, denoised
        (elements, tilts, slices, size): maps from the recorded and the denoised spectra.
    components
        The principal components of all tilts.
    response
        (tilts,): the estimated response of the detectors.
    map_shifts
        (tilts, 2): shifts of the maps onto the aligned HAADF images.
    drift, map_drift, true_response
        What the alignment and the normalisation should have found: (tilts, 2), pixels, of HAADF
        and of the maps, and (tilts,).
    """

    recorded: np.ndarray
    damping: preprocess.Damping
    correlated: np.ndarray
    refined: np.ndarray
    raw_maps: np.ndarray
    denoised: np.ndarray
    components: preprocess.Components
    response: np.ndarray
    map_shifts: np.ndarray
    drift: np.ndarray
    map_drift: np.ndarray
    true_response: np.ndarray


def process(settings: ParticleSettings) -> ProcessedSeries:
    """Record a tilt series and process it as in section 3.2; the result is kept on disk.

    Parameters
    ----------
    settings
        From `settings`; for another noise seed, ``settings(which, seed=1)``.
    """
    return steps(settings)[0]


def steps(settings: ParticleSettings) -> tuple[ProcessedSeries, Steps]:
    """Return `process` of some settings with what each step found; the result is kept on disk."""
    return _steps(settings)


@cached
def _steps(settings):
    return process_steps(acquire(settings))


def process_steps(
    acquisition: Acquisition, *, progress: bool | None = None
) -> tuple[ProcessedSeries, Steps]:
    """Process a recorded tilt series, and return what each step found as well.

    Parameters
    ----------
    acquisition
        From `acquire`.
    progress
        Whether to show a progress bar; if None, where somebody can see it.
    """
    now = acquisition.settings
    masks = _masks(acquisition.haadf, now, margin=2)
    recorded = preprocess.remove_offset(acquisition.haadf, masks)
    damping = preprocess.estimate_damping(recorded)
    linear = preprocess.undamp(recorded, damping.saturation)
    correlated = preprocess.align(linear)
    refined = preprocess.align_to_centre(linear)
    haadf = preprocess.shift_images(linear, refined)

    found = components(acquisition, progress=progress)
    denoised = element_maps(acquisition, found)
    smoothed = _smooth(denoised, now)
    response = preprocess.tilt_response(smoothed)
    normalised = preprocess.normalise_tilts(smoothed, response)
    # what the two signals share, weighted as well as can be before they are aligned
    rough = hebt.response_ratios(
        haadf, preprocess.shift_images(normalised, refined), names=ELEMENTS
    )
    map_shifts = preprocess.align_to(haadf, rough.predict(normalised))
    maps = preprocess.shift_images(normalised, map_shifts)
    fit = hebt.response_ratios(haadf, maps, names=ELEMENTS)

    thickness = _mass_thickness(now)
    length = acquisition.voxel_size * 1e-9
    # ζ of the maps: of the photons, those in the windows, at the mean response of the detectors
    seen = acquisition.zeta * window_shares() * acquisition.response.mean()
    series = ProcessedSeries(
        settings=now,
        elements=ELEMENTS,
        angles=acquisition.angles,
        voxel_size=acquisition.voxel_size,
        haadf=haadf,
        maps=maps,
        fit=fit,
        z=np.array(now.z) * length,
        zeta=seen * length,
        ideal=_ideal_haadf(now, thickness),
    )
    return series, Steps(
        recorded=recorded,
        damping=damping,
        correlated=correlated,
        refined=refined,
        raw_maps=element_maps(acquisition),
        denoised=denoised,
        components=found,
        response=response,
        map_shifts=map_shifts,
        drift=acquisition.drift,
        map_drift=acquisition.spectrum_drift,
        true_response=acquisition.response / acquisition.response.mean(),
    )


def components(
    acquisition: Acquisition, *, progress: bool | None = None
) -> preprocess.Components:
    """Return the principal components of all tilts near the Au and Ag peaks.

    All spectra at once would be several gigabytes. Blocks of 4 × 4 pixels have the same
    components, so the spectra of blocks are decomposed.

    Parameters
    ----------
    acquisition
        From `acquire`.
    progress
        Whether to show a progress bar; if None, where somebody can see it.
    """
    now = acquisition.settings
    masks = _wide_masks(acquisition.haadf, now)
    blocks = [None] * len(masks)
    with _settings.progress_bar(len(masks), "binning spectra", progress) as bar:

        def block(tilt):
            blocks[tilt] = _blocks(acquisition.spectra[tilt], now, masks[tilt])
            bar.update()

        run(block, [(tilt,) for tilt in range(len(masks))])
    return preprocess.decompose(
        np.concatenate(blocks), acquisition.energies, components=now.components
    )


def _wide_masks(haadf, settings):
    # spectra are recorded after the image, so the particle may have moved on
    margin = 2 + int(np.ceil(1.5 * settings.drift / settings.pixel))
    return _masks(haadf, settings, margin=margin)


def _masks(haadf, settings, *, margin):
    # the particle nearly fills the field, so the border shrinks with larger pixels
    border = max(2, round(4 / settings.pixel))
    return preprocess.particle_masks(haadf, border=border, margin=margin)


def _blocks(spectra, settings, mask):
    factor = 4 if settings.pixel == 1 else 1
    return preprocess.bin_spectra(spectra, mask.shape, factor, mask)


def element_maps(acquisition: Acquisition, found: preprocess.Components | None = None):
    """Make the element maps of all tilts: (elements, tilts, slices, size), counts less background.

    Parameters
    ----------
    acquisition
        From `acquire`.
    found
        Components to denoise the spectra with; None takes them as recorded.
    """
    weights = map_weights(acquisition.energies)
    if found is not None:
        weights = found.weights(weights)
    maps = np.empty((len(WINDOWS), *acquisition.haadf.shape), np.float32)
    for tilt, spectra in enumerate(acquisition.spectra):
        maps[:, tilt] = (spectra @ weights.T).T.reshape(maps[:, tilt].shape)
    return maps


def overlaps() -> np.ndarray:
    """Return what the windows of one element count of another's lines, (elements, elements).

    Row: whose windows. Column: whose counts in the mapped lines, of which this is the share. Off
    the diagonal it is not 0: Ag Ll lies in a background window of Au, for example.
    """
    energies = microscope.energies()
    lines = [microscope.lines_spectrum(e, counted=LINES[e]) for e in ELEMENTS]
    return np.array([[w.weights(energies) @ line for line in lines] for w in WINDOWS])


def window_shares() -> np.ndarray:
    """Return which share of the counts in an element's mapped lines its map keeps, (elements,).

    Less than 1: the ends of the peaks lie outside the windows, and what other lines of the
    element leave in the background windows is subtracted.
    """
    return np.diag(overlaps())


def map_weights(energies) -> np.ndarray:
    """Return what each channel counts in each element's map, (elements, channels).

    The windows' weights, combined so that no element counts in another's map.

    Parameters
    ----------
    energies
        (channels,), keV; all channels of the windows are among them.
    """
    shares = overlaps()
    windows = np.stack([w.weights(energies) for w in WINDOWS])
    return np.diag(shares)[:, None] * np.linalg.solve(shares, windows)


# --- one tilt with all its channels --------------------------------------------------------------

COUNTS_OF_COMPONENTS = (1, 2, 3, 5, 8, 15, 30, 60)
# the channels near the peaks, those with the copper's, and these without scaling for Poisson noise
DENOISED = ("peaks", "copper", "unscaled")


@dataclasses.dataclass(frozen=True, eq=False)
class SpectrumStudy:
    """One tilt's spectrum image: its whole spectrum, and what principal components make of it.

    Attributes
    ----------
    settings, angle
        What it was made with, and the tilt in degrees.
    energies, spectrum
        (channels,): keV, and the counts of all pixels, in all 2048 channels.
    kept
        (channels near the peaks,): which channels these are.
    region
        (rows, columns): the square of pixels whose spectra follow.
    region_raw, region_denoised
        (channels near the peaks,): counts in the region, as recorded and denoised.
    components
        (counts,): how many components were kept.
    raw
        (elements, slices, size): maps as recorded.
    maps
        Name in `DENOISED` -> (counts, elements, slices, size): maps denoised with so many
        components.
    expected
        (elements, slices, size): what the maps would be without noise.
    raw_errors, raw_smoothed_errors
        (elements,): errors of `raw`; see `map_error`.
    errors, smoothed_errors
        Name in `DENOISED` -> (counts, elements): errors of `maps` as they are, and smoothed.
    variance
        Name -> (components,): share of each in the variance.
    first
        Name -> (components, channels): their first four spectra.
    channels
        Name -> (channels,): energies of these, in keV.
    scan
        (windows,): centres of windows 0.1 keV wide, in keV.
    scan_raw, scan_denoised
        (windows, slices, size): counts in them.
    """

    settings: ParticleSettings
    angle: float
    energies: np.ndarray
    spectrum: np.ndarray
    kept: np.ndarray
    region: tuple[slice, slice]
    region_raw: np.ndarray
    region_denoised: np.ndarray
    components: tuple[int, ...]
    raw: np.ndarray
    maps: dict[str, np.ndarray]
    expected: np.ndarray
    raw_errors: np.ndarray
    raw_smoothed_errors: np.ndarray
    errors: dict[str, np.ndarray]
    smoothed_errors: dict[str, np.ndarray]
    variance: dict[str, np.ndarray]
    first: dict[str, np.ndarray]
    channels: dict[str, np.ndarray]
    scan: np.ndarray
    scan_raw: np.ndarray
    scan_denoised: np.ndarray


def spectrum_study(settings: ParticleSettings) -> SpectrumStudy:
    """Study the spectrum image nearest to 0 degrees, with the copper channels and without."""
    return _spectrum_study(settings)


@cached
def _spectrum_study(settings):
    thickness = _mass_thickness(settings)
    angles = np.array(settings.angles)
    tilt = int(np.abs(angles).argmin())
    energies = microscope.energies()
    used = preprocess.near(energies, NEAR_PEAKS)
    copper = preprocess.near(energies, COPPER)
    rest = np.setdiff1d(np.arange(len(energies)), np.concatenate([used, copper]))
    acquisition = acquire(settings)
    masks = _wide_masks(acquisition.haadf, settings)
    near_peaks = acquisition.spectrum_image(tilt)
    # the copper of all tilts, of which only blocks are kept, but for the tilt that is shown
    here, blocks = None, {name: [None] * len(angles) for name in ("peaks", "copper")}

    def block(i):
        nonlocal here
        holder = _record(settings, thickness, acquisition.zeta, i, copper, stream=4)
        if i == tilt:
            here = holder
        blocks["peaks"][i] = _blocks(acquisition.spectra[i], settings, masks[i])
        blocks["copper"][i] = _blocks(holder, settings, masks[i])

    run(block, [(i,) for i in range(len(angles))])
    blocks = {name: np.concatenate(parts) for name, parts in blocks.items()}
    spectrum = np.zeros(len(energies))
    spectrum[used] = near_peaks.sum(axis=(0, 1), dtype=np.int64)
    spectrum[copper] = here.sum(axis=0, dtype=np.int64)
    others = _record(settings, thickness, acquisition.zeta, tilt, rest, stream=5)
    spectrum[rest] = others.sum(axis=0, dtype=np.int64)

    moved = microscope.move(
        thickness[:, tilt : tilt + 1], acquisition.spectrum_drift[tilt : tilt + 1]
    )[:, 0]
    seen = acquisition.zeta * acquisition.response[tilt] * window_shares()
    expected = moved * seen[:, None, None].astype(np.float32)
    inside = moved.sum(axis=0) > 0.01 * moved.sum(axis=0).max()

    keV_copper = energies[np.concatenate([used, copper])]
    both = np.concatenate([blocks["peaks"], blocks["copper"]], axis=1)
    all_counts = sparse.hstack([acquisition.spectra[tilt], here], format="csr")
    sources = {
        "peaks": (energies[used], blocks["peaks"], acquisition.spectra[tilt], True),
        "copper": (keV_copper, both, all_counts, True),
        "unscaled": (keV_copper, both, all_counts, False),
    }
    most = max(COUNTS_OF_COMPONENTS)
    found, maps, errors, smoothed = {}, {}, {}, {}
    for name, (keV, parts, counts, scaled) in sources.items():
        found[name] = preprocess.decompose(parts, keV, components=most, scaled=scaled)
        weights = map_weights(keV)
        maps[name] = np.stack(
            [
                (counts @ found[name].weights(weights, count).T).T.reshape(expected.shape)
                for count in COUNTS_OF_COMPONENTS
            ]
        ).astype(np.float32)
        errors[name] = map_error(maps[name], expected, inside)
        smoothed[name] = map_error(
            _smooth(maps[name], settings), _smooth(expected, settings), inside
        )
    raw = _map(
        acquisition.spectra[tilt],
        map_weights(energies[used]),
        settings.size,
    )

    # a square of pixels in the middle
    half = settings.size // 30
    middle = slice(settings.size // 2 - half, settings.size // 2 + half)
    region_raw = near_peaks[middle, middle].sum(axis=(0, 1), dtype=np.float64)
    scan = np.concatenate([np.arange(1.90, 3.91, 0.05), np.arange(9.40, 10.06, 0.05)]).round(2)
    in_window = np.stack([np.abs(energies[used] - e) < 0.0501 for e in scan]).astype(np.float32)
    best = found["peaks"]
    denoising = best.weights(in_window, settings.components)
    return SpectrumStudy(
        settings=settings,
        angle=float(angles[tilt]),
        energies=energies,
        spectrum=spectrum,
        kept=used,
        region=(middle, middle),
        region_raw=region_raw,
        region_denoised=best.denoise(region_raw[None], settings.components)[0],
        components=COUNTS_OF_COMPONENTS,
        raw=raw,
        maps=maps,
        expected=expected,
        raw_errors=map_error(raw, expected, inside),
        raw_smoothed_errors=map_error(
            _smooth(raw, settings), _smooth(expected, settings), inside
        ),
        errors=errors,
        smoothed_errors=smoothed,
        variance={name: c.variance for name, c in found.items()},
        first={name: c.factors[:4] for name, c in found.items()},
        channels={name: c.energies for name, c in found.items()},
        scan=scan,
        scan_raw=_map(acquisition.spectra[tilt], in_window, settings.size),
        scan_denoised=_map(acquisition.spectra[tilt], denoising, settings.size),
    )


def _map(spectra, weights, size):
    return np.ascontiguousarray((spectra @ weights.T).T).reshape(-1, size, size).astype(np.float32)


def map_error(maps, expected, inside) -> np.ndarray:
    """Return how far maps are from the expected ones inside the particle, relative to these.

    Parameters
    ----------
    maps
        (..., elements, slices, size).
    expected
        (elements, slices, size).
    inside
        (slices, size), bool.

    Returns
    -------
    numpy.ndarray
        (..., elements): root mean square of the difference over that of `expected`.
    """
    difference = (np.asarray(maps, np.float64) - expected)[..., inside]
    return np.linalg.norm(difference, axis=-1) / np.linalg.norm(
        np.asarray(expected, np.float64)[..., inside], axis=-1
    )


def stages(series, found):
    """Return the maps after each step of the processing: name -> (elements, tilts, slices, size)."""
    smoothed = _smooth(found.denoised, series.settings)
    return {
        "as recorded": found.raw_maps,
        "denoised": found.denoised,
        "smoothed": smoothed,
        "normalised": preprocess.normalise_tilts(smoothed, found.response),
        "aligned": series.maps,
    }


def step_errors(series: ProcessedSeries, found: Steps) -> dict[str, np.ndarray]:
    """Return the errors of the maps after each step of the processing: name -> (elements,).

    Over all tilts, in the pixels with particle, against maps without noise, drift and smoothing.
    """
    ideal = series.ideal_maps
    inside = series.ideal > 0.01 * series.ideal.max()
    return {name: map_error(m, ideal, inside) for name, m in stages(series, found).items()}


def step_signals(series: ProcessedSeries, found: Steps) -> dict:
    """Return what each step of the processing made, as HyperSpy signals with units and axes.

    Parameters
    ----------
    series, found
        From `steps`.

    Returns
    -------
    dict
        Name -> hyperspy.signals.Signal2D: HAADF less its offset, undamped and aligned, then the
        element maps after each step. ``signal.save("name.hspy")`` writes one, and
        `hebt.io.from_signal` gives the numbers back.
    """
    images = {
        "HAADF, offset removed": found.recorded,
        "HAADF, undamped": preprocess.undamp(found.recorded, found.damping.saturation),
        "HAADF, aligned": series.haadf,
    }
    calibration = {"pixel_size": series.voxel_size, "angles": series.angles}
    return {
        name: io.to_signal(image, title=name, **calibration) for name, image in images.items()
    } | {
        f"maps, {name}": io.to_signal(
            maps, title=f"Element maps, {name}", elements=series.elements, **calibration
        )
        for name, maps in stages(series, found).items()
    }


def _smooth(maps, settings):
    width = max(1, round(settings.width / settings.pixel))
    if settings.width == 0 or width == 1:
        return np.asarray(maps, np.float32)
    return preprocess.smooth(
        maps, width=width, sigma=settings.sigma / settings.pixel, axis=(-2, -1)
    )
