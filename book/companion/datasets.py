"""The measured series that the book uses: where they are, and how to get them.

``python -m companion.datasets list`` names them, ``fetch dust`` downloads a series, and
``check dust`` says whether it is here and whole (in the folder ``book/``; ``make data`` fetches).
"""

import argparse
import contextlib
import functools
import hashlib
import html
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pooch

from hebt import io

from .files import ROOT, claimed, folder_of, give_name, make_private, remove_dead
from .store import cache_folder, cached

REGISTRY = ROOT / "data" / "measured.json"
BOOK_SERIES = "dust"  # what `make data` fetches
_TRY_AGAIN = (
    "Try again; if it stays so, the source has changed: please say so in an issue of the book's "
    "repository."
)


class MissingDataError(FileNotFoundError):
    """A series of the registry is not on this machine; the message says how to get it."""

    def _render_traceback_(self):
        # a notebook shows what is missing and what to do, instead of this module's inner workings
        return [f"{type(self).__name__}: {self}"]


class WrongDataError(ValueError):
    """A file is not the one that the registry names: its sha256 differs."""


def registry() -> dict:
    """Return the registry of measured data: name -> title, origin, credit, licence, files."""
    try:
        text = REGISTRY.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"The registry of measured data, {REGISTRY}, is not there. It belongs to the book's "
            "repository and not to the installed package: clone the repository and install hebt "
            "from it with `pip install -e .`. Your own files need no registry; give their paths "
            "to hebt.io.read_tilt_series."
        ) from None
    return json.loads(text)["series"]


def _entry(name: str) -> dict:
    series = registry()
    if name not in series:
        raise ValueError(
            f"name is {name!r}; expected one of {', '.join(map(repr, series))}, "
            "the series in the registry."
        )
    return series[name]


def _how_to_get(name: str) -> str:
    command = f"in the folder book/, `python -m companion.datasets fetch {name}`"
    return f"`make data` or, {command}," if name == BOOK_SERIES else command


def _folders(entry: dict) -> dict[str, Path]:
    """Return the folders where a series may lie, in the order in which they are looked into."""
    folders = {}
    if own := folder_of("HEBT_DATA"):
        folders["HEBT_DATA"] = own / entry["folder"]
    folders["the cache"] = cache_folder() / "data" / entry["folder"]
    return folders


def _look(entry: dict, files: Sequence[dict]) -> tuple[dict[Path, str], list[dict], list[Path]]:
    """Return right files as path -> name of the folder, those that are missing, and wrong ones."""
    right, missing, wrong = {}, [], []
    for file in files:
        places = {folder / file["path"]: where for where, folder in _folders(entry).items()}
        path = next(filter(os.path.isfile, places), None)
        if path is None:
            missing.append(file)
        elif _is_right(path, file):
            right[path] = places[path]
        else:
            wrong.append(path)
    return right, missing, wrong


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed: int) -> str:
    return pooch.file_hash(path)


def _is_right(path: Path, wanted: dict) -> bool:
    if not os.path.isfile(path):  # also where this user may not look
        return False
    status = path.stat()
    return (
        status.st_size == wanted["size"]
        and _sha256(path, status.st_size, status.st_mtime_ns) == wanted["sha256"]
    )


def _megabytes(files: Sequence[dict]) -> float:
    return sum(f["size"] for f in files) / 1e6


def _wanted(entry: dict, pattern: str) -> list[dict]:
    files = [f for f in entry["files"] if fnmatch(PurePosixPath(f["path"]).name, pattern)]
    if not files:
        raise ValueError(
            f"pattern is {pattern!r}, which no file of the series has; its files are "
            f"{', '.join(f['path'] for f in entry['files'])}."
        )
    return files


