"""The chapter on speed: drawn from measured results, and right about them."""

import copy
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from companion import speed
from companion.speed import data

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def results():
    """Made-up results, with times in round numbers."""
    found = copy.deepcopy(speed.results())
    found["settings"] = {"size": 100, "tilts": 10, "slices": 128, "rounds": 3}
    times = {data.OURS: 1, "hebt.sirt": 1, data.BARE: 2, data.ASTRA: 200}
    times |= {data.ONE: 10, data.ONE_OF_TWO: 5, data.LINEAR: 13}
    found["contenders"] = [
        {"name": name, "device": "cpu", "threads": 1}
        | {"processor": [t * 1e-3] * 3, "clock": [t * 2e-3] * 3}
        for name, t in times.items()
    ]
    two = {"name": data.OURS, "device": "cpu", "threads": 2}
    found["contenders"].append(two | {"processor": [1.2e-3] * 3, "clock": [1e-3] * 3})
    found["gpu"] = None
    for name, curve in found["scaling"]["curves"].items():
        power = 2 if name == "size" else 1
        curve["processor"] = [[1e-3 * v**power] * 3 for v in curve["values"]]
    return found


def test_committed_results_are_whole():
    results = speed.results()
    ours = [c for c in results["contenders"] if c["name"] == data.OURS and c["device"] == "cpu"]
    assert {c["threads"] for c in ours} == {1, 2}
    assert all(len(c["clock"]) == results["settings"]["rounds"] for c in results["contenders"])
    names = {c["name"] for c in results["contenders"]}
    assert {data.OURS, data.ONE, data.BARE, data.SCIPY} <= names
    assert {data.ASTRA, data.LINEAR, data.ONE_OF_TWO} <= names
    assert re.fullmatch("[0-9a-f]{7,40}", results["commit"])
    grown = {"slices", "elements", "tilts", "iterations", "size"}
    assert set(results["scaling"]["curves"]) == grown
    assert results["settings"]["size"] == results["settings"]["slices"] == 300
    assert results["settings"]["tilts"] == 31
    assert all(c["peak"] <= 2.5 * c["input_and_output"] for c in results["memory"])
    assert {c["workers"] for c in results["workers"]} == {1, 2}
    assert (results["gpu"] is None) == all(c["device"] == "cpu" for c in results["contenders"])
    text = json.dumps(results)
    assert "/tmp" not in text and "/home" not in text


def test_numbers_follow_from_the_results(results):
    numbers = speed.numbers(results)
    assert numbers["speed_astra"] == "200 times" and numbers["speed_c"] == "200 %"
    assert numbers["speed_iteration"] == "1 ms"
    # the projector that an ASTRA user may pick as well, against many columns and a single one
    assert numbers["speed_linear"] == "13 times" and numbers["speed_linear_one"] == "1.3 times"
    assert numbers["speed_linear_two"] == "2.6 times"
    # two threads: 0.4 s of ASTRA's clock against 1 ms, and 256 slices of both elements
    assert numbers["speed_astra_clock"] == "400 times" and numbers["speed_threads"] == "2"
    assert numbers["speed_volume_iteration"] == "0.26 s" and numbers["speed_volume"] == "51 s"
    assert numbers["speed_power_slices"] == "1.00" and numbers["speed_power_size"] == "2.00"
    # 300 slices of 2 elements, 9 times the pixels, 200 iterations of 1 ms
    assert data.seconds(results, 300, 2, 300, 10, 200) == pytest.approx(0.001 * 600 * 9 * 200)
    # the made-up curves grow in proportion, and with the square of the edge
    assert numbers["speed_last_slices"] == "2.00" and numbers["speed_last_size"] == "4.00"


def test_the_last_doubling_is_not_hidden_by_the_fit(results):
    curve = results["scaling"]["curves"]["slices"]
    assert curve["values"] == [32, 64, 128, 256]
    curve["processor"] = [[1.0] * 3, [2.0] * 3, [4.0] * 3, [11.0, 12.0, 90.0]]
    assert speed.numbers(results)["speed_last_slices"] == "3.00"
    results["scaling"]["curves"]["size"]["values"] = [64, 128, 192, 250]
    assert "speed_last_size" not in speed.numbers(results)


