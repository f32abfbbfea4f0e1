"""Tables of the chapter."""

from __future__ import annotations

import numpy as np

import hebt

from ..dust.tables import judged_table
from ..tables import Table, signed
from .study import ratio_fits

__all__ = ["choice_table", "judged_table", "ratio_table"]
RIGHT = "worked out by hand"


def ratio_table(series) -> Table:
    """Show the response ratios by several fits, and how far they are from the right ones."""
    fits = ratio_fits(series)
    right, _ = fits[RIGHT]
    rows = []
    for name, (ratios, errors) in fits.items():
        cells = [f"{r:,.0f}" for r in ratios]
        if errors is not None:
            cells = [f"{c} ± {e:,.0f}" for c, e in zip(cells, errors)]
            away = np.round(100 * (ratios / right - 1), 1) + 0.0  # no minus before 0
            cells = [f"{c}\n({signed(a)})" for c, a in zip(cells, away, strict=True)]
        rows.append((name, *(c.replace(" ", "\u00a0") for c in cells)))
    return Table(
        ("fit", *series.elements),
        rows,
        title="Response ratios from the counts as recorded, all pixels and tilts",
        note="HAADF intensity per count ± standard error; in brackets the difference to the last "
        "row, the normal equations less the counts on their diagonal, worked out without hebt.",
    )


def choice_table(choice: hebt.Choice) -> Table:
    """Show what held-out counts say of each kernel with each sum."""
    rows = []
    each = zip(choice.candidates, choice.differences, choice.standard_errors, strict=True)
    for place, (one, difference, error) in enumerate(each):
        last = "chosen" if place == choice.chosen else f"{difference:+.0f} ± {error:.0f}"
        rows.append((one.total, f"{one.kernel[1]:g}", last.replace("-", "−")))
    return Table(
        ("sum", "kernel (voxels)", "held-out deviance, less the chosen one's"),
        rows,
        title="hebt.choose: kernels and sums of composition EM",
        note=f"Poisson deviance of {len(choice.deviance)} parts of the counts, each predicted from "
        "the others, ± standard error. A free sum is chosen only where it is better by more than "
        "two of them.",
    )
