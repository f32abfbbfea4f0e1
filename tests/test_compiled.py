"""The projector compiles where nothing can be kept on disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hebt

PROJECT = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import numpy as np
    import hebt
    {before}
    x = np.zeros((8, 8))
    x[3:5, 3:5] = 1
    print(hebt.__file__, hebt.Projector([0, 60], 8).forward(x).sum())
print(len(said), *(w.message for w in said))
"""
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"


@pytest.fixture
def package(tmp_path):
    """A copy of the package in which nothing has been compiled."""
    source = Path(hebt.__file__).parent
    shutil.copytree(source, tmp_path / "hebt", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(package, before=""):
    home = package / "home"
    home.write_text("no folder, so nothing can be written below it")
    environment = {
        **os.environ,
        "PYTHONPATH": str(package),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "LOCALAPPDATA": str(home / "cache"),
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    return subprocess.run(
        [sys.executable, "-c", PROJECT.format(before=before)],
        env=environment,
        cwd=package,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("disk", ["read-only", "full"])
def test_it_compiles_without_a_cache_and_says_so_once(package, disk):
    if disk == "read-only":
        (package / "hebt" / "_engine" / "__pycache__").write_text("")  # nor below this
    ran = run(package, FULL if disk == "full" else "")
    assert ran.returncode == 0, ran.stderr
    result, said = ran.stdout.splitlines()
    assert result.startswith(str(package))
    assert float(result.split()[-1]) == pytest.approx(8, rel=1e-4)
    assert said.startswith("1 what is compiled cannot be kept on disk")
    assert "NUMBA_CACHE_DIR" in said
