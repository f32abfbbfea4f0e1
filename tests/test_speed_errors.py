"""Time to a given error: what the benchmark compares, and what the chapter says of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hebt
from companion import speed
from companion.speed import errors

ROOT = Path(__file__).resolve().parents[1]


def contender(name, iterations, means, seconds, slices=300, program="hebt"):
    return {
        "name": name,
        "program": program,
        "setting": f"the setting of {name}",
        "threads": 2,
        "slices": slices,
        "iterations": iterations,
        "errors": [[mean - 0.01, mean + 0.01] for mean in means],
        "seconds": [list(np.array(seconds) * factor) for factor in (1, 1.2, 0.7)],
    }


@pytest.fixture
def results():
    """Made-up results, with times in round numbers."""
    astra = [0.5, 0.2, 0.14, 0.16]
    found = [
        contender("fused", [5, 10, hebt.Fused.iterations], [0.2, 0.1, 0.05], [1, 2, 4]),
        contender("composition EM", [10, 50], [0.05, 0.03], [10, 50]),
        contender("hebt.sirt", [5, 10, 20, 24], astra, [1, 2, 4, 5]),
        contender(errors.ASTRA, [5, 10, 20, 24], astra, [1, 2, 4, 5], 2, "astra-toolbox"),
        contender(errors.ASTRA_HEBT, [10, 80], [0.4, 0.1], [1, 8], 1, "astra-toolbox"),
        contender(errors.RESTATED, [10, 20], [0.05, 0.04], [8, 16], 16),
    ]
    rows = [
        {"name": errors.OURS, "slices": 64, "seconds": [6.4, 12.8, 6.4], "residual": 9e-4},
        {"name": "mbirjax", "slices": 4, "seconds": [4.0] * 3, "residual": 1e-3},
        {"name": "svmbir", "slices": 4, "seconds": [8.0] * 3, "residual": 0.1},
    ]
    return {
        "date": "2026-01-01",
        "processor": "Some processor",
        "cores": 2,
        "python": "3.11.0",
        "versions": {"numpy": "2.0", "mbirjax": "0.7.3", "svmbir": "not installed"},
        "commit": "abc1234",
        "load_before": 0.1,
        "load_after": 1.5,
        "settings": {"size": 300, "tilts": 31, "slices": 300, "rounds": 3, "judged": 2},
        "geometry": {"mbirjax": 0.0289, "svmbir": 0.0234},
        "searched": {},
        "contenders": found,
        "least_squares": {
            "tolerance": 1e-3,
            "rows": [row | {"setting": "plain", "iterations": 50} for row in rows],
        },
    }


def test_numbers_follow_from_the_results(results):
    numbers = speed.error_numbers(results)
    # the third of four steps, 4 s for 2 slices, and what fused takes to .14
    assert numbers["error_astra_stop"] == "20" and numbers["error_astra_error"] == "0.140"
    assert numbers["error_astra_time"] == "10 min" and numbers["error_astra_ours"] == "2.0 s"
    assert numbers["error_astra_ratio"] == "300 times"
    assert numbers["error_stacked_ratio"] == "1200 times"
    assert numbers["error_fused"] == "4.0 s" and numbers["error_fused_error"] == "0.050"
    assert numbers["error_em"] == "50 s" and numbers["error_em_error"] == "0.030"
    # 16 of 300 slices; composition EM is there with its second step alone
    assert numbers["error_restated"] == "0.040" and numbers["error_restated_time"] == "5.0 min"
    assert numbers["error_restated_em"] == "after 50 s"
    assert numbers["error_least"] == "0.1 s" and numbers["error_least_mbirjax"] == "10 times"
    assert numbers["error_geometry"] == "mbirjax 2.9 %, svmbir 2.3 %"


def test_a_level_is_reached_or_it_is_not(results):
    assert list(errors.levels(results)) == [errors.ASTRA, errors.RESTATED]
    em, fused = (errors.row(results, name) for name in (errors.EM, errors.FUSED))
    assert errors.time_to(em, 0.049) == 50 and errors.time_to(em, 0.029) is None
    assert errors.time_to(fused, 0.0999) == 4 and errors.time_to(None, 0.1) is None
    table = speed.errors_table(results)
    rows = {row[0]: row for row in table.rows}
    assert rows["composition EM"][1:] == ("0.030", "50", "10 s", "50 s")
    assert rows["fused"][-1] == rows[errors.ASTRA][-1] == "–"


def test_the_table_says_what_each_program_had(results):
    note = speed.errors_table(results).note
    rows = speed.settings_table(results).rows
    given = [(one["name"], one["setting"]) for one in results["contenders"]]
    assert [row[:2] for row in rows] == given
    assert "mbirjax 0.7.3" in note and "hebt at commit abc1234" in note and "idle" in note
    results["load_before"] = 7.5
    assert "load 7.5" in speed.errors_table(results).note
    assert "load 7.5" in speed.least_squares_table(results).note
    assert speed.error_numbers(results)["error_load"] == "busy (load 7.5 on 2 cores)"


def test_a_residual_that_is_not_reached_is_no_time(results):
    rows = {row[0]: row for row in speed.least_squares_table(results).rows}
    assert rows["mbirjax"][-2:] == ("1", "10") and rows["svmbir"][-2:] == ("not reached", "–")


def test_what_was_left_out_is_not_measured(results):
    results["contenders"] = [one for one in results["contenders"] if one["name"] == "hebt.sirt"]
    results["least_squares"]["rows"], results["geometry"] = [], {}
    numbers = speed.error_numbers(results)
    missing = "fused", "em", "astra_ratio", "stacked_ratio", "restated", "restated_em"
    assert {numbers[f"error_{name}"] for name in missing} == {"not measured"}
    assert numbers["error_least"] == "not reached"
    speed.plot_errors(results)
    assert len(speed.errors_table(results).rows) == 1


def test_curves_end_at_the_best_stop(results):
    (ax,) = speed.plot_errors(results).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    for one in results["contenders"]:
        seconds, means = errors.curve(one)
        (x,), (y,) = lines[one["name"]].get_data()
        assert (x, y) == (seconds[means.argmin()], means.min())


def test_the_committed_record_is_whole():
    results = speed.error_results()
    settings = results["settings"]
    assert (settings["size"], settings["tilts"]) == (300, 31)
    names = {one["name"] for one in results["contenders"]}
    assert {"hebt.sirt", "HEBT", "HEBT, accelerated", "fused", "composition EM"} <= names
    assert {errors.ASTRA, "ASTRA CPU SIRT, linear", errors.ASTRA_HEBT, errors.RESTATED} <= names
    assert {"scipy.sparse SIRT", "mbirjax", "svmbir"} <= names
    assert set(results["geometry"]) == {"mbirjax", "svmbir"}
    assert set(results["searched"]) == {"mbirjax", "svmbir", "fused multi-modal"}
    for one in results["contenders"]:
        shape = len(one["iterations"])
        assert np.shape(one["errors"]) == (shape, 2) and np.shape(one["seconds"])[1] == shape
    # hebt, scipy and ASTRA run the same iteration
    ours, *others = (
        errors.row(results, name) for name in ("hebt.sirt", errors.ASTRA, "scipy.sparse SIRT")
    )
    for one in others:
        np.testing.assert_allclose(one["errors"], ours["errors"], rtol=1e-3)
    assert {one["name"] for one in results["least_squares"]["rows"]} >= {errors.OURS, "mbirjax"}
    text = json.dumps(results)
    assert "/tmp" not in text and "/home" not in text


def test_the_page_says_whose_restatement_it_is():
    text = " ".join((ROOT / "book" / "speed.md").read_text(encoding="utf-8").split())
    assert "**our restatement** of its model on our projector, not its program" in text
    assert "searched with the truth at hand" in text and "favors the peers" in text


def test_missing_results_name_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="run make bench"):
        speed.error_results(tmp_path / "benchmark_errors.json")


@pytest.fixture
def bench(monkeypatch):
    """What ``make bench`` runs, as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import errors as module

    return module


