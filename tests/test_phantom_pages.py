"""Figures have their panels and units; tables every printed number; sentences their facts."""

import dataclasses
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from companion import paper as paper_room
from companion import phantom as phantom_room

SMALL = {"size": 64, "iterations": 12, "seeds": (0, 1)}


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_CACHE", str(tmp_path_factory.mktemp("results")))
        patch.setenv("HEBT_FIDELITY", "quick")
        yield


@pytest.fixture(scope="module")
def study(store):
    return phantom_room.study(**SMALL)


@pytest.fixture(scope="module")
def wrong(store):
    return phantom_room.stability(errors=(-20, 0, 20), **SMALL)


@pytest.fixture(scope="module")
def kernels(store):
    return phantom_room.smoothing(
        kernels=(
            phantom_room.Kernel("none", 0, 1.0),
            phantom_room.Kernel("centered", 32, 12.0),
            phantom_room.Kernel("moved", 32, 12.0, centered=False),
        ),
        **SMALL,
    )


@pytest.fixture(scope="module")
def grid(store):
    return phantom_room.finer_grid(**SMALL)


def marks(figure):
    """Panel letters, from the titles at the left of the axes."""
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    return "".join(m[1] for t in titles if (m := re.match(r"\$\\mathbf\{(\w)\}\$", t)))


def images(figure):
    return [ax for ax in figure.axes if ax.get_images() and ax.get_title(loc="left")]


def bars(figure):
    return [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]


def changed(scores, change):
    values = {name: values.copy() for name, values in scores.values.items()}
    change(values)
    return dataclasses.replace(scores, values=values)


def with_scores(study, change):
    return dataclasses.replace(study, scores=changed(study.scores, change))


def each_kernel(kernels, change):
    scores = [changed(one, lambda v, k=k: change(k, v)) for k, one in enumerate(kernels.scores)]
    return dataclasses.replace(kernels, scores=tuple(scores))


def perfect_hebt(scores):
    for name, value in {"mse": 1e-4, "dp": 1.0, "ssim": 0.999}.items():
        scores[name][:2] = value


def swapped(study):
    """The study as if EDS alone had been HEBT, and the other way round."""
    values = {name: values[[2, 2, 0]] for name, values in study.scores.values.items()}
    return dataclasses.replace(study, scores=dataclasses.replace(study.scores, values=values))


def test_figure_1_has_its_panels_with_units():
    data = phantom_room.data(phantom_room.PhantomSettings.paper(**SMALL))
    figure = phantom_room.figure1(data)
    assert marks(figure) == "abcdef"
    assert len(images(figure)) == len(bars(figure)) == 6
    labels = [ax.get_ylabel() for ax in bars(figure)]
    assert labels == [
        "density",
        "density",
        "HAADF per pixel",
        "X-ray counts",
        "X-ray counts",
        "HAADF intensity",
    ]
    shown = [ax.get_images()[0].get_array() for ax in images(figure)]
    np.testing.assert_array_equal(shown[0], data.density[0])
    np.testing.assert_array_equal(shown[4], data.counts[1, :, 0])
    np.testing.assert_array_equal(shown[5], data.haadf)
    assert shown[2].max() == pytest.approx(791.5)
    # the first tilt is the uppermost row, as in the data
    assert images(figure)[3].get_ylim() == (77.5, -77.5)


@pytest.mark.parametrize("stop", ["printed", "best"])
def test_figure_4_has_its_panels_on_one_scale(study, stop):
    figure = phantom_room.figure4(study, stop=stop)
    assert marks(figure) == "abcdef"
    panels = images(figure)
    assert len(panels) == 6
    assert {ax.get_images()[0].get_clim() for ax in panels} == {(0.0, 1.3)}
    assert [ax.get_ylabel() for ax in bars(figure)] == ["density (1 in the phantom)"]
    pictures = study.images if stop == "printed" else study.best_images
    cut = slice(8, 56)
    np.testing.assert_array_equal(panels[5].get_images()[0].get_array(), pictures[2, 1][cut, cut])
    assert "Ag: EDS only" in panels[5].get_title(loc="left")


def test_figure_4_refuses_an_unknown_stop(study):
    with pytest.raises(ValueError, match="'printed' or 'best'"):
        phantom_room.figure4(study, stop="late")


