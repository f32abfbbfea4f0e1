"""The numbers and verdicts that the sentences of both chapters quote, ready for `glue`."""

import numpy as np

from ..paper import value
from ..spectra.settings import READINGS
from ..tables import signed, spread_text
from .absorption import PEAKS, AbsorptionStudy
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .grid import Grid
from .measures import ELEMENTS, METHODS, PAIRS, REFERENCES
from .nonalloy import LOCALIZED, MASKS, NonAlloyStudy
from .rim import MODELS, RimStudy
from .stopping import MOST, RULES, StoppingStudy
from .tables import NAME, every_text, nanometers, percent, printed_winner
from .verdicts import printed_change, quotient_change


def _common(study: ParticleStudy) -> dict[str, str]:
    settings = study.settings[0]
    return {
        "seeds": f"{len(study.settings)}",
        "size": f"{settings.size}",
        "voxel": f"{study.voxel_size:.3g}",
        "iterations": f"{study.iterations}",
        "tilts": f"{len(settings.angles)}",
        "counts": f"{settings.counts:g}",
        "sigma": f"{settings.sigma:g}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "paper_r_squared": f"{value(f'{settings.particle}.r_squared'):g}",
        "mixing": percent(study.mixing, ".1f"),
        "slices": f"{len(study.views.numbers)}",
        "scored": every_text(study.step),
    }


def nonalloy_numbers(study: NonAlloyStudy) -> dict[str, str]:
    """Return the numbers of the non-alloy particle; names begin with ``nonalloy_``."""
    true, segmented = study.scores["true"], study.scores["segmented"]
    alpha = value("nonalloy.best_alpha")
    numbers = _common(study) | {
        "pairs": f"{len(PAIRS)}",
        "most": f"{study.checkpoints[-1]}",
        "printed_won": f"{sum(printed_winner(*pair) == 'HEBT' for pair in PAIRS)}",
        "eds_share": f"{(1 - alpha) * study.iterations:.0f}",
        "alpha": f"{alpha:g}",
        "differing": _pairs_text(
            [pair for pair in PAIRS if segmented.outcome(*pair) != true.outcome(*pair)]
        ),
        "result": result_text(study),
        "edge_verdict": _edge_verdict(study),
        "interface_verdict": _interface_verdict(study),
        "masks_worse": _masks_phrase(study),
        "masks_best": _masks_verdict(study),
    }
    for reference in REFERENCES:
        for stop in ("printed", "best", "crossed"):
            # the paper's stop of HEBT against the best one of EDS alone
            stops = {"eds_stop": "best"} if stop == "crossed" else {"stop": stop}
            for who in ("HEBT", "EDS", "tie"):
                found = [p for p in PAIRS if study.scores[reference].outcome(*p, **stops) == who]
                key = f"{reference}_{stop}_{who}".lower()
                numbers[key] = f"{len(found)}"
    numbers |= _crosstalk_numbers(study)
    for e, element in enumerate(ELEMENTS):
        numbers |= _element_numbers(study, e, element)
    return {f"nonalloy_{name}": text for name, text in numbers.items()}


def _crosstalk_numbers(study):
    crosstalk = study.crosstalk
    early = int(np.flatnonzero(study.checkpoints <= 10)[-1])
    eds, bimodal = (crosstalk.curve("level", m, "Au")[:, -1].mean() for m in METHODS)
    numbers = {
        "early": f"{study.checkpoints[early]}",
        "last_crosstalk": f"{100 * bimodal:.2f} %",
        "last_crosstalk_eds": f"{100 * eds:.2f} %",
    }
    for method in METHODS:
        level = crosstalk.curve("level", method, "Au")[:, early]
        numbers |= {
            f"crosstalk_{method}": percent(crosstalk.at("level", method, "Au")),
            f"cleared_{method}": percent(crosstalk.at("cleared_share", method, "Au"), ".3f"),
            f"early_crosstalk_{method}": f"{100 * level.mean():.0f} %",
            f"edge_{method}": nanometers(study.widths(method, "Ag", "edge")),
        }
    return numbers


