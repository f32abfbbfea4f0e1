"""What make creates, empties and removes, with a stand-in for Python that installs nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, need

# It says what it is asked for, and makes the folders that Python would make.
PYTHON = r"""#!/bin/sh
printf '%s\n' "$*" >>"$CALLS"
case "$*" in
  *'print(sys.version)') echo "${FAKE_VERSION:-3.12.1}" ;;
  '-m venv '*)
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *'pip install'*'-r requirements.lock')
    [ ! -e "$CALLS.broken" ] || { touch "$VENV/half"; exit 1; } ;;
  *jupyter_book*)
    while [ "$1" != --path-output ]; do shift; done
    mkdir -p "$2/_build/html" && touch "$2/_build/html/index.html" ;;
esac
"""
NAMES = ["plain", "with space", "it's", 'it\'s a "test"']


class Checkout:
    """A folder with the Makefile, which calls the stand-in."""

    def __init__(self, folder):
        self.root, self.calls = folder, folder.parent / "calls"
        (folder / ".ci").mkdir(parents=True)
        (folder / "book").mkdir()
        for name in ("Makefile", ".ci/folders", "pyproject.toml", "requirements.lock"):
            if (ROOT / name).exists():
                shutil.copy(ROOT / name, folder / name)
        self.python = folder.parent / "a python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)

    def make(self, *arguments, **environment):
        """Run make; gives the exit code, what was printed, and what Python was asked for."""
        self.calls.write_text("")
        kept = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VENV", "OUT", "SETUP", "HEBT_FIDELITY")
        run = subprocess.run(
            ["make", f"PYTHON={self.python}", *arguments],
            cwd=self.root,
            env={k: v for k, v in os.environ.items() if k not in kept}
            | {"CALLS": str(self.calls), **environment},
            capture_output=True,
            text=True,
        )
        return run.returncode, run.stdout + run.stderr, self.calls.read_text()

    def edit(self, name, text="# another\n"):
        (self.root / name).write_text((self.root / name).read_text() + text)


@pytest.fixture(params=NAMES)
def checkout(request, tmp_path):
    need(shutil.which("make"), "make")
    return Checkout(tmp_path / request.param / "main")


@pytest.fixture
def plain(tmp_path):
    need(shutil.which("make"), "make")
    return Checkout(tmp_path / "main")


def files(folder):
    return {p.relative_to(folder): p.read_text() for p in Path(folder).rglob("*") if p.is_file()}


def own_files(folder):
    """A folder of the user's, and what is in it."""
    (folder / "results").mkdir(parents=True)
    (folder / "thesis.tex").write_text("years of work")
    (folder / "results" / "a.txt").write_text("measured")
    return folder, files(folder)


INSTALLS = "pip install --disable-pip-version-check --require-hashes"
HEBT = "--no-deps --no-build-isolation -e ."


def test_every_command_works_wherever_the_checkout_lies(checkout):
    for target in (
        "setup",
        "book",
        "lint",
        "data",
        "wheel",
        "archive",
        "pdf",
        "lab",
        "serve",
        "test",
        "clean",
    ):
        code, printed, _ = checkout.make(target)
        assert code == 0, printed
    assert {p.name for p in checkout.root.parent.iterdir()} == {"main", "calls", "a python"}
    here = {".ci", ".venv", "Makefile", "book", "pyproject.toml", "requirements.lock"}
    assert {p.name for p in checkout.root.iterdir()} == here


@pytest.mark.parametrize("name", NAMES)
def test_folders_may_have_any_name(plain, name, tmp_path):
    venv, out = tmp_path / "venvs" / name, tmp_path / "pages" / name
    _, kept = own_files(tmp_path / "pages" / name.split()[0] / "kept")
    code, printed, _ = plain.make("book", f"VENV={venv}", f"OUT={out}")
    assert code == 0, printed
    assert (venv / "bin" / "python").is_file() and (out / "_build/html/index.html").is_file()
    assert str(out / "_build" / "html" / "index.html") in printed
    assert files(tmp_path / "pages" / name.split()[0] / "kept") == kept
    assert {p.name for p in (tmp_path / "venvs").iterdir()} == {name}


