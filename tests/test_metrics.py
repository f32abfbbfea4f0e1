"""Image quality measures against closed forms and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hebt import metrics

small = settings(max_examples=60)


def binary_and_image(seed, shape=(9, 11)):
    rng = np.random.default_rng(seed)
    reference = rng.random(shape) > 0.6
    reference.flat[:2] = 0, 1
    return reference, reference * 2 + rng.normal(size=shape)


@small
@given(
    image=hnp.arrays(np.float32, (4, 5), elements=st.integers(0, 4).map(float)),
    bits=st.integers(1, 2**20 - 2),
)
def test_pixel_difference_is_the_minimum_over_all_thresholds(image, bits):
    reference = np.array([(bits >> k) & 1 for k in range(20)]).reshape(4, 5)
    thresholds = [-1, *np.unique(image)]
    brute = min(np.abs(reference - (image > b)).sum() for b in thresholds)
    assert metrics.pixel_difference(reference, image) == brute


@small
@given(seed=st.integers(0, 2**31))
def test_scaled_mse_is_the_minimum_over_all_factors(seed):
    reference, image = binary_and_image(seed)
    best = metrics.optimal_scale(reference, image)
    error = metrics.scaled_mse(reference, image)
    for c in (best, best * 0.99, best * 1.01, 0, 1):
        assert ((reference - c * image) ** 2).sum() / reference.sum() >= error - 1e-6
    direct = ((reference - best * image) ** 2).sum()
    assert error == pytest.approx(direct / reference.sum(), rel=1e-5)
    assert metrics.scaled_mse(reference, image, "pixels") == pytest.approx(
        direct / reference.size, rel=1e-5
    )


def test_scaled_mse_of_perfect_and_of_empty_images():
    reference, _ = binary_and_image(0)
    assert metrics.scaled_mse(reference, 7e4 * reference) == pytest.approx(0, abs=1e-12)
    assert metrics.scaled_mse(reference, 0 * reference) == 1


@small
@given(seed=st.integers(0, 2**31), factor=st.floats(0.01, 1e5))
def test_no_measure_depends_on_the_scale_of_the_image(seed, factor):
    reference, image = binary_and_image(seed)
    for measure in (
        metrics.scaled_mse,
        metrics.ssim_structure,
        lambda x, y: metrics.ssim_structure(x, y, window=None),
        metrics.pixel_difference,
    ):
        assert measure(reference, factor * image) == pytest.approx(
            measure(reference, image), rel=1e-4
        )


def test_structure_is_one_for_the_reference_itself():
    reference, _ = binary_and_image(1, (30, 40))
    for window in ("gaussian", None):
        assert metrics.ssim_structure(reference, 5 * reference, window) == pytest.approx(1)


@pytest.mark.parametrize("window", ["gaussian", None])
@pytest.mark.parametrize("value", [0, 7])
def test_an_even_image_has_no_structure(window, value):
    reference, _ = binary_and_image(1, (30, 40))
    assert metrics.ssim_structure(reference, np.full((30, 40), value), window) == 0


def test_structure_over_the_whole_image_is_the_correlation():
    reference, image = binary_and_image(2)
    expected = np.corrcoef(reference.ravel(), image.ravel())[0, 1]
    got = metrics.ssim_structure(reference, image, window=None)
    assert got == pytest.approx(expected, rel=1e-5)


def test_windowed_structure_against_a_loop_over_windows():
    reference, image = binary_and_image(3, (16, 13))
    image = metrics.optimal_scale(reference, image) * image
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(kernel, kernel) / kernel.sum() ** 2
    c3 = 0.03**2 / 2
    x, y = (np.pad(a.astype(float), 5, mode="edge") for a in (reference, image))
    values = []
    for i in range(16):
        for j in range(13):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            covariance = (window * (a - ma) * (b - mb)).sum()
            values.append((covariance + c3) / (np.sqrt(va * vb) + c3))
    got = metrics.ssim_structure(reference, image)
    assert got == pytest.approx(np.mean(values), rel=1e-5)


def test_volumes_are_taken_slice_by_slice():
    reference, image = binary_and_image(4, (3, 20, 20))
    image *= np.array([1, 1, 1])[:, None, None]
    scale = metrics.optimal_scale(reference, image)
    expected = np.mean(
        [
            metrics.structure_map(r.astype(float), scale * i, 0.03**2 / 2).mean()
            for r, i in zip(reference, image)
        ]
    )
    assert metrics.ssim_structure(reference, image) == pytest.approx(expected, rel=1e-5)


def test_noise_lowers_every_measure():
    reference, _ = binary_and_image(5, (40, 40))
    rng = np.random.default_rng(6)
    noise = rng.normal(size=reference.shape)
    less, more = reference + 0.2 * noise, reference + 0.8 * noise
    assert metrics.ssim_structure(reference, less) > metrics.ssim_structure(reference, more)
    assert metrics.scaled_mse(reference, less) < metrics.scaled_mse(reference, more)
    assert metrics.pixel_difference(reference, less) < metrics.pixel_difference(reference, more)


@pytest.mark.parametrize(
    "measure", [metrics.ssim_structure, metrics.scaled_mse, metrics.pixel_difference]
)
@pytest.mark.parametrize(
    ("reference", "image", "message"),
    [
        (np.eye(3), np.eye(4), r"reference has shape \(3, 3\) and image \(4, 4\)"),
        (np.ones((3, 3)), np.eye(3), "reference is 1 everywhere"),
        (np.eye(3), np.full((3, 3), np.nan), "image holds 9 NaN"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "reference is empty"),
    ],
)
def test_bad_input_is_refused_by_name(measure, reference, image, message):
    with pytest.raises(ValueError, match=message):
        measure(reference, image)


def test_unknown_options_and_gray_references_are_refused():
    with pytest.raises(ValueError, match="window is 'box'"):
        metrics.ssim_structure(np.eye(3), np.eye(3), "box")
    with pytest.raises(ValueError, match="normalise is 'mean'"):
        metrics.scaled_mse(np.eye(3), np.eye(3), "mean")
    with pytest.raises(ValueError, match="expected a binary image of 0 and 1"):
        metrics.pixel_difference(np.eye(3) / 2, np.eye(3))
