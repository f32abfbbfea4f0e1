"""What section 4.2 says of Figures 7 and 8 beside what is found, and the chapter's numbers."""

import numpy as np

from ..paper import value
from ..particles.measures import REFERENCES
from ..tables import Table, spread_text, verdict
from .bands import PhantomBands
from .slice import SliceSweep, nearest
from .tables import best_text, by_element, list_and, percents, range_text, weight_text

FITTED, PREDICTED = "fitted", "predicted"
SMALL = 0.1  # a small weight
CLEAR = 1.5  # by which factor an error rises rapidly, or a ghost fades
SEEN = 0.01  # of pure gold: below this there is no ghost
# by how much an error may exceed the lowest
AGREES, NEAR = 0.1, 0.25


def claims_table(study: SliceSweep) -> Table:
    """Return what section 4.2 says of the slice, beside what is found with all noise seeds."""
    claims = (_fit, _falls, _rises, _ghost, _over_fits, _moves, _best_weight, _close_to_optimal)
    return Table(
        ("what the paper says (section 4.2)", "kind", "here", "word"),
        [claim(study) for claim in (*claims, _against_best_stop)],
        title="Section 4.2's sentences, one by one",
        note="Fitted: the noise was chosen so that this number is met, so it is no evidence. "
        "Predicted: nothing was chosen with it in view. A word without “in part” holds for both "
        "elements, both references and every noise seed; R² and the best α are compared by their "
        "distances from 1, by the rule of the other pages. ± is the standard deviation over the "
        f"{len(study.settings)} seeds.",
    )


def _word(flags, *, yes="agrees", no="does not") -> str:
    """Put a word to a claim that is looked at in several cases."""
    flags = np.asarray(flags)
    return yes if flags.all() else "in part" if flags.any() else no


def _share(flags) -> str:
    """Write in how many of all cases a claim holds."""
    return f"{np.sum(flags)} of {np.size(flags)}"


def _curves(study):
    """(references, iterations, alphas, elements, seeds): the curves of Figure 7."""
    return np.array([[study.after(r, n) for n in study.printed] for r in REFERENCES])


def _fit(study):
    paper, ours = value("nonalloy.r_squared"), study.r_squared
    word = verdict(paper, ours, "r_squared")
    as_printed = f"{ours.mean():.2f}" == f"{paper:.2f}"
    return f"R² = {paper:g}", FITTED, spread_text(ours, ".4f"), "agrees" if as_printed else word


def _falls(study):
    curves = _curves(study)
    inner = (curves.argmin(axis=2) > 0) & (curves.argmin(axis=2) < len(study.alphas) - 1)
    depth = 1 - curves.min(axis=2) / curves[:, :, 0]
    return (
        "the error falls as α grows from 0.01, to a minimum",
        PREDICTED,
        f"{_share(inner)} curves have a minimum between the ends, "
        f"{100 * depth.min():.0f} to {100 * depth.max():.0f} % below the first weight",
        _word(inner),
    )


def _rises(study):
    curves = _curves(study)
    factor = curves[:, :, -1] / curves.min(axis=2)
    return (
        "near α = 1 it rises rapidly",
        PREDICTED,
        f"at α = {study.alphas[-1]:g} the error is {factor.min():.1f} to {factor.max():.1f} "
        "times the lowest",
        _word(factor > CLEAR),
    )


def _ghost(study):
    few, many = study.printed[0], study.printed[-1]
    at_few, at_many = (study.crosstalk[study.at(study.usual, n)] for n in (few, many))
    texts = [spread_text(v, ".2f", scale=100, unit=" %") for v in (at_few, at_many)]
    return (
        f"α = {study.usual:g}, {few} iterations: Ag appears in Au; with more it disappears",
        PREDICTED,
        "gold in pure silver, as a share of that in pure gold: "
        f"{texts[0]} after {few}, {texts[1]} after {many} iterations",
        _word((at_few > SEEN) & (at_few > CLEAR * at_many)),
    )


def _growth(study):
    """Return by which factor the error at a small weight grows: (references, elements, seeds)."""
    few, many = study.printed[0], study.printed[-1]
    a = study.alphas.index(nearest(study.alphas, SMALL))
    return np.array([study.after(r, many)[a] / study.after(r, few)[a] for r in REFERENCES])


def _over_fits(study):
    few, many = study.printed[0], study.printed[-1]
    growth = _growth(study)
    changes = 100 * (growth.mean(axis=(0, 2)) - 1)
    found = by_element(study, [f"{change:+.0f} %" for change in changes])
    return (
        "for small α the error decreases as iterations increase (called over-fitting)",
        PREDICTED,
        f"α = {nearest(study.alphas, SMALL):g}, {many} against {few} iterations: {found}",
        _word(growth < 1, no="does not: it increases, as over-fitting should"),
    )


