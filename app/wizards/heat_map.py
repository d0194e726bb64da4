"""How well the lens is known over the picture, as a small map that turns from red to green."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.style.theme import figures_font, tones
from calib.guidance import MAP_GOAL_PX
from handdgp_core.arrays import Array

_WORST_PX = 3.0


class HeatMap(QWidget):
    """Cells of the picture: red is unknown, green is as good as wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.mirrored = False
        self._std: Array | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(118)
        self.setToolTip(
            f"Uncertainty of the lens in each part of the picture: green is ±{MAP_GOAL_PX} pixels or better. "
            "Show the board where it is red."
        )
        self.setAccessibleName("Uncertainty over the picture")

    def sizeHint(self) -> QSize:
        return QSize(210, 118)

    def show_map(self, std_px: Array | None) -> None:
        """(rows, columns) standard deviations in pixels; None for nothing known yet."""
        self._std = std_px
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        area = QRectF(self.rect())
        if self._std is None:
            painter.fillRect(area, tones().raised)
            painter.setPen(tones().faint_ink)
            painter.setFont(figures_font(9))
            painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), "available after three views")
            painter.end()
            return
        rows, columns = self._std.shape
        width = min(area.width(), area.height() * 16 / 9)
        left = area.left() + (area.width() - width) / 2
        std = self._std[:, ::-1] if self.mirrored else self._std
        for row in range(rows):
            for column in range(columns):
                cell = QRectF(left + column * width / columns, row * area.height() / rows,
                              width / columns + 0.6, area.height() / rows + 0.6)  # fmt: skip
                painter.fillRect(cell, _colour(float(std[row, column])))
        painter.end()


def _colour(std_px: float) -> QColor:
    """Green at the goal, yellow between, red at ten times the goal and beyond."""
    if not np.isfinite(std_px):
        return QColor.fromHsvF(0.0, 0.75, 0.7)
    span = np.log(_WORST_PX / MAP_GOAL_PX)
    good = 1.0 - float(np.clip(np.log(max(std_px, 1e-9) / MAP_GOAL_PX) / span, 0.0, 1.0))
    return QColor.fromHsvF(0.36 * good, 0.72, 0.78)
