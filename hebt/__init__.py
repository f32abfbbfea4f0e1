"""HAADF-EDS bimodal tomography (HEBT).

One reconstruction that uses low-noise Z-contrast images (HAADF-STEM) and noisy element maps
(EDS-STEM) together, after Zhong, Goris, Schoenmakers, Bals and Batenburg.

>>> import hebt
>>> W = hebt.Projector(angles, size)                          # doctest: +SKIP
>>> fit = hebt.response_ratios(haadf, maps)                   # doctest: +SKIP
>>> x = hebt.reconstruct(W, haadf, maps, fit.ratios)          # doctest: +SKIP
"""

import importlib

# Everything below loads on first use, so that `import hebt` stays instant.
_WHERE = {
    "Projector": "projector",
    "response_ratios": "ratios",
    "ResponseRatios": "ratios",
    "sirt": "reconstruct",
    "reconstruct": "reconstruct",
    "sweep": "reconstruct",
    "density": "composition",
    "composition": "composition",
    "fidelity": "settings",
}
_MODULES = (
    "metrics",
    "specimens",
    "microscope",
    "preprocess",
    "io",
    "studies",
    "figures",
    "explorers",
)

__version__ = "0.1.0"
__all__ = [*_WHERE, *_MODULES, "__version__"]


def __getattr__(name):
    if name in _WHERE:
        value = getattr(importlib.import_module(f"hebt.{_WHERE[name]}"), name)
        # A module and its function share a name ("reconstruct", "composition"): the function is
        # what callers mean, and importing the module has just bound the module here.
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"hebt.{name}")
    raise AttributeError(f"module 'hebt' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
