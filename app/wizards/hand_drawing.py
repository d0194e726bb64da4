"""A picture of what to measure with a ruler: from the wrist crease along the middle finger to its tip."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.style.theme import figures_font, tones
from handdgp_core.hands.keypoints import BONES, FINGERS, WRIST
from handdgp_core.hands.open_hand.open_hand import OpenHand

_MARGIN = 16


class HandDrawing(QWidget):
    """The open hand's outline of joints, with the two ends of the measurement marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        points = OpenHand.load().keypoints[:, :2]
        self._points = np.stack([points[:, 0] - points[:, 0].mean(), -points[:, 1]], axis=1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(170, 190)
        self.setAccessibleName("Measure from the wrist crease to the tip of the middle finger")

    def sizeHint(self) -> QSize:
        return QSize(240, 230)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        low, high = self._points.min(axis=0), self._points.max(axis=0)
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        scale = min(room.width() / (high[0] - low[0] + 0.03), room.height() / (high[1] - low[1] + 0.01))
        offset = np.array([room.center().x(), room.center().y()]) - scale * 0.5 * (low + high)
        places = [QPointF(*(scale * point + offset)) for point in self._points]
        painter.setPen(QPen(tones().line, 13, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for start, end in BONES:
            painter.drawLine(places[start], places[end])
        chain = (WRIST, *FINGERS["middle"])
        painter.setPen(QPen(tones().accent, 3.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for first, second in pairwise(chain):
            painter.drawLine(places[first], places[second])
        painter.setFont(figures_font(9, bold=True))
        for joint, text in ((chain[0], "wrist crease"), (chain[-1], "finger tip")):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tones().accent)
            painter.drawEllipse(places[joint], 5.5, 5.5)
            painter.setPen(tones().ink)
            painter.drawText(places[joint] + QPointF(11, 5), text)
        painter.end()
