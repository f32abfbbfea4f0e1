"""Everything that the chapter `speed` calls."""

from .data import (
    ASTRA,
    ASTRA_GPU,
    BARE,
    OURS,
    cluster_seconds,
    last_doublings,
    numbers,
    results,
    seconds,
    worker_memory,
)
from .figures import plot_peers, plot_scaling
from .tables import extrapolation_table, gpu_table, memory_table, peers_table, workers_table
