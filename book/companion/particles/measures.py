"""What is measured of a reconstructed particle."""

import numpy as np

from hebt import metrics

from ..threads import run

ELEMENTS = ("Au", "Ag")
METHODS = ("eds", "hebt")
# Table 2's scores. As for the phantom, "ssim" is the structure term over all voxels at once and
# "mse" their mean; the other reading of SSIM stands beside.
TABLE_2 = ("ssim", "mse", "dp")
SCORES = (*TABLE_2, "ssim_windowed")
# The paper's reference is the segmented HAADF reconstruction; a simulation also has the truth.
REFERENCES = ("segmented", "true")
LOCALIZED = ("eds", "volume_mask", "projection_mask", "hebt")
COLUMNS = ("Au_eds", "Au_hebt", "Ag_eds", "Ag_hebt", "haadf")
BINS = 4096
STEPS = 250  # of a true volume fraction, kept in 8 bits
# whose edge at which surface; gold has none at the outer edge
EDGES = (("Au", "interface"), ("Ag", "interface"), ("Ag", "edge"))
REACH = 12.0  # nm on both sides of a surface, for the profile across it
CLEAR = 16.0  # nm from the other surface, so that the two do not mix


def checkpoints(iterations, most):
    """Return where a run is looked at: in steps of about a quarter, and at `iterations`."""
    values = [2]
    while values[-1] < most:
        values.append(max(values[-1] + 1, round(values[-1] * 1.3)))
    return np.array(sorted({v for v in values if v <= most} | {iterations, most}))


def fewest_wrong(ones, zeros) -> int:
    """DP from the histograms of what should be 1 and what should be 0.

    Thresholds run over the bins' edges, so this is at most a little above the exact minimum.
    """
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


def windowed_ssim(reference, image) -> float:
    """`hebt.metrics.ssim_structure` of a volume, worked out only where it is not 1.

    Parameters
    ----------
    reference
        (slices, size, size), of a body on a background of 0.
    image
        The reconstruction, same shape.

    Returns
    -------
    float
        The mean over the volume. A window in which the reference is constant has the structure
        term 1, whatever the image shows there.
    """
    cross, square = dots(reference, image)
    scale = np.float32(cross / square if square else 0.0)
    # the window's radius is 5: once for the windows that see the body, once for what they see
    box = Box(reference > 0, 5)
    wide = tuple(
        slice(max(0, s.start - 5), min(n, s.stop + 5))
        for s, n in zip(box.slices[1:], reference.shape[1:], strict=True)
    )
    middle = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box.slices[1:], wide))
    c3 = (0.03 * float(reference.max() - reference.min())) ** 2 / 2

    def fault(s):
        x = reference[(s, *wide)]
        if not x.any():
            return 0.0
        similar = metrics.structure_map(x, image[(s, *wide)] * scale, np.float32(c3))
        return float((1 - similar[middle]).sum(dtype=np.float64))

    faults = sum(run(fault, [(s,) for s in range(len(reference))]))
    return 1 - faults / reference.size


def edge_width(distance, values, weights) -> float:
    """10 to 90 % width of the error function fitted to an edge; NaN where there is no edge."""
    from scipy.optimize import curve_fit
    from scipy.special import erf

    def edge(d, low, high, at, sigma):
        return low + (high - low) * (1 + erf((d - at) / (np.sqrt(2) * sigma))) / 2

    start = (values[0], values[-1], 0.0, 2.0)
    bounds = ([-np.inf, -np.inf, -REACH, 0.05], [np.inf, np.inf, REACH, 3 * REACH])
    try:
        found, _ = curve_fit(
            edge, distance, values, start, sigma=1 / np.sqrt(weights), bounds=bounds
        )
    except RuntimeError:
        return np.nan
    return float(2 * 1.2815515655446004 * found[3])


class Box:
    """The part of a volume that holds what is `inside`, with a margin on each side."""

    def __init__(self, inside, margin: int):
        self.slices = []
        for k, n in enumerate(inside.shape):
            at = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {k})))
            self.slices.append(slice(max(0, at[0] - margin), min(n, at[-1] + 1 + margin)))

    def cut(self, volume) -> np.ndarray:
        """Return the part of (..., slices, size, size)."""
        return volume[(..., *self.slices)]
