"""Where to look for a hand in the next frame: a rolled square around its keypoints."""

from __future__ import annotations

import math

import numpy as np

from handdgp_core.arrays import Array, Handedness
from handdgp_core.errors import ShapeError
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.hands.keypoints import COUNT, FINGERS, WRIST

__all__ = ["HALF_SIZE_FACTOR", "crop_from_keypoints", "hand_roll", "upright_square", "visible_fraction"]

# The crop's side over the hand's length (see `crop_from_keypoints`). MediaPipe's network wants the hand to fill the
# crop: on two sets of real images its error is flat from 1.25 to 1.45 and grows from 1.7 on.
HALF_SIZE_FACTOR = 1.35
# A hand that points at the camera, or a failed one, must still give a crop that can be resampled.
SMALLEST_HALF_SIZE_PX = 4.0
PALM = (WRIST, *(FINGERS[finger][0] for finger in ("index", "middle", "ring", "little")))
# The hand's up direction: from the wrist to the middle finger's base, steadied by its neighbours.
UP = tuple(FINGERS[finger][0] for finger in ("index", "middle", "ring"))
UP_WEIGHTS = np.array([0.25, 0.5, 0.25])


def crop_from_keypoints(
    keypoints_px: Array,
    handedness: Handedness,
    score: float,
    track_id: int = -1,
    factor: float = HALF_SIZE_FACTOR,
) -> HandCrop:
    """The square crop of a hand from its keypoints, which may lie outside the image.

    The hand's length is the longer side of the keypoints' box in the hand's upright frame, but at least twice that of
    the palm's box. Without this bound the crop of a fist is so tight that the keypoints shrink in it, and the next crop
    with them.

    Args:
        keypoints_px: (21, 2) image pixels, finite.
        handedness: the user's true hand.
        score: 0 to 1.
        track_id: see `HandCrop`.
        factor: side of the crop over the hand's length.

    Raises:
        ShapeError: keypoints of another shape, or not finite.
    """
    keypoints_px = np.asarray(keypoints_px, float)
    if keypoints_px.shape != (COUNT, 2) or not np.isfinite(keypoints_px).all():
        raise ShapeError(f"Keypoints must be finite and of shape ({COUNT}, 2), not {keypoints_px.shape} or NaN.")
    roll_rad = hand_roll(keypoints_px)
    cosine, sine = math.cos(roll_rad), math.sin(roll_rad)
    image_from_upright = np.array([[cosine, -sine], [sine, cosine]])
    upright = keypoints_px @ image_from_upright  # rows times a rotation: its inverse on each point
    low, high = upright.min(axis=0), upright.max(axis=0)
    palm_side_px = float(np.ptp(upright[PALM, :], axis=0).max())
    length_px = max(float((high - low).max()), 2 * palm_side_px)
    return HandCrop(
        handedness=handedness,
        score=score,
        center_px=image_from_upright @ ((low + high) / 2),
        half_size_px=max(SMALLEST_HALF_SIZE_PX, factor * length_px / 2),
        roll_rad=roll_rad,
        track_id=track_id,
        upright_px=upright_square(keypoints_px, factor),
    )


def upright_square(points_px: Array, factor: float) -> Array:
    """(3,) centre x, y and half side of the upright square about points (N, 2), `factor` times as wide as their box.

    One definition for training, evaluation and live use: a data set's box, as its two corners, gives the same square as
    the keypoints that it is the box of.
    """
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    half_px = max(SMALLEST_HALF_SIZE_PX, 0.5 * factor * float((high - low).max()))
    return np.array([*(0.5 * (low + high)), half_px])


def hand_roll(keypoints_px: Array) -> float:
    """Clockwise angle (radians, -pi to pi) from the image's up to the hand's up; 0 where the two points coincide."""
    right, down = UP_WEIGHTS @ keypoints_px[UP, :] - keypoints_px[WRIST]
    return math.atan2(right, -down) if right or down else 0.0


def visible_fraction(crop: HandCrop, width: int, height: int) -> float:
    """Share (0 to 1) of the crop, taken as upright, that lies inside a `width` x `height` image."""
    low = np.maximum(crop.center_px - crop.half_size_px, -0.5)
    high = np.minimum(crop.center_px + crop.half_size_px, (width - 0.5, height - 0.5))
    return float(np.prod(np.maximum(high - low, 0)) / (2 * crop.half_size_px) ** 2)
