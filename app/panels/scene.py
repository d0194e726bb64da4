"""The 3D view with its small bar: turns results into scenes and offers views and parts to show."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QComboBox, QGridLayout, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.live.settings_store import SettingsStore
from app.notices import NO_RESULT_TITLE
from app.viewport.colours import Floats
from app.viewport.orbit import DISTANCE_RANGE_M, HOME, MAX_ELEVATION_RAD, VIEW_NAMES, Orbit, fit_view
from app.viewport.protocol import SceneState, ViewOptions
from handdgp_core.types import Hand

FIT = "fit"
CAMERA_AROUND_M = np.array([(-0.06, -0.04, 0.1), (0.06, 0.06, 0.1), (0.0, 0.0, 0.0)])
WITHOUT_HAND_M = np.array([(0.0, 0.2, 0.2), (0.0, -0.1, 0.45)])  # a piece of the grid
VIEW_NUMBERS = 7
IMAGE_EVERY, IMAGE_WIDTH = 3, 240
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
    "camera_image": "Camera picture",
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
    def set_camera_image(self, pixels: NDArray[np.uint8] | None) -> None: ...
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

    def set_camera_image(self, pixels: NDArray[np.uint8] | None) -> None:
        """Shows nothing."""

    def shutdown(self) -> None:
        """Has nothing to end."""


class ScenePanel(QWidget):
    """Embeds the 3D view.

    Args:
        viewport: the view, a QWidget; becomes a child of this panel.
        settings: remember what is shown, and a viewpoint that the user chose.
    """

    def __init__(self, viewport: QWidget, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.widget = viewport
        self._viewport: Viewport = viewport  # type: ignore[assignment]
        hidden = settings.current.scene_hidden
        self._options = ViewOptions(**{entry.name: entry.name not in hidden for entry in fields(ViewOptions)})
        self._viewport.set_options(self._options)
        self._count = 0
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
        self._restore_view()
        changed = getattr(viewport, "view_changed", None)
        if changed is not None:
            changed.connect(self._remember_view)

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
        hidden = (entry.name for entry in fields(ViewOptions) if not getattr(self._options, entry.name))
        self._settings.change(scene_hidden=tuple(hidden))

    def _restore_view(self) -> None:
        """A viewpoint that the user chose, which stays until the view is fitted again."""
        numbers = self._settings.current.scene_view
        if len(numbers) == VIEW_NUMBERS and np.isfinite(numbers).all():
            x, y, z, azimuth, elevation, distance, fov = numbers
            low, high = DISTANCE_RANGE_M
            tilt = min(max(elevation, -MAX_ELEVATION_RAD), MAX_ELEVATION_RAD)
            self._viewport.set_orbit(
                Orbit((x, y, z), azimuth, tilt, min(max(distance, low), high), min(max(fov, 0.05), 2.5))
            )
            self._fitted = HOME  # not where the view stands: it is the user's own

    def _remember_view(self) -> None:
        place = self._viewport.orbit
        own = self._fitted is not None and place != self._fitted
        numbers = (
            (*place.target_m, place.azimuth_rad, place.elevation_rad, place.distance_m, place.fov_rad) if own else ()
        )
        self._settings.change(scene_view=numbers)

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
        elif self._fitted is None:
            self.fit()
        self._count += 1
        if self._options.camera_image and self._options.frustum and self._count % IMAGE_EVERY == 0:
            self._viewport.set_camera_image(_small(result.frame.image))
        scene = SceneState.from_hands(
            result.hands,
            result.camera,
            result.frame.stamp_ns,
            [hand.root_m for hand in result.raw_hands],
            [None if true is None else true.root_m for true in result.truth],
            result.recorded or (),
            [_unmuted(hand, raw) for hand, raw in zip(result.hands, result.raw_hands, strict=True)],
        )
        self._viewport.set_scene(replace(scene, note=NO_RESULT_TITLE) if result.unrecorded else scene)

    def fit(self) -> None:
        """Look from the usual side, from where the camera and all hands are in sight."""
        points = [CAMERA_AROUND_M, *([hand.keypoints_m for hand in self._hands] or [WITHOUT_HAND_M])]
        place = fit_view(HOME, np.concatenate(points), self.widget.width(), self.widget.height())
        self._fitted = place
        self._viewport.set_orbit(place)
        self._fitted = self._viewport.orbit

    def clear(self) -> None:
        """Forget hands and trails, e.g. when the source changes."""
        self._hands = []
        self._most_hands = 0
        if not self._settings.current.scene_view:
            self._fitted = None
        forget = getattr(self._viewport, "clear", None)
        if forget is not None:
            forget()

    def shutdown(self) -> None:
        """End the renderer."""
        self._viewport.shutdown()


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The camera's image, as large as it is shown in the frustum."""
    height, width = image.shape[:2]
    size = (IMAGE_WIDTH, max(1, round(height * IMAGE_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _unmuted(hand: Hand, raw: Hand) -> Floats | None:
    """Where the root of a smoothed hand would be with no keypoint muted: as far off as it is for the raw one."""
    if raw.root_unmuted_m is None or raw.degenerate is not None:
        return None
    return np.asarray(hand.root_m + (raw.root_unmuted_m - raw.root_m))
