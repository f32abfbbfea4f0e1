"""From the recording to what HEBT takes, as in section 3.2."""

import dataclasses
import functools
import warnings

import numpy as np

import hebt
from hebt import prepare

from ..store import cached
from ..threads import run
from .maps import block_sides, blocks, element_maps, map_weights, measured_mixing
from .recording import Acquisition, acquire, element_spectra, ideal_haadf
from .settings import ELEMENTS, ParticleSettings, mass_thickness

MIXED = 0.05  # of what a map ought to hold: more shall not come from the other elements, or be lost


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """What the steps of the processing found on the way, for a chapter to show."""

    recorded: np.ndarray  # (tilts, slices, size): HAADF as recorded, less the detector's offset
    damping: prepare.Damping
    refined: np.ndarray  # (tilts, 2): shifts of HAADF by the center of mass
    # (elements, tilts, slices, size): maps from the recorded and the denoised spectra
    raw_maps: np.ndarray
    denoised: np.ndarray
    raw_variance: np.ndarray  # counting variance of `raw_maps`, in their shape
    components: prepare.Components  # of all tilts
    offset: np.ndarray  # (elements,): counts beside the particle, which `denoised` is without
    # side of the blocks of pixels that were decomposed -> what its maps mix; the largest was taken
    tried: dict[int, prepare.Mixing]
    response: np.ndarray  # (tilts,): the estimated response of the detectors
    map_shifts: np.ndarray  # (tilts, 2): of the maps onto the aligned HAADF images
    map_errors: np.ndarray  # (tilts, 2): standard errors of the maps' shifts, in pixels
    # what the alignment and the normalization should have found
    drift: np.ndarray
    map_drift: np.ndarray
    true_response: np.ndarray
    true_mixing: prepare.Mixing  # what the maps mix by the spectra of the elements, without errors

    @functools.cached_property
    def correlated(self) -> np.ndarray:
        """(tilts, 2): shifts of HAADF by cross-correlation alone, which nothing else needs."""
        linear = prepare.correct_damping(self.recorded, self.damping.saturation)
        return prepare.estimate_shifts(linear)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ProcessedSeries:
    """A tilt series that HEBT can take, and what the steps found that made it."""

    settings: ParticleSettings
    elements: tuple[str, ...]
    angles: np.ndarray  # (tilts,), degrees
    voxel_size: float  # side of a pixel and of a voxel, in nm
    haadf: np.ndarray  # (tilts, slices, size): undamped and aligned, HAADF intensity
    # (elements, tilts, slices, size): counts; denoised, smoothed, normalized and aligned
    maps: np.ndarray
    variance: np.ndarray  # their counting variance, in their shape
    half: np.ndarray  # maps of a random half of the counts after all steps, float32, in their shape
    # Eq. 6, to reconstruct with: HAADF as smooth as the maps, and their noise taken off
    fit: hebt.ResponseRatios
    plain: hebt.ResponseRatios  # and as in the paper: sharp HAADF, and noise left in
    z: np.ndarray  # (elements,): true z, intensity per kg/m³ and voxel
    zeta: np.ndarray  # (elements,): true ζ of `maps`, counts per kg/m³ and voxel
    ideal: np.ndarray  # (tilts, slices, size): HAADF without damping, noise and drift
    steps: Steps

    @property
    def ideal_maps(self) -> np.ndarray:
        """(elements, tilts, slices, size): the maps' counts without noise, drift and smoothing."""
        seen = self.zeta / (self.voxel_size * 1e-9)
        return mass_thickness(self.settings) * seen[:, None, None, None].astype(np.float32)

    @property
    def mixing(self) -> prepare.Mixing:
        """What the denoised maps mix, by the counts alone."""
        return self.steps.tried[max(self.steps.tried)]

    @property
    def true_ratios(self) -> np.ndarray:
        """(elements,): z/ζ, HAADF intensity per count."""
        return self.z / self.zeta

    def drift_left(self) -> dict[str, np.ndarray]:
        """Return the drift that each alignment left, (tilts, 2), in pixels."""
        now = self.steps
        found = {
            "before": (np.zeros_like(now.drift), now.drift),
            "correlated": (now.correlated, now.drift),
            "refined": (now.refined, now.drift),
            "maps": (now.map_shifts, now.map_drift),
        }
        return {k: prepare.alignment_error(*pair, self.angles) for k, pair in found.items()}

    def __repr__(self):
        tilts, slices, size = self.haadf.shape
        return (
            f"ProcessedSeries ({self.settings.particle}): {tilts} tilts, {slices} x {size} pixels "
            f"of {self.voxel_size:.3g} nm, {self.fit}"
        )


@cached
def process(settings: ParticleSettings) -> ProcessedSeries:
    """Record a tilt series and process it as in section 3.2; the result is kept on disk."""
    return process_acquisition(acquire(settings))


