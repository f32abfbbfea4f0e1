"""What sections 4.2 and 4.3 of the paper say, beside what is found, with a verdict on each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..paper import value
from ..tables import Table, spread_text, verdict
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .measures import ELEMENTS, METHODS, PAIRS, TABLE_2
from .nonalloy import MASKS, NonAlloyStudy
from .tables import nanometers, percent, printed_winner

PREDICTED = "predicted"
CHOSEN = "fitted: kernel and counts were chosen for it"
# readings of the scores that were chosen with the phantom's Table 1 in view
READ = {
    "ssim": "predicted, but for the window: all voxels at once",
    "mse": "predicted, but for taking the mean over voxels",
}
CLEARLY = 0.95  # times an error is clearly smaller
WEAK = 0.1  # of pure gold: a shadow below this is weak
GONE = 0.01  # of gold's intensity in pure silver: below this a threshold has removed the shadow
COMPOSITION = 0.03  # atomic fraction over shells


class Verdict(NamedTuple):
    """A sentence of the paper or a question of ours; what is found; a word to it."""

    said: str
    basis: str
    found: str
    word: str


def word(flags, *, yes: str = "agrees", no: str = "does not") -> str:
    """Put a word to a claim that is looked at in several cases: all, some, or none."""
    flags = np.asarray(flags)
    return yes if flags.all() else "in part" if flags.any() else no


def pairs_of(values, text) -> str:
    """Write (methods, seeds) as "EDS only ..., HEBT ..."."""
    return f"EDS only {text(values[0])}, HEBT {text(values[1])}"


def nonalloy_verdicts(study: NonAlloyStudy) -> tuple[Verdict, ...]:
    """Return section 4.2's sentences on Figures 5, 6 and 9 and Table 2, one by one."""
    return (
        _fit(study),
        _table_2(study),
        *(_values(study, name) for name in TABLE_2),
        _crossed(study),
        _smoother(study),
        _boundaries(study),
        _background(study),
        _shadow(study),
        _masks(study),
        _better_localized(study),
    )


def _fit(study: ParticleStudy):
    printed = value(f"{study.settings[0].particle}.r_squared")
    ours = verdict(printed, study.r_squared, "r_squared")
    return Verdict(f"R² = {printed:.2f}", CHOSEN, spread_text(study.r_squared, ".3f"), ours)


def _won(study, **options):
    scores = study.scores["segmented"]
    found = [scores.outcome(*pair, **options) for pair in PAIRS]
    return found, f"{found.count('HEBT')} of {len(PAIRS)} pairs with every seed"


def _table_2(study):
    found, text = _won(study)
    ours = [who == printed_winner(*pair) for who, pair in zip(found, PAIRS, strict=True)]
    return Verdict("HEBT is better in each score of Table 2", PREDICTED, text, word(ours))


def _values(study, name):
    scores = study.scores["segmented"]
    words = [
        verdict(value(f"table2.{name}.{e}.{m}"), scores.at(name, m, e), name)
        for e in ELEMENTS
        for m in METHODS
    ]
    near = [w in ("agrees", "near") for w in words]
    said = f"the values of {name.upper()} in Table 2"
    found = f"{sum(near)} of {len(near)} agree or are near"
    return Verdict(said, READ.get(name, PREDICTED), found, word(near))


def _crossed(study):
    found, text = _won(study, eds_stop="best")
    said = (
        f"not in the paper: HEBT after {study.iterations} iterations is better than EDS alone at "
        "its best stop"
    )
    lost = [f"{n.upper()} of {e}" for (n, e), who in zip(PAIRS, found) if who == "EDS"]
    if lost:
        text += f"; EDS alone in {', '.join(lost)}"
    flags = [who == "HEBT" for who in found]
    return Verdict(said, PREDICTED, text, word(flags, yes="yes", no="no"))


def _each(values, text):
    """Write (methods, elements, seeds), and say where HEBT's is smaller with every seed."""
    values = np.asarray(values)
    found = "; ".join(f"{e}: {pairs_of(values[:, i], text)}" for i, e in enumerate(ELEMENTS))
    return found, (values[1] < values[0]).all(axis=-1)


