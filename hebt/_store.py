"""What `reconstruct` writes with `out`: a zarr store that says what it holds, and is checked.

The array `x` is the result. The attribute `run` says of what data, parameters and code; its SHA-256
is the run's key. The array `done` has, for each block of slices and each element, the SHA-256 of
the key, the place and the values in `x`; 0 where the block is not written yet.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._checks import check_names
from ._files import locked

if TYPE_CHECKING:
    import dask.array

_WHAT = (
    "x holds x_e = z_e rho_e, in HAADF intensity per voxel, along the axes (element, slice along "
    "the tilt axis, row, column); reconstructed by HEBT from HAADF images and element maps"
)
# what computes, and what of a run to show where it differs from another
_CODE = ("projector", "reconstruct", "_problem", "_solve", "_blocks", "_store", "_checks")
_SHOWN = ("shape", "block", "alpha", "iterations", "ratios")


def resolved(out: Any) -> Any:
    """Return where to write: an absolute path if it is one; workers may run in another folder."""
    import zarr.storage

    if isinstance(out, zarr.storage.LocalStore) and not out.read_only:
        out = out.root
    if isinstance(out, (str, os.PathLike)):
        if not str(out).strip():
            raise ValueError(f"out is {out!r}; expected the path or address of a place.")
        path = os.path.expanduser(str(out).removeprefix("file://"))
        return out if "://" in path else os.path.abspath(path)
    return out


def owned(out: Any) -> contextlib.AbstractContextManager:
    """Be the only one who writes a run to `out`, where that is a path."""
    if not isinstance(out, str) or "://" in out:
        return contextlib.nullcontext()
    path = Path(os.path.realpath(out))
    path.parent.mkdir(parents=True, exist_ok=True)
    return locked(path.with_name(f".{path.name}.hebt-lock"), f"out, {out},")


@functools.cache
def code_digest() -> str:
    """Return the SHA-256 of the source files that compute a result."""
    folder = Path(__file__).parent
    files = [folder / f"{name}.py" for name in _CODE] + sorted(folder.glob("_engine/*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def key_of(run: Any) -> bytes:
    """Return what belongs to this run alone, given its description."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).digest()


def open_group(store: Any, mode: Any) -> Any:
    """Open the store as a zarr group."""
    import zarr

    return zarr.open_group(store, mode=mode, use_consolidated=False)


def claim(out: Any, run: dict, about: dict, overwrite: bool) -> dict:
    """Make the store, or go on in it; raise a ValueError if it holds something else.

    Returns the run as it stands there.
    """
    is_path = isinstance(out, str) and "://" not in out
    if is_path and Path(out).is_dir() and any(Path(out).iterdir()):
        if not any(Path(out, name).exists() for name in ("zarr.json", ".zgroup")):
            raise ValueError(
                f"out, {out}, is a folder with other files; expected a new place, an empty folder, "
                "or that of a run. Give another place."
            )
    try:
        group = open_group(out, "a")
    except (TypeError, ValueError, FileExistsError) as error:
        raise ValueError(
            f"out is {out!r}, which zarr cannot open as a group ({error}); expected a path or "
            "address of a new place, or of one that such a run has written."
        ) from error
    wanted = _layout(run)
    there = group.attrs.get("run") if isinstance(group.attrs.get("hebt"), dict) else None
    there = there if isinstance(there, dict) else None
    missing, problems = _compare(group, wanted)
    if there is None:
        found = [n for n in wanted if n not in missing or (is_path and Path(out, n).exists())]
        if found:
            raise ValueError(
                f"out, {out}, holds {' and '.join(found)}, which no such run has written; expected "
                "a new place, or that of a run. Give another place."
            )
    elif there != run:
        problems = _differences(run, there)
    if problems and not overwrite:
        raise ValueError(
            f"out, {out}, holds another run: {'; '.join(problems)}. Give another place, read what "
            "is there by hebt.open_result(out), or replace it by overwrite=True."
        )
    if problems:
        # the old run keeps its name until nothing of it is left
        for name in wanted:
            if name not in missing:
                del group[name]
        missing = list(wanted)
    if there != run:
        from . import __version__

        made = {"version": __version__, "began": _now()}
        others = {} if there else group.attrs.asdict()  # which the user had set
        group.attrs.put(others | about | {"what": _WHAT, "run": run, "hebt": made})
    elif about:
        group.attrs.update(about)
    for name in missing:
        group.create_array(name, **wanted[name], overwrite=there is not None)
    return there if there == run else run


