"""Tables of the chapter on weight and iterations, and how they write numbers."""

from ..particles.measures import REFERENCES
from ..tables import Table
from .bands import PhantomBands
from .figures import REFERENCE_NAME
from .slice import SliceSweep


def minimum_table(study: SliceSweep) -> Table:
    """Say where the error of the slice is lowest, after each number of iterations."""
    rows = []
    for n in study.printed:
        a, i = study.at(study.usual, n)
        for r in REFERENCES:
            best = [study.best_alpha(r, e, n) for e in study.elements]
            mse = study.after(r, n)
            cells = (
                [weight_text(b, study.alphas) for b in best],
                [f"{v:.4f}" for v in mse.min(axis=0)],
                [f"{v:+.0f} %" for v in 100 * (mse[a] / mse.min(axis=0) - 1)],
                [f"{v:.4f}" for v in study.eds_mse[r][i]],
            )
            rows.append((n, REFERENCE_NAME[r], *(by_element(study, c, "\n") for c in cells)))
    return Table(
        ("iterations", "reference", "best α", "MSE there")
        + (f"α = {study.usual:g} against it", "EDS only"),
        rows,
        title="Where the error of the slice is lowest",
        note="One noise seed. Between the tested weights the place is that of a parabola.",
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
            found, (low, high) = study.best_alphas(dose, k), study.flat(dose, k)
            mean = weight_text(found.mean(), study.alphas)
            cells.append(f"{mean}\n[{found.min():.2f}, {found.max():.2f}]\n{low:g} to {high:g}")
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


def by_element(study: SliceSweep, texts, separator: str = ", ") -> str:
    """Write one text for each element, behind its symbol; their spaces do not break."""
    texts = (f"{e} {text}" for e, text in zip(study.elements, texts, strict=True))
    return separator.join(text.replace("-", "−").replace(" ", "\u00a0") for text in texts)


def percents(study: SliceSweep, shares, form: str = ".0f") -> str:
    """Write one share for each element, in percent."""
    return by_element(study, [f"{100 * share:{form}} %" for share in shares])


def list_and(values) -> str:
    """Write values as "1, 2 and 3"."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
