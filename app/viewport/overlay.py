"""What Qt draws over the picture, always sharp: the camera's image, ellipsoids, words, the legend, messages."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QGuiApplication,
    QImage,
    QLinearGradient,
    QPainter,
    QPen,
    QPixmap,
    QPolygonF,
    QTransform,
)

from app.viewport import marks
from app.viewport.colours import THEMES, Theme, weight_colours
from app.viewport.labels import MARGIN, Kind, labels
from app.viewport.protocol import RenderRequest

__all__ = ["EMPTY_TEXT", "draw_overlay"]

EMPTY_TEXT = "No hand detected: hold a hand in front of the camera"
_TAG = QSizeF(16, 6)  # what a plate has around its text
_CORNER = QSizeF(150, 44)  # where the buttons stand
_ROW, _GLYPH, _LEGEND_WIDTH = 18.0, 26.0, 210.0


def draw_overlay(
    painter: QPainter,
    request: RenderRequest,
    width: float,
    height: float,
    status: str = "",
    camera_image: QImage | None = None,
) -> None:
    """Draw over a picture of `request` that fills (width, height) logical pixels."""
    theme, options, scene = THEMES[request.theme], request.options, request.scene
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    if camera_image is not None and options.frustum and options.camera_image:
        _camera_image(painter, request, camera_image, width, height)
    if options.ellipsoid:
        _shells(painter, request, theme, width, height)
    if options.labels:
        rows = _legend_rows(request)
        legend = QRectF(MARGIN, height - MARGIN - _ROW * len(rows), _LEGEND_WIDTH, _ROW * len(rows))
        corners = [QRectF(QPointF(0, 0), _CORNER), QRectF(QPointF(width - _CORNER.width(), 0), _CORNER)]
        _labels(painter, request, theme, width, height, [legend, *corners])
        if scene.hands and rows:
            device = painter.device()
            ratio = 1.0 if device is None else device.devicePixelRatioF()
            painter.drawPixmap(legend.topLeft(), _legend(theme, rows, ratio, QGuiApplication.font().toString()))
    if scene.note or not scene.hands:
        _message(painter, theme, scene.note or EMPTY_TEXT, width, height)
    if status:
        _status(painter, theme, status, width, height)


def _camera_image(painter: QPainter, request: RenderRequest, image: QImage, width: float, height: float) -> None:
    """What the camera sees, in its frustum; not where a hand lies before it, which the picture has drawn already."""
    corners = marks.frustum_corners(request.scene.camera, request.orbit)
    if corners is None:
        return
    pixels, depths = request.orbit.project(corners, width, height)
    if depths.min() < 0.02:
        return
    for hand in request.scene.hands:
        points, distances = request.orbit.project(hand.keypoints_m, width, height)
        low, high = points.min(axis=0) - 12, points.max(axis=0) + 12
        if distances.mean() < depths.mean() and (pixels.max(axis=0) > low).all() and (pixels.min(axis=0) < high).all():
            return
    frame = QPolygonF(QRectF(0, 0, image.width(), image.height()))
    frame.remove(4)  # the first corner again
    to_view = QTransform()
    if not QTransform.quadToQuad(frame, QPolygonF([QPointF(*pixel) for pixel in pixels]), to_view):
        return
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setOpacity(0.85)
    painter.setTransform(to_view, True)
    painter.drawImage(0, 0, image)
    painter.restore()


def _shells(painter: QPainter, request: RenderRequest, theme: Theme, width: float, height: float) -> None:
    """The 2 sigma ellipsoid of each root as a veil in the hand's colour, its rings are in the picture."""
    for hand in request.scene.hands:
        pixels, depths = request.orbit.project(marks.shell_points(hand), width, height)
        if depths.min() < 0.02 or np.abs(pixels).max() > 1e5:
            continue
        outline = cv2.convexHull(pixels.astype(np.float32)).reshape(-1, 2)
        colour = theme.hand(hand.side, hand.recorded)
        painter.setPen(QPen(_colour(colour, 0.9), 1.0))
        painter.setBrush(_colour(colour, 0.32))
        painter.drawPolygon(QPolygonF([QPointF(float(u), float(v)) for u, v in outline]))


def _labels(
    painter: QPainter, request: RenderRequest, theme: Theme, width: float, height: float, taken: list[QRectF]
) -> None:
    family = QGuiApplication.font().toString()
    fonts = {
        "distance": _font(1, True, family),
        "axis": _font(-1, True, family),
        "grid": _font(-1, False, family),
    }

    def size(kind: Kind, text: str) -> QSizeF:
        return _text_size(text, fonts[kind].toString()) + (_TAG if kind == "distance" else QSizeF(4, 2))

    for label in labels(request, width, height, size, taken):
        painter.setFont(fonts[label.kind])
        if label.kind == "distance":
            painter.setPen(QPen(_colour(label.colour), 1.2))
            painter.setBrush(_colour(theme.background, 0.82))
            painter.drawRoundedRect(label.place, 5, 5)
            painter.setPen(_ink(theme))
        else:
            painter.setPen(_colour(label.colour, 0.62 if label.kind == "grid" else 1.0))
        painter.drawText(label.place, Qt.AlignmentFlag.AlignCenter, label.text)


