"""Tables of the phantom chapter."""

from __future__ import annotations

import hebt

from ..fidelity import fidelity
from ..paper import printed, statement, value
from ..scores import BEST_IS_LARGE
from ..style import METHOD_NAME
from ..tables import RULE, Table, signed, spread_text, verdict
from .data import PhantomSettings
from .measures import METHODS, TABLE_1
from .study import PhantomStudy

ELEMENTS = ("Au", "Ag")
SCORE_NAME = {
    "ssim": "SSIM structure, whole image",
    "ssim_windowed": "SSIM structure, 11 × 11 windows",
    "mse": "MSE, mean over pixels",
    "mse_reference": "MSE, relative to the reference",
    "dp": "DP (pixels)",
}
# of HEBT and of EDS alone
STOPS = (("printed", "printed"), ("printed", "best"), ("best", "best"))
BOTH = ", pixels where both maps are above 0"


def seeds_text(settings: PhantomSettings) -> str:
    """Say what ± stands for."""
    count = len(settings.seeds)
    if count == 1:
        return "one noise seed"
    return f"mean ± standard deviation over {count} noise seeds"


def table1(study: PhantomStudy) -> Table:
    """Return Table 1, row by row: the paper's number, ours, and a word on their agreement."""

    def row(name, element, method):
        paper = value(f"table1.{name}.{element}.{method}")
        ours, form = study.scores.at(name, method, element), ".0f" if name == "dp" else ".4f"
        texts = f"{paper:{form}}", spread_text(ours, form), verdict(paper, ours, name)
        return SCORE_NAME[name], element, METHOD_NAME[method], *texts

    return Table(
        ("score", "element", "method", "paper", "ours", "agreement"),
        [row(name, e, m) for name in TABLE_1 for e in study.elements for m in METHODS],
        title=f"Table 1 of the paper and ours, after {study.settings.iterations} iterations",
        note=f"Ours: {seeds_text(study.settings)}. {RULE}",
    )


def best_stop_table(study: PhantomStudy) -> Table:
    """Return by which factor HEBT beats EDS alone: printed, ours, and at each one's best stop."""
    rows = []
    for name in TABLE_1:
        what, best = SCORE_NAME[name], 0
        if name in BEST_IS_LARGE:
            what, best = f"1 − {what}", 1
        for element in study.elements:
            paper = [value(f"table1.{name}.{element}.{m}") - best for m in ("eds", "hebt_est")]
            gains = (study.scores.gain(name, element, stop=a, eds_stop=b) for a, b in STOPS)
            stops = (study.scores.best_iteration(name, m, element) for m in ("hebt_est", "eds"))
            cells = (f"{paper[0] / paper[1]:.2f}", *(spread_text(g, ".2f") for g in gains))
            rows.append((f"{what}, {element}", *cells, *stops))
    n = study.settings.iterations
    ours = (
        f"ours, {n} iterations",
        f"ours, HEBT at {n}, EDS at its best",
        "ours, both at their best",
    )
    return Table(
        ("error", "paper", *ours, "HEBT stops at", "EDS stops at"),
        rows,
        title="Error of EDS alone divided by that of HEBT with estimated ratios",
        note=f"Above 1, HEBT is better. {seeds_text(study.settings)}. The best stop is the "
        "iteration with the lowest mean error over the seeds; it uses the truth, which an "
        "experiment does not have, and it is chosen for each score, element and method alone.",
    )


def readings_table(study: PhantomStudy) -> Table:
    """Return the scores of the paper's wording in each of its readings, beside Table 1."""
    methods, rows = ("hebt_est", "eds"), []
    for paper, names in (("ssim", ("ssim", "ssim_windowed")), ("mse", ("mse", "mse_reference"))):
        for element in study.elements:
            cells = (f"{value(f'table1.{paper}.{element}.{m}'):.4f}" for m in methods)
            rows.append((f"{paper.upper()} in Table 1, {element}", *cells))
            for name in names:
                ours = (study.scores.at(name, m, element) for m in methods)
                cells = (spread_text(values, ".4f") for values in ours)
                rows.append((f"{SCORE_NAME[name]}, {element}", *cells))
    return Table(
        ("score", "HEBT, estimated ratios", "EDS only"),
        rows,
        title="Two readings of SSIM and of MSE",
        note=f"{seeds_text(study.settings)}, {study.settings.iterations} iterations.",
    )


def response_ratio_table(study: PhantomStudy) -> Table:
    """Return the response ratios, their errors and R²: the paper's numbers beside ours."""

    def row(label, key, ours, digits, scale=1.0):
        paper = value(f"phantom.{key}")
        cells = (spread_text(v, digits, scale=scale) for v in ([paper], ours))
        return label, *cells, verdict(paper, ours, key)

    quantities = [
        ("true r of {} (10⁴): printed r_gt, our z/ζ", "r_gt", study.true_ratios[None], ".2f", 1e-4),
        ("estimated r of {} (10⁴)", "r_est", study.ratios, ".2f", 1e-4),
        ("error of r of {} (%)", "r_error", study.ratio_errors(), "+.2f", 1),
        (f"error of r of {{}} (%){BOTH}", "r_error", study.ratio_errors(both=True), "+.2f", 1),
    ]
    rows = [
        row(label.format(x), f"{key}.{x}", ours[:, e], digits, scale)
        for label, key, ours, digits, scale in quantities
        for e, x in enumerate(study.elements)
    ]
    rows.append(row("R²", "r_squared", study.r_squared, ".3f"))
    rows.append(row(f"R²{BOTH}", "r_squared", study.r_squared_both, ".3f"))
    return Table(
        ("quantity", "paper", "ours", "agreement"),
        rows,
        title="Response ratios, in HAADF intensity per X-ray count",
        note=f"Ours: {seeds_text(study.settings)}. {RULE}",
    )


