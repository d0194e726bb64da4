"""A captured view with its corners: where each was seen, where the calibration puts it, and which do not fit."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from app.panels.picture import PictureView
from app.wizards.calibration_worker import TakenView
from handdgp_core.arrays import Array

_ARROW = 20.0  # lines are so many times as long as corners are off
_CORNER, _BAD = QColor("#39d98a"), QColor("#ff5a4f")
_DOT, _RING = 2.2, 8.0


class ViewPicture(PictureView):
    """One view at a time."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: TakenView | None = None
        self.setToolTip(
            "Lines lead from a corner to where the calibration puts it, 20 times as long as they are. Red rings mark "
            "corners that do not fit."
        )

    def show_view(self, view: TakenView | None) -> None:
        """Show this view, or none."""
        self._view = view
        if view is None:
            self.clear()
            return
        self.set_picture(np.repeat(view.thumbnail[:, :, None], 3, axis=2))
        self.setAccessibleName(f"Picture of {view.name}")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        if self._view is None or self._image is None:
            return
        target = self.image_rect()
        scale = target.width() / self._view.view.size[0]
        fit, seen = self._view.fit, self._view.view.corners_px

        def place(point: Array) -> QPointF:
            return QPointF(target.left() + (point[0] + 0.5) * scale, target.top() + (point[1] + 0.5) * scale)

        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(target)
        painter.setPen(QPen(_CORNER, 1.4))
        if fit is not None:
            seen = fit.view.corners_px
            for start, end in zip(seen, seen + _ARROW * fit.off_px, strict=True):
                painter.drawLine(place(start), place(end))
        painter.setBrush(_CORNER)
        for corner in seen:
            painter.drawEllipse(place(corner), _DOT, _DOT)
        if fit is not None:
            painter.setBrush(QColor(0, 0, 0, 0))
            painter.setPen(QPen(_BAD, 2.0))
            for corner in np.concatenate([seen[fit.far], fit.left_out_px]):
                painter.drawEllipse(place(corner), _RING, _RING)
        painter.end()
