"""Settings chosen by held-out counts: how they judge, and what they choose where truth is known."""

import warnings

import numpy as np
import pytest

import hebt
from companion.phantom.data import PhantomSettings
from companion.phantom.data import data as simulate_phantom
from hebt._counts import shifted_counts
from hebt._solve import Interrupted
from hebt._thinning import poisson_deviance

ANGLES = np.arange(-75, 76, 15.0)
SIZE = 24
RATIOS = np.array([2.0, 0.8])


def scene(size=SIZE, slices=None, dose=30.0, seed=0, angles=ANGLES, extra=0.0):
    """HAADF without noise and counts of two blocks; `extra` of HAADF beside them has no map."""
    W = hebt.Projector(angles, size)
    x = np.zeros((2, slices or 1, size, size), np.float32)
    a, b, c = size // 6, size // 2, 5 * size // 6
    x[0, :, a:c, a:b], x[1, :, a:c, b:c] = 1, 1
    halo = np.zeros_like(x[0])
    halo[:, 1 : size - 1, 1 : size - 1] = 1
    halo[:, a:c, a:c] = 0
    p = np.moveaxis(W.forward(x), 1, 0) * (24 / size)
    counts = np.random.default_rng(seed).poisson(dose * p / RATIOS[:, None, None, None])
    haadf = dose * (p.sum(axis=0) + extra * W.forward(halo) * (24 / size))
    if slices is None:
        return W, haadf[:, 0], counts[:, :, 0]
    return W, haadf, counts


