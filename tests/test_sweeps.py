"""Sweeps over weight and iterations: batches against single runs, minima, figures, explorers."""

import dataclasses
import io
import re

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from test_explorers import at, colors, pixels, slider, visit  # noqa: F401

import hebt
from companion import dose, laboratory, particles, phantom, spectra, sweeps
from companion.particles.experiment import seed_settings
from companion.sweeps.slice import _crosstalk, _cut, _small
from hebt import explorers, metrics, simulate
from hebt.explorers.controls import quantize

ALPHAS = (0.05, 0.3, 0.7, 0.95)
ITERATIONS = (2, 10, 50)
SMALL = {"size": 40, "angles": np.arange(-60, 61, 20)}


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        patch.delenv("HEBT_STATIC", raising=False)
        yield


@pytest.fixture(scope="module")
def study(store):
    return sweeps.slice_sweep(seeds=range(2), alphas=ALPHAS, iterations=ITERATIONS, **SMALL)


@pytest.fixture(scope="module")
def bands(store):
    return sweeps.phantom_bands(iterations=(20, 50, 100), doses=(0.25, 1, 4), size=64)


# ---- where a curve is lowest ----


@pytest.mark.parametrize("best", [0.2, 0.62, 0.7, 0.93])
def test_the_lowest_point_lies_between_the_weights(best):
    alphas = np.array(sweeps.ALPHAS)
    assert alphas[0] == 0.01 and alphas[-1] == 0.99 and 0.7 in alphas
    values = 3 + (np.log(1 - alphas) - np.log(1 - best)) ** 2
    assert sweeps.lowest(alphas, values) == pytest.approx(best, abs=1e-6)


def test_at_an_end_the_lowest_point_is_the_end():
    alphas = (0.1, 0.5, 0.9)
    assert sweeps.lowest(alphas, [1, 2, 3]) == 0.1
    assert sweeps.lowest(alphas, [3, 2, 1]) == 0.9
    assert sweeps.lowest(alphas, [1, 1, 1]) == 0.1
    assert 0.1 < sweeps.lowest(alphas, [2, 1, 2]) < 0.9


# ---- the slice ----


@pytest.mark.parametrize("seed", [0, 1])
def test_the_batch_equals_single_runs(study, seed):
    settings = spectra.settings("nonalloy", seed=seed, **SMALL)
    series = spectra.process(settings)
    place = settings.size // 2
    assert study.slice == place and study.settings[seed] == settings
    ratios = study.ratios[:, seed]
    np.testing.assert_allclose(ratios, series.fit.ratios)
    W = hebt.Projector(series.angles, settings.size)
    haadf, maps = series.haadf[:, place], series.maps[:, :, place]
    scaled = maps * ratios[:, None, None].astype(np.float32)
    # each seed has a segmentation of its own; that of the first one is kept
    references = {r: v for r, v in study.references.items() if seed == 0 or r == "true"}

    def left(x):
        parts = [haadf - W.forward(x.sum(axis=0)), *(scaled - W.forward(x).swapaxes(0, 1))]
        return [np.linalg.norm(r) / np.linalg.norm(p) for r, p in zip(parts, (haadf, *scaled))]

    def errors(reference, x):
        return [metrics.scaled_mse(t, y, normalise="pixels") for t, y in zip(reference, x)]

    for alpha, iterations in ((0.7, 10), (0.95, 50)):
        a, i = study.at(alpha, iterations)
        x = hebt.reconstruct(W, haadf, maps, ratios, alpha, iterations)
        for r, reference in references.items():
            np.testing.assert_allclose(study.mse[r][a, i, :, seed], errors(reference, x), rtol=1e-3)
        if seed == 0:
            np.testing.assert_allclose(study.residuals[a, i], left(x), rtol=1e-3)
    eds = np.stack([hebt.sirt(W, p, 10) for p in scaled])
    i = study.iterations.index(10)
    for r, reference in references.items():
        np.testing.assert_allclose(study.eds_mse[r][i, :, seed], errors(reference, eds), rtol=1e-3)
    if seed == 0:
        np.testing.assert_allclose(study.eds_residuals[i], left(eds), rtol=1e-3)


def test_the_slice_has_the_seeds_of_the_particles_chapter_and_shares_their_series(store):
    """What is processed for one page is found again by the other."""
    few = {"alphas": (0.5,), "iterations": (2,), **SMALL}
    found = sweeps.slice_sweep(**few)
    assert found.settings == seed_settings("nonalloy", None, SMALL)
    assert len(found.settings) == found.ratios.shape[-1] == len(found.r_squared)


