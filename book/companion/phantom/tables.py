"""Tables of the phantom chapter."""

import numpy as np

import hebt

from ..fidelity import fidelity
from ..paper import printed as paper_printed
from ..paper import statement
from ..prose import place_in_sentence, yes_or_no
from ..scores import BEST_IS_LARGE
from ..style import METHOD_NAME
from ..tables import RULE, Table, agreement, spread_text
from .data import PhantomSettings
from .measures import METHODS, TABLE_1
from .study import PhantomStudy

SCORE_NAME = {
    "ssim": "SSIM structure, whole image",
    "ssim_windowed": "SSIM structure, 11 × 11 windows",
    "mse": "MSE, mean over pixels",
    "mse_reference": "MSE, relative to the reference",
    "dp": "DP (pixels)",
}
SCORE_FORMAT = {
    "ssim": ".4f",
    "ssim_windowed": ".4f",
    "mse": ".4f",
    "mse_reference": ".4f",
    "dp": ".0f",
}


def table1(study: PhantomStudy) -> Table:
    """Return Table 1: in each cell the paper's number, ours, and a word on their agreement."""

    def cell(name, element, method):
        paper = paper_printed(f"table1.{name}.{element}.{method}").value
        ours = study.scores.at(name, method, element)
        return (
            f"paper {format(paper, SCORE_FORMAT[name])}\n"
            f"ours {spread_text(ours, SCORE_FORMAT[name])}\n"
            f"{verdict(paper, ours, name)}"
        )

    return Table(
        ("score", *(METHOD_NAME[m] for m in METHODS)),
        [
            (f"{SCORE_NAME[name]}\n{element}", *(cell(name, element, m) for m in METHODS))
            for name in TABLE_1
            for element in study.elements
        ],
        title=f"Table 1 of the paper and ours, after {study.settings.iterations} iterations",
        note=f"Ours: {seeds_text(study.settings)}. {RULE}",
    )


def best_stop_table(study: PhantomStudy) -> Table:
    """Return by which factor HEBT beats EDS alone: printed, ours, and at each one's best stop."""
    rows = []
    for name in TABLE_1:
        for element in study.elements:
            paper = [
                paper_printed(f"table1.{name}.{element}.{m}").value for m in ("eds", "hebt_est")
            ]
            if name in BEST_IS_LARGE:
                paper = [1 - v for v in paper]
            rows.append(
                (
                    f"{error_name(name)}, {element}",
                    f"{paper[0] / paper[1]:.2f}",
                    spread_text(study.scores.gain(name, element), ".2f"),
                    spread_text(study.scores.gain(name, element, stop="best"), ".2f"),
                    str(study.scores.best_iteration(name, "hebt_est", element)),
                    str(study.scores.best_iteration(name, "eds", element)),
                )
            )
    iterations = study.settings.iterations
    return Table(
        (
            "error",
            "paper",
            f"ours, {iterations} iterations",
            "ours, best stop",
            "HEBT stops at",
            "EDS stops at",
        ),
        rows,
        title="Fault of EDS alone divided by that of HEBT with estimated ratios",
        note=f"Above 1, HEBT is better. {seeds_text(study.settings)}. The best stop is the "
        "iteration with the lowest mean error over the seeds; it uses the truth, which an "
        "experiment does not have, and it is chosen for each score, element and method alone.",
    )


def readings_table(study: PhantomStudy) -> Table:
    """Return the scores of the paper's wording in each of its readings, beside Table 1."""
    rows = []
    for printed, names in (("ssim", ("ssim", "ssim_windowed")), ("mse", ("mse", "mse_reference"))):
        for element in study.elements:
            for name in (None, *names):
                cells = [
                    format(
                        paper_printed(f"table1.{printed}.{element}.{m}").value,
                        SCORE_FORMAT[printed],
                    )
                    if name is None
                    else spread_text(study.scores.at(name, m, element), SCORE_FORMAT[name])
                    for m in ("hebt_est", "eds")
                ]
                label = f"{printed.upper()} in Table 1" if name is None else SCORE_NAME[name]
                rows.append((f"{label}, {element}", *cells))
    return Table(
        ("score", "HEBT, estimated ratios", "EDS only"),
        rows,
        title="Two readings of SSIM and of MSE",
        note=f"{seeds_text(study.settings)}, {study.settings.iterations} iterations.",
    )


def response_ratio_table(study: PhantomStudy) -> Table:
    """Return the response ratios, their errors and R²: the paper's numbers beside ours."""
    rows = []

    def add(label, key, ours, digits, scale=1.0):
        paper = paper_printed(key).value if key else None
        ours = np.atleast_1d(ours)
        rows.append(
            (
                label,
                "not printed" if paper is None else format(paper * scale, digits).replace("-", "−"),
                spread_text(ours, digits, scale=scale),
                "" if paper is None else verdict(paper, ours),
            )
        )

    for e, element in enumerate(study.elements):
        add(
            f"true r of {element} (10⁴): printed r_gt, our z/ζ",
            f"phantom.r_gt.{element}",
            study.true_ratios[e],
            ".2f",
            1e-4,
        )
    for e, element in enumerate(study.elements):
        add(
            f"estimated r of {element} (10⁴)",
            f"phantom.r_est.{element}",
            study.ratios[:, e],
            ".2f",
            1e-4,
        )
    for both in (False, True):
        where = ", pixels where both maps are above 0" if both else ""
        errors = study.ratio_errors(both=both)
        for e, element in enumerate(study.elements):
            add(
                f"error of r of {element} (%){where}",
                f"phantom.r_error.{element}",
                errors[:, e],
                "+.2f",
            )
    add("R²", "phantom.r_squared", study.r_squared, ".3f")
    add("R², pixels where both maps are above 0", "phantom.r_squared", study.r_squared_both, ".3f")
    return Table(
        ("quantity", "paper", "ours", "agreement"),
        rows,
        title="Response ratios, in HAADF intensity per X-ray count",
        note=f"Ours: {seeds_text(study.settings)}. {RULE}",
    )