def paper_consistency_table() -> Table:
    """Return where the paper's own numbers and sentences do not meet, worked out from them."""
    rows = [*_ratio_checks(), *_sign_checks(), *_better_checks()]
    return Table(
        ("what", "follows from the numbers", "printed", "do they meet?"),
        [(*cells, "yes" if meet else "no") for *cells, meet in rows],
        title="The paper's numbers against its own sentences",
        note="Worked out from the printed numbers alone; nothing here is simulated.",
    )


def _place(text):
    """Return a place in the paper as it stands behind a number."""
    return f" ({text.replace('Section', 'section')})"


def _ratio_checks():
    def written(number, key):
        return f"{number / 1e4:.2f} × 10⁴{_place(printed(key).place)}"

    for x in ELEMENTS:
        z, zeta, gt = (value(f"phantom.{key}.{x}") for key in ("z", "zeta", "r_gt"))
        ours = f"z/ζ = {written(z / zeta, f'phantom.z.{x}')}"
        theirs = f"r_gt = {written(gt, f'phantom.r_gt.{x}')}"
        yield f"r_gt of {x} = z/ζ", ours, theirs, abs(z / zeta / gt - 1) < 0.01
    for x in ELEMENTS:
        est, gt, paper = (value(f"phantom.{key}.{x}") for key in ("r_est", "r_gt", "r_error"))
        error = 100 * (est / gt - 1)
        theirs = signed(paper, 2) + _place(printed(f"phantom.r_error.{x}").place)
        meet = abs(error - paper) < 0.01
        yield f"error of r_est of {x}", f"r_est/r_gt − 1 = {signed(error, 2)}", theirs, meet


def _sign_checks():
    said = statement("phantom.r_explained")
    for x in ELEMENTS:
        sign = "over" if value(f"phantom.r_error.{x}") > 0 else "under"
        theirs = f"“{said[f'r_{x}']}estimated”{_place(said['place'])}"
        meet = sign == said[f"r_{x}"]
        yield f"r_est of {x} against r_gt", f"{sign}estimated, by the printed numbers", theirs, meet


def _better_checks():
    said = statement("phantom.better_with")
    names = {"hebt_est": "r_est", "hebt_gt": "r_gt"}
    for name in TABLE_1:
        for x in ELEMENTS:
            est, gt = (value(f"table1.{name}.{x}.{m}") for m in names)
            better = "hebt_est" if (est > gt) == (name in BEST_IS_LARGE) else "hebt_gt"
            ours = "equal" if est == gt else names[better]
            theirs = names[said[name]]
            what = f"{name.upper()} of {x}: better with"
            yield what, f"{ours} (Table 1)", theirs + _place(said["place"]), ours == theirs


def settings_table(settings: PhantomSettings) -> Table:
    """Return the settings that a page was built with, beside those that the paper prints."""

    def row(name, keys, ours, form="{:g}"):
        paper = form.format(*(value(f"phantom.{key}") for key in keys)) if keys else "not printed"
        return name, paper.replace("-", "−"), form.format(*ours).replace("-", "−")

    tilts = len(settings.angles), settings.angles[0], settings.angles[-1]
    printed_tilts = ["tilts", "tilt_first", "tilt_last"]
    rows = [
        row("frame (pixels)", ["size"], [settings.size]),
        row("tilts", printed_tilts, tilts, "{:g}, from {:g}° to {:g}°"),
        row("HAADF response z of Au, Ag", ["z.Au", "z.Ag"], settings.z, "{:g}, {:g}"),
        row("EDS response ζ of Au, Ag", ["zeta.Au", "zeta.Ag"], settings.zeta, "{:g}, {:g}"),
        row("taps of the smoothing kernel", ["filter_width"], [settings.width]),
        row("its σ (pixels)", [], [settings.sigma]),
        row("weight α", ["alpha"], [settings.alpha]),
        row("SIRT iterations", ["iterations"], [settings.iterations]),
        row("noise seeds", [], [len(settings.seeds)]),
    ]
    coarse = (
        f"One pixel here stands for {settings.binning:g} × {settings.binning:g} of the paper's "
        "and collects their counts; the kernel is shortened in proportion."
    )
    return Table(
        ("setting", "paper", "this page"),
        rows,
        title=f"This page was built at {fidelity()} fidelity with hebt {hebt.__version__}",
        note="" if settings.binning == 1 else coarse,
    )
