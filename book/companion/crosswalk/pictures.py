"""What is found for the paper's pictures, and for sentences that no chapter asks by itself."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

import hebt
from hebt import simulate

from ..paper import value
from ..particles.measures import ELEMENTS
from ..particles.nonalloy import LOCALIZED
from ..particles.views import COLUMNS, from_steps
from ..phantom.data import PhantomSettings
from ..phantom.data import data as phantom_data
from ..spectra.settings import specimen, truth
from ..tables import agreement, spread_text, verdict
from .found import CANNOT, DIFFERS, KIND, RULE, Found, each, of_flags, of_word, of_words, percent
from .rows import Row

DICE = (0.95, 0.9)  # of a good segmentation, and of one that is good in kind
CLEARLY = 0.05  # by which share an error changes clearly
CORRELATED = 0.99  # with an image without noise
SEEN = 0.01  # of pure gold: below this there is no ghost
RANGE = (0.7, 0.9)  # weights that the paper calls consistent, section 2.3
SMOOTH = 0.1  # atomic fraction: shells that differ by less show no boundary
LATE = (1.1, 1.5)  # an error at most this many times the least is not too late; and in kind


# ---- the phantom ----


def phantom_shape(row: Row, results) -> Found:
    """Say whether the phantom's Au lies inside its Ag, both of one density."""
    gold, silver = simulate.phantom(results.phantom.settings.size).density
    within = ndimage.binary_fill_holes(silver > 0)
    flags = not (gold * silver).any() and within[gold > 0].all()
    flags = flags and all(len(np.unique(d)) == 2 for d in (gold, silver))
    text = each(percent(d.mean()) for d in (gold, silver))
    return Found(row.value, f"{text} of the frame", "Au inside Ag", KIND if flags else DIFFERS)


def phantom_contrast(row: Row, results) -> Found:
    """Compare how much brighter Au is than Ag in the HAADF image of the phantom."""
    paper = value(row.keys[0]) / value(row.keys[1])
    data = phantom_data(PhantomSettings.paper(seeds=[0]))
    pictures = data.density * np.array(data.settings.z)[:, None, None]
    ours = pictures[0].max() / pictures[1].max()
    word = agreement(paper, ours)
    return Found(f"{paper:.2f} times", f"{ours:.2f} times", RULE, of_word(word))


def phantom_counts(row: Row, results) -> Found:
    """Compare the counts of the phantom's maps with those of the first particle's."""
    # of the paper's pixels: a coarse one collects those of as many columns as it is wide
    counts = results.phantom.mean_counts / results.phantom.settings.binning
    particle = results.nonalloy.settings[0].counts
    near = 0.5 < particle / counts.mean() < 2
    text = f"{each(f'{c:.1f}' for c in counts)} counts a pixel; the particle {particle:g}"
    return Found(row.value, text, "in kind: within a factor of 2", KIND if near else DIFFERS)


def phantom_magnitude(row: Row, results) -> Found:
    """Say by which factor the HAADF sinogram is larger than those of EDS."""
    data = phantom_data(PhantomSettings.paper(seeds=[0]))
    factor = float(data.haadf.mean() / data.counts.mean())
    return Found(row.value, f"{factor:,.0f} times", "10 times", of_flags(factor > 10))


def picture_error(row: Row, results, method: str) -> Found:
    """Compare the errors of the pictures of Figure 4 with those in Table 1."""
    scores = results.phantom.scores
    paper = [value(f"table1.mse.{e}.{method}") for e in ELEMENTS]
    ours = [scores.at("mse", method, e) for e in ELEMENTS]
    words = [verdict(p, o, "mse") for p, o in zip(paper, ours, strict=True)]
    eds = [value(f"table1.mse.{e}.eds") for e in ELEMENTS]
    theirs = [scores.at("mse", "eds", e) for e in ELEMENTS]
    same = [((o < t).all()) == (p < q) for o, t, p, q in zip(ours, theirs, paper, eds)]
    return Found(
        "MSE " + each(f"{p:.4f}" for p in paper),
        "MSE " + each(spread_text(o, ".4f") for o in ours),
        f"{RULE}, or against EDS as there",
        of_words(words, in_kind=method != "eds" and all(same)),
    )


