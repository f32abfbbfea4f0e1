"""What is found for the equations, tables, numbers and sentences of the paper."""

from __future__ import annotations

import numpy as np

from hebt import prepare

from ..models.theory import numbers as trust
from ..paper import printed, value
from ..particles.measures import PAIRS
from ..particles.verdicts import alloy_verdicts, nonalloy_verdicts, printed_change
from ..phantom.claims import all_claims
from ..phantom.measures import METHODS
from ..phantom.tables import paper_consistency_table
from ..scores import BEST_IS_LARGE
from ..sweeps.claims import claims_table as sweep_claims_table
from ..tables import agreement, spread_text, verdict
from .equations import TOLERANCE
from .found import AGREES, CANNOT, DIFFERS, NO_NUMBER, RULE, Found, of_flags, of_word, of_words
from .rows import Row

CHANNEL, WIDTH = 0.010, 0.13  # keV: a channel of the spectra, and the width of a line in them
TABLES = {"table1": ("phantom", METHODS), "table2": ("nonalloy", ("eds", "hebt"))}
FORMAT = {"ssim": ".4f", "mse": ".4f", "dp": ",.0f"}
# what the chapters take for a printed setting
SETTINGS = {
    "phantom.size": lambda r: r.phantom.settings.size,
    "phantom.tilts": lambda r: len(r.phantom.settings.angles),
    "phantom.tilt_first": lambda r: r.phantom.settings.angles[0],
    "phantom.tilt_last": lambda r: r.phantom.settings.angles[-1],
    "phantom.tilt_step": lambda r: np.diff(r.phantom.settings.angles).mean(),
    "phantom.z.Au": lambda r: r.phantom.settings.z[0],
    "phantom.z.Ag": lambda r: r.phantom.settings.z[1],
    "phantom.zeta.Au": lambda r: r.phantom.settings.zeta[0],
    "phantom.zeta.Ag": lambda r: r.phantom.settings.zeta[1],
    "phantom.filter_width": lambda r: r.phantom.settings.width,
    "phantom.alpha": lambda r: r.phantom.settings.alpha,
    "phantom.iterations": lambda r: r.phantom.settings.iterations,
    "nonalloy.tilt_first": lambda r: r.nonalloy.settings[0].angles[0],
    "nonalloy.tilt_last": lambda r: r.nonalloy.settings[0].angles[-1],
    "nonalloy.size": lambda r: r.nonalloy.settings[0].size,
    "alloy.tilts": lambda r: len(r.alloy.settings[0].angles),
    "alloy.tilt_first": lambda r: r.alloy.settings[0].angles[0],
    "alloy.tilt_last": lambda r: r.alloy.settings[0].angles[-1],
    "alloy.alpha": lambda r: value("alloy.alpha"),
    "alloy.iterations": lambda r: r.alloy.iterations,
    "particles.tilt_step": lambda r: np.diff(r.nonalloy.settings[0].angles).mean(),
    "particles.energy_channels": lambda r: len(r.spectrum.energies),
    "particles.pca_components": lambda r: r.nonalloy.settings[0].components,
    "particles.filter_width": lambda r: r.nonalloy.settings[0].width,
    "particles.size": lambda r: r.nonalloy.settings[0].size,
}


def plain(number: float) -> str:
    """Write a number as it is printed."""
    return f"{number:,.6g}".replace("-", "−")


def only(texts, prefix: str):
    """Return the one entry whose first item begins with `prefix`."""
    found = [entry for entry in texts if entry[0].startswith(prefix)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} entries begin with {prefix!r}; expected one.")
    return found[0]


def settings(row: Row, results) -> Found:
    """Compare printed settings with those of the chapters."""
    ours = [float(SETTINGS[key](results)) for key in row.keys]
    paper = [value(key) for key in row.keys]
    texts = (", ".join(map(plain, values)) for values in (paper, ours))
    return Found(*texts, "the same", of_flags(np.allclose(ours, paper, rtol=1e-9)))


def equation(row: Row, results, number: int) -> Found:
    """Compare what `hebt` computes with an equation taken literally."""
    found, limit = results.equations[number], TOLERANCE[number]
    text = f"apart by {found:.0e} of the largest value".replace("e-0", "e-").replace("-", "−")
    limit_text = f"{limit:.0e}".replace("e-0", "e-").replace("-", "−")
    return Found("the formula", text, limit_text, of_flags(found <= limit))


