"""Small takes of the demo, and how results are compared."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from app.batch.worker import ModelOptions
from app.cli.main import main
from app.cli.options import DONE
from handdgp_core.bundled import bundled
from tests.painted_hand import write_clip

FRAMES = 6
LANDMARKS = ModelOptions(model="landmarks")  # quick to load


def demo_frames(first: int, count: int) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(bundled("assets/demo/demo.mp4")))
    images = [video.read()[1] for _ in range(first + count)][first:]
    video.release()
    return [cv2.resize(image[..., ::-1], (640, 360)) for image in images]


def write_takes(folder: Path) -> Path:
    """Three takes, and a file that is none."""
    for number in range(3):
        write_clip(folder / f"take{number}.avi", demo_frames(60 + 30 * number, FRAMES))
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def result_of(output: Path, stem: str) -> dict[str, np.ndarray]:
    (folder,) = (entry for entry in output.iterdir() if entry.name.startswith(f"{stem}-"))
    return arrays(folder / "predictions.npz")


def assert_same_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype and found[name].tobytes() == values.tobytes(), name


def assert_same_as_process(output: Path, takes: Path, number: int, folder: Path) -> None:
    """The batch's result of a take is bit by bit what `process` gives, which goes into a folder of its own."""
    alone = folder / f"alone{number}"
    take = str(takes / f"take{number}.avi")
    assert main(["process", take, "--model", "landmarks", "--output", str(alone)]) == DONE
    expected = arrays(alone / "predictions.npz")
    assert len(expected["frame_index"])
    assert_same_bits(result_of(output, f"take{number}"), expected)
