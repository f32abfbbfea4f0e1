"""The chapter without a weight: its studies, small, and its verdicts on made-up results."""

import dataclasses
import re

import numpy as np
import pytest
from conftest import ROOT
from scipy import stats

import hebt
from companion import phantom, without_weight
from companion.judging import EDS
from companion.three_elements.judgement import HARD, HEBT, Judgement
from companion.without_weight import claims, runs
from companion.without_weight.choice import ChoiceStudy
from companion.without_weight.dose import DoseStudy, kernel_at
from companion.without_weight.equivalence import mlem, share_evenly
from companion.without_weight.frames import DOSES, KERNELS, frames
from companion.without_weight.particles import ParticleComparison, band_of, raw_maps
from companion.without_weight.robustness import CASES, Case, Robustness, saturation_for, spoiled
from companion.without_weight.runs import Course, follow, noisy_series, together
from companion.without_weight.study import PhantomComparison
from hebt import metrics, simulate
from hebt.validation import Judged

SIZE, SEEDS = 32, (0, 5)
ELEMENTS = ("Au", "Ag")


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


@pytest.fixture(scope="module")
def study(store):
    return without_weight.study(size=SIZE, seeds=SEEDS, iterations=30)


@pytest.fixture(scope="module")
def series(store):
    return noisy_series(SEEDS, size=SIZE)


@pytest.fixture(scope="module")
def alloy(store):
    return without_weight.particle_comparison(
        "alloy", seeds=[0, 1], size=40, angles=range(-70, 71, 20)
    )


# --- studies ---


def test_each_method_of_the_phantom_is_the_call_that_the_chapter_shows(study, series):
    W, ratios = series.W, study.ratios
    each = {
        "fused": (series.maps, hebt.Fused(variance=runs.smoothed_variance(series)), None),
        "em": (series.counts, hebt.CompositionEM((0, 4 * SIZE / 512)), 75),
        "tv": (series.counts, hebt.GuidedTV(512.0), 300),
    }
    for name, (maps, method, n) in each.items():
        x = hebt.reconstruct(W, series.haadf_of_seeds, maps, ratios, iterations=n, method=method)
        for e in range(2):
            for s in range(len(SEEDS)):
                error = metrics.scaled_mse(series.density[e], x[e, s])
                assert study.error(name)[e, s] == pytest.approx(error, rel=1e-3)
        picture = x[:, 0] / (ratios[:, 0] * series.settings.counts_per_density)[:, None, None]
        np.testing.assert_allclose(study.pictures[name], picture, rtol=1e-3, atol=1e-3)


def test_eds_and_hebt_are_those_of_the_phantom_chapter_relative_to_the_reference(study, series):
    paper = phantom.study(size=SIZE, seeds=SEEDS, iterations=30)
    for name, own in (("eds", "eds"), ("hebt", "hebt_est")):
        last = [paper.scores.at("mse_reference", own, e) for e in ELEMENTS]
        np.testing.assert_allclose(study.error(name), last, rtol=1e-5)
        last = [paper.scores.at("dp", own, e) for e in ELEMENTS]
        np.testing.assert_allclose(study.error(name, name="dp"), last)
        # the picture is the one of the lowest mean error, of the first seed
        for e in range(2):
            error = metrics.scaled_mse(series.density[e], study.pictures[name][e])
            assert error == pytest.approx(study.error(name, stop="best")[e, 0], rel=0.05)


def test_series_together_give_what_each_gives_alone(series):
    more = noisy_series(SEEDS, size=SIZE, dose=0.3)
    ratios = [runs.fitted_ratios(each) for each in (series, more)]
    both, _ = follow("hebt", together([series, more]), np.concatenate(ratios, axis=1))
    for part, data, own in zip(both.parts(2), (series, more), ratios, strict=True):
        alone, _ = follow("hebt", data, own)
        np.testing.assert_allclose(part.scores["mse"], alone.scores["mse"], rtol=1e-3)


def test_each_dose_is_judged_by_itself(monkeypatch):
    """Also where HAADF has noise, which fusing estimates, at one of the doses only."""

    def series(seeds, *, size, dose):
        data = noisy_series(seeds, size=size, dose=dose)
        noise = 0.2 * data.haadf.max() * np.random.default_rng(0).standard_normal(data.haadf.shape)
        return dataclasses.replace(data, haadf=data.haadf + (dose > 0.5) * noise)

    monkeypatch.setattr("companion.without_weight.dose.noisy_series", series)
    both, one = (
        without_weight.dose_study(seeds=(0,), doses=doses, size=SIZE)
        for doses in ((0.4, 0.6), (0.4,))
    )
    for name in ("eds", "hebt", "fused", "em"):
        np.testing.assert_allclose(both.error(name, 0.4), one.error(name, 0.4), rtol=1e-3)


