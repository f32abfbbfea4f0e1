"""Everything that the chapter `speed` calls."""

from .data import (
    ASTRA,
    ASTRA_GPU,
    BARE,
    CLUSTER,
    FILE,
    IDLE,
    ITERATIONS,
    OURS,
    SCIPY,
    STUDIES,
    at_once,
    busy,
    bytes_text,
    cluster_seconds,
    duration,
    exponents,
    last_doublings,
    load_text,
    median,
    numbers,
    on_processor,
    percent,
    ratio_text,
    results,
    seconds,
    thread_count,
    times_text,
    worker_memory,
)
from .figures import (
    extrapolation_table,
    gpu_table,
    peers_table,
    plot_memory,
    plot_peers,
    plot_scaling,
    workers_table,
)

__all__ = ['ASTRA', 'ASTRA_GPU', 'BARE', 'CLUSTER', 'FILE', 'IDLE', 'ITERATIONS', 'OURS', 'SCIPY', 'STUDIES', 'at_once', 'busy', 'bytes_text', 'cluster_seconds', 'duration', 'exponents', 'extrapolation_table', 'gpu_table', 'last_doublings', 'load_text', 'median', 'numbers', 'on_processor', 'peers_table', 'percent', 'plot_memory', 'plot_peers', 'plot_scaling', 'ratio_text', 'results', 'seconds', 'thread_count', 'times_text', 'worker_memory', 'workers_table']
