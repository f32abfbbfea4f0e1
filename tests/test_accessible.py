"""Pages for everyone: a phone, a keyboard, a screen reader, no JavaScript, no motion, paper."""

import importlib.util
from pathlib import Path

import pytest
from visits import CHAPTERS, PAGES, WRITTEN, Visit, address

from companion.style import SMALLEST

AXE = Path(importlib.util.find_spec("axe_core_python").origin).with_name("axe.min.js")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
LEGIBLE = 11  # CSS pixels: the least height of the letters' em
DRAWN = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"

# ---- what axe finds

# Every width in both schemes, with every rule on the whole page. Contrast takes most of the time,
# and depends on how text and the grounds behind it look: what has been found good once in a scheme
# is not measured again, at another width, for text that looks the same. On the longest page, of
# 8079 elements, this took 28 s of processor time, and measuring all text six times 50 s; on
# the phantom's page 11 s and 17 s, on a busy machine.
LOOKS = tuple((width, scheme) for scheme in ("light", "dark") for width in (1440, 1024, 390))
GRAVE = """async (scheme) => {
  const seen = (window.seen ??= {})[scheme] ??= new Set();
  const known = new Map([[null, ""]]);
  // the grounds of an element, from the outermost on; no ground is seen through opaque text
  const grounds = (e) => {
    if (!known.has(e)) {
      const { backgroundColor, backgroundImage, opacity, position } = getComputedStyle(e);
      const own = [backgroundColor, backgroundImage, opacity, position].join();
      const plain = own === "rgba(0, 0, 0, 0),none,1,static";
      known.set(e, grounds(e.parentElement) + (plain ? "" : `/${own}`));
    }
    return known.get(e);
  };
  const look = (e) => {
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(e);
    return [grounds(e), color, fontSize, fontWeight, textShadow].join();
  };
  const written = (e) => e.matches("input, select, textarea")
    || [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const visible = [...document.querySelectorAll("body *")].filter((e) => written(e)
    && e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && e.getClientRects().length);
  visible.forEach((e) => e.toggleAttribute("data-new", !seen.has(look(e))));
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-new]" }] });
  const options = { resultTypes: ["violations", "incomplete"], elementRef: true };
  const { violations, incomplete } = await axe.run(document, options);
  // where axe can't tell, it may at another width
  const contrast = [...violations, ...incomplete].filter(({ id }) => id === "color-contrast");
  const open = new Set(contrast.flatMap(({ nodes }) => nodes.map((n) => n.element)));
  visible.filter((e) => !open.has(e)).forEach((e) => seen.add(look(e)));
  return violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) =>
    `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`);
}"""


@pytest.mark.parametrize("page", [p for p in PAGES if p != "index"])
def test_axe_finds_nothing_grave(browser, site, built_book, page):
    url = address("http", page, site, built_book)
    # without motion, colors change at once
    with Visit(browser, url, reduced_motion="reduce") as visit:
        visit.page.evaluate(AXE.read_text(encoding="utf-8"))
        for width, scheme in LOOKS:
            visit.page.set_viewport_size({"width": width, "height": 900})
            visit.page.emulate_media(color_scheme=scheme)
            visit.page.wait_for_function(
                "theme => document.documentElement.dataset.theme === theme", arg=scheme
            )
            visit.page.evaluate(DRAWN)
            found = visit.page.evaluate(GRAVE, scheme)
            assert found == [], f"{width} pixels wide, {scheme}"


