"""Results on disk: found again by the same code only, whole or not at all."""

import ast
import contextlib
import errno
import functools
import hashlib
import importlib
import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, extension_of, need
from test_book import TinyBook, cell

from companion import spectra
from companion import store as results
from hebt import _datasets
from hebt import _places as files

# the functions below are code of ours too
results.PACKAGES[__name__] = Path(__file__).parent
KEY = results.code_key(__name__)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path))
    monkeypatch.delenv("HEBT_NOTES", raising=False)
    results._say.cache_clear()
    return tmp_path


def kept(folder):
    """The names of all that lies in the store, less the mark for backups."""
    return sorted(p.name for p in (folder / results.FOLDER).iterdir() if p.name != results.TAG)


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
    assert len(kept(store)) == 2


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

    with pytest.warns(UserWarning, match=r"cannot be kept in .*pickle.*HEBT_CACHE") as said:
        found = [locked(1), locked(1)]
    assert {type(value) for value in found} == {results_type}
    assert calls == [1, 1] and len(said) == 1
    assert kept(store) == []


def test_an_error_is_not_kept(store):
    @results.cached
    def fails(x):
        raise ZeroDivisionError(x)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails(1)
    assert kept(store) == []


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
    (path,) = store.rglob("*.result")
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
        ("data/promises.json", "{}", False),
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
    (path,) = store.rglob("*.result")
    path.rename(path.with_name(path.name.replace(KEY, "0" * 16)))
    noisy_square(3)
    assert len(calls) == 2


# ---- what is not ours stays ----


