"""Prediction of held-out tilts: fair, blind to what is held out, and right where data are."""

import numpy as np
import pytest
from scipy import ndimage

import hebt
from hebt import validation

ANGLES = np.arange(-60.0, 61, 10)
RATIOS = np.array([30.0, 12.0])


@pytest.fixture(scope="module")
def consistent():
    """Two elements whose maps and HAADF images are exact projections: (haadf, maps)."""
    rng = np.random.default_rng(0)
    shape = rng.random((2, 6, 32, 32))
    density = np.maximum(ndimage.gaussian_filter(shape, (0, 1, 2.5, 2.5)) - 0.5, 0)
    rows, columns = np.mgrid[:32, :32] - 15.5
    density *= np.hypot(rows, columns) < 13
    W = hebt.Projector(ANGLES, 32)
    maps = np.stack([W.forward(d) for d in density]) * 40
    return np.tensordot(RATIOS, maps, axes=1), maps


def test_exact_data_are_predicted_well_by_both(consistent):
    result = validation.leave_one_out(
        ANGLES, *consistent, held=[-20, 30], alphas=[0.5], stops=[1, 200], names=["Au", "Ag"]
    )
    assert result.errors.shape == (2, 2, 2, 2)
    assert result.methods == ("EDS only", "HEBT, α = 0.5")
    np.testing.assert_array_equal(result.tilts, [-20, 30])
    assert result.errors[:, 1].max() < 0.01
    assert (result.errors[:, 1] < result.errors[:, 0]).all(), "200 iterations beat one"


def test_noisy_maps_are_predicted_better_with_haadf(consistent):
    """Where the model holds, low-noise HAADF images must help; the error is against the truth."""
    haadf, maps = consistent
    noisy = np.random.default_rng(1).poisson(0.3 * np.maximum(maps, 0)).astype(np.float32)
    result = validation.leave_one_out(
        ANGLES, haadf, noisy, targets=maps, held=[-20, 0, 30], alphas=[0.7], stops=[20, 60, 200]
    )
    eds, with_haadf = result.mean()
    assert (with_haadf[-1] < 0.8 * eds[-1]).all(), "at the last iteration"
    assert (with_haadf.min(axis=0) < eds.min(axis=0)).all(), "each at its best stop"


def test_nothing_of_the_held_tilt_is_used(consistent):
    haadf, maps = consistent
    options = {"targets": maps, "held": [10], "stops": [5], "alphas": [0.6]}
    before = validation.leave_one_out(ANGLES, haadf, maps, **options)
    other_haadf, other_maps = haadf.copy(), maps.copy()
    place = list(ANGLES).index(10)
    other_haadf[place] = 7.0
    other_maps[:, place] = np.random.default_rng(0).random(maps[:, place].shape)
    after = validation.leave_one_out(ANGLES, other_haadf, other_maps, **options)
    np.testing.assert_array_equal(after.errors, before.errors)


def test_units_do_not_matter(consistent):
    haadf, maps = consistent
    options = {"held": [10], "stops": [5, 10], "alphas": [0.6]}
    before = validation.leave_one_out(ANGLES, haadf, maps, **options)
    after = validation.leave_one_out(ANGLES, 1000 * haadf, maps * [[[[5]]], [[[0.2]]]], **options)
    np.testing.assert_allclose(after.errors, before.errors, rtol=2e-3)


def test_the_error_is_what_a_single_run_gives(consistent):
    haadf, maps = consistent
    result = validation.leave_one_out(ANGLES, haadf, maps, held=[0], stops=[7], alphas=[], margin=4)
    place = list(ANGLES).index(0)
    rest = np.arange(len(ANGLES)) != place
    W, V = hebt.Projector(ANGLES[rest], 32), hebt.Projector([0.0], 32)
    for element in (0, 1):
        q = V.forward(hebt.sirt(W, maps[element, rest], 7))[0][:, 4:-4].astype(np.float64)
        t = maps[element, place][:, 4:-4].astype(np.float64)
        c = (t * q).sum() / (q * q).sum()
        expected = ((t - c * q) ** 2).sum() / (t**2).sum()
        np.testing.assert_allclose(result.errors[0, 0, 0, element], expected, rtol=1e-4)


def test_what_does_not_fit_is_refused(consistent):
    haadf, maps = consistent
    with pytest.raises(ValueError, match=r"held is \[7.0\]"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[7])
    with pytest.raises(ValueError, match="one angle per tilt"):
        validation.leave_one_out(ANGLES[1:], haadf, maps, held=[0])
    with pytest.raises(ValueError, match="rising"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], stops=[10, 5])
    with pytest.raises(ValueError, match="margin is 16"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], margin=16)
    with pytest.raises(ValueError, match="names has 1"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], names=["Au"])


