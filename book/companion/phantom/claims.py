"""Figures, tables and numbers of the phantom study (sections 3.1 and 4.1 of the paper)."""

import numpy as np

from ..paper import printed as paper_printed
from ..prose import Claim, list_text
from ..tables import Table, spread_text
from .measures import METHODS, TABLE_1
from .smoothing import Smoothing
from .stability import Stability
from .study import PhantomStudy
from .tables import seeds_text, signed, verdict


def numbers(study: PhantomStudy, wrong: Stability, kernels: Smoothing) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    s = study.settings
    n = {
        "seeds": f"{len(s.seeds)}",
        "size": f"{s.size}",
        "tilts": f"{len(s.angles)}",
        "iterations": f"{s.iterations}",
        "alpha": f"{s.alpha:g}",
        "width": f"{s.width}",
        "sigma": f"{s.sigma:g}",
        "r_squared": spread_text(study.r_squared, ".3f"),
        "r_squared_both": spread_text(study.r_squared_both, ".2f"),
        "seeds_list": list_text(s.seeds),
        "pairs": f"{len(TABLE_1) * len(study.elements)}",
        "won": f"{len(study.pairs_won())}",
        "won_true": f"{len(study.pairs_won(method='hebt_gt'))}",
        "won_best": f"{len(study.pairs_won(stop='best'))}",
        "won_windowed": f"{len(study.pairs_won(names=('ssim_windowed',)))}",
        "est_against_true": _percent_range(_est_against_true(study)),
        "wrong_range": f"{max(abs(e) for e in wrong.errors):g}",
        "wrong_seeds": f"{len(wrong.settings.seeds)}",
        "kernel_seeds": f"{len(kernels.settings.seeds)}",
    }
    for e, element in enumerate(study.elements):
        n |= _element_numbers(study, wrong, kernels, e, element)
    n |= _phrases(study) | _kernel_numbers(kernels, study.elements)
    return {f"phantom_{name}": text for name, text in n.items()}


def _element_numbers(study, wrong, kernels, e, element):
    """Return the numbers of one element."""
    both = study.ratio_errors(both=True)
    relative = wrong.relative().mean(axis=-1)
    printed = {k: paper_printed(f"phantom.{k}.{element}").value for k in ("r_est", "r_gt")}
    true = float(study.true_ratios[e])
    gain = study.scores.gain("mse", element)
    best = study.scores.gain("mse", element, stop="best")
    n = {
        f"counts_{element}": f"{study.mean_counts[e]:.1f}",
        f"true_{element}": f"{true / 1e4:.2f}",
        f"printed_gt_{element}": f"{printed['r_gt'] / 1e4:.2f}",
        f"printed_est_{element}": f"{printed['r_est'] / 1e4:.2f}",
        f"gt_of_true_{element}": f"{printed['r_gt'] / true:.3f}",
        f"printed_est_error_{element}": signed(100 * (printed["r_est"] / true - 1)),
        f"error_{element}": spread_text(study.ratio_errors()[:, e], "+.1f"),
        f"error_both_{element}": spread_text(both[:, e], "+.1f"),
        f"mse_gain_{element}": f"{gain.mean():.1f}",
        f"mse_gain_best_{element}": f"{best.mean():.2f}",
        f"eds_stop_{element}": f"{study.scores.best_iteration('mse', 'eds', element)}",
        f"hebt_stop_{element}": f"{study.scores.best_iteration('mse', 'hebt_est', element)}",
        f"eds_over_{element}": f"{_over_iterated(study, 'eds', element):.1f}",
        f"hebt_over_{element}": f"{_over_iterated(study, 'hebt_est', element):.1f}",
        f"wrong_low_{element}": signed(100 * (relative[:, :, e].min() - 1)),
        f"wrong_high_{element}": signed(100 * (relative[:, :, e].max() - 1)),
        f"wrong_worst_{element}": f"{100 * wrong.worst()[e]:.0f}",
        f"wrong_paper_{element}": signed(100 * (wrong.paper_relative()[e].mean() - 1)),
    }
    for m, method in enumerate(("hebt", "eds")):
        shift = _shift_cost(kernels)
        n[f"shift_{method}_{element}"] = (
            "unknown" if shift is None else signed(100 * (shift[m, e] - 1))
        )
    return n


