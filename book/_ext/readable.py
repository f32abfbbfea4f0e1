"""Notebooks for download that read like the pages: numbers, citations and captions written out."""

from __future__ import annotations

import copy

import nbformat

from companion import notebook


def origin(page: str, version: str, size: str, address: str | None) -> str:
    """Return the first cell of a download: where it comes from, and how to run it."""
    book = f"[{address}]({address})" if address else "the repository of the book"
    return (
        f"*This notebook is the chapter `{page}.md` of the executable companion to Zhong et al. "
        "(2017), [doi:10.1016/j.ultramic.2016.12.008]"
        f"(https://doi.org/10.1016/j.ultramic.2016.12.008), made with hebt {version} at {size} "
        f"fidelity. It shows what the page shows. To run it, get {book}: `make lab` there opens "
        "all chapters with what they need. `pip install` of that folder brings `hebt` alone into "
        "an environment of your own; the chapters' own code, `companion`, lies in its folder "
        "`book`.*"
    )


def readable(executed, numbers: dict[str, str], first: str):
    """Return a notebook for download.

    Parameters
    ----------
    executed
        The chapter's notebook; not changed.
    numbers
        Glued name -> text.
    first
        Markdown of the first cell.
    """
    cells = [nbformat.v4.new_markdown_cell(first, id="origin")]
    result = copy.deepcopy(executed)
    for cell in result.cells:
        tags = cell.metadata.get("tags", ())
        if cell.cell_type == "markdown":
            cell.source = notebook.write_out(cell.source, numbers)
        elif "remove-cell" in tags or "remove-input" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.outputs = [o for o in cell.outputs if "scrapbook" not in o.get("metadata", {})]
        cells.append(cell)
        caption = notebook.caption(cell, numbers)
        if caption:
            cells.append(nbformat.v4.new_markdown_cell(caption, id=f"caption-{len(cells)}"))
    result.cells = cells
    return result
