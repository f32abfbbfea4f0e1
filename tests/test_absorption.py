"""Absorption of X-rays against closed forms, and what it does to the simulated particles."""

import re

import numpy as np
import pytest
from conftest import ROOT

import hebt
from companion import particles, spectra
from companion.spectra import absorption, recording
from hebt import prepare, simulate
from hebt._hyperspy import quiet

GOLD = simulate.DENSITY["Au"]
MU = 1e-9 * prepare.mass_absorption(["Au_Ma", "Ag_La"], ["Au", "Ag"])  # for lengths in nm
SMALL = {"size": 24, "angles": range(-40, 41, 20)}


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


def cube(size=25, elements=2):
    return np.zeros((elements, size, size, size), np.float32)


def loss(density, line, angle=0.0, *, voxel=1.0, **detectors):
    """Which share of a line is absorbed in the middle pixel."""
    W, middle = hebt.Projector([angle], density.shape[-1]), density.shape[-1] // 2
    names = ["Au", "Ag"][: len(density)]
    like = {"voxel_size": voxel, **detectors}
    factors = prepare.absorption_factors(W, density, names, [line], **like)
    return 1 - float(factors[0, 0, middle, middle])


def test_coefficients_are_those_of_the_tables_in_si_units():
    # exspy's own tests have 1413.291119134 and 506.0153356472 cm²/g, the latter for Al at 3.5 keV
    found = prepare.mass_absorption(["Zn_La"], ["Zn"])
    np.testing.assert_allclose(found, [[141.3291119134]], rtol=1e-6)
    both = prepare.mass_absorption(["Au_Ma", "Ag_La", "Au_La"], ["Au", "Ag"])
    assert both.shape == (3, 2)
    # Ag La lies above the M edges of Au and below the L edges of Ag
    assert both[1, 0] > 4 * both[1, 1]
    assert (both[2] < 0.2 * both[0]).all()


def test_what_has_no_lines_absorbs_too():
    # Hubbell and Seltzer (1995): 233.9 cm²/g for Li at 1 keV, which falls with the cube of the
    # energy; tables of light elements differ by a tenth
    found = prepare.mass_absorption(["Na_Ka"], ["Li"])
    assert 10 * found[0, 0] == pytest.approx(233.9 / 1.041**3, rel=0.15)
    for element in ("H", "Am"):
        with pytest.raises(ValueError, match=f"elements is .*no mass-absorption.* of '{element}'"):
            prepare.mass_absorption(["O_Ka"], ["C", element])
    with pytest.raises(ValueError, match="'Li_Ka' is no X-ray line"):
        prepare.mass_absorption(["Li_Ka"], ["Li"])
    with pytest.raises(ValueError, match="element is 'Li', which has no X-ray lines"):
        prepare.xray_lines("Li")


# where the detector sees the slab neither from its edge nor from below
SEEN = [(a, z) for a in (0.0, 20.0, 50.0) for z in (0.0, 45.0, 315.0)]
SEEN += [(-30.0, 135.0), (-50.0, 225.0), (-40.0, 180.0), (0.0, 90.0)]


@pytest.mark.parametrize(("angle", "azimuth"), SEEN)
def test_a_slab_absorbs_by_its_take_off_angle(angle, azimuth):
    with quiet():
        from exspy.utils.eds import take_off_angle
    slab, voxel = cube(65, 1), 8.0
    slab[:, :, 30:35] = GOLD
    sine = np.sin(np.deg2rad(take_off_angle(angle, azimuth, 18.0)))
    depth = MU[0, 0] * GOLD * 5 * voxel / sine
    found = loss(slab, "Au_Ma", angle, voxel=voxel, azimuths=[azimuth])
    # this is left of X-rays that come from all depths alike
    assert found == pytest.approx(1 - -np.expm1(-depth) / depth, rel=0.02)


