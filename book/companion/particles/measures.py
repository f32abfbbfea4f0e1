"""What is measured of a reconstructed particle."""

import numpy as np

from hebt import metrics

from ..threads import run

ELEMENTS = ("Au", "Ag")
METHODS = ("eds", "hebt")
# Table 2's scores. As for the phantom, "ssim" is the structure term over all voxels at once and
# "mse" their mean; the other reading of SSIM stands beside.
TABLE_2 = ("ssim", "mse", "dp")
PAIRS = [(name, element) for name in TABLE_2 for element in ELEMENTS]
# The paper's reference is the segmented HAADF reconstruction; a simulation also has the truth.
REFERENCES = ("segmented", "true")
STEPS = 250  # of a true volume fraction, kept in 8 bits


def checkpoints(iterations: int, most: int) -> np.ndarray:
    """Return where a run is looked at: in steps of about a quarter, and at `iterations`."""
    values = [2]
    while values[-1] < most:
        values.append(max(values[-1] + 1, round(values[-1] * 1.3)))
    return np.array(sorted({*values[:-1], iterations, most}))


def fewest_wrong(ones, zeros) -> int:
    """Return DP from histograms of what should be 1 and 0, over thresholds at the bins' edges."""
    below = np.concatenate([[0], np.cumsum(ones)])
    above = zeros.sum() - np.concatenate([[0], np.cumsum(zeros)])
    return int((below + above).min())


def dots(true, y):
    """<true, y> and <y, y>, slice by slice in single precision, added up in double."""
    cross = square = 0.0
    for a, b in zip(true, y, strict=True):
        b = b.ravel()
        cross += float(np.dot(a.ravel().astype(np.float32), b))
        square += float(np.dot(b, b))
    return cross, square


def box(inside, margin: int = 6) -> tuple[slice, ...]:
    """Return the part of a volume that holds what is `inside`, with a margin on each side."""
    parts = []
    for k, n in enumerate(inside.shape):
        at = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {k})))
        parts.append(slice(max(0, int(at[0]) - margin), min(n, int(at[-1]) + 1 + margin)))
    return tuple(parts)


def windowed_ssim(reference, image) -> float:
    """Return `hebt.metrics.ssim_structure` of a volume, for a body on a background of 0.

    Where the reference is constant the structure term is 1, so only the windows that see the body
    are worked out.
    """
    cross, square = dots(reference, image)
    scale = np.float32(cross / square if square else 0.0)
    # the window's radius is 5: once for the windows that see the body, once for what they see
    seen = box(reference > 0, 5)[1:]
    wide = tuple(
        slice(max(0, s.start - 5), min(n, s.stop + 5))
        for s, n in zip(seen, reference.shape[1:], strict=True)
    )
    middle = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(seen, wide))
    c3 = (0.03 * float(reference.max() - reference.min())) ** 2 / 2

    def error(s):
        x = reference[(s, *wide)]
        if not x.any():
            return 0.0
        similar = metrics.structure_map(x, image[(s, *wide)] * scale, np.float32(c3))
        return float((1 - similar[middle]).sum(dtype=np.float64))

    return 1 - sum(run(error, range(len(reference)))) / reference.size