def _smoother(study):
    found, smaller = _each(study.noise, lambda v: percent(v, ".1f"))
    return Verdict(
        "HEBT's distributions are smoother, with less noise",
        PREDICTED,
        f"standard deviation in the pure element, of its mean: {found}",
        word(smaller),
    )


def _boundaries(study):
    widths = np.array([study.widths(m, "Ag", "edge") for m in METHODS])
    return Verdict(
        "exterior boundaries of Ag are sharper",
        PREDICTED,
        f"10 to 90 % width: {pairs_of(widths, nanometers)}",
        word([(widths[1] < widths[0]).all()]),
    )


def _background(study):
    outside = [study.localized[m]["outside"] for m in METHODS]
    found, smaller = _each(outside, lambda v: percent(v, ".1f"))
    return Verdict(
        "noise is concentrated within the particle and does not spread across the background",
        PREDICTED,
        f"intensity outside the particle: {found}",
        word(smaller),
    )


def _shadow(study):
    names = ("level", "background", "cleared_share")
    level, background, cleared = (study.crosstalk.at(n, "hebt", "Au") for n in names)
    flags = (level > background).all(), (level < WEAK).all(), (cleared < GONE).all()
    return Verdict(
        "gold has a shadow of the whole particle; it is weak and can be removed by thresholding",
        PREDICTED,
        f"of the mean in pure Au, {percent(level)} in pure Ag and {percent(background)} outside; "
        f"with a threshold, {percent(cleared)} of gold's intensity is left in pure Ag",
        word(flags),
    )


def _errors(study, name):
    return study.localized[name]["error"]


def _masks(study):
    better = [_errors(study, m) < CLEARLY * _errors(study, "eds") for m in MASKS]
    found = "; ".join(
        f"{e}: EDS only {percent(_errors(study, 'eds')[i], '.1f')}, volume mask "
        f"{percent(_errors(study, MASKS[0])[i], '.1f')}, masked maps "
        f"{percent(_errors(study, MASKS[1])[i], '.1f')}"
        for i, e in enumerate(ELEMENTS)
    )
    return Verdict(
        "masks do not localize the elements any better",
        PREDICTED,
        f"error inside the particle, {found} (better: by 5 %)",
        word(~np.array(better)),
    )


def _better_localized(study):
    others = np.min([_errors(study, m) for m in ("eds", *MASKS)], axis=0)
    smaller = (_errors(study, "hebt") < CLEARLY * others).all(axis=-1)
    error = "; ".join(
        f"{e}: {percent(_errors(study, 'hebt')[i], '.1f')}" for i, e in enumerate(ELEMENTS)
    )
    # an error holds grain, too; where an element ends is seen in its edge alone
    width, narrower = _each([study.localized[m]["width"] for m in METHODS], nanometers)
    return Verdict(
        "HEBT localizes them better than EDS alone and with either mask",
        PREDICTED,
        f"error inside the particle by HEBT, {error}; width of the interface, {width}",
        word([*smaller, *narrower]),
    )


def alloy_verdicts(study: AlloyStudy, octahedron) -> tuple[Verdict, ...]:
    """Return section 4.3's sentences, one by one; `octahedron` is a series of the other particle.

    That is a `companion.spectra.processing.ProcessedSeries`.
    """
    return (
        _fit(study),
        _quotient(study, octahedron),
        _less_noise(study),
        _contrast(study),
        _exterior(study),
        _alloy_crossed(study),
        *(_composition(study, m) for m in METHODS),
    )


def quotient_change(study: AlloyStudy, octahedron) -> dict[str, np.ndarray]:
    """Return by which factor r of Ag / r of Au changes from the octahedron to the alloy, (seeds,).

    "plain" with the paper's fit, "fit" with the one that takes noise and smoothing into account.
    """
    ours = {"plain": study.plain_ratios, "fit": study.ratios}
    changes = {}
    for name, ratios in ours.items():
        other = getattr(octahedron, name).ratios
        changes[name] = ratios[:, 1] / ratios[:, 0] / (other[1] / other[0])
    return changes


