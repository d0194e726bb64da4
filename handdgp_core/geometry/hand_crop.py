"""Where a hand is in an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.arrays import Array, Handedness

__all__ = ["HandCrop"]


@dataclass(frozen=True)
class HandCrop:
    """Where a hand is in the image: a square that may be rolled.

    Attributes:
        handedness: the user's true hand.
        score: how sure the detector is, 0 to 1.
        center_px: (2,) centre of the square, image pixels.
        half_size_px: half the side of the square.
        roll_rad: clockwise angle (in the image, y down) from the image's up direction to the hand's up direction
            (wrist to middle finger base). 0 for an upright hand.
        upright_px: (3,) centre x, y and half side of the upright square around the same keypoints or box, or None where
            there are none: then it is the square of the same size and centre.
        track_id: stays the same while one hand is followed; a new number for a hand that was new or lost.
    """

    handedness: Handedness
    score: float
    center_px: Array
    half_size_px: float
    roll_rad: float
    track_id: int = -1
    upright_px: Array | None = None

    @property
    def upright_square_px(self) -> Array:
        """(3,) centre x, y and half side of the square that the policies without a turn show."""
        if self.upright_px is not None:
            return self.upright_px
        return np.array([*np.ravel(self.center_px), self.half_size_px], dtype=np.float64)
