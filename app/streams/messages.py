"""JSON of the streams, version 1; docs/streams.md describes every field. What is not known is null."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from app.environment import PROGRAM, version_of
from app.streams.content import FrameContent, HandContent
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands import keypoints
from handdgp_core.hands.hand_features import ANGLES
from handdgp_core.hands.joint_frames import JOINTS, JointFrames

__all__ = ["VERSION", "as_json", "description", "frame_message", "hand_lines", "quaternions_xyzw"]

VERSION = 1
AXES = "camera frame, OpenCV: x right, y down, z forward (away from the camera)"
_DIGITS = 6  # a micrometre


def description() -> dict[str, Any]:
    """What every client needs once: units, axes, and the names behind the arrays."""
    return {
        "type": "description",
        "version": VERSION,
        "program": f"{PROGRAM} {version_of()}",
        "units": {"length": "metre", "angle": "radian", "time": "nanosecond"},
        "axes": AXES,
        "joint_axes": "+z back along the bone, +y out of the back of the hand, +x completes a right-handed frame",
        "quaternion": "x y z w, camera_from_joint",
        "keypoints": list(keypoints.NAMES),
        "bones": [list(pair) for pair in keypoints.BONES],
        "joints": list(JOINTS),
        "angles": list(ANGLES),
    }


def frame_message(content: FrameContent, sent_unix_ns: int) -> dict[str, Any]:
    """A frame with all its hands."""
    return {**_frame_head(content, sent_unix_ns, "frame"), "hands": [_hand(hand) for hand in content.hands]}


def hand_lines(content: FrameContent, sent_unix_ns: int) -> list[str]:
    """One line of JSON for every hand, each whole by itself."""
    head = _frame_head(content, sent_unix_ns, "hand")
    return [as_json({**head, "hand": _hand(hand)}) for hand in content.hands]


def as_json(message: dict[str, Any]) -> str:
    """One line of strict JSON: `message` holds no NaN."""
    return json.dumps(message, allow_nan=False, separators=(",", ":"))


def quaternions_xyzw(joints: JointFrames) -> Array:
    """(26, 4) x y z w of the joints' rotations; NaN where a joint is not valid."""
    quaternions = np.full((len(joints.is_valid), 4), np.nan)
    if joints.is_valid.any():
        quaternions[joints.is_valid] = Rotation.from_matrix(joints.rotations[joints.is_valid]).as_quat(canonical=True)
    return quaternions


def _frame_head(content: FrameContent, sent_unix_ns: int, kind: str) -> dict[str, Any]:
    facts = content.facts
    return {
        "type": kind,
        "version": VERSION,
        "source": facts.source,
        "model": facts.model,
        "frame": content.frame.index,
        "stamp_ns": content.frame.stamp_ns,
        "captured_unix_ns": content.captured_unix_ns,
        "sent_unix_ns": sent_unix_ns,
        "axes": AXES,
        "units": "metre",
        "camera": _camera(content.camera),
        "hand_length": {"measured": facts.hand_length_mm is not None, "mm": facts.hand_length_mm},
    }


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "state": camera.source,
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "matrix": _numbers(camera.matrix),
        "distortion": _numbers(camera.distortion),
    }


def _hand(content: HandContent) -> dict[str, Any]:
    hand, joints = content.hand, content.joints
    places, turns = _numbers(joints.positions_m), _numbers(quaternions_xyzw(joints))
    radii, valid = _numbers(joints.radii_m), joints.is_valid.tolist()
    return {
        "track_id": hand.track_id,
        "side": hand.handedness,
        "score": _numbers(np.asarray(hand.score)),
        "degenerate": hand.degenerate,
        "palm_m": _numbers(content.palm_m),
        "distance_m": _numbers(np.asarray(np.linalg.norm(content.palm_m))),
        "distance_std_m": _numbers(np.asarray(content.distance_std_m)),
        "wrist": {"position_m": places[1], "orientation": turns[1], "covariance_m2": _covariance(joints)},
        "keypoints_m": _numbers(hand.keypoints_m),
        "weights": _numbers(hand.weights),
        "joints": [
            {"position_m": places[i], "orientation": turns[i], "radius_m": radii[i], "valid": valid[i]}
            for i in range(len(valid))
        ],
        "angles_rad": _numbers(content.angles_rad),
        "openness": _numbers(np.asarray(content.openness)),
        "pinch": {"distance_m": _numbers(np.asarray(content.pinch_distance_m)), "closed": content.pinching},
    }


def _covariance(joints: JointFrames) -> Any:
    values = joints.wrist_covariance_m2
    return values.tolist() if np.isfinite(values).all() else None


def _numbers(values: NDArray[np.float64]) -> Any:
    """Nested lists rounded to a micrometre, with None for what is not finite."""
    finite = np.isfinite(values)
    rounded = np.round(values, _DIGITS)
    return rounded.tolist() if finite.all() else np.where(finite, rounded.astype(object), np.array(None)).tolist()
