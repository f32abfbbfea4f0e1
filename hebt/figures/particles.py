"""Figures, tables and numbers of the two nanoparticles in 3D (sections 4.2 and 4.3)."""

import matplotlib.pyplot as plt
import numpy as np

from hebt import _paper, volumes
from hebt.figures._style import (
    ELEMENT_COLOR,
    METHOD_STYLE,
    WIDTH,
    panel,
    scale_bar,
    styled,
    title,
)
from hebt.figures._tables import RULE, Table, agreement, spread_text

NAME = {
    "eds": "EDS only",
    "hebt": "HEBT",
    "haadf": "HAADF",
    "volume_mask": "EDS, volume mask",
    "projection_mask": "EDS, masked maps",
}
STYLE = {"eds": METHOD_STYLE["eds"], "hebt": METHOD_STYLE["hebt_est"]}
LIMITS = (0.0, 1.2)
SCORE_NAME = {
    "ssim": "SSIM structure, all voxels at once",
    "ssim_windowed": "SSIM structure, 11 × 11 windows",
    "mse": "MSE, mean over voxels",
    "dp": "DP (voxels)",
}
SCORE_FORMAT = {"ssim": ".4f", "ssim_windowed": ".4f", "mse": ".4f", "dp": ",.0f"}
OURS_FORMAT = SCORE_FORMAT | {"mse": ".5f"}


def _seeds(study):
    text = "one noise seed" if len(study.settings) == 1 else f"{len(study.settings)} noise seeds"
    return f"mean ± standard deviation over {text}"


def _five_columns(study, images, chosen):
    """Rows of slices, five columns each, densities and HAADF on one scale."""
    rows = len(chosen)
    figure, axes = plt.subplots(
        rows, 5, figsize=(WIDTH, 1.5 * rows + 0.75), layout="constrained", squeeze=False
    )
    for c, column in enumerate(volumes.COLUMNS):
        element, _, method = column.partition("_")
        name = "HAADF" if column == "haadf" else f"{element}, {NAME[method]}"
        for r, number in enumerate(chosen):
            ax = axes[r, c]
            shown = panel(
                ax,
                images[c][r],
                name=name if r == 0 else "",
                unit="",
                kind="haadf" if column == "haadf" else "density",
                limits=LIMITS,
                bar_for=[],
            )
            if c == 0:
                ax.set_ylabel(f"slice {number}")
            if c in (0, 4) and r == rows - 1:
                bar = figure.colorbar(
                    shown,
                    ax=axes[-1, :4] if c == 0 else axes[-1, 4],
                    location="bottom",
                    fraction=0.06,
                    pad=0.04,
                    aspect=40 if c == 0 else 10,
                    extend="max",
                )
                bar.set_label(_density_unit(study) if c == 0 else "brightest: 1")
                bar.outline.set_visible(False)
    nm = _bar(study, images.shape[-1] * _pixel(study, images))
    scale_bar(axes[0, 0], nm / _pixel(study, images), f"{nm:g} nm")
    return figure


def _pixel(study, images):
    """Side of a pixel of the pictures, in nm."""
    return study.voxel_size * study.settings[0].size / images.shape[-1]


def _bar(study, width):
    return next(v for v in (50, 20, 10, 5, 2) if v < 0.45 * width)


def _density_unit(study):
    return "density of the element (bulk: 1, at the scale nearest to the truth)"


@styled
def figure5(study: volumes.NonAlloyStudy):
    """Draw Figure 5: three slices, Au and Ag by EDS alone and by HEBT, and HAADF.

    Parameters
    ----------
    study
        From `hebt.volumes.nonalloy_study`.

    Returns
    -------
    matplotlib.figure.Figure
        The first noise seed, slices 80, 150 and 220 of 300.
    """
    return _five_columns(study, volumes.from_steps(study.views.whole), study.views.chosen)


@styled
def figure10(study: volumes.AlloyStudy):
    """Draw Figure 10: slices of the alloy particle, as in `figure5`."""
    return _five_columns(study, volumes.from_steps(study.views.whole), study.views.chosen)


