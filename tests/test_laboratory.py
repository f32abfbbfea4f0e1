"""The bench for one slice: what is recorded, what comes out, and what presets do."""

import dataclasses
import functools

import numpy as np
import pytest

import hebt
from companion import laboratory, paper, phantom


def small(name="diamond", size=32):
    return laboratory.specimen(name, size)


@pytest.mark.parametrize("name", laboratory.SPECIMENS)
def test_specimens_hold_both_elements_and_no_place_twice(name):
    density = laboratory.specimen(name, 64)
    assert density.shape == (2, 64, 64) and density.dtype == np.float32
    assert (density.sum(axis=(1, 2)) > 20).all()
    assert density.min() >= 0 and density.sum(axis=0).max() <= 1 + 1e-6
    # everything lies inside the circle that every tilt sees whole
    y, x = np.mgrid[:64, :64] - 31.5
    assert not density[:, np.hypot(y, x) > 32].any()


def test_conditions_are_those_of_the_paper():
    now = laboratory.Conditions()
    np.testing.assert_array_equal(now.angles, np.arange(-75, 76, 5))
    assert now.alpha == paper.printed("phantom.alpha").value


@pytest.mark.parametrize(
    ("tilt", "step", "expected"),
    [(30, 10, [-30, -20, -10, 0, 10, 20, 30]), (20, 25, [0]), (90, 45, [-45, 0, 45, 90])],
)
def test_tilts_stand_on_both_sides_of_zero(tilt, step, expected):
    np.testing.assert_array_equal(laboratory.Conditions(tilt=tilt, step=step).angles, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"specimen": "cube"}, "specimen is 'cube'"),
        ({"counts": 0}, "counts is 0"),
        ({"counts": float("nan")}, "counts is nan"),
        ({"tilt": 95}, "tilt is 95"),
        ({"alpha": 1}, "alpha is 1"),
        ({"iterations": 0}, "iterations is 0"),
        ({"error_Au": -100}, "error_Au is -100"),
        ({"shift": 0.5}, "shift is 0.5"),
    ],
)
def test_conditions_that_make_no_sense_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        laboratory.Conditions(**changes)


def test_counts_mean_what_they_say():
    # noise has the same mean; the shot noise of 5000 pixels of 100 counts is below 1 %
    now = laboratory.Conditions(counts=100, smoothing=0)
    series = laboratory.record(now, small(size=64))
    inside = series.haadf > 0
    assert series.counts[:, inside].mean() == pytest.approx(100, rel=0.01)
    assert (series.counts == np.round(series.counts)).all()
    # Eq. 3 and 5 with one projector
    z = [paper.printed(f"phantom.z.{e}").value for e in ("Au", "Ag")]
    expected = sum(f * series.W.forward(d) for f, d in zip(z, series.density))
    np.testing.assert_allclose(series.haadf, expected, rtol=1e-4, atol=1e-2)