@pytest.mark.parametrize("from_environment", [False, True])
def test_a_folder_of_the_user_is_not_an_environment(plain, tmp_path, from_environment):
    folder, before = own_files(tmp_path / "my work")
    given = {"VENV": str(folder)}
    options = () if from_environment else (f"VENV={folder}",)
    code, printed, _ = plain.make("setup", *options, **(given if from_environment else {}))
    assert code != 0 and files(folder) == before
    assert str(folder) in printed and "VENV=" in printed and "SETUP=no" in printed


def test_an_environment_of_the_user_stays(plain, tmp_path):
    folder, before = own_files(tmp_path / "env")
    (folder / "pyvenv.cfg").write_text("home = /usr/bin")
    (folder / ".installed").touch()  # as an earlier make left it
    os.utime(folder / ".installed", (0, 0))
    code, _, _ = plain.make("setup", f"VENV={folder}")
    assert code != 0 and files(folder).items() >= before.items()


def test_an_environment_of_the_user_is_used_where_nothing_is_installed(plain, tmp_path):
    folder, before = own_files(tmp_path / "env")
    (folder / "bin").mkdir()
    shutil.copy(plain.python, folder / "bin" / "python")
    code, printed, calls = plain.make("book", f"VENV={folder}", "SETUP=no")
    assert code == 0, printed
    assert "pip" not in calls and "venv" not in calls and "jupyter_book" in calls
    assert files(folder).items() >= before.items()


@pytest.mark.parametrize("target", ["book", "clean"])
@pytest.mark.parametrize("place", ["_build", "_build/html"])
def test_pages_that_make_did_not_write_stay(plain, tmp_path, target, place):
    folder, before = own_files(tmp_path / "my docs" / place)
    code, printed, calls = plain.make(target, f"OUT={tmp_path / 'my docs'}")
    assert (code == 0) == (target == "clean")
    assert files(folder) == before and "jupyter_book" not in calls
    assert str(tmp_path / "my docs" / "_build") in printed


def test_pages_no_longer_in_the_book_go(plain):
    plain.make("book")
    old = plain.root / "_build" / "html" / "old.html"
    old.touch()
    assert plain.make("book")[0] == 0
    assert not old.exists() and (plain.root / "_build/html/index.html").exists()


def test_clean_takes_what_make_made_and_leaves_the_rest(plain, tmp_path):
    plain.make("book")
    (plain.root / ".pytest_cache").mkdir()
    _, before = own_files(plain.root / "mine")
    code, printed, calls = plain.make("clean")
    assert code == 0, printed
    assert "-m companion.store clean" in calls
    left = {p.name for p in plain.root.iterdir()}
    assert ".venv" in left and left.isdisjoint({"_build", ".pytest_cache"})
    assert files(plain.root / "mine") == before


def test_archive_and_pdf_are_made_of_built_pages_and_named_after_the_version(plain):
    for target, script, ending in (("archive", "archive", "zip"), ("pdf", "printed", "pdf")):
        _, _, calls = plain.make(target)
        version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
        assert f"book/_ext/{script}.py ./_build/html ./_build/hebt-book-{version}.{ending}" in calls
        assert ("jupyter_book" in calls) == (target == "archive"), "pages are built once"


def test_clean_needs_no_environment(plain):
    code, printed, calls = plain.make("clean")
    assert code == 0 and not calls, printed


def test_the_second_time_nothing_is_installed(plain):
    first, again = plain.make("setup"), plain.make("setup")
    assert first[0] == again[0] == 0
    assert INSTALLS in first[2] and HEBT in first[2]
    assert "pip" not in again[2] and "venv" not in again[2]


def test_the_content_of_the_lock_decides_not_its_time(plain):
    plain.make("setup")
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(plain.root / name, (4e9, 4e9))
    assert "pip" not in plain.make("setup")[2]
    mine = plain.root / ".venv" / "left over"
    mine.touch()
    plain.edit("requirements.lock")
    os.utime(plain.root / "requirements.lock", (0, 0))
    _, _, calls = plain.make("setup")
    assert "-m venv" in calls and INSTALLS in calls and HEBT in calls
    assert not mine.exists(), "of an older lock nothing is left"


def test_a_changed_pyproject_installs_hebt_alone(plain):
    plain.make("setup")
    plain.edit("pyproject.toml")
    _, _, calls = plain.make("setup")
    assert HEBT in calls and INSTALLS not in calls and "-m venv" not in calls
    assert "pip" not in plain.make("setup")[2]


