"""The simulated nanoparticles: what is recorded, and what each step makes of it."""

import dataclasses

import numpy as np
import pytest

import hebt
from companion import spectra
from companion.spectra import processing
from hebt import io, prepare, simulate
from hebt._hyperspy import hyperspy

SMALL = {"size": 24, "angles": range(-40, 41, 20)}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """The fidelity and the store of the book that the tests build: both compute this once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


@pytest.fixture(scope="module", params=spectra.PARTICLES)
def walk(request, quick):
    settings = spectra.settings(request.param)
    series = spectra.process(settings)
    return settings, spectra.acquire(settings), series, series.steps


@pytest.fixture(scope="module")
def study(quick):
    return spectra.study(spectra.settings("nonalloy"))


def rms(left):
    return np.sqrt((left**2).mean(axis=0)).max()


def test_the_papers_settings(monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "paper")
    first, second = map(spectra.settings, spectra.PARTICLES)
    assert (first.size, len(first.angles), first.angles[0], first.angles[-1]) == (300, 31, -75, 75)
    assert (second.size, len(second.angles), second.angles[-1]) == (300, 29, 70)
    assert first.components == 15 and first.width == 12
    assert second.counts < first.counts
    # one microscope for both
    assert first.z == second.z and first.sensitivity == second.sensitivity


@pytest.mark.parametrize(("change", "error"), [({"sise": 3}, TypeError), ({"size": 0}, ValueError)])
def test_wrong_settings_are_refused(change, error):
    with pytest.raises(error, match="sise|size"):
        spectra.settings("alloy", **change)
    with pytest.raises(ValueError, match="particle is 'gold'; expected one of nonalloy, alloy"):
        spectra.settings("gold")


def test_the_dose_is_what_the_settings_say(walk):
    settings, recording, series, steps = walk
    full = recording.response.argmax()
    inside = series.ideal[full] > 0.01 * series.ideal.max()
    shares = spectra.collection_efficiency()
    counts = [m[full][inside].mean() / s for m, s in zip(steps.raw_maps, shares, strict=True)]
    expected = settings.counts * settings.binning**2
    assert np.mean(counts) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("particle", spectra.PARTICLES)
def test_recordings_are_seeded(particle):
    recording, again = (spectra.acquire(spectra.settings(particle, **SMALL)) for _ in range(2))
    np.testing.assert_array_equal(again.haadf, recording.haadf)
    assert (again.spectra[3] != recording.spectra[3]).nnz == 0
    other = spectra.acquire(spectra.settings(particle, seed=1, **SMALL))
    assert (other.spectra[3] != recording.spectra[3]).nnz > 100
    assert np.abs(other.drift - recording.drift).max() > 0.05


def test_damping_is_found_and_undone(walk):
    settings, _, series, steps = walk
    assert steps.damping.saturation == pytest.approx(settings.saturation, rel=0.15)
    aligned = prepare.apply_shifts(steps.recorded, steps.refined)
    error = [np.linalg.norm(images - series.ideal) for images in (aligned, series.haadf)]
    assert error[1] < 0.5 * error[0]
    assert error[1] < 0.03 * np.linalg.norm(series.ideal)


def test_alignment_reaches_the_known_drift(walk):
    _, recording, series, steps = walk
    for shifts, drift, limit in (
        (steps.correlated, recording.drift, 0.1),
        (steps.refined, recording.drift, 0.02),
        (steps.map_shifts, recording.spectrum_drift, 0.05),
    ):
        before = rms(prepare.alignment_error(0 * shifts, drift, series.angles))
        after = rms(prepare.alignment_error(shifts, drift, series.angles))
        assert after < min(limit, before / 1.5)
    further = steps.map_shifts - steps.refined + recording.spectrum_drift - recording.drift
    np.testing.assert_allclose(rms(further / steps.map_errors), 1, atol=0.3)


def test_the_shadow_of_the_holder_is_found(walk):
    _, recording, _, steps = walk
    assert np.ptp(steps.true_response) > 0.4
    np.testing.assert_allclose(steps.response, steps.true_response, atol=0.012)


def test_every_step_brings_the_maps_nearer_to_the_truth(walk):
    _, _, series, _ = walk
    errors = np.array(list(spectra.step_errors(series).values()))
    assert (np.diff(errors, axis=0) < 0).all()
    assert (errors[-1] < 0.1).all()


def test_response_ratios_are_the_true_ones_within_their_errors(walk):
    _, _, series, _ = walk
    fit = series.fit
    assert (fit.standard_errors < 0.05 * fit.ratios).all()
    # and what the estimated damping leaves
    wrong = np.abs(fit.ratios - series.true_ratios)
    assert (wrong < 2 * fit.standard_errors + 0.003 * series.true_ratios).all()
    assert fit.variance == "halves" and series.plain.variance is None
    # the true ratios are those of images without noise
    ideal = hebt.response_ratios(series.ideal, series.ideal_maps)
    np.testing.assert_allclose(ideal.ratios, series.true_ratios, rtol=1e-4)


@pytest.mark.parametrize(("which", "size", "step"), [("alloy", 100, 5), ("nonalloy", 80, 10)])
def test_few_counts_lose_no_composition(which, size, step):
    """At a tenth of the paper's counts; with single pixels, Ag's map of the alloy is mostly Au."""
    angles = range(-70, 71, step)
    series = spectra.process(spectra.settings(which, size=size, angles=angles, counts=0.4, sigma=4))
    assert series.mixing.worst < 0.05 and series.steps.true_mixing.worst < 0.05
    # the share of Au in the counts, where there are many and where there are few
    ideal = series.ideal_maps
    true = ideal[0] / ideal.sum(axis=0).clip(1e-9)
    inside = series.ideal > 0.2 * series.ideal.max()
    for low, high in ((0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)):
        limits = np.quantile(true[inside], (low, high))
        here = inside & (true >= limits[0]) & (true <= limits[1])
        found = series.maps[:, here].sum(axis=1, dtype=float)
        expected = ideal[:, here].sum(axis=1, dtype=float)
        assert found[0] / found.sum() == pytest.approx(expected[0] / expected.sum(), abs=0.03)


def test_the_chain_says_that_it_cannot_keep_elements_apart():
    few = spectra.settings("alloy", size=60, angles=range(-70, 71, 20), counts=0.4, sigma=4)
    with pytest.warns(UserWarning, match="mix elements by .* too few counts"):
        processing.process_acquisition(spectra.acquire(few))


def test_copper_mixes_the_alloy_unless_components_are_scaled():
    found = spectra.study(spectra.settings("alloy", size=60, counts=2.2, sigma=0.5)).mixing
    assert found["unscaled"].worst > 0.2
    assert max(found[name].worst for name in ("peaks", "copper", "plain")) < 0.05


def test_the_variance_of_the_maps_is_that_of_repeated_recordings():
    like = {"size": 40, "angles": [-30, 0, 30], "drift": 0}
    series = [spectra.process(spectra.settings("nonalloy", seed=s, **like)) for s in range(12)]
    inside = series[0].ideal > 0.3 * series[0].ideal.max()
    for e in range(2):
        maps = np.stack([s.maps[e][inside] for s in series])
        variance = np.mean([s.variance[e][inside] for s in series], axis=0)
        assert (maps.var(axis=0, ddof=1) / variance).mean() == pytest.approx(1, abs=0.1)


def test_ideal_images_are_projections_of_the_truth(walk):
    settings, _, series, _ = walk
    W = hebt.Projector(series.angles[::5], settings.size)
    density = spectra.truth(settings)
    expected = simulate.haadf_tilt_series(W, density, series.z)
    np.testing.assert_allclose(series.ideal[::5], expected, atol=1e-4 * expected.max())


def test_another_seed_is_another_series_of_the_same_particle():
    first, second = (spectra.process(spectra.settings("alloy", seed=s, **SMALL)) for s in (0, 1))
    np.testing.assert_array_equal(first.ideal, second.ideal)
    assert np.abs(first.maps - second.maps).max() > 1


def test_signals_carry_units_and_come_back(walk):
    _, _, series, _ = walk
    signals = spectra.step_signals(series)
    back = io.from_signal(signals["maps, aligned"])
    assert back.pixel_size == pytest.approx(series.voxel_size) and back.elements == ("Au", "Ag")
    np.testing.assert_array_equal(back.data, series.maps)
    np.testing.assert_allclose(io.from_signal(signals["HAADF, aligned"]).angles, series.angles)


def test_copper_takes_the_first_component(study):
    energies = study.found["copper"].energies
    copper = (energies > 7.9) & (energies < 8.2)
    for name in ("copper", "unscaled"):
        first = np.abs(study.found[name].factors[0])
        assert copper[first.argmax()]
    assert study.spectrum[804] > 3 * study.spectrum[212]  # Cu K alpha against Au M alpha
    two = study.components.index(2)
    assert study.smoothed_errors["copper"][two, 1] > 2 * study.smoothed_errors["peaks"][two, 1]


def test_components_denoise(study):
    kept = study.components.index(study.settings.components)
    assert (study.errors["peaks"][kept] < study.raw_errors).all()
    one = study.components.index(1)
    assert (study.errors["peaks"][one] > 3 * study.errors["peaks"][kept]).all()


def test_the_whole_spectrum_agrees_with_the_series(study):
    recording = spectra.acquire(study.settings)
    tilt = list(recording.angles).index(study.angle)
    np.testing.assert_array_equal(
        study.spectrum[study.kept], recording.spectrum_image(tilt).sum(axis=(0, 1))
    )


def test_each_step_can_be_saved_and_taken_up_again(walk, tmp_path):
    _, _, series, _ = walk
    signals = spectra.step_signals(series)
    assert len(signals) == 8
    for name in ("HAADF, undamped", "maps, denoised", "maps, aligned"):
        path = tmp_path / f"{name}.hspy"
        signals[name].save(path)
        back = io.from_signal(hyperspy().load(path))
        assert np.array_equal(back.data, signals[name].data)
        assert back.pixel_size == pytest.approx(series.voxel_size)
        assert np.allclose(back.angles, series.angles)
    assert tuple(back.elements) == series.elements
    assert np.array_equal(back.data, series.maps)


def test_recorded_spectra_keep_their_energies(walk, tmp_path):
    _, recording, _, _ = walk
    low, high = recording.spectrum_signals(3)
    low.save(tmp_path / "spectra.hspy")
    low = hyperspy().load(tmp_path / "spectra.hspy")
    assert low.metadata.Signal.signal_type == "EDS_TEM"
    axis = low.axes_manager["Energy"]
    assert axis.units == "keV" and axis.scale == pytest.approx(simulate.CHANNEL)
    both = np.concatenate([s.axes_manager["Energy"].axis for s in (low, high)])
    assert np.allclose(both, recording.energies)
    assert np.array_equal(
        np.concatenate([low.data, high.data], axis=-1), recording.spectrum_image(3)
    )
    assert low.axes_manager["across"].units == "nm"
    assert low.axes_manager["across"].scale == pytest.approx(recording.voxel_size)


@pytest.mark.parametrize("background", [0.0, 0.002])
def test_no_element_counts_in_the_map_of_the_other(background):
    energies = simulate.energies()
    weights = spectra.map_weights(energies, background)
    shape = background * simulate.bremsstrahlung()
    lines = [simulate.lines_spectrum(e, counted=spectra.LINES[e]) + shape for e in spectra.ELEMENTS]
    found = np.array([[w @ line for line in lines] for w in weights])
    kept = spectra.collection_efficiency(background)
    np.testing.assert_allclose(found, np.diag(kept), atol=1e-12)
    # the windows alone do not do that: Ag Ll is in a background window of Au
    assert spectra.crosstalk_matrix()[0, 1] < -0.01


def test_denoised_spectra_are_those_the_maps_are_made_of(walk):
    settings, recording, _, steps = walk
    signals = recording.spectrum_signals(2, steps.components)
    denoised = np.concatenate([s.data for s in signals], axis=-1)
    maps = denoised @ spectra.map_weights(recording.energies, settings.background).T
    expected = np.moveaxis(steps.denoised[:, 2], 0, -1) + steps.offset
    np.testing.assert_allclose(maps, expected, atol=1e-3 * expected.max())
    stage = signals[0].metadata.Acquisition_instrument.TEM.Stage
    assert stage.tilt_alpha == pytest.approx(recording.angles[2])


@pytest.mark.parametrize(
    "change",
    [
        {"noise": -0.01},
        {"counts": 0},
        {"drift": np.nan},
        {"sigma": np.inf},
        {"seed": 0.2},
        {"z": (1.0,)},
        {"sensitivity": (1.0, 0.0)},
    ],
)
def test_settings_that_no_microscope_has_are_refused(change):
    with pytest.raises((ValueError, TypeError), match=next(iter(change))):
        spectra.settings("nonalloy", **change)
    with pytest.raises((ValueError, TypeError), match=next(iter(change))):
        dataclasses.replace(spectra.settings("nonalloy"), **change)


def test_equal_settings_are_equal_whatever_their_numbers_came_as():
    plain = spectra.settings("alloy", counts=3, angles=[-10, 0, 10], size=np.int64(20))
    other = spectra.settings("alloy", counts=np.float32(3), angles=np.arange(-10, 11, 10), size=20)
    assert plain == other and hash(plain) == hash(other)
    same = spectra.ParticleSettings.paper("alloy", counts=3.0, size=20, angles=(-10.0, 0.0, 10.0))
    assert plain == same
    with pytest.raises(dataclasses.FrozenInstanceError):
        plain.counts = 4.0


def test_the_true_densities_cannot_be_changed_by_mistake(walk):
    with pytest.raises(ValueError, match="read-only"):
        spectra.truth(walk[0])[:] = 0
