"""How figures were made, and the data behind them: from what is drawn to the built page."""

import csv
import dataclasses
import importlib
import io
import json
import shutil
import subprocess
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, extension_of, need
from IPython.core.formatters import DisplayFormatter
from visits import CHAPTERS, PATIENCE

import hebt
from companion import drawn, notebook, origins, phantom, spectra, store
from companion.phantom.measures import METHODS
from companion.style import panel, styled, subplots, title
from hebt import explorers

X = np.array([0.1, 0.3, 0.7])
# the functions below are code of ours too
store.PACKAGES[__name__] = Path(__file__).parent


def table(content):
    """Columns of a CSV file: name -> numbers, without the empty cells at its end."""
    rows = list(csv.reader(io.StringIO(content)))
    cells = [[v for v in column if v != ""] for column in zip(*rows[1:], strict=True)]
    return [(name, np.array(column, float)) for name, column in zip(rows[0], cells, strict=True)]


@pytest.fixture
def figure():
    figure, axes = subplots(1, 2, 3)
    title(axes[0], "Au", "a")
    axes[0].plot(X, X**2, label="HEBT", color="C3")
    axes[0].plot(X, 1 / X, label="EDS only", color="C4")
    axes[0].fill_between(X, X, X + 2, color="C4", alpha=0.2)
    axes[0].errorbar(X[:2], [5, 6], [[1, 2], [3, 4]], label="measured")
    axes[0].axvline(0.5)
    axes[0].axvspan(0.2, 0.4)
    axes[0].set(xlabel="weight α", ylabel="MSE (nm²)")
    panel(axes[1], np.arange(6.0).reshape(2, 3), name="Ag", unit="counts", mark="b")
    yield figure
    plt.close(figure)


# ---- what is drawn


def test_curves_come_with_their_names_units_and_limits(figure):
    columns = table(drawn.as_csv(drawn.curves(figure)).decode())
    found = dict(columns)
    assert [name for name, _ in columns].count("a: Au | weight α") == 2, "shared by three curves"
    np.testing.assert_allclose(columns[0][1], X[:2])  # error bars come first
    np.testing.assert_allclose(found["a: Au | measured (MSE (nm²))"], [5, 6])
    np.testing.assert_allclose(found["a: Au | measured (MSE (nm²)), lowest y"], [4, 4])
    np.testing.assert_allclose(found["a: Au | measured (MSE (nm²)), highest y"], [8, 10])
    np.testing.assert_allclose(found["a: Au | HEBT (MSE (nm²))"], X**2, rtol=1e-8)
    np.testing.assert_allclose(found["a: Au | EDS only (MSE (nm²))"], 1 / X, rtol=1e-8)
    # a band is its curve's, which has its color
    np.testing.assert_allclose(found["a: Au | EDS only (MSE (nm²)), lowest"], X)
    np.testing.assert_allclose(found["a: Au | EDS only (MSE (nm²)), highest"], X + 2)
    np.testing.assert_allclose(found["a: Au | weight α, line"], [0.5])
    assert len(found) == 9, "a shaded strip is no data, and a color bar no panel"


def test_images_come_with_their_names_and_units(figure):
    arrays, about = drawn.images(figure)
    with np.load(io.BytesIO(drawn.as_npz(arrays, about)), allow_pickle=False) as stored:
        (said,) = json.loads(str(stored["about"]))
        np.testing.assert_array_equal(stored[said["array"]], [[0, 1, 2], [3, 4, 5]])
    assert (said["panel"], said["unit"], said["shown_from_to"]) == ("b: Ag", "counts", [0, 5])
    assert said["extent"] == [-0.5, 2.5, 1.5, -0.5]


def test_the_same_figure_makes_the_same_files(figure):
    first, again = (drawn.as_npz(*drawn.images(figure)) for _ in range(2))
    assert first == again


def test_a_rendered_picture_is_no_data():
    figure, ax = plt.subplots()
    ax.imshow(np.zeros((4, 4, 3)))
    plt.close(figure)
    assert drawn.images(figure) == ({}, []) and drawn.curves(figure) == []