def objective(row: Row, results) -> Found:
    """Compare what Eq. 9 weighs with what SIRT does."""
    texts = trust()
    paper, ours = (texts[f"models_trust_{name}"] for name in ("eq9", "sirt"))
    word = agreement(float(paper), float(ours))
    return Found(
        f"at α = 0.7 HAADF weighs {paper} times EDS",
        f"{ours} times, as SIRT solves Eq. 11 for two elements",
        RULE,
        of_word(word),
    )


def score(row: Row, results, table: str, name: str, element: str) -> Found:
    """Compare the cells of a table for one score and element."""
    study, methods = TABLES[table]
    scores = getattr(results, study).scores
    scores = scores["segmented"] if table == "table2" else scores
    paper = [value(f"{table}.{name}.{element}.{m}") for m in methods]
    ours = [scores.at(name, m, element) for m in methods]
    words = [verdict(p, o, name) for p, o in zip(paper, ours, strict=True)]
    place = methods.index("hebt_est" if table == "table1" else "hebt"), methods.index("eds")
    theirs = np.subtract(*(paper[i] for i in place))
    signs = np.sign(np.subtract(*(ours[i] for i in place)))
    digits = FORMAT[name]
    if name == "mse" and table == "table2":
        digits = ".5f"
    return Found(
        "; ".join(format(p, FORMAT[name]) for p in paper),
        "; ".join(spread_text(o, digits) for o in ours),
        f"{RULE}, or HEBT against EDS as there{', of 1 − SSIM' * (name in BEST_IS_LARGE)}",
        of_words(words, in_kind=bool((signs == np.sign(theirs)).all())),
    )


def phantom_claim(row: Row, results, prefix: str) -> Found:
    """Return a claim of the phantom chapter."""
    claim = only(all_claims(results.phantom, results.stability), prefix)
    paper = "; ".join(plain(value(key)) for key in row.keys) or NO_NUMBER
    status = AGREES if claim.holds else DIFFERS
    return Found(paper, claim.found, claim.test, status)


def verdict_of(row: Row, results, particle: str, prefix: str) -> Found:
    """Return a verdict of a chapter on a particle."""
    if particle == "nonalloy":
        found = only(nonalloy_verdicts(results.nonalloy), prefix)
    else:
        found = only(alloy_verdicts(results.alloy, results.series["nonalloy"]), prefix)
    paper = "; ".join(plain(value(key)) for key in row.keys) or row.value or NO_NUMBER
    if found.said.startswith("r of"):
        paper = f"{printed_change():.2f} times"
    if found.said.startswith(("R²", "the values", "r of")):
        tolerance = RULE
    else:
        tolerance = "in each element and with every seed"
    part = " (in a part of the cases)" if found.word == "in part" else ""
    return Found(paper, found.found + part, tolerance, of_word(found.word))


def sweep_claim(row: Row, results, prefix: str) -> Found:
    """Return a claim of the chapter on weight and iterations."""
    _, _, found, word = only(sweep_claims_table(results.sweep).rows, prefix)
    paper = "; ".join(plain(value(key)) for key in row.keys) or row.value or NO_NUMBER
    part = " (in a part of the cases)" if word == "in part" else ""
    tolerance = "by both references, in each element and with every seed"
    if prefix.startswith(("R²", "the best")):
        tolerance = f"{RULE}, of the distances from 1"
    if prefix.startswith("α = 0.7 and"):
        tolerance = "MSE at most 10 % above the lowest; in kind: 25 %"
    return Found(paper, found + part, tolerance, of_word(word))


def consistency(row: Row, results, prefix: str) -> Found:
    """Return whether a sentence of the paper meets the paper's own numbers."""
    _, follows, said, meet = only(paper_consistency_table().rows, prefix)
    return Found(said, follows, "its own numbers", of_flags(meet == "yes"))


