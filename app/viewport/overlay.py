"""Text over the picture: grid labels, distances, the weight legend, messages. Drawn by Qt, so always sharp."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QColor, QFont, QLinearGradient, QPainter, QPen

from app.viewport import marks
from app.viewport.colours import THEMES, Theme, weight_colours
from app.viewport.protocol import RenderRequest

__all__ = ["EMPTY_TEXT", "draw_overlay"]

EMPTY_TEXT = "No hand detected: hold a hand in front of the camera"
_MARGIN = 12.0


def draw_overlay(painter: QPainter, request: RenderRequest, width: float, height: float, status: str = "") -> None:
    """Write over a picture of `request` that fills (width, height) logical pixels."""
    theme, options, scene = THEMES[request.theme], request.options, request.scene
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    if options.labels:
        if options.grid:
            _grid_labels(painter, request, theme, width, height)
        if options.axes and np.linalg.norm(request.orbit.eye_m()) > marks.FRUSTUM_DEPTH_M:
            _axis_labels(painter, request, theme, width, height)
        plates: list[QRectF] = []
        for hand in scene.hands:
            if hand.distance_m is not None:
                distance = f"palm {100 * hand.distance_m:.1f} cm"
                _tag(painter, request, theme, hand.root_m, distance, theme.hand(hand.side), width, height, plates)
        if options.skeleton and scene.hands:
            _legend(painter, theme, height)
    if scene.note or not scene.hands:
        _message(painter, theme, scene.note or EMPTY_TEXT, width, height)
    if status:
        _status(painter, theme, status, width)


def _grid_labels(painter: QPainter, request: RenderRequest, theme: Theme, width: float, height: float) -> None:
    """Distances from the camera, along the line below its optical axis."""
    steps = np.arange(0, round(marks.GRID_LENGTH_M / marks.CELL_M) + 1, 2) * marks.CELL_M
    places = np.column_stack([np.zeros(len(steps)), np.full(len(steps), marks.FLOOR_Y_M), steps])
    pixels, depths = request.orbit.project(places, width, height)
    painter.setFont(_font(painter, -1))
    painter.setPen(_ink(theme, 0.62))
    for step, (u, v), depth in zip(steps, pixels, depths, strict=True):
        if depth > 0.05 and not _behind_a_hand(request, u, v, depth, width, height):
            painter.drawText(QRectF(u - 60, v + 2, 120, 18), Qt.AlignmentFlag.AlignCenter, f"{100 * step:.0f} cm")


def _behind_a_hand(request: RenderRequest, u: float, v: float, depth: float, width: float, height: float) -> bool:
    for hand in request.scene.hands:
        pixels, depths = request.orbit.project(hand.keypoints_m, width, height)
        margin = 15 + 0.12 * np.ptp(pixels, axis=0).max()  # the mesh reaches farther than its keypoints
        low, high = pixels.min(axis=0) - margin, pixels.max(axis=0) + margin
        if depths.mean() < depth and low[0] < u < high[0] and low[1] < v + 11 < high[1]:
            return True
    return False


def _axis_labels(painter: QPainter, request: RenderRequest, theme: Theme, width: float, height: float) -> None:
    ends = 1.25 * marks.AXIS_LENGTH_M * np.eye(3)
    pixels, depths = request.orbit.project(ends, width, height)
    painter.setFont(_font(painter, -1, bold=True))
    for name, colour, (u, v), depth in zip(
        "xyz", (theme.axis_x, theme.axis_y, theme.axis_z), pixels, depths, strict=True
    ):
        if depth > 0.05:
            painter.setPen(_colour(colour))
            painter.drawText(QRectF(u - 10, v - 10, 20, 20), Qt.AlignmentFlag.AlignCenter, name)


def _tag(
    painter: QPainter,
    request: RenderRequest,
    theme: Theme,
    place_m: np.ndarray,
    text: str,
    colour: tuple[float, float, float],
    width: float,
    height: float,
    plates: list[QRectF],
) -> None:
    """A small plate beside a point of the scene: inside the view, and on none of the `plates`, which it joins."""
    pixels, depths = request.orbit.project(place_m, width, height)
    if depths[0] < 0.05:
        return
    font = _font(painter, 1, bold=True)
    painter.setFont(font)
    text_width = painter.fontMetrics().horizontalAdvance(text)
    size = QSizeF(text_width + 16, painter.fontMetrics().height() + 6)
    plate = free_place(QRectF(QPointF(pixels[0, 0] + 16, pixels[0, 1] + 10), size), plates, width, height)
    plates.append(plate)
    painter.setPen(QPen(_colour(colour), 1.2))
    painter.setBrush(_colour(theme.background, 0.82))
    painter.drawRoundedRect(plate, 5, 5)
    painter.setPen(_ink(theme))
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


def free_place(wanted: QRectF, taken: list[QRectF], width: float, height: float) -> QRectF:
    """The place nearest to the wanted one, above or below it, that lies in the view and on nothing that is taken."""

    def inside(place: QRectF) -> QRectF:
        left = min(max(place.left(), _MARGIN), max(_MARGIN, width - _MARGIN - place.width()))
        top = min(max(place.top(), _MARGIN), max(_MARGIN, height - _MARGIN - place.height()))
        return QRectF(QPointF(left, top), place.size())

    step = wanted.height() + 4
    moves = [0.0, *(sign * step * count for count in range(1, len(taken) + 2) for sign in (1, -1))]
    places = [inside(wanted.translated(0, move)) for move in moves]
    return next((place for place in places if not any(place.intersects(other) for other in taken)), places[0])


def _legend(painter: QPainter, theme: Theme, height: float) -> None:
    painter.setFont(_font(painter, -1))
    bar = QRectF(_MARGIN, height - _MARGIN - 8, 120, 8)
    gradient = QLinearGradient(bar.topLeft(), bar.topRight())
    for stop in np.linspace(0.0, 1.0, 9):
        gradient.setColorAt(float(stop), _colour(tuple(weight_colours(stop))))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(gradient)
    painter.drawRoundedRect(bar, 3, 3)
    painter.setPen(_ink(theme, 0.75))
    above = bar.translated(0, -20)
    above.setHeight(18)
    painter.drawText(above, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, "0")
    painter.drawText(above, Qt.AlignmentFlag.AlignCenter, "keypoint weight")
    painter.drawText(above, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, "1")


def _message(painter: QPainter, theme: Theme, text: str, width: float, height: float) -> None:
    painter.setFont(_font(painter, 3))
    box = QRectF(_MARGIN, 0.06 * height, width - 2 * _MARGIN, 0.25 * height)
    flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
    painter.setPen(_ink(theme, 0.85))
    painter.drawText(box, int(flags) | int(Qt.TextFlag.TextWordWrap), text)


def _status(painter: QPainter, theme: Theme, text: str, width: float) -> None:
    painter.setFont(_font(painter, -1))
    painter.setPen(_ink(theme, 0.6))
    flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop
    painter.drawText(QRectF(_MARGIN, 8, width - 2 * _MARGIN, 40), int(flags) | int(Qt.TextFlag.TextWordWrap), text)


def _font(painter: QPainter, larger_by: int, bold: bool = False) -> QFont:
    font = QFont(painter.font())
    font.setPointSizeF(max(font.pointSizeF() if font.pointSizeF() > 0 else 9.0, 7.0) + larger_by)
    font.setBold(bold)
    return font


def _colour(rgb: tuple[float, ...], alpha: float = 1.0) -> QColor:
    red, green, blue = (min(max(float(channel), 0.0), 1.0) for channel in rgb)
    return QColor.fromRgbF(red, green, blue, alpha)


def _ink(theme: Theme, alpha: float = 1.0) -> QColor:
    return _colour(theme.camera, alpha)
