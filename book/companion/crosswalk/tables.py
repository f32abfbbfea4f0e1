"""The tables of the page: the paper beside the book, with links, and a status in each row."""

from __future__ import annotations

import collections
import dataclasses
import functools
import html

from .. import notebook
from ..tables import Table, spread_text
from . import claims, pictures, recordings
from .backprojection import Backprojection
from .found import AGREES, MEANING, STATUS, Found
from .results import Results
from .rows import PARTS, Row, rows

TITLES = {
    "equations": "Equations 1 to 11",
    "tables": "Tables 1 and 2, cell by cell",
    "figures": "Figures 1 to 11, panel by panel",
    "claims": "Numbers and sentences, section by section",
}
COLUMNS = ("in the paper, and here", "the paper's", "ours", "status")
FINDERS = claims.FINDERS | pictures.FINDERS | recordings.FINDERS
# in which page of the reference a module of hebt stands
API = {"io": "prepare", "prepare": "prepare", "simulate": "simulate", "explorers": "explorers"}
API |= {"metrics": "judge", "segmentation": "judge", "validation": "judge"}


@functools.cache
def _known() -> dict[str, str]:
    """Return anchor -> text of its link, of figures, tables and equations."""
    equations = notebook.equation_numbers().items()
    return (
        {name: f"Fig. {number}" for name, number in notebook.figure_numbers().items()}
        | {name: f"Table {number}" for name, number in notebook.table_numbers().items()}
        | {f"equation-{name}": f"Eq. ({number})" for name, number in equations}
    )


def link(place: str) -> tuple[str, str]:
    """Return text and address of a place in the book, "page" or "page#anchor"."""
    page, _, anchor = place.partition("#")
    end = ".html" if notebook.live() is None else ".md"
    text = _known()[anchor] if anchor else notebook.title(page)
    return text, f"{page}{end}{'#' + anchor if anchor else ''}"


def call_link(name: str) -> tuple[str, str]:
    """Return text and address of a function of hebt in the reference."""
    module = name.split(".")[1]
    page = f"api_{API[module]}" if module in API else "api"
    end = ".html" if notebook.live() is None else ".md"
    return name.removeprefix("hebt."), f"{page}{end}#{name}"


def find(row: Row, results: Results) -> Found:
    """Return what the studies say of a row."""
    name, *arguments = row.find
    return FINDERS[name](row, results, *arguments)


@functools.lru_cache(maxsize=8)
def _found(part: str, results: Results) -> tuple[Found, ...]:
    return tuple(find(row, results) for row in rows(part))


@dataclasses.dataclass(frozen=True)
class Crosswalk:
    """A part of the paper beside the book: a table that becomes a list on narrow screens."""

    rows: tuple[tuple[Row, Found], ...]
    title: str
    columns = COLUMNS
    note = (
        "Ours: mean ± standard deviation over the noise seeds of the chapter that is linked. Below "
        "it stands what counts as agreement; s.d. are standard deviations of ours."
    )

    def cells(self) -> list[tuple[str, ...]]:
        """Return all texts: place, words, links, the paper's, ours, tolerance, status, reason."""
        return [
            (
                row.where,
                row.says,
                ", ".join(text for text, _ in _links(row)),
                *found,
                "" if found.status == AGREES else row.why,
            )
            for row, found in self.rows
        ]

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in self.columns)
        body = "".join(_html_row(row, found) for row, found in self.rows)
        return (
            '<div class="hebt-table" style="font-size:.9em">'
            f'<table class="table table-sm hebt-rows"><caption>{html.escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
            f'<p class="hebt-table-note">{html.escape(self.note)}</p>'
        )

    def __str__(self) -> str:
        names = ("place", "says", "here", "paper", "ours", "within", "status", "why")
        return str(Table(names, self.cells(), title=self.title, note=self.note))


def _links(row: Row) -> list[tuple[str, str]]:
    return [*map(link, row.here), *map(call_link, row.calls)]


def _html_row(row: Row, found: Found) -> str:
    """Write a row: what the paper says and where it is here, both values, and the status."""
    texts = {name: html.escape(text) for name, text in found._asdict().items()}
    links = " · ".join(
        f'<a href="{html.escape(address)}">{html.escape(text)}</a>' for text, address in _links(row)
    )
    why = "" if found.status == AGREES else f"<small>{html.escape(row.why)}</small>"
    mark = found.status.replace(" ", "-")
    return (
        f'<tr><th scope="row"><b>{html.escape(row.where)}</b><span>{html.escape(row.says)}</span>'
        f"<small>{links}</small></th>"
        f'<td data-name="{COLUMNS[1]}">{texts["paper"]}</td>'
        f'<td data-name="{COLUMNS[2]}">{texts["ours"]}<small>{texts["tolerance"]}</small></td>'
        f'<td data-name="{COLUMNS[3]}"><span class="hebt-status hebt-{mark}">{texts["status"]}'
        f"</span>{why}</td></tr>"
    )


def crosswalk_table(results: Results, part: str) -> Crosswalk:
    """Return one part of the paper, row by row: "equations", "tables", "figures" or "claims"."""
    pairs = zip(rows(part), _found(part, results), strict=True)
    return Crosswalk(tuple(pairs), TITLES[part])


def counts(results: Results) -> dict[str, collections.Counter]:
    """Return how often each status stands in each part."""
    return {p: collections.Counter(f.status for f in _found(p, results)) for p in PARTS}


def status_table(results: Results) -> Table:
    """Return how often each status stands in each part, and what it means."""
    found = counts(results)
    rows_of = [
        (status, MEANING[status], *(found[part][status] for part in PARTS)) for status in STATUS
    ]
    return Table(
        ("status", "which means", *PARTS), rows_of, title="How often the book and the paper agree"
    )


def backprojection_table(study: Backprojection) -> Table:
    """Return the errors of weighted backprojection with several windows, and those of SIRT."""
    cells = []
    for k, cut in enumerate(study.cuts):
        name = "ramp alone" if cut is None else f"ramp, Hann window to {cut:g} cycles a pixel"
        errors = (spread_text(v, ".4f") for v in study.mse[k])
        cells.append((f"weighted backprojection, {name}", *errors))
    n = study.settings.iterations
    cells.append((f"SIRT, {n} iterations", *(spread_text(v, ".4f") for v in study.sirt)))
    stops = " and ".join(map(str, study.stops))
    cells.append((f"SIRT, best stop ({stops})", *(spread_text(v, ".4f") for v in study.best_sirt)))
    return Table(
        ("MSE, mean over pixels", *study.elements),
        cells,
        title="SIRT against weighted backprojection, on the phantom's element maps",
        note=f"EDS alone; mean ± standard deviation over {len(study.settings.seeds)} noise seeds. "
        "Negative values of weighted backprojection are set to 0, as in SIRT. Windows are in "
        "cycles a pixel of the paper's frame.",
    )


def numbers(results: Results) -> dict[str, str]:
    """Return the numbers that the page's sentences quote."""
    found = counts(results)
    total = sum(found.values(), collections.Counter())
    names = {status: f"crosswalk_{status.split()[-1]}" for status in STATUS}
    return {
        "crosswalk_rows": f"{total.total()}",
        **{names[status]: f"{total[status]}" for status in STATUS},
    }