def _moves(study):
    best = np.array(
        [[study.best_alphas("segmented", e, n) for n in study.printed] for e in study.elements]
    )
    ends = [f"{b[0].mean():.2f} to {b[-1].mean():.2f}" for b in best]
    return (
        "large weights need more iterations",
        PREDICTED,
        f"from {study.printed[0]} to {study.printed[-1]} iterations the best α grows: "
        f"{by_element(study, ends)}",
        _word(np.diff(best, axis=1) > 0),
    )


def _best_weight(study):
    n, paper = study.usual_iterations, value("nonalloy.best_alpha")
    best = [study.best_alphas("segmented", e, n) for e in study.elements]
    # what counts is 1 - alpha, which is larger where alpha is smaller
    turned = {"larger": "smaller", "smaller": "larger"}
    words = [verdict(1 - paper, 1 - each) for each in best]
    words = [turned.get(word, word) for word in words]
    return (
        f"the best α, for {n} iterations, is about {paper:g}",
        PREDICTED,
        by_element(study, [best_text(each, study.alphas) for each in best]),
        words[0] if len({*words}) == 1 else by_element(study, words),
    )


def _close_to_optimal(study):
    a, i = study.at(study.usual, study.usual_iterations)
    above_all, above_own, as_good = [], [], []
    for r in REFERENCES:
        curves, mse = np.array([study.after(r, n) for n in study.printed]), study.mse[r]
        lowest = curves.min(axis=(0, 1))
        above_all.append(mse[a, i] / lowest - 1)
        above_own.append(mse[a, i] / mse[:, i].min(axis=0) - 1)
        # of both elements, the one that is further from its lowest error
        worse = (curves / lowest - 1).max(axis=2)
        as_good.append(worse <= above_all[-1].max(axis=0))
    worst = np.mean(above_all, axis=-1).max()
    own, best = (percents(study, np.mean(v, axis=(0, 2)), "+.0f") for v in (above_own, above_all))
    return (
        f"α = {study.usual:g} and {study.usual_iterations} iterations are close to optimal",
        PREDICTED,
        f"MSE above the lowest after {study.usual_iterations} iterations: {own}; above that of "
        f"all: {best}, and {100 * np.mean(as_good):.0f} % of the points in Figure 7 are as good",
        "agrees" if worst < AGREES else "near" if worst < NEAR else "does not",
    )


def _against_best_stop(study):
    gains = [study.gain_over_best_eds(r) for r in REFERENCES]
    stops = [study.eds_best(r)[0] for r in REFERENCES]
    texts = [spread_text(g, ".2f") for g in np.mean(gains, axis=0)]
    return (
        f"not asked there: is HEBT at α = {study.usual:g} and {study.usual_iterations} iterations "
        "better than EDS alone at its own best stop?",
        PREDICTED,
        f"MSE of EDS alone, stopped after {range_text(stops)} iterations, over that of HEBT: "
        f"{by_element(study, texts)}",
        _word(np.array(gains) > 1, yes="yes", no="no"),
    )


def sweep_numbers(study: SliceSweep, phantom: PhantomBands) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    numbers = _slice_numbers(study) | _phantom_numbers(phantom)
    numbers["result"] = result_text(study)
    return {f"sweep_{name}": text for name, text in numbers.items()}


def result_text(study: SliceSweep) -> str:
    """Say in a sentence where the paper's choice stands, and how HEBT there does against EDS."""
    n = study.usual_iterations
    best = [study.best_alphas("segmented", e, n).mean() for e in study.elements]
    weights = by_element(study, [weight_text(b, study.alphas) for b in best])
    gain = study.gain_over_best_eds("segmented").mean(axis=1)
    gains = by_element(study, [f"{g:.1f}" for g in gain])
    return (
        f"After {n} iterations the best weight of the particle's slice is {weights}, where the "
        f"paper takes {value('nonalloy.best_alpha'):g}; EDS alone at its own best stop has "
        f"{gains} times the error of that choice."
    )


