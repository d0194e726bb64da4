"""The parts of the window that belong to recordings: red mark, transport bar, comparison; and their wiring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QDockWidget, QWidget

from app.live.controller import Controller
from app.live.frame_result import FrameResult
from app.live.replay_view import ReplayMode, ReplayView
from app.live.settings_store import SettingsStore
from app.notices import Action, Notice, Severity
from app.panels.comparison import ComparisonPanel
from app.panels.record_mark import RecordMark
from app.panels.settings_panel import SettingsPanel
from app.panels.transport import TransportBar
from app.sessions.playback import CAPTURED, Playback
from app.sessions.record_control import RecordControl
from app.sessions.rerun import RerunProgress, RerunWorker, comparison_picture
from app.window import file_dialogs as questions
from app.window.actions import retitle
from app.window.saving import Saver, free_path, write_png
from handdgp_core.sessions.parts import finished_path
from handdgp_core.sessions.recorder import RecorderStatus

FIND, REPAIR, PICTURE, SAVE_PICTURE = "find recordings", "repair", "comparison picture", "comparison"
# Whatever changes the result makes old comparisons void.
_MATTERS = frozenset({*CAPTURED, "calibration_path", "device"})


class SessionParts(QObject):
    """Made by the window, which places the widgets.

    Args:
        window: parent of the widgets.
        controller, record, playback, settings, saver: the window's.
        actions: the window's commands by name.
        form: shows the settings.
        open_source: opens another source.
        tell: shows a notice.

    Attributes:
        mark, transport, comparison: widgets to be placed.
        dock: of the comparison, once the window has made it.
    """

    _progress = pyqtSignal(object)

    def __init__(
        self,
        window: QWidget,
        controller: Controller,
        record: RecordControl,
        playback: Playback,
        settings: SettingsStore,
        saver: Saver,
        actions: dict[str, QAction],
        form: SettingsPanel,
        open_source: Callable[[str], None],
        tell: Callable[[Notice], None],
    ) -> None:
        super().__init__(window)
        self._window, self._controller, self._settings, self._saver = window, controller, settings, saver
        self._record, self._playback = record, playback
        self._actions, self._form, self._open, self._tell = actions, form, open_source, tell
        self._rerun: RerunWorker | None = None
        self.mark = RecordMark(window)
        self.transport = TransportBar(playback, actions, controller.adopt, window)
        self.comparison = ComparisonPanel(window)
        self.dock: QDockWidget | None = None
        self._connect_recording()
        self._connect_replay()
        self._connect_comparison()
        self._on_recording(None)

    # Wiring

    def _connect_recording(self) -> None:
        record = self._record
        record.changed.connect(self._on_recording)
        record.notice.connect(self._tell)
        self._on("record", record.toggle)
        self._on("burst", lambda: record.toggle(lossless=True))
        self._on("recordings_folder", self._choose_folder)
        self._on("open_session", lambda: self._ask(questions.ask_session, self._open))
        self._on("repair", lambda: self._ask(questions.ask_session, lambda path: self.repair(Path(path))))
        self._form.choose_recordings.connect(self._choose_folder)
        self._controller.status_changed.connect(self._show_what_can_be_done)
        self._controller.job_done.connect(self._on_job_done)

    def _connect_replay(self) -> None:
        playback = self._playback
        playback.opened.connect(self._on_opened)
        playback.changed.connect(self._on_replay_changed)
        self._settings.changed.connect(self._form.refresh)
        self._on("step", lambda: playback.step(1) if playback.player is not None else self._controller.step())
        self._on("step_back", lambda: playback.step(-1))
        self._actions["loop"].triggered.connect(playback.set_repeats)
        self._on("mark_a", lambda: playback.mark(0, self._here()))
        self._on("mark_b", lambda: playback.mark(1, self._here()))

    def _connect_comparison(self) -> None:
        panel = self.comparison
        panel.run_requested.connect(self.compare_all)
        panel.cancel_requested.connect(self.cancel_comparison)
        panel.picture_requested.connect(self._make_picture)
        panel.save_requested.connect(self._save_picture)
        panel.sought.connect(self._playback.seek)
        self._progress.connect(self._on_progress)

    def _on(self, name: str, run: Callable[[], Any]) -> None:
        self._actions[name].triggered.connect(lambda checked=False: run())

    def _ask(self, question: Callable[[QWidget, str], str], use: Callable[[str], None]) -> None:
        answer = question(self._window, str(self._record.folder))
        if answer:
            use(answer)

    # Recording

    def find_unfinished(self) -> None:
        """Look in the background for recordings that were never finished, and offer to repair one."""
        self._controller.submit(FIND, self._record.unfinished)

    def repair(self, path: Path) -> None:
        """Finish or rescue a recording in the background; a notification shows the outcome."""
        self._tell(Notice(Severity.INFO, f"Repairing {path.name}…", topic=REPAIR))

        def run() -> Any:
            from handdgp_core.sessions.repair import repair as repaired

            target = finished_path(path)
            return repaired(path, free_path(target.parent, target.stem, target.suffix) if target.exists() else None)

        self._controller.submit(REPAIR, run)

    def act_on(self, notice: Notice) -> None:
        """What the button of a notice about recordings does."""
        if notice.path is not None and notice.action is Action.REPLAY:
            self._open(str(notice.path))
        elif notice.path is not None and notice.action is Action.REPAIR:
            self.repair(notice.path)

    def _on_recording(self, status: RecorderStatus | None) -> None:
        recording = self._record.recording is not None
        record = self._actions["record"]
        record.setChecked(recording)
        retitle(record, "Stop" if recording else "Record")
        if status is None or not recording:
            self.mark.hide()
        else:
            self.mark.show_recording(status.recorded_s, status.bytes_written / 1e6, status.waiting)
        self._show_what_can_be_done()

    def _show_what_can_be_done(self) -> None:
        recording = self._record.recording is not None
        self._actions["record"].setEnabled(recording or self._record.can_record)
        self._actions["burst"].setEnabled(not recording and self._record.can_record)

    def _choose_folder(self) -> None:
        chosen = questions.ask_output_folder(self._window, self._record.folder)
        if chosen:
            self._settings.change(recordings_folder=chosen)
            self._form.refresh()

    def _on_job_done(self, name: str, result: object) -> None:
        if name == FIND and isinstance(result, list) and result:
            self._offer_repair(result)
        elif name == REPAIR:
            severity = Severity.WARNING if result.losses else Severity.INFO  # type: ignore[attr-defined]
            title, path = f"{result.path.name}: {result.summary}.", result.path  # type: ignore[attr-defined]
            self._tell(Notice(severity, title, str(path), action=Action.REPLAY, path=path, topic=REPAIR))
        elif name == PICTURE:
            self.comparison.show_picture(*result)  # type: ignore[misc]

    def _offer_repair(self, paths: list[Path]) -> None:
        newest = paths[-1]
        more = f" Unfinished recordings there: {len(paths)}." if len(paths) > 1 else ""
        self._tell(
            Notice(
                Severity.WARNING, f"{newest.name} was never finished: the program or the computer stopped.",
                f"It can be repaired; only its last moment is missing. Folder: {newest.parent}.{more}",
                action=Action.REPAIR, path=newest, topic=REPAIR,
            )
        )  # fmt: skip

    # Replay

    def show_result(self, result: FrameResult) -> None:
        """A new frame is on screen."""
        playback = self._playback
        if playback.session is not None:
            playback.show_settings_of(result.frame.index)
            self.comparison.show_result(result)

    def on_setting(self, name: str) -> None:
        """The user changed a setting."""
        if name in _MATTERS and self._playback.session is not None:
            self.cancel_comparison()
            self.comparison.clear()

    def _here(self) -> int:
        player = self._playback.player
        return 0 if player is None else max(player.position - 1, 0)

    def _on_opened(self) -> None:
        playback = self._playback
        session = playback.session
        self.cancel_comparison()
        self.comparison.set_session(None if session is None else session.times_ns)
        self._form.show_recorded_camera(None if session is None else _camera_name(session.facts))
        for name in ("step_back", "loop", "mark_a", "mark_b"):
            self._actions[name].setEnabled(playback.count > 1)
        if session is None and self.dock is not None:
            self.dock.hide()  # there is nothing to compare
        self._on_replay_changed()
        if session is not None and session.warnings:
            self._tell(Notice(Severity.WARNING, f"{session.path.name}: {session.warnings[0]}.", topic="skipped"))

    def _on_replay_changed(self) -> None:
        playback = self._playback
        self._actions["loop"].setChecked(playback.repeats)
        both = playback.session is not None and playback.mode is ReplayMode.BOTH
        if both and self.dock is not None and not self.dock.isVisible():
            self.dock.show()
            self.dock.raise_()

    # Comparison

    def compare_all(self) -> None:
        """Run the model of the settings over all frames of the session."""
        session = self._playback.session
        if session is None or self._rerun is not None:
            return
        settings = self._settings.current
        self._rerun = RerunWorker(
            ReplayView(session), lambda: self._controller.make_estimator(settings), self._controller.options,
            self._report,
        )  # fmt: skip
        self.comparison.set_running(RerunProgress(self._rerun, 0, session.frame_count))
        self._controller.adopt(self._rerun)

    def cancel_comparison(self) -> None:
        """Stop a run over all frames; what it found stays."""
        if self._rerun is not None:
            self._rerun.request_stop()
            self._rerun = None
            self.comparison.set_running(None)

    def _report(self, progress: RerunProgress) -> None:
        """Called in the worker's thread."""
        try:
            self._progress.emit(progress)
        except RuntimeError:  # the window is gone
            return

    def _on_progress(self, progress: RerunProgress) -> None:
        if progress.worker is not self._rerun:
            return
        self.comparison.set_running(progress)
        self.comparison.show_table(progress.worker.table)
        if progress.ended:
            self._rerun = None
            if progress.error is not None:
                self._controller.tell(progress.error)

    def _make_picture(self, result: FrameResult) -> None:
        recorded, again = result.recorded or [], result.raw_hands
        self._controller.submit(
            PICTURE, lambda: (result, comparison_picture(result.frame, result.camera, recorded, again))
        )

    def _save_picture(self) -> None:
        picture = self.comparison.picture
        if picture is None:
            return
        folder = self._saver.folder("snapshot_folder")
        stem = f"{Path(self._controller.status.source_name).stem}-comparison-{self.comparison.frame or 0:06d}"
        self._controller.submit(SAVE_PICTURE, lambda: write_png(picture, folder, stem))

    def shutdown(self) -> None:
        """The window is about to close."""
        self.cancel_comparison()
        self.transport.shutdown()
        self.comparison.shutdown()


def _camera_name(facts: dict[str, str]) -> str:
    name, source = facts.get("camera", ""), facts.get("camera_source", "")
    return "assumed" if source == "assumed" else name or "calibrated"
