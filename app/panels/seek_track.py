"""The line of all frames in the transport bar, and the small picture above the pointer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPixmap
from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.sessions.thumbnails import WIDTH_PX
from app.style.theme import figures_font, tones

__all__ = ["SeekPopup", "SeekTrack"]

_HEIGHT_PX, _EDGE_PX = 30, 9
_TEXT_PX = 22


class SeekTrack(QWidget):
    """The line of all frames, with the one that is shown and the part that repeats. Drag or click to seek.

    Signals:
        sought(int): show this frame.
        hovered(int, float): the pointer is above this frame, at x.
        left(): the pointer is gone.
    """

    sought = pyqtSignal(int)
    hovered = pyqtSignal(int, float)
    left = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count, self._position = 0, 0
        self._part: tuple[int | None, int | None] = (None, None)
        self._dragging = False
        self.setFixedHeight(_HEIGHT_PX)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Position in the recording")

    def set_count(self, count: int) -> None:
        """Number of frames."""
        self._count, self._position = count, 0
        self.update()

    def set_position(self, index: int) -> None:
        """The frame that is shown."""
        if index != self._position and not self._dragging:
            self._position = index
            self.update()

    def set_part(self, first: int | None, last: int | None) -> None:
        """The part that repeats."""
        self._part = (first, last)
        self.update()

    def index_at(self, x: float) -> int:
        """The frame at a place of the line."""
        share = (x - _EDGE_PX) / max(1.0, self.width() - 2 * _EDGE_PX)
        return round(min(max(share, 0.0), 1.0) * max(self._count - 1, 0))

    def x_of(self, index: int) -> float:
        """The reverse of `index_at`."""
        return _EDGE_PX + index / max(1, self._count - 1) * (self.width() - 2 * _EDGE_PX)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._dragging = True
            self._seek(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self._dragging:
            self._seek(event.position())
        self.hovered.emit(self.index_at(event.position().x()), event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._dragging = False

    def leaveEvent(self, event: QEvent | None) -> None:
        self.left.emit()
        super().leaveEvent(event)

    def _seek(self, place: QPointF) -> None:
        index = self.index_at(place.x())
        self._position = index
        self.update()
        self.sought.emit(index)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        colours = tones()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle, here = self.height() / 2, self.x_of(self._position)
        left, right = self.x_of(0), self.x_of(max(self._count - 1, 1))
        for start, end, colour in ((left, right, colours.line), (left, here, colours.accent)):
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(start, middle - 2.5, max(0.0, end - start), 5), 2.5, 2.5)
        self._paint_part(painter, middle)
        painter.setBrush(colours.accent)
        painter.drawEllipse(QPointF(here, middle), 7, 7)
        painter.end()

    def _paint_part(self, painter: QPainter, middle: float) -> None:
        first, last = self._part
        if first is None and last is None:
            return
        mark = QColor(tones().warning)
        begin, end = self.x_of(first or 0), self.x_of(self._count - 1 if last is None else last)
        band = QColor(mark)
        band.setAlpha(90)
        painter.setBrush(band)
        painter.drawRect(QRectF(begin, middle - 6, max(2.0, end - begin), 12))
        painter.setBrush(mark)
        painter.setFont(figures_font(7, bold=True))
        for index, x, name in ((first, begin, "A"), (last, end, "B")):
            if index is not None:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.drawRect(QRectF(x - 1.2, middle - 11, 2.4, 22))
                painter.setPen(mark)
                painter.drawText(QRectF(x + (3 if name == "A" else -13), 0, 10, 10), Qt.AlignmentFlag.AlignCenter, name)
                painter.setPen(Qt.PenStyle.NoPen)


class SeekPopup(QLabel):
    """The small picture above the pointer, with its time."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.ToolTip | Qt.WindowType.FramelessWindowHint)
        self._text = ""
        self._pixmap = QPixmap()
        self._above: QPoint | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_text(self, text: str) -> None:
        """Time and number; the picture follows."""
        self._text = text
        self._compose()
        self.show()

    def show_picture(self, picture: NDArray[np.uint8]) -> None:
        """The picture of the frame that was asked for last."""
        height, width = picture.shape[:2]
        image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self._pixmap = QPixmap.fromImage(image.copy())
        self._compose()

    def place(self, above: QPoint | None) -> None:
        """Above this point of the screen; None for where it was."""
        self._above = above or self._above
        if self._above is not None:
            self.move(self._above.x() - self.width() // 2, self._above.y() - self.height() - 4)

    def _compose(self) -> None:
        whole = QPixmap(max(WIDTH_PX, self._pixmap.width()), self._pixmap.height() + _TEXT_PX)
        whole.fill(tones().base)
        painter = QPainter(whole)
        painter.drawPixmap(0, 0, self._pixmap)
        painter.setPen(tones().ink)
        painter.setFont(figures_font(9))
        text_area = QRectF(0, self._pixmap.height(), whole.width(), _TEXT_PX)
        painter.drawText(text_area, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.end()
        self.setPixmap(whole)
        self.adjustSize()