def choose(W, haadf, maps, **options):
    options = {"kernels": [0.5, 1.0], "totals": ["hard"], "iterations": 6} | options
    return hebt.choose(W, haadf, maps, RATIOS, progress=False, **options)


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestHowTheyJudge:
    @pytest.mark.parametrize("slices", [None, 3])
    @pytest.mark.parametrize("total", ["hard", "free"])
    def test_a_fold_is_the_deviance_of_what_the_others_are_reconstructed_to(self, slices, total):
        W, haadf, counts = scene(slices=slices)
        choice = choose(W, haadf, counts, totals=[total], seed=3)
        parts = hebt.split_counts(counts, seed=3, parts=5)
        r = RATIOS.reshape(2, *[1] * (counts.ndim - 1))
        for column, method in enumerate(choice.candidates):
            for row, part in enumerate(parts):
                x = hebt.reconstruct(
                    W, haadf, counts - part, RATIOS * 5 / 4, iterations=6, method=method
                )
                expected = np.maximum(np.moveaxis(W.forward(x), 0, 1) / (5 * r), 1e-6)
                if slices is None:
                    expected = np.maximum(np.stack([W.forward(e) for e in x]) / (5 * r), 1e-6)
                n = np.maximum(part, 1e-300)
                deviance = 2 * (expected - part + part * np.log(n / expected)).sum(dtype=float)
                assert choice.deviance[row, column] == pytest.approx(deviance, rel=1e-4)

    def test_processed_maps_are_judged_as_their_parts_say(self):
        """Background was taken off; b, smoothed over the whole, goes on again by parts."""
        W, haadf, counts = scene(slices=2)
        background = np.random.default_rng(8).poisson(4.0, counts.shape)
        gross = hebt.split_counts(counts + background, seed=1, parts=4)
        parts = [part - 1.0 for part in gross]
        maps, variance = sum(parts), counts + background
        given = {"parts": parts, "variance": variance, "along": False}
        choice = choose(W, haadf, maps, kernels=[(0, 1)], **given)
        assert choice.deviance.shape == (4, 1)
        method = choice.candidates[0]
        shift = shifted_counts(maps.astype("f4"), variance, False, ANGLES)[1]
        total = 0.0
        for part in parts:
            rest = hebt.CompositionEM((0, 1), variance=0.75 * variance)
            x = hebt.reconstruct(W, haadf, maps - part, RATIOS * 4 / 3, iterations=6, method=rest)
            expected = np.moveaxis(W.forward(x), 0, 1) / (4 * RATIOS[:, None, None, None])
            n, expected = part + shift / 4, expected + shift / 4
            saturated = np.where(n > 1e-6, n * np.log(np.maximum(n, 1e-6)) - n, 0)
            below = n <= 1e-6
            saturated[below] = n[below] * np.log(1e-6) - 1e-6
            total += 2 * (expected - n * np.log(expected) + saturated).sum()
        assert choice.deviance.sum() == pytest.approx(total, rel=1e-4)
        assert method.variance is None
        np.testing.assert_array_equal(choice.method.variance, variance)

    def test_the_difference_of_two_predictions_is_right_in_the_mean(self):
        """Also where processed counts are below 0."""
        rng = np.random.default_rng(2)
        mean = rng.uniform(0.3, 5, 400)
        true, other = mean, mean * rng.uniform(0.5, 2, 400)
        exact = 2 * (other - true - true * np.log(other / true)).sum()
        draws = rng.poisson(mean + 3.0, (3000, 400)) - 3.0
        found = (poisson_deviance(draws, other) - poisson_deviance(draws, true)).sum(axis=1)
        assert found.min() > -np.inf
        assert abs(found.mean() - exact) < 4 * found.std() / np.sqrt(3000)
        assert exact > 10 * found.std() / np.sqrt(3000)

    def test_a_right_prediction_has_a_deviance_of_about_one_a_pixel(self):
        n = np.random.default_rng(1).poisson(20.0, 20_000)
        assert poisson_deviance(n, np.full(n.shape, 20.0)).mean() == pytest.approx(1, abs=0.05)
        np.testing.assert_allclose(poisson_deviance(n, n), 0, atol=1e-9)

    @pytest.mark.parametrize("parts", [2, 3, 5])
    def test_parts_are_independent_poisson_counts_that_sum_to_the_whole(self, parts):
        counts = np.random.default_rng(3).poisson(10.0, 40_000)
        split = np.array(hebt.split_counts(counts, seed=4, parts=parts))
        np.testing.assert_array_equal(split.sum(axis=0), counts)
        covariance = np.cov(split)
        np.testing.assert_allclose(covariance, np.eye(parts) * 10 / parts, atol=0.15)
        np.testing.assert_allclose(split.mean(axis=1), 10 / parts, atol=0.1)

    def test_permuting_elements_changes_nothing(self):
        W, haadf, counts = scene()
        parts = np.array(hebt.split_counts(counts, seed=1, parts=3))
        one = choose(W, haadf, counts, parts=parts, totals=["hard", 0.5, "free"])
        other = hebt.choose(
            W,
            haadf,
            counts[::-1],
            RATIOS[::-1],
            parts=parts[:, ::-1],
            kernels=[0.5, 1.0],
            totals=["hard", 0.5, "free"],
            iterations=6,
        )
        np.testing.assert_allclose(other.deviance, one.deviance, rtol=1e-4)
        assert other.chosen == one.chosen

    def test_tilts_in_any_order_give_the_same(self):
        W, haadf, counts = scene()
        parts = np.array(hebt.split_counts(counts, seed=1, parts=3)) - 0.2
        order = np.random.default_rng(1).permutation(len(ANGLES))
        options = {"kernels": [1.0], "totals": ["free"], "iterations": 6, "haadf_noise": 1.0}
        one, other = (
            hebt.choose(
                hebt.Projector(ANGLES[at], SIZE),
                *(haadf[at], counts[:, at] - 0.6, RATIOS),
                parts=parts[:, :, at],
                variance=(counts + 3.0)[:, at],
                **options,
            )
            for at in (slice(None), order)
        )
        np.testing.assert_allclose(other.deviance, one.deviance, rtol=1e-5)

    def test_given_parts_are_those_it_would_draw(self):
        W, haadf, counts = scene()
        drawn = choose(W, haadf, counts, seed=6)
        given = choose(W, haadf, counts, parts=hebt.split_counts(counts, seed=6, parts=5))
        np.testing.assert_array_equal(given.deviance, drawn.deviance)

    def test_a_seed_gives_the_same_and_another_one_another(self):
        W, haadf, counts = scene()
        one, same, other = (choose(W, haadf, counts, seed=s) for s in (1, 1, 2))
        np.testing.assert_array_equal(one.deviance, same.deviance)
        assert (one.deviance != other.deviance).all()

    def test_fewer_folds_are_the_first(self):
        W, haadf, counts = scene()
        some, every = (choose(W, haadf, counts, folds=f) for f in (2, None))
        np.testing.assert_allclose(some.deviance, every.deviance[:2], rtol=1e-6)

    def test_ratios_of_slices_are_those_of_their_slices(self):
        W, haadf, counts = scene(slices=3)
        each = np.array([1.0, 1.3, 0.8])
        maps = np.stack([hebt.split_counts(m, seed=1)[0] for m in counts])
        options = {"kernels": [(0, 1)], "totals": ["free"], "iterations": 6, "along": False}
        whole = hebt.choose(W, haadf, maps, RATIOS[:, None] * each, **options)
        alone = hebt.choose(W, haadf, maps, RATIOS[:, None] * each, slices=slice(1, 2), **options)
        single = hebt.choose(W, haadf[:, 1], maps[:, :, 1], RATIOS * 1.3, **options)
        assert alone.slices == slice(1, 2)
        assert whole.deviance.sum() > alone.deviance.sum()
        # other random numbers, as others are drawn with them
        assert single.deviance.sum() == pytest.approx(alone.deviance.sum(), rel=0.1)

    def test_a_slab_is_where_most_counts_are_and_its_cut_faces_do_not_judge(self):
        W, haadf, counts = scene(slices=12)
        counts[:, :, :4] //= 3
        parts = np.array(hebt.split_counts(counts, seed=1, parts=2))
        choice = choose(W, haadf, counts, slices=8, parts=parts)
        assert choice.slices == slice(4, 12)
        # the slices beyond change nothing, nor do counts of a part at the cut face judge
        cut = choose(W, haadf[:, 4:], counts[:, :, 4:], parts=parts[:, :, :, 4:])
        assert (choice.deviance < cut.deviance).all()

    def test_standard_errors_are_the_spread_over_other_counts(self):
        """Over whole series drawn anew, for which the factor for shared counts is needed."""
        differences, errors = [], []
        for seed in range(24):
            choice = choose(*scene(dose=20, seed=seed), kernels=[1.0, 2.0], seed=seed)
            differences.append(np.diff(choice.deviance.sum(axis=0)))
            errors.append(choice.standard_errors.max())
        assert 0.6 < np.mean(errors) / np.std(differences, ddof=1) < 1.6


