"""Reconstructions larger than memory, and on more than one machine: in blocks of slices.

No slice talks to another, so a volume is reconstructed in blocks along the tilt axis. Dask says
what a block needs and hands it to threads, processes or the machines of a cluster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._background import check_background
from ._checks import as_float32, check_range, check_seen, check_signs
from ._store import (
    check_inputs,
    checked_about,
    chunk_digest,
    claim,
    code_digest,
    finish,
    key_of,
    lazy_result,
    open_group,
    owned,
    resolved,
)

if TYPE_CHECKING:
    from ._problem import Problem, Run

# A block should have this many columns, slices times elements, to be fast (if there are so many).
_COLUMNS = 128
_BYTES = 2**29  # and its result no more than this, if that leaves it fast


def is_lazy(array: object) -> bool:
    """Say whether this is a Dask array."""
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(array, dask_array.Array)


def reconstruct(
    solve: Callable,
    problem: Problem,
    run: Run,
    out: Any = None,
    about: Mapping | None = None,
    overwrite: bool = False,
    method: dict | None = None,
) -> Any:
    """Reconstruct block by block: `hebt.reconstruct` for Dask arrays, or into a zarr store.

    ``solve(problem, run)`` reconstructs one block, whose arrays are float32 and in memory. Those
    of `problem` may be lazy, and nobody watches `run`. `out` is where to write; None for a lazy
    result. `method` are the settings of another method than HEBT.
    """
    import dask.array as da

    whole, (problem, blocks) = problem, _chunked(problem)
    arguments, names = [], []
    for name, letters in (
        ("haadf", "tsu"),
        ("maps", "etsv" if problem.haadf_projector is None else "ensv"),
        ("mask", "fsyx"),
        ("x0", "gsyx"),
        ("ratios", "hs"),
        ("variance", "etsv" if problem.haadf_projector is None else "ensv"),
    ):
        array = getattr(problem, name)
        if is_lazy(array):
            # letters of its own for axes that every block holds whole
            own = {"mask": str.maketrans("yx", "ab"), "x0": str.maketrans("yx", "cd")}
            axes = letters if array.ndim == len(letters) else letters[1:]
            axes = axes if name != "mask" or array.ndim > 2 else "yx"
            arguments += [array, axes.translate(own.get(name, {}))]
            names.append(name)
    problem.W.row_sums, problem.W.column_sums  # noqa: B018  once, and not for each block
    rest = dataclasses.replace(problem, **dict.fromkeys(names))
    settings = dict(solve=solve, problem=rest, run=run, names=tuple(names), token="hebt")
    if out is None:
        elements, _, size, _ = problem.shape
        return da.blockwise(
            _solve_block,
            "osij",
            *arguments,
            **settings,
            new_axes={"o": elements, "i": size, "j": size},
            concatenate=True,
            align_arrays=False,
            meta=np.empty((0, 0, 0, 0), np.float32),
        )
    about = checked_about(about, len(problem.maps))
    out = resolved(out)
    with owned(out):
        prints = _fingerprints(problem, arguments, names)
        description = _description(whole, run, max(blocks), names, prints) | dict(method=method)
        if overwrite:
            check_inputs(out, {name: getattr(problem, name) for name in names})
        description = claim(out, description, about, overwrite)
        prints = da.from_array(prints, chunks=(blocks, -1, -1))
        return _write(out, description, [prints, "sqw", *arguments], settings, blocks)


def block_sizes(thickness: int, slices: int, elements: int, size: int) -> tuple[int, ...]:
    """Return how many slices each block has.

    All are as thick as asked for, but thick enough to be fast, and not so thick that few of them
    fit in memory. Equal blocks also share no chunk of the result.
    """
    least = -(-_COLUMNS // elements)
    # more than twice that is hardly faster, and leaves workers without a block
    most = min(2 * least, max(least, _BYTES // (4 * elements * size**2)))
    if thickness < least:
        thickness *= -(-least // thickness)
    thickness = min(thickness, most)
    return tuple(min(thickness, slices - first) for first in range(0, slices, thickness))


def _chunked(problem):
    """Return the problem with Dask arrays, chunked in blocks of slices, and these."""
    import dask.array as da

    W, W_haadf = problem.W, problem.haadf_projector or problem.W
    thickness = next(
        (a.chunks[-2] for a in (problem.haadf, problem.maps) if is_lazy(a) and a.ndim > 2), (1,)
    )
    haadf, maps = _lazy("haadf", problem.haadf), _lazy("maps", problem.maps)
    _check_shapes(W, W_haadf, haadf, maps)
    elements, slices, size = len(maps), haadf.shape[1], W.size
    # whole tilts, elements and detector lines; slices as thick as they came, within limits
    blocks = block_sizes(max(thickness), slices, elements, size)
    arrays = {
        "haadf": haadf.rechunk({0: -1, 1: blocks, 2: -1}),
        "maps": maps.rechunk({0: -1, 1: -1, 2: blocks, 3: -1}),
    }
    for name, shape in (("mask", (slices, size, size)), ("x0", (elements, slices, size, size))):
        if (array := getattr(problem, name)) is None:
            continue
        array = _lazy(name, array)
        if array.shape != shape and not (name == "mask" and array.shape == shape[1:]):
            expected = f"{shape}" + (f" or {shape[1:]}" if name == "mask" else "")
            raise ValueError(f"{name} has shape {array.shape}; expected {expected}.")
        chunks: dict[int, object] = dict.fromkeys(range(array.ndim), -1)
        if array.ndim > 2:
            chunks[array.ndim - 3] = blocks
        arrays[name] = array.rechunk(chunks)
    if problem.variance is not None:
        variance = _lazy("variance", problem.variance)
        if variance.shape != maps.shape:
            raise ValueError(f"variance has shape {variance.shape}; expected {maps.shape}.")
        arrays["variance"] = variance.rechunk(arrays["maps"].chunks)
    if problem.ratios.ndim == 2:
        arrays["ratios"] = da.from_array(problem.ratios, chunks=(-1, blocks))
    return dataclasses.replace(problem, **arrays), blocks


def _fingerprints(problem, arguments, names):
    """Check the data as a whole; return each slice's SHA-256, shape (slices, arrays, 32)."""
    import dask.array as da

    prints = da.blockwise(
        _fingerprint_block,
        "sqw",
        *arguments,
        names=tuple(names),
        new_axes={"q": len(names), "w": 32},
        concatenate=True,
        align_arrays=False,
        meta=np.empty((0, 0, 0), np.uint8),
    )
    return _check_values(problem.haadf, problem.maps, prints)


