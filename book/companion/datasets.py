"""The public series that the book uses, as chapters show and read them; `hebt data` fetches."""

import html
import re
from dataclasses import dataclass

from hebt import io
from hebt._datasets import (
    MissingDataError,
    WrongDataError,
    entry_of,
    fetch,
    locate,
    look,
    megabytes,
    registry,
)

from .store import cached

__all__ = ["MissingDataError", "WrongDataError", "fetch", "locate", "registry"]

BOOK_SERIES = "dust"  # what `make data` fetches


def _how_to_get(name: str) -> str:
    command = f"`hebt data fetch {name}`"
    return f"`make data` or {command}" if name == BOOK_SERIES else command


@dataclass(frozen=True, repr=False)
class DataCard:
    """What a series is, from whom and under which license, and whether it is on this machine."""

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
            *((label, entry[label]) for label in ("source", "credit")),
            ("license", entry["license"]),
            *((k.replace("_", " "), v) for k, v in entry["acquisition"].items()),
            ("files", f"{len(files)} files, {megabytes(files):.1f} MB"),
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
    entry = entry_of(name)
    here = look(entry, entry["files"])
    lacking = [file["path"] for file in here.missing] + [
        f"{path.name} is another file" for path in here.wrong
    ]
    return DataCard(name, entry, " and ".join(dict.fromkeys(here.right.values())), tuple(lacking))


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