def test_axe_would_find_something(browser):
    """Also what is bad at one width or in one scheme alone, and what was hidden before."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_content(
        "<html lang=en><title>t</title><main><h1>Good</h1><p id=one>text</p><p id=two>text</p>"
        "<style>@media (width < 500px) { #one { color: #bbb } }"
        "@media (width > 500px) { #two { display: none } } .dark #two { background: #666 }"
        "</style><img src=x.png>"
    )
    page.evaluate(AXE.read_text(encoding="utf-8"))

    def found():
        return [f.partition(":")[0] for f in page.evaluate(GRAVE, "a scheme")]

    assert found() == ["image-alt"]
    page.evaluate("document.querySelector('img').remove()")
    assert found() == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert found() == found() == ["color-contrast"], "what was found bad is looked at again"
    page.evaluate("document.querySelector('#one').remove()")
    assert found() == []
    page.evaluate("document.documentElement.className = 'dark'")
    assert found() == ["color-contrast"]
    page.close()


# ---- figures on a phone


@pytest.fixture(scope="module")
def phone(browser, site, built_book):
    """Open a page once on a phone."""
    opened = {}

    def open_page(page):
        if page not in opened:
            opened[page] = Visit(browser, address("http", page, site, built_book), **PHONE)
        return opened[page].page

    yield open_page
    for visit in opened.values():
        visit.context.close()


def test_every_figure_opens_large_enough_to_read(phone, soups):
    seen = 0
    for name in CHAPTERS:
        links = soups[f"{name}.html"].select("a.hebt-open")
        shown = soups[f"{name}.html"].select(
            ".cell_output img:not(.hebt-poster img, a.hebt-card img)"
        )
        assert len(links) >= len(shown), f"{name}: a picture that does not open"
        if not links:
            continue
        page = phone(name)
        for link in page.locator("a.hebt-open").all():
            inches = float(link.locator("img").get_attribute("data-inches"))
            link.evaluate("link => link.click()")
            dialog = page.locator("dialog.hebt-lightbox")
            width = dialog.locator("img").evaluate("image => image.getBoundingClientRect().width")
            assert SMALLEST * width / inches / 72 >= LEGIBLE
            dialog.get_by_role("button", name="Close").click()
            dialog.wait_for(state="detached")
            seen += 1
    assert seen > 30


def test_a_figure_opens_and_closes_by_keyboard_alone(phone):
    page = phone("book/models")
    link = page.locator("a.hebt-open").nth(1)
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.hebt-lightbox")
    assert dialog.get_attribute("aria-label").startswith("Fig.")
    caption = dialog.locator(".hebt-lightbox-text").inner_text()
    assert caption and caption in " ".join(page.locator("figcaption").nth(1).inner_text().split())
    pan, image = dialog.locator(".hebt-lightbox-pan"), dialog.locator("img")
    assert image.get_attribute("alt") == link.locator("img").get_attribute("alt")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.hebt-lightbox-pan').scrollLeft > 0")
    width = image.bounding_box()["width"]
    page.keyboard.press("+")
    assert image.bounding_box()["width"] == pytest.approx(1.25 * width, rel=0.01)
    # the keyboard stays inside
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("!document.querySelector('main').contains(document.activeElement)")
    assert pan.evaluate("pan => pan.tabIndex") == 0
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert link.evaluate("link => link === document.activeElement")


def test_text_of_explorers_is_large_enough_on_a_phone(phone, soups):
    small = """() => [...document.querySelectorAll(".hebt-explorer *")].filter((e) =>
      e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) &&
      !e.closest(".hebt-hidden, script, style") && e.getBoundingClientRect().width > 0 &&
      parseFloat(getComputedStyle(e).fontSize) < 11).map((e) => e.outerHTML.slice(0, 100))"""
    for name in CHAPTERS:
        if soups[f"{name}.html"].select(".hebt-explorer"):
            page = phone(name)
            page.wait_for_function("() => document.querySelector('.hebt-explorer[data-state]')")
            assert page.evaluate(small) == [], name


WORDS = """() => [...document.querySelectorAll(".hebt-control")].flatMap((control) => {
  const [label, output] = [".hebt-label", "output"].map((css) => control.querySelector(css));
  const slider = control.querySelector("input[type=range]");
  if (!label || !slider) return [];
  const cut = [];
  for (let k = +slider.min; k <= +slider.max; k++) {
    slider.value = k;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const lines = label.offsetHeight / parseFloat(getComputedStyle(label).lineHeight);
    if (lines > label.innerText.trim().split(" ").length + 0.5) cut.push(output.innerText);
  }
  return cut;
})"""


@pytest.mark.parametrize("width", [390, 1280])
def test_long_values_leave_the_words_of_a_slider_whole(browser, site, built_book, width):
    url = address("http", "book/dust", site, built_book)
    with Visit(browser, url, viewport={"width": width, "height": 900}) as visit:
        visit.page.wait_for_function("() => document.querySelector('.hebt-explorer[data-state]')")
        assert visit.page.evaluate(WORDS) == []


TABLE = """() => [...document.querySelectorAll(".hebt-scrolls:is(.hebt-table, .hebt-scroll)")].map(
  (frame) => {
    frame.scrollTo(frame.scrollWidth, frame.scrollHeight);
    const ground = frame.getBoundingClientRect();
    const box = (css) => frame.querySelector(css)?.getBoundingClientRect();
    const [head, first] = [box("thead th:last-child"), box("tbody tr td:first-child")];
    return { first: first ? first.left - ground.left : 0,
      head: !head || (head.top > ground.top - 2 && head.bottom < ground.bottom + 2),
      last: head ? head.right - ground.right : 0, keyboard: frame.tabIndex, name: frame.ariaLabel };
  })"""


def test_wide_tables_scroll_with_their_first_column_and_heading_in_sight(phone):
    seen = 0
    for name in ("book/phantom", "book/nonalloy", "book/speed"):
        page = phone(name)
        page.wait_for_function("() => document.querySelector('.hebt-table')")
        page.wait_for_timeout(200)  # a frame is known to scroll a moment after it is laid out
        for table in page.evaluate(TABLE):
            assert abs(table["first"]) < 3 and table["head"] and abs(table["last"]) < 3
            assert table["keyboard"] == 0 and table["name"]
            seen += 1
    assert seen > 0


def test_no_row_of_a_wide_table_fills_half_of_a_phone(phone):
    """Sentences beside numbers were columns of single words, with empty space beside them."""
    tall = """() => [...document.querySelectorAll(".hebt-scrolls tr")].filter(
      (row) => row.offsetHeight > innerHeight / 2).map((row) => row.innerText)"""
    for name in CHAPTERS:
        assert phone(name).evaluate(tall) == [], name


def test_a_long_formula_starts_at_its_start_and_scrolls(phone):
    page = phone("book/models")
    page.wait_for_function("() => document.querySelector('div.math mjx-container')")
    found = page.evaluate(
        """() => [...document.querySelectorAll("div.math mjx-container")].map((e) => {
          const [own, around] = [e, e.closest("div.math")].map((n) => n.getBoundingClientRect());
          const before = e.scrollLeft;
          e.scrollLeft = 1e4;
          return { left: own.left - around.left, before, moved: e.scrollLeft > 0,
            longer: e.scrollWidth > e.clientWidth + 1, keyboard: e.tabIndex };
        })"""
    )
    assert any(f["longer"] for f in found)
    for f in found:
        assert f["left"] >= 0 and f["before"] == 0 and f["moved"] == f["longer"]
        assert f["keyboard"] == 0


# ---- the keyboard

FOCUS = """() => {
  const shown = document.activeElement;
  if (!shown || shown === document.body) return null;
  const style = getComputedStyle(shown);
  const cut = shown.tagName === "CANVAS" && parseFloat(style.outlineOffset) > 0
    && getComputedStyle(shown.parentElement).overflow !== "visible";
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && !cut
    || / 0px 0px 0px [23]px/.test(style.boxShadow);
  const box = shown.getBoundingClientRect();
  return { tag: shown.outerHTML.slice(0, 120), ring, seen: box.width > 0 && box.height > 0 };
}"""


@pytest.mark.parametrize("page", ["book/intro", "book/laboratory", "book/nonalloy", "search"])
def test_what_takes_the_keyboard_shows_it(look, page):
    page = look(page).page
    page.wait_for_function(
        "() => !document.querySelector('.hebt-explorer:not([data-state=ready])')"
    )
    page.evaluate("document.activeElement.blur()")
    stops = []
    for _ in range(150):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUS)
        if stop is None:
            break
        stops.append(stop)
    assert len(stops) > 10
    assert [s["tag"] for s in stops if not (s["ring"] and s["seen"])] == []


def test_every_explorer_says_what_is_seen(look, soups):
    """After a move, the live text of each explorer holds a number that is not the slider's.

    Explorers of a reader's own arrays have none to give.
    """
    for name in CHAPTERS:
        if not soups[f"{name}.html"].select(".hebt-explorer"):
            continue
        page = look(name).page
        page.wait_for_function(
            "() => !document.querySelector('.hebt-explorer:not([data-state=ready])')"
        )
        for explorer in page.locator(".hebt-explorer:has([data-role=status])").all():
            slider = explorer.locator("input[data-control]").first
            if explorer.locator(".hebt-lab").count():
                continue  # its own tests follow what it says while it runs
            numbers = explorer.locator("[data-readout], .hebt-notes:not(:empty)").count()
            assert numbers or name in ("book/intro", "book/sweeps"), name
            if not numbers:
                continue
            slider.focus()
            at_end = slider.evaluate("e => e.value === e.max")
            slider.press("ArrowLeft" if at_end else "ArrowRight")
            status = explorer.locator("[data-role=status]")
            page.wait_for_function("e => e.textContent", arg=status.element_handle())
            said = status.text_content()
            # beyond what the sliders say
            for output in explorer.locator("output[data-value]").all():
                said = said.replace(output.text_content().split()[0], "", 1)
            assert any(c.isdigit() for c in said), f"{name}: {status.text_content()}"


# ---- neither motion nor JavaScript


def test_nothing_moves_for_readers_who_ask_for_that(browser, site, built_book):
    url = address("http", "book/phantom", site, built_book)
    with Visit(browser, url, reduced_motion="reduce") as visit:
        moving = visit.page.evaluate(
            """() => [...document.querySelectorAll("*")].filter((e) => {
              const { transitionDuration, animationDuration, transitionProperty,
                scrollBehavior } = getComputedStyle(e);
              return Math.max(...transitionDuration.split(",").map(parseFloat)) > 0
                && transitionProperty !== "none"
                || Math.max(...animationDuration.split(",").map(parseFloat)) > 0
                || scrollBehavior === "smooth";
            }).map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert moving == []


@pytest.mark.parametrize("page", WRITTEN)
def test_formulas_are_read_without_javascript(browser, site, built_book, soups, page):
    formulas = soups[f"{page}.html"].select(".math")
    if not formulas:
        pytest.skip("this page has no formula")
    url = address("http", page, site, built_book)
    with Visit(browser, url, java_script_enabled=False) as visit:
        shown = visit.page.locator(".math math")
        assert shown.count() == len(formulas)
        assert all(math.bounding_box()["width"] > 0 for math in shown.all()[:5])
        assert not visit.page.locator(".hebt-tex").first.is_visible()


def test_pages_print_without_what_only_a_screen_needs(look):
    page = look("book/phantom").page
    page.emulate_media(media="print")
    for unwanted in (".bd-sidebar-primary", ".bd-header-article", ".headerlink", ".copybtn"):
        for node in page.locator(unwanted).all()[:3]:
            assert not node.is_visible(), unwanted
    assert page.locator("article img").first.is_visible()
    page.emulate_media(media="screen")
