"""The noise's standard deviation against the spread over simulated noise, and closed forms."""

import functools

import numpy as np
import pytest

import hebt
from companion import phantom
from hebt import uncertainty

SIZE = 16
W = hebt.Projector(np.arange(-70, 71, 20.0), SIZE)
FINE = hebt.Projector(np.arange(-70, 71, 10.0), SIZE)
R = np.array([3.0, 0.7])
ZETAS = [1900.0, 1000.0]


def scene(slices=2, dose=30, seed=0, images=W):
    """HAADF images and counts of two overlapping blocks."""
    x = _blocks(slices)
    x *= 1 + 0.2 * np.arange(slices)[:, None, None]
    p = dose * np.moveaxis(W.forward(x), 1, 0)
    counts = np.random.default_rng(seed).poisson(p / R[:, None, None, None])
    return dose * images.forward(x.sum(axis=0)), counts


def _blocks(slices=1):
    x = np.zeros((2, slices, SIZE, SIZE))
    x[0, :, 4:11, 3:12] = 1
    x[1, :, 6:13, 5:14] = 2
    return x


def deviation(haadf, maps, ratios=R, **options):
    given = {"progress": False, "iterations": 5} | options
    return hebt.noise_deviation(W, haadf, maps, ratios, **given)


def watched(monkeypatch):
    """What the reconstructions of several replicates get and give."""
    seen, plain = [], uncertainty._solver

    def solver(*arguments):
        solve = plain(*arguments)

        def watched(problem, run):
            x = solve(problem, run)
            seen.append((problem, x))
            return x

        return watched

    monkeypatch.setattr(uncertainty, "_solver", solver)
    return seen


METHODS = [
    {"method": "hebt", "alpha": 0.4},
    {"method": hebt.CompositionEM(1)},
    {"method": hebt.CompositionEM((0, 1), total=0.5)},
    {"method": hebt.CompositionEM(2, contrast=0.2, total="free", haadf_noise=1.0)},
    {"method": hebt.CompositionEM(1, variance=30.0)},
]


@pytest.mark.parametrize("options", METHODS)
@pytest.mark.parametrize("slices", [None, 2])
@pytest.mark.parametrize("more", [{}, {"ratio_errors": 0.2 * R}, {"haadf_projector": FINE}])
def test_each_replicate_is_a_reconstruction_of_its_own(options, slices, more, monkeypatch):
    haadf, maps = scene(slices or 1, images=FINE if "haadf_projector" in more else W)
    if slices is None:
        haadf, maps = haadf[:, 0], maps[:, :, 0]
    mask = np.random.default_rng(0).random((*haadf.shape[1:-1], SIZE, SIZE)) > 0.1
    seen, results = watched(monkeypatch), []

    def keep(x, ratios):
        results.append((np.array(x), ratios))
        return x

    found = deviation(haadf, maps, mask=mask, of=keep, replicates=4, **options, **more)
    ((problem, _),) = seen
    maps_of = problem.maps.reshape(*maps.shape[:2], 4, *maps.shape[2:])
    given = {k: v for k, v in more.items() if k != "ratio_errors"}
    for r, (x, ratios) in enumerate(results):
        data = W, haadf, maps_of[:, :, r], ratios
        expected = hebt.reconstruct(*data, mask=mask, iterations=5, **options, **given)
        np.testing.assert_allclose(x, expected, atol=2e-4 * expected.max())
        assert (ratios == R.astype(np.float32)).all() == ("ratio_errors" not in more)
    np.testing.assert_allclose(
        found, np.std([x for x, _ in results], axis=0, ddof=1), rtol=1e-3, atol=1e-4
    )
    assert found.dtype == np.float32 and found.shape == results[0][0].shape


def test_a_method_that_knows_one_volume_reconstructs_the_replicates_one_by_one(monkeypatch):
    haadf, maps = scene()
    options = {"method": hebt.CompositionEM(1, variance=30.0), "ratio_errors": 0.1 * R}
    expected = deviation(haadf, maps, **options)
    monkeypatch.setattr(uncertainty, "_solver", lambda *_: None)
    found = deviation(haadf, maps, **options)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())


