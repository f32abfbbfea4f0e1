"""The studies of both particles, small, and those of the noise, of the rim and of the stop."""

import dataclasses

import numpy as np
import pytest

import hebt
from companion import paper, particles, spectra
from companion.scores import BEST_IS_LARGE
from hebt import metrics, simulate

SIZE = 40
SMALL = {"size": SIZE, "angles": range(-70, 71, 20)}


@pytest.fixture(scope="module", autouse=True)
def _own_store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


@pytest.fixture(scope="module")
def studies():
    return (
        particles.nonalloy_study(seeds=[0, 1], **SMALL),
        particles.alloy_study(seeds=[0, 1], **SMALL),
    )


def test_a_study_scores_every_pair_at_both_stops(studies):
    study, _ = studies
    for scores in (study.scores[reference] for reference in particles.REFERENCES):
        for name in particles.TABLE_2:
            for element in particles.ELEMENTS:
                for method in particles.METHODS:
                    last = scores.at(name, method, element)
                    best = scores.at(name, method, element, stop="best")
                    assert last.shape == best.shape == (2,)
                    assert np.isfinite(last).all()
                    sign = 1 if name in BEST_IS_LARGE else -1
                    assert sign * best.mean() >= sign * last.mean()
                gain, outcome = scores.gain(name, element), scores.outcome(name, element)
                assert outcome == ("HEBT" if gain.min() > 1 else "EDS" if gain.max() < 1 else "tie")
    assert study.iterations in study.checkpoints and study.iterations == 100


def test_seeds_differ_and_one_seed_repeats_itself(studies):
    study, both = studies
    mse = study.scores["true"].at("mse", "eds", "Ag")
    assert mse[0] != mse[1] and abs(mse[0] / mse[1] - 1) < 0.3
    alone = particles.alloy_study(seeds=[1], **SMALL)
    assert alone.profile[:, 0] == pytest.approx(both.profile[:, 1], rel=1e-5)
    assert alone.voxel_error[:, 0] == pytest.approx(both.voxel_error[:, 1], rel=1e-5)
    # pictures, which the first seed has more slices for, change no score
    for name, values in both.scores["true"].values.items():
        first = alone.scores["true"].values[name][:, :, 0]
        assert values[:, :, 1] == pytest.approx(first, rel=1e-4, nan_ok=True)


@pytest.mark.slow
def test_the_alloy_is_reconstructed_where_it_is():
    # large enough for slices that are left out at both ends
    study = particles.alloy_study(seeds=[0], size=91, angles=(-50, 0, 50))
    shown = study.views.numbers
    inside = np.flatnonzero(spectra.truth(study.settings[0]).any(axis=(0, 2, 3)))
    assert 0 < shown[0] <= inside[0]
    assert inside[-1] <= shown[-1] < 90
    # the error of a reconstruction of the whole volume, in the slices that are scored
    series = spectra.process(study.settings[0])
    W = hebt.Projector(series.angles, 91)
    x = hebt.sirt(W, np.moveaxis(series.maps, 0, 1), iterations=study.iterations)
    specimen = spectra.specimen(study.settings[0])
    for e, element in enumerate(particles.ELEMENTS):
        true = specimen.density[e] / simulate.DENSITY[element]
        assert study.step == 2
        assert study.scores["true"].at("mse", "eds", element)[0] == pytest.approx(
            metrics.scaled_mse(true[shown[::2]], x[e, shown[::2]], normalise="pixels"), rel=1e-2
        )