def everything(folder):
    """All that lies in a folder: path -> content, where a link leads, or that it is a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path] = os.readlink(path)
        else:
            found[path] = path.read_bytes() if path.is_file() else "folder"
    return found


def users_project(folder):
    """A project in which folders and files are called as ours might be."""
    keys = [f"{n:016x}" for n in range(7)]
    form = f"test_store-{'a' * 16}-paper-noisy_square-{'b' * 40}.result"
    outside = folder / "thesis"
    files = [f"thesis/{keys[0]}/chapter.tex", f"thesis/{form}", "results/notes.txt"]
    for place in ("results", "results/run", "results/test_store", results.FOLDER):
        files += [f"{place}/{key}/measured.csv" for key in keys]
        files += [f"{place}/{key}/.hebt-results" for key in keys]
        files += [f"{place}/{KEY}/quick/own.pkl", f"{place}/tmp12345678", f"{place}/.part-x"]
    # in our own form, and with all but the right first line
    starts = {"0": "", "1": "my notes\n", "2": f"hebt result 1 {'0' * 64} another.result\n"}
    for digit, start in starts.items():
        name = form.replace("bbb", 3 * digit)
        for path in (name, f".{name}.part"):
            (folder / results.FOLDER).mkdir(exist_ok=True)
            (folder / results.FOLDER / path).write_text(start + "mine")
    (folder / results.FOLDER / f".{form.replace('bb', '33')}.part").touch()
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("" if file.endswith(".hebt-results") else "mine")
    # links, one in our form, to a file that has our first line
    with open(outside / form, "w") as file:
        file.write(f"hebt result 1 {'0' * 64} {form}\n")
    for place in ("results", results.FOLDER):
        (folder / place / ("f" * 16)).symlink_to(outside / keys[0])
        (folder / place / form).symlink_to(outside / form)
        (folder / place / ("e" * 16)).symlink_to(folder / "nowhere")
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (1e9, 1e9), follow_symlinks=False)


def test_nothing_of_a_users_project_is_lost(tmp_path, store, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    users_project(project)
    monkeypatch.setenv("HEBT_CACHE", str(project))
    before = everything(project)
    monkeypatch.setattr(results, "LIMIT_BYTES", 0)
    for _ in range(2):
        for power in range(3):
            noisy_square(3, power=power)
    after = everything(project)
    ours = set(after) - set(before)
    assert {path: after[path] for path in before} == before
    assert len(ours) == 3 and all(path.parent.name == results.FOLDER for path in ours)
    assert re.match(r"Removed 3 stored results .* Left there, as not ours: \d+\.$", results.clean())
    assert everything(project) == before


def test_clean_follows_no_link_and_leaves_what_is_being_written(store):
    @results.cached
    def study(x):
        return results.clean()

    noisy_square(3)
    assert study(1).startswith("Removed 1 stored results")
    assert len(kept(store)) == 1, "the study itself"
    make_link(store / results.FOLDER, store / "moved")
    before = everything(store)
    assert "no stored results" in results.clean()
    assert everything(store) == before


def test_a_marker_is_put_into_a_folder_of_our_own_only(store):
    noisy_square(3)
    assert (store / results.FOLDER / results.TAG).read_bytes() == results.TAG_TEXT
    assert not [p for p in store.rglob("*") if p.name == results.TAG and p.parent == store]


def test_clean_removes_exactly_what_is_ours(store):
    theirs = store / "data" / "series.bcf"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    command = [sys.executable, "-m", "companion.store", "clean"]
    run = functools.partial(
        subprocess.run, cwd=ROOT / "book", check=True, capture_output=True, text=True
    )
    assert "no stored results" in run(command).stdout
    noisy_square(3)
    noisy_square(4)
    size = sum(p.stat().st_size for p in store.rglob("*.result"))
    assert f"Removed 2 stored results ({size / 1e6:.1f} MB)" in run(command).stdout
    assert [*everything(store)] == [theirs.parent, theirs]


def mark_used(path, ago):
    then = time.time() - ago
    os.utime(path, (then, then))


def test_the_store_is_bounded_and_results_of_other_code_go_first(store, monkeypatch):
    names = {}
    for x in range(6):
        noisy_square(x)
        (names[x],) = set(store.rglob("*.result")) - set(names.values())
        mark_used(names[x], 7200 - 100 * x)
    size = names[0].stat().st_size
    for x in (2, 4):  # another code made these
        old = names[x].with_name(names[x].name.replace(KEY, "0" * 16))
        old.write_bytes(names[x].read_bytes().replace(KEY.encode(), b"0" * 16))
        names[x].unlink()
        names[x] = old
        mark_used(old, 7200 - 100 * x)
    folder = store / results.FOLDER
    left = lambda: [x for x in names if names[x].exists()]  # noqa: E731
    results.prune(folder)
    assert left() == [0, 1, 2, 3, 4, 5], "below the limit all stay"
    for most, expected in ((5, [0, 1, 3, 4, 5]), (4, [0, 1, 3, 5]), (3, [1, 3, 5]), (2, [3, 5])):
        monkeypatch.setattr(results, "LIMIT_BYTES", most * size)
        results.prune(folder)
        assert left() == expected
    mark_used(names[3], 1800)
    monkeypatch.setattr(results, "LIMIT_BYTES", 0)
    results.prune(folder)
    assert left() == [3], "another run may be at work with what was used in this hour"
    monkeypatch.setattr(results, "LIMIT_BYTES", 10 * size)
    mark_used(names[3], results.DROP_AFTER_SECONDS + 1)
    results.prune(folder)
    assert left() == []


def test_a_result_that_is_read_is_in_use(store):
    noisy_square(8)
    (path,) = store.rglob("*.result")
    os.utime(path, (1e9, 1e9))
    noisy_square(8)
    assert path.stat().st_mtime > 1.5e9


def test_a_folder_that_went_meanwhile_is_made_again(store):
    calls.clear()
    noisy_square(9)
    (store / results.FOLDER).rename(store / "elsewhere")
    noisy_square(9)
    noisy_square(9)
    assert len(calls) == 2 and len(kept(store)) == 1


# ---- what others may have written is not run ----


class Planted:
    """A pickle that runs code: it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def plant(path, victim, right):
    """Put a pickle of another in the place of a result, with a right sha256 or a wrong one."""
    payload = b"1.5\n" + pickle.dumps(Planted(victim))  # after the seconds that it took
    digest = hashlib.sha256(payload).hexdigest() if right else "0" * 64
    path.write_bytes(f"hebt result 1 {digest} {path.name}\n".encode() + payload)


def make_link(path, moved):
    path.rename(moved)
    path.symlink_to(moved)