def test_convergence_shows_the_scores_and_the_best_stops(study):
    figure = phantom_room.plot_convergence(study)
    assert marks(figure) == "abc"
    ax = figure.axes[1]
    assert len(ax.lines) == 3
    mean = study.scores.values["mse"][2, 1].mean(axis=0)
    np.testing.assert_allclose(ax.lines[2].get_ydata(), mean)
    assert [line.get_xdata()[line.get_markevery()].item() for line in ax.lines] == [
        study.scores.best_iteration("mse", m, "Ag") for m in phantom_room.METHODS
    ]
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_stability_writes_the_values_it_colors(wrong):
    figure = phantom_room.plot_stability(wrong)
    assert marks(figure) == "ab"
    relative = wrong.relative().mean(axis=-1)
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert texts == [f"{v:.2f}" for v in relative[:, :, 0].ravel()]
    assert [ax.get_ylabel() for ax in bars(figure)] == ["MSE / MSE with true ratios"] * 2
    # the map's first row is the most negative error of Au, below
    assert figure.axes[0].get_ylim()[0] < figure.axes[0].get_ylim()[1]
    (ring,) = figure.axes[0].lines
    assert ring.get_xdata()[0] == pytest.approx(1 + 17.48 / 20)
    assert ring.get_ydata()[0] == pytest.approx(1 - 10.66 / 20)


def test_smoothing_names_every_kernel(kernels):
    figure = phantom_room.plot_smoothing(kernels)
    assert marks(figure) == "abc"
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["none", "centered", "moved"]


def test_figures_are_opaque_closed_and_draw(study, wrong, kernels, tmp_path):
    data = phantom_room.data(phantom_room.PhantomSettings.paper(**SMALL))
    before = plt.rcParams["font.size"]
    for number, figure in enumerate(
        [
            phantom_room.figure1(data),
            phantom_room.figure4(study),
            phantom_room.plot_convergence(study),
            phantom_room.plot_stability(wrong),
            phantom_room.plot_smoothing(kernels),
        ]
    ):
        assert figure.number not in plt.get_fignums()
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        corner = plt.imread(path)[0, 0]
        np.testing.assert_array_equal(corner, [1, 1, 1, 1])
    assert plt.rcParams["font.size"] == before


def test_table_1_holds_every_printed_number(study):
    table = phantom_room.table1(study)
    for text in (table._repr_html_(), str(table)):
        for key in paper_room.keys():  # noqa: SIM118
            if key.startswith("table1."):
                name = key.split(".")[1]
                number = paper_room.printed(key).value
                assert f"{number:{'.0f' if name == 'dp' else '.4f'}}" in text, key
    assert len(table.rows) == 18
    mean = study.scores.at("mse", "eds", "Ag").mean()
    (row,) = [r for r in table.rows if (r[0][:3], *r[1:3]) == ("MSE", "Ag", "EDS only")]
    assert row[4].startswith(f"{mean:.4f}")


def test_response_ratio_table_holds_every_printed_number(study):
    text = str(phantom_room.response_ratio_table(study))
    for number in ("3.66", "1.43", "3.27", "1.68", "−10.66", "+17.48", "0.910"):
        assert number in text, number
    assert f"{study.ratio_errors()[:, 0].mean():+.2f}".replace("-", "−") in text
    assert f"{study.r_squared_both.mean():.3f}" in text


def test_best_stop_table_gives_printed_and_own_gains(study):
    table = phantom_room.best_stop_table(study)
    assert [r[1] for r in table.rows] == ["7.31", "7.74", "3.08", "1.65", "4.17", "1.49"]
    row = table.rows[3]
    assert row[2].startswith(f"{study.scores.gain('mse', 'Ag').mean():.2f}")
    assert row[4].startswith(f"{study.scores.gain('mse', 'Ag', stop='best').mean():.2f}")
    crossed = study.scores.gain("mse", "Ag", stop="printed", eds_stop="best")
    assert row[3].startswith(f"{crossed.mean():.2f}")
    assert row[6] == str(study.scores.best_iteration("mse", "eds", "Ag"))


def test_readings_table_gives_both_readings(study):
    text = str(phantom_room.readings_table(study))
    for name in ("ssim", "ssim_windowed", "mse", "mse_reference"):
        assert f"{study.scores.at(name, 'eds', 'Ag').mean():.4f}" in text


