"""The sliders of the laboratory, the same on a page and with a kernel."""

from hebt.explorers import Control

_WEIGHTS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_ERRORS = (-60, -40, -20, -10, 0, 10, 20, 40, 60)
KERNELS = (0, 0.5, 1, 1.5, 2, 3, 4, 6)
# every preset's values are among these
CONTROLS = (
    Control("counts", "Counts a pixel", (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256), format="g"),
    Control("tilt", "Largest tilt", tuple(range(20, 91, 5)), unit="°"),
    Control("step", "Tilt step", (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25), unit="°"),
    Control("smoothing", "Smoothing σ", (0, 0.5, 1, 1.5, 2, 3), unit="px", format="g"),
    Control("shift", "Shift of maps", tuple(range(-4, 5)), unit="px"),
    Control("seed", "Noise seed", tuple(range(10))),
    Control("alpha", "Weight α", _WEIGHTS, format="g"),
    Control("kernel", "Kernel σ (EM)", KERNELS, unit="px", format="g"),
    Control("iterations", "Iterations", (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500)),
    Control("error_Au", "Error of r, Au", _ERRORS, unit="%"),
    Control("error_Ag", "Error of r, Ag", _ERRORS, unit="%"),
)