def process_acquisition(acquisition: Acquisition) -> ProcessedSeries:
    """Process a recorded tilt series as in section 3.2."""
    now = acquisition.settings
    recorded = prepare.remove_offset(acquisition.haadf, particle_masks(acquisition.haadf, now))
    damping = prepare.estimate_damping(recorded)
    linear = prepare.correct_damping(recorded, damping.saturation)
    refined = prepare.estimate_center_shifts(linear)
    haadf = prepare.apply_shifts(linear, refined)

    weights = map_weights(acquisition.energies, now.background)
    found, tried = components(acquisition, weights)
    kept = found.weights(weights)
    denoised, offset = _denoised_maps(acquisition, kept)
    smoothed = smooth_maps(denoised, now)
    response = prepare.tilt_response(smoothed)
    normalized = prepare.normalize_tilts(smoothed, response)
    # what the two signals share, weighted as well as can be before they are aligned
    as_in_paper = {"names": ELEMENTS, "variance": None}
    rough = hebt.response_ratios(haadf, prepare.apply_shifts(normalized, refined), **as_in_paper)
    # spectra are recorded after the image: the maps follow HAADF, and drift further
    further = prepare.estimate_shifts_to(linear, rough.predict(normalized))
    map_shifts = refined + further.shifts
    maps = prepare.apply_shifts(normalized, map_shifts)
    half, variance = _noise(acquisition, kept, offset, response, map_shifts)

    length = acquisition.voxel_size * 1e-9
    # ζ of the maps: of the photons, what the windows count, at the mean response of the detectors
    emitted = element_spectra(now, acquisition.energies).T
    counted = weights @ emitted
    seen = acquisition.zeta * np.diag(counted) * acquisition.response.mean()
    steps = Steps(
        recorded=recorded,
        damping=damping,
        refined=refined,
        raw_maps=element_maps(acquisition.spectra, weights, now.size),
        denoised=denoised,
        raw_variance=element_maps(acquisition.spectra, weights**2, now.size),
        components=found,
        offset=offset,
        tried=tried,
        response=response,
        map_shifts=map_shifts,
        map_errors=further.errors,
        drift=acquisition.drift,
        map_drift=acquisition.spectrum_drift,
        true_response=acquisition.response / acquisition.response.mean(),
        true_mixing=dataclasses.replace(
            tried[max(tried)], response=kept @ emitted @ np.linalg.inv(counted), errors=None
        ),
    )
    return ProcessedSeries(
        settings=now,
        elements=ELEMENTS,
        angles=acquisition.angles,
        voxel_size=acquisition.voxel_size,
        haadf=haadf,
        maps=maps,
        variance=variance,
        half=half,
        fit=hebt.response_ratios(smooth_maps(haadf, now), maps, ELEMENTS, half=half),
        plain=hebt.response_ratios(haadf, maps, **as_in_paper),
        z=np.array(now.z) * length,
        zeta=seen * length,
        ideal=ideal_haadf(now, mass_thickness(now)),
        steps=steps,
    )


def _denoised_maps(acquisition, weights):
    """Return the maps of denoised spectra, and what each lost that is the same everywhere."""
    now = acquisition.settings
    maps = element_maps(acquisition.spectra, weights, now.size)
    # the background of the support film is not quite straight
    beside = ~particle_masks(acquisition.haadf, now, wide=True)
    offset = maps[:, beside].mean(axis=1, dtype=np.float64).astype(np.float32)
    return maps - offset[:, None, None, None], offset


def _noise(acquisition, weights, offset, response, shifts):
    """Return the maps of half of the counts after all steps, and the variance of all counts'."""
    now, spectra = acquisition.settings, acquisition.spectra
    half = element_maps(halves(spectra, now.seed), weights, now.size)
    half = smooth_maps(half - offset[:, None, None, None] / 2, now)
    half = prepare.apply_shifts(prepare.normalize_tilts(half, response), shifts)
    variance = element_maps(spectra, weights**2, now.size)
    variance = prepare.normalize_tilts(variance, response**2)
    return half, prepare.smooth_variance(variance, shifts=shifts, **kernel(now))


def components(acquisition: Acquisition, weights) -> tuple[prepare.Components, dict]:
    """Return the principal components of all tilts near the Au and Ag peaks, and what they mix.

    All spectra at once would be several gigabytes, so blocks of pixels are decomposed. Noise hides
    the components that tell elements apart the longer the smaller the blocks are: the smallest are
    taken whose maps, made with `weights` from `map_weights`, keep the elements apart.
    """
    now = acquisition.settings
    masks = particle_masks(acquisition.haadf, now, wide=True)
    tried = {}
    for side in block_sides(now):
        sides = [side] * len(masks)
        parts = np.concatenate(run(blocks, acquisition.spectra, masks, sides, label="binning"))
        tried[side] = measured_mixing(parts, acquisition.energies, weights, now.components)
        if tried[side].worst < MIXED:
            break
    else:
        warnings.warn(
            f"the denoised maps of the {now.particle} particle mix elements by "
            f"{100 * tried[side].worst:.0f} %, with blocks of {side} pixels and smaller: there are "
            "too few counts for principal components.",
            UserWarning,
            stacklevel=3,
        )
    found = prepare.decompose(parts, acquisition.energies, components=now.components)
    return found, tried


def halves(spectra, seed):
    """Yield a random half of the counts of each tilt."""
    for tilt, counts in enumerate(spectra):
        half = counts.copy()
        half.data, _ = hebt.split_counts(counts.data, seed=1000 * (seed + 1) + tilt)
        yield half


def particle_masks(haadf, settings, *, wide=False):
    """Return masks of the particle, (tilts, slices, size); wide ones hold its spectrum images."""
    # the particle nearly fills the field, so the border shrinks with larger pixels
    border = max(2, round(4 / settings.binning))
    # spectra are recorded after the image, so the particle may have moved on
    moved = int(np.ceil(1.5 * settings.drift / settings.binning)) if wide else 0
    return prepare.particle_masks(haadf, border=border, margin=2 + moved)


def kernel(settings) -> dict:
    """Return what `hebt.prepare.smooth` takes, as the settings say."""
    width = max(1, round(settings.width / settings.binning))
    return {"width": width, "sigma": settings.sigma / settings.binning, "axis": (-2, -1)}


def smooth_maps(maps, settings):
    """Return maps smoothed as the settings say."""
    return prepare.smooth(maps, **kernel(settings))
