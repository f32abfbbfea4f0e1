"""Prediction of held-out tilts: fair, blind to what is held out, and right where data are."""

import numpy as np
import pytest
from scipy import ndimage

import hebt
from hebt import validation

ANGLES = np.arange(-60.0, 61, 10)
RATIOS = np.array([30.0, 12.0])


@pytest.fixture(scope="module")
def consistent():
    """Two elements whose maps and HAADF images are exact projections: (haadf, maps)."""
    rng = np.random.default_rng(0)
    shape = rng.random((2, 6, 32, 32))
    density = np.maximum(ndimage.gaussian_filter(shape, (0, 1, 2.5, 2.5)) - 0.5, 0)
    rows, columns = np.mgrid[:32, :32] - 15.5
    density *= np.hypot(rows, columns) < 13
    W = hebt.Projector(ANGLES, 32)
    maps = np.stack([W.forward(d) for d in density]) * 40
    return np.tensordot(RATIOS, maps, axes=1), maps


def test_exact_data_are_predicted_well_by_both(consistent):
    result = validation.leave_one_out(
        ANGLES, *consistent, held=[-20, 30], alphas=[0.5], stops=[1, 200], names=["Au", "Ag"]
    )
    assert result.errors.shape == (2, 2, 2, 2)
    assert result.methods == ("EDS only", "HEBT, α = 0.5")
    np.testing.assert_array_equal(result.tilts, [-20, 30])
    assert result.errors[:, 1].max() < 0.01
    assert (result.errors[:, 1] < result.errors[:, 0]).all(), "200 iterations beat one"


def test_noisy_maps_are_predicted_better_with_haadf(consistent):
    """Where the model holds, low-noise HAADF images must help; the error is against the truth."""
    haadf, maps = consistent
    noisy = np.random.default_rng(1).poisson(0.3 * np.maximum(maps, 0)).astype(np.float32)
    result = validation.leave_one_out(
        ANGLES, haadf, noisy, targets=maps, held=[-20, 0, 30], alphas=[0.7], stops=[20, 60, 200]
    )
    eds, with_haadf = result.mean()
    assert (with_haadf[-1] < 0.8 * eds[-1]).all(), "at the last iteration"
    assert (with_haadf.min(axis=0) < eds.min(axis=0)).all(), "each at its best stop"


def test_nothing_of_the_held_tilt_is_used(consistent):
    haadf, maps = consistent
    options = {"targets": maps, "held": [10], "stops": [5], "alphas": [0.6]}
    before = validation.leave_one_out(ANGLES, haadf, maps, **options)
    other_haadf, other_maps = haadf.copy(), maps.copy()
    place = list(ANGLES).index(10)
    other_haadf[place] = 7.0
    other_maps[:, place] = np.random.default_rng(0).random(maps[:, place].shape)
    after = validation.leave_one_out(ANGLES, other_haadf, other_maps, **options)
    np.testing.assert_array_equal(after.errors, before.errors)


def test_units_do_not_matter(consistent):
    haadf, maps = consistent
    options = {"held": [10], "stops": [5, 10], "alphas": [0.6]}
    before = validation.leave_one_out(ANGLES, haadf, maps, **options)
    after = validation.leave_one_out(ANGLES, 1000 * haadf, maps * [[[[5]]], [[[0.2]]]], **options)
    np.testing.assert_allclose(after.errors, before.errors, rtol=2e-3)


def test_the_error_is_what_a_single_run_gives(consistent):
    haadf, maps = consistent
    result = validation.leave_one_out(ANGLES, haadf, maps, held=[0], stops=[7], alphas=[], margin=4)
    place = list(ANGLES).index(0)
    rest = np.arange(len(ANGLES)) != place
    W, V = hebt.Projector(ANGLES[rest], 32), hebt.Projector([0.0], 32)
    for element in (0, 1):
        q = V.forward(hebt.sirt(W, maps[element, rest], 7))[0][:, 4:-4].astype(np.float64)
        t = maps[element, place][:, 4:-4].astype(np.float64)
        c = (t * q).sum() / (q * q).sum()
        expected = ((t - c * q) ** 2).sum() / (t**2).sum()
        np.testing.assert_allclose(result.errors[0, 0, 0, element], expected, rtol=1e-4)


def test_what_does_not_fit_is_refused(consistent):
    haadf, maps = consistent
    with pytest.raises(ValueError, match=r"held is \[7.0\]"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[7])
    with pytest.raises(ValueError, match="one angle per tilt"):
        validation.leave_one_out(ANGLES[1:], haadf, maps, held=[0])
    with pytest.raises(ValueError, match="rising"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], stops=[10, 5])
    with pytest.raises(ValueError, match="margin is 16"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], margin=16)
    with pytest.raises(ValueError, match="names has 1"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], names=["Au"])
