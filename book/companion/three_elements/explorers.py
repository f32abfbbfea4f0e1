"""The explorer of methods and planes."""

import numpy as np

from hebt import explorers

from ..judging import EDS, relative
from ..origins import explained
from ..planes import WHERE, Planes, apart_percent
from .figures import limits_of
from .judgement import HARD, PICTURED, Judgement, Volumes

UNIT = "HAADF intensity per voxel"
POSITIONS = 10  # of each plane, at most
# what an element and a sum may differ by on the color scale, of the brightest voxels
_APART = 0.5
_REACH = 0.2


@explained
def explore_methods(volumes: Volumes, judgement: Judgement) -> explorers.FrameExplorer:
    """Page through three planes: each element by each method, and what it differs from others by.

    There is no truth: an element is compared with EDS alone, the elements' sum with HAADF.
    """
    planes = Planes(volumes.haadf.shape, POSITIONS)
    judged = {"tilts": judgement.tilts, "counts": judgement.counts}
    held_out = {kind: relative(found)[0] for kind, found in judged.items()}
    tops = [limits_of(volumes, e)[1] for e in range(len(volumes.elements))]

    def compute(element, method, plane, number):
        at, e = planes.place(plane, number), volumes.elements.index(element)
        haadf, eds, x = volumes.haadf[at], volumes.x[EDS][e][at], volumes.x[method][e][at]
        total = sum(volume[at] for volume in volumes.x[method])
        pictures = {
            "eds": eds / tops[e],
            "x": x / tops[e],
            "apart": (x - eds) / tops[e],
            "haadf": haadf,
            "total": total,
            "misfit": total - haadf,
        }
        result = {name: planes.picture(image) for name, image in pictures.items()}
        result |= {
            "moved": apart_percent(x, eds),
            "misfit_rms": apart_percent(total, haadf),
            "offset": planes.offset(plane, number),
            "top": tops[e],
        }
        for kind, percent in held_out.items():
            row = judged[kind].contenders.index(method)
            result[kind] = float(percent[row, judged[kind].elements.index(element)])
        return result

    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("element", "Element", volumes.elements, volumes.elements[-1]),
            explorers.Control("method", "Method", PICTURED, HARD),
            *planes.controls(),
        ],
        _panels(float(np.percentile(volumes.haadf, 99.9))),
        readouts=_readouts(),
        columns=3,
        alt="{element}, plane {number} {plane}, {offset} voxels from the middle: "
        f"{EDS}, {{method}}, and what they differ by, {{moved}} % of {EDS}; below, HAADF alone, "
        "the sum of all elements by {method}, and what they differ by, {misfit_rms} % of HAADF. "
        f"χ² of what was held out, against {EDS}: {{tilts}} % by tilts and {{counts}} % by counts.",
        caption="Three planes through all slices; there is no truth to compare with. Top: an "
        "element, on one color scale for all methods. Bottom: where the elements do not add up to "
        f"HAADF. Below each difference: its root mean square, in % of that of {EDS} or of HAADF. "
        f"Below the method: χ² of tilts and counts that were held out, less that of {EDS}, in % of "
        "it; lower is better.",
        filename="three-elements",
    )


def _panels(high):
    """Return an element by EDS alone and by the method above, HAADF and the elements' sum below."""
    here = "in plane {number} {plane}"
    by = f"{{element}} by {{method}} {here}"
    element = {"limits": (0.0, 1.0), "unit": "of the brightest", "cmap": "inferno"}
    whole = {"limits": (0.0, high), "unit": "intensity", "cmap": "gray"}
    apart = {"cmap": "RdBu_r"}
    reach = _REACH * high
    return [
        explorers.Panel(
            "eds", EDS, **element, depends=("element", *WHERE), alt=f"{{element}}, {EDS}, {here}."
        ),
        explorers.Panel(
            "x", "The method", **element, alt=f"{by}; against {EDS} {{tilts}} % and {{counts}} %."
        ),
        explorers.Panel(
            "apart",
            f"The method less {EDS}",
            (-_APART, _APART),
            "of the brightest",
            alt=f"{by} less {EDS}: {{moved}} % of it.",
            **apart,
        ),
        explorers.Panel("haadf", "HAADF alone", **whole, depends=WHERE, alt=f"HAADF {here}."),
        explorers.Panel(
            "total",
            "Sum of the elements",
            **whole,
            depends=("method", *WHERE),
            alt=f"The sum of the elements by {{method}} {here}.",
        ),
        explorers.Panel(
            "misfit",
            "Sum less HAADF",
            (-reach, reach),
            "intensity",
            depends=("method", *WHERE),
            alt=f"The elements' sum by {{method}} less HAADF {here}: {{misfit_rms}} % of it.",
            **apart,
        ),
    ]


def _readouts():
    """Return the numbers below the pictures, and where the plane lies."""
    by_method = {"depends": ("element", "method")}
    return [
        *(
            explorers.Readout(kind, f"χ², held-out {kind}", "%", "+.1f", "x", **by_method)
            for kind in ("tilts", "counts")
        ),
        explorers.Readout("moved", "root mean square", "%", ".0f", "apart"),
        explorers.Readout(
            "misfit_rms", "root mean square", "%", ".1f", "misfit", depends=("method", *WHERE)
        ),
        explorers.Readout("offset", "From the middle", "voxels", ".1f", depends=WHERE),
        explorers.Readout("top", "1 on the color scale", UNIT, ",.0f", depends=("element",)),
    ]
