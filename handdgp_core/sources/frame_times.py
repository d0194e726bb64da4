"""From a container's time back to a frame number."""

from __future__ import annotations

import bisect
import math

GRID_TOLERANCE = 0.25  # of a frame period


class FrameTimes:
    """The container's time of every frame met so far, and the way back from a time to a frame number.

    After a jump only the time tells where the decoder has landed, and it may land beside the frame that was asked
    for. Times of frames met before are looked up. Beyond them a number follows from the time only while all times so
    far lie on the regular grid of the stated rate; for a varying rate the caller must walk.
    """

    def __init__(self, fps: float) -> None:
        self._period_ms = 1000.0 / fps
        self._times_ms: list[float] = []
        self.are_sane = True
        self._is_regular = True

    def note(self, index: int, time_ms: float) -> None:
        """Remember the time of frame `index`, met in any order; unknown gaps are left alone."""
        if index != len(self._times_ms) or not self.are_sane:
            return
        if not math.isfinite(time_ms) or (self._times_ms and time_ms <= self._times_ms[-1]):
            self.are_sane = False
            return
        self._times_ms.append(time_ms)
        off_ms = abs(time_ms - self._times_ms[0] - index * self._period_ms)
        self._is_regular = self._is_regular and off_ms < GRID_TOLERANCE * self._period_ms

    def can_jump_to(self, index: int) -> bool:
        """True where landing near frame `index` could be recognised."""
        return self.are_sane and (index < len(self._times_ms) or (self._is_regular and len(self._times_ms) >= 2))

    def index_of(self, time_ms: float) -> int | None:
        """Number of the frame with this time, None where that cannot be told."""
        if not self.are_sane or not self._times_ms:
            return None
        if time_ms <= self._times_ms[-1] + 0.5:
            place = bisect.bisect_left(self._times_ms, time_ms - 0.5)
            return place if place < len(self._times_ms) and abs(self._times_ms[place] - time_ms) < 0.5 else None
        exact = (time_ms - self._times_ms[0]) / self._period_ms
        is_on_grid = self._is_regular and abs(exact - round(exact)) < GRID_TOLERANCE
        return round(exact) if is_on_grid else None
