"""What each step of the processing does to the maps."""

import dataclasses

import numpy as np
from scipy import sparse

from hebt import io, prepare, simulate

from ..store import cached
from ..threads import run
from .maps import blocks, collection_efficiency, map_weights, measured_mixing, weighted_sum
from .processing import ProcessedSeries, particle_masks, process, smooth_maps
from .recording import acquire, record_spectra
from .settings import COPPER, NEAR_PEAKS, ParticleSettings, mass_thickness

COUNTS_OF_COMPONENTS = (1, 2, 3, 5, 8, 15, 30, 60)


@dataclasses.dataclass(frozen=True, eq=False)
class SpectrumStudy:
    """One tilt's spectrum image: its whole spectrum, and what principal components make of it.

    `found`, `maps` and their errors are by name: "peaks" from the channels near the peaks, "copper"
    with those of the copper, and "unscaled" from these without scaling for Poisson noise. "plain"
    is not scaled either, but from the channels near the peaks.
    """

    settings: ParticleSettings
    angle: float  # degrees
    energies: np.ndarray  # (channels,), keV: all 2048
    spectrum: np.ndarray  # (channels,): counts of all pixels
    kept: np.ndarray  # which channels are near the peaks
    # (kept,): counts in a square of pixels in the middle, as recorded and denoised
    region_raw: np.ndarray
    region_denoised: np.ndarray
    components: tuple[int, ...]  # how many components were kept
    raw: np.ndarray  # (elements, slices, size): maps as recorded
    expected: np.ndarray  # (elements, slices, size): what the maps would be without noise
    raw_errors: np.ndarray  # (elements,): errors of `raw`, see `map_error`
    raw_smoothed_errors: np.ndarray
    maps: dict[str, np.ndarray]  # (counts, elements, slices, size): of so many components
    errors: dict[str, np.ndarray]  # (counts, elements): of these maps as they are
    smoothed_errors: dict[str, np.ndarray]  # and smoothed
    found: dict[str, prepare.Components]
    mixing: dict[str, prepare.Mixing]  # of so many components as the settings say
    scan: np.ndarray  # (windows,): centers of windows 0.1 keV wide, in keV
    scan_raw: np.ndarray  # (windows, slices, size): counts in them
    scan_denoised: np.ndarray


