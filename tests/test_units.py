"""The unit of the HAADF images is no matter: all methods scale with it, and history does not."""

import warnings

import numpy as np
import pytest

import hebt

W = hebt.Projector(np.arange(-75, 76, 15), 24)
RATIOS = np.array([79 / 9, 47 / 4])
METHODS = {
    "HEBT": lambda unit: {"alpha": 0.7, "iterations": 20},
    "HEBT with momentum": lambda unit: {"alpha": 0.7, "iterations": 20, "accelerate": True},
    "fused": lambda unit: {"method": hebt.Fused()},
    "fused, no noise": lambda unit: {"method": hebt.Fused(haadf_noise=0)},
    "fused, noise": lambda unit: {"method": hebt.Fused(haadf_noise=5 * unit)},
    "composition": lambda unit: {"method": hebt.CompositionEM(1, haadf_noise=0)},
    "composition, noise estimated": lambda unit: {"method": hebt.CompositionEM(1)},
    "composition, soft": lambda unit: {"method": hebt.CompositionEM(1, total=0.5, haadf_noise=0)},
    "composition, bilateral": lambda unit: {
        "method": hebt.CompositionEM(1.5, contrast=0.1, haadf_noise=0)
    },
    "guided TV": lambda unit: {"method": hebt.GuidedTV(100, haadf_noise=0), "iterations": 20},
}


@pytest.fixture(scope="module")
def data():
    specimen = hebt.simulate.phantom(24)
    haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    return haadf, hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)


# powers of 2, which round nothing; intensities near 1e-20 are charges in coulombs
@pytest.mark.parametrize("unit", [2.0**-70, 2.0**-60, 2.0**33, 2.0**60], ids="{:.0e}".format)
@pytest.mark.parametrize("name", METHODS)
def test_results_go_with_the_unit_of_haadf(data, name, unit):
    haadf, maps = data
    runs = []
    for one in (1.0, unit):
        history = hebt.History()
        images = (haadf * one).astype(np.float32)
        x = hebt.reconstruct(W, images, maps, RATIOS * one, **METHODS[name](one), history=history)
        runs.append((x / one, history.change, history.haadf / one))
    (x, change, left), (same, same_change, same_left) = runs
    np.testing.assert_allclose(same, x, atol=1e-5 * x.max())
    np.testing.assert_allclose(same_change, change, rtol=1e-2)
    np.testing.assert_allclose(same_left, left, rtol=1e-3)


@pytest.mark.parametrize("unit", [2.0**-70, 2.0**60], ids="{:.0e}".format)
def test_small_and_large_units_raise_no_warning_of_numpys(data, unit):
    haadf, maps = data
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        method = hebt.CompositionEM(1, total=0.5)
        hebt.reconstruct(W, haadf * unit, maps, RATIOS * unit, method=method)


def test_noise_of_large_floats_is_that_of_the_same_in_another_unit(data):
    # beyond 2^24 all of float32's values are whole numbers, and none is a step of the detector
    noise = np.random.default_rng(1).normal(0, 5, data[0].shape)
    images = (data[0] + noise).astype(np.float32)
    from hebt._guide import haadf_noise

    assert haadf_noise(images * np.float32(2**33)) == pytest.approx(2**33 * haadf_noise(images))