# --- methods, variances, and choices that have not seen their judge ---

VARIANCE = np.full((2, len(ANGLES), 6, 32), 3.0, np.float32)


def recipes(*stops):
    return {
        "EDS": [validation.Recipe(0.0, stops)],
        "HEBT": [validation.Recipe(0.6, stops)],
        "EM": [
            validation.Recipe(hebt.CompositionEM(k, variance=VARIANCE), (2, 4), name=f"{k}")
            for k in (0.5, 2)
        ],
    }


def test_with_a_variance_the_error_is_chi_squared_of_a_single_run(consistent):
    haadf, maps = consistent
    place = list(ANGLES).index(0)
    rest = np.arange(len(ANGLES)) != place
    variance = np.random.default_rng(3).uniform(1, 4, maps.shape).astype(np.float32)
    kernel = hebt.prepare.smoothing_kernel(3, 1.0)
    smoothed = hebt.prepare.smooth(maps, width=3, sigma=1.0, axis=(-2, -1))
    options = {"held": [0], "stops": [4], "targets": maps, "margin": 4, "ratio_maps": maps}
    methods = {"A": 0.5, "B": hebt.CompositionEM(1, variance=VARIANCE, haadf_noise=0.0)}
    for scale in (True, False):
        found = validation.leave_one_out(
            *(ANGLES, haadf, smoothed),
            **options,
            variance=variance,
            methods=methods,
            blur=kernel,
            scale=scale,
        )
        assert found.methods == ("A", "B")
        ratios = hebt.response_ratios(haadf[rest], maps[:, rest]).ratios
        W, V = hebt.Projector(ANGLES[rest], 32), hebt.Projector([0.0], 32)
        data = W, haadf[rest], smoothed[:, rest], ratios
        em = hebt.CompositionEM(1, variance=VARIANCE[:, rest], haadf_noise=0.0)
        runs = (
            hebt.reconstruct(*data, 0.5, 4, blur=kernel),
            hebt.reconstruct(*data, iterations=4, method=em),
        )
        for which, x in enumerate(runs):
            for e in (0, 1):
                q = V.forward(x[e])[0, :, 4:-4].astype(float) / ratios[e]
                t, w = maps[e, place, :, 4:-4], 1 / variance[e, place, :, 4:-4]
                c = (w * t * q).sum() / (w * q * q).sum() if scale else 1.0
                expected = (w * (t - c * q) ** 2).mean()
                np.testing.assert_allclose(found.errors[which, 0, 0, e], expected, rtol=1e-3)


def test_choices_and_errors_see_nothing_of_their_judge(consistent):
    """Whatever the judging tilt's data are, what is chosen for it stays the same."""
    haadf, maps = consistent
    noisy = np.random.default_rng(1).poisson(0.3 * np.maximum(maps, 0)).astype(np.float32)
    options = {"held": [-20, 0, 30, 50], "targets": maps, "variance": VARIANCE}
    before = validation.nested(ANGLES, haadf, noisy, recipes(2, 5, 20), **options)
    place, there = list(ANGLES).index(0), 1
    spoilt_haadf, spoilt = haadf.copy(), noisy.copy()
    spoilt_haadf[place] = 7.0
    spoilt[:, place] = np.random.default_rng(0).random(maps[:, place].shape)
    after = validation.nested(ANGLES, spoilt_haadf, spoilt, recipes(2, 5, 20), **options)
    np.testing.assert_array_equal(after.errors[:, there], before.errors[:, there])
    assert all(after.chosen[c][there] == before.chosen[c][there] for c in before.contenders)
    assert (after.errors[:, 0] != before.errors[:, 0]).any(), "others do see it"
    # nor does what it is judged by change the choice
    targets = maps.copy()
    targets[:, place] = spoilt[:, place]
    after = validation.nested(
        ANGLES, haadf, noisy, recipes(2, 5, 20), **options | {"targets": targets}
    )
    assert all(after.chosen[c][there] == before.chosen[c][there] for c in before.contenders)
    assert (after.errors[:, there] != before.errors[:, there]).all()


