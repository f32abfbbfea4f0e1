"""Figures and tables of the book: one function each, from results to a picture.

A figure function takes what `hebt.studies` or the core returns and gives a closed matplotlib
Figure, which a notebook shows once. A table function gives a `Table`, which shows itself as HTML,
as Markdown and as text. Nothing is computed here beyond what drawing needs.
"""

from hebt.figures._style import (
    CMAP,
    ELEMENT_COLOR,
    METHOD_NAME,
    METHOD_STYLE,
    WIDTH,
    letter,
    panel,
    scale_bar,
    styled,
)
from hebt.figures._tables import RULE, Table, agreement, spread_text
from hebt.figures.phantom import (
    best_stop_table,
    convergence,
    figure1,
    figure4,
    paper_consistency_table,
    readings_table,
    response_ratio_table,
    smoothing,
    stability,
    table1,
)

__all__ = [
    "CMAP",
    "ELEMENT_COLOR",
    "METHOD_NAME",
    "METHOD_STYLE",
    "RULE",
    "WIDTH",
    "Table",
    "agreement",
    "best_stop_table",
    "convergence",
    "figure1",
    "figure4",
    "letter",
    "panel",
    "paper_consistency_table",
    "readings_table",
    "response_ratio_table",
    "scale_bar",
    "smoothing",
    "spread_text",
    "stability",
    "styled",
    "table1",
]
