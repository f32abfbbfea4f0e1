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
    from .arrays import slices as slices
    from .arrays import sweep as sweep
    from .arrays import tilts as tilts
    from .base import Explorer as Explorer
    from .controls import Control as Control
    from .controls import Curve as Curve
    from .controls import Panel as Panel
    from .controls import Readout as Readout
    from .frames import FrameExplorer as FrameExplorer
    from .turntable import Turntable as Turntable

# loaded on first use: importing this package needs none of what draws
_HOMES = {
    "arrays": ("slices", "sweep", "tilts"),
    "base": ("Explorer",),
    "controls": ("Control", "Curve", "Panel", "Readout"),
    "frames": ("FrameExplorer",),
    "turntable": ("Turntable",),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{home}")
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
