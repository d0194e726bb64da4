"""The last minute of motion and timing in preallocated ring buffers. No Qt."""

from __future__ import annotations

import numpy as np

from app.live.frame_result import FrameResult
from app.live.readout import palm_distance
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
TIME, X, Y, Z, RAW_X, RAW_Y, RAW_Z, DISTANCE, DISTANCE_ERROR, RAW_DISTANCE, FRAME = range(11)
STAGES = ("detection", "rectification", "network", "fit", "positioning", "overlay")


class MotionHistory:
    """Root and distance of each hand side over time.

    Attributes:
        motion: "right" and "left": columns TIME (s), X..Z smoothed root (cm), RAW_X..RAW_Z (cm), DISTANCE of the palm
            (cm), its DISTANCE_ERROR (2 sigma, cm) and RAW_DISTANCE (cm), all NaN where the hand was not seen; and the
            number of the FRAME.
    """

    def __init__(self) -> None:
        self.motion = {"right": Ring(FRAME + 1), "left": Ring(FRAME + 1)}
        self._began_ns: int | None = None
        self._last_ns = 0

    def clear(self) -> None:
        """Forget everything, e.g. when the source changes."""
        for ring in self.motion.values():
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


def _motion_row(time_s: float, result: FrameResult, side: str) -> list[float]:
    for hand, raw in zip(result.hands, result.raw_hands, strict=True):
        if hand.handedness == side:
            roots = [*_root_cm(hand), *_root_cm(raw)]
            return [time_s, *roots, *_distance_cm(hand), _distance_cm(raw)[0], result.frame.index]
    return [time_s] + [float("nan")] * (FRAME - 1) + [result.frame.index]


def _distance_cm(hand: Hand) -> tuple[float, float]:
    found = palm_distance(hand)
    return (float("nan"), float("nan")) if found is None else (found.meters * 1e2, found.error_m * 1e2)


def _root_cm(hand: Hand) -> list[float]:
    return [float(value) * 1e2 for value in hand.root_m]


def timing_row(time_s: float, stage_ms: dict[str, float]) -> list[float]:
    """Time (s), then STAGES (ms), then all other stages together."""
    known = [stage_ms.get(stage, 0.0) for stage in STAGES]
    return [time_s, *known, sum(stage_ms.values()) - sum(known)]
