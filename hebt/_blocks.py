"""Reconstructions larger than memory, and on more than one machine: in blocks of slices.

No slice talks to another, so a volume is reconstructed in blocks along the tilt axis. Dask says
what a block needs and hands it to threads, processes or the machines of a cluster.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys

import numpy as np

from ._checks import as_float32, check_range, check_seen, check_signs
from .projector import Projector

# A block should have this many columns, slices times elements, to be fast (if there are so many).
_COLUMNS = 128
_BYTES = 2**29  # and its result no more than this, if that leaves it fast


def is_lazy(array) -> bool:
    """Say whether this is a Dask array."""
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(array, dask_array.Array)


def reconstruct(
    solve,
    W: Projector,
    haadf,
    maps,
    ratios,
    *,
    mask=None,
    start=None,
    out=None,
    haadf_projector: Projector | None = None,
    progress: bool | None = None,
    **options,
):
    """Reconstruct block by block: `hebt.reconstruct` for Dask arrays, or into a zarr store.

    Parameters
    ----------
    solve
        ``solve(W, haadf, maps, ratios, mask=, start=, haadf_projector=, **options)`` for one
        block, on checked float32 arrays.
    out
        Where to write; None for a lazy result.

    Other parameters and the result are those of `hebt.reconstruct`; `ratios` and `options` have
    been checked.
    """
    import dask.array as da

    chunks = next((a.chunks[-2] for a in (haadf, maps) if is_lazy(a) and a.ndim > 2), (1,))
    haadf, maps = _lazy("haadf", haadf), _lazy("maps", maps)
    _check_shapes(W, haadf_projector or W, haadf, maps, ratios)
    elements, slices, size = len(maps), haadf.shape[1], W.size
    # whole tilts, elements and detector lines; slices as thick as they came, within limits
    blocks = _blocks(max(chunks), slices, elements, size)
    haadf = haadf.rechunk({0: -1, 1: blocks, 2: -1})
    maps = maps.rechunk({0: -1, 1: -1, 2: blocks, 3: -1})
    arguments = [haadf, "tsu", maps, "etsv" if haadf_projector is None else "ensv"]
    names = []
    for name, array, shape in (
        ("mask", mask, (slices, size, size)),
        ("start", start, (elements, slices, size, size)),
    ):
        if array is None:
            continue
        array = _lazy(name, array)
        if array.shape != shape and not (name == "mask" and array.shape == shape[1:]):
            expected = f"{shape}" + (f" or {shape[1:]}" if name == "mask" else "")
            raise ValueError(f"{name} has shape {array.shape}; expected {expected}.")
        axes = "fsyx"[-array.ndim :] if array.shape == shape else "yx"
        chunks = {i: blocks if axis == "s" else -1 for i, axis in enumerate(axes)}
        # letters of its own for axes that every block holds whole
        letters = dict(zip("fyx", "abc" if name == "mask" else "dgh"))
        arguments += [array.rechunk(chunks), "".join(letters.get(axis, axis) for axis in axes)]
        names.append(name)

    W.row_sums  # once, and not for each block
    settings = dict(
        token="hebt",
        solve=solve,
        W=W,
        ratios=ratios,
        haadf_projector=haadf_projector,
        names=tuple(names),
        options=options,
    )
    if out is None:
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
    _check_values(haadf, maps)
    if isinstance(out, (str, os.PathLike)) and "://" not in str(out):
        out = os.path.abspath(out)  # workers may run in another folder
    store = _open(out, (elements, slices, size, size), blocks)
    numbers = da.from_array(np.repeat(np.arange(len(blocks)), blocks), chunks=(blocks,))
    written = da.blockwise(
        _write_block,
        "s",
        numbers,
        "s",
        *arguments,
        **settings,
        store=store,
        blocks=blocks,
        concatenate=True,
        align_arrays=False,
        meta=np.empty(0, bool),
    )
    try:
        with _progress(len(blocks), progress):
            written.compute()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the finished blocks are in {out}, and the same call goes on from there"
        ) from None
    done = _array(store, "done")[:].any(axis=1)
    if not done.all():
        raise RuntimeError(
            f"out, {out}, has {np.count_nonzero(done)} of {len(blocks)} blocks; expected all. The "
            "workers wrote somewhere else: give a path or address that all of them reach."
        )
    return da.from_zarr(_array(store, "x"))


def _solve_block(haadf, maps, *others, solve, W, ratios, haadf_projector, names, options):
    """Reconstruct one block on one thread: Dask runs as many blocks at once as there are."""
    import numba

    haadf, maps = as_float32("haadf", haadf), as_float32("maps", maps)
    images = [("haadf", haadf, False), *((f"maps[{e}]", m, True) for e, m in enumerate(maps))]
    for name, array, counts in images:
        # a block without particle has noise on both sides of 0
        if array.max() <= 0 or (counts and (array == np.rint(array)).all()):
            check_signs(name, array, counts=counts)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        return solve(
            W,
            haadf,
            maps,
            ratios,
            haadf_projector=haadf_projector,
            **dict(zip(names, others)),
            **options,
        )
    finally:
        numba.set_num_threads(before)


def _write_block(number, haadf, maps, *others, store, blocks, **settings):
    """Reconstruct one block into the store, unless it is there already, from the same data."""
    n = int(number[0])
    digest = _digest(haadf, maps, *others, settings)
    done, x = _array(store, "done"), _array(store, "x")
    if not np.array_equal(done[n], digest):
        first = sum(blocks[:n])
        result = _solve_block(haadf, maps, *others, **settings)
        # while it is written it counts as no result, not as the one that was there before
        done[n] = 0
        x[:, first : first + blocks[n]] = result
        # only now does it count; whatever stops a run before, the block is worked out again
        done[n] = digest
    return np.ones(len(number), bool)


def _digest(*parts) -> np.ndarray:
    """SHA-256 of all that a block's result depends on, but for rounding on another device."""
    digest = hashlib.sha256()

    def add(part):
        if isinstance(part, Projector):
            part = part.angles, part.size
        if isinstance(part, dict):
            part = sorted((k, v) for k, v in part.items() if k not in ("solve", "device"))
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape} {part.dtype.str}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        elif isinstance(part, (list, tuple)):
            digest.update(f"{len(part)}".encode())
            for each in part:
                add(each)
        else:
            digest.update(repr(part).encode())

    from . import __version__

    add((__version__, parts))
    return np.frombuffer(digest.digest(), np.uint8)


