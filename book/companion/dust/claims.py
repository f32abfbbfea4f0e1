"""The numbers in the sentences of the chapter on a measured series."""

import numpy as np

from ..dose import per_nm2
from ..judging import EDS, counts_of, outcome, relative
from ..paper import value
from .judgement import FREE, FUSED, HARD, MILD, POISSON, SOFT, STRONG, Judgement
from .study import DustStudy, fit_and_doubts, likeness, mass_stages, totals

# elements that have to be predicted better than by EDS alone, with none predicted worse
ENOUGH = 4

CLEARLY = 1.01  # an error this many times another is larger in the table as well

HOLDER = ("Ti", "Cu")  # of the grid and the holder, not of the specimen


def dust_numbers(study: DustStudy) -> dict[str, str]:
    """Return what the sentences quote of the series and its preparation, ready for `glue`."""
    now, series, angles = study.settings, study.series, study.angles
    across = study.neighbors[:, 1]
    jumps = np.abs(across[1:-1] - (across[:-2] + across[2:]) / 2)
    mass = mass_stages(study)
    turned = mass["... if the axis were horizontal"] / mass["the same strip, aligned"]
    total = totals(study)
    swing = {name: 100 * np.ptp(values) for name, values in total.items()}
    shadowed = [swing[name] for name in (*now.shadowed, "Ga")]
    rises = [total[name].max() / total[name].min() for name in HOLDER]
    carbon = total["C"][[0, -1]].mean() / total["C"][np.abs(angles) <= 10].mean() - 1
    pixel, depths = series.pixel_size, study.by_depth
    per_pixel = np.sort(series.maps.mean(axis=(1, 2, 3)))
    tilts, slices, size = study.haadf.shape
    coarse = pixel * now.coarse
    numbers = {
        "tilts": f"{tilts}",
        "first": _signed(angles[0]),
        "last": _signed(angles[-1]),
        "missing": f"{180 - np.ptp(angles):.0f}",
        "lines": f"{len(series.lines)}",
        "jump": f"{jumps.max():.0f}",
        "jump_tilt": _signed(angles[1:-1][jumps.argmax()]),
        "by_hand": f"{np.abs(study.shifts - study.manual).max():.1f}",
        "depth": f"{now.depth}",
        "turned": f"{turned:.1f}",
        "best_offset": _signed(min(study.by_offset, key=study.by_offset.get)),
        "best_depth": f"{10 * round(min(depths, key=depths.get) * pixel / 10)} nm",
        "rise": f"{rises[0]:.1f} and {rises[1]:.1f}",
        "shadowed": f"{min(shadowed):.0f} to {max(shadowed):.0f} %",
        "carbon": f"{100 * carbon:.0f} %",
        "constant": f"{swing['HAADF']:.0f} %",
        "width": f"{now.width}",
        "frame": f"{slices} slices of {size} pixels of {study.pixel_size:.1f} nm",
        "coarse": f"{coarse:.0f} nm",
        "alpha": f"{value('alloy.alpha'):g}",
        "iterations": f"{value('alloy.iterations'):g}",
        "counts": f"{per_pixel[0]:.2f} to {per_pixel[-1]:.2f}",
        "counts_nm2": " to ".join(f"{per_pixel[k] * per_nm2(1, side=pixel):.2g}" for k in (0, -1)),
    }
    return {f"dust_{name}": text for name, text in numbers.items()}


def held_out_numbers(result) -> dict[str, str]:
    """Return HEBT's error at the last stop against that of EDS alone, by weight and element."""
    eds, *_, strong = result.mean()[:, -1]
    magnesium = result.elements.index("Mg")
    factors = strong / eds
    worse = [e for e, f in zip(result.elements, factors, strict=True) if f > CLEARLY]
    numbers = {
        "strong_worse": ", ".join(worse) or "no element",
        "strong_Mg": f"{factors[magnesium]:.2f}",
    }
    return {f"dust_{name}": text for name, text in numbers.items()}


