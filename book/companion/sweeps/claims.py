"""What section 4.2 says of Figures 7 and 8 beside what is found, and the chapter's numbers."""

import itertools

import numpy as np
from scipy.ndimage import binary_erosion

from ..paper import value
from ..particles.measures import REFERENCES
from ..particles.views import to_steps
from ..tables import Table
from .bands import PhantomBands
from .figures import REFERENCE_NAME
from .slice import SliceSweep, nearest
from .tables import list_and, percents, weight_text


def claims_table(study: SliceSweep) -> Table:
    """Return what section 4.2 says of Figures 7 and 8, beside what this slice shows."""
    claims = (_falls, _rises, _ghost, _over_fits, _moves, _close_to_optimal)
    return Table(
        ("what the paper says (section 4.2)", "here", "word"),
        [claim(study) for claim in claims],
        title="Section 4.2's sentences, one by one",
        note="One particle, one noise seed, simulated; the paper's is another one.",
    )


def _falls(study):
    # where the error of both elements is not lowest at the first weight
    inner = [n for n in study.printed if study.after("segmented", n).argmin(axis=0).all()]
    which = list_and(inner) if inner else "no number of"
    return (
        "the error falls as α grows from 0.01, to a minimum",
        f"after {which} iterations, of {list_and(study.printed)}",
        "agrees" if inner == study.printed else "in part" if inner else "does not",
    )


def _rises(study):
    before = max(-6, -len(study.alphas))  # 0.94, of the weights that are swept
    curves = [study.after(r, n) for r in REFERENCES for n in study.printed]
    said = "near α = 1 it rises rapidly"
    if all((mse[-1] > mse[before]).all() for mse in curves):
        found = "from the last weights below 1 on, by both references, for all iterations"
        return said, found, "agrees"
    return said, "not in all cases", "in part"


def _ghost(study):
    few, many = study.printed[0], study.printed[-1]
    at_few, at_many = (crosstalk_of(study, study.usual, n) for n in (few, many))
    return (
        f"α = 0.7, {few} iterations: Ag appears in Au; with more iterations it disappears",
        f"gold in pure silver, as a share of pure gold: {100 * at_few:.1f} % after "
        f"{few}, {100 * at_many:.1f} % after {many} iterations",
        "agrees" if at_few > 1.5 * at_many else "does not",
    )


def _over_fits(study):
    few, many = study.printed[0], study.printed[-1]
    small = nearest(study.alphas, 0.05)
    a = study.alphas.index(small)
    growth = {r: study.after(r, many)[a] / study.after(r, few)[a] for r in REFERENCES}
    found = (f"{REFERENCE_NAME[r]} {percents(study, g - 1, '+.0f')}" for r, g in growth.items())
    grows = np.array([*growth.values()]) > 1
    word = "in part" if grows.any() else "it decreases"
    return (
        "for small α the error decreases as iterations increase (called over-fitting)",
        f"α = {small:g}: {many} against {few} iterations, {'; '.join(found)}",
        "it increases, as over-fitting should" if grows.all() else word,
    )


def _moves(study):
    element = study.elements[0]
    best = [study.best_alpha("segmented", element, n) for n in study.printed]
    return (
        "large weights need more iterations",
        f"best α for {element}, by the paper's protocol: "
        + ", ".join(f"{b:.2f} ({n})" for b, n in zip(best, study.printed)),
        "agrees" if all(a <= b for a, b in itertools.pairwise(best)) else "in part",
    )


def _close_to_optimal(study):
    a, _ = study.at(study.usual, study.iterations[0])
    near = min(study.printed, key=lambda n: abs(np.log(n / 100)))
    worst, found = 0.0, []
    for r in REFERENCES:
        lowest = np.min([study.after(r, n).min(axis=0) for n in study.printed], axis=0)
        excess = study.after(r, near)[a] / lowest - 1
        worst = max(worst, excess.max())
        found.append(f"{percents(study, excess, '+.0f')} {REFERENCE_NAME[r]}")
    return (
        "α = 0.7 and 100 iterations are close to optimal",
        f"MSE above the lowest of Figure 7 by {'; '.join(found)}",
        "agrees" if worst < 0.1 else "near" if worst < 0.25 else "does not",
    )


def crosstalk_of(study: SliceSweep, alpha: float, iterations: int) -> float:
    """Return gold's mean density in pure silver, as a share of that in pure gold.

    Pixels at a surface are left out, by four pixels of the pictures.
    """
    true = study.reference_pictures["true"] > 0.98 * to_steps(1.0)
    depth = 4 if true.shape[-1] > 80 else 2
    gold, silver = (binary_erosion(t, iterations=depth) for t in true)
    picture = study.pictures[(*study.at(alpha, iterations), 0)]
    return float(picture[silver].mean() / picture[gold].mean())


def sweep_numbers(study: SliceSweep, phantom: PhantomBands) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    numbers = _slice_numbers(study) | _phantom_numbers(phantom)
    return {f"sweep_{name}": text for name, text in numbers.items()}


def _slice_numbers(study):
    few, many = study.printed[0], study.printed[-1]
    usual, largest = study.usual, study.alphas[-1]
    left = {alpha: study.residuals[study.at(alpha, few)] for alpha in (usual, largest)}
    numbers = {
        "slice": f"{study.slice}",
        "size": f"{study.settings.size}",
        "alphas": f"{len(study.alphas)}",
        "few": f"{few}",
        "many": f"{many}",
        "usual": f"{usual:g}",
        "largest": f"{largest:g}",
        "r_squared": f"{study.r_squared:.3f}",
        "paper_r_squared": f"{value('nonalloy.r_squared'):.2f}",
        "crosstalk_few": f"{100 * crosstalk_of(study, usual, few):.1f} %",
        "crosstalk_many": f"{100 * crosstalk_of(study, usual, many):.1f} %",
        "haadf_usual": f"{100 * left[usual][0]:.1f} %",
        "haadf_largest": f"{100 * left[largest][0]:.1f} %",
        "maps_usual": percents(study, left[usual][1:]),
        "maps_largest": percents(study, left[largest][1:]),
        "maps_eds": percents(study, study.eds_residuals[study.iterations.index(few)][1:]),
        "share_largest": f"{(1 - largest) * few:g}",
    }
    for r, e in itertools.product(REFERENCES, study.elements):
        best = {n: weight_text(study.best_alpha(r, e, n), study.alphas) for n in study.printed}
        numbers[f"best_{r}_{e}"] = ", ".join(f"{text} after {n}" for n, text in best.items())
    return numbers


def _phantom_numbers(phantom):
    first, top = phantom.doses.index(1.0), phantom.iterations[-1]
    steps = [n for n in phantom.iterations if n >= 50]
    found = {n: phantom.best_alphas(1.0, n) for n in steps}
    counts = [f"{c:.3g}" for c in phantom.counts]
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
