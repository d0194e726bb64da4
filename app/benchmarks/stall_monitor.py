"""Measures how long the GUI thread did not respond: a heartbeat every 5 ms, and the gaps between its beats."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer

from app.panels.motion_history import Ring

BEAT_MS = 5
STALL_MS = 50.0
BEATS_KEPT = 120_000  # about 10 minutes of beats: the percentiles cover those, the counts cover everything


@dataclass(frozen=True)
class StallReport:
    """Measured since the last `restart`.

    Attributes:
        seconds: time measured.
        shown_frames, shown_fps: frames that the panel was given to paint.
        stalls: gaps between beats of more than 50 ms.
        worst_gap_ms, p99_gap_ms, median_gap_ms: time between two beats; about 5 where nothing is in the way.
    """

    seconds: float
    shown_frames: int
    shown_fps: float
    stalls: int
    worst_gap_ms: float
    p99_gap_ms: float
    median_gap_ms: float


class StallMonitor(QObject):
    """Heartbeat of the thread it is created in; count shown frames with `frame_shown`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._gaps_ms = Ring(1, BEATS_KEPT)  # as large from the first beat on: it must not look like a leak
        self._clear()

    def start(self) -> None:
        """Begin to measure from now."""
        self._clear()
        self._timer.start()

    def restart(self) -> None:
        """Forget what was measured, e.g. when start-up is over."""
        self._clear()

    def stop(self) -> None:
        """End the heartbeat; the report stays readable."""
        self._timer.stop()

    def frame_shown(self) -> None:
        """Count one painted frame."""
        self._shown += 1

    def report(self) -> StallReport:
        """The figures so far."""
        gaps = self._gaps_ms.rows if len(self._gaps_ms.rows) else np.zeros(1)
        seconds = max(self._last_s - self._began_s, 1e-9)
        return StallReport(
            seconds=seconds,
            shown_frames=self._shown,
            shown_fps=self._shown / seconds if seconds > 1e-6 else 0.0,
            stalls=self._stalls,
            worst_gap_ms=self._worst_ms,
            p99_gap_ms=float(np.percentile(gaps, 99)),
            median_gap_ms=float(np.median(gaps)),
        )

    def _clear(self) -> None:
        self._began_s = self._last_s = time.monotonic()
        self._gaps_ms.clear()
        self._shown = 0
        self._stalls = 0
        self._worst_ms = 0.0

    def _beat(self) -> None:
        now_s = time.monotonic()
        gap_ms = (now_s - self._last_s) * 1e3
        self._last_s = now_s
        self._gaps_ms.append([gap_ms])
        self._stalls += gap_ms > STALL_MS
        self._worst_ms = max(self._worst_ms, gap_ms)