def test_tilts_in_any_order_judge_alike(consistent):
    haadf, maps = consistent
    order, held = np.random.default_rng(4).permutation(len(ANGLES)), [-30, 10, -10, 40, 20]
    noisy = np.random.default_rng(1).poisson(0.3 * np.maximum(maps, 0)).astype(np.float32)
    variance = noisy + 2
    results = []
    for at, judges in ((np.arange(len(ANGLES)), held), (order, held[::-1])):
        em = [
            validation.Recipe(
                hebt.CompositionEM(k, variance=variance[:, at], haadf_noise=1.0),
                (3, 9),
                name=f"{k}",
            )
            for k in (0.5, 2)
        ]
        contenders = {"EM": em, "HEBT": [validation.Recipe(0.6, (2, 5, 20))]}
        given = ANGLES[at], haadf[at], noisy[:, at], contenders
        results.append(validation.nested(*given, held=judges, variance=variance[:, at]))
    one, other = results
    np.testing.assert_allclose(other.errors[:, ::-1], one.errors, rtol=1e-4)
    assert other.chosen == {name: picks[::-1] for name, picks in one.chosen.items()}


def test_shares_that_saw_the_data_held_out_are_refused(consistent):
    haadf, maps = consistent
    method = hebt.CompositionEM(1, shares=np.ones((2, 6, 32, 32)))
    with pytest.raises(ValueError, match="CompositionEM with shares, in which an earlier run"):
        validation.Recipe(method)
    with pytest.raises(ValueError, match="CompositionEM with shares"):
        validation.leave_one_out(ANGLES, haadf, maps, held=[0], methods={"A": method})


def test_what_others_choose_is_what_predicts_them_best(consistent):
    haadf, maps = consistent
    contenders = {"one": [validation.Recipe(0.5, (1, 40)), validation.Recipe(0.0, (1,))]}
    judged = validation.nested(ANGLES, haadf, maps, contenders, held=[-20, 0, 30], inner=2)
    assert judged.chosen["one"] == (("HEBT, α = 0.5", 40),) * 3
    for there, tilt in enumerate((-20, 0, 30)):
        single = validation.leave_one_out(
            ANGLES, haadf, maps, held=[tilt], methods={"one": 0.5}, stops=[40]
        )
        np.testing.assert_allclose(judged.errors[0, there], single.errors[0, 0, 0], rtol=1e-5)


def test_parts_of_the_counts_are_predicted_from_the_others(consistent):
    haadf, maps = consistent
    counts = np.random.default_rng(2).poisson(np.maximum(maps, 0))
    parts = np.stack(hebt.split_counts(counts, seed=1, parts=3)).astype(np.float32)
    variance = np.full(parts.shape, 2.0)
    contenders = {"EDS": [validation.Recipe(0.0, (6,))], "HEBT": [validation.Recipe(0.5, (6,))]}
    judged = validation.nested_counts(ANGLES, haadf, parts, contenders, variance=variance)
    W = hebt.Projector(ANGLES, 32)
    expected = np.zeros((2, len(ANGLES), 2))
    for part in range(3):
        rest = parts[[p for p in range(3) if p != part]].sum(axis=0)
        ratios = hebt.response_ratios(haadf, rest).ratios
        eds = np.moveaxis(W.forward(hebt.sirt(W, np.moveaxis(rest, 0, 1), 6)), 1, 0) / 2
        both = hebt.reconstruct(W, haadf, rest, ratios, 0.5, 6)
        both = np.moveaxis(W.forward(both), 1, 0) / ratios[:, None, None, None] / 2
        for which, predicted in enumerate((eds, both)):
            errors = ((parts[part] - predicted) ** 2 / 2).mean(axis=(2, 3)).T
            expected[which] += errors / 3
    np.testing.assert_allclose(judged.errors, expected, rtol=1e-3)
    np.testing.assert_array_equal(judged.tilts, ANGLES)
    # what is in a part changes nothing of what is chosen for it
    spoilt = parts.copy()
    spoilt[0] = parts[0][:, ::-1]
    contenders = {name: some for name, some in recipes(1, 9).items() if name != "EM"}
    options = {"inner": 1, "variance": variance}
    before = validation.nested_counts(ANGLES, haadf, parts, contenders, **options)
    after = validation.nested_counts(ANGLES, haadf, spoilt, contenders, targets=parts, **options)
    assert all(after.chosen[c][0] == before.chosen[c][0] for c in contenders)


