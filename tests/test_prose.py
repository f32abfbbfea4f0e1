"""The chapters' sentences: few numbers in each, figures that are spoken of, one unit of dose."""

import ast
import html
import re

import jupytext
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT

from companion import dose

BOOK = ROOT / "book"
# the chapters on the paper's study and beyond; pages of lists and promises have rules of their own
CHAPTERS = (
    "intro",
    "models",
    "phantom",
    "spectra",
    "nonalloy",
    "alloy",
    "sweeps",
    "without_weight",
    "laboratory",
    "dust",
    "your_turn",
    "three_elements",
    "speed",
)
# what is set for all chapters but the first page, which says what the book is
LESSONS = CHAPTERS[1:]
MOST_NUMBERS = 8
ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<content>[^`]*)`")
# places in the paper and in the book are no numbers, nor are lines such as Kα1 and names such as 3D
PLACE = re.compile(
    r"\b(?:[Ss]ections?|[Ff]ig(?:ure|s|)s?\.?|[Tt]ables?|[Ee]q(?:uation)?s?\.?|[Cc]hapters?)\s"
    r"\(?[\d.]+\)?(?:\s(?:and|to)\s\(?[\d.]+\)?)*"
)
NUMBER = re.compile(r"(?<![\w.])\d[\d\u202f,.]*(?![A-Za-z\d])")


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a sentence that a reader has to take in."""
    return NUMBER.findall(PLACE.sub("", text))


def prose_of(text: str) -> str:
    """Return a chapter without its header, cells, code and equations."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^```(?:\{|\w).*?^```$", "\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?::::.*|</?details>.*)$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"^> ?", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\$\$.*?^\$\$.*?$", "\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(
        r"^\\begin\{(\w+\*?)\}.*?^\\end\{\1\}", "\n", text, flags=re.DOTALL | re.MULTILINE
    )
    return re.sub(r"\$[^$]*\$", "", text)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs and the points of lists of a chapter."""
    found = []
    for block in re.split(r"\n\s*\n", prose_of(text)):
        if not block.lstrip().startswith(("|", "#", "(")):
            found += re.split(r"\n(?=\s*(?:[-*]|\d+\.)\s)", block)
    return [" ".join(one.split()) for one in found if one.strip()]


def read(chapter: str) -> str:
    return (BOOK / f"{chapter}.md").read_text(encoding="utf-8")


def filled(paragraph: str) -> str:
    """Return a paragraph with its roles filled in: each glued text is one number at the least."""
    short = {"glue:text": " 1 ", "numref": "", "eq": "", "cite:p": "", "cite:t": ""}
    text = ROLE.sub(lambda m: short.get(m["role"], m["content"]), paragraph)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_paragraph_is_a_soup_of_numbers(chapter):
    full = {
        p: n for p in paragraphs(read(chapter)) if (n := len(numbers_in(filled(p)))) > MOST_NUMBERS
    }
    assert not full, "\n".join(f"{n}: {p[:100]} ..." for p, n in full.items())


def test_numbers_are_counted_as_a_reader_does():
    assert numbers_in("see Figure 4, section 4.2 and Eq. 6, at 3D, in Fe3O4") == []
    assert numbers_in("0.7 to 0.9, and 12 × 12 pixels") == ["0.7", "0.9,", "12", "12"]
    assert numbers_in("1,024 of 2.5\u00a0±\u00a00.3 %") == ["1,024", "2.5", "0.3"]
    assert filled("of {glue:text}`a_b` (see {numref}`fig-1-2`)").split() == ["of", "1", "(see", ")"]
    text = (
        "---\nx: 1\n---\n\n# A\n\none\ntwo\n\n- three\n- four\n\n```{code-cell} ipython3\n5\n```\n"
    )
    assert paragraphs(text) == ["one two", "- three", "- four"]


@pytest.mark.book
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_paragraph_of_the_page_is_a_soup_of_numbers(chapter, built_book):
    """As the one above, with the numbers that the chapters' code found."""
    page = (built_book / "book" / f"{chapter}.html").read_text(encoding="utf-8")
    article = BeautifulSoup(page, "html.parser").find("article")
    unread = "table, figure, pre, code, .math, .cell_output, .cell, script, .citation-list"
    for tag in article.select(unread):
        tag.decompose()
    seen = 0
    for one in article.find_all("p"):
        text = " ".join(html.unescape(one.get_text()).split())
        assert len(numbers_in(text)) <= MOST_NUMBERS, text
        seen += 1
    assert seen > 5


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_text_speaks_of_each_of_its_figures(chapter):
    text = read(chapter)
    figures = re.findall(r"^    name: (fig-\S+)$", text, re.MULTILINE)
    spoken = set(re.findall(r"\{numref\}`([^`]+)`", prose_of(text)))
    assert not [name for name in figures if name not in spoken]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_papers_equations_are_linked(chapter):
    text = ROLE.sub("", prose_of(read(chapter)))
    dead = re.findall(r"\bEqs?\. \d+[^\n]*", text)
    # what the paper calls it may stand beside the link
    assert not [line for line in dead if "paper" not in text[: text.index(line)][-40:]]


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_chapter_ends_with_what_to_take_away_and_an_exercise(chapter):
    headings = re.findall(r"^## (.+)$", read(chapter), re.MULTILINE)
    assert "What to take home" in headings and "Exercise" in headings
    after = read(chapter).split("\n## Exercise\n")[1]
    assert re.search(
        r"^<details><summary>Solution</summary>\n\n.+?\n\n</details>$", after, re.M | re.S
    )


