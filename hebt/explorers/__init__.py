"""Interactive figures: live in JupyterLab, self-contained on a page without a kernel.

`FrameExplorer` shows images, numbers and curves that follow sliders; `slices`, `tilts` and `sweep`
take arrays: volumes, tilt series, and what `hebt.sweep` gives. With a kernel they call Python at
every move. With ``HEBT_STATIC=1`` (set while the book is built) they become one piece of HTML
with everything inside. They need ``pip install "hebt[explorers]"``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arrays import slices, sweep, tilts
    from .base import Explorer
    from .controls import Control, Curve, Panel, Readout
    from .frames import FrameExplorer
    from .turntable import Turntable

# loaded on first use: importing this package needs none of what draws
_HOMES = {
    "Control": "controls",
    "Curve": "controls",
    "Explorer": "base",
    "FrameExplorer": "frames",
    "Panel": "controls",
    "Readout": "controls",
    "Turntable": "turntable",
    "slices": "arrays",
    "sweep": "arrays",
    "tilts": "arrays",
}
__all__ = [
    "Control",
    "Curve",
    "Explorer",
    "FrameExplorer",
    "Panel",
    "Readout",
    "Turntable",
    "slices",
    "sweep",
    "tilts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("hebt"):
            raise
        raise ImportError(
            f"explorers need {error.name}, which is not installed; "
            'run pip install "hebt[explorers]".'
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
