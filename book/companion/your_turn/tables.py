"""Tables of the chapter."""

from __future__ import annotations

import re

import numpy as np

from hebt.io import TiltSeries

from ..dust.judgement import EDS, FREE, POISSON, STRONG, Judgement
from ..tables import Table
from ..without_weight.robustness import Robustness
from ..without_weight.study import PhantomComparison
from .journey import fitted_lists
from .mistakes import Mistakes, Tried
from .recording import RANGES, STEPS, Recording

# the cases of `without_weight.robustness` that are shown, as they are called there
CASES = (
    "HAADF with 3 % noise, S not stopped",
    "HAADF damped, not corrected",
    "maps one pixel beside HAADF",
)


def list_table(series: TiltSeries) -> Table:
    """Say what the response ratios are with several lists of elements."""
    rows = []
    for one in fitted_lists(series):
        fit = one.fit
        ratios = dict(zip(fit.names, map(_ratio, fit.ratios, fit.standard_errors), strict=True))
        r_squared = f"{fit.r_squared:.2f}".replace("-", "−")
        said = " ".join(_short(text) for text in one.doubts) or "nothing"
        each = (ratios.get(name, "") for name in series.elements)
        rows.append((one.name, *each, r_squared, said))
    return Table(
        ("list of elements", *series.elements, "R²", "hebt warns"),
        rows,
        title="The same files, with three lists of elements",
        note="Response ratios with their standard errors, HAADF intensity per count; warnings are "
        "cut to what they say.",
    )


def _ratio(ratio: float, error: float) -> str:
    return f"{ratio:.0f}\u00a0±\u00a0{error:.0f}" if ratio > 0 else "0"


def _short(text: str) -> str:
    """Return what a warning says, without what it advises."""
    text = re.sub(r"\(whose map is like that of (\w+), cosine [\d.]+\)", r"(like \1)", text)
    return re.split(r"(?<=[a-z)]): |(?<=[\w)])\. [A-Z]|, by more than", text)[0] + "."


def recording_table(study: Recording) -> Table:
    """Show the error over the range and the step of the tilts."""
    rows = []
    for most in RANGES:
        means = [study.errors[most, step].mean(axis=1) for step in STEPS]
        each = ["\n".join(f"{e} {v:.3f}" for e, v in zip(study.elements, m)) for m in means]
        rows.append((f"±{most}°", *each))
    return Table(
        ("range", *(f"step of {step:g}°" for step in STEPS)),
        rows,
        title="Error over range and step of the tilts, with the same X-rays in all",
        note=f"MSE relative to the phantom of {study.size} × {study.size} pixels, by composition "
        f"EM; {study.counts:.0f} thousand counts per element, however many tilts share them. HAADF "
        "without noise.",
    )


def mistake_table(study: Mistakes) -> Table:
    """Show each mistake, what hebt says of it, its cure, and the errors."""
    right = (f"{name} {error:.2f}" for name, error in study.right.errors.items())
    rows = [("Nothing wrong", "nothing", "", "\n".join(right))]
    for one in study.each:
        said = " ".join(dict.fromkeys(_short(w) for w in one.wrong.warned)) or "nothing"
        errors = (
            f"{name} {_error(one.wrong, name)} → {_error(one.cured, name)}"
            for name in study.right.errors
        )
        rows.append((f"{one.name}: {one.sign}", said, one.cure, "\n".join(errors)))
    return Table(
        ("mistake, and how it shows", "hebt warns", "cure", "error, with the mistake → cured"),
        rows,
        title="Mistakes, and their cures",
        note="MSE relative to the simulated particle, at the best scale. "
        f"HEBT with α = {study.settings.alpha:g}, {study.settings.iterations} iterations; where "
        "the particle leaves the field, within what the field shows. Warnings are those at the "
        "ratios; hebt also warns of overlaps when lines are chosen, and of a horizontal tilt axis "
        "in align().",
    )


def _error(tried: Tried, name: str) -> str:
    return f"{tried.errors[name]:.2f}" if name in tried.errors else "none"


def when_table(phantom: PhantomComparison, wrong: Robustness, judged: Judgement) -> Table:
    """Show errors with HAADF relative to those without, where it helps and where it does not."""
    rows = [
        ("phantom: HAADF linear, aligned, without noise", f"{name}, against EDS alone", text)
        for name, text in (
            ("composition EM", _each(phantom.elements, phantom.ratio("em", "eds", "best"))),
            ("HEBT", _each(phantom.elements, _best(phantom))),
        )
    ]
    for name in CASES:
        place = [case.name for case in wrong.cases].index(name)
        ratio = wrong.error(place, "em") / wrong.error(place, "eds", stop="best")
        what = "phantom: " + name.replace(", S not stopped", ", of which S is not told")
        rows.append((what, "composition EM, against EDS alone", _each(wrong.elements, ratio)))
    total = dict(zip(judged.tilts.contenders, judged.tilts.mean().sum(axis=1), strict=True))
    rows += [
        (
            "dust: HAADF saturates",
            f"{STRONG}, against EDS alone",
            f"{total[STRONG] / total[EDS]:.2f}",
        ),
        (
            "dust: HAADF saturates",
            "composition EM, against the same without HAADF",
            f"{total[FREE] / total[POISSON]:.2f}",
        ),
    ]
    return Table(
        ("data", "method", "error with HAADF / without"),
        rows,
        title="When HAADF helps, and when it does not",
        note="Below 1 HAADF helps. Phantom: MSE against the truth, EDS alone and HEBT at their "
        "best stops; from the chapter on HEBT without a weight. Dust: χ² of held-out tilts, added "
        "up over the elements; from the chapter on measured dust.",
    )


def _best(phantom: PhantomComparison) -> np.ndarray:
    return phantom.error("hebt", stop="best") / phantom.error("eds", stop="best")


def _each(elements, values) -> str:
    means = np.asarray(values).reshape(len(elements), -1).mean(axis=1)
    return ", ".join(f"{e} {v:.2f}" for e, v in zip(elements, means, strict=True))
