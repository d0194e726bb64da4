"""A drawing of the pose to copy: the joints and bones of a hand as a camera sees it."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.style.theme import tones
from handdgp_core.arrays import Array
from handdgp_core.hands.keypoints import BONES

_MARGIN, _THICK, _THIN = 14, 13.0, 7.0
_FROM_M = 0.5  # where the drawing's camera is


class PoseDrawing(QWidget):
    """Bones that are near are thick and drawn last, so that palm and back differ and what is tipped shows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: Array = np.zeros((0, 3))
        self._mirrored = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(150, 150)
        self.setAccessibleName("The pose to copy")

    def show_pose(self, points: Array, *, mirrored: bool) -> None:
        """Draw (21, 3) keypoints, camera axes; mirrored for a left hand or a mirrored picture."""
        if points is not self._points or mirrored != self._mirrored:
            self._points, self._mirrored = points, mirrored
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, 200)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if not len(self._points):
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        centred = self._points - self._points.mean(axis=0)
        depth = centred[:, 2] + _FROM_M
        plane = _FROM_M * centred[:, :2] / depth[:, None] * (-1 if self._mirrored else 1, 1)
        low, high = plane.min(axis=0), plane.max(axis=0)
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        scale = min(room.width() / max(high[0] - low[0], 0.05), room.height() / max(high[1] - low[1], 0.05))
        offset = np.array([room.center().x(), room.center().y()]) - scale * 0.5 * (low + high)
        places = [QPointF(*(scale * point + offset)) for point in plane]
        nearness = 1 - np.clip((centred[:, 2] - centred[:, 2].min()) / max(np.ptp(centred[:, 2]), 0.03), 0, 1)
        for parent, child in sorted(BONES, key=lambda bone: -float(depth[list(bone)].mean())):
            share = float(nearness[[parent, child]].mean())
            painter.setPen(_pen(tones().line, _THIN + (_THICK - _THIN) * share))
            painter.drawLine(places[parent], places[child])
            painter.setPen(_pen(tones().accent, 1.5 + 2 * share))
            painter.drawLine(places[parent], places[child])
        painter.end()


def _pen(colour: QColor, width: float) -> QPen:
    return QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
