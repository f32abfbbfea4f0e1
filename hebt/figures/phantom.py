"""Figures, tables and numbers of the phantom study (sections 3.1 and 4.1 of the paper)."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from hebt import _paper, studies
from hebt.figures._style import (
    CMAP,
    ELEMENT_COLOR,
    METHOD_NAME,
    METHOD_STYLE,
    WIDTH,
    panel,
    scale_bar,
    styled,
    title,
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
    for ax, mark, image, name, unit, kind in zip(
        axes[0],
        "abc",
        [*data.density, z_contrast],
        [f"{data.elements[0]} phantom", f"{data.elements[1]} phantom", "Z-contrast phantom"],
        ["density", "density", "HAADF per pixel"],
        ["density", "density", "haadf"],
        strict=True,
    ):
        panel(ax, image, name=name, unit=unit, kind=kind, mark=mark)
    scale_bar(axes[0, 0], 100 / settings.pixel, _bar_label(settings))
    half = settings.size / 2
    angles = np.array(settings.angles)
    step = abs(angles[1] - angles[0]) / 2 if len(angles) > 1 else 1.0
    for ax, mark, image, name, unit, kind in zip(
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
            name=name,
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
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 5.0), layout="constrained")
    for place, (ax, mark) in enumerate(zip(axes.ravel(), "abcdef", strict=True)):
        e, m = divmod(place, len(studies.METHODS))
        panel(
            ax,
            pictures[m, e, cut, cut],
            name=f"{study.elements[e]}: {METHOD_NAME[studies.METHODS[m]]}",
            unit="density (1 in the phantom)",
            limits=DENSITY_LIMITS,
            mark=mark,
            bar_for=axes if place == 0 else [],
        )
    scale_bar(axes[0, 0], 100 / study.settings.pixel, _bar_label(study.settings))
    return figure


def table1(study: studies.PhantomStudy) -> Table:
    """Return Table 1: in each cell the paper's number, ours, and a word on their agreement."""

    def cell(name, element, method):
        paper = _paper.printed(f"table1.{name}.{element}.{method}").value
        ours = study.score(name, method, element)
        return (
            f"paper {format(paper, SCORE_FORMAT[name])}\n"
            f"ours {spread_text(ours, SCORE_FORMAT[name])}\n"
            f"{_word(paper, ours, name)}"
        )

    return Table(
        ("score", *(METHOD_NAME[m] for m in studies.METHODS)),
        [
            (f"{SCORE_NAME[name]}\n{element}", *(cell(name, element, m) for m in studies.METHODS))
            for name in studies.TABLE_1
            for element in study.elements
        ],
        title=f"Table 1 of the paper and ours, after {study.settings.iterations} iterations",
        note=f"Ours: {_seeds_text(study.settings)}. {RULE}",
    )


