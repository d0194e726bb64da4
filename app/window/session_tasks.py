"""Long work on the open recording: results for frames that have none, and its export. One at a time, in background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QWidget

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.notices import Action, Notice, Severity, count_of
from app.panels.task_strip import TaskStrip
from app.sessions.completion import Completion, complete_results
from app.sessions.exporting import Exported, export_recorded
from app.sessions.playback import Playback
from app.sessions.task import Job, TaskProgress, TaskWorker
from app.window.export_dialog import ExportChoice, ExportDialog
from app.window.saving import Saver, free_path
from handdgp_core.sessions import SessionReader

__all__ = ["SessionTasks"]

TOPIC = "task"


class SessionTasks(QObject):
    """Starts, shows and cancels them.

    Args:
        window: parent of the dialog and of `strip`, which the window places.
        controller, playback, settings, saver, actions: the window's.

    Signals:
        notice(Notice): for the window.
    """

    notice = pyqtSignal(object)
    _progress = pyqtSignal(object)

    def __init__(
        self,
        window: QWidget,
        controller: Controller,
        playback: Playback,
        settings: SettingsStore,
        saver: Saver,
        actions: dict[str, QAction],
    ) -> None:
        super().__init__(window)
        self._window, self._controller, self._playback = window, controller, playback
        self._settings, self._saver, self._actions = settings, saver, actions
        self._worker: TaskWorker | None = None
        self.strip = TaskStrip(window)
        self.strip.cancelled.connect(self.cancel)
        self._progress.connect(self._on_progress)
        actions["complete"].triggered.connect(lambda checked=False: self.complete())
        actions["export_session"].triggered.connect(lambda checked=False: self.ask_export())
        playback.opened.connect(self._show_what_can_be_done)
        self._show_what_can_be_done()

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._worker is not None

    def complete(self) -> None:
        """Estimate the frames of the open recording that have no result, into a new recording beside it."""
        session = self._playback.session
        if session is None:
            return
        path, settings = session.path, self._settings.current

        def job(progress: Callable[[float], None], cancelled: Event) -> Notice:
            estimator = self._controller.make_estimator(settings)
            try:
                with SessionReader(path) as own:  # that of the player may be closed at any moment
                    done = complete_results(own, estimator, None, progress, cancelled, settings.assumed_fov_deg)
            finally:
                estimator.close()
            return _completed(done)

        self._start(f"Completing results of {path.name}", job)

    def ask_export(self) -> None:
        """Ask which formats, which part and where; then export."""
        session = self._playback.session
        if session is None or self.busy:
            return
        stem = session.path.name.partition(".mcap")[0]
        folder = free_path(self._saver.folder("export_folder"), stem, "")
        dialog = ExportDialog(session.frame_count, self._playback.part, folder, self._window)
        path = session.path
        dialog.chosen.connect(lambda choice: self.export(path, choice))
        dialog.open()

    def export(self, path: Path, choice: ExportChoice) -> None:
        """Export a recording."""

        def job(progress: Callable[[float], None], cancelled: Event) -> Notice:
            with SessionReader(path) as own:
                done = export_recorded(
                    own, choice.folder, choice.formats, choice.first, choice.last, progress, cancelled
                )  # fmt: skip
            return _exported(done, choice.folder)

        self._start(f"Exporting {path.name}", job)

    def cancel(self) -> None:
        """Stop; what is done is kept."""
        if self._worker is not None:
            self._worker.request_stop()

    # Inside

    def _start(self, title: str, job: Job) -> None:
        if self._worker is not None:
            return
        self._worker = TaskWorker(title, job, self._report)
        self.strip.show_task(title, 0.0)
        self._show_what_can_be_done()
        self._controller.adopt(self._worker)

    def _report(self, progress: TaskProgress) -> None:
        """Called in the worker's thread."""
        try:
            self._progress.emit(progress)
        except RuntimeError:  # the window is gone
            return

    def _on_progress(self, progress: TaskProgress) -> None:
        if progress.worker is not self._worker:
            return
        if progress.outcome is None:
            self.strip.show_task(progress.worker.title, progress.share)
            return
        self._worker = None
        self.strip.hide()
        self._show_what_can_be_done()
        self.notice.emit(replace(progress.outcome, topic=TOPIC))

    def _show_what_can_be_done(self) -> None:
        session = self._playback.session
        there = session is not None and self._worker is None
        self._actions["export_session"].setEnabled(there)
        self._actions["complete"].setEnabled(
            there and session is not None and session.result_count < session.frame_count
        )


def _completed(done: Completion) -> Notice:
    have = done.before + done.added
    begun = "Cancelled" if done.is_cancelled else "Completed"
    title = f"{begun}: results for {have} of {count_of(done.frames, 'frame')}."
    damaged = f" {count_of(done.damaged, 'damaged frame')} skipped." if done.damaged else ""
    text = f"{done.path}: {done.added} added, {done.before} as recorded.{damaged}"
    return Notice(Severity.INFO, title, text, action=Action.REPLAY, folder=done.path.parent, path=done.path)


def _exported(done: Exported, folder: Path) -> Notice:
    begun = "Export cancelled" if done.is_cancelled else "Exported"
    counts = ((done.frames, "frame"), (done.hands, "hand"), (done.files, "file"))
    title = f"{begun}: {', '.join(count_of(count, thing) for count, thing in counts)}."
    without = count_of(done.without_result, "frame")
    missing = f" {without} without a result: exported without hands." if done.without_result else ""
    damaged = f" {done.damaged} damaged." if done.damaged else ""
    severity = Severity.WARNING if done.damaged else Severity.INFO
    return Notice(severity, title, f"{folder}.{missing}{damaged}", action=Action.OPEN_FOLDER, folder=folder)
