"""From files to saved volumes, with what is going on told on stderr."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from .._composition_em import CompositionEM
from .._fused import Fused
from .._guided_tv import GuidedTV
from .._json import plain
from .._method import Hebt
from .._solve import Interrupted
from ..io.reading import read
from ..io.series import TiltSeries
from ..io.volumes import load, save
from ..ratios import ResponseRatios
from ..result import Result
from .group import say

_KEPT = "interrupted after"


def run(
    *,
    reading: dict[str, Any],
    steps: list[str],
    crop: list[int] | None,
    factor: int | None,
    method: str,
    alpha: float | None,
    kernel: float | None,
    strength: float | None,
    iterations: int | None,
    device: str,
    output: str,
    start: str | None,
    overwrite: bool,
) -> list[Path]:
    """Read, prepare, reconstruct and save; return what was written."""
    path = Path(output).expanduser()
    check_output(path, overwrite)
    begin = None if start is None else load(start)
    chosen = _method(method, alpha, kernel, strength)
    say("Reading")
    series = read(**reading)
    say(str(series))
    series = _prepared(series, steps, crop, factor)
    _check_names(path, series.elements, overwrite)
    say("Fitting response ratios")
    fit = series.ratios()
    say(str(fit))
    if chosen is None:
        say("Finding the method that suits the data")
        chosen = series.suited_method(fit)
    options = {} if alpha is None else {"alpha": alpha}
    result = _solved(series, fit, chosen, iterations, {"device": device, **options}, begin, path)
    say(str(result))
    return result.save(path, overwrite=overwrite)


def _prepared(
    series: TiltSeries, steps: list[str], crop: list[int] | None, factor: int | None
) -> TiltSeries:
    """Return the series after these steps, cropped and binned."""
    for step in steps:
        say(f"Step: {step.replace('_', ' ')}")
        series = getattr(series, step)()
    if crop is not None:
        kept = dict(zip(("size", "slices"), crop))
        say(f"Step: crop to {', '.join(f'{name} {n}' for name, n in kept.items())}")
        series = series.crop(**kept)
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
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".hebt-") as folder:
        save(Path(folder) / path.name, np.ones((1, 1, 1, 1)), pixel_size=1.0)


def _check_names(path: Path, elements: tuple[str, ...], overwrite: bool) -> None:
    """Refuse names that are taken; with no elements, those that are known without."""
    names = [path] if len(elements) == 1 or path.suffix.lower() != ".mrc" else []
    if path.suffix.lower() == ".mrc":
        names.append(path.with_name(f"{path.name}.json"))
    if path.suffix.lower() == ".mrc" and len(elements) > 1:
        names += [path.with_name(f"{path.stem}_{e}{path.suffix}") for e in elements]
    for name in names:
        if name.exists() and not overwrite:
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


def _solved(
    series: TiltSeries,
    fit: ResponseRatios,
    method: Any,
    iterations: int | None,
    options: dict[str, Any],
    begin: Result | None,
    path: Path,
) -> Result:
    """Return the result; where the run is interrupted, keep what it had reached."""
    total = iterations or (Hebt if isinstance(method, str) else type(method)).iterations
    done = 0
    if begin is not None:
        done = _iterations_of(begin, series, fit, _asked(method, options))
        near = (
            ""
            if isinstance(method, str)
            else f"; {done} and the rest are nearly, not exactly, {total}"
        )
        say(f"Going on after {done} iterations{near}")
        options = {**options, "x0": begin.x}
    if done >= total:
        raise ValueError(
            f"--start holds {done} iterations, and {total} are asked for; expected more: "
            "--iterations."
        )
    say(f"Reconstructing: {method}, {total - done} iterations")
    try:
        result = series.reconstruct(method, total - done, ratios=fit, **options)
    except Interrupted as stop:
        kept = _kept(series, fit, _asked(method, options), stop, done, path)
        raise KeyboardInterrupt(kept) from None
    about = {} if begin is None else {"went on after": done}
    settings = {**result.settings, "iterations": total}
    return replace(result, settings=settings, about={**result.about, **about})


def _kept(
    series: TiltSeries, fit: ResponseRatios, asked: str, stop: Interrupted, done: int, path: Path
) -> str:
    """Save what an interrupted run had reached, and return the sentence on it."""
    size = series.maps.shape[-1]
    if stop.x.shape != (len(series.elements), series.maps.shape[2], size, size):
        return "no element was reconstructed yet; nothing was written."
    done += stop.iteration
    partial = Result(
        stop.x,
        series.elements,
        series.pixel_size,  # type: ignore[arg-type]
        ratios=fit,
        angles=series.angles,
        method=asked,
        settings={"iterations": done},
        history=series.history,
        inputs=series.inputs,
        about={_KEPT: done},
    )
    place = _free(path)
    partial.save(place)
    return f"{done} iterations are in {place}; the same call with --start {place} goes on."


def _free(path: Path) -> Path:
    """Return a name for what is kept, which nothing has."""
    stem, _, ending = path.name.partition(".")
    number = 1
    while True:
        mark = "interrupted" if number == 1 else f"interrupted-{number}"
        place = path.with_name(f"{stem}.{mark}.{ending}")
        if not any(path.parent.glob(f"{stem}.{mark}*")):
            return place
        number += 1


def _asked(method: Any, options: dict[str, Any]) -> str:
    """Return the method with its settings, as a text."""
    return (
        f"{method} with alpha = {options.get('alpha', 0.7):g}"
        if isinstance(method, str)
        else str(method)
    )


def _iterations_of(begin: Result, series: TiltSeries, fit: ResponseRatios, asked: str) -> int:
    """Return how many iterations a kept run has had, after checking that it is of this call."""
    if _KEPT not in begin.about or begin.ratios is None:
        raise ValueError("--start holds no interrupted run; expected what Ctrl-C kept.")
    said = {
        "files": (begin.inputs, dict(series.inputs)),
        "steps": (list(begin.history), plain("history", list(series.history))),
        "elements": (begin.elements, series.elements),
        "pixel size": (begin.pixel_size, series.pixel_size),
        "response ratios": (begin.ratios.ratios.tolist(), fit.ratios.tolist()),
        "method": (begin.method, asked),
    }
    other = [name for name, (kept, now) in said.items() if kept != now]
    if other:
        raise ValueError(
            f"--start is of a call with other {', '.join(other)}; expected the same. Leave it out, "
            "or repeat that call."
        )
    return int(begin.about[_KEPT])
