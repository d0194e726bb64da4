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
}


def icon(name: str) -> QIcon:
    """An icon by name, in the theme of this moment: ask again when the palette changes. KeyError for an unknown one."""
    colour = _RED if name == "record" else tones().ink
    faint = QColor(colour)
    faint.setAlpha(_DISABLED_ALPHA)
    as_text = QColor.NameFormat.HexArgb  # QtAwesome keeps icons by the text of their options
    return qtawesome.icon(f"mdi6.{_GLYPHS[name]}", color=colour.name(as_text), color_disabled=faint.name(as_text))
