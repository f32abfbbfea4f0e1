"""What the phantom chapter's sentences quote, and the paper's claims beside what we found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..dose import on_pixel
from ..paper import value
from ..prose import list_text
from ..tables import Table, signed, spread_text, verdict
from .grid import FinerGrid
from .measures import METHODS, TABLE_1
from .smoothing import Smoothing
from .stability import Stability
from .study import PhantomStudy
from .tables import seeds_text

STOPS = ("printed", "best")


# Whether something was chosen with the number in view that a claim is about; see `Claim`.
PREDICTED = "predicted"
FITTED = {
    "r_squared": "fitted: σ was chosen for it",
    "mse": "fitted: the phantom's shape and the mean over pixels were chosen for it",
    "ssim": "fitted in part: the window, the whole image, was chosen for it",
}


def numbers(
    study: PhantomStudy, wrong: Stability, kernels: Smoothing, grid: FinerGrid
) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    s = study.settings
    n = {
        "seeds": len(s.seeds),
        "size": s.size,
        "iterations": s.iterations,
        "width": s.width,
        "sigma": f"{s.sigma:g}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "r_squared_both": spread_text(study.r_squared_both, ".2f"),
        "seeds_list": list_text(s.seeds),
        "pairs": len(_pairs(study)),
        "won": len(study.pairs_won()),
        "won_best": len(study.pairs_won(stop="best")),
        "won_windowed": len(study.pairs_won(names=("ssim_windowed",))),
        "wrong_range": f"{max(abs(e) for e in wrong.errors):g}",
        "wrong_seeds": len(wrong.settings.seeds),
        "correlation_hebt": spread_text([study.error_correlation("hebt_est")], "+.2f"),
        "correlation_eds": spread_text([study.error_correlation("eds")], "+.2f"),
    }
    for e, element in enumerate(study.elements):
        one = _element_numbers(study, wrong, e, element) | _element_kernel_numbers(kernels, e)
        n |= {f"{name}_{element}": text for name, text in one.items()}
    n |= _phrases(study) | _kernel_numbers(kernels) | _grid_numbers(grid)
    n["result"], n["stable"] = result_text(study), _stable_text(wrong)
    return {f"phantom_{name}": str(text) for name, text in n.items()}


def _element_numbers(study, wrong, e, element):
    """Return the numbers of one element."""
    est, gt = (value(f"phantom.{k}.{element}") for k in ("r_est", "r_gt"))
    true, scores, side = float(study.true_ratios[e]), study.scores, study.settings.binning
    relative = wrong.relative().mean(axis=-1)[:, :, e]
    n = {
        # on a pixel of the paper's frame, the unit of the whole book
        "counts": f"{on_pixel(study.mean_counts[e], side=side, other=1, sides=1):.1f}",
        "true": f"{true / 1e4:.2f}",
        "printed_gt": f"{gt / 1e4:.2f}",
        "printed_est": f"{est / 1e4:.2f}",
        "gt_of_true": f"{gt / true:.3f}",
        "printed_est_error": signed(100 * (est / true - 1)),
        "error": spread_text(study.ratio_errors()[:, e], "+.1f"),
        "error_both": spread_text(study.ratio_errors(both=True)[:, e], "+.1f"),
        "mse_gain": f"{scores.gain('mse', element).mean():.1f}",
        "mse_gain_best": f"{scores.gain('mse', element, stop='best').mean():.2f}",
        "wrong_low": signed(100 * (relative.min() - 1)),
        "wrong_high": signed(100 * (relative.max() - 1)),
        "wrong_worst": f"{100 * wrong.worst()[e]:.0f}",
        "wrong_right": f"{100 * wrong.right()[e]:.0f}",
        "wrong_worst_best": f"{100 * wrong.worst('best')[e]:.0f}",
        "wrong_right_best": f"{100 * wrong.right('best')[e]:.0f}",
        "wrong_paper": signed(100 * (wrong.paper_relative()[e].mean() - 1)),
    }
    for name, method in (("eds", "eds"), ("hebt", "hebt_est")):
        n[f"{name}_stop"] = scores.best_iteration("mse", method, element)
        n[f"{name}_over"] = f"{_over_iterated(study, method, element):.1f}"
    return n


def _element_kernel_numbers(kernels, e):
    """Return what the kernels do to one element."""
    hebt, eds = kernels.at("best").mean(axis=-1)[:, :, e].T
    lead, shift = eds / hebt, _shift_cost(kernels)
    cost = ("unknown",) * 2 if shift is None else [signed(100 * (v - 1)) for v in shift[:, e]]
    return {
        "kernel_level": f"{hebt.max() / hebt.min():.1f}",
        "kernel_lead": f"{lead.min():.2f} to {lead.max():.2f}",
        "shift_hebt": cost[0],
        "shift_eds": cost[1],
    }


def _kernel_numbers(kernels):
    """Return the other numbers of the section on smoothing."""
    # HEBT is ahead for all elements and seeds
    errors = [np.moveaxis(kernels.at(stop), 1, 0) for stop in STOPS]
    ahead = np.array([hebt < eds for hebt, eds in errors])
    n = {
        "kernel_seeds": len(kernels.settings.seeds),
        "kernels": len(kernels.kernels),
        "kernels_won": ahead.all(axis=(0, 2, 3)).sum(),
    }
    for name in ("ssim", "ssim_windowed"):
        hebt, eds = np.moveaxis(kernels.at(name=name), 1, 0)
        n[f"kernels_won_{name}"] = (hebt > eds).all(axis=(1, 2)).sum()
    r_squared = kernels.r_squared.mean(axis=1)
    return n | {"kernel_r_squared": f"{r_squared.min():.2f} to {r_squared.max():.2f}"}


def _grid_numbers(grid):
    """Return what data from a finer grid change."""
    n = {"grid_factor": grid.factor, "grid_difference": f"{100 * grid.difference:.1g}"}
    for name, gains in (("own", grid.own_gain), ("finer", grid.finer_gain)):
        for element, gain in zip(grid.elements, gains, strict=True):
            n[f"grid_{name}_{element}"] = f"{gain.mean():.2f}"
    return n | {"grid_seeds": len(grid.settings.seeds)}


def _shift_cost(kernels):
    """MSE with the kernel that is not centered over its centered twin, (methods, elements)."""
    mse = {(k.width, k.sigma, k.centered): v for k, v in zip(kernels.kernels, kernels.at())}
    for width, sigma, centered in mse:
        if not centered and (width, sigma, True) in mse:
            return (mse[width, sigma, False] / mse[width, sigma, True]).mean(axis=-1)
    return None


def _phrases(study):
    """Return sentences of the chapter, and counts, that say what the numbers decide."""
    pairs, scores = _pairs(study), study.scores
    won = [study.pairs_won(method=m) for m in ("hebt_est", "hebt_gt")]
    same_order = all(len(one) == len(pairs) for one in won)
    gains = np.array([[scores.gain(*p, stop=s).mean() for s in STOPS] for p in pairs])
    better = gains[gains[:, 0] > 1]
    shrinks = int((better[:, 1] < better[:, 0]).sum())
    over = [[_over_iterated(study, m, e) for m in ("hebt_est", "eds")] for e in study.elements]
    forgives = all(hebt < eds for hebt, eds in over)
    apart = 0
    for name, element in pairs:
        est, gt = (scores.at(name, m, element) for m in ("hebt_est", "hebt_gt"))
        apart += abs(est.mean() - gt.mean()) > est.std(ddof=1 if len(est) > 1 else 0)
    # errors of the ratios, over either selection of pixels, against the paper's
    paper = np.array([value(f"phantom.r_error.{e}") for e in study.elements])
    plain, both = (abs(study.ratio_errors(both=b).mean(axis=0) - paper) for b in (False, True))
    return {
        "nearer": (both < plain).sum(),
        "order": "The order of the methods is the same for every score, element and seed"
        if same_order
        else "The order of the methods changes with the score, the element or the seed",
        "baseline": f"In {shrinks} of the {len(better)} pairs in which HEBT leads at the "
        "paper's number of iterations, its lead is smaller at the best stop"
        + (": part of it came from letting EDS alone run too long" if shrinks else ""),
        "forgives": f"HEBT {'suffers' if forgives else 'does not suffer'} less from a late stop",
        "apart": apart,
        "crossed": ", ".join(f"for {e} {_crossed(study, e)[0]}" for e in study.elements),
        "crossed_words": "; ".join(
            f"for {e} {_crossed(study, e)[0].split(' (')[0]}" for e in study.elements
        ),
    }


def result_text(study: PhantomStudy) -> str:
    """Say in two sentences by how much HEBT is better, at best stops and at the paper's."""
    best, printed = (
        [study.scores.gain("mse", e, stop=stop).mean() for e in study.elements]
        for stop in ("best", "printed")
    )

    def each(gains):
        return " and ".join(f"{g:.1f} ({e})" for e, g in zip(study.elements, gains, strict=True))

    shrinks = all(b < p for b, p in zip(best, printed, strict=True))
    return (
        f"Each stopped at its best, EDS alone has {each(best)} times the mean-squared error of "
        f"HEBT. After the paper's {study.settings.iterations} iterations it has {each(printed)} "
        "times" + (", since EDS alone fits noise long before." if shrinks else ".")
    )


