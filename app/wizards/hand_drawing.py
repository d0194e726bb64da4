"""A picture of what to measure with a ruler: the whole hand, a finger or one bone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.style.theme import figures_font, tones
from handdgp_core.estimation.bone_length import bone_joints
from handdgp_core.hands.keypoints import BONES, FINGERS, NAMES
from handdgp_core.hands.measure import KNUCKLE_CHAIN
from handdgp_core.hands.open_hand.open_hand import OpenHand

_MARGIN = 16
_BEFORE_TIP_M = 0.0074
# What a person calls the joints.
_PLACES = {
    "wrist": "wrist crease",
    "MCP": "first joint",
    "PIP": "second joint",
    "IP": "second joint",
    "DIP": "third joint",
    "tip": "finger tip",
}


class HandDrawing(QWidget):
    """The open hand's outline of joints, with the two ends of the measurement marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        points = OpenHand.load().keypoints[:, :2].copy()
        for *_, last in FINGERS.values():  # a ruler goes to the very tip, a keypoint lies inside it
            ahead = points[last] - points[last - 1]
            points[last] += _BEFORE_TIP_M * ahead / np.linalg.norm(ahead)
        self._points = np.stack([points[:, 0] - points[:, 0].mean(), -points[:, 1]], axis=1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(170, 190)
        self.show_bone(None)

    def show_bone(self, name: str | None) -> None:
        """Mark one of `BONE_NAMES`, or the whole hand for None."""
        self._chain = KNUCKLE_CHAIN if name is None else bone_joints(name)
        self.setAccessibleName("Measure from " + " to ".join(self._ends()))
        self.update()

    def _ends(self) -> tuple[str, str]:
        first, last = (_PLACES[NAMES[joint].split()[-1]] for joint in (self._chain[0], self._chain[-1]))
        return first, last

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
        painter.setPen(QPen(tones().accent, 3.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for first, second in pairwise(self._chain):
            painter.drawLine(places[first], places[second])
        painter.setFont(figures_font(9, bold=True))
        for joint, text in zip((self._chain[0], self._chain[-1]), self._ends(), strict=True):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tones().accent)
            painter.drawEllipse(places[joint], 5.5, 5.5)
            painter.setPen(tones().ink)
            painter.drawText(places[joint] + QPointF(11, 5), text)
        painter.end()
