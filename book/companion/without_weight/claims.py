"""What the chapter claims, each decided by a stated test; and its numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..judging import EDS, counts_of
from ..tables import Table
from ..three_elements.judgement import HARD, HEBT, Judgement
from .choice import ChoiceStudy
from .dose import TENTH, DoseStudy
from .equivalence import ALPHA, Equivalence
from .particles import ParticleComparison
from .robustness import Robustness
from .study import KernelComparison, PhantomComparison
from .tables import mean_text

RISE = 1.1  # an error that grows less than this after its stop has no semi-convergence
FLAT = 0.95  # a slope below this evens the composition out
HALF = 0.5
NEAR = 1.1  # an error at most this many times the least is near it
CLEARLY = 2.0  # standard errors


class Claim(NamedTuple):
    """A claim: what we found, when it holds, and whether; None if nothing was computed."""

    claim: str
    found: str
    test: str
    holds: bool | None


def all_claims(
    study: PhantomComparison,
    alloy: ParticleComparison,
    octahedron: ParticleComparison,
    dose: DoseStudy,
    wrong: Robustness,
    choice: ChoiceStudy,
    benchmark: Judgement | None,
) -> tuple[Claim, ...]:
    """Return the chapter's claims, each with its verdict."""
    return (
        *(_beats(study, method) for method in ("fused", "em", "tv")),
        _no_semiconvergence(study),
        _monotone(study),
        _tenth(dose),
        _alloy_halved(alloy),
        _alloy_slope(alloy),
        _flattens(alloy),
        _octahedron(octahedron),
        _stands(wrong),
        _chosen(choice),
        _noise_only(choice),
        *(_benchmark(benchmark, other) for other in ("eds", "hebt")),
    )


def claims_table(*studies) -> Table:
    """Return the claims with their verdicts; studies as for `all_claims`."""
    word = {True: "yes", False: "no", None: "not computed"}
    rows = [(c.claim, c.found, c.test, word[c.holds]) for c in all_claims(*studies)]
    return Table(
        ("claim", "found", "test", "holds?"),
        rows,
        title="What was claimed, and what came out",
        note="Kernels, strength and iterations come from first trials of ours on the same phantom "
        "and on an alloy, with the truth in view, and were not touched since. How counts alone "
        "choose the kernel is judged in a row of its own. Limits are round numbers of ours.",
    )


def _beats(study, method):
    each = {
        name: study.ratio(method, other, "best")
        for other, name in (("eds", "EDS only"), ("hebt", "HEBT"))
    }
    found = "; ".join(
        f"{name}: " + ", ".join(f"{e} {mean_text(v, '.2f')}" for e, v in zip(study.elements, r))
        for name, r in each.items()
    )
    names = {"fused": "Fusing by variance", "em": "Composition EM", "tv": "Guided TV"}
    return Claim(
        f"{names[method]} is better on the phantom than EDS alone and HEBT at their best stops",
        f"MSE relative to {found}",
        "below 1 for each element and seed",
        bool(max(r.max() for r in each.values()) < 1),
    )


def rise(study: PhantomComparison, method: str) -> np.ndarray:
    """Return the error at the end of a run over the least one, (elements,)."""
    values = study.courses[method].scores["mse"].mean(axis=-1)
    return values[-1] / values.min(axis=0)


def _no_semiconvergence(study):
    mine, theirs = rise(study, "em"), rise(study, "hebt")
    last = study.courses["em"].iterations[-1]
    return Claim(
        "Composition EM has no semi-convergence to speak of",
        f"after {last} iterations {_list(mine)} times its least MSE; HEBT {_list(theirs)} after "
        f"{study.courses['hebt'].iterations[-1]}",
        f"at most {RISE:g} times",
        bool(mine.max() <= RISE),
    )


def _monotone(study):
    total = study.deviance.sum(axis=1, dtype=float)
    highest = float(np.diff(total).max() / total[0])
    return Claim(
        "The likelihood rises with every iteration",
        f"largest step of the deviance, relative to its first value: {highest:.1e}".replace(
            "-", "−"
        ),
        "none above rounding, 1e-6".replace("-", "−"),
        bool(highest <= 1e-6),
    )


