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
    depth: float | None = None,
) -> np.ndarray:
    """Draw volumes as bodies of colored, more or less clear material on white.

    Parallel rays run through all volumes, (materials, n, n, n), of which 1 is full density and
    the first spatial axis (the tilt axis) is vertical. Along a ray, color is added up from front
    to back with the opacity met on the way; surfaces are shaded under a light from the upper
    left. `colors`, (materials, 3), and `opacities` of one voxel's length, (materials,), go from
    0 to 1; between the densities `edges` a material goes from clear to its full opacity. `turn`
    (about the vertical axis) and `tip` (from above) are degrees. With `depth`, what lies in front
    of a plane across the rays is cut away, so many voxels behind the middle; on the cut face
    nothing is clear, and colors mix by density. The picture is (width, width, 3), uint8.
    """
    from . import kernels

    volumes = _volumes(volumes)
    width = check_count("width", width)
    colors = _within("colors", colors, (len(volumes), 3))
    opacities = _within("opacities", opacities, (len(volumes),))
    low, high = (float(v) for v in edges)
    if not low < high:
        raise ValueError(f"edges is {edges}; expected two densities, the lower first.")
    picture, clear = np.zeros((width, width, 3)), np.ones((width, width))
    if depth is not None:
        face = section(volumes, turn=turn, tip=tip, depth=depth, width=width).clip(0)
        total = face.sum(axis=0)
        clear -= np.clip((total - low) / (high - low), 0, 1)
        mixed = np.einsum("mrc,mk->rck", face / np.maximum(total, 1e-30), colors)
        picture += (1 - clear)[..., None] * mixed
    view = np.array([np.deg2rad(turn), np.deg2rad(tip), -1e9 if depth is None else depth])
    step = max(0.7, volumes.shape[1] / width)
    share = -(-width // (4 * threads()))

    def work(first):
        last = min(first + share, width)
        edge = np.array([low, high])
        kernels.cast(volumes, colors, opacities, edge, view, first, last, step, clear, picture)

    run(work, range(0, width, share))
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def section(
    volumes, *, turn: float = 0.0, tip: float = 0.0, depth: float = 0.0, width: int = 240
) -> np.ndarray:
    """Return the densities on a plane across the rays, (materials, width, width), as `render`."""
    from . import kernels

    volumes = _volumes(volumes)
    found = np.empty((len(volumes), width, width), np.float32)
    turn, tip = np.deg2rad(turn), np.deg2rad(tip)
    kernels.cut(volumes, turn, tip, float(depth), 0, width, found)
    return found


def _volumes(volumes):
    volumes = np.ascontiguousarray(as_float32("volumes", volumes, ndim=(4,)))
    if len(set(volumes.shape[1:])) != 1:
        raise ValueError(f"volumes has shape {volumes.shape}; expected (materials, n, n, n).")
    return volumes


def _within(name, values, shape):
    values = as_float32(name, values).astype(np.float64)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}; expected {shape}.")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"{name} has values from {values.min():g} to {values.max():g}; expected 0 to 1."
        )
    return values