@pytest.mark.parametrize("angle", [-75.0, -10.0, 0.0, 35.0, 60.0])
def test_from_the_middle_of_a_ball_all_ways_are_its_radius(angle):
    at = np.arange(41) - 20
    radius = np.sqrt(at[:, None, None] ** 2 + at[:, None] ** 2 + at**2)
    ball = cube(41)
    ball[0] = GOLD * np.clip(15.5 - radius, 0, 1)  # a radius of 15 voxels of 3 nm
    ball[1, 20, 20, 20] = 1.0
    expected = -np.expm1(-MU[1, 0] * GOLD * 45)
    assert loss(ball, "Ag_La", angle, voxel=3.0) == pytest.approx(expected, rel=0.02)
    assert loss(ball, "Ag_La", angle, voxel=3.0, azimuths=[10, 200]) == pytest.approx(
        expected, rel=0.02
    )


# detectors by azimuth and elevation, and a block of gold between them and the middle
FRONT, BEHIND, ALONG, ABOVE = (0.0, 0.0), (180.0, 0.0), (90.0, 0.0), (0.0, 90.0)
COLUMNS, ROWS, SLICES = np.s_[:, :, 15:20], np.s_[:, 5:10], np.s_[15:20]
LEFT = np.s_[:, :, 5:10]


@pytest.mark.parametrize(
    ("angle", "detector", "block"),
    [
        (0.0, FRONT, COLUMNS),
        (0.0, BEHIND, LEFT),
        (0.0, ABOVE, ROWS),
        # at 90 degrees the projector's last pixel sees the first row
        (90.0, FRONT, ROWS),
        (90.0, ABOVE, LEFT),
        (90.0, BEHIND, np.s_[:, 15:20]),
        (0.0, ALONG, SLICES),
        (90.0, ALONG, SLICES),
    ],
)
def test_what_lies_towards_a_detector_absorbs_and_nothing_else_does(angle, detector, block):
    density = cube()
    density[0][block] = GOLD
    density[1, 12, 12, 12] = 1.0
    for other in (FRONT, BEHIND, ALONG, ABOVE):
        found = loss(density, "Ag_La", angle, azimuths=[other[0]], elevation=other[1])
        expected = -np.expm1(-MU[1, 0] * GOLD * 5) if other == detector else 0.0
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_without_other_wishes_the_detectors_are_the_papers():
    """Those two of four towards which the specimen is tilted."""
    W, made = hebt.Projector([-40.0, 0.0, 40.0], 24), simulate.embedded_octahedron(24)
    like = W, made.density, made.elements, ["Au_Ma", "Ag_La"]
    usual = prepare.absorption_factors(*like, voxel_size=made.voxel_size)
    said = [[135.0, 225.0], [45.0, 315.0], [315.0, 45.0]]
    same = prepare.absorption_factors(
        *like, voxel_size=made.voxel_size, azimuths=said, elevation=18.0
    )
    np.testing.assert_allclose(usual, same, rtol=1e-6)
    # the particle looks the same from r and -r, but not turned away from the detectors
    away = prepare.absorption_factors(*like, voxel_size=made.voxel_size, azimuths=[135.0, 225.0])
    assert np.abs(away[:, 2] - usual[:, 2]).max() > 0.005


def test_lines_of_one_map_are_absorbed_each_by_itself_and_detectors_add_up():
    W, made = hebt.Projector([20.0], 24), simulate.embedded_octahedron(24)

    def factors(*lines, azimuths=(45.0, 315.0)):
        like = {"voxel_size": made.voxel_size, "azimuths": azimuths}
        return prepare.absorption_factors(W, made.density, made.elements, lines, **like)

    mixed, m, l_ = factors({"Au_Ma": 3.0, "Au_La": 1.0}, "Au_Ma", "Au_La")
    np.testing.assert_allclose(mixed, 0.75 * m + 0.25 * l_, rtol=1e-5)
    assert m.min() < 0.92 < 0.98 < l_.min()
    one, other = (factors("Au_Ma", azimuths=[a])[0] for a in (45.0, 315.0))
    np.testing.assert_allclose(m, (one + other) / 2, rtol=1e-5)