def made_up(difference, noise, tilts=8, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(5, 3, (1, tilts, 2))  # what makes a tilt hard to predict
    errors = np.concatenate([common, common + difference + noise * rng.normal(size=(1, tilts, 2))])
    return validation.Judged(("A", "B"), ("Au", "Ag"), np.arange(tilts), errors, {})


def test_verdicts_go_either_way_and_need_more_than_chance():
    for difference, verdict in ((-1.0, 1), (1.0, -1)):
        judged = made_up(difference, 0.2)
        assert (judged.verdicts("A") == [[0, 0], [verdict, verdict]]).all()
        assert (judged.verdicts("B")[0] == -verdict).all()
        assert not judged.verdicts("A", errors=100).any()
    with pytest.raises(ValueError, match="reference is 'C'; expected one of A, B"):
        judged.verdicts("C")


def test_standard_errors_are_those_of_repeated_measurements():
    found = [made_up(0.3, 0.5, seed=s).differences("A") for s in range(800)]
    means = np.array([mean[1] for mean, _ in found])
    errors = np.array([error[1] for _, error in found])
    assert means.mean() == pytest.approx(0.3, abs=0.02)
    assert np.sqrt((errors**2).mean()) == pytest.approx(means.std(), rel=0.06)
    equal = [made_up(0.0, 0.5, seed=s).verdicts("A")[1] for s in range(800)]
    assert 0.03 < np.abs(equal).mean() < 0.13, "two errors of eight tilts: about 8 %"


def test_inner_judges_are_others_and_mutual_where_they_can_be():
    from hebt._folds import inner_judges

    for count in (3, 4, 7, 14):
        held = list(range(10, 10 + count))
        for inner in range(1, count):
            chosen = inner_judges(held, inner)
            assert all(unit not in others and others for unit, others in chosen.items())
            assert all(len(others) <= inner for others in chosen.values())
            if inner == 2 and count > 3:
                assert all(len(others) == 2 for others in chosen.values())
                assert all(unit in chosen[o] for unit, others in chosen.items() for o in others)


def test_the_ring_of_judges_is_that_of_the_angles():
    from hebt._folds import Series, inner_judges

    def chosen(angles, held):
        series = Series(np.array(angles), *[None] * 5, names=())
        judges = inner_judges(series.in_ring([angles.index(tilt) for tilt in held]), 2)
        return {angles[unit]: {angles[other] for other in judges[unit]} for unit in judges}

    rising = chosen([-40, -20, 0, 20, 40, 60, 80], [-40, -20, 0, 20, 40, 60, 80])
    assert chosen([60, -20, 80, 0, -40, 40, 20], [20, 80, -40, 0, 60, -20, 40]) == rising


def test_an_empty_map_of_a_judge_is_refused_where_errors_are_shares_of_it(consistent):
    """Its error would be no number, and what it chooses for the others by chance."""
    haadf, maps = consistent
    empty = maps.copy()
    empty[1, 3] = 0
    contenders = {"EDS": [validation.Recipe(0.0, (1, 9))]}
    held = ANGLES[[1, 3, 6]]
    with pytest.raises(ValueError, match="0 everywhere for element 1 at -30 degrees; expected"):
        validation.nested(ANGLES, haadf, maps, contenders, held=held, targets=empty)
    parts = np.stack([maps, maps, empty])
    with pytest.raises(ValueError, match=r"at -30 degrees in parts\[2\]; expected"):
        validation.nested_counts(ANGLES, haadf, parts, contenders)
    options = {"held": held, "targets": empty, "variance": np.ones_like(maps)}
    judged = validation.nested(ANGLES, haadf, maps, contenders, **options)
    assert np.isfinite(judged.errors).all()


def test_parts_are_equal_and_have_their_own_variance(consistent):
    haadf, maps = consistent
    parts = np.stack([maps] * 5)
    contenders = {"EDS": [validation.Recipe(0.0, (2,))]}
    unequal = np.stack([parts[:3].sum(axis=0), parts[3], parts[4]])
    with pytest.raises(ValueError, match="parts hold 60 %, 20 %, 20 % of the counts"):
        validation.nested_counts(ANGLES, haadf, unequal, contenders)
    fused = hebt.Fused(np.ones_like(maps), haadf_noise=1.0)
    with pytest.raises(ValueError, match="variance of a method in contenders.* that of each part"):
        validation.nested_counts(ANGLES, haadf, parts, {"F": [validation.Recipe(fused, (2,))]})


def test_a_tilt_is_held_out_once_and_with_all_its_images(consistent):
    haadf, maps = consistent
    angles = ANGLES.copy()
    angles[4] = angles[3]
    for tilts, held in ((ANGLES, [0, 10, 0]), (angles, [angles[3], 0, 10])):
        with pytest.raises(ValueError, match="is there twice"):
            validation.leave_one_out(tilts, haadf, maps, held=held, stops=[1])
        contenders = {"EDS": [validation.Recipe(0.0, (1,))]}
        with pytest.raises(ValueError, match="is there twice"):
            validation.nested(tilts, haadf, maps, contenders, held=held)


def test_what_deconvolves_is_not_judged_by_smoothed_maps(consistent):
    with pytest.raises(ValueError, match="blur is given and targets is None"):
        validation.leave_one_out(ANGLES, *consistent, held=[0], stops=[1], blur=[0.25, 0.5, 0.25])
