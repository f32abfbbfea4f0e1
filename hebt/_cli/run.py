"""From files to saved volumes, with what is going on told on stderr."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from .._composition_em import CompositionEM
from .._files import locked
from .._fused import Fused
from .._guided_tv import GuidedTV
from ..io.reading import read
from ..io.series import TiltSeries
from ..io.volumes import load, save
from .group import say
from .job import Job, kept_runs, remove, saved


def run(
    *,
    reading: dict[str, Any],
    steps: list[str],
    crop: list[int] | None,
    strip: int | None,
    factor: int | None,
    method: str,
    alpha: float | None,
    kernel: float | None,
    strength: float | None,
    iterations: int | None,
    device: str,
    output: str,
    start: str | None,
    anew: bool,
    overwrite: bool,
) -> list[Path]:
    """Read, prepare, reconstruct and save; return what was written."""
    if anew and start is not None:
        raise click.UsageError("Give --start or --anew: one of both.")
    path = Path(output).expanduser()
    check_output(path, overwrite)
    chosen = _method(method, alpha, kernel, strength)
    with _held(path):
        kept = [] if anew else [Path(start)] if start is not None else kept_runs(path)
        begun = [(place, load(place)) for place in kept]
        say("Reading")
        series = read(**reading)
        say(str(series))
        series = _prepared(series, steps, crop, strip, factor)
        _check_names(path, series.elements, overwrite)
        say("Fitting response ratios")
        fit = series.ratios()
        say(str(fit))
        if chosen is None:
            say("Finding the method that suits the data")
            chosen = series.suited_method(fit)
        options = {"device": device} | ({} if alpha is None else {"alpha": alpha})
        job = Job(series, fit, chosen, iterations, options, path)
        begin = job.fitting(begun)
        result = job.solved(begin)
        written = saved(result, path, overwrite)  # first, so that Ctrl-C has no time to lose them
        say(str(result))
        if start is None and begin is not None:
            remove(begin[0])
        return written


def _prepared(
    series: TiltSeries,
    steps: list[str],
    crop: list[int] | None,
    strip: int | None,
    factor: int | None,
) -> TiltSeries:
    """Return the series after these steps, cropped and binned."""
    for step in steps:
        say(f"Step: {step.replace('_', ' ')}")
        series = getattr(series, step)()
    if crop is not None:
        kept = dict(zip(("size", "slices"), crop))
        say(f"Step: crop to {', '.join(f'{name} {n}' for name, n in kept.items())}")
        series = series.crop(**kept)
    if strip is not None:
        say(f"Step: crop flat to {strip}")
        series = series.crop_flat(size=strip)
    if factor is None:
        return series
    say(f"Step: bin by {factor}")
    return series.bin(factor)


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse, before hours of work, a place or a format that cannot be written."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"--output is {path}, but there is no folder {path.parent}; make it first, or give "
            "another."
        )
    _check_names(path, (), overwrite)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".hebt-") as folder:
            save(Path(folder) / path.name, np.ones((1, 1, 1, 1)), pixel_size=1.0)
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Let no other run write the same volumes meanwhile: its work would be lost, or this one's."""
    mark = hashlib.sha256(path.name.encode()).hexdigest()[:16]  # a name may be too long to add to
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path.with_name(f".hebt-{mark}.lock"), str(path)))
        except OSError as error:
            raise _unwritable(path, error) from error
        yield


def _unwritable(path: Path, error: OSError) -> OSError:
    return type(error)(
        f"--output is {path}, but files cannot be written in {path.parent} ({error}); expected a "
        "folder that is yours to write in, on a disk with space. Give another."
    )


def _check_names(path: Path, elements: tuple[str, ...], overwrite: bool) -> None:
    """Refuse names that are taken; with no elements, those that are known without."""
    names = [path] if len(elements) == 1 or path.suffix.lower() != ".mrc" else []
    if path.suffix.lower() == ".mrc":
        names.append(path.with_name(f"{path.name}.json"))
    if path.suffix.lower() == ".mrc" and len(elements) > 1:
        names += [path.with_name(f"{path.stem}_{e}{path.suffix}") for e in elements]
    for name in names:
        if os.path.lexists(name) and not overwrite:  # also a link to nowhere
            raise FileExistsError(
                f"--output is {path}, but {name} is there already; give another, or --overwrite."
            )


def _method(name: str, alpha: float | None, kernel: float | None, strength: float | None) -> Any:
    """Return a method; None for the one that suits the data."""
    if alpha is not None and name != "hebt":
        raise click.UsageError("--alpha is for --method hebt alone.")
    if (kernel is not None) != (name == "composition-em"):
        raise click.UsageError("--kernel is for --method composition-em, which needs it.")
    if (strength is not None) != (name == "guided-tv"):
        raise click.UsageError("--strength is for --method guided-tv, which needs it.")
    if kernel is not None:
        return CompositionEM(kernel=kernel)
    if strength is not None:
        return GuidedTV(strength)
    return {"auto": None, "hebt": "hebt", "fused": Fused()}[name]
