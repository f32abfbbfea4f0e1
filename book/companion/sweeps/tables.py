"""Tables of the chapter on weight and iterations, and how they write numbers."""

import numpy as np

from ..dose import on_pixel, per_nm2
from ..laboratory.bench import SIZE as LABORATORY
from ..paper import value
from ..particles.measures import REFERENCES
from ..spectra.settings import specimen
from ..tables import Table, signed, spread_text
from .bands import PhantomBands
from .figures import REFERENCE_NAME
from .slice import SliceSweep

PARTICLE_NAME = {"nonalloy": "embedded octahedron", "alloy": "alloy particle"}


def minimum_table(study: SliceSweep) -> Table:
    """Say where the error of the slice is lowest, after each number of iterations."""
    rows = []
    for n in study.printed:
        a, i = study.at(study.usual, n)
        for r in REFERENCES:
            mse = study.after(r, n)
            lowest = mse.min(axis=0)
            above = 100 * (mse[a] / lowest - 1).mean(axis=-1)
            for e, element in enumerate(study.elements):
                cells = (
                    best_text(study.best_alphas(r, element, n), study.alphas),
                    spread_text(lowest[e], ".4f"),
                    signed(above[e], 0),
                    spread_text(study.eds_mse[r][i, e], ".4f"),
                )
                rows.append((n, REFERENCE_NAME[r], element, *cells))
    return Table(
        ("iterations", "reference", "element", "best α", "MSE there")
        + (f"α = {study.usual:g} against it", "EDS only"),
        rows,
        title="Where the error of the slice is lowest",
        note=f"Means over {len(study.settings)} noise seeds, ± their standard deviation; in "
        "brackets the lowest and the highest seed. Between the tested weights the place is that "
        "of a parabola.",
    )


def readings_table(study: SliceSweep, others: SliceSweep) -> Table:
    """Say where the best weight lies at each reading of the maps' noise."""
    rows = _reading(study, slice(None))
    for k in range(len(others.settings)):
        rows += _reading(others, slice(k, k + 1))
    return Table(
        ("maps", "R²", "element", *(f"best α, {n} iterations" for n in study.printed))
        + (f"EDS only at its best stop, against α = {study.usual:g}",),
        rows,
        title="What the best weight depends on",
        note="By the paper's protocol; σ is the standard deviation of the maps' smoothing, in "
        f"pixels. First row: mean over {len(study.settings)} noise seeds; the others: one seed. "
        "Last column: the least MSE of EDS alone over that of HEBT after "
        f"{study.usual_iterations} iterations.",
    )


def _reading(study, seeds):
    """Write the rows of some of a study's seeds."""
    settings = study.settings[seeds][0]
    maps = f"σ = {settings.sigma:g}, {settings.counts:g} counts"
    gains = study.gain_over_best_eds("segmented")[:, seeds].mean(axis=1)
    rows = []
    for element, gain in zip(study.elements, gains, strict=True):
        best = [study.best_alphas("segmented", element, n)[seeds].mean() for n in study.printed]
        weights = (weight_text(b, study.alphas) for b in best)
        rows.append(
            (maps, f"{study.r_squared[seeds].mean():.3f}", element, *weights, f"{gain:.2f}")
        )
    return rows


def advice_table(study: PhantomBands) -> Table:
    """Say which weight suits which number of iterations at which dose."""
    steps = [n for n in study.iterations if n >= 50] or list(study.iterations)[-3:]
    rows = []
    for dose, counts in zip(study.doses, study.counts_on_paper_pixel, strict=True):
        for k in steps:
            low, high = study.flat(dose, k)
            best = study.best_alphas(dose, k)
            share = f"{(1 - best.mean()) * k:.0f}" if study.is_inner(best) else "–"
            cells = best_text(best, study.alphas), share, f"{low:g} to {high:g}"
            rows.append((f"{counts:.3g}", k, *cells))
    seeds = ", ".join(f"{len(s.seeds)} at dose {s.dose:g}" for s in study.settings)
    return Table(
        ("counts", "iterations T", "best α", "(1 − α) T", "α within 10 % of the lowest MSE"),
        rows,
        title="The phantom: which weight, after how many iterations",
        note="Best α: lowest MSE (mean of Au and Ag), mean over the noise seeds; in brackets the "
        f"lowest and the highest seed. Noise seeds: {seeds}. Counts are those of an element's map "
        "on a pixel of the paper's frame, before smoothing.",
    )


