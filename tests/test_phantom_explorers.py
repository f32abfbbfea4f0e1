"""The phantom's explorers show what the sweep holds, and fit into a page."""

import dataclasses
import functools

import numpy as np
import pytest

from companion import phantom
from companion.phantom import explorers as room
from hebt.explorers.controls import quantize

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def quick():
    """The fidelity and the store of the book that the tests build: both compute this once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_FIDELITY", "quick")
        patch.delenv("HEBT_STATIC", raising=False)
        room._sweeps.cache_clear()
        yield
        room._sweeps.cache_clear()


def sweep(dose):
    (one,) = phantom.sweeps([dose], alphas=(0.1, 0.7, 0.95), iterations=(5, 50, 200))
    return one


@pytest.mark.parametrize("dose", [1.0, 4.0])
def test_panels_and_numbers_follow_the_sliders(dose):
    shown = phantom.explore_sweep()
    assert shown.state == {"alpha": 0.7, "iterations": 200, "dose": 1.0}
    shown.move(alpha=0.95, iterations=50, dose=dose)
    assert shown.picture["error"] == ""
    swept = sweep(dose)
    for name, image in (
        ("Au_hebt", swept.hebt[2, 1, 0]),
        ("Ag_eds", swept.eds[1, 1]),
        ("Ag_truth", swept.truth[1]),
    ):
        assert shown.picture["frames"][name] == quantize(image, (0.0, 1.3))[0].tobytes()
    assert shown.picture["readouts"]["Ag_hebt_mse"] == f"{swept.hebt_mse[2, 1, 1]:.4f}"
    assert shown.picture["readouts"]["Au_eds_mse"] == f"{swept.eds_mse[1, 0]:.4f}"
    lines = shown.picture["curves"]["by_weight"]
    np.testing.assert_allclose(lines[0][0], swept.hebt_mse[:, 1, 0], rtol=1e-4)
    np.testing.assert_allclose(lines[3][0], swept.eds_mse[1, 1], rtol=1e-4)
    assert f"weight 0.95, and EDS alone, after 50 iterations at dose {dose:g}" in shown.describe()


def test_the_first_look_opens_on_each_methods_best_stop():
    shown = phantom.first_look()
    assert shown.state == {"dose": 1.0, "stop": 0}
    swept = sweep(1.0)
    best = swept.eds_mse[:, 0].argmin(), swept.hebt_mse[1, :, 1].argmin()
    frames, readouts = shown.picture["frames"], shown.picture["readouts"]
    assert frames["Au_eds"] == quantize(swept.eds[best[0], 0], (0.0, 1.3))[0].tobytes()
    assert frames["Ag_hebt"] == quantize(swept.hebt[1, best[1], 1], (0.0, 1.3))[0].tobytes()
    assert frames["Ag_truth"] == quantize(swept.truth[1], (0.0, 1.3))[0].tobytes()
    assert readouts["Au_eds_mse"] == f"{swept.eds_mse[:, 0].min():.4f}"
    assert readouts["Au_eds_after"] == str((5, 50, 200)[best[0]])
    assert "each at its best" in shown.describe()


def test_the_first_look_is_the_sweep_at_the_papers_weight():
    shown = phantom.first_look()
    shown.move(dose=4.0, stop=5)
    swept = sweep(4.0)
    expected = quantize(swept.hebt[1, 0, 1], (0.0, 1.3))[0].tobytes()
    assert shown.picture["frames"]["Ag_hebt"] == expected
    assert shown.picture["readouts"]["Au_eds_mse"] == f"{swept.eds_mse[0, 0]:.4f}"


def test_the_first_sentence_says_what_the_first_look_shows(monkeypatch):
    swept = sweep(1.0)
    gains = swept.eds_mse.min(axis=0) / swept.hebt_mse[1].min(axis=0)
    text = phantom.first_numbers()["first_gain"]
    assert f"{gains[0]:.1f} times (Au) and {gains[1]:.1f} times (Ag)" in text
    other = dataclasses.replace(swept, eds_mse=swept.hebt_mse[1] * [0.5, 2.0])
    monkeypatch.setattr(room, "_sweeps", lambda *_: {1.0: other})
    assert "0.5 times (Au) and 2.0 times (Ag)" in phantom.first_numbers()["first_gain"]
    assert "depends on the element" in phantom.first_numbers()["first_gain"]


def test_moving_a_slider_changes_the_pictures_that_depend_on_it():
    shown = phantom.explore_sweep()
    before = dict(shown.picture["frames"])
    shown.move(alpha=0.1)
    after = shown.picture["frames"]
    assert after["Au_hebt"] != before["Au_hebt"]
    assert after["Au_eds"] == before["Au_eds"]
    shown.move(iterations=5)
    assert shown.picture["frames"]["Au_eds"] != before["Au_eds"]
    assert shown.picture["frames"]["Ag_truth"] == before["Ag_truth"]


@pytest.mark.parametrize(
    ("explorer", "budget"), [(phantom.explore_sweep, 8e6), (phantom.first_look, 1.5e6)]
)
def test_a_page_with_all_of_the_papers_values_stays_small(explorer, budget, monkeypatch):
    """The whole grid of paper fidelity, at the quick frame's size: frames have the same pixels."""
    values = phantom.ALPHAS, phantom.ITERATIONS, (0.25, 1.0, 4.0, 16.0)
    rng = np.random.default_rng(0)
    truth = sweep(1.0).truth

    def noisy(alphas, iterations, dose):
        # as hard to compress as a reconstruction, without the time that one takes
        def frames(*shape):
            grain = rng.normal(0, 0.3, (*shape, *truth.shape)) * (truth + 0.1)
            return np.maximum(truth + grain, 0).astype(np.float32)

        shape = len(alphas), len(iterations)
        return phantom.PhantomSweep(
            settings=None,
            elements=("Au", "Ag"),
            alphas=alphas,
            iterations=iterations,
            truth=truth,
            hebt=frames(*shape),
            eds=frames(shape[1]),
            hebt_mse=np.ones((*shape, 2)),
            eds_mse=np.ones((shape[1], 2)),
        )

    @functools.cache
    def sweeps(alphas, iterations, doses):
        return {dose: noisy(alphas, iterations, dose) for dose in doses}

    monkeypatch.setattr(room, "_sweeps", sweeps)
    monkeypatch.setattr(room, "_values", lambda: values)
    monkeypatch.delenv("HEBT_STATIC_FILES", raising=False)
    assert len(explorer().html()) < budget
