"""The phantom's experiments: settings, batches that equal single runs, what results must obey."""

import dataclasses
import importlib

import numpy as np
import pytest

import hebt
from companion import phantom
from hebt import prepare, simulate

SMALL = {"size": 64, "iterations": 24, "seeds": (0, 5)}


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


@pytest.fixture(scope="module")
def study(store):
    return phantom.study(**SMALL)


@pytest.fixture(scope="module")
def data(store):
    return phantom.data(phantom.PhantomSettings.paper(**SMALL))


def test_paper_fidelity_has_the_printed_settings(monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "paper")
    s = phantom.PhantomSettings.paper()
    assert (s.size, len(s.angles), s.angles[0], s.angles[-1]) == (512, 31, -75.0, 75.0)
    assert set(np.diff(s.angles)) == {5.0}
    assert (s.z, s.zeta) == ((791.5, 471.5), (0.0188, 0.024))
    assert (s.width, s.alpha, s.iterations, s.dose) == (8, 0.7, 200, 1.0)
    assert s.centered
    assert len(set(s.seeds)) == len(s.seeds) >= 10
    np.testing.assert_allclose(s.true_ratios, [791.5 / 0.0188, 471.5 / 0.024])


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(TypeError, match="color: no such setting"):
        phantom.PhantomSettings.paper(color=3)
    with pytest.raises(TypeError, match="list of seeds"):
        phantom.PhantomSettings.paper(seeds=3)
    with pytest.raises(ValueError, match="seeds is empty"):
        phantom.PhantomSettings.paper(seeds=[])
    with pytest.raises(ValueError, match="iterations"):
        phantom.PhantomSettings.paper(iterations=0)


def test_a_smaller_frame_gets_the_same_dose():
    """The counts of a whole projection do not depend on how many pixels it has."""
    totals = []
    for size in (64, 128):
        s = phantom.PhantomSettings.paper(size=size, seeds=range(6), width=0)
        counts = phantom.data(s).counts
        totals.append(counts.sum(axis=(1, 3), dtype=float).mean(axis=1))
    np.testing.assert_allclose(totals[0], totals[1], rtol=0.02)


def test_the_data_are_the_steps_of_section_3_1(data):
    s = data.settings
    area = (512 / 64) ** 2
    specimen = simulate.phantom(64)
    W = hebt.Projector(np.array(s.angles), 64)
    counts = simulate.eds_tilt_series(W, specimen.density, area * np.array(s.zeta), seed=5)
    np.testing.assert_array_equal(data.counts[:, :, 1], counts)
    np.testing.assert_array_equal(data.maps[:, :, 1], prepare.smooth(counts, width=1, sigma=0.5))
    expected = W.forward(s.z[0] * specimen.density[0] + s.z[1] * specimen.density[1]) * area
    np.testing.assert_allclose(data.haadf, expected, rtol=1e-5, atol=1)


def test_noise_free_maps_give_back_the_true_ratios(data):
    s = data.settings
    mean = simulate.mean_counts(data.W, data.density, s.binning**2 * np.array(s.zeta))
    clean = dataclasses.replace(data, maps=mean[:, :, None])
    fit = phantom.estimate_ratios(clean, 0)
    np.testing.assert_allclose(fit.ratios, s.true_ratios, rtol=1e-4)
    assert fit.r_squared == pytest.approx(1, abs=1e-6)


def test_selecting_pixels_by_their_maps_selects_them(data):
    plain = phantom.estimate_ratios(data, 0)
    both = phantom.estimate_ratios(data, 0, both=True)
    chosen = (data.haadf > 0) & (data.maps[:, :, 0] > 0).all(axis=0)
    maps = data.maps[:, :, 0][:, chosen]
    by_hand = hebt.response_ratios(data.haadf[chosen][:, None], maps[..., None], variance=None)
    np.testing.assert_allclose(both.ratios, by_hand.ratios, rtol=1e-6)
    assert both.pixels == chosen.sum() < plain.pixels