@styled
def stills(pictures: dict):
    """Draw renderings side by side, as in Figures 6 and 11.

    Parameters
    ----------
    pictures
        Title -> (rows, columns, 3), uint8.
    """
    figure, axes = plt.subplots(
        1, len(pictures), figsize=(WIDTH, WIDTH / len(pictures) + 0.3), layout="constrained"
    )
    for ax, mark, (name, picture) in zip(np.atleast_1d(axes), "abcdef", pictures.items()):
        ax.imshow(picture, interpolation="bilinear")
        title(ax, name, mark)
        ax.set_axis_off()
    return figure


def figure6(study: volumes.NonAlloyStudy):
    """Draw Figure 6: Au (yellow) and Ag (blue) by EDS, by HEBT, and segmented from HAADF."""
    from hebt.explorers.particles import view

    names = {"eds": "EDS only", "hebt": "HEBT", "segmented": "segmented HAADF"}
    return stills({text: view(study, name) for name, text in names.items()})


def figure11(study: volumes.AlloyStudy):
    """Draw Figure 11: Au (yellow) and Ag (blue) of the alloy by EDS and by HEBT."""
    from hebt.explorers.particles import view

    return stills({NAME[name]: view(study, name) for name in volumes.METHODS})


def table2(study: volumes.NonAlloyStudy) -> Table:
    """Return Table 2 by the paper's protocol: the paper's numbers, ours, and who is better."""
    rows = []
    for name in volumes.TABLE_2:
        for element in volumes.ELEMENTS:
            cells = []
            for method in volumes.METHODS:
                paper = _paper.printed(f"table2.{name}.{element}.{method}").value
                ours = study.score("segmented", name, method, element)
                word = _word(paper, ours, name)
                cells.append(
                    f"paper {format(paper, SCORE_FORMAT[name])}\n"
                    f"ours {spread_text(ours, OURS_FORMAT[name])}\n{word}"
                )
            rows.append(
                (
                    f"{SCORE_NAME[name]}\n{element}",
                    *cells,
                    _printed_winner(name, element),
                    study.outcome("segmented", name, element),
                )
            )
    return Table(
        ("score", NAME["eds"], NAME["hebt"], "better: paper", "better: ours"),
        rows,
        title=f"Table 2 of the paper and ours, after {study.iterations} iterations, against the "
        "segmented HAADF reconstruction",
        note=f"Ours: {_seeds(study)}; better means better with every seed. {RULE}",
    )


def reference_table(study: volumes.NonAlloyStudy, reference: str) -> Table:
    """Return the scores against one reference, at the paper's iterations and the best stops.

    Parameters
    ----------
    study
        From `hebt.volumes.nonalloy_study`.
    reference
        "segmented" (the paper's protocol) or "true".
    """
    rows = []
    for name in volumes.TABLE_2:
        for element in volumes.ELEMENTS:
            cells = []
            for stop in ("printed", "best"):
                for method in volumes.METHODS:
                    ours = study.score(reference, name, method, element, stop=stop)
                    text = spread_text(ours, OURS_FORMAT[name])
                    if stop == "best":
                        at = study.checkpoints[study.best(reference, name, method, element)]
                        text += f"\nat {at}"
                    cells.append(text)
                cells.append(study.outcome(reference, name, element, stop=stop))
            rows.append((f"{name.upper()}\n{element}", *cells))
    n = study.iterations
    what = {"segmented": "the segmented HAADF reconstruction", "true": "the true specimen"}
    return Table(
        (
            "score", f"EDS, {n} it.", f"HEBT, {n} it.", "better",
            "EDS, best stop", "HEBT, best stop", "better",
        ),
        rows,
        title=f"Scores against {what[reference]}",
        note=f"{_seeds(study)}; better means better with every seed. SSIM, MSE and DP are as in "
        "Table 2 above. The best stop is that of the best mean over the seeds, for each score, "
        f"element and method alone; both methods were followed to {study.checkpoints[-1]} "
        "iterations; a best stop there may lie beyond.",
    )  # fmt: skip


