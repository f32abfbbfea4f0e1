"""Results on disk: found again by the same code only, whole or not at all."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from companion import store as results


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path))
    return tmp_path


calls = []


@results.cached
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
    assert list(store.rglob("*.pkl"))


def test_fidelities_do_not_share_results(store, monkeypatch):
    calls.clear()
    for value in ("quick", "paper", "quick"):
        monkeypatch.setenv("HEBT_FIDELITY", value)
        noisy_square(3)
    assert len(calls) == 2


def test_a_damaged_result_is_computed_again(store, capfd):
    calls.clear()
    noisy_square(5)
    (path,) = store.rglob("*.pkl")
    path.write_bytes(path.read_bytes()[:-20])
    np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    assert len(calls) == 2
    assert capfd.readouterr().err == ""


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A small house of our own: hebt, a room of the companion, and data."""
    files = {
        "hebt/__init__.py": "from .solver import solve\n",
        "hebt/solver.py": "one = 1\n",
        "hebt/metrics.py": "two = 2\n",
        "hebt/io/__init__.py": "three = 3\n",
        "book/companion/__init__.py": "",
        "book/companion/style.py": "red = 1\n",
        "book/companion/room/__init__.py": "from .figures import draw\nfrom .study import study\n",
        "book/companion/room/figures.py": "from ..style import red\nfrom .study import study\n",
        "book/companion/room/data.py": "from hebt import metrics\n",
        "book/companion/room/study.py": '"""A study."""\nimport hebt\nfrom .data import data\n',
        "data/paper.json": "{}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "PACKAGES", {"hebt": tmp_path, "companion": tmp_path / "book"})
    return tmp_path


def key():
    results.code_key.cache_clear()
    results._code.cache_clear()
    return results.code_key("companion.room.study")


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("book/companion/room/study.py", '"""A study."""\nimport hebt\n', True),
        ("book/companion/room/data.py", "from hebt import metrics, io\n", True),
        ("hebt/solver.py", "one = 2\n", True),
        ("hebt/metrics.py", "two = 3\n", True),
        ("data/paper.json", '{"z": 1}', True),
        ("hebt/io/__init__.py", "three = 4\n", False),
        ("book/companion/style.py", "red = 2\n", False),
        ("book/companion/room/figures.py", "draw = 1\n", False),
        ("book/companion/room/__init__.py", "", False),
        ("data/benchmark.json", "{}", False),
        ("hebt/solver.py", '"""Docs."""\none = 1  # a comment\n', False),
    ],
)
def test_the_key_follows_what_a_study_runs_and_nothing_else(house, name, text, counts):
    before = key()
    assert key() == before
    (house / name).write_text(text)
    assert (key() != before) == counts


def test_modules_that_load_on_first_use_count(house):
    (house / "book/companion/room/study.py").write_text("import hebt\nhebt.io.read()\n")
    before = key()
    (house / "hebt/io/__init__.py").write_text("three = 4\n")
    assert key() != before


def test_another_code_starts_an_empty_store(store):
    calls.clear()
    noisy_square(3)
    (folder,) = store.glob("results/*/*")
    folder.rename(folder.with_name("0" * 16))
    results._folder.cache_clear()
    noisy_square(3)
    assert len(calls) == 2


def test_pruning_keeps_what_is_in_use_the_last_few_and_what_is_not_ours(tmp_path):
    now = 1_000_000_000.0
    mine, running, *old = (f"{n:016x}" for n in range(8))
    ages = {mine: 9e9, running: 60.0}
    ages |= {name: 7200.0 + i for i, name in enumerate(old)}
    for name in [*ages, "thesis"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / results.MARKER).touch()
        age = ages.get(name, 9e9)
        os.utime(tmp_path / name, (now - age, now - age))
    unmarked = tmp_path / ("f" * 16)
    unmarked.mkdir()
    os.utime(unmarked, (now - 9e9, now - 9e9))
    kept = {unmarked.name, "thesis", mine}
    gone = results.prune(tmp_path, keep=tmp_path / mine, now=now)
    assert {p.name for p in gone} == set(old[3:])
    assert {p.name for p in tmp_path.iterdir()} == {running, *old[:3], *kept}

    month_later = now + results.DROP_AFTER_SECONDS
    results.prune(tmp_path, keep=tmp_path / mine, now=month_later)
    assert {p.name for p in tmp_path.iterdir()} == kept


def test_without_a_folder_to_write_it_warns_and_computes(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("HEBT_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="HEBT_CACHE"):
        np.testing.assert_array_equal(noisy_square(2)["value"], 4.0)


def test_runs_side_by_side_see_whole_results(tmp_path):
    """Several processes write and read one result at the same time."""
    (tmp_path / "slow_module.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            from companion.store import cached

            @cached
            def big(seed):
                return np.random.default_rng(seed).random(400_000)
            """
        )
    )
    script = "import slow_module as m; print([float(m.big(i % 2).sum()) for i in range(8)])"
    env = os.environ | {
        "HEBT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(results.__file__).parents[1])]),
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