def test_of_a_linear_reconstruction_it_is_the_closed_form():
    """One iteration from 0 is linear: x = C^-1 W^T R^-1 r n, whose variance follows from n's."""
    haadf, maps = scene(1)
    haadf, maps = haadf[:, 0], maps[:, :, 0]
    A = W.matrix().toarray().astype(float)
    rows, columns = (np.where(s > 0, 1 / np.where(s > 0, s, 1), 0) for s in (A.sum(1), A.sum(0)))
    step = columns[:, None] * A.T * rows
    options = {"alpha": 0, "iterations": 1, "replicates": 300}
    found = deviation(haadf, maps, **options)
    for e in range(2):
        expected = R[e] * np.sqrt(step**2 @ maps[e].ravel())
        some = expected > 0
        ratio = found[e].ravel()[some] / expected[some]
        assert abs(ratio.mean() - 1) < 0.03 and ratio.std() < 1.5 / np.sqrt(600)
        assert not found[e].ravel()[~some].any()


def test_the_fused_method_knows_the_noise_of_haadf_of_the_data():
    """Counts drawn from counts have noise twice: none of it is HAADF's."""
    p = scene(slices=1)[0][:, 0]
    exact = 30 * np.moveaxis(W.forward(_blocks()), 1, 0)[:, :, 0] / R[:, None, None]
    rng = np.random.default_rng(5)
    draws = [rng.poisson(exact).astype(np.float32) for _ in range(30)]
    options = {"method": hebt.Fused(), "progress": False}
    true = np.std([hebt.reconstruct(W, p, n, R, **options) for n in draws], axis=0, ddof=1)
    found = deviation(p, draws[0], replicates=30, iterations=None, method=hebt.Fused())
    inside = _blocks()[:, 0].sum(axis=0) > 0
    share = found[:, inside].mean(axis=1) / true[:, inside].mean(axis=1)
    np.testing.assert_allclose(share, 1, atol=0.2)


def test_mean_and_variance_of_what_is_drawn_are_those_of_the_maps(monkeypatch):
    haadf, signal = scene(2, dose=3)
    rng = np.random.default_rng(1)
    counts = signal + rng.poisson(6.0, signal.shape)
    seen = watched(monkeypatch)
    method = hebt.CompositionEM(1, variance=counts)
    deviation(haadf, counts - 6.0, method=method, replicates=400, iterations=1)
    drawn = np.concatenate([problem.maps for problem, _ in seen], axis=2).astype(float)
    assert drawn.shape == (2, 8, 400, 2, SIZE)
    assert abs((drawn.mean(axis=2) - (counts - 6)).mean()) < 0.02
    assert abs(drawn.var(axis=2).mean() / counts.mean() - 1) < 0.02


PHANTOM = phantom.PhantomSettings.paper(size=64, seeds=list(range(101, 121)))
FRACTIONS = functools.partial(hebt.composition, zeta_factors=ZETAS)


@pytest.mark.parametrize(
    ("method", "iterations"),
    [
        (hebt.CompositionEM((0, 0.5)), None),
        (hebt.CompositionEM((0, 1)), None),
        (hebt.CompositionEM((0, 0.5), total="free"), None),
        (hebt.CompositionEM(1.5, contrast=0.1), None),
        ("hebt", 100),
    ],
)
def test_it_is_the_spread_over_simulated_noise(method, iterations):
    """Within 20 %, on the paper's phantom at 20 seeds of the counting noise, and of fractions."""
    data = phantom.data(PHANTOM)
    ratios = data.settings.true_ratios
    options = {"method": method, "iterations": iterations, "progress": False}
    x = hebt.reconstruct(data.W, data.haadf_of_seeds, data.counts, ratios, **options)
    inside = data.density.sum(axis=0) > 0

    def both(x, ratios):
        return np.concatenate([x, FRACTIONS(x, ratios)])

    true = np.std([both(x[:, s], ratios) for s in range(x.shape[1])], axis=0, ddof=1)
    found = []
    for s in range(2):
        given = data.W, data.haadf_of_seeds[:, s], data.counts[:, :, s], ratios
        found.append(hebt.noise_deviation(*given, seed=s, of=both, **options))
    found = np.mean(found, axis=0)
    # HEBT leaves some voxels of the specimen empty, which have no fractions
    there = inside & np.isfinite(found).all(axis=0) & np.isfinite(true).all(axis=0)
    assert there.sum() > 0.95 * inside.sum()
    part = found[:, there].mean(axis=1) / true[:, there].mean(axis=1)
    assert (np.abs(part - 1) < 0.2).all(), part


