"""What is measured of a reconstructed particle."""

import numpy as np

ELEMENTS = ("Au", "Ag")
METHODS = ("eds", "hebt")
# Table 2's scores. As for the phantom, "ssim" is the structure term over all voxels at once and
# "mse" their mean; the other reading of SSIM stands beside.
TABLE_2 = ("ssim", "mse", "dp")
PAIRS = [(name, element) for name in TABLE_2 for element in ELEMENTS]
# The paper's reference is the segmented HAADF reconstruction; a simulation also has the truth.
REFERENCES = ("segmented", "true")
# particle -> the name of the weight that the paper prints for it
ALPHA = {"nonalloy": "nonalloy.best_alpha", "alloy": "alloy.alpha"}
STEPS = 250  # of a true volume fraction, kept in 8 bits
# Slices do not talk to each other, so some stand for all of a volume that has as many as this.
MANY = 200


def checkpoints(iterations: int, most: int) -> np.ndarray:
    """Return where a run is looked at: in steps of about a quarter, and at `iterations`."""
    values = [2]
    while values[-1] < most:
        values.append(max(values[-1] + 1, round(values[-1] * 1.3)))
    return np.array(sorted({*values[:-1], iterations, most}))


def box(inside, margin: int = 6) -> tuple[slice, ...]:
    """Return the part of a volume that holds what is `inside`, with a margin on each side."""
    parts = []
    for k, n in enumerate(inside.shape):
        at = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {k})))
        parts.append(slice(max(0, int(at[0]) - margin), min(n, int(at[-1]) + 1 + margin)))
    return tuple(parts)
