"""Writes settings soon after they change, and only those that changed: a crash loses nothing, two windows agree.

A disk may take its time, so the file is written in a thread of its own, one change after the other.
"""

from __future__ import annotations

import logging
from pathlib import Path

from PyQt6.QtCore import QLockFile, QObject, QTimer, pyqtSignal

from app.live.settings_store import SettingsStore
from app.live.workers import Event, JobFailed, JobWorker
from app.settings import Settings, default_path, save_changes

__all__ = ["SettingsFile"]

log = logging.getLogger(__name__)
SAVE_AFTER_MS = 400
_LOCK_WAIT_MS = 200
_LAST_WRITE_S = 10.0


class SettingsFile(QObject):
    """Keeps the file of the user's own settings up to date.

    Args:
        store: whose `own` settings are written.
        path: the file; None for the user's own place.

    Signals:
        failed(Exception): they could not be written; told once, until it works again. Emitted in the thread.
    """

    failed = pyqtSignal(object)

    def __init__(self, store: SettingsStore, path: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store, self._path = store, path or default_path()
        self._asked = store.saved  # what was last given to the thread
        self._saved = store.saved  # what the file has; touched by the thread alone
        self._told = False
        self._writer: JobWorker | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SAVE_AFTER_MS)
        self._timer.timeout.connect(self.begin)
        store.changed.connect(self._timer.start)
        if store.own != self._saved:  # e.g. given on the command line
            self._timer.start()

    def begin(self) -> None:
        """Have written what has changed; returns at once."""
        self._timer.stop()
        own = self._store.own
        if own == self._asked:
            return
        self._asked = own
        if self._writer is None:
            self._writer = JobWorker(self._report)
            self._writer.start()
        self._writer.submit("settings", lambda: self._write(own))

    def save(self) -> None:
        """Write what has changed and wait until it is on the disk: the program ends."""
        self.begin()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.request_stop()
            if not writer.join(_LAST_WRITE_S):
                log.warning("the disk has not taken the settings")

    # In the thread

    def _write(self, own: Settings) -> None:
        changed = {name: value for name, value in own if value != getattr(self._saved, name)}
        if not changed:
            return
        lock = QLockFile(f"{self._path}.lock")
        locked = lock.tryLock(_LOCK_WAIT_MS)  # without it, e.g. where no lock can be made, it is written all the same
        try:
            save_changes(changed, self._path)
            self._saved, self._told = own, False
        finally:
            if locked:
                lock.unlock()

    def _report(self, event: Event) -> None:
        if not isinstance(event, JobFailed):
            return
        self._asked = self._saved  # so that these are tried again with the next change
        if not self._told:
            self._told = True
            try:
                self.failed.emit(event.error)
            except RuntimeError:  # the window is gone
                return