def _tenth(dose):
    quotient = dose.at_a_tenth()
    each = ", ".join(
        f"{e} {mean_text(v, '.2f')}" for e, v in zip(dose.elements, quotient, strict=True)
    )
    return Claim(
        f"Composition EM needs at most {TENTH:g} of the dose for HEBT's error at its best stop",
        f"MSE relative to HEBT's: {each}",
        "at most 1 for each element and seed",
        bool(quotient.max() <= 1),
    )


def _alloy_halved(alloy):
    quotient = voxel_ratio(alloy)
    return Claim(
        "Composition EM halves HEBT's error of the alloy's composition in a voxel",
        f"{mean_text(quotient, '.2f')} of HEBT after 100 iterations",
        f"at most {HALF:g} for each seed",
        bool(quotient.max() <= HALF),
    )


def voxel_ratio(alloy: ParticleComparison) -> np.ndarray:
    """Return the voxel error of composition EM over that of HEBT, (seeds,)."""
    return alloy.voxel_error[alloy.place("em")] / alloy.voxel_error[alloy.place("hebt")]


def voxel_ratio_eds(alloy: ParticleComparison) -> np.ndarray:
    """Return it over that of EDS alone at the better of its stops, (seeds,)."""
    stops = [alloy.voxel_error[i] for i, (name, _) in enumerate(alloy.runs) if name == "eds"]
    return alloy.voxel_error[alloy.place("em")] / np.min(stops, axis=0)


def _alloy_slope(alloy):
    slope = alloy.slope()[alloy.place("em")]
    return Claim(
        "Composition EM does not even the alloy out",
        f"slope {mean_text(slope, '.3f')}",
        f"at least {FLAT:g} for each seed",
        bool(slope.min() >= FLAT),
    )


def _flattens(alloy):
    slope = alloy.slope()
    tv, em = (slope[alloy.place(name)][0] for name in ("tv", "em"))
    return Claim(
        "Guided TV, as strong as it suits the phantom, evens the alloy out",
        f"slope {tv:.2f}; composition EM {em:.3f} (one seed)",
        f"below {FLAT:g}, composition EM above",
        bool(tv < FLAT <= em),
    )


def _octahedron(study):
    em = study.mse[study.place("em")]
    rest = [study.mse[i] for i, (name, _) in enumerate(study.runs) if name in ("eds", "hebt")]
    quotient = em / np.min(rest, axis=0)
    each = (f"{e} {mean_text(v, '.2f')}" for e, v in zip(study.elements, quotient, strict=True))
    return Claim(
        "Composition EM is better for the octahedron than EDS alone and HEBT",
        f"MSE relative to the better of their four runs: {', '.join(each)}",
        "below 1 for each element and seed",
        bool(quotient.max() < 1),
    )


def _stands(wrong):
    lost = []
    for place, case in enumerate(wrong.cases):
        found = {e for other in ("eds", "hebt") for e in wrong.loses(place, other)}
        lost += [f"{case.name} ({', '.join(sorted(found))})"] if found else []
    return Claim(
        "Composition EM stays ahead of EDS alone and HEBT at their best stops whatever is wrong",
        "not with: " + "; ".join(lost) if lost else f"in all {len(wrong.cases)} cases",
        "in each case and for each element",
        not lost,
    )


def _chosen(choice):
    loss = choice.loss()
    return Claim(
        "Held-out counts find the width of the kernel",
        f"MSE {mean_text(loss, '.3f')} times the least, at most {loss.max():.3f}",
        f"at most {NEAR:g} times for each seed",
        bool(loss.max() <= NEAR),
    )


def _noise_only(choice):
    noise, _, _ = choice.noise()
    quotient = noise / choice.spread
    each = ", ".join(f"{e} {v:.2f}" for e, v in zip(choice.elements, quotient, strict=True))
    return Claim(
        "Resampled counts tell how large the noise is",
        f"their standard deviation over that of the seeds: {each}",
        "within a quarter",
        bool(np.abs(quotient - 1).max() <= 0.25),
    )