def paper_consistency_table() -> Table:
    """Return where the paper's own numbers and sentences do not meet, worked out from them."""

    def p(key):
        return paper_printed(key).value

    def place(key):
        return f"({place_in_sentence(paper_printed(key).place)})"

    rows = []
    for element in ("Au", "Ag"):
        r = p(f"phantom.z.{element}") / p(f"phantom.zeta.{element}")
        rows.append(
            (
                f"r_gt of {element} = z/ζ",
                f"z/ζ = {ten_thousands(r)} {place(f'phantom.z.{element}')}",
                f"r_gt = {ten_thousands(p(f'phantom.r_gt.{element}'))} "
                f"{place(f'phantom.r_gt.{element}')}",
                yes_or_no(abs(r / p(f"phantom.r_gt.{element}") - 1) < 0.01),
            )
        )
    for element in ("Au", "Ag"):
        error = 100 * (p(f"phantom.r_est.{element}") / p(f"phantom.r_gt.{element}") - 1)
        printed = p(f"phantom.r_error.{element}")
        rows.append(
            (
                f"error of r_est of {element}",
                f"r_est/r_gt − 1 = {error:+.2f} %".replace("-", "−"),
                f"{printed:+.2f} % ".replace("-", "−") + place(f"phantom.r_error.{element}"),
                yes_or_no(abs(error - printed) < 0.01),
            )
        )
    said = statement("phantom.r_explained")
    for element in ("Au", "Ag"):
        sign = "over" if p(f"phantom.r_error.{element}") > 0 else "under"
        rows.append(
            (
                f"r_est of {element} against r_gt",
                f"{sign}estimated, by the printed numbers",
                f"“{said[f'r_{element}']}estimated” ({place_in_sentence(said['place'])})",
                yes_or_no(sign == said[f"r_{element}"]),
            )
        )
    said = statement("phantom.better_with")
    names = {"hebt_est": "r_est", "hebt_gt": "r_gt"}
    for name in TABLE_1:
        for element in ("Au", "Ag"):
            est, gt = (p(f"table1.{name}.{element}.{m}") for m in ("hebt_est", "hebt_gt"))
            if est == gt:
                better = None
            elif (est > gt) == (name in BEST_IS_LARGE):
                better = "hebt_est"
            else:
                better = "hebt_gt"
            rows.append(
                (
                    f"{name.upper()} of {element}: better with",
                    f"{names.get(better, 'equal')} (Table 1)",
                    f"{names[said[name]]} ({place_in_sentence(said['place'])})",
                    yes_or_no(better == said[name]),
                )
            )
    return Table(
        ("what", "follows from the numbers", "printed", "do they meet?"),
        rows,
        title="The paper's numbers against its own sentences",
        note="Worked out from the printed numbers alone; nothing here is simulated.",
    )


def settings_table(settings: PhantomSettings) -> Table:
    """Return the settings that a page was built with, beside those that the paper prints."""

    def row(name, keys, ours, form="{:g}"):
        paper = [paper_printed(f"phantom.{key}").value for key in keys]
        printed = form.format(*paper) if keys else "not printed"
        return name, printed.replace("-", "−"), form.format(*ours).replace("-", "−")

    seeds, angles = settings.seeds, settings.angles
    rows = [
        row("frame (pixels)", ["size"], [settings.size]),
        row(
            "tilts",
            ["tilts", "tilt_first", "tilt_last"],
            [len(angles), angles[0], angles[-1]],
            "{:g}, from {:g}° to {:g}°",
        ),
        row("HAADF response z of Au, Ag", ["z.Au", "z.Ag"], settings.z, "{:g}, {:g}"),
        row("EDS response ζ of Au, Ag", ["zeta.Au", "zeta.Ag"], settings.zeta, "{:g}, {:g}"),
        row("taps of the smoothing kernel", ["filter_width"], [settings.width]),
        row("its σ (pixels)", [], [settings.sigma]),
        row("weight α", ["alpha"], [settings.alpha]),
        row("SIRT iterations", ["iterations"], [settings.iterations]),
        row("noise seeds", [], [len(seeds)]),
    ]
    return Table(
        ("setting", "paper", "this page"),
        rows,
        title=f"This page was built at {fidelity()} fidelity with hebt {hebt.__version__}",
        note=""
        if settings.binning == 1
        else f"One pixel here stands for {settings.binning:g} × {settings.binning:g} of the "
        "paper's and collects their counts; the kernel is shortened in proportion.",
    )


def ten_thousands(ratio):
    return f"{ratio / 1e4:.2f} × 10⁴"


def signed(percent):
    return f"{percent:+.1f} %".replace("-", "−")


def verdict(paper, ours, name=""):
    ours = np.atleast_1d(ours)
    spread = float(ours.std(ddof=1)) if len(ours) > 1 else 0.0
    best = 1.0 if name in BEST_IS_LARGE else 0.0
    return agreement(float(paper), float(ours.mean()), spread, best=best)


def error_name(name):
    return f"1 − {SCORE_NAME[name]}" if name in BEST_IS_LARGE else SCORE_NAME[name]


def seeds_text(settings):
    count = len(settings.seeds)
    if count == 1:
        return "one noise seed"
    return f"mean ± standard deviation over {count} noise seeds"