def test_other_readings_of_the_noise_differ_in_that_alone(study):
    others = sweeps.other_readings(alphas=(0.5, 0.9), iterations=(2, 10), **SMALL)
    first = study.settings[0]
    alike = {
        dataclasses.replace(s, sigma=first.sigma, counts=first.counts) for s in others.settings
    }
    assert alike == {first}
    assert len({(s.sigma, s.counts) for s in others.settings}) == len(others.settings) == 2


def test_crosstalk_is_the_density_of_gold_in_pure_silver():
    true = np.zeros((2, 60, 60))
    true[1, 5:55, 5:55] = 1
    true[:, 20:40, 20:40] = np.reshape([1.0, 0.0], (2, 1, 1))
    gold = 3 * true[0] + 0.6 * true[1]
    gold[:5] = gold[-5:] = 9.0  # outside, where it does not count
    gold[18:22, 20:40] = 9.0  # and near a surface
    assert _crosstalk(np.stack([gold, 2 * gold]), true) == pytest.approx([0.2, 0.2])


def test_references_are_a_segmentation_and_the_truth(study):
    true = spectra.specimen(study.settings[0]).density[:, study.slice]
    bulk = [simulate.DENSITY[e] for e in study.elements]
    np.testing.assert_allclose(study.references["true"], true / np.reshape(bulk, (2, 1, 1)))
    mask = study.references["segmented"]
    assert set(np.unique(mask)) == {0, 1} and mask.sum(axis=0).max() == 1
    for found, wanted in zip(mask, study.references["true"]):
        both = 2 * (found * (wanted > 0.5)).sum()
        assert both / (found.sum() + (wanted > 0.5).sum()) > 0.8


def test_pictures_are_densities_cut_to_the_particle(study):
    n = study.pictures.shape[-1]
    assert study.pictures.shape == (len(ALPHAS), len(ITERATIONS), 2, n, n)
    true = study.reference_pictures["true"]
    total = particles.from_steps(true).sum() * study.binning**2
    assert total == pytest.approx(study.references["true"].sum(), rel=0.01)
    gold = particles.from_steps(study.pictures[study.at(0.7, 50)])[0]
    assert np.median(gold[true[0] > 160]) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("size", [40, 61, 300])
