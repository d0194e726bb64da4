"""What a replayed frame shows: the recorded result, that of the model re-run, or both. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from handdgp_core.errors import SourceError
from handdgp_core.sessions import RecordedHands, SessionReader
from handdgp_core.types import Frame, Hand

__all__ = ["Difference", "ReplayMode", "ReplayView", "differences"]


HELD_NS = 250_000_000


class ReplayMode(Enum):
    """Its value is the label in the transport bar."""

    RECORDED = "Recorded"
    RERUN = "Re-run"
    BOTH = "Both"


@dataclass(frozen=True, eq=False)
class ReplayView:
    """How a session is looked at.

    Attributes:
        session: the open file.
        mode: what is shown.
    """

    session: SessionReader
    mode: ReplayMode = ReplayMode.RECORDED

    def recorded(self, frame: Frame) -> RecordedHands | None:
        """The recorded result of this frame; None where there is none, or where it is damaged."""
        return self._result_of(frame.index)

    def latest(self, frame: Frame) -> tuple[RecordedHands | None, int]:
        """The last recorded result, and how many frames ago: a busy machine skips frames while it records.

        Returns:
            (None, 0) where there was none for `HELD_NS`.
        """
        times_ns = self.session.times_ns
        for ago in range(frame.index + 1):
            if times_ns[frame.index] - times_ns[frame.index - ago] > HELD_NS:
                break
            found = self._result_of(frame.index - ago)
            if found is not None:
                return found, ago
        return None, 0

    def _result_of(self, number: int) -> RecordedHands | None:
        try:
            return self.session.hands(number)
        except SourceError:
            return None


@dataclass(frozen=True)
class Difference:
    """Between a recorded hand and the re-run one of the same side; NaN where one of them could not be placed.

    Attributes:
        side: of the hand.
        root_mm: distance of the roots.
        depth_mm: re-run minus recorded, along z.
        keypoints_mm: mean distance of the keypoints, camera space.
        shape_mm: the same with both roots at the origin.
    """

    side: str
    root_mm: float
    depth_mm: float
    keypoints_mm: float
    shape_mm: float


def differences(recorded: list[Hand], rerun: list[Hand]) -> list[Difference]:
    """One for each side that both have."""
    by_side = {hand.handedness: hand for hand in recorded}
    return [_difference(by_side[hand.handedness], hand) for hand in rerun if hand.handedness in by_side]


def _difference(old: Hand, new: Hand) -> Difference:
    root_m = new.root_m - old.root_m
    keypoints_m = new.keypoints_m - old.keypoints_m
    return Difference(
        side=new.handedness,
        root_mm=1e3 * float(np.linalg.norm(root_m)),
        depth_mm=1e3 * float(root_m[2]),
        keypoints_mm=1e3 * float(np.linalg.norm(keypoints_m, axis=1).mean()),
        shape_mm=1e3 * float(np.linalg.norm(keypoints_m - root_m, axis=1).mean()),
    )
