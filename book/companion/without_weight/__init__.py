"""Everything that the chapter `without_weight` calls."""

from .choice import choice_study
from .claims import all_claims, claims_table, numbers
from .dose import dose_study
from .equivalence import equivalence
from .explorers import explore_methods
from .figures import plot_alloy, plot_choice, plot_convergence, plot_dose, plot_first, plot_noise
from .particles import particle_comparison
from .robustness import robustness
from .runs import noisy_series
from .study import kernel_comparison, study
from .tables import alloy_table, octahedron_table, phantom_table, ratio_table, robustness_table
