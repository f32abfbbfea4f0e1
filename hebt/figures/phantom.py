"""Figures, tables and numbers of the phantom study (sections 3.1 and 4.1 of the paper)."""

import matplotlib.pyplot as plt
import numpy as np

from hebt import _paper, studies
from hebt.figures._style import (
    CMAP,
    ELEMENT_COLOR,
    METHOD_NAME,
    METHOD_STYLE,
    WIDTH,
    letter,
    panel,
    scale_bar,
    styled,
)
from hebt.figures._tables import RULE, Table, agreement, spread_text

DENSITY_LIMITS = (0.0, 1.3)
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


@styled
def figure1(data: studies.PhantomData):
    """Draw Figure 1: the phantom (a-c) and its sinograms (d-f), of the first noise seed.

    Parameters
    ----------
    data
        From `hebt.studies.phantom_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    settings = data.settings
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.6), layout="constrained")
    z_contrast = np.tensordot(np.array(settings.z), data.density, axes=1)
    for ax, mark, image, title, unit, kind in zip(
        axes[0],
        "abc",
        [*data.density, z_contrast],
        [f"{data.elements[0]} phantom", f"{data.elements[1]} phantom", "Z-contrast phantom"],
        ["density", "density", "HAADF intensity per pixel"],
        ["density", "density", "haadf"],
        strict=True,
    ):
        panel(ax, image, title=title, unit=unit, kind=kind, mark=mark)
        scale_bar(ax, 100 / settings.pixel, "100 pixels of 512")
    half = settings.size / 2
    angles = np.array(settings.angles)
    step = abs(angles[1] - angles[0]) / 2 if len(angles) > 1 else 1.0
    for ax, mark, image, title, unit, kind in zip(
        axes[1],
        "def",
        [*data.counts[:, :, 0], data.haadf],
        [f"{data.elements[0]} EDS sinogram", f"{data.elements[1]} EDS sinogram", "HAADF sinogram"],
        ["X-ray counts", "X-ray counts", "HAADF intensity"],
        ["counts", "counts", "haadf"],
        strict=True,
    ):
        panel(
            ax,
            image,
            title=title,
            unit=unit,
            kind=kind,
            mark=mark,
            extent=(-half, half, angles[-1] + step, angles[0] - step),
            aspect="auto",
            ticks=True,
        )
        ax.set_yticks([-75, 0, 75])
        ax.set_xlabel("distance from the axis (pixels)")
    axes[1, 0].set_ylabel("tilt angle (°)")
    return figure


@styled
def figure4(study: studies.PhantomStudy, *, stop: str = "printed"):
    """Draw Figure 4: Au (a-c) and Ag (d-f) by HEBT with either ratios and by EDS alone.

    Parameters
    ----------
    study
        From `hebt.studies.phantom_study`.
    stop
        "printed": after the paper's number of iterations; "best": each picture at the iteration
        where its MSE is lowest.

    Returns
    -------
    matplotlib.figure.Figure
        Densities of the first noise seed, cut to the particle.
    """
    if stop not in ("printed", "best"):
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")
    pictures = study.images if stop == "printed" else study.best_images
    cut = slice(study.settings.size // 8, study.settings.size - study.settings.size // 8)
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.9), layout="constrained")
    marks = iter("abcdef")
    for e, element in enumerate(study.elements):
        for m, method in enumerate(studies.METHODS):
            ax = axes[e, m]
            panel(
                ax,
                pictures[m, e, cut, cut],
                title=f"{element}: {METHOD_NAME[method]}",
                unit="density (1 in the phantom)",
                limits=DENSITY_LIMITS,
                mark=next(marks),
            )
            scale_bar(ax, 100 / study.settings.pixel, "100 pixels of 512")
    return figure


def table1(study: studies.PhantomStudy) -> Table:
    """Return Table 1: the paper's number of each score beside ours, and a word on agreement."""
    rows = []
    for name in studies.TABLE_1:
        for element in study.elements:
            for method in studies.METHODS:
                paper = _paper.printed(f"table1.{name}.{element}.{method}")
                ours = study.score(name, method, element)
                rows.append(
                    (
                        f"{SCORE_NAME[name]}, {element}",
                        METHOD_NAME[method],
                        format(paper.value, SCORE_FORMAT[name]),
                        spread_text(ours, SCORE_FORMAT[name]),
                        _word(paper.value, ours, name),
                    )
                )
    return Table(
        ("score", "method", "paper", "ours", "agreement"),
        rows,
        title=f"Table 1 of the paper and ours, after {study.settings.iterations} iterations",
        note=f"Ours: {_seeds_text(study.settings)}. {RULE}",
    )


