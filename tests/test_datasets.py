"""The registry of measured data: looking up, fetching, and chapters with and without them."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from typing import ClassVar

import jupytext
import numpy as np
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner
from conftest import ROOT, extension_of

from companion import datasets
from hebt import _datasets as shelves
from hebt import _places as files
from hebt import io
from hebt._cli.commands import hebt as shell

LINES = ("C_Ka", "O_Ka", "Mg_Ka", "Si_Ka", "Fe_Ka", "Pt_Ma")
AVOID = ("Ga_La", "Fe_La", "Cu_La", (-1, 0.16))


# --- registry ---


def test_the_registry_names_origin_credit_license_and_every_file():
    for name, entry in datasets.registry().items():
        assert entry["title"] and entry["source"] and entry["credit"] and entry["license"], name
        assert isinstance(entry["measured"], bool)
        paths = [f["path"] for f in entry["files"]]
        assert len(paths) == len(set(paths)) > 0
        for file in entry["files"]:
            assert len(file["sha256"]) == 64 and file["size"] > 0
            assert file["addresses"]
            assert all(a.startswith("https://") for a in file["addresses"])
            assert all(a.endswith(file["path"].split("/")[-1]) for a in file["addresses"])


@pytest.mark.parametrize("name", sorted(datasets.registry()))
def test_the_registry_has_the_hashes_of_the_real_files(name):
    try:
        paths = datasets.locate(name)
    except datasets.MissingDataError as error:
        pytest.skip(f"not on this machine: {error}")
    for path, file in zip(paths, datasets.registry()[name]["files"], strict=True):
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["size"]


# --- looking up and fetching ---

GOOD = b"counts, " * 4000
MUCH = 300_000_000
PART = f".0.bcf-{hashlib.sha256(GOOD).hexdigest()[:16]}.part"


class Handler(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    sent = 0

    def do_GET(self):
        Handler.asked.append(self.path)
        if self.path in ("/large", "/endless"):
            self.send_much()
            return
        if self.path == "/absent":
            self.send_error(404)
            return
        content = b"something else" if self.path == "/wrong" else GOOD
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # one address breaks off half way
        self.wfile.write(content[: len(content) // 2] if self.path == "/broken" else content)

    def send_much(self):
        """More than expected, with its length said before or not."""
        self.send_response(200)
        if self.path == "/large":
            self.send_header("Content-Length", str(MUCH))
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side has gone
            while Handler.sent < MUCH:
                Handler.sent += self.wfile.write(bytes(1 << 16))

    def log_message(self, *args):
        pass


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A registry of one file on a local server; gives a function that sets its addresses."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.asked, Handler.sent = [], 0
    monkeypatch.setattr(shelves, "REGISTRY", tmp_path / "registry.json")
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEBT_DATA", raising=False)

    def addresses(*paths):
        base = f"http://127.0.0.1:{server.server_port}/"
        entry = {
            "title": "a small series",
            "measured": True,
            "folder": "small",
            "source": "here",
            "credit": "nobody",
            "license": "none",
            "acquisition": {"tilts": "one"},
            "files": [
                {
                    "path": "Input/0.bcf",
                    "size": len(GOOD),
                    "sha256": hashlib.sha256(GOOD).hexdigest(),
                    "addresses": [base + p for p in paths],
                }
            ],
        }
        shelves.REGISTRY.write_text(json.dumps({"series": {"small": entry}}))
        return tmp_path / "cache" / "data" / "small" / "Input" / "0.bcf"

    yield addresses
    server.shutdown()
    server.server_close()


def left_over(target):
    return sorted(p.name for p in target.parent.iterdir())


def test_fetch_brings_a_file_once(shelf):
    target = shelf("good")
    with pytest.raises(datasets.MissingDataError):
        datasets.locate("small")
    assert Handler.asked == [], "looking up must never download"
    assert datasets.fetch("small", progress=False) == [target]
    assert target.read_bytes() == GOOD and left_over(target) == ["0.bcf"]
    assert datasets.fetch("small", progress=False) == datasets.locate("small") == [target]
    assert Handler.asked == ["/good"]


def test_fetch_tries_the_next_address(shelf):
    target = shelf("absent", "broken", "good")
    datasets.fetch("small", progress=False)
    assert Handler.asked == ["/absent", "/broken", "/good"]
    assert target.read_bytes() == GOOD and left_over(target) == ["0.bcf"]


def test_a_wrong_file_is_kept_apart_and_never_used(shelf):
    target = shelf("wrong", "good")
    with pytest.raises(datasets.WrongDataError, match="another sha256.*never used"):
        datasets.fetch("small", progress=False)
    (wrong,) = left_over(target)
    assert re.fullmatch(r"0\.bcf\.[0-9a-f]{8}\.wrong", wrong)
    assert (target.parent / wrong).read_bytes() == b"something else"
    with pytest.raises(datasets.MissingDataError):
        datasets.locate("small")
    shelf("good")
    datasets.fetch("small", progress=False)
    assert target.read_bytes() == GOOD


@pytest.mark.parametrize("path", ["broken", "absent"])
def test_a_download_that_fails_leaves_nothing(shelf, path):
    target = shelf(path)
    with pytest.raises(OSError, match="0.bcf could not be downloaded.*same command again"):
        datasets.fetch("small", progress=False)
    assert left_over(target) == []


def test_an_interrupted_download_leaves_nothing(shelf, monkeypatch):
    target = shelf("good")
    import pooch

    def stopped(self, url, output_file, pooch):
        output_file.write(GOOD[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        datasets.fetch("small", progress=False)
    assert left_over(target) == []


def test_a_killed_download_leaves_nothing_after_the_next_one(shelf):
    target = shelf("good")
    script = (
        "import os, pathlib, pooch\n"
        "from hebt import _datasets as datasets\n"
        "def die(self, url, part, pooch):\n"
        "    part.write(b'counts')\n"
        "    part.flush()\n"
        "    os._exit(9)\n"
        "pooch.HTTPDownloader.__call__ = die\n"
        f"datasets.REGISTRY = pathlib.Path({str(shelves.REGISTRY)!r})\n"
        "datasets.fetch('small', progress=False)\n"
    )
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", script], cwd=ROOT / "book").returncode == 9
    assert left_over(target) == [PART]
    assert (target.parent / PART).read_bytes() == b"counts"
    with pytest.raises(datasets.MissingDataError):
        datasets.locate("small")
    # a user's own, whatever they are called
    own = [".0.bcf-0123456789abcdef.part", ".0.bcf.part", ".part-1", "tmp12345678"]
    for name in own:
        (target.parent / name).write_bytes(b"mine")
        os.utime(target.parent / name, (0, 0))
    datasets.fetch("small", progress=False)
    assert left_over(target) == sorted([*own, "0.bcf"])
    assert {(target.parent / name).read_bytes() for name in own} == {b"mine"}


def test_a_dead_part_goes_where_nothing_is_left_to_fetch(shelf):
    target = shelf("good")
    datasets.fetch("small", progress=False)
    (target.parent / PART).write_bytes(b"counts")
    (target.parent / PART).chmod(0o600)
    datasets.fetch("small", progress=False)
    assert left_over(target) == ["0.bcf"]


def test_a_download_at_work_is_waited_for(shelf, monkeypatch):
    target = shelf("good")
    target.parent.mkdir(parents=True)
    monkeypatch.setattr(files, "WAIT_SECONDS", 0.0)
    with files.claimed(target.parent / PART) as at_work:
        at_work.write(b"counts")
        at_work.flush()
        with pytest.raises(TimeoutError, match="another process is still writing"):
            datasets.fetch("small", progress=False)
        assert (target.parent / PART).read_bytes() == b"counts" and Handler.asked == []
    assert datasets.fetch("small", progress=False) == [target]
    assert left_over(target) == ["0.bcf"]


@pytest.mark.parametrize("path", ["large", "endless"])
def test_no_more_is_read_than_the_registry_names(shelf, path):
    target = shelf(path, "good")
    with pytest.raises(datasets.WrongDataError, match=f"more than the {len(GOOD)} bytes"):
        datasets.fetch("small", progress=False)
    assert left_over(target) == []
    assert Handler.sent < MUCH // 10, "what buffers hold"


def test_no_two_wrong_files_take_each_others_place(shelf):
    target = shelf("good")
    for content in (b"one", b"two", b"two"):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        datasets.fetch("small", progress=False)
    apart = [p for p in target.parent.iterdir() if p.suffix == ".wrong"]
    assert {p.read_bytes() for p in apart} == {b"one", b"two"} and len(apart) == 2


def test_a_right_copy_in_the_cache_is_not_fetched_again(shelf, monkeypatch, tmp_path):
    target = shelf("good")
    datasets.fetch("small", progress=False)
    own = tmp_path / "own" / "small" / "Input" / "0.bcf"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    monkeypatch.setenv("HEBT_DATA", str(tmp_path / "own"))
    with pytest.raises(datasets.WrongDataError, match="own"):
        datasets.fetch("small", progress=False)
    assert Handler.asked == ["/good"] and left_over(target) == ["0.bcf"]


def test_the_size_is_looked_at_before_a_file_is_read(shelf, monkeypatch):
    target = shelf("good")
    datasets.fetch("small", progress=False)
    target.write_bytes(GOOD + b"?")
    monkeypatch.setattr(shelves, "_sha256", lambda *_: pytest.fail("it was read"))
    with pytest.raises(datasets.WrongDataError):
        datasets.locate("small")


def test_a_damaged_file_is_refused_and_fetched_anew(shelf):
    target = shelf("good")
    datasets.fetch("small", progress=False)
    target.write_bytes(GOOD[:-1] + b"?")
    sha256 = hashlib.sha256(GOOD[:-1] + b"?").hexdigest()
    with pytest.raises(datasets.WrongDataError, match="not the file that the registry names"):
        datasets.locate("small")
    datasets.fetch("small", progress=False)
    assert target.read_bytes() == GOOD
    assert left_over(target) == ["0.bcf", f"0.bcf.{sha256[:8]}.wrong"]


def test_hebt_data_comes_first(shelf, monkeypatch, tmp_path):
    shelf("good")
    own = tmp_path / "own" / "small" / "Input" / "0.bcf"
    own.parent.mkdir(parents=True)
    own.write_bytes(GOOD)
    monkeypatch.setenv("HEBT_DATA", str(tmp_path / "own"))
    assert datasets.locate("small") == [own]
    assert datasets.fetch("small", progress=False) == [own] and Handler.asked == []
    own.write_bytes(b"mine")
    with pytest.raises(datasets.WrongDataError):
        datasets.locate("small")
    assert own.read_bytes() == b"mine"


def test_the_missing_data_message_says_what_and_how(shelf, monkeypatch, tmp_path):
    shelf("good")
    with pytest.raises(datasets.MissingDataError) as error:
        datasets.locate("small")
    for part in ("small", "HEBT_DATA", "hebt data fetch small", "Input/0.bcf", "MB"):
        assert part in str(error.value)
    assert error.value._render_traceback_() == [f"MissingDataError: {error.value}"]
    monkeypatch.setenv("HEBT_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(datasets.MissingDataError, match="elsewhere"):
        datasets.locate("small")
    with pytest.raises(ValueError, match="name is 'large'; expected one of 'small'"):
        datasets.locate("large")
    with pytest.raises(ValueError, match=r"pattern is '\*\.emd'"):
        datasets.locate("small", "*.emd")


def command(*args, code=0):
    done = CliRunner().invoke(shell, ["data", *map(str, args)])
    assert done.exit_code == code and "Traceback" not in done.output, done.output
    return done


def test_the_command_fetches_and_says_where_from_whom_and_under_which_license(shelf):
    target = shelf("good")
    assert "missing" in command("list").stdout
    done = command("fetch", "small")
    assert done.stdout.strip() == str(target.parents[1]) and target.read_bytes() == GOOD
    for said in ("a small series", "source: here", "credit: nobody", "license: none", "1 files"):
        assert said in done.stderr
    listed = command("list").stdout
    assert "in the cache" in listed and "credit: nobody" in listed and "license: none" in listed
    target.unlink()
    shelf("wrong")
    assert re.search("Error: .*never used", command("fetch", "small", code=1).stderr)
    assert "expected one of 'small'" in command("fetch", "large", code=1).stderr


def test_the_command_fetches_to_a_folder_of_the_user(shelf, tmp_path):
    shelf("good")
    own = tmp_path / "mine"
    assert "no folder" in command("fetch", "small", "--to", own, code=1).stderr
    own.mkdir()
    assert command("fetch", "small", "--to", own).stdout.strip() == str(own / "small")
    path = own / "small" / "Input" / "0.bcf"
    assert path.read_bytes() == GOOD and left_over(path) == ["0.bcf"]
    assert not (tmp_path / "cache").exists()
    command("fetch", "small", "--to", own)
    assert Handler.asked == ["/good"]


def test_what_is_here_is_copied_and_nothing_of_the_user_is_lost(shelf, tmp_path):
    shelf("good")
    datasets.fetch("small", progress=False)
    own = tmp_path / "small" / "Input" / "0.bcf"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    assert datasets.fetch("small", to=tmp_path, progress=False) == [own]
    assert own.read_bytes() == GOOD and Handler.asked == ["/good"]
    (apart,) = own.parent.glob("*.wrong")
    assert apart.read_bytes() == b"mine"


def test_without_a_network_the_command_says_so_and_goes_on_later(shelf, monkeypatch):
    target = shelf("good")
    import pooch

    def no_network(self, url, output_file, pooch):
        output_file.write(GOOD[:100])
        raise ConnectionError("name or service not known")

    def stopped(self, url, output_file, pooch):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", no_network)
        failed = command("fetch", "small", code=1)
        patch.setattr(pooch.HTTPDownloader, "__call__", stopped)
        assert "the same call goes on" in command("fetch", "small", code=130).stderr
    assert re.search("Error: 0.bcf could not be downloaded.*same command again", failed.stderr)
    assert failed.stdout == "" and left_over(target) == []
    assert command("fetch", "small").stdout.strip() == str(target.parents[1])


def test_the_card_shows_license_and_state_but_no_path(shelf, tmp_path):
    shelf("good")
    missing = datasets.card("small")
    assert not missing.available
    assert "not on this machine" in missing._repr_html_()
    assert "hebt data fetch small" in missing._repr_html_()
    datasets.fetch("small", progress=False)
    found = datasets.card("small")
    assert found.available and found.found == "the cache"
    for text in (found._repr_html_(), repr(found)):
        assert "license" in text and "measured data" in text
        assert str(tmp_path) not in text, "pages must not differ between machines"


def test_what_a_registry_says_cannot_become_html(shelf):
    """A card of any name and text shows them as text, whether its data are here or not."""
    shelf("good")
    planted = "<img src=x onerror=alert(1)>`<b>`"
    series = json.loads(shelves.REGISTRY.read_text())["series"]["small"]
    entry = dict.fromkeys(series, planted) | {"files": series["files"], "measured": False}
    entry["acquisition"] = {planted: planted}
    for missing in ((), (planted,)):
        page = BeautifulSoup(
            datasets.DataCard(planted, entry, planted, missing)._repr_html_(), "html.parser"
        )
        assert {tag.name for tag in page.find_all()} <= {"table", "tr", "th", "td"} | (
            {"div", "p", "code"} if missing else set()
        )
        assert page.get_text().count("onerror=alert(1)>") >= 7


@pytest.mark.slow
def test_reading_twice_reads_the_files_once(monkeypatch, tmp_path):
    try:
        (path,) = datasets.locate("dust", "-40.bcf")
    except datasets.MissingDataError as error:
        pytest.skip(f"measured data are not here: {error}")
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path))
    series = io.read_tilt_series([path], lines=LINES, avoid=AVOID, progress=False)
    once = datasets.read_tilt_series("dust", path.name, lines=LINES, avoid=AVOID)
    monkeypatch.setattr(io, "read_tilt_series", lambda *_, **__: pytest.fail("read again"))
    again = datasets.read_tilt_series("dust", path.name, lines=LINES, avoid=AVOID)
    for result in (once, again):
        np.testing.assert_array_equal(result.maps, series.maps)


# --- a chapter with and without its data ---


def run_notebook(cells, tmp_path, **environment):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(ROOT / "book")}},
    )
    env = {**os.environ, "HEBT_CACHE": str(tmp_path), **environment}
    env.pop("HEBT_DATA", None)
    client.execute(env=env)
    return [cell.outputs for cell in notebook.cells]


CELLS = ["from companion import datasets\ndatasets.require('dust')"]


def test_a_notebook_without_data_stops_with_the_way_to_get_them(tmp_path):
    ((error,),) = run_notebook(CELLS, tmp_path)
    assert error.ename == "MissingDataError"
    assert "hebt data fetch dust" in error.evalue
    assert len(error.traceback) == 1, "the message, not the package's inner workings"


@pytest.fixture
def extension(monkeypatch):
    return extension_of("hebt_book")


def cells(text):
    """Return the code that a reader sees."""
    found = (c for c in jupytext.reads(text, "md:myst").cells if c.cell_type == "code")
    return [c.source for c in found if "remove-cell" not in c.metadata.get("tags", ())]


def test_the_chapter_is_run_where_its_data_are(extension, monkeypatch):
    chapter = (ROOT / "book" / "dust.md").read_text(encoding="utf-8")
    assert chapter.count('datasets.require("dust")') == 1
    monkeypatch.setattr(datasets, "card", lambda name: datasets.DataCard(name, {}, "the cache", ()))
    assert extension.without_data(chapter) == chapter
    other = (ROOT / "book" / "sweeps.md").read_text(encoding="utf-8")
    monkeypatch.setattr(datasets, "card", lambda name: pytest.fail("it needs no data"))
    assert extension.without_data(other) == other


@pytest.mark.parametrize("name", ["dust", "your_turn"])
def test_the_chapter_without_data_shows_the_card_and_runs_no_further(
    extension, monkeypatch, tmp_path, name
):
    monkeypatch.delenv("HEBT_DATA", raising=False)
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path))
    chapter = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
    shown = extension.without_data(chapter)
    (only,) = cells(shown)
    ((card,),) = run_notebook([only], tmp_path)
    assert "not on this machine" in card.data["text/html"]
    for code in cells(chapter):
        assert f"```python\n{code.strip()}" in shown.replace("\n\n```", "\n```"), code
    assert "{glue:text}" not in shown and "{numref}" not in shown
    words = [line for line in chapter.splitlines() if line.startswith(("#", "- **"))]
    assert [line for line in words if "{" not in line and line not in shown] == []
