"""The red mark over the picture that is there for as long as something is recorded."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QWidget

from app.live.readout import clock
from app.style.theme import figures_font

__all__ = ["RecordMark"]


class RecordMark(QLabel):
    """The red mark that is there for as long as something is recorded."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(figures_font(9.5, bold=True))
        self.setStyleSheet("background: #c8231c; color: white; border-radius: 6px; padding: 3px 9px;")
        self.setToolTip("Recording: duration, file size, and frames waiting for the disk. Ctrl+R stops it.")
        self.setAccessibleName("Recording")
        self.hide()

    def show_recording(self, seconds: float, megabytes: float, waiting: int) -> None:
        """Show how the recording goes."""
        queue = f" · {waiting} waiting" if waiting > 15 else ""
        self.setText(f"● REC {clock(seconds)} · {megabytes:.0f} MB{queue}")
        self.show()
