"""Chapters as notebooks: what Sphinx writes into the pages, written out without it.

The prose holds roles such as ``{glue:text}`name```, and captions lie in the metadata of cells; a
notebook shows the ones raw and the others not at all. For downloads they are written into the
cells. In JupyterLab the chapter's kernel hands them to the browser, so the file stays as it is.
"""

import functools
import json
import os
import re
from pathlib import Path

import yaml

BOOK = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_suffix(".js")
ROLE = re.compile(r"\{(glue:text|cite:p|cite:t|numref|eq|ref|term)\}`([^`]+)`")
# the end of an equation, with its label
LABEL = re.compile(r"^\$\$ \(([\w-]+)\)$", re.MULTILINE)
# a link to another chapter, or to a place in this one
LINK = re.compile(r"\[([^\]]+)\]\((?:(\w+)\.md|#?[\w-]+)\)")


@functools.cache
def _pages() -> dict[str, int]:
    """Return page -> chapter number, or 0 where it has none, of all pages in the contents."""
    contents = yaml.safe_load((BOOK.parent / "_toc.yml").read_text(encoding="utf-8"))
    pages = {Path(contents["root"]).name: 0}
    for part in contents.get("parts", ()):
        for chapter in part["chapters"]:
            number = sum(map(bool, pages.values())) + 1 if part.get("numbered") else 0
            pages[Path(chapter["file"]).name] = number
    return pages


def _numbered(name: re.Pattern) -> dict[str, str]:
    """Return name -> number, chapter by chapter, of what `name` finds in the numbered chapters."""
    numbers = {}
    for page, chapter in _pages().items():
        if chapter:
            found = name.findall((BOOK / f"{page}.md").read_text(encoding="utf-8"))
            numbers.update({label: f"{chapter}.{place}" for place, label in enumerate(found, 1)})
    return numbers


@functools.cache
def figure_numbers() -> dict[str, str]:
    """Return name -> number, such as "2.1", of all figures of the book."""
    return _numbered(re.compile(r"^    name: (\S+)$", re.MULTILINE))


@functools.cache
def equation_numbers() -> dict[str, str]:
    """Return label -> number, such as "1.5", of all equations of the book that have one."""
    return _numbered(LABEL)


# a cell of code: options between --- and tags, and then the code
CODE = re.compile(
    r"^```\{code-cell\} ipython3\n(?:---\n.*?^---\n|(?::[^\n]*\n)*)(.*?)^```$", re.M | re.S
)
# what shows a table, in the last line of a cell
SHOWN = re.compile(r"^\w+\.((?:\w+_)?table\d*)\(", re.MULTILINE)


def page_tables(page: str, text: str) -> list[str]:
    """Return the names of the tables on a page, such as ``"table-phantom-table1"``, in order.

    They are called for their functions; a function that is called again gets a number behind it.
    """
    last = [[*SHOWN.finditer(code)][-1:] for code in CODE.findall(text)]
    calls, names = [match[1] for found in last for match in found], []
    for k, call in enumerate(calls):
        again = calls[:k].count(call)
        names.append(f"table-{page}-{call}" + (f"-{again + 1}" if again else ""))
    return names


@functools.cache
def table_numbers() -> dict[str, str]:
    """Return name -> number, such as "2.3", of all tables of the book; see `page_tables`.

    In pages without a chapter number they have the page's name in its place.
    """
    numbers = {}
    for page, chapter in _pages().items():
        names = page_tables(page, (BOOK / f"{page}.md").read_text(encoding="utf-8"))
        before = f"{chapter}." if chapter else ""
        numbers.update({name: f"{before}{place}" for place, name in enumerate(names, 1)})
    return numbers


@functools.cache
def title(page: str) -> str:
    """Return the title of a page."""
    text = (BOOK / f"{page}.md").read_text(encoding="utf-8")
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1]


@functools.cache
def bibliography() -> dict[str, tuple[str, str, str]]:
    """Return key -> (authors in short, year or n.d., address of the DOI or nothing)."""
    from pybtex.database import parse_file

    works = {}
    for key, work in parse_file(str(BOOK / "references.bib")).entries.items():
        names = [" ".join(p.prelast_names + p.last_names) for p in work.persons.get("author", ())]
        names = [re.sub(r"[{}]", "", name) for name in names]
        short = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        doi = work.fields.get("doi", "").replace("(", "%28").replace(")", "%29")
        works[key] = short, work.fields.get("year", "n.d."), doi and f"https://doi.org/{doi}"
    return works


