"""Which keypoints a camera cannot see, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array

__all__ = ["BEHIND_FLESH", "BEHIND_OBJECT", "OUTSIDE", "VISIBLE", "behind_flesh"]

# Values of `LabelledHand.occlusion`.
VISIBLE, BEHIND_FLESH, BEHIND_OBJECT, OUTSIDE = 0, 1, 2, 3
# A keypoint lies inside the hand; its own skin covers it by less than this.
_OWN_FLESH_M = 0.020


def behind_flesh(keypoints_m: Array, vertices_m: Array, faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(K,) which keypoints have a hand before them, more than their own skin.

    Args:
        keypoints_m: (K, 3) camera frame.
        vertices_m: (V, 3) of everything that may hide them, same frame.
        faces: (F, 3).
    """
    points = (vertices_m[:, :2] / vertices_m[:, 2:]).astype(np.float32)
    depth = (1 / vertices_m[:, 2]).astype(np.float32)  # linear over a triangle in the image
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    projected = (keypoints_m[:, :2] / keypoints_m[:, 2:]).astype(np.float32)
    area = _cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = _cross(b[None] - projected[:, None], c[None] - projected[:, None]) / area
        second = _cross(c[None] - projected[:, None], a[None] - projected[:, None]) / area
    third = 1 - first - second
    hit = (first >= 0) & (second >= 0) & (third >= 0)
    inverse = first * depth[faces[:, 0]] + second * depth[faces[:, 1]] + third * depth[faces[:, 2]]
    limit = 1 / np.maximum(keypoints_m[:, 2] - _OWN_FLESH_M, 1e-3)
    return np.asarray((hit & (inverse > limit[:, None])).any(axis=1))


def _cross(u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])
