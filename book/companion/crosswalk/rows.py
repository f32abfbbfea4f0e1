"""What stands in the paper, row by row, as data: four files beside this module."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from pathlib import Path

from ..paper import keys

FOLDER = Path(__file__).parent
PARTS = ("equations", "tables", "figures", "claims")


@dataclasses.dataclass(frozen=True)
class Row:
    """One part of the paper, where it is in the book, and what finds whether both agree."""

    place: str  # in the paper
    says: str  # what stands there, in short
    here: tuple[str, ...]  # "page" or "page#anchor"
    calls: tuple[str, ...]  # functions of hebt
    find: tuple  # name of a function of `claims` or `pictures`, and its arguments
    why: str  # why it differs, where it does
    keys: tuple[str, ...] = ()  # of data/paper.json
    panels: str = ""  # of a figure
    value: str = ""  # the paper's, in words, where it prints no number
    ours: str = ""  # ours, in words, where nothing can be compared

    def __post_init__(self):
        for name in ("here", "calls", "find", "keys"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("place", "says", "here", "calls", "find", "why"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty in the row {self.place!r}, {self.says!r}.")
        unknown = sorted(set(self.keys) - set(keys()))
        if unknown:
            raise ValueError(f"keys has {', '.join(unknown)}; expected names of data/paper.json.")

    @property
    def where(self) -> str:
        """The place in the paper with the panels of a figure."""
        if not self.panels:
            return self.place
        letters = self.panels.split()
        short = all(len(p) == 1 for p in letters)
        return f"{self.place}, {', '.join(letters) if short else self.panels}"


@functools.cache
def rows(part: str) -> tuple[Row, ...]:
    """Return the rows of one of `PARTS`."""
    text = (FOLDER / f"{part}.toml").read_text(encoding="utf-8")
    return tuple(Row(**row) for row in tomllib.loads(text)["row"])
