"""The explorers of the chapter from spectra to element maps: tilt, components, energy window."""

import numpy as np

from hebt import explorers, prepare

from ..origins import explained
from ..store import remembered
from .processing import process
from .settings import ELEMENTS, ParticleSettings
from .study import SpectrumStudy, stages

STEPS = ("as recorded", "denoised", "smoothed", "normalized and aligned")
NAMES = {"nonalloy": "the particle with the octahedron", "alloy": "the alloy particle"}
CHANNELS = {
    "near the Au and Ag peaks": "peaks",
    "Cu as well": "copper",
    "Cu as well, not scaled": "unscaled",
    "near the peaks, not scaled": "plain",
}
COUNTS = {"unit": "counts per pixel", "cmap": "viridis"}


def _shown(images, size=75):
    """Images as a page shows them: the mean of blocks of pixels, about `size` of them a side."""
    factor = max(1, images.shape[-1] // size)
    return prepare.bin_images(images, factor, mean=True)


def _top(images, percent=99.8):
    return float(f"{max(np.percentile(images, percent), 1e-6):.2g}")


@remembered
def _walk(settings):
    series = process(settings)
    made = stages(series)
    shown = ("as recorded", "denoised", "smoothed", "aligned")
    maps = {name: _shown(made[stage]) for name, stage in zip(STEPS, shown, strict=True)}
    return series, maps, _shown(series.haadf), _shown(series.fit.predict(series.maps))


@explained
def explore_maps(settings: ParticleSettings) -> explorers.FrameExplorer:
    """Return the explorer of Figure 3: all tilts of a particle after each step."""
    series, maps, haadf, predicted = _walk(settings)
    angles = [float(a) for a in series.angles]

    def compute(tilt, step):
        place = angles.index(tilt)
        au, ag = maps[step][:, place]
        shown = {"Au": au, "Ag": ag, "haadf": haadf[place], "predicted": predicted[place]}
        misfit = np.linalg.norm(predicted[place] - haadf[place]) / np.linalg.norm(haadf[place])
        return shown | {"Au_mean": au.mean(), "Ag_mean": ag.mean(), "misfit": 100 * misfit}

    panels = []
    for element, final in zip(ELEMENTS, maps[STEPS[-1]], strict=True):
        alt = f"Map of {element} at {{tilt}} degrees, {{step}}."
        panels.append(explorers.Panel(element, element, (0, _top(final)), alt=alt, **COUNTS))
    look = {"limits": (0, _top(haadf)), "unit": "HAADF intensity", "depends": ("tilt",)}
    for name, what in (("haadf", "HAADF, corrected and aligned"), ("predicted", "Weighted sum")):
        alt = f"{what} at {{tilt}} degrees."
        panels.append(explorers.Panel(name, what, alt=alt, **look))
    wanted = {"nonalloy": -75.0, "alloy": 30.0}[settings.particle]  # as in Figure 3
    start = min(angles, key=lambda angle: abs(angle - wanted))
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("tilt", "Tilt", angles, start, "°"),
            explorers.Control("step", "Element maps", STEPS, STEPS[-1]),
        ],
        panels,
        readouts=[
            *(explorers.Readout(f"{e}_mean", "mean", "", ".3g", e) for e in ELEMENTS),
            explorers.Readout(
                "misfit", "differs from HAADF by", "%", ".1f", "predicted", depends=("tilt",)
            ),
        ],
        columns=2,
        alt=f"Maps of Au and Ag of {NAMES[settings.particle]} at {{tilt}} degrees, {{step}}; its "
        "HAADF image and the sum of its maps weighted by the response ratios, which differ by "
        "{misfit} percent.",
        caption="Element maps after each step, the HAADF image, and the sum of the final maps "
        "weighted by the response ratios; binned for display.",
        filename=f"maps-{settings.particle}",
    )


