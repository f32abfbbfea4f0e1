"""What is done to the text of a page, and to the theme's files, without building a book."""

import re
import sys
from xml.etree import ElementTree

import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import pages
import printed
import thin


def shown(tex, block=False):
    """The characters that MathML shows of a formula."""
    tree = ElementTree.fromstring(pages.mathml(tex, block))
    return "".join(tree.itertext())


def test_formulas_become_mathml_with_all_their_signs():
    assert shown(r"x_i < 3") == "xi<3"
    assert shown(r"\big\lVert p - \mathbf{W} x \Big\rVert_2^2", True) == "‖p-𝐖x‖22".replace(
        "-", "−"
    )
    assert shown(r"\begin{align*} a &= b \\ c &= d \end{align*}", True) == "a=bc=d"
    inner = r"\begin{aligned} a &= b \\ c &= d \end{aligned}"
    assert shown(rf"\begin{{split}}{inner}\end{{split}}", True) == "a=bc=d"
    assert shown(r"\begin{split} a &= b \\ c &= d \end{split}", True) == "a=bc=d"
    assert "*" not in shown(r"x = \operatorname*{argmin}_x f")
    assert shown(r"p = \sum_{e=1}^{k} z^{(e)} \tag{3}", True) == "p=∑e=1kz(e)"


def test_a_formula_that_is_unknown_stays_as_it_is_and_is_told():
    body = r'<span class="math notranslate nohighlight">\(\nosuchcommand{x}\)</span>'
    told = []
    assert pages.formulas_for_all(body, told.append) == body
    assert told == [r"\nosuchcommand{x}"]


def test_formulas_are_there_twice_with_and_without_javascript():
    body = (
        r'<p>with <span class="math notranslate nohighlight">\(a &lt; b\)</span> and <code>\(c\)'
        r"</code></p>"
    )
    out = pages.formulas_for_all(body)
    assert out.count("<noscript>") == 1 and r"<code>\(c\)</code>" in out
    assert r'<span class="hebt-tex">\(a &lt; b\)</span>' in out and "<mo>&lt;</mo>" in out
    chapters = sorted((ROOT / "book").glob("*.md"))
    unknown = [
        (chapter.name, found[0])
        for chapter in chapters
        for found in formulas(chapter.read_text(encoding="utf-8"))
        if pages.mathml(found[1] or found[2], bool(found[1])) is None
    ]
    assert unknown == []


def formulas(chapter):
    """Formulas of a chapter, outside of code."""
    prose = re.sub(r"`[^`]*`", "", re.sub(r"(?s)```.*?```", "", chapter))
    return re.finditer(r"(?s)\$\$(.+?)\$\$|(?<![\\$])\$([^$]+?)\$", prose)


@pytest.mark.parametrize("density", [100, 150])
def test_pictures_say_how_large_they_are(tmp_path, density):
    file = tmp_path / "a.png"
    Image.new("RGB", (600, 300)).save(file, dpi=(density, density))
    body = '<img alt="What is seen." src="../_images/a.png" /><a href="b"><img src="../c.png"></a>'
    out = pages.pictures_to_open(2 * body, {"../_images/a.png": file, "../c.png": file})
    assert out.count('<a class="hebt-open" href="../_images/a.png">') == 2
    assert f'width="600" height="300" data-inches="{600 / density:.2f}"' in out
    assert out.count('loading="lazy"') == 1, "the first picture is not put off"
    assert out.count('<a href="b"><img src="../c.png"></a>') == 2, "other links stay"


def test_tables_get_a_frame_once():
    body = "<table><caption>Scores<a>#</a></caption><tr><td>1</td></tr></table>"
    out = pages.tables_that_scroll(body)
    assert out.startswith(
        '<div class="hebt-scroll" role="region" aria-label="Scores" tabindex="0">'
    )
    framed = f'<div class="hebt-table" tabindex="0">{body}</div>'
    assert pages.tables_that_scroll(framed) == framed


def test_cells_with_a_sentence_are_marked_and_others_are_not():
    long, short = (
        "a sentence " * 6,
        "<b title='not seen, however long this title may be'>x &amp; y</b>",
    )
    body = (
        f'<table><tr><th>{long}</th><td class="n" id="i">{long}</td><td>{short}</td></tr></table>'
    )
    out = pages.tables_that_scroll(body)
    assert f'<th class="hebt-long">{long}</th>' in out
    assert f'<td class="hebt-long n" id="i">{long}</td><td>{short}</td>' in out


