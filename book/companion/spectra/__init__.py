"""Everything that the chapter `spectra` calls."""

from .explorers import STEPS, explore_components, explore_energy_window, explore_maps
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
from .maps import collection_efficiency, crosstalk_matrix, map_weights
from .processing import process
from .recording import acquire
from .settings import ELEMENTS, LINES, PARTICLES, ParticleSettings, settings, specimen, truth
from .study import step_errors, step_signals, study
from .tables import (
    alignment_table,
    blocks_table,
    copper_table,
    numbers,
    ratio_table,
    settings_table,
    step_table,
    window_table,
)