def checked_about(about: Any, elements: int) -> dict[str, Any]:
    """Return what else a store should say of itself."""
    if about is None:
        return {}
    expected = "expected a dictionary of texts, numbers and lists of them, as JSON has them"
    if not isinstance(about, Mapping):
        raise TypeError(f"about is {about!r}; {expected}.")
    about = dict(about)
    if "elements" in about:
        about["elements"] = check_names(about["elements"], elements, name="about['elements']")
    if taken := {"what", "run", "hebt"}.intersection(about):
        raise ValueError(f"about has {sorted(taken)}; expected other names, as these are taken.")
    try:
        json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"about is {about!r}; {expected} ({error}).") from error
    return about


def finish(out: Any, key: bytes, done: np.ndarray) -> None:
    """Write down that the result is complete, and its digest."""
    group = open_group(out, "r+")
    digest = hashlib.sha256(key + done.tobytes()).hexdigest()
    if group.attrs["hebt"].get("digest") != digest:
        group.attrs["hebt"] = group.attrs["hebt"] | {"finished": _now(), "digest": digest}


def chunk_digest(key: bytes, element: int, block: int, values: np.ndarray) -> np.ndarray:
    """Return the SHA-256 of a chunk of the result, in its place in its run."""
    head = f" {element} {block} {values.shape}".encode()
    made = hashlib.sha256(key + head)
    made.update(np.ascontiguousarray(values, np.float32).tobytes())
    return np.frombuffer(made.digest(), np.uint8)


def lazy_result(out: Any, key: bytes, done: np.ndarray, shape: Any, thickness: int) -> Any:
    """Return the result as a Dask array, whose chunks are checked against `done` when read."""
    import dask.array as da

    elements, slices, *plane = shape
    blocks = tuple(min(thickness, slices - first) for first in range(0, slices, thickness))
    return da.map_blocks(
        _read,
        token=_token(out),
        store=out,
        key=key,
        done=done,
        chunks=((1,) * elements, blocks, *((n,) for n in plane)),
        thickness=thickness,
        dtype=np.float32,
        meta=np.empty((0, 0, 0, 0), np.float32),
    )


def check_inputs(out: Any, inputs: Mapping[str, dask.array.Array]) -> None:
    """Raise a ValueError if an array is worked out from the result in `out`."""
    for name, array in inputs.items():
        if any(layer.startswith(_token(out)) for layer in array.dask.layers):
            raise ValueError(
                f"{name} is read from out, {out}, which is to be overwritten; give another place, "
                f"or {name}.compute()."
            )


def _token(out):
    return f"read-{hashlib.sha256(str(out).encode()).hexdigest()[:16]}"


def _read(store, key, done, thickness, block_id):
    """Return a chunk of the result, if it is the one that was written."""
    element, n = block_id[:2]
    group, first, why = open_group(store, "r"), n * thickness, "what was written differs"
    try:
        values = group["x"][element : element + 1, first : first + thickness]
        if np.array_equal(chunk_digest(key, element, n, values[0]), done[n, element]):
            return values
    except (KeyError, TypeError, ValueError) as error:
        why = str(error)
    if key_of(group.attrs.get("run")) != key:
        why = "another run has replaced this one"
    raise ValueError(
        f"{store} has changed: slices {first} to {first + thickness - 1} of element {element} are "
        f"not what this run wrote ({why}). The call that made it makes what is damaged again."
    )


