"""Everything that the chapter `spectra` calls."""

from .explorers import (
    CHANNELS,
    NAMES,
    STEPS,
    explore_components,
    explore_energy_window,
    explore_maps,
)
from .figures import (
    figure2,
    figure3,
    plot_alignment,
    plot_component_errors,
    plot_damping,
    plot_recorded,
    plot_response,
    plot_scree,
)
from .maps import collection_efficiency, crosstalk_matrix, element_maps, map_weights
from .processing import (
    ProcessedSeries,
    Steps,
    components,
    process,
    process_steps,
    steps,
    wide_masks,
)
from .recording import Acquisition, acquire, ideal_haadf
from .settings import (
    COPPER,
    ELEMENTS,
    LINES,
    NEAR_PEAKS,
    PARTICLES,
    WINDOWS,
    ParticleSettings,
    mass_thickness,
    settings,
    specimen,
    truth,
    voxel_size,
    zeta_factors,
)
from .study import (
    COUNTS_OF_COMPONENTS,
    DENOISED,
    SpectrumStudy,
    map_error,
    stages,
    step_errors,
    step_signals,
    study,
)
from .tables import (
    PARTICLE_NAME,
    alignment_table,
    numbers,
    percent,
    ratio_table,
    settings_table,
    step_table,
    window_table,
)

__all__ = ['Acquisition', 'CHANNELS', 'COPPER', 'COUNTS_OF_COMPONENTS', 'DENOISED', 'ELEMENTS', 'LINES', 'NAMES', 'NEAR_PEAKS', 'PARTICLES', 'PARTICLE_NAME', 'ParticleSettings', 'ProcessedSeries', 'STEPS', 'SpectrumStudy', 'Steps', 'WINDOWS', 'acquire', 'alignment_table', 'collection_efficiency', 'components', 'crosstalk_matrix', 'element_maps', 'explore_components', 'explore_energy_window', 'explore_maps', 'figure2', 'figure3', 'ideal_haadf', 'map_error', 'map_weights', 'mass_thickness', 'numbers', 'percent', 'plot_alignment', 'plot_component_errors', 'plot_damping', 'plot_recorded', 'plot_response', 'plot_scree', 'process', 'process_steps', 'ratio_table', 'settings', 'settings_table', 'specimen', 'stages', 'step_errors', 'step_signals', 'step_table', 'steps', 'study', 'truth', 'voxel_size', 'wide_masks', 'window_table', 'zeta_factors']
