"""The explorer of methods, doses and kernels."""

from hebt import explorers

from ..fidelity import fidelity
from ..origins import explained
from ..phantom.explorers import dose_label
from ..store import remembered
from .figures import LIMITS
from .frames import DOSES, KERNELS, METHODS, SIZE, frames
from .runs import NAMES

BEST = {"eds": "EDS only, best stop", "hebt": "HEBT, best stop"}
# composition EM with three kernels, relative to the stated one; others have none
WIDTHS = {", kernel half as wide": KERNELS[0], "": KERNELS[1], ", kernel twice as wide": KERNELS[2]}
LABELS = {
    BEST.get(name, NAMES[name]) + text: (name, width)
    for name in METHODS
    for text, width in (WIDTHS if name == "em" else {"": None}).items()
}
ELEMENTS = ("Au", "Ag")

# kept in memory too, so that a slider answers at once
_frames = remembered(frames)


@explained
def explore_methods() -> explorers.FrameExplorer:
    """Return the explorer of methods, kernels and doses: truth, reconstruction and error."""

    def compute(method, dose):
        found, (name, width) = _frames(), LABELS[method]
        key = name, dose, width
        result = {}
        for e, element in enumerate(ELEMENTS):
            picture = found.pictures[key][e]
            result |= {
                f"{element}_truth": found.truth[e],
                f"{element}_x": picture,
                f"{element}_error": picture - found.truth[e],
                f"{element}_mse": float(found.errors[key][e]),
            }
        return result

    panels, readouts = [], []
    for element in ELEMENTS:
        panels += _panels(element)
        readouts.append(
            explorers.Readout(f"{element}_mse", "MSE", format=".4f", panel=f"{element}_x")
        )
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("method", "Method", tuple(LABELS), NAMES["em"]),
            explorers.Control("dose", dose_label(), DOSES, 1.0, format="g"),
        ],
        panels,
        readouts=readouts,
        columns=3,
        alt="Au and Ag of the phantom by the method {method} at dose {dose}: the truth, the "
        "reconstruction, and their difference.",
        caption=f"The phantom in a frame of {SIZE[fidelity()]} pixels, one noise seed, cut to "
        "the particle. The kernel of composition EM grows as the dose falls.",
        filename="methods",
    )


def _panels(element):
    """Return three panels of an element."""
    density = {"limits": LIMITS, "unit": "density", "cmap": "inferno"}
    reach = 0.5
    difference = {"limits": (-reach, reach), "unit": "difference", "cmap": "RdBu_r"}
    how = "by {method} at dose {dose}"
    return [
        explorers.Panel(
            f"{element}_truth", f"{element}, truth", alt=f"{element}.", depends=(), **density
        ),
        explorers.Panel(
            f"{element}_x",
            f"{element}, reconstruction",
            alt=f"{element} {how}; MSE {{{element}_mse}}.",
            **density,
        ),
        explorers.Panel(
            f"{element}_error",
            f"{element}, error",
            alt=f"Reconstruction less truth of {element} {how}.",
            **difference,
        ),
    ]
