"""Figures, tables and explorers from spectra to element maps show what the processing found."""

import numpy as np
import pytest

from companion import spectra
from companion.spectra.explorers import _top, _walk
from companion.tables import signed
from hebt.explorers.controls import quantize


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        patch.delenv("HEBT_STATIC", raising=False)
        _walk.cache_clear()
        yield
        _walk.cache_clear()


@pytest.fixture(scope="module")
def settings(store):
    return spectra.settings("nonalloy", size=40, angles=np.arange(-60, 61, 30))


@pytest.fixture(scope="module")
def walk(settings):
    return spectra.process(settings)


@pytest.fixture(scope="module")
def study(settings):
    return spectra.study(settings)


@pytest.mark.slow
def test_maps_over_tilt_follow_tilt_and_step(settings, walk):
    shown = spectra.explore_maps(settings)
    shown.move(tilt=30.0, step="as recorded")
    limits = (0, _top(walk.maps[0]))
    expected = quantize(walk.steps.raw_maps[0, 3], limits)[0].tobytes()
    assert shown.picture["frames"]["Au"] == expected
    shown.move(step=spectra.STEPS[-1])
    assert shown.picture["frames"]["Au"] == quantize(walk.maps[0, 3], limits)[0].tobytes()
    assert "30" in shown.describe()


@pytest.mark.slow
def test_components_show_maps_and_errors(study):
    shown = spectra.explore_components(study)
    shown.move(count=2, channels="Cu as well")
    place = study.components.index(2)
    error = 100 * study.errors["copper"][place, 1]
    assert shown.picture["readouts"]["Ag_error"] == f"{error:.1f}"
    lines = shown.picture["curves"]["errors"]
    np.testing.assert_allclose(lines[0][0], 100 * study.smoothed_errors["copper"][:, 0], rtol=1e-4)


def test_the_energy_window_counts_what_lies_in_it(study):
    shown = spectra.explore_energy_window(study)
    shown.move(energy=3.0)
    near = np.abs(study.energies - 3.0) < 0.0501
    assert shown.picture["readouts"]["counts"] == f"{study.spectrum[near].sum():,.0f}"


@pytest.mark.slow
def test_every_figure_is_drawn(settings, walk, study):
    recording = spectra.acquire(settings)
    for figure, count in (
        (spectra.plot_recorded(recording, walk, 0), 3),
        (spectra.plot_damping(walk), 2),
        (spectra.plot_alignment(walk), 2),
        (spectra.plot_scree(study), 2),
        (spectra.plot_component_errors(study), 2),
        (spectra.plot_response(walk), 1),
        (spectra.figure3(walk, tilts=(-60.0,)), 4),
    ):
        titled = [ax for ax in figure.axes if ax.get_title(loc="left")]
        assert len(titled) == count
    spectrum = spectra.figure2(study).axes[0].lines[0]
    shown = study.energies < 13
    np.testing.assert_allclose(spectrum.get_ydata(), study.spectrum[shown] / 1e3)


def test_tables_and_numbers_hold_what_was_found(walk, study):
    table = spectra.ratio_table(walk)
    assert table.rows[0][2:5] == (
        "5.31e+04",
        f"{walk.true_ratios[0]:.3e}",
        signed(100 * (walk.plain.ratios[0] / walk.true_ratios[0] - 1)),
    )
    errors = spectra.step_errors(walk)
    assert spectra.step_table(walk).rows[-1][1] == f"{100 * errors['aligned'][0]:.1f} %"
    assert len(spectra.alignment_table(walk).rows) == 4
    assert "2.055 to 2.275" in str(spectra.window_table())
    assert spectra.blocks_table(walk).rows[-1][-1] == "taken"
    assert len(spectra.copper_table(study).rows) == 4
    numbers = spectra.numbers(walk, study=study, alloy_study=study)
    assert numbers["nonalloy_r_squared"] == f"{walk.plain.r_squared:.3f}"
    assert numbers["true_saturation"] == "2"
