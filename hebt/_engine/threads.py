"""One thread pool for all projections."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait


def threads() -> int:
    """Number of threads that projections use: numba's, set by NUMBA_NUM_THREADS."""
    import numba

    return numba.get_num_threads()


@functools.cache
def _pool(workers: int) -> ThreadPoolExecutor:
    # kept, as starting threads takes as long as an iteration on a small slice
    return ThreadPoolExecutor(workers, thread_name_prefix="hebt")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not live on in a child


def run(work: Callable, tasks: Sequence) -> None:
    """Call work(*task) for each task, on all threads, of which the caller's is one."""
    waiting = deque(tasks)

    def take():
        while True:
            try:
                task = waiting.popleft()
            except IndexError:
                return
            try:
                work(*task)
            except BaseException:
                waiting.clear()
                raise

    others = min(threads(), len(tasks)) - 1
    if others < 1:
        take()
        return
    jobs = []
    try:
        for _ in range(others):
            jobs.append(_pool(threads() - 1).submit(take))
        take()
    except BaseException:
        waiting.clear()
        raise
    finally:
        # those that have not begun would find nothing left, perhaps behind other callers' work
        begun = [job for job in jobs if not job.cancel()]
        try:
            wait(begun)
        except BaseException:  # an interruption: others must not write on after it
            wait(begun)
            raise
    for job in begun:
        job.result()


def in_parts(kernel: Callable, count: int, *arguments: object) -> None:
    """Call a kernel for parts of a range, on all threads."""
    share = -(-count // threads())
    run(
        lambda first: kernel(*arguments, first, min(first + share, count)),
        [(first,) for first in range(0, count, share)],
    )
