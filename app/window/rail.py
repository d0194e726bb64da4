"""The icons at the right edge and what they open; what gives way where the window is too narrow for everything."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QSize, Qt
from PyQt6.QtGui import QAction, QResizeEvent
from PyQt6.QtWidgets import QMainWindow, QSplitter, QToolBar, QVBoxLayout, QWidget

from app.live.settings_store import SettingsStore
from app.panels.side_panel import LEAST_WIDTH, SidePanel

__all__ = ["PANELS", "Rail", "shares"]

PANELS = ("start", "weights", "motion", "performance", "beside", "settings")  # each has a command "panel_..."
PICTURE_LEAST, SCENE_LEAST = 360, 260


def shares(room: int, panel: int, scene: float) -> tuple[int, int, int]:
    """Widths of picture, 3D view and panel; 0 for what gives way.

    The picture comes first, then the panel that was asked for, then the 3D view.

    Args:
        room: what there is.
        panel: how wide the panel wants to be; 0 for none.
        scene: share of the 3D view of what it and the picture have together; 0 where it is not wanted.
    """
    if panel:
        panel = max(LEAST_WIDTH, min(panel, room - PICTURE_LEAST))
    rest = room - panel
    if not scene or rest < PICTURE_LEAST + SCENE_LEAST:
        return rest, 0, panel
    wide = max(SCENE_LEAST, min(round(scene * rest), rest - PICTURE_LEAST))
    return rest - wide, wide, panel


class _Splitter(QSplitter):
    """Has its room shared out anew whenever that changes."""

    def __init__(self, arrange: Callable[[], None], parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._arrange = arrange

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()


class Rail(QObject):
    """Opens at most one panel beside the picture, and remembers which.

    Args:
        window: gets the tool bar.
        actions: the window's commands; those of the panels are `panel_...`, that of the 3D view `scene`.
        settings: remember panel, its width, and whether the 3D view is shown.
        picture, scene, side: what stands beside each other, from left to right.

    Attributes:
        area: holds all three.
    """

    def __init__(
        self,
        window: QMainWindow,
        actions: dict[str, QAction],
        settings: SettingsStore,
        picture: QWidget,
        scene: QWidget,
        side: SidePanel,
    ) -> None:
        super().__init__(window)
        self._settings, self._scene, self._side = settings, scene, side
        self._actions = {name: actions[f"panel_{name}"] for name in PANELS}
        self._scene_action = actions["scene"]
        # Not the splitter itself, which takes whatever becomes its child for one more part: messages float over this.
        self.area = QWidget(window)
        self.splitter = _Splitter(self.arrange, self.area)
        filled = QVBoxLayout(self.area)
        filled.setContentsMargins(0, 0, 0, 0)
        filled.addWidget(self.splitter)
        for part in (picture, scene, side):
            self.splitter.addWidget(part)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(5)
        self.splitter.splitterMoved.connect(self._on_moved)
        self.bar = QToolBar("Panels", window)
        self.bar.setObjectName("panels")
        self.bar.setMovable(False)
        self.bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.bar.setIconSize(QSize(22, 22))
        for name, action in self._actions.items():
            self.bar.addAction(action)
            action.triggered.connect(lambda checked, panel=name: self.open(panel if checked else ""))
        self.bar.addSeparator()
        self.bar.addAction(self._scene_action)
        window.addToolBar(Qt.ToolBarArea.RightToolBarArea, self.bar)
        self._scene_action.triggered.connect(self._show_scene)
        side.close_requested.connect(lambda: self.open(""))
        settings.changed.connect(self._follow)
        self._follow()

    def open(self, name: str) -> None:
        """Open this panel, or none."""
        self._settings.change(panel=name)

    def arrange(self) -> None:
        """Share out the width that there is."""
        settings = self._settings.current
        room = self.splitter.width() - 2 * self.splitter.handleWidth()
        wanted = settings.panel_width if settings.panel else 0
        picture, scene, panel = shares(room, wanted, settings.scene_share if settings.show_scene else 0.0)
        self._scene.setVisible(scene > 0)
        self._side.open(settings.panel)
        self.splitter.setSizes([picture, scene, panel])

    def _follow(self) -> None:
        settings = self._settings.current
        for name, action in self._actions.items():
            action.setChecked(name == settings.panel)
        self._scene_action.setChecked(settings.show_scene)
        if settings.panel != self._side.name or settings.show_scene == self._scene.isHidden():
            self.arrange()

    def _show_scene(self, on: bool) -> None:
        """A 3D view that is asked for where there is no room takes that of the panel."""
        room = self.splitter.width() - 2 * self.splitter.handleWidth()
        panel = self._settings.current.panel
        fits = shares(room, self._settings.current.panel_width if panel else 0, 0.5)[1] > 0
        self._settings.change(show_scene=on, panel=panel if fits or not on else "")

    def _on_moved(self, position: int, index: int) -> None:
        if index == 1 and self._scene.isVisible():
            both = max(1, self._scene.x() + self._scene.width())
            self._settings.change(scene_share=min(max(self._scene.width() / both, 0.1), 0.9))
        elif self._side.isVisible() and index == 2:
            self._settings.change(panel_width=max(LEAST_WIDTH, min(self._side.width(), 1200)))
