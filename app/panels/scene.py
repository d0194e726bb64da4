"""The 3D view with its small bar: turns results into scenes and offers views and parts to show."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Protocol

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QComboBox, QGridLayout, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.viewport.orbit import HOME, VIEW_NAMES, Orbit, fit_view
from app.viewport.protocol import SceneState, ViewOptions
from handdgp_core.types import Hand

FIT = "fit"
_PARTS = {
    "mesh": "Mesh",
    "skeleton": "Keypoints and bones",
    "ellipsoid": "Root with uncertainty",
    "trail": "Root trail",
    "raw_root": "Root before smoothing",
    "truth_root": "True root (demo)",
    "grid": "10 cm grid",
    "axes": "Axes",
    "frustum": "Camera",
    "labels": "Labels",
}


class Viewport(Protocol):
    """The part of `ViewportWidget` that is used here."""

    def set_scene(self, scene: SceneState) -> None: ...
    def set_options(self, options: ViewOptions) -> None: ...
    def set_view(self, name: str) -> None: ...
    def set_orbit(self, orbit: Orbit) -> None: ...
    @property
    def orbit(self) -> Orbit: ...
    def shutdown(self) -> None: ...


class NoViewport(QLabel):
    """Stands where the 3D view would be, for measurements and screens without it."""

    def __init__(self) -> None:
        super().__init__("3D view switched off")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def set_scene(self, scene: SceneState) -> None:
        """Shows nothing."""

    def set_options(self, options: ViewOptions) -> None:
        """Shows nothing."""

    def set_view(self, name: str) -> None:
        """Shows nothing."""

    def set_orbit(self, orbit: Orbit) -> None:
        """Shows nothing."""

    @property
    def orbit(self) -> Orbit:
        """Never moves."""
        return HOME

    def shutdown(self) -> None:
        """Has nothing to end."""


class ScenePanel(QWidget):
    """Embeds the 3D view.

    Args:
        viewport: the view, a QWidget; becomes a child of this panel.
    """

    def __init__(self, viewport: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.widget = viewport
        self._viewport: Viewport = viewport  # type: ignore[assignment]
        self._options = ViewOptions()
        self._hands: list[Hand] = []
        self._most_hands = 0
        self._fitted: Orbit | None = None
        self.views = QComboBox(self)
        self.views.addItem("View…")
        self.views.addItem("Fit", FIT)
        for name in VIEW_NAMES:
            self.views.addItem(name.capitalize(), name)
        self.views.setToolTip("Choose a viewpoint.")
        self.views.setAccessibleName("Viewpoint")
        self.views.activated.connect(self._choose_view)
        self.parts = QToolButton(self)
        self.parts.setText("Show")
        self.parts.setToolTip("Choose what is shown.")
        self.parts.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.parts.setMenu(self._parts_menu())
        over = QGridLayout(viewport)  # over the view, which fills the panel
        over.setContentsMargins(8, 8, 8, 8)
        over.addWidget(self.views, 0, 0)
        over.addWidget(self.parts, 0, 2)
        over.setColumnStretch(1, 1)
        over.setRowStretch(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(viewport, 1)

    def _parts_menu(self) -> QMenu:
        menu = QMenu(self)
        for entry in fields(ViewOptions):
            action = QAction(_PARTS.get(entry.name, entry.name), menu)
            action.setCheckable(True)
            action.setChecked(getattr(self._options, entry.name))
            action.toggled.connect(lambda on, name=entry.name: self._show_part(name, on))
            menu.addAction(action)
        return menu

    def _show_part(self, name: str, on: bool) -> None:
        self._options = replace(self._options, **{name: on})
        self._viewport.set_options(self._options)

    def _choose_view(self, index: int) -> None:
        name = self.views.itemData(index)
        if name == FIT:
            self.fit()
        elif name:
            self._viewport.set_view(name)
        self.views.setCurrentIndex(0)

    def show_result(self, result: FrameResult) -> None:
        """Show the hands of a result; new ones are brought into sight, unless the user has moved the view."""
        self._hands = result.hands
        placed = sum(hand.degenerate is None for hand in result.hands)
        if placed > self._most_hands:
            self._most_hands = placed
            if self._fitted in (None, self._viewport.orbit):
                self.fit()
        self._viewport.set_scene(
            SceneState.from_hands(
                result.hands,
                result.camera,
                result.frame.stamp_ns,
                [hand.root_m for hand in result.raw_hands],
                [None if true is None else true.root_m for true in result.truth],
                result.recorded or (),
            )
        )

    def fit(self) -> None:
        """Look from the usual side, from where the camera and all hands are in sight."""
        points = [np.zeros((1, 3)), *(hand.keypoints_m for hand in self._hands)]
        place = fit_view(HOME, np.concatenate(points), self.widget.width(), self.widget.height())
        self._viewport.set_orbit(place)
        self._fitted = self._viewport.orbit

    def clear(self) -> None:
        """Forget hands and trails, e.g. when the source changes."""
        self._hands = []
        self._most_hands, self._fitted = 0, None
        forget = getattr(self._viewport, "clear", None)
        if forget is not None:
            forget()

    def shutdown(self) -> None:
        """End the renderer."""
        self._viewport.shutdown()
