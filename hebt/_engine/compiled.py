"""Compiling with numba, whose results are kept on disk where that is possible."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any


def kept(jit: Callable) -> Callable:
    """Return a decorator that compiles by `jit`, with a cache if there is a place for it.

    Without one (a read-only package and no writable home, as in containers, or a full disk),
    numba's own ``cache=True`` raises an error.
    """

    def decorate(function: Callable) -> Any:
        try:
            compiled = jit(cache=True)(function)
        except RuntimeError as error:  # numba finds no folder that it can write to
            _warn(error)
            return jit()(function)
        if cache := getattr(compiled, "_cache", None):  # numba's simulator has none
            cache.save_overload = functools.partial(_save, cache.save_overload)
        return compiled

    return decorate


def _save(save: Callable, *overload: Any) -> None:
    try:
        save(*overload)
    except OSError as error:
        _warn(error)


_warned: list[Exception] = []


def _warn(error: Exception) -> None:
    if not _warned:
        _warned.append(error)
        warnings.warn(
            f"what is compiled cannot be kept on disk ({error}), so that each new process compiles "
            "the projector anew, which takes up to a minute. To keep it, set the environment "
            "variable NUMBA_CACHE_DIR to a folder that can be written to.",
            UserWarning,
            stacklevel=4,
        )
