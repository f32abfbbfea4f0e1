"""The built pages: honest builds, and pages that work in a browser with nothing else around."""

import copy
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, extension_of, make_book, need, wants
from playwright.sync_api import TimeoutError
from visits import CHAPTERS, PAGES, TOC, Visit, address

import hebt
from companion import notebook
from companion.crosswalk.found import STATUS
from companion.crosswalk.rows import PARTS, rows
from hebt import _datasets

WIDTHS = (390, 820, 1440)
HEAVIEST_PAGE = 8_000_000  # bytes, before the reader touches anything
REPOSITORY = "https://github.com/someone/hebt-book"
HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---

"""


# ---- what a broken book does ----


def cell(code):
    return f"```{{code-cell}} ipython3\n{code}\n```\n\n"


class TinyBook:
    """A book of one chapter with the settings, the extension and the package of ours."""

    def __init__(self, folder, running):
        self.root, self.running = folder, running
        for name in ("book/_ext", "book/_web", "book/companion", "data", "hebt"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        (folder / ".ci").mkdir()
        files = ("Makefile", "README.md", ".ci/folders", "_config.yml", "requirements.lock")
        for name in (*files, "book/references.bib"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")

    def build(self, chapter, repository="", **more):
        """Build it with this chapter; gives the exit code, what was printed, and the page."""
        text = HEADER + "# Tiny\n\n" + chapter
        (self.root / "book" / "intro.md").write_text(text, encoding="utf-8")
        environment = {"PYTHONPATH": str(self.root), "BOOK_REPOSITORY_URL": repository}
        run = make_book(self.root, ".", self.running, **environment, **more)
        page = self.root / "_build" / "html" / "book" / "intro.html"
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        return run.returncode, run.stdout, text


def change_package(folder, running):
    book = TinyBook(folder, running)
    chapter = cell("import hebt\nprint('value', 2 * hebt.TINY)")
    module = book.root / "hebt" / "__init__.py"
    source = module.read_text(encoding="utf-8")
    module.write_text(source + "\nTINY = 21\n", encoding="utf-8")
    builds = [book.build(chapter), book.build(chapter, REPOSITORY)]
    module.write_text(source + "\nTINY = 22\n", encoding="utf-8")
    return [*builds, book.build(chapter)]


def fail_cell(folder, running):
    book = TinyBook(folder, running)
    return [book.build(cell("raise RuntimeError('the beam is off')")) for _ in range(2)]


def commit_faults(folder, running):
    book = TinyBook(folder, running)
    chapter = "See {numref}`fig-nowhere`, {cite}`nobody1900` and [](#no-such-place).\n\n"
    chapter += cell("import sys\nprint('a warning', file=sys.stderr)")
    chapter += cell("import ipywidgets\nipywidgets.IntSlider()")
    chapter += cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    named = "---\nmystnb:\n  figure:\n    name: fig-a\n    caption: A line.\n---\n"
    chapter += cell(f"{named}plt.plot([1, 2])\nplt.show()")
    return [book.build(chapter) for _ in range(2)]


def miss_data(folder, running):
    """Build the chapter on measured data where they are not."""
    book = TinyBook(folder, running)
    _, _, chapter = (ROOT / "book" / "dust.md").read_text(encoding="utf-8").partition("\n# ")
    # the chapters that it leads to are not in this book
    chapter = re.sub(r"\]\(\w+\.md\)", "](https://example.org)", chapter)
    chapter = f"## {chapter}\n```{{bibliography}}\n```\n"
    return book.build(chapter, HEBT_DATA="", HEBT_CACHE=str(folder / "cache"))


@pytest.fixture(scope="session", autouse=True)
def _scenarios(request, builder, tmp_path_factory, _whole_book):
    if not wants(request.session, "scenario") or not shutil.which("make"):
        return None
    functions = (change_package, fail_cell, commit_faults, miss_data)
    return {f: builder(f, tmp_path_factory.mktemp(f.__name__)) for f in functions}


@pytest.fixture
def scenario(_scenarios):
    """What came out of the builds of one of the functions above."""
    return lambda function: need(_scenarios, "make")[function].result()


def test_changed_package_runs_chapters_again(scenario):
    first, again, changed = scenario(change_package)
    for code, printed, _ in (first, again, changed):
        assert code == 0, printed
    assert "Using cached" not in first[1] and "value 42" in first[2]
    assert "Using cached" in again[1] and "value 42" in again[2]
    assert "Using cached" not in changed[1] and "value 44" in changed[2]


def test_buttons_lead_to_a_known_repository_only(scenario):
    unknown, known, _ = scenario(change_package)
    assert "github.com" not in unknown[2] and "mybinder.org" not in unknown[2]
    assert REPOSITORY in known[2]
    binder = "https://mybinder.org/v2/gh/someone/hebt-book/main?urlpath=lab/tree/book/intro.md"
    assert binder in known[2]
    assert f"{REPOSITORY}/edit/main/book/intro.md" in known[2]
    assert f"{REPOSITORY}/issues/new" in known[2]
    colab = "https://colab.research.google.com/github/someone/hebt-book/blob/colab/own_series.ipynb"
    assert colab in known[2] and "colab" not in unknown[2]


def test_the_notebook_for_colab_runs_the_example_of_readme():
    colab = extension_of("colab")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made = colab.notebook(readme, REPOSITORY, "v1.2.3")
    nbformat.validate(made)
    install, fetch, run, show = (c.source for c in made.cells if c.cell_type == "code")
    assert f"hebt[io,explorers] @ git+{REPOSITORY}@v1.2.3" in install
    # the lines that are run from the wheel in a bare environment, and the command above them
    assert f"```python\n{run}\n```" in readme and "hebt.io.read(" in run
    assert fetch.lstrip("!") in readme
    assert re.search(r'HTML\(filename="(.*?)"\)', show).group(1) in run


def test_failed_cell_fails_the_book_every_time(scenario):
    for code, printed, _ in scenario(fail_cell):
        assert code != 0
        assert "the beam is off" in printed
        assert "The pages are ready" not in printed


def test_faults_fail_the_book_every_time(scenario):
    for code, printed, _ in scenario(commit_faults):
        assert code != 0
        warnings = "\n".join(line for line in printed.splitlines() if "WARNING" in line)
        for fault in ("fig-nowhere", "nobody1900", "no-such-place"):
            assert fault in warnings
        assert "stderr was found" in warnings
        assert "dead" in warnings
        assert "no alternative text" in warnings
        assert "nothing says how this figure was made" in warnings


def test_a_chapter_without_its_data_says_so(scenario):
    code, printed, page = scenario(miss_data)
    assert code == 0, printed
    words = BeautifulSoup(page, "html.parser").get_text()
    assert "Data not here" in words and "hebt data fetch dust" in words
    assert "dust.plot_spectrum(study)" in words, "its code is shown"
    assert "Traceback" not in page and "glue:text" not in page


@pytest.fixture(scope="module")
def extension():
    return extension_of("hebt_book")


@pytest.mark.parametrize(
    "path", ["hebt/a.py", "hebt/explorers/b.js", "data/c.json", "requirements.lock"]
)
def test_cache_key_knows_what_results_depend_on(extension, tmp_path, path):
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("one")
    first = extension.cache_key(tmp_path)
    assert extension.cache_key(tmp_path) == first
    file.write_text("two")
    assert extension.cache_key(tmp_path) != first


def test_cache_key_knows_fidelity_and_measured_data(extension, tmp_path, monkeypatch):
    content = b"counts"
    file = {"path": "0.bcf", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    series = {"folder": "series", "files": [{**file, "addresses": []}]}
    registry = tmp_path / "measured.json"
    registry.write_text(json.dumps({"series": {"series": series}}))
    monkeypatch.setattr(_datasets, "REGISTRY", registry)
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEBT_DATA", str(tmp_path / "data"))

    book = tmp_path / "book"  # without files of its own
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    quick = extension.cache_key(book)
    monkeypatch.setenv("HEBT_FIDELITY", "paper")
    paper = extension.cache_key(book)
    (tmp_path / "data" / "series").mkdir(parents=True)
    (tmp_path / "data" / "series" / "0.bcf").write_bytes(content)
    measured = extension.cache_key(book)
    assert len({quick, paper, measured}) == 3


def test_executed_chapters_go_elsewhere_where_their_folder_cannot_be_used(
    extension, tmp_path, monkeypatch
):
    monkeypatch.setenv("HEBT_STATIC_FILES", "")
    monkeypatch.setenv("HEBT_NOTES", "")
    build = tmp_path / "_build"
    app = SimpleNamespace(outdir=build / "html", srcdir=tmp_path)
    usual = build / f".cache-{extension.cache_key(tmp_path)}"
    config = SimpleNamespace()
    extension._set_cache(app, config)
    assert Path(config.nb_execution_cache_path) == usual and usual.is_dir()
    shutil.rmtree(usual)
    usual.write_text("a file, in which nothing can be kept")
    extension._set_cache(app, config)
    other = Path(config.nb_execution_cache_path)
    assert other.is_dir() and other != usual and build not in other.parents
    assert Path(os.environ["HEBT_STATIC_FILES"]).parent == other


# ---- the pages as files ----


def test_every_chapter_ran(built_book):
    times = json.loads((built_book / "runtimes.json").read_text())
    for chapter in CHAPTERS:
        notebook = json.loads((built_book / "notebooks" / f"{chapter}.ipynb").read_text())
        code = [c for c in notebook["cells"] if c["cell_type"] == "code" and c["source"]]
        assert code, f"{chapter} has no code"
        assert all(c["execution_count"] for c in code), f"{chapter} was not run to its end"
        assert times[chapter] > 0


def test_every_picture_says_what_it_shows(soups):
    seen = 0
    for name, soup in soups.items():
        for image in soup.find_all("img"):
            if image.get("role") == "presentation" or image.get("aria-hidden") == "true":
                continue
            alt, source = image.get("alt", "").strip(), image.get("src", "")
            where = f"{name}: {source[:80]}"
            assert len(alt) > 15 and " " in alt, f"{where} has the alternative text {alt!r}"
            assert alt not in source and Path(source[:200]).name not in alt, where
            seen += 1
    assert seen > 0


def test_links_and_anchors_lead_somewhere(soups, built_book):
    anchors = {name: {t["id"] for t in soup.find_all(id=True)} for name, soup in soups.items()}
    checked = 0
    for name, soup in soups.items():
        for tag, key in (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src")):
            for element in soup.find_all(tag, **{key: True}):
                url = urljoin(f"http://book/{name}", element[key])
                parts = urlparse(url)
                if parts.netloc != "book":
                    continue
                target = unquote(parts.path).lstrip("/") or "index.html"
                fragment = unquote(urldefrag(url).fragment)
                assert (built_book / target).is_file(), f"{name} links to {element[key]}"
                if fragment and target in anchors:
                    assert fragment in anchors[target], f"{name} links to {element[key]}"
                checked += 1
    assert checked > 50


def table_rows(soup, name):
    """The texts of a table of a page: cells of its body, row by row."""
    body = soup.find(id=name).select("tbody tr")
    return [[c.get_text(" ", strip=True) for c in row.find_all(["th", "td"])] for row in body]


def test_the_paper_is_compared_line_by_line(soups):
    """No cell is empty, each status is known, and what does not agree has a reason."""
    # a copy, as cells are taken apart
    found = copy.deepcopy(soups["book/line_by_line.html"]).select("table.hebt-rows tbody tr")
    assert len(found) == sum(len(rows(part)) for part in PARTS)
    for row in found:
        place, says, links = row.th.find_all(recursive=False)
        paper, ours, status = row.find_all("td")
        tolerance = ours.small.extract()
        word = status.find(class_="hebt-status").extract().get_text()
        assert word in STATUS
        assert bool(status.get_text(strip=True)) == (word != "agrees"), says.get_text()
        assert len(links.find_all("a")) >= 2
        for cell in (place, says, paper, ours, tolerance):
            assert cell.get_text(strip=True), says.get_text()
            assert "nan" not in cell.get_text().lower()


def test_every_claim_of_the_chapters_on_the_paper_is_compared(soups):
    finds = [row.find for row in rows("claims")]
    chapters = {
        ("verdict_of", "nonalloy"): ("nonalloy", "nonalloy_claims_table"),
        ("verdict_of", "alloy"): ("alloy", "alloy_claims_table"),
        ("phantom_claim",): ("phantom", "claims_table"),
        ("sweep_claim",): ("sweeps", "claims_table"),
    }
    for kind, (page, table) in chapters.items():
        known = [find[-1] for find in finds if find[: len(kind)] == kind]
        claims = table_rows(soups[f"book/{page}.html"], f"table-{page}-{table}")
        own = ("not in the paper", "not asked there")
        said = [c[0] for c in claims if not (c[0].startswith(own) or c[1] in own)]
        assert len(said) >= 5
        assert [claim for claim in said if not any(map(claim.startswith, known))] == []


def test_tables_have_numbers_and_can_be_linked(soups):
    numbers = notebook.table_numbers()
    for name, number in numbers.items():
        (page,) = {p for p, soup in soups.items() if soup.find(id=name)}
        mark = soups[page].find(id=name).find(class_="hebt-number").get_text()
        assert mark == f"Table {number}"
    everywhere = [t["id"] for soup in soups.values() for t in soup.select(".hebt-table")]
    assert sorted(everywhere) == sorted(numbers)


def test_all_figures_and_tables_are_listed(soups):
    linked = {a["href"].partition("#")[2]: a for a in soups["book/lists.html"].select("li a[href]")}
    for name, number in notebook.figure_numbers().items():
        assert linked[name].get_text() == f"Fig. {number}"
        figure = soups[f"book/{linked[name]['href'].partition('.')[0]}.html"].find(id=name)
        assert figure.find(class_="caption-number").get_text(strip=True) == f"Fig. {number}"
        said = linked[name].parent.get_text().partition("  ")[2]
        assert len(said) > 15 and said in " ".join(figure.figcaption.get_text().split())
    assert set(notebook.table_numbers()) <= set(linked)


SHOWN_ELSEWHERE = re.compile(r"#(term-|equation-|fig-|table-)")


def test_links_inside_the_book_have_previews(soups, built_book):
    """Citations, terms, equations, figures and tables, as they stand where the link leads."""
    text = (built_book / "_static" / "previews_data.js").read_text(encoding="utf-8")
    previews = json.loads(text.removeprefix("window.hebtPreviews = ").removesuffix(";\n"))
    for key, shown in previews.items():
        page, _, anchor = key.partition("#")
        assert soups[page].find(id=anchor), key
        for image in BeautifulSoup(shown, "html.parser").find_all("img"):
            assert (built_book / image["data-src"]).is_file() and image["alt"]
        if anchor.startswith("table-"):
            there = [row.get_text() for row in soups[page].find(id=anchor).find_all("tr")]
            rows = [row.get_text() for row in BeautifulSoup(shown, "html.parser").find_all("tr")]
            assert len(rows) > 1 and rows == there[: len(rows)] and "href" not in shown
    kinds = set()
    for name, soup in soups.items():
        article = soup.find("article") or soup
        for link in article.select("a.reference.internal[href], table.hebt-rows a[href]"):
            url = urljoin(f"http://book/{name}", link["href"])
            kind = SHOWN_ELSEWHERE.search(url)
            if kind or "intro.html#id" in url:
                assert (
                    unquote(urlparse(url).path).lstrip("/") + "#" + url.partition("#")[2]
                    in previews
                )
                kinds.add(kind[1] if kind else "cited")
    assert kinds == {"term-", "equation-", "fig-", "table-", "cited"}


def test_pages_hold_nothing_that_needs_a_server(built_book, soups):
    for name in soups:
        text = (built_book / name).read_text(encoding="utf-8")
        for sign in ("widget-view+json", "widget-state+json", "thebe", "require.js", "require.min"):
            assert sign not in text, f"{name} holds {sign}"
        assert not re.search(r"""(src=|@import |url\()["']?(https?:)?//""", text), name


def test_references_of_docstrings_are_numbered(soups):
    for page, soup in soups.items():
        if page.startswith("book/api"):
            labels = soup.select("a[href^='#r'] span, .citation .label")
            assert all(re.fullmatch(r"\[\d+\]", label.text) for label in labels), page
            assert not soup.select(".citation ol"), f"{page}: an initial was read as a list"


def test_footer_says_version_fidelity_and_license(soups):
    for chapter in CHAPTERS:
        footer = soups[f"{chapter}.html"].select_one(".extra_footer").get_text()
        assert hebt.__version__ in footer
        assert "quick" in footer
        assert "CC BY 4.0" in footer and "GPL" in footer


def test_each_notebook_can_be_downloaded(soups, built_book):
    for chapter in CHAPTERS:
        soup = soups[f"{chapter}.html"]
        (link,) = soup.select("a[href$='.ipynb']")
        target = (built_book / f"{chapter}.html").parent / link["href"]
        assert json.loads(target.read_text(encoding="utf-8"))["nbformat"] == 4


# ---- the pages in a browser ----


@pytest.mark.parametrize("kind", ["http", "file"])
@pytest.mark.parametrize("page", PAGES)
def test_page_needs_nothing_but_itself(look, page, kind):
    visit = look(page, kind)
    assert visit.requests
    assert visit.outside() == []
    assert visit.errors == []
    if page in CHAPTERS:
        assert visit.page.locator("article h1").first.is_visible()


@pytest.mark.parametrize("page", CHAPTERS)
def test_page_is_not_heavy(look, page):
    weight = look(page).weight()
    assert 10_000 < weight <= HEAVIEST_PAGE, f"{weight / 1e6:.1f} MB"


def test_formulas_are_set(look, soups):
    for chapter in CHAPTERS:
        formulas = soups[f"{chapter}.html"].select(".math")
        if not formulas:
            continue
        page = look(chapter).page
        page.locator("mjx-container").first.wait_for()
        assert page.locator("mjx-container").count() >= len(formulas)
        assert page.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("kind", ["http", "file"])
def test_search_finds_a_chapter(look, kind):
    visit = look("search", kind)
    visit.settle(visit.page.url.partition("?")[0] + "?q=reconstruction")
    visit.page.locator(".search-summary", has_text="finished").wait_for()
    links = visit.page.locator("#search-results li a").evaluate_all("a => a.map(x => x.href)")
    assert any(chapter in link for link in links for chapter in CHAPTERS)
    assert visit.errors == [] and visit.outside() == []


@pytest.mark.parametrize("kind", ["http", "file"])
def test_previews_open_by_keyboard_and_by_mouse_and_close(look, kind):
    visit = look("book/models", kind)
    equation = visit.page.locator("article a[href*='#equation-eq-paper-1']").first
    work = visit.page.locator("article a[href*='intro.html#id']").first
    preview = visit.page.locator("#hebt-preview")
    equation.focus()
    preview.locator("mjx-container").wait_for()
    assert equation.get_attribute("aria-describedby") == "hebt-preview"
    visit.page.keyboard.press("Escape")
    assert preview.count() == 0 and equation.get_attribute("aria-describedby") is None
    work.hover()
    preview.get_by_text("Ultramicroscopy").wait_for()
    preview.hover()
    assert preview.count() == 1, "it stays while it is read"
    visit.page.locator("article h1").first.hover()
    preview.wait_for(state="detached")
    assert visit.errors == [] and visit.outside() == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_one_search_field(look, page):
    page = look(page).page
    buttons = page.locator(".search-button__button, .search-button-field")
    assert [b.is_visible() for b in buttons.all()].count(True) == 1
    assert page.locator("input[type=search]").count() == 1
    page.keyboard.press("Control+k")
    assert page.locator("input[type=search]").is_visible()
    page.keyboard.press("Escape")


DRAWN = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"


@pytest.mark.parametrize("page", CHAPTERS)
def test_page_fits_every_width(look, page):
    page = look(page).page
    usual = page.viewport_size
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(DRAWN)  # explorers lay themselves out anew
        wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{wide} pixels wider than a window of {width}"
    page.set_viewport_size(usual)


CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const seen = document.querySelectorAll(
    "article p, article li, article h1, article h2, article h3, article td, article th,"
    + " article figcaption, article label, article output, article button, .extra_footer p");
  return [...seen].filter((e) => e.innerText?.trim() && e.checkVisibility()).map((e) => {
    const pair = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
    return { text: e.innerText.slice(0, 60), ratio: (pair[0] + 0.05) / (pair[1] + 0.05) };
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", CHAPTERS)
def test_text_is_readable_in_light_and_dark(look, page, scheme):
    page = look(page).page
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=scheme)
    texts = page.evaluate(CONTRAST)
    assert len(texts) > 3
    assert [t for t in texts if t["ratio"] < 4.5] == []


# ---- the explorers, on pages without a kernel ----

SHOWN = """explorer => [...explorer.querySelectorAll("canvas, svg")]
  .map((e) => e.tagName === "CANVAS" ? e.toDataURL() : e.outerHTML).join("|")"""
# Whether what is drawn is what the sliders say (data-position names it, the laboratory has none),
# and differs from what was drawn before.
MOVED = f"""([explorer, before]) => {{
  const places = [...explorer.querySelectorAll("input[type=range][data-control]")];
  const {{ state, position }} = explorer.dataset;
  return state === "ready" && (position ?? places.map((e) => e.value).join()) ===
    places.map((e) => e.value).join() && ({SHOWN})(explorer) !== before;
}}"""


def explorers(visit, wanted):
    """The page's explorers, once all of them have drawn themselves."""
    visit.page.wait_for_function(
        "n => document.querySelectorAll('.hebt-explorer[data-state=ready]').length === n",
        arg=wanted,
    )
    return visit.page.locator(".hebt-explorer[data-state]").all()


def move_by_keyboard(slider):
    slider.focus()
    at, last = (int(slider.evaluate(f"e => e.{key}")) for key in ("value", "max"))
    slider.press("ArrowRight" if at < last else "ArrowLeft")


def move_by_mouse(slider):
    at, last = (int(slider.evaluate(f"e => e.{key}")) for key in ("value", "max"))
    box = slider.bounding_box()
    left = at > last / 2
    x = box["width"] * (0.02 if left else 0.98)
    slider.click(position={"x": x, "y": box["height"] / 2})


def test_chapters_have_explorers(soups):
    assert soups[f"{TOC['root']}.html"].select(".hebt-explorer"), "none in the first chapter"
    assert soups["book/phantom.html"].select(".hebt-explorer")


@pytest.mark.parametrize(("kind", "move"), [("http", move_by_keyboard), ("file", move_by_mouse)])
@pytest.mark.parametrize("page", CHAPTERS)
def test_every_slider_moves_its_pictures(look, soups, page, kind, move):
    wanted = len(soups[f"{page}.html"].select(".hebt-explorer"))
    if not wanted:
        pytest.skip("this chapter has no explorer")
    visit = look(page, kind)
    for explorer in explorers(visit, wanted):
        sliders = explorer.locator("input[type=range][data-control]").all()
        assert sliders
        for slider in sliders:
            name = slider.get_attribute("data-control")
            value = explorer.locator(f"output[data-value={name}]")
            before, said = explorer.evaluate(SHOWN), value.inner_text()
            move(slider)
            try:
                visit.page.wait_for_function(MOVED, arg=[explorer.element_handle(), before])
            except TimeoutError:
                pytest.fail(f"{name} changes no picture")
            assert value.inner_text() != said, f"{name} moves, and its value stays"
    assert visit.errors == [] and visit.outside() == []


@pytest.mark.parametrize("kind", ["http", "file"])
@pytest.mark.parametrize("page", CHAPTERS)
def test_first_pictures_without_javascript(browser, site, built_book, soups, page, kind):
    wanted = len(soups[f"{page}.html"].select(".hebt-explorer"))
    url = address(kind, page, site, built_book)
    with Visit(browser, url, java_script_enabled=False) as visit:
        posters = visit.page.locator(".hebt-explorer .hebt-poster img").all()
        assert len(posters) == wanted
        for poster in posters:
            poster.scroll_into_view_if_needed()
            box = poster.bounding_box()
            assert poster.is_visible() and box["width"] > 100 and box["height"] > 50
        assert visit.outside() == []


def test_downloaded_notebooks_read_like_the_pages(built_book):
    """Nothing is left that only Sphinx understands; figures have their captions and numbers."""
    captions = 0
    for path in sorted((built_book / "notebooks" / "book").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        first, *cells = notebook.cells
        assert "make lab" in first.source and "10.1016/j.ultramic.2016.12.008" in first.source
        page = (built_book / "book" / f"{path.stem}.html").read_text(encoding="utf-8")
        shown = " ".join(BeautifulSoup(page, "html.parser").get_text().split())
        for cell in cells:
            if cell.cell_type == "markdown":
                left = re.findall(r"\{[a-z:]+\}`|^```\{|^\([\w-]+\)=", cell.source, re.MULTILINE)
                assert not left, (path.name, left)
            found = re.match(r"\*\*Fig\. ([\d.]+)\*\*", cell.source)
            if found:
                captions += 1
                assert f"Fig. {found[1]}" in shown, (path.name, found[1])
    assert captions > 30


def plain(text):
    """The text without what typesetting changes: hard spaces and curly apostrophes."""
    return text.replace("\u00a0", " ").replace("\u2019", "'")


def test_a_downloaded_notebook_holds_the_numbers_of_its_page(built_book):
    notebook = nbformat.read(built_book / "notebooks/book/phantom.ipynb", as_version=4)
    prose = [
        re.sub(r"(?m)^#.*$", "", c.source) for c in notebook.cells if c.cell_type == "markdown"
    ]
    page = (built_book / "book" / "phantom.html").read_text(encoding="utf-8")
    shown = " ".join(BeautifulSoup(page, "html.parser").find("main").get_text().split())
    whole = re.compile(r"[A-Z][^.*`$\[|#>]{60,}\d[^.*`$\[|#>]*\.")
    sentences = [one for cell in prose for one in whole.findall(" ".join(cell.split()))]
    assert len(sentences) > 5
    for sentence in sentences:
        assert plain(sentence) in plain(shown), sentence