def _element_numbers(study, e, element):
    true = study.scores["true"]
    gain, best = (true.gain("mse", element, stop=stop) for stop in ("printed", "best"))
    numbers = {
        "dice": spread_text(study.overlap[e], ".3f"),
        "volume": percent(study.volume_error[e], "+.1f"),
        "mse_gain": spread_text(gain, ".2f"),
        "mse_gain_best": spread_text(best, ".2f"),
    }
    eds = study.localized["eds"]["error"][e]
    for name in LOCALIZED[1:]:
        numbers[f"error_{name}"] = percent(study.localized[name]["error"][e] / eds - 1, "+.0f")
    for m in METHODS:
        numbers[f"stop_{m}"] = f"{true.best_iteration('mse', m, element)}"
        numbers[f"width_{m}"] = nanometers(study.widths(m, element, "interface"))
    return {f"{name}_{element}": text for name, text in numbers.items()}


def _edge_verdict(study):
    """Say for which method the outer edge of Ag is narrower."""
    eds, bimodal = (study.widths(method, "Ag", "edge") for method in METHODS)
    if (bimodal < eds).all():
        return "HEBT's is narrower with every seed, as HAADF's sum is sharp"
    if (bimodal > eds).all():
        return "HEBT's is wider with every seed, though HAADF's sum is sharp"
    return "which of the two methods has the narrower one depends on the seed"


def result_text(study: NonAlloyStudy) -> str:
    """Say in two sentences by how much HEBT is better, and where it pays."""
    true = study.scores["true"]

    def each(**stop):
        gains = (f"{true.gain('mse', e, **stop).mean():.1f} ({e})" for e in ELEMENTS)
        return " and ".join(gains)

    wider = _wider(study)
    pays = {True: "is wider than", False: "is narrower than", None: "is about as wide as"}[wider]
    return (
        f"With each method at its best stop, EDS alone has {each(stop='best')} times the "
        f"mean-squared error of HEBT; after the paper's {study.iterations} iterations, {each()} "
        f"times. At the gold, silver's edge by HEBT {pays} from EDS alone."
    )


def _wider(study):
    """Return whether HEBT's edge of Ag at the gold is wider with every seed; None: unclear."""
    eds, bimodal = (study.widths(method, "Ag", "interface") for method in METHODS)
    return True if (bimodal > eds).all() else False if (bimodal < eds).all() else None


def _interface_verdict(study):
    """Say for which method the edge of Ag at the gold is narrower."""
    texts = {True: "It is not: HEBT's is wider", False: "It is: HEBT's is narrower"}
    wider = _wider(study)
    return "That depends on the seed" if wider is None else f"{texts[wider]} with every seed"


def _pairs_text(pairs):
    return ", ".join(f"{name.upper()} of {element}" for name, element in pairs) or "none"


def _lower_error(study, method, other):
    """Return in which elements a method's error inside is 5 % smaller with every seed."""
    ours, theirs = (study.localized[name]["error"] for name in (method, other))
    lower = (ours < 0.95 * theirs).all(axis=1)
    return [element for element, less in zip(ELEMENTS, lower, strict=True) if less]


def _masks_phrase(study):
    """Say, for Au and Ag, whether any mask makes the interior better than plain EDS does."""
    better = [f"{NAME[mask]} for {e}" for mask in MASKS for e in _lower_error(study, mask, "eds")]
    if not better:
        return "Neither mask lowers the error inside the particle by more than 5 % with every seed"
    return f"The error inside falls by more than 5 % with every seed for: {', '.join(better)}"


def _masks_verdict(study):
    """Say for which elements HEBT has a smaller error inside than EDS with either mask."""
    each = [_lower_error(study, "hebt", mask) for mask in MASKS]
    better = [element for element in ELEMENTS if all(element in lower for lower in each)]
    if len(better) == len(ELEMENTS):
        return "In both elements HEBT's error is smaller by more than 5 %, as the paper says"
    if better:
        return f"HEBT's error is smaller by more than 5 % in {better[0]} alone"
    return (
        "HEBT's error is smaller by more than 5 % in neither element: the paper's conclusion does "
        "not show in this number"
    )


