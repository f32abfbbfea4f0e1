"""Public tilt series that the book and README use: where they are, and how to get them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ._places import cache_folder, claimed, folder_of, give_name, make_private, remove_dead

# names each series' files, their sha256 and size, addresses, origin, credit and license
REGISTRY = Path(__file__).with_name("measured.json")
_TRY_AGAIN = (
    "Try again; if it stays so, the source has changed: please say so in an issue of the book's "
    "repository."
)


class MissingDataError(FileNotFoundError):
    """A series of the registry is not on this machine; the message says how to get it."""

    def _render_traceback_(self) -> list[str]:
        # a notebook shows what is missing and what to do, instead of this module's inner workings
        return [f"{type(self).__name__}: {self}"]


class WrongDataError(ValueError):
    """A file is not the one that the registry names: its sha256 differs."""


def registry() -> dict[str, dict[str, Any]]:
    """Return the registry of public data: name -> title, origin, credit, license, files."""
    return json.loads(REGISTRY.read_text(encoding="utf-8"))["series"]


def entry_of(name: str) -> dict[str, Any]:
    """Return what the registry says of a series; a ValueError if it has none of this name."""
    series = registry()
    if name not in series:
        raise ValueError(
            f"name is {name!r}; expected one of {', '.join(map(repr, series))}, "
            "the series in the registry."
        )
    return series[name]


def folders(entry: dict[str, Any]) -> dict[str, Path]:
    """Return the folders where a series may lie, in the order in which they are looked into."""
    found = {}
    if own := folder_of("HEBT_DATA"):
        found["HEBT_DATA"] = own / entry["folder"]
    found["the cache"] = cache_folder() / "data" / entry["folder"]
    return found


@dataclass(frozen=True)
class Found:
    """What is on this machine of a series."""

    right: dict[Path, str]  # path -> which of the folders it lies in
    missing: list[dict[str, Any]]
    wrong: list[Path]


def look(entry: dict[str, Any], files: Sequence[dict[str, Any]]) -> Found:
    """Look for these files of a series, and check them."""
    found = Found({}, [], [])
    for file in files:
        places = {folder / file["path"]: where for where, folder in folders(entry).items()}
        path = next(filter(os.path.isfile, places), None)
        if path is None:
            found.missing.append(file)
        elif _is_right(path, file):
            found.right[path] = places[path]
        else:
            found.wrong.append(path)
    return found


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_right(path: Path, wanted: dict[str, Any]) -> bool:
    if not os.path.isfile(path):  # also where this user may not look
        return False
    status = path.stat()
    return (
        status.st_size == wanted["size"]
        and _sha256(path, status.st_size, status.st_mtime_ns) == wanted["sha256"]
    )


def megabytes(files: Sequence[dict[str, Any]]) -> float:
    """Return the size of files of the registry, in MB."""
    return sum(f["size"] for f in files) / 1e6


def _wanted(entry: dict[str, Any], pattern: str) -> list[dict[str, Any]]:
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
    entry = entry_of(name)
    found = look(entry, _wanted(entry, pattern))
    command = f"`hebt data fetch {name}`"
    if found.wrong:
        raise WrongDataError(
            f"{found.wrong[0]} is not the file that the registry names (its size or sha256 "
            f"differs), so it is not used. Remove it and run {command} again."
        )
    if found.missing:
        looked = " and ".join(f"{where} ({folder})" for where, folder in folders(entry).items())
        unset = "" if os.environ.get("HEBT_DATA") else " (the environment variable is not set)"
        raise MissingDataError(
            f"{len(found.missing)} of {len(entry['files'])} files of the series {name!r} are not "
            f"on this machine: {entry['title']}. Looked in {looked}. Nothing is downloaded unasked."
            f" Run {command} to download {megabytes(found.missing):.1f} MB and check them, or set "
            f"HEBT_DATA{unset} to a folder that holds {entry['folder']}/{found.missing[0]['path']} "
            "and the others."
        )
    return list(found.right)


def fetch(
    name: str, pattern: str = "*", *, to: str | os.PathLike | None = None, progress: bool = True
) -> list[Path]:
    """Download what is missing of a series, check it, and return all paths.

    It goes to the cache, or to a folder with the series' name in `to`, into which is copied what
    lies elsewhere. A file gets its name once it is whole and its sha256 is right. One with another
    sha256 is kept beside it with the ending ``.wrong`` and never used. No more is read than the
    size that the registry names. What a killed download has left is removed, or written to again.
    """
    entry = entry_of(name)
    files = _wanted(entry, pattern)
    if to is not None:
        return _fetch_to(entry, files, Path(to).expanduser(), progress)
    folder = folders(entry)["the cache"]
    for file in files:
        with contextlib.suppress(OSError):
            remove_dead(_part(folder / file["path"], file))
        if not any(_is_right(f / file["path"], file) for f in folders(entry).values()):
            make_private((folder / file["path"]).parent)
            _bring(file, folder / file["path"], None, progress)
    return locate(name, pattern)


def _fetch_to(
    entry: dict[str, Any], files: Sequence[dict[str, Any]], to: Path, progress: bool
) -> list[Path]:
    """Bring files to a folder of the user's."""
    if not to.is_dir():
        raise FileNotFoundError(f"to is {to}, which is no folder; make it first, or give another.")
    paths = [to / entry["folder"] / file["path"] for file in files]
    for file, path in zip(files, paths, strict=True):
        with contextlib.suppress(OSError):
            remove_dead(_part(path, file))
        if not _is_right(path, file):
            path.parent.mkdir(parents=True, exist_ok=True)
            places = [folder / file["path"] for folder in folders(entry).values()]
            here = next((place for place in places if _is_right(place, file)), None)
            _bring(file, path, here, progress)
            path.chmod(0o644)  # public, and in a folder that may be shared
    return paths


