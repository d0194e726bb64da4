"""A calibration board on a screen, for those without a printer."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QRect, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QScreen
from PyQt6.QtWidgets import QWidget

from app.style.theme import figures_font
from calib.boards import Board

_MARGIN = 0.04  # of the window
_LEAST_SHARE = 0.3  # of the screen's width: a narrower board is seen better alone


class BoardWindow(QWidget):
    """Shows the board as large as whole device pixels a square allow; any click or Esc closes it.

    Args:
        board: to show; its size in millimetres is what the screen makes of it.
        screen: where.

    Signals:
        closed(float): the window goes; about how wide the board was, in millimetres, as the screen says of itself.
    """

    closed = pyqtSignal(float)

    def __init__(self, board: Board, screen: QScreen) -> None:
        super().__init__(None, Qt.WindowType.Window | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Calibration board")
        self.setCursor(Qt.CursorShape.BlankCursor)
        self.setGeometry(screen.geometry())
        self._board = board
        self._pixels = np.zeros((1, 1), np.uint8)

    def show_beside(self, other: QWidget) -> None:
        """Over the whole screen; on the screen of `other`, where there is room, `other` keeps its right side."""
        screen = self.screen()
        room = QRect() if screen is None else screen.availableGeometry()
        frame = other.frameGeometry()
        border = frame.width() - other.width()
        least = max(other.minimumSizeHint().width(), other.minimumWidth()) + border
        width = min(frame.width(), max(least, room.width() // 2))
        if other.screen() is not screen or room.width() - width < _LEAST_SHARE * room.width():
            self.showFullScreen()
            return
        other.resize(width - border, min(other.height(), room.height()))
        other.move(room.right() + 1 - width, max(room.top(), min(frame.top(), room.bottom() - frame.height())))
        self.setGeometry(room.adjusted(0, 0, -width, 0))
        self.show()

    def square_px(self) -> int:
        """Device pixels of one square's side."""
        ratio = self.devicePixelRatioF()
        across, down = self._board.squares
        room_x, room_y = (side * ratio * (1 - 2 * _MARGIN) for side in (self.width(), self.height()))
        return max(8, int(min(room_x / across, room_y / down)))

    def width_px(self) -> int:
        """Device pixels of the board's width."""
        return round(self.square_px() * self._board.size_mm[0] / self._board.square_mm)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        screen = self.screen()
        per_mm = screen.physicalDotsPerInchX() * self.devicePixelRatioF() / 25.4 if screen is not None else 0.0
        self.closed.emit(self.width_px() / per_mm if per_mm > 0 else 0.0)
        super().closeEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#ffffff"))
        self._pixels = np.ascontiguousarray(self._board.image(self.square_px(), 0.0))
        height, width = self._pixels.shape
        image = QImage(self._pixels.data, width, height, width, QImage.Format.Format_Grayscale8)  # type: ignore[call-overload]
        ratio = self.devicePixelRatioF()
        target = QRectF(0, 0, width / ratio, height / ratio)
        left = round((self.width() - target.width()) / 2 * ratio) / ratio
        top = round((self.height() - target.height()) / 2 * ratio) / ratio
        painter.drawImage(target.translated(left, top), image)
        painter.setPen(QColor("#8a8f99"))
        painter.setFont(figures_font(9))
        foot = QRect(0, self.height() - 24, self.width(), 20)
        painter.drawText(
            foot,
            int(Qt.AlignmentFlag.AlignCenter),
            "Measure the board's width with a ruler, then press Esc or click: you are asked for it.",
        )
        painter.end()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Space):
            self.close()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self.close()