@pytest.mark.parametrize("total", ["hard", "free"])
def test_it_is_the_spread_where_background_was_subtracted(total):
    """As above; the maps have the noise of a background as bright as they are."""
    data = phantom.data(PHANTOM)
    W, ratios, inside = data.W, data.settings.true_ratios, data.density.sum(axis=0) > 0
    background = data.counts.mean()
    recorded = data.counts + np.random.default_rng(5).poisson(background, data.counts.shape)

    def method(variance):
        return hebt.CompositionEM((0, 0.5), total=total, variance=variance)

    maps, options = recorded - background, {"progress": False}
    x = hebt.reconstruct(
        *(W, data.haadf_of_seeds, maps, ratios), method=method(recorded), **options
    )
    true = x.std(axis=1, ddof=1)[:, inside].mean(axis=1)
    found = [
        hebt.noise_deviation(
            *(W, data.haadf_of_seeds[:, s], maps[:, :, s], ratios),
            method=method(recorded[:, :, s]),
            seed=s,
            **options,
        )
        for s in range(2)
    ]
    part = np.mean(found, axis=0)[:, inside].mean(axis=1) / true
    assert (np.abs(part - 1) < 0.2).all(), part


def test_with_a_hard_sum_what_one_element_gains_the_other_loses():
    haadf, maps = scene()
    method = hebt.CompositionEM(1)
    single = deviation(haadf, maps, method=method)
    total = deviation(haadf, maps, method=method, of=lambda x, ratios: x.sum(axis=0))
    assert total.shape == (2, SIZE, SIZE)
    assert total.max() < 1e-3 * single.max()
    np.testing.assert_allclose(single[0], single[1], atol=1e-4 * single.max())


def test_portions_do_not_matter_but_the_seed_does(monkeypatch):
    haadf, maps = scene(3)
    options = {"method": hebt.CompositionEM(1), "replicates": 5, "ratio_errors": 0.1 * R}
    found = deviation(haadf, maps, **options)
    for columns in (1, 12, 10**6):
        monkeypatch.setattr(uncertainty, "_COLUMNS", columns)
        other = deviation(haadf, maps, **options)
        np.testing.assert_allclose(other, found, atol=1e-4 * found.max())
    other = deviation(haadf, maps, seed=[1, 2], **options)
    assert np.abs(other - found).max() > 0.1 * found.max()


# Errors of the ratios.


def test_ratios_are_drawn_with_their_errors():
    drawn = []
    haadf, maps = scene(1)
    errors = [0.1, 0.002]
    deviation(haadf, maps, ratio_errors=errors, replicates=30, of=lambda x, r: drawn.append(r) or 0)
    logarithms = np.log(np.array(drawn, float) / R)
    np.testing.assert_allclose(logarithms.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.cov(logarithms.T), np.diag((errors / R) ** 2), atol=1e-7)


def test_counts_of_eds_alone_do_not_depend_on_the_ratios():
    haadf, maps = scene()
    options = {"alpha": 0, "of": functools.partial(hebt.density, zeta_factors=ZETAS)}
    plain = deviation(haadf, maps, **options)
    found = deviation(haadf, maps, ratio_errors=0.3 * R, **options)
    np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-5 * plain.max())


@pytest.mark.parametrize("options", [{"method": hebt.CompositionEM(1)}, {"alpha": 0.6}])
def test_errors_of_ratios_are_those_of_reconstructions_with_other_ratios(options):
    """Hardly any counting noise, so that the spread is that of the ratios alone."""
    haadf, maps = scene(1, dose=1e7)
    haadf, maps = haadf[:, 0], maps[:, :, 0]
    errors = np.array([0.05, 0.03]) * R
    options = {"iterations": 30} | options
    found = deviation(
        haadf, maps, ratio_errors=errors, of=FRACTIONS, replicates=30, seed=3, **options
    )
    rng, fractions = np.random.default_rng(7), []
    for _ in range(80):
        ratios = rng.normal(R, errors)
        x = hebt.reconstruct(W, haadf, maps, ratios, progress=False, **options)
        fractions.append(FRACTIONS(x, ratios))
    mixed = np.zeros((SIZE, SIZE), bool)
    mixed[7:10, 6:11] = True
    true = np.std(fractions, axis=0, ddof=1)[:, mixed]
    np.testing.assert_allclose(found[:, mixed], true, rtol=0.3)
    # and not what x as it is would have with these errors
    x = hebt.reconstruct(W, haadf, maps, R, progress=False, **options)
    alone = hebt.composition_error(FRACTIONS(x, R), errors / R)[:, mixed]
    assert alone.mean() > 1.2 * true.mean()


