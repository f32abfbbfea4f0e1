"""The chapter on a measured series: its study, and that its words hold."""

import io
import re
import warnings

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import hebt
from companion import datasets, dust
from companion.dust import claims
from companion.dust import judgement as judge
from companion.dust.explorers import PLANES
from hebt import prepare
from hebt.explorers.controls import quantize

CHAPTER = (ROOT / "book" / "dust.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_FIDELITY", "quick")
        try:
            return dust.study()
        except datasets.MissingDataError as error:
            pytest.skip(f"measured data are not here: {error}")


@pytest.fixture(scope="module")
def result(study):
    return dust.held_out(study)


@pytest.fixture(scope="module")
def judgement(study):
    return dust.judge(study)


@pytest.fixture(scope="module")
def fit(study):
    names, maps = dust.keep(study)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return hebt.response_ratios(study.haadf, maps, names=names, variance=None)


def loss(result, method):
    """HEBT's error at the last stop against that of EDS alone, by element."""
    mean = result.mean()[:, -1]
    return dict(zip(result.elements, mean[method] / mean[0], strict=True))


def test_settings_are_those_of_the_fidelity(monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "paper")
    paper = dust.settings()
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    quick = dust.settings()
    assert paper.binning < quick.binning and len(paper.held) > len(quick.held)
    assert paper.strip == quick.strip and paper.depth == quick.depth
    with pytest.raises(ValueError, match="binning is 7; expected a divisor of 192 and 240"):
        type(quick)(binning=7, coarse=8, held=(0,))


