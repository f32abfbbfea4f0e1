"""Results on disk: found again by the same code only, whole or not at all."""

import ast
import importlib
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from companion import spectra
from companion import store as results

# the functions below are code of ours too
results.PACKAGES[__name__] = Path(__file__).parent


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
    assert len(list(store.rglob("*.pkl"))) == 2


@results.cached
def _noisy_square(x, *, power=2):
    return "another function"


@results.cached
def what(value):
    calls.append(value)
    return value


def test_functions_do_not_share_results(store):
    assert noisy_square(3)["value"][0] == 9
    assert _noisy_square(3) == "another function"


def test_equal_arguments_find_one_result(store):
    """Also where one object stands twice in them, and two equal ones elsewhere."""
    calls.clear()
    settings = spectra.settings("alloy", size=8)
    again = spectra.settings("alloy", size=8)
    what((settings, settings))
    what(value=(settings, again))
    what((spectra.settings("alloy", size=8), settings))
    assert len(calls) == 1
    what((settings, spectra.settings("alloy", size=8, seed=1)))
    assert len(calls) == 2


def test_a_result_that_cannot_be_kept_is_returned_all_the_same(store):
    calls.clear()
    results_type = type(threading.Lock())
    lock = {}

    @results.cached
    def locked(x):
        calls.append(x)
        return lock.setdefault("it", threading.Lock())

    for _ in range(2):
        with pytest.warns(UserWarning, match=r"cannot be kept as .*pickle.*HEBT_CACHE"):
            assert isinstance(locked(1), results_type)
    assert calls == [1, 1]
    assert not [p for p in store.rglob("*") if p.name.startswith(".part-") or p.suffix == ".pkl"]


def test_an_error_is_not_kept(store):
    @results.cached
    def fails(x):
        raise ZeroDivisionError(x)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails(1)
    assert not list(store.rglob("*.pkl"))


def test_code_that_has_no_key_is_computed_each_time(store, monkeypatch):
    calls.clear()
    source = "def one(x):\n    calls.append(x)\n    return x\n"
    space = {"__name__": "__main__", "calls": calls}
    exec(source, space)
    one = results.cached(space["one"])
    assert one(1) == one(1) == 1
    assert calls == [1, 1] and not list(store.iterdir())


def test_fidelities_do_not_share_results(store, monkeypatch):
    calls.clear()
    for value in ("quick", "paper", "quick"):
        monkeypatch.setenv("HEBT_FIDELITY", value)
        noisy_square(3)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-20],
        lambda whole: b"",
        lambda whole: b"no pickle",
        # a class that is gone, and one that cannot be made so
        lambda whole: b"cnowhere\nNothing\n.",
        lambda whole: pickle.dumps(ValueError).replace(b"ValueError", b"ValueTerror"),
        lambda whole: b"cbuiltins\nint\n(S'x'\ntR.",
    ],
)
def test_a_damaged_result_is_computed_again(store, capfd, damage):
    calls.clear()
    noisy_square(5)
    (path,) = store.rglob("*.pkl")
    path.write_bytes(damage(path.read_bytes()))
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
        "book/companion/open/deep.py": "deep = 1\n",
        "data/paper.json": "{}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "PACKAGES", {"hebt": tmp_path, "companion": tmp_path / "book"})
    return tmp_path


def key():
    results._surroundings.cache_clear()
    results._code.cache_clear()  # two changes may come within the clock's resolution
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


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import hebt\nhebt.io.read()\n", "hebt/io/__init__.py"),
        ("import hebt as h\nh.io.read()\n", "hebt/io/__init__.py"),
        ("def f():\n    import hebt.io\n", "hebt/io/__init__.py"),
        ("def f():\n    from hebt.io import read\n", "hebt/io/__init__.py"),
        ("from hebt import io as files\n", "hebt/io/__init__.py"),
        ("from hebt.io import *\n", "hebt/io/__init__.py"),
        ("from ..style import red\n", "book/companion/style.py"),
        ("from .. import style\n", "book/companion/style.py"),
        ("from ..style import *\n", "book/companion/style.py"),
        ("from . import figures\n", "book/companion/room/figures.py"),
        ("from . import study\n", "book/companion/room/study.py"),
        ("from .. import room\nroom.draw()\n", "book/companion/room/figures.py"),
        ("import companion.room\ncompanion.room.draw()\n", "book/companion/room/figures.py"),
        ("from ..open import deep\n", "book/companion/open/deep.py"),
        ("import companion.open.deep\n", "book/companion/open/deep.py"),
        ("from companion import open\nopen.deep.f()\n", "book/companion/open/deep.py"),
        ("if 1:\n    try:\n        from ..open.deep import x\n    finally:\n        pass\n",)
        + ("book/companion/open/deep.py",),
    ],
)
def test_every_way_to_import_counts(house, code, name):
    (house / "book/companion/room/study.py").write_text(code)
    before = key()
    path = house / name
    path.write_text(path.read_text() + "more = 1\n")
    assert key() != before


