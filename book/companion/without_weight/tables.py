"""Tables of the chapter."""

from __future__ import annotations

import numpy as np

from ..prose import list_text
from ..tables import Table, spread_text
from .particles import ParticleComparison
from .robustness import Robustness
from .runs import NAMES
from .study import PhantomComparison


def mean_text(values, digits: str = ".4f") -> str:
    """Write the mean of the seeds ± their standard deviation."""
    return spread_text(np.asarray(values).ravel(), digits)


def phantom_table(study: PhantomComparison) -> Table:
    """Return the errors of all methods on the phantom."""
    rows = []
    for method, course in study.courses.items():
        for stop in ("stated", "best") if method in ("eds", "hebt") else ("stated",):
            when = f"{course.stated}"
            if stop == "best":
                when = "best (" + ", ".join(map(str, course.best_iterations())) + ")"
            row = [NAMES[method], when]
            row += [mean_text(one) for one in study.error(method, stop=stop)]
            row += [mean_text(one, ",.0f") for one in study.error(method, stop=stop, name="dp")]
            rows.append(row)
    columns = [f"{name} {e}" for name in ("MSE", "DP") for e in study.elements]
    return Table(
        ("method", "iterations", *columns),
        rows,
        title=f"The phantom, {study.settings.size} × {study.settings.size}",
        note="MSE relative to the phantom, at the best scale; DP: pixels on the wrong side of the "
        "best threshold, in those of the paper's frame. Mean ± standard deviation over seeds "
        f"{list_text(study.settings.seeds)}. The best stops (of Au and of Ag) take the truth to "
        "know.",
    )


def ratio_table(study: PhantomComparison) -> Table:
    """Return each new method's error relative to those of HEBT and of EDS alone."""
    rows = []
    against = (("hebt", "stated"), ("hebt", "best"), ("eds", "best"))
    for method in study.courses:
        if method in ("eds", "hebt"):
            continue
        row = [NAMES[method]]
        for other, stop in against:
            row += [mean_text(one, ".3f") for one in study.ratio(method, other, stop)]
        rows.append(row)
    stated = study.courses["hebt"].stated
    names = (f"HEBT, {stated}", "HEBT, best", "EDS only, best")
    columns = [f"/ {name}: {e}" for name in names for e in study.elements]
    return Table(
        ("MSE of", *columns),
        rows,
        title="Errors relative to HEBT's and to those of EDS alone",
        note="Quotients of mean-squared errors, seed by seed: mean ± standard deviation. Below 1 "
        "the method is better.",
    )


def alloy_table(study: ParticleComparison) -> Table:
    """Return how well each method finds the alloy's composition."""
    error, slope = study.profile_error(), study.slope()
    rows = [
        (
            NAMES[method],
            iterations,
            _seeds(study.voxel_error[i]),
            _seeds(error[i]),
            _seeds(slope[i], ".3f"),
        )
        for i, (method, iterations) in enumerate(study.runs)
    ]
    return Table(
        ("method", "iterations", "error in a voxel", "error over shells", "slope"),
        rows,
        title="The alloy: atomic fraction of Au",
        note=_note(study) + " Errors are root mean squares of the atomic fraction; the slope is "
        "that of the profile over the true one, 1 if right, below 1 if composition is evened out.",
    )


def octahedron_table(study: ParticleComparison) -> Table:
    """Return the errors of the particle with the octahedron."""
    rows = [
        (NAMES[method], iterations, *(_seeds(each) for each in study.mse[i]))
        for i, (method, iterations) in enumerate(study.runs)
    ]
    return Table(
        ("method", "iterations", *(f"MSE {e}" for e in study.elements)),
        rows,
        title="The embedded octahedron",
        note=_note(study) + " MSE relative to the true volume fractions.",
    )


def _seeds(values, digits=".4f"):
    """Write the seeds that there are."""
    values = np.asarray(values)
    return mean_text(values[np.isfinite(values)], digits)


def _note(study):
    return (
        f"{study.scored} of {study.slices} slices about the middle of {study.size}; seeds "
        f"{list_text(study.seeds)}, guided TV with the first of them alone."
    )


def robustness_table(study: Robustness) -> Table:
    """Return the errors where something is wrong."""
    rows = []
    for place, case in enumerate(study.cases):
        row = [case.name]
        for method, stop in (("eds", "best"), ("hebt", "best"), ("fused", "stated")):
            row.append(_pair(study.error(place, method, stop=stop)))
        row += [_pair(study.error(place, "em")), _losses(study, place)]
        rows.append(row)
    return Table(
        ("what is wrong", "EDS only, best", "HEBT, best", "fused", "composition EM", "loses to"),
        rows,
        title="Errors when data or settings are wrong (MSE of Au / Ag)",
        note=f"Phantom of {study.size} × {study.size}; means over seeds {list_text(study.seeds)}. "
        "Last column: the methods that are better than composition EM at their best stop, and for "
        "which element.",
    )


def _pair(errors):
    return "\u00a0/\u00a0".join(f"{each.mean():.4f}" for each in errors)


def _losses(study, place):
    found = []
    for other, stop in (("eds", "best"), ("hebt", "best"), ("fused", "stated")):
        lost = study.loses(place, other, stop)
        if lost:
            found.append(f"{NAMES[other]} ({', '.join(lost)})")
    return "\n".join(found) or "none"
