"""Everything that the chapter `phantom` calls."""

from .claims import all_claims, claims_table, numbers
from .counts import counts_on_paper_pixel, paper_counts
from .data import PhantomSettings, data, estimate_ratios
from .explorers import explore_sweep, first_look, first_numbers, first_pictures
from .figures import figure1, figure4, plot_convergence, plot_smoothing, plot_stability
from .grid import finer_grid, from_finer_grid
from .measures import METHODS, SCORES, TABLE_1
from .smoothing import Kernel, smoothing
from .stability import stability
from .study import study
from .sweep import ALPHAS, ITERATIONS, PhantomSweep, cut_frames, sweeps
from .tables import (
    best_stop_table,
    paper_consistency_table,
    readings_table,
    response_ratio_table,
    settings_table,
    table1,
)
