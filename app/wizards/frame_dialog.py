"""A dialog whose worker takes the frames of the source for as long as it is open."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QDialog, QWidget

from app.live.controller import Controller
from app.live.workers import Worker

__all__ = ["FrameDialog", "size_on_screen"]


def size_on_screen(dialog: QWidget, width: int, height: int) -> QSize:
    """This size, or what the screen has for a window and its frame: at twice the scale, full HD is 960 x 540."""
    screen, usual = dialog.screen(), QSize(width, height)
    return usual if screen is None else (screen.availableSize() - QSize(16, 48)).boundedTo(usual)


class FrameDialog(QDialog):
    """Gives the frames back when it is closed; Esc is the same as closing.

    Args:
        controller: whose frames are taken.
    """

    _worker: Worker

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._controller = controller
        self._ended = False

    def reject(self) -> None:
        """Esc is the same as closing."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Give the frames back, once."""
        if not self._ended:
            self._ended = True
            self._controller.dismiss(self._worker)
            self._controller.divert(False)
        if event is not None:
            event.accept()  # QDialog's own handler would call `reject`, and that this one again
