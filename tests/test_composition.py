"""Densities and fractions against hand calculations."""

import numpy as np
import pytest

import hebt
from hebt._hyperspy import hyperspy, quiet

Z, ZETA = np.array([790.0, 470.0]), np.array([0.02, 0.025])
RATIOS = Z / ZETA


def specimen(seed=0):
    density = np.random.default_rng(seed).random((2, 3, 4, 4)) * 10
    density[:, 0, 0] = 0
    return density, density * Z[:, None, None, None]


def test_density_undoes_the_response_factor():
    density, x = specimen()
    np.testing.assert_allclose(hebt.density(x, RATIOS, eds_response=ZETA), density, rtol=1e-5)
    np.testing.assert_allclose(hebt.density(x, RATIOS, zeta_factors=1 / ZETA), density, rtol=1e-5)


def exspy_quantification(counts, elements, method, factors, **options):
    """Let exspy turn counts into mass fractions, with its ζ-factors also into mass-thickness."""
    hs = hyperspy()
    from exspy.signals import EDSTEMSpectrum

    spectra = EDSTEMSpectrum(np.zeros((*counts.shape[1:], 16)))
    spectra.set_microscope_parameters(beam_energy=200, beam_current=CURRENT, live_time=TIME)
    intensities = []
    for name, image in zip(elements, counts, strict=True):
        intensity = hs.signals.Signal2D(image).T
        intensity.metadata.set_item("Sample.elements", [name])
        intensity.metadata.set_item("Sample.xray_lines", [f"{name}_La"])
        intensities.append(intensity)
    with quiet():
        found = spectra.quantification(
            intensities, method, factors, navigation_mask=None, **options
        )
    maps, thickness = found if method == "zeta" else (found, None)
    return np.stack([m.data for m in maps]), thickness and thickness.data


CURRENT, TIME = 0.5, 3.0  # nA, s
CASES = [("Au", "Ag", 1900, 1000), ("Pt", "Pd", 1450.2, 780), ("Yb", "Mo", 0.7, 3.1)]


@pytest.mark.promise
def test_fractions_are_those_of_exspy(promise):
    rng = np.random.default_rng(0)
    electrons = CURRENT * 1e-9 * TIME / 1.602176634e-19
    tried = 0
    for *elements, first, second in CASES:
        ratios, factors = rng.uniform(100, 900, 2), np.array([first, second])
        counts = rng.uniform(1, 50, (2, 5, 6))
        counts[:, 0, 0] = 20  # the same of both
        x = counts * ratios[:, None, None]
        for method, name in (("zeta", "zeta_factors"), ("CL", "k_factors")):
            for kind, units in (("mass", "weight"), ("atomic", "atomic")):
                theirs, thickness = exspy_quantification(
                    counts, elements, method, factors, composition_units=units
                )
                ours = hebt.composition(x, ratios, elements, kind=kind, **{name: factors})
                # atomic weights have been revised since
                np.testing.assert_allclose(
                    ours, theirs / 100, rtol=1e-5 if kind == "mass" else 1e-4
                )
                tried += 1
            if method == "zeta":
                masses = hebt.density(x, ratios, zeta_factors=factors / electrons).sum(axis=0)
                np.testing.assert_allclose(masses, thickness, rtol=1e-5)
    promise("fractions_as_exspy", cases=tried)


def test_as_many_counts_have_the_fractions_of_their_zeta_factors():
    x = np.array([[2.0], [3.0]])
    found = hebt.composition(x, x[:, 0], zeta_factors=(1900, 1000))
    np.testing.assert_allclose(found[:, 0], [1900 / 2900, 1000 / 2900], rtol=1e-6)
    same = hebt.composition(x, x[:, 0], eds_response=(1 / 1900, 1 / 1000))
    np.testing.assert_allclose(same, found, rtol=1e-6)


def test_factors_come_by_name_and_one_kind_at_a_time():
    x = specimen()[1]
    with pytest.raises(TypeError, match="factors given by name: none; expected just one of zeta_f"):
        hebt.composition(x, RATIOS, ZETA)
    with pytest.raises(TypeError, match="positional"):
        hebt.composition(x, RATIOS, ZETA, ["Au", "Ag"])
    with pytest.raises(TypeError, match="positional"):
        hebt.density(x, RATIOS, ZETA)
    with pytest.raises(TypeError, match="zeta_factors, k_factors; expected just one"):
        hebt.composition(x, RATIOS, zeta_factors=ZETA, k_factors=ZETA)
    with pytest.raises(TypeError, match="none; expected just one of zeta_factors, eds_response"):
        hebt.density(x, RATIOS)
    # they know nothing of how much there is
    with pytest.raises(TypeError, match="k_factors"):
        hebt.density(x, RATIOS, k_factors=ZETA)


def test_mass_fractions():
    density, x = specimen()
    fractions = hebt.composition(x, RATIOS, eds_response=ZETA)
    inside = density.sum(axis=0) > 0
    expected = density[:, inside] / density[:, inside].sum(axis=0)
    np.testing.assert_allclose(fractions[:, inside], expected, rtol=1e-5)
    np.testing.assert_allclose(fractions[:, inside].sum(axis=0), 1, rtol=1e-5)
    assert np.isnan(fractions[:, ~inside]).all()
    assert fractions.dtype == np.float32


def test_atomic_fractions_of_a_known_alloy():
    # half the mass gold, half silver: 107.87 / (107.87 + 196.97) of the atoms are gold
    x = np.array([1.0, 1.0])[:, None, None] * Z[:, None, None] * np.ones((2, 2))
    fractions = hebt.composition(x, RATIOS, ["Au", "Ag"], eds_response=ZETA, kind="atomic")
    np.testing.assert_allclose(fractions[0], 107.8682 / (107.8682 + 196.96657), rtol=1e-4)
    np.testing.assert_allclose(fractions.sum(axis=0), 1, rtol=1e-5)


def test_a_common_scale_of_zeta_cancels_in_fractions():
    _, x = specimen()
    found, same = (hebt.composition(x, RATIOS, eds_response=scale * ZETA) for scale in (1, 1e4))
    np.testing.assert_allclose(found, same, rtol=1e-5)


def test_thin_voxels_can_be_left_undefined():
    density, x = specimen()
    fractions = hebt.composition(x, RATIOS, eds_response=ZETA, least=9)
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
        (dict(eds_response=[1, -1]), "eds_response is .*expected values above 0"),
        (dict(eds_response=[np.nan, 1]), "eds_response holds 1 NaN"),
        (dict(x=-np.ones((2, 3, 3))), "x has values down to -1"),
        (dict(x=5), "x is a single number, 5.0; expected shape"),
        (dict(least=np.nan), "least is nan; expected a total density of at least 0"),
        (dict(elements=["Au", "Ag", "Cu"]), "names has 3 entries|expected 2"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, message):
    arguments = dict(x=specimen()[1], ratios=RATIOS, eds_response=ZETA) | arguments
    with pytest.raises(ValueError, match=message):
        hebt.composition(**arguments)


def test_errors_in_percent_are_refused():
    with pytest.raises(ValueError, match="go up to 5; expected relative errors below 1"):
        hebt.composition_error([[0.5], [0.5]], [5, 3])
