"""Fixtures for the built book and for a browser to look at it."""

import contextlib
import http.server
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import pytest
from bs4 import BeautifulSoup
from visits import ROOT, Visit, address

# how long an example takes is the machine's affair
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

CI = bool(os.environ.get("CI"))
# the first without a window of its own, which takes half of the time
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
BROWSER_OPTIONS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
]
ENVIRONMENT = {}


PROMISES = ROOT / "data" / "promises.json"


def extension_of(name):
    """A module that lies in book/_ext, loaded anew."""
    path = ROOT / "book" / "_ext" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"ext_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_addoption(parser):
    parser.addoption(
        "--record", action="store_true", help="write what promises tried into data/promises.json"
    )


@pytest.fixture
def promise(request):
    """Check that the page on what the project promises says what this test has tried.

    A test calls ``promise("truncated_files", files=4, cuts=160)`` once all of it held.
    """

    def check(name, **counts):
        record = json.loads(PROMISES.read_text()) if PROMISES.is_file() else {}
        if request.config.getoption("--record"):
            record[name] = counts
            PROMISES.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        assert record.get(name) == counts, "what is tried has changed: make promises records it"

    return check


def pytest_configure(config):
    # here, as plugins load numpy before the processes that share the tests come to this file;
    # threads of OpenBLAS wait busily, which takes the others' time
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    shared = ROOT.parent / "shared" / "data"
    if "HEBT_DATA" not in os.environ and shared.is_dir():
        os.environ["HEBT_DATA"] = str(shared)
    # tests beside which a book is built may change the environment for themselves
    ENVIRONMENT.update(os.environ)


def need(found, what):
    """Skip where a tool is not installed; on CI everything must be."""
    if not found:
        (pytest.fail if CI else pytest.skip)(f"{what} is not installed")
    return found


