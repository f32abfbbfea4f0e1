import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hebt import segmentation


def nested(size=48, outer=20.0, inner=11.0):
    """A bright ball in a gray ball, as labels."""
    at = np.arange(size) - (size - 1) / 2
    radius = np.sqrt(at[:, None, None] ** 2 + at[:, None] ** 2 + at**2)
    return (radius < outer).astype(np.uint8) + (radius < inner)


def image(labels, *, blur=1.0, noise=0.05, seed=0):
    """HAADF as a reconstruction shows it: blurred, noisy, never negative, mostly 0 outside."""
    values = np.array([0.0, 1.0, 3.0], np.float32)[labels]
    noise = np.random.default_rng(seed).normal(0, noise, labels.shape)
    return np.maximum(gaussian_filter(values, blur) + noise, 0).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e5])
def test_materials_are_found_at_any_brightness(scale):
    labels = nested()
    found = segmentation.segment(scale * image(labels))
    for label in (1, 2):
        true, ours = labels == label, found.mask(label)
        dice = 2 * np.count_nonzero(true & ours) / (true.sum() + ours.sum())
        assert dice > 0.95
    assert found.thresholds[0] == pytest.approx(0.5 * scale, rel=0.15)
    assert found.thresholds[1] == pytest.approx(2.0 * scale, rel=0.15)


def test_the_volume_is_hardly_biased_by_blur():
    labels = nested()
    for blur in (0.5, 1.0, 2.0):
        found = segmentation.segment(image(labels, blur=blur))
        assert found.particle.sum() == pytest.approx((labels > 0).sum(), rel=0.06)


def test_stray_pieces_are_left_out_and_holes_filled():
    labels = nested()
    volume = image(labels, noise=0.0)
    volume[2:5, 2:5, 2:5] = 2.0  # a stray piece
    hole = (24, 24, 38)  # in the gray shell
    assert labels[hole] == 1
    volume[24, 24, 38] = 0.0
    found = segmentation.segment(volume, sigma=0)
    assert not found.labels[2:5, 2:5, 2:5].any()
    assert found.labels[hole] == 1


def test_one_material():
    labels = np.minimum(nested(), 1)
    found = segmentation.segment(image(labels), materials=1)
    assert set(np.unique(found.labels)) == {0, 1} and len(found.thresholds) == 1
    assert found.particle.sum() == pytest.approx((labels > 0).sum(), rel=0.06)


def test_the_input_stays_as_it_is():
    volume = image(nested())
    copy = volume.copy()
    segmentation.segment(volume)
    assert (volume == copy).all()


def test_each_axis_can_have_its_own_smoothing():
    volume = image(nested())
    smooth = gaussian_filter(volume, (0.25, 1, 1), mode="nearest")
    found = segmentation.segment(volume, sigma=(0.25, 1, 1))
    np.testing.assert_array_equal(found.labels, segmentation.segment(smooth, sigma=0).labels)
    as_array = segmentation.segment(volume, sigma=np.array([0.25, 1, 1]))
    np.testing.assert_array_equal(found.labels, as_array.labels)
    assert (found.labels != segmentation.segment(volume, sigma=0).labels).any()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="volume is 1 everywhere"):
        segmentation.segment(np.ones((4, 4, 4)))
    with pytest.raises(ValueError, match="volume has 1 dimensions"):
        segmentation.segment(np.ones(4))
    with pytest.raises(ValueError, match="sigma is -1"):
        segmentation.segment(image(nested()), sigma=-1)
    with pytest.raises(ValueError, match=r"sigma is \(1, 1, 1, 1\); expected one number, or 3"):
        segmentation.segment(image(nested()), sigma=(1, 1, 1, 1))
    with pytest.raises(ValueError, match="materials is 0"):
        segmentation.segment(image(nested()), materials=0)


def test_a_volume_below_0_is_refused():
    with pytest.raises(ValueError, match="volume goes down to -0.5; expected values of at least 0"):
        segmentation.segment(np.array([[0.0, 1.0], [-0.5, 2.0]]))
