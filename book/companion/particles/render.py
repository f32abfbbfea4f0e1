"""Pictures of volumes on any computer: a small ray caster that needs no graphics card."""

import numpy as np

from hebt._checks import as_float32, check_count

from ..threads import run, threads

COLORS = {"Au": (1.0, 0.78, 0.1), "Ag": (0.35, 0.6, 0.95)}
OPACITIES = {"Au": 0.35, "Ag": 0.018}


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

    Parallel rays run through all volumes together; along a ray, color is added up from front to
    back with the opacity met on the way (emission and absorption). Surfaces are shaded by the
    gradient under a light from the upper left.

    Parameters
    ----------
    volumes
        (materials, n, n, n), where 1 is full density; axis 1 (the tilt axis) is vertical.
    colors
        (materials, 3): red, green and blue from 0 to 1.
    opacities
        (materials,): of one voxel's length of full density, from 0 to 1.
    turn, tip
        View direction in degrees: about the vertical axis, and from above.
    width
        Pixels along one side of the picture, (width, width, 3), uint8.
    edges
        The densities between which a material goes from clear to its full opacity.
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

    run(work, [(first,) for first in range(0, width, share)])
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
