"""Tables of the chapter on a measured series."""

from collections import Counter

import numpy as np

from ..judging import EDS, relative
from ..tables import Table, signed
from .study import fit_and_doubts, mass_stages


def line_name(line):
    element, shell = line.split("_")
    return f"{element} {shell[0]}{shell[1:].replace('a', 'α').replace('b', 'β')}"


def line_table(study) -> Table:
    """Say which energies make each map, and how many counts it holds."""
    series = study.series
    rows = []
    for w, total in zip(series.windows, series.maps.sum(axis=(1, 2, 3)), strict=True):
        spans = [f"{low:.3f} to {high:.3f}" for low, high in (*w.peaks, *w.backgrounds[0])]
        counts = f"{total / 1e3:.1f}", f"{total / series.haadf.size:.2f}"
        rows.append((line_name(w.name), f"{w.energy:.3f}", *spans, *counts))
    return Table(
        ("line", "energy (keV)", "counted (keV)", "background left", "background right")
        + ("net counts (thousands)", "per pixel"),
        rows,
        title="Windows of the element maps, and what they hold over all tilts",
    )


def mass_table(study) -> Table:
    """Say how constant the row sums are after each step."""
    return Table(
        ("images", "change of the row sums over the tilts"),
        [(label, f"{100 * value:.1f} %") for label, value in mass_stages(study).items()],
        title="Is the same matter in each row at every tilt?",
    )


def ratio_table(fit) -> Table:
    """Show the response ratios, their errors, and how well they explain the HAADF images."""
    rows = zip(fit.names, fit.ratios, fit.standard_errors, fit.tilt_errors, strict=True)
    return Table(
        ("element", "response ratio r", "error from noise", "error from the tilts' spread"),
        [(name, f"{r:.0f}", _error(noise), _error(tilts)) for name, r, noise, tilts in rows],
        title=f"Response ratios from the tilt series alone; R² = {fit.r_squared:.3f}",
        note="HAADF intensity per count, and standard errors.",
    )


def doubt_table(study, names) -> Table:
    """Say what `response_ratios` warns of, with the noise of the maps taken off."""
    _, doubts = fit_and_doubts(study, names)
    return Table(
        ("response_ratios warns",),
        [(doubt.split(":")[0] + ".",) for doubt in doubts] or [("of nothing",)],
        title=f"{', '.join(names)}: what is doubtful",
    )


def _error(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else ""


def judged_table(judged, title: str) -> Table:
    """Show how much better or worse than EDS alone each contender predicts each element."""
    percent, errors = relative(judged)
    signs, mean = judged.verdicts(EDS), judged.mean()
    mark = {1: " ✓", -1: " ✗", 0: ""}
    rows = []
    for c, name in enumerate(judged.contenders):
        if name == EDS:
            cells = [f"{value:.3f}" for value in mean[c]]
        else:
            cells = [
                f"{_percent(p, 2 * e)}{mark[int(s)]}"
                for p, e, s in zip(percent[c], errors[c], signs[c], strict=True)
            ]
        rows.append((name, *cells, f"{mean[c].sum():.2f}", _chosen(judged.chosen[name])))
    return Table(
        ("method", *judged.elements, "sum of χ²", "chosen most often"),
        rows,
        title=title,
        note="First row: χ² per pixel. Others: difference to the first row, with two standard "
        "errors. ✓ better, ✗ worse, by more than these. Kernels in the pixels of the judged maps.",
    )


def _percent(value: float, error: float) -> str:
    digits = 0 if error >= 10 else 1
    return f"{signed(value, digits).removesuffix(' %')} ± {error:.{digits}f} %"


def _chosen(picks) -> str:
    (name, stop), _ = Counter(picks).most_common(1)[0]
    return f"{name}, {stop} iterations"


def held_out_table(result) -> Table:
    """Show each method's error at its best stop and at the last, per element."""
    rows = []
    for name, errors in zip(result.methods, result.mean(), strict=True):
        best = [f"{e.min():.3f} ({result.stops[e.argmin()]})" for e in errors.T]
        rows.append((f"{name}, best stop", *best))
        rows.append((f"{name}, {result.stops[-1]} iterations", *(f"{e:.3f}" for e in errors[-1])))
    return Table(
        ("method", *result.elements),
        rows,
        title="Error of the predicted maps, mean over the tilts held out",
        note="In brackets: iterations at the best stop. The noise of the measured map is part of "
        "every number, and the same in each column.",
    )
