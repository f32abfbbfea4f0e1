"""Folders that are this user's alone, and files that one process at a time writes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BESIDE = Path(__file__).resolve().parents[1]
# longer than a study takes, shorter than the build lets a cell run
WAIT_SECONDS = 900.0
# after this nobody is at work in a file that cannot be locked
DEAD_AFTER_SECONDS = 86400.0
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def folder_of(variable: str) -> Path | None:
    """Return the folder that an environment variable names, or None if it is not set.

    ``~`` is the home folder. A relative folder lies in the checkout of the book, whichever chapter
    asks; without one, in the present folder.
    """
    value = os.environ.get(variable)
    base = _BESIDE if (_BESIDE / "book" / "companion").is_dir() else Path.cwd()
    return base / os.path.expanduser(value) if value else None


def cache_folder() -> Path:
    """Return the folder for results and data: ``HEBT_CACHE``, or ``hebt`` in the user's cache."""
    if own := folder_of("HEBT_CACHE"):
        return own
    import platformdirs

    return Path(platformdirs.user_cache_dir("hebt", False))


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone."""
    for path in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
        path.mkdir(0o700, exist_ok=True)


def check_ours(status: os.stat_result, path: Path) -> None:
    """Raise a PermissionError unless this user, and no other, can have written something.

    Windows, which has neither owners by number nor these permissions, is trusted.
    """
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    if status.st_mode & 0o022:
        raise PermissionError(f"others can write to {path}; if it is yours alone, chmod go-w it")


def open_ours(path: Path, flags: int = os.O_RDONLY, mode: str = "rb") -> BinaryIO:
    """Open a file that only this user can have written; a link is not followed."""
    file = cast(BinaryIO, os.fdopen(os.open(path, flags | _FLAGS, 0o600), mode))
    try:
        check_ours(os.fstat(file.fileno()), path)
    except PermissionError:
        file.close()
        raise
    return file


def _lock(file: BinaryIO, path: Path, until: float) -> bool:
    """Lock an open file, or say that files cannot be locked here."""
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError(f"another process is still writing {path}") from None
            time.sleep(0.05)
        except OSError:  # a file system without locks
            return False
    return False


def _lies_at(path: Path, status: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(status, path.lstat())
    return False


def _claim(part: Path, until: float) -> BinaryIO:
    while True:
        file = open_ours(part, os.O_RDWR | os.O_CREAT, "r+b")
        try:
            _lock(file, part, until)
            if _lies_at(part, os.fstat(file.fileno())):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # who had it before has renamed or removed it


def _close(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):  # a full disk has no place for the rest, which no one needs
        file.close()


@contextlib.contextmanager
def claimed(part: Path, *, wait: float | None = None) -> Iterator[BinaryIO]:
    """Yield an open file that no other process writes to, and remove it in the end.

    `give_name` keeps it. A second process waits here until the first is done; the lock goes with
    its process, and what a killed one has left in the file is still there. Where files cannot be
    locked no one waits. After `wait` seconds (15 minutes) it is a TimeoutError.
    """
    file = _claim(part, time.monotonic() + (WAIT_SECONDS if wait is None else wait))
    status = os.fstat(file.fileno())
    try:
        yield file
    finally:
        if fcntl is None:  # Windows removes no open file
            _close(file)
        if _lies_at(part, status):
            with contextlib.suppress(OSError):
                part.unlink()
        _close(file)


def give_name(file: BinaryIO, part: Path, path: Path) -> None:
    """Give a claimed file its own name, now that it is whole."""
    file.flush()
    os.fsync(file.fileno())  # a full disk may say so only here
    if fcntl is None:  # Windows renames no open file
        file.close()
    os.replace(part, path)


def remove_dead(part: Path) -> None:
    """Remove a claimed file whose process is gone; an OSError if there is none, or it is not."""
    with open_ours(part) as file:
        status = os.fstat(file.fileno())
        if _lock(file, part, 0.0):
            if _lies_at(part, status):
                part.unlink()
            return
    if time.time() - status.st_mtime > DEAD_AFTER_SECONDS:
        part.unlink()
