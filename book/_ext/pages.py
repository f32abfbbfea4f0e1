"""What is done to the text of a page: formulas, figures and tables that everyone can read."""

import html
import itertools
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml

# a formula as Sphinx writes it, inside \( \) or \[ \]
_FORMULA = re.compile(
    r'(<(?:span|div) class="(?:amsmath )?math notranslate nohighlight"[^>]*>.*?)'
    r"(\\([(\[])(.*?)\\[)\]])",
    re.S,
)
# what the converter does not know: numbers that Sphinx writes itself, and sizes of delimiters
_IGNORED = re.compile(
    r"\\(?:tag|label)\{[^}]*\}|\\[bB]igg?[lrm]?(?![a-zA-Z])|\\(?:begin|end)\{equation\*?\}"
)
_IMAGE = re.compile(r'<img (?P<rest>[^>]*?src="(?P<src>[^":]+\.png)"[^>]*?)\s*/?>')
_CELL = re.compile(r"<(t[dh])\b([^>]*)>(.*?)</\1>", re.S)
LONG = 60  # characters of a cell that has to be a column wide enough to read
_TABLE = re.compile(r'(<div class="hebt-table"[^>]*>)?<table\b.*?</table>', re.S)
INCH = 0.0254  # meters


def mathml(tex: str, block: bool) -> str | None:
    """Return a formula as MathML, or None where that fails."""
    tex = _IGNORED.sub("", tex).strip().replace(r"\operatorname*", r"\operatorname")
    if r"\begin{align" in tex:  # Sphinx puts another frame around it
        tex = re.sub(r"\\(begin|end)\{split\}", "", tex).strip()
    tex = re.sub(r"\{(?:align\*?|split)\}", "{aligned}", tex)
    try:
        text = latex2mathml.tex2mathml(tex, as_block=block)
    except (MathError, AttributeError, IndexError, TypeError):
        return None
    return re.sub(r">\s+<", "><", text).replace("&ApplyFunction;", "&#x2061;")


def formulas_for_all(body: str, unknown=lambda tex: None) -> str:
    """Return a page whose formulas are MathML for readers without JavaScript.

    `unknown` is called with formulas that stay TeX there.
    """

    def both(found):
        before, whole, bracket, tex = found.groups()
        shown = mathml(html.unescape(tex), bracket == "[")
        if shown is None:
            unknown(html.unescape(tex))
            return found[0]
        return f'{before}<span class="hebt-tex">{whole}</span><noscript>{shown}</noscript>'

    return _FORMULA.sub(both, body)


def png_size(path: Path) -> tuple[int, int, float]:
    """Return width and height in pixels, and pixels an inch (0 where it does not say)."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    mark = data.find(b"pHYs", 0, 4096)
    a_meter = struct.unpack(">I", data[mark + 4 : mark + 8])[0] if mark > 0 else 0
    return width, height, a_meter * INCH


def pictures_to_open(body: str, pictures: Mapping[str, Path]) -> str:
    """Return a page whose pictures lead to themselves in full size, with the space they take.

    Parameters
    ----------
    body
        The page's text.
    pictures
        Address of a picture, as the page has it -> its file.
    """
    seen = itertools.count()

    def opened(found):
        if found["src"] not in pictures:
            return found[0]
        width, height, density = png_size(pictures[found["src"]])
        inches = f' data-inches="{width / density:.2f}"' if density else ""
        size = "" if " width=" in found["rest"] else f' width="{width}" height="{height}"'
        # the first one may be what a reader sees first
        later = ' loading="lazy"' if next(seen) else ""
        image = f'<img {found["rest"].rstrip()}{size}{inches} decoding="async"{later}>'
        return f'<a class="hebt-open" href="{found["src"]}">{image}</a>'

    # pictures that lead elsewhere stay as they are
    parts = re.split(r"(<a\b[^>]*>.*?</a>)", body, flags=re.S)
    return "".join(p if p.startswith("<a") else _IMAGE.sub(opened, p) for p in parts)


def tables_that_scroll(body: str) -> str:
    """Return a page whose tables lie in frames of their own, which a keyboard can scroll.

    Cells of more than `LONG` characters are marked as `hebt-long`, and stay wide enough to read.
    """

    def cell(found):
        tag, rest, content = found.groups()
        if len(_text(content)) <= LONG:
            return found[0]
        marked = re.sub(r'\bclass="', 'class="hebt-long ', rest)
        rest = f'{rest} class="hebt-long"' if marked == rest else marked
        return f"<{tag}{rest}>{content}</{tag}>"

    def framed(found):
        table = _CELL.sub(cell, found[0])
        if found[1]:  # it has a frame already
            return table
        caption = re.search(r"<caption\b[^>]*>(.*?)</caption>", table, re.S)
        label = html.escape((_text(caption[1]) if caption else "") or "Table", quote=True)
        frame = f'class="hebt-scroll" role="region" aria-label="{label}" tabindex="0"'
        return f"<div {frame}>{table}</div>"

    return _TABLE.sub(framed, body)


def _text(markup: str) -> str:
    """Return what a reader sees of a caption or a cell."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split()).strip("# ")


def citations_in_lists(body: str) -> str:
    """Return a page whose lists of references have items, as lists of screen readers must."""
    return body.replace(' role="doc-biblioentry"', ' role="listitem"')


def description(doctree: nodes.document, most: int = 200) -> str:
    """Return the first sentences of a page, in at most so many characters."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):
            continue
        text = " ".join(paragraph.astext().split())
        if len(text) <= most:
            return text
        sentences = text[:most].rpartition(". ")[0]
        return f"{sentences}." if sentences else text[: most - 1].rpartition(" ")[0] + "…"
    return ""