def _benchmark(judgement, other):
    reference, name = {"eds": (EDS, "EDS alone"), "hebt": (HEBT, "HEBT")}[other]
    claim = f"Composition EM predicts held-out tilts of the benchmark better than {name}"
    test = f"each element by more than {CLEARLY:g} standard errors, with a hard sum"
    if judgement is None:
        return Claim(claim, "the data are not here", test, None)
    found = counts_of(judgement.tilts, HARD, reference)
    said = "; ".join(f"{word}: {', '.join(found[word]) or 'none'}" for word in ("better", "worse"))
    return Claim(claim, said, test, found["better"] == list(judgement.tilts.elements))


def _list(values, form=".2f"):
    return " and ".join(format(v, form) for v in values)


def numbers(
    study: PhantomComparison,
    alloy: ParticleComparison,
    octahedron: ParticleComparison,
    dose: DoseStudy,
    wrong: Robustness,
    choice: ChoiceStudy,
    same: Equivalence,
    kernels: KernelComparison,
) -> dict[str, str]:
    """Return the numbers of the chapter's sentences, ready for `glue`."""
    noise, error, _ = choice.noise()
    slope = alloy.slope()
    n = {
        "em_of_hebt": _range(study.ratio("em", "hebt", "best")),
        **{
            f"tenth_{e}": mean_text(v, ".2f")
            for e, v in zip(dose.elements, dose.at_a_tenth(), strict=True)
        },
        "tenth_word": _at_most(dose.at_a_tenth()),
        "alpha": f"{ALPHA:g}",
        "shared": f"{100 * same.shared:.1g}",
        "apart": f"{100 * same.apart:.1f}",
        "likelihood": _power(same.likelihood),
        "mlem": same.iterations,
        "em_rise": _list(rise(study, "em")),
        "hebt_rise": _list(rise(study, "hebt")),
        "voxel": mean_text(voxel_ratio(alloy), ".2f"),
        "voxel_eds": mean_text(voxel_ratio_eds(alloy), ".2f"),
        "tv_slope": f"{slope[alloy.place('tv')][0]:.2f}",
        **{
            f"bilateral_{e}": mean_text(b / g, ".2f")
            for e, b, g in zip(study.elements, kernels.bilateral, kernels.gaussian, strict=True)
        },
        "bilateral_size": kernels.size,
        "wrong_seeds": len(wrong.seeds),
        "octahedron_kernel": f"{octahedron.kernel:.2g}",
        "chosen_loss": f"{100 * (choice.loss().max() - 1):.0f}",
        "chosen": _range(choice.chosen),
        "oracle": _range(choice.oracle()),
        "over_iterated": _over_iterated(wrong),
        "noise": _list(noise, ".3f"),
        "error": _list(error, ".3f"),
    }
    return {f"weight_{name}": str(text) for name, text in n.items()}


def _range(values):
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _power(value):
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa} · 10⁻{''.join('⁰¹²³⁴⁵⁶⁷⁸⁹'[int(d)] for d in str(-int(exponent)))}"


def _over_iterated(wrong):
    """Say what EDS alone is worth where HAADF's reconstruction follows HAADF's noise."""
    places = [k for k, case in enumerate(wrong.cases) if case.noise and not case.stops]
    lost = wrong.loses(places[0], "eds") if places else []
    if not lost:
        return "and composition EM loses much, though not all, of its lead"
    only = "" if len(lost) == len(wrong.elements) else f" for {' and '.join(lost)}"
    return f"and EDS alone, stopped in time, is the better choice{only}"


def _at_most(quotient):
    """Say whether HEBT's error is reached at a tenth of the dose."""
    if quotient.max() <= 1:
        return "with every seed and for both elements, at a tenth of the dose"
    if quotient.mean(axis=1).max() <= 1:
        return "on average, though not with every seed, at a tenth of the dose"
    return "not at a tenth of the dose"