def best_stop_table(study: studies.PhantomStudy) -> Table:
    """Return by which factor HEBT is better than EDS alone: printed, and at each one's best stop."""
    rows = []
    for name in studies.TABLE_1:
        for element in study.elements:
            paper = [
                _paper.printed(f"table1.{name}.{element}.{m}").value for m in ("eds", "hebt_est")
            ]
            if name in studies.BEST_IS_LARGE:
                paper = [1 - v for v in paper]
            rows.append(
                (
                    f"{_fault_name(name)}, {element}",
                    f"{paper[0] / paper[1]:.2f}",
                    spread_text(study.gain(name, element), ".2f"),
                    spread_text(study.gain(name, element, stop="best"), ".2f"),
                    str(study.best_iteration(name, "hebt_est", element)),
                    str(study.best_iteration(name, "eds", element)),
                )
            )
    iterations = study.settings.iterations
    return Table(
        (
            "fault",
            "paper",
            f"ours, {iterations} iterations",
            "ours, best stop",
            "HEBT stops at",
            "EDS stops at",
        ),
        rows,
        title="Fault of EDS alone divided by that of HEBT with estimated ratios",
        note=f"Above 1, HEBT is better. {_seeds_text(study.settings)}. The best stop is the "
        "iteration with the lowest mean fault over the seeds; it uses the truth, which an "
        "experiment does not have, and it is chosen for each score, element and method alone.",
    )


def readings_table(study: studies.PhantomStudy) -> Table:
    """Return the scores of the paper's wording in each of its readings, beside Table 1."""
    rows = []
    for printed, names in (("ssim", ("ssim", "ssim_windowed")), ("mse", ("mse", "mse_reference"))):
        for element in study.elements:
            for name in (None, *names):
                cells = [
                    format(
                        _paper.printed(f"table1.{printed}.{element}.{m}").value,
                        SCORE_FORMAT[printed],
                    )
                    if name is None
                    else spread_text(study.score(name, m, element), SCORE_FORMAT[name])
                    for m in ("hebt_est", "eds")
                ]
                label = f"{printed.upper()} in Table 1" if name is None else SCORE_NAME[name]
                rows.append((f"{label}, {element}", *cells))
    return Table(
        ("score", "HEBT, estimated ratios", "EDS only"),
        rows,
        title="Two readings of SSIM and of MSE",
        note=f"{_seeds_text(study.settings)}, {study.settings.iterations} iterations.",
    )


