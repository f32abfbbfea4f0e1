"""How the command speaks: errors in a sentence, exit codes, tables."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import click

_OPTIONS = re.compile(r"\b(angles|image|pixel_size|lines|haadf|maps|iterations)=")
_STEPS = re.compile(r"\b(turn|match_pixels|remove_offset|align|crop)\([^)]*\)")


class Files(click.Command):
    """A command whose files may be called like options: -40.bcf."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(
            ctx, [f"./{a}" if a.startswith("-") and os.path.isfile(a) else a for a in args]
        )


class Group(click.Group):
    """Tells errors in one sentence: exit code 1, and 130 after Ctrl-C."""

    command_class = Files

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt as stop:
                click.echo(f"Interrupted: {stop or 'nothing was written.'}", err=True)
                ctx.exit(130)
            except (BrokenPipeError, click.exceptions.Exit, click.Abort):
                raise
            except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
                click.echo(f"Error: {_sentence(error)}", err=True)
                ctx.exit(1)
            except MemoryError:
                click.echo("Error: there is not enough memory; bin more: --bin.", err=True)
                ctx.exit(1)


def say(text: str) -> None:
    """Say on stderr what is going on."""
    click.echo(text, err=True)


def _say_warning(message: Any, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {_sentence(message)}", err=True)


def _sentence(message: Any) -> str:
    """Return what is said, with the options that arguments are called here."""
    text = " ".join(str(message).split())
    named = [m[1] for pattern in (_OPTIONS, _STEPS) for m in pattern.finditer(text)]
    options = ["--map" if n == "maps" else f"--{n.replace('_', '-')}" for n in named]
    return f"{text} (Here: {', '.join(dict.fromkeys(options))}.)" if options else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text: the first column to the left, the others to the right."""
    every = [head, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    lines = (
        "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths)))
        for row in every
    )
    return "\n".join(line.rstrip() for line in lines)