def windows_table(study: volumes.NonAlloyStudy) -> Table:
    """Return Table 2's SSIM in its other reading, with small windows."""
    rows = []
    for reference, name in (("segmented", "segmented HAADF"), ("true", "true specimen")):
        for element in volumes.ELEMENTS:
            rows.append(
                (
                    f"{element}, {name}",
                    *(
                        spread_text(
                            study.score(reference, "ssim_windowed", m, element), ".4f"
                        )
                        for m in volumes.METHODS
                    ),
                    study.outcome(reference, "ssim_windowed", element),
                )
            )
    for element in volumes.ELEMENTS:
        printed = [
            f"{_paper.printed(f'table2.ssim.{element}.{m}').value:.4f}" for m in volumes.METHODS
        ]
        rows.append((f"{element}, printed", *printed, _printed_winner("ssim", element)))
    return Table(
        ("reference", *(NAME[m] for m in volumes.METHODS), "better"),
        rows,
        title=f"SSIM structure with windows of 11 × 11 pixels, after {study.iterations} iterations",
        note=f"{_seeds(study)}.",
    )


@styled
def convergence3d(study: volumes.NonAlloyStudy):
    """Draw the MSE against the iteration, by both references, and the leak of Ag into Au."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
    for ax, mark, element in zip(axes, "ab", volumes.ELEMENTS, strict=False):
        for m, method in enumerate(volumes.METHODS):
            for reference, line in (("segmented", "--"), ("true", "-")):
                values = study.scores[reference]["mse"][m, volumes.ELEMENTS.index(element)]
                seen = np.isfinite(values).all(axis=0)
                ax.plot(
                    study.checkpoints[seen],
                    values[:, seen].mean(axis=0),
                    color=STYLE[method]["color"],
                    linestyle=line,
                    label=f"{NAME[method]}, "
                    f"{'true specimen' if reference == 'true' else 'segmented HAADF'}",
                )
        ax.axvline(study.iterations, color="0.7", linewidth=1, zorder=0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("iteration")
        ax.set_ylabel("MSE, mean over voxels")
        title(ax, element, mark)
    ax = axes[2]
    for m, method in enumerate(volumes.METHODS):
        values = 100 * study.shadow[m]
        seen = np.isfinite(values).all(axis=0)
        ax.plot(
            study.checkpoints[seen], values[:, seen].mean(axis=0), color=STYLE[method]["color"]
        )
    ax.axvline(study.iterations, color="0.7", linewidth=1, zorder=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("iteration")
    ax.set_ylabel("Au in pure Ag (% of pure Au)")
    title(ax, "shadow", "c")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def dose(study: volumes.DoseStudy):
    """Draw what HEBT gains in MSE over EDS alone, and R², against the dose."""
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 2.9), layout="constrained", width_ratios=(3, 2)
    )
    stops = {"printed": (f"after {study.iterations} iterations", "-"), "best": ("best stop", "--")}
    for element in volumes.ELEMENTS:
        for stop, (words, line) in stops.items():
            axes[0].plot(
                study.counts,
                study.gain(element, stop=stop),
                color=ELEMENT_COLOR[element],
                linestyle=line,
                marker="o" if element == "Au" else "s",
                markersize=4,
                label=f"{element}, {words}",
            )
    axes[0].axhline(1, color="0.4", linewidth=1)
    axes[0].set_ylabel("MSE of EDS only / MSE of HEBT")
    axes[1].plot(study.counts, study.r_squared, color="0.2", marker="o", markersize=4, label="ours")
    axes[1].axhline(
        _paper.printed("nonalloy.r_squared").value, color="0.6", linestyle=":", label="paper"
    )
    axes[1].set_ylabel("R² of the response ratios")
    axes[1].legend()
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(study.counts, [f"{c:g}" for c in study.counts])
        ax.set_xlabel("counts per element and pixel")
    title(axes[0], "gain", "a")
    title(axes[1], "fit", "b")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def dose_numbers(study: volumes.DoseStudy) -> dict[str, str]:
    """Return the numbers that the chapter quotes of the dose study, ready for `glue`."""
    at = study.counts_at(_paper.printed("nonalloy.r_squared").value)
    numbers = {
        "slices": f"{study.slices}",
        "lowest": f"{study.counts[0]:g}",
        "highest": f"{study.counts[-1]:g}",
        "like_paper": _dose_verdict(study, at),
    }
    for element in volumes.ELEMENTS:
        for stop in ("printed", "best"):
            gain = study.gain(element, stop=stop)
            numbers[f"{stop}_{element}_low"] = f"{gain[0]:.1f}"
            numbers[f"{stop}_{element}_high"] = f"{gain[-1]:.1f}"
    return {f"dose_{name}": text for name, text in numbers.items()}


def _dose_verdict(study, at):
    """Say at which dose the fit is that of the paper, and whether the gain is, too."""
    printed = _paper.printed("nonalloy.r_squared").value
    if not np.isfinite(at):
        low, high = study.r_squared[[0, -1]]
        return (
            f"The paper's R² of {printed:g} is met by none of these doses, which give {low:.3f} "
            f"to {high:.3f}"
        )
    nearest = int(np.abs(np.log(study.counts / at)).argmin())
    ours = [float(study.gain(e)[nearest]) for e in volumes.ELEMENTS]
    theirs = [
        _paper.printed(f"table2.mse.{e}.eds").value / _paper.printed(f"table2.mse.{e}.hebt").value
        for e in volumes.ELEMENTS
    ]
    alike = all(1 / 1.25 < a / b < 1.25 for a, b in zip(ours, theirs, strict=True))
    return (
        f"Our R² meets the paper's {printed:g} at about {at:.1g} counts. At "
        f"{study.counts[nearest]:g} counts (R² {study.r_squared[nearest]:.2f}) the quotients after "
        f"{study.iterations} iterations are {ours[0]:.1f} (Au) and {ours[1]:.1f} (Ag); those of "
        f"the paper's Table 2 are {theirs[0]:.1f} and {theirs[1]:.1f}. So where the maps fit the "
        f"images as badly as the paper's do, the gain is {'about' if alike else 'not'} that of the "
        "paper"
    )


def leak_table(study: volumes.NonAlloyStudy) -> Table:
    """Return how much of the Au reconstruction lies in pure Ag, before and after a threshold."""
    at = study.printed

    def row(name, values, after=None):
        return (
            name,
            *(spread_text(v, ".2f", scale=100, unit=" %") for v in values),
            *(
                spread_text(v, ".2f", scale=100, unit=" %") if after is not None else "–"
                for v in (after if after is not None else values)
            ),
        )

    return Table(
        ("in the Au reconstruction", "EDS only", "HEBT", "EDS, threshold", "HEBT, threshold"),
        [
            row("share of all intensity that lies in pure Ag", study.leak[..., at],
                study.cleared_leak),
            row("mean in pure Ag, relative to pure Au", study.shadow[..., at]),
            row("mean outside the particle, relative to pure Au", study.haze[..., at]),
            ("voxels of pure Ag above half of pure Au", "–", "–",
             *(spread_text(v, ".3f", scale=100, unit=" %") for v in study.cleared_shadow)),
        ],
        title=f"The shadow of Ag in Au, after {study.iterations} iterations",
        note=f"{_seeds(study)}. Pure means more than 8 nm from any surface. The threshold sets "
        "to 0 what is below half of the mean in pure Au.",
    )  # fmt: skip


@styled
def edges(study: volumes.NonAlloyStudy):
    """Draw the profiles across the Au/Ag interface (a, b) and across the outer edge (c)."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.7), layout="constrained", sharey=True)
    for ax, mark, element, surface, name in zip(
        axes,
        "abc",
        ("Au", "Ag", "Ag"),
        ("interface", "interface", "edge"),
        ("Au at the interface", "Ag at the interface", "Ag at the outer edge"),
        strict=True,
    ):
        for method in volumes.METHODS:
            found = study.profiles[method, element, surface]
            values = np.mean([p.values for p in found], axis=0)
            ax.plot(
                found[0].distance,
                values,
                color=STYLE[method]["color"],
                linestyle=STYLE[method]["linestyle"],
                label=f"{NAME[method]}: {np.mean([p.width for p in found]):.1f} nm",
            )
        outside = element == "Au" or surface == "edge"
        ax.step([-12, 0, 12], [outside, outside, not outside], color="0.6", linewidth=1, zorder=0)
        ax.axvline(0, color="0.8", linewidth=1, zorder=0)
        ax.set_xlabel(
            "distance from the interface (nm)"
            if surface == "interface"
            else "distance from the outer edge (nm)"
        )
        title(ax, name, mark)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    axes[0].set_ylabel("density (bulk: 1)")
    return figure


