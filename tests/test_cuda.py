"""Where a reconstruction runs, and that the tests of `on_cuda.py` pass there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hebt
from hebt._engine import device as _device
from hebt._engine.device import _problem, choose_device

W = hebt.Projector([-60, 0, 60], 5)
HAADF, MAPS, RATIOS = np.ones((3, 2, 5)), np.ones((2, 3, 2, 5)), [1.0, 2.0]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["simulator", "device"])
def test_reconstructions_agree_with_those_on_the_processor(where):
    if where == "device" and choose_device("auto") == "cpu":
        pytest.skip("no CUDA device")
    root = Path(hebt.__file__).parents[1]
    environment = {
        "NUMBA_ENABLE_CUDASIM": "1" if where == "simulator" else "0",
        "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
    }
    tests = str(Path(__file__).with_name("on_cuda.py"))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests],
        env=os.environ | environment,
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    assert passed >= 40 and "skipped" not in run.stdout, run.stdout[-2000:]


def test_another_device_is_refused():
    with pytest.raises(ValueError, match="device is 'gpu'; expected one of 'auto', 'cpu', 'cuda'"):
        hebt.reconstruct(W, HAADF, MAPS, RATIOS, device="gpu")
    with pytest.raises(ValueError, match="device is None"):
        hebt.sirt(W, HAADF, device=None)
    with pytest.raises(ValueError, match="device is 'gpu'"):
        hebt.sweep(W, HAADF, MAPS, RATIOS, [0.5], [1], device="gpu")
    da = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match="device is 'gpu'"):
        hebt.reconstruct(W, da.from_array(HAADF), MAPS, RATIOS, device="gpu")


@pytest.fixture
def plain(monkeypatch):
    """No simulator, and nothing remembered."""
    monkeypatch.setattr(_device, "_simulated", lambda: False)
    _problem.cache_clear()
    yield monkeypatch
    _problem.cache_clear()


def test_without_a_driver_cuda_is_refused_and_auto_is_the_processor(plain):
    plain.setattr(_device, "_driver_is_there", lambda: False)
    with pytest.raises(RuntimeError, match="no CUDA driver was found. Leave device at 'auto'"):
        hebt.sirt(W, HAADF, device="cuda")
    assert choose_device("auto") == choose_device("cpu") == "cpu"


def test_without_numba_cuda_the_message_names_it(plain):
    plain.setattr(_device, "_driver_is_there", lambda: True)
    plain.setattr(_device.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="numba-cuda is not.*pip install 'numba-cuda"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize("there", [False, True])
def test_auto_takes_a_device_that_is_there(plain, there):
    from numba import cuda

    plain.setattr(_device, "_driver_is_there", lambda: True)
    plain.setattr(_device.importlib.util, "find_spec", lambda name: name)
    plain.setattr(cuda, "is_available", lambda: there)
    plain.setattr(cuda, "cuda_error", lambda: None, raising=False)
    assert choose_device("auto") == ("cuda" if there else "cpu")
    if not there:
        with pytest.raises(RuntimeError, match="found no device"):
            choose_device("cuda")


def test_auto_never_takes_the_simulator(monkeypatch):
    monkeypatch.setattr(_device, "_simulated", lambda: True)
    _problem.cache_clear()
    assert choose_device("auto") == "cpu"
    _problem.cache_clear()
