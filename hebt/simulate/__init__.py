"""Specimens, and a microscope that records them."""

from .microscope import (
    CHANNEL,
    CHANNELS,
    SHELLS,
    VOLTAGE,
    bremsstrahlung,
    damp,
    detector_response,
    drift,
    element_maps,
    energies,
    haadf_tilt_series,
    lines_spectrum,
    mean_counts,
    move,
    record_haadf,
    spectrum_image,
)
from .specimens import DENSITY, Specimen, alloy_particle, embedded_octahedron, graded_disc, phantom

__all__ = ['CHANNEL', 'CHANNELS', 'DENSITY', 'SHELLS', 'Specimen', 'VOLTAGE', 'alloy_particle', 'bremsstrahlung', 'damp', 'detector_response', 'drift', 'element_maps', 'embedded_octahedron', 'energies', 'graded_disc', 'haadf_tilt_series', 'lines_spectrum', 'mean_counts', 'move', 'phantom', 'record_haadf', 'spectrum_image']
