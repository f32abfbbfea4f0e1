"""Tables of the two chapters on the particles."""

import numpy as np

from ..paper import value
from ..scores import BEST_IS_LARGE
from ..spectra.settings import READINGS
from ..tables import RULE, Table, signed, spread_text, verdict
from .absorption import PEAKS, AbsorptionStudy
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .grid import Grid
from .measures import ELEMENTS, METHODS, PAIRS
from .nonalloy import LOCALIZED, NonAlloyStudy
from .rim import MODELS, RimStudy
from .stopping import MOST, RULES, StoppingStudy
from .surfaces import EDGES, PURE

PARTICLE_NAME = {"nonalloy": "embedded octahedron", "alloy": "alloy particle"}
NAME = {
    "eds": "EDS only",
    "hebt": "HEBT",
    "haadf": "HAADF",
    "volume_mask": "EDS, volume mask",
    "projection_mask": "EDS, masked maps",
}
SCORE_NAME = {
    "ssim": "SSIM structure, all voxels at once",
    "ssim_windowed": "SSIM structure, 11 × 11 windows",
    "mse": "MSE, mean over voxels",
    "dp": "DP (voxels)",
}
REFERENCE_NAME = {"segmented": "segmented HAADF", "true": "true specimen"}
PRINTED_FORMAT = {"ssim": ".4f", "ssim_windowed": ".4f", "mse": ".4f", "dp": ",.0f"}
OURS_FORMAT = PRINTED_FORMAT | {"mse": ".5f"}
BEST_STOP = (
    "The best stop is that of the best mean over the seeds, for each score, element and method "
    "alone"
)


def column_name(column: str) -> str:
    """Name one of `views.COLUMNS`."""
    element, _, method = column.partition("_")
    return f"{element}, {NAME[method]}" if method else NAME[column]


def every_text(step: int) -> str:
    """Say which slices stand for all."""
    words = {1: "every", 2: "every second", 4: "every fourth", 8: "every eighth"}
    return f"{words.get(step, f'every {step}th')} slice"


def _ours(study: ParticleStudy, step: int | None = None) -> str:
    """Say over which seeds a table's numbers are means, and in which slices they were taken."""
    n = len(study.settings)
    text = f"mean ± standard deviation over {'one noise seed' if n == 1 else f'{n} noise seeds'}"
    step = study.step if step is None else step
    return text + (f", in {every_text(step)}" if step > 1 else "")


def percent(values, digits: str = ".2f") -> str:
    """Write shares over the seeds in percent."""
    return spread_text(values, digits, scale=100, unit=" %")


def nanometers(values) -> str:
    """Write lengths over the seeds."""
    return spread_text(values, ".1f", unit=" nm")


def printed_winner(name: str, element: str) -> str:
    """Say who is better in the paper's Table 2: "HEBT", "EDS" or "tie"."""
    eds, bimodal = (value(f"table2.{name}.{element}.{m}") for m in METHODS)
    if eds == bimodal:
        return "tie"
    return "HEBT" if (bimodal > eds) == (name in BEST_IS_LARGE) else "EDS"


def table2(study: NonAlloyStudy) -> Table:
    """Return Table 2 by the paper's protocol: the paper's numbers, ours, and who is better."""
    scores, rows = study.scores["segmented"], []
    for name, element in PAIRS:
        for method in METHODS:
            paper = value(f"table2.{name}.{element}.{method}")
            ours = scores.at(name, method, element)
            texts = format(paper, PRINTED_FORMAT[name]), spread_text(ours, OURS_FORMAT[name])
            # who is better stands once for both methods
            outcomes = printed_winner(name, element), scores.outcome(name, element)
            outcomes = outcomes if method == METHODS[-1] else ("", "")
            row = SCORE_NAME[name], element, NAME[method], *texts, verdict(paper, ours, name)
            rows.append((*row, *outcomes))
    return Table(
        ("score", "element", "method", "paper", "ours", "agreement")
        + ("better: paper", "better: ours"),
        rows,
        title=f"Table 2 of the paper and ours, after {study.iterations} iterations, against the "
        "segmented HAADF reconstruction",
        note=f"Ours: {_ours(study)}; better means better with every seed. {RULE}",
    )


def _score_cells(scores, name, element, stop):
    """Return a score of both methods at one stop."""
    return [
        spread_text(scores.at(name, method, element, stop=stop), OURS_FORMAT[name])
        for method in METHODS
    ]


def _stop_cell(scores, name, element, stop):
    """Return after how many iterations both methods stop."""
    if stop == "printed":
        return f"after {scores.printed}"
    eds, bimodal = (scores.best_iteration(name, method, element) for method in METHODS)
    return f"at the best: EDS {eds}, HEBT {bimodal}"


