"""Files that are whole or not there: written aside, and renamed once they are complete."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path to write to, and give the file its own name at the end of the block.

    The path does not exist yet, lies in the same folder and has the same ending. If the block
    raises (a full disk, Ctrl-C), what was written is removed and `path` is as it was before.
    A ``~`` stands for the user's home.
    """
    path = Path(os.path.realpath(Path(path).expanduser()))  # a link stays one
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path is {path}, but there is no folder {path.parent}; make it first, or give another."
        )
    part = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())  # a full disk may say so only here
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
