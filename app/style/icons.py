"""The icons of the window: glyphs of Material Design Icons in the colours of the theme."""

from __future__ import annotations

import qtawesome
from PyQt6.QtGui import QColor, QIcon

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
    "settings": "cog-outline",
    "scene": "cube-scan",
    "ruler": "ruler",
    "tick": "check-circle",
    "todo": "circle-outline",
}


def icon(name: str) -> QIcon:
    """An icon by name, in the theme of this moment: ask again when the palette changes. KeyError for an unknown one."""
    colour = {"record": _RED, "tick": tones().good}.get(name, tones().ink)
    faint = QColor(colour)
    faint.setAlpha(_DISABLED_ALPHA)
    as_text = QColor.NameFormat.HexArgb  # QtAwesome keeps icons by the text of their options
    return qtawesome.icon(f"mdi6.{_GLYPHS[name]}", color=colour.name(as_text), color_disabled=faint.name(as_text))
