"""Tables of the two chapters on the particles."""

from ..paper import printed as paper_printed
from ..tables import RULE, Table, spread_text
from .alloy import AlloyStudy
from .claims import _printed_winner, _word
from .figures import NAME, seeds_text
from .measures import ELEMENTS, LOCALIZED, METHODS, TABLE_2
from .nonalloy import NonAlloyStudy

SCORE_NAME = {
    "ssim": "SSIM structure, all voxels at once",
    "ssim_windowed": "SSIM structure, 11 × 11 windows",
    "mse": "MSE, mean over voxels",
    "dp": "DP (voxels)",
}
SCORE_FORMAT = {"ssim": ".4f", "ssim_windowed": ".4f", "mse": ".4f", "dp": ",.0f"}
OURS_FORMAT = SCORE_FORMAT | {"mse": ".5f"}


def table2(study: NonAlloyStudy) -> Table:
    """Return Table 2 by the paper's protocol: the paper's numbers, ours, and who is better."""
    rows = []
    for name in TABLE_2:
        for element in ELEMENTS:
            cells = []
            for method in METHODS:
                paper = paper_printed(f"table2.{name}.{element}.{method}").value
                ours = study.scores["segmented"].at(name, method, element)
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
                    study.scores["segmented"].outcome(name, element),
                )
            )
    return Table(
        ("score", NAME["eds"], NAME["hebt"], "better: paper", "better: ours"),
        rows,
        title=f"Table 2 of the paper and ours, after {study.iterations} iterations, against the "
        "segmented HAADF reconstruction",
        note=f"Ours: {seeds_text(study)}; better means better with every seed. {RULE}",
    )


def reference_table(study: NonAlloyStudy, reference: str) -> Table:
    """Return the scores against one reference, at the paper's iterations and the best stops.

    Parameters
    ----------
    study
        From `companion.particles.nonalloy_study`.
    reference
        "segmented" (the paper's protocol) or "true".
    """
    rows = []
    for name in TABLE_2:
        for element in ELEMENTS:
            cells = []
            for stop in ("printed", "best"):
                for method in METHODS:
                    ours = study.scores[reference].at(name, method, element, stop=stop)
                    text = spread_text(ours, OURS_FORMAT[name])
                    if stop == "best":
                        at = study.scores[reference].best_iteration(name, method, element)
                        text += f"\nat {at}"
                    cells.append(text)
                cells.append(study.scores[reference].outcome(name, element, stop=stop))
            rows.append((f"{name.upper()}\n{element}", *cells))
    n = study.iterations
    what = {"segmented": "the segmented HAADF reconstruction", "true": "the true specimen"}
    return Table(
        (
            "score",
            f"EDS, {n} it.",
            f"HEBT, {n} it.",
            "better",
            "EDS, best stop",
            "HEBT, best stop",
            "better",
        ),
        rows,
        title=f"Scores against {what[reference]}",
        note=f"{seeds_text(study)}; better means better with every seed. SSIM, MSE and DP are "
        "as in Table 2 above. The best stop is that of the best mean over the seeds, for each "
        f"score, element and method alone; both methods were followed to {study.checkpoints[-1]} "
        "iterations; a best stop there may lie beyond.",
    )


def windows_table(study: NonAlloyStudy) -> Table:
    """Return Table 2's SSIM in its other reading, with small windows."""
    rows = []
    for reference, name in (("segmented", "segmented HAADF"), ("true", "true specimen")):
        for element in ELEMENTS:
            rows.append(
                (
                    f"{element}, {name}",
                    *(
                        spread_text(study.scores[reference].at("ssim_windowed", m, element), ".4f")
                        for m in METHODS
                    ),
                    study.scores[reference].outcome("ssim_windowed", element),
                )
            )
    for element in ELEMENTS:
        printed = [f"{paper_printed(f'table2.ssim.{element}.{m}').value:.4f}" for m in METHODS]
        rows.append((f"{element}, printed", *printed, _printed_winner("ssim", element)))
    return Table(
        ("reference", *(NAME[m] for m in METHODS), "better"),
        rows,
        title=f"SSIM structure with windows of 11 × 11 pixels, after {study.iterations} iterations",
        note=f"{seeds_text(study)}.",
    )


def crosstalk_table(study: NonAlloyStudy) -> Table:
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
            row(
                "share of all intensity that lies in pure Ag",
                study.crosstalk["share"][..., at],
                study.crosstalk["cleared_share"][..., at],
            ),
            row("mean in pure Ag, relative to pure Au", study.crosstalk["level"][..., at]),
            row(
                "mean outside the particle, relative to pure Au",
                study.crosstalk["background"][..., at],
            ),
            (
                "voxels of pure Ag above half of pure Au",
                "–",
                "–",
                *(
                    spread_text(v, ".3f", scale=100, unit=" %")
                    for v in study.crosstalk["cleared_level"][..., at]
                ),
            ),
        ],
        title=f"The shadow of Ag in Au, after {study.iterations} iterations",
        note=f"{seeds_text(study)}. Pure means more than 8 nm from any surface. The threshold sets "
        "to 0 what is below half of the mean in pure Au.",
    )


