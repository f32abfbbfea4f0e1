"""Everything that the chapter `models` calls."""

from .figures import (
    cost_table,
    plot_composition,
    plot_meaning_of_alpha,
    plot_ratio_fit,
    plot_ray_weights,
    plot_stacked_matrix,
    plot_sum_and_difference,
    plot_two_modalities,
)
from .theory import (
    numbers,
    sirt_on_matrix,
    stacked_system,
    sum_and_difference,
    weight_in_equation_9,
)