def _cite(keys: str, textual: bool) -> str:
    cited = []
    for key in keys.split(","):
        short, year, address = bibliography()[key.strip()]
        shown = f"{short} ({year})" if textual else f"{short}, {year}"
        cited.append(f"[{shown}]({address})" if address else shown)
    return ", ".join(cited) if textual else f"({'; '.join(cited)})"


def _works() -> list[str]:
    return [_cite(key, True) for key in sorted(bibliography(), key=bibliography().get)]


def write_role(kind: str, content: str, numbers: dict[str, str]) -> str:
    """Return what a role stands for, as Markdown."""
    if kind == "glue:text":
        return numbers[content]
    if kind == "numref":
        return f"Fig. {figure_numbers()[content]}"
    if kind == "eq":
        return f"({equation_numbers()[content]})"
    if kind == "ref":
        return f"Table {table_numbers()[content]}"
    if kind == "term":
        return content.partition(" <")[0]
    return _cite(content, kind == "cite:t")


def write_out(source: str, numbers: dict[str, str]) -> str:
    """Return a cell's Markdown, with glued name -> text, and nothing that only Sphinx knows."""
    works = "\n".join(f"- {work}" for work in _works())
    source = re.sub(r"```\{bibliography\}.*?```", lambda _: works, source, flags=re.DOTALL)
    source = re.sub(r"^\([\w-]+\)=\n", "", source, flags=re.MULTILINE)
    source = LABEL.sub(lambda m: rf"\tag{{{equation_numbers()[m[1]]}}}" + "\n$$", source)
    source = LINK.sub(lambda m: f"[{m[1]}]({m[2]}.ipynb)" if m[2] else m[1], source)
    return ROLE.sub(lambda match: write_role(*match.groups(), numbers), source)


def caption(cell, numbers: dict[str, str]) -> str | None:
    """Return the caption of a cell's figure with its number, as Markdown, or None."""
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if not figure:
        return None
    text = write_out(" ".join(figure["caption"].split()), numbers)
    return f"**Fig. {figure_numbers()[figure['name']]}** {text}"


class Live:
    """A chapter that is open in JupyterLab: its prose is filled in, its figures get captions."""

    def __init__(self, file: Path):
        import jupytext

        cells = jupytext.read(file, fmt="md:myst").cells
        self.numbers = {}
        self.prose = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
        self.figures = {c.source.strip(): c for c in cells if "mystnb" in c.metadata}

    def fill(self, numbers: dict[str, str]) -> None:
        """Show the browser what the roles of the chapter stand for, as far as is known."""
        from IPython.display import Javascript, display

        self.numbers.update(numbers)
        marks = {
            f"{kind} {content}": write_role(kind, content, self.numbers)
            for kind, content in ROLE.findall(self.prose)
            if kind != "glue:text" or content in self.numbers
        }
        marks |= {
            f"label {label}": write_role("eq", label, {}) for label in LABEL.findall(self.prose)
        }
        values = json.dumps(marks), json.dumps(_works())
        display(Javascript(f"({SCRIPT.read_text(encoding='utf-8')})({', '.join(values)})"))

    def show_caption(self, result) -> None:
        """Show the caption below a figure's cell that has just run."""
        from IPython.display import Markdown, display

        cell = self.figures.get((result.info.raw_cell or "").strip())
        if cell is not None and result.success:
            display(Markdown(caption(cell, self.numbers)))


@functools.cache
def live() -> Live | None:
    """Return the chapter that this kernel runs in JupyterLab, or None elsewhere."""
    file = BOOK / Path(os.environ.get("JPY_SESSION_NAME", "")).name
    if os.environ.get("HEBT_STATIC") == "1" or file.suffix != ".md" or not file.is_file():
        return None
    from IPython import get_ipython

    chapter = Live(file)
    get_ipython().events.register("post_run_cell", chapter.show_caption)
    return chapter
