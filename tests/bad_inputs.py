"""Values that people give by mistake, and values that mean the same as the plain ones.

An `Argument` knows a valid value and many others. Each of these is to be `REFUSED`, or means the
same as a plain value, whose result is then compared with its own.
"""

import dataclasses
import datetime
import functools
import numbers
import re
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

REFUSED = object()
NO_VALUE = object()  # where there is no working call
FINITE = object()  # is refused, or gives finite numbers: no division by zero


@dataclasses.dataclass(frozen=True)
class Argument:
    """How to make a valid value, and the others: label -> (how to make it, plain value)."""

    valid: Callable[[], Any]
    others: dict[str, tuple[Callable[[], Any], Any]]

    def but(self, *accepted, refused=None):
        """Return the same without what is `accepted` here, and with more that is to be refused."""
        absent = [label for label in accepted if label not in self.others]
        assert not absent, f"no such values: {absent}"
        kept = {label: other for label, other in self.others.items() if label not in accepted}
        more = {label: (always(v), REFUSED) for label, v in (refused or {}).items()}
        return Argument(self.valid, kept | more)

    def refused_alone(self):
        """Return the same without what means a plain value, where a call takes its time."""
        bad = {label: other for label, other in self.others.items() if other[1] is REFUSED}
        return Argument(self.valid, bad)


def always(value):
    return lambda: value


def argument(valid, *, bad=None, same=None):
    """An argument of any kind; `valid`, `bad` and `same` (value, plain) are shared by all cases."""
    others = {label: (always(value), REFUSED) for label, value in (bad or {}).items()}
    others |= {label: (always(value), plain) for label, (value, plain) in (same or {}).items()}
    return Argument(always(valid), others)


