"""Figures, tables and numbers of the two nanoparticles in 3D (sections 4.2 and 4.3)."""

import numpy as np

from ..paper import printed as paper_printed
from ..scores import BEST_IS_LARGE
from ..tables import agreement, spread_text
from .alloy import AlloyStudy
from .dose import DoseStudy
from .figures import NAME, _common
from .measures import ELEMENTS, LOCALIZED, METHODS, REFERENCES, TABLE_2
from .nonalloy import NonAlloyStudy


def dose_numbers(study: DoseStudy) -> dict[str, str]:
    """Return the numbers that the chapter quotes of the dose study, ready for `glue`."""
    at = study.counts_at(paper_printed("nonalloy.r_squared").value)
    numbers = {
        "slices": f"{study.slices}",
        "lowest": f"{study.counts[0]:g}",
        "highest": f"{study.counts[-1]:g}",
        "like_paper": _dose_verdict(study, at),
    }
    for element in ELEMENTS:
        for stop in ("printed", "best"):
            gain = study.gain(element, stop=stop)
            numbers[f"{stop}_{element}_low"] = f"{gain[0]:.1f}"
            numbers[f"{stop}_{element}_high"] = f"{gain[-1]:.1f}"
    return {f"dose_{name}": text for name, text in numbers.items()}