def better_with(row: Row, results) -> Found:
    """Return how the paper's sentence on r_est and r_gt meets its Table 1, and our own scores."""
    cells = [r for r in paper_consistency_table().rows if ": better with" in r[0]]
    meet = [r[-1] == "yes" for r in cells]
    scores, apart = results.phantom.scores, 0
    for name, element in PAIRS:
        est, gt = (scores.at(name, m, element) for m in METHODS[:2])
        apart += abs(est.mean() - gt.mean()) > est.std(ddof=1 if len(est) > 1 else 0)
    return Found(
        row.value,
        f"Table 1 itself says so in {sum(meet)} of {len(meet)} pairs; ours differ by more than a "
        f"standard deviation in {apart}",
        "all pairs of Table 1",
        of_flags(all(meet)),
    )


def ratio(row: Row, results, name: str) -> Found:
    """Compare a number of the fit of the phantom's response ratios."""
    study = results.phantom
    ours = {
        "r_est": study.ratios.T,
        "r_gt": study.true_ratios[:, None],
        "r_error": study.ratio_errors().T,
        "r_squared": study.r_squared[None],
    }[name]
    paper = [value(key) for key in row.keys]
    words = [verdict(p, o, name) for p, o in zip(paper, ours, strict=True)]
    digits = {"r_error": "+.2f", "r_squared": ".3f"}.get(name, ",.0f")
    unit = " %" if name == "r_error" else ""
    return Found(
        "; ".join(plain(p) + unit for p in paper),
        "; ".join(spread_text(o, digits, unit=unit) for o in ours),
        RULE + ", of 1 − R²" * (name == "r_squared"),
        of_words(words),
    )


def reading(row: Row, results, name: str) -> Found:
    """Return how many cells of Table 1 a reading of a score's definition meets."""
    scores = results.phantom.scores
    cells = [(e, m) for e in results.phantom.elements for m in METHODS]
    words = [
        verdict(value(f"table1.{name}.{e}.{m}"), scores.at(name, m, e), name) for e, m in cells
    ]
    near = [of_word(w) != DIFFERS for w in words]
    return Found(
        row.value, f"{sum(near)} of {len(near)} cells agree or are near", RULE, of_words(words)
    )


def particle_ratios(row: Row, results, particle: str) -> Found:
    """Show a particle's response ratios, whose scale the paper does not print."""
    ours = getattr(results, particle).plain_ratios.T
    return Found(
        "; ".join(plain(value(key)) for key in row.keys),
        "; ".join(spread_text(o, ".3f", scale=1e3, unit=" × 10⁻³") for o in ours),
        "none: another scale",
        CANNOT,
    )


def lines(row: Row, results) -> Found:
    """Compare energies of X-ray lines with exspy's tables."""
    names = {"Lb": "Lb1"}
    ours = []
    for key in row.keys:
        element, line = key.rpartition(".")[2].split("_")
        ours.append(prepare.xray_lines(element)[names.get(line, line)]["energy (keV)"])
    off = np.abs(np.subtract(ours, [value(key) for key in row.keys]))
    return Found(
        ", ".join(f"{value(key):g}" for key in row.keys) + " keV",
        ", ".join(f"{energy:.3f}" for energy in ours) + " keV",
        f"a channel, {1000 * CHANNEL:g} eV; in kind: the width of a line, {1000 * WIDTH:g} eV",
        of_flags((off <= CHANNEL).all(), (off <= WIDTH).all()),
    )


def acquisition_time(row: Row, results) -> Found:
    """Show the time at each tilt beside the counts that stand in its place."""
    counts = results.nonalloy.settings[0].counts
    time = printed("particles.acquisition_time")
    ours = f"not simulated as a time; {counts:g} counts per element and pixel"
    return Found(f"{time.value:g} {time.unit}", ours, "none", CANNOT)


def unknown(row: Row, results) -> Found:
    """Say that nothing here can be compared."""
    return Found(row.value, row.ours, "none", CANNOT)


FINDERS = {
    "settings": settings,
    "equation": equation,
    "objective": objective,
    "score": score,
    "phantom_claim": phantom_claim,
    "verdict_of": verdict_of,
    "sweep_claim": sweep_claim,
    "consistency": consistency,
    "better_with": better_with,
    "ratio": ratio,
    "reading": reading,
    "particle_ratios": particle_ratios,
    "lines": lines,
    "acquisition_time": acquisition_time,
    "unknown": unknown,
}
