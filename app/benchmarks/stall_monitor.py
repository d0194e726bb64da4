"""Measures the GUI thread: how long it did not respond (gaps of a 5 ms heartbeat), and its work for a shown frame."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer

from app.panels.motion_history import Ring

BEAT_MS = 5
STALL_MS = 50.0
BEATS_KEPT = 120_000  # about 10 minutes of beats: the percentiles cover those, the counts cover everything
FRAMES_KEPT = 36_000  # 20 minutes at 30 a second
_KIND, _SECONDS, _WORK_MS = range(3)


@dataclass(frozen=True)
class WorkReport:
    """What the frames of one kind cost the GUI thread.

    Attributes:
        frames: shown.
        fps: of the time that passed before each of them.
        median_ms, p95_ms, max_ms: processor time of the GUI thread from one shown frame to the next, with whatever
            else it did meanwhile (panels, the 3D view, this monitor). What it waits for, other threads and programs
            above all, is not in it. NaN without frames.
    """

    frames: int
    fps: float
    median_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True)
class StallReport:
    """Measured since the last `restart`.

    Attributes:
        seconds: time measured.
        shown_frames, shown_fps: frames that the panel was given to paint.
        stalls: gaps between beats of more than 50 ms.
        worst_gap_ms, p99_gap_ms, p95_gap_ms, median_gap_ms: time between two beats; about 5 where nothing is in the
            way.
        work: of all shown frames.
    """

    seconds: float
    shown_frames: int
    shown_fps: float
    stalls: int
    worst_gap_ms: float
    p99_gap_ms: float
    p95_gap_ms: float
    median_gap_ms: float
    work: WorkReport


class StallMonitor(QObject):
    """Heartbeat of the thread it is created in; count shown frames with `frame_shown`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._gaps_ms = Ring(1, BEATS_KEPT)  # as large from the first beat on: it must not look like a leak
        self._frames = Ring(3, FRAMES_KEPT)
        self._shown, self._frame_s, self._work_s = 0, 0.0, 0.0
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

    def frame_shown(self, kind: int = 0) -> None:
        """Count one painted frame, and what the GUI thread did since the one before; `kind` is the caller's own."""
        self._shown += 1
        now_s, work_s = time.monotonic(), time.thread_time()
        self._frames.append([kind, now_s - self._frame_s, (work_s - self._work_s) * 1e3])
        self._frame_s, self._work_s = now_s, work_s

    def work(self, kind: int | None = None) -> WorkReport:
        """Of the shown frames of one kind, or of all."""
        rows = self._frames.rows[1:]  # what lay before the first one is not known
        rows = rows if kind is None else rows[rows[:, _KIND] == kind]
        if not len(rows):
            return WorkReport(0, 0.0, np.nan, np.nan, np.nan)
        median, p95, highest = np.percentile(rows[:, _WORK_MS], (50, 95, 100)).tolist()
        return WorkReport(len(rows), len(rows) / max(float(rows[:, _SECONDS].sum()), 1e-9), median, p95, highest)

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
            p95_gap_ms=float(np.percentile(gaps, 95)),
            median_gap_ms=float(np.median(gaps)),
            work=self.work(),
        )

    def _clear(self) -> None:
        self._began_s = self._last_s = time.monotonic()
        self._gaps_ms.clear()
        self._frames.clear()
        self._frame_s, self._work_s = self._began_s, time.thread_time()
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