def test_the_consistency_table_decides_from_the_printed_numbers(monkeypatch):
    verdicts = {row[0]: row[3] for row in phantom_room.paper_consistency_table().rows}
    assert verdicts == {
        "r_gt of Au = z/ζ": "no",
        "r_gt of Ag = z/ζ": "no",
        "error of r_est of Au": "yes",
        "error of r_est of Ag": "yes",
        "r_est of Au against r_gt": "no",
        "r_est of Ag against r_gt": "no",
        "SSIM of Au: better with": "no",
        "SSIM of Ag: better with": "no",
        "MSE of Au: better with": "no",
        "MSE of Ag: better with": "yes",
        "DP of Au: better with": "no",
        "DP of Ag: better with": "yes",
    }
    # had other numbers been printed, the verdicts would turn
    printed = paper_room.printed
    other = {
        "phantom.r_gt.Au": 791.5 / 0.0188,
        "table1.dp.Au.hebt_gt": 1.0,
        "phantom.r_error.Ag": -1.0,
    }

    def changed(key):
        number = printed(key)
        return dataclasses.replace(number, value=other[key]) if key in other else number

    monkeypatch.setattr(paper_room, "printed", changed)
    turned = {row[0]: row[3] for row in phantom_room.paper_consistency_table().rows}
    assert turned["r_gt of Au = z/ζ"] == "yes"
    assert turned["DP of Au: better with"] == "yes"
    assert turned["r_est of Ag against r_gt"] == "yes"
    assert turned["error of r_est of Ag"] == "no"


def test_the_settings_table_says_fidelity_and_what_differs(study):
    table = phantom_room.settings_table(study.settings)
    assert "quick fidelity" in table.title
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["frame (pixels)"] == ("512", "64")
    assert cells["tilts"] == ("31, from −75° to 75°",) * 2
    assert cells["its σ (pixels)"] == ("not printed", "4")
    assert cells["noise seeds"] == ("not printed", "2")
    assert "8 × 8" in table.note


def test_numbers_of_the_prose_are_those_of_the_results(study, wrong, kernels, grid):
    n = phantom_room.numbers(study, wrong, kernels, grid)
    assert all(name.startswith("phantom_") and text for name, text in n.items())
    assert n["phantom_seeds"] == "2"
    assert n["phantom_seeds_list"] == "0, 1"
    assert n["phantom_won"] == str(len(study.pairs_won()))
    assert n["phantom_gt_of_true_Au"] == "0.869"
    assert n["phantom_printed_est_error_Ag"] == "−14.5 %"  # 16800 / (471.5 / 0.024)
    assert n["phantom_mse_gain_Ag"] == f"{study.scores.gain('mse', 'Ag').mean():.1f}"
    assert n["phantom_wrong_worst_Au"] == f"{100 * (wrong.mse / wrong.eds_mse)[:, :, 0].max():.0f}"
    crossed = study.scores.at("mse", "eds", "Au", stop="best").mean()
    assert f"against {crossed:.4f}" in n["phantom_crossed"]
    assert n["phantom_grid_finer_Ag"] == f"{grid.finer_gain[1].mean():.2f}"
    assert (n["phantom_grid_factor"], n["phantom_grid_seeds"]) == ("4", "2")
    shift = (kernels.at()[2, 0, 1] / kernels.at()[1, 0, 1]).mean()
    assert n["phantom_shift_hebt_Ag"] == f"{100 * (shift - 1):+.1f} %".replace("-", "−")


def test_sentences_flip_when_the_results_do(study, wrong, kernels, grid):
    better = with_scores(study, perfect_hebt)
    worse = swapped(better)
    yes = phantom_room.numbers(better, wrong, kernels, grid)
    no = phantom_room.numbers(worse, wrong, kernels, grid)
    assert yes["phantom_won"] == "6"
    assert no["phantom_won"] == "0"
    assert "is the same for every score" in yes["phantom_order"]
    assert "changes with" in no["phantom_order"]
    assert "of the 0 pairs" in no["phantom_baseline"]
    assert "too long" not in no["phantom_baseline"]

    def rise(scores):
        scores["mse"][0] = np.linspace(1, 9, scores["mse"].shape[-1])

    late = phantom_room.numbers(with_scores(study, rise), wrong, kernels, grid)
    assert "does not suffer less" in late["phantom_forgives"]


def test_counts_of_kernels_follow_the_results(study, wrong, kernels, grid):
    def ahead(kernel, scores):
        scores["ssim"][0], scores["ssim"][1] = 0.9, 0.5
        if kernel == 1:  # one element and seed against it loses a kernel
            scores["ssim"][0, 1, 1] = 0.4

    def swap(kernel, scores):
        scores["mse"] = scores["mse"][::-1]

    n = phantom_room.numbers(study, wrong, each_kernel(kernels, ahead), grid)
    assert n["phantom_kernels_won_ssim"] == "2"
    both = [
        int(phantom_room.numbers(study, wrong, k, grid)["phantom_kernels_won"])
        for k in (kernels, each_kernel(kernels, swap))
    ]
    assert sum(both) <= 3
    better = [kernels.at(stop)[:, 0] < kernels.at(stop)[:, 1] for stop in ("printed", "best")]
    assert both[0] == (better[0] & better[1]).all(axis=(1, 2)).sum()