def stopped_in_time(row: Row, results) -> Found:
    """Say how far the paper's stop is from the best one."""
    scores, late = results.phantom.scores, {}
    for method in ("hebt_est", "eds"):
        last, best = (
            np.array([scores.at("mse", method, e, stop=stop).mean() for e in ELEMENTS])
            for stop in ("printed", "best")
        )
        late[method] = last / best
    hebt_late = late["hebt_est"]
    texts = [each(f"{v:.2f}" for v in one) for one in late.values()]
    return Found(
        row.value,
        f"after {results.phantom.settings.iterations} iterations the MSE of HEBT is "
        f"{texts[0]} times its least, of EDS {texts[1]} times",
        f"HEBT at most {LATE[0]:g} times; in kind: {LATE[1]:g}",
        of_flags(hebt_late.max() <= LATE[0], hebt_late.max() <= LATE[1]),
    )


def weighted_sum(row: Row, results) -> Found:
    """Reconstruct HAADF alone from data without noise, against the sum of the elements."""
    W = hebt.Projector(results.phantom.settings.angles, 64)
    total = np.tensordot(results.phantom.settings.z, simulate.phantom(64).density, axes=1)
    x = hebt.sirt(W, W.forward(total), iterations=200)
    ours = float(np.corrcoef(x.ravel(), total.ravel())[0, 1])
    return Found(
        row.value,
        f"correlation {ours:.3f}",
        f"{CORRELATED:g}",
        of_flags(ours >= CORRELATED, ours > 0.9),
    )


def not_negative(row: Row, results) -> Found:
    """Show the lowest value of all reconstructions of the phantom."""
    lowest = float(results.phantom.images.min())
    return Found(row.value, f"lowest {lowest:g}", "0", of_flags(lowest >= 0))


def backprojection(row: Row, results) -> Found:
    """Compare SIRT with weighted backprojection of the same noisy maps."""
    study = results.backprojection
    plain, best = study.gain(), study.gain(best=True)
    return Found(
        row.value,
        f"MSE of weighted backprojection over that of SIRT: "
        f"{each(spread_text(g, '.2f') for g in plain)}; both at their best "
        f"{each(spread_text(g, '.2f') for g in best)}",
        "above 1 in both, with every seed; in kind: the first",
        of_flags((plain > 1).all() and (best > 1).all(), (plain > 1).all()),
    )


def _over_hebt(results):
    quotient = results.methods.ratio("em", "hebt", "best")
    text = each(spread_text(q, ".2f") for q in quotient)
    return quotient, f"MSE of composition EM over HEBT's at its best stop: {text}"


def gaussian_model(row: Row, results) -> Found:
    """Say whether a model of Poisson counts does better than HEBT."""
    quotient, text = _over_hebt(results)
    return Found(row.value, text, "1 or more with every seed", of_flags((quotient >= 1).all()))


def poisson_model(row: Row, results) -> Found:
    """Say whether EM, which the paper has in view, does better than HEBT."""
    quotient, text = _over_hebt(results)
    return Found(row.value, text, "below 1 with every seed", of_flags((quotient < 1).all()))


def ratios_from_raw_counts(row: Row, results) -> Found:
    """Show the errors of ratios fitted to the phantom's raw counts, with their noise taken off."""
    study = results.methods
    errors = 100 * (study.ratios / study.true_ratios[:, None] - 1)
    text = each(spread_text(e, "+.1f", unit=" %") for e in errors)
    fits = np.abs(errors).max() <= 5
    return Found(row.value, f"errors {text}", "5 % with every seed", of_flags(fits))


# ---- the particles ----


def diameter(row: Row, results, which: str) -> Found:
    """Compare the diameter of a sphere of a specimen's volume with the printed one."""
    settings = getattr(results, which).settings[0]
    paper, density = value(f"{which}.diameter"), truth(settings).sum(axis=0)
    voxels = np.count_nonzero(density > density.max() / 2)
    ours = specimen(settings).voxel_size * (6 * voxels / np.pi) ** (1 / 3)
    text = f"{ours:.3g} nm, of a sphere of its volume"
    return Found(f"about {paper:g} nm", text, RULE, of_word(agreement(paper, ours)))