def response_ratio_table(study: studies.PhantomStudy) -> Table:
    """Return the response ratios, their errors and R²: the paper's numbers beside ours."""
    rows = []

    def add(label, key, ours, digits, scale=1.0):
        paper = _paper.printed(key).value if key else None
        ours = np.atleast_1d(ours)
        rows.append(
            (
                label,
                "not printed" if paper is None else format(paper * scale, digits),
                spread_text(ours, digits, scale=scale),
                "" if paper is None else _word(paper, ours),
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
                "+.1f",
            )
    add("R²", "phantom.r_squared", study.r_squared, ".3f")
    add(
        "R², pixels where both maps are above 0",
        "phantom.r_squared",
        study.r_squared_both,
        ".3f",
    )
    return Table(
        ("quantity", "paper", "ours", "agreement"),
        rows,
        title="Response ratios, in HAADF intensity per X-ray count",
        note=f"Ours: {_seeds_text(study.settings)}. {RULE}",
    )


def paper_consistency_table() -> Table:
    """Return where the paper's own numbers and sentences do not meet, worked out from them."""

    def p(key):
        return _paper.printed(key).value

    rows = []
    for element in ("Au", "Ag"):
        r = p(f"phantom.z.{element}") / p(f"phantom.zeta.{element}")
        rows.append(
            (
                f"r_gt of {element} = z/ζ",
                f"z/ζ = {r:.3g} (section 3.1)",
                f"r_gt = {p(f'phantom.r_gt.{element}'):.3g} (section 4.1)",
                _meets(abs(r / p(f"phantom.r_gt.{element}") - 1) < 0.01),
            )
        )
    for element in ("Au", "Ag"):
        error = 100 * (p(f"phantom.r_est.{element}") / p(f"phantom.r_gt.{element}") - 1)
        printed = p(f"phantom.r_error.{element}")
        rows.append(
            (
                f"error of r_est of {element}",
                f"r_est/r_gt − 1 = {error:+.2f} %",
                f"{printed:+.2f} % (section 4.1)",
                _meets(abs(error - printed) < 0.01),
            )
        )
    said = _paper.statement("phantom.r_explained")
    for element in ("Au", "Ag"):
        sign = "over" if p(f"phantom.r_error.{element}") > 0 else "under"
        rows.append(
            (
                f"r_est of {element} against r_gt",
                f"{sign}estimated, by the printed numbers",
                f"“{said[f'r_{element}']}estimated” ({said['place']})",
                _meets(sign == said[f"r_{element}"]),
            )
        )
    said = _paper.statement("phantom.better_with")
    names = {"hebt_est": "r_est", "hebt_gt": "r_gt"}
    for name in studies.TABLE_1:
        for element in ("Au", "Ag"):
            est, gt = (p(f"table1.{name}.{element}.{m}") for m in ("hebt_est", "hebt_gt"))
            if est == gt:
                better = None
            elif (est > gt) == (name in studies.BEST_IS_LARGE):
                better = "hebt_est"
            else:
                better = "hebt_gt"
            rows.append(
                (
                    f"{name.upper()} of {element}: better with",
                    f"{names.get(better, 'equal')} (Table 1)",
                    f"{names[said[name]]} ({said['place']})",
                    _meets(better == said[name]),
                )
            )
    return Table(
        ("what", "follows from the numbers", "printed", "do they meet?"),
        rows,
        title="The paper's numbers against its own sentences",
        note="Worked out from the printed numbers alone; nothing here is simulated.",
    )


@styled
def convergence(study: studies.PhantomStudy):
    """Draw the MSE of each method against the iteration (a, b) and HEBT's residuals (c).

    Parameters
    ----------
    study
        From `hebt.studies.phantom_study`.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over the noise seeds, bands reach from the lowest to the highest seed, and
        a marker shows each method's best stop.
    """
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    for ax, mark, element in zip(axes, "ab", study.elements, strict=False):
        for method in studies.METHODS:
            look = METHOD_STYLE[method]
            values = study.scores["mse"][
                studies.METHODS.index(method), study.elements.index(element)
            ]
            ax.plot(
                study.iterations,
                values.mean(axis=0),
                color=look["color"],
                linestyle=look["linestyle"],
                label=METHOD_NAME[method],
            )
            ax.fill_between(
                study.iterations,
                values.min(axis=0),
                values.max(axis=0),
                color=look["color"],
                alpha=0.2,
                linewidth=0,
            )
            ax.plot(
                study.best_iteration("mse", method, element),
                study.score("mse", method, element, stop="best").mean(),
                color=look["color"],
                marker=look["marker"],
                markersize=7,
                markeredgecolor="white",
            )
        ax.set_xscale("log")
        ax.set_ylim(0, None)
        ax.set_xlabel("iteration")
        ax.set_ylabel("MSE, mean over pixels")
        ax.set_title(element)
        letter(ax, mark, color="black")
    ax = axes[2]
    steps = np.arange(1, study.residuals.shape[-1] + 1)
    names = ["HAADF", *study.elements]
    colors = ["0.2", *(ELEMENT_COLOR[e] for e in study.elements)]
    for values, name, color, line in zip(
        study.residuals, names, colors, ["-", "--", "-."], strict=True
    ):
        ax.plot(steps, values, color=color, linestyle=line, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("iteration")
    ax.set_ylabel("residual |p − Wx| / |p|")
    ax.set_title("HEBT")
    ax.legend()
    letter(ax, "c", color="black")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def stability(result: studies.Stability):
    """Draw the MSE under wrong response ratios, relative to that with the true ones.

    Parameters
    ----------
    result
        From `hebt.studies.stability`.

    Returns
    -------
    matplotlib.figure.Figure
        One map for each element; a cross marks the paper's errors of its estimated ratios.
    """
    relative = result.relative().mean(axis=-1)
    reach = max(np.abs(relative - 1).max(), 0.01)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), layout="constrained")
    places = np.arange(len(result.errors))
    for e, (ax, mark, element) in enumerate(zip(axes, "ab", result.elements, strict=True)):
        shown = ax.imshow(
            relative[:, :, e],
            cmap=CMAP["difference"],
            vmin=1 - reach,
            vmax=1 + reach,
            origin="lower",
        )
        for i in places:
            for j in places:
                value = relative[i, j, e]
                ink = "white" if abs(value - 1) > 0.6 * reach else "black"
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
        if len(places) > 1:
            ax.plot(
                np.interp(result.paper_errors[1], result.errors, places),
                np.interp(result.paper_errors[0], result.errors, places) + 0.36,
                marker="x",
                color="black",
                markersize=7,
                markeredgewidth=2,
            )
        labels = [f"{v:+g}" for v in result.errors]
        ax.set_xticks(places, labels)
        ax.set_yticks(places, labels)
        ax.set_xlabel(f"error of r of {result.elements[1]} (%)")
        ax.set_ylabel(f"error of r of {result.elements[0]} (%)")
        ax.set_title(f"({mark}) {element}")
        bar = figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.03)
        bar.set_label("MSE / MSE with true ratios")
        bar.outline.set_visible(False)
    return figure


