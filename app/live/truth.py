"""Compares hands with the truth of the rendered demo. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.sources.demo import DemoTruth
from handdgp_core.sources.protocol import Source
from handdgp_core.types import Hand


@dataclass(frozen=True)
class TrueHand:
    """The truth about one estimated hand.

    Attributes:
        root_m: (3,) the true root, camera frame.
        error_mm: mean distance between the estimated and the true keypoints, camera space; NaN without an estimate.
    """

    root_m: Array
    error_mm: float


def truth_of(source: Source) -> DemoTruth | None:
    """The truth that a source knows, also where a player is wrapped around it; None for all but the demo."""
    truth = getattr(source, "truth", None) or getattr(getattr(source, "inner", None), "truth", None)
    return truth if isinstance(truth, DemoTruth) else None


def compare(truth: DemoTruth | None, frame_index: int, hands: list[Hand]) -> list[TrueHand | None]:
    """For every hand the true one of the same side in this frame; None where there is no such hand or no truth."""
    if truth is None:
        return [None] * len(hands)
    rows = {truth.handedness[row]: row for row in truth.rows_of(frame_index)}
    return [_compare(truth, rows.get(hand.handedness), hand) for hand in hands]


def _compare(truth: DemoTruth, row: int | None, hand: Hand) -> TrueHand | None:
    if row is None:
        return None
    errors_m = np.linalg.norm(hand.keypoints_m - truth.keypoints_m[row], axis=1)
    return TrueHand(truth.root_m[row], float(errors_m.mean()) * 1e3)
