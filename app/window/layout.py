"""Where the parts of the window stand at first, and how the user's own arrangement is kept in the settings."""

from __future__ import annotations

import base64

from PyQt6.QtCore import QByteArray, QSize, Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QSplitter, QTabWidget, QToolBar, QVBoxLayout, QWidget

from app.live.settings_store import SettingsStore
from app.settings import Settings
from app.window.actions import COMMANDS

LAYOUT_VERSION = 1
USUAL_SIZE = QSize(1440, 900)


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


def set_centre(window: QMainWindow, above: QWidget, left: QWidget, right: QWidget, *below: QWidget) -> None:
    """The middle of the window: picture and scene side by side, between notices and what stands below."""
    splitter = QSplitter(Qt.Orientation.Horizontal, window)
    splitter.addWidget(left)
    splitter.addWidget(right)
    splitter.setStretchFactor(0, 3)
    splitter.setStretchFactor(1, 2)
    splitter.setSizes([660, 420])
    splitter.setChildrenCollapsible(False)
    splitter.setHandleWidth(5)
    centre = QWidget(window)
    column = QVBoxLayout(centre)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(above)
    column.addWidget(splitter, 1)
    for part in below:
        column.addWidget(part)
    window.setCentralWidget(centre)


def add_docks(
    window: QMainWindow, weights: QWidget, form: QWidget, motion: QWidget, comparison: QWidget
) -> dict[str, QDockWidget]:
    """The docks around the middle, by title; that of the comparison is hidden at first."""
    window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
    window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
    window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
    right, bottom = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
    docks = {
        "Weights": _dock(window, "Weights", weights, right),
        "Settings": _dock(window, "Settings", form, right),
        "Motion": _dock(window, "Motion", motion, bottom),
        "Comparison": _dock(window, "Comparison", comparison, bottom),
    }
    window.tabifyDockWidget(docks["Motion"], docks["Comparison"])
    docks["Comparison"].hide()
    window.tabifyDockWidget(docks["Weights"], docks["Settings"])
    docks["Weights"].raise_()
    window.resizeDocks([docks["Weights"]], [310], Qt.Orientation.Horizontal)
    window.resizeDocks([docks["Motion"]], [230], Qt.Orientation.Vertical)
    return docks


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
