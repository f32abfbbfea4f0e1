"""Results on disk: found again by the same code only, whole or not at all."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from hebt import _cache


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path))
    monkeypatch.setattr(_cache, "_memories", {})
    return tmp_path


calls = []


@_cache.cached
def noisy_square(x, *, power=2):
    """Return x to a power."""
    calls.append((x, power))
    return {"value": np.full(3, float(x) ** power)}


def test_a_result_is_computed_once_and_then_read(store):
    calls.clear()
    first = noisy_square(3)
    again = noisy_square(3, power=2)
    assert calls == [(3, 2)]
    np.testing.assert_array_equal(first["value"], again["value"])
    noisy_square(4)
    assert calls == [(3, 2), (4, 2)]
    assert noisy_square.__doc__ == "Return x to a power."
    assert list(store.rglob("output.pkl"))


def test_fidelities_do_not_share_results(store, monkeypatch):
    calls.clear()
    for value in ("quick", "paper", "quick"):
        monkeypatch.setenv("HEBT_FIDELITY", value)
        noisy_square(3)
    assert len(calls) == 2


def test_a_damaged_result_is_computed_again(store, capfd):
    calls.clear()
    noisy_square(5)
    (path,) = store.rglob("output.pkl")
    path.write_bytes(path.read_bytes()[:-20])
    np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    assert len(calls) == 2
    assert capfd.readouterr().err == ""


def test_another_code_starts_an_empty_store(store, monkeypatch):
    calls.clear()
    noisy_square(3)
    monkeypatch.setattr(_cache, "_KEY", "another")
    noisy_square(3)
    assert len(calls) == 2


def test_the_key_follows_code_and_data_but_not_figures_and_benchmarks(tmp_path):
    package = tmp_path / "hebt"
    for name in ("solver.py", "figures/phantom.py", "explorers/base.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("one = 1\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "paper.json").write_text("{}")
    key = _cache.code_key(package)
    assert key == _cache.code_key(package)

    (package / "figures" / "phantom.py").write_text("one = 2\n")
    assert _cache.code_key(package) == key
    (tmp_path / "data" / "benchmark.json").write_text("{}")
    assert _cache.code_key(package) == key
    (package / "solver.py").write_text("one = 2\n")
    changed = _cache.code_key(package)
    assert changed != key
    (tmp_path / "data" / "paper.json").write_text('{"z": 1}')
    assert _cache.code_key(package) not in (key, changed)


def test_pruning_keeps_what_is_in_use_and_the_last_few(tmp_path):
    now = 1_000_000_000.0
    ages = {"mine": 9e9, "running": 60.0}
    ages |= {f"old{i}": 7200.0 + i for i in range(6)}
    for name, age in ages.items():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age, now - age))
    gone = _cache.prune(tmp_path, keep=tmp_path / "mine", now=now)
    assert {p.name for p in gone} == {"old3", "old4", "old5"}
    assert {p.name for p in tmp_path.iterdir()} == {"mine", "running", "old0", "old1", "old2"}

    month_later = now + _cache.DROP_AFTER_SECONDS
    _cache.prune(tmp_path, keep=tmp_path / "mine", now=month_later)
    assert {p.name for p in tmp_path.iterdir()} == {"mine"}


def test_without_a_folder_to_write_it_warns_and_computes(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("HEBT_CACHE", str(blocked))
    monkeypatch.setattr(_cache, "_memories", {})
    with pytest.warns(UserWarning, match="HEBT_CACHE"):
        np.testing.assert_array_equal(noisy_square(2)["value"], 4.0)


def test_runs_side_by_side_see_whole_results(tmp_path):
    """Several processes write and read one result at the same time."""
    (tmp_path / "slow_module.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            from hebt._cache import cached

            @cached
            def big(seed):
                return np.random.default_rng(seed).random(400_000)
            """
        )
    )
    script = "import slow_module as m; print([float(m.big(i % 2).sum()) for i in range(8)])"
    env = os.environ | {
        "HEBT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(_cache.__file__).parents[1])]),
    }
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, outputs
    expected = [float(np.random.default_rng(i % 2).random(400_000).sum()) for i in range(8)]
    assert {out for out, _ in outputs} == {f"{expected}\n"}