def width_table(study: volumes.NonAlloyStudy) -> Table:
    """Return the 10 to 90 % widths of the interface and of the outer edge."""
    rows = [
        (name, *(spread_text(study.widths(m, e, s), ".1f", unit=" nm") for m in volumes.METHODS),
         spread_text(study.widths("haadf", "haadf", s), ".1f", unit=" nm"),
         spread_text(study.widths("true", e, s), ".1f", unit=" nm"))
        for name, e, s in (
            ("Au at the interface", "Au", "interface"),
            ("Ag at the interface", "Ag", "interface"),
            ("Ag at the outer edge", "Ag", "edge"),
        )
    ]  # fmt: skip
    return Table(
        ("10 to 90 % width", NAME["eds"], NAME["hebt"], "HAADF, same surface", "true specimen"),
        rows,
        title=f"Widths of edges, after {study.iterations} iterations",
        note=f"{_seeds(study)}. An error function is fitted to the mean profile over all "
        "directions, so the missing wedge is in these numbers. The width of the true specimen is "
        "what voxels and the steps of the profile add.",
    )


@styled
def figure9(study: volumes.NonAlloyStudy):
    """Draw Figure 9: Au and Ag from EDS with a mask on the volume (a, b) or on the maps (c, d)."""
    images = volumes.from_steps(study.masked)
    figure, axes = plt.subplots(1, 4, figsize=(WIDTH, 2.6), layout="constrained")
    for k, (ax, mark) in enumerate(zip(axes, "abcd", strict=True)):
        m, e = divmod(k, 2)
        shown = panel(
            ax,
            images[m, e],
            name=f"{volumes.ELEMENTS[e]}, {('volume mask', 'masked maps')[m]}",
            unit="",
            limits=LIMITS,
            mark=mark,
            bar_for=[],
        )
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", fraction=0.06, pad=0.04, aspect=40, extend="max"
    )
    bar.set_label(_density_unit(study))
    bar.outline.set_visible(False)
    nm = _bar(study, images.shape[-1] * study.voxel_size)
    scale_bar(axes[0], nm / study.voxel_size, f"{nm:g} nm")
    return figure


