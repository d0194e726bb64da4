from __future__ import annotations

import errno
import os
import subprocess

import pytest

from handdgp_core import files as folder
from handdgp_core.errors import OutputError
from handdgp_core.files import as_output_error, check_room, part_of, prepare_output, whole_file


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB of its own, where the system lets tests mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting is not permitted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_makes_the_folder_and_leaves_it_empty(tmp_path):
    made = prepare_output(tmp_path / "a" / "b", needed_bytes=0)
    assert made.is_absolute()
    assert made.is_dir()
    assert list(made.iterdir()) == []
    assert prepare_output(made, needed_bytes=0) == made


def test_relative_and_home_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepare_output("out", 0) == tmp_path / "out"
    assert prepare_output("~/out", 0) == tmp_path / "out"


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    blocker = tmp_path / "taken"
    blocker.write_text("mine")
    with pytest.raises(OutputError, match=f"a file at {blocker}") as caught:
        prepare_output(blocker / below)
    assert "Move that file" in caught.value.hint
    assert blocker.read_text() == "mine"


def test_too_little_room(tmp_path):
    with pytest.raises(OutputError, match="of free space") as caught:
        prepare_output(tmp_path, needed_bytes=10**18)
    assert str(tmp_path) in caught.value.problem


def test_a_full_disk(small_disk):
    (small_disk / "filler").write_bytes(b"0" * 900_000)
    with pytest.raises(OutputError, match="KiB of free space"):
        prepare_output(small_disk / "out", needed_bytes=500_000)


def test_a_read_only_disk(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="read-only file system"):
        prepare_output(small_disk / "out")
    with pytest.raises(OutputError, match="read-only file system"):
        prepare_output(small_disk)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to this user")
def test_a_forbidden_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission"):
            prepare_output(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, " to a full disk"),
        (errno.EDQUOT, " to a full disk"),
        (errno.EROFS, " to a read-only file system"),
        (errno.EACCES, ": permission denied"),
        (errno.EIO, ": Input/output error"),
    ],
)
def test_what_the_system_says_becomes_a_message_with_a_hint(tmp_path, number, reason):
    error = as_output_error(tmp_path / "a", OSError(number, os.strerror(number)))
    assert error.problem == f"Could not write {tmp_path / 'a'}{reason}."
    assert error.hint


def test_the_temporary_name_keeps_the_ending(tmp_path):
    assert part_of(tmp_path / "clip.mp4").name == "clip.part.mp4"


def test_a_whole_file_appears_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_broken_off_file_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), whole_file(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise error
    assert os.listdir(tmp_path) == []


def test_room_on_a_disk_that_is_gone(tmp_path):
    with pytest.raises(OutputError):
        check_room(tmp_path / "gone", 1)


def test_probe_that_cannot_be_written(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder.tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match="full disk"):
        prepare_output(tmp_path)