def test_the_kernel_holds_as_many_counts_at_each_dose():
    for dose in (0.1, 1, 4):
        assert kernel_at(dose) ** 2 * dose == pytest.approx(1)


def test_equal_shares_are_hebt_and_no_kernel_is_mlem():
    same = without_weight.equivalence()
    assert same.shared < same.apart / 10 and same.exact < 0.005
    assert same.likelihood < 1e-4


def test_a_share_of_the_misfit_is_where_the_gradient_of_hebt_vanishes():
    """Eq. 9 as SIRT weighs it, on an explicit matrix: both gradients vanish together."""
    rng = np.random.default_rng(1)
    W, alpha, k = rng.random((30, 6)), 0.6, 3
    p, r = rng.random((k, 1, 30)), np.array([1.0, 2.0, 0.5])
    h = rng.random((1, 30))
    shared = share_evenly(h, p, r, alpha)[:, 0]
    x = np.linalg.lstsq(W, shared.T, rcond=None)[0].T
    own = (r[:, None, None] * p)[:, 0] - x @ W.T
    gradient = (1 - alpha) * own + alpha / k * (h[0] - (x @ W.T).sum(axis=0))
    np.testing.assert_allclose(gradient @ W, 0, atol=1e-9)


def test_mlem_keeps_the_counts_and_makes_them_more_likely():
    W = hebt.Projector(np.arange(-80, 81, 20), 12)
    x = np.full((1, 12, 12), 1.0, np.float32)
    counts = np.random.default_rng(0).poisson(5 * W.forward(x[0]))[None].astype(float)
    one, ten = (mlem(W, x, counts, np.array([0.2]), n) for n in (1, 10))
    for found in (one, ten):
        assert W.forward(found[0]).sum() / 0.2 == pytest.approx(counts.sum(), rel=1e-3)
    logs = [
        stats.poisson.logpmf(counts[0], np.maximum(W.forward(f[0]) / 0.2, 1e-6)).sum()
        for f in (one, ten)
    ]
    assert logs[1] > logs[0]


def test_wrong_data_are_wrong_in_what_they_say(series):
    before = series.haadf.copy()
    top = series.haadf.max()
    damped = spoiled(series, Case("", damped=0.2)).haadf
    assert damped.max() == pytest.approx(0.8 * top, rel=1e-3)
    noise = spoiled(series, Case("", noise=0.03)).haadf - series.haadf
    assert noise.std() == pytest.approx(0.03 * top, rel=0.1)
    moved = spoiled(series, Case("", shift=1.0)).haadf
    np.testing.assert_allclose(moved[:, 1:], series.haadf[:, :-1], rtol=1e-5)
    np.testing.assert_array_equal(series.haadf, before)
    for lost in (0.05, 0.4):
        assert simulate.damp([1.0], saturation_for(lost))[0] == pytest.approx(1 - lost, rel=1e-4)


def test_every_case_is_compared_with_the_same_data(series):
    cases = (Case("right"), Case("ratios", ratios=(1.2, 0.8)), Case("kernel", kernel=2.0))
    found = without_weight.robustness(seeds=SEEDS, cases=cases, size=SIZE)
    ratios = runs.fitted_ratios(series)
    alone, _ = follow("hebt", series, ratios * np.array([[1.2], [0.8]]))
    np.testing.assert_allclose(found.error(1, "hebt"), alone.at(), rtol=1e-3)
    np.testing.assert_allclose(found.error(2, "hebt"), found.error(0, "hebt"), rtol=1e-5)
    assert (found.error(2, "em") != found.error(0, "em")).all()
    assert {c.name for c in CASES if c.noise and not c.stops}


def test_raw_maps_hold_what_the_processed_maps_hold():
    from companion.spectra.processing import process
    from companion.spectra.settings import settings

    found = process(settings("alloy", size=40, angles=range(-70, 71, 20), seed=0))
    band, picks = band_of(40)
    assert set(range(40)[band][picks]) <= set(range(40)[band])
    maps, variance = raw_maps(found, band)
    assert maps.shape == variance.shape == found.maps[:, :, band].shape
    np.testing.assert_allclose(
        maps.sum(axis=(1, 2, 3)), found.maps[:, :, band].sum(axis=(1, 2, 3)), rtol=0.05
    )
    # background was subtracted: more was counted than the maps hold
    assert (variance.mean(axis=(1, 2, 3)) > maps.mean(axis=(1, 2, 3))).all()


