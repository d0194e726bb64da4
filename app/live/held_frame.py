"""The frame on screen, with all that is needed to make its numbers again, or to leave them exactly as they are. No Qt.

A frame that stands on screen is a measurement. Drawing it again must not change it, and whoever changes a setting and
changes it back must find the old number, to the last bit. So whatever was estimated for the frame is kept, and what
was not is estimated from what was known *before* the frame.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from handdgp_core.estimation.smoothing import HandSmoother, SmoothingSettings
from handdgp_core.sources.cameras import CameraFrame
from handdgp_core.types import Frame, Hand

if TYPE_CHECKING:  # it brings PyTorch, which takes seconds to load
    from handdgp_core.estimation.estimator import EstimatorState

__all__ = ["Estimate", "HeldFrame"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """The raw hands of a frame.

    Attributes:
        frame: with the camera that they were solved with.
        raw_hands: unsmoothed.
        stage_ms, inference_ms: what they took.
        after: what the estimator knew afterwards; None where it did not run.
        frames_ago: how many frames earlier they were recorded.
        recorded: they come from a recording.
        unrecorded: the recording has no result for this frame.
        beyond_lens: how many more lie where the lens model has no answer.
    """

    frame: CameraFrame
    raw_hands: list[Hand]
    stage_ms: dict[str, float]
    inference_ms: float
    after: EstimatorState | None = None
    frames_ago: int = 0
    recorded: bool = False
    unrecorded: bool = False
    beyond_lens: int = 0


@dataclass(eq=False)
class HeldFrame:
    """One frame and everything that was made of it.

    Attributes:
        index, stamp_ns: of the frame.
        before: what the estimator knew before it.
        smoother: as it was before it; never used itself, only copied.
        estimates: by what made them; the first one is what the frame gave when it came.
        shown: the one that was asked for last.
    """

    index: int
    stamp_ns: int
    before: EstimatorState
    smoother: HandSmoother
    estimates: dict[Hashable, Estimate] = field(default_factory=dict)
    shown: Estimate | None = None

    def holds(self, frame: Frame) -> bool:
        """Whether it is this frame."""
        return (frame.index, frame.stamp_ns) == (self.index, self.stamp_ns)

    def smoothed(self, estimate: Estimate, settings: SmoothingSettings) -> tuple[list[Hand], HandSmoother]:
        """The hands to show, and the smoother for the next frame.

        Smoothing moves a hand by what its motion was just before. An estimate made otherwise is moved by the same:
        what changes on screen is what the change made, and no more.
        """
        first = next(iter(self.estimates.values()))
        smoother = self.smoother.copy(settings)
        hands = smoother.apply(first.raw_hands, self.stamp_ns)
        if estimate is first:
            return hands, smoother
        onwards = HandSmoother(settings)
        onwards.apply(estimate.raw_hands, self.stamp_ns)
        return [_moved_alike(hand, first.raw_hands, hands) for hand in estimate.raw_hands], onwards


def _moved_alike(hand: Hand, before: list[Hand], after: list[Hand]) -> Hand:
    """`hand`, moved as the same hand of the first estimate was from `before` to `after`."""
    same = [index for index, other in enumerate(before) if other.handedness == hand.handedness]
    if hand.degenerate is not None or not same:
        return hand
    nearest = min(same, key=lambda index: float(np.abs(before[index].keypoints_px - hand.keypoints_px).sum()))
    old, new = before[nearest], after[nearest]
    if old.degenerate is not None:
        return hand
    moved_m = new.root_m - old.root_m
    same_mesh = old.vertices_m.shape == hand.vertices_m.shape  # another model may have another mesh
    return replace(
        hand,
        root_m=hand.root_m + moved_m,
        keypoints_m=hand.keypoints_m + (new.keypoints_m - old.keypoints_m),
        vertices_m=hand.vertices_m + (new.vertices_m - old.vertices_m if same_mesh else moved_m),
    )
