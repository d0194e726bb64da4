"""`vmc://`: the Virtual Motion Capture protocol, for VSeeFace, Warudo, Blender and others.

Fingers are sent as rotations of a humanoid's bones against its T-pose, each in the frame of its parent. A hand alone
does not tell where the arm is, so the wrist goes out as a tracker, "handdgp left" or "handdgp right", in Unity's axes
with the camera at the origin.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from pythonosc.osc_message_builder import ArgValue

from app.streams import unity
from app.streams.content import FrameContent, HandContent
from app.streams.osc import OscSocket
from app.streams.sinks import Address
from handdgp_core.arrays import Array, Handedness
from handdgp_core.hands.joint_frames import JOINTS, finger_joints, thumb_at_rest
from handdgp_core.hands.keypoints import FINGERS

__all__ = ["OpenedSink"]

_WRIST = JOINTS.index("wrist")
_PARTS = ("Proximal", "Intermediate", "Distal")
# Axes of a joint in the avatar's T-pose, right-handed with Unity's z turned round: fingers point away from the body,
# the back of the hand is up.
_TPOSE_FROM_JOINT: dict[Handedness, Array] = {
    "left": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    "right": np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]),
}
_FLIP = np.diag([1.0, 1.0, -1.0])


class OpenedSink:
    """Bones of the fingers and a tracker for each wrist."""

    def __init__(self, address: Address) -> None:
        self._socket = OscSocket(address)

    def send(self, content: FrameContent) -> None:
        """Every hand of the frame whose joints are known."""
        messages: list[tuple[str, list[ArgValue]]] = [("/VMC/Ext/OK", [1])]
        for hand in content.hands:
            if hand.joints.is_valid.all():
                messages += [_tracker(hand), *_bones(hand)]
        self._socket.send(messages)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def _tracker(content: HandContent) -> tuple[str, list[ArgValue]]:
    place = unity.position(content.joints.positions_m[_WRIST]).tolist()
    turn = unity.quaternion_xyzw(unity.rotation_of_joint(content.joints.rotations[_WRIST]))
    return "/VMC/Ext/Tra/Pos", [f"handdgp {content.hand.handedness}", *place, *turn]


def _bones(content: HandContent) -> list[tuple[str, list[ArgValue]]]:
    side, rotations = content.hand.handedness, content.joints.rotations
    messages: list[tuple[str, list[ArgValue]]] = []
    for finger in FINGERS:
        joints = finger_joints(finger)[:-1]
        if finger == "thumb":  # a humanoid's proximal thumb is the metacarpal, at rest where ours is
            turns = [rotations[_WRIST].T @ rotations[joints[0]] @ thumb_at_rest(np.eye(3), side).T]
        else:
            turns = [rotations[joints[0]].T @ rotations[joints[1]]]
            joints = joints[1:]
        turns += [rotations[a].T @ rotations[b] for a, b in pairwise(joints)]
        for part, turn in zip(_PARTS, turns, strict=True):
            name = f"{side.capitalize()}{finger.capitalize()}{part}"
            messages.append(("/VMC/Ext/Bone/Pos", [name, 0.0, 0.0, 0.0, *_in_tpose(turn, side)]))
    return messages


def _in_tpose(turn: Array, side: Handedness) -> list[float]:
    """x y z w of a rotation in joint axes, in the avatar's axes."""
    axes = _FLIP @ _TPOSE_FROM_JOINT[side]
    return unity.quaternion_xyzw(axes @ turn @ axes.T)