def locate(name: str, pattern: str = "*") -> list[Path]:
    """Return the paths of a series' files in the registry's order, their sha256 checked.

    They are looked up in the folder ``HEBT_DATA``, then in the cache (``HEBT_CACHE``, or ``hebt``
    in the user's cache folder). Nothing is downloaded: that is `fetch`.
    """
    entry = _entry(name)
    right, missing, wrong = _look(entry, _wanted(entry, pattern))
    if wrong:
        raise WrongDataError(
            f"{wrong[0]} is not the file that the registry names (its size or sha256 differs), "
            f"so it is not used. Remove it and run {_how_to_get(name)} again."
        )
    if missing:
        looked = " and ".join(f"{where} ({folder})" for where, folder in _folders(entry).items())
        unset = "" if os.environ.get("HEBT_DATA") else " (the environment variable is not set)"
        raise MissingDataError(
            f"{len(missing)} of {len(entry['files'])} files of the series {name!r} are not on "
            f"this machine: {entry['title']}. Looked in {looked}. Nothing is downloaded unasked. "
            f"Run {_how_to_get(name)} to download {_megabytes(missing):.1f} MB and check them, or "
            f"set HEBT_DATA{unset} to a folder that holds {entry['folder']}/{missing[0]['path']} "
            "and the others."
        )
    return list(right)


def fetch(name: str, pattern: str = "*", *, progress: bool = True) -> list[Path]:
    """Download what is missing of a series into the cache, check it, and return all paths.

    A file gets its name once it is whole and its sha256 is right. One with another sha256 is
    kept beside it with the ending ``.wrong`` and never used. No more is read than the size that
    the registry names. What a killed download has left is removed, or written to again.
    """
    entry = _entry(name)
    folder = _folders(entry)["the cache"]
    for file in _wanted(entry, pattern):
        target = folder / file["path"]
        part = target.with_name(f".{target.name}-{file['sha256'][:16]}.part")
        with contextlib.suppress(OSError):
            remove_dead(part)
        if any(_is_right(f / file["path"], file) for f in _folders(entry).values()):
            continue
        make_private(target.parent)
        with claimed(part) as opened:
            if _is_right(target, file):  # another process has fetched it meanwhile
                continue
            if target.is_file():
                target.replace(_wrong_name(target, pooch.file_hash(target)))
            address = _download(file, opened, progress)
            opened.seek(0)
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            is_right = sha256 == file["sha256"]
            apart = target if is_right else _wrong_name(target, sha256)
            give_name(opened, part, apart)
            if not is_right:
                raise WrongDataError(
                    f"{address} gave a file of {apart.stat().st_size} bytes with another sha256 "
                    f"than the registry names ({file['size']} bytes). It is kept as {apart} and "
                    f"never used. {_TRY_AGAIN}"
                )
    return locate(name, pattern)


def _wrong_name(target: Path, sha256: str) -> Path:
    """Return where a wrong file is kept: no other content has that name."""
    return target.with_name(f"{target.name}.{sha256[:8]}.wrong")


class _AtMost:
    """A file to write a download to, which takes no more than the registry's size."""

    def __init__(self, file, size: int, address: str):
        self.file, self.size, self.address = file, size, address
        self.flush = file.flush

    def check(self, size: int) -> None:
        if size > self.size:
            raise WrongDataError(
                f"{self.address} gives more than the {self.size} bytes that the registry names, "
                f"so no more of it was read, and nothing kept. {_TRY_AGAIN}"
            )

    def write(self, data: bytes) -> int:
        self.check(self.file.tell() + len(data))
        return self.file.write(data)


def _get(address: str, target: _AtMost, progress: bool) -> None:
    answers = []

    def look(answer, **_):
        answers.append(answer)
        if answer.ok and not answer.is_redirect:
            target.check(int(answer.headers.get("Content-Length", 0)))

    get = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=1 << 16,
        hooks={"response": look},
        headers={"Accept-Encoding": "identity"},  # else the length is that of packed bytes
    )
    try:
        get(address, target, None)
    finally:
        for answer in answers:
            answer.close()


def _download(file: dict, opened, progress: bool) -> str:
    """Write a download to an open file; return the first address that gives one."""
    failures = []
    for address in file["addresses"]:
        opened.seek(0)
        opened.truncate()
        try:
            _get(address, _AtMost(opened, file["size"], address), progress)
            return address
        except OSError as error:
            failures.append(f"{address}: {error}")
    raise OSError(
        f"{PurePosixPath(file['path']).name} could not be downloaded. Check the connection and "
        "run the same command again: what is here already stays. " + "; ".join(failures)
    )