def _dose_verdict(study, at):
    """Say at which dose the fit is that of the paper, and whether the gain is, too."""
    printed = paper_printed("nonalloy.r_squared").value
    if not np.isfinite(at):
        low, high = study.r_squared[[0, -1]]
        return (
            f"The paper's R² of {printed:g} is met by none of these doses, which give {low:.3f} "
            f"to {high:.3f}"
        )
    nearest = int(np.abs(np.log(study.counts / at)).argmin())
    ours = [float(study.gain(e)[nearest]) for e in ELEMENTS]
    theirs = [
        paper_printed(f"table2.mse.{e}.eds").value / paper_printed(f"table2.mse.{e}.hebt").value
        for e in ELEMENTS
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


def nonalloy_numbers(study: NonAlloyStudy) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`.

    Parameters
    ----------
    study
        From `companion.particles.nonalloy_study`.

    Returns
    -------
    dict
        Name -> text. The names begin with ``nonalloy_``.
    """
    pairs = len(TABLE_2) * len(ELEMENTS)
    at = study.printed
    alpha = float(paper_printed("nonalloy.best_alpha").value)
    winners = [_printed_winner(n, e) == "HEBT" for n in TABLE_2 for e in ELEMENTS]
    numbers = _common(study) | {
        "pairs": f"{pairs}",
        "most": f"{study.checkpoints[-1]}",
        "printed_won": f"{sum(winners)}",
        "eds_share": f"{(1 - alpha) * study.iterations:.0f}",
        "alpha": f"{alpha:g}",
        "paper_r_squared": f"{paper_printed('nonalloy.r_squared').value:.2f}",
        "differing": _pairs_text(
            [
                (n, e)
                for n in TABLE_2
                for e in ELEMENTS
                if study.scores["segmented"].outcome(n, e) != study.scores["true"].outcome(n, e)
            ]
        ),
    }
    for reference in REFERENCES:
        for stop in ("printed", "best"):
            for who in ("HEBT", "EDS", "tie"):
                found = [
                    (n, e)
                    for n in TABLE_2
                    for e in ELEMENTS
                    if study.scores[reference].outcome(n, e, stop=stop) == who
                ]
                key = f"{reference}_{stop}_{who}".lower()
                numbers[key] = f"{len(found)}"
                numbers[f"{key}_pairs"] = _pairs_text(found)
    for m, method in enumerate(METHODS):
        numbers |= {
            f"shadow_{method}": spread_text(
                study.crosstalk["level"][m, :, at], ".2f", scale=100, unit=" %"
            ),
            f"cleared_{method}": spread_text(
                study.crosstalk["cleared_share"][m, :, at], ".3f", scale=100, unit=" %"
            ),
        }
        early = int(np.flatnonzero(study.checkpoints <= 10)[-1])
        numbers[f"early_shadow_{method}"] = (
            f"{100 * study.crosstalk['level'][m, :, early].mean():.0f} %"
        )
        numbers["early"] = f"{study.checkpoints[early]}"
    numbers["last_shadow"] = f"{100 * study.crosstalk['level'][1, :, -1].mean():.2f} %"
    for e, element in enumerate(ELEMENTS):
        eds = study.localized["eds"]
        for name in LOCALIZED[1:]:
            change = study.localized[name]["error"][e] / eds["error"][e] - 1
            numbers[f"error_{name}_{element}"] = spread_text(change, "+.0f", scale=100, unit=" %")
        numbers[f"dice_{element}"] = spread_text(study.overlap[e], ".3f")
        numbers[f"volume_{element}"] = spread_text(
            study.volume_error[e], "+.1f", scale=100, unit=" %"
        )
        numbers[f"mse_gain_{element}"] = spread_text(
            study.scores["true"].gain("mse", element), ".2f"
        )
        numbers[f"mse_gain_best_{element}"] = spread_text(
            study.scores["true"].gain("mse", element, stop="best"), ".2f"
        )
        for method in METHODS:
            numbers[f"stop_{method}_{element}"] = (
                f"{study.scores['true'].best_iteration('mse', method, element)}"
            )
            numbers[f"width_{method}_{element}"] = spread_text(
                study.widths(method, element, "interface"), ".1f", unit=" nm"
            )
    for method in METHODS:
        numbers[f"edge_{method}"] = spread_text(
            study.widths(method, "Ag", "edge"), ".1f", unit=" nm"
        )
    numbers["edge_haadf"] = spread_text(study.widths("haadf", "haadf", "edge"), ".1f", unit=" nm")
    numbers["masks_worse"] = _masks_phrase(study)
    numbers["masks_best"] = _masks_verdict(study)
    return {f"nonalloy_{name}": text for name, text in numbers.items()}


def alloy_numbers(study: AlloyStudy) -> dict[str, str]:
    """Return the numbers that the alloy chapter's sentences quote; names begin with ``alloy_``."""
    numbers = _common(study) | {"alpha": f"{paper_printed('alloy.alpha').value:g}"}
    error = study.profile_error()
    for m, method in enumerate(METHODS):
        numbers[f"profile_{method}"] = spread_text(error[m], ".1f", scale=100)
        numbers[f"voxel_{method}"] = spread_text(study.voxel_error[m], ".1f", scale=100)
    for element in ELEMENTS:
        for stop in ("printed", "best"):
            eds, bimodal = (study.scores.at("mse", m, element, stop=stop) for m in METHODS)
            numbers[f"mse_gain_{stop}_{element}"] = spread_text(eds / bimodal, ".2f")
    ends = 100 * study.true_profile[[0, -1]]
    numbers["true_centre"], numbers["true_rim"] = (f"{v:.0f}" for v in ends)
    numbers["ball"] = f"{study.radius[-1]:.0f}"
    numbers["verdict"] = _alloy_verdict(study)
    return {f"alloy_{name}": text for name, text in numbers.items()}


def _pairs_text(pairs):
    if not pairs:
        return "none"
    return ", ".join(f"{name.upper()} of {element}" for name, element in pairs)


def _masks_phrase(study):
    """Say, for Au and Ag, whether any mask makes the interior better than plain EDS does."""
    better = [
        f"{NAME[name]} for {element}"
        for name in ("volume_mask", "projection_mask")
        for e, element in enumerate(ELEMENTS)
        if (study.localized[name]["error"][e] < 0.95 * study.localized["eds"]["error"][e]).all()
    ]
    if not better:
        return "Neither mask lowers the error inside the particle by more than 5 % with every seed"
    return f"The error inside falls by more than 5 % with every seed for: {', '.join(better)}"


def _masks_verdict(study):
    """Say for which elements HEBT has a smaller error inside than EDS with either mask."""
    better = [
        element
        for e, element in enumerate(ELEMENTS)
        if all(
            (study.localized["hebt"]["error"][e] < 0.95 * study.localized[m]["error"][e]).all()
            for m in ("volume_mask", "projection_mask")
        )
    ]
    if len(better) == len(ELEMENTS):
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
        ("over shells", study.profile_error()),
        ("in single voxels", study.voxel_error),
    ):
        if (errors[1] < errors[0]).all():
            words.append(f"{what}, HEBT is nearer to the truth with every seed")
        elif (errors[1] > errors[0]).all():
            words.append(f"{what}, EDS alone is nearer to the truth with every seed")
        else:
            words.append(f"{what}, neither is nearer to the truth with every seed")
    text = "; ".join(words)
    return text[0].upper() + text[1:]


def _printed_winner(name, element):
    eds, bimodal = (paper_printed(f"table2.{name}.{element}.{m}").value for m in METHODS)
    if eds == bimodal:
        return "tie"
    return "HEBT" if (bimodal > eds) == (name in BEST_IS_LARGE) else "EDS"


def _word(paper, ours, name):
    spread = float(np.std(ours, ddof=1)) if len(ours) > 1 else 0.0
    best = 1.0 if name in BEST_IS_LARGE else 0.0
    return agreement(paper, float(np.mean(ours)), spread, best=best)
