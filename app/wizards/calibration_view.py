"""The camera's picture in a wizard: corners that were found, and the ghost of the next pose."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, QTimer
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWidget

from app.panels.picture import PictureView
from app.wizards.calibration_worker import Snapshot
from handdgp_core.arrays import Array

_GHOST, _GHOST_FILL = QColor("#ffd24a"), QColor(255, 210, 74, 46)
_CORNER, _TAKEN = QColor("#39d98a"), QColor("#ffffff")
_FLASH_MS = 160


class CalibrationView(PictureView):
    """Picture, corners and ghost, mirrored if so wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.mirrored = False
        self.show_ghost = True
        self._corners = self._ghost = np.zeros((0, 2))
        self._flashing = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_FLASH_MS)
        self._timer.timeout.connect(self._end_flash)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show this moment."""
        if snapshot.picture is None:
            return
        picture = np.asarray(snapshot.picture)
        width = picture.shape[1]
        self._corners = _mirrored(snapshot.corners_px, width) if self.mirrored else snapshot.corners_px
        self._ghost = _mirrored(snapshot.ghost_px, width) if self.mirrored else snapshot.ghost_px
        self.set_picture(picture[:, ::-1] if self.mirrored else picture)

    def flash(self) -> None:
        """A white frame for a moment: a view was taken."""
        self._flashing = True
        self._timer.start()
        self.update()

    def _end_flash(self) -> None:
        self._flashing = False
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        if self._image is None:
            return
        target = self.image_rect()
        scale = target.width() / self._image.width()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(target)
        ghost = self._ghost[np.isfinite(self._ghost).all(axis=1)] if len(self._ghost) else self._ghost
        if self.show_ghost and len(ghost) > 2:
            painter.setPen(QPen(_GHOST, 2.5, Qt.PenStyle.DashLine))
            painter.setBrush(_GHOST_FILL)
            painter.drawPolygon(QPolygonF([_place(point, target, scale) for point in ghost]))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_CORNER)
        for point in self._corners:
            painter.drawEllipse(_place(point, target, scale), 2.6, 2.6)
        if self._flashing:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(_TAKEN, 10))
            painter.drawRect(target.adjusted(5, 5, -5, -5))
        painter.end()


def swap_sides(words: str) -> str:
    """Left for right and right for left: what a person sees who looks at a mirrored picture."""
    swapped = {"left": "right", "right": "left"}
    return " ".join(_swapped(word, swapped) for word in words.split(" "))


def _swapped(word: str, swapped: dict[str, str]) -> str:
    bare = word.rstrip(",.")
    return swapped[bare] + word[len(bare) :] if bare in swapped else word


def _mirrored(points: Array, width: int) -> Array:
    return np.stack([width - 1 - points[:, 0], points[:, 1]], axis=1) if len(points) else points


def _place(point: Array, target: QRectF, scale: float) -> QPointF:
    return QPointF(target.left() + (float(point[0]) + 0.5) * scale, target.top() + (float(point[1]) + 0.5) * scale)