def test_pictures_of_any_size_hold_the_particle_and_stay_small(size):
    inside = np.zeros((2, size, size))
    first, last = size // 5, size - size // 8
    inside[0, first:last, size // 3 : size // 2] = 1
    cut, binning = _cut(inside)
    small = _small(inside.astype(np.float32), cut, binning)
    assert small.shape[-1] <= sweeps.FRAME
    assert small[0].sum() * binning**2 == pytest.approx(inside.sum())


def test_what_was_not_swept_is_named(study, bands):
    with pytest.raises(ValueError, match="alpha is 0.71; expected one of 0.05"):
        study.at(0.71, 10)
    with pytest.raises(ValueError, match="iterations is 11"):
        study.at(0.7, 11)
    with pytest.raises(ValueError, match="dose is 3"):
        bands.best_alphas(3, 20)
    with pytest.raises(ValueError, match="expected 1 among them"):
        sweeps.phantom_bands(doses=(2,))


# ---- the phantom ----


def test_the_batch_of_doses_seeds_and_weights_equals_single_runs(bands):
    d, seed = bands.doses.index(4.0), 1
    settings = bands.settings[d]
    assert settings.dose == 4 and len(bands.settings[1].seeds) == 3
    data = phantom.data(settings)
    fit = phantom.estimate_ratios(data, seed)
    a, i = bands.alphas.index(0.7), bands.iterations.index(50)
    x = hebt.reconstruct(data.W, data.haadf, data.maps[:, :, seed], fit.ratios, 0.7, 50)
    expected = [metrics.scaled_mse(t, y, normalise="pixels") for t, y in zip(data.density, x)]
    np.testing.assert_allclose(bands.mse[d][a, i, :, seed], expected, rtol=1e-3)
    eds = [hebt.sirt(data.W, m, 50) for m in data.maps[:, :, seed]]
    expected = [metrics.scaled_mse(t, y, normalise="pixels") for t, y in zip(data.density, eds)]
    np.testing.assert_allclose(bands.eds_mse[d][i, :, seed], expected, rtol=1e-3)
    inside = np.moveaxis(data.counts, 2, -1)[:, data.haadf > 0]
    assert bands.counts[d] == pytest.approx(inside.mean())


def test_the_best_weight_grows_with_iterations_and_falls_with_dose(bands):
    best = np.array(
        [[bands.best_alphas(d, n).mean() for n in bands.iterations] for d in bands.doses]
    )
    assert (np.diff(best[0]) > 0).all() and (np.diff(best[1]) > 0).all()
    assert (np.diff(best, axis=0) <= 0).all() and (np.diff(best[:, -1]) < 0).all()
    assert bands.mse[1].shape == (len(bands.alphas), 3, 2, 3)


def made(mse, eds):
    """A study with given errors, (alphas, iterations, elements, seeds)."""
    return sweeps.PhantomBands(
        settings=(phantom.PhantomSettings.paper(size=64, seeds=range(mse.shape[-1])),),
        elements=("Au", "Ag"),
        alphas=(0.1, 0.5, 0.9),
        iterations=(10, 100),
        doses=(1.0,),
        counts=np.array([6.0]),
        mse=(mse,),
        eds_mse=(eds,),
    )


def test_best_point_interval_and_flat_range():
    mse = np.full((3, 2, 2, 2), 4.0)
    mse[:, 0] = np.reshape([1.0, 1.05, 3.0], (3, 1, 1))
    mse[:, 1] = np.reshape([2.0, 0.5, 2.0], (3, 1, 1))
    mse[1, 1, 1] = 0.7  # Ag
    eds = np.reshape([1.5, 2.0], (2, 1, 1)) * np.ones((2, 2, 2))
    study = made(mse, eds)
    assert study.best(1.0) == (0.5, 100, pytest.approx(0.6))
    assert study.best_eds(1.0) == (10, 1.5)
    assert study.flat(1.0, 10) == (0.1, 0.5)
    assert study.flat(1.0, 100) == (0.5, 0.5)
    assert (study.best_alphas(1.0, 10) == 0.1).all()
    assert study.best_alphas(1.0, 100, "Au").shape == (2,)
    mse[0, 1, :, 1] = 0.1  # one seed has its minimum elsewhere
    found = made(mse, eds).best_alphas(1.0, 100)
    assert found[1] == 0.1 and found[0] > 0.3


# ---- figures, tables, numbers ----


def drawn(figure):
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=50)
    return np.array(Image.open(out).convert("L"))


def test_figures_are_drawn(study, bands):
    for figure in (
        sweeps.figure7(study),
        sweeps.figure8(study),
        sweeps.plot_ghost(study),
        sweeps.plot_residuals(study),
        sweeps.plot_bands(bands),
        sweeps.plot_minima(bands),
        sweeps.plot_failures(laboratory.run_presets(["ghost"])),
    ):
        assert drawn(figure).std() > 10


def test_figure_7_shows_the_errors(study):
    axes = sweeps.figure7(study).axes
    for ax, (r, e) in zip(axes, [(r, e) for r in sweeps.REFERENCES for e in (0, 1)]):
        lines = [line for line in ax.lines if len(line.get_xdata()) == len(ALPHAS)]
        for line, n in zip(lines, study.iterations[-len(lines) :], strict=True):
            i = study.iterations.index(n)
            np.testing.assert_allclose(line.get_ydata(), study.mse[r][:, i, e].mean(axis=-1))


def test_tables_hold_the_numbers(study, bands):
    text = str(sweeps.minimum_table(study))
    i = study.iterations.index(50)
    assert f"{study.mse['true'][:, i, 0].min(axis=0).mean():.4f}" in text
    assert f"{study.eds_mse['true'][i, 1].mean():.4f}" in text
    text = str(sweeps.best_point_table(bands))
    for one in bands.doses:
        assert f"{bands.best(one)[2]:.4f}" in text
    rows = sweeps.advice_table(bands).rows
    assert len({row[0] for row in rows}) == len(bands.doses)
    low, high = bands.flat(bands.doses[0], 50)
    assert rows[0][1] == "50" and rows[0][4] == f"{low:g} to {high:g}"