def width_table(study: NonAlloyStudy) -> Table:
    """Return the 10 to 90 % widths of the interface and of the outer edge."""
    rows = [
        (
            name,
            *(spread_text(study.widths(m, e, s), ".1f", unit=" nm") for m in METHODS),
            spread_text(study.widths("haadf", "haadf", s), ".1f", unit=" nm"),
            spread_text(study.widths("true", e, s), ".1f", unit=" nm"),
        )
        for name, e, s in (
            ("Au at the interface", "Au", "interface"),
            ("Ag at the interface", "Ag", "interface"),
            ("Ag at the outer edge", "Ag", "edge"),
        )
    ]
    return Table(
        ("10 to 90 % width", NAME["eds"], NAME["hebt"], "HAADF, same surface", "true specimen"),
        rows,
        title=f"Widths of edges, after {study.iterations} iterations",
        note=f"{seeds_text(study)}. An error function is fitted to the mean profile over all "
        "directions, so the missing wedge is in these numbers. The width of the true specimen is "
        "what voxels and the steps of the profile add.",
    )


def localization_table(study: NonAlloyStudy) -> Table:
    """Return how well EDS with masks tells the elements apart, beside EDS alone and HEBT."""
    rows = []
    for e, element in enumerate(ELEMENTS):
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
                        spread_text(study.localized[m][key][e], form, scale=scale, unit=unit)
                        for m in LOCALIZED
                    ),
                )
            )
    return Table(
        ("against the true specimen", *(NAME[m] for m in LOCALIZED)),
        rows,
        title=f"What the masks change, after {study.iterations} iterations",
        note=f"{seeds_text(study)}, over every second slice of the middle third. The error inside "
        "is the squared error over the particle's voxels, relative to the squared reference, at "
        "the best scale.",
    )


def segmentation_table(study: NonAlloyStudy) -> Table:
    """Return how well the segmentation of the HAADF reconstruction meets the truth."""
    return Table(
        ("material", "overlap with the truth (Dice)", "error of the volume"),
        [
            (
                element,
                spread_text(study.overlap[e], ".4f"),
                spread_text(study.volume_error[e], "+.2f", scale=100, unit=" %"),
            )
            for e, element in enumerate(ELEMENTS)
        ],
        title="The paper's kind of reference, judged by the true specimen",
        note=f"{seeds_text(study)}. A Dice coefficient of 1 would be a perfect segmentation.",
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
    for e, element in enumerate(ELEMENTS):
        rows.append(
            (
                f"r of {element}",
                f"{paper_printed(f'{which}.r_est.{element}').value / 1e4:.2f} × 10⁴",
                spread_text(study.ratios[:, e], ".3f", scale=1e3, unit=" × 10⁻³"),
            )
        )
    quotient = study.ratios[:, 1] / study.ratios[:, 0]
    paper = [paper_printed(f"{which}.r_est.{e}").value for e in ELEMENTS]
    rows.append(("r of Ag / r of Au", f"{paper[1] / paper[0]:.2f}", spread_text(quotient, ".2f")))
    rows.append(
        (
            "R²",
            f"{paper_printed(f'{which}.r_squared').value:.2f}",
            spread_text(study.r_squared, ".3f"),
        )
    )
    return Table(
        ("quantity", "paper", "ours"),
        rows,
        title="Response ratios, in HAADF intensity per count",
        note=f"Ours: {seeds_text(study)}. The paper's HAADF intensities are on a scale of their "
        "own, so its ratios cannot be compared one by one.",
    )


def alloy_table(study: AlloyStudy) -> Table:
    """Return the alloy's errors against the truth, at the paper's iterations and the best stop."""
    rows = []
    for name in ("ssim", "mse", "ssim_windowed"):
        stops = ("printed",) if name == "ssim_windowed" else ("printed", "best")
        for element in ELEMENTS:
            cells = []
            for stop in ("printed", "best"):
                for method in METHODS:
                    if stop not in stops:
                        cells.append("–")
                        continue
                    text = spread_text(
                        study.scores.at(name, method, element, stop=stop), OURS_FORMAT[name]
                    )
                    if stop == "best":
                        text += f"\nat {study.scores.best_iteration(name, method, element)}"
                    cells.append(text)
            rows.append((f"{SCORE_NAME[name]}\n{element}", *cells))
    n = study.iterations
    return Table(
        ("score", f"EDS, {n} it.", f"HEBT, {n} it.", "EDS, best stop", "HEBT, best stop"),
        rows,
        title="The alloy particle against the true specimen",
        note=f"{seeds_text(study)}, in every second of the slices that hold the particle, with a "
        "margin. The best stop is that of the best mean over the seeds, for each score, element "
        f"and method alone, within {study.checkpoints[-1]} iterations; a best stop there may lie "
        "beyond.",
    )


def profile_table(study: AlloyStudy) -> Table:
    """Return the errors of the composition: over shells, and voxel by voxel."""
    error = study.profile_error()
    return Table(
        ("error of the Au fraction (atomic %)", *(NAME[m] for m in METHODS)),
        [
            ("means over shells of the radius", *(spread_text(v, ".1f", scale=100) for v in error)),
            ("single voxels", *(spread_text(v, ".1f", scale=100) for v in study.voxel_error)),
        ],
        title=f"Root mean square error of the composition, after {study.iterations} iterations",
        note=f"{seeds_text(study)}, in every second slice. Both methods are given the true ζ "
        "factors; in an experiment, the error of the calibration comes on top.",
    )
