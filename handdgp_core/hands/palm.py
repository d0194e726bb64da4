"""The middle of the palm, and how certain its distance from the camera is."""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.hands.keypoints import FINGERS, WRIST
from handdgp_core.types import Hand

__all__ = ["PALM", "distance_std_m", "palm_m"]

# The middle of the palm is the mean of these: the wrist and the four finger bases.
PALM: tuple[int, ...] = (WRIST, *(chain[0] for name, chain in FINGERS.items() if name != "thumb"))


def palm_m(hand: Hand) -> Array:
    """(3,) middle of the palm, camera frame, metres; NaN where the hand is degenerate."""
    return np.asarray(hand.keypoints_m[list(PALM)].mean(axis=0))


def distance_std_m(hand: Hand) -> float:
    """Standard deviation of the distance from the camera to the middle of the palm; NaN where it is not known."""
    middle_m = palm_m(hand)
    sight = middle_m / np.linalg.norm(middle_m)
    variance = float(sight @ hand.covariance_at(middle_m) @ sight)
    return float(np.sqrt(max(variance, 0.0))) if np.isfinite(variance) else float("nan")
