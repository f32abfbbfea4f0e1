"""Tables of the chapter on the spectra."""

import numpy as np

import hebt
from hebt import prepare, simulate

from ..fidelity import fidelity
from ..paper import printed as paper_printed
from ..tables import Table, agreement
from .maps import collection_efficiency, crosstalk_matrix
from .settings import ELEMENTS, NEAR_PEAKS, WINDOWS, voxel_size
from .study import DENOISED, step_errors

PARTICLE_NAME = {"nonalloy": "embedded octahedron", "alloy": "alloy particle"}


def settings_table(*all_settings) -> Table:
    """Return the settings of the simulated experiments, beside what the paper prints."""

    def row(name, printed, form):
        return name, printed, *(form(s) for s in all_settings)

    def tilts(s):
        return f"{len(s.angles)}, from {s.angles[0]:g}° to {s.angles[-1]:g}°".replace("-", "−")

    rows = [
        row("pixels", "300 × 300", lambda s: f"{s.size} × {s.size}"),
        row("pixel (nm)", "not printed", lambda s: f"{voxel_size(s):.3g}"),
        row("tilts", "31 from −75° to 75°; 29 from −70° to 70°", tilts),
        row("energy channels", "2048", lambda s: f"2048, of which {_held()} are kept"),
        row(
            "X-ray counts per element and particle pixel",
            "about 4 (section 3.1, for the first particle)",
            lambda s: f"{s.counts * s.binning**2:g}, detectors free",
        ),
        row("HAADF noise", "not printed", lambda s: f"{s.noise / s.binning:g}"),
        row("HAADF saturation", "not printed", lambda s: f"{s.saturation:g}"),
        row("drift, standard deviation (pixels)", "not printed", lambda s: f"{_drift(s):g}"),
        row("principal components", "15", lambda s: f"{s.components}"),
        row(
            "smoothing kernel, σ (pixels)",
            "12 × 12, σ not printed",
            lambda s: "{0} × {0}, ".format(round(s.width / s.binning)) + f"{s.sigma / s.binning:g}",
        ),
        row("noise seed", "", lambda s: f"{s.seed}"),
    ]
    return Table(
        ("setting", "paper", *(PARTICLE_NAME[s.particle] for s in all_settings)),
        rows,
        title=f"This page was built at {fidelity()} fidelity with hebt {hebt.__version__}",
        note="Dose and settings were fixed before anything was reconstructed.",
    )


def _held():
    return len(prepare.channels_near(simulate.energies(), NEAR_PEAKS))


def _drift(s):
    return s.drift / s.binning


def alignment_table(*pairs) -> Table:
    """Return the root mean square of the drift left after each step, in pixels."""
    rows = []
    for series, steps in pairs:
        for name, shifts, drift in (
            ("HAADF, before", np.zeros_like(steps.drift), steps.drift),
            ("HAADF, cross-correlation of neighbours", steps.correlated, steps.drift),
            ("HAADF, centre of mass", steps.refined, steps.drift),
            ("element maps, onto HAADF", steps.map_shifts, steps.map_drift),
        ):
            left = prepare.alignment_error(shifts, drift, series.angles)
            along, across = np.sqrt((left**2).mean(axis=0))
            rows.append(
                (PARTICLE_NAME[series.settings.particle], name, f"{along:.3f}", f"{across:.3f}")
            )
    return Table(
        ("particle", "images", "along the axis (pixels)", "across it (pixels)"),
        rows,
        title="Root mean square of the drift that is left, against the known drift",
        note="After removing what no alignment can know: a constant along the axis, and "
        "a cos θ + b sin θ across it.",
    )


def window_table() -> Table:
    """Return which energies make each element's map."""
    rows = []
    for window in WINDOWS:
        for (low, high), sides in zip(window.peaks, window.backgrounds, strict=True):
            rows.append(
                (
                    window.name,
                    f"{low:.3f} to {high:.3f}",
                    "; ".join(f"{a:.3f} to {b:.3f}" for a, b in sides),
                )
            )
    shares = collection_efficiency()
    kept = ", ".join(f"{100 * s:.0f} % for {e}" for s, e in zip(shares, ELEMENTS, strict=True))
    matrix = crosstalk_matrix()
    crossing = " and ".join(
        f"{100 * matrix[1 - e, e]:+.1f} % ({name})" for e, name in enumerate(ELEMENTS)
    )
    return Table(
        ("element", "counted (keV)", "background (keV)"),
        rows,
        title="Energy windows of the element maps",
        note="Of the counts in the lines that the paper maps, less what is taken for background, "
        f"the windows keep {kept}. Of the other element's they count {crossing}, which is taken "
        "out again.",
    )


