"""Numbers and anchors for tables, and a page that lists all figures and tables of the book."""

from __future__ import annotations

import html
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.util import logging

from companion import notebook

logger = logging.getLogger(__name__)
TABLE = '<div class="hebt-table"'
CAPTION = re.compile(r"<caption>(.*?)</caption>", re.DOTALL)
FIRST = re.compile(r"^.*?\.(?= [A-Z]|$)", re.DOTALL)  # a sentence; what "Eq. 11" has ends none


def _captions(env) -> dict:
    """Return page -> name -> what a figure or a table shows, of all pages that were read."""
    if not hasattr(env, "hebt_captions"):
        env.hebt_captions = {}
    return env.hebt_captions


def forget(app, env, page):
    """Forget what was read of a page."""
    _captions(env).pop(page, None)


def merge(app, env, pages, other):
    """Take over what another process read."""
    for page in pages:
        if page in _captions(other):
            _captions(env)[page] = _captions(other)[page]


def number_tables(app, doctree):
    """Give each table of a page its number and an anchor, and note what it shows."""
    page = app.env.docname
    found = {}
    for figure in doctree.findall(nodes.figure):
        caption = next(iter(figure.findall(nodes.caption)), None)
        if figure["ids"] and caption is not None:
            found[figure["names"][0] if figure["names"] else figure["ids"][0]] = caption.astext()
    tables = [n for n in doctree.findall(nodes.raw) if TABLE in n.astext()]
    file = Path(app.env.doc2path(page))
    source = app.env.hebt_source.get(page, "") if hasattr(app.env, "hebt_source") else ""
    names = notebook.page_tables(file.stem, source)
    if len(names) != len(tables):
        logger.warning(
            "this page shows %d tables, and %d cells end in a call of a function that is named "
            "like one (table2, score_table). Give the function such a name, or one table a cell.",
            len(tables),
            len(names),
            location=page,
            type="hebt",
            subtype="table",
        )
        names = ()
    for name, node in zip(names, tables):
        number = f"Table {notebook.table_numbers().get(name, '')}".strip()
        found[name] = _number(node, name, number)
        domain = app.env.domains["std"]
        domain.anonlabels[name] = page, name
        domain.labels[name] = page, name, number
    _captions(app.env)[page] = found


def _number(node, name: str, number: str) -> str:
    """Write anchor and number into a table; return its title."""
    text = node.astext().replace(TABLE, f'{TABLE} id="{name}"', 1)
    caption = CAPTION.search(text)
    title = html.unescape(caption[1]) if caption else ""
    mark = f'<span class="hebt-number">{number}</span>'
    if caption:
        text = text.replace("<caption>", f"<caption>{mark} ", 1)
    else:
        text = re.sub(r"(<table\b[^>]*>)", rf"\1<caption>{mark}</caption>", text, count=1)
    node[:] = [nodes.Text(text)]
    node.rawsource = text
    return title


class list_of(nodes.General, nodes.Element):
    """Where all figures, or all tables, are to be listed."""


class ListOf(Directive):
    """List all ``figures`` or all ``tables`` of the book, with their numbers."""

    required_arguments = 1

    def run(self):
        """Leave a place that is filled once all pages are read."""
        kind = self.arguments[0]
        if kind not in ("figures", "tables"):
            raise self.error(f"{kind!r} is listed nowhere; expected figures or tables.")
        return [list_of(kind=kind)]


def fill_lists(app, doctree, page):
    """Fill in the lists of figures and of tables."""
    for place in list(doctree.findall(list_of)):
        figures = place["kind"] == "figures"
        numbers = notebook.figure_numbers() if figures else notebook.table_numbers()
        word = "Fig." if figures else "Table"
        pages = {name: p for p, names in _captions(app.env).items() for name in names}
        items = nodes.bullet_list()
        for name, number in numbers.items():
            if name not in pages:  # a chapter without its data
                continue
            text = " ".join(_captions(app.env)[pages[name]][name].split())
            text = re.sub(r"fig-[\w-]+", lambda m: f"Fig. {notebook.figure_numbers()[m[0]]}", text)
            text = re.sub(r"eq-[\w-]+", lambda m: f"({notebook.equation_numbers()[m[0]]})", text)
            first = FIRST.match(text)
            uri = f"{app.builder.get_relative_uri(page, pages[name])}#{name}"
            link = nodes.reference("", f"{word} {number}", internal=True, refuri=uri)
            said = first[0] if first and figures else text
            items += nodes.list_item("", nodes.paragraph("", "", link, nodes.Text(f"  {said}")))
        place.replace_self(items)


def keep_source(app, page, source):
    """Keep what is read of a page, with or without the data that it needs."""
    if not hasattr(app.env, "hebt_source"):
        app.env.hebt_source = {}
    app.env.hebt_source[page] = source[0]


def setup(app):
    """Connect all this."""
    app.add_node(list_of)
    app.add_directive("list-of", ListOf)
    app.connect("source-read", keep_source, priority=900)
    app.connect("doctree-read", number_tables)
    app.connect("doctree-resolved", fill_lists)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
