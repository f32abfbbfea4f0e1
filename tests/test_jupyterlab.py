"""Chapters and explorers in JupyterLab, as `make lab` starts it: one server for all."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request

import jupytext
import pytest
from conftest import ROOT, need
from jupyter_client.kernelspec import get_kernel_spec
from jupytext.config import load_jupytext_config
from test_explorers import ALPHAS, Page, assert_shows, at, slider

RAW = re.compile(
    r"\{(glue:text|cite:p|cite:t|numref|eq)\}|^\([\w-]+\)=$|\(eq-[\w-]+\)", re.MULTILINE
)
CHECKPOINTS = ".ipynb_checkpoints"  # ignored by git
PROSE = ".jp-RenderedMarkdown"
# The kernel answers on its connection. Idle in the status bar is not enough: on a busy machine
# a cell that is run before asks for a kernel, and does not run.
READY = """() => {
  const notebook = window.jupyterapp?.shell.currentWidget;
  const kernel = notebook?.sessionContext?.session?.kernel;
  return notebook?.context?.isReady && notebook.sessionContext.isReady
    && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on an empty folder; its address and the folder."""
    need(importlib.util.find_spec("jupyterlab"), "JupyterLab")
    home = tmp_path_factory.mktemp("jupyterlab")
    folder = home / "notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "pyproject.toml", folder)  # says how jupytext writes
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEBT_STATIC")}
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment[name] = str(home / name)
    # all cells are drawn, not only those in view
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    environment["JUPYTER_CONFIG_DIR"] = str(ROOT / ".jupyter")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "book"), str(ROOT / "tests")])
    environment["HEBT_FIDELITY"] = "quick"
    log = (home / "log").open("w+")
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.ip=127.0.0.1",
            "--IdentityProvider.token=",
            "--LabApp.news_url=None",
            "--LabApp.expose_app_in_browser=True",  # see READY
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            f"--LabApp.workspaces_dir={home / 'workspaces'}",
            f"--ServerApp.root_dir={folder}",
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                if server.poll() is not None:
                    log.seek(0)
                    pytest.fail(f"JupyterLab did not start:\n{log.read()[-3000:]}")
        yield address, folder
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture
def window(lab, browser):
    """A window of its own for each test: what the one before left open asks no questions."""
    one = Page(browser, lab[0])
    yield one.page
    one.context.close()


@pytest.fixture
def opened(lab, window):
    """Open a file of the folder and wait until its kernel is there."""
    address, folder = lab

    def start(name, text):
        (folder / name).write_text(text, encoding="utf-8")
        window.goto(f"{address}/lab/tree/{name}?reset")
        window.wait_for_function(READY)
        return window, folder / name

    return start


def save(page):
    """Save the notebook, and wait until the server has written it."""
    with page.expect_response(lambda r: r.request.method == "PUT" and r.ok and ".md" in r.url):
        page.keyboard.press("Control+s")


def run_all(page):
    """Run all cells as the menu does, and wait until the last has run."""
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    counts = page.evaluate(
        "[...jupyterapp.shell.currentWidget.content.model.cells]"
        ".filter((cell) => cell.type === 'code').map((cell) => cell.executionCount)"
    )
    assert None not in counts, f"cells that did not run: {counts}"


def has_no_error(page):
    return page.locator(".jp-OutputArea-output [data-mime-type*='error']").count() == 0


def prose(page):
    return "\n".join(page.locator(PROSE).all_inner_texts())


CHAPTERS = [
    p for p in sorted((ROOT / "book").glob("*.md")) if "{code-cell}" in p.read_text("utf-8")
]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_that_is_saved_is_the_same_file(path):
    """JupyterLab saves what jupytext writes, with what the kernel says of itself."""
    text, config = path.read_text(encoding="utf-8"), load_jupytext_config(path)
    notebook = jupytext.reads(text, fmt="md:myst", config=config)
    kernel = get_kernel_spec("python3")
    notebook.metadata["kernelspec"] = {
        "display_name": kernel.display_name,
        "language": kernel.language,
        "name": "python3",
    }
    lexer = {"name": "ipython", "version": 3}
    notebook.metadata["language_info"] = {
        "name": "python",
        "version": "3.12.1",
        "codemirror_mode": lexer,
        "pygments_lexer": "ipython3",
    }
    assert jupytext.writes(notebook, fmt="md:myst", config=config) == text


def test_prose_has_its_numbers_and_figures_their_captions(opened):
    text = (ROOT / "book" / "models.md").read_text(encoding="utf-8")
    page, path = opened("models.md", text)
    raw = (
        "raw => [...document.querySelectorAll('.jp-RenderedMarkdown')]"
        ".some((e) => new RegExp(raw, 'm').test(e.innerText))"
    )
    page.wait_for_function(raw, arg=RAW.pattern)  # else this test would see nothing
    run_all(page)
    page.wait_for_function(f"raw => !({raw})(raw)", arg=RAW.pattern)
    last = re.findall(r"^    name: (fig-\S+)$", text, re.MULTILINE)
    page.wait_for_selector(f".jp-RenderedMarkdown >> text=Fig. 1.{len(last)}")
    assert has_no_error(page)
    seen = re.findall(r"^Fig\. (\d\.\d) ", prose(page), re.MULTILINE)
    assert seen == [f"1.{k}" for k in range(1, len(last) + 1)]
    assert not RAW.search(prose(page))
    # questions and folded answers are no code
    assert page.locator(f"{PROSE} blockquote").count() == text.count("> **Your guess.**")
    answer = page.locator(f"{PROSE} details")
    assert answer.count() == 1 and answer.get_attribute("open") is None
    answer.locator("summary").click()
    answer.locator("mjx-container").first.wait_for()
    assert page.locator(f"{PROSE} pre").count() == 0
    # the file stays as it was, also when it is saved, and nothing comes beside it
    page.locator(PROSE).first.click()
    save(page)
    assert path.read_text(encoding="utf-8") == text
    assert {p.name for p in path.parent.iterdir()} <= {path.name, "pyproject.toml", CHECKPOINTS}


def test_the_laboratory_runs_with_its_widgets(opened):
    chapter = jupytext.read(ROOT / "book" / "laboratory.md")
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    page, _ = opened("laboratory.ipynb", jupytext.writes(chapter, fmt="ipynb"))
    run_all(page)
    picture = page.locator(".jp-OutputArea img.widget-image, .jp-OutputArea .widget-image img")
    picture.first.wait_for()
    before = picture.first.get_attribute("src")
    # as many outputs as cells, and no error among them
    page.wait_for_function(
        "n => document.querySelectorAll('.jp-CodeCell .jp-OutputArea-output').length >= n",
        arg=len(code),
    )
    assert has_no_error(page)
    # a slider of ipywidgets, by keyboard
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([img, src]) => img.src !== src", arg=[picture.first.element_handle(), before]
    )


def test_an_explorer_asks_python(opened):
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "source": "import test_explorers\ntest_explorers.explorer()",
        "execution_count": None,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    page, _ = opened("a.ipynb", json.dumps(notebook))
    run_all(page)
    page.wait_for_selector(".hebt-explorer[data-state=ready] .hebt-frames")
    assert_shows(page, 0.7, 4)
    # JupyterLab would take arrow keys for its cells
    slider(page, "alpha").focus()
    page.keyboard.press("ArrowRight")
    at(page, 4, 1)
    assert_shows(page, ALPHAS[4], 4)
    slider(page, "counts").focus()
    page.keyboard.press("Home")
    at(page, 4, 0)
    assert_shows(page, ALPHAS[4], 1)
