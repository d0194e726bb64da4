"""The icons of the window: glyphs of Material Design Icons in the colours of the theme."""

from __future__ import annotations

from functools import cache

import qtawesome
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QLinearGradient, QPainter, QPixmap

from app.style.theme import tones

_RED = QColor("#e5342c")  # the one colour that a recording has everywhere
_DISABLED_ALPHA = 90
_GLYPHS = {
    "play": "play",
    "pause": "pause",
    "step": "skip-next",
    "back": "skip-previous",
    "loop": "repeat",
    "snapshot": "camera-outline",
    "export": "cube-outline",
    "mirror": "flip-horizontal",
    "reset": "restart",
    "open": "folder-open-outline",
    "refresh": "refresh",
    "close": "close",
    "record": "record",
    "steps": "format-list-checks",
    "hand": "hand-back-right-outline",
    "motion": "chart-bell-curve-cumulative",
    "performance": "speedometer",
    "beside": "compare",
    "settings": "cog-outline",
    "scene": "cube-scan",
    "ruler": "ruler",
    "tick": "check-circle",
    "todo": "circle-outline",
}


@cache
def program_icon() -> QIcon:
    """The program's own icon: a hand on blue, drawn, so that it is sharp at any size."""
    made = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        picture = QPixmap(size, size)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QLinearGradient(0, 0, 0, size)
        ground.setColorAt(0.0, QColor("#4a90f5"))
        ground.setColorAt(1.0, QColor("#1d4ea8"))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ground)
        painter.drawRoundedRect(QRectF(0, 0, size, size), 0.22 * size, 0.22 * size)
        inner = round(0.74 * size)
        hand = qtawesome.icon("mdi6.hand-back-right", color="#ffffff").pixmap(QSize(inner, inner), 1.0)
        painter.drawPixmap((size - inner) // 2, (size - inner) // 2, hand)
        painter.end()
        made.addPixmap(picture)
    return made


def icon(name: str) -> QIcon:
    """An icon by name, in the theme of this moment: ask again when the palette changes. KeyError for an unknown one."""
    colour = {"record": _RED, "tick": tones().good}.get(name, tones().ink)
    faint = QColor(colour)
    faint.setAlpha(_DISABLED_ALPHA)
    as_text = QColor.NameFormat.HexArgb  # QtAwesome keeps icons by the text of their options
    return qtawesome.icon(f"mdi6.{_GLYPHS[name]}", color=colour.name(as_text), color_disabled=faint.name(as_text))
