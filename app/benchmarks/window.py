"""What the benches of the window share: waiting for a hand, giving up, and settings that are not the user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QEventLoop, QObject, QTimer, pyqtSignal

from app.application import LiveOptions, LiveSession
from app.benchmarks.stall_monitor import StallMonitor
from app.environment import has_display
from app.live.state import ModelPhase, Phase

START_LIMIT_S = 180.0


class WindowBench(QObject):
    """Ends with an `error` where the source or the model fails, or no hand comes in time.

    Args:
        session: what is measured.

    Attributes:
        stalls: counts what the window shows, and how long it did not respond, once it is started.

    Signals:
        ended(): for whatever reason.
    """

    ended = pyqtSignal()

    def __init__(self, session: LiveSession) -> None:
        super().__init__()
        self.error = ""
        self.stalls = StallMonitor(self)
        self._session = session
        self._hand_seen = False
        session.window.camera.view.shown.connect(self._on_shown)
        session.controller.result_ready.connect(self._on_result)
        session.controller.status_changed.connect(self._on_status)
        self._after(START_LIMIT_S, self._give_up)

    def run(self) -> None:
        """Start the session, wait for the end, and leave nothing of it behind."""
        loop = QEventLoop()
        self.ended.connect(loop.quit)
        self._session.start()
        loop.exec()
        self.stalls.stop()
        self._session.finish()

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it once, unless this object is gone by then."""
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(call)
        timer.start(int(seconds * 1e3))

    def _on_shown(self) -> None:
        """A picture is painted: frames are told apart by how many hands they have."""
        result = self._session.window.result
        self.stalls.frame_shown(0 if result is None else len(result.hands))

    def _on_result(self) -> None:
        """A result is on screen."""

    def _on_status(self) -> None:
        status = self._session.controller.status
        if status.phase is Phase.FAILED or status.model_phase is ModelPhase.FAILED:
            self.error = status.error
            self._end()

    def _give_up(self) -> None:
        if not self._hand_seen:
            self.error = self.error or f"no hand within {START_LIMIT_S:.0f} s"
            self._end()

    def _end(self) -> None:
        self.ended.emit()


@contextmanager
def bench_session(options: LiveOptions, session: LiveSession | None) -> Iterator[tuple[LiveSession, Path]]:
    """A session to measure, and a folder that is gone afterwards; offscreen where there is no display.

    Args:
        options: without `settings_path` the user's settings are neither read nor written.
        session: made by the caller, or None.
    """
    if not has_display():
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        path = options.settings_path or Path(folder) / "settings.json"
        yield session or LiveSession(replace(options, settings_path=path, loop=True)), Path(folder)
