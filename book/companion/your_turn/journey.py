"""The public files that stand for the reader's own, and which elements they can tell apart."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import hebt
from hebt.io import TiltSeries

from .. import datasets
from ..fidelity import fidelity

# lists of lines whose ratios are fitted: what is tried, in the words of the table -> lines
LISTS = {
    "all six": ("C_Ka", "O_Ka", "Mg_Ka", "Si_Ka", "Fe_Ka", "Pt_La"),
    "without O and Mg": ("C_Ka", "Si_Ka", "Fe_Ka", "Pt_La"),
    "the coating forgotten": ("Si_Ka", "Fe_Ka"),
}


def files() -> list[Path]:
    """Return one file per tilt; at quick fidelity every third."""
    return datasets.locate("dust", "*.bcf")[:: 3 if fidelity() == "quick" else 1]


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """Response ratios of one list of lines, and what speaks against them."""

    name: str
    fit: hebt.ResponseRatios
    doubts: tuple[str, ...]


def fitted_lists(series: TiltSeries) -> list[Fitted]:
    """Fit the response ratios of each list of lines."""
    found = []
    for name, lines in LISTS.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = series.pick(*lines).ratios()
        found.append(Fitted(name, fit, tuple(str(w.message) for w in caught)))
    return found
