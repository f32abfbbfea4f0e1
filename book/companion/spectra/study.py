"""What each step of the processing does to the maps."""

import dataclasses

import numpy as np
from scipy import sparse

from hebt import io, prepare, simulate

from ..store import cached
from ..threads import run
from .maps import _blocks, collection_efficiency, map_weights
from .processing import ProcessedSeries, Steps, smooth_maps, wide_masks
from .recording import _record, acquire
from .settings import COPPER, NEAR_PEAKS, ParticleSettings, mass_thickness

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


def study(settings: ParticleSettings) -> SpectrumStudy:
    """Study the spectrum image nearest to 0 degrees, with the copper channels and without."""
    return _spectrum_study(settings)


@cached
def _spectrum_study(settings):
    thickness = mass_thickness(settings)
    angles = np.array(settings.angles)
    tilt = int(np.abs(angles).argmin())
    energies = simulate.energies()
    used = prepare.channels_near(energies, NEAR_PEAKS)
    copper = prepare.channels_near(energies, COPPER)
    acquisition = acquire(settings)
    near_peaks = acquisition.spectrum_image(tilt)
    here, blocks, spectrum = _record_all(settings, thickness, acquisition, tilt, used, copper)
    moved = simulate.apply_drift(
        thickness[:, tilt : tilt + 1], acquisition.spectrum_drift[tilt : tilt + 1]
    )[:, 0]
    seen = acquisition.zeta * acquisition.response[tilt] * collection_efficiency()
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
        found[name] = prepare.decompose(parts, keV, components=most, scaled=scaled)
        weights = map_weights(keV)
        maps[name] = np.stack(
            [
                (counts @ found[name].weights(weights, count).T).T.reshape(expected.shape)
                for count in COUNTS_OF_COMPONENTS
            ]
        ).astype(np.float32)
        errors[name] = map_error(maps[name], expected, inside)
        smoothed[name] = map_error(
            smooth_maps(maps[name], settings), smooth_maps(expected, settings), inside
        )
    raw = _map(acquisition.spectra[tilt], map_weights(energies[used]), settings.size)

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
            smooth_maps(raw, settings), smooth_maps(expected, settings), inside
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


def _record_all(settings, thickness, acquisition, tilt, used, copper):
    """Record what lies beyond the mapped peaks too.

    Returns the copper of the tilt that is shown, blocks of the peaks and of the copper of all
    tilts, and the whole spectrum of the tilt.
    """
    energies = simulate.energies()
    angles = settings.angles
    rest = np.setdiff1d(np.arange(len(energies)), np.concatenate([used, copper]))
    masks = wide_masks(acquisition.haadf, settings)
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
    return here, blocks, spectrum


def _map(spectra, weights, size):
    return np.ascontiguousarray((spectra @ weights.T).T).reshape(-1, size, size).astype(np.float32)


def map_error(maps, expected, inside) -> np.ndarray:
    """Return how far maps are from the expected ones inside the particle, relative to these."""
    difference = (np.asarray(maps, np.float64) - expected)[..., inside]
    return np.linalg.norm(difference, axis=-1) / np.linalg.norm(
        np.asarray(expected, np.float64)[..., inside], axis=-1
    )


def stages(series, found):
    """Return the maps after each step of the processing: (elements, tilts, slices, size)."""
    smoothed = smooth_maps(found.denoised, series.settings)
    return {
        "as recorded": found.raw_maps,
        "denoised": found.denoised,
        "smoothed": smoothed,
        "normalized": prepare.normalize_tilts(smoothed, found.response),
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
    """Return what each step of the processing made, as HyperSpy signals with units and axes."""
    images = {
        "HAADF, offset removed": found.recorded,
        "HAADF, undamped": prepare.correct_damping(found.recorded, found.damping.saturation),
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
