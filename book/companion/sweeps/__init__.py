"""Everything that the chapter `sweeps` calls."""

from ..particles.measures import REFERENCES
from .bands import PhantomBands, phantom_bands
from .claims import claims_table, sweep_numbers
from .explorers import explore_slice_sweep
from .figures import (
    figure7,
    figure8,
    plot_bands,
    plot_failures,
    plot_ghost,
    plot_minima,
    plot_residuals,
)
from .slice import ALPHAS, FRAME, ITERATIONS, lowest, other_readings, slice_sweep
from .tables import advice_table, best_point_table, dose_table, minimum_table, readings_table
