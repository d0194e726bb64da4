"""Shows one ready-made picture, as large as it goes, with a message over it. All drawing of hands is done elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.style.theme import figures_font

_BACKDROP = QColor("#101215")
_PLATE = QColor(16, 18, 22, 215)
_RULER = QColor("#ffc727")
_SCRIM = QColor(16, 18, 22, 130)


class PictureView(QWidget):
    """A picture scaled to fit, and a message in its middle.

    Signals:
        size_changed(int, int, float): new width and height in device pixels, and how many of them make one pixel of
            the logical screen; so that pictures can be made at that size.
        shown(): a new picture was painted.
        pressed(float, float): the user clicked on the picture: shares of its width and height as it is shown.
    """

    size_changed = pyqtSignal(int, int, float)
    shown = pyqtSignal()
    pressed = pyqtSignal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 200)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # a place for the focus to rest, where every shortcut works
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._pixels: NDArray[np.uint8] | None = None  # QImage keeps no reference to its memory
        self._image: QImage | None = None
        self._title = ""
        self._hint = ""
        self._dim = False
        self._new = False
        self._ruler: tuple[list[tuple[float, float]], str] = ([], "")

    def sizeHint(self) -> QSize:
        return QSize(640, 400)

    @property
    def has_picture(self) -> bool:
        """True while a picture is shown."""
        return self._image is not None

    @property
    def message(self) -> tuple[str, str]:
        """Title and hint over the picture; empty texts for none."""
        return self._title, self._hint

    def set_picture(self, pixels: NDArray[np.uint8]) -> None:
        """Show (height, width, 3) uint8 RGB; the array is kept, not copied, and must not change any more."""
        pixels = np.ascontiguousarray(pixels)
        height, width = pixels.shape[:2]
        self._pixels = pixels
        self._image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)  # type: ignore[call-overload]
        self._new = True
        self.update()

    def clear(self) -> None:
        """Show no picture."""
        self._image = self._pixels = None
        self.update()

    def set_message(self, title: str, hint: str = "", *, dim: bool = False) -> None:
        """Put a message over the picture, or take it away with an empty title; `dim` darkens the picture."""
        if (title, hint, dim) != (self._title, self._hint, self._dim):
            self._title, self._hint, self._dim = title, hint, dim
            self.setAccessibleDescription(f"{title} {hint}".strip())
            self.update()

    def set_ruler(self, ends: list[tuple[float, float]], text: str = "") -> None:
        """Lay a ruler over the picture, with its length beside it; no ends take it away.

        Args:
            ends: at most two, shares of width and height of the picture as it is shown.
            text: the length.
        """
        if (ends, text) != self._ruler:
            self._ruler = (ends, text)
            self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._image is not None:
            area, at = self.image_rect(), event.position()
            if area.contains(at):
                self.pressed.emit((at.x() - area.left()) / area.width(), (at.y() - area.top()) / area.height())
        super().mousePressEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        ratio = self.devicePixelRatioF()
        self.size_changed.emit(round(self.width() * ratio), round(self.height() * ratio), ratio)
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), _BACKDROP)
        if self._image is not None:
            target = self.image_rect()
            same_size = round(target.width() * self.devicePixelRatioF()) == self._image.width()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not same_size)
            painter.drawImage(target, self._image)
        if self._dim and self._image is not None:
            painter.fillRect(self.rect(), _SCRIM)
        if self._image is not None and self._ruler[0]:
            self._paint_ruler(painter)
        if self._title:
            self._paint_message(painter)
        painter.end()
        if self._new and self._image is not None:
            self._new = False
            self.shown.emit()

    def image_rect(self) -> QRectF:
        """Where the picture goes: as large as fits, centred, on whole device pixels; the whole view without one."""
        if self._image is None:
            return QRectF(self.rect())
        size = self._image.size()
        ratio = self.devicePixelRatioF()
        room_x, room_y = self.width() * ratio, self.height() * ratio
        scale = min(room_x / size.width(), room_y / size.height())
        if abs(scale - 1.0) * max(size.width(), size.height()) < 1.0:
            scale = 1.0
        width, height = round(size.width() * scale), round(size.height() * scale)
        left, top = (int(room_x) - width) // 2, (int(room_y) - height) // 2
        return QRectF(left / ratio, top / ratio, width / ratio, height / ratio)

    def _paint_ruler(self, painter: QPainter) -> None:
        area, (ends, text) = self.image_rect(), self._ruler
        places = [QPointF(area.left() + x * area.width(), area.top() + y * area.height()) for x, y in ends]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in ((QColor(16, 18, 22), 5.0), (_RULER, 2.5)):
            painter.setPen(QPen(colour, width))
            if len(places) == 2:
                painter.drawLine(*places)
            painter.setBrush(_RULER)
            for place in places:
                painter.drawEllipse(place, 4.5, 4.5)
        if not text or len(places) < 2:
            return
        painter.setFont(figures_font(13, bold=True))
        metrics = painter.fontMetrics()
        plate = QRectF(0, 0, metrics.horizontalAdvance(text) + 18, metrics.height() + 6)
        plate.moveCenter((places[0] + places[1]) / 2 + QPointF(0, -metrics.height() - 6))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_RULER)
        painter.drawRoundedRect(plate, 6, 6)
        painter.setPen(QColor("#1b1400"))
        painter.drawText(plate, int(Qt.AlignmentFlag.AlignCenter), text)

    def _paint_message(self, painter: QPainter) -> None:
        flags = int(Qt.AlignmentFlag.AlignHCenter) | int(Qt.TextFlag.TextWordWrap)
        room = self.rect().adjusted(24, 16, -24, -16)
        painter.setFont(figures_font(13, bold=True))
        title = painter.boundingRect(room, flags, self._title)
        painter.setFont(figures_font(10.5))
        hint = painter.boundingRect(room, flags, self._hint) if self._hint else QRect(0, 0, 0, 0)
        gap = 6 if self._hint else 0
        width, height = max(title.width(), hint.width()), title.height() + gap + hint.height()
        box = QRect(0, 0, width + 40, height + 28)
        box.moveCenter(self.rect().center())
        if self._image is not None and not self._dim:  # the picture still counts: keep its middle free
            box.moveBottom(self.rect().bottom() - 12)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_PLATE)
        painter.drawRoundedRect(QRectF(box), 10, 10)
        painter.setPen(QColor("#ffffff"))
        painter.setFont(figures_font(13, bold=True))
        painter.drawText(QRect(box.left() + 10, box.top() + 14, box.width() - 20, title.height()), flags, self._title)
        if self._hint:
            painter.setPen(QColor("#d3d8e0"))
            painter.setFont(figures_font(10.5))
            top = box.top() + 14 + title.height() + gap
            painter.drawText(QRect(box.left() + 10, top, box.width() - 20, hint.height()), flags, self._hint)
