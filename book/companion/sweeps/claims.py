"""Figures, tables and numbers of the sweeps over weight and iterations (Figures 7 and 8)."""

import itertools

import numpy as np

from ..paper import value
from ..tables import Table
from .bands import PhantomBands
from .figures import REFERENCE_NAME, _shown
from .slice import REFERENCES, SliceSweep


def minimum_table(study: SliceSweep) -> Table:
    """Return where the error of the slice is lowest, after each number of iterations."""
    rows = []
    for n in _shown(study.iterations):
        i = study.iterations.index(n)
        for r in REFERENCES:
            best = [study.best_alpha(r, e, n) for e in study.elements]
            usual = study.mse[r][study.at(_usual(study), n)] / study.mse[r][:, i].min(axis=0)
            rows.append(
                (
                    f"{n}",
                    REFERENCE_NAME[r],
                    "\n".join(
                        f"{e} {_weight(b, study.alphas)}" for e, b in zip(study.elements, best)
                    ),
                    _pair(study.elements, study.mse[r][:, i].min(axis=0), ".4f", sep="\n"),
                    _pair(study.elements, 100 * (usual - 1), "+.0f", " %", sep="\n"),
                    _pair(study.elements, study.eds_mse[r][i], ".4f", sep="\n"),
                )
            )
    return Table(
        (
            "iterations",
            "reference",
            "best α",
            "MSE there",
            f"α = {_usual(study):g} against it",
            "EDS only",
        ),
        rows,
        title="Where the error of the slice is lowest",
        note="One noise seed. Between the tested weights the place is that of a parabola.",
    )


def advice_table(study: PhantomBands) -> Table:
    """Return which weight suits which number of iterations at which count level."""
    steps = [n for n in study.iterations if n >= 50] or list(study.iterations)[-3:]
    rows = []
    for dose, counts in zip(study.doses, study.counts, strict=True):
        alpha, n, mse = study.best(dose)
        stop, eds = study.best_eds(dose)
        cells = []
        for k in steps:
            found = study.best_alphas(dose, k)
            low, high = study.flat(dose, k)
            cells.append(
                f"{_weight(found.mean(), study.alphas)}\n[{found.min():.2f}, {found.max():.2f}]\n"
                f"{low:g} to {high:g}"
            )
        rows.append(
            (
                f"{counts:.3g}",
                *cells,
                f"{alpha:g}, {n}",
                f"{mse:.4f}",
                f"{eds / mse:.2f}\n(EDS stops at {stop})",
            )
        )
    seeds = ", ".join(f"{len(s.seeds)} at dose {s.dose:g}" for s in study.settings)
    return Table(
        (
            "counts a pixel",
            *(f"α, {n} iterations" for n in steps),
            "best of all: α, iterations",
            "its MSE",
            "EDS only at its best, against it",
        ),
        rows,
        title="The phantom: which weight, after how many iterations",
        note="First line: the weight with the lowest MSE (mean of Au and Ag), mean over the noise "
        "seeds; second line: lowest and highest seed; third line: tested weights whose mean MSE is "
        f"within 10 % of the lowest. Noise seeds: {seeds}. The frame has "
        f"{study.settings[0].size} pixels along a side; counts are those of an element map before "
        "smoothing, and a coarse pixel collects those of all the pixels it stands for.",
    )


