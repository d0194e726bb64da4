"""The figures that the window shows of one hand. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.hands.palm import distance_std_m, palm_m
from handdgp_core.types import Hand

SIGMAS = 2.0  # every ± and every band of the window is two standard deviations


@dataclass(frozen=True)
class Distance:
    """How far a hand is from the optical centre.

    Attributes:
        meters: to the middle of the palm.
        error_m: two standard deviations along the line of sight: of the solve, of the model, of a hand size that was
            not measured and of a field of view that is assumed.
        complete: False where nobody has measured the model's own errors: the true ± is larger then.
    """

    meters: float
    error_m: float
    complete: bool = True


def palm_distance(hand: Hand) -> Distance | None:
    """Distance from the camera to the middle of the palm: what a ruler held beside the hand shows.

    The middle is the mean of the wrist and the four finger bases. None where the hand could not be placed.
    """
    if hand.degenerate is not None:
        return None
    meters = float(np.linalg.norm(palm_m(hand)))
    if not np.isfinite(meters) or meters == 0.0:
        return None
    return Distance(meters, SIGMAS * distance_std_m(hand), complete=bool(np.isfinite(hand.distance_std)))


def mute_shift_mm(hand: Hand) -> tuple[float, float, float] | None:
    """How far (x, y, z) the muted keypoints move the root; None where none is muted or there is no root."""
    if hand.root_unmuted_m is None or hand.degenerate is not None:
        return None
    shift = (hand.root_m - hand.root_unmuted_m) * 1e3
    return (float(shift[0]), float(shift[1]), float(shift[2])) if np.isfinite(shift).all() else None


def length_shift_m(hand: Hand) -> float | None:
    """How much further away (positive) the user's own hand length put this hand; None where it made no difference.

    A hand that is s times as large solves s times as far away, so without it the distance would be divided by s.
    """
    distance = palm_distance(hand)
    if distance is None or not np.isfinite(hand.hand_scale) or hand.hand_scale <= 0 or hand.hand_scale == 1.0:
        return None
    return distance.meters * (1.0 - 1.0 / hand.hand_scale)


def pick_hand(hands: list[Hand], side: str) -> int | None:
    """Index of the hand that single-hand panels show: that `side` ("left", "right"), or with "auto" the surest.

    None where there is no such hand.
    """
    chosen = [index for index, hand in enumerate(hands) if side in ("auto", hand.handedness)]
    return max(chosen, key=lambda index: hands[index].score, default=None)


def clock(seconds: float) -> str:
    """Minutes and seconds with one decimal: 1:02.3."""
    minutes, rest = divmod(round(10 * max(0.0, seconds)), 600)
    return f"{minutes}:{rest / 10:04.1f}"
