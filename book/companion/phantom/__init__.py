"""Everything that the chapter `phantom` calls."""

from .claims import all_claims, claims_table, numbers
from .data import (
    SIGMA,
    PhantomData,
    PhantomSettings,
    data,
    estimate_ratios,
    phantom_settings,
    value,
)
from .explorers import LIMITS, UNIT, explore_sweep, first_look
from .figures import (
    DENSITY_LIMITS,
    figure1,
    figure4,
    plot_convergence,
    plot_smoothing,
    plot_stability,
)
from .measures import (
    BEST_IS_LARGE,
    METHODS,
    SCORES,
    TABLE_1,
    as_slices,
    checkpoints,
    mse,
    norm,
    repeat,
    scores,
    weighed,
)
from .smoothing import KERNELS, Kernel, Smoothing, smoothing
from .stability import Stability, stability
from .study import PhantomStudy, study
from .sweep import ALPHAS, EDS_ALONE, FRAME, ITERATIONS, PhantomSweep, cut_frames, sweep, sweeps
from .tables import (
    SCORE_FORMAT,
    SCORE_NAME,
    best_stop_table,
    fault_name,
    paper_consistency_table,
    readings_table,
    response_ratio_table,
    seeds_text,
    settings_table,
    signed,
    table1,
    ten_thousands,
    verdict,
)

__all__ = ['ALPHAS', 'BEST_IS_LARGE', 'DENSITY_LIMITS', 'EDS_ALONE', 'FRAME', 'ITERATIONS', 'KERNELS', 'Kernel', 'LIMITS', 'METHODS', 'PhantomData', 'PhantomSettings', 'PhantomStudy', 'PhantomSweep', 'SCORES', 'SCORE_FORMAT', 'SCORE_NAME', 'SIGMA', 'Smoothing', 'Stability', 'TABLE_1', 'UNIT', 'all_claims', 'as_slices', 'best_stop_table', 'checkpoints', 'claims_table', 'cut_frames', 'data', 'estimate_ratios', 'explore_sweep', 'fault_name', 'figure1', 'figure4', 'first_look', 'mse', 'norm', 'numbers', 'paper_consistency_table', 'phantom_settings', 'plot_convergence', 'plot_smoothing', 'plot_stability', 'readings_table', 'repeat', 'response_ratio_table', 'scores', 'seeds_text', 'settings_table', 'signed', 'smoothing', 'stability', 'study', 'sweep', 'sweeps', 'table1', 'ten_thousands', 'value', 'verdict', 'weighed']
