"""The package as others get it: built, installed into an empty environment, and used there."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest
from conftest import CI, ROOT

from hebt._datasets import MissingDataError, locate
from hebt.io import load

PUBLIC = ("explorers", "io", "metrics", "prepare", "segmentation", "simulate", "validation")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and source distribution, built from a copy without what git ignores."""
    source = tmp_path_factory.mktemp("source")
    for name in ("hebt", "README.md", "LICENSE", "pyproject.toml", "MANIFEST.in", "CITATION.cff"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, source / name)
    (source / "tests").mkdir()
    (source / "tests" / "test_of_ours.py").write_text("")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", cwd=source)
    (wheel,) = (source / "dist").glob("*.whl")
    (archive,) = (source / "dist").glob("*.tar.gz")
    return wheel, archive


@pytest.fixture(scope="module")
def bare(built, tmp_path_factory):
    """A Python with the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "HEBT_DATA")
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    # our pip, and only what is imported is compiled: half of the time
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-compile", str(built[0])]
    done = subprocess.run(install, capture_output=True, text=True, env=environment)
    if done.returncode and not CI and "ResolutionImpossible" not in done.stderr:
        pytest.skip(f"pip cannot install here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    return lambda code: run(python, "-c", code, cwd=folder, env=environment)


def test_wheel_and_source_hold_the_package_and_nothing_else(built):
    wheel, archive = built
    files = zipfile.ZipFile(wheel).namelist()
    assert {f.split("/")[0].split("-")[0] for f in files} == {"hebt"}
    for needed in (
        "hebt/py.typed",
        "hebt/_engine/kernels.py",
        "hebt/explorers/frames.js",
        "hebt/measured.json",
    ):
        assert needed in files
    with tarfile.open(archive) as source:
        inside = [Path(n).parts[1:] for n in source.getnames()]
    assert not [p for p in inside if p and p[0] in ("book", "tests", "data", "benchmarks")]


def test_every_public_module_can_be_imported(bare):
    code = "import importlib, hebt\n" + "".join(
        f"importlib.import_module('hebt.{name}'); hebt.{name}\n" for name in PUBLIC
    )
    bare(code + "for name in hebt.__all__: getattr(hebt, name)\n")


def test_what_needs_more_says_how_to_get_it(bare):
    code = (
        "import hebt\n"
        "for use in (lambda: hebt.explorers.slices, lambda: hebt.prepare.xray_lines('Au')):\n"
        "    try: use()\n"
        "    except ImportError as error: print(error)\n"
    )
    first, second = bare(code).splitlines()
    assert 'pip install "hebt[explorers]"' in first and 'pip install "hebt[io]"' in second


def examples():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files, arrays = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    return textwrap.dedent(files), textwrap.dedent(arrays)


def test_the_readme_example_of_arrays_runs(bare):
    example = examples()[1]
    assert "hebt.reconstruct(" in example
    printed = bare(example)
    assert "R2 = 0.9" in printed or "R2 = 1" in printed, printed


def put_tilts(folder):
    """Put a few tilts of the public series where README's example looks for them."""
    try:
        files = locate("dust", "*.bcf")[1::3]
    except MissingDataError as error:
        pytest.skip(f"measured data are not here: {error}")
    target = folder / "dust-particle-L2083-K-4-1" / "Input"
    target.mkdir(parents=True)
    for path in files:
        (target / path.name).symlink_to(path)


def check_volumes(folder):
    """The saved volumes and the report are those of README's example."""
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(folder / "particle.vti"))
    reader.Update()
    image = reader.GetOutput()
    # 256 x 256 pixels of 13.08 nm were recorded, and blocks of 4 x 4 are one
    assert image.GetSpacing() == pytest.approx([4 * 13.08] * 3, rel=1e-3)
    assert image.GetDimensions() == (64, 64, 64)
    saved = load(folder / "particle.vti")
    assert saved.elements == ("C", "Si", "Fe", "Pt") and len(saved.inputs) == 5
    fit = saved.ratios
    assert fit.r_squared > 0.8 and (fit.standard_errors < 0.25 * fit.ratios).all()
    report = (folder / "particle.html").read_text(encoding="utf-8")
    assert all(name in report for name in saved.inputs)


@pytest.mark.slow
def test_the_readme_example_of_files_runs(tmp_path, monkeypatch, recwarn):
    put_tilts(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(examples()[0], {})
    check_volumes(tmp_path)
    said = " ".join(str(w.message) for w in recwarn)
    for doubt in ("came out as 0", "hardly determined", "explains haadf better", "explain only"):
        assert doubt not in said


def test_the_readme_example_of_files_runs_with_the_wheel(built, tmp_path):
    """With this environment's libraries, as `pip install "hebt[io,explorers]"` brings them."""
    put_tilts(tmp_path)
    zipfile.ZipFile(built[0]).extractall(tmp_path / "installed")
    code = f"import hebt; assert 'installed' in hebt.__file__, hebt.__file__\n{examples()[0]}"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    run(sys.executable, "-c", code, cwd=tmp_path, env=environment)
    check_volumes(tmp_path)
    listed = "from hebt._cli import main; main(['data', 'list'])"
    assert "GPLv3" in run(sys.executable, "-c", listed, cwd=tmp_path, env=environment)
