"""What a replayed frame shows: the recorded result, that of the model re-run, or both. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handdgp_core.errors import SourceError
from handdgp_core.sessions import RecordedHands, SessionReader
from handdgp_core.types import Frame

__all__ = ["ReplayMode", "ReplayView"]


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
