"""The last minute of motion and timing in preallocated ring buffers. No Qt."""

from __future__ import annotations

import numpy as np

from app.live.frame_result import FrameResult
from app.live.readout import depth_error_m
from handdgp_core.arrays import Array
from handdgp_core.types import Hand

CAPACITY = 60 * 60  # a minute at 60 frames per second


class Ring:
    """Rows of a fixed number of columns, the newest `capacity` of them, oldest first.

    Args:
        columns: numbers a row.
        capacity: rows kept.
    """

    def __init__(self, columns: int, capacity: int = CAPACITY) -> None:
        # Every row is written twice, half the buffer apart, so that the newest rows always lie in one piece.
        self._rows = np.full((2 * capacity, columns), np.nan)
        self._capacity = capacity
        self._count = 0

    def append(self, row: Array | list[float]) -> None:
        """Add the newest row."""
        slot = self._count % self._capacity
        self._rows[slot] = self._rows[slot + self._capacity] = row
        self._count += 1

    def clear(self) -> None:
        """Forget every row."""
        self._count = 0

    @property
    def rows(self) -> Array:
        """(N, columns) a view, oldest first; the next `append` may change it."""
        if self._count <= self._capacity:
            return self._rows[: self._count]
        start = self._count % self._capacity
        return self._rows[start : start + self._capacity]

    def last(self, span: float, column: int = 0) -> Array:
        """(N, columns) the rows whose `column`, which must ascend, is within `span` of the newest."""
        rows = self.rows
        if not len(rows):
            return rows
        return rows[np.searchsorted(rows[:, column], rows[-1, column] - span) :]


# Columns of the motion ring.
TIME, X, Y, Z, RAW_X, RAW_Y, RAW_Z, Z_ERROR = range(8)
STAGES = ("detection", "rectification", "network", "fit", "positioning", "overlay")


class MotionHistory:
    """Root of each hand side over time, and milliseconds of each stage.

    Attributes:
        motion: "right" and "left": columns TIME (s), X..Z smoothed root (cm), RAW_X..RAW_Z (cm), Z_ERROR (2 sigma, cm);
            NaN where the hand was not seen.
        timing: column 0 time (s), then STAGES (ms), one further column for all other stages.
    """

    def __init__(self) -> None:
        self.motion = {"right": Ring(8), "left": Ring(8)}
        self.timing = Ring(2 + len(STAGES))
        self._began_ns: int | None = None
        self._last_ns = 0

    def clear(self) -> None:
        """Forget everything, e.g. when the source changes."""
        for ring in (*self.motion.values(), self.timing):
            ring.clear()
        self._began_ns = None

    def add(self, result: FrameResult) -> None:
        """Take in one result; one that is not newer than the last is left out, and going back in time clears."""
        stamp_ns = result.frame.stamp_ns
        if self._began_ns is not None and stamp_ns < self._last_ns:
            self.clear()
        if self._began_ns is None:
            self._began_ns = stamp_ns
        elif stamp_ns == self._last_ns:
            return
        self._last_ns = stamp_ns
        time_s = (stamp_ns - self._began_ns) / 1e9
        for side, ring in self.motion.items():
            ring.append(_motion_row(time_s, result, side))
        self.timing.append(_timing_row(time_s, result.stage_ms))


def _motion_row(time_s: float, result: FrameResult, side: str) -> list[float]:
    for hand, raw in zip(result.hands, result.raw_hands, strict=True):
        if hand.handedness == side:
            return [time_s, *_root_cm(hand), *_root_cm(raw), depth_error_m(hand) * 1e2]
    return [time_s] + [float("nan")] * 7


def _root_cm(hand: Hand) -> list[float]:
    return [float(value) * 1e2 for value in hand.root_m]


def _timing_row(time_s: float, stage_ms: dict[str, float]) -> list[float]:
    known = [stage_ms.get(stage, 0.0) for stage in STAGES]
    return [time_s, *known, sum(stage_ms.values()) - sum(known)]
