"""Which hand found belongs to which labelled hand of a picture: by place and side, never by order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from handdgp_core.arrays import Array
from handdgp_core.evaluation.summary import Pairs
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Hand

__all__ = ["Label", "Match", "Matches", "match_hands"]

# A hand found belongs to a label only where its keypoints are off by less than this many of its extents, in the mean.
_REACH = 1.0
# What the wrong side costs, in the same unit: it decides between hands that overlap, not between hands apart.
_WRONG_SIDE = 0.5
_NEVER = 1e6


@dataclass(frozen=True)
class Label:
    """A labelled hand: keypoints_m (21, 3) in the camera's frame, NaN where unknown, and its true side or None."""

    keypoints_m: Array
    handedness: str | None = None
    name: str = ""


@dataclass(frozen=True)
class Match:
    """A labelled hand and the hand found for it; None where it was missed."""

    label: Label
    hand: Hand | None


@dataclass
class Matches:
    """Every labelled hand of a data set, and how many hands were found that belong to none of them."""

    hands: list[Match] = field(default_factory=list)
    extra: int = 0

    def pairs(self) -> Pairs:
        """The same for `summarise`."""
        pairs = Pairs()
        for match in self.hands:
            side, hand = match.label.handedness, match.hand
            right = None if side is None or hand is None else hand.handedness == side
            pairs.add(match.label.keypoints_m, None if hand is None else hand.keypoints_m, right, name=match.label.name)
        return pairs


def match_hands(labels: Sequence[Label], hands: Sequence[Hand], camera: Camera) -> list[Match]:
    """One match for every label of a picture, in the order of the labels; each hand found is used at most once.

    The pairing with the least sum of costs wins. A cost is the mean distance of the keypoints in the image, in extents
    (the longer side of the box around the hand found), and half an extent more for the wrong side. Where the keypoints
    lie off by a whole extent there is no match. 2D alone decides, so that a wrong distance never makes a missed hand.

    Args:
        labels: of one picture, each with at least one known keypoint.
        hands: found in it.
        camera: of the picture.
    """
    chosen: dict[int, Hand] = {}
    if labels and hands:
        costs = np.array([[_cost(label, hand, camera) for hand in hands] for label in labels])
        rows, columns = linear_sum_assignment(costs)
        for row, column in zip(rows, columns, strict=True):
            if costs[row, column] < _NEVER:
                chosen[int(row)] = hands[column]
    return [Match(label, chosen.get(row)) for row, label in enumerate(labels)]


def _cost(label: Label, hand: Hand, camera: Camera) -> float:
    known = np.isfinite(label.keypoints_m).all(axis=1)
    true_px = camera.project(label.keypoints_m[known])
    extent_px = float(np.ptp(hand.keypoints_px, axis=0).max())
    off = float(np.linalg.norm(hand.keypoints_px[known] - true_px, axis=1).mean()) / max(extent_px, 1e-9)
    if not off < _REACH:
        return _NEVER
    return off + _WRONG_SIDE * (label.handedness is not None and label.handedness != hand.handedness)
