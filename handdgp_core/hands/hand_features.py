"""Plain numbers of a hand's pose: joint angles, how open it is, and whether it pinches."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from handdgp_core.arrays import Array, Handedness
from handdgp_core.hands.joint_frames import finger_joints
from handdgp_core.hands.keypoints import FINGERS

__all__ = ["ANGLES", "PinchDetector", "joint_angles_rad", "openness", "pinch_distance_m"]

_BENDING = {"thumb": ("MCP", "IP"), **{finger: ("MCP", "PIP", "DIP") for finger in list(FINGERS)[1:]}}
# Bends of every finger from its base on, then how far each finger but the thumb is spread at its base.
ANGLES: tuple[str, ...] = (
    *(f"{finger} {joint} flexion" for finger, joints in _BENDING.items() for joint in joints),
    *(f"{finger} MCP abduction" for finger in list(FINGERS)[1:]),
)
_FIST_RAD = np.radians(90 + 110 + 80)  # MCP, PIP and DIP of a finger bent as far as they go (hands.anatomy)


def joint_angles_rad(rotations: Array, handedness: Handedness) -> Array:
    """(..., 18) angles in the order of `ANGLES`, radians.

    Flexion is positive towards the palm, 0 for bones in line. Abduction is positive towards the thumb's side, measured
    from the finger's own metacarpal.

    Args:
        rotations: (..., 26, 3, 3) of `joint_frames` or `frames_from_keypoints`.
        handedness: of all of them.
    """
    flexion, abduction = [], []
    to_thumb = -1.0 if handedness == "right" else 1.0
    for finger in FINGERS:
        joints = finger_joints(finger)[:-1]
        for parent, child in pairwise(joints):
            x, y, z = np.moveaxis(_direction(rotations, parent, child), -1, 0)
            flexion.append(np.arctan2(-y, -z))
            if parent == joints[0] and finger != "thumb":
                abduction.append(to_thumb * np.arctan2(x, np.hypot(y, z)))
    return np.stack([*flexion, *abduction], axis=-1)


def openness(angles_rad: Array) -> Array:
    """(...) from 0, a fist, to 1, four straight fingers, of angles (..., 18); the thumb does not count."""
    bends = [number for number, name in enumerate(ANGLES) if name.endswith("flexion") and not name.startswith("thumb")]
    return np.asarray(np.clip(1 - angles_rad[..., bends].sum(axis=-1) / (4 * _FIST_RAD), 0.0, 1.0))


def pinch_distance_m(keypoints_m: Array) -> Array:
    """(...) distance between the tips of thumb and index finger, of keypoints (..., 21, 3)."""
    return np.asarray(
        np.linalg.norm(keypoints_m[..., FINGERS["thumb"][-1], :] - keypoints_m[..., FINGERS["index"][-1], :], axis=-1)
    )


@dataclass
class PinchDetector:
    """Whether each followed hand pinches, without flicker: closed below one distance, open above a larger one.

    Attributes:
        close_m, open_m: the two distances between the tips of thumb and index finger.
    """

    close_m: float = 0.020
    open_m: float = 0.035

    def __post_init__(self) -> None:
        self._pinching: set[int] = set()

    def update(self, track_id: int, distance_m: float) -> bool:
        """The state of a hand after one more distance; one that is not finite opens it."""
        if distance_m < self.close_m:
            self._pinching.add(track_id)
        elif not distance_m <= self.open_m:
            self._pinching.discard(track_id)
        return track_id in self._pinching

    def forget_all_but(self, track_ids: set[int]) -> None:
        """Drop hands that are not followed any more."""
        self._pinching &= track_ids


def _direction(rotations: Array, parent: int, child: int) -> Array:
    """(..., 3) where the child's bone points, in the frame of its parent."""
    return np.asarray(-np.einsum("...ji,...j->...i", rotations[..., parent, :, :], rotations[..., child, :, 2]))
