"""MediaPipe's landmarker finds a painted hand, names it rightly, and fails with a cure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from handdgp_core.arrays import Handedness
from handdgp_core.detection.landmarker import LONGEST_SIDE_PX, MediaPipeHandFinder
from handdgp_core.errors import AssetError, ShapeError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.networks.backbones.mediapipe_landmarks import ASSET
from tests.painted_hand import paint_hand
from tests.places import ROOT

CAMERA = Camera.assumed(640, 480, 60)


def painted(*arguments: object, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """The picture, and its keypoints in pixels."""
    image, keypoints_m = paint_hand(*arguments, **options)
    return image, CAMERA.project(keypoints_m)


@pytest.fixture(scope="module")
def finder() -> Iterator[MediaPipeHandFinder]:
    with MediaPipeHandFinder(max_hands=2) as finder:
        yield finder


@pytest.mark.parametrize("handedness", ["left", "right"])
@pytest.mark.parametrize("roll_rad", [-0.6, 0.0, 0.6])
def test_it_finds_the_hand_and_its_side(finder: MediaPipeHandFinder, handedness: Handedness, roll_rad: float) -> None:
    image, keypoints_px = painted(CAMERA, handedness, roll_rad=roll_rad)
    (found,) = finder.find(image)
    assert found.handedness == handedness
    assert 0.5 <= found.score <= 1
    assert np.linalg.norm(found.keypoints_px - keypoints_px, axis=1).mean() < 8


def test_both_hands_at_once(finder: MediaPipeHandFinder) -> None:
    left, right = (paint_hand(CAMERA, side, (0.0, 0.09, 0.4))[0][:, 170:470] for side in ("left", "right"))
    found = finder.find(np.hstack([left, right]))
    assert sorted(hand.handedness for hand in found) == ["left", "right"]
    where = {hand.handedness: hand.keypoints_px[:, 0].mean() for hand in found}
    assert where["left"] < 300 < where["right"]


def test_an_8k_image_gives_keypoints_in_its_own_pixels(finder: MediaPipeHandFinder) -> None:
    image, keypoints_px = painted(CAMERA)
    factor = 12
    assert 640 * factor > LONGEST_SIDE_PX
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    (found,) = finder.find(large)
    expected = (keypoints_px + 0.5) * factor - 0.5
    assert np.linalg.norm(found.keypoints_px - expected, axis=1).mean() < 8 * factor


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (4, 2, 3), (480, 640, 3)])
def test_there_is_no_hand_in_the_dark(finder: MediaPipeHandFinder, shape: tuple[int, ...]) -> None:
    assert finder.find(np.zeros(shape, np.uint8)) == []


def test_a_view_into_a_larger_array_is_read_right(finder: MediaPipeHandFinder) -> None:
    image, keypoints_px = painted(CAMERA)
    wide = np.zeros((480, 800, 3), np.uint8)
    wide[:, 100:740] = image
    (found,) = finder.find(wide[:, 100:740])
    assert np.linalg.norm(found.keypoints_px - keypoints_px, axis=1).mean() < 8


@pytest.mark.parametrize(
    "bad",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)],
)
def test_what_is_no_rgb_image_is_refused(finder: MediaPipeHandFinder, bad: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="RGB"):
        finder.find(bad)


def test_a_missing_asset_has_a_cure(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="no such file") as caught:
        MediaPipeHandFinder(path=tmp_path / "nothing.task")
    assert "hand_landmarker.task" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"not a model", ASSET.read_bytes()[:5000]])
def test_a_damaged_asset_has_a_cure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.task"
    path.write_bytes(content)
    with pytest.raises(AssetError, match="damaged") as caught:
        MediaPipeHandFinder(path=path)
    assert caught.value.hint


def test_a_path_with_other_letters_works(tmp_path: Path) -> None:
    path = tmp_path / "mão 手.task"
    path.write_bytes(ASSET.read_bytes())
    with MediaPipeHandFinder(1, path) as finder:
        assert len(finder.find(paint_hand(CAMERA)[0])) == 1


@pytest.mark.parametrize("options", [{"max_hands": 0}, {"palm_confidence": 1.5}, {"hand_confidence": float("nan")}])
def test_settings_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        MediaPipeHandFinder(**options)


def test_it_closes_twice_and_then_says_so() -> None:
    finder = MediaPipeHandFinder(1)
    finder.close()
    finder.close()
    with pytest.raises(UsageError, match="closed"):
        finder.find(np.zeros((9, 9, 3), np.uint8))


def test_nothing_is_written_to_the_terminal_but_what_others_write(tmp_path: Path) -> None:
    """In a process of its own: MediaPipe says some things once a process, others when the interpreter ends."""
    np.save(tmp_path / "hand.npy", paint_hand(CAMERA)[0])
    script = """
import os, sys, threading
import numpy as np
from handdgp_core.detection.landmarker import MediaPipeHandFinder
writer = threading.Timer(0.05, lambda: os.write(2, b"from another thread\\n"))
writer.start()
finder = MediaPipeHandFinder(2)
writer.join()
assert len(finder.find(np.load(sys.argv[1]))) == 1
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "hand.npy")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr
    assert (ended.stdout, ended.stderr) == ("", "from another thread\n")