def _legend_rows(request: RenderRequest) -> tuple[tuple[str, str, str], ...]:
    """What is to be explained: a glyph, its words and the name of its colour."""
    options, hands = request.options, request.scene.hands
    rows = [
        ("ball", "Root", "root", bool(hands)),
        ("ball", "True root", "truth", options.truth_root and any(hand.truth_root_m is not None for hand in hands)),
        ("ball", "Root without muting", "ghost", any(hand.unmuted_root_m is not None for hand in hands)),
        ("shell", "2 sigma (95 %)", "ghost", options.ellipsoid),
        ("line", "Trail of the root", "ghost", options.trail),
        ("weights", "Weight 0 to 1", "", options.skeleton),
    ]
    return tuple((glyph, words, colour) for glyph, words, colour, shown in rows if shown)


@lru_cache(maxsize=16)
def _legend(theme: Theme, rows: tuple[tuple[str, str, str], ...], ratio: float, font: str) -> QPixmap:
    """The legend, painted once: it is the same in every picture."""
    legend = QPixmap(round(_LEGEND_WIDTH * ratio), round(_ROW * len(rows) * ratio))
    legend.setDevicePixelRatio(ratio)
    legend.fill(Qt.GlobalColor.transparent)
    painter = QPainter(legend)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    painter.setFont(_font(-1, False, font))
    for index, (glyph, words, colour) in enumerate(rows):
        row = QRectF(0, index * _ROW, _LEGEND_WIDTH, _ROW)
        _glyph(painter, theme, glyph, getattr(theme, colour, theme.ghost), QPointF(_GLYPH / 2 - 2, row.center().y()))
        painter.setPen(_ink(theme, 0.78))
        painter.drawText(row.adjusted(_GLYPH + 2, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, words)
    painter.end()
    return legend


def _glyph(painter: QPainter, theme: Theme, glyph: str, colour: tuple[float, ...], middle: QPointF) -> None:
    painter.setPen(QPen(_ink(theme, 0.5), 0.8))
    painter.setBrush(_colour(colour))
    if glyph == "ball":
        painter.drawEllipse(middle, 4.5, 4.5)
    elif glyph == "shell":
        painter.setBrush(_colour(colour, 0.35))
        painter.drawEllipse(middle, 10, 5)
    elif glyph == "line":
        painter.setPen(QPen(_colour(colour), 2.5))
        painter.drawLine(middle - QPointF(10, 0), middle + QPointF(10, 0))
    else:
        bar = QRectF(middle.x() - 11, middle.y() - 4, 22, 8)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for stop in np.linspace(0.0, 1.0, 9):
            gradient.setColorAt(float(stop), _colour(tuple(weight_colours(stop))))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, 2, 2)


def _message(painter: QPainter, theme: Theme, text: str, width: float, height: float) -> None:
    painter.setFont(_font(3, False, QGuiApplication.font().toString()))
    box = QRectF(MARGIN, _CORNER.height() + 0.02 * height, width - 2 * MARGIN, 0.25 * height)
    flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
    painter.setPen(_ink(theme, 0.85))
    painter.drawText(box, int(flags) | int(Qt.TextFlag.TextWordWrap), text)


def _status(painter: QPainter, theme: Theme, text: str, width: float, height: float) -> None:
    painter.setFont(_font(-1, False, QGuiApplication.font().toString()))
    painter.setPen(_ink(theme, 0.6))
    flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom
    painter.drawText(
        QRectF(MARGIN, height - MARGIN - 60, width - 2 * MARGIN, 60), int(flags) | int(Qt.TextFlag.TextWordWrap), text
    )


@lru_cache(maxsize=16)
def _font(larger_by: int, bold: bool, base: str) -> QFont:
    """The program's font (as `QFont.toString`; not the painter's, which was set for the text before), larger."""
    font = QFont()
    font.fromString(base)
    font.setPointSizeF(max(font.pointSizeF() if font.pointSizeF() > 0 else 9.0, 7.0) + larger_by)
    font.setBold(bold)
    return font


@lru_cache(maxsize=512)
def _text_size(text: str, font: str) -> QSizeF:
    """Room for a text in a font, as `QFont.toString`; measuring costs more than looking it up."""
    measured = QFont()
    measured.fromString(font)
    metrics = QFontMetricsF(measured)
    return QSizeF(metrics.horizontalAdvance(text), metrics.height())


def _colour(rgb: tuple[float, ...], alpha: float = 1.0) -> QColor:
    red, green, blue = (min(max(float(channel), 0.0), 1.0) for channel in rgb)
    return QColor.fromRgbF(red, green, blue, alpha)


def _ink(theme: Theme, alpha: float = 1.0) -> QColor:
    return _colour(theme.camera, alpha)
