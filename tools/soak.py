"""Runs the window for as long as it is told: live, recording, replay, re-run, other sources, again and again.

A line each round with memory, threads, files and what went wrong: docs/reliability.md. A display is not needed.

python -m tools.soak --minutes 60
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
from PyQt6.QtCore import QEventLoop, QTimer

from app.application import LiveOptions, LiveSession
from app.benchmarks.live import resident_mb
from app.live.replay_view import ReplayMode
from app.live.state import ModelPhase, Phase
from app.notices import Notice, Severity
from handdgp_core.bundled import bundled

VIDEO = str(bundled("assets/demo/demo.mp4"))
SETTLED = 3  # rounds after which caches, fonts and engines are there
Step = tuple[str, Callable[[], None]]


class Soak:
    """The rounds; `faults` holds every error that was shown and every step that did not get through."""

    def __init__(self, session: LiveSession, folder: Path, step_s: float) -> None:
        self.session, self._folder, self._step_s = session, folder, step_s
        self.results = 0
        self.faults: list[str] = []
        self.rows: list[list[float]] = []
        session.controller.result_ready.connect(self._count)
        session.record.notice.connect(self._hear)
        session.controller.notice.connect(self._hear)

    def run(self, minutes: float) -> None:
        """Until the time is over, whole rounds."""
        self.session.start()
        self._wait(lambda: self.session.controller.status.model_phase is ModelPhase.READY, 180.0)
        began_s = time.monotonic()
        print(f"| minutes | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}", flush=True)
        while time.monotonic() - began_s < 60 * minutes:
            before = self.results
            for name, step in self._round():
                step()
                if not self._wait(self._is_running, 60.0):
                    self.faults.append(f"{name}: {self.session.controller.status.phase.value}")
                self._rest(self._step_s)
            row = [*state_of_process(), self.results - before, len(self.faults)]
            self.rows.append(row)
            cells = " | ".join(f"{value:.0f}" for value in row)
            print(f"| {(time.monotonic() - began_s) / 60:.1f} | {cells} |", flush=True)

    def _round(self) -> Iterator[Step]:
        window, playback, record = self.session.window, self.session.playback, self.session.record
        yield "demo", lambda: window.open_source("demo")
        yield "record", record.start
        recording = record.recording
        if recording is None or not self._wait(lambda: recording.recorder.status.frames > 0, 60.0):
            self.faults.append("nothing was recorded")
            return
        record.stop()
        if not self._wait(lambda: record.recording is None, 60.0):
            self.faults.append("the recording did not end")
        takes = sorted(self._folder.glob("*.mcap"))
        if len(takes) != 1:
            self.faults.append(f"{len(takes)} recordings after one was made")
            return
        yield "replay", lambda: window.open_source(str(takes[0]))
        yield "re-run", lambda: playback.set_mode(ReplayMode.RERUN)
        for place in (0.9, 0.1, 0.5):
            yield "seek", lambda place=place: playback.seek(int(place * playback.count))  # type: ignore[misc]
        yield "video", lambda: window.open_source(VIDEO)
        for take in takes:
            take.unlink()

    def _is_running(self) -> bool:
        return self.session.controller.status.phase is Phase.RUNNING

    def _count(self) -> None:
        self.results += 1

    def _hear(self, notice: Notice) -> None:
        if notice.severity is Severity.ERROR:
            self.faults.append(notice.title)
            print(f"    {notice.title} {notice.text}", flush=True)

    def _rest(self, seconds: float) -> None:
        loop = QEventLoop()
        QTimer.singleShot(int(seconds * 1e3), loop.quit)
        loop.exec()

    def _wait(self, done: Callable[[], bool], limit_s: float) -> bool:
        end_s = time.monotonic() + limit_s
        while not done() and time.monotonic() < end_s:
            self._rest(0.1)
        return done()


COLUMNS = ("MB", "threads", "files", "children", "results", "faults")


def state_of_process() -> list[float]:
    """Resident MB, threads, open files and child processes of this process."""
    own = Path("/proc/self")
    children = (own / "task" / str(os.getpid()) / "children").read_text().split()
    return [resident_mb(), len(os.listdir(own / "task")), len(os.listdir(own / "fd")), len(children)]


def main() -> int:
    """Prints a table and the trend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--step-seconds", type=float, default=10.0, help="how long each source is looked at")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["HANDDGP_LOGS"] = str(Path(name) / "logs")
        takes = Path(name) / "takes"
        options = LiveOptions(source="demo", settings_path=Path(name) / "settings.json", loop=True)
        session = LiveSession(options)
        session.settings.change(recordings_folder=str(takes))
        soak = Soak(session, takes, given.step_seconds)
        try:
            soak.run(given.minutes)
        except Exception:  # which the window's hook would put into a log that is removed
            traceback.print_exc()
            return 1
        code = _judge(soak)
        sys.stdout.flush()
        session.finish()  # may end the process at once, where a thread does not end
    return code


def _judge(soak: Soak) -> int:
    """Tells the trend; 1 where something went wrong, or threads or files grew."""
    rows = np.array(soak.rows[SETTLED:] or soak.rows)
    first, last = rows[: max(1, len(rows) // 5)].mean(axis=0), rows[-max(1, len(rows) // 5) :].mean(axis=0)
    for place, column in enumerate(COLUMNS[:4]):
        print(f"{column}: {first[place]:.1f} in the first fifth, {last[place]:.1f} in the last")
    print(f"{len(soak.rows)} rounds, {soak.results} results, {len(soak.faults)} faults: {soak.faults[:10]}")
    grew = bool((last[1:4] > first[1:4] + 1).any())
    return int(bool(soak.faults) or grew)


if __name__ == "__main__":
    sys.exit(main())