def test_imports_in_a_circle_end(house):
    (house / "hebt/solver.py").write_text("from . import metrics\n")
    (house / "hebt/metrics.py").write_text("from .solver import one\n")
    assert {"hebt.solver", "hebt.metrics"} <= set(results.sources("hebt.solver"))


def test_a_module_loaded_anew_has_a_new_key(store, tmp_path, monkeypatch):
    path = tmp_path / "anew.py"
    path.write_text("from companion.store import cached\n@cached\ndef f():\n    return 1\n")
    monkeypatch.setitem(results.PACKAGES, "anew", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    anew = importlib.import_module("anew")
    assert anew.f() == 1
    path.write_text(path.read_text().replace("return 1", "return 22"))
    assert anew.f() == 1  # the code that runs is still the old one
    os.utime(path, (1e9, 1e9))
    assert importlib.reload(anew).f() == 22
    del sys.modules["anew"]


STUDIES = sorted(
    ".".join(path.relative_to(ROOT / "book").with_suffix("").parts)
    for path in (ROOT / "book" / "companion").rglob("*.py")
    if "@cached" in path.read_text(encoding="utf-8") and path.name != "store.py"
)


@pytest.mark.parametrize("module", STUDIES)
def test_no_result_depends_on_what_shows_it(module):
    shows = {"figures", "tables", "claims", "explorers", "explorer", "style", "prose"}
    assert not [name for name in results.sources(module) if shows & set(name.split(".")[1:])]


def test_each_file_is_read_once_for_all_keys(monkeypatch):
    """All rooms are imported by some chapters, and each cached function asks for a key."""
    assert len(STUDIES) > 8
    results._code.cache_clear()
    results._surroundings.cache_clear()
    read, parse = [], ast.parse
    monkeypatch.setattr(ast, "parse", lambda *a, **k: read.append(a) or parse(*a, **k))
    for module in STUDIES * 2:
        results.code_key(module)
    needed = set().union(*map(results.sources, STUDIES))
    assert len(read) == len(needed)
    assert results._surroundings.cache_info().misses == 1


def test_another_code_starts_an_empty_store(store):
    calls.clear()
    noisy_square(3)
    (folder,) = store.glob("results/*/*")
    folder.rename(folder.with_name("0" * 16))
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
    results.prune(tmp_path, keep=tmp_path / mine, now=now)
    assert {p.name for p in tmp_path.iterdir()} == {running, *old[:3], *kept}

    month_later = now + results.DROP_AFTER_SECONDS
    results.prune(tmp_path, keep=tmp_path / mine, now=month_later)
    assert {p.name for p in tmp_path.iterdir()} == kept
    results.prune(tmp_path / "nowhere", keep=tmp_path / mine, now=now)


def test_results_of_rooms_that_are_gone_go_too(store):
    gone = store / "results" / "companion.old.study" / ("a" * 16)
    gone.mkdir(parents=True)
    (gone / results.MARKER).touch()
    os.utime(gone, (1e9, 1e9))
    noisy_square(7)
    assert not gone.exists()


def test_a_run_that_reads_keeps_its_results_in_use(store):
    noisy_square(8)
    (folder,) = store.glob("results/*/*")
    os.utime(folder, (1e9, 1e9))
    noisy_square(8)
    assert folder.stat().st_mtime > 2e9 - 1e9 + 1e8


def test_a_folder_that_went_meanwhile_is_made_again(store):
    calls.clear()
    noisy_square(9)
    (folder,) = store.glob("results/*/*")
    folder.rename(store / "elsewhere")
    noisy_square(9)
    noisy_square(9)
    assert len(calls) == 2 and (folder / results.MARKER).exists()


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
            from pathlib import Path

            import numpy as np
            from companion import store

            store.PACKAGES["slow_module"] = Path(__file__).parent

            @store.cached
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
    assert {err for _, err in outputs} == {""}
    kept = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert sorted(p.suffix for p in kept) == ["", ".pkl", ".pkl"]