def open_result(path: Any) -> tuple[dask.array.Array, dict[str, Any]]:
    """Open what `reconstruct` has written with `out`, and check it.

    Parameters
    ----------
    path
        The place: a path, or anything that ``zarr.open_group`` takes.

    Returns
    -------
    x : dask.array.Array
        x_e = z_e rho_e, float32, shape (elements, slices, size, size), in HAADF intensity per
        voxel. Each chunk is checked when it is read: what is missing, damaged or from elsewhere
        raises a ValueError.
    about : dict
        What the store says of itself: ``run`` with the tilt angles, ratios, alpha, iterations and
        digests of data and code; ``hebt`` with version, times and digest of the result; ``what`` x
        is; and what `reconstruct` was given as `about`, such as elements and pixel size.

    Raises
    ------
    ValueError
        If no such run has been written there, if it is not finished, or its records have changed.

    Examples
    --------
    >>> x, about = hebt.open_result("particle.zarr")              # doctest: +SKIP
    >>> about["run"]["alpha"]                                     # doctest: +SKIP
    0.7
    """
    store = resolved(path)
    try:
        group = open_group(store, "r")
        run, made = group.attrs["run"], group.attrs["hebt"]
        key, done = key_of(run), group["done"][:]
        known, shape, block = made.get("digest"), run["shape"], run["block"]
    except (TypeError, ValueError, KeyError, FileNotFoundError) as error:
        raise ValueError(
            f"path is {path!r}, where no run can be read ({type(error).__name__}: {error}); "
            "expected what hebt.reconstruct has written with out."
        ) from error
    if known is None:
        count = np.count_nonzero(done.any(axis=(1, 2)))
        raise ValueError(
            f"{store} is not finished: it has {count} of {len(done)} blocks. The call that began "
            "it goes on from there."
        )
    if hashlib.sha256(key + done.tobytes()).hexdigest() != known:
        raise ValueError(
            f"{store} has changed: what it says of its run and blocks is not what was written. The "
            "call that made it makes what is damaged again."
        )
    return lazy_result(store, key, done, shape, block), group.attrs.asdict()


def _layout(run):
    """Return the arrays of a store: their names, and how they are made."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    elements, slices, *plane = run["shape"]
    return dict(
        x=dict(
            shape=(elements, slices, *plane),
            chunks=(1, run["block"], *plane),
            dtype="float32",
            # what is missing is no number, and what is damaged cannot be read
            fill_value=np.nan,
            compressors=[ZstdCodec(level=0), Crc32cCodec()],
        ),
        done=dict(
            shape=(-(-slices // run["block"]), elements, 32),
            chunks=(1, elements, 32),
            dtype="uint8",
            fill_value=0,
            compressors=None,
        ),
    )


def _compare(group, wanted):
    """Return which arrays are missing, and what is wrong with the others."""
    missing, problems = [], []
    for name, layout in wanted.items():
        try:
            array = group[name]
        except KeyError:
            missing.append(name)
        except (TypeError, ValueError) as error:
            problems.append(f"its array {name} is damaged ({error})")
        else:
            if any(getattr(array, k, None) != layout[k] for k in ("shape", "chunks", "dtype")):
                problems.append(f"its array {name} has another layout")
    return missing, problems


def _differences(run, there):
    """Say in which points two runs differ."""
    found = []
    for name in run | there:
        new, old = run.get(name), there.get(name)
        if new == old:
            continue
        if None in (new, old):
            has = "the run there has one" if new is None else "the run there has none"
            found.append(f"{name} is {'None' if new is None else 'given'}, {has}")
        elif name in _SHOWN and len(f"{new}{old}") < 200:
            found.append(f"{name} is {new}, the run there has {old}")
        else:
            found.append(f"{name} differs from that of the run there")
    return found


def _now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