def grid_numbers(grid: Grid) -> dict[str, str]:
    """Return the numbers of the grid over kernels and counts; names begin with ``grid_``."""
    numbers = {
        "slices": f"{grid.slices}",
        "doses": f"{len(grid.counts)}",
        "kernels": f"{len(grid.sigmas)}",
        "points": f"{grid.r_squared.size}",
    }
    for stop in ("printed", "best"):
        gains = np.array([grid.gain(e, stop=stop) for e in ELEMENTS])
        numbers[f"{stop}_ahead"] = f"{(gains > 1).all(axis=0).sum()}"
        for reading in READINGS:
            at = grid.place(reading)
            for e, element in enumerate(ELEMENTS):
                numbers[f"{stop}_{element}_{reading}"] = f"{gains[e][at]:.2f}"
    for reading in READINGS:
        numbers |= {f"r_squared_{reading}": f"{grid.r_squared[grid.place(reading)]:.3f}"}
    names, best = [f"table2.mse.{e}" for e in ELEMENTS], {}
    paper = np.array([value(f"{name}.eds") / value(f"{name}.hebt") for name in names])
    for reading in READINGS:
        ours = [grid.gain(e)[grid.place(reading)] for e in ELEMENTS]
        best[reading] = np.abs(np.log(ours / paper)).sum()
    numbers |= {f"paper_{e}": f"{gain:.2f}" for e, gain in zip(ELEMENTS, paper, strict=True)}
    numbers["nearest"] = f"reading {min(best, key=best.get)}"
    each = " and ".join(f"{gain:.2f} ({e})" for e, gain in zip(ELEMENTS, paper, strict=True))
    numbers["nearest_sentence"] = (
        f"In the paper's Table 2, against its own reference, EDS alone has {each} times the error "
        f"of HEBT; {numbers['nearest']} comes nearest to that."
    )
    return {f"grid_{name}": text for name, text in numbers.items()}


def rim_numbers(study: RimStudy) -> dict[str, str]:
    """Return the numbers of the rim; names begin with ``rim_``."""
    last = int(study.iterations[study.readings[0], "hebt", False][-1])
    numbers = {"last": f"{last}"}
    for reading in study.readings:
        numbers[f"verdict_{reading}"] = _rim_verdict(study, reading, last)
        for method, blurred in MODELS:
            key = reading, method, blurred
            name = f"{method}{'_blur' if blurred else ''}_{reading}"
            ends = (study.printed,) if method == "eds" else (study.printed, last)
            for n, words in zip(ends, ("", "_last"), strict=False):
                width, noise = study.at(key, n)
                # EDS alone, stopped where it has this noise
                even = study.width_at((reading, "eds", False), noise)
                numbers |= {
                    f"width_{name}{words}": f"{width:.1f} nm",
                    f"noise_{name}{words}": f"{100 * noise:.0f} %",
                    f"even_{name}{words}": f"{even:.1f} nm",
                }
    return {f"rim_{name}": text for name, text in numbers.items()}


def _rim_verdict(study, reading, last):
    """Say how HEBT's edge compares with that of EDS alone after the paper's iterations."""
    width, noise = study.at((reading, "eds", False), study.printed)
    said = []
    for blurred in (False, True):
        ours, left = study.at((reading, "hebt", blurred), last)
        than = "no wider than" if ours <= width else "still wider than"
        said.append(f"{than} that, with {'less' if left < noise else 'more'} noise")
    without, within = said
    if without == within:
        return f"it is {without}, with or without the kernel in the model"
    return f"it is {without}; with the kernel in the model, {within}"


