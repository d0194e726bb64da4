"""What a screen reader and a keyboard find in the window."""

from __future__ import annotations

from collections import Counter

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QScrollBar,
    QWidget,
)  # fmt: skip

from app.window.actions import COMMANDS, MENUS
from app.window.export_dialog import ExportDialog
from app.window.rail import PANELS

CONTROLS = (
    QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit, QProgressBar,
)  # fmt: skip


def name_of(widget: QWidget) -> str:
    """As Qt tells it: the name that was given, a button's own text, or that of the label beside it."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    labels = [label.text() for label in widget.window().findChildren(QLabel) if label.buddy() is widget]
    return widget.accessibleName() or text or "".join(labels)


def nameless(root: QWidget) -> list[str]:
    """Controls inside `root` that a screen reader has no name for; parts of other controls aside."""
    found = []
    for widget in root.findChildren(QWidget):
        part = isinstance(widget.parent(), QAbstractSpinBox | QComboBox) or widget.objectName().startswith("qt_")
        if isinstance(widget, CONTROLS) and not isinstance(widget, QScrollBar) and not part and not name_of(widget):
            found.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}: {widget.toolTip()[:60]}")
    return found


def test_every_control_of_the_window_has_a_name(rig) -> None:
    window = rig.show()
    assert not nameless(window)


def test_every_control_of_the_dialogs_has_a_name(rig, qtbot, tmp_path) -> None:
    window = rig.show()
    dialogs = [ExportDialog(30, (None, None), tmp_path, window)]
    window.actions_by_name["stream"].trigger()
    window.actions_by_name["help"].trigger()
    dialogs += [window._stream_dialog]
    for dialog in dialogs:
        assert not nameless(dialog)
        dialog.close()


def test_menus_have_mnemonics_of_their_own(rig) -> None:
    window = rig.show()
    menus = [action.menu() for action in window.menuBar().actions()]
    letters = [_mnemonic(menu.title()) for menu in menus]
    assert len(menus) == len(MENUS) and all(letters) and len(set(letters)) == len(letters)
    for menu in menus:
        entries = [action.text() for action in menu.actions() if not action.isSeparator()]
        counts = Counter(_mnemonic(text) for text in entries)
        assert "" not in counts, entries
        assert max(counts.values()) == 1, entries


def _mnemonic(text: str) -> str:
    place = text.replace("&&", "").find("&")
    return "" if place < 0 else text[place + 1].lower()


def test_shortcuts_are_unique() -> None:
    keys = [key for command in COMMANDS.values() for key in command.keys]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("panel", PANELS)
def test_tab_reaches_every_control_and_comes_round(rig, qtbot, panel: str) -> None:
    window = rig.show()
    window.activateWindow()
    window.rail.open(panel)
    QApplication.processEvents()
    window.camera.view.setFocus()
    rig.until(window.camera.view.hasFocus)
    seen: list[QWidget] = []
    while QApplication.focusWidget() not in seen and len(seen) < 400:
        seen.append(QApplication.focusWidget())
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert len(seen) > 2 and window.side.close_button in seen
    missed = [
        widget for widget in window.findChildren(QWidget)
        if isinstance(widget, QAbstractButton | QComboBox | QAbstractSpinBox) and widget.isVisible()
        and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget not in seen
        and widget.focusProxy() is None and not widget.objectName().startswith("qt_")
    ]  # fmt: skip
    assert not [f"{type(widget).__name__} {name_of(widget)}" for widget in missed]


def test_the_program_has_an_icon(rig) -> None:
    from app.style.icons import program_icon

    rig.show()
    for size in (16, 32, 128):
        image = program_icon().pixmap(size, size).toImage()
        assert image.width() == size
        assert len({image.pixelColor(x, size // 2).rgba() for x in range(size)}) > 2
