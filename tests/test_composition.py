"""Densities and fractions against hand calculations."""

import numpy as np
import pytest

import hebt

Z, ZETA = np.array([790.0, 470.0]), np.array([0.02, 0.025])
RATIOS = Z / ZETA


def specimen(seed=0):
    density = np.random.default_rng(seed).random((2, 3, 4, 4)) * 10
    density[:, 0, 0] = 0
    return density, density * Z[:, None, None, None]


def test_density_undoes_the_response_factor():
    density, x = specimen()
    np.testing.assert_allclose(hebt.density(x, RATIOS, ZETA), density, rtol=1e-5)


def test_mass_fractions():
    density, x = specimen()
    fractions = hebt.composition(x, RATIOS, ZETA)
    inside = density.sum(axis=0) > 0
    expected = density[:, inside] / density[:, inside].sum(axis=0)
    np.testing.assert_allclose(fractions[:, inside], expected, rtol=1e-5)
    np.testing.assert_allclose(fractions[:, inside].sum(axis=0), 1, rtol=1e-5)
    assert np.isnan(fractions[:, ~inside]).all()
    assert fractions.dtype == np.float32


def test_atomic_fractions_of_a_known_alloy():
    # half the mass gold, half silver: 107.87 / (107.87 + 196.97) of the atoms are gold
    x = np.array([1.0, 1.0])[:, None, None] * Z[:, None, None] * np.ones((2, 2))
    fractions = hebt.composition(x, RATIOS, ZETA, ["Au", "Ag"], kind="atomic")
    np.testing.assert_allclose(fractions[0], 107.8682 / (107.8682 + 196.96657), rtol=1e-4)
    np.testing.assert_allclose(fractions.sum(axis=0), 1, rtol=1e-5)


def test_a_common_scale_of_zeta_cancels_in_fractions():
    _, x = specimen()
    same = hebt.composition(x, RATIOS, 1e4 * ZETA)
    np.testing.assert_allclose(hebt.composition(x, RATIOS, ZETA), same, rtol=1e-5)


def test_thin_voxels_can_be_left_undefined():
    density, x = specimen()
    fractions = hebt.composition(x, RATIOS, ZETA, least=9)
    total = density.sum(axis=0)
    np.testing.assert_array_equal(np.isnan(fractions[0]), total < 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(kind="volume"), 'kind is .volume.; expected "mass" or "atomic"'),
        (dict(kind="atomic"), "atomic fractions need symbols"),
        (dict(kind="atomic", elements=["Au", "Xx"]), "'Xx'; expected chemical symbols"),
        (dict(kind="atomic", elements=["n", "O"]), "'n'; expected chemical symbols"),
        (dict(kind="atomic", elements=["Au"]), "names has 1 entries|expected 2"),
        (dict(ratios=[1, 2, 3]), "ratios has 3 values and x 2 elements"),
        (dict(ratios=[1, 0]), "ratios is .*expected values above 0"),
        (dict(zeta=[1, -1]), "zeta is .*expected values above 0"),
        (dict(zeta=[np.nan, 1]), "zeta holds 1 NaN"),
        (dict(x=-np.ones((2, 3, 3))), "x has values down to -1"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, message):
    arguments = dict(x=specimen()[1], ratios=RATIOS, zeta=ZETA) | arguments
    with pytest.raises(ValueError, match=message):
        hebt.composition(**arguments)