def test_the_first_example_is_the_same_in_readme_and_chapter():
    example = r"```python\n.*?```"
    readme = re.search(example, (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert readme.group() in read("your_turn")


@pytest.mark.parametrize("chapter", [c for c in LESSONS if c != "your_turn"])
def test_a_chapter_opens_with_its_result_and_a_picture(chapter):
    """One that is made of steps has its picture where they end."""
    opening = read(chapter).partition("\n## ")[0]
    assert len(paragraphs(opening)[0].split()) > 20
    assert re.search(r"^    name: fig-|\.explore\(", opening, re.MULTILINE)


BRITISH = re.compile(
    r"(?i)\b(?:\w*colour\w*|greys?|greyer|centred?|centres|neighbour\w*|artefacts?|licence|sulphur|"
    r"aluminium|favour\w*|behaviour|\w+(?:al|ar|im|in|er|og)is(?:e|es|ed|ing|ation))\b"
)
AMERICAN = {"otherwise", "likewise", "noise", "raise", "precise", "rise", "arise", "advertise"}
FIXED = {"normalise"}  # an argument of scaled_mse, whose name is fixed
# what readers see of code, too: docstrings, messages, captions
SPELLED = sorted([*BOOK.glob("*.md"), *BOOK.rglob("companion/**/*.py"), *ROOT.glob("hebt/**/*.py")])


@pytest.mark.parametrize("path", SPELLED, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_is_spelled_the_american_way(path):
    text = ROLE.sub(lambda m: m["content"] if m["role"] == "term" else "", path.read_text("utf-8"))
    assert {w.lower() for w in BRITISH.findall(text)} <= AMERICAN | FIXED


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_chapter_asks_before_it_shows(chapter):
    text = read(chapter)
    asks = re.compile(r"^> \*\*Your guess\.\*\* [^\n]*(?:\n> [^\n]*)*\?\n\n", re.MULTILINE)
    asked = [box.end() for box in asks.finditer(text)]
    assert len(asked) >= 2
    # what answers comes after it
    assert max(asked) < text.index("\n## What to take home\n")


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.md")), ids=lambda path: path.stem)
def test_boxes_are_written_as_jupyterlab_reads_them(path):
    """Directives of Sphinx are code there; a folded answer is HTML, which both know."""
    text = path.read_text(encoding="utf-8")
    known = {"code-cell", "bibliography", "list-of", "glossary", "eval-rst"}
    assert set(re.findall(r"^```\{([\w-]+)\}", text, re.MULTILINE)) <= known
    assert text.count("<details>") == text.count("\n</details>\n")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cells_that_only_show_are_folded(chapter):
    """One call of the companion that draws or tabulates teaches nothing; its result does."""
    for cell in jupytext.read(BOOK / f"{chapter}.md").cells:
        body = ast.parse(cell.source).body if cell.cell_type == "code" else []
        calls = [one.value for one in body if isinstance(one, ast.Expr)]
        if len(body) == 1 and calls and isinstance(calls[0], ast.Call):
            function = getattr(calls[0].func, "attr", "")
            if re.match(r"plot_|figure\d|table\d|explore|card$|\w+_table$", function):
                assert {"hide-input", "remove-input"} & set(cell.metadata.get("tags", [])), function


NOT_SAID = re.compile(r"±\s0(?:\.0*)?(?![\d.])|times (?:larger|smaller)")


@pytest.mark.book
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_tables_say_one_thing_in_a_cell(chapter, built_book):
    page = (built_book / "book" / f"{chapter}.html").read_text(encoding="utf-8")
    soup = BeautifulSoup(page, "html.parser")
    for cell in soup.select("table td"):
        text = cell.get_text("\n").replace("\u00a0", " ")
        assert not NOT_SAID.search(text), text
        lines = [line for line in text.split("\n") if re.search(r"\d", line)]
        assert len(lines) < 3, f"numbers stacked in a cell: {text!r}"


# ---- one unit of dose ----


def test_counts_are_carried_from_pixel_to_pixel_by_their_area():
    assert dose.on_pixel(3.0, side=1, other=4) == pytest.approx(48)
    # the phantom is one slice: only one side of its pixels grows
    assert dose.on_pixel(3.0, side=1, other=4, sides=1) == pytest.approx(12)
    back = dose.on_pixel(dose.on_pixel(0.7, side=0.5, other=0.3), side=0.3, other=0.5)
    assert back == pytest.approx(0.7)
    assert dose.per_nm2(3.2, side=0.4) == pytest.approx(20)
    assert dose.per_nm3(3.2, side=0.4, thickness=50) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"counts": -1}, "counts"), ({"side": 0}, "side"), ({"other": "a"}, "other")],
)
def test_a_dose_that_makes_no_sense_is_refused(wrong, name):
    with pytest.raises((TypeError, ValueError), match=name):
        dose.on_pixel(**({"counts": 1.0, "side": 1.0, "other": 2.0} | wrong))
