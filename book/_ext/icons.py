"""The theme's icons: fonts of those that the pages show, in place of a script of all, 1.5 MB."""

import re
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

STYLE = "styles/pydata-sphinx-theme.css"
FONTS = "vendor/fontawesome/webfonts"
_NAME = re.compile(r"\bfa-([a-z0-9-]+)")
_RULE = re.compile(r"((?:\.fa-[\w-]+::?before,?)+)\{content:\"([^\"]*)\"\}")
_FACE = re.compile(r"url\(\.\./(" + FONTS + r"/[\w-]+)\.woff2\)[^}]*")
# characters of icons in style sheets, written as they are or by their numbers
_SIGN = re.compile("[\ue000-\uf8ff]")
_ICON = re.compile(r"[\"']\\([ef][0-9a-f]{3})[\"']")


def used_names(texts: Iterable[str]) -> set[str]:
    """Names of icons, without ``fa-``, in pages and scripts."""
    return {name for text in texts for name in _NAME.findall(text)}


def thin_style(style: str, names: set[str]) -> str:
    """Return the theme's style sheet with rules for these icons alone, from smaller fonts."""

    def keep(rule):
        wanted = not names.isdisjoint(_NAME.findall(rule[1]))
        return rule[0] if wanted else ""

    return _FACE.sub(r'url(../\1.woff) format("woff")', _RULE.sub(keep, style))


def thin_font(source: Path, target: Path, characters: set[int]) -> None:
    """Write a font of these characters alone, compressed."""
    font = TTFont(source)
    options = subset.Options(layout_features=[], notdef_outline=True, flavor="woff")
    thin = subset.Subsetter(options)
    thin.populate(unicodes=characters)
    thin.subset(font)
    subset.save_font(font, str(target), options)


def thin_icons(static: Path, pages: Iterable[Path]) -> None:
    """Leave of the theme's icons those that these pages or the theme's scripts name.

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
    names = used_names(path.read_text("utf-8") for path in [*pages, *scripts])
    style = static / STYLE
    style.write_text(thin_style(style.read_text("utf-8"), names), encoding="utf-8")
    styles = "".join(path.read_text("utf-8") for path in static.rglob("*.css"))
    characters = {int(code, 16) for code in _ICON.findall(styles)}
    characters |= {ord(sign) for sign in _SIGN.findall(styles)}
    for font in sorted((static / FONTS).glob("*.ttf")):
        thin_font(font, font.with_suffix(".woff"), characters)
        font.unlink()
        font.with_suffix(".woff2").unlink(missing_ok=True)
