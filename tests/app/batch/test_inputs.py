"""What a batch is made of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.batch.inputs import found_inputs
from handdgp_core.errors import UsageError


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    for name in ("a/one.mp4", "a/two.AVI", "a/notes.md", "b/deep/three.mcap", "a/.hidden.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "0.png"), np.zeros((8, 8, 3), np.uint8))
    return tmp_path


def names(inputs) -> list[str]:
    return [given.path.name for given in inputs]


def test_folders_patterns_and_lists(takes: Path) -> None:
    assert names(found_inputs([str(takes)])) == ["one.mp4", "two.AVI", "three.mcap", "images"]
    assert names(found_inputs([str(takes / "images")])) == ["images"]
    assert names(found_inputs([str(takes / "a" / "*.mp4")])) == ["one.mp4"]
    (takes / "list.txt").write_text("# takes\n\na/one.mp4\nb\nimages\n")
    assert names(found_inputs([str(takes / "list.txt")])) == ["one.mp4", "three.mcap", "images"]


def test_names_are_stable_and_their_own(takes: Path) -> None:
    (takes / "b" / "one.mp4").write_bytes(b"other")
    first, second = found_inputs([str(takes / "a/one.mp4"), str(takes / "b/one.mp4"), str(takes / "a/one.mp4")])
    assert first.name != second.name and first.name.startswith("one-")
    assert found_inputs([str(takes / "a/one.mp4")]) == [first]


@pytest.mark.parametrize("given", ["missing.mp4", "none*.mp4", "empty", "empty.txt"])
def test_what_is_not_there_is_refused(given: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError):
        found_inputs([str(tmp_path / given)])
