"""The explorers of the phantom: weight, iterations and dose."""

import functools

import numpy as np

from hebt import explorers

from ..fidelity import fidelity
from .figures import DENSITY_LIMITS
from .sweep import ALPHAS, ITERATIONS, SIZE, sweeps

ELEMENTS = ("Au", "Ag")
METHODS = {"hebt": "HEBT", "eds": "EDS only"}


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


def _pictures(swept, a, i):
    """Return pictures and errors of both methods at one weight and iteration."""
    result = {}
    for e, element in enumerate(ELEMENTS):
        result |= {
            f"{element}_hebt": swept.hebt[a, i, e],
            f"{element}_eds": swept.eds[i, e],
            f"{element}_hebt_mse": swept.hebt_mse[a, i, e],
            f"{element}_eds_mse": swept.eds_mse[i, e],
        }
    return result


def _panel(name, title, alt, depends=None):
    look = {"limits": DENSITY_LIMITS, "unit": "density, 1 in the phantom", "cmap": "inferno"}
    return explorers.Panel(name, title, alt=alt, depends=depends, **look)


def _mse(panel, depends=None):
    """Return the read-out of a panel's error."""
    return explorers.Readout(f"{panel}_mse", "MSE", format=".4f", panel=panel, depends=depends)


def explore_sweep() -> explorers.FrameExplorer:
    """Return the explorer of the phantom study: weight α, iterations and dose.

    Au and Ag of the phantom, by HEBT and by EDS alone, with their mean-squared errors, and the
    errors against the weight. All reconstructions are one batch, which is computed when it is
    first asked for and then kept on disk.
    """
    alphas, steps, doses = _values()

    def compute(alpha, iterations, dose):
        swept = _sweeps(alphas, steps, doses)[dose]
        i = steps.index(iterations)
        result, lines = _pictures(swept, alphas.index(alpha), i), {}
        for e, element in enumerate(ELEMENTS):
            result[f"{element}_truth"] = swept.truth[e]
            lines[f"{element}, HEBT"] = swept.hebt_mse[:, i, e]
            lines[f"{element}, EDS only"] = np.full(len(alphas), swept.eds_mse[i, e])
        return result | {"by_weight": lines}

    panels, readouts = _sweep_panels()
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
                lines=[f"{element}, {name}" for element in ELEMENTS for name in METHODS.values()],
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
        caption="The phantom by HEBT and by EDS alone, one noise seed, in a frame of "
        f"{SIZE[fidelity()]} pixels along a side; pictures are cut to the particle and binned.",
        filename="phantom",
    )


def _sweep_panels():
    """Return the panels of the sweep, three for each element, and their errors."""
    panels, readouts = [], []
    runs = {
        "hebt": ("by HEBT at weight {alpha}", None),
        "eds": ("from EDS alone", ("iterations", "dose")),
    }
    for e in ELEMENTS:
        panels.append(_panel(f"{e}_truth", f"{e}, phantom", f"The {e} phantom.", depends=()))
        for method, (how, depends) in runs.items():
            name = f"{e}_{method}"
            alt = f"{e} reconstructed {how} after {{iterations}} iterations, dose {{dose}}; "
            alt += f"MSE {{{name}_mse}}."
            panels.append(_panel(name, f"{e}, {METHODS[method]}", alt, depends))
            readouts.append(_mse(name, depends))
    return panels, readouts


def first_look() -> explorers.FrameExplorer:
    """Return a small explorer that shows what HEBT does: dose and iterations, Au and Ag.

    It uses the reconstructions of `explore_sweep` at the paper's weight α = 0.7.
    """
    alphas, steps, doses = _values()

    def compute(iterations, dose):
        swept = _sweeps(alphas, steps, doses)[dose]
        return _pictures(swept, alphas.index(0.7), steps.index(iterations))

    panels = [
        _panel(
            f"{element}_{method}",
            f"{element}, {METHODS[method]}",
            f"{element} by {METHODS[method]} after {{iterations}} iterations at dose {{dose}}; "
            f"MSE {{{element}_{method}_mse}}.",
        )
        for element in ELEMENTS
        for method in ("eds", "hebt")
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
        readouts=[_mse(panel.name) for panel in panels],
        columns=4,
        shared_colorbar=True,
        alt="Simulated gold diamond in a silver square, reconstructed from noisy element maps "
        "alone and by HEBT, after {iterations} iterations at dose {dose}.",
        caption="A simulated Au/Ag particle from 31 noisy element maps alone, and by HEBT, which "
        "adds the Z-contrast images (α = 0.7). Move the sliders.",
        filename="first-look",
    )
