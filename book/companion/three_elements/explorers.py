"""The explorer of methods and slices."""

import numpy as np

from hebt import explorers

from ..judging import EDS, relative
from ..origins import explained
from .figures import limits_of
from .judgement import HARD, PICTURED, Judgement, Volumes

_REACH = 0.2  # of HAADF's brightest voxels: what a sum may differ by on the color scale


@explained
def explore_methods(volumes: Volumes, judgement: Judgement) -> explorers.FrameExplorer:
    """Page through slices and methods; the findings of what was held out stand beside them."""
    slices = list(range(1, len(volumes.haadf) + 1))
    found = {
        kind: relative(judged)[0]
        for kind, judged in (("tilts", judgement.tilts), ("counts", judgement.counts))
    }

    def compute(method, slice):
        x, alone = volumes.x[method][:, slice - 1], volumes.haadf[slice - 1]
        apart = x.sum(axis=0) - alone
        result = {"haadf": alone, "apart": apart}
        result["misfit"] = 100 * float(np.linalg.norm(apart) / np.linalg.norm(alone))
        for e, element in enumerate(volumes.elements):
            result[element] = x[e]
            for kind, percent in found.items():
                place = judgement.tilts.contenders.index(method)
                result[f"{element}_{kind}"] = float(percent[place, e])
        return result

    panels, readouts = _panels(volumes)
    said = "; ".join(
        f"{e} {{{e}_tilts}} % by tilts and {{{e}_counts}} % by counts" for e in volumes.elements
    )
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("method", "Method", PICTURED, HARD),
            explorers.Control("slice", "Slice", slices, slices[len(slices) // 2]),
        ],
        panels,
        readouts=readouts,
        columns=3,
        alt="Slice {slice} by {method}: each element, HAADF reconstructed alone, and the elements' "
        "sum less that, which is {misfit} % of HAADF. χ² of what was held out, less that of "
        f"{EDS}: {said}.",
        caption=f"Below each element: χ² of tilts and counts that were held out, less that of {EDS}"
        ", in percent of it; lower is better. HAADF intensity per voxel; an element has one color "
        "scale for all methods.",
        filename="three-elements",
    )


def _panels(volumes):
    """Return the panels, and the numbers below them."""
    high = float(np.percentile(volumes.haadf, 99.9))
    unit = "intensity"
    panels, readouts = [], []
    for e, element in enumerate(volumes.elements):
        said = f"held-out tilts {{{element}_tilts}} %, held-out counts {{{element}_counts}} %"
        alt = f"{element} in slice {{slice}} by {{method}}; {said}."
        look = {"unit": unit, "cmap": "inferno", "alt": alt}
        panels.append(explorers.Panel(element, element, limits_of(volumes, e), **look))
        for kind in ("tilts", "counts"):
            look = {"unit": "%", "format": "+.1f", "panel": element, "depends": ("method",)}
            readouts.append(explorers.Readout(f"{element}_{kind}", f"χ², held-out {kind}", **look))
    look = {"depends": ("slice",), "alt": "HAADF alone in slice {slice}."}
    panels.append(explorers.Panel("haadf", "HAADF alone", (0, high), unit, "gray", **look))
    alt = "The elements' sum by {method} less HAADF alone in slice {slice}: {misfit} % of it."
    reach = _REACH * high
    panels.append(
        explorers.Panel("apart", "sum less HAADF", (-reach, reach), unit, "RdBu_r", alt=alt)
    )
    readouts.append(
        explorers.Readout("misfit", "root mean square, of HAADF's", "%", ".1f", "apart")
    )
    return panels, readouts