def _open(out, shape, blocks):
    """Make the store, or check that it is the one of this run; return what opens it again."""
    import zarr

    chunk = (1, max(blocks), *shape[2:])
    try:
        group = zarr.open_group(out, mode="a")
    except (TypeError, ValueError, FileExistsError) as error:
        raise ValueError(
            f"out is {out!r}, which zarr cannot open as a group ({error}); expected a path or "
            "address of a new place, or of one that such a run has written."
        ) from error
    layout = {
        "x": dict(shape=shape, chunks=chunk, dtype="float32", fill_value=0),
        # a chunk for each block: its digest, once the block is written
        "done": dict(shape=(len(blocks), 32), chunks=(1, 32), dtype="uint8", fill_value=0),
    }
    for name, wanted in layout.items():
        if name not in group:
            compressors = None if name == "done" else "auto"
            group.create_array(name, compressors=compressors, **wanted)
        array = group[name]
        found = array.shape, array.chunks, str(array.dtype)
        if found != (wanted["shape"], wanted["chunks"], wanted["dtype"]):
            raise ValueError(
                f"out, {out}, holds another result: {name} of shape {array.shape} in chunks of "
                f"{array.chunks}; expected {wanted['shape']} in {wanted['chunks']}. Give another "
                "place, or remove it first."
            )
    return out


def _array(store, name):
    import zarr

    return zarr.open_group(store, mode="r+")[name]


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
    array = as_float32(name, array)
    return da.from_array(array, chunks=-1)


def _check_values(haadf, maps):
    """Do the checks of values that need all of the data, before anything is written."""
    import dask

    def range_of(array):
        array = array.astype(np.float32)
        return array.min(), array.max(), (array == np.rint(array)).all()

    found = dask.compute(range_of(haadf), *(range_of(m) for m in maps))
    low, high, _ = found[0]
    check_range("haadf", float(low), float(high), whole=False)
    check_seen(np.array([low, high]), np.array([values[:2] for values in found[1:]]))
    for e, (low, high, whole) in enumerate(found[1:]):
        check_range(f"maps[{e}]", float(low), float(high), whole=bool(whole))


def _check_shapes(W, W_haadf, haadf, maps, ratios):
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
    if len(ratios) != len(maps):
        raise ValueError(
            f"ratios has shape {ratios.shape}; expected ({len(maps)},), one for each element map."
        )


def _blocks(thickness, slices, elements, size) -> tuple[int, ...]:
    """Slices in each block: all as thick as asked for, but thick enough to be fast, and not so
    thick that few of them fit in memory. Equal blocks also share no chunk of the result."""
    least = -(-_COLUMNS // elements)
    # more than twice that is hardly faster, and leaves workers without a block
    most = min(2 * least, max(least, _BYTES // (4 * elements * size**2)))
    if thickness < least:
        thickness *= -(-least // thickness)
    thickness = min(thickness, most)
    return tuple(min(thickness, slices - first) for first in range(0, slices, thickness))


@contextlib.contextmanager
def _progress(count, show):
    """A progress bar over blocks, where Dask runs them in this process."""
    from dask.callbacks import Callback

    from ._progress import progress_bar

    with progress_bar(count, "HEBT", show) as bar:

        def finished(key, *_):
            bar.update(str(key[0]).startswith("hebt"))

        with Callback(posttask=finished):
            yield
