"""Where the parts of the window stand at first, and how the user's own arrangement is kept in the settings."""

from __future__ import annotations

import base64

from PyQt6.QtCore import QByteArray, QSize, Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QToolBar, QVBoxLayout, QWidget

from app.live.settings_store import SettingsStore
from app.settings import Settings
from app.window.actions import COMMANDS

LAYOUT_VERSION = 2
USUAL_SIZE = QSize(1440, 900)
LEAST_SIZE = QSize(700, 420)
RAIL_WORDS_FROM = 560
ICONS_ALONE_BELOW = 1260  # logical pixels: there the tool bar has no room for words


def first_size(window: QMainWindow) -> QSize:
    """The usual size, or what the screen has for a window and its frame: at twice the scale, full HD is 960 x 540."""
    screen = window.screen()
    return USUAL_SIZE if screen is None else (screen.availableSize() - QSize(16, 48)).boundedTo(USUAL_SIZE)


def add_tool_bar(window: QMainWindow, actions: dict[str, QAction], sources: QWidget) -> QToolBar:
    """The tool bar: the list of sources, then the commands that have a button."""
    bar = QToolBar("Tools", window)
    bar.setObjectName("tools")
    bar.setMovable(False)
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    bar.addWidget(sources)
    bar.addAction(actions["refresh"])
    for name, command in COMMANDS.items():
        if command.in_tool_bar:
            if name in ("pause", "record", "mirror"):
                bar.addSeparator()
            bar.addAction(actions[name])
    for name in ("refresh", "open"):
        button = bar.widgetForAction(actions[name])
        if button is not None:
            button.setProperty("toolButtonStyle", Qt.ToolButtonStyle.ToolButtonIconOnly)
    window.addToolBar(bar)
    return bar


def set_centre(window: QMainWindow, viewing: QWidget, *below: QWidget) -> QWidget:
    """The middle of the window: what is looked at, and what stands below it. Returns the whole."""
    centre = QWidget(window)
    column = QVBoxLayout(centre)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(viewing, 1)
    for part in below:
        column.addWidget(part)
    window.setCentralWidget(centre)
    return centre


def show_words(tools: QToolBar, rail: QToolBar, size: QSize) -> None:
    """Words beside the icons where there is room for them."""
    style = Qt.ToolButtonStyle
    wide, high = size.width() >= ICONS_ALONE_BELOW, size.height() >= RAIL_WORDS_FROM
    tools.setToolButtonStyle(style.ToolButtonTextBesideIcon if wide else style.ToolButtonIconOnly)
    rail.setToolButtonStyle(style.ToolButtonTextUnderIcon if high else style.ToolButtonIconOnly)


def add_comparison(window: QMainWindow, comparison: QWidget) -> QDockWidget:
    """The dock of the comparison, hidden at first."""
    dock = _dock(window, "Comparison", comparison, Qt.DockWidgetArea.BottomDockWidgetArea)
    dock.hide()
    window.resizeDocks([dock], [230], Qt.Orientation.Vertical)
    return dock


def _dock(window: QMainWindow, title: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
    dock = QDockWidget(title, window)
    dock.setObjectName(title)
    dock.setWidget(content)
    window.addDockWidget(area, dock)
    return dock


def restore_layout(window: QMainWindow, settings: Settings) -> None:
    """Arrange the window as it was left."""
    if settings.window_geometry:
        window.restoreGeometry(_from_text(settings.window_geometry))
    if settings.window_layout:
        window.restoreState(_from_text(settings.window_layout), LAYOUT_VERSION)


def remember_layout(window: QMainWindow, settings: SettingsStore) -> None:
    """Note how the window is arranged."""
    geometry, layout = _to_text(window.saveGeometry()), _to_text(window.saveState(LAYOUT_VERSION))
    settings.change(window_geometry=geometry, window_layout=layout)


def _to_text(content: QByteArray) -> str:
    return base64.b64encode(bytes(content.data())).decode("ascii")


def _from_text(text: str) -> QByteArray:
    try:
        return QByteArray(base64.b64decode(text, validate=True))
    except ValueError:
        return QByteArray()
