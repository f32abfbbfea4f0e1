"""Fixtures for the built book and for a browser to look at it."""

import contextlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CI = bool(os.environ.get("CI"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
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


def pytest_configure(config):
    shared = ROOT.parent / "shared" / "data"
    if "HEBT_DATA" not in os.environ and shared.is_dir():
        os.environ["HEBT_DATA"] = str(shared)


def need(found, what):
    """Skip where a tool is not installed; on CI everything must be."""
    if not found:
        (pytest.fail if CI else pytest.skip)(f"{what} is not installed")
    return found


def make_book(source, out, **environment):
    """Run the Makefile's own ``book`` in `source` with this environment's Python.

    Returns
    -------
    subprocess.CompletedProcess
        With the exit code and everything printed, in ``stdout``.
    """
    make = need(shutil.which("make"), "make")
    stamp = f"{sys.prefix}/.installed"
    return subprocess.run(
        [make, "book", f"VENV={sys.prefix}", f"OUT={out}", "-o", stamp],
        cwd=source,
        env={**os.environ, "HEBT_FIDELITY": "quick", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture(scope="session")
def built_book(tmp_path_factory):
    """The folder with the whole book's pages, every chapter run at quick fidelity."""
    out = tmp_path_factory.mktemp("book")
    run = make_book(ROOT, out)
    if run.returncode:
        pytest.fail(f"the book does not build:\n{run.stdout[-8000:]}", pytrace=False)
    return out / "_build" / "html"


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