def _kernel_numbers(kernels, elements):
    """Return the numbers of the section on smoothing."""
    n = {}
    n["kernels_won"] = f"{_kernels_won(kernels)}"
    n["kernels"] = f"{len(kernels.kernels)}"
    for name in ("ssim", "ssim_windowed"):
        values = getattr(kernels, name)
        ahead = (values[:, 0] > values[:, 1]).all(axis=(1, 2))
        n[f"kernels_won_{name}"] = f"{int(ahead.sum())}"
    low, high = kernels.r_squared.mean(axis=1).min(), kernels.r_squared.mean(axis=1).max()
    n["kernel_r_squared"] = f"{low:.2f} to {high:.2f}"
    best = kernels.at("best").mean(axis=-1)
    lead = best[:, 1] / best[:, 0]
    for e, element in enumerate(elements):
        n[f"kernel_level_{element}"] = f"{best[:, 0, e].max() / best[:, 0, e].min():.1f}"
        n[f"kernel_lead_{element}"] = f"{lead[:, e].min():.2f} to {lead[:, e].max():.2f}"
    return n


def all_claims(study: PhantomStudy, wrong: Stability) -> tuple[Claim, ...]:
    """Return the paper's claims about the phantom, each decided by a stated test on our results."""
    pairs = len(TABLE_1) * len(study.elements)
    won, won_best = len(study.pairs_won()), len(study.pairs_won(stop="best"))
    est = _est_against_true(study)
    worst = float(wrong.worst().max())
    errors = study.ratio_errors().mean(axis=0)
    paper_errors = [paper_printed(f"phantom.r_error.{e}").value for e in study.elements]
    claims = [
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
        Claim(
            "R² = 0.91",
            "section 4.1",
            spread_text(study.r_squared, ".3f"),
            "agrees or near",
            verdict(paper_printed("phantom.r_squared").value, study.r_squared)
            in ("agrees", "near"),
        ),
        Claim(
            "errors of the estimated ratios: "
            + ", ".join(f"{e} {signed(p)}" for e, p in zip(study.elements, paper_errors)),
            "section 4.1",
            ", ".join(f"{e} {signed(v)}" for e, v in zip(study.elements, errors)),
            "agrees or near, for each element",
            all(
                verdict(p, study.ratio_errors()[:, e]) in ("agrees", "near")
                for e, p in enumerate(paper_errors)
            ),
        ),
    ]
    return (*claims, *_table_1_claims(study))


def _table_1_claims(study):
    """Return one claim for each score of Table 1."""
    claims = []
    for name in TABLE_1:
        words = [
            verdict(
                paper_printed(f"table1.{name}.{element}.{method}").value,
                study.scores.at(name, method, element),
                name,
            )
            for element in study.elements
            for method in METHODS
        ]
        near = sum(w in ("agrees", "near") for w in words)
        claims.append(
            Claim(
                f"the values of {name.upper()} in Table 1",
                "Table 1",
                f"{near} of {len(words)} agree or are near",
                "all of them",
                near == len(words),
            )
        )
    return claims


def claims_table(study: PhantomStudy, wrong: Stability) -> Table:
    """Return which of the paper's claims about the phantom our simulation reproduces."""
    return Table(
        ("claim", "place", "ours", "test", "reproduced?"),
        [
            (c.claim, c.place, c.found, c.test, "yes" if c.holds else "no")
            for c in all_claims(study, wrong)
        ],
        title="What can be reproduced",
        note=f"{seeds_text(study.settings)}; stability: {len(wrong.settings.seeds)} seeds.",
    )


