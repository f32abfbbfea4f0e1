"""What tells a file from another, to the bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def hashes_of(paths: Iterable[Any]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its name; none of folders and signals."""
    files = list(dict.fromkeys(path for path in paths if isinstance(path, Path)))
    return {_short(file, files): _hash(file) for file in files}


def _short(path: Path, among: list[Path]) -> str:
    """Return a file's name, with as many folders as tell it from others of that name."""
    count = 1
    while sum(other.parts[-count:] == path.parts[-count:] for other in among) > 1:
        count += 1
    return "/".join(path.parts[-count:])


def _hash(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