def reference_table(study: NonAlloyStudy, reference: str) -> Table:
    """Return the scores against "segmented" or "true", at the paper's iterations and the best."""
    scores = study.scores[reference]
    rows = []
    for name, element in PAIRS:
        for stop in ("printed", "best"):
            cells = name.upper(), element, _stop_cell(scores, name, element, stop)
            outcome = scores.outcome(name, element, stop=stop)
            rows.append((*cells, *_score_cells(scores, name, element, stop), outcome))
    what = {"segmented": "the segmented HAADF reconstruction", "true": "the true specimen"}
    return Table(
        ("score", "element", "stop", *(NAME[m] for m in METHODS), "better"),
        rows,
        title=f"Scores against {what[reference]}",
        note=f"{_ours(study)}; better means better with every seed. SSIM, MSE and DP are as in "
        f"Table 2 above. {BEST_STOP}; both methods were followed to {study.checkpoints[-1]} "
        "iterations; a best stop there may lie beyond.",
    )


def alloy_table(study: AlloyStudy) -> Table:
    """Return the alloy's errors against the truth, at the paper's iterations and the best stop."""
    scores, rows = study.scores["true"], []
    for name in ("ssim", "mse", "ssim_windowed"):
        # small windows are taken at the paper's iterations only
        stops = ("printed",) if name == "ssim_windowed" else ("printed", "best")
        for element in ELEMENTS:
            for stop in stops:
                cells = SCORE_NAME[name], element, _stop_cell(scores, name, element, stop)
                rows.append((*cells, *_score_cells(scores, name, element, stop)))
    return Table(
        ("score", "element", "stop", *(NAME[m] for m in METHODS)),
        rows,
        title="The alloy particle against the true specimen",
        note=f"{_ours(study)} that holds the particle, with a margin. {BEST_STOP}, "
        f"within {study.checkpoints[-1]} iterations; a best stop there may lie beyond.",
    )


def windows_table(study: NonAlloyStudy) -> Table:
    """Return Table 2's SSIM in its other reading, with small windows."""
    rows = []
    for reference, scores in study.scores.items():
        for element in ELEMENTS:
            cells = _score_cells(scores, "ssim_windowed", element, "printed")
            cells.append(scores.outcome("ssim_windowed", element))
            rows.append((f"{element}, {REFERENCE_NAME[reference]}", *cells))
    for element in ELEMENTS:
        cells = [f"{value(f'table2.ssim.{element}.{m}'):.4f}" for m in METHODS]
        rows.append((f"{element}, printed", *cells, printed_winner("ssim", element)))
    return Table(
        ("reference", *(NAME[m] for m in METHODS), "better"),
        rows,
        title=f"SSIM structure with windows of 11 × 11 pixels, after {study.iterations} iterations",
        note=f"{_ours(study)}.",
    )


def crosstalk_table(study: NonAlloyStudy) -> Table:
    """Return how much of the Au reconstruction lies in pure Ag, before and after a threshold."""

    def cells(name, digits=".2f"):
        return [percent(study.crosstalk.at(name, m, "Au"), digits) for m in METHODS]

    none = ["–"] * len(METHODS)
    rows = [
        ("share of all intensity that lies in pure Ag", *cells("share"), *cells("cleared_share")),
        ("mean in pure Ag, relative to pure Au", *cells("level"), *none),
        ("mean outside the particle, relative to pure Au", *cells("background"), *none),
        ("voxels of pure Ag above half of pure Au", *none, *cells("cleared_voxels", ".3f")),
    ]
    return Table(
        ("in the Au reconstruction", "EDS only", "HEBT", "EDS, threshold", "HEBT, threshold"),
        rows,
        title=f"Crosstalk of Ag in Au, after {study.iterations} iterations",
        note=f"{_ours(study)}. Pure means more than {PURE:g} nm from any surface. The threshold "
        "sets to 0 what is below half of the mean in pure Au.",
    )


def width_table(study: NonAlloyStudy) -> Table:
    """Return the 10 to 90 % widths of the interface and of the outer edge."""
    rows = []
    for element, surface in EDGES:
        who = [(m, element) for m in METHODS] + [("haadf", "haadf"), ("true", element)]
        where = {"interface": "at the interface", "edge": "at the outer edge"}[surface]
        cells = (nanometers(study.widths(*one, surface)) for one in who)
        rows.append((f"{element} {where}", *cells))
    return Table(
        ("10 to 90 % width", NAME["eds"], NAME["hebt"], "HAADF, same surface", "true specimen"),
        rows,
        title=f"Widths of edges, after {study.iterations} iterations",
        note=f"{_ours(study)}. An error function is fitted to the mean profile over all "
        "directions, so the missing wedge is in these numbers. The width of the true specimen is "
        "what voxels and the steps of the profile add.",
    )