# ---- the theme's files


def test_a_thin_style_sheet_keeps_what_a_page_may_need():
    style = """/* {.gone{} */ .used,.gone a:hover{color:red} .gone{a:b} p>.used:not(.gone){c:d}
    @media (min-width: 10px){.gone{x:y} .used .later{e:f}} @media print{.gone{x:y}}
    a::after{content:"}.used{"} :is(.used,.gone) b{g:h} @font-face{font-family:"F"} h1,h2{i:j}"""
    thinned = thin.thin_style(style, {"used", "later"})
    kept = re.sub(r"\s", "", thinned)
    assert (
        kept
        == (
            ".used{color:red}p>.used:not(.gone){c:d}@media(min-width:10px){.used.later{e:f}}"
            'a::after{content:"}.used{"}@font-face{font-family:"F"}h1,h2{i:j}'
        )
        or ":is(.used,.gone)b{g:h}" in kept
    )


def test_words_are_classes_of_pages_and_all_words_of_scripts():
    words = thin.used_words(['<p class="a b-c">d</p>'], ["x.classList.add('e-f')"])
    assert {"a", "b-c", "e-f"} <= words and "d" not in words


def test_icons_become_fonts_of_those_that_are_shown(tmp_path):
    import shutil
    from pathlib import Path

    import pydata_sphinx_theme
    from fontTools.ttLib import TTFont

    theme = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    static = tmp_path / "_static"
    shutil.copytree(theme, static)
    page = tmp_path / "a.html"
    page.write_text('<i class="fas fa-download"></i><div class="admonition note"></div>')
    thin.thin_static(static, [page])
    assert not list(static.rglob("fontawesome.js*")) and not list(static.rglob("*.map"))
    style = (static / thin.SHEETS[0]).read_text(encoding="utf-8")
    assert ".fa-download:" in style and ".fa-carrot" not in style and len(style) < 120_000
    for name in re.findall(rf"{thin.FONTS}/([\w.-]+)\)", style):
        assert (static / thin.FONTS / name).is_file(), name
    font = TTFont(static / thin.FONTS / "fa-solid-900.woff")
    # the sign of a download, and of a note in its style sheet
    assert {0xF019, 0xF05A} <= font.getBestCmap().keys()
    assert font.flavor == "woff" and len(font.getBestCmap()) < 60


# ---- the printed book

PAGE = """<html><body><article class="bd-article"><section id="one"><h1>A<a class="headerlink"
href="#one">#</a></h1><p id="p"><a href="b.html#q">to b</a> <a href="#one">up</a>
<a href="../notebooks/a.ipynb">away</a> <a href="https://x.org/">out</a></p>
<details class="hebt-origin"><summary>How it was made</summary></details>
<div class="hebt-explorer" id="e"><style>x</style><figure><img loading="lazy" src="data:image/png">
<noscript><p>no</p></noscript></figure><script>mount("</article>")</script></div></section>
</article></body></html>"""


def test_a_printed_page_leads_to_places_of_the_one_document():
    body = printed.article(PAGE, "book/a", {"a", "b"}, "https://pages.org/")
    links = {a.get_text(): a["href"] for a in body.select("a[href]")}
    assert links["to b"] == "#b--q" and links["up"] == "#a--one"
    assert links["out"] == "https://x.org/" and "away" not in links
    assert links["https://pages.org/book/a.html"] == "https://pages.org/book/a.html"
    assert {n["id"] for n in body.select("[id]")} == {"a--one", "a--p", "a--e"}
    assert not body.select("script, style, noscript, .headerlink, .hebt-origin, [loading]")
    without = printed.article(PAGE, "book/a", {"a", "b"})
    assert "book/a.html" in without.select_one(".hebt-live").get_text()


def test_places_of_a_pdf_are_numbers_of_its_pages():
    pdf = b"""
1 0 obj
<</Type /Pages /Count 3 /Kids [2 0 R 5 0 R]>>
endobj
2 0 obj
<</Type /Pages
/Kids [3 0 R 4 0 R]>>
endobj
3 0 obj
<</Type /Page>>
endobj
9 0 obj
<</a [4 0 R /XYZ 0 1 0]
/b#20c [5 0 R /XYZ 0 1 0]>>
endobj
"""
    assert printed.places(pdf) == {"a": 2, "b c": 3}
