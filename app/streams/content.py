"""What is streamed of a frame: its hands with joints and features, the camera, and when it was captured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from handdgp_core.arrays import Array, Handedness
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.hand_features import PinchDetector, joint_angles_rad, openness, pinch_distance_m
from handdgp_core.hands.joint_frames import JointFrames, joint_frames
from handdgp_core.hands.palm import distance_std_m, palm_m
from handdgp_core.hands.sides import surest_by_side
from handdgp_core.types import Frame, Hand

__all__ = ["SIDES", "FrameContent", "HandContent", "RateLimit", "StreamFacts", "StreamMaker", "capture_time_unix_ns"]

SIDES: tuple[Handedness, Handedness] = ("left", "right")
_OLDEST_NS = 1_000_000_000  # a live frame older than this has a clock of its own


def capture_time_unix_ns(frame: Frame, is_live: bool) -> int:
    """Wall-clock time of a capture: live frames are stamped by the monotonic clock, of others it is now."""
    age_ns = time.monotonic_ns() - frame.stamp_ns if is_live else 0
    return time.time_ns() - (age_ns if 0 <= age_ns < _OLDEST_NS else 0)


class RateLimit:
    """Lets at most so many frames a second through; a source of just that rate loses none to its jitter.

    Args:
        rate_hz: None or 0 for all frames.
    """

    def __init__(self, rate_hz: float | None) -> None:
        self._period_s = 1.0 / rate_hz if rate_hz else 0.0
        self._due_s = 0.0

    def passes(self) -> bool:
        """Whether a frame that comes now is one of them."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = max(self._due_s + self._period_s, now_s - self._period_s)
        return True


@dataclass(frozen=True)
class StreamFacts:
    """What does not change from frame to frame.

    Attributes:
        source: name of what is watched.
        model: name of the model.
        hand_length_mm: the measured length, None where an average adult's is assumed.
    """

    source: str
    model: str
    hand_length_mm: float | None


@dataclass(frozen=True)
class HandContent:
    """One hand and what is derived from it; lengths in metres, camera frame.

    Attributes:
        palm_m: (3,) middle of the palm.
        distance_std_m: standard deviation of the distance to it; NaN where it is not known.
        angles_rad: (18,) as `hand_features.ANGLES`.
        openness: 0 fist to 1 flat.
        pinch_distance_m, pinching: of thumb and index finger.
    """

    hand: Hand
    joints: JointFrames
    palm_m: Array
    distance_std_m: float
    angles_rad: Array
    openness: float
    pinch_distance_m: float
    pinching: bool


@dataclass(frozen=True)
class FrameContent:
    """One frame, ready for any protocol.

    Attributes:
        frame: as it came from the source; `stamp_ns` is in the source's own clock.
        camera: what the hands were solved with.
        captured_unix_ns: wall-clock time of the capture; for files, of the reading.
    """

    facts: StreamFacts
    frame: Frame
    camera: Camera
    captured_unix_ns: int
    hands: tuple[HandContent, ...]

    @property
    def by_side(self) -> dict[Handedness, HandContent]:
        """Of either side the surest hand that has a place, for protocols that know one left and one right hand."""
        return surest_by_side(self.hands, lambda content: content.hand)


class StreamMaker:
    """Makes the content of every frame; remembers which hands pinch."""

    def __init__(self, facts: StreamFacts) -> None:
        self.facts = facts
        self._pinch = PinchDetector()

    def make(self, frame: Frame, camera: Camera, hands: Sequence[Hand], captured_unix_ns: int) -> FrameContent:
        """The content of a frame."""
        self._pinch.forget_all_but({hand.track_id for hand in hands})
        made = tuple(self._hand(hand) for hand in hands)
        return FrameContent(self.facts, frame, camera, captured_unix_ns, made)

    def _hand(self, hand: Hand) -> HandContent:
        joints = joint_frames(hand)
        angles_rad = joint_angles_rad(joints.rotations, hand.handedness)
        pinch_m = float(pinch_distance_m(hand.keypoints_m))
        return HandContent(
            hand=hand,
            joints=joints,
            palm_m=palm_m(hand),
            distance_std_m=distance_std_m(hand),
            angles_rad=angles_rad,
            openness=float(openness(angles_rad)),
            pinch_distance_m=pinch_m,
            pinching=self._pinch.update(hand.track_id, pinch_m),
        )
