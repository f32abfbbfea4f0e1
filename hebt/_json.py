"""Values of the package as JSON, and back."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._checks import check_choice, check_count, check_flag, check_names, check_number, check_path
from ._files import written_aside


def plain(name: str, value: Any) -> Any:
    """Return `value` as what JSON knows: mappings, lists, texts, numbers, true, false and null.

    Arrays become lists, dataclasses mappings with the name of their class as ``kind``, and NaN
    becomes null. The TypeError or ValueError for what JSON cannot say calls it by `name`.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        if np.ma.is_masked(value):
            raise ValueError(f"{name} is masked in part; expected values everywhere.")
        value = value.tolist()
    if value is None or isinstance(value, (bool, str, int)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"{name} is {value}; expected finite numbers, which JSON can hold.")
        return None if math.isnan(value) else value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        odd = [key for key in value if not isinstance(key, str)]
        if odd:
            raise TypeError(f"{name} has the key {odd[0]!r}; expected texts as keys.")
        return {str(key): plain(f"{name}[{key!r}]", part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(f"{name}[{i}]", part) for i, part in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return {"kind": type(value).__name__} | plain(name, parts)
    raise TypeError(
        f"{name} is of type {type(value).__name__}; expected texts, numbers, arrays, and lists or "
        "mappings of these, which are written as JSON."
    )


def write_json(path: Any, name: str, value: Any, overwrite: Any) -> Path:
    """Write a value to a file, and return the path."""
    path = check_path(path)
    text = json.dumps(plain(name, value), indent=1, allow_nan=False) + "\n"
    with written_aside(path, overwrite=check_flag("overwrite", overwrite)) as part:
        part.write_text(text, encoding="utf-8")
    return path


def read_json(path: Any, expected: str) -> Any:
    """Return what a file holds; `expected` says what that should be."""
    path = check_path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON ({error}); expected {expected}.") from None


_RATIOS = "ratios", "r_squared", "names", "pixels", "standard_errors", "tilt_errors", "variance"


def ratios_in(values: Any) -> dict[str, Any]:
    """Return the attributes of `ResponseRatios` that `plain` made of them, after checking them."""
    if not isinstance(values, Mapping) or not set(_RATIOS) <= set(values):
        raise ValueError(f"values are {str(values)[:200]}; expected {', '.join(_RATIOS)}.")
    found = {key: values[key] for key in _RATIOS}
    names = found["names"] = tuple(check_names(values["names"], np.size(values["names"])))
    for key in ("ratios", "standard_errors", "tilt_errors"):
        try:
            found[key] = np.array(values[key], np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{key} is {values[key]!r}; expected numbers.") from None
        if found[key].shape != (len(names),):
            raise ValueError(f"{key} is {values[key]!r}; expected {len(names)} numbers.")
    if not (np.isfinite(found["ratios"]).all() and (found["ratios"] >= 0).all()):
        raise ValueError(f"ratios is {values['ratios']}; expected numbers of at least 0.")
    found["pixels"] = check_count("pixels", values["pixels"])
    expected = "a number of at most 1"
    found["r_squared"] = check_number(
        "r_squared", values["r_squared"], expected, least=-np.inf, most=1
    )
    noise = "counts", "given", "halves", None
    found["variance"] = check_choice("variance", values["variance"], noise)
    return found
