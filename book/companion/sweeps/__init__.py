"""Everything that the chapter `sweeps` calls."""

from .bands import PhantomBands, phantom_bands
from .claims import advice_table, claims_table, minimum_table, sweep_numbers
from .explorers import explore_slice_sweep
from .figures import figure7, figure8, plot_bands, plot_failures, plot_minima, plot_residuals
from .slice import ALPHAS, FRAME, ITERATIONS, REFERENCES, lowest, slice_sweep
