"""Explorers of the chapter on a measured series."""

import numpy as np

from hebt import explorers


def explore_planes(study, eds, hebt, haadf, *, shown=("O", "Mg")) -> explorers.FrameExplorer:
    """Page through the planes of the slab: HAADF, and some elements by EDS alone and by HEBT."""
    count = round(study.settings.depth / study.settings.binning)
    first = (haadf.shape[1] - count) // 2
    middle = (haadf.shape[1] - 1) / 2
    heights = [round((first + k - middle) * study.pixel_size) for k in range(count)]

    def high(*volumes):
        return float(max(np.percentile(v[:, first : first + count], 99.5) for v in volumes))

    unit = "HAADF intensity per voxel"
    volumes = {"haadf": haadf}
    panels = [explorers.Panel("haadf", "HAADF alone", (0, high(haadf)), unit, "gray")]
    for name in shown:
        e = study.settings.kept.index(name)
        limits = (0, high(eds[e], hebt[e]))
        for method, volume in (("EDS only", eds[e]), ("HEBT", hebt[e])):
            key = f"{name}_{method.split()[0].lower()}"
            volumes[key] = volume
            panels.append(explorers.Panel(key, f"{name}, {method}", limits, unit, "inferno"))

    def compute(height):
        plane = first + heights.index(height)
        return {key: volume[:, plane] for key, volume in volumes.items()}

    height = explorers.Control(
        "height", "Height above the middle", heights, heights[count // 2], "nm"
    )
    return explorers.FrameExplorer(
        compute,
        [height],
        panels,
        caption="Planes parallel to the section, from one face to the other. Each element has one "
        "colour scale for both methods; the brightest 0.5 % of the voxels are cut off.",
    )
