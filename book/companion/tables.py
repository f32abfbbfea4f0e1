"""Tables for pages and notebooks, and the rule that puts a word to each comparison."""

import dataclasses
import html
import math
import re
import statistics
from collections.abc import Sequence

import numpy as np

from .scores import BEST_IS_LARGE

AGREES_WITHIN = 0.05
NEAR_WITHIN = 0.25
BEST_IS_ONE = (*BEST_IS_LARGE, "r_squared")
RULE = (
    "agrees: the paper's number lies within two standard deviations of ours over the noise seeds, "
    "or within 5 %; near: within 25 %; else ours is larger or smaller. Of R² and of scores whose "
    "best value is 1, the distances from 1 are compared, and ours is better or worse."
)


def agreement(paper: float, ours: float, spread: float = 0.0, *, best: float = 0.0) -> str:
    """Put a word to how well a number of ours meets the paper's, by one rule for the whole book."""
    if not all(map(math.isfinite, (paper, ours, spread))) or spread < 0:
        raise ValueError(
            f"paper is {paper}, ours is {ours}, spread is {spread}; expected finite numbers and "
            "a spread that is not negative."
        )
    if abs(paper - ours) <= 2 * spread:
        return "agrees"
    paper, ours = paper - best, ours - best
    if abs(paper - ours) <= AGREES_WITHIN * abs(paper):
        return "agrees"
    if abs(paper - ours) <= NEAR_WITHIN * abs(paper):
        return "near"
    if paper * ours < 0:
        return "opposite sign"
    if ours == 0 or paper == 0:
        return "differs"
    larger, smaller = ("worse", "better") if best else ("larger", "smaller")
    return larger if abs(ours) > abs(paper) else smaller


def verdict(paper: float, ours, name: str = "") -> str:
    """Put a word to our values over the noise seeds of a score of this name; see `agreement`."""
    ours = np.atleast_1d(ours)
    spread = float(ours.std(ddof=1)) if len(ours) > 1 else 0.0
    best = 1.0 if name in BEST_IS_ONE else 0.0
    return agreement(float(paper), float(ours.mean()), spread, best=best)


def signed(percent: float, digits: int = 1) -> str:
    """Write a percentage with its sign; one that rounds to 0 has none."""
    text = f"{percent:+.{digits}f} %".replace("-", "−")
    return text if re.search("[1-9]", text) else text[1:]


def spread_text(values, digits: str = ".3f", *, scale: float = 1.0, unit: str = "") -> str:
    """Write values over noise seeds as mean ± standard deviation.

    The mean stands alone for one seed, and where the deviation is less than half of its last
    digit. The spaces around ± do not break.
    """
    values = [float(v) * scale for v in values]
    text = format(statistics.fmean(values), digits)
    if len(values) > 1:
        spread = format(statistics.stdev(values), digits.replace("+", ""))
        text += f"\u00a0±\u00a0{spread}" if re.search("[1-9]", spread) else ""
    return text.replace("-", "−") + unit


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that shows itself in notebooks, on pages and in a terminal."""

    columns: Sequence[str]  # headings
    rows: Sequence[Sequence[str]]  # a line break in a cell stays one
    title: str = ""  # what the table holds, above it
    note: str = ""  # what a reader must know to read it, below it

    def __post_init__(self):
        columns = tuple(map(str, self.columns))
        rows = tuple(tuple(map(str, row)) for row in self.rows)
        for i, row in enumerate(rows):
            if len(row) != len(columns):
                raise ValueError(
                    f"row {i} has {len(row)} cells; expected {len(columns)}, one for each of "
                    f"{', '.join(columns)}."
                )
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", rows)

    @classmethod
    def of(cls, rows: Sequence[dict], **texts: str):
        """Return a table of rows that each say heading -> cell, all with the same headings."""
        return cls(list(rows[0]), [[row[column] for column in rows[0]] for row in rows], **texts)

    def _repr_html_(self) -> str:
        def cells(tag, row):
            scope = ' scope="col"' if tag == "th" else ""
            lines = (html.escape(c).replace("\n", "<br>") for c in row)
            return "".join(f"<{tag}{scope}>{c}</{tag}>" for c in lines)

        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        note = f'<p class="hebt-table-note">{html.escape(self.note)}</p>' if self.note else ""
        # wide tables scroll inside their own box on narrow screens, by the keyboard as well
        label = html.escape(self.title) if self.title else "Table"
        return (
            '<div class="hebt-table" style="overflow-x:auto;font-size:.9em" tabindex="0" '
            f'role="region" aria-label="{label}">'
            f'<table class="table table-sm">{caption}'
            f"<thead><tr>{cells('th', self.columns)}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>{note}"
        )

    def __str__(self) -> str:
        rows = [[c.replace("\n", "; ") for c in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

        def line(row):
            return "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()

        lines = [line(rows[0]), line(["-" * w for w in widths]), *map(line, rows[1:])]
        return "\n".join(filter(None, [self.title, *lines, self.note]))