def grid_table(grid: Grid) -> Table:
    """Return what three readings of kernel and counts make of HEBT's gain."""
    rows = []
    for reading, (sigma, counts) in READINGS.items():
        at = grid.place(reading)
        gains = (f"{grid.gain(e, stop=s)[at]:.2f}" for s in ("printed", "best") for e in ELEMENTS)
        cells = f"{sigma:g}", f"{counts['nonalloy']:g}", f"{grid.r_squared[at]:.3f}"
        rows.append((reading, *cells, *gains))
    printed = next(iter(grid.scores.values())).printed
    stops = (f"after {printed}", "best stops")
    return Table(
        ("reading", "σ (pixels)", "counts", "R²", *(f"{e}, {s}" for s in stops for e in ELEMENTS)),
        rows,
        title="MSE of EDS alone over that of HEBT, against the truth",
        note=f"Above 1, HEBT is better. One noise seed, {grid.slices} slices about the middle; "
        "counts on a pixel of the paper's frame.",
    )


def rim_table(study: RimStudy) -> Table:
    """Return width and noise of Ag at the interface, with the maps' kernel in the model or not."""
    rows = []
    for reading in study.readings:
        for method, blurred in MODELS:
            key = reading, method, blurred
            name = f"{NAME[method]}{', kernel in the model' if blurred else ''}"
            for n in sorted({study.printed, int(study.iterations[key][-1])}):
                width, noise = study.at(key, n)
                rows.append((reading, name, f"{n}", f"{width:.1f} nm", f"{100 * noise:.0f} %"))
    longer = ", ".join(f"{study.slower[r]:.1f} times ({r})" for r in study.readings)
    return Table(
        ("reading", "method", "iterations", "width of Ag at the interface", "noise of Ag"),
        rows,
        title="The rim in silver: iterations, and the maps' kernel in the model",
        note=f"One noise seed, {study.slices} neighboring slices. Noise is the standard deviation "
        "in pure Ag, of its mean. With the kernel in the model, HEBT took as long as without it "
        f"when this page was built: {longer}.",
    )


def stopping_table(study: StoppingStudy) -> Table:
    """Return where the noise of the maps stops both methods, and what that costs."""
    rows = []
    for key in study.errors:
        particle, method = key
        best = study.best(key)
        last = len(study.errors[key])
        cells = [PARTICLE_NAME[particle], NAME[method], f"{best}{' or later' * (best == last)}"]
        for rule in RULES:
            stop = study.stops.get((*key, rule), f"not within {last}")
            cells += [f"{stop}", f"{study.loss(key, rule):.2f}"]
        rows.append(cells)
    ratio = "MSE there / best"
    return Table(
        ("particle", "method", "best stop", "variance alone", ratio, "with what is fitted", ratio),
        rows,
        title="After how many iterations the noise of the maps stops a run",
        note=f"One noise seed, {study.slices} slices about the middle; runs were followed to 1.5 "
        f"times the best stop, at most {MOST} iterations. MSE is against the true specimen, a mean "
        "over the elements, each relative to its own square.",
    )


def localization_table(study: NonAlloyStudy) -> Table:
    """Return how well EDS with masks tells the elements apart, beside EDS alone and HEBT."""
    kinds = {
        "error": ("error inside the particle", percent),
        "width": ("width of the interface", nanometers),
        "outside": ("intensity outside the particle", percent),
        "mse": (SCORE_NAME["mse"], lambda v: spread_text(v, OURS_FORMAT["mse"])),
    }
    rows = [
        (f"{element}: {name}", *(text(study.localized[m][key][e]) for m in LOCALIZED))
        for e, element in enumerate(ELEMENTS)
        for key, (name, text) in kinds.items()
    ]
    return Table(
        ("against the true specimen", *(NAME[m] for m in LOCALIZED)),
        rows,
        title=f"What the masks change, after {study.iterations} iterations",
        note=f"{_ours(study, 1)}, over {every_text(max(2, study.step))} of the middle "
        "third. The error inside is the squared error over the particle's voxels, relative to the "
        "squared reference, at the best scale.",
    )


def segmentation_table(study: NonAlloyStudy) -> Table:
    """Return how well the segmentation of the HAADF reconstruction meets the truth."""
    rows = [
        (element, spread_text(study.overlap[e], ".4f"), percent(study.volume_error[e], "+.2f"))
        for e, element in enumerate(ELEMENTS)
    ]
    return Table(
        ("material", "overlap with the truth (Dice)", "error of the volume"),
        rows,
        title="The paper's kind of reference, judged by the true specimen",
        note=f"{_ours(study)}, of the first seed in {every_text(study.views.step)}. A Dice "
        "coefficient of 1 would be a perfect "
        "segmentation.",
    )


