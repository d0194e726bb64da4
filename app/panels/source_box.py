"""The list of sources in the tool bar: webcams by name, the demo, what was used lately, and ways to open others."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QComboBox, QSizePolicy, QWidget

from app.panels.camera import short_name
from handdgp_core.sources.open import is_webcam
from handdgp_core.sources.urls import shown_url
from handdgp_core.sources.webcam_list import WebcamInfo

OPEN_VIDEO, OPEN_FOLDER, OPEN_URL, OPEN_SESSION = "\0video", "\0folder", "\0url", "\0session"
_ASKING = {
    OPEN_VIDEO: "Open video…", OPEN_FOLDER: "Open folder of images…", OPEN_URL: "Open stream URL…",
    OPEN_SESSION: "Open recording…",
}  # fmt: skip


class SourceBox(QComboBox):
    """What can be looked at.

    Signals:
        chosen(str): the user chose this source.
        asked(str): the user wants to name one: OPEN_VIDEO, OPEN_FOLDER, OPEN_URL or OPEN_SESSION.
    """

    chosen = pyqtSignal(str)
    asked = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip("Image source.")
        self.setAccessibleName("Source")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(14)
        self.setMaximumWidth(380)
        self._webcams: tuple[WebcamInfo, ...] = ()
        self._recent: tuple[str, ...] = ()
        self._current = ""
        self.activated.connect(self._on_activated)
        self._fill()

    @property
    def webcams(self) -> tuple[WebcamInfo, ...]:
        """The cameras that are connected."""
        return self._webcams

    def set_webcams(self, webcams: Sequence[WebcamInfo]) -> None:
        """The cameras that are connected."""
        self._webcams = tuple(webcams)
        self._fill()

    def set_recent(self, recent: Sequence[str]) -> None:
        """What was used lately, the newest first."""
        self._recent = tuple(recent)
        self._fill()

    def set_current(self, spec: str) -> None:
        """Show this source as the one in use."""
        self._current = spec
        self._fill()

    def _fill(self) -> None:
        """All entries again: the list is short, and each part of it changes at its own time."""
        self.blockSignals(True)
        self.clear()
        for webcam in self._webcams:
            self._add(webcam.name, str(webcam.index), f"Webcam {webcam.index}: {webcam.name}")
        self._add("Demo (rendered)", "demo", "A clip rendered by this project, with known ground truth.")
        self.insertSeparator(self.count())
        known = {str(webcam.index) for webcam in self._webcams} | {"demo"}
        known |= {shown_url(self._current)} - {self._current}  # kept without what opens it
        others = [spec for spec in dict.fromkeys((self._current, *self._recent)) if spec and spec not in known]
        for spec in others:
            title = f"Webcam {spec}" if is_webcam(spec) else short_name(spec)
            self._add(title, spec, shown_url(spec))
        if others:
            self.insertSeparator(self.count())
        for key, title in _ASKING.items():
            self.addItem(title, key)
        self._select_current()
        self.blockSignals(False)

    def _add(self, title: str, spec: str, tooltip: str) -> None:
        self.addItem(title, spec)
        self.setItemData(self.count() - 1, tooltip, 3)  # Qt.ItemDataRole.ToolTipRole

    def _select_current(self) -> None:
        self.setCurrentIndex(self.findData(self._current) if self._current else -1)
        if self.currentIndex() < 0:
            self.setPlaceholderText("Choose a source")

    def _on_activated(self, index: int) -> None:
        spec = self.itemData(index)
        if spec in _ASKING:
            self._select_current()
            self.asked.emit(spec)
        elif spec:
            self.chosen.emit(spec)