def best_point_table(study: PhantomBands) -> Table:
    """Say which of all tested weights and iterations is best at each dose, beside EDS alone."""
    rows = []
    for dose, counts in zip(study.doses, study.counts_on_paper_pixel, strict=True):
        alpha, n, mse = study.best(dose)
        stop, eds = study.best_eds(dose)
        rows.append((f"{counts:.3g}", f"{alpha:g}", n, f"{mse:.4f}", stop, f"{eds / mse:.2f}"))
    return Table(
        ("counts", "best α", "iterations", "MSE", "EDS only stops at", "its MSE over HEBT's"),
        rows,
        title="The best of all tested points, and EDS alone at its best stop",
        note="Mean of Au and Ag and of the noise seeds; counts as above.",
    )


def dose_table(phantom: PhantomBands, *particles) -> Table:
    """Return the dose of the book's simulations in one unit, and on the pixels that they have.

    `particles` are settings of the simulated particles.
    """
    rows = []
    settings = phantom.settings[phantom.doses.index(1.0)]
    here = float(phantom.counts[phantom.doses.index(1.0)])
    paper = value("phantom.size")
    for size in sorted({paper, settings.size, LABORATORY}, reverse=True):
        own, counts = (
            on_pixel(here, side=settings.binning, other=side, sides=1) for side in (1, paper / size)
        )
        rows.append((f"phantom, {size:g} pixels along a side", f"{own:.3g}", f"{counts:.3g}", "–"))
    for one in particles:
        side = specimen(one).voxel_size
        counts = on_pixel(one.counts, side=1, other=one.binning)
        density = per_nm2(counts, side=side)
        name = f"{PARTICLE_NAME[one.particle]}, pixels of {side:.2g} nm"
        rows.append((name, f"{one.counts:.3g}", f"{counts:.3g}", f"{density:.3g}"))
    return Table(
        ("specimen", "counts on a pixel of the paper's frame", "on a pixel here", "per nm²"),
        rows,
        title="One dose, on pixels of different sizes",
        note="Counts of an element's map on a pixel of the particle, mean of both elements, before "
        "smoothing. A pixel twice as wide gets four times the counts of the same dose; the phantom "
        "is one slice, so that twice. companion.dose converts.",
    )


def weight_text(value: float, alphas) -> str:
    """Write a weight; at an end of the tested ones there is no minimum between them."""
    if value <= alphas[0]:
        return f"≤ {alphas[0]:g}"
    return f"≥ {alphas[-1]:g}" if value >= alphas[-1] else f"{value:.2f}"


def best_text(found, alphas, separator: str = " ") -> str:
    """Write the best weight over noise seeds: the mean, and the lowest and highest seed."""
    text = weight_text(found.mean(), alphas)
    if len(found) > 1:
        text += f"{separator}[{found.min():.2f}, {found.max():.2f}]"
    return text


def by_element(study: SliceSweep, texts, separator: str = ", ") -> str:
    """Write one text for each element, behind its symbol; their spaces do not break."""
    texts = (f"{e} {text}" for e, text in zip(study.elements, texts, strict=True))
    return separator.join(text.replace("-", "−").replace(" ", "\u00a0") for text in texts)


def percents(study: SliceSweep, shares, form: str = ".0f") -> str:
    """Write one share for each element, in percent."""
    return by_element(study, [f"{100 * share:{form}} %" for share in shares])


def range_text(counts) -> str:
    """Write counts as "15 to 30", or as one if they are all the same."""
    return " to ".join(map(str, sorted({int(np.min(counts)), int(np.max(counts))})))


def list_and(values) -> str:
    """Write values as "1, 2 and 3"."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