def claims_table(study: SliceSweep) -> Table:
    """Return what section 4.2 says of Figures 7 and 8, beside what this slice shows."""
    printed = _shown(study.iterations)
    few, many = printed[0], printed[-1]
    falls = all(
        study.mse["segmented"][0, study.iterations.index(n), e]
        > study.mse["segmented"][:, study.iterations.index(n), e].min()
        for n in printed
        for e in range(len(study.elements))
    )
    which = [
        n
        for n in printed
        if all(study.best_alpha("segmented", e, n) > study.alphas[0] for e in study.elements)
    ]
    before = max(-6, -len(study.alphas))  # 0.94, of the weights that are swept
    rising = all(
        (mse[-1, i] > mse[before, i]).all()
        for mse in study.mse.values()
        for i in map(study.iterations.index, printed)
    )
    shadow = {n: crosstalk_of(study, _usual(study), n) for n in (few, many)}
    small = study.alphas.index(min(study.alphas, key=lambda a: abs(a - 0.05)))
    growth = {
        r: study.mse[r][small, study.iterations.index(many)]
        / study.mse[r][small, study.iterations.index(few)]
        for r in REFERENCES
    }
    n100 = min(printed, key=lambda n: abs(np.log(n / 100)))
    usual = {
        r: study.mse[r][study.at(_usual(study), n100)]
        / study.mse[r][:, [study.iterations.index(n) for n in printed]].min(axis=(0, 1))
        for r in REFERENCES
    }
    best = [study.best_alpha("segmented", study.elements[0], n) for n in printed]
    over = {r: bool((g > 1).all()) for r, g in growth.items()}
    return Table(
        ("what the paper says (section 4.2)", "here", "word"),
        [
            (
                "the error falls as α grows from 0.01, to a minimum",
                "after "
                + (_list(which) if which else "no number of")
                + f" iterations, of {_list(printed)}",
                "agrees" if falls else ("in part" if which else "does not"),
            ),
            (
                "near α = 1 it rises rapidly",
                "from the last weights below 1 on, by both references, for all iterations"
                if rising
                else "not in all cases",
                "agrees" if rising else "in part",
            ),
            (
                f"α = 0.7, {few} iterations: Ag appears in Au; with more iterations it disappears",
                f"gold in pure silver, as a share of pure gold: {100 * shadow[few]:.1f} % after "
                f"{few}, {100 * shadow[many]:.1f} % after {many} iterations",
                "agrees" if shadow[few] > 1.5 * shadow[many] else "does not",
            ),
            (
                "for small α the error decreases as iterations increase (called over-fitting)",
                f"α = {study.alphas[small]:g}: {many} against {few} iterations, "
                + "; ".join(
                    f"{REFERENCE_NAME[r]} {_pair(study.elements, 100 * (g - 1), '+.0f', ' %')}"
                    for r, g in growth.items()
                ),
                "it increases, as over-fitting should"
                if all(over.values())
                else ("in part" if any((g > 1).any() for g in growth.values()) else "it decreases"),
            ),
            (
                "large weights need more iterations",
                f"best α for {study.elements[0]}, by the paper's protocol: "
                + ", ".join(f"{b:.2f} ({n})" for b, n in zip(best, printed)),
                "agrees" if all(a <= b for a, b in itertools.pairwise(best)) else "in part",
            ),
            (
                "α = 0.7 and 100 iterations are close to optimal",
                "MSE above the lowest of Figure 7 by "
                + "; ".join(
                    f"{_pair(study.elements, 100 * (u - 1), '+.0f', ' %')} {REFERENCE_NAME[r]}"
                    for r, u in usual.items()
                ),
                "agrees"
                if max(u.max() for u in usual.values()) < 1.1
                else ("near" if max(u.max() for u in usual.values()) < 1.25 else "does not"),
            ),
        ],
        title="Section 4.2's sentences, one by one",
        note="One particle, one noise seed, simulated; the paper's is another one.",
    )


def crosstalk_of(study: SliceSweep, alpha: float, iterations: int) -> float:
    """Return gold's mean density in pure silver, as a share of that in pure gold.

    Pixels at a surface are left out, by four pixels of the pictures.
    """
    from scipy.ndimage import binary_erosion

    true = study.reference_pictures["true"] > 0.98 * 255 / 1.5
    depth = 4 if true.shape[-1] > 80 else 2
    gold, silver = (binary_erosion(t, iterations=depth) for t in true)
    picture = study.pictures[(*study.at(alpha, iterations), 0)]
    return float(picture[silver].mean() / picture[gold].mean())


