"""Everything that the chapter `sweeps` calls."""

from .bands import DOSES, PHANTOM_ALPHAS, PHANTOM_ITERATIONS, PhantomBands, phantom_bands
from .claims import advice_table, claims_table, minimum_table, shadow_of, sweep_numbers
from .explorers import FROM, LIMITS, NAMES, explore_slice_sweep
from .figures import (
    REFERENCE_NAME,
    figure7,
    figure8,
    plot_bands,
    plot_failures,
    plot_minima,
    plot_residuals,
)
from .slice import (
    ALPHAS,
    ELEMENTS,
    FRAME,
    ITERATIONS,
    PRINTED_ITERATIONS,
    REFERENCES,
    SliceSweep,
    lowest,
    norms,
    slice_sweep,
)

__all__ = [
    "ALPHAS",
    "DOSES",
    "ELEMENTS",
    "FRAME",
    "FROM",
    "ITERATIONS",
    "LIMITS",
    "NAMES",
    "PHANTOM_ALPHAS",
    "PHANTOM_ITERATIONS",
    "PRINTED_ITERATIONS",
    "REFERENCES",
    "REFERENCE_NAME",
    "PhantomBands",
    "SliceSweep",
    "advice_table",
    "claims_table",
    "explore_slice_sweep",
    "figure7",
    "figure8",
    "lowest",
    "minimum_table",
    "norms",
    "phantom_bands",
    "plot_bands",
    "plot_failures",
    "plot_minima",
    "plot_residuals",
    "shadow_of",
    "slice_sweep",
    "sweep_numbers",
]