def test_the_dose_is_in_one_unit(bands):
    settings = [spectra.settings(p) for p in ("nonalloy", "alloy")]
    rows = sweeps.dose_table(bands, *settings).rows
    paper, *others = (row for row in rows if row[0].startswith("phantom"))
    assert "512" in paper[0] and paper[1] == paper[2]
    sizes = [int(re.search(r"\d+", row[0])[0]) for row in others]
    for size, row in zip(sizes, others, strict=True):
        assert row[1] == paper[1]
        assert float(row[2]) == pytest.approx(float(paper[2]) * 512 / size, rel=0.05)
    for one, row in zip(settings, rows[-2:], strict=True):
        assert float(row[1]) == pytest.approx(one.counts, rel=0.05)
        assert float(row[2]) == pytest.approx(one.counts * one.binning**2, rel=0.05)
    # the simulated counts themselves, on two grids: the unit does not know the grid
    first = bands.doses.index(1.0)
    fine = phantom.PhantomSettings.paper(size=256, seeds=(0,))
    data = phantom.data(fine)
    counts = np.moveaxis(data.counts, 2, -1)[:, data.haadf > 0].mean(dtype=float)
    expected = dose.on_pixel(counts, side=fine.binning, other=1, sides=1)
    assert bands.counts_on_paper_pixel[first] == pytest.approx(expected, rel=0.05)


CLAIMS = ("fit", "falls", "rises", "ghost", "over_fits", "moves", "best", "optimal", "stops")


def words(study):
    rows = sweeps.claims_table(study).rows
    return dict(zip(CLAIMS, [row[-1] for row in rows], strict=True))


def like_the_paper(study, *, best=(0.3, 0.7, 0.8, 0.9), growth=-0.1, seeds=3):
    """A study with what the paper says, made up: `best` weights after the printed iterations."""
    alphas, steps = np.array(sweeps.ALPHAS), np.array(sweeps.ITERATIONS)
    best = np.concatenate([np.full(len(steps) - len(best), best[0] / 2), best])
    distance = np.log(1 - alphas)[:, None] - np.log(1 - best)[None]
    mse = 0.01 * (1 + distance**2)
    mse[sweeps.ALPHAS.index(0.1)] = 0.03 * steps**growth
    crosstalk = np.broadcast_to((2 / steps)[None, :, None], (*mse.shape, seeds))
    eds = np.broadcast_to((0.02 * (1 + np.log(steps / 15) ** 2))[:, None, None], (11, 2, seeds))
    full = np.broadcast_to(mse[:, :, None, None], (*mse.shape, 2, seeds))
    return dataclasses.replace(
        study,
        settings=study.settings[:1] * seeds,
        alphas=sweeps.ALPHAS,
        iterations=sweeps.ITERATIONS,
        r_squared=np.full(seeds, 0.951),
        mse=dict.fromkeys(sweeps.REFERENCES, full),
        eds_mse=dict.fromkeys(sweeps.REFERENCES, eds),
        crosstalk=crosstalk,
    )


def changed(study, change):
    return dataclasses.replace(study, mse={r: change(v.copy()) for r, v in study.mse.items()})


def test_where_the_slice_is_as_the_paper_says_all_agrees(study):
    found = words(like_the_paper(study))
    assert found.pop("stops") == "yes"
    assert set(found.values()) == {"agrees"}


def test_only_what_was_fitted_is_called_so(study):
    kinds = [row[1] for row in sweeps.claims_table(study).rows]
    assert kinds == ["fitted"] + ["predicted"] * 8


@pytest.mark.parametrize(
    ("r_squared", "word"), [(0.954, "agrees"), (0.96, "near"), (0.995, "better"), (0.79, "worse")]
)
def test_the_fit_can_be_too_good_and_too_bad(study, r_squared, word):
    made = dataclasses.replace(like_the_paper(study), r_squared=np.full(3, r_squared))
    assert words(made)["fit"] == word


@pytest.mark.parametrize(
    ("at_100", "word"), [(0.4, "smaller"), (0.65, "near"), (0.7, "agrees"), (0.9, "larger")]
)
def test_the_best_weight_can_be_too_small_and_too_large(study, at_100, word):
    best = (0.3, at_100, max(at_100, 0.8), 0.95)
    assert words(like_the_paper(study, best=best))["best"] == word


