"""Response ratios: exact on noise-free data, and honest about what cannot be determined."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import hebt

TRUE = np.array([5.3e4, 8.6e4, 1.2e3])


def series(elements=3, seed=0, shape=(5, 4, 20)):
    """Noise-free maps that are 0 in part of the field, and the HAADF images that follow."""
    rng = np.random.default_rng(seed)
    maps = rng.gamma(2.0, 2.0, (elements, *shape)) * (rng.random((elements, *shape)) > 0.3)
    maps[..., :3] = 0
    return np.tensordot(TRUE[:elements], maps, 1), maps


@settings(deadline=None, max_examples=20)
@given(elements=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_known_ratios_are_recovered_from_noise_free_data(elements, seed):
    haadf, maps = series(elements, seed)
    fit = hebt.response_ratios(haadf, maps)
    np.testing.assert_allclose(fit.ratios, TRUE[:elements], rtol=1e-4)
    assert fit.r_squared == pytest.approx(1, abs=1e-6)


def test_it_is_non_negative_least_squares_on_the_pixels_above_zero():
    rng = np.random.default_rng(1)
    haadf, maps = series()
    haadf = haadf * rng.normal(1, 0.4, haadf.shape)
    haadf[haadf < 0] = 0
    inside = haadf > 0
    fit = hebt.response_ratios(haadf, maps)
    expected, norm = scipy.optimize.nnls(maps[:, inside].T, haadf[inside])
    np.testing.assert_allclose(fit.ratios, expected, rtol=1e-4)
    total = ((haadf[inside] - haadf[inside].mean()) ** 2).sum()
    assert fit.r_squared == pytest.approx(1 - norm**2 / total, abs=1e-5)
    assert fit.pixels == inside.sum()


@pytest.mark.filterwarnings("ignore:the response ratio of")
def test_a_ratio_held_at_zero_changes_the_others():
    haadf, maps = series(2)
    maps[1] += 0.5 * maps[0]
    haadf = 1000 * maps[0] - 300 * maps[1]
    inside = haadf > 0
    expected, _ = scipy.optimize.nnls(maps[:, inside].T, haadf[inside])
    free = np.linalg.lstsq(maps[:, inside].T, haadf[inside])[0]
    fit = hebt.response_ratios(np.maximum(haadf, 0), maps)
    assert expected[1] == fit.ratios[1] == 0 and free[1] < 0
    assert abs(free[0] - expected[0]) > 0.05 * expected[0]
    np.testing.assert_allclose(fit.ratios, expected, rtol=1e-4)


def test_one_slice_gives_the_same_as_its_stack():
    haadf, maps = series(shape=(5, 1, 20))
    one = hebt.response_ratios(haadf[:, 0], maps[:, :, 0])
    np.testing.assert_allclose(one.ratios, hebt.response_ratios(haadf, maps).ratios)


def test_scaling_a_map_scales_its_ratio():
    haadf, maps = series()
    fit = hebt.response_ratios(haadf, maps)
    rescaled = hebt.response_ratios(haadf, maps * np.array([1e6, 1e-6, 1])[:, None, None, None])
    np.testing.assert_allclose(rescaled.ratios * [1e6, 1e-6, 1], fit.ratios, rtol=1e-5)


def test_the_prediction_is_the_weighted_sum_of_the_maps():
    haadf, maps = series()
    fit = hebt.response_ratios(haadf, maps)
    np.testing.assert_allclose(fit.predict(maps), haadf, rtol=1e-3, atol=1)
    with pytest.raises(ValueError, match="one map for each of"):
        fit.predict(maps[:2])


def test_collinear_maps_are_reported_by_name():
    haadf, maps = series()
    maps = np.concatenate([maps, 3 * maps[1:2]])
    with pytest.warns(UserWarning, match="maps of Ag, Cd are collinear") as caught:
        hebt.response_ratios(haadf, maps, names=["Au", "Ag", "Cu", "Cd"])
    assert not any("Au" in str(w.message).split(":")[0] for w in caught)


def test_different_maps_are_not_called_collinear(recwarn):
    hebt.response_ratios(*series())
    assert not recwarn.list


def test_a_ratio_of_zero_is_reported_by_name():
    haadf, maps = series(2)
    hole = maps[0] * (maps[1] == 0)
    haadf = np.where(hole > 0, 0.9 * haadf, haadf)
    with pytest.warns(UserWarning, match="response ratio of Ga came out as 0"):
        fit = hebt.response_ratios(haadf, np.stack([*maps, hole]), names=["Au", "Ag", "Ga"])
    assert fit.ratios[2] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, m: (h, m * [[[[1]]], [[[0]]], [[[1]]]]), "maps of Ag are empty"),
        (lambda h, m: (h * 0, m), "haadf is 0 everywhere"),
        (lambda h, m: (np.where(h == h.max(), 1, 0) * h, m), "haadf has 1 pixels above 0"),
        (lambda h, m: (h * 0 + 7, m), "same intensity 7"),
        (lambda h, m: (h[:-1], m), "maps has shape"),
        (lambda h, m: (np.where(h > 0, np.nan, h), m), "haadf holds .* NaN"),
        (lambda h, m: (h, np.rint(m) - 1), "negative|raw counts"),
        (lambda h, m: (h[..., :0], m[..., :0]), "haadf is empty"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        hebt.response_ratios(*change(*series()), names=["Au", "Ag", "Cu"])


def test_as_many_names_as_maps():
    with pytest.raises(ValueError, match="names has 2 entries"):
        hebt.response_ratios(*series(), names=["Au", "Ag"])
