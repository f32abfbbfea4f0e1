"""HAADF-EDS bimodal tomography (HEBT).

One reconstruction that uses low-noise Z-contrast images (HAADF-STEM) and noisy element maps
(EDS-STEM) together, after Zhong, Goris, Schoenmakers, Bals and Batenburg.

>>> import hebt
>>> W = hebt.Projector(angles, size)                          # doctest: +SKIP
>>> fit = hebt.response_ratios(haadf, maps)                   # doctest: +SKIP
>>> x = hebt.reconstruct(W, haadf, maps, fit.ratios)          # doctest: +SKIP
"""

import importlib

from ._composition_em import CompositionEM
from ._counts import split_counts
from ._fused import Fused
from ._guided_tv import GuidedTV
from ._solve import Interrupted
from ._store import open_result
from .choose import Choice, choose
from .composition import composition, composition_error, density
from .projector import Projector, common_tilts
from .ratios import ResponseRatios, response_ratios
from .reconstruct import reconstruct, sirt, sweep
from .result import Result
from .stopping import (
    Discrepancy,
    History,
    RelativeChange,
    Residuals,
    Snapshots,
    fitted_noise,
    poisson_noise,
)
from .uncertainty import noise_deviation

# These load on first use, so that `import hebt` stays instant.
_MODULES = ("explorers", "io", "metrics", "prepare", "segmentation", "simulate", "validation")

__version__ = "0.1.0"
__all__ = [
    "Choice",
    "CompositionEM",
    "Discrepancy",
    "Fused",
    "GuidedTV",
    "History",
    "Interrupted",
    "Projector",
    "RelativeChange",
    "Residuals",
    "ResponseRatios",
    "Result",
    "Snapshots",
    "choose",
    "common_tilts",
    "composition",
    "composition_error",
    "density",
    "fitted_noise",
    "noise_deviation",
    "open_result",
    "poisson_noise",
    "reconstruct",
    "response_ratios",
    "sirt",
    "split_counts",
    "sweep",
    *_MODULES,
]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"hebt.{name}")
    raise AttributeError(f"module 'hebt' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])