def step_table(*pairs) -> Table:
    """Return the errors of the element maps after each step of the processing."""
    columns, stages = [], {}
    for series, steps in pairs:
        errors = step_errors(series, steps)
        for e, element in enumerate(series.elements):
            columns.append(f"{PARTICLE_NAME[series.settings.particle]}, {element}")
            for name, values in errors.items():
                stages.setdefault(name, []).append(f"{100 * values[e]:.1f} %")
    return Table(
        ("maps", *columns),
        [(name, *cells) for name, cells in stages.items()],
        title="Error of the element maps after each step",
        note="Root mean square of the difference to the maps without noise, drift and smoothing, "
        "over that of these maps, in the particle at all tilts. Each row contains the steps "
        "above it.",
    )


def ratio_table(*all_series) -> Table:
    """Return the estimated response ratios beside the true and the printed ones, and R²."""
    rows = []
    for series in all_series:
        which = series.settings.particle
        name = PARTICLE_NAME[which]
        for e, element in enumerate(series.elements):
            true, ours = series.true_ratios[e], series.fit.ratios[e]
            rows.append(
                (
                    name,
                    f"r of {element}",
                    f"{paper_printed(f'{which}.r_est.{element}').value:.3g}",
                    f"{ours:.3e}",
                    f"{true:.3e}",
                    percent(ours / true),
                )
            )
        printed = [paper_printed(f"{which}.r_est.{e}").value for e in ("Ag", "Au")]
        ours = series.fit.ratios[1] / series.fit.ratios[0]
        true = series.true_ratios[1] / series.true_ratios[0]
        rows.append(
            (
                name,
                "r of Ag / r of Au",
                f"{printed[0] / printed[1]:.2f}",
                f"{ours:.2f}",
                f"{true:.2f}",
                percent(ours / true),
            )
        )
        paper = paper_printed(f"{which}.r_squared").value
        word = agreement(paper, series.fit.r_squared, best=1.0)
        rows.append((name, "R²", f"{paper:.2f}", f"{series.fit.r_squared:.3f}", "", word))
    return Table(
        ("particle", "number", "paper", "estimated here", "true here", "here: error, or agreement"),
        rows,
        title="Response ratios (HAADF intensity per count), Eq. 6",
        note="The paper's ratios are in its detector's own scale, which is not printed, so only "
        "their quotient and R² can be compared.",
    )


def percent(ratio):
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "−")


def numbers(*pairs, study) -> dict[str, str]:
    """Return the numbers that stand in the chapter's sentences: name -> text."""
    result = {}
    for series, steps in pairs:
        which = series.settings.particle
        saturation = steps.damping.saturation
        result[f"{which}_saturation"] = f"{saturation:.2f}"
        result["true_saturation"] = f"{series.settings.saturation:g}"
        damped = 1 - steps.recorded.max() / series.ideal.max()
        result[f"{which}_damped"] = f"{100 * damped:.0f} %"
        for name, shifts, drift in (
            ("correlated", steps.correlated, steps.drift),
            ("refined", steps.refined, steps.drift),
            ("maps", steps.map_shifts, steps.map_drift),
        ):
            left = prepare.alignment_error(shifts, drift, series.angles)
            result[f"{which}_{name}"] = f"{np.sqrt((left**2).mean(axis=0)).max():.3f}"
        wrong = steps.response / steps.true_response - 1
        result[f"{which}_response"] = f"{100 * np.abs(wrong).max():.1f} %"
        result[f"{which}_r_squared"] = f"{series.fit.r_squared:.3f}"
        printed = paper_printed(f"{which}.r_squared").value
        result[f"{which}_paper_r_squared"] = f"{printed:.2f}"
    kept = study.components.index(study.settings.components)
    for e, element in enumerate(ELEMENTS):
        for name in DENOISED:
            for count in (2, study.settings.components):
                error = study.smoothed_errors[name][study.components.index(count), e]
                result[f"{name}_{count}_{element}"] = f"{100 * error:.1f} %"
        result[f"raw_{element}"] = f"{100 * study.raw_errors[e]:.0f} %"
        result[f"denoised_{element}"] = f"{100 * study.errors['peaks'][kept, e]:.0f} %"
    return result
