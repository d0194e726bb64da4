"""One line above the status bar while something long is done to a recording: what, how far, and "Cancel"."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

__all__ = ["TaskStrip"]


class TaskStrip(QWidget):
    """Hidden while nothing is done.

    Signals:
        cancelled(): the user wants it to end; what is done is kept.
    """

    cancelled = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel(self)
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 1000)
        self.progress.setMinimumWidth(160)
        self.progress.setAccessibleName("Progress")
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setToolTip("Stop and keep what is done.")
        self.cancel.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.cancel.clicked.connect(self._on_cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 12, 4)
        row.setSpacing(10)
        row.addWidget(self.title)
        row.addWidget(self.progress, 1)
        row.addWidget(self.cancel)
        self.hide()

    def show_task(self, title: str, share: float) -> None:
        """Show how far it is, 0 to 1."""
        if not self.isVisible():
            self.cancel.setEnabled(True)
        self.title.setText(title)
        self.progress.setValue(round(1000 * share))
        self.show()

    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.cancelled.emit()
