"""Pages of the built book, seen through a browser; the fixtures for it are in conftest.py."""

from pathlib import Path
from urllib.parse import urlparse

import yaml

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
# pages made of docstrings run nothing
WRITTEN = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]
CHAPTERS = [page for page in WRITTEN if not page.startswith("book/api")]
PAGES = [*WRITTEN, "index", "search", "genindex"]

# Milliseconds. Tests wait for their page; where the machine is busy, that may take long.
PATIENCE = 300_000

# Not the browser's "networkidle", which never comes if it misses the end of one request.
SETTLED = """async () => {
  if (document.querySelector("meta[http-equiv=refresh]")) return false;  // it leads elsewhere
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
  return true;
}"""


class Visit:
    """A page in its own browser context, with everything that it asked for and complained of."""

    def __init__(self, browser, url, **options):
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.requests, self.errors = [], []
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("requestfailed", lambda r: self.errors.append(f"failed: {r.url}"))
        self.page.on("response", self._on_response)
        self.page.on("pageerror", lambda e: self.errors.append(f"script: {e}"))
        self.page.on("console", self._on_console)
        self.runs_scripts = options.get("java_script_enabled", True)
        self.settle(url)

    def settle(self, url):
        """Open a page, and wait until its formulas and fonts are set and it has been drawn."""
        self.page.goto(url)
        if self.runs_scripts:
            self.page.wait_for_function(SETTLED)

    def _on_response(self, response):
        if response.status >= 400:
            self.errors.append(f"{response.status}: {response.url}")

    def _on_console(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(f"console: {message.text}")

    def outside(self):
        """Requests that left the machine."""
        return [
            url
            for url in self.requests
            if urlparse(url).scheme not in ("file", "data", "blob")
            and urlparse(url).hostname != "127.0.0.1"
        ]

    def weight(self):
        """Bytes of everything on this page that came over http."""
        return self.page.evaluate(
            "[...performance.getEntriesByType('navigation'),"
            " ...performance.getEntriesByType('resource')]"
            ".reduce((sum, entry) => sum + entry.encodedBodySize, 0)"
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


def address(kind, page, site, built_book):
    return f"{site}/{page}.html" if kind == "http" else (built_book / f"{page}.html").as_uri()