def test_the_batch_of_all_seeds_and_methods_equals_single_runs(study, data):
    """One plain call for the second seed gives the study's scores of that seed."""
    s = data.settings
    maps = data.maps[:, :, 1]
    fit = hebt.response_ratios(data.haadf, maps, variance=None)
    np.testing.assert_allclose(study.ratios[1], fit.ratios, rtol=1e-6)
    assert study.r_squared[1] == pytest.approx(fit.r_squared)
    results = {
        "hebt_est": hebt.reconstruct(data.W, data.haadf, maps, fit.ratios, 0.7, 24),
        "hebt_gt": hebt.reconstruct(data.W, data.haadf, maps, s.true_ratios, 0.7, 24),
        "eds": np.stack([hebt.sirt(data.W, m, 24) for m in maps]),
    }
    for method, x in results.items():
        for e, element in enumerate(study.elements):
            for name, function in phantom.SCORES.items():
                value = function(data.density[e], x[e]) * (s.binning**2 if name == "dp" else 1)
                # a pixel on the threshold may fall to either side
                tolerance = {"rel": 0.02} if name == "dp" else {"rel": 1e-3}
                assert study.scores.at(name, method, element)[1] == pytest.approx(
                    value, **tolerance
                )


def test_pictures_are_densities_of_the_first_seed(study, data):
    s = data.settings
    fit = hebt.response_ratios(data.haadf, data.maps[:, :, 0], variance=None)
    x = hebt.reconstruct(data.W, data.haadf, data.maps[:, :, 0], fit.ratios, 0.7, 24)
    density = hebt.density(x, fit.ratios, eds_response=s.binning**2 * np.array(s.zeta))
    np.testing.assert_allclose(study.images[0], density, atol=1e-3)
    eds = np.stack([hebt.sirt(data.W, m, 24) for m in data.maps[:, :, 0]])
    counts = s.binning**2 * np.array(s.zeta)
    np.testing.assert_allclose(study.images[2], eds / counts[:, None, None], atol=1e-3)


def test_the_best_stop_is_the_best_of_all_checkpoints(study):
    assert list(study.scores.iterations[:4]) == [1, 2, 3, 4]
    assert study.scores.iterations[-1] == 24
    for method in phantom.METHODS:
        for element in study.elements:
            for name in phantom.TABLE_1:
                best = study.scores.error(name, method, element, stop="best").mean()
                assert best <= study.scores.error(name, method, element).mean()
                every = study.scores.values[name][
                    phantom.METHODS.index(method), study.elements.index(element)
                ].mean(axis=0)
                at = list(study.scores.iterations).index(
                    study.scores.best_iteration(name, method, element)
                )
                assert every[at] == (every.max() if name == "ssim" else every.min())
    m, e = 2, 1
    reference = simulate.phantom(64).density[e]
    shown = phantom.SCORES["mse"](reference, study.best_images[m, e])
    assert shown == pytest.approx(study.scores.values["mse"][m, e, 0].min(), rel=1e-3)


def test_residuals_are_relative_and_fall_at_first(study):
    assert study.residuals.shape == (3, 24)
    assert ((study.residuals > 0) & (study.residuals < 1)).all()
    assert (np.diff(study.residuals[0, :8]) < 0).all()


def test_the_two_normalizations_of_the_mse_differ_by_the_reference(study):
    for e, density in enumerate(simulate.phantom(64).density):
        quotient = (
            study.scores.values["mse"][:, e, :, -1]
            / study.scores.values["mse_reference"][:, e, :, -1]
        )
        np.testing.assert_allclose(quotient, density.mean(), rtol=1e-5)


