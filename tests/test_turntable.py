"""Bodies that the reader turns: what a page stores of them, and what it shows."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from visits import Visit

from hebt import explorers

RNG = np.random.default_rng(0)
TURNS, TIPS, CUTS = [0, 120, 240], [0, 30], ["nothing", "the front half"]


@pytest.fixture
def pictures():
    # 2 tips, 3 turns; each view has a gray of its own
    grays = np.arange(6).reshape(2, 3) * 40
    one = np.broadcast_to(grays[:, :, None, None, None], (2, 3, 16, 16, 3)).astype(np.uint8)
    return {"one": one, "two": 255 - one}


def gray(data, ends, k):
    start = ends[k - 1] if k else 0
    return float(np.asarray(Image.open(io.BytesIO(data[start : ends[k]])).convert("L")).mean())


def test_views_are_stored_in_their_places(pictures):
    table = explorers.Turntable(pictures, turns=[0, 120, 240], tips=[0, 30], start=(120, 30))
    (ends,), (stored,) = table.spec["ends"], table.views
    assert ends[-1] == len(stored) and len(ends) == 12
    for body, (_title, views) in enumerate(pictures.items()):
        for tip in range(2):
            for turn in range(3):
                found = gray(stored, ends, (body * 2 + tip) * 3 + turn)
                assert found == pytest.approx(views[tip, turn].mean(), abs=4)
        assert gray(table.first, table.spec["first"], body) == pytest.approx(
            views[1, 1].mean(), abs=4
        )
    assert table.poster().startswith(b"\x89PNG") and "one" in table.describe()
    said = {"two": [["a", "b", "c"], ["d", "e", "f"]]}
    table = explorers.Turntable(pictures, turns=[0, 120, 240], tips=[0, 30], notes=said)
    assert [p["notes"] for p in table.spec["panels"]] == [[], [said["two"]]]


def test_a_static_page_loads_views_only_when_asked(pictures, monkeypatch, tmp_path):
    monkeypatch.setenv("HEBT_STATIC", "1")
    noise = {k: RNG.integers(0, 255, (2, 8, 160, 160, 3), dtype=np.uint8) for k in pictures}
    monkeypatch.setenv("HEBT_STATIC_FILES", str(tmp_path))
    html = explorers.Turntable(noise, turns=range(0, 360, 45), tips=[0, 30]).html()
    files = list(tmp_path.glob("*.js"))
    assert len(files) == 1 and files[0].name in html
    assert files[0].read_text()[-400:-200] not in html


def test_bad_views_are_refused(pictures):
    with pytest.raises(ValueError, match="expected \\(2, 2, 16, 16, 3\\)"):
        explorers.Turntable(pictures, turns=[0, 1], tips=[0, 30])
    with pytest.raises(ValueError, match="start is"):
        explorers.Turntable(pictures, turns=[0, 120, 240], tips=[0, 30], start=(5, 0))
    with pytest.raises(ValueError, match="pictures is {}; expected at least one body"):
        explorers.Turntable({}, turns=[0], tips=[0])
    said = {"one": [["a", "b", "c"]]}
    with pytest.raises(ValueError, match="has texts for 1 tips; expected 2"):
        explorers.Turntable(pictures, turns=[0, 120, 240], tips=[0, 30], notes=said)


def test_views_of_a_cut_are_stored_by_themselves(pictures):
    both = {title: np.stack([p, p // 2]) for title, p in pictures.items()}
    table = explorers.Turntable(both, turns=TURNS, tips=TIPS, cuts=CUTS, start=(120, 30, CUTS[1]))
    assert len(table.views) == 2 and table.spec["start"] == [1, 1, 1]
    for cut, (stored, ends) in enumerate(zip(table.views, table.spec["ends"], strict=True)):
        assert ends[-1] == len(stored)
        for k in range(12):
            body, tip, turn = np.unravel_index(k, (2, 2, 3))
            shown = list(both.values())[body][cut, tip, turn].mean()
            assert gray(stored, ends, k) == pytest.approx(shown, abs=4)
    first = both["one"][1, 1, 1].mean()
    assert gray(table.first, table.spec["first"], 0) == pytest.approx(first, abs=4)


@pytest.mark.parametrize(("pixel", "text"), [(1.0, "2 nm"), (0.37, "1 nm"), (900.0, "2 µm")])
def test_a_scale_bar_is_round_and_fits(pictures, pixel, text):
    width = 16 * pixel
    scale = explorers.Turntable(pictures, turns=TURNS, tips=TIPS, pixel_size=pixel).spec["scale"]
    number, unit = scale["text"].split()
    length = float(number) * (1000 if unit == "µm" else 1)
    assert scale["text"] == text
    assert scale["share"] == pytest.approx(length / width) and 0.1 < scale["share"] <= 0.3


def test_bad_keys_and_cuts_are_refused(pictures):
    options = {"turns": TURNS, "tips": TIPS}
    with pytest.raises(ValueError, match=r"key\['Au'\] is 'gold'; expected a color"):
        explorers.Turntable(pictures, key={"Au": "gold"}, **options)
    with pytest.raises(ValueError, match="cuts, tips, turns, size, size, 3"):
        explorers.Turntable(pictures, cuts=CUTS, **options)
    with pytest.raises(ValueError, match="cuts is .*; expected at least one name, and each once"):
        explorers.Turntable(pictures, cuts=["a", "a"], **options)


def test_the_first_picture_has_the_colors_of_the_key(pictures):
    key = {"Au": "#ffc71a", "Ag": "#5999f2"}
    noise = {k: RNG.integers(0, 255, (2, 3, 64, 64, 3), dtype=np.uint8) for k in pictures}
    png = explorers.Turntable(noise, turns=TURNS, tips=TIPS, key=key).poster()
    found = {c for _, c in Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 20)}
    assert {(255, 199, 26), (89, 153, 242)} <= found
    assert Image.open(io.BytesIO(png)).convert("RGB").getpixel((1, 1)) == (255, 255, 255)


# ---- in a browser


@pytest.fixture
def page(browser, tmp_path):
    """Open a turntable on a page from a file; nothing may go wrong there."""
    opened = []

    def start(table, **options):
        path = table.save(tmp_path / f"page{len(opened)}.html")
        opened.append(Visit(browser, path.as_uri(), **options))
        opened[-1].page.wait_for_selector(".hebt-explorer[data-state=ready]")
        return opened[-1].page

    yield start
    for visit in opened:
        assert visit.errors == []
        visit.context.close()


def grays():
    """Bodies of which each view has a gray of its own, with notes that name it."""
    shape = (2, 2, 3)
    one = np.arange(12).reshape(shape) * 20
    views = np.broadcast_to(one[..., None, None, None], (*shape, 40, 40, 3)).astype(np.uint8)
    return {"a body": views}, {"a body": [[[f"{v} gray" for v in r] for r in c] for c in one]}


def shown(page):
    """Where the sliders stand, and the gray that is drawn."""
    position, url = page.evaluate(
        """() => [document.querySelector(".hebt-explorer").dataset.position,
          document.querySelector("canvas[data-panel]").toDataURL()]"""
    )
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return [position, picture.convert("L").getpixel((5, 5))]


def move(page, name, key):
    before = page.locator(".hebt-explorer").get_attribute("data-position")
    page.locator(f"input[data-control={name}]").press(key)
    page.wait_for_function(
        """before => { const { state, position } = document.querySelector(".hebt-explorer").dataset;
          return state === "ready" && position !== before; }""",
        arg=before,
    )


def test_the_cut_plane_shows_its_own_views_and_says_so(page):
    pictures, notes = grays()
    table = explorers.Turntable(pictures, turns=TURNS, tips=TIPS, cuts=CUTS, notes=notes)
    tab = page(table)
    assert shown(tab) == ["0,0,0", 0]
    move(tab, "cut", "ArrowRight")
    assert shown(tab) == ["0,0,1", pytest.approx(120, abs=3)]
    move(tab, "turn", "ArrowRight")
    assert shown(tab) == ["1,0,1", pytest.approx(140, abs=3)]
    assert tab.locator(".hebt-notes").text_content() == "140 gray"
    status = tab.locator("[data-role=status]")
    tab.wait_for_function("e => e.textContent", arg=status.element_handle())
    said = status.text_content()
    assert "Cut away: the front half." in said and "140 gray" in said and "turn 120°" in said


@pytest.mark.parametrize("width", [390, 1200])
def test_the_scale_bar_has_the_length_that_it_says(page, width):
    pictures, _ = grays()
    nm = 1.7  # of a pixel; the picture is 40 of them wide
    table = explorers.Turntable(pictures, turns=TURNS, tips=TIPS, cuts=CUTS, pixel_size=nm)
    tab = page(table, viewport={"width": width, "height": 800})
    bar = tab.locator("[data-role=scale]")
    canvas = tab.locator("canvas[data-panel]").bounding_box()
    length = float(bar.text_content().removesuffix(" nm"))
    assert bar.bounding_box()["width"] / canvas["width"] * 40 * nm == pytest.approx(
        length, rel=0.01
    )


def test_the_key_names_the_colors(page):
    pictures, _ = grays()
    key = {"Au": "#ffc71a", "Ag": "#5999f2"}
    options = {"turns": TURNS, "tips": TIPS, "cuts": CUTS, "key": key, "key_note": "Clear below 1."}
    found = page(explorers.Turntable(pictures, **options)).locator("[data-role=key]")
    assert {
        e.inner_text(): e.get_attribute("data-color") for e in found.locator("[data-color]").all()
    } == key
    assert "rgb(255, 199, 26)" in found.locator(".hebt-swatch").first.evaluate(
        "e => getComputedStyle(e).backgroundImage"
    )
    assert "Clear below 1." in found.inner_text()


def test_a_view_that_cannot_change_has_no_slider(page):
    pictures, _ = grays()
    table = explorers.Turntable({"a": pictures["a body"][0, :1]}, turns=TURNS, tips=[20])
    tab = page(table)
    assert tab.locator("input[data-control]").count() == 1
    move(tab, "turn", "ArrowRight")
    assert shown(tab)[0] == "1"


def spinning(tab):
    return tab.locator(".hebt-explorer").get_attribute("data-spin") == "on"


TURNED = """before => document.querySelector(".hebt-explorer").dataset.position !== before"""


def test_a_body_turns_by_itself_until_a_reader_touches_it(page):
    pictures, _ = grays()
    table = explorers.Turntable(pictures, turns=TURNS, tips=TIPS, cuts=CUTS, spin=0.9)
    tab = page(table, reduced_motion="no-preference")
    for _ in range(3):  # on and on, and nothing is read out
        tab.wait_for_function(TURNED, arg=shown(tab)[0])
    assert spinning(tab) and tab.locator("[data-role=status]").text_content() == ""
    tab.get_by_role("button", name="Pause").click()
    assert not spinning(tab)
    at = shown(tab)
    tab.wait_for_timeout(1000)
    assert shown(tab) == at
    tab.get_by_role("button", name="Turn").click()
    tab.wait_for_function(TURNED, arg=at[0])
    tab.locator("input[data-control=turn]").focus()
    assert not spinning(tab)


def test_nothing_turns_by_itself_for_readers_who_ask_for_less_motion(page):
    pictures, _ = grays()
    table = explorers.Turntable(pictures, turns=TURNS, tips=TIPS, cuts=CUTS, spin=0.6)
    tab = page(table, reduced_motion="reduce")
    at = shown(tab)
    tab.wait_for_timeout(1500)
    assert shown(tab) == at and not spinning(tab)
    tab.get_by_role("button", name="Turn").click()  # a reader may start it
    tab.wait_for_function(TURNED, arg=at[0])


def test_a_body_out_of_sight_does_not_turn(page):
    pictures, _ = grays()
    table = explorers.Turntable(pictures, turns=TURNS, tips=TIPS, cuts=CUTS, spin=0.6)
    tab = page(table, reduced_motion="no-preference")
    tab.evaluate("document.body.style.paddingTop = '5000px'")
    tab.wait_for_timeout(600)
    at = shown(tab)
    tab.wait_for_timeout(1500)
    assert shown(tab) == at
    tab.locator("canvas[data-panel]").scroll_into_view_if_needed()
    tab.wait_for_function(TURNED, arg=at[0])
