"""The distance of one hand on a small plate beside that hand: large figure, its ±, and more on a click."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.live.readout import Distance, length_shift_m
from app.style.theme import figures_font, tones
from handdgp_core.types import Hand

__all__ = ["MINUS", "HandChip", "chip_place", "signed"]

NO_FIGURE = "–"
MINUS = "\N{MINUS SIGN}"
GAP, EDGE = 14.0, 8.0  # between hand and plate, and between plate and the edge of the view; logical pixels
_PLATE = QColor(16, 18, 22, 225)
_TIP = (
    "<p>Distance from the camera to the middle of the palm. ± is two standard deviations: of the fit, of the model, of "
    "a hand size that is not measured, and of a field of view that is assumed. Measuring your hand and calibrating the "
    "camera make it smaller.</p><p>Click for the wrist's position.</p>"
)


def chip_place(
    hand: QRectF, size: QSizeF, view: QRectF, taken: Sequence[QRectF], before: str = ""
) -> tuple[str, QPointF]:
    """Where the plate of a hand goes: beside the hand, inside the view, on nothing that is taken.

    Args:
        hand: around the hand, as seen.
        size: of the plate.
        view: to stay inside of.
        taken: other plates and hands.
        before: the side it was on last: kept while it is good, so that the plate does not jump.

    Returns:
        the side ("right", "left", "below" or "above") and the top left corner. Where nothing is free: inside the view.
    """
    room = view.adjusted(EDGE, EDGE, -EDGE - size.width(), -EDGE - size.height())
    middle = QPointF(hand.center().x() - size.width() / 2, hand.center().y() - size.height() / 2)
    corners = {
        "right": QPointF(hand.right() + GAP, middle.y()),
        "left": QPointF(hand.left() - GAP - size.width(), middle.y()),
        "below": QPointF(middle.x(), hand.bottom() + GAP),
        "above": QPointF(middle.x(), hand.top() - GAP - size.height()),
    }
    sides = sorted(corners, key=lambda side: side != before)
    placed = {side: QRectF(_inside(corners[side], room), size) for side in sides}
    free = [side for side in sides if not any(placed[side].intersects(other) for other in (hand, *taken))]
    clear = [side for side in sides if not any(placed[side].intersects(other) for other in taken)]
    side = (free or clear or sides)[0]
    return side, placed[side].topLeft()


def _inside(corner: QPointF, room: QRectF) -> QPointF:
    x = min(max(corner.x(), room.left()), max(room.left(), room.right()))
    y = min(max(corner.y(), room.top()), max(room.top(), room.bottom()))
    return QPointF(x, y)


class HandChip(QFrame):
    """Figures of one hand; hidden where that hand is not seen.

    Signals:
        clicked(): the user wants more, or less.
    """

    clicked = pyqtSignal()

    def __init__(self, side: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.side = side
        self.place = ""  # the side of the hand that it is on
        self.setToolTip(_TIP)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.name = _label(self, f"{side.capitalize()} palm", 9, "#c9cfd8")
        self.figure = _label(self, NO_FIGURE, 20, "#ffffff", bold=True)
        self.error = _label(self, "", 11.5, "#dfe3e9")
        self.details = _label(self, "", 9, "#c9cfd8")
        number = QHBoxLayout()
        number.setSpacing(7)
        number.addWidget(self.figure, 0, Qt.AlignmentFlag.AlignBaseline)
        number.addWidget(self.error, 1, Qt.AlignmentFlag.AlignBaseline)
        column = QVBoxLayout(self)
        column.setContentsMargins(15, 5, 12, 6)
        column.setSpacing(0)
        column.addWidget(self.name)
        column.addLayout(number)
        column.addWidget(self.details)
        self._more = False
        self.hide()

    def show_hand(self, hand: Hand | None, distance: Distance | None, error_mm: float | None) -> None:
        """Show the figures of a hand, or why there are none; nothing where it is not seen."""
        if hand is None:
            self._set(NO_FIGURE, "", "not detected", "")
        elif distance is None:
            self._set(NO_FIGURE, "", hand.degenerate or "no position", "")
        else:
            x, y, z = (signed(value * 1e2, 1) for value in hand.root_m)
            more = "" if distance.complete else " or more"
            error = f"± {distance.error_m * 1e2:.1f} cm{more}" if distance.error_m == distance.error_m else ""
            truth = f" · error {error_mm:.0f} mm" if error_mm is not None and math.isfinite(error_mm) else ""
            moved = length_shift_m(hand)
            size = "" if moved is None else f" · hand size: {signed(moved * 1e3, 0)} mm"
            self._set(f"{distance.meters * 1e2:.1f} cm", error, f"wrist x {x}  y {y}  z {z} cm{size}", truth)
        self.details.setVisible(self._more or distance is None)
        self.setVisible(hand is not None)

    def show_more(self, on: bool) -> None:
        """Show the wrist's position, too."""
        self._more = on
        self.details.setVisible(on or self.figure.text() == NO_FIGURE)

    def _set(self, figure: str, error: str, details: str, truth: str) -> None:
        name = f"{self.side.capitalize()} palm{truth}"
        for label, text in ((self.name, name), (self.figure, figure), (self.error, error), (self.details, details)):
            if label.text() != text:
                label.setText(text)
        self.setAccessibleName(f"{self.side} palm {figure} {error} {details}")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self.clicked.emit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_PLATE)
        painter.drawRoundedRect(self.rect(), 8, 8)
        painter.setBrush(tones().hand(self.side))
        painter.drawRoundedRect(QRectF(5, 7, 4, self.height() - 14), 2, 2)
        painter.end()


def _label(parent: QWidget, text: str, points: float, ink: str, *, bold: bool = False) -> QLabel:
    label = QLabel(text, parent)
    label.setFont(figures_font(points, bold=bold))
    label.setStyleSheet(f"color: {ink};")
    label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    return label


def signed(value: float, decimals: int) -> str:
    """A figure that always carries its sign, with a true minus."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", MINUS)