def test_bars_points_meshes_and_insets_are_data():
    figure, ax = plt.subplots()
    ax.barh([0, 1], [3, 4], height=0.5)
    ax.scatter([1, 2], [5, 6], label="points")
    ax.pcolormesh([0, 1, 2], [0, 3], [[7, 8]])
    ax.inset_axes((0, 0, 1, 1)).plot([1, 2], [9, 8])
    ax.set_yticks([0, 1], ["ours", "theirs"])
    plt.close(figure)
    found = dict(table(drawn.as_csv(drawn.curves(figure)).decode()))
    meaning = "[0 is ours; 1 is theirs]"
    np.testing.assert_array_equal(found[f"panel 1 | {meaning}, right"], [3, 4])
    np.testing.assert_array_equal(found[f"panel 1 | points ({meaning})"], [5, 6])
    np.testing.assert_array_equal(found["panel 2 | y"], [9, 8])
    arrays, (about,) = drawn.images(figure)
    np.testing.assert_array_equal(arrays["image_1"], [[7, 8]])
    assert about["extent"] == [0, 2, 0, 3]


def test_binned_points_and_curves_without_a_name_are_told_apart():
    figure, ax = plt.subplots()
    ax.plot(X, X, color="#ff0000")
    ax.plot(X, X + 1, color="#0000ff", linestyle="--")
    ax.hexbin([0, 0, 1], [0, 0, 1], gridsize=2, mincnt=1)
    plt.close(figure)
    found = dict(drawn.curves(figure))
    np.testing.assert_array_equal(found["curve, #ff0000, -"], X)
    np.testing.assert_array_equal(found["curve, #0000ff, --"], X + 1)
    assert sorted(found["y, shown"]) == [1, 2], "counts of the bins"


# ---- what is said of it


@styled
def plot_something(study, kind: str = "usual"):
    figure, ax = subplots(1, 1, 2)
    ax.plot(X, X)
    return figure


@pytest.fixture
def building(monkeypatch, tmp_path):
    monkeypatch.setenv("HEBT_STATIC", "1")
    monkeypatch.setenv("HEBT_FIGURES", str(tmp_path))
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    return tmp_path


def test_a_figure_says_how_it_was_made_while_the_book_is_built(building):
    runs = [spectra.settings("alloy", size=8, seed=seed) for seed in (3, 4, 5)]
    data, metadata = plot_something((runs, "/a/path"))._repr_mimebundle_()
    record = metadata[origins.KEY]
    assert data == {}, "the picture stays what it is"
    assert record["function"] == f"{__name__}.plot_something"
    assert record["called_with"] == {"kind": "usual"}
    assert record["fidelity"] == "quick" and record["seeds"] == "3 to 5"
    assert record["settings"]["particle"] == "alloy" and record["settings"]["size"] == "8"
    assert record["seconds"] is None, "nothing of it is stored"
    assert "/a/path" not in json.dumps(record)
    (file,) = record["data"]
    assert (building / file["file"]).stat().st_size == file["bytes"]


def test_elsewhere_a_figure_says_nothing(monkeypatch):
    monkeypatch.delenv("HEBT_FIGURES", raising=False)
    assert not hasattr(plot_something(None), "_repr_mimebundle_")


CLOCK = [0.0]


class Result:
    """What is stored."""


@store.cached
def inner(seconds):
    CLOCK[0] += seconds
    return Result()


@store.cached
def outer(seconds):
    inner(seconds)
    CLOCK[0] += 1
    return Result()


def test_a_result_tells_what_it_took_also_when_it_is_found(monkeypatch, building):
    """What is found within a result counts with what it took when it was computed."""
    monkeypatch.setenv("HEBT_CACHE", str(building / "cache"))
    monkeypatch.setattr(store.time, "perf_counter", lambda: CLOCK[0])
    inner(40.0)
    first, again = outer(40.0), outer(40.0)
    assert first is not again, "it was found on disk"
    assert [store.made(result).seconds for result in (first, again)] == [41, 41]
    assert [made.seconds for made in store.asked()[-3:]] == [40, 41, 41]
    assert store.made([1, 2]) is None
    shown = plot_something({"twice": [again, again]})
    assert shown._repr_mimebundle_()[1][origins.KEY]["seconds"] == 41


@store.remembered
def in_memory(runs):
    return errors_of(runs, X)


@styled
def plot_asking(runs):
    return plot_something.__wrapped__([in_memory(runs), in_memory(runs)])


@dataclasses.dataclass(frozen=True)
class Errors:
    """A result that holds numbers alone, and has no hash."""

    found: np.ndarray


@store.cached
def errors_of(runs, images):
    return Errors(images + len(runs))