class OnlyArray:
    """What other libraries give: no array, but something that makes one of itself."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype)


class Subclass(np.ndarray):
    """An array with another name."""


NOTHING = {
    "None": None,
    "a text": "text",
    "bytes": b"0123",
    "a mapping": {"a": 1.0},
    "a set": {1.0, 2.0},
    "a function": len,
    "an object": object(),
}


def array(valid, *, dask=True):
    """An array of real numbers, finite and of just this shape."""
    valid = np.asarray(valid, np.float64)
    last = tuple(n - 1 for n in valid.shape)
    bad: dict[str, Any] = dict(NOTHING)

    def spoilt(value, dtype=np.float64, at=last):
        changed = valid.astype(dtype)
        changed[at] = value
        return changed

    for label, value in (("NaN", np.nan), ("inf", np.inf), ("-inf", -np.inf)):
        bad |= {label: spoilt(value), f"{label} at first": spoilt(value, at=(0,) * valid.ndim)}
        bad[f"{label}, float32"] = spoilt(value, np.float32)
        bad[f"{label} in a list"] = spoilt(value).tolist()
    mask = np.zeros(valid.shape, bool)
    mask[last] = True
    masked = np.ma.array(spoilt(999.0), mask=mask)
    whole = np.rint(valid)
    if (valid != whole).any() or abs(whole).max() > 127:
        whole = np.rint(100 * valid / abs(valid).max())
    bad |= {
        "NaN everywhere": np.full(valid.shape, np.nan),
        "masked": masked,
        "masked, float32": masked.astype(np.float32),
        "masked, whole numbers": np.ma.array(whole.astype(np.int16), mask=mask),
        "masked everywhere": np.ma.array(valid, mask=True),
        "masked in a list": list(masked) if valid.ndim > 1 else [np.ma.masked, *valid[1:]],
        "masked in a list in a list": [list(m) for m in masked] if valid.ndim > 2 else [masked],
        "one more axis": valid[None],
        "one axis less": valid[0],
        "a number": 1.5,
        "an array without axes": np.array(1.5),
        "empty": np.empty((0,) * valid.ndim),
        "an empty list": [],
        "no rows": valid[:0],
        "no columns": valid[..., :0],
        "a row less": valid[:-1],
        "a row more": np.concatenate([valid, valid[:1]]),
        "complex": valid + 1j,
        "dates": np.full(valid.shape, "2020-01-01", "M8[D]"),
        "texts": np.full(valid.shape, "a"),
        "objects": np.full(valid.shape, None),
        "ragged": [*valid.tolist(), [1.0, [2.0, 3.0]]],
        "fields": np.zeros(valid.shape, [("a", "f4")]),
    }
    if valid.ndim > 1:
        bad |= {
            "a column less": valid[..., :-1],
            "a column more": np.concatenate([valid, valid[..., :1]], axis=-1),
        }
    others = {label: (always(value), REFUSED) for label, value in bad.items()}
    return Argument(valid.copy, others | same_arrays(valid, whole, dask))


def same_arrays(valid, whole, dask):
    """The same array in other guises, and of other types."""
    wide = np.repeat(valid, 2, axis=-1)
    frozen = valid.copy()
    frozen.flags.writeable = False
    same = {
        "a list": valid.tolist(),
        "a tuple": tuple(map(tuple, valid)) if valid.ndim == 2 else tuple(valid),
        "a list of arrays": list(valid),
        "Fortran's order": np.asfortranarray(valid),
        "every second column": wide[..., ::2],
        "backwards": np.ascontiguousarray(valid[::-1, ...])[::-1],
        "backwards, columns": np.ascontiguousarray(valid[..., ::-1])[..., ::-1],
        "read-only": frozen,
        "other bytes": valid.astype(">f8"),
        "masked nowhere": np.ma.array(valid),
        "a mask of nothing": np.ma.array(valid, mask=np.zeros(valid.shape, bool)),
        "a subclass": valid.view(Subclass),
        "what makes an array": OnlyArray(valid),
        "numbers as objects": valid.astype(object),
        "numbers as texts": valid.astype(str),
        "complex, but real": valid.astype(complex),
    }
    others: dict[str, tuple[Callable, Any]] = {k: (always(v), valid) for k, v in same.items()}
    if valid.ndim == 2:
        others["a matrix"] = always(np.asmatrix(valid.copy())), valid
    if dask:
        others["Dask"] = functools.partial(_dask, valid), valid
    for dtype in ("float32", "float16", "longdouble", ">f4"):
        value = valid.astype(dtype)
        others[dtype] = always(value), value.astype(np.float64)
    for dtype in ("int8", "int16", "int32", "int64", ">i2"):
        value = whole.astype(dtype)
        others[dtype] = always(value), value.astype(np.float64)
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        value = np.abs(whole).astype(dtype)
        others[dtype] = always(value), value.astype(np.float64)
    flags = valid > valid.mean()
    others["bool"] = always(flags), flags.astype(np.float64)
    tiny, huge = valid * 1e-30, np.where(valid == 0, 0.0, 1e39 * np.sign(valid))
    others["beyond float32"] = always(huge), REFUSED
    others["tiny"] = always(tiny), tiny.astype(np.float32)
    others["zeros"] = always(np.zeros(valid.shape)), FINITE
    others["all the same"] = always(np.full(valid.shape, 4.0)), FINITE
    return others


def _dask(valid):
    import dask.array

    return dask.array.from_array(valid, chunks=-1)


NO_NUMBER = {
    "NaN": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "NaN of numpy": np.float32(np.nan),
    "a number as text": "1",
    "a list": [1],
    "two": np.array([1.0, 2.0]),
    "an empty array": np.empty(0),
    "complex": 1 + 1j,
    "too large": 10**400,
    "masked": np.ma.masked,
    "a masked array": np.ma.array(1, mask=True),
    "a date": datetime.date(2020, 1, 1),
    "True": True,
    "numpy's True": np.True_,
    **NOTHING,
}


def number(valid, *outside):
    """A real number; `outside` are values that it must not have."""
    bad = NO_NUMBER | {repr(value): value for value in outside}
    kinds = [np.float64, np.float32, np.longdouble, np.array]
    kinds += [int, np.int16, np.uint32] if float(valid).is_integer() and valid >= 0 else []
    same = {f"{k.__name__}": (k(valid), float(k(valid))) for k in kinds}
    return argument(valid, bad=bad, same=same)


def count(valid, *outside, least=1):
    """A whole number."""
    bad = NO_NUMBER | {"too small": least - 1, "very small": -(10**6), "a fraction": valid + 0.5}
    bad |= {"too large for an index": 2**70} | {repr(value): value for value in outside}
    kinds = (np.int32, np.int64, np.uint32, np.uint64, np.array)
    same = {f"{k.__name__}({valid})": (k(valid), valid) for k in kinds}
    same["a whole float"] = float(valid), valid
    return argument(valid, bad=bad, same=same)


def seed(valid):
    bad = {k: v for k, v in NO_NUMBER.items() if k not in ("a list", "too large")}
    bad |= {"below 0": -1, "a fraction": 1.5, "fractions": [1.5], "below 0, in a list": [-1]}
    bad |= {"an empty list": []}
    return argument(valid, bad=bad, same={"numpy's": (np.int64(valid), valid)})


def flag(valid):
    bad = NOTHING | {"0": 0, "1": 1, '"no"': "no", "flags": np.array([True, False]), "NaN": np.nan}
    return argument(valid, bad=bad, same={"numpy's": (np.bool_(valid), valid)})


def progress():
    return flag(False).but("None")


def choice(valid):
    """One of some words."""
    bad = {**NOTHING, "upper case": valid.upper(), "no word": "", "a number": 3, "True": True}
    bad |= {"a list": [valid], "an array": np.array([valid, valid]), "spaces": f" {valid}"}
    return argument(valid, bad=bad, same={"numpy's": (np.str_(valid), valid)})


def names(valid):
    """Names, in an order."""
    valid = list(valid)
    bad = {
        "one text": "".join(valid),
        "a set": set(valid),
        "a frozen set": frozenset(valid),
        "a mapping": dict.fromkeys(valid, 1.0),
        "one less": valid[:-1],
        "one more": [*valid, "C"],
        "twice the same": [valid[0]] * len(valid) if len(valid) > 1 else [*valid, *valid],
        "numbers": list(range(len(valid))),
        "None inside": [None, *valid[1:]],
        "nested": [valid],
        "an empty list": [],
        "a number": 3,
        "bytes": b"AuAg",
        "a function": len,
        "an object": object(),
    }
    same = {
        "a tuple": (tuple(valid), valid),
        "an array": (np.array(valid), valid),
        "numpy's": ([np.str_(v) for v in valid], valid),
    }
    return argument(valid, bad=bad, same=same)


def text(valid):
    bad = {k: v for k, v in NOTHING.items() if k != "a text"} | {"a number": 3, "a list": ["a"]}
    return argument(valid, bad=bad, same={"numpy's": (np.str_(valid), valid)})


def function(valid):
    bad = {k: v for k, v in NOTHING.items() if k != "a function"}
    return argument(valid, bad=bad | {"a number": 3, "a list": [len], "a class": dict})


def thing(valid, *others):
    """An object of one class; `others` are wrong ones."""
    bad = NOTHING | {"a number": 3, "a list": [], "its class": type(valid)}
    return argument(valid, bad=bad | {f"wrong {k}": other for k, other in enumerate(others)})


def angles(valid):
    """Tilt angles in degrees."""
    valid = np.asarray(valid, np.float64)
    refused = {"radians": np.deg2rad(valid), "texts": [f"{a:g}°" for a in valid]}
    refused["a fill value"] = np.concatenate([valid[:-1], [999.0]])
    return array(valid).but("tiny", refused=refused)


def counts(valid):
    """Whole numbers that rise, such as iteration counts."""
    valid = list(valid)
    bad = {k: v for k, v in NOTHING.items() if k != "a set"}
    bad |= {
        "one number": 3,
        "falling": valid[::-1],
        "one twice": [valid[0], *valid],
        "an empty list": [],
        "0": [0, *valid[1:]],
        "below 0": [-1, *valid[1:]],
        "fractions": [v + 0.5 for v in valid],
        "NaN": [*valid[:-1], np.nan],
        "texts": list(map(str, valid)),
        "masked": np.ma.array(valid, mask=[True] + [False] * (len(valid) - 1)),
        "a set": set(valid),
        "nested": [valid],
    }
    same = {
        "a tuple": (tuple(valid), valid),
        "an array": (np.array(valid), valid),
        "uint8": (np.array(valid, np.uint8), valid),
        "floats": ([float(v) for v in valid], valid),
    }
    return argument(valid, bad=bad, same=same)


# --- what comes of a call ---


def run(call, arguments):
    """Return the result or the error of a call, its warnings, and whether arguments changed."""
    before = fingerprint(arguments)
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            result = call(**arguments)
        except Exception as error:
            result = error
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return result, said, fingerprint(arguments) != before


def is_clear(message, names):
    """Whether a message names an argument, and says what was expected."""
    named = any(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", message) for name in names)
    return named and "expected" in message


def judge(result, said, names, plain):
    """Return "clear", "equal", "unclear" or "silent"; `plain` is a result, or `REFUSED`."""
    raised = isinstance(result, Exception)
    if plain is FINITE and not raised and is_finite(result):
        return "equal"
    if not (plain is REFUSED or plain is FINITE or raised or isinstance(plain, Exception)):
        if equal(result, plain):
            return "equal"
    messages = [*said, str(result)] if isinstance(result, (TypeError, ValueError)) else said
    if any(is_clear(message, names) for message in messages):
        return "clear"
    return "unclear" if raised else "silent"


def is_finite(result):
    """Whether all numbers of a result are finite."""
    if isinstance(result, (np.ndarray, np.generic)):
        return result.dtype.kind not in "fc" or bool(np.isfinite(result).all())
    if isinstance(result, (list, tuple)):
        return all(map(is_finite, result))
    return not isinstance(result, float) or bool(np.isfinite(result))


def fingerprint(value):
    """Return what shows a change of an argument."""
    if isinstance(value, np.ma.MaskedArray):
        return value.data.tobytes(), np.ma.getmaskarray(value).tobytes()
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes() if value.dtype != object else repr(value)
    if isinstance(value, Mapping):
        return [(key, fingerprint(v)) for key, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [fingerprint(v) for v in value]
    if isinstance(value, OnlyArray):
        return fingerprint(value.array)
    return repr(value) if isinstance(value, (int, float, str, complex)) else id(value)


def equal(a, b):
    """Whether two results are the same, to rounding."""
    a, b = (v.item() if isinstance(v, np.generic) else v for v in (a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind not in "fc":
            return bool((a == b).all())
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5 * scale, equal_nan=True))
    if is_number(a) and is_number(b):
        return bool(np.isclose(a, b, rtol=1e-4, atol=1e-12, equal_nan=True))
    if type(a).__name__ != type(b).__name__:  # each widget has a class of its own
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, types.FunctionType):
        return True
    if isinstance(a, (str, bytes, int, type(None), type)):
        return a == b
    return equal(parts(a), parts(b))


def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def parts(thing):
    """Return what an object consists of."""
    if hasattr(thing, "axes_manager"):
        axes = [(a.name, a.size, str(a.units)) for a in thing.axes_manager._axes]
        return {"data": thing.data, "axes": axes, "all": thing.metadata.as_dictionary()}
    if hasattr(thing, "toarray"):
        return {"array": thing.toarray()}
    if hasattr(thing, "trait_values"):
        return {name: getattr(thing, name) for name in thing.trait_names(sync=True) if name in SEEN}
    assert dataclasses.is_dataclass(thing) or type(thing).__module__.startswith("hebt"), thing
    return {k: v for k, v in vars(thing).items() if k != "_beam"}


SEEN = ("spec", "position", "picture", "caption", "first", "views")