def test_claims_follow_the_scores_and_flip_with_them(study):
    assert set(study.pairs_won()) <= {(n, e) for n in phantom.TABLE_1 for e in study.elements}
    values = {name: values[[2, 1, 0]] for name, values in study.scores.values.items()}
    swapped = dataclasses.replace(study, scores=dataclasses.replace(study.scores, values=values))
    for name in phantom.TABLE_1:
        for element in study.elements:
            np.testing.assert_allclose(
                swapped.scores.gain(name, element), 1 / study.scores.gain(name, element), rtol=1e-12
            )
    assert not set(study.pairs_won()) & set(swapped.pairs_won())
    # one seed against it is enough to lose a pair
    scores = {name: values.copy() for name, values in study.scores.values.items()}
    scores["mse"][0, 0, 1] = 9.0
    worse = dataclasses.replace(study, scores=dataclasses.replace(study.scores, values=scores))
    assert ("mse", "Au") not in worse.pairs_won()


def test_hebt_beats_eds_alone_at_quick_fidelity():
    study = phantom.study(size=64, seeds=(0, 1))
    assert len(study.pairs_won()) == 6
    assert study.error_correlation("hebt_est") < study.error_correlation("eds") - 0.1


def test_each_of_two_methods_has_a_stop_of_its_own(study):
    options = {"stop": "printed", "eds_stop": "best"}
    gain = study.scores.gain("dp", "Au", **options)
    best = study.scores.at("dp", "eds", "Au", stop="best")
    np.testing.assert_allclose(gain, best / study.scores.at("dp", "hebt_est", "Au"))
    won, lost = (set(study.pairs_won(by=by, **options)) for by in ("HEBT", "EDS"))
    for name in phantom.TABLE_1:
        for element in study.elements:
            gains = study.scores.gain(name, element, **options)
            assert ((name, element) in won) == (gains > 1).all()
            assert ((name, element) in lost) == (gains < 1).all()


def test_unknown_stops_are_refused(study):
    with pytest.raises(ValueError, match="printed"):
        study.scores.at("mse", "eds", "Au", stop="last")


def test_equal_settings_are_computed_once(study, monkeypatch):
    module = importlib.import_module("companion.phantom.study")
    monkeypatch.setattr(module, "simulate_phantom", lambda *_: pytest.fail("computed again"))
    again = phantom.study(size=np.int64(64), iterations=24, seeds=np.array([0, 5]))
    np.testing.assert_array_equal(again.scores.values["dp"], study.scores.values["dp"])


def test_right_ratios_stand_in_the_middle_of_the_stability_grid(data):
    result = phantom.stability(errors=(-20, 0, 20), **SMALL)
    assert result.mse.shape == (3, 3, 2, 2)
    s = data.settings
    maps = data.maps[:, :, 0]
    for place, factors in (((1, 1), (1, 1)), ((0, 2), (0.8, 1.2))):
        x = hebt.reconstruct(data.W, data.haadf, maps, s.true_ratios * factors, 0.7, 24)
        for e in range(2):
            value = phantom.SCORES["mse"](data.density[e], x[e])
            assert result.mse[(*place, e, 0)] == pytest.approx(value, rel=1e-3)
    np.testing.assert_allclose(result.relative()[1, 1], 1)
    np.testing.assert_allclose(result.paper_errors, [-10.66, 17.48])
    x = hebt.reconstruct(data.W, data.haadf, maps, s.true_ratios * [0.8934, 1.1748], 0.7, 24)
    assert result.paper_mse[0, 0] == pytest.approx(
        phantom.SCORES["mse"](data.density[0], x[0]), rel=1e-3
    )
    assert (result.worst() >= result.right()).all()