OTHERS = {
    "the cache is open to the group": lambda top, folder, path: top.chmod(0o770),
    "the cache is open to all": lambda top, folder, path: top.chmod(0o777),
    "the folder is open to the group": lambda top, folder, path: folder.chmod(0o720),
    "the folder is open to all": lambda top, folder, path: folder.chmod(0o1777),
    "the file is open to all": lambda top, folder, path: path.chmod(0o666),
    "the cache is another's": lambda top, folder, path: os.chown(top, 12345, 12345),
    "the folder is another's": lambda top, folder, path: os.chown(folder, 12345, 12345),
    "the file is another's": lambda top, folder, path: os.chown(path, 12345, 12345),
    "the folder is a link": lambda top, folder, path: make_link(folder, top / "x"),
    "the file is a link": lambda top, folder, path: make_link(path, top / "x"),
}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no such permissions")
@pytest.mark.parametrize("case", OTHERS)
def test_what_others_can_write_to_is_not_used(store, tmp_path, monkeypatch, case):
    if "another's" in case and os.geteuid():
        pytest.skip("only root gives files away")
    top = tmp_path / "top"
    monkeypatch.setenv("HEBT_CACHE", str(top))
    noisy_square(5)
    (path,) = top.rglob("*.result")
    plant(path, tmp_path / "victim", right=True)
    OTHERS[case](top, path.parent, path)
    before = everything(top)
    calls.clear()
    with pytest.warns(UserWarning, match="HEBT_CACHE") as said:
        found = [noisy_square(5)["value"] for _ in range(2)]
    np.testing.assert_array_equal(found, 25.0)
    assert not (tmp_path / "victim").exists()
    assert len(calls) == 2 and len(said) == 1
    assert everything(top) == before


@pytest.fixture
def another_user():
    """From here on this process is a user who may not even look into the temporary folder."""
    if not hasattr(os, "geteuid") or os.geteuid():
        pytest.skip("only root becomes another user")
    yield lambda: os.seteuid(12345)
    os.seteuid(0)


def test_another_users_store_costs_nothing_but_time(store, another_user):
    noisy_square(5)
    entry = {"folder": "series"}
    calls.clear()
    another_user()
    with pytest.warns(UserWarning, match="HEBT_CACHE"):
        np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    assert calls == [(5, 2)]
    file = {"path": "0.bcf", "size": 1, "sha256": "0" * 64}
    assert _datasets.look(entry, [file]) == _datasets.Found({}, [file], [])


def test_without_users_and_locks_as_on_windows_it_keeps_results(store, monkeypatch):
    monkeypatch.delattr(os, "geteuid", raising=False)
    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(files, "_FLAGS", getattr(os, "O_BINARY", 0))
    calls.clear()
    for _ in range(2):
        np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    assert calls == [(5, 2)] and len(kept(store)) == 1
    assert "Removed 1 stored results" in results.clean()


def test_what_has_another_sha256_is_not_unpickled(store, tmp_path):
    noisy_square(5)
    (path,) = store.rglob("*.result")
    plant(path, tmp_path / "victim", right=False)
    np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
    assert not (tmp_path / "victim").exists()
    plant(path, tmp_path / "victim", right=True)
    noisy_square(5)
    assert (tmp_path / "victim").exists(), "the plant above would have run"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_new_folders_and_files_are_this_users_alone(store, tmp_path, monkeypatch, umask):
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path / "a" / "b"))
    before = os.umask(umask)
    try:
        noisy_square(5)
    finally:
        os.umask(before)
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "a").rglob("*")}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert modes["b"] == modes[results.FOLDER] == 0o700
    assert {mode & 0o022 for mode in modes.values()} == {0}


@pytest.mark.promise
def test_every_flipped_bit_is_seen_and_mended(store, promise, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)  # what it took is kept with a result
    calls.clear()
    noisy_square(5)
    (path,) = store.rglob("*.result")
    whole = path.read_bytes()
    places = np.linspace(0, 8 * len(whole) - 1, 200).astype(int)
    assert len(set(places)) == 200
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        np.testing.assert_array_equal(noisy_square(5)["value"], 25.0)
        assert path.read_bytes() == whole, "it is replaced"
    assert len(calls) == 201
    promise("store_damage", flips=200)


# ---- folders that are named by the environment ----


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("~/a", Path("/home/somebody/a")),
        ("~", Path("/home/somebody")),
        ("a/b", ROOT / "a/b"),
        ("/x/y", Path("/x/y")),
        ("", None),
        (None, None),
    ],
)
def test_a_folder_means_the_same_from_every_chapter(monkeypatch, tmp_path, value, expected):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USERPROFILE", "/home/somebody")
    monkeypatch.chdir(tmp_path)
    for variable in ("HEBT_CACHE", "HEBT_DATA"):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
        assert files.folder_of(variable) == expected
    if expected:
        assert results.cache_folder() == expected
        folders = _datasets.folders({"folder": "dust"})
        assert set(folders.values()) == {expected / "dust", expected / "data" / "dust"}
    else:
        assert results.cache_folder().is_absolute()


# ---- nowhere to write ----


def blocked_by_a_file(folder):
    (folder / "file").write_text("not a folder")
    return folder / "file" / "cache"