def test_extrapolation_is_proportional_and_says_what_it_is(results):
    table = speed.extrapolation_table(results)
    assert "not measured" in table.title
    one, hundred, large = (float(row[5]) for row in table.rows)
    assert hundred == pytest.approx(100 * one, rel=0.06)
    assert large == pytest.approx(one * (1000 / 300) ** 3 * 5, rel=0.06)
    assert [row[7] for row in table.rows] == ["0.22 GB", "22 GB", "40 GB"]


def test_two_cores_take_what_two_threads_took():
    results = speed.results()
    table = speed.extrapolation_table(results)
    particle = dict(zip(table.columns, table.rows[0]))
    # the sentence on the page is about the same volume, 300 slices of 300 × 300 and two elements
    assert particle["on 2 threads"] == speed.numbers(results)["speed_volume"]
    (clock,) = (
        c["clock"] for c in results["contenders"] if (c["name"], c["threads"]) == (data.OURS, 2)
    )
    found = data.seconds(results, 300, 2, 300, 31, 200, threads=2, clock="clock")
    assert found == pytest.approx(np.median(clock) * 600 * 200)


def test_no_more_cores_work_than_there_are_blocks(results):
    # 64 slices of two elements make a block of 128 columns: 300 slices, five blocks. One takes
    # 2 ms of the clock × 128 columns × 9 times the pixels × 200 iterations.
    work = 300, 2, 300, 10, 200
    block = 2e-3 * 128 * 9 * 200
    for cores, waves in (1, 5), (2, 3), (4, 2), (5, 1), (64, 1), (1000, 1):
        found = data.cluster_seconds(results, *work, cores=cores)
        assert found == (5, waves, pytest.approx(waves * block))
    # a hundred of them: 500 blocks, of which seven waves of 64 leave 52
    found = data.cluster_seconds(results, *work, volumes=100, cores=64)
    assert found == (500, 8, pytest.approx(8 * block))
    # 13 slices of 10 elements fill a block: 76 blocks, and 12 slices left
    found = data.cluster_seconds(results, 1000, 10, 1000, 10, 200, cores=64)
    assert found == (77, 2, pytest.approx(2 * 2e-3 * 130 * 100 * 200))
    rows = speed.extrapolation_table(results).rows
    assert [row[2:4] for row in rows] == [("5", "1"), ("500", "8"), ("77", "2")]
    # 64 cores are held for one wave of 461 s
    assert rows[0][4] == "7.7 min" and rows[0][6] == "8.2"


def test_the_blocks_are_those_of_a_reconstruction(results):
    import dask.array as da

    import hebt

    W = hebt.Projector([-30, 0, 30], 8)
    haadf = da.ones((3, 300, 8), chunks=(3, 1, 8))
    maps = da.ones((2, 3, 300, 8), chunks=(2, 3, 1, 8))
    volume = hebt.reconstruct(W, haadf, maps, [1, 1], iterations=1)
    found = data.cluster_seconds(results, 300, 2, 8, 3, 1, cores=64)
    assert found[0] == len(volume.chunks[1]) == 5


def test_a_worker_needs_memory_for_its_process_too(results):
    # blocks whose 64 slices of 100 × 100 take 2 × (0.768 MB of data and 5.12 MB of result), and
    # 5.12 MB while they are written, in a process of 200 MB
    results["memory"] = [{"peak": 3, "input_and_output": 2}, {"peak": 4, "input_and_output": 2}]
    block = 2 * (0.768e6 + 5.12e6) + 5.12e6
    case = {"size": 100, "tilts": 10, "slices": 256, "elements": 2, "blocks": 4}
    results["workers"] = [case | {"peak": 190e6 + block}, case | {"peak": 200e6 + block}]
    assert data.worker_memory(results, 64, 2, 100, 10) == pytest.approx(200e6 + block)
    assert data.worker_memory(results, 128, 2, 100, 10) == pytest.approx(200e6 + 2 * block)
    results["workers"][0]["peak"] = results["workers"][1]["peak"] = float("nan")
    assert speed.extrapolation_table(results).rows[0][8] == "not measured"


