"""The paper, line by line: every part of it has its place in the book."""

import ast
import collections
import functools
import importlib.util
import inspect

import jupytext
import numpy as np
import pytest
from conftest import ROOT
from skimage.transform import iradon

import hebt
from companion import notebook, paper
from companion.crosswalk import equations, found, tables
from companion.crosswalk.backprojection import weighted_backprojection
from companion.crosswalk.rows import PARTS, Row, rows

EQUATIONS = range(1, 12)
# as the captions and the pictures have them
PANELS = {
    1: "a b c d e f",
    2: "a b",
    3: "a b c d e f g h",
    4: "a b c d e f",
    5: "columns 1 to 4 column 5",
    6: "a b c",
    7: "Au Ag",
    8: "a b c d e f g h",
    9: "a b c d e f g h",
    10: "columns 1 to 4 column 5",
    11: "a b c",
}
ROWS = [row for part in PARTS for row in rows(part)]


def test_the_paper_s_equations_have_its_numbers_in_the_first_chapter():
    numbers = notebook.equation_numbers()
    assert {n: numbers[f"eq-paper-{n}"] for n in EQUATIONS} == {n: f"1.{n}" for n in EQUATIONS}


def test_equations_are_written_out_for_notebooks_with_their_numbers():
    source = "By {eq}`eq-paper-2`:\n\n$$\np = x\n$$ (eq-paper-3)\n"
    assert notebook.write_out(source, {}) == "By (1.2):\n\n$$\np = x\n\\tag{1.3}\n$$\n"


def test_tables_and_terms_are_written_out_for_notebooks():
    source = "{ref}`table-phantom-table1` and {term}`the sinogram <sinogram>`, {term}`SIRT`"
    number = notebook.table_numbers()["table-phantom-table1"]
    assert notebook.write_out(source, {}) == f"Table {number} and the sinogram, SIRT"


def test_every_equation_figure_panel_and_table_has_a_row():
    assert [row.place for row in rows("equations")] == [f"Eq. {n}" for n in EQUATIONS]
    panels = collections.defaultdict(list)
    for row in rows("figures"):
        panels[int(row.place.removeprefix("Figure "))] += row.panels.split()
    assert {n: collections.Counter(found) for n, found in panels.items()} == {
        n: collections.Counter(letters.split()) for n, letters in PANELS.items()
    }
    cells = [key for row in rows("tables") for key in row.keys]
    printed = [key for key in paper.keys() if key.startswith("table")]  # noqa: SIM118
    assert sorted(cells) == sorted(printed)


def test_every_printed_number_has_a_row():
    assert {key for row in ROWS for key in row.keys} == set(paper.keys())


def test_what_the_book_left_out_for_long_has_a_row():
    said = "\n".join(f"{row.where} {row.says} {row.value}" for row in ROWS)
    for words in (
        "Figure 11, c",
        "weighted backprojection",
        "between 0.7 and 0.9",
        "α is too small",
        "microscope",
        "detectors",
        "300 s",
        "lines of Au",
        "lines of Ag",
        "Amira",
        "Figure 9, e, f, g, h",
    ):
        assert words in said, words


