"""The ten views of a bare hand: what to copy, and whether it is copied. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.geometry.alignment import align_rigid
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand

__all__ = ["VIEW_POSES", "ViewPose", "what_is_wrong"]

# Fingers up, palm to the camera (x right, y down, z forward), from the hand's own axes.
_UPRIGHT = np.diag([1.0, -1.0, -1.0])
_BENT_DEG = {"MCP": 30.0, "PIP": 60.0, "DIP": 30.0}  # what "half bent" is
_MOST_TURN_RAD, _MOST_BEND_RAD = np.deg2rad(35.0), np.deg2rad(35.0)  # from the pose that is wanted; taken
_LONG_FINGERS = ("index", "middle", "ring", "little")


@dataclass(frozen=True)
class ViewPose:
    """One view.

    Attributes:
        words: what to do.
        turn_deg: rotation vector from an upright palm to it, axes of the camera.
        bent: whether the fingers are half bent, else they are stretched.
    """

    words: str
    turn_deg: tuple[float, float, float]
    bent: bool = False

    @cached_property
    def points(self) -> Array:
        """(21, 3) keypoints of a right hand, axes of a camera that looks at it, wrist at the origin; metres."""
        return OpenHand.load().forward(self.hand_pose)[1][0]

    @cached_property
    def hand_pose(self) -> HandPose:
        """Of the mean right hand (H = 1)."""
        hand = OpenHand.load()
        dof = np.where(["flexion" in name for name in hand.dof_names], 0.0, hand.dof_mean_rad)
        if self.bent:
            for number, name in enumerate(hand.dof_names):
                finger, joint, kind = name.split()
                if finger in _LONG_FINGERS and kind == "flexion":
                    dof[number] = np.deg2rad(_BENT_DEG.get(joint, 0.0))
        turn = Rotation.from_rotvec(self.turn_deg, degrees=True).as_matrix() @ _UPRIGHT
        return HandPose(turn[None], dof[None], np.zeros((1, hand.shape_count)), np.ones(1))


VIEW_POSES: tuple[ViewPose, ...] = (
    ViewPose("Show the palm, fingers stretched.", (0, 0, 0)),
    ViewPose("Turn the stretched hand to one side, as drawn.", (0, 38, 0)),
    ViewPose("Turn it to the other side.", (0, -38, 0)),
    ViewPose("Tip the fingertips towards the camera.", (38, 0, 0)),
    ViewPose("Tip the fingertips away from the camera.", (-38, 0, 0)),
    ViewPose("Show the back of the hand, fingers stretched.", (0, 180, 0)),
    ViewPose("Turn the back of the hand to one side, as drawn.", (0, 142, 0)),
    ViewPose("Show the palm, fingers half bent.", (0, 0, 0), bent=True),
    ViewPose("Turn the half bent hand to one side, as drawn.", (0, 38, 0), bent=True),
    ViewPose("Show the back of the hand, fingers half bent.", (0, 180, 0), bent=True),
)


def what_is_wrong(points: Array, pose: ViewPose) -> str:
    """What to change so that a right hand copies the pose; empty where it does.

    Args:
        points: (21, 3) keypoints, axes of a camera that looks at the hand.
        pose: the one that is wanted.
    """
    bend = _bend_rad(points) - _bend_rad(pose.points)
    if abs(bend) > _MOST_BEND_RAD:
        return "Stretch the fingers more." if bend > 0 else "Bend the fingers more."
    turns = {other: _turn_rad(points, other) for other in VIEW_POSES if other.bent == pose.bent}
    near = turns[pose] < _MOST_TURN_RAD and turns[pose] == min(turns.values())
    return "" if near else "Turn the hand as it is drawn."


def _turn_rad(points: Array, pose: ViewPose) -> float:
    """How far the hand as a whole is turned from the pose."""
    rotation = align_rigid(pose.points[None], points[None]).rotation[0]
    return float(Rotation.from_matrix(rotation).magnitude())


def _bend_rad(points: Array) -> float:
    """The angle between first and middle bone, mean over the four fingers."""
    joints = np.array([FINGERS[name][:3] for name in _LONG_FINGERS])
    first, middle = np.diff(points[joints], axis=1).transpose(1, 0, 2)
    cosine = (first * middle).sum(axis=1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(middle, axis=1))
    return float(np.arccos(np.clip(cosine, -1, 1)).mean())
