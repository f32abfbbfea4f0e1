"""The numbers in the sentences of the chapter on a measured series."""

import numpy as np

from ..paper import value
from .study import DustStudy, mass_stages, totals

HOLDER = ("Ti", "Cu")  # of the grid and the holder, not of the specimen
SHADOWED = ("Mg", "Si", "Fe", "Pt", "Ga")  # rise and fall together


def dust_numbers(study: DustStudy) -> dict[str, str]:
    """Return what the sentences quote of the series and its preparation, ready for `glue`."""
    now, series, angles = study.settings, study.series, study.angles
    across = study.neighbors[:, 1]
    jumps = np.abs(across[1:-1] - (across[:-2] + across[2:]) / 2)
    mass = mass_stages(study)
    turned = mass["... if the axis were horizontal"] / mass["the same strip, aligned"]
    total = totals(study)
    swing = {name: 100 * np.ptp(values) for name, values in total.items()}
    shadowed = [swing[name] for name in SHADOWED]
    rises = sorted(total[name].max() / total[name].min() for name in HOLDER)
    carbon = total["C"][[0, -1]].mean() / total["C"][np.abs(angles) <= 10].mean() - 1
    pixel, depths = series.pixel_size, study.by_depth
    thin = min(depths)
    per_pixel = np.sort(series.maps.mean(axis=(1, 2, 3)))
    tilts, slices, size = study.haadf.shape
    numbers = {
        "tilts": f"{tilts}",
        "first": _signed(angles[0]),
        "last": _signed(angles[-1]),
        "missing": f"{180 - np.ptp(angles):.0f}",
        "lines": f"{len(series.lines)}",
        "noise": f"{now.avoid[-1][1]:g} keV",
        "jump": f"{jumps.max():.0f}",
        "jump_tilt": _signed(angles[1:-1][jumps.argmax()]),
        "by_hand": f"{np.abs(study.shifts - study.manual).max():.1f}",
        "depth": f"{now.depth}",
        "turned": f"{turned:.1f}",
        "best_offset": _signed(min(study.by_offset, key=study.by_offset.get)),
        "best_depth": f"{10 * round(min(depths, key=depths.get) * pixel / 10)} nm",
        "thin": f"{10 * round(thin * pixel / 10)} nm",
        "thin_residual": f"{depths[thin] / min(depths.values()):.1f}",
        "rise": f"{rises[0]:.1f} and {rises[1]:.1f}",
        "shadowed": f"{min(shadowed):.0f} to {max(shadowed):.0f} %",
        "carbon": f"{100 * carbon:.0f} %",
        "constant": f"{swing['HAADF']:.0f} %",
        "width": f"{now.width}",
        "sigma": f"{now.sigma:g}",
        "frame": f"{slices} slices of {size} pixels of {study.pixel_size:.1f} nm",
        "alpha": f"{value('alloy.alpha'):g}",
        "iterations": f"{value('alloy.iterations'):g}",
        "counts": f"{per_pixel[0]:.2f} to {per_pixel[-1]:.2f}",
    }
    return {f"dust_{name}": text for name, text in numbers.items()}


def held_out_numbers(result) -> dict[str, str]:
    """Return HEBT's error at the last stop against that of EDS alone, by weight and element."""
    eds, mild, *_, strong = result.mean()[:, -1]
    magnesium = result.elements.index("Mg")
    strong = zip(result.elements, strong / eds, strict=True)
    numbers = {f"dust_strong_{element}": f"{factor:.2f}" for element, factor in strong}
    return numbers | {"dust_mild_Mg": f"{mild[magnesium] / eds[magnesium]:.2f}"}


def _signed(number: float) -> str:
    return f"{number:+g}".replace("-", "−") if number else "0"
