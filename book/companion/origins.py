"""How figures were made: what is written below each, on a page, and the data behind it.

While the book is built, a figure or an explorer carries this along in the metadata of its cell's
output, where nothing shows it; ``book/_ext/origins.py`` writes it into the page. In JupyterLab
there is nothing of it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hebt._files import written_aside

from . import drawn, store
from .fidelity import fidelity

# what metadata of an output call it
KEY = "hebt_origin"
# names of classes that say how something was computed
SETTINGS = ("Settings", "Conditions")
SEEDS = ("seed", "seeds")
LONGEST = 60  # characters of a text among the settings
WRITTEN_OUT = 8  # numbers of a list; of a longer one, how many, and from where to where
DEEPEST = 3  # how far inside an argument settings are looked for


def folder() -> Path | None:
    """Return where the data of figures are put while the book is built, or None elsewhere."""
    path = os.environ.get("HEBT_FIGURES")
    return Path(path) if path and os.environ.get("HEBT_STATIC") == "1" else None


def explained(function):
    """Let what `function` returns, a figure or an explorer, say how it was made."""

    @functools.wraps(function)
    def make(*args, **kwargs):
        if folder() is None:
            return function(*args, **kwargs)
        before = len(store.asked())
        result = function(*args, **kwargs)
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        record = origin(function, bound.arguments, store.asked()[before:])
        _carry(result, record | {"sliders": _sliders(result)})
        return result

    return make


def origin(function, arguments: Mapping[str, Any], asked=()) -> dict[str, Any]:
    """Return how a figure was made: function, what it was called with, settings, seeds, time.

    `asked` tells how stored results were made that it asked for itself. Results need not hold
    their settings and seeds: what they were computed with is known.
    """
    found = [one for value in arguments.values() for one in _settings(value)]
    results = {id(made): made for made in (*asked, *_stored(arguments))}.values()
    settings = _merged(found + [one for made in results for one in _given(made.arguments)])
    called = {name: text for name, value in arguments.items() if (text := _text(value))}
    seeds = [value for name, value in settings.items() if name.partition(" (")[0] in SEEDS]
    plain = {n: text for n, v in settings.items() if (text := _text(v)) and n not in SEEDS}
    return {
        "function": f"{function.__module__}.{function.__qualname__}",
        "called_with": called,
        "settings": plain,
        "seeds": _text(seeds[0]) if seeds else "",
        "fidelity": fidelity(),
        "seconds": round(sum(made.seconds for made in results), 1) if results else None,
    }


def _carry(result, record: dict[str, Any]) -> None:
    """Add a record to the metadata with which Jupyter shows a figure or an explorer."""
    usual = getattr(result, "_repr_mimebundle_", None)

    def bundle(**kwargs):
        if isinstance(result, Figure):  # its picture comes from its usual formatter
            return {}, {KEY: record | {"data": _keep(result)}}
        data, metadata = usual(**kwargs)
        return data, {**metadata, KEY: record}

    result._repr_mimebundle_ = bundle


def _keep(figure) -> list[dict[str, Any]]:
    """Write what a figure shows, files named after their content; return what they hold."""
    columns = drawn.curves(figure)
    arrays, about = drawn.images(figure)
    files = [("curves", "csv", drawn.as_csv(columns))] if columns else []
    files += [("images", "npz", drawn.as_npz(arrays, about))] if arrays else []
    kept = []
    for what, ending, content in files:
        name = f"{hashlib.sha256(content).hexdigest()[:20]}.{ending}"
        folder().mkdir(parents=True, exist_ok=True)
        with written_aside(folder() / name) as part:
            part.write_bytes(content)
        kept.append({"what": what, "file": name, "bytes": len(content)})
    return kept


def _sliders(result) -> dict[str, str]:
    """Return what can be moved in an explorer: label -> from where to where."""
    found = {}
    for control in getattr(result, "spec", {}).get("controls", ()):
        texts = control.get("texts")
        if texts:
            last = f" to {texts[-1]}" if len(texts) > 1 else ""
            found[control["label"]] = f"{texts[0]}{last}, {len(texts)} values"
    return found


def _parts(value) -> Iterator[tuple[str, Any]]:
    """Yield name and value of what an argument is made of."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
    elif isinstance(value, Mapping):
        yield from ((str(name), part) for name, part in value.items())
    elif isinstance(value, (list, tuple)):
        yield from (("", part) for part in value)


def _settings(value, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the settings in an argument, each as name -> value."""
    if depth > DEEPEST:
        return
    if type(value).__name__.endswith(SETTINGS):
        yield dict(_parts(value))
        return
    if depth == 0 and dataclasses.is_dataclass(value):
        # numbers with decimals and arrays are results
        own = (bool, int, str, tuple)
        plain = {name: part for name, part in _parts(value) if isinstance(part, own)}
        if plain:
            yield plain
    for _, part in _parts(value):
        yield from _settings(part, depth + 1)


def _stored(arguments: Mapping[str, Any]) -> list[store.Made]:
    """Return how all stored results in these arguments were made, each once."""
    found: dict[int, store.Made] = {}
    waiting = [(value, 0) for value in arguments.values()]
    while waiting:
        value, depth = waiting.pop()
        made = store.made(value)
        if made is not None:
            found[id(value)] = made
        elif depth < DEEPEST:
            waiting += [(part, depth + 1) for _, part in _parts(value)]
    return list(found.values())


def _given(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the settings and seeds among what a result was computed with."""
    yield {name: value for name, value in arguments.items() if name in SEEDS}
    for value in arguments.values():
        yield from _settings(value, depth=1)


def _merged(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return settings of several runs as one: what differs between them is a list."""
    merged: dict[str, list[Any]] = {}
    for settings in found:
        for name, value in settings.items():
            values = merged.setdefault(name, [])
            if not any(_text(value) == _text(other) for other in values):
                values.append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in merged.items()}


def _text(value) -> str:
    """Write a plain value, or a short list of such; nothing for all else."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.ndim == 1 and value.dtype.kind in "iuf" else None
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, float, np.number)):
        return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
    if isinstance(value, str):
        return value if 0 < len(value) <= LONGEST and not set("/\\\n") & set(value) else ""
    if isinstance(value, (list, tuple)) and value:
        return _list(value)
    return ""


def _list(values) -> str:
    texts = [_text(value) for value in values]
    if not all(texts):
        return ""
    numbers = all(isinstance(v, (int, float, np.number)) for v in values)
    steps = {b - a for a, b in itertools.pairwise(values)} if numbers else {0}
    if steps == {1} and len(values) > 2:
        return f"{texts[0]} to {texts[-1]}"
    if min(steps, default=0) > 0 and len(values) > WRITTEN_OUT:
        return f"{len(values)} from {texts[0]} to {texts[-1]}"
    inner = [isinstance(value, (list, tuple)) for value in values]
    joined = ", ".join(f"({t})" if is_list else t for t, is_list in zip(texts, inner))
    return joined if len(joined) <= LONGEST else ""
