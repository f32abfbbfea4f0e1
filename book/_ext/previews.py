"""What links inside the book lead to, written beside the pages for their previews."""

from __future__ import annotations

import html
import json
import posixpath
from pathlib import Path

from bs4 import BeautifulSoup
from docutils import nodes
from lists import TABLE
from sphinx import addnodes

FILE = "previews_data.js"
SCRIPT = "previews.js"
ROWS = 6  # so many rows of a table are enough to know it by


def _found(app) -> dict:
    if not hasattr(app, "hebt_previews"):
        app.hebt_previews = {}
    return app.hebt_previews


def _note(app, page, ids, text):
    for name in ids:
        _found(app)[f"{app.builder.get_target_uri(page)}#{name}"] = text


def collect(app, doctree, page):
    """Note the citations, terms, equations, figures and tables of a page."""
    if app.builder.format != "html":
        return
    for node in doctree.findall(nodes.citation):
        text = " ".join(p.astext() for p in node.children if not isinstance(p, nodes.label))
        _note(app, page, node["ids"], f"<p>{html.escape(text)}</p>")
    for node in doctree.findall(nodes.definition_list_item):
        if isinstance(node.parent.parent, addnodes.glossary):
            terms = [t for t in node.children if isinstance(t, nodes.term)]
            said = html.escape(node.children[-1].astext())
            for term in terms:
                name = html.escape(term.children[0].astext())
                _note(app, page, term["ids"], f"<p><b>{name}</b> {said}</p>")
    for node in doctree.findall(nodes.math_block):
        if node.get("label"):
            name = nodes.make_id(f"equation-{node['label']}")
            text = f'<div class="math">\\[{html.escape(node.astext())}\\]</div>'
            _note(app, page, [name], text)
    for node in doctree.findall(nodes.figure):
        image, caption = (
            next(iter(node.findall(kind)), None) for kind in (nodes.image, nodes.caption)
        )
        if image is not None and caption is not None and node["ids"]:
            name = app.builder.images.get(image["uri"], posixpath.basename(image["uri"]))
            source = html.escape(f"_images/{name}", quote=True)
            alt = html.escape(image.get("alt", ""), quote=True)
            said = html.escape(caption.astext())
            picture = f'<img data-src="{source}" alt="{alt}">'
            _note(app, page, node["ids"], f"{picture}<p>{said}</p>")
    for node in doctree.findall(nodes.raw):
        if TABLE in node.astext():
            name, text = first_rows(node.astext())
            _note(app, page, [name] if name else [], text)


def first_rows(text: str) -> tuple[str, str]:
    """Return the name of a table, and the table with its first rows alone, without links."""
    box = BeautifulSoup(text, "html.parser").find(class_="hebt-table")
    table = box.table
    rows = table.tbody.find_all("tr", recursive=False)
    for row in rows[ROWS:]:
        row.decompose()
    for link in table.find_all("a"):
        link.unwrap()
    for node in table.find_all(id=True):
        del node["id"]
    more = len(rows) - ROWS
    rest = f"<p>{more} more row{'s' if more > 1 else ''}</p>" if more > 0 else ""
    return box.get("id", ""), f"{table}{rest}"


def write(app, exception):
    """Write all previews beside the pages, as a script, which a page from a file may load too."""
    if exception or app.builder.format != "html":
        return
    text = json.dumps(_found(app), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    target = Path(app.outdir) / "_static" / FILE
    target.write_text(f"window.hebtPreviews = {text};\n", encoding="utf-8")


def configure(app, config):
    """Load the script that shows previews on every page."""
    config.html_js_files = [*config.html_js_files, SCRIPT]


def setup(app):
    """Connect all this."""
    app.connect("config-inited", configure)
    app.connect("doctree-resolved", collect)
    app.connect("build-finished", write)