def printed_change() -> float:
    """Return by which factor the paper's r of Ag / r of Au changes between its particles."""
    first, second = (value(f"{p}.r_est.Ag") / value(f"{p}.r_est.Au") for p in ("nonalloy", "alloy"))
    return second / first


def _quotient(study, octahedron):
    changes, printed = quotient_change(study, octahedron), printed_change()
    ours = verdict(1 - printed, 1 - changes["plain"])
    return Verdict(
        f"r of Ag / r of Au is {printed:.2f} times that of the first particle",
        PREDICTED,
        f"by the paper's fit {spread_text(changes['plain'], '.2f')} times; with noise and "
        f"smoothing taken into account {spread_text(changes['fit'], '.2f')} times",
        ours if ours in ("agrees", "near") else f"change from 1: {ours}",
    )


def _less_noise(study):
    found, smaller = _each(study.inside_error, lambda v: percent(v, ".1f"))
    said = "HEBT has less noise"
    return Verdict(said, PREDICTED, f"error inside the particle: {found}", word(smaller))


def _contrast(study):
    found, smaller = _each(study.outside, lambda v: percent(v, ".1f"))
    return Verdict(
        "HEBT has a stronger contrast to the background",
        PREDICTED,
        f"intensity outside the particle: {found}",
        word(smaller),
    )


def _exterior(study):
    rise = study.profile[:, :, -1] - study.profile[:, :, 0]
    points = pairs_of(rise, lambda v: spread_text(v, "+.0f", scale=100))
    true = 100 * (study.true_profile[-1] - study.true_profile[0])
    return Verdict(
        "Au is more concentrated in the exterior",
        PREDICTED,
        f"from the innermost shell to the outermost, in atomic %: {points}; true {true:+.0f}",
        word(rise[1] > 0),
    )


def _alloy_crossed(study):
    scores = study.scores["true"]
    gains = [scores.gain("mse", e, eds_stop="best") for e in ELEMENTS]
    each = (f"{e} {spread_text(g, '.2f')}" for e, g in zip(ELEMENTS, gains, strict=True))
    return Verdict(
        f"not in the paper: HEBT after {study.iterations} iterations is better than EDS alone at "
        "its best stop",
        PREDICTED,
        f"MSE of EDS alone over that of HEBT, against the truth: {', '.join(each)}",
        word([(gain > 1).all() for gain in gains], yes="yes", no="no"),
    )


def _composition(study, method):
    m = METHODS.index(method)
    error, mean = study.profile_error()[m], study.profile[m].mean(axis=0)
    largest = np.abs(mean - study.true_profile).max()
    name = "HEBT" if method == "hebt" else "EDS alone"
    return Verdict(
        f"not in the paper: {name} finds the composition over shells within "
        f"{100 * COMPOSITION:.0f} atomic %, root mean square",
        PREDICTED,
        f"{spread_text(error, '.1f', scale=100)} atomic %; in a single shell, the mean over the "
        f"seeds is off by up to {100 * largest:.1f}",
        word(error < COMPOSITION, yes="yes", no="no"),
    )


def _table(study, verdicts, section):
    n = len(study.settings)
    return Table(
        (f"what the paper says (section {section})", "fitted or predicted?", "here", "verdict"),
        verdicts,
        title=f"Section {section}, sentence by sentence",
        note=f"Mean ± standard deviation over {n} noise seeds. “Agrees” and “yes” mean in all "
        "cases named and with every seed, “in part” in some. Fitted: something was chosen for this "
        "number, so that it is no evidence. Predicted: nothing was, though the specimen is ours.",
    )


def nonalloy_claims_table(study: NonAlloyStudy) -> Table:
    """Return what section 4.2 says, beside what is found here."""
    return _table(study, nonalloy_verdicts(study), "4.2")


def alloy_claims_table(study: AlloyStudy, octahedron) -> Table:
    """Return what section 4.3 says, beside what is found here."""
    return _table(study, alloy_verdicts(study, octahedron), "4.3")