def test_larger_blocks_need_more_memory_than_was_measured_for_small_ones():
    results = speed.results()
    measured = max(case["peak"] for case in results["workers"])
    assert measured < data.worker_memory(results, 64, 2, 300, 31) < 2 * measured


def test_tables_show_every_measurement(results):
    table = speed.peers_table(results)
    assert len(table.rows) == len(results["contenders"])
    rows = {row[:2]: row[2:] for row in table.rows}
    one, astra = rows[data.OURS, "1"], rows[data.ASTRA, "1"]
    assert one == ("256", "1", "1 to 1", "200", "(2)", "2", "200") and astra[3] == astra[6] == "1"
    assert rows[data.OURS, "2"][5:] == ("1", "400")
    # only hebt.sirt has the columns of C, so that only its ratio stands without brackets
    assert rows["hebt.sirt", "1"][0] == rows[data.BARE, "1"][0] == "128" and astra[0] == "1"
    assert rows["hebt.sirt", "1"][4] == "2" and astra[4] == "(0.01)"
    # a single slice has one column for each element
    assert (rows[data.ONE_OF_TWO, "1"][0], rows[data.ONE, "1"][0]) == ("2", "1")
    assert results["processor"] in table.note and results["date"] in table.note
    assert len(speed.memory_table(results).rows) == len(results["memory"])
    assert len(speed.workers_table(results).rows) == len(results["workers"])


def test_the_table_says_which_hebt_was_measured(results):
    results["commit"] = "abc1234"
    assert "hebt at commit abc1234" in speed.peers_table(results).note
    results["commit"] = None
    assert "hebt of an unknown commit" in speed.peers_table(results).note


def test_a_busy_machine_is_admitted(results):
    results["load_before"], results["cores"] = 3.5, 2
    assert "load 3.5" in speed.peers_table(results).note
    assert "load 3.5" in speed.extrapolation_table(results).note
    assert speed.numbers(results)["speed_load"] == "busy (load 3.5 on 2 cores)"
    results["load_before"] = 0.1
    assert "idle" in speed.peers_table(results).note
    assert "idle" in speed.numbers(results)["speed_load"]
    results["load_before"] = results["load_after"] = None
    assert "not known" in speed.peers_table(results).note
    assert "unknown" in speed.numbers(results)["speed_load"]


def test_results_without_astra_or_a_compiler_are_shown_too(results):
    gone = data.BARE, data.ASTRA, data.LINEAR
    results["contenders"] = [c for c in results["contenders"] if c["name"] not in gone]
    numbers = speed.numbers(results)
    names = "astra", "astra_clock", "linear", "linear_one", "linear_two", "c"
    assert {numbers[f"speed_{name}"] for name in names} == {"not measured"}
    assert speed.peers_table(results).rows[0][5:7] == ("–", "–")
    speed.plot_peers(results)


def test_a_gpu_that_was_not_there_is_said_to_be_missing(results):
    table = speed.gpu_table(results)
    assert "Nothing here was measured on a GPU" in table.note
    assert [row[2] for row in table.rows] == ["1"] + ["not measured"] * 3


def test_a_gpu_is_compared_with_the_processor_and_with_astra(results):
    results["gpu"] = {"name": "Some GPU", "compute_capability": "9.0", "memory": 8e10}
    results["gpu"] |= {"iterations": 50, "cpu": [10.0], "cuda": [2.0, 1.0, 1.5], "difference": 2e-6}
    entry = {"device": "cuda", "threads": 1, "processor": [1.0] * 3}
    for name, t in ((data.OURS, 1e-5), ("hebt.sirt", 2e-5), (data.ASTRA_GPU, 5e-5)):
        results["contenders"].append(entry | {"name": name, "clock": [t] * 3})
    table = speed.gpu_table(results)
    assert [row[3] for row in table.rows] == ["1", "100", "50", "20"]
    assert "Some GPU" in table.note and "2.0e-06" in table.note and "1.5 s on the GPU" in table.note
    # the processor's table and figure are about the processor
    assert len(speed.peers_table(results).rows) == 8
    assert len(speed.plot_peers(results).axes[0].patches) == 7