@pytest.mark.parametrize("name", ["file", "file/cache"])
def test_without_a_folder_to_write_it_warns_once_and_computes(store, monkeypatch, name):
    blocked_by_a_file(store)
    monkeypatch.setenv("HEBT_CACHE", str(store / name))
    with pytest.warns(UserWarning, match="HEBT_CACHE") as said:
        found = [noisy_square(x)["value"][0] for x in range(3)]
    assert found == [0, 1, 4] and len(said) == 1


@contextlib.contextmanager
def full_disk(most):
    """No file of this process may be larger, as on a disk with so much space left."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("most", [0, 50, 300])
def test_a_full_disk_costs_the_store_and_no_result(store, most):
    noisy_square(1)
    before = everything(store)
    with pytest.warns(UserWarning, match="cannot be kept"), full_disk(most):
        np.testing.assert_array_equal(noisy_square(2)["value"], 4.0)
    assert everything(store) == before
    calls.clear()
    noisy_square(2)
    noisy_square(2)
    noisy_square(1)
    assert calls == [(2, 2)]


def test_while_the_book_is_built_the_warning_is_a_note(store, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("HEBT_CACHE", str(blocked_by_a_file(store)))
    monkeypatch.setenv("HEBT_NOTES", str(tmp_path / "notes.txt"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        noisy_square(2)
        noisy_square(3)
    (line,) = (tmp_path / "notes.txt").read_text().splitlines()
    assert "HEBT_CACHE" in line and str(store) in line
    results._say.cache_clear()
    monkeypatch.setenv("HEBT_NOTES", str(tmp_path / "nowhere" / "notes.txt"))
    noisy_square(2)
    assert capfd.readouterr().err == ""


def test_old_caches_of_chapters_go_and_nothing_else(tmp_path, monkeypatch):
    extension = extension_of("hebt_book")
    keys = [f"{n:012x}" for n in range(8)]
    theirs = [".cache-thesis", f".cache-{keys[0]}", f".cache-{keys[1]}", f"cache-{keys[2]}"]
    for name in theirs:
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.csv").write_text("mine")
    (tmp_path / theirs[1] / extension.MADE_BY).touch()
    (tmp_path / f".cache-{keys[2]}").symlink_to(tmp_path / "nowhere")
    for path in tmp_path.iterdir():
        os.utime(path, (1e9, 1e9), follow_symlinks=False)
    before = everything(tmp_path)
    app = types.SimpleNamespace(outdir=tmp_path / "html", srcdir=tmp_path)
    for variable in ("HEBT_STATIC_FILES", "HEBT_NOTES"):
        monkeypatch.setenv(variable, "")
    for key in keys[2:]:
        monkeypatch.setattr(extension, "cache_key", lambda root, key=key: "f" + key[1:])
        extension._set_cache(app, types.SimpleNamespace())
    after = everything(tmp_path)
    assert {path: after.get(path) for path in before} == before
    made = {path.name for path in after if path.parent == tmp_path} - {p.name for p in before}
    assert made == {f".cache-f{key[1:]}" for key in keys[-extension.KEPT_CACHES :]}


@pytest.mark.slow
@pytest.mark.book
def test_a_book_is_built_without_a_cache(tmp_path):
    need(shutil.which("make"), "make")
    book = TinyBook(tmp_path, set())
    study = "from .store import cached\n\n\n@cached\ndef twice(x):\n    return 2 * x\n"
    (book.root / "book" / "companion" / "study.py").write_text(study)
    chapter = cell("from companion.study import twice\n\nprint('values', twice(21), twice(4))")
    code, printed, page = book.build(chapter, HEBT_CACHE=str(blocked_by_a_file(tmp_path)))
    assert code == 0, printed
    assert "values 42 8" in page and "HEBT_CACHE" not in page
    (note,) = [line for line in printed.splitlines() if "Note: Results cannot be kept" in line]
    assert "HEBT_CACHE" in note


# ---- several at a time, and killed ones ----


def test_one_computes_and_the_other_waits(store, monkeypatch):
    """The first is done only once the second was seen waiting."""
    waits = threading.Event()
    monkeypatch.setattr(files.time, "sleep", lambda seconds: waits.set())
    computed = []

    @results.cached
    def slow(x):
        computed.append(x)
        other.start()
        assert waits.wait(60)
        return x

    answers = []
    other = threading.Thread(target=lambda: answers.append(slow(3)))
    assert slow(3) == 3
    other.join(60)
    assert answers == [3] and computed == [3]


def test_who_has_waited_long_enough_computes(store, monkeypatch):
    monkeypatch.setattr(files, "WAIT_SECONDS", 0.0)
    computed, answers = [], []

    @results.cached
    def slow(x):
        computed.append(x)
        if len(computed) == 1:
            other = threading.Thread(target=lambda: answers.append(slow(3)))
            other.start()
            other.join(60)
        return x

    with pytest.warns(UserWarning, match=r"another process is still writing .*\.part"):
        assert slow(3) == 3
    assert answers == [3] and computed == [3, 3]
    assert slow(3) == 3 and computed == [3, 3] and len(kept(store)) == 1


def no_locks(*_):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("lack", ["module", "file system"])
def test_where_files_cannot_be_locked_it_keeps_results_all_the_same(store, monkeypatch, lack):
    if lack == "module":
        monkeypatch.setattr(files, "fcntl", None)
    else:
        monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", no_locks)
    calls.clear()
    noisy_square(3)
    (path,) = store.rglob("*.result")
    # what a killed run has left, and what another may be writing
    parts = [path.with_name(f".{path.name.replace(KEY, key)}.part") for key in ("0" * 16, "1" * 16)]
    for part in parts:
        part.write_bytes(f"hebt result 1 {'0' * 64} {part.name[1:-5]}\n".encode())
    mark_used(parts[0], files.DEAD_AFTER_SECONDS + 1)
    noisy_square(4)
    assert calls == [(3, 2), (4, 2)]
    assert [name for name in kept(store) if name.endswith(".part")] == [parts[1].name]
    noisy_square(3)
    noisy_square(4)
    assert len(calls) == 2


KILLED = """
import os, signal, sys
from pathlib import Path