def make_book(source, out, running, **environment):
    """Run the Makefile's own ``book`` in `source` with this environment's Python.

    Returns
    -------
    subprocess.CompletedProcess
        With the exit code and everything printed, in ``stdout``. While it runs it is in the set
        `running`.
    """
    command = ["make", "book", f"VENV={sys.prefix}", "SETUP=no", f"OUT={out}"]
    process = subprocess.Popen(
        command,
        cwd=source,
        env={**ENVIRONMENT, "HEBT_FIDELITY": "quick", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    running.add(process)
    printed, _ = process.communicate()
    running.discard(process)
    return subprocess.CompletedProcess(command, process.returncode, printed)


def is_shared():
    """Whether several processes share the tests, a file each (pytest -n 3 --dist loadfile)."""
    return "PYTEST_XDIST_WORKER" in os.environ


def wants(session, fixture):
    return any(fixture in item.fixturenames for item in session.items)


# Fixtures that compute a whole study, in the files where they do.
STUDIES = {
    "test_dust": {"study", "result"},
    "test_explorers_laboratory": {"room"},
    "test_sweeps": {"study", "bands"},
    "test_laboratory": {"outcomes"},
    "test_particles_studies": {"studies", "grid"},
    "test_spectra": {"walk", "study"},
    "test_io": {"three"},
    "test_wheel": {"built", "bare"},
    "test_large": {"cluster"},
}
BOOK = {"built_book", "site", "scenario"}
# Their studies are those of the book, which keeps them.
IN_THE_BOOK = {"test_dust", "test_laboratory", "test_phantom_explorers", "test_spectra"}


def _place(item, slow, looking):
    """Sort tests: books are built beside the other tests, and looked at when these are done.

    Where processes share the tests, one of them begins with the book; the next long file comes
    first for the others.
    """
    names = set(item.fixturenames)
    marks = {mark.name for mark in item.own_markers}
    if is_shared():
        # other files that look at the book come when it is there
        others = item.path.stem != "test_book" and item.path in looking
        first = item.path.stem != "test_book", others, "scenario" in names
        # a file's slow tests stay in their places: what they leave behind is not met before
        late = item.path.stem in IN_THE_BOOK
        return *first, late, "browser" not in marks, item.path not in slow
    return not BOOK.isdisjoint(names), "scenario" in names


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if not BOOK.isdisjoint(item.fixturenames):
            item.add_marker("book")
        if not STUDIES.get(item.path.stem, set()).isdisjoint(item.fixturenames):
            item.add_marker("slow")
        if "browser" in item.fixturenames:
            item.add_marker("browser")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    looking = {item.path for item in items if item.get_closest_marker("book")}
    items.sort(key=lambda item: _place(item, slow, looking))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """Let other processes wait for the one that builds the book, which is ready last."""
    if is_shared() and item.path.stem != "test_book" and hasattr(os, "nice") and not os.nice(0):
        os.nice(5)


@pytest.fixture(scope="session")
def builder():
    """Run functions that build books, one after another beside the tests; gives futures.

    Each gets, after its own arguments, the set of processes that run.
    """
    running = set()
    with ThreadPoolExecutor(max_workers=1) as thread:
        yield lambda function, *args: thread.submit(function, *args, running)
        thread.shutdown(wait=False, cancel_futures=True)
        for process in list(running):  # the tests were interrupted
            os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture(scope="session", autouse=True)
def _begin(request):
    if not is_shared():
        request.getfixturevalue("_whole_book")


@pytest.fixture(scope="session")
def _whole_book(request, builder, tmp_path_factory):
    """The whole book at quick fidelity, begun with the first test, or the first that needs it."""
    if not wants(request.session, "built_book") or not shutil.which("make"):
        return None
    if is_shared():
        out = tmp_path_factory.getbasetemp().parent / "whole-book"
        return builder(_make_once, out), out / "_build" / "html"
    out = tmp_path_factory.mktemp("book")
    return builder(make_book, ROOT, out), out / "_build" / "html"


def _make_once(out, running):
    """Build the whole book in the process that comes first; the others wait for it."""
    from hebt._files import written_aside

    result = out / "result.json"
    try:
        out.mkdir()
    except FileExistsError:
        for _ in range(3600):
            if result.exists():
                return subprocess.CompletedProcess(**json.loads(result.read_text()))
            time.sleep(1)
        return subprocess.CompletedProcess([], 1, "no process has built the book in an hour")
    run = make_book(ROOT, out, running)
    with written_aside(result) as part:
        part.write_text(json.dumps(vars(run)))
    return run


@pytest.fixture(scope="session")
def built_book(_whole_book):
    """The folder with the whole book's pages, every chapter run at quick fidelity."""
    run, pages = need(_whole_book, "make")
    run = run.result()
    if run.returncode:
        pytest.fail(f"the book does not build:\n{run.stdout[-8000:]}", pytrace=False)
    return pages


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(folder):
    """Serve `folder` on this machine; gives the address, without a slash at the end."""

    def handler(*args):
        return _Quiet(*args, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def site(built_book):
    """Address of the built book on a local server."""
    with serve(built_book) as address:
        yield address


@pytest.fixture(scope="module")
def soups(built_book):
    return {
        path.relative_to(built_book).as_posix(): BeautifulSoup(
            path.read_text(encoding="utf-8"), "html.parser"
        )
        for path in built_book.rglob("*.html")
        if "_static" not in path.parts
    }


@pytest.fixture(scope="module")
def look(browser, site, built_book):
    """Open a page once, for all tests that look at it."""
    opened = {}

    def open_page(page, kind="http"):
        if (page, kind) not in opened:
            opened[page, kind] = Visit(browser, address(kind, page, site, built_book))
        return opened[page, kind]

    yield open_page
    for visit in opened.values():
        visit.context.close()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium (``HEBT_BROWSER`` names another one), driven by playwright."""
    from playwright.sync_api import sync_playwright

    names = (os.environ.get("HEBT_BROWSER", ""), *BROWSERS)
    path = need(next(filter(None, map(shutil.which, names)), None), "Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=BROWSER_OPTIONS)
        yield chromium
        chromium.close()
