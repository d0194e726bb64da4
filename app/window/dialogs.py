"""The few dialogs of the window: shortcuts and about."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.environment import version_of
from app.style.theme import css, tones
from app.window.actions import COMMANDS, MENUS

_MOUSE = (
    ("Left drag in 3D", "Rotate the view."),
    ("Right drag in 3D", "Pan the view."),
    ("Wheel in 3D", "Zoom towards the pointer."),
    ("Double click in 3D", "Reset the view."),
    ("Click a weight bar", "Mute or unmute that keypoint."),
    ("Drop a file", "Open a video, a recording, a folder of images, a calibration or a checkpoint."),
)


class ShortcutsDialog(QDialog):
    """All shortcuts, by menu, and what the mouse does."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts")
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        row = 0
        for title in MENUS:
            commands = [command for command in COMMANDS.values() if command.menu == title and command.keys]
            row = self._add_group(grid, row, title, [(command.keys, command.tip) for command in commands])
        self._add_group(grid, row, "Mouse", [((key,), tip) for key, tip in _MOUSE])
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 14, 18, 14)
        column.setSpacing(14)
        column.addWidget(_scrolling(grid, self))
        column.addWidget(buttons)

    def _add_group(self, grid: QGridLayout, row: int, title: str, lines: list[tuple[tuple[str, ...], str]]) -> int:
        if row:
            grid.setRowMinimumHeight(row, 8)
            row += 1
        head = QLabel(f"<b>{title}</b>", self)
        grid.addWidget(head, row, 0, 1, 2)
        for offset, (keys, tip) in enumerate(lines, start=1):
            grid.addWidget(_key_label(keys, self), row + offset, 0)
            grid.addWidget(QLabel(tip, self), row + offset, 1)
        return row + len(lines) + 1


def _scrolling(grid: QGridLayout, parent: QWidget) -> QScrollArea:
    """The list at its full size, and a scroll bar on screens that are too low for it."""
    content = QWidget(parent)
    content.setLayout(grid)
    area = QScrollArea(parent)
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    preferred = content.sizeHint()
    area.setMinimumWidth(preferred.width() + 24)
    screen = parent.screen()
    room = 600 if screen is None else round(0.75 * screen.availableGeometry().height())
    area.setMinimumHeight(min(preferred.height() + 4, room))
    return area


def _key_label(keys: tuple[str, ...], parent: QWidget) -> QLabel:
    names = [QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) or key for key in keys]
    label = QLabel(" or ".join(names), parent)
    label.setStyleSheet(f"color: {css(tones().accent)}; font-weight: bold;")
    return label


class AboutDialog(QDialog):
    """What this is, and where its parts come from."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("About HandDGP Live")
        text = QLabel(
            f"<h3>HandDGP Live {version_of()}</h3>"
            "<p>A metric hand scanner from an ordinary webcam: hand meshes in camera space, live.</p>"
            "<p>Licence: Apache-2.0. The method is patent pending; see the file NOTICE for that and for the "
            "licences of all components.</p>",
            self,
        )
        text.setWordWrap(True)
        text.setMinimumWidth(380)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 14, 18, 14)
        column.addWidget(text)
        column.addWidget(buttons)
