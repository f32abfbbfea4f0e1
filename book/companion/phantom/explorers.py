"""The explorers of the phantom: weight, iterations and dose."""

import numpy as np

from hebt import explorers

from ..fidelity import fidelity
from ..origins import explained
from ..store import remembered
from .counts import counts_on_paper_pixel
from .figures import DENSITY_LIMITS
from .sweep import ALPHAS, ITERATIONS, SIZE, sweeps

ELEMENTS = ("Au", "Ag")
METHODS = {"hebt": "HEBT", "eds": "EDS only"}


def _values():
    """Weights, iterations and doses of the sliders, for the fidelity at hand."""
    if fidelity() == "quick":
        return (0.1, 0.7, 0.95), (5, 50, 200), (1.0, 4.0)
    return ALPHAS, ITERATIONS, (0.25, 1.0, 4.0, 16.0)


@remembered
def _sweeps(alphas, iterations, doses):
    # kept in memory too, so that a slider answers at once
    swept = sweeps(doses, alphas=alphas, iterations=iterations)
    return dict(zip(doses, swept, strict=True))


def dose_label() -> str:
    """Return what a slider of the dose is called, with the counts that it stands for."""
    return f"X-ray dose (1: the paper's, {counts_on_paper_pixel():.2g} counts a pixel)"


def _pictures(swept, a, i):
    """Return pictures and errors of both methods at one weight and iteration."""
    result = {}
    hebt, eds = (swept.hebt[a, i], swept.hebt_mse[a, i]), (swept.eds[i], swept.eds_mse[i])
    for method, (images, errors) in {"hebt": hebt, "eds": eds}.items():
        for element, image, error in zip(ELEMENTS, images, errors, strict=True):
            result |= {f"{element}_{method}": image, f"{element}_{method}_mse": error}
    return result


def _panel(name, title, alt, depends):
    look = {"limits": DENSITY_LIMITS, "unit": "density, 1 in the phantom", "cmap": "inferno"}
    return explorers.Panel(name, title, alt=alt, depends=depends, **look)


def _reconstruction(element, method, how):
    """Return the panel of a reconstruction, and the read-out of its error."""
    name, title = f"{element}_{method}", f"{element}, {METHODS[method]}"
    alt = f"{element} {how} after {{iterations}} iterations at dose {{dose}}; MSE {{{name}_mse}}."
    depends = None if method == "hebt" else ("iterations", "dose")
    error = explorers.Readout(f"{name}_mse", "MSE", format=".4f", panel=name, depends=depends)
    return _panel(name, title, alt, depends), error


@explained
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

    panels, readouts = [], []
    for e in ELEMENTS:
        panels.append(_panel(f"{e}_truth", f"{e}, phantom", f"The {e} phantom.", ()))
        for method, how in (("hebt", "by HEBT at weight {alpha}"), ("eds", "from EDS alone")):
            image, error = _reconstruction(e, method, how)
            panels.append(image)
            readouts.append(error)
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("alpha", "Weight α of HAADF", alphas, default=0.7, format="g"),
            explorers.Control("iterations", "Iterations", steps, default=200),
            explorers.Control("dose", dose_label(), doses, default=1.0, format="g"),
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


BEST = 0  # of the slider of the first look: each method stops where its error is least


def _first_sweep(dose):
    """Return errors and pictures of both methods at the paper's weight, by the dose."""
    alphas, steps, doses = _values()
    swept, a = _sweeps(alphas, steps, doses)[dose], alphas.index(0.7)
    errors = {"hebt": swept.hebt_mse[a], "eds": swept.eds_mse}
    return swept, errors, {"hebt": swept.hebt[a], "eds": swept.eds}


def first_numbers() -> dict[str, str]:
    """Return what the first page says of the fair comparison that it opens on."""
    _, errors, _ = _first_sweep(1.0)
    gains = [errors["eds"][:, e].min() / errors["hebt"][:, e].min() for e in range(len(ELEMENTS))]
    each = " and ".join(f"{g:.1f} times ({e})" for e, g in zip(ELEMENTS, gains, strict=True))
    whose = f"the mean-squared error of EDS alone is {each} that of HEBT"
    if min(gains) <= 1 < max(gains):
        whose += ", so that the better method depends on the element"
    steps = _values()[1]
    late = [errors[m][-1].mean() for m in ("eds", "hebt")]
    return {
        "first_gain": whose,
        "first_late": f"{late[0] / late[1]:.1f}",
        "first_last": f"{steps[-1]}",
    }


def first_pictures() -> dict[str, np.ndarray]:
    """Return Au and Ag by each method, (elements, n, n), where its own error is least."""
    _, errors, images = _first_sweep(1.0)
    elements = range(len(ELEMENTS))
    return {
        m: np.stack([images[m][errors[m][:, e].argmin(), e] for e in elements]) for m in METHODS
    }


@explained
def first_look() -> explorers.FrameExplorer:
    """Return a small explorer that shows what HEBT does: dose and stop, Au and Ag.

    It opens on a fair comparison, in which each method stops where its own error is least, and uses
    the reconstructions of `explore_sweep` at the paper's weight α = 0.7.
    """
    steps, doses = _values()[1:]

    def compute(stop, dose):
        swept, errors, images = _first_sweep(dose)
        shown = {}
        for e, element in enumerate(ELEMENTS):
            shown[f"{element}_truth"] = swept.truth[e]
            for method in METHODS:
                own, name = errors[method][:, e], f"{element}_{method}"
                at = int(own.argmin()) if stop == BEST else steps.index(stop)
                shown |= {name: images[method][at, e], f"{name}_mse": own[at]}
                shown[f"{name}_after"] = steps[at]
        return shown

    panels, readouts = [], []
    for e in ELEMENTS:
        panels.append(_panel(f"{e}_truth", f"{e}, the truth", f"The true {e}.", ()))
        for method, how in (("eds", "from EDS alone"), ("hebt", "by HEBT")):
            name = f"{e}_{method}"
            alt = f"{e} {how}, stopped {{stop}}, at dose {{dose}}; MSE {{{name}_mse}}."
            panels.append(_panel(name, f"{e}, {METHODS[method]}", alt, None))
            readouts += [
                explorers.Readout(f"{name}_mse", "MSE", format=".4f", panel=name),
                explorers.Readout(f"{name}_after", "iterations", format=".0f", panel=name),
            ]
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control(
                "stop",
                "Stop",
                (BEST, *steps),
                default=BEST,
                format=lambda n: "each at its best" if n == BEST else f"after {n}",
            ),
            explorers.Control("dose", dose_label(), doses, default=1.0, format="g"),
        ],
        panels,
        readouts=readouts,
        columns=3,
        shared_colorbar=True,
        alt="Simulated gold diamond in a silver square: the truth, the reconstruction from noisy "
        "element maps alone, and the one by HEBT; stopped {stop}, at dose {dose}.",
        caption="A simulated Au/Ag particle: the truth, from 31 noisy element maps alone, and by "
        "HEBT, which adds the Z-contrast images (α = 0.7). Each method stops where its own error "
        "is least; move the slider to stop both alike.",
        filename="first-look",
    )
