"""The chapter on the published benchmark: what judges, what it says, and what is shown."""

import io
import re
import warnings

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import hebt
from companion import datasets, judging, three_elements
from companion.planes import PLANES
from companion.three_elements import claims
from companion.three_elements import judgement as judge
from companion.three_elements.study import BenchmarkSettings, BenchmarkStudy, ratio_fits
from hebt.explorers.controls import quantize
from hebt.io import TiltSeries
from hebt.validation import Judged

pytestmark = pytest.mark.filterwarnings("ignore:.*differs between tilts")
CHAPTER = (ROOT / "book" / "three_elements.md").read_text(encoding="utf-8")
ELEMENTS = ("Al", "Si", "Yb")
TILTS = np.arange(-170.0, 1, 10)
FEW = {"kernels": (1.0,), "strengths": (50.0,), "counted": (5,), "smoothed": (5,), "fused": (5,)}
NOW = BenchmarkSettings(
    *(2, 4), size=24, judges=(-150, -90, -30), em=(5,), tv=(5,), parts=3, width=4, sigma=2.0, **FEW
)


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


@pytest.fixture(scope="module")
def series():
    """Three grains in a disc, as the benchmark has them, with drawn counts."""
    size, slices = 30, 6
    y, x = np.indices((size, size)) - (size - 1) / 2
    grains = [np.hypot(x - 4, y) < 3, np.hypot(x + 4, y + 2) < 2]
    matrix = (np.hypot(x, y) < 11) & ~grains[0] & ~grains[1]
    density = np.repeat(np.stack([matrix, *grains])[:, None], slices, axis=1).astype(np.float32)
    W = hebt.Projector(TILTS, size)
    haadf = hebt.simulate.haadf_tilt_series(W, density, [13, 20, 70])
    maps = hebt.simulate.eds_tilt_series(W, density, [3, 1, 0.5], seed=1)
    return TiltSeries.from_arrays(haadf, maps, angles=TILTS, elements=ELEMENTS)


@pytest.fixture(scope="module")
def study(series):
    cropped = series.crop(size=NOW.size, slices=NOW.slices).bin(NOW.binning)
    return BenchmarkStudy(NOW, cropped)


@pytest.fixture(scope="module")
def judgement(study):
    return three_elements.judge(study)


@pytest.fixture(scope="module")
def choice(study):
    return three_elements.choose(study)


@pytest.fixture(scope="module")
def volumes(study, judgement):
    return three_elements.volumes(study, judgement)


def made_up(free=0.0, hard=0.0, spread=0.001):
    """A judgement in which contenders differ from EDS alone by so much."""
    shift = {judge.FREE: free, judge.HARD: hard}
    noise = np.random.default_rng(0).normal(0, spread, (7, 12, 3))
    errors = 2 + noise + np.stack([np.zeros((12, 3)) + shift.get(n, 0) for n in judge.CONTENDERS])
    chosen = dict.fromkeys(judge.CONTENDERS, (("kernel 1", 50),) * 3)
    judged = Judged(judge.CONTENDERS, ELEMENTS, np.arange(12.0), errors, chosen)
    return judge.Judgement(judged, judged)


def test_ratios_by_hand_are_those_without_noise(series):
    """Counts without noise, in which the ratios are exact, and drawn ones."""
    fits = ratio_fits(series)
    density = [13 / 3, 20, 140]
    right, _ = fits["worked out by hand"]
    np.testing.assert_allclose(fits["counting noise taken off"][0], right, rtol=1e-3)
    np.testing.assert_allclose(right, density, rtol=0.1)
    plain = fits["plain least squares"][0]
    assert np.abs(plain / density - 1).max() > 2 * np.abs(right / density - 1).max()
    rows = three_elements.ratio_table(series).rows
    assert len(rows) == 4 and "%" in rows[0][1] and "%" not in rows[-1][1]


def test_parts_are_the_counts_and_the_guide_says_nothing(study):
    np.testing.assert_array_equal(study.parts.sum(axis=0), study.series.maps)
    guide = judge.featureless(study)
    assert guide.mean() == pytest.approx(study.series.haadf.mean(), rel=1e-5)
    # an even disc looks the same from everywhere and in each slice
    np.testing.assert_allclose(guide, np.broadcast_to(guide[:, :1], guide.shape), rtol=1e-5)
    assert np.ptp(guide.sum(axis=-1)) < 0.02 * guide.sum(axis=-1).mean()


