import errno

import pytest

from hebt._files import written_aside


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


def test_a_link_stays_one_and_a_missing_folder_is_named(tmp_path):
    (tmp_path / "far").write_text("old")
    (tmp_path / "near").symlink_to(tmp_path / "far")
    with written_aside(tmp_path / "near") as part:
        part.write_text("new")
    assert (tmp_path / "near").is_symlink() and (tmp_path / "far").read_text() == "new"
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere; make it first"):
        written_aside(tmp_path / "nowhere" / "page.html").__enter__()