def test_one_element_alone_does_not_make_a_claim_true(study):
    made = like_the_paper(study)
    other = like_the_paper(study, best=(0.9, 0.4, 0.3, 0.01)).mse["true"]

    def change(mse):
        mse[:, :, 1] = other[:, :, 1]
        return mse

    found = words(changed(made, change))
    assert found["moves"] == "in part" and found["falls"] == "in part"
    assert "Au" in found["best"] and "agrees" in found["best"] and "smaller" in found["best"]
    assert found["optimal"] == "does not"


def test_a_rising_and_a_falling_error_have_no_minimum(study):
    made = like_the_paper(study)
    a = np.reshape(sweeps.ALPHAS, (-1, 1, 1, 1))
    assert words(changed(made, lambda mse: 0 * mse + a))["falls"] == "does not"
    falling = words(changed(made, lambda mse: 0 * mse + 2 - a))
    assert falling["falls"] == falling["rises"] == falling["moves"] == "does not"
    assert falling["optimal"] != "agrees"


def test_one_seed_that_differs_is_seen(study):
    def change(mse):
        mse[-1, :, :, 2] = mse[0, :, :, 2]
        return mse

    assert words(changed(like_the_paper(study), change))["rises"] == "in part"


@pytest.mark.parametrize(
    ("power", "word"), [((1, 1, 1), "agrees"), ((0, -1, 0), "does not"), ((1, 0, 1), "in part")]
)
def test_a_ghost_that_stays_or_grows_is_seen(study, power, word):
    made = like_the_paper(study)
    made = dataclasses.replace(made, crosstalk=made.crosstalk ** np.array(power))
    assert words(made)["ghost"] == word


def test_a_ghost_too_weak_to_see_is_none(study):
    made = like_the_paper(study)
    made = dataclasses.replace(made, crosstalk=0.1 * made.crosstalk)
    assert words(made)["ghost"] == "does not"


def test_over_fitting_has_three_outcomes(study):
    grows, falls = (like_the_paper(study, growth=g).mse for g in (0.1, -0.1))
    made = like_the_paper(study, growth=0.1)
    assert words(made)["over_fits"] == "does not: it increases, as over-fitting should"
    mixed = dataclasses.replace(made, mse={"segmented": grows["true"], "true": falls["true"]})
    assert words(mixed)["over_fits"] == "in part"


def test_hebt_as_the_paper_uses_it_can_lose_to_eds_at_its_best_stop(study):
    made = like_the_paper(study)
    stops, mse = made.eds_best("true")
    assert (stops == 15).all() and mse == pytest.approx(np.full((2, 3), 0.02))
    assert made.gain_over_best_eds("true") == pytest.approx(np.full((2, 3), 2))
    for factor, word in ((0.4, "no"), (np.reshape([0.4, 1.0], (2, 1)), "in part")):
        eds = {r: v * factor for r, v in made.eds_mse.items()}
        assert words(dataclasses.replace(made, eds_mse=eds))["stops"] == word


def test_the_table_of_readings_has_a_row_for_each(study):
    made = like_the_paper(study)
    other = like_the_paper(study, best=(0.1, 0.4, 0.6, 0.8), seeds=2)
    first = made.settings[0]
    noisy = dataclasses.replace(first, sigma=3.0, counts=0.4)
    other = dataclasses.replace(other, settings=(noisy, first), r_squared=np.array([0.962, 0.99]))
    rows = sweeps.readings_table(made, other).rows
    assert rows[0][:2] == (f"σ = {first.sigma:g}, {first.counts:g} counts", "0.951")
    assert [row[2] for row in rows] == ["Au", "Ag"] * 3
    assert rows[2][:2] == ("σ = 3, 0.4 counts", "0.962") and rows[4][1] == "0.990"
    assert rows[0][4] == "0.70" and rows[2][4] == "0.40" and rows[0][-1] == "2.00"


def test_every_number_of_the_chapter_is_there(study, bands):
    text = (ROOT / "book" / "sweeps.md").read_text(encoding="utf-8")
    quoted = set(re.findall(r"\{glue:text\}`(\w+)`", text))
    numbers = sweeps.sweep_numbers(study, bands)
    assert quoted <= set(numbers), quoted - set(numbers)
    assert all(numbers[name].strip() and "nan" not in numbers[name] for name in quoted)


# ---- explorers ----


