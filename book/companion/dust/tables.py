"""Tables of the chapter on a measured series."""

from ..tables import Table
from .study import mass_stages


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
    """Show the response ratios and how well they explain the HAADF images."""
    return Table(
        ("element", "response ratio r (HAADF intensity per count)"),
        [(name, f"{ratio:.0f}") for name, ratio in zip(fit.names, fit.ratios, strict=True)],
        title=f"Response ratios from the tilt series alone; R² = {fit.r_squared:.3f}",
    )


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
