"""Notebooks for download that read like the pages: numbers, citations and captions written out.

A chapter's prose holds roles that only Sphinx resolves. A plain notebook shows them raw, so the
copy that readers download gets what the page shows: the glued numbers, authors and years linked to
their DOI, figure numbers, titles of chapters, and each figure's caption below it.
"""

from __future__ import annotations

import copy
import re

import nbformat

ROLE = re.compile(r"\{(glue:text|cite:p|cite:t|numref|doc|eq|ref)\}`([^`]+)`")


def read_bibliography(path) -> dict[str, tuple[str, str, str]]:
    """Return key -> (authors in short, year, DOI or empty) of a BibTeX file."""
    from pybtex.database import parse_file

    entries = {}
    for key, entry in parse_file(str(path)).entries.items():
        names = [" ".join(p.prelast_names + p.last_names) for p in entry.persons.get("author", ())]
        names = [re.sub(r"[{}]", "", name) for name in names]
        short = names[0] if len(names) == 1 else " and ".join(names[:2])
        short = f"{names[0]} et al." if len(names) > 2 else short
        entries[key] = short, entry.fields.get("year", ""), entry.fields.get("doi", "")
    return entries


class Readable:
    """Writes out the roles of one chapter.

    Parameters
    ----------
    env
        Sphinx's environment, once all chapters are read and numbered.
    page
        The chapter's document name.
    numbers
        Glued name -> text.
    bibliography
        From `read_bibliography`.
    """

    def __init__(self, env, page, numbers, bibliography):
        self.env, self.page = env, page
        self.numbers, self.bibliography = numbers, bibliography

    def text(self, source: str) -> str:
        """Return Markdown in which nothing is left for Sphinx."""
        source = re.sub(r"```\{bibliography\}.*?```", self._references(), source, flags=re.DOTALL)
        source = re.sub(
            r"```\{math\}\n(?::[^\n]*\n)*(.*?)```", r"$$\n\1$$", source, flags=re.DOTALL
        )
        source = re.sub(r"^\([\w-]+\)=\n", "", source, flags=re.MULTILINE)
        source = re.sub(r"^\$\$ \([\w-]+\)$", "$$", source, flags=re.MULTILINE)
        return ROLE.sub(lambda match: self._role(*match.groups()), source)

    def _role(self, kind: str, content: str) -> str:
        if kind == "glue:text":
            return self.numbers[content.partition(":")[0]]
        if kind.startswith("cite"):
            cited = [self._cite(key.strip(), kind == "cite:t") for key in content.split(",")]
            return ", ".join(cited) if kind == "cite:t" else f"({'; '.join(cited)})"
        if kind == "doc":
            title = self.env.titles[self._document(content)].astext()
            return f"[{title}]({content.rpartition('/')[2]}.ipynb)"
        if kind == "eq":
            _, number = self.env.get_domain("math").equations[content]
            return f"({number})"
        label = self.env.get_domain("std").anonlabels[content]
        if kind == "ref":
            return f"“{self.env.get_domain('std').labels[content][2]}”"
        return f"Fig. {self.figure(*label)}"

    def figure(self, page: str, label: str) -> str:
        """Return a figure's number, such as "2.1"."""
        numbers = self.env.toc_fignumbers[page]["figure"][label]
        return ".".join(map(str, numbers))

    def caption(self, cell) -> str | None:
        """Return the caption of a cell's figure, with its number."""
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if "caption" not in figure:
            return None
        number = ""
        if "name" in figure:
            label = self.env.get_domain("std").anonlabels[figure["name"]]
            number = f"**Fig. {self.figure(*label)}** "
        return number + self.text(" ".join(figure["caption"].split()))

    def _cite(self, key: str, textual: bool) -> str:
        short, year, doi = self.bibliography[key]
        shown = f"{short} ({year})" if textual else f"{short}, {year}"
        return f"[{shown}](https://doi.org/{doi})" if doi else shown

    def _references(self) -> str:
        lines = [self._cite(key, True) for key in sorted(self.bibliography)]
        return "\n".join(f"- {line}" for line in lines).replace("\\", r"\\")

    def _document(self, name: str) -> str:
        folder = self.page.rpartition("/")[0]
        return f"{folder}/{name}" if f"{folder}/{name}" in self.env.titles else name


def origin(page: str, version: str, address: str | None) -> str:
    """Return the first cell of a download: where it comes from, and how to run it."""
    book = f"[{address}]({address})" if address else "the repository of the book"
    return (
        f"*This notebook is the chapter `{page}.md` of the executable companion to Zhong et al. "
        "(2017), [doi:10.1016/j.ultramic.2016.12.008]"
        f"(https://doi.org/10.1016/j.ultramic.2016.12.008), made with hebt {version}. It shows "
        f"what the page shows. To run it, get {book}: `make lab` there opens all chapters with "
        "what they need. `pip install` of that folder brings `hebt` alone into an environment of "
        "your own; the chapters' own code, `companion`, lies in its folder `book`.*"
    )


def readable(notebook, reader: Readable, first: str):
    """Return a notebook for download.

    Parameters
    ----------
    notebook
        The executed chapter; not changed.
    reader
        Writes out its roles.
    first
        Markdown of the first cell.
    """
    cells = [nbformat.v4.new_markdown_cell(first, id="origin")]
    for cell in copy.deepcopy(notebook.cells):
        if cell.cell_type == "markdown":
            cell.source = reader.text(cell.source)
        cells.append(cell)
        caption = reader.caption(cell)
        if caption:
            cells.append(nbformat.v4.new_markdown_cell(caption, id=f"caption-{len(cells)}"))
    result = copy.deepcopy(notebook)
    result.cells = cells
    return result
