"""Starts, stops and watches recordings for the window. Lives in the GUI thread; the recorder has its own."""

from __future__ import annotations

import time
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.live.state import Phase
from app.notices import Action, Notice, Severity, notice_of_error
from app.sessions.session_tap import Recording, recorded_settings
from handdgp_core.errors import HandDGPError
from handdgp_core.locks import is_being_written
from handdgp_core.sessions.parts import find_unfinished, new_session_path
from handdgp_core.sessions.recorder import RecorderStatus

POLL_MS = 250
FRESH_S = 10.0  # older versions of this program, which take no lock, write at least this often
LONG_JOIN_S = 30.0
TOPIC = "recording"


class RecordControl(QObject):
    """At most one recording at a time. Off until the user starts one; ends with its source.

    Args:
        controller: whose frames and results are recorded.
        settings: where to, and how.

    Signals:
        changed(RecorderStatus or None): while recording four times a second; None when none is under way.
        notice(Notice): for the window.
    """

    changed = pyqtSignal(object)
    notice = pyqtSignal(object)
    _ended = pyqtSignal(object)

    def __init__(self, controller: Controller, settings: SettingsStore) -> None:
        super().__init__(controller)
        self._controller, self._settings = controller, settings
        self._recording: Recording | None = None
        self._warned = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._ended.connect(self._on_end)
        controller.source_left.connect(self.stop)  # a file holds one source
        settings.changed.connect(self._note_settings)

    @property
    def recording(self) -> Recording | None:
        """The one under way."""
        return self._recording

    @property
    def can_record(self) -> bool:
        """Whether there is a source whose frames are not a recording already."""
        controller = self._controller
        return controller.status.phase in (Phase.RUNNING, Phase.PAUSED) and controller.options.replay is None

    @property
    def folder(self) -> Path:
        """Where recordings are kept."""
        chosen = self._settings.current.recordings_folder
        return Path(chosen) if chosen else Path.home() / "HandDGP Live" / "recordings"

    def toggle(self, lossless: bool = False) -> None:
        """Start a recording, or end the one under way."""
        if self._recording is None:
            self.start(lossless)
        else:
            self.stop()

    def start(self, lossless: bool = False) -> None:
        """Begin to record what the source gives from now on; a notice where that cannot be."""
        if self._recording is not None:
            return
        controller = self._controller
        if not self.can_record:
            hint = "Open a webcam or another source first; recordings cannot be re-recorded."
            self.notice.emit(Notice(Severity.WARNING, "Nothing to record.", hint, topic=TOPIC))
            self.changed.emit(None)
            return
        path = new_session_path(self.folder, controller.status.source_name)
        try:
            self._recording = Recording(
                path, self._settings.current, controller.status, lambda: controller.options, lossless, self._tell_end
            )
        except HandDGPError as error:
            self.notice.emit(notice_of_error(error, topic=TOPIC))
            self.changed.emit(None)
            return
        self._warned = False
        controller.tap(self, self._recording.on_frame, self._recording.on_result)
        self._timer.start()
        self._poll()

    def stop(self) -> None:
        """End the recording; the file is finished in the background, and a notice names it."""
        if self._recording is not None:
            self._controller.untap(self)
            self._recording.recorder.stop()

    def shutdown(self) -> bool:
        """Finish the file before the program ends; False if the disk still has not taken it after a long wait."""
        self._timer.stop()
        if self._recording is None:
            return True
        self.stop()
        return self._recording.recorder.join(LONG_JOIN_S)

    def unfinished(self) -> list[Path]:
        """Recordings that were never finished, and are not being written now. Looks at the disk."""
        now_s = time.time()
        settled = [path for path in find_unfinished(self.folder) if now_s - path.stat().st_mtime > FRESH_S]
        return [path for path in settled if not is_being_written(path)]

    def _note_settings(self) -> None:
        if self._recording is not None:
            self._recording.recorder.add_settings(recorded_settings(self._settings.current))

    def _poll(self) -> None:
        if self._recording is None:
            return
        status = self._recording.recorder.status
        self.changed.emit(status)
        if status.warning and not self._warned:
            self._warned = True
            title = f"Little disk space: {status.warning}."
            self.notice.emit(
                Notice(Severity.WARNING, title, "The recording stops before the disk is full.", topic="disk")
            )

    def _tell_end(self, status: RecorderStatus) -> None:
        """Called in the recorder's thread."""
        try:
            self._ended.emit(status)
        except RuntimeError:  # the window is gone; the file is finished all the same
            return

    def _on_end(self, status: RecorderStatus) -> None:
        """Every recording comes here once, however it ended."""
        if self._recording is None or self._recording.recorder.path != status.asked_path:
            return
        self._controller.untap(self)
        self._recording = None
        self._timer.stop()
        self.changed.emit(None)
        if status.error is not None:
            self.notice.emit(notice_of_error(status.error, topic=TOPIC))
        if status.state.value == "finished":
            self.notice.emit(_saved(status))


def _saved(status: RecorderStatus) -> Notice:
    if status.frames == 0:
        return Notice(Severity.INFO, "Nothing was recorded: the source gave no frame.", topic="recorded")
    size = f"{status.bytes_written / 1e6:.0f} MB"
    why = f" Stopped: {status.reason}." if status.reason and status.error is None else ""
    whole = "" if status.missed else "; no frame was lost"
    title = f"Recorded {status.completeness}{whole} ({status.recorded_s:.0f} s, {size})."
    action = Action.REPLAY if status.error is None else Action.OPEN_FOLDER
    return Notice(
        Severity.INFO, title, f"{status.path}.{why}", action=action, folder=status.path.parent,
        path=status.path, topic="recorded",
    )  # fmt: skip
