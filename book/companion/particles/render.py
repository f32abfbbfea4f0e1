"""Pictures of volumes on any computer: a small ray caster that needs no graphics card."""

import numpy as np

from hebt._checks import as_float32, check_count

from ..threads import run, threads


def render(
    volumes,
    colors,
    opacities,
    *,
    turn: float = 0.0,
    tip: float = 0.0,
    width: int = 240,
    edges: tuple[float, float] = (0.3, 0.7),
) -> np.ndarray:
    """Draw volumes as bodies of colored, more or less clear material on white.

    Parallel rays run through all volumes, (materials, n, n, n), of which 1 is full density and
    the first spatial axis (the tilt axis) is vertical. Along a ray, color is added up from front
    to back with the opacity met on the way; surfaces are shaded under a light from the upper
    left. `colors`, (materials, 3), and `opacities` of one voxel's length, (materials,), go from
    0 to 1; between the densities `edges` a material goes from clear to its full opacity. `turn`
    (about the vertical axis) and `tip` (from above) are degrees. The picture is (width, width,
    3), uint8.
    """
    from . import kernels

    volumes = np.ascontiguousarray(as_float32("volumes", volumes, ndim=(4,)))
    if len(set(volumes.shape[1:])) != 1:
        raise ValueError(f"volumes has shape {volumes.shape}; expected (materials, n, n, n).")
    width = check_count("width", width)
    colors = _within("colors", colors, (len(volumes), 3))
    opacities = _within("opacities", opacities, (len(volumes),))
    low, high = (float(v) for v in edges)
    if not low < high:
        raise ValueError(f"edges is {edges}; expected two densities, the lower first.")
    picture = np.empty((width, width, 3))
    share = -(-width // (4 * threads()))

    def work(first):
        kernels.cast(
            volumes,
            colors,
            opacities,
            np.array([low, high]),
            np.deg2rad(turn),
            np.deg2rad(tip),
            first,
            min(first + share, width),
            max(0.7, volumes.shape[1] / width),
            picture,
        )

    run(work, range(0, width, share))
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _within(name, values, shape):
    values = as_float32(name, values).astype(np.float64)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}; expected {shape}.")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"{name} has values from {values.min():g} to {values.max():g}; expected 0 to 1."
        )
    return values