def stopping_numbers(study: StoppingStudy) -> dict[str, str]:
    """Return the numbers of the stopping rule; names begin with ``stopping_``."""
    numbers = {"runs": f"{len(study.errors)}"}
    for rule in RULES:
        losses = {m: [study.loss(k, rule) for k in study.errors if k[1] == m] for m in METHODS}
        numbers |= {f"{rule}_{m}": f"{max(found):.2f}" for m, found in losses.items()}
        early = sum(study.stops.get((*key, rule), MOST) < study.best(key) for key in study.errors)
        numbers[f"{rule}_early"] = f"{early}"
    return {f"stopping_{name}": text for name, text in numbers.items()}


def alloy_numbers(study: AlloyStudy) -> dict[str, str]:
    """Return the numbers of the alloy particle; names begin with ``alloy_``."""
    center, rim = 100 * study.true_profile[[0, -1]]
    numbers = _common(study) | {
        "alpha": f"{value('alloy.alpha'):g}",
        "true_center": f"{center:.0f}",
        "true_rim": f"{rim:.0f}",
        "verdict": _alloy_verdict(study),
        "result": alloy_result_text(study),
    }
    for element in ELEMENTS:
        stops = {"printed": {}, "best": {"stop": "best"}, "crossed": {"eds_stop": "best"}}
        for name, options in stops.items():
            gain = study.scores["true"].gain("mse", element, **options)
            numbers[f"mse_gain_{name}_{element}"] = spread_text(gain, ".2f")
    return {f"alloy_{name}": text for name, text in numbers.items()}


def quotient_numbers(study: AlloyStudy, octahedron) -> dict[str, str]:
    """Return how r of Ag / r of Au changes between the particles; names begin with ``quotient_``.

    `octahedron` is a processed series of the other particle.
    """
    changes = quotient_change(study, octahedron)
    numbers = {name: spread_text(values, ".2f") for name, values in changes.items()}
    numbers["printed"] = f"{printed_change():.2f}"
    return {f"quotient_{name}": text for name, text in numbers.items()}


def alloy_result_text(study: AlloyStudy) -> str:
    """Say in two sentences what HAADF gives to an alloy, and what it does not."""
    true = study.scores["true"]
    best = [true.gain("mse", e, stop="best").mean() for e in ELEMENTS]
    each = " and ".join(f"{g:.2f} ({e})" for e, g in zip(ELEMENTS, best, strict=True))
    shells = spread_text(study.profile_error()[METHODS.index("hebt")], ".1f", scale=100)
    other = spread_text(study.profile_error()[METHODS.index("eds")], ".1f", scale=100)
    return (
        f"With each method at its best stop, EDS alone has {each} times the mean-squared error of "
        f"HEBT. The composition, averaged over shells, is off by {shells} atomic percent by HEBT "
        f"and by {other} from EDS alone."
    )


def _alloy_verdict(study):
    """Say who meets the true composition better, over shells and in single voxels."""

    def nearer(errors):
        eds, bimodal = errors
        who = (
            "HEBT" if (bimodal < eds).all() else "EDS alone" if (bimodal > eds).all() else "neither"
        )
        return f"{who} is nearer to the truth with every seed"

    shells, voxels = nearer(study.profile_error()), nearer(study.voxel_error)
    return f"Over shells, {shells}; in single voxels, {voxels}"


def absorption_numbers(*studies: AbsorptionStudy) -> dict[str, str]:
    """Return the numbers of absorption; names begin with ``absorption_`` and the particle."""
    numbers = {}
    for study in studies:
        found = {"size": f"{study.settings.size}"}
        for p, peak in enumerate(PEAKS):
            found[f"loss_{peak.replace(' ', '')}"] = f"{100 * study.loss[p]:.1f} %"
        for e, element in enumerate(ELEMENTS):
            found[f"mass_{element}"] = signed(100 * (study.mass[1, e] - study.mass[0, e]))
            left = np.abs(study.ratios[2, e] / study.ratios[1, e])
            found[f"left_{element}"] = f"{100 * left:.0f} %"
        gold = 100 * (study.gold - study.gold[0])
        found |= {"gold": f"{gold[1]:+.2f}".replace("-", "−")}
        which = study.settings.particle + ("_counted" if study.noise else "")
        numbers |= {f"absorption_{which}_{name}": text for name, text in found.items()}
    return numbers