def test_the_alloy_is_measured_seed_by_seed(alloy):
    assert alloy.voxel_error.shape == (len(alloy.runs), 2)
    alone = alloy.place("tv")
    assert np.isfinite(alloy.voxel_error[alone, 0]) and np.isnan(alloy.voxel_error[alone, 1])
    rest = [i for i in range(len(alloy.runs)) if i != alone]
    assert np.isfinite(alloy.voxel_error[rest]).all() and np.isfinite(alloy.mse[rest]).all()
    assert alloy.place("hebt", 200) != alloy.place("hebt", 100) == alloy.place("hebt")
    exact = dataclasses.replace(alloy, profiles=np.tile(alloy.true_profile, (1, 1, 1)))
    assert exact.slope() == pytest.approx(1) and exact.profile_error() == pytest.approx(0)
    half = dataclasses.replace(alloy, profiles=0.5 * np.tile(alloy.true_profile, (1, 1, 1)))
    assert half.slope() == pytest.approx(0.5)


def test_the_explorer_has_a_picture_for_each_place_of_its_sliders():
    found = frames(seed=3, size=SIZE)
    for dose in DOSES:
        for name in ("eds", "hebt", "fused", "tv"):
            assert found.pictures[name, dose, None].shape == found.truth.shape
        each = [found.errors["em", dose, kernel] for kernel in KERNELS]
        assert len({tuple(one) for one in each}) == len(KERNELS)
    data = noisy_series((3,), size=SIZE, dose=DOSES[0])
    ratios = runs.fitted_ratios(data)
    width = 2 * kernel_at(DOSES[0])
    alone, _ = follow("em", data, ratios, method=runs.method_of("em", data, kernel=width))
    np.testing.assert_allclose(found.errors["em", DOSES[0], 2.0], alone.at()[:, 0], rtol=1e-3)


def test_without_its_data_the_benchmark_says_so():
    assert claims._benchmark(None, "eds").holds is None


# --- verdicts on results that are made up ---


def course(stated, least=None, seeds=2):
    """A course of three checkpoints with these errors at the last and at the middle one."""
    least = stated if least is None else least
    values = np.array([1.0, least, stated])[:, None, None] * np.ones((3, 2, seeds))
    return Course(np.array([1, 10, 20]), 20, {"mse": values, "dp": 100 * values})


def made_phantom(**errors):
    base = {"eds": (0.3, 0.1), "hebt": (0.2, 0.08), "fused": (0.05,), "em": (0.03,), "tv": (0.01,)}
    courses = {name: course(*values) for name, values in (base | errors).items()}
    picture = np.zeros((2, 4, 4))
    return PhantomComparison(
        settings=phantom.PhantomSettings.paper(size=SIZE, seeds=SEEDS),
        elements=ELEMENTS,
        truth=picture,
        ratios=np.ones((2, 2)),
        true_ratios=np.ones(2),
        courses=courses,
        pictures=dict.fromkeys(courses, picture),
        deviance=np.linspace(1, 0.4, 5)[:, None] * np.ones(2),
    )


def made_dose(tenth):
    values = {("em", 0.1): tenth, ("em", 1.0): 0.02, ("hebt", 0.1): 0.3, ("hebt", 1.0): 0.08}
    return DoseStudy((0.1, 1.0), SEEDS, ELEMENTS, {key: course(v) for key, v in values.items()})


def made_particle(em=0.02, slope=1.0, tv_slope=0.8):
    true = np.linspace(0.2, 0.6, 5)
    stops = (("eds", 20), ("eds", 200), ("hebt", 100), ("hebt", 200), ("em", 50), ("tv", 300))
    errors = np.array([0.04, 0.06, 0.05, 0.055, em, 0.04])
    slopes = np.array([0.9, 0.95, 0.9, 0.95, slope, tv_slope])
    profiles = slopes[:, None, None] * true * np.ones((6, 2, 1))
    profiles[-1, 1] = np.nan
    return ParticleComparison(
        particle="alloy",
        size=40,
        seeds=(0, 1),
        slices=8,
        scored=2,
        kernel=1.25,
        elements=ELEMENTS,
        runs=stops,
        mse=errors[:, None, None] * np.ones((6, 2, 2)),
        voxel_error=errors[:, None] * np.ones((6, 2)),
        profiles=profiles,
        radius=np.arange(5.0),
        true_profile=true,
        pictures={},
    )


def made_choice(chosen=1.0, deviation=0.1):
    widths = np.array([0.5, 1.0, 2.0])
    errors = np.array([[2.0, 1.0, 3.0]] * 2)
    flat = np.ones((2, 4, 4))
    return ChoiceStudy(
        size=32,
        seeds=(0, 1),
        elements=ELEMENTS,
        widths=[widths] * 2,
        differences=[widths] * 2,
        standard_errors=[widths] * 2,
        errors=[errors] * 2,
        chosen=np.array([chosen, 1.0]),
        totals=("hard",) * 2,
        deviation=deviation * flat,
        away=0.5 * flat,
        inside=np.ones((4, 4), bool),
        spread=np.array([0.1, 0.1]),
    )


