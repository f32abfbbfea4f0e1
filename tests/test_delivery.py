"""How the book reaches its readers: how soon a page lives, as one file, and printed."""

import re
import shutil
import zipfile
import zlib

import pytest
from conftest import extension_of
from visits import CHAPTERS, PATIENCE, WRITTEN, Visit

SLOW = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
# Bytes that have to arrive before a reader sees text and the first explorer moves. On a line of
# 1.6 Mbit/s, 200 kB a second, 1 MB are 5 seconds: no time is measured here, as machines differ.
BEFORE_TEXT, BEFORE_ALIVE = 350_000, 1_000_000
REQUESTS = 45
WAITED_FOR = """() => performance.getEntriesByType("resource").filter((e) =>
  e.renderBlockingStatus === "blocking" || e.responseEnd < window.alive)
  .map((e) => [e.name, e.encodedBodySize, e.renderBlockingStatus])"""
ALIVE = """const timer = setInterval(() => {
  if (!document.querySelector(".hebt-explorer[data-state=ready]")) return;
  window.alive = performance.now();
  clearInterval(timer);
}, 5);"""


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_page_lives_before_all_of_it_is_there(browser, site, built_book, soups, page):
    """What blocks the first picture is small, and the formulas' program comes after explorers."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.add_init_script(ALIVE)
    tab.goto(f"{site}/{page}.html")
    explorers = soups[f"{page}.html"].select(".hebt-explorer")
    if explorers:
        tab.wait_for_function("() => window.alive")
    else:
        tab.evaluate("window.alive = 0")
    found = tab.evaluate(WAITED_FOR)
    context.close()
    assert len(asked) <= REQUESTS
    assert not any("fontawesome.js" in url or "searchindex" in url for url in asked)
    blocking = [size for _, size, status in found if status == "blocking"]
    assert sum(blocking) <= BEFORE_TEXT, found
    text = soups[f"{page}.html"]
    if explorers:
        source = (built_book / f"{page}.html").read_text(encoding="utf-8")
        first = source[: source.index('mount("')].encode()
        assert len(first) + sum(blocking) <= BEFORE_ALIVE
    # scripts of the formulas are none before the page is there
    later = text.select("script.hebt-later")
    assert all(script["type"] == "text/plain" for script in later)
    assert not text.select("script[src*=mathjax]:not(.hebt-later)")


def test_the_first_page_lives_on_a_slow_line(browser, site):
    """At 1.6 Mbit/s, in seconds of the line and not of the machine: what was received by then."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    line = context.new_cdp_session(tab)
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", SLOW)
    received = []
    line.on("Network.dataReceived", lambda event: received.append(event["dataLength"]))
    tab.goto(f"{site}/book/intro.html", wait_until="commit")
    tab.wait_for_function("() => document.querySelector('.hebt-explorer[data-state=ready]')")
    arrived = sum(received)
    context.close()
    # four round trips, and what a line of 200 kB a second carries in the rest of six seconds
    assert 0 < arrived < (6 - 4 * 0.15) * SLOW["downloadThroughput"]


# ---- one file to keep


def test_the_archive_works_from_disk(browser, built_book, tmp_path):
    target = tmp_path / "hebt-book-1.2.3.zip"
    count = extension_of("archive").write(built_book, target)
    with zipfile.ZipFile(target) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        packed.extractall(tmp_path / "a folder of Zoë's")
    assert len(names) == len(set(names)) == count + 1
    assert {name.partition("/")[0] for name in names} == {"hebt-book-1.2.3"}
    root = tmp_path / "a folder of Zoë's" / "hebt-book-1.2.3"
    assert "index.html" in (root / "README.txt").read_text()
    with Visit(browser, (root / "index.html").as_uri()) as visit:
        visit.page.wait_for_url("**/book/intro.html")
        visit.settle((root / "book" / "nonalloy.html").as_uri())
        page = visit.page
        page.wait_for_function(
            "() => !document.querySelector('.hebt-explorer:not([data-state=ready])')"
        )
        for explorer in page.locator(".hebt-explorer").all():
            before = explorer.get_attribute("data-position")
            slider = explorer.locator("input[data-control]").first
            slider.focus()
            at_end = slider.evaluate("e => e.value === e.max")
            slider.press("ArrowLeft" if at_end else "ArrowRight")
            page.wait_for_function(
                "([e, before]) => e.dataset.state === 'ready' && e.dataset.position !== before",
                arg=[explorer.element_handle(), before],
            )
        assert page.locator("mjx-container").count() or not page.locator(".math").count()
        assert visit.errors == [] and visit.outside() == []


def test_two_archives_of_the_same_pages_are_equal(tmp_path):
    pages = tmp_path / "html"
    (pages / "book").mkdir(parents=True)
    (pages / "index.html").write_text("<p>first")
    (pages / "book" / "a.html").write_text("second")
    archive = extension_of("archive")
    archive.write(pages, tmp_path / "one.zip")
    first = (tmp_path / "one.zip").read_bytes()
    (pages / "index.html").touch()
    archive.write(pages, tmp_path / "one.zip")
    assert (tmp_path / "one.zip").read_bytes() == first
    with pytest.raises(FileNotFoundError, match="make book"):
        archive.write(tmp_path / "nowhere", tmp_path / "two.zip")


# ---- printed


def test_the_book_is_printed_whole(browser, built_book, tmp_path):
    """Title page, contents with the numbers of pages, all chapters, explorers as pictures."""
    printed = extension_of("printed")
    target = tmp_path / "book.pdf"
    # the page that is printed lies among the others for a while, which other tests look through
    pages = shutil.copytree(built_book, tmp_path / "pages")
    at = printed.write(pages, target, browser)
    pdf = target.read_bytes()
    count = len(re.findall(rb"/Type /Page\b", pdf))
    starts = [at[printed.slug(page)] for page in WRITTEN]
    assert starts == sorted(set(starts)) and starts[0] > 2 and starts[-1] <= count
    assert len(at) > 60, "places of sections are among them"
    text = printed.document(built_book, at)
    # the contents say where chapters begin, once more for the document that was printed
    numbers = [int(n) for n in re.findall(r'class="hebt-at">(\d+)<', text)]
    assert set(starts) <= set(numbers) and numbers == sorted(numbers)
    assert "<script type=" not in text and 'class="hebt-live"' in text
    assert len(zlib.compress(pdf, 1)) > 500_000, "its pictures are missing"
