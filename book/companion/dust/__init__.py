"""Everything that the chapter `dust` calls."""

from .claims import dust_numbers, held_out_numbers, judged_numbers, ratio_numbers, volume_numbers
from .explorers import explore_planes
from .figures import (
    plot_alignment,
    plot_cross_sections,
    plot_geometry,
    plot_held_out,
    plot_images,
    plot_judged,
    plot_planes,
    plot_predicted,
    plot_ratios,
    plot_spectrum,
    plot_totals,
)
from .judgement import held_out, judge, volumes
from .study import fit_and_doubts, keep, mass_stages, ratios_by_tilt, settings, study, totals
from .tables import doubt_table, held_out_table, judged_table, line_table, mass_table, ratio_table