def test_errors_of_factors_are_those_of_fractions_with_other_factors():
    rng = np.random.default_rng(2)
    x, zetas = rng.random((3, 6)), np.array([1900.0, 1000.0, 1300.0])
    x[:, 2] = 0
    errors = np.array([0.02, 0.03, 0.01])
    for kind in ("mass", "atomic"):
        convert = functools.partial(hebt.composition, x, [3, 2, 1], ["Au", "Ag", "Cu"], kind=kind)
        found = hebt.composition_error(convert(zeta_factors=zetas), errors)
        drawn = [convert(zeta_factors=rng.normal(zetas, errors * zetas)) for _ in range(4000)]
        np.testing.assert_allclose(found, np.std(drawn, axis=0), rtol=0.06)
        assert np.isnan(found[:, 2]).all() and np.isfinite(found[:, 3]).all()


# How a run goes.


def test_an_interruption_keeps_the_replicates_that_are_finished(monkeypatch):
    haadf, maps = scene()
    monkeypatch.setattr(uncertainty, "_COLUMNS", 1)
    for stop in (0, 1, 3):
        values = []

        def of(x, ratios, values=values, stop=stop):
            if len(values) == stop:
                raise KeyboardInterrupt
            values.append(np.array(x))
            return x

        with pytest.raises(hebt.Interrupted, match=f"after {stop} of 8 replicates") as caught:
            deviation(haadf, maps, of=of)
        assert caught.value.iteration == stop
        if stop < 2:
            assert np.isnan(caught.value.x).all()
        else:
            expected = np.std(values, axis=0, ddof=1)
            np.testing.assert_allclose(caught.value.x, expected, rtol=1e-3, atol=1e-5)


def test_progress_says_which_replicates_run(capsys, monkeypatch):
    monkeypatch.setattr(uncertainty, "_COLUMNS", 8)
    deviation(*scene(), replicates=3, progress=True)
    shown = capsys.readouterr().err
    assert "Replicate 1 to 2 of 3" in shown and "Replicate 3 of 3" in shown


def test_dask_arrays_are_refused():
    da = pytest.importorskip("dask.array")
    haadf, maps = scene()
    with pytest.raises(TypeError, match="Dask array, but all replicates pass through memory"):
        deviation(da.from_array(haadf), maps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": 0.5}, "maps hold values .* no raw counts"),
        ({"maps": 3, "method": hebt.CompositionEM(1)}, "not all multiples of one"),
        ({"replicates": 1}, "replicates is 1; expected a whole number of at least 2"),
        ({"ratio_errors": [0.1]}, "ratio_errors is .0.1.; expected 2 values of at least 0"),
        ({"ratio_errors": [0.1, -1]}, "ratio_errors is .*; expected 2 values of at least 0"),
        ({"ratio_errors": [0.1, 0.1], "replicates": 2}, "expected more replicates than elements"),
        ({"ratio_errors": [1, 1], "ratios": np.ones((2, 2))}, "expected one ratio for each"),
        ({"of": lambda x, ratios: "text"}, "expected real numbers"),
        ({"of": "text"}, "of is 'text'; expected a function"),
        ({"method": hebt.CompositionEM(1), "alpha": 0.3}, "alpha is 0.3, but"),
        ({"method": hebt.CompositionEM(1, shares=np.ones((2, SIZE, SIZE)))}, "would begin alike"),
        ({"method": hebt.Fused(variance=30.0)}, "hebt.Fused with a variance, as smoothed maps"),
        (
            {"method": hebt.Fused(), "haadf_projector": hebt.Projector(W.angles + 1, SIZE)},
            "other tilts, so that each replicate would find another noise",
        ),
    ],
)
def test_bad_input_is_refused_by_name(options, message):
    haadf, maps = scene()
    options = dict(options)
    maps = options.pop("maps", 1) * maps
    with pytest.raises((ValueError, TypeError), match=message):
        deviation(haadf, maps, **options)


def test_another_shape_of_what_is_derived_is_refused():
    shapes = iter([(2,), (3,)])
    with pytest.raises(ValueError, match=r"of returned shape \(3,\) after \(2,\)"):
        deviation(*scene(), of=lambda x, ratios: np.zeros(next(shapes)))