def localisation_table(study: volumes.NonAlloyStudy) -> Table:
    """Return how well EDS with masks tells the elements apart, beside EDS alone and HEBT."""
    rows = []
    for e, element in enumerate(volumes.ELEMENTS):
        for name, key, form, unit, scale in (
            ("error inside the particle", "error", ".2f", " %", 100),
            ("width of the interface", "width", ".1f", " nm", 1),
            ("intensity outside the particle", "outside", ".2f", " %", 100),
            ("MSE, mean over voxels", "mse", ".5f", "", 1),
        ):
            rows.append(
                (
                    f"{element}: {name}",
                    *(
                        spread_text(study.localised[m][key][e], form, scale=scale, unit=unit)
                        for m in volumes.LOCALISED
                    ),
                )
            )
    return Table(
        ("against the true specimen", *(NAME[m] for m in volumes.LOCALISED)),
        rows,
        title=f"What the masks change, after {study.iterations} iterations",
        note=f"{_seeds(study)}, over every second slice of the middle third. The error inside "
        "is the squared error over the particle's voxels, relative to the squared reference, at "
        "the best scale.",
    )


def segmentation_table(study: volumes.NonAlloyStudy) -> Table:
    """Return how well the segmentation of the HAADF reconstruction meets the truth."""
    return Table(
        ("material", "overlap with the truth (Dice)", "error of the volume"),
        [
            (
                element,
                spread_text(study.overlap[e], ".4f"),
                spread_text(study.volume_error[e], "+.2f", scale=100, unit=" %"),
            )
            for e, element in enumerate(volumes.ELEMENTS)
        ],
        title="The paper's kind of reference, judged by the true specimen",
        note=f"{_seeds(study)}. A Dice coefficient of 1 would be a perfect segmentation.",
    )