@pytest.mark.slow
def test_some_slices_stand_for_all_of_a_large_particle(monkeypatch):
    assert paper.value("nonalloy.size") >= particles.nonalloy.MANY
    # slices are left out of this one too; a coarse series keeps it short
    monkeypatch.setattr("companion.particles.nonalloy.MANY", 100)
    small = {"size": 100, "angles": (-60, 0, 60)}
    study = particles.nonalloy_study(seeds=[0], **small)
    assert (study.step, study.views.step) == (12, 4)
    series = spectra.process(study.settings[0])
    shown = slice(0, 100, 4)
    x = hebt.reconstruct(
        hebt.Projector(series.angles, 100),
        series.haadf[:, shown],
        series.maps[:, :, shown],
        series.fit.ratios,
        0.7,
        study.iterations,
    )
    specimen = spectra.specimen(study.settings[0])
    for e, element in enumerate(particles.ELEMENTS):
        true, scored = specimen.density[e][::12] / simulate.DENSITY[element], x[e, ::3]
        error = metrics.scaled_mse(true, scored, normalise="pixels")
        assert study.scores["true"].at("mse", "hebt", element)[0] == pytest.approx(error, rel=1e-2)
        picture = particles.from_steps(
            study.views.whole[particles.COLUMNS.index(f"{element}_hebt")]
        )
        scale = np.vdot(true, scored) / np.vdot(scored, scored)
        assert picture == pytest.approx(
            np.minimum(x[e][study.views.chosen // 4] * scale, particles.VIEW_LIMIT), abs=0.01
        )


def test_scores_of_some_slices_are_about_those_of_all(studies):
    every, _ = studies
    some = particles.nonalloy_study(seeds=[0, 1], every=2, **SMALL)
    assert (some.step, every.step) == (2, 1)
    for key, profiles in every.profiles.items():
        for one, other in zip(some.profiles[key], profiles, strict=True):
            np.testing.assert_allclose(one.values, other.values, atol=0.02, err_msg=str(key))
    for name, values in every.localized.items():
        np.testing.assert_allclose(some.localized[name]["error"], values["error"], rtol=0.02)
    # the first seed is segmented where it is shown, the other where it is scored
    np.testing.assert_array_equal(some.overlap[:, 0], every.overlap[:, 0])
    np.testing.assert_allclose(some.overlap[:, 1], every.overlap[:, 1], atol=0.02)
    for reference in particles.REFERENCES:
        for name in particles.TABLE_2:
            for method in particles.METHODS:
                for element in particles.ELEMENTS:
                    for stop in ("printed", "best"):
                        a, b = (
                            study.scores[reference].error(name, method, element, stop=stop)
                            for study in (some, every)
                        )
                        np.testing.assert_allclose(a, b, rtol=0.25)


def test_the_volume_mask_clears_the_outside(studies):
    study, _ = studies
    outside = {name: study.localized[name]["outside"] for name in particles.LOCALIZED}
    assert (outside["volume_mask"] < 0.5 * outside["eds"]).all()


def test_pictures_hold_the_particle(studies):
    for study in studies:
        views = study.views
        assert views.slices.shape[0] == len(particles.COLUMNS)
        assert len(views.numbers) == views.slices.shape[1]
        assert views.numbers[-1] < SIZE
        assert views.whole.shape == (5, 3, SIZE, SIZE)
        middle = particles.from_steps(views.slices[:, views.slices.shape[1] // 2])
        assert (middle.max(axis=(1, 2)) > 0.3).all()
        for name, body in views.bodies.items():
            assert len(body) == (1 if name == "haadf" else 2) and len(set(body.shape[1:])) == 1
    assert set(studies[0].views.bodies) == {"eds", "hebt", "segmented"}
    assert set(studies[1].views.bodies) == {"eds", "hebt", "haadf"}
    assert studies[1].outline > 0.9


def test_a_result_is_small_enough_to_keep(studies):
    import pickle

    assert len(pickle.dumps(studies[0])) < 30 * SIZE**3


def test_bad_arguments_are_refused(studies):
    with pytest.raises(ValueError, match="seeds is"):
        particles.nonalloy_study(seeds=3)
    with pytest.raises(ValueError, match="seeds is"):
        particles.alloy_study(seeds=[])
    for study in studies:
        with pytest.raises(ValueError, match="stop is 'never'"):
            study.scores["true"].at("mse", "eds", "Au", stop="never")
    with pytest.raises(TypeError, match="no such setting"):
        particles.nonalloy_study(seeds=[0], color="red")


def test_more_x_rays_bring_both_methods_nearer_to_the_truth():
    """A random half of few counts, all of them, and those of both seeds: less and less error."""
    study = particles.alloy_study(seeds=[0, 1], counts=0.2, **SMALL)
    doses = particles.dose_slices(study)
    assert doses.counts == (0.1, 0.2, 0.4) and doses.own == 0.2
    explorer = particles.explore_doses(study, doses)
    assert explorer.state["counts"] == doses.own
    for element in particles.ELEMENTS:
        errors = []
        for counts in doses.counts:
            explorer.move(element=element, counts=counts)
            said = explorer.picture["readouts"]
            errors.append([float(said[f"{method}_all"]) for method in particles.METHODS])
        assert (np.diff(errors, axis=0) < 0).all(), (element, errors)


def test_where_doses_differ_in_nothing_slices_are_those_of_the_study(studies, monkeypatch):
    """Half of the maps taken for half of the counts, and one recording twice: the same pictures."""
    study, _ = studies
    series = spectra.process(study.settings[0])
    same = dataclasses.replace(series, half=series.maps / 2)
    monkeypatch.setattr("companion.particles.doses.process", lambda settings: same)
    doses = particles.dose_slices.__globals__["_dose_slices"].__wrapped__(
        study.settings, tuple(study.views.numbers), study.iterations
    )
    stored = dict(zip(particles.COLUMNS, study.views.slices, strict=True))
    for pictures in doses.pictures.values():
        for m, name in enumerate(particles.METHODS):
            for e, element in enumerate(particles.ELEMENTS):
                # a step of 255: the scale is that of all slices, not of those with the particle
                apart = pictures[m, e].astype(int) - stored[f"{element}_{name}"]
                assert np.abs(apart).max() <= 1


@pytest.fixture(scope="module")
def grid():
    return particles.noise_grid(sigmas=(4.0, 20.0), counts=(4, 0.25), size=60)


def test_few_counts_cost_eds_alone_more_than_hebt(grid):
    assert grid.counts == (0.25, 4.0) and grid.sigmas == (4.0, 20.0)
    # with the counts, and with the width of the kernel
    assert (np.diff(grid.r_squared[0]) > 0).all()
    for element in particles.ELEMENTS:
        few, many = (grid.scores[4.0, c].at("mse", "eds", element)[0] for c in grid.counts)
        assert few > 2 * many
        low, high = grid.gain(element)[0]
        assert low > max(high, 1)


def test_the_grids_error_is_that_of_the_reconstruction(grid):
    settings = spectra.settings("nonalloy", sigma=20, counts=4)
    size, series = settings.size, spectra.process(settings)
    band = slice(size // 2 - 2, size // 2 + 2, 2)
    W = hebt.Projector(series.angles, size)
    data = series.haadf[:, band], series.maps[:, :, band]
    x = hebt.reconstruct(W, *data, series.fit.ratios, 0.7, grid.iterations)
    true = spectra.truth(settings)[:, band]
    scores = grid.scores[20.0, 4.0]
    assert grid.r_squared[1, 1] == pytest.approx(series.plain.r_squared, abs=1e-6)
    for e, element in enumerate(particles.ELEMENTS):
        error = ((true[e] - np.vdot(true[e], x[e]) / np.vdot(x[e], x[e]) * x[e]) ** 2).sum()
        found = scores.at("mse", "hebt", element)[0]
        assert found == pytest.approx(error / (true[e] ** 2).sum(), rel=1e-3)


def test_the_rim_is_that_of_neighboring_slices():
    study = particles.rim_study(readings=("b",), **SMALL)
    settings = spectra.settings("nonalloy", reading="b", **SMALL)
    series = spectra.process(settings)
    W = hebt.Projector(series.angles, SIZE)
    band, taps = slice(16, 24), hebt.prepare.smoothing_kernel(2, 4 / settings.binning)
    data = series.haadf[:, band], series.maps[:, :, band], series.fit.ratios
    truth = particles.Truth(spectra.specimen(settings))
    part = truth.part(slice(17, 23))
    for blurred in (False, True):
        x = hebt.reconstruct(W, *data, 0.7, 100, blur=taps if blurred else None)[:, 1:-1]
        silver = (x * part.scale(x))[1]
        profile = particles.Surfaces(truth).profile(silver, "interface", part.numbers)
        width, _ = study.at(("b", "hebt", blurred), 100)
        assert width == pytest.approx(profile.width, rel=1e-4)
    assert study.slices == 6 and study.printed == 100


# so few counts that most best stops lie within the run
NOISY = {"size": 60, "angles": range(-70, 71, 10), "counts": 1.0}


@pytest.fixture(scope="module")
def stopping():
    return particles.stopping_study(**NOISY)


def test_what_is_fitted_brings_the_stop_near_the_best(stopping):
    assert set(stopping.errors) == {(p, m) for p in spectra.PARTICLES for m in particles.METHODS}
    for key, errors in stopping.errors.items():
        assert errors.argmin() + 1 == stopping.best(key)
        assert len(errors) == min(200, np.ceil(1.5 * stopping.best(key)))
        assert stopping.loss(key, "fitted") < 1.3
        assert stopping.loss(key, "fitted") - 1 < 0.5 * (stopping.loss(key, "variance") - 1)
        assert stopping.stops[*key, "variance"] < stopping.stops[*key, "fitted"] <= 200


def test_a_run_ends_where_the_study_says(stopping):
    settings = spectra.settings("alloy", **NOISY)
    series, band = spectra.process(settings), slice(27, 33)
    maps, ratios, half = series.maps[:, :, band], series.fit.ratios, series.half[:, :, band]
    assert series.half.shape == series.maps.shape and series.half.dtype == np.float32
    data = hebt.Projector(series.angles, 60), series.haadf[:, band], maps, ratios
    noise = hebt.poisson_noise(maps, ratios, variance=series.variance[:, :, band])
    fitted, history = hebt.fitted_noise(*data, half=half, alpha=0.7), hebt.History()
    stop = hebt.Discrepancy(noise, fitted=fitted)
    x = hebt.reconstruct(*data, 0.7, 200, stop=stop, history=history)
    key = "alloy", "hebt"
    assert history.iterations == stopping.stops[*key, "fitted"] and history.stopped_by is stop
    errors = [
        1 - np.vdot(true, now) ** 2 / np.vdot(true, true) / np.vdot(now, now)
        for true, now in zip(spectra.truth(settings)[:, band].astype(float), x.astype(float))
    ]
    at = stopping.errors[key][history.iterations - 1]
    assert np.mean(errors) == pytest.approx(at, rel=1e-3)


def test_half_of_the_counts_make_half_of_the_maps():
    series = spectra.process(spectra.settings("alloy", **NOISY))
    # what the halves differ by is noise of the variance that is carried along
    noise = 2 * series.half - series.maps
    for one, map_, variance in zip(noise, series.maps, series.variance, strict=True):
        assert abs(one.sum() / map_.sum()) < 0.01
        assert (one**2).sum() / variance.sum() == pytest.approx(1, abs=0.1)
