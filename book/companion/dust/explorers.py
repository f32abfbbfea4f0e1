"""Explorers of the chapter on a measured series."""

import numpy as np

from hebt import explorers


def explore_planes(eds, hebt, haadf, names, pixel_size, *, shown, depth: float):
    """Page through the planes of the section: HAADF, and some elements by EDS alone and by HEBT.

    `depth` in pixels is how far to page; 0 nm is the middle of the section.
    """
    middle = haadf.shape[1] // 2
    planes_ = range(round(middle - depth / 2), round(middle + depth / 2))
    heights = [round((plane - (haadf.shape[1] - 1) / 2) * pixel_size) for plane in planes_]

    def high(*volumes):
        inside = np.s_[:, planes_.start : planes_.stop]
        return float(max(np.percentile(v[inside], 99.5) for v in volumes))

    unit = "HAADF intensity per voxel"
    volumes = {"haadf": haadf}
    panels = [explorers.Panel("haadf", "HAADF alone", (0, high(haadf)), unit, "gray")]
    for name in shown:
        alone, both = eds[names.index(name)], hebt[names.index(name)]
        limits = (0, high(alone, both))
        for key, title, volume in (
            (f"{name}_eds", f"{name}, EDS only", alone),
            (f"{name}_hebt", f"{name}, HEBT", both),
        ):
            volumes[key] = volume
            panels.append(explorers.Panel(key, title, limits, unit, "inferno"))

    def compute(height):
        plane = planes_[heights.index(height)]
        return {key: volume[:, plane] for key, volume in volumes.items()}

    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control(
                "height", "Height above the middle", heights, heights[len(heights) // 2], "nm"
            )
        ],
        panels,
        caption="Planes parallel to the section, from one face to the other. Each element has one "
        "colour scale for both methods; the brightest 0.5 % of the voxels are cut off.",
    )
