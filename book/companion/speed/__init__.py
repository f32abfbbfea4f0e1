"""Everything that the chapter `speed` calls."""

from .data import numbers, results, seconds
from .errors import numbers as error_numbers
from .errors import results as error_results
from .figures import plot_errors, plot_peers, plot_scaling
from .tables import (
    errors_table,
    extrapolation_table,
    gpu_table,
    least_squares_table,
    memory_table,
    peers_table,
    scaling_table,
    settings_table,
    workers_table,
)
