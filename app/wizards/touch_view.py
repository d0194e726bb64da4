"""The camera's picture in the accuracy check, with rings where a fingertip is to touch."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from app.wizards.accuracy_worker import TouchGuide
from app.wizards.calibration_view import CalibrationView

_WANTED, _OTHER, _DONE = QColor("#ffd24a"), QColor(255, 255, 255, 130), QColor("#39d98a")
_RADIUS, _SMALL_RADIUS = 15.0, 7.0
_WHOLE_CIRCLE = 360 * 16  # as Qt counts angles


class TouchView(CalibrationView):
    """As `CalibrationView`; the corner to touch has a ring that fills while the finger holds still."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._guide: TouchGuide | None = None

    def show_guide(self, guide: TouchGuide | None) -> None:
        """Ring these corners of the picture that is shown; none without a guide."""
        self._guide = guide
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        if self._image is None or self._guide is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(self.image_rect())
        for number, point in enumerate(self._guide.corners_px):
            if np.isfinite(point).all():
                self._draw_ring(painter, self._place(point), number == self._guide.wanted)
        painter.end()

    def _draw_ring(self, painter: QPainter, place: QPointF, wanted: bool) -> None:
        assert self._guide is not None
        radius = _RADIUS if wanted else _SMALL_RADIUS
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(_WANTED if wanted else _OTHER, 3.0 if wanted else 1.5))
        painter.drawEllipse(place, radius, radius)
        if wanted:
            painter.setPen(QPen(_DONE, 5.0))
            square = QRectF(place.x() - radius, place.y() - radius, 2 * radius, 2 * radius)
            painter.drawArc(square, _WHOLE_CIRCLE // 4, -round(_WHOLE_CIRCLE * self._guide.progress))

    def _place(self, point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> QPointF:
        assert self._image is not None
        target, width = self.image_rect(), self._image.width()
        x = width - 1 - point[0] if self.mirrored else point[0]
        scale = target.width() / width
        return QPointF(target.left() + (x + 0.5) * scale, target.top() + (point[1] + 0.5) * scale)