def test_wrong_ratios_are_judged_against_the_best_that_eds_alone_can_do():
    noisy = SMALL | {"dose": 0.01}
    data, study = phantom.data(phantom.PhantomSettings.paper(**noisy)), phantom.study(**noisy)
    result = phantom.stability(errors=(-20, 0, 20), **noisy)
    stop = study.scores.best_iteration("mse", "eds", "Ag")
    assert stop < 24
    eds = hebt.sirt(data.W, data.maps[1, :, 0], stop)
    best = phantom.SCORES["mse"](data.density[1], eds)
    assert result.eds_mse[1, 0] == pytest.approx(best, rel=1e-3)
    # HEBT at its best: no checkpoint is better in the mean over the seeds
    s = data.settings
    ratios = np.repeat(s.true_ratios[:, None] * np.array([[0.8], [1.2]]), 2, axis=1)
    found = []
    hebt.reconstruct(
        data.W,
        data.haadf_of_seeds,
        data.maps,
        ratios,
        alpha=0.7,
        iterations=24,
        callback=lambda i, x, _: found.append(
            [phantom.SCORES["mse"](data.density[1], np.array(x[1, k])) for k in range(2)]
        ),
    )
    at = min(study.scores.iterations, key=lambda i: np.mean(found[i - 1]))
    np.testing.assert_allclose(result.best_mse[0, 2, 1], found[at - 1], rtol=1e-3)
    assert (result.best_mse.mean(axis=-1) <= result.mse.mean(axis=-1)).all()
    assert result.worst("best")[1] == pytest.approx(
        (result.best_mse / result.eds_mse)[:, :, 1].max()
    )
    assert result.right()[1] == pytest.approx((result.mse / result.eds_mse)[1, 1, 1].max())


def test_pixels_of_any_finer_grid_cast_the_shadow_of_the_pixels_that_they_fill(data):
    """The weights are areas: a picture that is only drawn finer is the same picture."""
    own = dataclasses.replace(data.settings, width=0)
    for factor in (2, 4):
        drawn = np.repeat(np.repeat(data.density, factor, axis=1), factor, axis=2)
        finer = phantom.from_finer_grid(dataclasses.replace(data, settings=own), drawn)
        np.testing.assert_allclose(finer.haadf, data.haadf, rtol=1e-4, atol=1e-4 * data.haadf.max())
        # the same numbers of counts to be expected, so that the same seeds give about the same
        assert finer.counts.shape == data.counts.shape
        assert finer.counts.sum() == pytest.approx(data.counts.sum(), rel=0.01)
        np.testing.assert_array_equal(finer.maps, finer.counts)


def test_the_sinogram_of_the_finer_grid_and_the_pages_own_meet_as_pixels_shrink():
    """A pixel at an edge goes wholly to one element: less than a pixel along the edges is wrong."""
    for size in (32, 64, 128, 256):
        own = phantom.data(phantom.PhantomSettings.paper(size=size, seeds=(0,)))
        finer = phantom.from_finer_grid(own, simulate.phantom(4 * size).density)
        difference = np.linalg.norm(finer.haadf - own.haadf) / np.linalg.norm(own.haadf)
        edge = 2 / (370 / 512 * size)  # a pixel at both ends of a beam across the particle
        assert difference < edge
    assert difference < 0.01


def test_data_of_a_finer_grid_are_reconstructed_as_the_others(study, data):
    result = phantom.finer_grid(**SMALL)
    assert result.finer_gain.shape == result.own_gain.shape == (2, 2)
    finer = phantom.from_finer_grid(data, simulate.phantom(256).density)
    maps = finer.maps[:, :, 1]
    fit = hebt.response_ratios(finer.haadf, maps, variance=None)
    x = hebt.reconstruct(data.W, finer.haadf, maps, fit.ratios, 0.7, 24)
    eds = hebt.sirt(data.W, np.moveaxis(maps, 0, 1), 24)
    for e, element in enumerate(study.elements):
        hebt_mse, eds_mse = (phantom.SCORES["mse"](data.density[e], v[e]) for v in (x, eds))
        assert result.finer_gain[e, 1] == pytest.approx(eds_mse / hebt_mse, rel=2e-3)
        np.testing.assert_allclose(result.own_gain[e], study.scores.gain("mse", element))
    assert 0 < result.difference < 0.1


