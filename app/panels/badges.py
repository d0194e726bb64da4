"""A few words on dark glass over the picture: what the numbers rest on, how fast it goes, what is recorded."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QLabel, QWidget

from app.live.trust import Trust
from app.style.theme import figures_font

__all__ = ["Badge", "TrustBadge"]


class Badge(QLabel):
    """A few words on dark glass over the picture, with the explanation as tooltip; hidden while empty."""

    clicked = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFont(figures_font(9.5, bold=True))
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._warning: bool | None = None
        self.hide()

    def set_text(self, text: str, tooltip: str | None = None, *, warning: bool = False) -> None:
        """New text (none hides the badge); the tooltip stays as it is where none is given."""
        if tooltip is not None and tooltip != self.toolTip():
            self.setToolTip(tooltip)
        if warning != self._warning:
            self._warning = warning
            ground, ink = ("#ffbe3d", "#241800") if warning else ("rgba(58, 63, 72, 225)", "#ffffff")
            self.setStyleSheet(
                f"QLabel {{ background: {ground}; color: {ink}; border-radius: 6px; padding: 4px 9px; }}"
            )
        if text != self.text():
            self.setText(text)
        self.setVisible(bool(text))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A badge that leads somewhere is clicked like a button."""
        self.clicked.emit()


class TrustBadge(Badge):
    """What the numbers rest on; a click leads to where that is made better."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_trust(self, trust: Trust) -> None:
        """Show it."""
        self.set_text(trust.text, f"<p>{escape(trust.details)}</p>", warning=trust.doubtful)
