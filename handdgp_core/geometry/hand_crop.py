"""Where a hand is in an image."""

from __future__ import annotations

from dataclasses import dataclass

from handdgp_core.arrays import Array, Handedness

__all__ = ["HandCrop"]


@dataclass(frozen=True)
class HandCrop:
    """Where a hand is in the image: a square that may be rolled.

    Attributes:
        handedness: the person's true hand.
        score: how sure the detector is, 0 to 1.
        center_px: (2,) centre of the square, image pixels.
        half_size_px: half the side of the square.
        roll_rad: clockwise angle (in the image, y down) from the image's up direction to the hand's up direction
            (wrist to middle finger base). 0 for an upright hand.
        track_id: stays the same while one hand is followed; a new number for a hand that was new or lost.
    """

    handedness: Handedness
    score: float
    center_px: Array
    half_size_px: float
    roll_rad: float
    track_id: int = -1