def test_no_two_rows_are_the_same():
    assert len({(row.where, row.says) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.where}: {row.says[:30]}")
def test_links_of_a_row_lead_somewhere(row):
    assert row.find[0] in tables.FINDERS
    for place in row.here:
        text, address = tables.link(place)
        page = address.partition(".html")[0]
        assert text and (ROOT / "book" / f"{page}.md").is_file()
        name = place.partition("#")[2].removeprefix("equation-")
        # as the names of figures, labels and calls stand in the page that is linked
        known = {name for name, _ in _anchors(page)}
        assert not name or name in known, f"{name} is not on {page}"
    for name in row.calls:
        thing = functools.reduce(getattr, name.split(".")[1:], hebt)
        assert callable(thing)
        _, address = tables.call_link(name)
        source = (ROOT / "book" / f"{address.partition('.html')[0]}.md").read_text("utf-8")
        module, last = name.rpartition(".")[::2]
        single = f":: {last}\n" in source
        assert single or f"automodule:: {module}\n" in source, f"{name} is not on {address}"


@functools.cache
def _anchors(page):
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    names = [(name, "table") for name in notebook.page_tables(page, text)]
    names += [(label, "equation") for label in notebook.LABEL.findall(text)]
    for cell in jupytext.reads(text, fmt="md:myst").cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        names += [(figure["name"], "figure")] if figure else []
    return names


def test_only_what_nothing_is_known_of_has_words_of_its_own():
    """A status comes from numbers; a row that cannot be compared alone says so by itself."""
    for row in ROWS:
        assert bool(row.ours) == (row.find[0] == "unknown"), row


def test_a_row_without_a_place_or_a_reason_is_refused():
    whole = {"place": "Eq. 1", "says": "a", "here": ["models"], "calls": ["hebt.sirt"]}
    whole |= {"find": ["equation", 1], "why": "b"}
    Row(**whole)
    for name in whole:
        with pytest.raises(ValueError, match=f"{name} is empty in the row"):
            Row(**whole | {name: type(whole[name])()})
    with pytest.raises(ValueError, match="keys has phantom.nothing"):
        Row(**whole, keys=["phantom.nothing"])


def test_the_status_is_the_worst_of_its_words():
    assert found.of_words(["agrees", "agrees"]) == "agrees"
    assert found.of_words(["agrees", "near"]) == "agrees in kind"
    assert found.of_words(["agrees", "in part", "near"]) == "differs"
    assert found.of_words(["2.0 times larger"], in_kind=True) == "agrees in kind"
    assert found.of_words(["agrees"], in_kind=True) == "agrees"


def test_hebt_computes_the_equations():
    checked = equations.checks()
    assert set(checked) == set(EQUATIONS) - {9}
    assert {n: v for n, v in checked.items() if not v <= equations.TOLERANCE[n]} == {}


def test_tables_are_called_for_their_functions():
    text = (
        "```{code-cell} ipython3\n:tags: [remove-input]\n\nx = a.score_table(1)\nb.score_table(\n"
        "    2\n)\n```\n\n```{code-cell} ipython3\nb.table2(x)\n```\n\n"
        "```{code-cell} ipython3\n---\nmystnb:\n  figure:\n    name: fig-p-x\n---\n"
        "b.explore_turntable(x)\n```\n\n"
        "```{code-cell} ipython3\nb.score_table(3)\n```\n"
    )
    names = ["table-p-score_table", "table-p-table2", "table-p-score_table-2"]
    assert notebook.page_tables("p", text) == names


# ---- weighted backprojection ----


@pytest.fixture(scope="module")
def blobs():
    """Two blurred blobs off the middle of a frame whose axis goes through a pixel, as there."""
    angles, size = np.arange(0, 180, 2.0), 97
    y, x = np.indices((size, size)) - (size - 1) / 2
    density = np.exp(-((x - 12) ** 2 + (y + 20) ** 2) / 50)
    density += 0.5 * np.exp(-((x + 18) ** 2 + (y - 5) ** 2) / 80)
    return hebt.Projector(angles, size), density


@pytest.mark.parametrize(("cut", "window"), [(None, "ramp"), (0.5, "hann")])
def test_weighted_backprojection_is_that_of_scikit_image(blobs, cut, window):
    W, density = blobs
    p = W.forward(density)
    theirs = iradon(p.T, theta=W.angles, filter_name=window, circle=True)
    # ours spreads each pixel of a projection over its width, theirs interpolates
    assert np.abs(weighted_backprojection(W, p, cut) - theirs).max() < 0.02


def test_weighted_backprojection_of_all_tilts_has_the_scale_of_the_specimen(blobs):
    W, density = blobs
    x = weighted_backprojection(W, W.forward(density))
    inside = density > 0.5 * density.max()
    assert x[inside].mean() == pytest.approx(density[inside].mean(), rel=0.02)


def test_weighted_backprojection_takes_axes_between_tilts_and_pixels(blobs):
    W, density = blobs
    p = W.forward(np.stack([density, 2 * density]))
    x = weighted_backprojection(W, p)
    np.testing.assert_allclose(x[1], 2 * x[0], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"p has shape .*expected \(90, \[axes...,\] 97\)"):
        weighted_backprojection(W, p[1:])
    with pytest.raises(ValueError, match="cut is 0; expected cycles a pixel"):
        weighted_backprojection(W, p, 0)


CHAPTERS = sorted((ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_cells_that_show_a_table_are_those_that_are_named_so(path):
    """By what their functions return, so that tables are numbered as they stand on the page."""
    text, shown = path.read_text(encoding="utf-8"), []
    for cell in jupytext.reads(text, fmt="md:myst").cells:
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        last = ast.parse(cell.source).body[-1]
        call = getattr(last, "value", None)
        if not (isinstance(last, ast.Expr) and isinstance(call, ast.Call)):
            continue
        room, _, name = ast.unparse(call.func).rpartition(".")
        if room.isidentifier() and importlib.util.find_spec(f"companion.{room}"):
            function = getattr(importlib.import_module(f"companion.{room}"), name)
            returned = str(inspect.signature(function).return_annotation)
            if returned.rpartition(".")[2].strip("'>") in ("Table", "Crosswalk"):
                shown.append(f"table-{path.stem}-{name}")
    counted = [name.rstrip("-23456789") for name in notebook.page_tables(path.stem, text)]
    assert counted == [name.rstrip("-23456789") for name in shown]