@dataclass(frozen=True, repr=False)
class DataCard:
    """What a series is, from whom and under which licence, and whether it is on this machine."""

    name: str
    entry: dict
    found: str
    missing: tuple[str, ...]

    @property
    def available(self) -> bool:
        """Whether every file is here and right."""
        return not self.missing

    def rows(self) -> list[tuple[str, str]]:
        """Return what the card says, as (label, text)."""
        entry, files = self.entry, self.entry["files"]
        state = f"found in {self.found}; size and sha256 of every file are right"
        if self.missing:
            first = f"{self.missing[0]}{', …' if len(self.missing) > 1 else ''}"
            state = f"missing: {len(self.missing)} of {len(files)} files ({first})"
        rows = [
            ("measured data" if entry["measured"] else "simulated data", entry["title"]),
            *((label, entry[label]) for label in ("source", "credit", "licence")),
            *((k.replace("_", " "), v) for k, v in entry["acquisition"].items()),
            ("files", f"{len(files)} files, {_megabytes(files):.1f} MB"),
            ("on this machine", state),
        ]
        if self.missing:
            get = f"{_how_to_get(self.name)} downloads and checks them; or set HEBT_DATA"
            rows.append(("how to get them", f"{get} to a folder that holds {entry['folder']}"))
        return rows

    def __repr__(self):
        return "\n".join(f"{label}: {text}" for label, text in self.rows())

    def _repr_html_(self):
        style = 'style="text-align:left;vertical-align:top"'
        cells = "".join(
            f'<tr><th scope="row" {style}>{html.escape(label)}</th>'
            f"<td {style}>{html.escape(text)}</td></tr>"
            for label, text in self.rows()
        )
        note = ""
        if self.missing:
            get = re.sub("`(.*?)`", r"<code>\1</code>", html.escape(_how_to_get(self.name)))
            note = (
                '<div class="admonition warning"><p class="admonition-title">Data not here</p>'
                "<p>These data are not on this machine, so the code below was not run and its "
                f"pictures and numbers are missing. Run {get}, then run the chapter or build the "
                "book again.</p></div>"
            )
        return f'{note}<table class="hebt-data">{cells}</table>'


def card(name: str) -> DataCard:
    """Say what a series is and whether it is on this machine. Nothing is downloaded."""
    entry = _entry(name)
    right, missing, wrong = _look(entry, entry["files"])
    lacking = [file["path"] for file in missing] + [
        f"{path.name} is another file" for path in wrong
    ]
    return DataCard(name, entry, " and ".join(dict.fromkeys(right.values())), tuple(lacking))


def require(name: str) -> DataCard:
    """Show where a chapter's data come from; without them, stop here with the way to get them.

    The book's extension shows a chapter whose data are missing without running it.
    """
    shown = card(name)
    if not shown.available:
        locate(name)
    return shown


def read_tilt_series(name: str, pattern: str = "*", *, lines, avoid=()) -> io.TiltSeries:
    """Read a series by `hebt.io.read_tilt_series`, and keep the result."""
    return _read_tilt_series(stamps(name, pattern), tuple(lines), tuple(avoid))


def stamps(name: str, pattern: str = "*") -> tuple[tuple[str, int, int], ...]:
    """Return each file's path, size and time: in a result's key, as other files are other data."""
    return tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in locate(name, pattern))


@cached
def _read_tilt_series(files, lines, avoid):
    return io.read_tilt_series([path for path, *_ in files], lines=lines, avoid=avoid)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m companion.datasets``; return 0 if all went well."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.datasets",
        description="Measured data of the book: what, where, and get.",
        epilog="list: which series there are and whether they are here. fetch: download what is "
        "missing of a series, and check it. check: what a series is, and whether it is whole.",
    )
    parser.add_argument("command", choices=("list", "fetch", "check"))
    parser.add_argument("name", nargs="?", default=BOOK_SERIES)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            for about in map(card, registry()):
                size = _megabytes(about.entry["files"])
                state = f"found in {about.found}" if about.available else "missing"
                print(f"{about.name:10} {size:6.1f} MB  {state:22} {about.entry['title']}")
            return 0
        if chosen.command == "fetch":
            paths = fetch(chosen.name)
            print(f"{chosen.name}: {len(paths)} files, all with the right sha256")
            return 0
        about = card(chosen.name)
        print(about)
        return 0 if about.available else 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
