"""The 26 joints of OpenXR's XR_EXT_hand_tracking, from the 21 keypoints and the mesh of any hand model.

Axes of a joint, for either hand: +z runs back along its bone, away from the fingertip; +y comes out of the back of the
hand (of the thumb: out of its nail); +x completes a right-handed frame, so that bending a finger turns about -x. The
frames of a finger come from the palm's by the smallest rotation from bone to bone: a twist of a finger about its own
length is not visible in keypoints, and none is assumed. The thumb starts from its direction at rest in the open hand.

Keypoints say nothing of the bases of the four metacarpals and of the thickness of the hand. The bases stand where they
do in the open hand, in units of the palm; radii are distances to the mesh. docs/joint-frames.md has a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.errors import ShapeError
from handdgp_core.hands.keypoints import COUNT, FINGERS, WRIST
from handdgp_core.types import Hand

__all__ = [
    "JOINTS",
    "JOINT_COUNT",
    "JointFrames",
    "finger_joints",
    "frames_from_keypoints",
    "joint_frames",
    "thumb_at_rest",
]

_PARTS = ("metacarpal", "proximal", "intermediate", "distal", "tip")
JOINTS: tuple[str, ...] = (
    "palm",
    "wrist",
    *(f"thumb {part}" for part in _PARTS if part != "intermediate"),
    *(f"{finger} {part}" for finger in list(FINGERS)[1:] for part in _PARTS),
)
JOINT_COUNT = len(JOINTS)
_PALM, _WRIST = 0, 1
_FINGER_JOINTS = {
    finger: [number for number, name in enumerate(JOINTS) if name.startswith(f"{finger} ")] for finger in FINGERS
}
# In the frame of a right palm at the wrist, in units of wrist to middle MCP. Ring and little: bone heads of the open
# hand at rest; index and middle: Anny's, from which it was built.
_METACARPAL_BASES = {
    "index": (-0.070, -0.006, -0.205),
    "middle": (0.060, -0.006, -0.230),
    "ring": (0.190, -0.006, -0.250),
    "little": (0.280, -0.005, -0.266),
}
# The thumb's metacarpal of the open hand at rest, in the frame of a right palm: its +z and +x axes.
_THUMB_Z = (0.5126, 0.3544, 0.7821)
_THUMB_X = (0.1210, 0.8719, -0.4745)


@dataclass(frozen=True)
class JointFrames:
    """Joints of one hand, in the order of `JOINTS` (OpenXR's).

    Attributes:
        positions_m: (26, 3) camera frame.
        rotations: (26, 3, 3) camera_from_joint, proper rotations.
        radii_m: (26,) distance from the joint to the skin; of a tip, from the middle of its bone. NaN without a mesh.
        is_valid: (26,) False where a place or a direction is not known; its numbers are NaN then.
        wrist_covariance_m2: (3, 3) covariance of the wrist's place, camera frame.
    """

    positions_m: Array
    rotations: Array
    radii_m: Array
    is_valid: NDArray[np.bool_]
    wrist_covariance_m2: Array


def joint_frames(hand: Hand) -> JointFrames:
    """The joints of a hand in the camera frame; none of a degenerate hand is valid."""
    positions_m, rotations = frames_from_keypoints(hand.keypoints_m, hand.handedness)
    is_valid = np.asarray(np.isfinite(positions_m).all(axis=-1) & np.isfinite(rotations).all(axis=(-2, -1)))
    return JointFrames(
        np.where(is_valid[:, None], positions_m, np.nan),
        np.where(is_valid[:, None, None], rotations, np.nan),
        _radii_m(positions_m, hand.vertices_m),
        is_valid,
        hand.covariance_at(hand.keypoints_m[WRIST]),
    )


def finger_joints(finger: str) -> list[int]:
    """Numbers of a finger's joints in `JOINTS`, from its metacarpal to its tip: four for the thumb, else five."""
    return _FINGER_JOINTS[finger]


def frames_from_keypoints(keypoints_m: Array, handedness: Handedness) -> tuple[Array, Array]:
    """Places (..., 26, 3) and rotations (..., 26, 3, 3) target_from_joint of hands of one side.

    Args:
        keypoints_m: (..., 21, 3) in any right-handed target frame, metres.
        handedness: of all of them.

    Raises:
        ShapeError: keypoints of another shape.
    """
    points_m = np.asarray(keypoints_m, dtype=np.float64)
    if points_m.shape[-2:] != (COUNT, 3):
        raise ShapeError(f"Keypoints must have the shape (..., {COUNT}, 3), not {points_m.shape}.")
    palm = _palm_rotation(points_m, handedness)
    positions_m = np.full((*points_m.shape[:-2], JOINT_COUNT, 3), np.nan)
    rotations = np.full((*points_m.shape[:-2], JOINT_COUNT, 3, 3), np.nan)
    positions_m[..., _WRIST, :], rotations[..., _WRIST, :, :] = points_m[..., WRIST, :], palm
    for finger, chain in FINGERS.items():
        joints = finger_joints(finger)
        places_m = points_m[..., list(chain), :]
        if finger != "thumb":
            places_m = np.concatenate([_metacarpal_base(points_m, palm, finger, handedness), places_m], axis=-2)
        positions_m[..., joints, :] = places_m
        first = thumb_at_rest(palm, handedness) if finger == "thumb" else palm
        rotations[..., joints, :, :] = _along_chain(places_m, first)
    middle, next_joint = finger_joints("middle")[:2]
    positions_m[..., _PALM, :] = (positions_m[..., middle, :] + positions_m[..., next_joint, :]) / 2
    rotations[..., _PALM, :, :] = rotations[..., middle, :, :]
    return positions_m, rotations


def _palm_rotation(points_m: Array, handedness: Handedness) -> Array:
    """(..., 3, 3) target_from_palm: +z from the middle MCP to the wrist, +y out of the back of the hand."""
    to_index, to_middle, to_little = (
        points_m[..., FINGERS[finger][0], :] - points_m[..., WRIST, :] for finger in ("index", "middle", "little")
    )
    back = np.cross(to_little, to_index) * (1 if handedness == "right" else -1)
    return _frame(-to_middle, back)


def _frame(backward: Array, up: Array) -> Array:
    """(..., 3, 3) rotation whose +z is `backward` and whose +y is as near to `up` as that allows."""
    z = _unit(backward)
    x = _unit(np.cross(up, z))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _metacarpal_base(points_m: Array, palm: Array, finger: str, handedness: Handedness) -> Array:
    """(..., 1, 3) where the metacarpal of a finger meets the wrist."""
    wrist_m = points_m[..., WRIST, :]
    size_m = np.linalg.norm(points_m[..., FINGERS["middle"][0], :] - wrist_m, axis=-1, keepdims=True)
    base = np.array(_METACARPAL_BASES[finger]) * (1 if handedness == "right" else -1, 1, 1)
    return np.asarray((wrist_m + size_m * (palm @ base))[..., None, :])


def thumb_at_rest(palm: Array, handedness: Handedness) -> Array:
    """(..., 3, 3) frame of the thumb's metacarpal if it pointed as at rest."""
    z, x = np.array(_THUMB_Z), np.array(_THUMB_X)
    thumb = _frame(z, np.cross(z, x))
    if handedness == "left":
        mirror = np.diag([-1.0, 1.0, 1.0])
        thumb = mirror @ thumb @ mirror
    return np.asarray(palm @ thumb)


def _along_chain(places_m: Array, first: Array) -> Array:
    """(..., J, 3, 3) frames of the J joints of a chain; each turns the one before onto its own bone, the tip none."""
    frames, frame = [], first
    for joint in range(places_m.shape[-2] - 1):
        backward = _unit(places_m[..., joint, :] - places_m[..., joint + 1, :])
        frame = _smallest_rotation(frame[..., :, 2], backward) @ frame
        frames.append(frame)
    return np.stack([*frames, frame], axis=-3)


def _smallest_rotation(start: Array, end: Array) -> Array:
    """(..., 3, 3) rotation about start x end that takes one unit vector to the other; NaN where they are opposite."""
    axis, cosine = np.cross(start, end), np.einsum("...i,...i->...", start, end)[..., None, None]
    zero = np.zeros_like(axis[..., 0])
    x, y, z = np.moveaxis(axis, -1, 0)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*axis.shape, 3)
    opposite = np.where(cosine > -1 + 1e-9, 1 + cosine, np.nan)
    return np.asarray(np.eye(3) + cross + cross @ cross / opposite)


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 1e-9, length, np.nan))


def _radii_m(positions_m: Array, vertices_m: Array) -> Array:
    """(26,) distance to the nearest of the vertices (V, 3). A tip lies on the skin: its bone's middle stands for it."""
    if not len(vertices_m):
        return np.full(JOINT_COUNT, np.nan)
    inside_m = positions_m.copy()
    for finger in FINGERS:
        distal, tip = finger_joints(finger)[-2:]
        inside_m[tip] = (positions_m[distal] + positions_m[tip]) / 2
    return np.asarray(np.linalg.norm(inside_m[:, None] - vertices_m[None], axis=-1).min(axis=1))