def ratio_numbers(study: DustStudy, fit) -> dict[str, str]:
    """Return what the sentences quote of the response ratios."""
    alike, at = likeness(study), study.elements.index
    corrected, _ = fit_and_doubts(study, study.settings.kept)
    oxygen = corrected.names.index("O")
    corrected_totals = totals(study, corrected=True)
    rest = [100 * np.ptp(corrected_totals[name]) for name in study.settings.shadowed]
    numbers = {
        "pt_ga": f"{alike[at('Pt'), at('Ga')]:.2f}",
        "o_mg": f"{alike[at('O'), at('Mg')]:.2f}",
        "o_si": f"{alike[at('O'), at('Si')]:.2f}",
        "o_plain": f"{fit.ratios[oxygen]:.0f}",
        "o_corrected": _ratio(corrected, oxygen),
        "normalized": f"{min(rest):.0f} to {max(rest):.0f} %",
    }
    return {f"dust_{name}": text for name, text in numbers.items()}


def _ratio(fit, element: int) -> str:
    if fit.ratios[element] == 0:
        return "0"
    return f"{fit.ratios[element]:.0f} ± {fit.standard_errors[element]:.0f}"


def volume_numbers(volumes) -> dict[str, str]:
    """Return what the sentences quote of the reconstructions."""
    return {"dust_em_kernel": f"{volumes.kernel:g}", "dust_em_iterations": f"{volumes.iterations}"}


def judged_numbers(judgement: Judgement) -> dict[str, str]:
    """Return what the sentences quote of the methods' judgement."""
    kinds = {"tilts": judgement.tilts, "counts": judgement.counts}
    numbers = {
        "judges": f"{len(judgement.tilts.tilts)}",
        "parts": f"{len(judgement.counts.chosen[EDS])}",
        "mild": MILD.split()[-1],
        "kernel": f"{judgement.setting(FREE)[0]:g}",
        "promise": promise(judgement),
        **dict(zip(("guide_tilts", "guide_counts"), guidance(judgement).split("; "), strict=True)),
        "enough": f"{ENOUGH}",
    }
    short = {"hard": HARD, "soft": SOFT, "poisson": POISSON, "fused": FUSED}
    short |= {"mild": MILD, "strong": STRONG}
    for kind, judged in kinds.items():
        percent, errors = relative(judged)
        for key, name in short.items():
            numbers[f"{key}_{kind}"] = outcome(judged, name)
        place = judged.contenders.index(STRONG), judged.elements.index("Mg")
        numbers[f"magnesium_{kind}"] = f"{percent[place]:.0f} ± {2 * errors[place]:.0f} %"
        mine, without = (judged.mean()[judged.contenders.index(n)].sum() for n in (FREE, POISSON))
        numbers[f"guide_sum_{kind}"] = f"{mine / without:.2f}"
    return {f"dust_judged_{name}": text for name, text in numbers.items()}


def promise(judgement: Judgement) -> str:
    """Say whether composition EM with a free sum does what was hoped for, by tilts and counts."""
    words = []
    for kind, judged in (("tilts", judgement.tilts), ("counts", judgement.counts)):
        found = counts_of(judged, FREE)
        kept = len(found["better"]) >= ENOUGH and not found["worse"]
        answer = "it is" if kept else "it is not"
        words.append(f"by held-out {kind} {answer} ({outcome(judged, FREE)})")
    return ", and ".join(words)


def guidance(judgement: Judgement) -> str:
    """Say what HAADF as a guide adds to the same likelihood of the same counts without it."""
    words = [
        f"by held-out {kind} HAADF as a guide is {outcome(judged, FREE, POISSON)}"
        for kind, judged in (("tilts", judgement.tilts), ("counts", judgement.counts))
    ]
    return "; ".join(words)


def _signed(number: float) -> str:
    return f"{number:+g}".replace("-", "−") if number else "0"