def test_what_does_not_absorb_takes_nothing():
    W, made = hebt.Projector([-30.0, 0.0, 50.0], 20), simulate.alloy_particle(20)
    before = made.density.copy()
    tiny = prepare.absorption_factors(
        W, made.density, made.elements, ["Au_Ma", "Ag_La"], voxel_size=1e-3
    )
    assert tiny.shape == (2, 3, 20, 20) and tiny.dtype == np.float32
    np.testing.assert_allclose(tiny, 1, atol=1e-4)
    nothing = prepare.absorption_factors(
        W, 0 * made.density, made.elements, ["Au_Ma"], voxel_size=1.0
    )
    assert (nothing == 1).all()
    np.testing.assert_array_equal(made.density, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"density": np.ones((2, 4, 5, 5))}, r"density has shape \(2, 4, 5, 5\).*expected .*6, 6"),
        ({"density": -np.ones((2, 4, 6, 6))}, "density has .* none below 0"),
        ({"lines": ["Cu_Ka"]}, "lines holds 'Cu_Ka'; expected lines of one of Au, Ag"),
        ({"lines": ["Au_Zz"]}, "'Au_Zz' is no X-ray line"),
        ({"lines": [{"Au_Ma": 1, "Ag_La": 1}]}, "lines holds {.* expected lines of one of"),
        ({"lines": ["Au_Ma", {"Ag_La": -1}]}, "lines: Ag_La is -1; expected a share above 0"),
        ({"lines": ["Au_Ma", {}]}, "lines holds {}"),
        ({"voxel_size": 0}, "voxel_size is 0"),
        ({"voxel_size": 0.74e-9}, "voxel_size is 7.4e-10; expected .* in nm"),
        ({"azimuths": np.ones((3, 2))}, r"azimuths has shape \(3, 2\); expected .*\(2, detectors"),
        ({"azimuths": [400]}, "azimuths go up to 400; expected degrees"),
        ({"elevation": 91}, "elevation is 91"),
        ({"lines": []}, "lines is empty"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    like = {"density": np.ones((2, 4, 6, 6)) * 1000, "elements": ["Au", "Ag"], "voxel_size": 1.0}
    with pytest.raises(ValueError, match=message):
        prepare.absorption_factors(
            hebt.Projector([0.0, 20.0], 6), **({"lines": ["Au_Ma"]} | like | change)
        )


def test_grams_per_cubic_centimeter_are_noticed():
    with pytest.warns(UserWarning, match=r"density goes up to 19.3; expected kg/m³. Multiply"):
        prepare.absorption_factors(
            hebt.Projector([0.0], 6), 19.3 * np.ones((1, 4, 6, 6)), ["Au"], ["Au_Ma"], voxel_size=1
        )


# --- the simulated microscope ---


def test_the_microscope_absorbs_where_it_is_told_to():
    off, on = (spectra.settings("nonalloy", absorption=a, **SMALL) for a in (False, True))
    assert not spectra.settings("nonalloy").absorption
    recorded, absorbed = spectra.acquire(off), spectra.acquire(on)
    np.testing.assert_array_equal(recorded.haadf, absorbed.haadf)
    weights = spectra.map_weights(recorded.energies)
    factors = absorption.map_factors(on, absorption.map_lines(spectra.map_weights(FULL)))
    thickness = recording.mass_thickness(on)
    expected = (thickness * factors).sum(axis=(2, 3)) / thickness.sum(axis=(2, 3))
    for tilt in range(5):
        counts = [(s.spectra[tilt] @ weights.T).sum(axis=0) for s in (absorbed, recorded)]
        # about 10 000 counts each
        np.testing.assert_allclose(counts[0] / counts[1], expected[:, tilt], atol=0.03)
    totals = [sum(s.sum() for s in each.spectra) for each in (recorded, absorbed)]
    assert totals[1] < totals[0]


FULL = simulate.energies()


def test_peaks_are_all_of_a_spectrum_and_maps_know_their_lines():
    lines = np.stack([simulate.lines_spectrum(e, counted=spectra.LINES[e]) for e in ("Au", "Ag")])
    parts = absorption.split_by_peak(lines)
    np.testing.assert_array_equal(parts[0] + parts[1], lines[0])
    np.testing.assert_array_equal(parts[2], lines[1])
    assert parts[0][FULL > 6].max() == 0 == parts[1][FULL < 5].max()
    gold, silver = absorption.map_lines(spectra.map_weights(FULL))
    assert list(gold) == ["Au_Ma", "Au_Mb", "Au_La"] and list(silver) == ["Ag_La", "Ag_Lb1"]
    # three counts of M lines for one of L alpha, of which the windows keep a little less
    tables, shells = prepare.xray_lines("Au"), simulate.SHELLS["Au"]
    expected = shells["M"] * (1 + tables["Mb"]["weight"]) / shells["L"]
    assert (gold["Au_Ma"] + gold["Au_Mb"]) / gold["Au_La"] == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_the_switch_is_on_or_off(value):
    with pytest.raises(TypeError, match="absorption is .*; expected True or False"):
        spectra.settings("alloy", absorption=value)


# --- the correction ---


COARSE = {"size": 40, "angles": range(-70, 71, 20)}


@pytest.fixture(scope="module", params=["nonalloy", "alloy"])
def study(request):
    return particles.absorption_study(request.param, **COARSE)


def test_a_reconstruction_corrects_its_own_maps(study):
    without, absorbed, once, twice = range(4)
    error = np.abs(study.ratios)
    assert error[without].max() < 1e-4
    assert error[absorbed].min() > 0.008
    assert (error[once] < 0.1 * error[absorbed]).all()
    # what the mass has for other reasons stays
    left = np.abs(study.mass - study.mass[without])
    assert (left[once] < 0.1 * left[absorbed]).all() and (left[twice] < 0.05 * left[absorbed]).all()
    if study.settings.particle == "nonalloy":
        assert (study.change[absorbed] < -0.02).all() and study.spread[absorbed, 1] > 0.01
        for values in (study.change, study.spread):
            assert (np.abs(values[once]) < 0.15 * np.abs(values[absorbed])).all()
    left = np.abs(study.profile - study.profile[without]).max(axis=-1)
    assert left[twice] < 0.3 * left[absorbed]


def test_losses_are_those_of_the_lines_and_of_the_size(study):
    loss = dict(zip(particles.absorption.PEAKS, study.loss, strict=True))
    assert loss["Au M"] > 5 * loss["Au L"] and (study.most > study.loss).all()
    if study.settings.particle == "nonalloy":
        assert 0.05 < loss["Au M"] < 0.08 and 0.02 < loss["Ag L"] < 0.045
    else:
        assert loss["Au M"] < 0.02 < 0.03 < study.most[2]


def test_counting_noise_does_not_hinder_the_correction():
    exact, noisy = (particles.absorption_study("alloy", noise=n, **COARSE) for n in (False, True))
    # what absorption changes, and what is left of that
    changed = [study.ratios - study.ratios[0] for study in (exact, noisy)]
    np.testing.assert_allclose(changed[1][1], changed[0][1], atol=0.004)
    assert (np.abs(changed[1][2:]) < 0.2 * np.abs(changed[1][1])).all()
    assert np.abs(noisy.profile[3] - noisy.profile[0]).max() < 0.003


def test_the_page_shows_it():
    studies = [particles.absorption_study(p, **COARSE) for p in ("nonalloy", "alloy")]
    counted = particles.absorption_study("alloy", noise=True, **COARSE)
    table = str(particles.absorption_table(*studies, counted))
    assert "alloy particle, counted" in table and table.count("mass of Au") == 3
    assert str(particles.absorption_loss_table(*studies)).count("Ag L") == 2
    assert particles.plot_absorption(*studies).axes
    numbers = particles.absorption_numbers(*studies, counted)
    page = (ROOT / "book" / "alloy.md").read_text(encoding="utf-8")
    quoted = set(re.findall(r"\{glue:text\}`(absorption_\w+)`", page))
    assert quoted and quoted <= set(numbers)