def test_figures_show_the_medians(results):
    (ax,) = speed.plot_peers(results).axes
    widths = sorted(bar.get_width() for bar in ax.patches)
    np.testing.assert_allclose(widths, [1, 1, 2, 5, 10, 13, 200])
    assert "200 times the speed of ASTRA's strip" in next(t.get_text() for t in ax.texts)
    figure = speed.plot_scaling(results)
    assert [ax.get_xlabel() for ax in figure.axes] == list(results["scaling"]["curves"])
    for ax in figure.axes:
        line, points = ax.get_lines()
        np.testing.assert_allclose(line.get_ydata(), points.get_ydata(), rtol=1e-6)


def test_missing_results_name_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="run make bench"):
        speed.results(tmp_path / "benchmark.json")


@pytest.fixture
def bench(monkeypatch):
    """What ``make bench`` runs, as a module."""
    spec = importlib.util.spec_from_file_location("bench", ROOT / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec.loader.exec_module(module)
    return module


def test_only_a_whole_run_replaces_the_record(bench, monkeypatch, capsys):
    monkeypatch.delenv("HEBT_FIDELITY", raising=False)
    record = ROOT / "data" / "benchmark.json"
    assert bench.parse([]).out == record
    settings = speed.results()["settings"]
    for name, value in settings.items():
        assert bench.FULL[name] == value
        assert bench.parse([f"--{name}={value}"]).out == record
        assert bench.parse([f"--{name}=2"]).out is None
    assert bench.parse(["--quick"]).out is None
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    assert bench.parse([]).quick and bench.parse([]).out is None
    with pytest.raises(SystemExit):
        bench.parse(["--out", str(ROOT / "book" / ".." / "data" / "benchmark.json")])
    assert "Name another file" in capsys.readouterr().err
    assert bench.parse(["--out", "mine.json"]).out == Path("mine.json")


def git(folder, *command):
    identity = "-c", "user.name=A", "-c", "user.email=a@b.c"
    run = ["git", "-C", str(folder), *identity, *command]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()


def test_the_record_names_the_commit_that_was_measured(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from record import commit

    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    assert commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert commit(tmp_path) is None
    file, inside = tmp_path / "file", tmp_path / "inside"
    record = tmp_path / "data" / "benchmark.json"
    for folder in (inside, record.parent):
        folder.mkdir()
    for each in (file, record):
        each.write_text("one")
    git(tmp_path, "add", "file", "data")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    found = commit(tmp_path)
    assert len(found) >= 7 and head.startswith(found)
    record.write_text("two")  # as an earlier part of the same benchmark does
    assert commit(tmp_path) == found
    file.write_text("two")
    assert commit(tmp_path) == f"{found}-dirty"
    # a copy without .git, inside another project's repository
    assert commit(inside) is None
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None


def test_readme_says_whose_phantom_its_picture_shows():
    caption = (ROOT / "README.md").read_text(encoding="utf-8").split("(book/methods.png)")[1]
    assert "our phantom" in " ".join(caption.split())[:200]


@pytest.mark.slow
def test_a_quick_picture_is_not_the_one_in_readme(tmp_path):
    readme = ROOT / "book" / "methods.png"
    before = readme.read_bytes()
    command = [sys.executable, str(ROOT / "benchmarks" / "picture.py")]
    environment = os.environ | {"HEBT_FIDELITY": "quick"}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    assert readme.read_bytes() == before and "stays" in run.stdout
    (picture,) = tmp_path.iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG") and str(picture) in run.stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "benchmarks/picture.py" in makefile and "methods.png" not in makefile


@pytest.mark.slow
def test_the_benchmark_runs_and_its_results_can_be_drawn(tmp_path):
    pytest.importorskip("distributed")
    out = tmp_path / "benchmark.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--quick", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-3000:]
    results = speed.results(out)
    assert results["settings"]["size"] == 64 and len(results["workers"]) == 6
    assert results["first_call"]["compiled"]["processor"] > 0
    for draw in (
        speed.plot_peers,
        speed.plot_scaling,
        speed.peers_table,
        speed.memory_table,
        speed.workers_table,
        speed.extrapolation_table,
        speed.gpu_table,
        speed.numbers,
    ):
        assert draw(results) is not None
