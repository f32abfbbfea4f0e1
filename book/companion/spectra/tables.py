"""Tables of the chapter on the spectra."""

import numpy as np

import hebt
from hebt import prepare, simulate

from ..fidelity import fidelity
from ..paper import value
from ..tables import Table, signed
from .maps import collection_efficiency, crosstalk_matrix
from .processing import MIXED
from .settings import ELEMENTS, NEAR_PEAKS, WINDOWS, specimen
from .study import step_errors

PARTICLE_NAME = {"nonalloy": "embedded octahedron", "alloy": "alloy particle"}
ALIGNED = {
    "before": "HAADF, before",
    "correlated": "HAADF, cross-correlation of neighbors",
    "refined": "HAADF, center of mass",
    "maps": "element maps, onto HAADF",
}

DECOMPOSED = {
    "peaks": ("near the peaks", "yes"),
    "copper": ("and copper", "yes"),
    "plain": ("near the peaks", "no"),
    "unscaled": ("and copper", "no"),
}
_MIXED_COLUMNS = ("Au in the Au map", "Ag in the Ag map", "Ag in the Au map", "Au in the Ag map")


def settings_table(*all_settings) -> Table:
    """Return the settings of the simulated experiments, beside what the paper prints."""

    def tilts(s):
        return f"{len(s.angles)}, from {s.angles[0]:g}° to {s.angles[-1]:g}°".replace("-", "−")

    def kernel(s):
        width = round(s.width / s.binning)
        return f"{width} × {width}, {s.sigma / s.binning:g}"

    held = len(prepare.channels_near(simulate.energies(), NEAR_PEAKS))
    rows = [
        ("pixels", "300 × 300", lambda s: f"{s.size} × {s.size}"),
        ("pixel (nm)", "not printed", lambda s: f"{specimen(s).voxel_size:.3g}"),
        ("tilts", "31 from −75° to 75°; 29 from −70° to 70°", tilts),
        ("energy channels", "2048", lambda s: f"2048, of which {held} are kept"),
        (
            "X-ray counts per element and particle pixel",
            "about those of the phantom (section 3.1, for the first particle)",
            lambda s: f"{s.counts * s.binning**2:g}, detectors free",
        ),
        (
            "HAADF: electrons of the beam per pixel",
            "not printed",
            lambda s: f"{s.electrons * s.binning**2:,.0f}",
        ),
        (
            "HAADF: noise of the readout (relative intensity)",
            "not printed",
            lambda s: f"{s.noise / s.binning:.2g}",
        ),
        (
            "HAADF: intensity when all electrons reach the detector (saturation)",
            "not printed",
            lambda s: f"{s.saturation:g}",
        ),
        ("absorption of X-rays", "called negligible (section 2.1)", lambda s: _on(s.absorption)),
        ("drift, standard deviation (pixels)", "not printed", lambda s: f"{s.drift / s.binning:g}"),
        ("principal components", "15", lambda s: f"{s.components}"),
        ("smoothing kernel, σ (pixels)", "12 × 12, σ not printed", kernel),
        ("noise seed", "", lambda s: f"{s.seed}"),
    ]
    rows = [(name, printed, *map(form, all_settings)) for name, printed, form in rows]
    return Table(
        ("setting", "paper", *(PARTICLE_NAME[s.particle] for s in all_settings)),
        rows,
        title=f"This page was built at {fidelity()} fidelity with hebt {hebt.__version__}",
        note="Dose and settings were fixed before anything was reconstructed.",
    )


def _on(switch):
    return "on" if switch else "off"


def alignment_table(*all_series) -> Table:
    """Return the root mean square of the drift left after each step, in pixels."""
    rows = []
    for series in all_series:
        which = PARTICLE_NAME[series.settings.particle]
        for key, left in series.drift_left().items():
            along, across = np.sqrt((left**2).mean(axis=0))
            rows.append((which, ALIGNED[key], f"{along:.3f}", f"{across:.3f}"))
    return Table(
        ("particle", "images", "along the axis (pixels)", "across it (pixels)"),
        rows,
        title="Root mean square of the drift that is left, against the known drift",
        note="After removing what no alignment can know: a constant along the axis, and "
        "a cos θ + b sin θ across it.",
    )