def _stable_text(wrong):
    """Say whether HEBT with wrong ratios stays better than EDS alone, both at best stops."""
    stays = "stays below" if wrong.worst("best").max() < 1 else "does not stay below"
    return (
        f"With ratios that are wrong by up to {np.abs(wrong.errors).max():g} %, the MSE of HEBT "
        f"{stays} that of EDS alone, both at their best stops"
    )


class Claim(NamedTuple):
    """A claim: its place, what we found, when it holds, and whether.

    `basis` says whether something was chosen with that number in view. Then a "yes" is no evidence.
    """

    claim: str
    place: str
    found: str
    test: str
    basis: str
    holds: bool


def all_claims(study: PhantomStudy, wrong: Stability) -> tuple[Claim, ...]:
    """Return the paper's claims about the phantom, each decided by a stated test on our results."""
    pairs, won_best = len(_pairs(study)), len(study.pairs_won(stop="best"))
    est = _est_against_true(study)
    return (
        *(_order_claim(study, name) for name in TABLE_1),
        Claim(
            "HEBT is better in each score, when each method is stopped at its best",
            "not in the paper",
            f"{won_best} of {pairs} pairs of score and element, with every seed",
            "all pairs",
            PREDICTED,
            won_best == pairs,
        ),
        *(_crossed_claim(study, element) for element in study.elements),
        Claim(
            "HEBT with r_est gives nearly the same image quality as with r_gt",
            "section 4.1",
            f"MSE {_percent_range(est)}",
            "within 5 %",
            PREDICTED,
            bool(np.abs(est - 1).max() <= 0.05),
        ),
        *(_stable_claim(wrong, stop) for stop in STOPS),
        *_ratio_claims(study),
        *(_table_1_claim(study, name) for name in TABLE_1),
    )


