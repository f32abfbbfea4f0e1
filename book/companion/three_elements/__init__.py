"""Everything that the chapter `three_elements` calls."""

from .claims import judged_numbers, series_numbers
from .explorers import explore_methods
from .figures import plot_judged, plot_series, plot_slices
from .judgement import choose, judge, judge_if_here, volumes
from .study import folder, study, whole
from .tables import choice_table, judged_table, ratio_table
