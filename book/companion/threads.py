"""Work on all threads."""

from concurrent.futures import ThreadPoolExecutor

import numba

from hebt._progress import progress_bar


def threads() -> int:
    """Return how many threads work at once: numba's, set by ``NUMBA_NUM_THREADS``."""
    return numba.get_num_threads()


def run(work, *tasks, label: str = "", progress: bool | None = False) -> list:
    """Return `map` of `work` over the tasks as a list, worked out on all threads.

    `progress` is True or False for a progress bar, or None for one where somebody can see it.
    """
    with ThreadPoolExecutor(threads()) as pool, progress_bar(len(tasks[0]), label, progress) as bar:
        results = []
        for result in pool.map(work, *tasks):
            results.append(result)
            bar.update()
    return results