def _description(problem, run, thickness, names, prints):
    """Return all that a result depends on, but for rounding on another device, as JSON has it."""
    haadf, found = problem.haadf_projector, np.moveaxis(prints, 1, 0)
    sums = {n: hashlib.sha256(p.tobytes()).hexdigest() for n, p in zip(names, found, strict=True)}
    return dict(
        shape=list(problem.shape),
        block=thickness,
        angles=problem.W.angles.tolist(),
        haadf_angles=None if haadf is None else haadf.angles.tolist(),
        ratios=problem.ratios.tolist(),
        alpha=problem.alpha,
        blur=problem.blur and [kernel.tolist() for kernel in problem.blur],
        iterations=run.iterations,
        **{name: sums.get(name) for name in ("haadf", "maps", "mask", "x0", "variance")},
        code=code_digest(),
    )


def _write(out, description, arguments, settings, blocks):
    """Reconstruct all blocks into a store, and return its volume as a lazy array."""
    import dask.array as da

    shape, thickness = description["shape"], description["block"]
    key = key_of(description)
    numbers = da.from_array(np.repeat(np.arange(len(blocks)), blocks), chunks=(blocks,))
    written = da.blockwise(
        _write_block,
        "sok",
        *(numbers, "s", *arguments),
        **settings,
        store=out,
        key=key,
        code=description["code"],
        thickness=thickness,
        new_axes={"o": shape[0], "k": 32},
        concatenate=True,
        align_arrays=False,
        meta=np.empty((0, 0, 0), np.uint8),
    )
    try:
        with _progress(len(blocks), settings["run"]):
            done = written.compute()[::thickness]
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the finished blocks are in {out}, and the same call goes on from there"
        ) from None
    there = (open_group(out, "r")["done"][:] == done).all(axis=(1, 2))
    if not there.all():
        raise RuntimeError(
            f"out, {out}, has {np.count_nonzero(there)} of {len(blocks)} blocks; expected all. The "
            "workers wrote somewhere else, or others wrote there too: give a path or address that "
            "all workers reach, and nobody else writes to."
        )
    finish(out, key, done)
    return lazy_result(out, key, done, shape, thickness)


