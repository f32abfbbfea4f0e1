"""When a run stops, and what it writes down."""

import numpy as np
import pytest
from scipy import ndimage

import hebt
from hebt import prepare
from hebt._engine.beam import Beam

SIZE = 24
W = hebt.Projector(np.arange(-60, 61, 15.0), SIZE)
RATIOS = np.array([3.0, 0.7])


def scene(dose=4.0):
    x = np.zeros((2, 2, SIZE, SIZE))
    x[0, :, 5:12, 6:18] = 2
    x[1, :, 12:19, 6:18] = 1
    p = np.moveaxis(W.forward(x), 1, 0)
    counts = np.random.default_rng(3).poisson(dose * p / RATIOS[:, None, None, None]) / dose
    return p.sum(axis=0), counts * 1.0


def norm_of_residuals(x, haadf, maps):
    p = np.moveaxis(W.forward(x), 1, 0)
    eds = [np.linalg.norm(r * m - q) for r, m, q in zip(RATIOS, maps, p)]
    return np.array(eds), np.linalg.norm(haadf - p.sum(axis=0))


def test_history_holds_the_residuals_of_every_iteration():
    haadf, maps = scene()
    history = hebt.History()
    xs = [np.zeros((2, 2, SIZE, SIZE), np.float32)]
    keep = lambda n, x, r: xs.append(x.copy())  # noqa: E731
    hebt.reconstruct(W, haadf, maps, RATIOS, iterations=6, callback=keep, history=history)
    assert len(history) == len(xs) == 7 and history.iterations == 6
    assert history.eds.shape == (7, 2) and history.haadf.shape == history.change.shape == (7,)
    for n, x in enumerate(xs):
        eds, image = norm_of_residuals(x, haadf, maps)
        np.testing.assert_allclose(history.eds[n], eds, rtol=1e-3)
        assert history.haadf[n] == pytest.approx(image, rel=1e-2)
    assert np.isnan(history.change[0])
    for n in range(1, 7):
        change = np.linalg.norm(xs[n] - xs[n - 1]) / np.linalg.norm(xs[n])
        assert history.change[n] == pytest.approx(change, rel=1e-4)


def test_history_costs_no_projection(monkeypatch):
    haadf, maps = scene()
    calls = []
    forward = Beam.forward
    monkeypatch.setattr(Beam, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    assert W.row_sums.any()  # worked out once
    calls.clear()
    options = dict(iterations=5, device="cpu")
    plain = hebt.reconstruct(W, haadf, maps, RATIOS, **options)
    without = len(calls)
    history = hebt.History()
    same = hebt.reconstruct(W, haadf, maps, RATIOS, **options, history=history)
    assert len(calls) == 2 * without == 8
    assert len(history) == 5 and history.iterations == 5
    np.testing.assert_array_equal(plain, same)


def test_history_of_sirt_and_used_twice():
    haadf, _ = scene()
    history = hebt.History()
    for _ in range(2):
        hebt.sirt(W, haadf, 4, history=history)
        assert history.eds.shape == (4, 1) and np.isnan(history.haadf).all()
    assert history.eds[0, 0] == pytest.approx(np.linalg.norm(haadf), rel=1e-5)
    assert (np.diff(history.eds[:, 0]) < 0).all()


def test_relative_change_stops_at_the_first_iteration_that_is_small_enough():
    haadf, maps = scene()
    full, short = hebt.History(), hebt.History()
    hebt.reconstruct(W, haadf, maps, RATIOS, iterations=60, history=full)
    rule = hebt.RelativeChange(0.02)
    x = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=60, stop=rule, history=short)
    n = short.iterations
    assert 1 < n < 60 and short.stopped_by is rule
    assert full.change[n] <= 0.02 < full.change[n - 1]
    expected = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=n)
    np.testing.assert_array_equal(x, expected)


def test_discrepancy_stops_when_the_data_are_explained_to_their_noise():
    haadf, maps = scene(dose=1.0)
    noise = hebt.poisson_noise(maps, RATIOS)
    history = hebt.History()
    rules = [hebt.RelativeChange(1e-9), hebt.Discrepancy(noise)]
    x = hebt.reconstruct(
        W, haadf, maps, RATIOS, alpha=0.3, iterations=200, stop=rules, history=history
    )
    assert history.stopped_by == rules[1] and 1 < history.iterations < 200
    eds, _ = norm_of_residuals(x, haadf, maps)
    assert np.mean((eds / noise) ** 2) <= 1.0
    assert np.mean((history.eds[-2] / noise) ** 2) > 1.0


