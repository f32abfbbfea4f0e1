"""Files that are whole or not there, written aside and renamed; and places with one writer."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def written_aside(path: str | os.PathLike, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a path to write to, and give the file its own name at the end of the block.

    The path does not exist yet, lies in the same folder and has the same ending. If the block
    raises (a full disk, Ctrl-C), what was written is removed and `path` is as it was before.
    A ``~`` stands for the user's home. Without `overwrite`, a file that is there already, or has
    come there meanwhile, stays, and a FileExistsError says so.
    """
    if not overwrite:
        refuse_existing(path)
    path = Path(os.path.realpath(Path(path).expanduser()))  # a link stays one
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path is {path}, but there is no folder {path.parent}; make it first, or give another."
        )
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        raise FileExistsError(
            f"path is {path}, which is no file that can be written; give another."
        )
    part = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield part
        with open(part, "rb+") as file:  # Windows syncs no file that is open for reading alone
            os.fsync(file.fileno())  # a full disk may say so only here
        if path.exists() and overwrite:
            shutil.copymode(path, part)
        (os.replace if overwrite else _place)(part, path)
    finally:
        part.unlink(missing_ok=True)


def refuse_existing(path: str | os.PathLike) -> None:
    """Raise a FileExistsError if something of this name is there."""
    if os.path.lexists(Path(path).expanduser()):
        raise FileExistsError(
            f"path is {path}, which is there already; give another, or overwrite=True."
        )


def _place(part, path):
    """Give a file a name that nothing has."""
    try:
        os.link(part, path)  # fails where there is one, also of the same instant
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError:  # a disk without links
        refuse_existing(path)
        os.replace(part, path)


@contextlib.contextmanager
def folder_written_aside(
    path: str | os.PathLike, *, overwrite: Callable[[Path], bool] | None = None
) -> Iterator[Path]:
    """Do what `written_aside` does for a folder, which is made by the block.

    A folder that is there is replaced only where ``overwrite(path)`` says that it may be lost; it
    is put aside first, and back if its place cannot be taken.
    """
    path = Path(os.path.realpath(Path(path).expanduser()))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path is {path}, but there is no folder {path.parent}; make it first, or give another."
        )
    if overwrite is None:
        refuse_existing(path)
    elif os.path.lexists(path) and not (path.is_dir() and overwrite(path)):
        raise FileExistsError(
            f"path is {path}, which holds something else than would be written there; give another."
        )
    mark = secrets.token_hex(4)
    part = path.with_name(f".{path.stem[:100]}-{mark}{path.suffix}")
    old = path.with_name(f".{path.stem[:100]}-{mark}-old{path.suffix}")
    try:
        yield part
        for place in part.rglob("*"):
            if place.is_file():
                with open(place, "rb+") as file:
                    os.fsync(file.fileno())
        if overwrite is None:
            refuse_existing(path)
        elif path.exists():
            os.rename(path, old)
        try:
            os.rename(part, path)
        except BaseException:
            if old.exists():
                os.rename(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        _remove(part)


def _remove(folder: Path) -> None:
    """Remove a folder, in which threads of a library that failed may still be writing."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


@contextlib.contextmanager
def locked(path: str | os.PathLike, name: str) -> Iterator[None]:
    """Hold the lock file `path` during the block, for what messages call `name`.

    A RuntimeError names the owner if there is one. The lock is the system's, which lets go of it
    when the process ends, however it ends; a file that is left means nothing.
    """
    file = _hold(path, name)
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode())
        yield
    finally:
        # removed while it is held, so that it is nobody else's; Windows keeps what is open
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(file)


def _hold(path, name):
    """Return the descriptor of the lock file, once it is locked and has its name."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            owner = os.read(file, 500).decode(errors="replace") or "another process"
            os.close(file)
            raise RuntimeError(
                f"{name} is being written by {owner}; expected one writer at a time. Wait for its "
                "end, or give another place."
            ) from None
        except OSError as error:
            warnings.warn(
                f"{name} lies where files cannot be locked ({error}). See to it that nothing else "
                "is written there at the same time.",
                UserWarning,
                stacklevel=2,
            )
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        os.close(file)  # its last owner has just removed it


if sys.platform == "win32":

    def _lock(file):
        import msvcrt

        os.lseek(file, 2**30, os.SEEK_SET)  # what is locked cannot be read
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)
else:

    def _lock(file):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