def made_wrong(em):
    values = {"eds": 0.2, "hebt": 0.1, "fused": 0.09, "em": em}
    courses = {(0, name): course(v) for name, v in values.items()}
    return Robustness(32, SEEDS, ELEMENTS, (Case("nothing"),), courses)


def made_benchmark(em):
    levels = {EDS: 2.0, HEBT: 1.9, HARD: em}
    errors = np.array([np.full((4, 3), v) + 0.01 * np.arange(4)[:, None] for v in levels.values()])
    judged = Judged(tuple(levels), ("Al", "Si", "Yb"), np.arange(4), errors, {})
    return Judgement(judged, judged)


def test_a_course_is_read_at_its_stop_and_at_its_best():
    one = course(0.3, 0.1)
    assert one.at() == pytest.approx(0.3) and one.at("best") == pytest.approx(0.1)
    assert list(one.best_iterations()) == [10, 10]
    assert one.at(name="dp") == pytest.approx(30)
    with pytest.raises(ValueError, match="stop is 'early'"):
        one.at("early")


@pytest.mark.parametrize(
    ("verdict", "holds", "fails"),
    [
        (lambda study: claims._beats(study, "em"), made_phantom(), made_phantom(em=(0.09,))),
        (
            lambda study: claims._beats(study, "fused"),
            made_phantom(),
            made_phantom(fused=(0.2, 0.05)),
        ),
        (claims._no_semiconvergence, made_phantom(), made_phantom(em=(0.06, 0.03))),
        (
            claims._monotone,
            made_phantom(),
            dataclasses.replace(made_phantom(), deviance=np.array([[9.0, 1.0], [8.5, 1.6]])),
        ),
        (claims._tenth, made_dose(0.07), made_dose(0.09)),
        (claims._alloy_halved, made_particle(), made_particle(em=0.03)),
        (claims._alloy_slope, made_particle(), made_particle(slope=0.9)),
        (claims._flattens, made_particle(), made_particle(tv_slope=0.97)),
        (claims._octahedron, made_particle(), made_particle(em=0.045)),
        (claims._stands, made_wrong(0.05), made_wrong(0.15)),
        (claims._chosen, made_choice(), made_choice(chosen=2.0)),
        (claims._noise_only, made_choice(), made_choice(deviation=0.2)),
        (lambda study: claims._benchmark(study, "eds"), made_benchmark(1.7), made_benchmark(2.0)),
    ],
)
def test_each_verdict_can_fall_either_way(verdict, holds, fails):
    assert verdict(holds).holds is True
    assert verdict(fails).holds is False


def test_the_sentence_on_the_tenth_says_what_was_found():
    words = claims._at_most(made_dose(0.07).at_a_tenth())
    assert "every seed" in words
    mixed = np.array([[0.8, 1.1], [0.9, 0.9]])
    assert "not with every seed" in claims._at_most(mixed)
    assert claims._at_most(np.full((2, 2), 1.2)).startswith("not")


def test_losses_are_named_with_their_elements():
    table = str(without_weight.robustness_table(made_wrong(0.15)))
    assert "HEBT (Au, Ag)" in table and "EDS only (" not in table
    assert "none" in str(without_weight.robustness_table(made_wrong(0.05)))


def test_the_choice_is_held_against_the_truth():
    found = made_choice(chosen=2.0)
    assert list(found.oracle()) == [1.0, 1.0]
    assert found.loss() == pytest.approx([3, 1])
    noise, error, bias = found.noise()
    assert noise == pytest.approx(0.1) and error == pytest.approx(0.5)
    assert bias == pytest.approx(np.sqrt(0.24))


def test_numbers_and_table_take_what_the_studies_return(study, alloy):
    kernels = without_weight.kernel_comparison(seeds=SEEDS, size=SIZE)
    same = without_weight.equivalence()
    others = alloy, alloy, made_dose(0.07), made_wrong(0.05), made_choice()
    found = without_weight.numbers(study, *others, same, kernels)
    assert all(isinstance(text, str) and "nan" not in text for text in found.values())
    table = without_weight.claims_table(study, *others, None)
    assert {row[-1] for row in table.rows} <= {"yes", "no", "not computed"}
    page = (ROOT / "book" / "without_weight.md").read_text(encoding="utf-8")
    for name in found:
        assert name.startswith("weight_")
    assert set(re.findall(r"glue:text}`(\w+)`", page)) <= set(found)