def test_the_study_is_the_series_moved_cropped_and_binned(study):
    now = study.settings
    assert study.haadf.shape == (16, 240 // now.binning, 192 // now.binning)
    assert study.maps.shape == (9, *study.haadf.shape)
    assert study.pixel_size == now.binning * study.series.pixel_size
    moved = prepare.apply_shifts(study.series.haadf, study.shifts)
    strip = prepare.crop_flat(moved, study.angles, size=192, slices=240)
    blocks = strip.reshape(16, 240 // now.binning, now.binning, 192 // now.binning, now.binning)
    np.testing.assert_allclose(study.haadf, blocks.mean(axis=(2, 4)), rtol=1e-4)
    inside = study.slab.any(axis=-1).sum()
    assert inside == now.depth // now.binning
    assert len(study.response) == 16 and study.response.mean() == pytest.approx(1)
    raw = study.binned(study.smoothed())[2] / study.response[:, None, None]
    np.testing.assert_allclose(study.maps[2], raw, rtol=1e-4, atol=1e-4)
    names, maps = dust.keep(study)
    assert names == ("C", "O", "Mg", "Si", "Fe", "Pt")
    np.testing.assert_array_equal(maps[2], study.maps[study.elements.index("Mg")])


def test_refining_brings_the_shifts_nearer_to_those_found_by_hand(study):
    apart = [np.abs(found - study.manual).max() for found in (study.shifts, study.neighbors)]
    assert apart[0] < 3 < apart[1] < 5


def test_the_same_matter_lies_in_each_row(study):
    recorded, strip, aligned, turned = dust.mass_stages(study).values()
    assert aligned < 0.8 * strip and strip < recorded
    assert 1.6 * aligned < turned < 2.5 * aligned


def test_the_reprojection_fits_best_where_the_chapter_says(study):
    assert min(study.by_offset.values()) < min(study.by_offset[-8], study.by_offset[8])
    assert min(study.by_depth, key=study.by_depth.get) == study.settings.depth
    assert study.by_depth[48] == study.by_offset[0]
    assert study.by_depth[48] < 0.7 * study.by_depth[16], "0.2 micrometres are too thin"


def test_titanium_and_copper_are_no_projections(study):
    total = dust.totals(study)
    swing = {name: values.max() / values.min() for name, values in total.items()}
    for name in study.elements:
        assert swing[name] > 2 if name in ("Ti", "Cu") else swing[name] < 1.7
    assert swing["HAADF"] < 1.12
    shadowed = np.corrcoef([total[name] for name in ("Mg", "Si", "Fe", "Pt", "Ga")])
    assert shadowed.min() > 0.4 and np.median(shadowed) > 0.7, "they go up and down together"
    middle = np.abs(study.angles) <= 10
    for name in ("C", "O"):
        assert total[name][[0, -1]].min() > total[name][middle].mean()


def test_the_response_takes_the_shadows_out(study):
    before, after = dust.totals(study), dust.totals(study, corrected=True)
    for name in study.settings.shadowed:
        assert np.ptp(after[name]) < np.ptp(before[name])
    np.testing.assert_array_equal(after["HAADF"], before["HAADF"])
    seen = sum(after[n] * study.series.maps[study.elements.index(n)].sum() for n in ("Fe", "Pt"))
    assert np.ptp(seen / seen.mean()) < 0.06


def test_parts_add_up_and_their_variance_is_that_of_their_noise(study):
    coarse = study.coarse
    np.testing.assert_allclose(coarse.parts.sum(axis=0), coarse.maps, atol=2e-2)
    np.testing.assert_allclose(coarse.parts_smoothed.sum(axis=0), coarse.smoothed, atol=2e-2)
    np.testing.assert_allclose(
        coarse.parts_variance.sum(axis=0), coarse.variance, rtol=1e-3, atol=1e-3
    )
    # the parts are of one specimen: what they differ by is noise, whose size the variance says
    first, second = coarse.parts[:2]
    inner = np.s_[..., 6:-6]
    noise = ((first - second)[inner] ** 2).mean(axis=(1, 2, 3))
    said = coarse.parts_variance[:2].sum(axis=0)[inner].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(noise, said, rtol=0.06)


def test_the_ratios_leave_out_gallium_and_the_holder(study):
    with pytest.warns(UserWarning, match="Ga.* came out as 0"):
        hebt.response_ratios(study.haadf, study.maps, names=study.elements)
    _, doubts = dust.fit_and_doubts(study, study.elements)
    assert any("Ga (whose map is like that of Pt, cosine 0." in d and "as 0" in d for d in doubts)
    names, maps = dust.keep(study)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = hebt.response_ratios(study.haadf, maps, names=names, variance=None)
    assert not any("came out as 0" in str(w.message) for w in caught)
    assert fit.r_squared > 0.9 and (fit.ratios > 0).all()


def test_ratios_of_single_tilts_scatter_about_those_of_all(study, fit):
    ratios, errors = dust.ratios_by_tilt(study)
    assert ratios.shape == errors.shape == (16, 6)
    magnesium = fit.names.index("Mg")
    one = hebt.response_ratios(
        study.haadf[[3]], dust.keep(study)[1][:, [3]], fit.names, variance=None
    )
    np.testing.assert_allclose(ratios[3], one.ratios)
    low, high = ratios[:, magnesium].min(), ratios[:, magnesium].max()
    assert low < 0.6 * fit.ratios[magnesium] and high > 1.3 * fit.ratios[magnesium]


def test_magnesium_and_oxygen_suffer_most_and_a_smaller_weight_loses_less(result):
    mild, strong = loss(result, 1), loss(result, -1)
    worst = sorted(strong, key=strong.get)[-2:]
    assert set(worst) == {"Mg", "O"} and strong["Mg"] > 1.5
    assert all(strong[e] > 1 for e in ("O", "Mg", "Si", "Fe")), "the particle's own"
    assert all(mild[e] < strong[e] for e in ("O", "Mg"))


def test_each_method_is_judged_by_tilts_and_counts(study, judgement):
    now = study.settings
    assert judgement.tilts.tilts.tolist() == list(now.judges)
    assert judgement.counts.tilts.tolist() == study.angles.tolist()
    for judged, units in ((judgement.tilts, now.judges), (judgement.counts, range(now.parts))):
        assert judged.contenders == judge.CONTENDERS and judged.elements == now.kept
        assert (judged.errors > 0.3).all()
        assert all(len(judged.chosen[name]) == len(units) for name in judged.contenders)
        place = judged.contenders.index(judge.STRONG), judged.elements.index("Mg")
        assert judged.verdicts(judge.EDS)[place] == -1, "HEBT is worse for magnesium"


def made_up(free, hard=0.0, spread=0.1):
    """A judgement in which some contenders differ from EDS alone by so much per element."""
    rng = np.random.default_rng(0)
    elements, count = ("C", "O", "Mg", "Si", "Fe", "Pt"), 8
    errors = np.repeat(rng.uniform(1, 3, (1, count, 6)), len(judge.CONTENDERS), axis=0)
    errors[1:] += spread * rng.normal(size=(len(judge.CONTENDERS) - 1, count, 6))
    errors[judge.CONTENDERS.index(judge.FREE)] += free
    errors[judge.CONTENDERS.index(judge.HARD)] += hard
    chosen = dict.fromkeys(judge.CONTENDERS, (("kernel 0.7", 40),) * count)
    judged = hebt.validation.Judged(judge.CONTENDERS, elements, np.arange(count), errors, chosen)
    return judge.Judgement(judged, judged)


def test_the_promise_can_be_kept_and_broken():
    better, four = np.full(6, -0.5), np.array([-0.5, -0.5, -0.5, -0.5, 0, 0])
    for free, kept in (
        (better, True),
        (four, True),
        (np.array([-0.5, -0.5, -0.5, 0, 0, 0]), False),  # three are not enough
        (np.array([-0.5, -0.5, -0.5, -0.5, -0.5, 0.5]), False),  # and none may be worse
        (-better, False),
    ):
        said = claims.promise(made_up(free))
        assert said.count("it is (") == 2 * kept and said.count("it is not (") == 2 * (not kept)
    assert "it is (better for all (C, O, Mg, Si, Fe, Pt))" in claims.promise(made_up(better))
    assert "worse for 1 (Pt)" in claims.promise(made_up(np.array([0, 0, 0, 0, 0, 0.5])))
    numbers = claims.judged_numbers(made_up(better, hard=1.0))
    assert numbers["dust_judged_hard_tilts"].endswith("worse for all (C, O, Mg, Si, Fe, Pt)")
    assert numbers["dust_judged_kernel"] == "0.7"
    assert made_up(better).setting(judge.FREE) == (0.7, 40)
    # the guide's share is judged against the same likelihood without it
    assert "better for all" in claims.guidance(made_up(better))
    assert "worse for all" in claims.guidance(made_up(-better))


def test_the_table_of_verdicts_marks_what_is_beyond_two_errors():
    free = np.array([-0.5, 0.5, 0, 0, 0, 0])
    table = dust.judged_table(made_up(free, spread=0.01).tilts, "title")
    row = next(row for row in table.rows if row[0] == judge.FREE)
    assert row[1].endswith("✓") and row[1].startswith("−") and row[2].endswith("✗")
    assert row[-1] == "kernel 0.7, 40 iterations" and len(table.rows) == len(judge.CONTENDERS)


def test_every_number_of_the_chapter_is_there(study, result, judgement, fit):
    numbers = dust.dust_numbers(study) | dust.held_out_numbers(result)
    numbers |= dust.ratio_numbers(study, fit) | dust.judged_numbers(judgement)
    numbers |= dust.volume_numbers(dust.volumes(study))
    quoted = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER))
    assert quoted <= set(numbers)
    assert all(text.strip() and "nan" not in text for text in numbers.values())
    assert numbers["dust_tilts"] == "16" and numbers["dust_lines"] == "9"
    assert (numbers["dust_first"], numbers["dust_last"]) == ("−40", "+35")
    assert numbers["dust_jump_tilt"] == "0" and float(numbers["dust_jump"]) > 10
    assert numbers["dust_em_iterations"] == str(judgement.setting(judge.FREE)[1])
    assert numbers["dust_strong_Mg"] == f"{loss(result, -1)['Mg']:.2f}"
    # what the reader's block is called with is what the sentences say
    assert f"alpha={numbers['dust_alpha']}, iterations={numbers['dust_iterations']}" in CHAPTER


