"""Measures what a recording costs the window: the same source without, with, and again without one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.application import LiveOptions, LiveSession
from app.benchmarks.live import WARM_UP_S, Figures
from app.benchmarks.window import WindowBench, bench_session
from app.live.state import Phase
from app.live.truth import truth_of
from handdgp_core.errors import HandDGPError
from handdgp_core.sessions import SessionReader
from handdgp_core.sessions.recorder import RecorderStatus, SessionRecorder
from handdgp_core.sources.pacing import PacedSource

_REST_SHARE = 0.5  # length of each part without a recording, as a share of the one with


@dataclass(frozen=True)
class _Part:
    """One stretch of the run."""

    recorded: bool
    shown_fps: float
    inferred: int
    captured: int
    skipped: int
    seconds: float
    median_inference_ms: float
    p99_gap_ms: float
    stalls: int


class _Bench(WindowBench):
    """Waits for a hand, then measures part after part."""

    def __init__(self, session: LiveSession, seconds: float) -> None:
        super().__init__(session)
        self._seconds = seconds
        self._plan = [False, True, False]
        self.parts: list[_Part] = []
        self.status: RecorderStatus | None = None
        self._recorder: SessionRecorder | None = None
        self._inference_ms: list[float] = []
        self._marks: dict[str, float] = {}
        session.record.changed.connect(self._on_recording)

    def _on_status(self) -> None:
        super()._on_status()
        if not self.error and self._session.controller.status.phase is Phase.RUNNING:
            self._play_two_hands()

    def _play_two_hands(self) -> None:
        """Of the demo only the part with both hands: the heaviest to infer and to record."""
        source = self._session.controller.source
        truth = None if source is None else truth_of(source)
        if truth is None or not isinstance(source, PacedSource) or source.loop is not None:
            return
        counts = np.bincount(truth.frame_index)
        both = np.flatnonzero(counts == 2)
        if len(both):
            source.set_loop((int(both[0]), int(both[-1])))

    def _on_result(self) -> None:
        result = self._session.window.result
        if result is None or result.preview:
            return
        self._inference_ms.append(result.inference_ms)
        if result.hands and not self._hand_seen:
            self._hand_seen = True
            self._after(WARM_UP_S, self._next_part)

    def _next_part(self) -> None:
        if not self._plan:
            self._end()
            return
        recorded = self._plan.pop(0)
        controller, record = self._session.controller, self._session.record
        if recorded:
            record.start()
            if record.recording is None:
                self.error = "the recording could not be started"
                self._end()
                return
        self._inference_ms.clear()
        source = controller.source
        self._marks = {
            "captured": controller.captured,
            "skipped": source.dropped if isinstance(source, PacedSource) else 0,
            "start_s": time.monotonic(),
        }
        self.stalls.start()
        self._after(self._seconds * (1.0 if recorded else _REST_SHARE), lambda: self._end_part(recorded))

    def _end_part(self, recorded: bool) -> None:
        controller, report = self._session.controller, self.stalls.report()
        source = controller.source
        skipped = source.dropped if isinstance(source, PacedSource) else 0
        self.parts.append(
            _Part(
                recorded, report.shown_fps, len(self._inference_ms), controller.captured - int(self._marks["captured"]),
                skipped - int(self._marks["skipped"]), time.monotonic() - self._marks["start_s"],
                float(np.median(self._inference_ms or [np.nan])), report.p99_gap_ms, report.stalls,
            )
        )  # fmt: skip
        if recorded:
            self._session.record.stop()
            self._wait_for_file()
        else:
            self._next_part()

    def _wait_for_file(self) -> None:
        if self._session.record.recording is None:
            self._next_part()
        else:
            self._after(0.1, self._wait_for_file)

    def _on_recording(self, status: RecorderStatus | None) -> None:
        recording = self._session.record.recording
        if status is not None and recording is not None:
            self._recorder = recording.recorder
        elif self._recorder is not None:
            self.status = self._recorder.status


def measure_recording(options: LiveOptions, seconds: float, session: LiveSession | None = None) -> Figures:
    """Run the window on a source and record it for `seconds`, with half as long before and after without.

    Args:
        options: as for `run_live`; without `settings_path` the user's settings are neither read nor written.
        seconds: length of the recording, which is thrown away.
        session: made by the caller, for tests.
    Returns:
        figures by name: frames shown and inferred per second with and without, frames captured, in the file and lost,
        size of the file, share of one processor that the recorder took, and time to seek in the file.
    Raises:
        HandDGPError: the source, the model or the recording failed.
    """
    with bench_session(options, session) as (measured, folder):
        measured.settings.change(recordings_folder=str(folder))
        bench = _Bench(measured, seconds)
        bench.run()
        status = bench.status
        if bench.error or status is None:
            problem = f"Could not measure a recording: {(bench.error or 'nothing was recorded').rstrip('.')}."
            raise HandDGPError(problem, hint="Try the source with the command `live` first.")
        return _figures(measured.controller.status.source_name, bench.parts, status)


def _figures(source: str, parts: list[_Part], status: RecorderStatus) -> Figures:
    with_it = next(part for part in parts if part.recorded)
    without = [part for part in parts if not part.recorded]
    shown, inferred = _mean(without, "shown_fps"), sum(p.inferred for p in without) / sum(p.seconds for p in without)
    figures: Figures = {
        "source": source,
        "recorded_s": round(status.recorded_s, 1),
        "frames_in_file": status.frames,
        "frames_lost_by_recorder": _lost(status),
        "frames_skipped_by_busy_machine": with_it.skipped,
        "frames_skipped_without_recording": [part.skipped for part in without],
        "results_in_file": status.results,
        "most_frames_waiting": status.most_waiting,
        "file_mb": round(status.bytes_written / 1e6, 1),
        "recorder_cpu_share": round(status.cpu_s / max(status.recorded_s, 1e-9), 3),
        "shown_fps_recording": round(with_it.shown_fps, 2),
        "shown_fps_without": round(shown, 2),
        "shown_ratio": round(with_it.shown_fps / max(shown, 1e-9), 3),
        "inferred_fps_recording": round(with_it.inferred / with_it.seconds, 2),
        "inferred_fps_without": round(inferred, 2),
        "inference_median_ms_recording": round(with_it.median_inference_ms, 1),
        "inference_median_ms_without": round(_mean(without, "median_inference_ms"), 1),
        "gui_p99_gap_ms_recording": round(with_it.p99_gap_ms, 1),
        "gui_p99_gap_ms_without": round(_mean(without, "p99_gap_ms"), 1),
        "gui_stalls_over_50_ms_recording": with_it.stalls,
        "gui_stalls_over_50_ms_without": [part.stalls for part in without],
    }
    return figures | _seeking(status.path)


def _mean(parts: list[_Part], name: str) -> float:
    return sum(float(getattr(part, name)) for part in parts) / len(parts)


def _lost(status: RecorderStatus) -> int:
    """Frames that the recorder took and that cannot be read again from the file, every checksum compared."""
    with SessionReader(status.path) as session:
        damaged = len(session.verify())
        return status.taken - (0 if damaged else session.frame_count)


def _seeking(path: Path, tries: int = 200) -> dict[str, Any]:
    """Milliseconds from a frame's number to its picture, at random places of the file."""
    rng, spent_ms = np.random.default_rng(0), []
    with SessionReader(path) as session:
        for index in rng.integers(0, session.frame_count, tries).tolist():
            began_s = time.perf_counter()
            session.frame(index)
            spent_ms.append((time.perf_counter() - began_s) * 1e3)
    return {
        "seek_p50_ms": round(float(np.percentile(spent_ms, 50)), 1),
        "seek_p95_ms": round(float(np.percentile(spent_ms, 95)), 1),
        "seek_worst_ms": round(max(spent_ms), 1),
    }
