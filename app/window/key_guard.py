"""Single-key shortcuts work wherever the focus is, but for widgets that need those very keys.

A mouse click gives no focus to buttons and lists: after it, Space pauses as before. Who moves the focus with Tab can
press buttons with Space, and move sliders and lists with the arrows.
"""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QWidget

_ARROWS = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down}
_PRESS = {Qt.Key.Key_Space, Qt.Key.Key_Return}
_PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class KeyGuard(QObject):
    """Lets buttons, sliders, boxes and lists keep their own keys while they have the focus."""

    def watch(self, root: QWidget) -> None:
        """Guard every such widget inside `root`."""
        for kind in (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox):
            for widget in root.findChildren(kind):
                widget.installEventFilter(self)
                if kind in (QAbstractButton, QComboBox) and widget.focusPolicy() & Qt.FocusPolicy.ClickFocus:
                    widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.key() in _own_keys(watched)
            and event.modifiers() in _PLAIN
        ):
            event.accept()
            return True
        return super().eventFilter(watched, event)


def _own_keys(widget: QObject | None) -> set[Qt.Key]:
    if isinstance(widget, QAbstractButton):
        return _PRESS
    if isinstance(widget, QAbstractSpinBox):
        return _ARROWS | _PRESS
    return _ARROWS
