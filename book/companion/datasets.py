"""The measured series that the book uses: where they are, and how to get them.

``python -m companion.datasets list`` names them, ``fetch dust`` downloads a series, and
``check dust`` says whether it is here and whole (in the folder ``book/``; ``make data`` fetches).
"""

import argparse
import functools
import hashlib
import html
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from hebt import io

from .store import cache_folder, cached

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "measured.json"


class MissingDataError(FileNotFoundError):
    """A series of the registry is not on this machine; the message says how to get it."""

    def _render_traceback_(self):
        # a notebook shows what is missing and what to do, instead of this module's inner workings
        return [f"{type(self).__name__}: {self}"]


class WrongDataError(ValueError):
    """A file is not the one that the registry names: its sha256 differs."""


def registry() -> dict:
    """Return the registry of measured data: name -> title, origin, credit, licence, files.

    Raises
    ------
    FileNotFoundError
        If the registry is not there, as where `hebt` was installed without its repository.
    """
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


def _folders(entry: dict) -> dict[str, Path]:
    """Return the folders where a series may lie, in the order in which they are looked into."""
    folders = {}
    if os.environ.get("HEBT_DATA"):
        folders["HEBT_DATA"] = Path(os.environ["HEBT_DATA"]) / entry["folder"]
    folders["the cache"] = cache_folder() / "data" / entry["folder"]
    return folders


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_right(path: Path, wanted: dict) -> bool:
    status = path.stat()
    return (
        status.st_size == wanted["size"]
        and _sha256(path, status.st_size, status.st_mtime_ns) == wanted["sha256"]
    )


def _wanted(entry: dict, pattern: str) -> list[dict]:
    files = [f for f in entry["files"] if fnmatch(PurePosixPath(f["path"]).name, pattern)]
    if not files:
        raise ValueError(
            f"pattern is {pattern!r}, which no file of the series has; its files are "
            f"{', '.join(f['path'] for f in entry['files'])}."
        )
    return files


def locate(name: str, pattern: str = "*") -> list[Path]:
    """Return the paths of a series' files, each checked against its sha256.

    They are looked up in the folder that the environment variable ``HEBT_DATA`` names, then in
    the cache (``HEBT_CACHE``, or ``hebt`` in the user's cache folder). Nothing is downloaded:
    that is `fetch`.

    Parameters
    ----------
    name
        The series' name in the registry, such as "dust".
    pattern
        Which of its files, by file name: "*.bcf" for instance.

    Returns
    -------
    list of Path
        In the order of the registry; for a tilt series, that of the tilts.

    Raises
    ------
    MissingDataError
        If a file is in neither folder.
    WrongDataError
        If a file is there but its sha256 is another one.
    """
    entry = _entry(name)
    wanted = _wanted(entry, pattern)
    folders = _folders(entry)
    paths, missing = [], []
    for file in wanted:
        here = next((p for f in folders.values() if (p := f / file["path"]).is_file()), None)
        if here is None:
            missing.append(file)
        elif not _is_right(here, file):
            raise WrongDataError(
                f"{here} is not the file that the registry names (its size or sha256 differs), "
                f"so it is not used. Remove it and run `python -m companion.datasets fetch {name}`."
            )
        else:
            paths.append(here)
    if missing:
        raise MissingDataError(_what_is_missing(name, entry, missing))
    return paths


def _what_is_missing(name, entry, missing):
    size = sum(f["size"] for f in missing) / 1e6
    looked = " and ".join(
        f"{'HEBT_DATA' if where == 'HEBT_DATA' else 'the cache folder'} ({folder})"
        for where, folder in _folders(entry).items()
    )
    unset = "" if os.environ.get("HEBT_DATA") else " (the environment variable is not set)"
    return (
        f"{len(missing)} of {len(entry['files'])} files of the series {name!r} are not on this "
        f"machine: {entry['title']}. Looked in {looked}. Nothing is downloaded unasked. Run "
        f"`python -m companion.datasets fetch {name}` to download {size:.1f} MB and check "
        f"them, or set HEBT_DATA{unset} to a folder that holds "
        f"{entry['folder']}/{missing[0]['path']} and the others."
    )


def fetch(name: str, pattern: str = "*", *, progress: bool = True) -> list[Path]:
    """Download what is missing of a series, check its sha256, and return the files' paths.

    Files that are here already are left alone. Each new file is written under another name and
    moved into the cache folder once it is whole and its sha256 is right, so that an interrupted
    or wrong download is never taken for the data.

    Parameters
    ----------
    name, pattern
        As for `locate`.
    progress
        Whether to show a progress bar per file.

    Raises
    ------
    WrongDataError
        If what came has another sha256 than the registry names. It is kept beside the data with
        the ending ``.wrong``, for a look at it, and never used.
    OSError
        If no address answers with the file.
    """
    entry = _entry(name)
    folder = _folders(entry)["the cache"]
    for file in _wanted(entry, pattern):
        if any(
            (p := f / file["path"]).is_file() and _is_right(p, file)
            for f in _folders(entry).values()
        ):
            continue
        target = folder / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            _keep_apart(target)
        _download(file, target, progress=progress)
    return locate(name, pattern)


def _keep_apart(path: Path) -> Path:
    apart = path.with_name(path.name + ".wrong")
    os.replace(path, apart)
    return apart