def window_table() -> Table:
    """Return which energies make each element's map."""

    def keV(*windows):
        return "; ".join(f"{low:.3f} to {high:.3f}" for low, high in windows)

    rows = [
        (window.name, keV(peak), keV(*sides))
        for window in WINDOWS
        for peak, sides in zip(window.peaks, window.backgrounds, strict=True)
    ]
    shares = collection_efficiency()
    kept = ", ".join(f"{100 * s:.0f} % for {e}" for s, e in zip(shares, ELEMENTS, strict=True))
    matrix = crosstalk_matrix()
    crossing = " and ".join(
        f"{signed(100 * matrix[1 - e, e])} ({name})" for e, name in enumerate(ELEMENTS)
    )
    return Table(
        ("element", "counted (keV)", "background (keV)"),
        rows,
        title="Energy windows of the element maps",
        note="Of the counts in the lines that the paper maps, less what is taken for background, "
        f"the windows keep {kept}. Of the other element's they count {crossing}, which is taken "
        "out again.",
    )


def step_table(*all_series) -> Table:
    """Return the errors of the element maps after each step of the processing."""
    columns = {}
    for series in all_series:
        errors = step_errors(series)
        for e, element in enumerate(series.elements):
            name = f"{PARTICLE_NAME[series.settings.particle]}, {element}"
            columns[name] = [f"{100 * values[e]:.1f} %" for values in errors.values()]
    return Table(
        ("maps", *columns),
        list(zip(errors, *columns.values(), strict=True)),
        title="Error of the element maps after each step",
        note="Root mean square of the difference to the maps without noise, drift and smoothing, "
        "over that of these maps, in the particle at all tilts. Each row contains the steps "
        "above it.",
    )


def _with_error(percent: float, error: float) -> str:
    """Write a percentage with its error, which is left out where no digit shows it."""
    shown = f"{error:.1f}"
    return f"{percent:.1f}{f' ± {shown}' if float(shown) else ''} %"


def blocks_table(*all_series) -> Table:
    """Return what the chain measured of mixing on its way to the blocks that it took."""
    rows = []
    for series in all_series:
        which = PARTICLE_NAME[series.settings.particle]
        for side, mixing in series.steps.tried.items():
            taken = mixing is series.mixing
            true = f"{100 * series.steps.true_mixing.worst:.1f} %" if taken else ""
            text = _with_error(100 * mixing.worst, 100 * mixing.share_errors.max())
            rows.append((which, f"{side} × {side}", text, true, "taken" if taken else "refused"))
    return Table(
        ("particle", "blocks (pixels)", "mixing, measured", "mixing, true", ""),
        rows,
        title="What the denoised maps mix",
        note="The largest part of a map that comes from the other element, or is lost, relative to "
        "what the map ought to hold. Each third of the blocks measures it for the components of "
        "the others; their mean, with its standard error. Blocks are refused from "
        f"{100 * MIXED:g} % on.",
    )


def copper_table(*studies) -> Table:
    """Return what principal components mix with the copper and without it."""
    rows = []
    for one in studies:
        which = PARTICLE_NAME[one.settings.particle]
        for name, (channels, scaled) in DECOMPOSED.items():
            shares = one.mixing[name].shares
            texts = (
                f"{100 * s:+.1f} %".replace("-", "−") for s in (*np.diag(shares), shares[0, 1])
            )
            last = f"{100 * shares[1, 0]:+.1f} %".replace("-", "−")
            rows.append((which, channels, scaled, *texts, last))
    return Table(
        ("particle", "channels", "scaled", *_MIXED_COLUMNS),
        rows,
        title=f"What {studies[0].settings.components} components mix, with and without the copper",
        note="Relative to what the map ought to hold; 0 where nothing is lost or added.",
    )


