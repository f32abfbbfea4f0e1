"""Work on all threads."""

from concurrent.futures import ThreadPoolExecutor

import numba

from hebt._progress import progress_bar


def threads() -> int:
    """Return how many threads work at once: numba's, set by ``NUMBA_NUM_THREADS``."""
    return numba.get_num_threads()


def run(work, *tasks, label: str = "") -> list:
    """Return `map` of `work` over the tasks as a list, worked out on all threads.

    With a label there is a progress bar, where somebody can see it.
    """
    results, show = [], None if label else False
    with ThreadPoolExecutor(threads()) as pool, progress_bar(len(tasks[0]), label, show) as bar:
        for result in pool.map(work, *tasks):
            results.append(result)
            bar.update()
    return results
