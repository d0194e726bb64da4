"""A panel's content that scrolls where it does not fit."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

__all__ = ["fill_scrolling", "scroll_area"]


def scroll_area(content: QWidget, parent: QWidget) -> QScrollArea:
    """The content as wide as there is room, without a frame and without a stop of the Tab key."""
    area = QScrollArea(parent)
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area


def fill_scrolling(panel: QWidget, content: QWidget) -> None:
    """Make the content, scrolling, all that the panel shows."""
    outer = QVBoxLayout(panel)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(scroll_area(content, panel))
