"""What the phantom chapter's sentences quote, and the paper's claims beside what we found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..paper import value
from ..prose import list_text
from ..tables import Table, signed, spread_text, verdict
from .measures import METHODS, TABLE_1
from .smoothing import Smoothing
from .stability import Stability
from .study import PhantomStudy
from .tables import seeds_text

STOPS = ("printed", "best")


def numbers(study: PhantomStudy, wrong: Stability, kernels: Smoothing) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    s = study.settings
    n = {
        "seeds": len(s.seeds),
        "size": s.size,
        "tilts": len(s.angles),
        "iterations": s.iterations,
        "alpha": f"{s.alpha:g}",
        "width": s.width,
        "sigma": f"{s.sigma:g}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "r_squared_both": spread_text(study.r_squared_both, ".2f"),
        "seeds_list": list_text(s.seeds),
        "pairs": len(_pairs(study)),
        "won": len(study.pairs_won()),
        "won_true": len(study.pairs_won(method="hebt_gt")),
        "won_best": len(study.pairs_won(stop="best")),
        "won_windowed": len(study.pairs_won(names=("ssim_windowed",))),
        "ssim_near": _near(study, "ssim", "ssim"),
        "ssim_windowed_near": _near(study, "ssim", "ssim_windowed"),
        "est_against_true": _percent_range(_est_against_true(study)),
        "wrong_range": f"{max(abs(e) for e in wrong.errors):g}",
        "wrong_seeds": len(wrong.settings.seeds),
        "correlation_hebt": spread_text([study.error_correlation("hebt_est")], "+.2f"),
        "correlation_eds": spread_text([study.error_correlation("eds")], "+.2f"),
    }
    for e, element in enumerate(study.elements):
        one = _element_numbers(study, wrong, e, element) | _element_kernel_numbers(kernels, e)
        n |= {f"{name}_{element}": text for name, text in one.items()}
    n |= _phrases(study) | _kernel_numbers(kernels)
    return {f"phantom_{name}": str(text) for name, text in n.items()}


def _element_numbers(study, wrong, e, element):
    """Return the numbers of one element."""
    est, gt = (value(f"phantom.{k}.{element}") for k in ("r_est", "r_gt"))
    true, scores = float(study.true_ratios[e]), study.scores
    relative = wrong.relative().mean(axis=-1)[:, :, e]
    n = {
        "counts": f"{study.mean_counts[e]:.1f}",
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


def _shift_cost(kernels):
    """MSE with the kernel that is not centred over its centred twin, (methods, elements)."""
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
    }


class Claim(NamedTuple):
    """A claim of the paper: its place, what we found, when it counts as reproduced, and whether."""

    claim: str
    place: str
    found: str
    test: str
    holds: bool


def all_claims(study: PhantomStudy, wrong: Stability) -> tuple[Claim, ...]:
    """Return the paper's claims about the phantom, each decided by a stated test on our results."""
    pairs = len(_pairs(study))
    won, won_best = len(study.pairs_won()), len(study.pairs_won(stop="best"))
    est, worst = _est_against_true(study), float(wrong.worst().max())
    return (
        Claim(
            "HEBT is better than EDS alone in each score of Table 1",
            "Table 1",
            f"{won} of {pairs} pairs, each with every seed",
            "all pairs",
            won == pairs,
        ),
        Claim(
            "the same, when each method is stopped at its best",
            "not in the paper",
            f"{won_best} of {pairs} pairs",
            "all pairs",
            won_best == pairs,
        ),
        Claim(
            "HEBT with r_est gives nearly the same image quality as with r_gt",
            "section 4.1",
            f"MSE {_percent_range(est)}",
            "within 5 %",
            bool(np.abs(est - 1).max() <= 0.05),
        ),
        Claim(
            "HEBT is stable against errors of the response ratios",
            "section 4.1",
            f"at errors up to {np.abs(wrong.errors).max():g} %, its highest MSE is "
            f"{100 * worst:.0f} % of that of EDS alone",
            "stays below EDS alone",
            worst < 1,
        ),
        *_ratio_claims(study),
        *(_table_1_claim(study, name) for name in TABLE_1),
    )


def _ratio_claims(study):
    """Return what the paper says of its fit."""
    r_squared, errors = value("phantom.r_squared"), study.ratio_errors()
    paper = [value(f"phantom.r_error.{e}") for e in study.elements]
    theirs, ours = (
        ", ".join(f"{e} {signed(v)}" for e, v in zip(study.elements, values, strict=True))
        for values in (paper, errors.mean(axis=0))
    )
    found, near = spread_text(study.r_squared, ".3f"), _agrees(r_squared, study.r_squared)
    what, each = f"errors of the estimated ratios: {theirs}", map(_agrees, paper, errors.T)
    return (
        Claim(f"R² = {r_squared:.2f}", "section 4.1", found, "agrees or near", near),
        Claim(what, "section 4.1", ours, "agrees or near, for each element", all(each)),
    )


def _table_1_claim(study, name):
    near, cells = _near(study, name, name), len(study.elements) * len(METHODS)
    found = f"{near} of {cells} agree or are near"
    what = f"the values of {name.upper()} in Table 1"
    return Claim(what, "Table 1", found, "all of them", near == cells)


def claims_table(study: PhantomStudy, wrong: Stability) -> Table:
    """Return which of the paper's claims about the phantom our simulation reproduces."""
    claims = all_claims(study, wrong)
    return Table(
        ("claim", "place", "ours", "test", "reproduced?"),
        [(*claim[:-1], "yes" if claim.holds else "no") for claim in claims],
        title="What can be reproduced",
        note=f"{seeds_text(study.settings)}; stability: {len(wrong.settings.seeds)} seeds.",
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
