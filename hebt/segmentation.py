"""Materials out of a HAADF reconstruction by brightness, without a hand on the mouse."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, as_list, check_count, check_number


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """A volume split into background and materials.

    Attributes
    ----------
    labels
        (slices, size, size), uint8: 0 outside the particle, 1 for the darkest material, and so on.
    thresholds
        The intensities between background, the first material, the second one, ...
    """

    labels: np.ndarray
    thresholds: tuple[float, ...]

    def mask(self, label: int) -> np.ndarray:
        """Return where one material is, bool.

        Parameters
        ----------
        label
            1 for the darkest material, and so on.

        Returns
        -------
        numpy.ndarray
            bool, shape of the volume.

        Raises
        ------
        TypeError, ValueError
            If there is no such material.
        """
        label = check_count("label", label, most=len(self.thresholds))
        return self.labels == label

    @property
    def particle(self) -> np.ndarray:
        """Where any material is, bool."""
        return self.labels > 0


def segment(
    volume: ArrayLike, *, materials: int = 2, sigma: float | Sequence[float] = 1.0
) -> Segmentation:
    """Split a HAADF reconstruction into background and materials of different brightness.

    The paper did this by hand, slice by slice (section 4.2). Here, with scikit-image [1]_:

    1. smooth the volume with a Gaussian, since single voxels are noisy;
    2. find the brightnesses that separate the classes best (multi-Otsu [2]_), on the histogram of
       the voxels above 2 % of the brightest, as zeros would draw the lowest threshold down;
    3. move each threshold half way between the medians of the classes on its two sides, where
       an edge that is blurred evenly has its true place;
    4. keep the largest connected piece above the lowest threshold as the particle, fill its
       holes, and give each voxel in it the label of its class.

    Parameters
    ----------
    volume
        HAADF reconstruction, (slices, size, size) or (size, size), not below 0.
    materials
        How many materials to tell apart. The method finds as many as it is asked for: in a
        particle of one material a second one would be its blurred edge.
    sigma
        Standard deviation of the smoothing in voxels, or one for each axis; 0 for none.

    Returns
    -------
    Segmentation

    Raises
    ------
    TypeError, ValueError
        If the volume is no finite 2D or 3D array or constant, or an option is out of range.

    Notes
    -----
    A voxel at an edge between bright gold and the background has the brightness of silver. Where
    gold lies at the surface, this method gives it a thin layer of silver.

    References
    ----------
    .. [1] Van der Walt et al., "scikit-image: image processing in Python", PeerJ 2 (2014) e453.
    .. [2] Liao, Chen and Chung, "A fast algorithm for multilevel thresholding",
       Journal of Information Science and Engineering 17 (2001) 713-727.
    """
    from scipy.ndimage import binary_fill_holes
    from skimage.filters import gaussian, threshold_multiotsu
    from skimage.measure import label

    volume = as_float32("volume", volume, ndim=(2, 3))
    materials = check_count("materials", materials, most=255)
    expected = "a number of voxels of at least 0"
    sigmas = as_list("sigma", sigma, expected) if np.iterable(sigma) else [sigma] * volume.ndim
    if len(sigmas) != volume.ndim:
        raise ValueError(f"sigma is {sigma}; expected one number, or {volume.ndim}, one an axis.")
    sigmas = [check_number("sigma", s, expected, also_least=True) for s in sigmas]
    if volume.min() < 0:
        raise ValueError(
            f"volume goes down to {volume.min():g}; expected values of at least 0, as SIRT with "
            "non-negativity gives. Remove the offset, or cut at 0."
        )
    if volume.max() == volume.min():
        raise ValueError(
            f"volume is {volume.flat[0]:g} everywhere; expected a particle on a darker background."
        )
    smooth = gaussian(volume, sigmas, preserve_range=True) if any(sigmas) else volume
    some = smooth[smooth > 0.02 * smooth.max()]
    counts, edges = np.histogram(some, bins=256)
    first = threshold_multiotsu(hist=(counts, (edges[:-1] + edges[1:]) / 2), classes=materials + 1)
    classes = np.digitize(smooth, first)
    medians = [np.median(smooth[classes == k]) for k in range(materials + 1)]
    thresholds = [(low + high) / 2 for low, high in itertools.pairwise(medians)]
    del classes
    pieces = label(smooth > thresholds[0], connectivity=1)
    sizes = np.bincount(pieces.ravel())
    particle = binary_fill_holes(pieces == 1 + sizes[1:].argmax())
    labels = np.clip(np.digitize(smooth, thresholds), 1, materials).astype(np.uint8)
    labels[~particle] = 0
    return Segmentation(labels, tuple(float(t) for t in thresholds))