def sweep_numbers(study: SliceSweep, phantom: PhantomBands) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    printed = _shown(study.iterations)
    few, many = printed[0], printed[-1]
    usual = _usual(study)
    d = phantom.doses.index(1.0)
    top = phantom.iterations[-1]
    steps = [n for n in phantom.iterations if n >= 50]
    best = {n: phantom.best_alphas(1.0, n) for n in steps}
    share = {
        dose: np.concatenate(
            [(1 - phantom.best_alphas(dose, n)) * n for n in steps if _inner(phantom, dose, n)]
            or [np.array([np.nan])]
        )
        for dose in phantom.doses
    }
    last = {alpha: study.residuals[study.at(alpha, few)] for alpha in (usual, study.alphas[-1])}
    eds_like = study.eds_residuals[study.iterations.index(few)]
    stops = phantom.best_eds(1.0)
    alpha, iterations, mse = phantom.best(1.0)
    n = {
        "slice": f"{study.slice}",
        "size": f"{study.settings.size}",
        "alphas": f"{len(study.alphas)}",
        "few": f"{few}",
        "many": f"{many}",
        "usual": f"{usual:g}",
        "largest": f"{study.alphas[-1]:g}",
        "r_squared": f"{study.r_squared:.3f}",
        "paper_r_squared": f"{value('nonalloy.r_squared'):.2f}",
        "shadow_few": f"{100 * crosstalk_of(study, usual, few):.1f} %",
        "shadow_many": f"{100 * crosstalk_of(study, usual, many):.1f} %",
        "haadf_usual": f"{100 * last[usual][0]:.1f} %",
        "haadf_largest": f"{100 * last[study.alphas[-1]][0]:.1f} %",
        "maps_usual": _pair(study.elements, 100 * last[usual][1:], ".0f", " %"),
        "maps_largest": _pair(study.elements, 100 * last[study.alphas[-1]][1:], ".0f", " %"),
        "maps_eds": _pair(study.elements, 100 * eds_like[1:], ".0f", " %"),
        "share_largest": f"{(1 - study.alphas[-1]) * few:g}",
        "seeds": f"{len(phantom.settings[d].seeds)}",
        "others": f"{min(len(s.seeds) for s in phantom.settings)}",
        "phantom_alphas": f"{len(phantom.alphas)}",
        "phantom_size": f"{phantom.settings[0].size}",
        "top": f"{top}",
        "steps": _list(steps),
        "best": ", ".join(
            f"{v.mean():.2f} [{v.min():.2f}, {v.max():.2f}] after {k}" for k, v in best.items()
        ),
        "counts": f"{phantom.counts[d]:.3g}",
        "lowest_counts": f"{phantom.counts[0]:.3g}",
        "highest_counts": f"{phantom.counts[-1]:.3g}",
        "share": f"{np.nanmin(share[1.0]):.0f} to {np.nanmax(share[1.0]):.0f}",
        "shares": "; ".join(
            f"{np.nanmin(v):.0f} to {np.nanmax(v):.0f} at {c:.3g} counts"
            for v, c in zip(share.values(), phantom.counts)
            if np.isfinite(v).any()
        ),
        "eds_stop": f"{stops[0]}",
        "best_at_top": f"{sum(phantom.best(d)[1] == top for d in phantom.doses)} of "
        f"{len(phantom.doses)}",
        "best_point": f"α = {alpha:g} and {iterations} iterations",
        "stops": ", ".join(
            f"{phantom.best_eds(dose)[0]} at {c:.3g}"
            for dose, c in zip(phantom.doses, phantom.counts)
        )
        + " counts",
        "gain": f"{stops[1] / mse:.2f}",
        "gains": ", ".join(
            f"{phantom.best_eds(dose)[1] / phantom.best(dose)[2]:.2f} at {c:.3g}"
            for dose, c in zip(phantom.doses, phantom.counts)
        ),
        "usual_loss": "; ".join(
            f"{_loss(phantom, dose):+.0f} % at {c:.3g} counts".replace("-", "−")
            for dose, c in zip(phantom.doses, phantom.counts)
        ),
    }
    for r in REFERENCES:
        for e in study.elements:
            n[f"best_{r}_{e}"] = ", ".join(
                f"{_weight(study.best_alpha(r, e, k), study.alphas)} after {k}" for k in printed
            )
    return {f"sweep_{key}": value for key, value in n.items()}


def _inner(phantom, dose, n):
    found = phantom.best_alphas(dose, n)
    return (found > phantom.alphas[0]).all() and (found < phantom.alphas[-1]).all()


def _loss(phantom, dose):
    """By how many percent the MSE at α = 0.7 and 100 iterations exceeds the best of the grid."""
    alpha = min(phantom.alphas, key=lambda a: abs(a - 0.7))
    n = min(phantom.iterations, key=lambda k: abs(np.log(k / 100)))
    mean = phantom.mse[phantom.doses.index(dose)].mean(axis=(2, 3))
    here = mean[phantom.alphas.index(alpha), phantom.iterations.index(n)]
    return 100 * (here / mean.min() - 1)


def _usual(study):
    """The paper's weight, or the tested one next to it."""
    return min(study.alphas, key=lambda a: abs(a - 0.7))


def _weight(value, alphas):
    """A weight as text; at an end of the tested ones there is no minimum between them."""
    if value <= alphas[0]:
        return f"≤ {alphas[0]:g}"
    return f"≥ {alphas[-1]:g}" if value >= alphas[-1] else f"{value:.2f}"


def _pair(elements, values, digits, unit="", sep=", "):
    return sep.join(
        f"{e}\u00a0{format(float(v), digits)}{unit}".replace("-", "−").replace(" ", "\u00a0")
        for e, v in zip(elements, values, strict=True)
    )


def _list(values):
    values = [str(v) for v in values]
    return values[0] if len(values) == 1 else ", ".join(values[:-1]) + " and " + values[-1]