def fit_table(study: ParticleStudy) -> Table:
    """Return response ratios and R² of a particle: the paper's, ours by its fit, and by ours."""
    which = study.settings[0].particle
    paper = np.array([value(f"{which}.r_est.{e}") for e in ELEMENTS])
    fits = study.plain_ratios, study.ratios, study.true_ratios[:1]
    rows = []
    for e, element in enumerate(ELEMENTS):
        ours = (spread_text(fit[:, e], ".3f", scale=1e3, unit=" × 10⁻³") for fit in fits)
        rows.append((f"r of {element}", f"{paper[e] / 1e4:.2f} × 10⁴", *ours))
    quotients = (spread_text(fit[:, 1] / fit[:, 0], ".2f") for fit in fits)
    rows.append(("r of Ag / r of Au", f"{paper[1] / paper[0]:.2f}", *quotients))
    r_squared = value(f"{which}.r_squared")
    rows.append(("R²", f"{r_squared:.2f}", spread_text(study.r_squared, ".3f"), "–", "–"))
    return Table(
        ("quantity", "paper", "ours, by the paper's fit", "ours, as used here", "true"),
        rows,
        title="Response ratios, in HAADF intensity per count",
        note=f"Ours: {_ours(study, 1)}. The paper's HAADF intensities are on a scale of their own, "
        "so its ratios cannot be compared one by one. The ratios used here are fitted with the "
        "maps' noise taken off, and to HAADF images smoothed like the maps.",
    )


def profile_table(study: AlloyStudy) -> Table:
    """Return the errors of the composition: over shells, and voxel by voxel."""
    errors = {
        "means over shells of the radius": study.profile_error(),
        "single voxels": study.voxel_error,
    }
    return Table(
        ("error of the Au fraction (atomic %)", *(NAME[m] for m in METHODS)),
        [(name, *(spread_text(v, ".1f", scale=100) for v in e)) for name, e in errors.items()],
        title=f"Root mean square error of the composition, after {study.iterations} iterations",
        note=f"{_ours(study)}. Both methods are given the true ζ; in an experiment, the "
        "error of the calibration comes on top.",
    )


def absorption_loss_table(*studies: AbsorptionStudy) -> Table:
    """Return what particles absorb of the X-rays of each mapped peak."""
    rows = []
    for study in studies:
        for peak, loss, most in zip(PEAKS, study.loss, study.most, strict=True):
            texts = (f"{100 * share:.1f} %" for share in (loss, most))
            rows.append((PARTICLE_NAME[study.settings.particle], peak, *texts))
    return Table(
        ("particle", "lines", "absorbed, of all", "in the pixel with the most"),
        rows,
        title="What the particles absorb of their own X-rays",
        note=f"All tilts of {studies[0].settings.size}³ voxels; the two detectors that are on.",
    )


def _with_spread(mean: float, spread: float) -> str:
    """Write percents with their spread, which is left out where no digit shows it."""
    text = f"{spread:.1f}"
    return signed(mean) if float(text) == 0 else f"{signed(mean)[:-2]} ± {text} %"


def absorption_table(*studies: AbsorptionStudy) -> Table:
    """Return what absorption does to ratios, mass and composition, and what corrections leave."""
    rows = []
    for study in studies:
        name = PARTICLE_NAME[study.settings.particle] + (", counted" if study.noise else "")
        for e, element in enumerate(ELEMENTS):
            rows.append((name, f"r of {element}", *(signed(100 * v) for v in study.ratios[:, e])))
        for e, element in enumerate(ELEMENTS):
            rows.append((name, f"mass of {element}", *(signed(100 * v) for v in study.mass[:, e])))
        for e, element in enumerate(ELEMENTS):
            if np.isfinite(study.change[:, e]).all():
                pairs = zip(100 * study.change[:, e], 100 * study.spread[:, e], strict=True)
                texts = (_with_spread(mean, spread) for mean, spread in pairs)
                rows.append((name, f"density in pure {element}, against the first", *texts))
        gold = 100 * (study.gold - study.true_gold)
        rows.append((name, "Au of all atoms", *(f"{v:+.2f} at%".replace("-", "−") for v in gold)))
        if study.settings.particle == "alloy":
            shells = (f"{100 * v:.2f} at%" for v in study.profile_error())
            rows.append((name, "Au over shells (rms)", *shells))
    return Table(
        ("maps", "error of", "without absorption", "with it", "corrected once", "twice"),
        rows,
        title="Errors of HEBT's result with absorption, and corrected by itself",
        note="Mass and atoms are those of the whole particle; ± is the standard deviation over "
        "voxels. Maps without noise, drift and "
        "background; counted ones have the counts and the smoothing of the chapter's settings.",
    )
