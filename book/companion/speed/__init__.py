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
from .figures import (
    extrapolation_table,
    gpu_table,
    peers_table,
    plot_memory,
    plot_peers,
    plot_scaling,
    workers_table,
)