def fit_table(study, which: str) -> Table:
    """Return response ratios and R² of a particle: the paper's and ours.

    Parameters
    ----------
    study
        A `NonAlloyStudy` or `AlloyStudy`.
    which
        "nonalloy" or "alloy".
    """
    rows = []
    for e, element in enumerate(volumes.ELEMENTS):
        rows.append(
            (
                f"r of {element}",
                f"{_paper.printed(f'{which}.r_est.{element}').value / 1e4:.2f} × 10⁴",
                spread_text(study.ratios[:, e], ".3f", scale=1e3, unit=" × 10⁻³"),
            )
        )
    quotient = study.ratios[:, 1] / study.ratios[:, 0]
    paper = [_paper.printed(f"{which}.r_est.{e}").value for e in volumes.ELEMENTS]
    rows.append(("r of Ag / r of Au", f"{paper[1] / paper[0]:.2f}", spread_text(quotient, ".2f")))
    rows.append(
        (
            "R²",
            f"{_paper.printed(f'{which}.r_squared').value:.2f}",
            spread_text(study.r_squared, ".3f"),
        )
    )
    return Table(
        ("quantity", "paper", "ours"),
        rows,
        title="Response ratios, in HAADF intensity per count",
        note=f"Ours: {_seeds(study)}. The paper's HAADF intensities are on a scale of their own, "
        "so its ratios cannot be compared one by one.",
    )


def alloy_table(study: volumes.AlloyStudy) -> Table:
    """Return the alloy's errors against the truth, at the paper's iterations and the best stop."""
    rows = []
    for name in ("ssim", "mse", "ssim_windowed"):
        stops = ("printed",) if name == "ssim_windowed" else ("printed", "best")
        for element in volumes.ELEMENTS:
            cells = []
            for stop in ("printed", "best"):
                for method in volumes.METHODS:
                    if stop not in stops:
                        cells.append("–")
                        continue
                    text = spread_text(
                        study.score(name, method, element, stop=stop), OURS_FORMAT[name]
                    )
                    if stop == "best":
                        text += f"\nat {study.checkpoints[study.best(name, method, element)]}"
                    cells.append(text)
            rows.append((f"{SCORE_NAME[name]}\n{element}", *cells))
    n = study.iterations
    return Table(
        ("score", f"EDS, {n} it.", f"HEBT, {n} it.", "EDS, best stop", "HEBT, best stop"),
        rows,
        title="The alloy particle against the true specimen",
        note=f"{_seeds(study)}, in every second of the slices that hold the particle, with a "
        "margin. The best stop is that of the best mean over the seeds, for each score, element "
        f"and method alone, within {study.checkpoints[-1]} iterations; a best stop there may lie "
        "beyond.",
    )


@styled
def gold_profile(study: volumes.AlloyStudy):
    """Draw the atomic fraction of Au against the radius: true, by EDS and by HEBT."""
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 3.0), layout="constrained", width_ratios=(3, 2)
    )
    axes[0].plot(study.radius, 100 * study.true_profile, color="0.2", label="true specimen")
    for m, method in enumerate(volumes.METHODS):
        values = 100 * study.profile[m]
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(study.radius))
        look = STYLE[method]
        axes[0].errorbar(
            study.radius + (m - 0.5) * 0.12,
            values.mean(axis=0),
            yerr=spread,
            color=look["color"],
            marker=look["marker"],
            markersize=4,
            linestyle="none",
            capsize=2,
            label=NAME[method],
        )
        axes[1].errorbar(
            study.radius + (m - 0.5) * 0.12,
            values.mean(axis=0) - 100 * study.true_profile,
            yerr=spread,
            color=look["color"],
            marker=look["marker"],
            markersize=4,
            linestyle="none",
            capsize=2,
        )
    axes[1].axhline(0, color="0.2")
    axes[0].set_ylabel("Au (atomic %)")
    axes[1].set_ylabel("difference (atomic %)")
    for ax in axes:
        ax.set_xlabel("distance from the centre (nm)")
    title(axes[0], "radial profile", "a")
    title(axes[1], "error", "b")
    axes[0].legend()
    return figure


def profile_table(study: volumes.AlloyStudy) -> Table:
    """Return the errors of the composition: over shells, and voxel by voxel."""
    error = study.profile_error()
    return Table(
        ("error of the Au fraction (atomic %)", *(NAME[m] for m in volumes.METHODS)),
        [
            ("means over shells of the radius", *(spread_text(v, ".1f", scale=100) for v in error)),
            ("single voxels", *(spread_text(v, ".1f", scale=100) for v in study.voxel_error)),
        ],
        title=f"Root mean square error of the composition, after {study.iterations} iterations",
        note=f"{_seeds(study)}, in every second slice. Both methods are given the true ζ "
        "factors; in an experiment, the error of the calibration comes on top.",
    )