def phantom(size, seed, extra=0.0, dose=1.0):
    """The phantom; `extra` of silver's HAADF around it has no map."""
    settings = PhantomSettings.paper(size=size, seeds=[seed], width=0, dose=dose)
    data = simulate_phantom(settings)
    haadf = data.haadf
    if extra:
        halo = np.indices((size, size)) / size - 0.5
        halo = (np.hypot(*halo) < 0.46) & (data.density.sum(axis=0) == 0)
        haadf = haadf + extra * haadf.max() / size * data.W.forward(halo.astype("f4"))
    counts = data.counts[:, :, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratios = hebt.response_ratios(haadf, counts).ratios
    return data.density, (data.W, haadf, counts, ratios)


def over_oracle(choice, given, error):
    """The error of what was chosen over the least of all candidates."""
    errors = [error(hebt.reconstruct(*given, method=method)) for method in choice.candidates]
    return errors[choice.chosen] / min(errors)


def phantom_error(truth):
    return lambda x: np.mean([hebt.metrics.scaled_mse(*p) for p in zip(truth, x, strict=True)])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("size", "kernels", "seeds"),
    [
        (48, [0.25, 0.5, 1, 2], range(2)),
        pytest.param(128, [0.35, 0.5, 0.71, 1, 1.4, 2], [10], marks=pytest.mark.slow),
    ],
)
def test_on_the_phantom_the_kernel_is_nearly_the_best(size, kernels, seeds):
    for seed in seeds:
        truth, given = phantom(size, seed)
        choice = hebt.choose(*given, kernels=kernels, totals=["hard"], seed=seed)
        assert over_oracle(choice, given, phantom_error(truth)) <= 1.1


