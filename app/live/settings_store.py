"""The settings in use: the user's own, and over them those of an open recording. The one place that replaces them."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from app.settings import TYPED_PERCENT, Settings


class SettingsStore(QObject):
    """Holds the settings; whoever reads `current` has a value that never changes. GUI thread.

    An overlay lies over the user's own settings while a recording is open. A change of a setting that the overlay
    holds is a trial on that recording: it changes the overlay and goes with it. Any other change is the user's own.

    Args:
        own: the user's settings.
        saved: what the file holds where that is something else, e.g. since the command line gave some.

    Attributes:
        own: the user's settings without the overlay: what is saved.
        saved: what the file held at the start.
        current: what is in use, overlay included.

    Signals:
        changed(): `current` is another value.
    """

    changed = pyqtSignal()

    def __init__(self, own: Settings, saved: Settings | None = None) -> None:
        super().__init__()
        self.saved = own if saved is None else saved
        self.own = self.current = own
        self._overlay: dict[str, Any] = {}

    def change(self, **values: Any) -> None:
        """Give settings other values. A hand length alone was typed: it gets a ruler's ± and is nobody's.

        Raises:
            UsageError: there is no such setting, or a value is not of its type or out of its range.
        """
        if values.get("hand_length_mm", self.current.hand_length_mm) != self.current.hand_length_mm:
            whose = {} if "hand_length_mm" in self._overlay else {"person": ""}
            values = {"hand_length_percent": TYPED_PERCENT, **whose, **values}
        self.current.changed(**values)  # all of them or none
        trial = {name: value for name, value in values.items() if name in self._overlay}
        self._overlay.update(trial)
        self.own = self.own.changed(**{name: value for name, value in values.items() if name not in trial})
        self._refresh()

    def lay_over(self, **values: Any) -> None:
        """Let these values go before the user's own, until `drop_overlay`; more may be laid over one after the other.

        Raises:
            UsageError: as for `change`.
        """
        self.own.changed(**values)
        self._overlay.update(values)
        self._refresh()

    def drop_overlay(self) -> None:
        """Back to the user's own settings."""
        self._overlay = {}
        self._refresh()

    def _refresh(self) -> None:
        before, self.current = self.current, self.own.changed(**self._overlay)
        if self.current != before:
            self.changed.emit()