@styled
def smoothing(result: studies.Smoothing):
    """Draw what the kernel for the element maps does to the MSE (a, b) and to R² (c).

    Parameters
    ----------
    result
        From `hebt.studies.smoothing`.

    Returns
    -------
    matplotlib.figure.Figure
        Full markers: after the paper's number of iterations. Open markers: at the best stop.
    """
    figure, axes = plt.subplots(
        1, 3, figsize=(WIDTH, 3.1), layout="constrained", sharey=True, width_ratios=(3, 3, 2)
    )
    places = np.arange(len(result.kernels))
    for e, (ax, mark, element) in enumerate(zip(axes, "ab", result.elements, strict=False)):
        for m, method in enumerate(("hebt_est", "eds")):
            look = METHOD_STYLE[method]
            for stop, fill in (("printed", look["color"]), ("best", "white")):
                values = result.at(stop)[:, m, e]
                ax.errorbar(
                    values.mean(axis=-1),
                    places,
                    xerr=[
                        values.mean(axis=-1) - values.min(axis=-1),
                        values.max(axis=-1) - values.mean(axis=-1),
                    ],
                    linestyle="none",
                    color=look["color"],
                    marker=look["marker"],
                    markerfacecolor=fill,
                    label=f"{METHOD_NAME[method]}, "
                    f"{'best stop' if stop == 'best' else f'{result.settings.iterations} it.'}",
                )
        ax.set_xscale("log")
        ax.set_xlabel("MSE, mean over pixels")
        ax.set_title(f"({mark}) {element}")
        ax.grid(axis="x", color="0.9")
    axes[0].set_yticks(places, [k.name for k in result.kernels])
    axes[0].invert_yaxis()
    ax = axes[2]
    ax.plot(result.r_squared.mean(axis=1), places, "o", color="0.2", label="ours")
    ax.axvline(
        _paper.printed("phantom.r_squared").value, color="0.5", linestyle="--", label="paper"
    )
    ax.set_xlabel("R²")
    ax.set_title("(c) R² of the ratios")
    ax.grid(axis="x", color="0.9")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _word(paper, ours, name=""):
    ours = np.atleast_1d(ours)
    spread = float(ours.std(ddof=1)) if len(ours) > 1 else 0.0
    best = 1.0 if name in studies.BEST_IS_LARGE else 0.0
    return agreement(float(paper), float(ours.mean()), spread, best=best)


def _fault_name(name):
    return f"1 − {SCORE_NAME[name]}" if name in studies.BEST_IS_LARGE else SCORE_NAME[name]


def _meets(yes):
    return "yes" if yes else "no"


def _seeds_text(settings):
    count = len(settings.seeds)
    if count == 1:
        return "one noise seed"
    return f"mean ± standard deviation over {count} noise seeds"
