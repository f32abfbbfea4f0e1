"""The explorers of the phantom: weight, iterations and dose."""

import functools

import numpy as np

from hebt import explorers

from ..fidelity import fidelity
from .sweep import ALPHAS, ITERATIONS, sweeps

LIMITS = (0.0, 1.3)
UNIT = "density, 1 in the phantom"


def _values():
    """Weights, iterations and doses of the sliders, for the fidelity at hand."""
    if fidelity() == "quick":
        return (0.1, 0.7, 0.95), (5, 50, 200), (1.0, 4.0)
    return ALPHAS, ITERATIONS, (0.25, 1.0, 4.0, 16.0)


@functools.lru_cache(maxsize=4)
def _sweeps(alphas, iterations, doses):
    # kept in memory too, so that a slider answers at once
    swept = sweeps(doses, alphas=alphas, iterations=iterations)
    return dict(zip(doses, swept, strict=True))


def explore_sweep() -> explorers.FrameExplorer:
    """Return the explorer of the phantom study: weight α, iterations and dose.

    Au and Ag of the phantom, by HEBT and by EDS alone, with their mean-squared errors, and the
    errors against the weight. All reconstructions are one batch, which is computed when it is
    first asked for and then kept on disk.
    """
    alphas, steps, doses = _values()
    elements = ("Au", "Ag")

    def compute(alpha, iterations, dose):
        swept = _sweeps(alphas, steps, doses)[dose]
        a, i = alphas.index(alpha), steps.index(iterations)
        result = {
            "by_weight": {
                f"{element}, {method}": values
                for e, element in enumerate(elements)
                for method, values in (
                    ("HEBT", swept.hebt_mse[:, i, e]),
                    ("EDS only", np.full(len(alphas), swept.eds_mse[i, e])),
                )
            }
        }
        for e, element in enumerate(elements):
            result |= {
                f"{element}_truth": swept.truth[e],
                f"{element}_hebt": swept.hebt[a, i, e],
                f"{element}_eds": swept.eds[i, e],
                f"{element}_hebt_mse": swept.hebt_mse[a, i, e],
                f"{element}_eds_mse": swept.eds_mse[i, e],
            }
        return result

    panels, readouts = _sweep_panels(elements)
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("alpha", "Weight α of HAADF", alphas, default=0.7, format="g"),
            explorers.Control("iterations", "Iterations", steps, default=200),
            explorers.Control("dose", "Dose (1: printed ζ)", doses, default=1.0, format="g"),
        ],
        panels,
        readouts=readouts,
        curves=[
            explorers.Curve(
                "by_weight",
                "Error against the weight",
                along="alpha",
                lines=("Au, HEBT", "Au, EDS only", "Ag, HEBT", "Ag, EDS only"),
                ylabel="MSE, mean over pixels",
                alt="Mean-squared error of Au and Ag against the weight, after {iterations} "
                "iterations at dose {dose}; at weight {alpha} HEBT has {Au_hebt_mse} for Au and "
                "{Ag_hebt_mse} for Ag, EDS alone {Au_eds_mse} and {Ag_eds_mse}.",
            )
        ],
        columns=3,
        shared_colorbar=True,
        alt="Au (above) and Ag (below) of the phantom: the truth, HEBT at weight {alpha}, and EDS "
        "alone, after {iterations} iterations at dose {dose}.",
        caption="The phantom by HEBT and by EDS alone, one noise seed; pictures are cut to the "
        "particle and binned.",
        filename="phantom",
    )


def _sweep_panels(elements):
    """Return the panels of the sweep, three for each element, and their errors."""
    panels, readouts = [], []
    for element in elements:
        look = {"limits": LIMITS, "unit": UNIT, "cmap": "inferno"}
        panels += [
            explorers.Panel(
                f"{element}_truth",
                f"{element}, phantom",
                depends=(),
                alt=f"The {element} phantom.",
                **look,
            ),
            explorers.Panel(
                f"{element}_hebt",
                f"{element}, HEBT",
                alt=f"{element} reconstructed by HEBT at weight {{alpha}} after {{iterations}} "
                f"iterations, dose {{dose}}; MSE {{{element}_hebt_mse}}.",
                **look,
            ),
            explorers.Panel(
                f"{element}_eds",
                f"{element}, EDS only",
                depends=("iterations", "dose"),
                alt=f"{element} reconstructed from EDS alone after {{iterations}} iterations, "
                f"dose {{dose}}; MSE {{{element}_eds_mse}}.",
                **look,
            ),
        ]
        readouts += [
            explorers.Readout(f"{element}_hebt_mse", "MSE", format=".4f", panel=f"{element}_hebt"),
            explorers.Readout(
                f"{element}_eds_mse",
                "MSE",
                format=".4f",
                panel=f"{element}_eds",
                depends=("iterations", "dose"),
            ),
        ]
    return panels, readouts


def first_look() -> explorers.FrameExplorer:
    """Return a small explorer that shows what HEBT does: dose and iterations, Au and Ag.

    It uses the reconstructions of `sweep` at the paper's weight α = 0.7.
    """
    alphas, steps, doses = _values()
    at = alphas.index(0.7)

    def compute(iterations, dose):
        swept = _sweeps(alphas, steps, doses)[dose]
        i = steps.index(iterations)
        result = {}
        for e, element in enumerate(("Au", "Ag")):
            result |= {
                f"{element}_eds": swept.eds[i, e],
                f"{element}_hebt": swept.hebt[at, i, e],
                f"{element}_eds_mse": swept.eds_mse[i, e],
                f"{element}_hebt_mse": swept.hebt_mse[at, i, e],
            }
        return result

    methods = (("eds", "EDS only"), ("hebt", "HEBT"))
    panels = [
        explorers.Panel(
            f"{element}_{method}",
            f"{element}, {name}",
            limits=LIMITS,
            unit=UNIT,
            cmap="inferno",
            alt=f"{element} by {name} after {{iterations}} iterations at dose {{dose}}; "
            f"MSE {{{element}_{method}_mse}}.",
        )
        for element in ("Au", "Ag")
        for method, name in methods
    ]
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control(
                "dose", "X-ray dose (1: as in the paper)", doses, default=1.0, format="g"
            ),
            explorers.Control("iterations", "Iterations", steps, default=200),
        ],
        panels,
        readouts=[
            explorers.Readout(
                f"{element}_{method}_mse", "MSE", format=".4f", panel=f"{element}_{method}"
            )
            for element in ("Au", "Ag")
            for method, _ in methods
        ],
        columns=4,
        shared_colorbar=True,
        alt="Simulated gold diamond in a silver square, reconstructed from noisy element maps "
        "alone and by HEBT, after {iterations} iterations at dose {dose}.",
        caption="A simulated Au/Ag particle from 31 noisy element maps alone, and by HEBT, which "
        "adds the Z-contrast images (α = 0.7). Move the sliders.",
        filename="first-look",
    )
