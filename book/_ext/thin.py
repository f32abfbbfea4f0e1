"""The theme's style sheets and icons without what no page uses: a reader waits for the rest.

A script of all icons (1.5 MB) becomes fonts of those that are shown, and rules for classes that
neither a page nor a script names go.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FONTS = "vendor/fontawesome/webfonts"
# sheets that hold far more than a book uses
SHEETS = ("styles/pydata-sphinx-theme.css", "sphinx-design.min.css")
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
# what stands in brackets may be one of several
_ALLOWED = re.compile(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)")
_FACE = re.compile(r"url\(\.\./(" + FONTS + r"/[\w-]+)\.woff2\)[^}]*")
# characters of icons in style sheets, written as they are or by their numbers
_SIGN = re.compile("[\ue000-\uf8ff]")
_ICON = re.compile(r"[\"']\\([ef][0-9a-f]{3})[\"']")


def used_words(pages: Iterable[str], scripts: Iterable[str]) -> set[str]:
    """All classes of these pages, and all words of these scripts: any may be a class."""
    words: set[str] = set()
    for text in pages:
        words.update(*(found.split() for found in re.findall(r'class="([^"]*)"', text)))
    for text in scripts:
        words.update(re.findall(r"[\w-]+", text))
    return words


def _rules(style: str) -> Iterator[tuple[str, str]]:
    """Selector or at-rule, and what stands between its braces."""
    at = 0
    while (brace := style.find("{", at)) >= 0:
        depth, end = 1, brace + 1
        while depth:
            if style[end] in "\"'":
                end = style.index(style[end], end + 1)
            depth += (style[end] == "{") - (style[end] == "}")
            end += 1
        yield style[at:brace], style[brace + 1 : end - 1]
        at = end


def _thinned(style, words):
    kept = []
    for head, body in _rules(style):
        name = head.strip()
        if name.startswith(("@media", "@supports", "@layer", "@container")):
            body = _thinned(body, words)
        elif not name.startswith("@"):
            # at commas outside of brackets
            parts = re.split(r",(?![^(]*\))", head)
            head = ",".join(
                p for p in parts if words.issuperset(_CLASS.findall(_ALLOWED.sub("", p)))
            )
        if head and body:
            kept.append(f"{head}{{{body}}}")
    return "".join(kept)


def thin_style(style: str, words: set[str]) -> str:
    """Return a style sheet without rules for classes that are none of `words`.

    Fonts of icons are asked for in their small form (`thin_font`).
    """
    return _FACE.sub(r'url(../\1.woff) format("woff")', _thinned(_COMMENT.sub("", style), words))


def thin_font(source: Path, target: Path, characters: set[int]) -> None:
    """Write a font of these characters alone, compressed."""
    font = TTFont(source)
    options = subset.Options(layout_features=[], notdef_outline=True, flavor="woff")
    thin = subset.Subsetter(options)
    thin.populate(unicodes=characters)
    thin.subset(font)
    subset.save_font(font, str(target), options)


def thin_static(static: Path, pages: Iterable[Path]) -> None:
    """Leave of the theme's files what these pages, or the theme's scripts, need.

    Parameters
    ----------
    static
        The folder ``_static`` of the built pages.
    pages
        The built pages.
    """
    # the script of all icons, and what only developers of the theme load
    for path in {*static.glob("scripts/fontawesome.js*"), *static.rglob("*.map")}:
        path.unlink()
    scripts = [*static.glob("*.js"), *static.glob("scripts/*.js")]
    words = used_words(*((p.read_text("utf-8") for p in some) for some in (pages, scripts)))
    for sheet in SHEETS:
        if (static / sheet).exists():
            style = thin_style((static / sheet).read_text("utf-8"), words)
            (static / sheet).write_text(style, encoding="utf-8")
    styles = "".join(path.read_text("utf-8") for path in static.rglob("*.css"))
    characters = {int(code, 16) for code in _ICON.findall(styles)}
    characters |= {ord(sign) for sign in _SIGN.findall(styles)}
    for font in sorted((static / FONTS).glob("*.ttf")):
        thin_font(font, font.with_suffix(".woff"), characters)
        font.unlink()
        font.with_suffix(".woff2").unlink(missing_ok=True)