def test_discrepancy_waits_for_both_modalities():
    residuals = hebt.Residuals(eds=np.array([1.0, 3.0]), haadf=5.0)
    assert hebt.Discrepancy(eds=[2, 3])(1, residuals)
    assert hebt.Discrepancy(haadf=5)(1, residuals)
    assert not hebt.Discrepancy(eds=[2, 3], haadf=4)(1, residuals)
    assert hebt.Discrepancy(eds=[2, 3], haadf=4, factor=1.3)(1, residuals)
    assert not hebt.Discrepancy(eds=[1, 2])(1, residuals)
    with pytest.raises(ValueError, match="eds of Discrepancy has 1 values; expected 2"):
        hebt.Discrepancy(eds=1)(1, residuals)


def test_poisson_noise_is_the_norm_of_the_noise():
    rng = np.random.default_rng(0)
    expected = rng.random((2, 5, 400, 40)) * [[[[3.0]]], [[[20.0]]]]
    counts = rng.poisson(expected)
    norms = np.sqrt(((RATIOS[:, None, None, None] * (counts - expected)) ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(hebt.poisson_noise(counts, RATIOS), norms, rtol=0.02)


def test_noise_of_processed_maps_is_that_of_their_variance():
    rng = np.random.default_rng(4)
    expected = rng.random((2, 5, 100, 40)) * [[[[3.0]]], [[[20.0]]]]
    counts = rng.poisson(expected)
    kernel = np.array([0.25, 0.5, 0.25])
    smooth = lambda maps, k: ndimage.correlate1d(maps * 1.0, k, mode="reflect")  # noqa: E731
    left = RATIOS[:, None, None, None] * smooth(counts - expected, kernel)
    norms = np.linalg.norm(left.reshape(2, -1), axis=1)
    maps, variance = smooth(counts, kernel), smooth(counts, kernel**2)
    found = hebt.poisson_noise(maps, RATIOS, variance=variance)
    np.testing.assert_allclose(found, norms, rtol=0.03)
    same = hebt.poisson_noise(counts, RATIOS, variance=counts)
    np.testing.assert_allclose(same, hebt.poisson_noise(counts, RATIOS))
    with pytest.raises(ValueError, match="maps are not whole numbers.*expected raw counts"):
        hebt.poisson_noise(maps, RATIOS)
    with pytest.raises(ValueError, match="variance adds up to"):
        hebt.poisson_noise(maps, RATIOS, variance=0)


@pytest.mark.parametrize("blur", [None, ([1.0], [0.25, 0.5, 0.25])])
def test_fitted_noise_is_that_of_the_linear_iteration(blur):
    """Far above 0 the iteration is linear: it can be written with the explicit matrix."""
    rng = np.random.default_rng(5)
    w = hebt.Projector(np.arange(-60, 61, 30.0), 10)
    maps = 1e4 + 100 * rng.random((2, 5, 10)) + w.forward(np.full((10, 10), 1e4))
    half = maps / 2 + rng.normal(0, 30, maps.shape)
    options = {"alpha": 0, "iterations": 6, "blur": blur, "progress": False}
    found = hebt.fitted_noise(w, maps.sum(axis=0), maps, [1.0, 1.0], half=half, **options)
    matrix = w.matrix().toarray()
    if blur is not None:
        smoothed = matrix.reshape(5, 10, -1)
        smoothed = ndimage.correlate1d(smoothed, blur[1], axis=1, mode="reflect")
        matrix = smoothed.reshape(matrix.shape)
    rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
    noise = (2 * half - maps).reshape(2, -1)
    shares, x = [], np.zeros((2, 100))
    for _ in range(6):
        x += ((noise - x @ matrix.T) / np.where(rows > 0, rows, np.inf)) @ matrix / columns
        shares.append(np.mean((x @ matrix.T * noise).sum(axis=1) / (noise**2).sum(axis=1)))
    np.testing.assert_allclose(found, shares, rtol=5e-3)


def halves():
    return hebt.split_counts(4 * scene()[1], seed=1)[0] / 4


def test_fitted_noise_takes_ratios_of_each_slice():
    haadf, maps = scene()
    like = {"half": halves(), "iterations": 5, "progress": False}
    together = hebt.fitted_noise(W, haadf, maps, RATIOS, **like)
    each = hebt.fitted_noise(W, haadf, maps, np.repeat(np.c_[RATIOS], 2, axis=1), **like)
    np.testing.assert_allclose(each, together, rtol=1e-4)
    # of slices whose ratios differ, each counts by its noise in units of HAADF
    ratios, half = np.outer(RATIOS, [1.0, 3.0]), like.pop("half")
    found = hebt.fitted_noise(W, haadf, maps, ratios, half=half, alpha=0, **like)
    shares, powers = [], []
    for s in range(2):
        own = maps[:, :, s], ratios[:, s]
        shares.append(
            [
                hebt.fitted_noise(
                    W, haadf[:, s], own[0][[e]], own[1][[e]], half=half[[e], :, s], alpha=0, **like
                )
                for e in range(2)
            ]
        )
        powers.append(own[1] ** 2 * ((2 * half - maps)[:, :, s] ** 2).sum(axis=(1, 2)))
    expected = np.mean(np.einsum("sei,se->ei", shares, powers) / np.c_[np.sum(powers, 0)], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("sigma", [0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0, 0.7])
def test_the_stop_is_near_the_best_also_for_smoothed_maps(sigma, alpha):
    specimen = hebt.simulate.phantom(64)
    w = hebt.Projector(np.arange(-75, 76, 5.0), 64)
    ratios = np.array([1.0, 2.0])
    x = np.repeat(specimen.density[:, None], 4, axis=1) / specimen.density.max()
    clean = np.moveaxis(w.forward(x), 1, 0)
    counts = np.random.default_rng(6).poisson(0.3 * clean / ratios[:, None, None, None])
    maps, half = counts, hebt.split_counts(counts, seed=7)[0]
    ratios, variance = ratios / 0.3, None
    if sigma:
        smooth = dict(width=6, sigma=sigma)
        maps, half = (prepare.smooth(m, **smooth) for m in (counts, half))
        kernel = prepare.smoothing_kernel(**smooth)
        variance = ndimage.correlate1d(counts * 1.0, kernel**2, mode="reflect")
    same = dict(alpha=alpha, progress=False)
    haadf = clean.sum(axis=0)
    noise = hebt.poisson_noise(maps, ratios, variance=variance)
    fitted = hebt.fitted_noise(w, haadf, maps, ratios, half=half, iterations=150, **same)
    error = lambda now: ((now - x) ** 2).mean()  # noqa: E731
    keep = hebt.Snapshots(range(1, 151), error)
    hebt.reconstruct(w, haadf, maps, ratios, iterations=150, callback=keep, **same)
    after = []
    for rule in (hebt.Discrepancy(noise, fitted=fitted), hebt.Discrepancy(noise)):
        stopped = hebt.reconstruct(w, haadf, maps, ratios, iterations=150, stop=rule, **same)
        after.append(error(stopped) / min(keep.values))
    # HEBT of smoothed maps stops early, where the error hardly changes any more
    assert after[0] < (1.3 if alpha and sigma else 1.1)
    if sigma:
        assert after[0] - 1 < 0.65 * (after[1] - 1)


def test_the_first_rule_that_holds_stops_and_rules_may_be_functions():
    haadf, maps = scene()
    history = hebt.History()

    def third(iteration, residuals):
        assert isinstance(residuals, hebt.Residuals)
        return iteration == 3

    rules = [hebt.RelativeChange(1e-12), third]
    hebt.reconstruct(W, haadf, maps, RATIOS, iterations=9, stop=rules, history=history)
    assert history.iterations == 3 and history.stopped_by is third
    hebt.sirt(W, haadf, 9, stop=third, history=history)
    assert history.iterations == 3 and "3 iterations, stopped by" in repr(history)
    hebt.sirt(W, haadf, 2, stop=third, history=history)
    assert history.iterations == 2 and history.stopped_by is None
    # a comparison of numpy numbers gives numpy's own True
    hebt.sirt(W, haadf, 9, stop=lambda n, residuals: residuals.eds[0] < 1e9, history=history)
    assert history.iterations == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hebt.RelativeChange(0), "tolerance is 0; expected a number above 0"),
        (lambda: hebt.RelativeChange(float("nan")), "tolerance is nan"),
        (lambda: hebt.Discrepancy(), "needs eds, haadf or both"),
        (lambda: hebt.Discrepancy([1, -1]), "eds is -1.0"),
        (lambda: hebt.Discrepancy(haadf=0), "haadf is 0"),
        (lambda: hebt.Discrepancy(1, factor=-1), "factor is -1"),
        (lambda: hebt.Discrepancy(haadf=1, fitted=[0.1]), "fitted of Discrepancy is given without"),
        (
            lambda: hebt.fitted_noise(W, *scene(), RATIOS, half=scene()[1][:1]),
            r"half has shape \(1, 9, 2, 24\) and maps \(2, 9, 2, 24\)",
        ),
        (
            lambda: hebt.fitted_noise(W, *scene(), RATIOS, half=scene()[1] / 2),
            "half is half of maps",
        ),
        (
            lambda: hebt.fitted_noise(W, *scene(), RATIOS, half=scene()[1]),
            "half holds 100 % of the counts of maps; expected about 50 %",
        ),
        (
            lambda: hebt.fitted_noise(
                W, *scene(), RATIOS, half=halves(), stop=hebt.RelativeChange()
            ),
            "stop is given to fitted_noise.*Leave it out",
        ),
        (
            lambda: hebt.fitted_noise(W, *scene(), RATIOS, half=halves(), callback=print),
            "callback is given to fitted_noise",
        ),
        (
            lambda: hebt.poisson_noise(np.ones((2, 3)), [1.0]),
            r"ratios has shape \(1,\); expected \(2,\)",
        ),
        (lambda: hebt.poisson_noise(np.eye(2) * [1, 0], [1, 1]), "Leave an element without"),
    ],
)
def test_impossible_rules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (dict(stop=1e-3), "stop is 0.001; expected a rule"),
        (dict(stop=hebt.RelativeChange), "expected a rule"),
        (dict(stop=[hebt.RelativeChange(), "soon"]), "expected a rule"),
        (dict(history=[]), r"history is \[\]; expected a hebt.History"),
    ],
)
def test_wrong_types_are_refused(argument, message):
    haadf, maps = scene()
    with pytest.raises(TypeError, match=message):
        hebt.reconstruct(W, haadf, maps, RATIOS, iterations=2, **argument)


