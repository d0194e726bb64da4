"""The middle of the palm, and how certain its distance from the camera is."""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.hands.keypoints import FINGERS, WRIST
from handdgp_core.types import Hand

__all__ = ["PALM", "PALM_PLANE", "distance_std_m", "palm_angle_rad", "palm_m"]

# The middle of the palm is the mean of these: the wrist and the four finger bases.
PALM: tuple[int, ...] = (WRIST, *(chain[0] for name, chain in FINGERS.items() if name != "thumb"))
# These span its plane.
PALM_PLANE: tuple[int, ...] = (WRIST, FINGERS["index"][0], FINGERS["little"][0])


def palm_m(hand: Hand) -> Array:
    """(3,) middle of the palm, camera frame, metres; NaN where the hand is degenerate."""
    return np.asarray(hand.keypoints_m[list(PALM)].mean(axis=0))


def palm_angle_rad(keypoints_m: Array) -> Array:
    """(N,) angle between the palm's normal and the line of sight, 0 (palm or back face-on) to pi / 2 (edge-on).

    Args:
        keypoints_m: (N, 21, 3) camera frame. The palm is the triangle of the wrist and of the index' and little
            finger's MCP.
    """
    wrist, index, little = (keypoints_m[:, joint] for joint in PALM_PLANE)
    normal = np.cross(index - wrist, little - wrist)
    sight = (wrist + index + little) / 3
    cosine = np.abs(np.einsum("ni,ni->n", normal, sight))
    length = np.linalg.norm(normal, axis=1) * np.linalg.norm(sight, axis=1)
    return np.asarray(np.arccos(np.clip(cosine / np.where(length > 0, length, np.nan), 0.0, 1.0)))


def distance_std_m(hand: Hand, point_m: Array | None = None) -> float:
    """Standard deviation of the distance from the camera to a point (3,) of the hand; NaN where it is not known.

    Args:
        hand: as estimated.
        point_m: camera frame; None for the middle of the palm.
    """
    middle_m = palm_m(hand) if point_m is None else point_m
    sight = middle_m / np.linalg.norm(middle_m)
    variance = float(sight @ hand.covariance_at(middle_m) @ sight)
    return float(np.sqrt(max(variance, 0.0))) if np.isfinite(variance) else float("nan")
