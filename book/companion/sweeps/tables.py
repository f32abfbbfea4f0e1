"""Tables of the chapter on weight and iterations, and how they write numbers."""

import numpy as np

from ..particles.measures import REFERENCES
from ..tables import Table, signed, spread_text
from .bands import PhantomBands
from .figures import REFERENCE_NAME
from .slice import SliceSweep


def minimum_table(study: SliceSweep) -> Table:
    """Say where the error of the slice is lowest, after each number of iterations."""
    rows = []
    for n in study.printed:
        a, i = study.at(study.usual, n)
        for r in REFERENCES:
            best = [study.best_alphas(r, e, n) for e in study.elements]
            mse = study.after(r, n)
            lowest = mse.min(axis=0)
            cells = (
                [best_text(b, study.alphas) for b in best],
                [spread_text(v, ".4f") for v in lowest],
                [signed(v, 0) for v in 100 * (mse[a] / lowest - 1).mean(axis=-1)],
                [spread_text(v, ".4f") for v in study.eds_mse[r][i]],
            )
            rows.append((n, REFERENCE_NAME[r], *(by_element(study, c, "\n") for c in cells)))
    return Table(
        ("iterations", "reference", "best α", "MSE there")
        + (f"α = {study.usual:g} against it", "EDS only"),
        rows,
        title="Where the error of the slice is lowest",
        note=f"Means over {len(study.settings)} noise seeds, ± their standard deviation; in "
        "brackets the lowest and the highest seed. Between the tested weights the place is that "
        "of a parabola.",
    )


def readings_table(study: SliceSweep, others: SliceSweep) -> Table:
    """Say where the best weight lies at each reading of the maps' noise."""
    rows = [_reading(study, slice(None))]
    rows += [_reading(others, slice(k, k + 1)) for k in range(len(others.settings))]
    return Table(
        ("maps", "R²", *(f"best α, {n} iterations" for n in study.printed))
        + (f"EDS only at its best stop, against α = {study.usual:g}",),
        rows,
        title="What the best weight depends on",
        note="By the paper's protocol; σ is the standard deviation of the maps' smoothing, in "
        f"pixels. First row: mean over {len(study.settings)} noise seeds; the others: one seed. "
        "Last column: the least MSE of EDS alone over that of HEBT after "
        f"{study.usual_iterations} iterations.",
    )


def _reading(study, seeds):
    """Write a row of some of a study's seeds."""
    settings = study.settings[seeds][0]
    cells = []
    for n in study.printed:
        best = [study.best_alphas("segmented", e, n)[seeds].mean() for e in study.elements]
        cells.append([weight_text(b, study.alphas) for b in best])
    cells.append([f"{g:.2f}" for g in study.gain_over_best_eds("segmented")[:, seeds].mean(axis=1)])
    return (
        f"σ = {settings.sigma:g}, {settings.counts:g} counts",
        f"{study.r_squared[seeds].mean():.3f}",
        *(by_element(study, cell, "\n") for cell in cells),
    )


def advice_table(study: PhantomBands) -> Table:
    """Say which weight suits which number of iterations at which count level."""
    steps = [n for n in study.iterations if n >= 50] or list(study.iterations)[-3:]
    rows = []
    for dose, counts in zip(study.doses, study.counts, strict=True):
        alpha, n, mse = study.best(dose)
        stop, eds = study.best_eds(dose)
        cells = []
        for k in steps:
            low, high = study.flat(dose, k)
            found = best_text(study.best_alphas(dose, k), study.alphas, "\n")
            cells.append(f"{found}\n{low:g} to {high:g}")
        gain = f"{eds / mse:.2f}\n(EDS stops at {stop})"
        rows.append((f"{counts:.3g}", *cells, f"{alpha:g}, {n}", f"{mse:.4f}", gain))
    seeds = ", ".join(f"{len(s.seeds)} at dose {s.dose:g}" for s in study.settings)
    return Table(
        ("counts a pixel", *(f"α, {n} iterations" for n in steps))
        + ("best of all: α, iterations", "its MSE", "EDS only at its best, against it"),
        rows,
        title="The phantom: which weight, after how many iterations",
        note="First line: the weight with the lowest MSE (mean of Au and Ag), mean over the noise "
        "seeds; second line: lowest and highest seed; third line: tested weights whose mean MSE is "
        f"within 10 % of the lowest. Noise seeds: {seeds}. The frame has "
        f"{study.settings[0].size} pixels along a side; counts are those of an element map before "
        "smoothing, and a coarse pixel collects those of all the pixels it stands for.",
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