def test_sirt_has_no_haadf_residual_to_stop_by():
    haadf, _ = scene()
    history = hebt.History()
    hebt.sirt(W, haadf, 3, history=history)
    assert np.isnan(history.haadf).all()
    with pytest.raises(ValueError, match="sirt has one modality only; expected eds"):
        hebt.sirt(W, haadf, 9, stop=hebt.Discrepancy(haadf=1e9))


def test_a_rule_may_hold_at_the_last_iteration():
    haadf, _ = scene()
    history = hebt.History()
    rule = lambda n, residuals: n == 3  # noqa: E731
    hebt.sirt(W, haadf, 3, stop=rule, history=history)
    assert history.stopped_by is rule and history.iterations == 3


def test_snapshots_are_what_shorter_runs_give():
    haadf, maps = scene()
    keep = hebt.Snapshots([6, 2])
    x = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=6, callback=keep)
    assert keep.iterations == (2, 6) and len(keep.values) == 2
    np.testing.assert_array_equal(keep[6], x)
    np.testing.assert_array_equal(keep[2], hebt.reconstruct(W, haadf, maps, RATIOS, iterations=2))
    assert keep[2].flags.writeable and keep[2].flags.c_contiguous


def test_snapshots_keep_scores_and_begin_anew_with_each_run():
    haadf, _ = scene()
    keep = hebt.Snapshots([1, 3, 9], lambda x: float(x.sum()))
    hebt.sirt(W, haadf, 9, callback=keep)
    assert [type(v) for v in keep.values] == [float] * 3
    x = hebt.sirt(W, 2 * haadf, 3, callback=keep)
    assert keep.values == [keep[1], keep[3]] and keep[3] == pytest.approx(x.sum(), rel=1e-5)
    with pytest.raises(KeyError, match="nothing was kept after 9 iterations"):
        keep[9]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "at least one number"),
        (([3, 3],), ValueError, "each once"),
        (([0],), ValueError, "iterations is 0"),
        (([2.5],), TypeError, "iterations is 2.5"),
        (([2], 3), TypeError, "score is 3; expected a function"),
    ],
)
def test_snapshots_refuse_what_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        hebt.Snapshots(*arguments)
