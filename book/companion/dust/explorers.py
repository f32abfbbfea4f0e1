"""Explorers of the chapter on a measured series."""

import numpy as np

from hebt import explorers

from ..judging import EDS, relative
from ..origins import explained
from ..planes import WHERE, Planes, apart_percent
from .judgement import FREE, STRONG, judge

UNIT = "HAADF intensity per voxel"
# as `companion.planes` has them
PLANES = {
    "parallel to the section": 1,
    "across the tilt axis": 0,
    "along the tilt axis, on edge": 2,
}
METHODS = {"eds": "EDS only", "hebt": "HEBT", "em": "composition EM"}
JUDGED = {"hebt": STRONG, "em": FREE}  # which contender stands for a method
POSITIONS = 12  # of each plane, at most


def _correlation(a, b):
    """Pearson's correlation; 0 where an image is even."""
    a, b = (v - np.mean(v, dtype=float) for v in (a, b))
    norm = np.sqrt(np.sum(a**2) * np.sum(b**2))
    return float(np.sum(a * b) / norm) if norm > 0 else 0.0


class Section:
    """The section within the strip, and its planes."""

    def __init__(self, study, volumes):
        depth = round(study.settings.depth / study.settings.binning)
        first = (volumes.haadf.shape[1] - depth) // 2
        held = slice(first, first + depth)
        self.haadf = volumes.haadf[:, held]
        self.elements = study.settings.kept
        self.methods = {m: getattr(volumes, m)[:, :, held] for m in METHODS}
        self.planes = Planes(self.haadf.shape, POSITIONS, study.pixel_size, PLANES)


@explained
def explore_planes(study, volumes) -> explorers.FrameExplorer:
    """Page through the section in three planes: all elements and methods, and their differences."""
    section, judgement = Section(study, volumes), judge(study)
    planes = section.planes
    judged = {"tilts": judgement.tilts, "counts": judgement.counts}
    held_out = {kind: relative(found)[0] for kind, found in judged.items()}
    # one color scale serves all elements: each is relative to its own brightest voxels
    each = [np.percentile(v, 99.5, axis=(1, 2, 3)) for v in section.methods.values()]
    tops = np.maximum.reduce(each)
    haadf_top = float(np.percentile(section.haadf, 99.5))

    def compute(element, plane, number):
        at, e = planes.place(plane, number), section.elements.index(element)
        haadf = section.haadf[at]
        images = {m: volume[e][at] for m, volume in section.methods.items()}
        result = {
            "haadf": planes.picture(haadf / haadf_top),
            "offset": planes.offset(plane, number),
        }
        result["top"] = float(tops[e])
        for m, image in images.items():
            result[m] = planes.picture(image / tops[e])
            result[f"{m}_like"] = _correlation(image, haadf)
        for m, contender in JUDGED.items():
            apart = images[m] - images["eds"]
            result[f"{m}_apart"] = planes.picture(apart / tops[e])
            result[f"{m}_moved"] = apart_percent(images[m], images["eds"])
            for kind, percent in held_out.items():
                row = judged[kind].contenders.index(contender)
                result[f"{m}_{kind}"] = float(percent[row, judged[kind].elements.index(element)])
        return result

    return explorers.FrameExplorer(
        compute,
        [explorers.Control("element", "Element", section.elements, "Mg"), *planes.controls()],
        _panels(),
        readouts=_readouts(),
        columns=3,
        alt="{element}, plane {number} {plane}, {offset} nm from the middle. Correlation with "
        "HAADF: from EDS alone {eds_like}, by HEBT {hebt_like}, by composition EM {em_like}. χ² of "
        "what was held out, against EDS alone: HEBT {hebt_tilts} % by tilts and {hebt_counts} % by "
        "counts, composition EM {em_tilts} % and {em_counts} %.",
        caption="The section in three planes; there is no truth to compare with. Each element has "
        "one color scale for all methods, on which 1 is what 99.5 % of the voxels stay below, as "
        "has HAADF. Below each method: how its pixels of this plane go with those of HAADF, from "
        f"−1 to 1. Below each difference from {EDS}: its root mean square, in % of that of {EDS}, "
        f"and χ² of tilts and counts that were held out, less that of {EDS}, in % of it, with "
        "settings that held-out data choose; lower is better.",
        filename="dust",
    )


def _panels():
    """Return the methods above, HAADF and the differences from EDS alone below."""
    here = "in plane {number} {plane}"
    look = {"limits": (0.0, 1.0), "unit": "of the brightest"}
    above = [
        explorers.Panel(
            m,
            name,
            cmap="inferno",
            alt=f"{{element}}, {name}, {here}; correlation with HAADF {{{m}_like}}.",
            **look,
        )
        for m, name in METHODS.items()
    ]
    haadf = explorers.Panel("haadf", "HAADF alone", depends=WHERE, alt=f"HAADF {here}.", **look)
    below = [
        explorers.Panel(
            f"{m}_apart",
            f"{METHODS[m]} less {EDS}",
            (-1.0, 1.0),
            "of the brightest",
            "RdBu_r",
            alt=f"{METHODS[m]} less {EDS}, {{element}} {here}: {{{m}_moved}} % of {EDS}.",
        )
        for m in JUDGED
    ]
    return [*above, haadf, *below]


def _readouts():
    """Return the numbers below the pictures, and where the plane lies."""
    like = [explorers.Readout(f"{m}_like", "correlation with HAADF", "", ".2f", m) for m in METHODS]
    less = []
    for m in JUDGED:
        place = f"{m}_apart"
        less.append(explorers.Readout(f"{m}_moved", "root mean square", "%", ".0f", place))
        less += [
            explorers.Readout(
                f"{m}_{kind}", f"χ², held-out {kind}", "%", "+.1f", place, depends=("element",)
            )
            for kind in ("tilts", "counts")
        ]
    return [
        *like,
        *less,
        explorers.Readout("offset", "From the middle", "nm", ".0f", depends=WHERE),
        explorers.Readout("top", "1 on the color scale", UNIT, ",.0f", depends=("element",)),
    ]