def _order_claim(study, name):
    won, elements = len(study.pairs_won(names=(name,))), len(study.elements)
    found, basis = f"{won} of {elements} elements, with every seed", FITTED.get(name, PREDICTED)
    if name == "ssim":
        windowed = len(study.pairs_won(names=("ssim_windowed",)))
        found += f"; {windowed} of {elements} with small windows"
    what = f"HEBT is better than EDS alone by the {name.upper()}"
    return Claim(what, "Table 1", found, "all elements", basis, won == elements)


def _crossed(study, element):
    """Say how HEBT at the paper's stop does against EDS alone at its best, and if it always wins.

    The best stop of EDS alone is that for each score, as in `Scores`.
    """
    options = {"stop": "printed", "eds_stop": "best"}
    won, lost = (
        [name.upper() for name, e in study.pairs_won(by=by, **options) if e == element]
        for by in ("HEBT", "EDS")
    )
    hebt = study.scores.at("mse", "hebt_est", element).mean()
    eds = study.scores.at("mse", "eds", element, stop="best").mean()
    each = (("better", won), ("worse", lost))
    words = [f"{word} in {_words(names)}" for word, names in each if names]
    text = " and ".join(words) or "neither better nor worse with every seed"
    return f"{text} (MSE: {hebt:.4f} against {eds:.4f})", len(won) == len(TABLE_1)


def _words(names):
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _crossed_claim(study, element):
    found, wins = _crossed(study, element)
    n = study.settings.iterations
    what = f"HEBT after {n} iterations is better than EDS alone at its best stop: {element}"
    return Claim(what, "not in the paper", found, "all scores, with every seed", PREDICTED, wins)


