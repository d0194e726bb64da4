"""The icons of the tool bar, drawn as lines in the colour of the text, so that they fit any theme and scale."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPen, QPixmap, QPolygonF

from app.style.theme import tones

_RED = QColor("#e5342c")  # the one colour that a recording has everywhere
_GRID = 24.0  # the drawings below are made on a square of this side


class _LineIcon(QIconEngine):
    """Draws one of the pictures below at whatever size is asked, in the theme of that moment."""

    def __init__(self, picture: Callable[[QPainter], None]) -> None:
        super().__init__()
        self._picture = picture

    def clone(self) -> QIconEngine:
        return _LineIcon(self._picture)

    def paint(self, painter: QPainter | None, rect: object, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter is None:
            return
        area = QRectF(rect)  # type: ignore[call-overload]
        side = min(area.width(), area.height())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(area.center() - QPointF(side / 2, side / 2))
        painter.scale(side / _GRID, side / _GRID)
        colour = QColor(tones().ink)
        if mode == QIcon.Mode.Disabled:
            colour.setAlpha(90)
        painter.setPen(QPen(colour, 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
        self._picture(painter)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRectF(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap


def icon(name: str) -> QIcon:
    """An icon by name; KeyError for an unknown one."""
    return QIcon(_LineIcon(_PICTURES[name]))


def _lines(painter: QPainter, *points: tuple[float, float], closed: bool = False) -> None:
    polygon = QPolygonF([QPointF(x, y) for x, y in points])
    if closed:
        painter.drawPolygon(polygon)
    else:
        painter.drawPolyline(polygon)


def _filled(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())


def _play(painter: QPainter) -> None:
    _filled(painter)
    _lines(painter, (8, 5), (19, 12), (8, 19), closed=True)


def _pause(painter: QPainter) -> None:
    _filled(painter)
    painter.drawRect(QRectF(6.5, 5, 3.5, 14))
    painter.drawRect(QRectF(14, 5, 3.5, 14))


def _step(painter: QPainter) -> None:
    _filled(painter)
    _lines(painter, (5, 5), (14.5, 12), (5, 19), closed=True)
    painter.drawRect(QRectF(17, 5, 2, 14))


def _snapshot(painter: QPainter) -> None:
    _lines(painter, (3, 8), (7.5, 8), (9.5, 5), (14.5, 5), (16.5, 8), (21, 8), (21, 19), (3, 19), closed=True)
    painter.drawEllipse(QPointF(12, 13), 3.7, 3.7)


def _export(painter: QPainter) -> None:
    _lines(painter, (12, 3), (20, 7.5), (20, 16.5), (12, 21), (4, 16.5), (4, 7.5), closed=True)
    _lines(painter, (4, 7.5), (12, 12), (20, 7.5))
    _lines(painter, (12, 12), (12, 21))


def _mirror(painter: QPainter) -> None:
    _lines(painter, (9, 7), (9, 17), (2.5, 17), closed=True)
    _lines(painter, (15, 7), (15, 17), (21.5, 17), closed=True)
    painter.drawLine(QPointF(12, 3), QPointF(12, 21))


def _reset(painter: QPainter) -> None:
    painter.drawArc(QRectF(5, 5, 14, 14), 60 * 16, 290 * 16)
    _lines(painter, (16.5, 2.5), (16, 6.6), (20, 7.4))


def _open(painter: QPainter) -> None:
    _lines(painter, (3, 19), (3, 6), (9, 6), (11, 8.5), (19, 8.5), (19, 11))
    _lines(painter, (3, 19), (6.5, 11), (22, 11), (18.5, 19), closed=True)


def _refresh(painter: QPainter) -> None:
    painter.drawArc(QRectF(5, 5, 14, 14), 20 * 16, 140 * 16)
    painter.drawArc(QRectF(5, 5, 14, 14), 200 * 16, 140 * 16)
    _lines(painter, (19.6, 5.5), (18.6, 9.8), (14.6, 8.9))
    _lines(painter, (4.4, 18.5), (5.4, 14.2), (9.4, 15.1))


def _close(painter: QPainter) -> None:
    painter.drawLine(QPointF(7, 7), QPointF(17, 17))
    painter.drawLine(QPointF(17, 7), QPointF(7, 17))


def _record(painter: QPainter) -> None:
    painter.setPen(QPen(_RED, 1.8))
    painter.setBrush(_RED)
    painter.drawEllipse(QPointF(12, 12), 6.5, 6.5)


def _back(painter: QPainter) -> None:
    _filled(painter)
    _lines(painter, (19, 5), (9.5, 12), (19, 19), closed=True)
    painter.drawRect(QRectF(5, 5, 2, 14))


def _loop(painter: QPainter) -> None:
    _lines(painter, (4, 12), (4, 8), (18, 8))
    _lines(painter, (15, 5), (18.5, 8), (15, 11))
    _lines(painter, (20, 12), (20, 16), (6, 16))
    _lines(painter, (9, 13), (5.5, 16), (9, 19))


_PICTURES: dict[str, Callable[[QPainter], None]] = {
    "play": _play,
    "pause": _pause,
    "step": _step,
    "snapshot": _snapshot,
    "export": _export,
    "mirror": _mirror,
    "reset": _reset,
    "open": _open,
    "refresh": _refresh,
    "close": _close,
    "record": _record,
    "back": _back,
    "loop": _loop,
}
