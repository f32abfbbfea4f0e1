"""How each figure was made, folded below it, and the data behind it as files beside the pages."""

from __future__ import annotations

import html
import os
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from sphinx.util import logging

import hebt
from companion import notebook
from companion.origins import KEY
from companion.sources import state

logger = logging.getLogger(__name__)
FOLDER = "_figures"  # beside the pages
_HINTS = {"csv": "", "npz": "; the array <code>about</code> says what each shows"}


class origin(nodes.General, nodes.Element):
    """The place where it is said how a figure was made."""


def configure(app, config):
    """Note the state of the sources; a page that tells another one is written again."""
    config.hebt_state = state(Path(app.srcdir))


def unexplained(outputs) -> list:
    """Return the outputs of a cell that show a picture or an explorer, and not how it was made."""
    pictures = [
        o
        for o in outputs
        if any(kind.startswith("image/") for kind in o.get("data", {}))
        or "hebt-explorer" in o.get("data", {}).get("text/html", "")
    ]
    return [o for o in pictures if KEY not in o.get("metadata", {})]


def mark(app, doctree):
    """Leave a place below each output that carries along how it was made."""
    cells = [c for c in doctree.findall(nodes.container) if c.get("nb_element") == "cell_code"]
    page = app.env.docname
    executed = Path(app.outdir).parent / "jupyter_execute" / f"{page}.ipynb"
    if not cells or not executed.exists():
        return
    cache = get_cache(app.config.nb_execution_cache_path)
    _, chapter = cache.merge_match_into_notebook(nbformat.read(executed, as_version=4))
    for cell in cells:
        source = chapter.cells[cell["cell_index"]]
        figure = source.metadata.get("mystnb", {}).get("figure", {})
        outputs = source.get("outputs", ())
        records = [o.metadata[KEY] for o in outputs if KEY in o.get("metadata", {})]
        if unexplained(outputs) or (figure and not records):
            logger.warning(
                "nothing says how this figure was made. Draw it in a function that is decorated "
                "with companion.style.styled, or with companion.origins.explained if it returns "
                "an explorer.",
                location=cell,
                type="hebt",
                subtype="origin",
            )
        for record in records:
            shown = next(n for n in cell if n.get("nb_element") == "cell_code_output")
            shown += origin(record=dict(record), figure=figure.get("name", ""))


def _row(term: str, said: str) -> str:
    return f"<div><dt>{term}</dt><dd>{said}</dd></div>"


def _pairs(values: dict, sign: str = "&nbsp;= ") -> str:
    return "; ".join(f"{html.escape(k)}{sign}{html.escape(v)}" for k, v in values.items())


def _function(name: str, url: str, commit: str) -> str:
    shown = f"<code>{html.escape(name)}</code>"
    file = name.rpartition(".")[0].replace(".", "/")
    if not (url and commit):
        return shown
    home = "" if file.startswith("hebt/") else "book/"
    return f'<a href="{url}/blob/{commit}/{home}{file}.py">{shown}</a>'


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds >= 0.1 else "less than 0.1 s"
    return f"{seconds / 60:.2g} minutes"


def _time(seconds: float | None, page: float | None) -> str:
    """Say what computing took: the stored results behind the figure, or else the whole page."""
    if seconds is not None:
        return f"in {_duration(seconds)}; the results are stored"
    return "with the page" + (f", which ran in {_duration(page)}" if page else "")


def _links(record: dict, name: str, up: str) -> str:
    links = []
    for data in record.get("data", ()):
        ending = data["file"].rpartition(".")[2]
        size = max(1, round(data["bytes"] / 1000))
        links.append(
            f'<a href="{up}{FOLDER}/{name}.{ending}" download>'
            f"{data['what']} ({ending.upper()}, {size} kB)</a>{_HINTS[ending]}"
        )
    return "; ".join(links)


def written(record: dict, name: str, number: str, made: dict) -> str:
    """Return how a figure was made as HTML, folded.

    Parameters
    ----------
    record
        What `companion.origins` noted.
    name
        What its files are called.
    number
        Such as "Fig. 2.1"; nothing for an explorer.
    made
        ``commit``, ``changed``, ``url`` of the repository, seconds of the ``page``, and ``up``, the
        way from the page to the root of all pages.
    """
    commit, changed, url = made["commit"], made["changed"], made["url"]
    link = "" if changed else url
    where = f"<code>{commit}</code>" if commit else f"none; hebt {hebt.__version__}"
    if commit and link:
        where = f'<a href="{url}/commit/{commit}">{where}</a>'
    if changed:
        where += ", with changes since"
    rows = [("Function", _function(record["function"], link, commit))]
    rows += [
        ("Called with", _pairs(record["called_with"])),
        ("Settings", _pairs(record["settings"])),
        ("Sliders", _pairs(record["sliders"], ": ")),
        ("Seeds", html.escape(record["seeds"])),
        ("Fidelity", record["fidelity"]),
        ("Computed", _time(record["seconds"], made["page"])),
        ("Commit", where),
        ("Data", _links(record, name, made["up"])),
    ]
    if record.get("data") == []:
        rows[-1] = "Data", "none: it is a rendered picture"
    has = ", and its data" if record.get("data") else ""
    what = number or "this explorer"
    return (
        f'<details class="hebt-origin"><summary>How {what} was made{has}</summary><dl>'
        f"{''.join(_row(*row) for row in rows if row[1])}</dl></details>"
    )


def _copy_data(app, record: dict, name: str) -> None:
    """Put the data of a figure beside the pages."""
    for data in record.get("data", ()):
        source = Path(os.environ["HEBT_FIGURES"]) / data["file"]
        target = Path(app.outdir) / FOLDER / f"{name}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def write(app, doctree, page):
    """Write how its figures were made into a page, and what they show beside it."""
    if app.builder.format != "html":
        return
    commit, changed = app.config.hebt_state
    ran = app.env.nb_metadata.get(page, {}).get("exec_data", {}).get("runtime")
    made = {
        "commit": commit,
        "changed": changed,
        "url": os.environ.get("BOOK_REPOSITORY_URL", "").rstrip("/"),
        "page": ran,
        "up": "../" * page.count("/"),
    }
    for place in list(doctree.findall(origin)):
        record, figure = place["record"], place["figure"]
        number = notebook.figure_numbers().get(figure, "")
        number = f"Fig. {number}" if number else "this figure" if "data" in record else ""
        # an explorer has no number, and no files
        name = figure or record["function"].rpartition(".")[2]
        _copy_data(app, record, name)
        place.replace_self(nodes.raw("", written(record, name, number, made), format="html"))


def setup(app):
    """Connect all this."""
    app.add_config_value("hebt_state", ("", False), "html")
    app.add_node(origin)
    app.connect("config-inited", configure)
    app.connect("doctree-read", mark)
    app.connect("doctree-resolved", write)
