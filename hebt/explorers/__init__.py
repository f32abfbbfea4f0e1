"""Interactive figures: live in JupyterLab, self-contained on a page without a kernel.

`FrameExplorer` shows images, numbers and curves that follow sliders; `slices`, `tilts` and `sweep`
take arrays: volumes, tilt series, and what `hebt.sweep` gives. `laboratory` reconstructs what the
reader draws. With a kernel they call Python at every move. With ``HEBT_STATIC=1`` (set while the
book is built) they become one piece of HTML with everything inside.
"""

from hebt.explorers.arrays import sweep, tilts
from hebt.explorers.base import Explorer
from hebt.explorers.frames import Control, Curve, FrameExplorer, Panel, Readout, slices
from hebt.explorers._laboratory import Laboratory, laboratory
from hebt.explorers.phantom import first_look, phantom_sweep
from hebt.explorers.turntable import Turntable

__all__ = [
    "Control",
    "Curve",
    "Explorer",
    "FrameExplorer",
    "Laboratory",
    "Panel",
    "Readout",
    "Turntable",
    "first_look",
    "laboratory",
    "phantom_sweep",
    "slices",
    "sweep",
    "tilts",
]
