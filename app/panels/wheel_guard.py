"""The wheel over a control that has no keyboard focus scrolls what is around it, and never changes the control."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import QAbstractSlider, QAbstractSpinBox, QComboBox, QScrollBar, QWidget

__all__ = ["WheelGuard"]


class WheelGuard(QObject):
    """Whoever scrolls a form must not change the settings under the pointer."""

    def watch(self, root: QWidget) -> None:
        """Guard every spin box, list and slider inside `root`."""
        for kind in (QAbstractSpinBox, QComboBox, QAbstractSlider):
            for widget in root.findChildren(kind):
                if not isinstance(widget, QScrollBar):
                    # Qt's usual policy of these gives the focus to whatever the wheel turns over.
                    if widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                    widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        unfocused = isinstance(watched, QWidget) and not watched.hasFocus()
        if unfocused and event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()  # it goes on to the parent, which scrolls
            return True
        return super().eventFilter(watched, event)
