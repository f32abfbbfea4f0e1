"""Explorers of the chapter on a measured series."""

import numpy as np

from hebt import explorers

from ..origins import explained


def _correlation(a, b):
    """Pearson's correlation; 0 where an image is even."""
    a, b = (v - np.mean(v, dtype=float) for v in (a, b))
    norm = np.sqrt(np.sum(a**2) * np.sum(b**2))
    return float(np.sum(a * b) / norm) if norm > 0 else 0.0


@explained
def explore_planes(study, volumes, *, shown=("Mg", "Fe")) -> explorers.FrameExplorer:
    """Page through the planes of the slab: HAADF, and some elements by all three methods."""
    haadf = volumes.haadf
    count = round(study.settings.depth / study.settings.binning)
    first = (haadf.shape[1] - count) // 2
    middle = (haadf.shape[1] - 1) / 2
    heights = [round((first + k - middle) * study.pixel_size) for k in range(count)]

    def high(*some):
        return float(max(np.percentile(v[:, first : first + count], 99.5) for v in some))

    unit = "HAADF intensity per voxel"
    frames = {"haadf": haadf}
    panels = [explorers.Panel("haadf", "HAADF alone", (0, high(haadf)), unit, "gray")]
    for name in shown:
        e = study.settings.kept.index(name)
        three = {"EDS only": volumes.eds[e], "HEBT": volumes.hebt[e], "EM": volumes.em[e]}
        limits = (0, high(*three.values()))
        for method, volume in three.items():
            key = f"{name}_{method.split()[0].lower()}"
            frames[key] = volume
            panels.append(explorers.Panel(key, f"{name}, {method}", limits, unit, "inferno"))

    alike = [key for key in frames if key != "haadf"]

    def compute(height):
        plane = first + heights.index(height)
        images = {key: volume[:, plane] for key, volume in frames.items()}
        like = {f"{key}_like": _correlation(images[key], images["haadf"]) for key in alike}
        return images | like

    height = explorers.Control(
        "height", "Height above the middle", heights, heights[count // 2], "nm"
    )
    found = "; ".join(
        f"{name} from EDS alone {{{name}_eds_like}}, by HEBT {{{name}_hebt_like}}, by composition "
        f"EM {{{name}_em_like}}"
        for name in shown
    )
    return explorers.FrameExplorer(
        compute,
        [height],
        panels,
        readouts=[
            explorers.Readout(f"{key}_like", "correlation with HAADF", "", ".2f", key)
            for key in alike
        ],
        alt=f"The plane {{height}} nm above the middle. Correlation with HAADF: {found}.",
        caption="Planes parallel to the section, from one face to the other. Each element has one "
        "color scale for all methods; the brightest 0.5 % of the voxels are cut off. "
        "Below each: how its pixels of this plane go with those of HAADF, from −1 to 1.",
    )