def best_stop_table(study: studies.PhantomStudy) -> Table:
    """Return by which factor HEBT beats EDS alone: printed, ours, and at each one's best stop."""
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
                "not printed" if paper is None else format(paper * scale, digits).replace("-", "−"),
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
                "+.2f",
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

    def place(key):
        return f"({_place(_paper.printed(key).place)})"

    rows = []
    for element in ("Au", "Ag"):
        r = p(f"phantom.z.{element}") / p(f"phantom.zeta.{element}")
        rows.append(
            (
                f"r_gt of {element} = z/ζ",
                f"z/ζ = {_ten_thousands(r)} {place(f'phantom.z.{element}')}",
                f"r_gt = {_ten_thousands(p(f'phantom.r_gt.{element}'))} "
                f"{place(f'phantom.r_gt.{element}')}",
                _meets(abs(r / p(f"phantom.r_gt.{element}") - 1) < 0.01),
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
                f"“{said[f'r_{element}']}estimated” ({_place(said['place'])})",
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
                    f"{names[said[name]]} ({_place(said['place'])})",
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
                # the two HEBT curves lie on each other: a broad one under a thin one shows both
                linewidth=4 if method == "hebt_gt" else 1.4,
                alpha=0.5 if method == "hebt_gt" else 1,
                zorder=1 if method == "hebt_gt" else 2,
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
                markersize=9 if method == "hebt_gt" else 6,
                markeredgecolor="white",
                zorder=2 if method == "hebt_gt" else 3,
            )
        ax.set_xscale("log")
        ax.set_ylim(0, None)
        ax.set_xlabel("iteration")
        ax.set_ylabel("MSE, mean over pixels")
        title(ax, element, mark)
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
    title(ax, "HEBT", "c")
    ax.legend(loc="upper right")
    ax.set_ylim(None, 2)
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
        One map for each element; a ring marks the paper's errors of its estimated ratios.
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
                np.interp(result.paper_errors[0], result.errors, places),
                marker="o",
                color="black",
                markersize=24,
                markerfacecolor="none",
                markeredgewidth=1.5,
            )
        labels = [f"{v:+g}".replace("-", "−") if v else "0" for v in result.errors]
        ax.set_xticks(places, labels)
        ax.set_yticks(places, labels)
        ax.set_xlabel(f"error of r of {result.elements[1]} (%)")
        ax.set_ylabel(f"error of r of {result.elements[0]} (%)")
        title(ax, element, mark)
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
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("MSE, mean over pixels")
        title(ax, element, mark)
        ax.grid(axis="x", color="0.9")
    axes[0].set_yticks(places, [k.name for k in result.kernels])
    axes[0].invert_yaxis()
    ax = axes[2]
    ax.plot(result.r_squared.mean(axis=1), places, "o", color="0.2")
    paper = _paper.printed("phantom.r_squared").value
    ax.axvline(paper, color="0.5", linestyle="--")
    ax.annotate(
        "paper", (paper, 0), (-4, 0), textcoords="offset points", ha="right", va="center",
        fontsize=8, color="0.3",
    )  # fmt: skip
    ax.set_xlabel("R²")
    title(ax, "R² of the ratios", "c")
    ax.grid(axis="x", color="0.9")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def phantom_numbers(
    study: studies.PhantomStudy, wrong: studies.Stability, kernels: studies.Smoothing
) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`.

    Parameters
    ----------
    study, wrong, kernels
        Results of `hebt.studies.phantom_study`, `stability` and `smoothing`.

    Returns
    -------
    dict
        Name -> text. The names begin with ``phantom_``.
    """
    s = study.settings
    n = {
        "seeds": f"{len(s.seeds)}",
        "size": f"{s.size}",
        "tilts": f"{len(s.angles)}",
        "iterations": f"{s.iterations}",
        "alpha": f"{s.alpha:g}",
        "width": f"{s.width}",
        "sigma": f"{s.sigma:g}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "r_squared_both": spread_text(study.r_squared_both, ".2f"),
        "seeds_list": _list(s.seeds),
        "pairs": f"{len(studies.TABLE_1) * len(study.elements)}",
        "won": f"{len(study.pairs_won())}",
        "won_true": f"{len(study.pairs_won(method='hebt_gt'))}",
        "won_best": f"{len(study.pairs_won(stop='best'))}",
        "won_windowed": f"{len(study.pairs_won(names=('ssim_windowed',)))}",
        "est_against_true": _percent_range(_est_against_true(study)),
        "wrong_range": f"{max(abs(e) for e in wrong.errors):g}",
        "wrong_seeds": f"{len(wrong.settings.seeds)}",
        "kernel_seeds": f"{len(kernels.settings.seeds)}",
    }
    both = study.ratio_errors(both=True)
    relative = wrong.relative().mean(axis=-1)
    for e, element in enumerate(study.elements):
        printed = {k: _paper.printed(f"phantom.{k}.{element}").value for k in ("r_est", "r_gt")}
        true = float(study.true_ratios[e])
        n |= {
            f"counts_{element}": f"{study.mean_counts[e]:.1f}",
            f"true_{element}": f"{true / 1e4:.2f}",
            f"printed_gt_{element}": f"{printed['r_gt'] / 1e4:.2f}",
            f"printed_est_{element}": f"{printed['r_est'] / 1e4:.2f}",
            f"gt_of_true_{element}": f"{printed['r_gt'] / true:.3f}",
            f"printed_est_error_{element}": _signed(100 * (printed["r_est"] / true - 1)),
            f"error_{element}": spread_text(study.ratio_errors()[:, e], "+.1f"),
            f"error_both_{element}": spread_text(both[:, e], "+.1f"),
            f"mse_gain_{element}": f"{study.gain('mse', element).mean():.1f}",
            f"mse_gain_best_{element}": f"{study.gain('mse', element, stop='best').mean():.2f}",
            f"eds_stop_{element}": f"{study.best_iteration('mse', 'eds', element)}",
            f"hebt_stop_{element}": f"{study.best_iteration('mse', 'hebt_est', element)}",
            f"eds_over_{element}": f"{_over_iterated(study, 'eds', element):.1f}",
            f"hebt_over_{element}": f"{_over_iterated(study, 'hebt_est', element):.1f}",
            f"wrong_low_{element}": _signed(100 * (relative[:, :, e].min() - 1)),
            f"wrong_high_{element}": _signed(100 * (relative[:, :, e].max() - 1)),
            f"wrong_worst_{element}": f"{100 * wrong.worst()[e]:.0f}",
            f"wrong_paper_{element}": _signed(100 * (wrong.paper_relative()[e].mean() - 1)),
        }
        for m, method in enumerate(("hebt", "eds")):
            shift = _shift_cost(kernels)
            n[f"shift_{method}_{element}"] = (
                "unknown" if shift is None else _signed(100 * (shift[m, e] - 1))
            )
    n |= _phrases(study)
    n["kernels_won"] = f"{_kernels_won(kernels)}"
    n["kernels"] = f"{len(kernels.kernels)}"
    for name in ("ssim", "ssim_windowed"):
        values = getattr(kernels, name)
        ahead = (values[:, 0] > values[:, 1]).all(axis=(1, 2))
        n[f"kernels_won_{name}"] = f"{int(ahead.sum())}"
    low, high = kernels.r_squared.mean(axis=1).min(), kernels.r_squared.mean(axis=1).max()
    n["kernel_r_squared"] = f"{low:.2f} to {high:.2f}"
    best = kernels.at("best").mean(axis=-1)
    lead = best[:, 1] / best[:, 0]
    for e, element in enumerate(study.elements):
        n[f"kernel_level_{element}"] = f"{best[:, 0, e].max() / best[:, 0, e].min():.1f}"
        n[f"kernel_lead_{element}"] = f"{lead[:, e].min():.2f} to {lead[:, e].max():.2f}"
    return {f"phantom_{name}": text for name, text in n.items()}


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper beside what the companion found.

    Attributes
    ----------
    claim, place
        What the paper says, and where.
    found
        What our simulation gives.
    test
        When the claim counts as reproduced.
    holds
        Whether it does.
    """

    claim: str
    place: str
    found: str
    test: str
    holds: bool


def phantom_claims(
    study: studies.PhantomStudy, wrong: studies.Stability
) -> tuple[Claim, ...]:
    """Return the paper's claims about the phantom, each decided by a stated test on our results.

    Parameters
    ----------
    study, wrong
        Results of `hebt.studies.phantom_study` and `stability`.
    """
    pairs = len(studies.TABLE_1) * len(study.elements)
    won, won_best = len(study.pairs_won()), len(study.pairs_won(stop="best"))
    est = _est_against_true(study)
    worst = float(wrong.worst().max())
    errors = study.ratio_errors().mean(axis=0)
    paper_errors = [_paper.printed(f"phantom.r_error.{e}").value for e in study.elements]
    claims = [
        Claim(
            "HEBT is better than EDS alone in each score of Table 1",
            "Table 1",
            f"{won} of {pairs} pairs, each with every seed",
            "all pairs",
            won == pairs,
        ),
        Claim(
            "the same, when each method is stopped at its best",
            "not in the paper",
            f"{won_best} of {pairs} pairs",
            "all pairs",
            won_best == pairs,
        ),
        Claim(
            "HEBT with r_est gives nearly the same image quality as with r_gt",
            "section 4.1",
            f"MSE {_percent_range(est)}",
            "within 5 %",
            bool(np.abs(est - 1).max() <= 0.05),
        ),
        Claim(
            "HEBT is stable against errors of the response ratios",
            "section 4.1",
            f"at errors up to {np.abs(wrong.errors).max():g} %, its highest MSE is "
            f"{100 * worst:.0f} % of that of EDS alone",
            "stays below EDS alone",
            worst < 1,
        ),
        Claim(
            "R² = 0.91",
            "section 4.1",
            spread_text(study.r_squared, ".3f"),
            "agrees or near",
            _word(_paper.printed("phantom.r_squared").value, study.r_squared)
            in ("agrees", "near"),
        ),
        Claim(
            "errors of the estimated ratios: "
            + ", ".join(f"{e} {_signed(p)}" for e, p in zip(study.elements, paper_errors)),
            "section 4.1",
            ", ".join(f"{e} {_signed(v)}" for e, v in zip(study.elements, errors)),
            "agrees or near, for each element",
            all(
                _word(p, study.ratio_errors()[:, e]) in ("agrees", "near")
                for e, p in enumerate(paper_errors)
            ),
        ),
    ]
    for name in studies.TABLE_1:
        words = [
            _word(
                _paper.printed(f"table1.{name}.{element}.{method}").value,
                study.score(name, method, element),
                name,
            )
            for element in study.elements
            for method in studies.METHODS
        ]
        near = sum(w in ("agrees", "near") for w in words)
        claims.append(
            Claim(
                f"the values of {name.upper()} in Table 1",
                "Table 1",
                f"{near} of {len(words)} agree or are near",
                "all of them",
                near == len(words),
            )
        )
    return tuple(claims)


def claims_table(study: studies.PhantomStudy, wrong: studies.Stability) -> Table:
    """Return which of the paper's claims about the phantom our simulation reproduces."""
    return Table(
        ("claim", "place", "ours", "test", "reproduced?"),
        [
            (c.claim, c.place, c.found, c.test, "yes" if c.holds else "no")
            for c in phantom_claims(study, wrong)
        ],
        title="What can be reproduced",
        note=f"{_seeds_text(study.settings)}; stability: {len(wrong.settings.seeds)} seeds.",
    )


def glue(numbers: dict[str, str]) -> None:
    """Put numbers where the sentences of a chapter find them.

    Parameters
    ----------
    numbers
        Name -> text, such as from `phantom_numbers`.
    """
    import myst_nb

    for name, text in numbers.items():
        myst_nb.glue(name, text, display=False)


def built_with(settings: studies.PhantomSettings) -> Table:
    """Return the settings that a page was built with, beside those that the paper prints."""
    import hebt

    def row(name, keys, ours, form="{:g}"):
        paper = [_paper.printed(f"phantom.{key}").value for key in keys]
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
        title=f"This page was built at {hebt.fidelity()} fidelity with hebt {hebt.__version__}",
        note=""
        if settings.pixel == 1
        else f"One pixel here stands for {settings.pixel:g} × {settings.pixel:g} of the paper's "
        "and collects their counts; the kernel is shortened in proportion.",
    )


def _phrases(study):
    """Sentences of the chapter that say what the numbers decide."""
    pairs = [(name, e) for name in studies.TABLE_1 for e in study.elements]
    same_order = all(
        len(study.pairs_won(method=m)) == len(pairs) for m in ("hebt_est", "hebt_gt")
    )
    better = [(n, e) for n, e in pairs if study.gain(n, e).mean() > 1]
    shrinks = [
        (n, e)
        for n, e in better
        if study.gain(n, e, stop="best").mean() < study.gain(n, e).mean()
    ]
    forgives = all(
        _over_iterated(study, "hebt_est", e) < _over_iterated(study, "eds", e)
        for e in study.elements
    )
    apart = [
        (n, e)
        for n, e in pairs
        if abs(study.score(n, "hebt_est", e).mean() - study.score(n, "hebt_gt", e).mean())
        > study.score(n, "hebt_est", e).std(ddof=1 if len(study.settings.seeds) > 1 else 0)
    ]
    errors, both = (study.ratio_errors(both=b).mean(axis=0) for b in (False, True))
    paper = np.array([_paper.printed(f"phantom.r_error.{e}").value for e in study.elements])
    nearer = int((np.abs(both - paper) < np.abs(errors - paper)).sum())
    ssim = {
        name: sum(
            _word(_paper.printed(f"table1.ssim.{e}.{m}").value, study.score(name, m, e), name)
            in ("agrees", "near")
            for e in study.elements
            for m in studies.METHODS
        )
        for name in ("ssim", "ssim_windowed")
    }
    return {
        "nearer": f"{nearer}",
        "ssim_near": f"{ssim['ssim']}",
        "ssim_windowed_near": f"{ssim['ssim_windowed']}",
        "order": "The order of the methods is the same for every score, element and seed"
        if same_order
        else "The order of the methods changes with the score, the element or the seed",
        "baseline": f"In {len(shrinks)} of the {len(better)} pairs in which HEBT leads at the "
        "paper's number of iterations, its lead is smaller at the best stop"
        + (": part of it came from letting EDS alone run too long" if shrinks else ""),
        "forgives": "HEBT suffers less from a late stop"
        if forgives
        else "HEBT does not suffer less from a late stop",
        "apart": f"{len(apart)}",
        "correlation_hebt": f"{study.error_correlation('hebt_est'):+.2f}".replace("-", "−"),
        "correlation_eds": f"{study.error_correlation('eds'):+.2f}".replace("-", "−"),
    }


def _list(seeds):
    first, last = seeds[0], seeds[-1]
    if len(seeds) > 2 and tuple(seeds) == tuple(range(first, last + 1)):
        return f"{first} to {last}"
    return ", ".join(str(v) for v in seeds)


def _place(text):
    """The place of a number, as it reads inside a sentence."""
    return text.replace("Section", "section")


def _ten_thousands(ratio):
    return f"{ratio / 1e4:.2f} × 10⁴"


def _est_against_true(study):
    """MSE of HEBT with estimated ratios over that with true ones, (elements,), mean over seeds."""
    return np.array(
        [
            (study.score("mse", "hebt_est", e) / study.score("mse", "hebt_gt", e)).mean()
            for e in study.elements
        ]
    )


def _over_iterated(study, method, element):
    """MSE at the last iteration over that at the best stop."""
    return float(
        (
            study.score("mse", method, element)
            / study.score("mse", method, element, stop="best")
        ).mean()
    )


def _shift_cost(kernels):
    """MSE with the kernel that is not centred over its centred twin, (methods, elements)."""
    for i, k in enumerate(kernels.kernels):
        if not k.centred:
            for j, other in enumerate(kernels.kernels):
                if other.centred and (other.width, other.sigma) == (k.width, k.sigma):
                    return (kernels.at()[i] / kernels.at()[j]).mean(axis=-1)
    return None


def _kernels_won(kernels):
    """With how many kernels HEBT beats EDS alone for all elements, seeds, and both stops."""
    better = [kernels.at(stop)[:, 0] < kernels.at(stop)[:, 1] for stop in ("printed", "best")]
    return int(np.all(better, axis=(0, 2, 3)).sum())


def _signed(percent):
    return f"{percent:+.1f} %".replace("-", "−")


def _percent_range(ratios):
    low, high = 100 * (np.min(ratios) - 1), 100 * (np.max(ratios) - 1)
    return f"{_signed(low)[:-2]} to {_signed(high)}"


def _bar_label(settings):
    return f"{100 / settings.pixel:g} pixels"


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
