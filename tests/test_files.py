import errno
import os

import pytest

from hebt import _files
from hebt._files import locked, written_aside


def test_a_file_gets_its_name_once_it_is_whole(tmp_path):
    path = tmp_path / "page.html"
    with written_aside(path) as part:
        assert part.suffix == ".html" and part.parent == tmp_path
        part.write_text("half")
        assert not path.exists()
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stopped", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_stops(tmp_path, stopped):
    path = tmp_path / "page.html"
    path.write_text("good")

    def write():
        with written_aside(path) as part:
            part.write_text("ha")
            raise stopped

    with pytest.raises(type(stopped)):
        write()
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_has_one_owner_at_a_time(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("process 1, which was killed")
    for _ in range(2):
        with (
            locked(lock, "out"),
            pytest.raises(RuntimeError, match=rf"out is being written by process {os.getpid()} on"),
            locked(lock, "out"),
        ):
            pass
        assert not lock.exists()


def test_a_lock_is_let_go_of_by_errors_and_writes_through_no_link(tmp_path):
    lock, mine = tmp_path / "lock", tmp_path / "mine"
    with pytest.raises(ZeroDivisionError), locked(lock, "out"):
        1 / 0  # noqa: B018
    assert not lock.exists()
    mine.write_text("mine")
    lock.symlink_to(mine)
    with pytest.raises(OSError), locked(lock, "out"):
        pass
    assert mine.read_text() == "mine"


def test_where_there_are_no_locks_one_is_told(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(_files, "_lock", refuse)
    with pytest.warns(UserWarning, match="out lies where files cannot be locked.*no locks"):
        with locked(tmp_path / "lock", "out"):
            pass


def test_a_link_stays_one_and_a_missing_folder_is_named(tmp_path):
    (tmp_path / "far").write_text("old")
    (tmp_path / "near").symlink_to(tmp_path / "far")
    with written_aside(tmp_path / "near") as part:
        part.write_text("new")
    assert (tmp_path / "near").is_symlink() and (tmp_path / "far").read_text() == "new"
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere; make it first"):
        written_aside(tmp_path / "nowhere" / "page.html").__enter__()


def test_what_is_no_file_stays_and_rights_stay(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(FileExistsError, match=f"path is .*{name}, which is no file"):
            written_aside(tmp_path / name).__enter__()
    private = tmp_path / "private"
    private.write_text("old")
    private.chmod(0o600)
    with written_aside(private) as part:
        part.write_text("new")
    assert private.read_text() == "new" and private.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("links", [True, False])
def test_what_comes_meanwhile_stays_where_nothing_may_be_replaced(tmp_path, monkeypatch, links):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "no links on this disk")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "page.html"

    def write():
        with written_aside(path, overwrite=False) as part:
            part.write_text("mine")
            path.write_text("another's")

    with pytest.raises(FileExistsError, match="there already"):
        write()
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]
    path.unlink()
    with written_aside(path, overwrite=False) as part:
        part.write_text("mine")
    assert path.read_text() == "mine" and list(tmp_path.iterdir()) == [path]