def _part(target: Path, file: dict[str, Any]) -> Path:
    return target.with_name(f".{target.name}-{file['sha256'][:16]}.part")


def _bring(file: dict[str, Any], target: Path, here: Path | None, progress: bool) -> None:
    """Download a file, or copy the one that is here, and give it its name if it is right."""
    part = _part(target, file)
    with claimed(part) as opened:
        if _is_right(target, file):  # another process has fetched it meanwhile
            return
        if target.is_file():
            status = target.stat()
            target.replace(_wrong_name(target, _sha256(target, status.st_size, status.st_mtime_ns)))
        address = _download(file, opened, progress) if here is None else _copy(here, opened)
        opened.seek(0)
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]
        is_right = sha256 == file["sha256"]
        apart = target if is_right else _wrong_name(target, sha256)
        give_name(opened, part, apart)
    if not is_right:
        raise WrongDataError(
            f"{address} gave a file of {apart.stat().st_size} bytes with another sha256 than the "
            f"registry names ({file['size']} bytes). It is kept as {apart} and never used. "
            f"{_TRY_AGAIN}"
        )


def _wrong_name(target: Path, sha256: str) -> Path:
    """Return where a wrong file is kept: no other content has that name."""
    return target.with_name(f"{target.name}.{sha256[:8]}.wrong")


def _copy(source: Path, opened: BinaryIO) -> str:
    opened.seek(0)
    opened.truncate()
    with open(source, "rb") as file:
        shutil.copyfileobj(file, opened)
    return str(source)


class _AtMost:
    """A file to write a download to, which takes no more than the registry's size."""

    def __init__(self, file: BinaryIO, size: int, address: str):
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
    import pooch

    answers = []

    def look_at(answer, **_):
        answers.append(answer)
        if answer.ok and not answer.is_redirect:
            target.check(int(answer.headers.get("Content-Length", 0)))

    get = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=1 << 16,
        hooks={"response": look_at},
        headers={"Accept-Encoding": "identity"},  # else the length is that of packed bytes
    )
    try:
        get(address, target, None)
    finally:
        for answer in answers:
            answer.close()


def _download(file: dict[str, Any], opened: BinaryIO, progress: bool) -> str:
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
