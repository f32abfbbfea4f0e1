"""From recorded images and spectra to what `hebt.reconstruct` takes."""

from .absorption import absorption_factors
from .alignment import (
    MatchedShifts,
    alignment_error,
    center_of_mass,
    estimate_center_shifts,
    estimate_shifts,
    estimate_shifts_to,
)
from .components import Components, bin_spectra, decompose
from .haadf import (
    Damping,
    binarize,
    correct_damping,
    estimate_damping,
    estimate_offset,
    particle_masks,
    remove_offset,
)
from .images import (
    apply_shifts,
    bin_images,
    crop_flat,
    mass_inconsistency,
    slab_mask,
    smooth,
    smooth_variance,
    smoothing_kernel,
)
from .maps import map_variance, normalize_tilts, tilt_response
from .mixing import Mixing, measure_mixing
from .reprojection import Alignment, refine_alignment, reprojection_residual
from .tilt_axis import TiltAxis, apply_tilt_axis, estimate_tilt_axis
from .windows import (
    EnergyWindow,
    channels_near,
    crosstalk_matrix,
    element_maps,
    line_windows,
    unmix,
)
from .xray import line_width, mass_absorption, xray_lines

__all__ = [
    "Alignment",
    "Components",
    "Damping",
    "EnergyWindow",
    "MatchedShifts",
    "Mixing",
    "TiltAxis",
    "absorption_factors",
    "alignment_error",
    "apply_shifts",
    "apply_tilt_axis",
    "bin_images",
    "bin_spectra",
    "binarize",
    "center_of_mass",
    "channels_near",
    "correct_damping",
    "crop_flat",
    "crosstalk_matrix",
    "decompose",
    "element_maps",
    "estimate_center_shifts",
    "estimate_damping",
    "estimate_offset",
    "estimate_shifts",
    "estimate_shifts_to",
    "estimate_tilt_axis",
    "line_width",
    "line_windows",
    "map_variance",
    "mass_absorption",
    "mass_inconsistency",
    "measure_mixing",
    "normalize_tilts",
    "particle_masks",
    "refine_alignment",
    "remove_offset",
    "reprojection_residual",
    "slab_mask",
    "smooth",
    "smooth_variance",
    "smoothing_kernel",
    "tilt_response",
    "unmix",
    "xray_lines",
]
