"""Measures the real window on a source: shown frames, stalls of the GUI thread, inference time and memory."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import QTimer

from app.application import LiveOptions, LiveSession
from app.benchmarks.stall_monitor import WorkReport
from app.benchmarks.window import WindowBench, bench_session
from handdgp_core.errors import HandDGPError

WARM_UP_S = 3.0  # after the first hand: caches, fonts and the 3D process are part of the start, not of the run
MEMORY_EVERY_S = 10.0
Figures = dict[str, Any]


@dataclass
class _Samples:
    """What is collected while the window runs."""

    inference_ms: list[float] = field(default_factory=list)
    overlay_ms: list[float] = field(default_factory=list)
    hands: list[int] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


class _Bench(WindowBench):
    """Waits for the first hand, lets things settle, measures for a time, then says `ended`."""

    def __init__(self, session: LiveSession, seconds: float) -> None:
        super().__init__(session)
        self._seconds = seconds
        self._began_s = time.monotonic()
        self._first_picture_s: float | None = None
        self._first_hand_s: float | None = None
        self._samples = _Samples()
        self._measuring = False
        self._skipped_before = 0
        self.figures: Figures = {}
        self._memory_timer = QTimer(self)
        self._memory_timer.setInterval(int(MEMORY_EVERY_S * 1e3))
        self._memory_timer.timeout.connect(self._sample_memory)

    def _on_result(self) -> None:
        result = self._session.window.result
        if result is None:
            return
        now_s = time.monotonic()
        self._first_picture_s = self._first_picture_s or now_s - self._began_s
        if result.hands and not self._hand_seen:
            self._hand_seen, self._first_hand_s = True, now_s - self._began_s
            self._after(WARM_UP_S, self._measure)
        if self._measuring and not result.preview:
            self._samples.hands.append(len(result.hands))
            self._samples.inference_ms.append(result.inference_ms)
            self._samples.overlay_ms.append(result.stage_ms.get("overlay", np.nan))

    def _measure(self) -> None:
        self._measuring = True
        self._skipped_before = self._session.controller.rates.skipped
        self._sample_memory()
        self._memory_timer.start()
        self.stalls.start()
        self._after(self._seconds, self._finish)

    def _sample_memory(self) -> None:
        self._samples.memory_mb.append(round(resident_mb(), 1))

    def _finish(self) -> None:
        self._sample_memory()
        report = self.stalls.report()
        samples, controller = self._samples, self._session.controller
        inference, hands = np.array(samples.inference_ms or [np.nan]), np.array(samples.hands)
        self.figures = {
            "source": controller.status.source_name,
            "model": controller.status.model_name,
            "seconds": round(report.seconds, 1),
            "first_picture_s": _rounded(self._first_picture_s),
            "first_mesh_s": _rounded(self._first_hand_s),
            "captured_fps": round(controller.rates.captured_fps, 1),
            "shown_fps": round(report.shown_fps, 1),
            "gui_stalls_over_50_ms": report.stalls,
            "gui_worst_gap_ms": round(report.worst_gap_ms, 1),
            "gui_p99_gap_ms": round(report.p99_gap_ms, 1),
            "gui_p95_gap_ms": round(report.p95_gap_ms, 1),
            "gui_median_gap_ms": round(report.median_gap_ms, 1),
            "gui_work_ms": _work(report.work),
            "inference_median_ms": round(float(np.median(inference)), 1),
            "inference_p95_ms": round(float(np.percentile(inference, 95)), 1),
            "frames_skipped": controller.rates.skipped - self._skipped_before,
            "share_with_hands": round(float((hands > 0).mean()) if len(hands) else 0.0, 4),
            "one_hand": self._of_hands(1),
            "two_hands": self._of_hands(2),
            "memory_start_mb": samples.memory_mb[0],
            "memory_end_mb": samples.memory_mb[-1],
            "memory_mb": samples.memory_mb,
        }
        self._end()

    def _of_hands(self, count: int) -> Figures | None:
        """What is shown, and what it costs, while so many hands are seen; None where they never were."""
        samples, work = self._samples, self.stalls.work(count)
        seen = np.array(samples.hands) == count
        if not work.frames or not seen.any():
            return None
        return {
            "frames": work.frames,
            "shown_fps": round(work.fps, 1),
            "gui_work_ms": _work(work),
            "inference_median_ms": round(float(np.median(np.array(samples.inference_ms)[seen])), 1),
            "overlay_median_ms": round(float(np.nanmedian(np.array(samples.overlay_ms)[seen])), 1),
        }

    def _end(self) -> None:
        self._memory_timer.stop()
        super()._end()


def _work(report: WorkReport) -> Figures:
    return {name: round(getattr(report, f"{name}_ms"), 1) for name in ("median", "p95", "max")}


def measure_live(
    options: LiveOptions, seconds: float = 30.0, session: LiveSession | None = None, panel: str | None = None
) -> Figures:
    """Run the window on a source and measure it; files are played again and again.

    Args:
        options: as for `run_live`; without `settings_path` the user's settings are neither read nor written.
        seconds: time measured, after the first hand was shown and a warm-up.
        session: made by the caller, for tests.
        panel: the one that is open, "" for none; by default the one of the settings.
    Returns:
        figures by name: frames shown per second, GUI stalls over 50 ms, worst and 99th percentile gap of a 5 ms
        heartbeat, the GUI thread's work for a shown frame, inference in ms, frames skipped, the same of the frames
        with one hand and with two, resident memory in MB at start, every 10 s and at the end, and seconds from the
        start of this function to the first picture and the first mesh.
    Raises:
        HandDGPError: the source or the model failed, or no hand was seen in time.
    """
    with bench_session(options, session) as (measured, _):
        if panel is not None:
            measured.settings.change(panel=panel)
        bench = _Bench(measured, seconds)
        bench.run()
    if bench.error:
        problem = f"Could not measure the window: {bench.error.rstrip('.')}."
        raise HandDGPError(problem, hint="Try the source with the command `live` first.")
    return bench.figures


def resident_mb() -> float:
    """Resident memory of this process in MB; elsewhere than on Linux the highest so far; 0 where unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