def ratio_table(*all_series) -> Table:
    """Return the estimated response ratios beside the true and the printed ones, and R²."""
    rows = []
    for series in all_series:
        which = series.settings.particle
        particle, true = PARTICLE_NAME[which], series.true_ratios
        printed = [value(f"{which}.r_est.{element}") for element in series.elements]
        plain, fit = series.plain.ratios, series.fit.ratios
        errors = 100 * series.fit.standard_errors / fit
        for e, element in enumerate(series.elements):
            off = [signed(100 * (ours[e] / true[e] - 1)) for ours in (plain, fit)]
            texts = f"{printed[e]:.3g}", f"{true[e]:.3e}", off[0], f"{off[1]} ± {errors[e]:.1f} %"
            rows.append((particle, f"r of {element}", *texts))
        quotients = [f"{r[1] / r[0]:.2f}" for r in (printed, true, plain, fit)]
        rows.append((particle, "r of Ag / r of Au", *quotients))
        ours = f"{series.plain.r_squared:.3f}", f"{series.fit.r_squared:.3f}"
        rows.append((particle, "R²", f"{value(f'{which}.r_squared'):.2f}", "", *ours))
    return Table(
        ("particle", "number", "paper", "true here", "here, as in the paper", "here, corrected"),
        rows,
        title="Response ratios (HAADF intensity per count), the paper's Eq. 6",
        note="Of ratios, the errors against the truth. As in the paper: sharp HAADF, noise left "
        "in. Corrected: HAADF as smooth as the maps, noise taken off, with the standard error from "
        "the noise. The paper's ratios are in its detector's own scale, which is not printed, so "
        "only their quotient and R² can be compared.",
    )


def numbers(*all_series, study, alloy_study) -> dict[str, str]:
    """Return the numbers that stand in the chapter's sentences: name -> text."""
    result = {"most_mixed": f"{100 * MIXED:g} %"}
    for series in all_series:
        steps, left = series.steps, series.drift_left()
        damped = 1 - steps.recorded.max() / series.ideal.max()
        wrong = steps.response / steps.true_response - 1
        which = series.settings.particle
        found = {
            "saturation": f"{steps.damping.saturation:.2f}",
            "damped": f"{100 * damped:.0f} %",
            "response": f"{100 * np.abs(wrong).max():.1f} %",
            "r_squared": f"{series.plain.r_squared:.3f}",
            "mixing": f"{100 * series.mixing.worst:.1f} %",
            "paper_quotient": "{:.2f}".format(
                value(f"{which}.r_est.Ag") / value(f"{which}.r_est.Au")
            ),
            "paper_r_squared": f"{value(f'{which}.r_squared'):.2f}",
        }
        for name in ("correlated", "refined", "maps"):
            found[name] = f"{np.sqrt((left[name] ** 2).mean(axis=0)).max():.3f}"
        result |= {f"{which}_{name}": text for name, text in found.items()}
        result["true_saturation"] = f"{series.settings.saturation:g}"
    ours = [series.plain.ratios[1] / series.plain.ratios[0] for series in all_series]
    paper = [float(result[f"{one.settings.particle}_paper_quotient"]) for one in all_series]
    for name, quotients in {"": ours, "paper_": paper}.items():
        result[f"{name}quotient_fall"] = f"{100 * (1 - quotients[-1] / quotients[0]):.0f} %"
    for one in (study, alloy_study):
        for name, mixing in one.mixing.items():
            found = f"{100 * mixing.worst:.0f} %"
            result[f"{one.settings.particle}_{name}_mixing"] = found
    kept = study.settings.components
    for e, element in enumerate(ELEMENTS):
        for name in study.found:
            for count in (2, kept):
                error = study.smoothed_errors[name][study.components.index(count), e]
                result[f"{name}_{count}_{element}"] = f"{100 * error:.1f} %"
        denoised = study.errors["peaks"][study.components.index(kept), e]
        result[f"raw_{element}"] = f"{100 * study.raw_errors[e]:.0f} %"
        result[f"denoised_{element}"] = f"{100 * denoised:.0f} %"
    return result
