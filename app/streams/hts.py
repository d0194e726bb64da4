"""`hts://`: the CSV lines of Meta's Hand Tracking Streamer, so that programs made for a headset take a webcam."""

from __future__ import annotations

import numpy as np

from app.streams import unity
from app.streams.content import FrameContent, HandContent
from app.streams.sinks import Address
from app.streams.udp import datagram_socket
from handdgp_core.hands.joint_frames import JOINTS
from handdgp_core.hands.keypoints import WRIST

__all__ = ["OpenedSink"]

_WRIST_JOINT = JOINTS.index("wrist")


class OpenedSink:
    """A datagram a line: wrist pose, then 21 landmarks in the wrist's frame, in Unity's axes."""

    def __init__(self, address: Address) -> None:
        self._socket = datagram_socket(address)

    def send(self, content: FrameContent) -> None:
        """Both lines of every hand whose wrist has a place and a direction."""
        for hand in content.hands:
            if hand.joints.is_valid[_WRIST_JOINT] and np.isfinite(hand.hand.keypoints_m).all():
                for line in _lines(hand, content.frame.index, content.captured_unix_ns):
                    self._socket.send(line.encode() + b"\n")

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def _lines(content: HandContent, frame: int, captured_unix_ns: int) -> list[str]:
    hand, turn = content.hand, content.joints.rotations[_WRIST_JOINT]
    wrist_m = hand.keypoints_m[WRIST]
    pose = [*unity.position(wrist_m), *unity.quaternion_xyzw(unity.rotation_of_joint(turn))]
    landmarks = (hand.keypoints_m - wrist_m) @ turn * (1.0, 1.0, -1.0)  # in the wrist's frame, left-handed
    label = f"f={frame} | t={captured_unix_ns}"
    side = hand.handedness.capitalize()
    return [
        f"{side} wrist | {label}:, {_csv(np.array(pose))}",
        f"{side} landmarks | {label}:, {_csv(landmarks.ravel())}",
    ]


def _csv(values: np.ndarray) -> str:
    return ", ".join(f"{value:.5f}" for value in values)