def _phrases(study):
    """Sentences of the chapter that say what the numbers decide."""
    pairs = [(name, e) for name in TABLE_1 for e in study.elements]
    same_order = all(len(study.pairs_won(method=m)) == len(pairs) for m in ("hebt_est", "hebt_gt"))
    better = [(n, e) for n, e in pairs if study.scores.gain(n, e).mean() > 1]
    shrinks = [
        (n, e)
        for n, e in better
        if study.scores.gain(n, e, stop="best").mean() < study.scores.gain(n, e).mean()
    ]
    forgives = all(
        _over_iterated(study, "hebt_est", e) < _over_iterated(study, "eds", e)
        for e in study.elements
    )
    apart = [
        (n, e)
        for n, e in pairs
        if abs(study.scores.at(n, "hebt_est", e).mean() - study.scores.at(n, "hebt_gt", e).mean())
        > study.scores.at(n, "hebt_est", e).std(ddof=1 if len(study.settings.seeds) > 1 else 0)
    ]
    errors, both = (study.ratio_errors(both=b).mean(axis=0) for b in (False, True))
    paper = np.array([paper_printed(f"phantom.r_error.{e}").value for e in study.elements])
    nearer = int((np.abs(both - paper) < np.abs(errors - paper)).sum())
    ssim = {
        name: sum(
            verdict(paper_printed(f"table1.ssim.{e}.{m}").value, study.scores.at(name, m, e), name)
            in ("agrees", "near")
            for e in study.elements
            for m in METHODS
        )
        for name in ("ssim", "ssim_windowed")
    }
    return {
        "nearer": f"{nearer}",
        "ssim_near": f"{ssim['ssim']}",
        "ssim_windowed_near": f"{ssim['ssim_windowed']}",
        "order": "The order of the methods is the same for every score, element and seed"
        if same_order
        else "The order of the methods changes with the score, the element or the seed",
        "baseline": f"In {len(shrinks)} of the {len(better)} pairs in which HEBT leads at the "
        "paper's number of iterations, its lead is smaller at the best stop"
        + (": part of it came from letting EDS alone run too long" if shrinks else ""),
        "forgives": "HEBT suffers less from a late stop"
        if forgives
        else "HEBT does not suffer less from a late stop",
        "apart": f"{len(apart)}",
        "correlation_hebt": f"{study.error_correlation('hebt_est'):+.2f}".replace("-", "−"),
        "correlation_eds": f"{study.error_correlation('eds'):+.2f}".replace("-", "−"),
    }


def _est_against_true(study):
    """MSE of HEBT with estimated ratios over that with true ones, (elements,), mean over seeds."""
    return np.array(
        [
            (study.scores.at("mse", "hebt_est", e) / study.scores.at("mse", "hebt_gt", e)).mean()
            for e in study.elements
        ]
    )


def _over_iterated(study, method, element):
    """MSE at the last iteration over that at the best stop."""
    return float(
        (
            study.scores.at("mse", method, element)
            / study.scores.at("mse", method, element, stop="best")
        ).mean()
    )


def _shift_cost(kernels):
    """MSE with the kernel that is not centred over its centred twin, (methods, elements)."""
    for i, k in enumerate(kernels.kernels):
        if not k.centered:
            for j, other in enumerate(kernels.kernels):
                if other.centered and (other.width, other.sigma) == (k.width, k.sigma):
                    return (kernels.at()[i] / kernels.at()[j]).mean(axis=-1)
    return None


def _kernels_won(kernels):
    """With how many kernels HEBT beats EDS alone for all elements, seeds, and both stops."""
    better = [kernels.at(stop)[:, 0] < kernels.at(stop)[:, 1] for stop in ("printed", "best")]
    return int(np.all(better, axis=(0, 2, 3)).sum())


def _percent_range(ratios):
    low, high = 100 * (np.min(ratios) - 1), 100 * (np.max(ratios) - 1)
    return f"{signed(low)[:-2]} to {signed(high)}"
