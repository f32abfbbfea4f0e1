"""Everything that the chapter `speed` calls."""

from .data import numbers, results
from .figures import plot_peers, plot_scaling
from .tables import extrapolation_table, gpu_table, memory_table, peers_table, workers_table
