"""Second looks at an image in which the palm detector found too little: turned, with more contrast, or enlarged.

The detector sees 192 x 192 pixels whatever it is given, misses hands that point to the side or down more often than
upright ones, and was trained on colour. A look is a part of the image, turned and stretched, that it is given instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.geometry.hand_crop import HandCrop

__all__ = ["Look", "look_at_place", "looks_at"]

# Side of an enlarged square over the image's longer side, and the step from one to the next in sides: a hand that is
# too small for the whole image lies whole in one of them. 9 squares of a 4:3 image, 6 of a 16:9 one.
_TILE, _STEP = 0.4, 0.75
# Around the last place of a hand, in half sizes of its crop: it may have moved on.
_PLACE_REACH = 2.0
# Grey values between these percentiles are stretched over the whole range.
_DARK, _LIGHT = 1.0, 99.0
# OpenCV's names of quarter turns; it turns a whole image in a quarter of NumPy's time.
_TURNS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


@dataclass(frozen=True)
class Look:
    """A part of an image, and what is done to it before the detector sees it.

    Attributes:
        left, top, width, height: the part, image pixels.
        quarter_turns: anticlockwise.
        stretched: whether contrast is stretched.
    """

    left: int
    top: int
    width: int
    height: int
    quarter_turns: int = 0
    stretched: bool = False

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the detector is given of `image` (height, width, 3)."""
        part = image[self.top : self.top + self.height, self.left : self.left + self.width]
        if self.stretched:
            part = _stretched(part)
        turn = _TURNS[self.quarter_turns % 4]
        return np.ascontiguousarray(part if turn is None else np.asarray(cv2.rotate(part, turn), np.uint8))

    def to_image(self, points_px: Array) -> Array:
        """Points (N, 2) in what the detector was given, as pixels of the whole image."""
        x, y = points_px[:, 0], points_px[:, 1]
        right, bottom = self.width - 1, self.height - 1
        turned = ((x, y), (right - y, x), (right - x, bottom - y), (y, bottom - x))[self.quarter_turns % 4]
        return np.stack(turned, axis=1) + (self.left, self.top)


def looks_at(width: int, height: int) -> list[Look]:
    """Every second look at a `width` x `height` image, those that find most first: turned, then enlarged."""
    whole = [Look(0, 0, width, height, turns, stretched=True) for turns in (1, 3, 0, 2)]
    side = max(1, round(_TILE * max(width, height)))
    tiles = [
        Look(left, top, min(side, width), min(side, height))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]
    return whole + tiles


def look_at_place(crop: HandCrop, width: int, height: int) -> Look | None:
    """A look at the last place of a hand, turned so that it is about upright; None where that lies outside."""
    reach = _PLACE_REACH * crop.half_size_px
    low = np.clip(np.floor(crop.center_px - reach), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(crop.center_px + reach), 0, (width, height)).astype(int)
    if (high <= low).any():
        return None
    turns = round(crop.roll_rad / (math.pi / 2)) % 4
    return Look(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]), turns, stretched=True)


def _starts(length: int, side: int) -> list[int]:
    """Where squares begin that cover `length`, evenly spread."""
    room = max(length - side, 0)
    return [round(start) for start in np.linspace(0, room, math.ceil(room / (_STEP * side)) + 1)]


def _stretched(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    dark, light = np.percentile(image[::4, ::4], (_DARK, _LIGHT))
    levels = (np.arange(256) - dark) * (255 / max(light - dark, 1.0))
    return np.asarray(cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8)), np.uint8)
