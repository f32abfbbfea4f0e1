"""The numbers that the paper prints, each with its place, from data/paper.json."""

import dataclasses
import functools
import json
from pathlib import Path

FILE = Path(__file__).parents[2] / "data" / "paper.json"


@dataclasses.dataclass(frozen=True)
class Printed:
    """One printed number: its value, unit as printed, and place (section, table or figure)."""

    key: str
    value: float
    unit: str
    place: str
    note: str = ""


@functools.cache
def _read() -> dict:
    try:
        text = FILE.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"The paper's numbers are not at {FILE}; expected a checkout of the companion, with "
            "the folder data/ beside hebt/. Install hebt from it with `pip install -e .`."
        ) from None
    return json.loads(text)


@functools.cache
def printed(key: str) -> Printed:
    """Return the paper's number of this name, such as ``"table1.mse.Au.eds"``."""
    values = _read()["values"]
    if key not in values:
        near = [k for k in values if k.split(".")[0] == key.split(".")[0]] or list(values)
        raise KeyError(f"{key!r} is not in data/paper.json; there are {', '.join(near)}.")
    return Printed(key, **values[key])


def keys() -> tuple[str, ...]:
    """Return the names of all printed numbers."""
    return tuple(_read()["values"])


def statement(key: str) -> dict:
    """Return what the paper's text says in words, as data: ``"phantom.better_with"`` and others."""
    return dict(_read()["statements"][key])


def value(key: str) -> float:
    """Return the value alone of a printed number."""
    return printed(key).value