def test_noise_follows_the_seed():
    a, b, c = (laboratory.record(laboratory.Conditions(seed=s), small()).counts for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.parametrize("by", [-3, 2])
def test_a_shift_moves_the_maps_alone(by):
    still = laboratory.record(laboratory.Conditions(smoothing=0), small())
    moved = laboratory.record(laboratory.Conditions(smoothing=0, shift=by), small())
    np.testing.assert_array_equal(still.haadf, moved.haadf)
    np.testing.assert_array_equal(
        np.roll(still.counts, by, axis=-1)[..., 3:-3], moved.counts[..., 3:-3]
    )


def test_smoothing_moves_nothing_and_keeps_the_counts():
    series = laboratory.record(laboratory.Conditions(smoothing=1.5), small("halves", 64))
    np.testing.assert_allclose(series.maps.sum(axis=-1), series.counts.sum(axis=-1), rtol=1e-4)
    columns = np.arange(64)
    center = [(m @ columns).sum() / m.sum() for m in (series.maps[0], series.counts[0])]
    assert center[0] == pytest.approx(center[1], abs=0.01)


def test_a_specimen_of_one_element_is_refused():
    density = small() * np.float32([[[0]], [[1]]])
    with pytest.raises(ValueError, match="holds no Au"):
        laboratory.record(laboratory.Conditions(specimen="own"), density)
    with pytest.raises(ValueError, match="expected its density"):
        laboratory.record(laboratory.Conditions(specimen="own"))
    with pytest.raises(ValueError, match=r"\(2, size, size\)"):
        laboratory.record(laboratory.Conditions(specimen="own"), density[:, 1:])


@pytest.mark.slow
def test_an_experiment_without_noise_comes_close():
    now = laboratory.Conditions(counts=1e6, smoothing=0, kernel=0, iterations=300, tilt=90)
    outcome = laboratory.run(now, small())
    true = outcome.series.z / outcome.series.zeta
    np.testing.assert_allclose(outcome.fit.ratios, true, rtol=5e-3)
    for method, pair in outcome.densities.items():
        assert np.abs(pair - outcome.series.density).mean() < 0.03, method
        assert outcome.scores["mse", method, "Au"] < 0.02
    # densities have the scale of the specimen: 1 for bulk
    gold = outcome.series.density[0] > 0
    assert np.median(outcome.densities["hebt"][0][gold]) == pytest.approx(1, abs=0.05)


def test_residuals_and_images_are_those_of_the_solvers():
    now = laboratory.Conditions(iterations=12, error_Au=20.0)
    outcome = laboratory.run(now, small())
    series = outcome.series
    np.testing.assert_allclose(outcome.ratios, outcome.fit.ratios * [1.2, 1])
    x = hebt.reconstruct(series.W, series.haadf, series.maps, outcome.ratios, iterations=12)
    np.testing.assert_allclose(
        outcome.densities["hebt"],
        hebt.density(x, outcome.ratios, eds_response=series.zeta),
        rtol=1e-5,
    )
    left = series.haadf - series.W.forward(x.sum(axis=0))
    assert outcome.residuals["hebt"][-1, 0] == pytest.approx(
        np.linalg.norm(left) / np.linalg.norm(series.haadf), rel=1e-3
    )
    silver = hebt.sirt(series.W, series.maps[1], iterations=12)
    np.testing.assert_allclose(
        outcome.densities["eds"][1], silver / series.zeta[1], rtol=1e-3, atol=1e-5
    )
    left = series.maps[1] - series.W.forward(silver)
    assert outcome.residuals["eds"][-1, 2] == pytest.approx(
        np.linalg.norm(left) / np.linalg.norm(series.maps[1]), rel=1e-3
    )
    again = laboratory.run(now, series=series)
    np.testing.assert_array_equal(again.densities["hebt"], outcome.densities["hebt"])


def test_an_alloy_has_no_pixel_difference():
    outcome = laboratory.run(laboratory.Conditions(specimen="alloy", iterations=5))
    assert np.isnan(outcome.scores["dp", "hebt", "Au"])
    assert 0 < outcome.scores["mse", "hebt", "Au"] < 1


# ---- presets: each artifact, as a number ----


@pytest.fixture(scope="module")
def outcomes():
    """The fidelity and the store of the book that the tests build: both compute this once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_FIDELITY", "quick")
        return laboratory.run_presets()


def without(name):
    """The same experiment without the fault of the preset."""
    changes = laboratory.PRESETS[name].changes.items()
    return ran(**{k: v for k, v in changes if k in ("counts", "specimen")})


@functools.cache
def ran(**changes):
    return laboratory.run(laboratory.Conditions(**changes))


def test_presets_are_named():
    for name, preset in laboratory.PRESETS.items():
        assert preset.title and preset.text.endswith(".")
        assert bool(preset.artifact) == (name != "paper")
    with pytest.raises(ValueError, match="preset is 'none'"):
        laboratory.preset("none")


def inside(outcome, element):
    """Mean density of an element where only the other one is, away from its edges."""
    from scipy.ndimage import binary_erosion

    other = binary_erosion(outcome.series.density[1 - element] > 0, iterations=3)
    return float(outcome.densities["hebt"][element][other].mean())


def test_the_papers_conditions_favor_hebt(outcomes):
    scores = outcomes["paper"].scores
    for element in ("Au", "Ag"):
        assert scores["mse", "hebt", element] < scores["mse", "eds", element]


def test_a_ghost_shows_the_other_element_and_goes_with_iterations(outcomes):
    ghost = outcomes["ghost"]
    assert inside(ghost, 1) > 0.3 and inside(outcomes["paper"], 1) < 0.1
    more = dataclasses.replace(ghost.series.conditions, iterations=250)
    assert inside(laboratory.run(more, series=ghost.series), 1) < 0.2


def test_wrong_ratios_exchange_elements(outcomes):
    right, wrong = without("ratios"), outcomes["ratios"]
    assert inside(wrong, 0) > 1.5 * inside(right, 0)
    for element in ("Au", "Ag"):
        assert wrong.scores["mse", "hebt", element] > right.scores["mse", "hebt", element]
        # EDS alone does not know the ratios
        assert wrong.scores["mse", "eds", element] == pytest.approx(
            right.scores["mse", "eds", element]
        )


def test_misaligned_maps_leave_what_no_signal_explains(outcomes):
    right, wrong = without("misaligned"), outcomes["misaligned"]
    assert wrong.residuals["hebt"][-1, 0] > 2 * right.residuals["hebt"][-1, 0]
    # gold where there is only silver, at the edge that HAADF sees elsewhere
    assert inside(wrong, 0) > 1.5 * inside(right, 0)


def test_few_tilts_and_a_wedge_hurt_both_methods(outcomes):
    for name in ("few", "wedge"):
        right, wrong = without(name), outcomes[name]
        for method in laboratory.METHODS:
            assert wrong.scores["mse", method, "Au"] > 1.3 * right.scores["mse", method, "Au"]


def test_a_wedge_draws_the_particle_out_along_the_beam(outcomes):
    y, x = np.mgrid[:128, :128] - 63.5

    def stretch(image):
        return np.sqrt((image * y**2).sum() / (image * x**2).sum())

    assert stretch(outcomes["wedge"].densities["hebt"][0]) > 1.15
    assert stretch(without("wedge").densities["hebt"][0]) == pytest.approx(1, abs=0.05)


def test_at_a_low_dose_the_errors_of_the_elements_cancel(outcomes):
    outcome = outcomes["dose"]
    error = {m: x - outcome.series.density for m, x in outcome.densities.items()}
    gold, _ = outcome.series.density > 0
    correlation = {m: np.corrcoef(e[0][gold], e[1][gold])[0, 1] for m, e in error.items()}
    assert correlation["hebt"] < -0.3 < correlation["eds"]
    scores = outcome.scores
    assert scores["mse", "hebt", "Au"] < scores["mse", "eds", "Au"]


def test_a_message_beside_the_controls_is_text(monkeypatch):
    from companion.laboratory import widgets

    def refuse(*_):
        raise ValueError("specimen is '<img src=x onerror=alert(1)>'")

    monkeypatch.setattr(widgets, "run", refuse)
    table = widgets.LaboratoryWidgets().table
    assert "<img" not in table.value and "&lt;img" in table.value


def test_the_page_knows_the_papers_dose_in_its_frame():
    counts = {size: phantom.paper_counts(size) for size in (64, 128)}
    # a pixel of the phantom's slice that is twice as wide gets twice the counts
    assert counts[64] == pytest.approx(2 * counts[128], rel=0.03)
    # the dose of the preset phantom, recorded as such, is met again by the bench's own record
    series = laboratory.record(laboratory.Conditions(counts=counts[128]))
    inside = series.haadf > 0
    assert series.counts[:, inside].mean() == pytest.approx(counts[128], rel=0.02)
    side = {size: 512 / size for size in counts}
    assert phantom.counts_on_paper_pixel(0.5) == pytest.approx(counts[128] / side[128] / 2)
    text = laboratory.numbers()
    assert text["laboratory_paper_counts"] == f"about {counts[128]:.0f}"
    scores = laboratory.first_run().scores
    eds, em = (scores["mse", m, "Au"] + scores["mse", m, "Ag"] for m in ("eds", "em"))
    assert f"{eds / em:.1f} times that of composition EM" in text["laboratory_result"]