def _slice_numbers(study):
    few, many = study.printed[0], study.printed[-1]
    usual, largest = study.usual, study.alphas[-1]
    left = {alpha: study.residuals[study.at(alpha, few)] for alpha in (usual, largest)}
    ghost = [study.crosstalk[study.at(usual, n)] for n in (few, many)]
    settings = study.settings[0]
    numbers = {
        "slice": f"{study.slice}",
        "size": f"{settings.size}",
        "alphas": f"{len(study.alphas)}",
        "slice_seeds": f"{len(study.settings)}",
        "few": f"{few}",
        "many": f"{many}",
        "usual": f"{usual:g}",
        "usual_iterations": f"{study.usual_iterations}",
        "largest": f"{largest:g}",
        "sigma": f"{settings.sigma:g}",
        "slice_counts": f"{settings.counts:g}",
        "r_squared": spread_text(study.r_squared, ".4f"),
        "paper_alpha": f"{value('nonalloy.best_alpha'):g}",
        "paper_r_squared": f"{value('nonalloy.r_squared'):.2f}",
        "crosstalk_few": spread_text(ghost[0], ".2f", scale=100, unit=" %"),
        "crosstalk_many": spread_text(ghost[1], ".2f", scale=100, unit=" %"),
        "haadf_usual": f"{100 * left[usual][0]:.1f} %",
        "haadf_largest": f"{100 * left[largest][0]:.1f} %",
        "maps_usual": percents(study, left[usual][1:]),
        "maps_largest": percents(study, left[largest][1:]),
        "maps_eds": percents(study, study.eds_residuals[study.iterations.index(few)][1:]),
        "share_usual": f"{(1 - usual) * study.usual_iterations:.0f}",
        "share_largest": f"{(1 - largest) * few:g}",
    }
    for name, n in (("few", few), ("usual", study.usual_iterations), ("many", many)):
        best = [study.best_alphas("segmented", e, n) for e in study.elements]
        numbers[f"best_{name}"] = by_element(study, [best_text(b, study.alphas) for b in best])
    numbers["over_fitting"] = (
        "and so does the error there, as over-fitting must; the paper's sentence says the opposite"
        if (_growth(study) > 1).all()
        else "but in maps as clean as these it does not outweigh what the iterations still add"
    )
    shares = [
        (1 - study.best_alphas("segmented", e, n)) * n
        for e in study.elements
        for n in study.printed
    ]
    stops, _ = study.eds_best("segmented")
    numbers["slice_shares"] = f"{np.min(shares):.0f} to {np.max(shares):.0f}"
    numbers["slice_stops"] = by_element(study, [range_text(s) for s in stops])
    gains = study.gain_over_best_eds("segmented")
    numbers["stop_gain"] = by_element(study, [spread_text(g, ".2f") for g in gains])
    return numbers


def _phantom_numbers(phantom):
    first, top = phantom.doses.index(1.0), phantom.iterations[-1]
    steps = [n for n in phantom.iterations if n >= 50]
    found = {n: phantom.best_alphas(1.0, n) for n in steps}
    counts = [f"{c:.3g}" for c in phantom.counts_on_paper_pixel]
    best = [phantom.best(dose) for dose in phantom.doses]
    eds = [phantom.best_eds(dose) for dose in phantom.doses]
    shares = [phantom.shares(dose, steps) for dose in phantom.doses]
    alpha, iterations, _ = best[first]
    return {
        "seeds": f"{len(phantom.settings[first].seeds)}",
        "others": f"{min(len(s.seeds) for s in phantom.settings)}",
        "phantom_alphas": f"{len(phantom.alphas)}",
        "phantom_size": f"{phantom.settings[0].size}",
        "top": f"{top}",
        "steps": list_and(steps),
        "best": ", ".join(
            f"{v.mean():.2f} [{v.min():.2f}, {v.max():.2f}] after {n}" for n, v in found.items()
        ),
        "counts": counts[first],
        "shares": "; ".join(
            f"{min(s):.0f} to {max(s):.0f} at {c} counts" for s, c in zip(shares, counts) if len(s)
        ),
        "best_at_top": f"{sum(b[1] == top for b in best)} of {len(best)}",
        "best_point": f"α = {alpha:g} and {iterations} iterations",
        "stops": ", ".join(f"{e[0]} at {c}" for e, c in zip(eds, counts)) + " counts",
        "gains": ", ".join(f"{e[1] / b[2]:.2f} at {c}" for e, b, c in zip(eds, best, counts)),
        "usual_loss": "; ".join(
            f"{_excess(phantom, dose):+.0f} % at {c} counts".replace("-", "−")
            for dose, c in zip(phantom.doses, counts)
        ),
    }


def _excess(phantom, dose):
    """By how many percent the MSE at α = 0.7 and 100 iterations exceeds the best of the grid."""
    a = phantom.alphas.index(nearest(phantom.alphas, 0.7))
    n = min(phantom.iterations, key=lambda k: abs(np.log(k / 100)))
    mean = phantom.mse[phantom.doses.index(dose)].mean(axis=(2, 3))
    return 100 * (mean[a, phantom.iterations.index(n)] / mean.min() - 1)