def _stable_claim(wrong, stop):
    """Return whether wrong ratios leave HEBT better than EDS alone at its best stop."""

    def each(values):
        return ", ".join(f"{e} {100 * v:.0f} %" for e, v in zip(wrong.elements, values))

    at = {"printed": f"after {wrong.settings.iterations} iterations", "best": "at its best stop"}
    return Claim(
        f"HEBT is stable against errors of the response ratios, {at[stop]}",
        "section 4.1" if stop == "printed" else "not in the paper",
        f"at errors up to {np.abs(wrong.errors).max():g} %, its highest MSE is "
        f"{each(wrong.worst(stop))} of that of EDS alone at its best stop; with true ratios, "
        f"{each(wrong.right(stop))}",
        "stays below EDS alone at its best stop",
        PREDICTED,
        bool(wrong.worst(stop).max() < 1),
    )


def _ratio_claims(study):
    """Return what the paper says of its fit."""
    r_squared, errors = value("phantom.r_squared"), study.ratio_errors()
    paper = [value(f"phantom.r_error.{e}") for e in study.elements]
    theirs, ours = (
        ", ".join(f"{e} {signed(v)}" for e, v in zip(study.elements, values, strict=True))
        for values in (paper, errors.mean(axis=0))
    )
    near, each = _agrees(r_squared, study.r_squared, "r_squared"), map(_agrees, paper, errors.T)
    found, fitted = spread_text(study.r_squared, ".3f"), FITTED["r_squared"]
    test, what = "agrees or near, by 1 − R²", f"errors of the estimated ratios: {theirs}"
    return (
        Claim(f"R² = {r_squared:.2f}", "section 4.1", found, test, fitted, near),
        Claim(what, "section 4.1", ours, "agrees or near, for each element", PREDICTED, all(each)),
    )


def _table_1_claim(study, name):
    near, cells = _near(study, name, name), len(study.elements) * len(METHODS)
    found = f"{near} of {cells} agree or are near"
    what = f"the values of {name.upper()} in Table 1"
    basis = FITTED.get(name, PREDICTED)
    return Claim(what, "Table 1", found, "all of them", basis, near == cells)


def claims_table(study: PhantomStudy, wrong: Stability) -> Table:
    """Return which of the paper's claims about the phantom our simulation reproduces."""
    claims = all_claims(study, wrong)
    return Table(
        ("claim", "place", "ours", "test", "fitted or predicted?", "holds?"),
        [(*claim[:-1], "yes" if claim.holds else "no") for claim in claims],
        title="What can be reproduced",
        note=f"{seeds_text(study.settings)}; stability: {len(wrong.settings.seeds)} seeds. Fitted: "
        "something was chosen with this number in view, so that a yes is no evidence. Predicted: "
        "nothing was chosen for it, on a phantom that was chosen for the MSE.",
    )


def _pairs(study):
    return [(name, element) for name in TABLE_1 for element in study.elements]


def _agrees(paper, ours, name=""):
    return verdict(paper, ours, name) in ("agrees", "near")


def _near(study, printed, name):
    """In how many cells of Table 1 the paper's score and ours of this name agree or are near."""
    cells = [(e, m) for e in study.elements for m in METHODS]
    papers = (value(f"table1.{printed}.{e}.{m}") for e, m in cells)
    ours = (study.scores.at(name, m, e) for e, m in cells)
    return sum(_agrees(p, o, name) for p, o in zip(papers, ours))


def _est_against_true(study):
    """MSE of HEBT with estimated ratios over that with true ones, (elements,), mean over seeds."""
    est, gt = ([study.scores.at("mse", m, e) for e in study.elements] for m in METHODS[:2])
    return np.divide(est, gt).mean(axis=1)


def _over_iterated(study, method, element):
    """MSE at the last iteration over that at the best stop."""
    last, best = (study.scores.at("mse", method, element, stop=stop) for stop in STOPS)
    return float((last / best).mean())


def _percent_range(ratios):
    low, high = 100 * (np.min(ratios) - 1), 100 * (np.max(ratios) - 1)
    return f"{signed(low)[:-2]} to {signed(high)}"