@pytest.mark.parametrize("errors", [(-10, 10), (-100, 0)])
def test_errors_without_sense_are_refused(errors):
    with pytest.raises(ValueError, match="errors is"):
        phantom.stability(errors=errors, **SMALL)


def test_smoothing_repeats_the_study_with_each_kernel():
    kernels = (
        phantom.Kernel("none", 0, 1.0),
        phantom.Kernel("printed", 32, 12.0),
        phantom.Kernel("moved", 32, 12.0, centered=False),
    )
    result = phantom.smoothing(kernels=kernels, **SMALL)
    assert result.at().shape == result.at("best").shape == (3, 2, 2, 2)
    study = phantom.study(width=32, sigma=12.0, **SMALL)
    for m, method in enumerate(("hebt_est", "eds")):
        for e, element in enumerate(study.elements):
            np.testing.assert_allclose(
                result.at()[1, m, e], study.scores.at("mse", method, element), rtol=1e-3
            )
            np.testing.assert_allclose(
                result.at("best")[1, m, e],
                study.scores.at("mse", method, element, stop="best"),
                rtol=1e-3,
            )
            np.testing.assert_allclose(
                result.at(name="ssim_windowed")[1, m, e],
                study.scores.at("ssim_windowed", method, element),
                rtol=1e-3,
            )
    assert (result.r_squared[0] < result.r_squared[1]).all()
    assert (result.at()[2] != result.at()[1]).any()
    with pytest.raises(ValueError, match="printed"):
        result.at("last")


def test_the_sweep_holds_the_runs_that_it_stands_for():
    alphas, iterations = (0.3, 0.7), (3, 10)
    (swept,) = phantom.sweeps([2], size=128, alphas=alphas, iterations=iterations)
    data = phantom.data(phantom.PhantomSettings.paper(size=128, seeds=(0,), dose=2))
    maps = data.maps[:, :, 0]
    fit = hebt.response_ratios(data.haadf, maps, variance=None)
    counts = np.array(data.settings.zeta) * 2 * 16
    x = hebt.reconstruct(data.W, data.haadf, maps, fit.ratios, 0.7, 10)
    cut = slice(16, 112)
    np.testing.assert_allclose(
        swept.hebt[1, 1], hebt.density(x, fit.ratios, eds_response=counts)[:, cut, cut], atol=1e-3
    )
    eds = hebt.sirt(data.W, np.moveaxis(maps, 0, 1), 10)
    np.testing.assert_allclose(swept.eds[1], eds[:, cut, cut] / counts[:, None, None], atol=1e-3)
    assert swept.eds_mse[1, 0] == pytest.approx(
        phantom.SCORES["mse"](data.density[0], eds[0]), rel=1e-3
    )
    assert swept.hebt_mse[1, 1, 1] == pytest.approx(
        phantom.SCORES["mse"](data.density[1], x[1]), rel=1e-3
    )
    np.testing.assert_array_equal(swept.truth, data.density[:, cut, cut])
    # other doses in the batch change nothing
    both = phantom.sweeps((0.5, 2), size=128, alphas=alphas, iterations=iterations)
    assert [one.settings.dose for one in both] == [0.5, 2]
    np.testing.assert_allclose(both[1].hebt, swept.hebt, atol=1e-3)
    np.testing.assert_allclose(both[1].eds_mse, swept.eds_mse, rtol=1e-4)
    assert both[0].eds_mse[1, 0] > both[1].eds_mse[1, 0]


def test_frames_are_means_and_hold_the_particle():
    density = simulate.phantom(512).density
    frames = phantom.cut_frames(density)
    assert frames.shape == (2, 96, 96)
    # all of the particle is inside
    assert frames.sum() * 16 == pytest.approx(density.sum())
    with pytest.raises(ValueError, match="multiple of 128"):
        phantom.cut_frames(np.ones((64, 64), np.float32))