def random_volumes(study, slices):
    rng, size = np.random.default_rng(0), study.haadf.shape[-1]
    haadf = rng.random((slices, size, size), np.float32)
    eds = rng.random((6, *haadf.shape), np.float32)
    return judge.Volumes(haadf, eds, 2 * eds, 3 * eds, 1.4, 30)


@pytest.mark.slow
def test_figures_and_tables_show_the_study(study, result, judgement, fit):
    names, maps = dust.keep(study)
    volumes = random_volumes(study, study.haadf.shape[1])
    for figure in (
        dust.plot_spectrum(study),
        dust.plot_images(study, tilt=0),
        dust.plot_alignment(study),
        dust.plot_geometry(study),
        dust.plot_totals(study),
        dust.plot_predicted(study, fit, maps),
        dust.plot_ratios(study, fit),
        dust.plot_planes(study, volumes),
        dust.plot_cross_sections(study, volumes),
        dust.plot_held_out(result),
        dust.plot_judged(judgement),
    ):
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=40)
        assert np.array(Image.open(out).convert("L")).std() > 10
    counts = study.series.maps.sum(axis=(1, 2, 3))
    assert [row[5] for row in dust.line_table(study).rows] == [f"{c / 1e3:.1f}" for c in counts]
    assert [row[0] for row in dust.ratio_table(fit).rows] == list(names)
    assert len(dust.mass_table(study).rows) == 4
    table = dust.held_out_table(result)
    assert len(table.rows) == 2 * len(result.methods)
    assert table.rows[1][1] == f"{result.mean()[0, -1, 0]:.3f}"


