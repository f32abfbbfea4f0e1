"""Arrays as the kernels want them: slices along the last axis, rows aligned."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Iterator

import numpy as np

_ALIGNED = 16  # float32 values in a cache line
_LARGE = 2**18  # values from which on an array has pages of its own


def inverse(sums: np.ndarray) -> np.ndarray:
    """Return 1 / sums, and 0 where a sum is 0."""
    return np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)


def empty(*shape: int) -> np.ndarray:
    """Return a float32 array for the kernels, aligned to the processor's cache lines.

    The last axis holds slices. Where it costs little memory it is made longer, with zeros, so
    that each row is aligned too; twice as fast as rows that straddle cache lines.
    """
    *rows, columns = shape
    more = -columns % _ALIGNED
    if 4 * more <= columns:
        shape = *rows, columns + more
    size = int(np.prod(shape))
    buffer = pages(size + _ALIGNED)
    first = -(buffer.ctypes.data // 4) % _ALIGNED
    array = buffer[first : first + size].reshape(shape)
    array[..., columns:] = 0
    return array


def pages(*shape: int) -> np.ndarray:
    """Return a float32 array which, if it is large, goes back to the system once it is unused.

    The allocator keeps what was freed between other arrays, and a run would take more and more.
    """
    size = int(np.prod(shape))
    if size < _LARGE:
        return np.empty(shape, np.float32)
    own = {}
    if hasattr(mmap, "MAP_ANONYMOUS"):  # not on Windows
        own = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    room = mmap.mmap(-1, 4 * size, **own)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            room.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(room, np.float32).reshape(shape)


_kept: dict[str, np.ndarray] = {}
_MOST = 1 << 24  # bytes of an array that is kept


@contextlib.contextmanager
def scratch(name: str, *shape: int) -> Iterator[np.ndarray]:
    """Lend a float32 array, with whatever it holds.

    The last one of each name is kept for the next call, if it is small: for a few slices, finding
    new memory would take as long as much of the work.
    """
    array = _kept.pop(name, None)  # by one thread only
    if array is None or array.shape != shape:
        array = empty(math.prod(shape)).reshape(shape)
    yield array
    if array.nbytes <= _MOST:
        _kept[name] = array


def slices_last(images: np.ndarray) -> np.ndarray:
    """Copy (slices, pixels) into a new array (pixels, slices) from `empty`."""
    slices, pixels = images.shape
    out = empty(pixels, slices)
    # in blocks that the cache can hold
    for i in range(0, slices, 64):
        for j in range(0, pixels, 4096):
            out[j : j + 4096, i : min(i + 64, slices)] = images[i : i + 64, j : j + 4096].T
    return out


def slices_first(columns: np.ndarray, slices: int) -> np.ndarray:
    """Copy (pixels, at least slices) into a new array (slices, pixels)."""
    out = pages(slices, len(columns))
    for i in range(0, slices, 64):
        for j in range(0, len(columns), 4096):
            out[i : i + 64, j : j + 4096] = columns[j : j + 4096, i : min(i + 64, slices)].T
    return out