def test_the_judge_is_near_the_noise_and_nobody_sees_it(study, judgement):
    """Errors are chi-squared; another map at the judging tilt changes nothing that it judges."""
    for judged in (judgement.tilts, judgement.counts):
        assert judged.contenders == judge.CONTENDERS and judged.elements == ELEMENTS
        assert 0.5 < judged.mean().min() < 1.5
    series = study.series
    maps, place = series.maps.copy(), int(np.flatnonzero(series.angles == NOW.judges[0])[0])
    maps[:, place] = maps[:, place, :, ::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        changed = hebt.validation.nested(
            *(series.angles, series.haadf, series.maps, judge.contenders(study, series.maps)),
            held=NOW.judges,
            targets=maps,
            variance=judging.judging(series.maps),
            scale=False,
            inner=NOW.inner,
        )
    # what is chosen for it is the same, and so is what is predicted, which does not fit any more
    for name, picks in judgement.tilts.chosen.items():
        assert changed.chosen[name][0] == picks[0]
    assert (changed.errors[:, 0] > judgement.tilts.errors[:, 0]).all()


def test_volumes_are_those_of_the_recipes(study, judgement, volumes):
    assert set(volumes.x) == set(judge.PICTURED)
    assert volumes.recipes == {name: judgement.recipe(name) for name in judge.PICTURED}
    series = study.series
    ratios = series.ratios().ratios
    method = hebt.CompositionEM(0.5)
    expected = hebt.reconstruct(
        study.W, series.haadf, series.maps, ratios, iterations=5, method=method
    )
    np.testing.assert_array_equal(volumes.x[judge.HARD], expected)


@pytest.mark.parametrize(
    ("free", "hard", "total", "said"),
    [
        (0.5, 0.0, "hard", "they agree"),
        (-0.5, 0.0, "hard", "they do not agree"),
        (-0.5, 0.0, "free", "they agree"),
        (0.0, 0.0, "hard", "they do not tell"),
    ],
)
def test_the_verdict_on_the_sum_follows_held_out_tilts(choice, free, hard, total, said):
    import dataclasses

    method = dataclasses.replace(choice.method, total=total)
    own = dataclasses.replace(choice, method=method)
    spread = 0.001 if free else 1.0
    assert claims.verdict(made_up(free, hard, spread), own).startswith(said)


def test_every_number_of_the_chapter_is_there(series, study, judgement, choice, volumes):
    numbers = three_elements.series_numbers(series, study)
    numbers |= three_elements.judged_numbers(judgement, choice)
    quoted = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER))
    assert quoted <= set(numbers)
    assert all(text.strip() and "nan" not in text for text in numbers.values())
    assert numbers["three_tilts"] == "18" and numbers["three_step"] == "10"


def test_figures_and_tables_show_the_study(series, judgement, choice, volumes):
    for figure in (
        three_elements.plot_series(series),
        three_elements.plot_slices(volumes),
        three_elements.plot_judged(judgement),
    ):
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=40)
        assert np.array(Image.open(out).convert("L")).std() > 10
    rows = three_elements.choice_table(choice).rows
    assert [row[-1] for row in rows].count("chosen") == 1
    assert {row[0] for row in rows} == {"hard", "free"}


def test_the_explorer_shows_each_method_in_three_planes(judgement, volumes, monkeypatch):
    """Each picture is the plane that its read-out names, of a volume or of a difference of two."""
    monkeypatch.delenv("HEBT_STATIC", raising=False)
    shown = three_elements.explore_methods(volumes, judgement)
    top = max(np.percentile(x[2], 99.9) for x in volumes.x.values())
    high = np.percentile(volumes.haadf, 99.9)
    eds, alone = volumes.x[judging.EDS][2], volumes.haadf
    size = alone.shape[-1]
    for method in (judge.HEBT, judge.HARD):
        x, total = volumes.x[method][2], volumes.x[method].sum(axis=0)
        expected = {
            "eds": (eds / top, (0, 1)),
            "x": (x / top, (0, 1)),
            "apart": ((x - eds) / top, (-0.5, 0.5)),
            "haadf": (alone, (0, high)),
            "total": (total, (0, high)),
            "misfit": (total - alone, (-0.2 * high, 0.2 * high)),
        }
        for plane, axis in PLANES.items():
            for number in (1, len(alone)):
                shown.move(element="Yb", method=method, plane=plane, number=number)
                said = {k: v.replace("−", "-") for k, v in shown.picture["readouts"].items()}
                at = round(float(said["offset"]) + (alone.shape[axis] - 1) / 2)
                for name, (volume, limits) in expected.items():
                    image = quantize(volume.take(at, axis=axis), limits)[0].astype(int)
                    frame = np.frombuffer(shown.picture["frames"][name], np.uint8)
                    first = (size - len(image)) // 2
                    part = frame.reshape(size, size)[first : first + len(image)]
                    assert np.abs(part - image).max() <= 1, (name, plane)
                one, other = x.take(at, axis=axis), eds.take(at, axis=axis)
                moved = 100 * np.linalg.norm(one - other) / np.linalg.norm(other)
                assert float(said["moved"]) == pytest.approx(moved, abs=0.6)
                assert f"{said['misfit_rms']} % of HAADF" in shown.describe()
    assert [panel["shape"] for panel in shown.spec["panels"]] == [[size, size]] * 6


def test_the_explorer_has_all_slices_of_which_the_middle_is_judged(series):
    series = TiltSeries.from_arrays(
        *(np.tile(a, (10, 10))[..., :299] for a in (series.haadf, series.maps)),
        angles=TILTS,
        elements=ELEMENTS,
    )
    judged, whole = three_elements.study(series), three_elements.whole(series)
    now = judged.settings
    slices = whole.series.maps.shape[2]
    assert slices == series.maps.shape[2] // now.binning > judged.series.maps.shape[2]
    first = (slices - judged.series.maps.shape[2]) // 2
    middle = whole.series.maps[:, :, first : first + judged.series.maps.shape[2]]
    np.testing.assert_array_equal(middle, judged.series.maps)


def test_without_its_data_the_benchmark_says_so(monkeypatch):
    def missing(name, pattern="*"):
        raise datasets.MissingDataError("not here")

    monkeypatch.setattr(datasets, "locate", missing)
    assert three_elements.judge_if_here() is None
    with pytest.raises(datasets.MissingDataError):
        three_elements.folder()


def test_settings_that_leave_pixels_over_are_refused():
    with pytest.raises(ValueError, match="slices is 4 and binning 3"):
        BenchmarkSettings(3, 4, judges=(0,))
