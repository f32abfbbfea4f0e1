"""Work on all threads."""

from concurrent.futures import ThreadPoolExecutor

import numba


def threads() -> int:
    """Return how many threads work at once: numba's, set by ``NUMBA_NUM_THREADS``."""
    return numba.get_num_threads()


def run(work, tasks) -> list:
    """Call work(*task) for each task on all threads; return the results in the same order."""
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(lambda task: work(*task), tasks))
