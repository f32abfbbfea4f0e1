"""Everything that the chapter `dust` calls."""

from .explorers import explore_planes
from .figures import (
    plot_alignment,
    plot_cross_sections,
    plot_geometry,
    plot_held_out,
    plot_images,
    plot_planes,
    plot_predicted,
    plot_spectrum,
    plot_totals,
)
from .study import DEPTH, STRIP, binned, cropped, geometry, held_out, mass_stages, settings
from .tables import held_out_table, line_table, mass_table, ratio_table
