"""Runs the window for as long as it is told: live, recording, replay, re-run, other sources, again and again.

A line each round with memory and what holds it, threads, files, who draws the 3D view and what went wrong:
docs/reliability.md. A display is not needed. It fails where the 3D view is not drawn by its Open3D child.

python -m tools.soak --minutes 60
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
from PyQt6.QtCore import QEventLoop, QTimer

from app.application import LiveOptions, LiveSession
from app.benchmarks.live import resident_mb
from app.live.replay_view import ReplayMode
from app.live.state import ModelPhase, Phase
from app.notices import Notice, Severity
from app.viewport.supervisor import STATUS_OPEN3D
from app.viewport.widget import ViewportWidget
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
        view = session.window.findChild(ViewportWidget)
        assert view is not None
        self.view = view
        session.controller.result_ready.connect(self._count)
        session.record.notice.connect(self._hear)
        session.controller.notice.connect(self._hear)

    def run(self, minutes: float) -> None:
        """Until the time is over, whole rounds."""
        self.session.start()
        self.session.window.resize(1360, 860)  # the screen that is not there is small, and a narrow window has no 3D
        self._wait(lambda: self.session.controller.status.model_phase is ModelPhase.READY, 180.0)
        self._wait(self._draws_3d, 300.0)
        print(what_runs(self.session, self.view), flush=True)
        began_s = time.monotonic()
        print(f"| minutes | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}", flush=True)
        while time.monotonic() - began_s < 60 * minutes:
            before = self.results
            for name, step in self._round():
                step()
                if not self._wait(self._is_running, 60.0):
                    self.faults.append(f"{name}: {self.session.controller.status.phase.value}")
                self._rest(self._step_s)
            if not self._draws_3d():
                self.faults.append(self.view.status)
            minutes_run = (time.monotonic() - began_s) / 60
            row = [*state_of_process(self.view.renderer_pid), self.results - before, len(self.faults)]
            self.rows.append(row)
            cells = " | ".join(f"{value:.0f}" for value in row)
            print(f"| {minutes_run:.1f} | {cells} |", flush=True)

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

    def _draws_3d(self) -> bool:
        drawn = self.view.statistics
        return self.view.status == STATUS_OPEN3D and drawn is not None and drawn.backend == "open3d"

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


GROWING = ("MB", "own MB", "used MB", "objects", "3D MB", "threads", "files", "children")
COLUMNS = (
    "MB",
    "own MB",
    "used MB",
    "free MB",
    "objects",
    "3D MB",
    "threads",
    "files",
    "children",
    "results",
    "faults",
)


def state_of_process(renderer: int | None) -> list[float]:
    """What this process holds, in the order of `COLUMNS`.

    Resident MB; of it what no file backs; what C's allocator has given out, and what it keeps for later; blocks that
    Python has given out, in thousands; resident MB of the process that draws the 3D view; threads, open files, child
    processes.
    """
    own = Path("/proc/self")
    gc.collect()
    children = sum(len(list_.read_text().split()) for list_ in own.glob("task/*/children"))
    threads, files = len(os.listdir(own / "task")), len(os.listdir(own / "fd"))
    return [
        resident_mb(),
        own_mb(),
        *allocator_mb(),
        sys.getallocatedblocks() / 1e3,
        _resident_mb(renderer),
        threads,
        files,
        children,
    ]


def own_mb() -> float:
    """Resident MB that no file backs; 0 elsewhere than on Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1.024e-3 for line in lines if line.startswith("RssAnon:")), 0.0)


_MALLINFO2 = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [(name, ctypes.c_size_t) for name in _MALLINFO2.split()]


def allocator_mb() -> tuple[float, float]:
    """MB that C's allocator has given out, and MB that it holds for later; zeros without glibc 2.33."""
    if platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        return 0.0, 0.0
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _MallInfo
    told = ask()
    return (told.uordblks + told.hblkhd) / 1e6, told.fordblks / 1e6


def _resident_mb(process: int | None) -> float:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def what_runs(session: LiveSession, view: ViewportWidget) -> str:
    """A line of the engine, the renderer and the libraries that hold memory of their own."""
    settings = session.settings.current
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "mediapipe", "open3d", "PyQt6"))
    return f"model {settings.model}, engine {settings.engine}, {view.status} (process {view.renderer_pid}); {versions}"


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
    """Tells the trend; 1 where something went wrong, or threads, files or children grew."""
    rows = np.array(soak.rows[SETTLED:] or soak.rows)
    fifth = max(1, len(rows) // 5)
    first, last = rows[:fifth].mean(axis=0), rows[-fifth:].mean(axis=0)
    for name in GROWING:
        place = COLUMNS.index(name)
        print(f"{name}: {first[place]:.1f} in the first fifth, {last[place]:.1f} in the last")
    print(f"{len(soak.rows)} rounds, {soak.results} results, {len(soak.faults)} faults: {soak.faults[:10]}")
    counted = [COLUMNS.index(name) for name in ("threads", "files", "children")]
    return int(bool(soak.faults) or bool((last[counted] > first[counted] + 1).any()))


if __name__ == "__main__":
    sys.exit(main())