def _solve_block(*arrays, solve, problem, run, names):
    """Reconstruct one block on one thread: Dask runs as many blocks at once as there are."""
    import numba

    block = dict(zip(names, arrays, strict=True))
    for name in ("haadf", "maps"):
        block[name] = as_float32(name, block[name])
    check_background("haadf", block["haadf"])
    images = [("haadf", block["haadf"], False)]
    images += [(f"maps[{e}]", m, True) for e, m in enumerate(block["maps"])]
    for name, array, counts in images:
        # a block without particle has noise on both sides of 0, but hardly so much
        if array.max() <= 0 or (counts and array.min() < -100 and not (array % 1).any()):
            check_signs(name, array, counts=counts)
    problem = dataclasses.replace(problem, **block).with_checked_x0_and_mask()
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        return solve(problem, run)
    finally:
        numba.set_num_threads(before)


def _fingerprint_block(*arrays, names):
    """Return the SHA-256 of each slice of a block's arrays, the first of which is haadf."""
    axes = dict(haadf=1, maps=2, mask=0, x0=1, ratios=1, variance=2)
    found = np.empty((arrays[0].shape[1], len(names), 32), np.uint8)
    for i, (name, array) in enumerate(zip(names, arrays, strict=True)):
        array = as_float32(name, array)
        shared = name == "mask" and array.ndim == 2
        for s in range(len(found)):
            values = array if shared else array.take(s, axes[name])
            found[s, i] = np.frombuffer(hashlib.sha256(values.tobytes()).digest(), np.uint8)
    return found


def _write_block(number, prints, *arrays, store, key, code, thickness, **settings):
    """Reconstruct one block into the store, unless it is there already; return its digests."""
    n = int(number[0])
    group = open_group(store, "r+")
    if key_of(group.attrs.get("run")) != key:
        raise RuntimeError(f"out, {store}, has been taken by another run, which goes on there.")
    if code_digest() != code:
        raise RuntimeError("A worker has another version of hebt than the caller; expected one.")
    x, done, own = group["x"], group["done"], slice(n * thickness, n * thickness + len(number))

    def digests(values):
        return np.stack([chunk_digest(key, e, n, v) for e, v in enumerate(values)])

    found = None
    with contextlib.suppress(ValueError):  # what is damaged may not even be read
        if (recorded := done[n]).any() and np.array_equal(digests(x[:, own]), recorded):
            found = recorded
    if found is None:
        if not np.array_equal(_fingerprint_block(*arrays, names=settings["names"]), prints):
            raise RuntimeError(
                "The data changed during the run; expected the same at each reading."
            )
        x[:, own] = result = _solve_block(*arrays, **settings)
        # only now does it count; whatever stops a run before, the block is worked out again
        done[n] = found = digests(result)
    return np.stack([found] * len(number))


def _lazy(name, array):
    import dask.array as da

    if is_lazy(array):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} holds values of type {array.dtype}; expected real numbers.")
        if np.isnan(array.shape).any():
            raise ValueError(
                f"{name} has an unknown shape {array.shape}; call its compute_chunk_sizes() first."
            )
        return array
    return da.from_array(as_float32(name, array), chunks=-1)


def _check_values(haadf, maps, prints):
    """Do the checks of values that need all of the data, before anything is written.

    Returns `prints`, which are worked out at the same time.
    """
    import dask

    def range_of(array):
        array = array.astype(np.float32)
        return array.min(), array.max(), (array == np.rint(array)).all()

    prints, *found = dask.compute(prints, range_of(haadf), *(range_of(m) for m in maps))
    low, high, _ = found[0]
    check_range("haadf", float(low), float(high), whole=False)
    check_seen(np.array([low, high]), np.array([values[:2] for values in found[1:]]))
    for e, (low, high, whole) in enumerate(found[1:]):
        check_range(f"maps[{e}]", float(low), float(high), whole=bool(whole))
    return prints


def _check_shapes(W, W_haadf, haadf, maps):
    if haadf.ndim != 3 or maps.ndim != 4:
        raise ValueError(
            f"haadf has shape {haadf.shape} and maps {maps.shape}; expected (tilts, slices, size) "
            "and (elements, tilts, slices, size), for Dask arrays and for out."
        )
    W_haadf.check_projections("haadf", haadf)
    if maps.shape[1:] != (len(W.angles), *haadf.shape[1:]):
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected maps of shape "
            f"(elements, {len(W.angles)}, {haadf.shape[1]}, {W.size})."
        )


@contextlib.contextmanager
def _progress(count, run):
    """A progress bar over blocks, where Dask runs them in this process."""
    from dask.callbacks import Callback

    from ._progress import progress_bar

    with progress_bar(count, run.label, run.progress) as bar:

        def finished(key, *_):
            bar.update(str(key[0]).startswith("hebt"))

        with Callback(posttask=finished):
            yield