def test_another_python_makes_it_anew(plain):
    plain.make("setup")
    python = plain.python.read_text()
    plain.python.write_text(python.replace("3.12.1", "3.13.0"))
    assert "-m venv" in plain.make("setup")[2]
    assert "-m venv" not in plain.make("setup")[2]
    (plain.root / ".venv" / "bin" / "python").unlink()  # it went with an upgrade of the system
    assert "-m venv" in plain.make("setup")[2]


def test_an_interrupted_installation_is_done_again(plain, tmp_path):
    broken = tmp_path / "calls.broken"
    broken.touch()
    code, printed, _ = plain.make("setup")
    assert code != 0 and "again" in printed and (plain.root / ".venv" / "half").exists()
    broken.unlink()
    code, _, calls = plain.make("setup")
    assert code == 0 and "-m venv" in calls and INSTALLS in calls
    assert not (plain.root / ".venv" / "half").exists()


def test_an_environment_belongs_to_one_checkout(plain, tmp_path):
    other = Checkout(tmp_path / "other" / "main")
    venv = tmp_path / "shared"
    plain.make("setup", f"VENV={venv}")
    before = files(venv)
    other.edit("requirements.lock")
    code, printed, _ = other.make("setup", f"VENV={venv}")
    assert code != 0 and str(plain.root) in printed and files(venv) == before
    # nobody else needs what was made by a checkout that is gone, or has been moved
    shutil.move(plain.root, tmp_path / "moved")
    code, _, calls = other.make("setup", f"VENV={venv}")
    assert code == 0 and "-m venv" in calls


def test_a_moved_checkout_gets_a_new_environment(plain, tmp_path):
    plain.make("setup")
    shutil.move(plain.root, tmp_path / "moved")
    plain.root = tmp_path / "moved"
    code, printed, calls = plain.make("setup")
    assert code == 0 and "-m venv" in calls, printed  # its scripts name the old place
    assert "-m venv" not in plain.make("setup")[2]


def test_a_link_to_a_folder_of_the_user_is_no_environment(plain, tmp_path):
    folder, before = own_files(tmp_path / "work")
    (plain.root / ".venv").symlink_to(folder)
    assert plain.make("setup")[0] != 0 and files(folder) == before


def test_empty_names_are_refused(plain):
    for given in ("VENV=", "OUT="):
        before = files(plain.root)
        code, printed, _ = plain.make("book", given)
        assert code != 0 and "empty" in printed and files(plain.root) == before


def test_a_folder_that_no_environment_came_to_is_the_user_s(plain, tmp_path):
    """A first try without a Python leaves no mark, by which a second one would empty it."""
    place = tmp_path / "project"
    place.mkdir()
    code, printed, _ = plain.make("setup", f"VENV={place}", f"PYTHON={tmp_path / 'nowhere'}")
    assert code != 0 and "found none" in printed
    own_files(place)
    before = files(place)
    assert plain.make("setup", f"VENV={place}")[0] != 0
    assert files(place) == before


@pytest.mark.parametrize("spelled", [".venv/", "./.venv", "book/../.venv"])
def test_a_folder_is_the_same_however_it_is_spelled(plain, spelled):
    assert plain.make("setup")[0] == 0
    (plain.root / ".venv" / "added").write_text("by the user")
    code, _, calls = plain.make("setup", f"VENV={spelled}")
    assert code == 0 and "pip install" not in calls
    assert (plain.root / ".venv" / "added").exists()


def test_a_file_of_any_name_is_somebody_s(plain, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "\n").write_text("odd, but mine")
    assert plain.make("setup", f"VENV={place}")[0] != 0
    assert (place / "\n").exists()


def test_a_mark_of_another_user_is_none(plain, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    assert plain.make("setup", f"VENV={tmp_path / 'v'}")[0] == 0
    os.chown(tmp_path / "v" / ".made-by-make", 12345, 12345)
    code, printed, _ = plain.make("setup", f"VENV={tmp_path / 'v'}")
    assert code != 0 and "was not made by make" in printed


def test_a_name_that_looks_like_an_option_is_a_folder(plain):
    mine = plain.root / "-foo" / "_build"
    own_files(mine)
    before = files(mine)
    for spelled in ("-foo", "./-foo", "-foo"):
        plain.make("clean", f"OUT={spelled}")
        assert files(mine) == before