def test_the_slice_explorer_shows_the_sweep(study):
    shown = sweeps.explore_slice_sweep(study)
    shown.move(alpha=0.95, iterations=50)
    a, i = study.at(0.95, 50)
    picture = particles.from_steps(study.pictures[a, i, 1])
    expected = quantize(picture, (0, 1.5))[0].tobytes()
    assert shown.picture["frames"]["Ag"] == expected
    true = particles.from_steps(study.reference_pictures["true"][1])
    expected = quantize(picture - true, (-1, 1))[0].tobytes()
    assert shown.picture["frames"]["Ag_difference"] == expected
    assert shown.picture["readouts"]["Ag_mse"] == f"{study.mse['true'][a, i, 1, 0]:.4f}"
    np.testing.assert_allclose(
        shown.picture["curves"]["by_weight"][0][0], study.mse["true"][:, i, 0, 0], rtol=1e-4
    )


def test_a_page_with_the_papers_sweep_stays_small(study, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    shape = (len(sweeps.ALPHAS), len(sweeps.ITERATIONS), 2)
    true = np.zeros((2, 140, 140), np.uint8)
    true[0, 40:100, 40:100] = 170
    true[1, 15:125, 15:125] = 170 - true[0, 15:125, 15:125]
    noise = rng.normal(1, 0.05, (*shape, 140, 140)) * true
    big = dataclasses.replace(
        study,
        alphas=sweeps.ALPHAS,
        iterations=sweeps.ITERATIONS,
        pictures=np.clip(noise, 0, 255).astype(np.uint8),
        reference_pictures={"true": true},
        mse=dict.fromkeys(sweeps.REFERENCES, np.ones((*shape, 1))),
        eds_mse=dict.fromkeys(sweeps.REFERENCES, np.ones((*shape[1:], 1))),
    )
    monkeypatch.setenv("HEBT_STATIC", "1")
    monkeypatch.setenv("HEBT_STATIC_FILES", str(tmp_path))
    assert len(sweeps.explore_slice_sweep(big).html()) < 2e6
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 30e6


RNG = np.random.default_rng(2)
X = RNG.random((3, 2, 2, 12, 12)).astype(np.float32)
TRUTH = RNG.random((2, 12, 12)).astype(np.float32)
SERIES = RNG.random((3, 8, 12)).astype(np.float32)


def test_own_sweep_shows_differences_and_errors():
    shown = explorers.sweep(X, [0.1, 0.5, 0.9], (10, 20), names=["Au", "Ag"], reference=TRUTH)
    shown.move(alpha=0.9, iterations=10)
    c = metrics.optimal_scale(TRUTH[1], X[2, 0, 1])
    pair = (-float(np.ptp(TRUTH[1])), float(np.ptp(TRUTH[1])))
    expected = quantize(c * X[2, 0, 1] - TRUTH[1], pair)[0]
    got = np.frombuffer(shown.picture["frames"]["difference1"], np.uint8).reshape(12, 12)
    assert np.abs(got.astype(int) - expected).max() <= 1
    errors = [metrics.scaled_mse(TRUTH[0], X[a, 0, 0]) for a in range(3)]
    np.testing.assert_allclose(shown.picture["curves"]["mse"][0][0], errors, rtol=1e-4)
    found = [metrics.scaled_mse(TRUTH[e], X[2, 0, e]) for e in range(2)]
    assert f"Mean-squared error: Au {found[0]:.4f}, Ag {found[1]:.4f}." in shown.describe()
    plain = explorers.sweep(X, [0.1, 0.5, 0.9], (10, 20))
    assert f"{X[1, 1, 0].max():.4g}" in plain.describe()
    assert plain.state == {"alpha": 0.5, "iterations": 20}
    assert set(plain.picture["frames"]) == {"element0", "element1"}


def test_own_tilts_are_sorted_by_angle():
    shown = explorers.tilts({"Au": SERIES, "Ag": 2 * SERIES}, [20, -20, 0], limits=(0, 2))
    assert shown.state == {"tilt": 0.0}
    shown.move(tilt=-20)
    for k, factor in ((0, 1), (1, 2)):
        expected = quantize(factor * SERIES[1], (0, 2))[0].tobytes()
        assert shown.picture["frames"][f"series{k}"] == expected
        assert f"{factor * SERIES[1].max():.4g}" in shown.describe()


def test_series_may_have_tilts_of_their_own():
    given = {"HAADF": SERIES, "Au": 2 * SERIES[:2]}
    shown = explorers.tilts(given, {"HAADF": [20, -20, 0], "Au": [-20.01, 10]}, limits=(0, 2))
    for tilt, seen in ((-20, (SERIES[1], 2 * SERIES[0])), (10, (0 * SERIES[0], 2 * SERIES[1]))):
        shown.move(tilt=-20.01 if tilt == -20 else tilt)
        for k, image in enumerate(seen):
            expected = quantize(image, (0, 2))[0].tobytes()
            assert shown.picture["frames"][f"series{k}"] == expected
    with pytest.raises(ValueError, match="by the names HAADF, and images by HAADF, Au"):
        explorers.tilts(given, {"HAADF": [20, -20, 0]})


@pytest.mark.parametrize("angles", [[0, 9, 20], {"HAADF": [0, 9, 20], "Au": [0, 9, 20]}])
def test_series_may_have_pixels_of_their_own(angles):
    fine = SERIES.repeat(2, axis=1).repeat(2, axis=2)
    shown = explorers.tilts({"HAADF": fine, "Au": SERIES}, angles, limits=(0, 2))
    sizes = [panel["shape"] for panel in shown.spec["panels"]]
    assert [tuple(size) for size in sizes] == [fine.shape[1:], SERIES.shape[1:]]
    shown.move(tilt=9)
    for k, series in enumerate((fine, SERIES)):
        assert shown.picture["frames"][f"series{k}"] == quantize(series[1], (0, 2))[0].tobytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: explorers.sweep(X[0], [1], [1]), "4 dimensions"),
        (lambda: explorers.sweep(X, [0.1, 0.2], [1, 2]), "alphas 2 and iterations 2"),
        (lambda: explorers.sweep(X, [0.1, 0.2, 0.3], [1, 2], names=["Au"]), "Au"),
        (lambda: explorers.sweep(X, [0.1, 0.2, 0.3], [1, 2], reference=X[0, 0, :1]), "reference"),
        (lambda: explorers.sweep(X, [0.1, 0.2, 0.3], [1, 2], limits={"a": (0, 1)}), "limits"),
        (lambda: explorers.tilts(SERIES[0], [1, 2, 3]), "2 dimensions"),
        (lambda: explorers.tilts(SERIES, [0, 20]), "3 tilts and angles 2"),
        (lambda: explorers.tilts({}, [0, 20]), "empty"),
        (lambda: explorers.tilts({"a": SERIES, "b": SERIES[1:]}, [0, 9, 20]), "as many tilts"),
        (lambda: explorers.slices({"a": SERIES, "b": SERIES[:, 1:]}), "same for all"),
    ],
)
def test_bad_arrays_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_on_a_page_each_slider_moves_its_pictures(visit, study):  # noqa: F811
    page = visit(
        sweeps.explore_slice_sweep(study),
        explorers.sweep(
            X, [0.1, 0.5, 0.9], (10, 20), names=["a", "b"], reference=TRUTH, limits=(0, 1)
        ),
        explorers.tilts(SERIES, [-20, 0, 20], limits=(0, 1)),
    )
    at(page, 2, 1, nth=0)
    before = {n: pixels(page, n) for n in ("Au", "Ag", "Au_difference", "Ag_difference")}
    marker = page.locator("circle[data-line]").first
    place = marker.get_attribute("cx")
    slider(page, "alpha", 0).focus()
    page.keyboard.press("ArrowRight")
    at(page, 3, 1, nth=0)
    assert all((pixels(page, n) != v).any() for n, v in before.items())
    assert marker.get_attribute("cx") != place
    height = marker.get_attribute("cy")
    slider(page, "iterations", 0).focus()
    page.keyboard.press("Home")
    at(page, 3, 0, nth=0)
    assert marker.get_attribute("cy") != height
    true = particles.from_steps(study.pictures[study.at(0.95, 10)])[0]
    np.testing.assert_array_equal(pixels(page, "Au"), colors(true, "inferno", (0, 1.5)))
    slider(page, "alpha", 1).fill("2")
    slider(page, "iterations", 1).fill("0")
    at(page, 2, 0, nth=1)
    np.testing.assert_array_equal(pixels(page, "element1"), colors(X[2, 0, 1], "inferno", (0, 1)))
    slider(page, "tilt").fill("2")
    at(page, 2, nth=2)
    gray = pixels(page, "series0")[..., 0]
    assert np.corrcoef(gray.ravel(), SERIES[2].ravel())[0, 1] > 0.999