def _download(file: dict, target: Path, *, progress: bool) -> None:
    # pooch brings time-outs, streaming and the progress bar; two things are ours: a file that
    # fails its check is kept for a look, and there may be more than one address
    import pooch
    import requests

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    os.close(handle)
    part = Path(name)
    failures = []
    try:
        for address in file["addresses"]:
            if progress:
                print(f"{target.name} from {address}", file=sys.stderr)
            try:
                download = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 16)
                download(address, str(part), None)
            except (requests.RequestException, OSError) as error:
                failures.append(f"{address}: {error}")
                continue
            if not _is_right(part, file):
                apart = _keep_apart(part.replace(target))
                raise WrongDataError(
                    f"{address} gave a file of {apart.stat().st_size} bytes with another sha256 "
                    f"than the registry names ({file['size']} bytes). It is kept as {apart} and "
                    "never used. Try again; if it stays so, the source has changed: please say "
                    "so in an issue of the book's repository."
                )
            os.replace(part, target)
            return
        raise OSError(
            f"{target.name} could not be downloaded. Check the connection and run the same "
            "command again: what is here already stays. " + "; ".join(failures)
        )
    finally:
        part.unlink(missing_ok=True)


@dataclass(frozen=True, repr=False)
class DataCard:
    """What a series is, from whom and under which licence, and whether it is on this machine.

    Displayed in a notebook as a small table.
    """

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
        entry = self.entry
        size = sum(f["size"] for f in entry["files"]) / 1e6
        kind = "measured data" if entry["measured"] else "simulated data"
        if self.available:
            state = f"found in {self.found}; size and sha256 of every file are right"
        else:
            state = (
                f"missing: {len(self.missing)} of {len(entry['files'])} files "
                f"({self.missing[0]}{', …' if len(self.missing) > 1 else ''})"
            )
        rows = [
            (kind, entry["title"]),
            ("source", entry["source"]),
            ("credit", entry["credit"]),
            ("licence", entry["licence"]),
            *((k.replace("_", " "), v) for k, v in entry["acquisition"].items()),
            ("files", f"{len(entry['files'])} files, {size:.1f} MB"),
            ("on this machine", state),
        ]
        if not self.available:
            rows.append(
                (
                    "how to get them",
                    f"python -m companion.datasets fetch {self.name} downloads and checks "
                    f"them; or set HEBT_DATA to a folder that holds {entry['folder']}",
                )
            )
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
        if not self.available:
            note = (
                '<div class="admonition warning"><p class="admonition-title">Data not here</p>'
                "<p>These data are not on this machine, so the code below was not run and its "
                f"pictures are missing. Run <code>python -m companion.datasets fetch {self.name}"
                "</code>, then run the chapter or build the book again.</p></div>"
            )
        return f'{note}<table class="hebt-data">{cells}</table>'


def card(name: str) -> DataCard:
    """Say what a series is and whether it is on this machine. Nothing is downloaded."""
    entry = _entry(name)
    folders = _folders(entry)
    missing, found = [], []
    for file in entry["files"]:
        for where, folder in folders.items():
            if (folder / file["path"]).is_file():
                if _is_right(folder / file["path"], file):
                    found.append(where)
                else:
                    missing.append(f"{file['path']} is another file")
                break
        else:
            missing.append(file["path"])
    where = " and ".join(dict.fromkeys(found))
    return DataCard(name, entry, where, tuple(missing))


def require(name: str) -> DataCard:
    """Show where a chapter's data come from; without them, stop here with the way to get them.

    In JupyterLab and in scripts, missing data raise `MissingDataError`, whose message says what
    to run. While the book is built (``HEBT_STATIC=1``) the card is shown instead, and the cells
    that follow in the notebook are left out, so that a book without the data still builds and
    says so.
    """
    shown = card(name)
    if shown.available:
        return shown
    shell = _shell()
    if os.environ.get("HEBT_STATIC") != "1" or shell is None:
        locate(name)
        raise AssertionError("locate() found what card() misses")  # pragma: no cover
    shell.input_transformers_post.append(lambda lines: ["pass\n"])
    return shown


def _shell():
    if "IPython" not in sys.modules:
        return None
    return sys.modules["IPython"].get_ipython()


def read_tilt_series(name: str, pattern: str = "*", *, lines, avoid=()) -> io.TiltSeries:
    """Read a series by `hebt.io.read_tilt_series`, and keep the result.

    Parameters
    ----------
    name, pattern
        As for `locate`.
    lines, avoid
        As for `hebt.io.read_tilt_series`.
    """
    # size and time of each file are part of the key: other files are other data
    stamps = tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in locate(name, pattern))
    return _read_tilt_series(stamps, tuple(lines), tuple(avoid))


@cached
def _read_tilt_series(stamps, lines, avoid):
    return io.read_tilt_series([path for path, *_ in stamps], lines=lines, avoid=avoid)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m companion.datasets``; return 0 if all went well."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.datasets",
        description="Measured data of the book: what, where, and get.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the series, their size and whether they are here")
    for command, text in (
        ("fetch", "download what is missing of a series, and check it"),
        ("check", "say what a series is and whether it is here and whole"),
    ):
        sub = commands.add_parser(command, help=text)
        sub.add_argument("name", choices=sorted(registry()), metavar="NAME")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            for name in registry():
                about = card(name)
                size = sum(f["size"] for f in about.entry["files"]) / 1e6
                state = f"found in {about.found}" if about.available else "missing"
                print(f"{name:10} {size:6.1f} MB  {state:22} {about.entry['title']}")
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
