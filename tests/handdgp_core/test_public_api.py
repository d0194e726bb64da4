"""What `import handdgp_core` gives, the example of the README, and the scripts in examples/."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import handdgp_core
from handdgp_core import Camera, Frame, HandDGPError, HandEstimator, ShapeError, UsageError, open_source
from handdgp_core.sources import frames
from tests.painted_hand import paint_hand, write_clip
from tests.places import ROOT

CAMERA = Camera.assumed(640, 480, 60)
PLACE_M = (0.0, 0.09, 0.42)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """(480, 640, 3) RGB: a right hand, its wrist at PLACE_M."""
    return paint_hand(CAMERA, "right", PLACE_M)[0]


@pytest.fixture(scope="module")
def estimator() -> HandEstimator:
    return HandEstimator.from_weights("landmarks")


def test_every_public_name_is_there_and_importing_the_package_is_light() -> None:
    for name in handdgp_core.__all__:
        assert getattr(handdgp_core, name).__name__ == name
    assert set(handdgp_core.__all__) <= set(dir(handdgp_core))
    program = "import sys, handdgp_core; sys.exit(any(name in sys.modules for name in ('torch', 'cv2', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=120).returncode == 0
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = handdgp_core.nothing_such


def test_a_plain_array_gives_what_a_frame_gives(estimator: HandEstimator, picture: np.ndarray) -> None:
    found = []
    for image, options in (
        (Frame(picture, 0, 0), {}),
        (picture, {}),
        (np.ascontiguousarray(picture[:, :, ::-1]), {"bgr": True}),
        (picture[:, ::-1][:, ::-1], {"stamp_ns": 5}),  # not contiguous
    ):
        estimator.reset()
        (hand,) = estimator.estimate(image, CAMERA, **options)
        found.append(hand)
    for hand in found[1:]:
        np.testing.assert_array_equal(hand.root_m, found[0].root_m)
        np.testing.assert_array_equal(hand.vertices_m, found[0].vertices_m)
    assert np.linalg.norm(found[0].root_m - PLACE_M) < 0.08


def test_pictures_in_a_row_are_followed(estimator: HandEstimator, picture: np.ndarray) -> None:
    estimator.reset()
    tracks = {estimator.estimate(picture, CAMERA)[0].track_id for _ in range(3)}
    assert len(tracks) == 1


@pytest.mark.parametrize(
    ("image", "options", "error", "said"),
    [
        (np.zeros((4, 4), np.uint8), {}, ShapeError, "(4, 4)"),
        (np.zeros((4, 4, 3)), {}, ShapeError, "float64"),
        ([[1, 2], [3, 4]], {}, ShapeError, "a list"),
        (Frame(np.zeros((480, 640, 3), np.uint8), 0, 0), {"bgr": True}, UsageError, "leave them out"),
        (np.zeros((48, 64, 3), np.uint8)[:, :10], {}, HandDGPError, "640"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_a_reason(
    estimator: HandEstimator, image, options: dict[str, bool], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        estimator.estimate(image, CAMERA, **options)
    assert said.lower() in str(caught.value).lower()


def example(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_picture_example(picture: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "hand.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    CAMERA.save(tmp_path / "camera.yaml")
    said = example("picture.py", str(tmp_path / "hand.png"), str(tmp_path / "camera.yaml"))
    place = re.fullmatch(r"right wrist at x (\S+), y (\S+), z (\S+) m, 1609 vertices\n", said)
    assert place, said
    assert np.linalg.norm(np.array(place.groups(), float) - PLACE_M) < 0.08
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((120, 160, 3), 99, np.uint8))
    assert "No hand found" in example("picture.py", str(tmp_path / "grey.png"))


@pytest.fixture(scope="module")
def clip(picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "hand.avi", [picture] * 4)


def test_the_video_example_writes_a_row_for_every_frame(clip: Path, tmp_path: Path) -> None:
    example("video_to_csv.py", str(clip), str(tmp_path / "wrists.csv"))
    with open(tmp_path / "wrists.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 3]
    assert {row["handedness"] for row in rows} == {"right"}
    assert all(0.3 < float(row["wrist_z_m"]) < 0.6 for row in rows)


def test_the_webcam_example_ends_with_its_source(clip: Path) -> None:
    lines = example("webcam.py", str(clip)).splitlines()
    assert len(lines) == 4 and all(re.fullmatch(r"right wrist [3-6]\d\.\d cm from the camera", line) for line in lines)


def test_the_readme_example_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    with open_source("demo") as demo:
        frame = next(frame for frame in frames(demo) if frame.index == 60)  # the first ones are without a hand
    assert frame.camera is not None
    frame.camera.save(tmp_path / "camera.yaml")
    cv2.imwrite(str(tmp_path / "hand.jpg"), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"(right|left) \[.*\]", done.stdout)
