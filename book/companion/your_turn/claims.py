"""The numbers in the sentences of the chapter."""

from __future__ import annotations

import numpy as np

from hebt import Result

from .mistakes import DAMPED, Mistakes
from .recording import RANGES, STEPS, Recording


def numbers(result: Result, wrong: Mistakes, recording: Recording) -> dict[str, str]:
    """Return what the sentences quote, ready for `glue`."""
    low, high = (sum(recording.errors[r, STEPS[1]].mean(axis=1)) for r in (RANGES[0], RANGES[-1]))
    coarse, fine = (sum(recording.errors[RANGES[1], s].mean(axis=1)) for s in (STEPS[0], STEPS[-1]))
    n = {
        "voxel": f"{result.pixel_size:.0f} nm",
        "method": result.method,
        "narrow": f"±{RANGES[0]}°",
        "wide": f"±{RANGES[-1]}°",
        "range_gain": f"{low / high:.1f}",
        "middle": f"±{RANGES[1]}°",
        "coarse": f"{STEPS[0]:g}°",
        "fine": f"{STEPS[-1]:g}°",
        "step_gain": f"{coarse / fine:.1f}",
        "silent": _silent(wrong),
        "damped": _damped(wrong),
        "count": len(wrong.each),
    }
    return {f"turn_{name}": str(text) for name, text in n.items()}


def _damped(wrong: Mistakes) -> str:
    """Return the errors where HAADF is not linear, beside those where it is."""
    (one,) = (one for one in wrong.each if one.name == DAMPED)
    right = wrong.right.errors
    return " and ".join(f"{v:.2f} for {e} ({right[e]:.2f})" for e, v in one.wrong.errors.items())


def _silent(wrong: Mistakes) -> str:
    """Return how many mistakes hebt does not warn of while ratios are fitted."""
    return str(int(np.sum([not one.wrong.warned for one in wrong.each])))
