"""Stand-ins for what the window needs and a test cannot have: a camera and a network. Never part of the program."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.live.frame_result import FrameResult
from handdgp_core.arrays import Array
from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.sources.cameras import with_camera
from handdgp_core.sources.protocol import BaseSource, NoFrameYet
from handdgp_core.types import Frame, Hand

WIDTH, HEIGHT = 160, 120


def picture(shade: int = 90) -> NDArray[np.uint8]:
    """(120, 160, 3) of one grey, with a red left edge that shows mirroring."""
    image = np.full((HEIGHT, WIDTH, 3), shade, dtype=np.uint8)
    image[:, :10] = (200, 0, 0)
    return image


def frame(index: int = 0, shade: int = 90, camera: Camera | None = None) -> Frame:
    """A frame of `picture`, 20 ms after the one before."""
    return Frame(picture(shade), index * 20_000_000, index, camera=camera)


def keypoints(distance_m: float) -> Array:
    """(21, 3) a flat open hand facing the camera, its palm's middle on the axis at `distance_m`."""
    points = np.zeros((21, 3))
    for column, chain in enumerate(FINGERS.values()):
        for row, keypoint in enumerate(chain):
            points[keypoint] = ((column - 2) * 0.02, -0.02 * (row + 1), 0.0)
    palm = points[[0, 5, 9, 13, 17]].mean(axis=0)
    return points - palm + (0.0, 0.0, distance_m)


def hand(distance_m: float = 0.314, side: str = "right", muted: frozenset[int] = frozenset()) -> Hand:
    """A hand with a triangle a keypoint as its mesh; muting moves its root by 2 mm a keypoint towards the camera."""
    points = keypoints(distance_m)
    shift = np.array([0.0, 0.0, -0.002 * len(muted)])
    weights = np.linspace(0.2, 1.0, 21)
    weights[sorted(muted)] = 0.0
    vertices = np.concatenate([points, points + (0.01, 0, 0), points + (0, 0.01, 0)])
    faces = np.stack([np.arange(21), np.arange(21) + 42, np.arange(21) + 21], axis=1).astype(np.int32)
    return Hand(
        handedness=side,
        score=0.9 if side == "right" else 0.8,
        vertices_m=vertices + shift,
        keypoints_m=points + shift,
        keypoints_px=Camera.assumed(WIDTH, HEIGHT).project(points),
        weights=weights,
        root_m=points[0] + shift,
        root_covariance_m2=np.diag([1e-6, 1e-6, 4e-6]),
        hand_scale=1.0,
        faces=faces,
        track_id=1 if side == "right" else 2,
        root_unmuted_m=points[0] if muted else None,
    )


def degenerate_hand(reason: str = "too few valid weights") -> Hand:
    """A hand that could not be placed."""
    good = hand()
    nan = np.full(3, np.nan)
    return replace(
        good, vertices_m=good.vertices_m * np.nan, keypoints_m=good.keypoints_m * np.nan, root_m=nan,
        root_covariance_m2=np.full((3, 3), np.nan), degenerate=reason,
    )  # fmt: skip


def result(hands: list[Hand] | None = None, index: int = 0, **changes: object) -> FrameResult:
    """A finished frame."""
    hands = [hand()] if hands is None else hands
    shown = with_camera(frame(index), Camera.assumed(WIDTH, HEIGHT))
    made = FrameResult(
        shown, hands, hands, shown.image, False, {"network": 5.0}, 6.0,
        [None] * len(hands),
    )  # fmt: skip
    return replace(made, **changes)


class ScriptedSource(BaseSource):
    """Gives frames of rising number at a steady pace.

    Args:
        count: frames before the end; None for no end.
        period_s: time between frames.
        live: as a webcam is, or as a file is (then it can be wound).
        lost_at: number of the frame in whose place it fails.
        gate: if given, `read` blocks until it is set, even after `close`: a driver that hangs.
    """

    def __init__(
        self,
        count: int | None = None,
        period_s: float = 0.005,
        live: bool = True,
        lost_at: int | None = None,
        gate: threading.Event | None = None,
        name: str = "scripted",
        rendered: bool = False,
        silent: str = "",
    ) -> None:
        super().__init__()
        self.name, self.is_live, self.is_seekable, self.is_rendered = name, live, not live, rendered
        self._count, self._period_s, self._lost_at, self._gate, self._silent = count, period_s, lost_at, gate, silent
        self.hangs = False  # in a `read`, or it did
        self._index = 0
        self._closed = threading.Event()
        self.closes = 0
        self.complaint: str | None = None

    @property
    def warning(self) -> str | None:
        return self.complaint

    @property
    def size(self) -> tuple[int, int]:
        return WIDTH, HEIGHT

    @property
    def nominal_fps(self) -> float:
        return 1.0 / self._period_s

    @property
    def frame_count(self) -> int | None:
        return self._count

    def read(self, timeout_s: float = 0.5) -> Frame | None:
        if self._gate is not None:
            self.hangs = True
            self._gate.wait()
        if self._closed.is_set() or self._index == self._count:
            return None
        if self._index == self._lost_at:
            raise SourceError("scripted was unplugged.", hint="Connect it again.")
        if self._silent:
            time.sleep(min(timeout_s, 0.01))
            raise NoFrameYet(self._silent)
        if self.is_live:
            self._closed.wait(self._period_s)
        self._index += 1
        return frame(self._index - 1, shade=60 + self._index % 100)

    def seek(self, index: int) -> None:
        self._index = index

    def close(self) -> None:
        self.closes += 1
        self._closed.set()


class ScriptedEstimator:
    """Answers with prepared hands.

    Args:
        hands: given for every frame; None gives one hand that obeys `muted`.
        fails_at: number of the call that raises.
        slow_s: time that every call takes.
    """

    model_name = "scripted"
    engine = "none, CPU"
    next_engine = ""  # what `use_best_engine` changes to

    def __init__(self, hands: list[Hand] | None = None, fails_at: int | None = None, slow_s: float = 0.0) -> None:
        self.hand_length_m: float | None = None
        self.hand_length_std = 0.0
        self.max_hands = 2
        self.muted: frozenset[int] = frozenset()
        self.stage_ms = {"detection": 1.0, "network": 2.0}
        self.beyond_lens = 0
        self.hands, self._fails_at, self._slow_s = hands, fails_at, slow_s
        self.calls = 0
        self.resets = self.restored = 0
        self.closed = False
        self.cameras: list[Camera] = []
        self.indices: list[int] = []

    def estimate(self, frame: Frame, camera: Camera) -> list[Hand]:
        self.calls += 1
        if self.calls == self._fails_at:
            raise RuntimeError("the network broke")
        time.sleep(self._slow_s)
        self.cameras.append(camera)
        self.indices.append(frame.index)
        return [hand(muted=self.muted)] if self.hands is None else list(self.hands)

    def reset(self) -> None:
        self.resets += 1

    def rectified(self, frame: Frame, camera: Camera, hand: Hand) -> NDArray[np.uint8]:
        return np.full((8, 8, 3), 200, dtype=np.uint8)

    def snapshot(self) -> object:
        return None

    def restore(self, state: object) -> None:
        self.restored += 1

    def use_best_engine(self) -> None:
        if self.next_engine:
            self.engine = self.next_engine

    def close(self) -> None:
        self.closed = True
