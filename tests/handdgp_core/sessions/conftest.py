"""Small real sessions: pictures that carry their number, and one or two hands; what tests of the recorder share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import (
    RecordedHands,
    RecorderLimits,
    RecorderStatus,
    SessionInfo,
    SessionRecorder,
    SessionWriter,
    WriterOptions,
)
from handdgp_core.types import Frame, Hand

WIDTH, HEIGHT = 96, 64
CAMERA = Camera(WIDTH, HEIGHT, np.array([[80.0, 0, 47.5], [0, 81.0, 31.5], [0, 0, 1]]), [-0.1, 0.02, 0, 0, 0], "test")
OPTIONS = WriterOptions(reserve_bytes=1 << 20)
PERIOD_NS = 33_000_000
ROOMY = RecorderLimits(warn_free_bytes=0, stop_free_bytes=0)
LONG_S = 150.0  # for what takes a moment, unless the machine is very busy


def make_frame(index: int, size: tuple[int, int] = (WIDTH, HEIGHT), start_ns: int = 7_000) -> Frame:
    """Grey, with the number in eight bright or dark columns."""
    image = np.full((size[1], size[0], 3), 40, np.uint8)
    for bit in range(8):
        image[:, bit * 12 : bit * 12 + 12] = 220 if index >> bit & 1 else 40
    image[:4, :, 0] = 200
    return Frame(image, start_ns + index * PERIOD_NS, index)


def number_of(image: np.ndarray) -> int:
    """The number that `make_frame` put in."""
    return sum(1 << bit for bit in range(8) if image[20:, bit * 12 + 3 : bit * 12 + 9].mean() > 128)


def make_hand(index: int, side: str = "right", vertices: int = 40) -> Hand:
    """Numbers without meaning, but every one different, so that a mix-up shows."""
    rng = np.random.default_rng(1000 * index + (side == "left"))
    faces = np.stack([np.arange(vertices - 2), np.arange(1, vertices - 1), np.arange(2, vertices)], axis=1)
    keypoints_m = rng.normal(0, 0.03, (21, 3)) + [0.0, 0.0, 0.4]
    return Hand(
        handedness=side,
        score=float(rng.random()),
        vertices_m=rng.normal(0, 0.03, (vertices, 3)) + [0.0, 0.0, 0.4],
        keypoints_m=keypoints_m,
        keypoints_px=CAMERA.project(keypoints_m),
        weights=rng.random(21),
        root_m=keypoints_m[0],
        root_covariance_m2=np.diag(rng.random(3) * 1e-6),
        hand_scale=float(1 + 0.1 * rng.random()),
        faces=faces.astype(np.int32) if side == "right" else faces[:, ::-1].astype(np.int32),
        track_id=index % 3,
        root_unmuted_m=rng.random(3) if index % 2 else None,
        distance_std=0.04 if index % 2 else float("nan"),
    )


def hands_of(index: int) -> list[Hand]:
    """None, one or two hands, in turn; now and then a degenerate one."""
    hands = [make_hand(index, side) for side in ("right", "left")[: index % 3]]
    if index % 5 == 4 and hands:
        nothing = {name: getattr(hands[0], name) * np.nan for name in ("vertices_m", "keypoints_m", "root_m")}
        hands[0] = replace(hands[0], degenerate="too few valid weights", **nothing)
    return hands


MakeSession = Callable[..., Path]


def write_session(
    path: Path,
    count: int = 30,
    options: WriterOptions = OPTIONS,
    flush_every: int = 10,
    frames: Sequence[Frame] | None = None,
    finish: bool = True,
    **info: object,
) -> Path:
    """A session of `count` frames with hands on every frame but each seventh."""
    writer = SessionWriter(path, SessionInfo(source="test", program_version="0", **info), options)
    for number, frame in enumerate(frames or [make_frame(index) for index in range(count)]):
        writer.add_frame(frame, CAMERA)
        if number % 7 != 6:
            writer.add_hands(frame, RecordedHands(hands_of(number), CAMERA, "test", 5.0, 0.18, frozenset({3})))
        if number % flush_every == flush_every - 1:
            writer.flush()
    if finish:
        return writer.finish()
    writer.abandon()
    return path.with_name(path.name + ".part")


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A finished session of 30 frames."""
    return write_session(tmp_path / "take.mcap", settings={"steadiness": 50})


def finished(recorder: SessionRecorder) -> RecorderStatus:
    """Its status after it was stopped and has ended."""
    recorder.stop()
    assert recorder.join(LONG_S)
    return recorder.status


def until(condition, limit_s: float = LONG_S) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