def test_claims_are_decided_by_the_results(study, wrong):
    def verdicts(study, wrong):
        return {c.claim: c.holds for c in phantom_room.all_claims(study, wrong)}

    orders = [f"HEBT is better than EDS alone by the {n}" for n in ("SSIM", "MSE", "DP")]
    stable = "HEBT is stable against errors of the response ratios, "
    same = "HEBT with r_est gives nearly the same image quality as with r_gt"
    good = with_scores(study, perfect_hebt)
    assert all(verdicts(good, wrong)[first] for first in orders)
    assert not any(verdicts(swapped(good), wrong)[first] for first in orders)
    stops = {"after 12 iterations": wrong.mse, "at its best stop": wrong.best_mse}
    for stop, mse in stops.items():
        for eds, holds in ((mse.max() * 2, True), (mse.min() / 2, False)):
            other = dataclasses.replace(wrong, eds_mse=np.full_like(wrong.eds_mse, eds))
            assert verdicts(study, other)[stable + stop] == holds
    assert verdicts(good, wrong)[same]
    apart = with_scores(study, lambda s: s["mse"].__setitem__(0, s["mse"][1] * 1.2))
    assert not verdicts(apart, wrong)[same]

    # the paper's own numbers in our place would be reproduced
    def printed(scores):
        for name in phantom_room.TABLE_1:
            for m, method in enumerate(phantom_room.METHODS):
                for e, element in enumerate(study.elements):
                    scores[name][m, e] = paper_room.printed(
                        f"table1.{name}.{element}.{method}"
                    ).value

    exact = dataclasses.replace(
        with_scores(study, printed),
        r_squared=np.full(2, 0.91),
        ratios=np.tile(study.true_ratios * [0.8934, 1.1748], (2, 1)),
    )
    assert all(verdicts(exact, dataclasses.replace(wrong, eds_mse=wrong.eds_mse + 9)).values())
    # a fit that leaves nothing is not the paper's
    for r_squared in (0.69, 1.0):
        other = dataclasses.replace(exact, r_squared=np.full(2, r_squared))
        assert not verdicts(other, wrong)["R² = 0.91"]
    table = phantom_room.claims_table(exact, wrong)
    assert {row[-1] for row in table.rows} <= {"yes", "no"}


def test_a_claim_says_what_was_fitted_to_it(study, wrong):
    """σ was chosen for R², the phantom's shape and the readings of MSE and SSIM for Table 1."""
    table = phantom_room.claims_table(study, wrong)
    basis = {row[0]: row[4].split(":")[0] for row in table.rows}
    assert {claim for claim, word in basis.items() if word.startswith("fitted")} == {
        "R² = 0.91",
        "HEBT is better than EDS alone by the MSE",
        "the values of MSE in Table 1",
        "HEBT is better than EDS alone by the SSIM",
        "the values of SSIM in Table 1",
    }
    assert basis["the values of SSIM in Table 1"] == "fitted in part"
    assert {word for word in basis.values() if not word.startswith("fitted")} == {"predicted"}
    assert "no evidence" in table.note


def test_hebt_as_printed_is_held_against_eds_alone_at_its_best(study, wrong):
    """The paper's number of iterations for HEBT, and for EDS alone the stop that suits it."""

    def early(scores):
        for name, good, bad in (("mse", 0.1, 0.9), ("dp", 10, 90), ("ssim", 0.9, 0.1)):
            scores[name][0] = (good + bad) / 2
            scores[name][2] = bad  # at the end
            scores[name][2, 0, :, 3] = good  # gold has been better

    def found(study):
        claims = phantom_room.all_claims(study, wrong)
        return {c.claim[-2:]: c for c in claims if "12 iterations is better than EDS" in c.claim}

    gold, silver = found(with_scores(study, early)).values()
    assert gold.found == "worse in SSIM, MSE and DP (MSE: 0.5000 against 0.1000)" and not gold.holds
    assert (
        silver.found == "better in SSIM, MSE and DP (MSE: 0.5000 against 0.9000)" and silver.holds
    )
    assert found(study).keys() == {"Au", "Ag"}

    def split(scores):
        early(scores)
        scores["dp"][0, 1, 1] = 95  # with one of two seeds

    assert "better in SSIM and MSE (" in found(with_scores(study, split))["Ag"].found


def test_the_chapter_uses_only_numbers_that_exist(study, wrong, kernels, grid):
    chapter = (paper_room.FILE.parents[1] / "book" / "phantom.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\{glue:text\}`(\w+)", chapter))
    assert used
    assert used <= set(phantom_room.numbers(study, wrong, kernels, grid))