def test_only_a_whole_run_replaces_the_record(bench, monkeypatch, capsys):
    monkeypatch.delenv("HEBT_FIDELITY", raising=False)
    record = ROOT / "data" / "benchmark_errors.json"
    assert bench.parse([]).out == record
    for name in bench.FULL:
        assert bench.parse([f"--{name}=2"]).out is None
    assert bench.parse(["--quick"]).out is None
    with pytest.raises(SystemExit):
        bench.parse(["--quick", "--out", str(record)])
    assert "Name another file" in capsys.readouterr().err
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    assert bench.parse([]).quick


def test_another_geometry_is_not_compared(bench):
    W = hebt.Projector(np.linspace(-75, 75, 9), 48)
    images = bench.peers.least_squares_images(48, 2)
    assert bench.peers.projects_alike(W, images, lambda W, x: 1.01 * W.forward(x)) < 0.011
    turned = [
        lambda W, x: W.forward(x[..., ::-1]),
        lambda W, x: W.forward(x[:, ::-1]),
        lambda W, x: W.forward(x.swapaxes(1, 2)),
        lambda W, x: W.forward(x)[::-1],
    ]
    for project in turned:
        with pytest.raises(RuntimeError, match="nothing can be compared"):
            bench.peers.projects_alike(W, images, project)


def test_the_same_iteration_by_others_is_the_same(bench):
    pytest.importorskip("astra")
    field = bench.field
    series = field.phantom_series(32, 3, 9)

    def judge(x):
        return [hebt.metrics.scaled_mse(truth, image[0]) for truth, image in zip(series.truth, x)]

    def found(trace):
        points = trace(series, (2, 5), judge)
        assert [point.iteration for point in points] == [2, 5]
        return [point.errors for point in points]

    ours = found(field.by_callback(field.sirt))
    for trace in (field.astra_trace("strip"), field.scipy_trace):
        np.testing.assert_allclose(found(trace), ours, rtol=1e-4)
    ours = found(field.reconstruct(alpha=0.7))
    np.testing.assert_allclose(found(field.astra_hebt_trace), ours, rtol=1e-4)
    assert np.all(np.array(found(field.astra_trace("linear"))) != np.array(ours))


def test_what_judges_does_not_count(bench, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bench.field.time, "perf_counter", lambda: now[0])
    clock = bench.field.Clock()
    now[0] = 2.0
    with clock.stopped():
        now[0] = 10.0
    now[0] = 11.0
    assert clock.read() == 3.0


@pytest.mark.slow
def test_the_benchmark_runs_and_its_results_can_be_drawn(tmp_path):
    out = tmp_path / "errors.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "errors.py"), "--quick"]
    run = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, cwd=tmp_path, env=os.environ
    )
    assert run.returncode == 0, run.stderr[-3000:]
    results = speed.error_results(out)
    assert results["settings"]["size"] == 48
    for draw in (
        speed.plot_errors,
        speed.errors_table,
        speed.settings_table,
        speed.least_squares_table,
        speed.error_numbers,
    ):
        assert draw(results) is not None
