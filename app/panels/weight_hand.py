"""A drawn hand whose keypoints have the colour of their share in the solve; a click mutes one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QHelpEvent, QLinearGradient, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.style.theme import figures_font, tones
from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import weight_colours
from handdgp_core.hands.keypoints import BONES, COUNT, FINGERS, NAMES, WRIST
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.types import Hand

__all__ = ["WeightHand", "share_colours", "solve_shares"]

LEAST_SHARE, FULL_SHARE = 0.5 / COUNT, 1.5 / COUNT  # the darkest and the brightest colour; equal shares are between
_MARGIN, _FOOT, _RADIUS = 14.0, 34.0, 8.0


def solve_shares(hand: Hand, muted: frozenset[int] = frozenset()) -> Array:
    """(21,) share of each keypoint in the solve, together 1: a weight multiplies the rows of its keypoint, so its
    square is in the normal equations. All 0 where every weight is."""
    weights = np.nan_to_num(np.asarray(hand.weights, dtype=np.float64))
    weights = np.where(np.isin(np.arange(COUNT), list(muted)), 0.0, weights)
    total = float(np.sum(weights**2))
    return weights**2 / total if total > 0 else np.zeros(COUNT)


@lru_cache(maxsize=1)
def _flat_hand() -> Array:
    """(21, 2) keypoints of an open right hand from its back, y down, within 0 to 1 of its height."""
    points = OpenHand.load().keypoints[:, :2]
    flat = np.stack([points[:, 0], -points[:, 1]], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    return np.asarray((flat - 0.5 * (low + high)) / (high[1] - low[1]))


def share_colours(shares: Array) -> NDArray[np.uint8]:
    """(K, 3) uint8 RGB of shares (K,): those of a hand lie close together, so the scale does not begin at 0."""
    return weight_colours(np.clip(shares - LEAST_SHARE, 0.0, None), FULL_SHARE - LEAST_SHARE)


class WeightHand(QWidget):
    """Shows shares; the bars beside it say the same with figures, and by keyboard.

    Signals:
        clicked(int): the user clicked on this keypoint.
    """

    clicked = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shares: Array | None = None
        self._weights = np.zeros(COUNT)
        self._side = "right"
        self._muted: frozenset[int] = frozenset()
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 150)
        self.setAccessibleName("Share of every keypoint in the solve")

    def sizeHint(self) -> QSize:
        return QSize(300, 330)

    def show_hand(self, hand: Hand | None, muted: frozenset[int]) -> None:
        """Show the shares of this hand; None for none."""
        self._muted = muted
        self._shares = None if hand is None else solve_shares(hand, muted)
        if hand is not None:
            self._side, self._weights = hand.handedness, np.asarray(hand.weights)
        self.update()

    def places(self) -> list[QPointF]:
        """Where the keypoints are drawn, as the hand's owner sees the back of that hand."""
        points = _flat_hand()
        flipped = points * ((-1.0, 1.0) if self._side == "left" else (1.0, 1.0))
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN - _FOOT)
        width = float(np.ptp(points[:, 0]))
        scale = min(room.height() - 2 * _RADIUS, (room.width() - 2 * _RADIUS) / width)
        return [QPointF(room.center().x() + scale * x, room.center().y() + scale * y) for x, y in flipped]

    def describe(self, keypoint: int) -> str:
        """A keypoint in words."""
        name = NAMES[keypoint].capitalize()
        if keypoint in self._muted:
            return f"{name}: muted. Click to unmute."
        if self._shares is None:
            return f"{name}. Click to mute."
        share, weight = 100 * self._shares[keypoint], self._weights[keypoint]
        return f"{name}: {share:.1f} % of the solve (weight {weight:.2f}). Click to mute."

    def _at(self, place: QPointF) -> int | None:
        away = [(place - other).manhattanLength() for other in self.places()]
        nearest = int(np.argmin(away))
        return nearest if away[nearest] <= 2.2 * _RADIUS else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        keypoint = self._at(event.position()) if event is not None else None
        if keypoint is not None:
            self.clicked.emit(keypoint)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        over = event is not None and self._at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            keypoint = self._at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), "" if keypoint is None else self.describe(keypoint), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter, colours = QPainter(self), tones()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        places = self.places()
        flesh = max(15.0, 0.085 * self.height())
        palm = QPolygonF([places[joint] for joint in (WRIST, *(chain[0] for chain in FINGERS.values()))])
        painter.setPen(
            QPen(colours.line, flesh, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
        )
        painter.setBrush(colours.line)
        painter.drawPolygon(palm)
        for start, end in BONES:
            painter.drawLine(places[start], places[end])
        painter.setPen(QPen(colours.faint_ink, 1.2))
        for start, end in BONES:
            painter.drawLine(places[start], places[end])
        self._paint_keypoints(painter, places)
        self._paint_scale(painter)
        painter.end()

    def _paint_keypoints(self, painter: QPainter, places: list[QPointF]) -> None:
        colours = tones()
        shares = np.zeros(COUNT) if self._shares is None else self._shares
        table = share_colours(shares)
        for keypoint, place in enumerate(places):
            if keypoint in self._muted or self._shares is None:
                painter.setPen(QPen(colours.faint_ink, 1.6))
                painter.setBrush(colours.base)
            else:
                painter.setPen(QPen(colours.base, 1.6))
                painter.setBrush(QColor(*(int(channel) for channel in table[keypoint])))
            painter.drawEllipse(place, _RADIUS, _RADIUS)
            if keypoint in self._muted:
                arm = 0.5 * _RADIUS
                painter.drawLine(place + QPointF(-arm, -arm), place + QPointF(arm, arm))
                painter.drawLine(place + QPointF(-arm, arm), place + QPointF(arm, -arm))

    def _paint_scale(self, painter: QPainter) -> None:
        bar = QRectF(self.width() / 2 - 90, self.height() - 26, 180, 8)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for stop, (red, green, blue) in zip(
            np.linspace(0, 1, 9), weight_colours(np.linspace(0, 1, 9)).tolist(), strict=True
        ):
            gradient.setColorAt(float(stop), QColor(red, green, blue))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, 3, 3)
        painter.setPen(tones().faint_ink)
        painter.setFont(figures_font(8))
        below = bar.translated(0, 10)
        below.setHeight(14)
        for text, flag in (
            (f"{100 * LEAST_SHARE:.1f} %", Qt.AlignmentFlag.AlignLeft),
            ("share in the solve", Qt.AlignmentFlag.AlignHCenter),
            (f"{100 * FULL_SHARE:.1f} %", Qt.AlignmentFlag.AlignRight),
        ):
            painter.drawText(below.adjusted(-24, 0, 24, 0), flag | Qt.AlignmentFlag.AlignVCenter, text)
