"""What the icons at the right edge open: one panel at a time, with its title and a button that closes it."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from app.style.icons import icon
from app.style.theme import figures_font

__all__ = ["LEAST_WIDTH", "SidePanel"]

LEAST_WIDTH = 280


class SidePanel(QWidget):
    """Shows one of several panels, or none and is hidden.

    Args:
        panels: title and content by name.

    Signals:
        close_requested(): the user pressed the button in its corner.
    """

    close_requested = pyqtSignal()

    def __init__(self, panels: dict[str, tuple[str, QWidget]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._panels = panels
        self.name = ""
        self.title = QLabel(self)
        self.title.setFont(figures_font(11, bold=True))
        self.close_button = QToolButton(self)
        self.close_button.setAutoRaise(True)
        self.close_button.setIcon(icon("close"))
        self.close_button.setToolTip("Close this panel.")
        self.close_button.setAccessibleName("Close panel")
        self.close_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.close_button.clicked.connect(self.close_requested)
        self._stack = QStackedWidget(self)
        for _, panel in panels.values():
            self._stack.addWidget(panel)
        head = QHBoxLayout()
        head.setContentsMargins(12, 6, 6, 2)
        head.addWidget(self.title, 1)
        head.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        self.setMinimumWidth(LEAST_WIDTH)
        self.hide()

    def open(self, name: str) -> None:
        """Show the panel of this name; an empty one hides all."""
        self.name = name
        if name:
            title, panel = self._panels[name]
            self.title.setText(title)
            self._stack.setCurrentWidget(panel)
        self.setVisible(bool(name))

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self.close_button.setIcon(icon("close"))
        super().changeEvent(event)