def _silver(results, column):
    """Relative noise in pure Ag of the middle slice of a picture of Figure 5."""
    study = results.nonalloy
    views = study.views
    at = int(np.abs(views.chosen - study.settings[0].size // 2).argmin())
    density = truth(study.settings[0])[:, views.chosen[at]]
    silver = (density[0] == 0) & (density[1] > 0.99 * density[1].max())
    silver = ndimage.binary_erosion(silver, iterations=max(1, study.settings[0].size // 60))
    values = from_steps(views.whole[COLUMNS.index(column), at])[silver]
    return float(values.std() / values.mean())


def haadf_is_cleaner(row: Row, results) -> Found:
    """Compare the noise in pure Ag of the reconstructions from HAADF and from EDS."""
    haadf, eds = _silver(results, "haadf"), _silver(results, "Ag_eds")
    text = f"noise in Ag: HAADF {percent(haadf)}, EDS {percent(eds)} of the mean"
    return Found(row.value, text, "less noise", of_flags(haadf < eds))


def segmentation(row: Row, results, element: str) -> Found:
    """Show how well the segmented HAADF reconstruction meets the true specimen."""
    dice = results.nonalloy.overlap[ELEMENTS.index(element)]
    limits = f"{DICE[0]:g} with every seed; in kind: {DICE[1]:g}"
    text = f"Dice of {element} with the truth {spread_text(dice, '.3f')}"
    return Found(row.value, text, limits, of_flags(dice.min() >= DICE[0], dice.min() >= DICE[1]))


def by_hand(row: Row, results) -> Found:
    """Say what stands in the place of a segmentation by hand."""
    dice = each(spread_text(d, ".3f") for d in results.nonalloy.overlap)
    return Found(row.value, f"by rule; Dice with the truth {dice}", "none", CANNOT)


def body_error(row: Row, results, method: str) -> Found:
    """Compare the wrong voxels of the bodies of Figure 6 with those in Table 2."""
    scores = results.nonalloy.scores["segmented"]
    paper = [value(f"table2.dp.{e}.{method}") for e in ELEMENTS]
    ours = [scores.at("dp", method, e) for e in ELEMENTS]
    words = [verdict(p, o, "dp") for p, o in zip(paper, ours, strict=True)]
    outcomes = [scores.outcome("dp", e) == "HEBT" for e in ELEMENTS]
    return Found(
        "DP " + each(f"{p:,.0f}" for p in paper),
        "DP " + each(spread_text(o, ",.0f") for o in ours),
        f"{RULE}, or HEBT against EDS as there",
        of_words(words, in_kind=all(outcomes)),
    )


def best_weight(row: Row, results, element: str) -> Found:
    """Compare the best weight of the slice with the printed one."""
    study, paper = results.sweep, value("nonalloy.best_alpha")
    best = study.best_alphas("segmented", element, study.usual_iterations)
    word = verdict(1 - paper, 1 - best)
    text = f"{spread_text(best, '.2f')} after {study.usual_iterations} iterations"
    return Found(f"α = {paper:g}", text, f"{RULE}, of 1 − α", of_word(word))


def ghost(row: Row, results, iterations: int) -> Found:
    """Show how much gold stands in pure silver after a number of iterations."""
    study = results.sweep
    few, many = study.printed[0], study.printed[-1]
    level, early, late = (
        study.crosstalk[study.at(study.usual, n)] for n in (iterations, few, many)
    )
    text = f"Au in pure Ag: {spread_text(level, '.2f', scale=100, unit=' %')} of pure Au"
    if iterations == few:
        limit, status = "above 1 %", of_flags((level > SEEN).all(), (level > late).all())
    elif iterations == many:
        limit = "below 1 %; in kind: below half of that after 50"
        status = of_flags((level < SEEN).all(), (level < early / 2).all())
    else:
        limit, status = "less than after 50 iterations", of_flags((level < early).all())
    return Found(row.value, text, limit, status)


def mask(row: Row, results, name: str) -> Found:
    """Compare the error inside the particle with a mask with that of EDS alone."""
    errors = {m: results.nonalloy.localized[m]["error"] for m in LOCALIZED}
    change = errors[name] / errors["eds"] - 1
    text = each(spread_text(100 * c, "+.1f", unit=" %") for c in change)
    holds = (change > -CLEARLY).all(axis=1)
    return Found(
        row.value,
        f"error inside against EDS alone {text}",
        f"not lower by {percent(CLEARLY)}; in kind: in one element",
        of_flags(holds.all(), holds.any()),
    )


def small_weight(row: Row, results) -> Found:
    """Compare HEBT at the smallest weight with EDS alone after as many iterations."""
    study = results.sweep
    i = study.iterations.index(study.usual_iterations)
    change = study.mse["segmented"][0, i] / study.eds_mse["segmented"][i] - 1
    text = each(spread_text(100 * c, "+.1f", unit=" %") for c in change)
    return Found(
        row.value,
        f"at α = {study.alphas[0]:g} the MSE differs from that of EDS alone by {text}",
        f"{percent(CLEARLY)} with every seed; in kind: {percent(5 * CLEARLY)}",
        of_flags((np.abs(change) <= CLEARLY).all(), (np.abs(change) <= 5 * CLEARLY).all()),
    )


def consistent_weights(row: Row, results) -> Found:
    """Show by how much the error changes over the weights that are called consistent."""
    study = results.sweep
    inside = [RANGE[0] <= a <= RANGE[1] for a in study.alphas]
    texts, status = [], DIFFERS
    for n in study.printed:
        mse = study.after("segmented", n)[inside]
        apart = mse.max(axis=0) / mse.min(axis=0) - 1
        texts.append(f"{percent(apart.max())} after {n}")
        if n == study.usual_iterations:
            status = of_flags(apart.max() <= 0.1, apart.max() <= 0.25)
    return Found(
        row.value,
        f"the MSE changes by up to {', '.join(texts)} iterations",
        f"10 % after {study.usual_iterations} iterations; in kind: 25 %",
        status,
    )


def no_boundary(row: Row, results) -> Found:
    """Show how much neighboring shells of the alloy differ."""
    steps = np.abs(np.diff(results.alloy.true_profile))
    text = f"neighboring shells differ by at most {100 * steps.max():.1f} atomic % of Au"
    return Found(row.value, text, f"{100 * SMOOTH:g} atomic %", of_flags(steps.max() < SMOOTH))


def haadf_body(row: Row, results) -> Found:
    """Show how well the body from HAADF meets the alloy particle."""
    dice = results.alloy.outline
    limits = f"{DICE[0]:g}; in kind: {DICE[1]:g}"
    text = f"Dice with the true particle {dice:.3f}"
    return Found(row.value, text, limits, of_flags(dice >= DICE[0], dice >= DICE[1]))


def quantification(row: Row, results) -> Found:
    """Compare the errors of the alloy's composition by both methods."""
    study = results.alloy
    eds, ours = 100 * study.profile_error()
    voxel_eds, voxel = 100 * study.voxel_error
    better = [(ours < eds).all(), (voxel < voxel_eds).all()]
    return Found(
        row.value,
        f"over shells HEBT {spread_text(ours, '.1f')}, EDS {spread_text(eds, '.1f')} atomic %; in "
        f"voxels {spread_text(voxel, '.1f')} and {spread_text(voxel_eds, '.1f')}",
        "smaller in both, with every seed; in kind: in one",
        of_flags(all(better), any(better)),
    )


FINDERS = {
    function.__name__: function
    for function in (
        phantom_shape,
        phantom_contrast,
        phantom_counts,
        phantom_magnitude,
        picture_error,
        stopped_in_time,
        weighted_sum,
        not_negative,
        backprojection,
        gaussian_model,
        poisson_model,
        ratios_from_raw_counts,
        diameter,
        haadf_is_cleaner,
        segmentation,
        by_hand,
        body_error,
        best_weight,
        ghost,
        mask,
        small_weight,
        consistent_weights,
        no_boundary,
        haadf_body,
        quantification,
    )
}
