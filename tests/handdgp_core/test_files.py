"""Files that are whole or not there: at every failure, with two writers, under any umask."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from handdgp_core.errors import OutputError
from handdgp_core.files import (
    expanded,
    name_part,
    prepare_output,
    whole_file,
    write_bytes,
    write_json,
    write_tensors,
    write_text,
)

WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: write_bytes(path, b"new"),
    "text": lambda path: write_text(path, "new"),
    "json": lambda path: write_json(path, {"new": 1}),
    "tensors": lambda path: write_tensors(path, {"new": torch.ones(3)}),
}


@pytest.fixture(params=list(WRITERS))
def write(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return WRITERS[request.param]


@pytest.mark.parametrize(("code", "found"), [(28, "a full disk"), (13, "permission"), (30, "read-only"), (5, "error")])
def test_a_failed_rename_keeps_the_old_file(
    write: Callable[[Path], None], code: int, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=found) as told:
        write(path)
    assert str(path) in told.value.message
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("bug"), KeyboardInterrupt()])
def test_a_failure_while_writing_keeps_the_old_file(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)), whole_file(path) as part:
        part.write_text("ha")
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.txt"]


def test_two_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with whole_file(path) as first:
        first.write_text("first")
        with whole_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second" and first.read_text() == "first"
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(write: Callable[[Path], None], mask: int, tmp_path: Path) -> None:
    old = os.umask(mask)
    try:
        write(tmp_path / "file.txt")
    finally:
        os.umask(old)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_missing_folder_is_made(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write(path)
    assert path.stat().st_size and os.listdir(path.parent) == ["file.txt"]


def test_a_missing_folder_is_told_where_none_is_to_be_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file.txt"
    with pytest.raises(OutputError, match=r"a/file\.txt"), whole_file(path) as part:
        part.write_text("new")
    assert not path.parent.exists()


def test_a_file_in_the_way_of_the_folder_is_told(write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(OutputError, match="a file at"):
        write(tmp_path / "a" / "file.txt")
    assert (tmp_path / "a").read_text() == "old"


def test_a_part_is_hidden_partial_and_keeps_its_suffix(tmp_path: Path) -> None:
    with whole_file(tmp_path / "clip.mp4") as part:
        assert part.parent == tmp_path and part.name.startswith(".clip.") and part.name.endswith(".part.mp4")
        part.touch()


def test_a_part_that_cannot_be_named_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"file\.txt"):
        name_part(tmp_path / "none", tmp_path / "file.txt")


def test_tensors_come_back(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"a": torch.arange(4)}, {"kind": "test"})
    assert torch.equal(load_file(tmp_path / "t.safetensors")["a"], torch.arange(4))


def test_a_user_who_does_not_exist_is_told_and_not_made_a_folder() -> None:
    with pytest.raises(OutputError, match="there is no such user"):
        prepare_output("~nobody-of-this-name/out")
    assert expanded("~nobody-of-this-name/out") == Path("~nobody-of-this-name/out")
    assert expanded("~/out") == Path.home() / "out"