def nonalloy_numbers(study: volumes.NonAlloyStudy) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`.

    Parameters
    ----------
    study
        From `hebt.volumes.nonalloy_study`.

    Returns
    -------
    dict
        Name -> text. The names begin with ``nonalloy_``.
    """
    pairs = len(volumes.TABLE_2) * len(volumes.ELEMENTS)
    at = study.printed
    alpha = float(_paper.printed("nonalloy.best_alpha").value)
    winners = [
        _printed_winner(n, e) == "HEBT" for n in volumes.TABLE_2 for e in volumes.ELEMENTS
    ]
    numbers = _common(study) | {
        "pairs": f"{pairs}",
        "most": f"{study.checkpoints[-1]}",
        "printed_won": f"{sum(winners)}",
        "eds_share": f"{(1 - alpha) * study.iterations:.0f}",
        "alpha": f"{alpha:g}",
        "differing": _pairs_text(
            [
                (n, e)
                for n in volumes.TABLE_2
                for e in volumes.ELEMENTS
                if study.outcome("segmented", n, e) != study.outcome("true", n, e)
            ]
        ),
    }
    for reference in volumes.REFERENCES:
        for stop in ("printed", "best"):
            for who in ("HEBT", "EDS", "tie"):
                found = [
                    (n, e)
                    for n in volumes.TABLE_2
                    for e in volumes.ELEMENTS
                    if study.outcome(reference, n, e, stop=stop) == who
                ]
                key = f"{reference}_{stop}_{who}".lower()
                numbers[key] = f"{len(found)}"
                numbers[f"{key}_pairs"] = _pairs_text(found)
    for m, method in enumerate(volumes.METHODS):
        numbers |= {
            f"shadow_{method}": spread_text(study.shadow[m, :, at], ".2f", scale=100, unit=" %"),
            f"cleared_{method}": spread_text(
                study.cleared_leak[m], ".3f", scale=100, unit=" %"
            ),
        }
        early = int(np.flatnonzero(study.checkpoints <= 10)[-1])
        numbers[f"early_shadow_{method}"] = f"{100 * study.shadow[m, :, early].mean():.0f} %"
        numbers["early"] = f"{study.checkpoints[early]}"
    numbers["last_shadow"] = f"{100 * study.shadow[1, :, -1].mean():.2f} %"
    for e, element in enumerate(volumes.ELEMENTS):
        eds = study.localised["eds"]
        for name in volumes.LOCALISED[1:]:
            change = study.localised[name]["error"][e] / eds["error"][e] - 1
            numbers[f"error_{name}_{element}"] = spread_text(change, "+.0f", scale=100, unit=" %")
        numbers[f"dice_{element}"] = spread_text(study.overlap[e], ".3f")
        numbers[f"volume_{element}"] = spread_text(
            study.volume_error[e], "+.1f", scale=100, unit=" %"
        )
        numbers[f"mse_gain_{element}"] = spread_text(study.gain("true", "mse", element), ".2f")
        numbers[f"mse_gain_best_{element}"] = spread_text(
            study.gain("true", "mse", element, stop="best"), ".2f"
        )
        for m, method in enumerate(volumes.METHODS):
            numbers[f"stop_{method}_{element}"] = (
                f"{study.checkpoints[study.best('true', 'mse', method, element)]}"
            )
            numbers[f"width_{method}_{element}"] = spread_text(
                study.widths(method, element, "interface"), ".1f", unit=" nm"
            )
    for method in volumes.METHODS:
        numbers[f"edge_{method}"] = spread_text(
            study.widths(method, "Ag", "edge"), ".1f", unit=" nm"
        )
    numbers["edge_haadf"] = spread_text(study.widths("haadf", "haadf", "edge"), ".1f", unit=" nm")
    numbers["masks_worse"] = _masks_phrase(study)
    numbers["masks_best"] = _masks_verdict(study)
    return {f"nonalloy_{name}": text for name, text in numbers.items()}


def alloy_numbers(study: volumes.AlloyStudy) -> dict[str, str]:
    """Return the numbers that the alloy chapter's sentences quote; names begin with ``alloy_``."""
    numbers = _common(study) | {"alpha": f"{_paper.printed('alloy.alpha').value:g}"}
    error = study.profile_error()
    for m, method in enumerate(volumes.METHODS):
        numbers[f"profile_{method}"] = spread_text(error[m], ".1f", scale=100)
        numbers[f"voxel_{method}"] = spread_text(study.voxel_error[m], ".1f", scale=100)
    for element in volumes.ELEMENTS:
        for stop in ("printed", "best"):
            eds, bimodal = (study.score("mse", m, element, stop=stop) for m in volumes.METHODS)
            numbers[f"mse_gain_{stop}_{element}"] = spread_text(eds / bimodal, ".2f")
    ends = 100 * study.true_profile[[0, -1]]
    numbers["true_centre"], numbers["true_rim"] = (f"{v:.0f}" for v in ends)
    numbers["ball"] = f"{study.radius[-1]:.0f}"
    numbers["verdict"] = _alloy_verdict(study)
    return {f"alloy_{name}": text for name, text in numbers.items()}


def _common(study):
    size = study.settings[0].size
    return {
        "seeds": f"{len(study.settings)}",
        "size": f"{size}",
        "voxel": f"{study.voxel_size:.2g}",
        "iterations": f"{study.iterations}",
        "tilts": f"{len(study.settings[0].angles)}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "slices": f"{study.views.slices.shape[1]}",
    }


def _pairs_text(pairs):
    if not pairs:
        return "none"
    return ", ".join(f"{name.upper()} of {element}" for name, element in pairs)


def _masks_phrase(study):
    """Say, for Au and Ag, whether any mask makes the interior better than plain EDS does."""
    better = [
        f"{NAME[name]} for {element}"
        for name in ("volume_mask", "projection_mask")
        for e, element in enumerate(volumes.ELEMENTS)
        if (study.localised[name]["error"][e] < 0.95 * study.localised["eds"]["error"][e]).all()
    ]
    if not better:
        return "Neither mask lowers the error inside the particle by more than 5 % with every seed"
    return f"The error inside falls by more than 5 % with every seed for: {', '.join(better)}"


def _masks_verdict(study):
    """Say for which elements HEBT has a smaller error inside than EDS with either mask."""
    better = [
        element
        for e, element in enumerate(volumes.ELEMENTS)
        if all(
            (study.localised["hebt"]["error"][e] < 0.95 * study.localised[m]["error"][e]).all()
            for m in ("volume_mask", "projection_mask")
        )
    ]
    if len(better) == len(volumes.ELEMENTS):
        return "In both elements HEBT's error is smaller by more than 5 %, as the paper says"
    if better:
        return f"HEBT's error is smaller by more than 5 % in {better[0]} alone"
    return (
        "The paper's conclusion, that HEBT localises elements where masks do not, does not show "
        "in this number at this dose: HEBT's error is smaller by more than 5 % in neither element"
    )


def _alloy_verdict(study):
    """Say who meets the true composition better, over shells and in single voxels."""
    words = []
    for what, errors in (
        ("over shells", study.profile_error()), ("in single voxels", study.voxel_error)
    ):  # fmt: skip
        if (errors[1] < errors[0]).all():
            words.append(f"{what}, HEBT is nearer to the truth with every seed")
        elif (errors[1] > errors[0]).all():
            words.append(f"{what}, EDS alone is nearer to the truth with every seed")
        else:
            words.append(f"{what}, neither is nearer to the truth with every seed")
    text = "; ".join(words)
    return text[0].upper() + text[1:]


def _printed_winner(name, element):
    eds, bimodal = (
        _paper.printed(f"table2.{name}.{element}.{m}").value for m in volumes.METHODS
    )
    if eds == bimodal:
        return "tie"
    return "HEBT" if (bimodal > eds) == (name in volumes.BEST_IS_LARGE) else "EDS"


def _word(paper, ours, name):
    spread = float(np.std(ours, ddof=1)) if len(ours) > 1 else 0.0
    best = 1.0 if name in volumes.BEST_IS_LARGE else 0.0
    return agreement(paper, float(np.mean(ours)), spread, best=best)
