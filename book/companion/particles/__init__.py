"""The room of the chapters on the non-alloy and the alloy particle."""

from .absorption import AbsorptionStudy, absorption_study
from .alloy import AlloyStudy, alloy_study
from .claims import absorption_numbers, alloy_numbers, dose_numbers, nonalloy_numbers
from .composition import Shells
from .dose import DoseStudy, dose_study
from .explorers import explore_slices, explore_turntable
from .figures import (
    plot_absorption,
    plot_bodies,
    plot_convergence,
    plot_dose,
    plot_edges,
    plot_gold_profile,
    plot_masks,
    plot_slices,
)
from .measures import ELEMENTS, METHODS, REFERENCES, TABLE_2
from .nonalloy import LOCALIZED, NonAlloyStudy, mask_maps, nonalloy_study
from .render import render
from .scoring import Scorer
from .surfaces import EDGES, Profile, Surfaces
from .tables import (
    absorption_loss_table,
    absorption_table,
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
from .truth import Truth
from .views import COLUMNS, VIEW_LIMIT, Views, from_steps, to_steps
