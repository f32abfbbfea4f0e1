"""Files in and out: tilt series from the microscope, volumes for others, HyperSpy signals."""

from .pictures import plot_lines
from .reading import read
from .series import TiltSeries
from .signals import Calibrated, from_signal, spectra_to_signal, to_signal
from .tilt_series import read_tilt_series, read_tomviz_shifts
from .volumes import load, save

__all__ = [
    "Calibrated",
    "TiltSeries",
    "from_signal",
    "load",
    "plot_lines",
    "read",
    "read_tilt_series",
    "read_tomviz_shifts",
    "save",
    "spectra_to_signal",
    "to_signal",
]
