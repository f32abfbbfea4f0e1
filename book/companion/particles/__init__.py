"""The room of the chapters on the non-alloy and the alloy particle."""

from .absorption import AbsorptionStudy, absorption_study
from .alloy import AlloyStudy, alloy_study
from .claims import (
    absorption_numbers,
    alloy_numbers,
    grid_numbers,
    nonalloy_numbers,
    quotient_numbers,
    rim_numbers,
    stopping_numbers,
)
from .composition import Shells
from .doses import DoseSlices, dose_slices
from .explorers import explore_turntable
from .figures import (
    plot_absorption,
    plot_bodies,
    plot_convergence,
    plot_edges,
    plot_gold_profile,
    plot_grid,
    plot_masks,
    plot_rim,
    plot_slices,
)
from .grid import Grid, noise_grid
from .measures import ELEMENTS, METHODS, REFERENCES, TABLE_2
from .nonalloy import LOCALIZED, NonAlloyStudy, mask_maps, nonalloy_study
from .render import render, section
from .rim import RimStudy, rim_study
from .scoring import Scorer
from .slices import cubes, explore_doses, explore_slices
from .stopping import StoppingStudy, stopping_study
from .surfaces import EDGES, Profile, Surfaces
from .tables import (
    absorption_loss_table,
    absorption_table,
    alloy_table,
    crosstalk_table,
    fit_table,
    grid_table,
    localization_table,
    profile_table,
    reference_table,
    rim_table,
    segmentation_table,
    stopping_table,
    table2,
    width_table,
    windows_table,
)
from .truth import Truth
from .verdicts import (
    alloy_claims_table,
    alloy_verdicts,
    nonalloy_claims_table,
    nonalloy_verdicts,
    printed_change,
)
from .views import COLUMNS, VIEW_LIMIT, Views, from_steps, to_steps