@explained
def explore_components(study: SpectrumStudy) -> explorers.FrameExplorer:
    """Return the explorer of the number of components, and of the channels that are decomposed."""
    counts, kept = study.components, study.settings.components
    raw, expected = _shown(study.raw), _shown(study.expected)
    maps = {name: _shown(images) for name, images in study.maps.items()}

    def compute(count, channels):
        name, i = CHANNELS[channels], counts.index(count)
        errors, result = {}, {}
        for e, element in enumerate(ELEMENTS):
            result[f"{element}_raw"] = raw[e]
            result[f"{element}_map"] = maps[name][i, e]
            result[f"{element}_true"] = expected[e]
            result[f"{element}_error"] = 100 * study.errors[name][i, e]
            errors[element] = 100 * study.smoothed_errors[name][:, e]
            without = 100 * study.raw_smoothed_errors[e]
            errors[f"{element}, not denoised"] = np.full(len(counts), without)
        return result | {"errors": errors}

    curve = explorers.Curve(
        "errors",
        "Error of the smoothed maps",
        "count",
        [*ELEMENTS, *(f"{element}, not denoised" for element in ELEMENTS)],
        "error",
        "%",
        log="xy",
        alt="Error of the smoothed maps over the number of components, with the channels "
        "{channels}.",
    )
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("count", "Components kept", counts, kept),
            explorers.Control("channels", "Channels", tuple(CHANNELS)),
        ],
        _component_panels(raw),
        readouts=[
            explorers.Readout(f"{element}_error", "error", "%", ".1f", f"{element}_map")
            for element in ELEMENTS
        ],
        curves=[curve],
        columns=3,
        alt="Maps of Au and Ag at one tilt: as recorded, from {count} principal components of the "
        "channels {channels}, and without noise.",
        caption="Element maps of one tilt, not smoothed, from the first principal components. "
        "The error is the root mean square of the difference to the map without noise, in the "
        "particle. The curves are for smoothed maps.",
        filename="components",
    )


def _component_panels(raw):
    """Return three panels for each element."""
    panels = []
    for element, image in zip(ELEMENTS, raw, strict=True):
        name, look = f"Map of {element}", {"limits": (0, _top(image)), **COUNTS}
        found = (
            f"{name} from {{count}} components, {{channels}}; error {{{element}_error}} percent."
        )
        for key, what, alt, depends in (
            ("raw", "as recorded", f"{name} as recorded.", ()),
            ("map", "denoised", found, None),
            ("true", "without noise", f"{name} without noise.", ()),
        ):
            look |= {"alt": alt, "depends": depends}
            panels.append(explorers.Panel(f"{element}_{key}", f"{element}, {what}", **look))
    return panels


@explained
def explore_energy_window(study: SpectrumStudy) -> explorers.FrameExplorer:
    """Return the explorer of the energy window: any part of the spectrum as a map."""
    energies = [float(e) for e in study.scan]
    raw, denoised = _shown(study.scan_raw), _shown(study.scan_denoised)
    total = study.scan_raw.sum(axis=(1, 2), dtype=np.float64)
    limits = (0, max(_top(image) for image in raw))

    def compute(energy):
        i = energies.index(energy)
        spectrum = {"all pixels": np.maximum(total, 1)}
        return {"raw": raw[i], "denoised": denoised[i], "counts": total[i], "spectrum": spectrum}

    panels = []
    denoising = f"denoised, {study.settings.components} components"
    for name, title in (("raw", "as recorded"), ("denoised", denoising)):
        alt = f"Counts in a window at {{energy}} kiloelectronvolts, {title}."
        panels.append(explorers.Panel(name, title, limits, alt=alt, **COUNTS))
    curve = explorers.Curve(
        "spectrum",
        "Counts in the window, all pixels",
        "energy",
        ["all pixels"],
        "counts",
        log="y",
        depends=(),
        alt="Counts over the center of the window, from 1.9 to 3.9 and from 9.4 to 10 "
        "kiloelectronvolts, with peaks of Au at 2.15 and 9.7, and of Ag at 3.",
    )
    return explorers.FrameExplorer(
        compute,
        [explorers.Control("energy", "Center of the window", energies, 2.15, "keV", ".2f")],
        panels,
        readouts=[explorers.Readout("counts", "counts in the window, all pixels", format=",.0f")],
        curves=[curve],
        columns=2,
        alt="What was counted within 0.05 keV of {energy} keV: {counts} counts.",
        caption="A window of 0.1 keV over the spectrum of one tilt. At 2.15 and 9.70 keV it "
        "counts Au, at 3.00 keV Ag, and elsewhere background.",
        filename="energy-window",
    )
