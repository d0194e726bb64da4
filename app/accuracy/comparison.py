"""One frame: the estimated hand beside where the board says that a hand lying on it is.

The pose of the board and every keypoint's ray give the place of each joint, at the height above the paper that a flat
hand's joint has, back up. Nothing of the estimate but its 2D keypoints goes into that, so its distance is compared with
an independent one, good to about 4 mm. Both use the same camera: an error of its focal length moves both alike and
cannot show here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from calib.boards import Board
from calib.hand_size import HandState, lying_hand
from calib.views import View
from handdgp_core.arrays import Array, Handedness
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.hands.palm import PALM, PALM_PLANE, distance_std_m, palm_m
from handdgp_core.types import Hand

__all__ = ["MAX_TILT_RAD", "Comparison", "Rejection", "compare", "only_hand"]

# Of the hand's length: a hand that is so much longer or shorter by the board than it is known to be does not lie on it.
MOST_LENGTH_OFF = 0.12
MAX_TILT_RAD = np.deg2rad(55.0)  # beyond, a height above the paper says little about the place along the ray


class Rejection(Enum):
    """Why a frame is not used; the value is what to tell the user."""

    NO_BOARD = "the board was not found"
    NO_HAND = "no hand was found"
    SEVERAL_HANDS = "more than one hand was found"
    DEGENERATE = "the hand could not be placed"
    TILTED = "the board was tilted by more than 55 degrees"
    PALM_UP = "the palm faced the camera"
    BENT = "the fingers were not flat and stretched"
    OUTSIDE = "the hand was not on the board, or not whole in the picture"
    ELSEWHERE = "the tip of the index finger was on no corner of the board"
    MOVING = "the fingertip did not rest on the corner"
    TAKEN = "this touch had been taken already"
    OTHER_SIZE = f"by the board the hand would be more than {100 * MOST_LENGTH_OFF:.0f} % longer or shorter than it is"


_OF_STATE = {
    HandState.NO_BOARD: Rejection.NO_BOARD,
    HandState.TILTED: Rejection.TILTED,
    HandState.BENT: Rejection.BENT,
    HandState.OUTSIDE: Rejection.OUTSIDE,
    HandState.UNLIKELY: Rejection.OTHER_SIZE,
}


@dataclass(frozen=True)
class Comparison:
    """What one frame says.

    Attributes:
        view: corners of the board.
        handedness: of the hand.
        place_m: (3,) middle of the palm, or the fingertip, by the board, camera frame.
        error_m: how much too far (positive) the estimate puts it along its line of sight.
        std_m: what the estimate says of that error: one standard deviation, or NaN.
        across_m: how far the estimate is off the line of sight. Of a fingertip: to the corner that it touches. Of a
            lying hand: against the picture's own 2D keypoints, whose error is not in it.
    """

    view: View
    handedness: Handedness
    place_m: Array
    error_m: float
    std_m: float
    across_m: float

    @property
    def distance_m(self) -> float:
        """From the camera to the place, by the board."""
        return float(np.linalg.norm(self.place_m))


def only_hand(hands: Sequence[Hand]) -> Hand | Rejection:
    """The one hand of a frame, if it has a place."""
    if len(hands) != 1:
        return Rejection.SEVERAL_HANDS if hands else Rejection.NO_HAND
    return hands[0] if hands[0].degenerate is None else Rejection.DEGENERATE


def compare(
    board: Board, camera: Camera, view: View | None, hands: Sequence[Hand], length_m: float | None
) -> Comparison | Rejection:
    """Compare one frame.

    Args:
        board: of its true printed size.
        camera: of the frame; calibrated.
        view: the corners of the board that were found, None for none.
        hands: as estimated.
        length_m: the hand's length, wrist crease to middle finger tip, where it is known.
    """
    if view is None:
        return Rejection.NO_BOARD
    hand = only_hand(hands)
    if isinstance(hand, Rejection):
        return hand
    if not _shows_its_back(hand):
        return Rejection.PALM_UP
    state, lying = lying_hand(board, camera, view, hand.keypoints_px, MAX_TILT_RAD)
    if lying is None:
        return _OF_STATE[state]
    if length_m is not None and abs(length_of_chain(lying.sample.length_m) / length_m - 1) > MOST_LENGTH_OFF:
        return Rejection.OTHER_SIZE
    place = lying.points_m[list(PALM)].mean(axis=0)
    estimated, distance = palm_m(hand), float(np.linalg.norm(place))
    sight = place / distance
    across = estimated - (estimated @ sight) * sight
    error = float(np.linalg.norm(estimated)) - distance
    return Comparison(view, hand.handedness, place, error, distance_std_m(hand), float(np.linalg.norm(across)))


def _shows_its_back(hand: Hand) -> bool:
    """Whether index and little finger stand as on the back of such a hand in the picture."""
    wrist, index, little = hand.keypoints_px[list(PALM_PLANE)]
    (x, y), (u, v) = index - wrist, little - wrist
    turn = x * v - y * u  # positive: from index to little finger clockwise, as y runs down
    return bool(turn > 0) == (hand.handedness == "right")
