"""Smoothed element maps beside sharp HAADF images: `blur` against the explicit stacked matrix."""

import numpy as np
import pytest
import scipy.sparse
from scipy import ndimage
from test_reconstruct import explicit_sirt

import hebt

ANGLES = np.arange(-60, 61, 20.0)
HAADF_ANGLES = np.arange(-70, 71, 20.0)
SIZE, SLICES, RATIOS = 12, 5, np.array([3.0, 0.7])
W = hebt.Projector(ANGLES, SIZE)
W_HAADF = hebt.Projector(HAADF_ANGLES, SIZE)
ALONG, ACROSS = hebt.prepare.smoothing_kernel(3, 1), hebt.prepare.smoothing_kernel(5, 1.5)
LONG = hebt.prepare.smoothing_kernel(2 * SLICES + 5, 4)  # longer than the volume


def pair(blur):
    return blur if isinstance(blur, tuple) else (blur, blur)


def smoothed(images, blur):
    """Smooth (..., slices, size), continued by mirror images, as `hebt.prepare.smooth` does."""
    for axis, kernel in zip((-2, -1), pair(blur), strict=True):
        images = ndimage.correlate1d(np.asarray(images, float), kernel, axis=axis, mode="reflect")
    return images


def smoothing_matrix(kernel, size):
    return scipy.sparse.csr_array(ndimage.correlate1d(np.eye(size), kernel, axis=0, mode="reflect"))


def volume_matrix(projector, blur=([1.0], [1.0]), slices=SLICES):
    """G W for a volume: columns in the order (slice, y, x), rows (tilt, slice, bin)."""
    along, across = (smoothing_matrix(k, n) for k, n in zip(pair(blur), (slices, SIZE)))
    matrix = projector.matrix().astype(float)
    tilts = [matrix[a : a + SIZE] for a in range(0, matrix.shape[0], SIZE)]
    return scipy.sparse.vstack([scipy.sparse.kron(along, across @ tilt) for tilt in tilts]).tocsr()


def scene(seed=0, slices=SLICES):
    """A specimen that leaves the volume through its first slice: HAADF, other HAADF, noisy maps."""
    rng = np.random.default_rng(seed)
    x = np.zeros((2, slices, SIZE, SIZE))
    x[0, :3, 3:8, 4:9], x[1, :, 5:9, 6:10] = 2, 1
    maps = np.moveaxis(W.forward(x), 1, 0) / RATIOS[:, None, None, None]
    maps = rng.poisson(20 * maps) / 20
    return W.forward(x.sum(axis=0)), W_HAADF.forward(x.sum(axis=0)), maps


def stacked(alpha, blur, haadf_projector=None):
    own = (1 - alpha) * volume_matrix(W, blur)
    other = alpha * volume_matrix(haadf_projector or W)
    return scipy.sparse.block_array([[own, None], [None, own], [other, other]]).tocsr()


def close(found, expected, tolerance=1e-4):
    expected = np.asarray(expected)
    assert np.linalg.norm(np.ravel(found) - expected.ravel()) <= tolerance * np.linalg.norm(
        expected
    )


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("blur", [ALONG, (ALONG, ACROSS), ([1.0], ACROSS), (LONG, LONG)])
def test_a_blurred_run_is_sirt_on_the_stacked_matrix(blur, two):
    haadf, other, maps = scene()
    maps, alpha = smoothed(maps, blur), 0.7
    images, projector = (other, W_HAADF) if two else (haadf, None)
    x = hebt.reconstruct(W, images, maps, RATIOS, alpha, 40, blur=blur, haadf_projector=projector)
    scaled = (1 - alpha) * RATIOS[:, None] * maps.reshape(2, -1)
    data = np.concatenate([scaled.ravel(), alpha * images.ravel()])
    close(x, explicit_sirt(stacked(alpha, blur, projector), data, 40))
