"""Everything that the chapter `particles` calls."""

from .alloy import AlloyStudy, alloy_study
from .claims import alloy_numbers, dose_numbers, nonalloy_numbers
from .dose import DoseStudy, dose_study
from .explorers import BODIES, LIMITS, ORDER, SEEN, START, explore_slices, explore_turntable, view
from .figures import (
    NAME,
    STYLE,
    figure5,
    figure6,
    figure9,
    figure10,
    figure11,
    plot_convergence,
    plot_dose,
    plot_edges,
    plot_gold_profile,
    plot_stills,
    seeds_text,
)
from .follow import Follow
from .kernels import cast, tally
from .measures import (
    BEST_IS_LARGE,
    BINS,
    CLEAR,
    COLUMNS,
    EDGES,
    ELEMENTS,
    LOCALIZED,
    METHODS,
    REACH,
    REFERENCES,
    SCORES,
    STEPS,
    TABLE_2,
    Box,
    checkpoints,
    dots,
    edge_width,
    fewest_wrong,
    voxels_of_300,
    windowed_ssim,
)
from .nonalloy import NonAlloyStudy, mask_maps, nonalloy_study, seed_settings
from .render import COLOURS, OPACITIES, render
from .tables import (
    OURS_FORMAT,
    SCORE_FORMAT,
    SCORE_NAME,
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
from .views import (
    BINNING,
    BODY,
    FIGURE_5,
    FIGURE_5_SIZE,
    VIEW_LIMIT,
    Body,
    Views,
    from_steps,
    to_steps,
)

__all__ = ['AlloyStudy', 'BEST_IS_LARGE', 'BINNING', 'BINS', 'BODIES', 'BODY', 'Body', 'Box', 'CLEAR', 'COLOURS', 'COLUMNS', 'DoseStudy', 'EDGES', 'ELEMENTS', 'FIGURE_5', 'FIGURE_5_SIZE', 'Follow', 'LIMITS', 'LOCALIZED', 'METHODS', 'NAME', 'NonAlloyStudy', 'OPACITIES', 'ORDER', 'OURS_FORMAT', 'Profile', 'REACH', 'REFERENCES', 'SCORES', 'SCORE_FORMAT', 'SCORE_NAME', 'SEEN', 'START', 'STEPS', 'STYLE', 'TABLE_2', 'Truth', 'VIEW_LIMIT', 'Views', 'alloy_numbers', 'alloy_study', 'alloy_table', 'cast', 'checkpoints', 'crosstalk_table', 'dose_numbers', 'dose_study', 'dots', 'edge_width', 'explore_slices', 'explore_turntable', 'fewest_wrong', 'figure10', 'figure11', 'figure5', 'figure6', 'figure9', 'fit_table', 'from_steps', 'localization_table', 'mask_maps', 'nonalloy_numbers', 'nonalloy_study', 'plot_convergence', 'plot_dose', 'plot_edges', 'plot_gold_profile', 'plot_stills', 'profile_table', 'reference_table', 'render', 'seed_settings', 'seeds_text', 'segmentation_table', 'table2', 'tally', 'to_steps', 'view', 'voxels_of_300', 'width_table', 'windowed_ssim', 'windows_table']
