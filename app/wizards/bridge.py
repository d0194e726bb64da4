"""Carries the notifications of a wizard's worker into the GUI thread."""

from __future__ import annotations

import threading

from PyQt6.QtCore import QObject, pyqtSignal

from app.live.workers import Event, ResultReady, WorkerFailed


class Bridge(QObject):
    """Give `report` to a worker; the signals arrive in the thread that made this object.

    Signals:
        ready(): the worker has something new; at most one is under way.
        failed(object): the `WorkerFailed` of a worker that ended by an exception.
    """

    ready = pyqtSignal()
    failed = pyqtSignal(object)
    _notification = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._under_way = threading.Event()
        self._notification.connect(self._on_notification)

    def report(self, event: Event) -> None:
        """Called in the worker's thread."""
        try:
            if isinstance(event, WorkerFailed):
                self.failed.emit(event)
            elif isinstance(event, ResultReady) and not self._under_way.is_set():
                self._under_way.set()
                self._notification.emit()
        except RuntimeError:  # the dialog is gone: nobody is left to tell
            pass

    def _on_notification(self) -> None:
        self._under_way.clear()
        self.ready.emit()