def test_without_kernels_it_finds_one_itself():
    truth, given = phantom(48, 3, dose=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        choice = hebt.choose(*given, totals=["hard"], seed=3)
    assert over_oracle(choice, given, phantom_error(truth)) <= 1.1
    widths, differences, _ = choice.curve()
    assert len(widths) > 5
    assert (np.diff(widths) > 0).all()
    lowest = int(np.argmin(differences))
    assert differences[lowest] == 0
    assert widths[lowest] == choice.method.kernel[1]
    assert lowest > 0


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_sum_is_hard_unless_haadf_shows_what_has_no_map():
    for extra, expected in ((0.0, "hard"), (0.5, "free")):
        _, given = phantom(48, 4, extra)
        choice = hebt.choose(*given, kernels=[0.5, 1.0], totals=["hard", "free"], seed=4)
        assert choice.method.total == expected


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow
def test_on_a_graded_alloy_the_kernel_is_nearly_the_best():
    """Of the atomic fraction of Au in voxels wholly inside."""
    size, bulk = 48, np.array([19300.0, 10490.0])[:, None, None, None]
    density = hebt.simulate.alloy_particle(size).density
    density = density[:, (density > 0).any(axis=(0, 2, 3))]
    share = density / bulk
    full = share.sum(axis=0) > 0.999
    W = hebt.Projector(np.arange(-70, 71, 5), size)
    z = np.array([99.0, 40.0])
    haadf = hebt.simulate.haadf_tilt_series(W, share.astype("f4"), z)
    bright = np.moveaxis(W.forward(share), 1, 0)[:, haadf > 0].mean(axis=1)

    def gold(x):
        atoms = (x / z[:, None, None, None] * bulk)[:, full] / np.array([[196.97], [107.87]])
        return atoms[0] / atoms.sum(axis=0)

    true = gold(share * z[:, None, None, None])
    maps = hebt.simulate.eds_tilt_series(W, share.astype("f4"), [7, 2.3] / bright, seed=0)
    given = W, haadf, maps, hebt.response_ratios(haadf, maps).ratios
    choice = hebt.choose(*given, kernels=[2.8, 4, 5.7], totals=["hard"], folds=3)
    assert over_oracle(choice, given, lambda x: np.sqrt(((gold(x) - true) ** 2).mean())) <= 1.1


def test_it_says_what_the_data_do_not_tell():
    W, haadf, counts = scene(dose=30)
    with pytest.warns(UserWarning, match="the chosen kernel, 4, is the narrowest .* narrower"):
        choice = choose(W, haadf, counts, kernels=[4, 5])
    assert len(choice.doubts) == 1
    assert "Note: the chosen kernel" in repr(choice)
    with pytest.warns(UserWarning, match="do not tell kernels from .* apart"):
        choose(*scene(dose=0.05), kernels=[0.25, 0.5, 1.0, 2.0])


def test_it_can_be_read():
    W, haadf, counts = scene()
    with pytest.warns(UserWarning, match="the chosen kernel"):
        choice = choose(W, haadf, counts, totals=["hard", 0.5], contrasts=[None, 0.1])
    text = repr(choice)
    assert text.isascii()
    assert text.count("\n") >= 2 + 8 - 1
    assert text.count("\n*") == 1
    assert choice.differences[choice.chosen] == choice.standard_errors[choice.chosen] == 0
    assert [len(values) for values in choice.curve(0.5, 0.1)] == [2, 2, 2]
    with pytest.raises(
        ValueError, match="total is 'free' .* was tried: .'hard', None., .0.5, None.,"
    ):
        choice.curve("free")
    x = hebt.reconstruct(W, haadf, counts, RATIOS, method=choice.method)
    assert x.shape == (2, SIZE, SIZE)


def test_nothing_that_comes_in_is_changed():
    given = scene(slices=3)
    before = [array.copy() for array in given[1:]]
    with pytest.warns(UserWarning, match="the chosen kernel"):
        choose(*given)
    for array, copy in zip(given[1:], before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_it_can_be_interrupted(monkeypatch):
    real, calls = hebt._thinning.divide, []

    def divide(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise Interrupted(np.zeros(1), 3)
        return real(*arguments)

    monkeypatch.setattr(hebt._thinning, "divide", divide)
    with pytest.raises(KeyboardInterrupt, match="candidates done: 1") as caught:
        choose(*scene())
    assert not isinstance(caught.value, Interrupted)  # x would be that of no candidate as a whole


W, HAADF, COUNTS = scene(slices=3)
HALVES = hebt.split_counts(COUNTS, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": COUNTS + 0.5}, "maps hold values from 0.5 .* give the results as parts"),
        ({"maps": 0 * COUNTS}, "maps.0. holds no counts"),
        ({"parts": HALVES[:1]}, "parts has length 1; expected at least 2"),
        ({"parts": [HALVES[0][:1]] * 2}, r"parts.0. has shape .* and maps .* the same shape"),
        ({"parts": [HALVES[0] / 2, HALVES[1] / 2]}, "parts of maps.0. add up to"),
        ({"parts": [0 * COUNTS, COUNTS]}, "parts hold 0 %, 100 % of the counts of maps.0."),
        ({"kernels": []}, "kernels is empty"),
        ({"kernels": [-1]}, "kernels: kernel is -1"),
        ({"totals": ["soft"]}, "totals: total is 'soft'"),
        ({"totals": "hard"}, "totals is 'hard'"),
        ({"contrasts": []}, "contrasts is empty"),
        ({"folds": 6}, "folds is 6; expected .* at least 2 and at most 5"),
        ({"slices": 4}, "slices is 4; expected .* at most 3"),
        ({"slices": slice(2, 2)}, "slices is slice.2, 2, None.; expected neighbors among 3"),
        ({"variance": COUNTS[:, :2]}, "variance has shape"),
        ({"seed": None}, "seed is None"),
        ({"along": 1}, "along is 1"),
    ],
)
def test_bad_input_is_refused_by_name(options, message):
    given = {"W": W, "haadf": HAADF, "maps": COUNTS} | options
    with pytest.raises((TypeError, ValueError), match=message):
        choose(**given)
