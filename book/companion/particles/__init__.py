"""Everything that the chapter `particles` calls."""

from .alloy import AlloyStudy, alloy_study
from .claims import alloy_numbers, dose_numbers, nonalloy_numbers
from .dose import DoseStudy, dose_study
from .explorers import explore_slices, explore_turntable
from .figures import (
    figure5,
    figure6,
    figure9,
    figure10,
    figure11,
    plot_convergence,
    plot_dose,
    plot_edges,
    plot_gold_profile,
)
from .follow import Follow
from .measures import COLUMNS, ELEMENTS, LOCALIZED, METHODS, REFERENCES, TABLE_2, windowed_ssim
from .nonalloy import NonAlloyStudy, mask_maps, nonalloy_study, seed_settings
from .render import render
from .tables import (
    alloy_table,
    crosstalk_table,
    fit_table,
    localization_table,
    profile_table,
    reference_table,
    segmentation_table,
    table2,
    width_table,
    windows_table,
)
from .truth import Profile, Truth
from .views import VIEW_LIMIT, Body, Views, from_steps, to_steps
