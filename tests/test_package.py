"""The package as a whole: what importing loads, what it offers, how much memory a run takes."""

import subprocess
import sys

import numpy as np
import pytest

import hebt
from companion import fidelity
from hebt._checks import check_count
from hebt._progress import progress_bar


def run(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_loads_nothing_heavy():
    heavy = ("astra", "hyperspy", "exspy", "matplotlib", "skimage", "anywidget", "numba", "scipy")
    loaded = run(f"import sys, hebt; print([m for m in {heavy!r} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_the_core_needs_neither_microscopy_nor_figures():
    code = """
import sys
for name in ("astra", "hyperspy", "exspy", "rosettasciio", "matplotlib", "anywidget", "skimage"):
    sys.modules[name] = None
import numpy as np, hebt
W = hebt.Projector([-40, 0, 40], 12)
x = np.random.default_rng(0).random((2, 4, 12, 12))
maps = np.moveaxis(W.forward(x), 1, 0)
haadf = maps.sum(axis=0)
fit = hebt.response_ratios(haadf, maps)
y = hebt.reconstruct(W, haadf, maps, fit.ratios, iterations=3)
hebt.composition(y, fit.ratios, ["Au", "Ag"], k_factors=[1, 1], kind="atomic")
print(hebt.metrics.scaled_mse(x, y))
"""
    assert 0 < float(run(code)) < 1


def test_functions_stay_functions_when_their_modules_are_imported():
    code = """
import importlib
import hebt
importlib.import_module("hebt.reconstruct"), importlib.import_module("hebt.composition")
print(callable(hebt.reconstruct), callable(hebt.composition))
"""
    assert run(code).split() == ["True", "True"]


def test_every_public_name_is_there_and_documented():
    for name in hebt.__all__:
        assert getattr(hebt, name).__doc__, name
    assert set(hebt.__all__) <= set(dir(hebt))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hebt.nonsense  # noqa: B018


def test_fidelity(monkeypatch):
    monkeypatch.delenv("HEBT_FIDELITY", raising=False)
    assert fidelity.fidelity() == "paper"
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    assert fidelity.fidelity() == "quick"
    monkeypatch.setenv("HEBT_FIDELITY", "best")
    with pytest.raises(ValueError, match="HEBT_FIDELITY is 'best'; expected one of 'paper', 'qu"):
        fidelity.fidelity()


@pytest.mark.parametrize(("show", "text"), [(True, "SIRT"), (False, "")])
def test_progress_can_be_shown_and_hidden(show, text, capfd):
    W = hebt.Projector([0, 30], 8)
    hebt.sirt(W, np.ones((2, 8)), 3, progress=show)
    shown = capfd.readouterr()
    assert text in shown.err and shown.out == "" and bool(shown.err) == show


def test_progress_is_silent_where_nobody_sees_it(capfd):
    hebt.sirt(hebt.Projector([0, 30], 8), np.ones((2, 8)), 3)
    assert capfd.readouterr() == ("", "")


def test_progress_shows_in_a_live_notebook_but_not_in_a_page(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    monkeypatch.delenv("HEBT_STATIC", raising=False)
    with progress_bar(3, "run") as bar:
        assert not bar.disable
    monkeypatch.setenv("HEBT_STATIC", "1")
    with progress_bar(3, "run") as bar:
        assert bar.disable


@pytest.mark.parametrize("value", [True, 2.0, "3", None])
def test_counts_are_whole_numbers(value):
    with pytest.raises(TypeError, match="expected a whole number"):
        check_count("n", value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory from Linux's /proc")
def test_a_run_takes_at_most_three_times_its_volumes_and_projections():
    code = """
import numpy as np, hebt
def memory(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))
def scene(slices, size):
    W = hebt.Projector(np.arange(-75, 76, 5), size)
    maps = np.ones((2, 31, slices, size), np.float32)
    return W, maps.sum(axis=0), maps, [1.0, 1.0]
hebt.reconstruct(*scene(2, 20), iterations=2)   # compile and load everything first
before = memory("VmRSS")
data = scene(160, 200)
x = hebt.reconstruct(*data, iterations=2)
print((memory("VmHWM") - before) / (x.nbytes + data[1].nbytes + data[2].nbytes))
"""
    assert 1 < float(run(code)) <= 3
