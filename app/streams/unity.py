"""Unity's axes (left-handed: x right, y up, z forward), which VMC and Meta's Hand Tracking Streamer use."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array

__all__ = ["position", "quaternion_xyzw", "rotation_of_joint"]

_FLIP = np.diag([1.0, 1.0, -1.0])  # between OpenXR's right-handed axes and Unity's
_OPENXR_FROM_CAMERA = np.diag([1.0, -1.0, -1.0])


def position(points_m: Array) -> Array:
    """(..., 3) points of the camera frame (OpenCV) in Unity's axes, the camera looking along +z."""
    return np.asarray(points_m * (1.0, -1.0, 1.0))


def rotation_of_joint(camera_from_joint: Array) -> Array:
    """(3, 3) rotation of a joint in Unity's axes, where fingers point along +z and the back of the hand along +y."""
    return np.asarray(_FLIP @ _OPENXR_FROM_CAMERA @ camera_from_joint @ _FLIP)


def quaternion_xyzw(rotation: Array) -> list[float]:
    """x y z w of a rotation (3, 3)."""
    values: list[float] = Rotation.from_matrix(rotation).as_quat(canonical=True).tolist()
    return values
