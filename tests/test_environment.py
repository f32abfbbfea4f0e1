"""requirements.in, requirements.lock, environment.yml, pyproject.toml and CI say the same."""

import json
import re
import sys
import textwrap
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import hebt

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MACHINES = {
    "Linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
    "macOS": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
}
MACHINE_TYPES = {"Linux": "x86_64", "Windows": "AMD64", "macOS": "arm64"}


def direct():
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.split("#")[0].strip()]


def pins():
    """Every entry of the lock: its requirement and its hashes."""
    entries = re.sub(r"\\\n\s*", "", LOCK).splitlines()
    for entry in entries:
        if entry.strip() and not entry.startswith("#"):
            requirement, *hashes = entry.split("--hash=")
            yield Requirement(requirement), [h.strip() for h in hashes]


def pythons():
    """The Python versions that the Makefile takes."""
    line = re.search(r"^PYTHONS\s*=(.*)$", (ROOT / "Makefile").read_text(), re.M)
    return sorted(line[1].split())


def environment(python, machine):
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": MACHINE_TYPES[machine],
        **MACHINES[machine],
    }


def installed_set(python, machine):
    """What pip takes from the lock there: name -> version."""
    where = environment(python, machine)
    chosen = {}
    for requirement, _ in pins():
        if requirement.marker is None or requirement.marker.evaluate(where):
            name = canonicalize_name(requirement.name)
            assert name not in chosen, f"two pins of {name} for Python {python} on {machine}"
            chosen[name] = Version(str(requirement.specifier).removeprefix("=="))
    return chosen


def test_every_pin_is_exact_and_hashed():
    entries = list(pins())
    assert len(entries) > 100
    for requirement, hashes in entries:
        assert re.fullmatch(r"==[^*]+", str(requirement.specifier)), str(requirement)
        assert hashes, f"no hash for {requirement}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes), str(requirement)


def test_the_lock_holds_no_index_address():
    assert "://" not in LOCK
    assert not re.search(r"^\s*--(?!hash=)|^-[a-z]", LOCK, re.M)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", pythons())
def test_lock_holds_every_requirement(python, machine):
    chosen = installed_set(python, machine)
    where = environment(python, machine)
    for requirement in direct():
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate(where):
            assert name not in chosen
        else:
            assert name in chosen, f"{name} is not in the lock"
            assert chosen[name] in requirement.specifier, f"{name} {chosen[name]}"


@pytest.mark.parametrize("python", pythons())
def test_astra_where_it_has_wheels(python):
    for machine in MACHINES:
        chosen = installed_set(python, machine)
        cuda = [name for name in chosen if name.startswith("nvidia-")]
        assert ("astra-toolbox" in chosen) == (machine != "macOS")
        assert bool(cuda) == (machine != "macOS"), cuda


def test_jupyter_book_is_version_1():
    (book,) = [r for r in direct() if r.name == "jupyter-book"]
    assert Version("1.0.4.post1") in book.specifier
    assert Version("1.0.4") not in book.specifier
    assert Version("2.0.0") not in book.specifier


def test_this_environment_is_the_lock():
    checked = 0
    for requirement, _ in pins():
        if requirement.marker is None or requirement.marker.evaluate():
            assert Version(metadata.version(requirement.name)) in requirement.specifier
            checked += 1
    assert checked > 100


def test_the_lock_names_the_extras_that_its_packages_ask_for():
    # else pip looks for the newest version of such a package, whose hash the lock does not hold
    locked = {canonicalize_name(requirement.name): requirement for requirement, _ in pins()}
    asked = 0
    for requirement in locked.values():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        for wanted in map(Requirement, metadata.requires(requirement.name) or ()):
            used = ["", *requirement.extras]
            if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in used):
                continue
            asked += len(wanted.extras)
            assert wanted.extras <= locked[canonicalize_name(wanted.name)].extras, wanted
    assert asked


def test_conda_and_binder_install_the_lock():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    packages = [d for d in conda["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in conda["dependencies"] if isinstance(d, dict)]
    assert pip == ["-r requirements.lock"]
    assert "pip" in packages
    (python,) = [d.partition("=")[2] for d in packages if d.startswith("python=")]
    assert python in pythons()
    assert len(packages) == 2, "every other package comes from the lock"
    # Binder would ignore both files if one of these folders were there
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()
    assert "--no-deps --no-build-isolation -e ." in (ROOT / "postBuild").read_text()


def test_supported_pythons_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert all(Version(v) in SpecifierSet(project["requires-python"]) for v in pythons())
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in pythons()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    tested = workflow["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert {min(pythons(), key=Version), max(pythons(), key=Version)} <= set(tested)
    assert set(tested) <= set(pythons())


def test_package_needs_nothing_outside_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(r for e in extras if e != "gpu" for r in extras[e])]
    locked = {canonicalize_name(requirement.name) for requirement, _ in pins()}
    assert {canonicalize_name(Requirement(r).name) for r in needed} <= locked
    # the one that is not for every machine
    assert extras["gpu"] == ["numba-cuda[cu12]"]


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["version"] == project["version"] == hebt.__version__
    assert f"## [{hebt.__version__}]" in changes or "## [Unreleased]" in changes
    assert citation["cff-version"] == "1.2.0" and citation["license"] == project["license"]


def test_archives_are_told_the_same_everywhere():
    """codemeta.json, which Zenodo and others read, says what CITATION.cff and the package say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    told = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    assert told["@context"] == "https://w3id.org/codemeta/3.0"
    assert told["type"] == "SoftwareSourceCode"
    assert told["name"] == citation["title"] and told["identifier"] == project["name"]
    assert told["version"] == project["version"] and told["description"] == project["description"]
    assert told["license"].rpartition("/")[2] == project["license"]
    assert [a["name"] for a in told["author"]] == [a["name"] for a in citation["authors"]]
    assert set(told["keywords"]) == set(project["keywords"]) | set(citation["keywords"])
    (paper,) = told["referencePublication"]
    known = citation["preferred-citation"]
    assert paper["id"] == f"https://doi.org/{known['doi']}" and paper["name"] == known["title"]
    assert paper["datePublished"] == str(known["year"])
    runs_on = {c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c}
    assert set(re.findall(r"3\.\d+", told["runtimePlatform"])) == runs_on


def test_documented_commands_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for name in ("README.md", "CONTRIBUTING.md", "book/intro.md", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for command in re.findall(r"(?:^ {4}|`|\d )(?:\w+=\w+ )?make ([a-z]+)", text, re.M):
            assert command in targets, f"{name} tells to run make {command}"


def test_the_readme_example_of_arrays_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, code = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    values = {}
    exec(textwrap.dedent(code), values)
    x, truth = values["x"], values["specimen"].density
    assert x.shape == truth.shape
    # each element ends where it is
    for own, other in ((0, 1), (1, 0)):
        assert x[own, truth[own] > 0.99].mean() > 3 * x[own, truth[other] > 0.99].mean()
