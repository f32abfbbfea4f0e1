"""The explorer of the sweep on the non-alloy particle: weight and iterations."""

from hebt import explorers

from ..origins import explained
from ..particles.views import VIEW_LIMIT, from_steps
from .figures import REFERENCE_NAME

LIMITS = (0.0, VIEW_LIMIT)
FROM = 10  # iterations; before, nothing can be told apart


@explained
def explore_slice_sweep(study) -> explorers.FrameExplorer:
    """Move weight and iterations on a slice of the non-alloy particle."""
    steps = tuple(i for i in study.iterations if i >= FROM) or study.iterations
    lines = {}
    for r, name in reversed(REFERENCE_NAME.items()):
        lines |= {f"{e}, {name}": (r, k) for k, e in enumerate(study.elements)}

    def compute(alpha, iterations):
        a, i = study.at(alpha, iterations)
        result = {"by_weight": {line: study.mse[r][:, i, k, 0] for line, (r, k) in lines.items()}}
        for k, e in enumerate(study.elements):
            picture = from_steps(study.pictures[a, i, k])
            true = from_steps(study.reference_pictures["true"][k])
            result |= {
                e: picture,
                f"{e}_difference": picture - true,
                f"{e}_mse": study.mse["true"][a, i, k, 0],
                f"{e}_eds_mse": study.eds_mse["true"][i, k, 0],
            }
        return result

    panels, readouts = _slice_panels(study)
    curve = explorers.Curve(
        "by_weight",
        "Error against the weight",
        "alpha",
        list(lines),
        "MSE, mean over pixels",
        log="y",
        alt="Mean-squared error of Au and Ag against the weight after {iterations} iterations, "
        "against the true specimen and against the segmented HAADF reconstruction.",
    )
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("alpha", "Weight α of HAADF", study.alphas, study.usual, format="g"),
            explorers.Control("iterations", "Iterations", steps, study.usual_iterations),
        ],
        panels,
        readouts=readouts,
        curves=[curve],
        columns=4,
        alt="Au and Ag at weight {alpha} after {iterations} iterations, and what they differ from "
        "the true specimen by.",
        caption=f"Slice {study.slice} of the non-alloy particle, one noise seed; pictures are cut "
        f"to the particle and binned {study.binning} × {study.binning}.",
        filename="slice-sweep",
    )


def _slice_panels(study):
    """Return two panels for each element, and the errors."""
    panels, readouts = [], []
    for e in study.elements:
        difference = f"{e}_difference"
        at = f"{e} at weight {{alpha}} after {{iterations}} iterations"
        look = {"unit": "density, bulk: 1", "cmap": "inferno", "alt": f"{at}; MSE {{{e}_mse}}."}
        panels.append(explorers.Panel(e, f"{e}, HEBT", LIMITS, **look))
        alt = f"{at} less the true specimen: red where there is too much, blue where too little."
        look = {"unit": "density", "cmap": "RdBu_r", "alt": alt}
        panels.append(explorers.Panel(difference, f"{e}, less the truth", (-1.0, 1.0), **look))
        readouts.append(explorers.Readout(f"{e}_mse", "MSE", "", ".4f", e))
        look = {"format": ".4f", "panel": difference, "depends": ("iterations",)}
        readouts.append(explorers.Readout(f"{e}_eds_mse", "MSE of EDS only", **look))
    return panels, readouts
