"""The built pages as one PDF: ``python book/_ext/printed.py _build/html book.pdf``.

Chromium prints one page that is made of all pages: a title page, contents with page numbers, and
the chapters. Explorers are their first pictures. Environment variables: ``BOOK_PAGES_URL`` is
where the pages can be seen, to which explorers then lead.
"""

import html
import os
import re
import shutil
import sys
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

from hebt._files import written_aside

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
_SCRIPT = re.compile(r"<(script|style)\b[^>]*>.*?</\1>", re.S)
_ARTICLE = re.compile(r'<article class="bd-article"[^>]*>(.*?)</article>', re.S)
_STYLES = ("pygments.css", "print.css")
_READY = "() => window.MathJax?.startup?.promise?.then(() => document.fonts.ready).then(() => true)"


def chapters(root: Path) -> list[tuple[str, list[str]]]:
    """Return the parts of the book and their pages, in order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = toc.get("parts") or [{"caption": "", "chapters": toc.get("chapters", [])}]
    named = [(p.get("caption", ""), [c["file"] for c in p["chapters"]]) for p in parts]
    return [("", [toc["root"]]), *named]


def slug(page: str) -> str:
    """Return the name of a page in addresses inside the one document."""
    return page.rpartition("/")[2]


def _link(href, here, known):
    """Where a link of a page leads in the one document; None where that is not in it."""
    if re.match(r"[a-z]+:", href):
        return href
    target, _, place = href.partition("#")
    name = slug(target.removesuffix(".html")) if target else here
    if name not in known or (target and not target.endswith(".html")):
        return None
    return f"#{name}--{place}" if place else f"#{name}"


def _unfold(body):
    """Paper folds nothing: calls that only draw are left out, other folded code is shown."""
    for unwanted in body.select(".tag_hide-input details.hide, .backrefs"):
        unwanted.decompose()
    for details in body.select("details.hide"):
        details.summary.decompose()
        details.unwrap()
    for caption in body.select("table > caption"):  # stays with its table as a paragraph alone
        caption.parent.insert_before(caption)
        caption.name, caption["class"] = "p", "hebt-title"
    for box in body.select("blockquote, details, .admonition"):
        box["class"] = [*box.get("class", ()), "hebt-box"]


def article(text: str, page: str, known: set[str], address: str = "") -> BeautifulSoup:
    """Return a page's text as it stands in the one document.

    Parameters
    ----------
    text
        The built page.
    page
        Its name, such as ``book/phantom``.
    known
        Short names of all pages that are in the document.
    address
        Where the pages can be seen; without it an explorer names its page.
    """
    here = slug(page)
    body = BeautifulSoup(_ARTICLE.search(_SCRIPT.sub("", text))[1], "html.parser")
    _unfold(body)
    for explorer in body.select(".hebt-explorer"):
        for note in explorer.select("noscript"):
            note.decompose()
        live = body.new_tag("p", attrs={"class": "hebt-live"})
        if address:
            link = f"{address.rstrip('/')}/{page}.html"
            live.append("This figure moves at ")
            live.append(body.new_tag("a", href=link, string=link))
        else:
            live.append(f"This figure moves in the book's pages: {page}.html")
        explorer.append(live)
    for unwanted in body.select(".headerlink, noscript, .toggle-button, .hebt-origin"):
        unwanted.decompose()
    for details in body.select("details"):
        details["open"] = ""
    for image in body.select("img"):
        image.attrs.pop("loading", None)
        inches = image.get("data-inches")
        if inches:  # its text about as large as the book's
            image["style"] = f"width: {0.9 * float(inches):.2f}in"
    for link in body.select("a[href]"):
        link["href"] = _link(link["href"], here, known) or ""
        if not link["href"] or "hebt-open" in link.get("class", ()):
            link.name = "span"
            del link["href"]
    for node in body.select("[id]"):
        node["id"] = f"{here}--{node['id']}"
    return body


def contents(parts: list, bodies: dict, at: dict[str, int]) -> str:
    """Return the list of chapters and their sections, with the numbers of their pages."""

    def line(heading, place):
        name = html.escape(" ".join(heading.get_text().split()))
        return f'<a href="#{place}">{name}<span class="hebt-at">{at.get(place, "")}</span></a>'

    rows = []
    for caption, pages in parts:
        if caption:
            rows.append(f'<li class="hebt-part">{html.escape(caption)}</li>')
        for page in pages:
            body = bodies[page]
            sections = [(h, h.find_parent("section", id=True)) for h in body.select("h2")]
            inner = "".join(f"<li>{line(h, s['id'])}</li>" for h, s in sections if s)
            chapter = line(body.select_one("h1"), slug(page))
            rows.append(f"<li>{chapter}<ol>{inner}</ol></li>")
    return f"<nav><h1>Contents</h1><ol>{''.join(rows)}</ol></nav>"


def citation(root: Path) -> dict:
    """Return what CITATION.cff says."""
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def cover(root: Path, footer: str) -> str:
    """Return the title page."""
    about = citation(root)
    paper = about["preferred-citation"]
    people = [f"{a['given-names']} {a['family-names']}" for a in paper["authors"]]
    names = f"{', '.join(people[:-1])} and {people[-1]}"
    title, _, under = about["title"].partition(": ")
    return (
        f'<div class="hebt-cover"><h1>{html.escape(title)}</h1>'
        f"<p>{html.escape(under[:1].upper() + under[1:])}</p>"
        f"<p>{html.escape(', '.join(a['name'] for a in about['authors']))}</p>"
        f"<p>A companion to: {html.escape(names)}, <em>{html.escape(paper['title'])}</em>, "
        f"{paper['journal']} {paper['volume']} ({paper['year']}) {paper['start']}–{paper['end']}, "
        f'<a href="https://doi.org/{paper["doi"]}">doi:{paper["doi"]}</a>.</p>'
        f'<div class="hebt-facts">{footer}</div></div>'
    )


def document(pages: Path, at: dict[str, int], root: Path = ROOT) -> str:
    """Return the one document; `at` says on which page of paper its places are."""
    parts = chapters(root)
    names = [page for _, some in parts for page in some]
    known, address = {slug(name) for name in names}, os.environ.get("BOOK_PAGES_URL", "")
    texts = {name: (pages / f"{name}.html").read_text(encoding="utf-8") for name in names}
    bodies = {name: article(texts[name], name, known, address) for name in names}
    footer = BeautifulSoup(texts[names[0]], "html.parser").select_one(".extra_footer")
    styles = "".join(f'<link rel="stylesheet" href="../_static/{s}">' for s in _STYLES)
    text = "".join(f'<article id="{slug(n)}">{bodies[n]}</article>' for n in names)
    mathjax = "{options: {enableAssistiveMml: false, enableMenu: false, processHtmlClass: 'math'}}"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(citation(root)['title'])}</title>{styles}"
        f"<script>window.MathJax = {mathjax};</script>"
        '<script defer src="../_static/mathjax/tex-mml-chtml.js"></script></head>'
        f"<body>{cover(root, footer.decode_contents())}{contents(parts, bodies, at)}{text}"
        "</body></html>"
    )


def places(pdf: bytes) -> dict[str, int]:
    """Return on which page each place that is linked to lies, counted from 1.

    Chromium writes them as plain text: pages as ``7 0 obj <</Type /Page``, their order in
    ``/Kids``, and places as ``/name [7 0 R /XYZ ...]``.
    """
    kids = {
        int(number): [int(k) for k in re.findall(rb"(\d+) 0 R", inner)]
        for number, inner in re.findall(
            rb"\n(\d+) 0 obj\s*<</Type /Pages\b(?:(?!endobj).)*?/Kids \[([^\]]*)\]", pdf, re.S
        )
    }
    inside = {k for some in kids.values() for k in some}
    order: list[int] = []

    def walk(number):
        if number in kids:
            for kid in kids[number]:
                walk(kid)
        else:
            order.append(number)

    for number in sorted(set(kids) - inside):
        walk(number)
    place = {number: i for i, number in enumerate(order, start=1)}
    found = re.findall(rb"/([^\s/\[\]<>()]+) \[(\d+) 0 R\s*/XYZ", pdf)
    named = {_name(name): place[int(page)] for name, page in found if int(page) in place}
    return {name: page for name, page in named.items() if name != "Dest"}


def _name(written):
    """A name of a PDF, in which some characters are written as #20."""
    return re.sub(r"#([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), written.decode())


def write(pages: Path, target: Path, chromium, root: Path = ROOT) -> dict[str, int]:
    """Print the book into `target`; gives the page of paper on which each place is.

    Parameters
    ----------
    pages
        The folder of the built pages.
    target
        The PDF to write.
    chromium
        A browser of playwright.
    root
        The folder of ``_toc.yml`` and ``CITATION.cff``.
    """
    first = chapters(root)[0][1][0]
    source = (pages / first).with_name("print.html")
    at: dict[str, int] = {}
    page = chromium.new_page()
    try:
        # the second time the contents know their pages
        for _ in range(2):
            source.write_text(document(pages, at, root), encoding="utf-8")
            page.goto(source.as_uri(), timeout=300_000)
            page.wait_for_function(_READY, timeout=300_000)
            pdf = page.pdf(
                prefer_css_page_size=True, print_background=True, outline=True, tagged=True
            )
            at = places(pdf)
    finally:
        page.close()
        source.unlink(missing_ok=True)
    with written_aside(target) as part:
        part.write_bytes(pdf)
    return at


def main(folder: Path, file: Path) -> None:
    """Print the pages of a folder into a file, with the Chromium that is installed."""
    from playwright.sync_api import sync_playwright

    names = (os.environ.get("HEBT_BROWSER", ""), *BROWSERS)
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise SystemExit(f"A PDF needs Chromium, and none of {', '.join(BROWSERS)} was found.")
    if not (folder / "index.html").is_file():
        raise SystemExit(f"{folder} holds no index.html; build the pages first: make book.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        write(folder.resolve(), file, chromium)
        chromium.close()
    print(f"The book is in {file}.")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
