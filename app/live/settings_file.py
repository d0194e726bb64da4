"""Writes settings soon after they change, and only those that changed: a crash loses nothing, two windows agree."""

from __future__ import annotations

import logging
from pathlib import Path

from PyQt6.QtCore import QLockFile, QObject, QTimer, pyqtSignal

from app.live.settings_store import SettingsStore
from app.settings import default_path, save_changes
from handdgp_core.errors import OutputError

__all__ = ["SettingsFile"]

log = logging.getLogger(__name__)
SAVE_AFTER_MS = 400
_LOCK_WAIT_MS = 200


class SettingsFile(QObject):
    """Keeps the file of the user's own settings up to date.

    Args:
        store: whose `own` settings are written.
        path: the file; None for the user's own place.

    Signals:
        failed(OutputError): they could not be written; told once, until it works again.
    """

    failed = pyqtSignal(object)

    def __init__(self, store: SettingsStore, path: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store, self._path = store, path or default_path()
        self._saved = store.saved
        self._told = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SAVE_AFTER_MS)
        self._timer.timeout.connect(self.save)
        store.changed.connect(self._timer.start)
        if store.own != self._saved:  # e.g. given on the command line
            self._timer.start()

    def save(self) -> None:
        """Write what has changed since it was last written."""
        self._timer.stop()
        own = self._store.own
        changed = {name: value for name, value in own if value != getattr(self._saved, name)}
        if not changed:
            return
        lock = QLockFile(f"{self._path}.lock")
        locked = lock.tryLock(_LOCK_WAIT_MS)  # without it, e.g. where no lock can be made, it is written all the same
        try:
            save_changes(changed, self._path)
            self._saved, self._told = own, False
        except OutputError as error:
            log.warning("settings not saved: %s", error.message)
            if not self._told:
                self._told = True
                self.failed.emit(error)
        finally:
            if locked:
                lock.unlock()