def test_the_explorer_pages_through_the_section(study, judgement, monkeypatch):
    monkeypatch.delenv("HEBT_STATIC", raising=False)
    volumes = random_volumes(study, 60)
    shown = dust.explore_planes(study, volumes)
    depth, size = study.settings.depth // study.settings.binning, volumes.haadf.shape[-1]
    held = slice((size - depth) // 2, (size + depth) // 2)
    iron = study.settings.kept.index("Fe")
    whole = volumes.hebt[iron][:, held]
    tops = [np.percentile(v[iron][:, held], 99.5) for v in (volumes.eds, volumes.hebt, volumes.em)]
    for plane, axis in PLANES.items():
        seen = set()
        for number in (1, 12):
            shown.move(element="Fe", plane=plane, number=number)
            said = {k: v.replace("−", "-") for k, v in shown.picture["readouts"].items()}
            at = round(float(said["offset"]) / study.pixel_size + (whole.shape[axis] - 1) / 2)
            image = whole.take(at, axis=axis)
            quantized = quantize(image / max(tops), (0, 1))[0]
            frame = np.frombuffer(shown.picture["frames"]["hebt"], np.uint8).reshape(60, size)
            corner = [(n - m) // 2 for n, m in zip(frame.shape, image.shape, strict=True)]
            part = frame[tuple(slice(c, c + m) for c, m in zip(corner, image.shape, strict=True))]
            assert np.abs(part.astype(int) - quantized).max() <= 1
            assert part.any() and np.count_nonzero(frame) == np.count_nonzero(part)
            like = np.corrcoef(image.ravel(), volumes.haadf[:, held].take(at, axis=axis).ravel())
            assert float(said["hebt_like"]) == pytest.approx(like[0, 1], abs=0.006)
            assert said["hebt_moved"] == "100", "as HEBT has twice the values of EDS alone"
            seen.add(frame.tobytes())
        assert len(seen) == 2
    tilts = judgement.tilts
    mean = tilts.mean()[:, tilts.elements.index("Fe")]
    hebt_, eds = (mean[tilts.contenders.index(n)] for n in (judge.STRONG, judge.EDS))
    assert float(said["hebt_tilts"]) == pytest.approx(100 * (hebt_ / eds - 1), abs=0.06)


def test_the_steps_for_own_files_can_be_called():
    """The block that is not run while the book is built: its names are those of hebt."""
    (block,) = re.findall(r"```python\n(from hebt import io.*?)```", CHAPTER, re.DOTALL)
    compile(block, "dust.md", "exec")
    for name in re.findall(r"prepare\.(\w+)", block):
        assert callable(getattr(prepare, name))