def test_a_figure_of_a_stored_result_says_its_seeds_though_the_result_does_not(
    building, monkeypatch
):
    """What was given to the function that computed it is known, also when it is found on disk."""
    monkeypatch.setenv("HEBT_CACHE", str(building / "cache"))
    runs = tuple(("a", spectra.settings("alloy", size=8, seed=seed)) for seed in (3, 4, 5))
    for result in (errors_of(runs, X), errors_of(runs, X)):
        assert store.made(result).arguments == {"runs": runs}, "arrays are not kept alive"
        record = plot_something(result)._repr_mimebundle_()[1][origins.KEY]
        assert record["seeds"] == "3 to 5" and record["settings"]["particle"] == "alloy"
    for _ in range(2):
        inside = plot_asking(runs)._repr_mimebundle_()[1][origins.KEY]
        assert inside["seeds"] == "3 to 5", "also of a result that the figure asks for itself"
        assert inside["seconds"] == round(store.asked()[-1].seconds, 1)


# ---- the state of the sources


@pytest.fixture(scope="module")
def extension():
    return extension_of("origins")


def test_the_commit_is_that_of_these_sources(extension, tmp_path):
    git = need(shutil.which("git"), "git")
    inside = tmp_path / "a copy"
    inside.mkdir()
    assert extension.state(inside) == ("", False)

    def run(*words):
        mail = ["-c", "user.name=a", "-c", "user.email=a@b.org"]
        done = subprocess.run(
            [git, *mail, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    run("init")
    (tmp_path / "file").write_text("one")
    run("add", "file")
    run("commit", "-m", "first")
    commit, changed = extension.state(tmp_path)
    assert run("rev-parse", "HEAD").startswith(commit) and len(commit) == 12 and not changed
    assert extension.state(inside) == ("", False), "that of another project says nothing"
    (tmp_path / "file").write_text("two")
    assert extension.state(tmp_path) == (commit, True)


RECORD = {
    "function": "companion.phantom.figures.figure4",
    "called_with": {"stop": "a < b"},
    "settings": {},
    "sliders": {},
    "seeds": "0 to 2",
    "fidelity": "quick",
    "seconds": 372.0,
    "data": [{"what": "curves", "file": "0.csv", "bytes": 2400}],
}
MADE = {"commit": "a" * 12, "changed": False, "url": "https://g.org/x", "page": 8.0, "up": "../"}


def rows(details):
    """What is said in the fold below a figure: name -> text."""
    pairs = zip(details.select("dt"), details.select("dd"), strict=True)
    return {name.get_text(): " ".join(said.get_text().split()) for name, said in pairs}


def test_what_is_said_below_a_figure(extension):
    def read(record, **made):
        text = extension.written(record, "fig-a", "Fig. 2.1", MADE | made)
        return BeautifulSoup(text, "html.parser").details

    details = read(RECORD)
    said = rows(details)
    assert not details.has_attr("open")
    assert details.summary.get_text() == "How Fig. 2.1 was made, and its data"
    assert said["Called with"] == "stop = a < b" and "Settings" not in said
    assert said["Computed"].startswith("in 6.2 minutes")
    links = [a["href"] for a in details.select("a")]
    source = f"https://g.org/x/blob/{'a' * 12}/book/companion/phantom/figures.py"
    assert links == [source, f"https://g.org/x/commit/{'a' * 12}", "../_figures/fig-a.csv"]
    changed = read(RECORD | {"seconds": None}, changed=True)
    assert rows(changed)["Commit"] == f"{'a' * 12}, with changes since"
    assert rows(changed)["Computed"] == "with the page, which ran in 8 s"
    assert len(changed.select("a")) == 1, "what was changed lies in no repository"
    assert hebt.__version__ in rows(read(RECORD, commit=""))["Commit"]
    assert "rendered" in rows(read(RECORD | {"data": []}))["Data"]


def output_of(shown):
    """Return what a kernel sends of it."""
    data, metadata = DisplayFormatter().format(shown)
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


@pytest.mark.parametrize("own", [True, False], ids=["hebt's own", "of the book"])
def test_no_explorer_and_no_picture_goes_unexplained(extension, building, own):
    def explore(x):
        return explorers.sweep(x, [0.1, 0.5], [10, 20], names=["Au"], start=(0.5, 10))

    function = explorers.sweep if own else explore
    values = (np.zeros((2, 2, 1, 4, 4)),) + (([0.1, 0.5], [10, 20]) if own else ())
    bare, said = function(*values), origins.explained(function)(*values)
    bare, said = (output_of(one) for one in (bare, said))
    text = nbformat.v4.new_output("stream", text="words")
    table = nbformat.v4.new_output("display_data", {"text/html": "<table></table>"})
    picture = nbformat.v4.new_output("display_data", {"image/png": "iVBOR"})
    assert extension.unexplained([text, table, said]) == []
    assert extension.unexplained([text, bare, said, picture]) == [bare, picture]
    record = said.metadata[origins.KEY]
    assert record["function"] == f"{function.__module__}.{function.__qualname__}"
    assert set(record["sliders"]) == {"Weight α", "Iterations"}
    if own:
        assert record["called_with"]["alphas"] == "0.1, 0.5"
        link = extension._function(record["function"], "https://g.org/x", "a")
        assert 'href="https://g.org/x/blob/a/hebt/explorers/arrays.py"' in link


# ---- the built pages

# chapters in which every picture has noise of the book's own in it
RANDOM = ("intro", "phantom", "spectra", "nonalloy", "alloy", "sweeps", "without_weight", "dust")


def test_each_figure_and_explorer_says_how_it_was_made(soups, built_book):
    seen = 0
    for page in CHAPTERS:
        soup = soups[f"{page}.html"]
        for figure in soup.select("figure[id^=fig-]"):
            (details,) = figure.find_parent(class_="cell_output").select(".hebt-origin")
            assert figure.select_one(".caption-number").get_text(strip=True) in details.get_text()
            data = [a["href"] for a in details.select("a[download]")]
            assert bool(data) != ("rendered" in rows(details)["Data"])
            assert {Path(file).stem for file in data} <= {figure["id"]}
            seen += 1
        for explorer in soup.select(".cell_output .hebt-explorer"):
            assert len(explorer.find_parent(class_="cell").select(".hebt-origin")) == 1
        for details in soup.select(".hebt-origin"):
            said = rows(details)
            name = said["Function"].rpartition(".")
            assert hasattr(importlib.import_module(name[0]), name[2])
            assert said["Fidelity"] == "quick" and said["Commit"] and said["Computed"]
            # what hebt's own explorers show was made in the cell that calls them
            own = said["Function"].startswith("companion.") and page.rpartition("/")[2] in RANDOM
            assert "Seeds" in said or not own, said["Function"]
            assert not any(str(path) in str(details) for path in (ROOT, built_book, Path.home()))
    assert seen == len(notebook.figure_numbers())


def column(built_book, file, name):
    """One column of a figure's file."""
    text = (built_book / "_figures" / file).read_text(encoding="utf-8")
    (found,) = [values for header, values in table(text) if header == name]
    return found


def test_the_files_hold_what_the_studies_hold(built_book, monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    study, kernels = phantom.study(), phantom.smoothing()
    curve = column(
        built_book, "fig-phantom-convergence.csv", "a: Au | EDS only (MSE, mean over pixels)"
    )
    mse = study.scores.curve("mse", "eds", "Au").mean(axis=0)
    np.testing.assert_allclose(curve, mse, rtol=1e-6)
    points = column(built_book, "fig-phantom-kernels.csv", "c: R² of the ratios | R²")
    np.testing.assert_allclose(points, kernels.r_squared.mean(axis=1), rtol=1e-6)
    with np.load(built_book / "_figures" / "fig-phantom-best.npz") as stored:
        about = json.loads(str(stored["about"]))
        (key,) = [a["array"] for a in about if a["panel"] == "c: Au: EDS only"]
        image = stored[key]
    whole = study.best_images[METHODS.index("eds"), 0]
    edge = (len(whole) - len(image)) // 2
    np.testing.assert_array_equal(image, whole[edge:-edge, edge:-edge])


def test_figures_data_are_small(built_book):
    sizes = [path.stat().st_size for path in (built_book / "_figures").iterdir()]
    assert len(sizes) > 40 and sum(sizes) < 30_000_000


def test_the_fold_opens_by_keyboard_and_hides_on_paper(look):
    page = look("book/phantom").page
    summary = page.locator(".hebt-origin summary").first
    summary.focus()
    page.keyboard.press("Enter")
    data = page.locator(".hebt-origin a[download]").first
    data.wait_for(timeout=PATIENCE)
    with page.expect_download() as download:
        data.click()
    assert download.value.suggested_filename.startswith("fig-phantom-")
    page.emulate_media(media="print")
    assert not summary.is_visible()
    page.emulate_media(media="screen")
