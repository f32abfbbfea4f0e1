"""`hebt data`: public tilt series to try things on."""

from __future__ import annotations

import os
import sys

import click

from .._datasets import entry_of, fetch, look, megabytes, registry
from .group import say, table


@click.group()
def data() -> None:
    """Public tilt series: which there are, and how to get them.

    \b
      hebt data list
      hebt data fetch dust --to .

    They belong to others: `list` says from whom they are, and under which license.
    """


@data.command("list")
def list_series() -> None:
    """Say which series there are, how large, from whom, and whether they are here."""
    series = registry()
    rows, notes = [], []
    for name, entry in series.items():
        found = look(entry, entry["files"])
        where = " and ".join(dict.fromkeys(found.right.values()))
        state = "missing" if found.missing else f"in {where}"
        state = f"wrong: {found.wrong[0].name}" if found.wrong else state
        rows.append([name, f"{megabytes(entry['files']):.1f}", state])
        notes.append(f"\n{name}: {entry['title']}\n{_origin(entry)}")
    click.echo(table(["name", "MB", "here"], rows))
    click.echo("\n".join(notes))


@data.command("fetch")
@click.argument("name", metavar="NAME")
@click.option("--to", metavar="FOLDER", help="Where to put the series' folder; else the cache.")
def fetch_series(name: str, to: str | None) -> None:
    """Download what is missing of the series NAME, check it, and say in which folder it is.

    Sizes and hashes have to be right, or a file is never used. What is here already is not
    downloaded again: after an error or Ctrl-C the same call goes on.
    """
    entry = entry_of(name)
    say(f"{entry['title']}\n{_origin(entry)}")
    try:
        paths = fetch(name, to=to, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        raise KeyboardInterrupt("whole files stay; the same call goes on.") from None
    say(f"{len(paths)} files, {megabytes(entry['files']):.1f} MB, all with the right sha256")
    files = [file["path"] for file in entry["files"]]
    roots = [str(path)[: -len(file) - 1] for path, file in zip(paths, files, strict=True)]
    for root in dict.fromkeys(roots):
        click.echo(os.path.normpath(root))


def _origin(entry: dict) -> str:
    return "\n".join(f"  {label}: {entry[label]}" for label in ("source", "credit", "license"))
