"""A reconstruction that can be interrupted, and goes on where it was."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._composition_em import CompositionEM
from .._engine.device import choose_device
from .._fused import Fused
from .._json import plain
from .._method import Hebt
from .._solve import Interrupted
from ..io.series import TiltSeries
from ..io.volumes import load, save
from ..ratios import ResponseRatios
from ..result import Result
from ..stopping import History
from .group import say

_KEPT = "interrupted after"
_PART = "in the middle of an iteration"
_MOMENTUM = "momentum"
_PLACES = "files", "haadf", "maps"

Begin = tuple[Path, Result]


class CtrlC:
    """A callback that ends a run after the iteration in which Ctrl-C comes.

    Before the first one is done, and if it comes again, Ctrl-C ends the run at once. While what was
    reached is being saved, one more does nothing.
    """

    def __init__(self) -> None:
        self.asked, self.done, self.is_held = False, 0, False

    def __enter__(self) -> CtrlC:
        self.is_ours = threading.current_thread() is threading.main_thread()
        if self.is_ours:
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_ours:
            signal.signal(signal.SIGINT, self.before)

    def hold(self) -> None:
        """Let the next Ctrl-C wait, as what was reached is being saved."""
        self.is_held = True

    def _note(self, *_: object) -> None:
        if self.is_held:
            self.is_held = False
            return
        if self.asked or not self.done:
            raise KeyboardInterrupt
        self.asked = True

    def __call__(self, iteration: int, *_: object) -> bool:
        self.done = iteration
        return self.asked


@dataclass(frozen=True)
class Job:
    """A reconstruction, with all that it depends on.

    Attributes
    ----------
    series, fit, method, iterations
        What to reconstruct, and how.
    options
        Other arguments of `TiltSeries.reconstruct`.
    path
        Where the volumes will be, and beside them what is kept.
    """

    series: TiltSeries
    fit: ResponseRatios
    method: Any
    iterations: int | None
    options: dict[str, Any]
    path: Path

    @property
    def total(self) -> int:
        """How many iterations the whole run has."""
        method = self.method
        return self.iterations or (Hebt if isinstance(method, str) else type(method)).iterations

    @property
    def asked(self) -> str:
        """The method with its settings, as a text."""
        if isinstance(self.method, str):
            return f"{self.method} with alpha = {self.options.get('alpha', 0.7):g}"
        return str(self.method)

    def fitting(self, kept: list[Begin]) -> Begin | None:
        """Return the kept run that is farthest, None if there is none.

        Raises
        ------
        ValueError
            If none of those that are there is of this call.
        """
        wrong, best = [], None
        for place, begin in kept:
            if apart := self._difference(begin):
                wrong.append(f"{place} {apart}")
            elif best is None or begin.about[_KEPT] > best[1].about[_KEPT]:
                best = place, begin
        if wrong and best is None:
            raise ValueError(
                f"{'; '.join(wrong)}; expected an interrupted run of the same call. Repeat that "
                "call, give another --output, or --anew: then it stays where it is."
            )
        return best

    def _difference(self, begin: Result) -> str:
        """Say why a kept run is not of this call; nothing if it is."""
        if _KEPT not in begin.about or begin.ratios is None:
            return "holds no interrupted run"
        done, series = int(begin.about[_KEPT]), self.series
        said = {
            "files": (begin.inputs, dict(series.inputs)),
            "steps": (_steps(begin.history), _steps(plain("history", list(series.history)))),
            "elements": (begin.elements, series.elements),
            "pixel size": (begin.pixel_size, series.pixel_size),
            "response ratios": (begin.ratios.ratios.tolist(), self.fit.ratios.tolist()),
            "method": (begin.method, self.asked),
        }
        other = [name for name, (then, now) in said.items() if then != now]
        if other:
            return f"holds {done} iterations of a call with other {', '.join(other)}"
        if done >= self.total:
            return f"holds {done} iterations, and {self.total} are asked for"
        return ""

    def solved(self, begin: Begin | None) -> Result:
        """Return the result; where the run is interrupted, keep what it had reached."""
        done = 0 if begin is None else int(begin[1].about[_KEPT])
        method, options = self.method, dict(self.options)
        history = History(shares=isinstance(method, CompositionEM))
        history._keeps_momentum = isinstance(method, Fused)
        if begin is not None:
            method, more = self._from(begin, history)
            options |= more
        say(f"Reconstructing: {self.method}, {self.total - done} iterations")
        with CtrlC() as stop:
            try:
                result = self.series.reconstruct(
                    method,
                    self.total - done,
                    ratios=self.fit,
                    history=history,
                    callback=stop,
                    **options,
                )
            except Interrupted as end:
                stop.hold()
                kept = self._kept(end.x, done + end.iteration, history, begin, part=True)
                raise KeyboardInterrupt(kept) from None
            history = _joined(begin, history)
            if stop.asked and done + stop.done < self.total:
                stop.hold()
                raise KeyboardInterrupt(self._kept(result.x, done + stop.done, history, begin))
        about = {} if begin is None else {"went on after": done}
        settings = {**result.settings, "iterations": self.total}
        settings.pop("ratios", None)  # those of the series
        return replace(result, settings=settings, residuals=history, about=about)

    def _from(self, begin: Begin, history: History) -> tuple[Any, dict[str, Any]]:
        """Return the method and the options that go on where a kept run was.

        The history gets what a run with momentum carries along beside x.
        """
        place, kept = begin
        done, method = int(kept.about[_KEPT]), self.method
        state = _state_of(place)
        whole, has_state = _PART not in kept.about, _there(state)
        exact = whole and isinstance(method, str)
        more: dict[str, Any] = {"x0": kept.x}
        if whole and has_state and isinstance(method, CompositionEM):
            exact, method, more = True, replace(method, shares=load(state).x), {}
        elif whole and has_state and _MOMENTUM in kept.about and not self._is_on_gpu:
            exact, history._begins = True, (load(state).x, kept.about[_MOMENTUM])
        near = f"; {done} and the rest are nearly, not exactly, {self.total}"
        say(f"Going on after {done} iterations, from {place}{'' if exact else near}")
        return method, more

    @property
    def _is_on_gpu(self) -> bool:
        return choose_device(self.options.get("device", "auto")) == "cuda"

    def _kept(
        self, x: Any, done: int, history: History, begin: Begin | None, part: bool = False
    ) -> str:
        """Save what an interrupted run had reached, and return the sentence on it."""
        size, series = self.series.maps.shape[-1], self.series
        if x.shape != (len(series.elements), series.maps.shape[2], size, size):
            return "no element was reconstructed yet; nothing was written."
        about, state = {_KEPT: done}, history.shares
        if history._ended is not None:
            state, t = history._ended
            about[_MOMENTUM] = t.tolist()
        partial = Result(
            x,
            series.elements,
            series.pixel_size,  # type: ignore[arg-type]
            ratios=self.fit,
            angles=series.angles,
            method=self.asked,
            settings={"iterations": done},
            residuals=history,
            history=series.history,
            inputs=series.inputs,
            about=about | ({_PART: True} if part else {}),
        )
        place = _free(self.path)
        if state is not None and not part:
            size, names = partial.pixel_size, series.elements
            with contextlib.suppress(OSError):  # without it it goes on nearly exactly
                save(_state_of(place), state, pixel_size=size, elements=names)
        place = saved_somewhere(partial, place)
        if place.parent != self.path.parent:
            return f"{done} iterations are in {place}; the same call with --start {place} goes on."
        if begin is not None and begin[0] in kept_runs(self.path):
            remove(begin[0])  # this one has all of it
        return f"{done} iterations are in {place}; the same call goes on."


def _steps(history: Any) -> list[Any]:
    """Return what was done, without the folders in which files lay."""
    read = [step for step in history if isinstance(step, Mapping) and step.get("step") == "read"]
    rest = [step for step in history if step not in read]
    return [{k: v for k, v in s["settings"].items() if k not in _PLACES} for s in read] + rest


def _joined(begin: Begin | None, history: History) -> History:
    """Return the residuals of a whole run, which had two parts."""
    before = None if begin is None else begin[1].residuals
    if before is None:
        return history
    made = History()
    # where the second part begins, the first one ended
    for entry in [*before._entries[: before.iterations + 1], *history._entries[1:]]:
        made.add(entry)
    made.iterations = before.iterations + history.iterations
    made.shares, made._ended = history.shares, history._ended
    return made


def kept_runs(path: Path) -> list[Path]:
    """Return the files in which interrupted runs for this output are kept."""
    places = (_place(path, number) for number in range(1, 100))
    return [place for place in places if _there(place)]


def _place(path: Path, number: int, mark: str = "interrupted") -> Path:
    stem, _, ending = path.name.partition(".")
    mark = mark if number == 1 else f"{mark}-{number}"
    return path.with_name(f"{stem}.{mark}.{ending}")


def _state_of(place: Path) -> Path:
    """Return where that is of a kept run which its volumes do not tell: shares, or momentum."""
    stem, *marks, ending = place.name.split(".", 2)  # a kept run may have got another name
    return place.with_name(".".join([stem, *marks, "state", ending]))


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _there(place: Path) -> bool:
    return place.exists() or (place.suffix.lower() == ".mrc" and _beside(place).exists())


def _free(path: Path, mark: str = "interrupted") -> Path:
    """Return a name for what is kept, which nothing has."""
    number = 1
    while True:
        place = _place(path, number, mark)
        name = glob.escape(place.name[: -len(path.name.partition(".")[2]) - 1])
        if not any(path.parent.glob(f"{name}[._]*")):
            return place
        number += 1


def saved_somewhere(result: Result, place: Path) -> Path:
    """Save a result at a place that nothing has, or in a new folder for what is temporary."""
    try:
        result.save(place)
    except OSError as error:  # a full disk, a folder that is gone
        other = Path(tempfile.mkdtemp(prefix="hebt-")) / place.name
        result.save(other)
        say(f"{place} cannot be written ({error}).")
        return other
    return place


def saved(result: Result, path: Path, overwrite: bool) -> list[Path]:
    """Save the volumes, elsewhere if their place cannot be written; one Ctrl-C waits.

    Raises
    ------
    OSError
        If they had to be saved elsewhere; the message says where.
    """
    with CtrlC() as wait:
        wait.done = result.residuals.iterations if result.residuals is not None else 1
        try:
            return result.save(path, overwrite=overwrite)
        except OSError as error:
            other = saved_somewhere(result, _free(path, "unsaved"))
            raise OSError(
                f"{path} cannot be written ({error}). The whole volumes are in {other}."
            ) from error


def remove(place: Path) -> None:
    """Remove a kept run, which a later one or the whole volumes have replaced."""
    for each in (place, _state_of(place)):
        names = [each]
        if each.suffix.lower() == ".mrc" and _beside(each).exists():
            record = json.loads(_beside(each).read_text(encoding="ascii"))
            names = [*(each.with_name(Path(n).name) for n in record["files"]), _beside(each)]
        for name in names:
            if name.is_dir():
                shutil.rmtree(name, ignore_errors=True)
            elif name.exists():
                os.unlink(name)