import numpy as np
from companion import store
from hebt import _places as files

store.PACKAGES["__main__"] = Path(__file__).parent
store._file = {"__main__": Path(__file__), None: store._file}.get  # this script is code of ours
MODULES = {files.__file__, store.__file__, store.joblib.numpy_pickle.__file__, __file__}
moments = 0


@store.cached
def study(seed):
    with open(sys.argv[1], "a") as log:
        log.write(f"{seed} ")
    noise = np.random.default_rng(seed)
    return [noise.random(3000), noise.random(70_000)]


def die_at(moment):
    global moments
    moments = 0

    def trace(frame, event, arg):
        global moments
        if frame.f_code.co_filename not in MODULES:
            return None
        moments += 1
        if moments == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)


def fork(moment, seed):
    child = os.fork()
    if child:
        return child
    if moment:
        die_at(moment)
    right = np.random.default_rng(seed).random(73_000)
    same = np.array_equal(np.concatenate(study(seed)), right)
    os._exit(0 if same else 3)


def end(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def runs(child):
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


study(998)
die_at(-1)
study(999)
sys.settrace(None)
folder = store.cache_folder() / store.FOLDER
for n in range(20):
    moment = 1 + n * (moments - 1) // 19
    assert end(fork(moment, 100 + n)) == -signal.SIGKILL, n
    # and with another beside it, who may be faster by a hair
    killed = fork(moment, n)
    while runs(killed) and not list(folder.glob(".*.part")):
        pass
    other = fork(0, n)
    assert end(killed) in (-signal.SIGKILL, 0), n
    assert end(other) == 0, n
assert end(fork(0, 200)) == 0
computed = Path(sys.argv[1]).read_text()
for n in range(20):
    assert end(fork(0, n)) == 0
assert Path(sys.argv[1]).read_text() == computed, "a result was lost"
print(moments)
"""


@pytest.mark.promise
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of one process")
def test_nothing_is_lost_or_mixed_by_kills(store, promise):
    """Killed at 20 moments from the first line to the last, with a second writer beside it."""
    script = store / "killed.py"
    script.write_text(KILLED)
    paths = os.pathsep.join([str(ROOT / "book"), str(ROOT)])
    # Python warns of forks beside threads
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    run = [sys.executable, str(script), str(store / "log")]
    ended = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    assert int(ended.stdout) > 100, "moments to be killed at"
    names = kept(store)
    assert [name for name in names if not name.endswith(".result")] == [], "parts of killed runs"
    assert len(names) >= 22
    promise("store_kills", kills=20, writers=2)


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
                with Path(__file__).with_name("log").open("a") as log:
                    log.write(f"{seed}\\n")
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
    names = kept(tmp_path / "cache")
    assert [Path(name).suffix for name in names] == [".result"] * 2
    assert sorted((tmp_path / "log").read_text().split()) == ["0", "1"], "one computes"
