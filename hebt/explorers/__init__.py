"""Interactive figures: live in JupyterLab, self-contained on a page without a kernel.

`FrameExplorer` shows images, numbers and curves that follow sliders; `slices`, `tilts` and `sweep`
take arrays: volumes, tilt series, and what `hebt.sweep` gives. With a kernel they call Python at
every move. With ``HEBT_STATIC=1`` (set while the book is built) they become one piece of HTML
with everything inside.
"""

from .arrays import slices, sweep, tilts
from .base import Explorer
from .controls import Control, Curve, Panel, Readout
from .frames import FrameExplorer
from .turntable import Turntable

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
