"""One thread pool for all projections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def threads() -> int:
    """Number of threads that projections use: numba's, set by NUMBA_NUM_THREADS."""
    import numba

    return numba.get_num_threads()


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
    with ThreadPoolExecutor(others) as pool:
        jobs = [pool.submit(take) for _ in range(others)]
        take()
        for job in jobs:
            job.result()