@cached
def study(settings: ParticleSettings) -> SpectrumStudy:
    """Study the spectrum image nearest to 0 degrees, with the copper channels and without."""
    thickness, recording = mass_thickness(settings), acquire(settings)
    tilt = int(np.abs(recording.angles).argmin())
    here, energies = recording.spectra[tilt], simulate.energies()
    kept, copper = (prepare.channels_near(energies, near) for near in (NEAR_PEAKS, COPPER))
    side = max(process(settings).steps.tried)
    holder, near_peaks, near_copper = _record_copper(recording, thickness, tilt, copper, side)
    both = (
        energies[np.concatenate([kept, copper])],
        np.concatenate([near_peaks, near_copper], axis=1),
        sparse.hstack([here, holder], format="csr"),
    )
    sources = {
        "peaks": (energies[kept], near_peaks, here, True),
        "copper": (*both, True),
        "unscaled": (*both, False),
        "plain": (energies[kept], near_peaks, here, False),
    }
    found, maps, mixing, most = {}, {}, {}, max(COUNTS_OF_COMPONENTS)
    for name, (keV, parts, counts, scaled) in sources.items():
        found[name] = prepare.decompose(parts, keV, components=most, scaled=scaled)
        used = map_weights(keV, settings.background)
        mixing[name] = measured_mixing(parts, keV, used, settings.components, scaled)
        weights = [found[name].weights(used, count) for count in COUNTS_OF_COMPONENTS]
        maps[name] = np.stack([weighted_sum(counts, w, settings.size) for w in weights])
    raw = weighted_sum(here, map_weights(energies[kept], settings.background), settings.size)
    expected, inside = _without_noise(recording, thickness, tilt)

    def smoothed_error(made):
        return map_error(smooth_maps(made, settings), smooth_maps(expected, settings), inside)

    half = settings.size // 30
    middle = slice(settings.size // 2 - half, settings.size // 2 + half)
    region = recording.spectrum_image(tilt)[middle, middle].sum(axis=(0, 1), dtype=np.float64)
    scan = np.concatenate([np.arange(1.90, 3.91, 0.05), np.arange(9.40, 10.06, 0.05)]).round(2)
    in_window = np.stack([np.abs(energies[kept] - e) < 0.0501 for e in scan]).astype(np.float32)
    best = found["peaks"]
    return SpectrumStudy(
        settings=settings,
        angle=float(recording.angles[tilt]),
        energies=energies,
        spectrum=_whole_spectrum(recording, thickness, tilt, kept, copper, holder),
        kept=kept,
        region_raw=region,
        region_denoised=best.denoise(region[None], settings.components)[0],
        components=COUNTS_OF_COMPONENTS,
        raw=raw,
        expected=expected,
        raw_errors=map_error(raw, expected, inside),
        raw_smoothed_errors=smoothed_error(raw),
        maps=maps,
        errors={name: map_error(made, expected, inside) for name, made in maps.items()},
        smoothed_errors={name: smoothed_error(made) for name, made in maps.items()},
        found=found,
        mixing=mixing,
        scan=scan,
        scan_raw=weighted_sum(here, in_window, settings.size),
        scan_denoised=weighted_sum(
            here, best.weights(in_window, settings.components), settings.size
        ),
    )


def _record_copper(recording, thickness, tilt, copper, side):
    """Return the copper's counts at one tilt, and blocks of the peaks and of the copper of all.

    Of the copper at the other tilts only blocks are held.
    """
    settings = recording.settings
    masks = particle_masks(recording.haadf, settings, wide=True)

    def record(i):
        holder = record_spectra(settings, thickness, recording.zeta, i, copper, stream=4)
        parts = [blocks(counts, masks[i], side) for counts in (recording.spectra[i], holder)]
        return holder if i == tilt else None, *parts

    holders, near_peaks, near_copper = zip(*run(record, range(len(masks))))
    return holders[tilt], np.concatenate(near_peaks), np.concatenate(near_copper)


def _whole_spectrum(recording, thickness, tilt, kept, copper, holder):
    """Return the counts of all pixels in all channels, (2048,)."""
    spectrum = np.zeros(len(simulate.energies()))
    rest = np.setdiff1d(np.arange(len(spectrum)), np.concatenate([kept, copper]))
    others = record_spectra(recording.settings, thickness, recording.zeta, tilt, rest, stream=5)
    here = recording.spectra[tilt]
    for channels, counts in ((kept, here), (copper, holder), (rest, others)):
        spectrum[channels] = counts.sum(axis=0, dtype=np.int64)
    return spectrum


def _without_noise(recording, thickness, tilt):
    """Return what the maps of a tilt would be, (elements, slices, size), and where it shows."""
    one = slice(tilt, tilt + 1)
    moved = simulate.apply_drift(thickness[:, one], recording.spectrum_drift[one])[:, 0]
    kept = collection_efficiency(recording.settings.background)
    seen = recording.zeta * recording.response[tilt] * kept
    total = moved.sum(axis=0)
    return moved * seen[:, None, None].astype(np.float32), total > 0.01 * total.max()


def map_error(maps, expected, inside) -> np.ndarray:
    """Return how far maps are from the expected ones inside the particle, relative to these."""
    difference = (np.asarray(maps, np.float64) - expected)[..., inside]
    return np.linalg.norm(difference, axis=-1) / np.linalg.norm(
        np.asarray(expected, np.float64)[..., inside], axis=-1
    )


def stages(series: ProcessedSeries) -> dict[str, np.ndarray]:
    """Return the maps after each step of the processing: (elements, tilts, slices, size)."""
    found = series.steps
    smoothed = smooth_maps(found.denoised, series.settings)
    return {
        "as recorded": found.raw_maps,
        "denoised": found.denoised,
        "smoothed": smoothed,
        "normalized": prepare.normalize_tilts(smoothed, found.response),
        "aligned": series.maps,
    }


def step_errors(series: ProcessedSeries) -> dict[str, np.ndarray]:
    """Return the errors of the maps after each step of the processing: name -> (elements,).

    Over all tilts, in the pixels with particle, against maps without noise, drift and smoothing.
    """
    ideal = series.ideal_maps
    inside = series.ideal > 0.01 * series.ideal.max()
    return {name: map_error(maps, ideal, inside) for name, maps in stages(series).items()}


def step_signals(series: ProcessedSeries) -> dict:
    """Return what each step of the processing made, as HyperSpy signals with units and axes."""
    recorded, damping = series.steps.recorded, series.steps.damping
    undamped = prepare.correct_damping(recorded, damping.saturation)
    haadf = {"offset removed": recorded, "undamped": undamped, "aligned": series.haadf}
    like = {"pixel_size": series.voxel_size, "angles": series.angles}
    signals = {}
    for name, images in haadf.items():
        signals[f"HAADF, {name}"] = io.to_signal(images, title=f"HAADF, {name}", **like)
    like["elements"] = series.elements
    for name, maps in stages(series).items():
        signals[f"maps, {name}"] = io.to_signal(maps, title=f"Element maps, {name}", **like)
    return signals
