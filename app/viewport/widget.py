"""`ViewportWidget`: the 3D scene in a Qt window. Takes the newest scene, shows the newest picture, renders nothing."""

from __future__ import annotations

import time
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QWheelEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.viewport.backends import Picture
from app.viewport.colours import THEMES, ThemeName
from app.viewport.orbit import HOME, Orbit, fit_view, preset
from app.viewport.overlay import draw_overlay
from app.viewport.pacing import Pacer
from app.viewport.protocol import RenderRequest, SceneState, ViewOptions
from app.viewport.supervisor import STATUS_OPEN3D, RenderSupervisor
from app.viewport.trail import TrailMemory

__all__ = ["RenderStatistics", "ViewportWidget"]

# While something may happen, look for it often; else only to notice a process that died.
_QUICK_POLL_MS, _IDLE_POLL_MS = 6, 200
_STILL_AFTER_S = 0.3
# Software rendering: more pixels than this are not worth their time.
_MAX_LIVE_PIXELS, _MAX_STILL_PIXELS = 1_000_000, 2_600_000
_ZOOM_PER_NOTCH = 0.88
_TIP = (
    "<b>3D view</b>: the camera, the hand in metric space and a 10 cm grid.<br>"
    "Left drag: rotate &nbsp; Right drag or Shift+drag: pan &nbsp; Wheel: zoom &nbsp; Double-click: reset view<br>"
    "The ellipsoid around the root holds it with about 95 % confidence per axis (2 sigma)."
)


@dataclass(frozen=True)
class RenderStatistics:
    """What the view costs: pictures a second, time of one, its pixels, and who made it."""

    fps: float
    render_ms: float
    width: int
    height: int
    backend: str


class ViewportWidget(QWidget):
    """The 3D view.

    Args:
        parent: Qt's parent.
        supervisor: who renders; by default Open3D in a child process, with the painter to fall back on.
        max_fps, max_share: limits on what rendering may take, as in `Pacer`.

    Signals:
        status_changed(str): who renders now, e.g. "3D: Open3D".
        rendered(float): a picture came, with the milliseconds it took.
        view_changed(): the viewer moved.
    """

    status_changed = pyqtSignal(str)
    rendered = pyqtSignal(float)
    view_changed = pyqtSignal()

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        supervisor: RenderSupervisor | None = None,
        max_fps: float = 30.0,
        max_share: float = 0.5,
    ) -> None:
        super().__init__(parent)
        self._supervisor = supervisor or RenderSupervisor()
        # A window that forgets `shutdown` must not leave processes behind.
        self._finalizer = weakref.finalize(self, self._supervisor.stop)
        self._pacer, self._max_share = Pacer(max_fps, max_share), max_share
        self._trails = TrailMemory()
        self._scene, self._options, self._orbit = SceneState(), ViewOptions(), HOME
        self._picture: Picture | None = None
        self._image = QImage()
        self._camera_image: QImage | None = None
        self._camera_pixels: NDArray[np.uint8] | None = None  # the image wraps them
        self._dirty = True
        self._asked_s = self._changed_s = 0.0
        self._status = ""
        self._arrivals_s: deque[float] = deque(maxlen=30)
        self._drag_from: QPointF | None = None
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 180)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # the picture fills it
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(_TIP)
        self.setAccessibleName("3D view of the hand in front of the camera")

    # What the window calls

    def set_scene(self, scene: SceneState) -> None:
        """Show this scene. Cheap; a scene that was not drawn yet is replaced, nothing queues."""
        self._scene = self._trails.with_trails(scene)
        self._touch()

    def set_camera_image(self, pixels: NDArray[np.uint8] | None) -> None:
        """What the camera sees, (height, width, 3) uint8 RGB, small; drawn in its frustum. The array is kept."""
        self._camera_pixels = None if pixels is None else np.ascontiguousarray(pixels)
        self._camera_image = None if self._camera_pixels is None else _wrapped(self._camera_pixels)

    def set_options(self, options: ViewOptions) -> None:
        """Show or hide parts of the scene."""
        self._options = options
        self._touch()

    @property
    def options(self) -> ViewOptions:
        """What is shown."""
        return self._options

    def set_view(self, name: str) -> None:
        """Jump to one of `app.viewport.orbit.VIEW_NAMES`: home, camera, front, side, top, hand."""
        hands = [hand.keypoints_m for hand in self._scene.hands]
        camera = self._scene.camera
        middle = np.concatenate(hands).mean(axis=0) if hands else None
        orbit = preset(name, middle, None if camera is None else camera.fov_rad)
        if hands and name != "camera":  # which is where the camera stands
            seen = hands if name == "hand" else [np.zeros((1, 3)), *hands]
            orbit = fit_view(orbit, np.concatenate(seen), self.width(), self.height())
        self.set_orbit(orbit)

    def set_orbit(self, orbit: Orbit) -> None:
        """Look from here."""
        self._orbit = orbit
        self._touch()
        self.view_changed.emit()

    @property
    def orbit(self) -> Orbit:
        """Where the viewer stands, e.g. to remember it."""
        return self._orbit

    def zoom(self, factor: float) -> None:
        """Multiply the distance to the middle of the view: below 1 comes nearer."""
        self.set_orbit(self._orbit.zoomed(factor, 0.5 * self.width(), 0.5 * self.height(), self.width(), self.height()))

    def clear(self) -> None:
        """Forget hands and trails: another source."""
        self.set_camera_image(None)
        self._trails.clear()
        self.set_scene(SceneState(camera=self._scene.camera))

    @property
    def status(self) -> str:
        """Who renders now."""
        return self._supervisor.status

    @property
    def renderer_pid(self) -> int | None:
        """Process id of the Open3D child that draws, if any."""
        return self._supervisor.child_pid

    @property
    def statistics(self) -> RenderStatistics | None:
        """What the last pictures cost; None before the first."""
        if self._picture is None:
            return None
        times = self._arrivals_s
        span = times[-1] - times[0] if len(times) > 1 else 0.0
        height, width = self._picture.pixels.shape[:2]
        fps = (len(times) - 1) / span if span > 0 else 0.0
        return RenderStatistics(fps, self._picture.render_ms, width, height, self._picture.backend)

    def snapshot(self) -> QImage:
        """The view as it is on screen, in device pixels."""
        return self.grab().toImage()

    def shutdown(self) -> None:
        """End the renderers. The last picture stays. Safe to repeat; call it before the application quits."""
        self._closed = True
        self._timer.stop()
        self._supervisor.stop()

    # Rendering

    def _touch(self) -> None:
        self._dirty, self._changed_s = True, time.monotonic()
        if not self._closed and self.isVisible():
            self._timer.setInterval(_QUICK_POLL_MS)

    def _tick(self) -> None:
        picture = self._supervisor.poll()
        if picture is not None:
            self._show(picture)
        if self._supervisor.status != self._status:
            self._status = self._supervisor.status
            # The painter shares this process's interpreter with inference, so it gets less.
            self._pacer.restart(self._max_share if self._status == STATUS_OPEN3D else 0.5 * self._max_share)
            self._dirty = True
            self.status_changed.emit(self._status)
            self.update()
        if self._supervisor.busy or self.width() < 8 or self.height() < 8:
            return
        now = time.monotonic()
        if self._dirty and now - self._asked_s >= self._pacer.interval_s:
            self._ask(self._pacer.scale, _MAX_LIVE_PIXELS)
        elif not self._dirty and now - self._changed_s > _STILL_AFTER_S:
            self._settle()

    def _settle(self) -> None:
        """Nothing moves: one picture of full quality, then only look now and then."""
        size = self._render_size(2.0, _MAX_STILL_PIXELS)
        shown = self._picture
        if shown is not None and (shown.backend == "painter" or (shown.request.width, shown.request.height) == size):
            self._timer.setInterval(_IDLE_POLL_MS)
        else:
            self._ask(2.0, _MAX_STILL_PIXELS)

    def _ask(self, scale: float, max_pixels: int) -> None:
        width, height = self._render_size(scale, max_pixels)
        self._dirty, self._asked_s = False, time.monotonic()
        ratio = height / self.height()
        request = RenderRequest(self._scene, self._orbit, self._options, width, height, self._theme(), ratio)
        self._supervisor.request(request)

    def _render_size(self, scale: float, max_pixels: int) -> tuple[int, int]:
        ratio = self.devicePixelRatioF() * scale
        width, height = self.width() * ratio, self.height() * ratio
        shrink = min(1.0, (max_pixels / (width * height)) ** 0.5)
        return max(8, int(width * shrink)), max(8, int(height * shrink))

    def _show(self, picture: Picture) -> None:
        self._picture = picture
        height, width = picture.pixels.shape[:2]
        # The image wraps the array without a copy; `_picture` keeps the array alive.
        self._image = _wrapped(picture.pixels)
        if (width, height) == self._render_size(self._pacer.scale, _MAX_LIVE_PIXELS):
            self._pacer.record(picture.render_ms)
        self._arrivals_s.append(time.monotonic())
        self.rendered.emit(picture.render_ms)
        self.update()

    def _theme(self) -> ThemeName:
        return "dark" if self.palette().color(QPalette.ColorRole.Window).lightnessF() < 0.5 else "light"

    # Qt's events

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the last picture and the text over it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = QRectF(self.rect())
        if self._picture is None:
            background = THEMES[self._theme()].background
            request = RenderRequest(self._scene, self._orbit, self._options, 1, 1, self._theme())
            painter.fillRect(area, QColor.fromRgbF(*background))
        else:
            request = self._picture.request
            painter.drawImage(area, self._image)
        starting = "" if self._status in (STATUS_OPEN3D, "") else self._status
        draw_overlay(painter, request, area.width(), area.height(), starting, self._camera_image)
        painter.end()

    def showEvent(self, event: Any) -> None:
        """Start rendering with the first showing."""
        super().showEvent(event)
        if not self._closed:
            self._supervisor.start()
            self._touch()
            self._timer.start(_QUICK_POLL_MS)

    def hideEvent(self, event: Any) -> None:
        """A hidden view renders nothing; its process stays."""
        super().hideEvent(event)
        self._timer.stop()

    def resizeEvent(self, event: Any) -> None:
        """Render again at the new size."""
        super().resizeEvent(event)
        self._touch()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._touch()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin to turn or shift."""
        if event is not None:
            self._drag_from = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End turning or shifting."""
        self._drag_from = None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Left button turns; right or middle button, or Shift, shifts."""
        if event is None or self._drag_from is None:
            return
        moved = event.position() - self._drag_from
        self._drag_from = event.position()
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.buttons() & Qt.MouseButton.LeftButton and not shift:
            self.set_orbit(self._orbit.orbited(moved.x(), moved.y(), self.height()))
        elif event.buttons() != Qt.MouseButton.NoButton:
            self.set_orbit(self._orbit.panned(moved.x(), moved.y(), self.height()))

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Back to the first view."""
        self.set_view("home")

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom to the cursor."""
        if event is None:
            return
        factor = _ZOOM_PER_NOTCH ** (event.angleDelta().y() / 120.0)
        at = event.position()
        self.set_orbit(self._orbit.zoomed(factor, at.x(), at.y(), self.width(), self.height()))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrow keys turn, plus and minus zoom, Home goes home."""
        if event is None:
            return
        step = 0.06 * self.height()
        turns = {
            Qt.Key.Key_Left: (-step, 0.0), Qt.Key.Key_Right: (step, 0.0),
            Qt.Key.Key_Up: (0.0, -step), Qt.Key.Key_Down: (0.0, step),
        }  # fmt: skip
        key = Qt.Key(event.key())
        if key in turns:
            self.set_orbit(self._orbit.orbited(*turns[key], self.height()))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom(_ZOOM_PER_NOTCH)
        elif key == Qt.Key.Key_Minus:
            self.zoom(1.0 / _ZOOM_PER_NOTCH)
        elif key == Qt.Key.Key_Home:
            self.set_view("home")
        else:
            super().keyPressEvent(event)


def _wrapped(pixels: NDArray[np.uint8]) -> QImage:
    height, width = pixels.shape[:2]
    memory: Any = pixels.data  # Qt's types ask for bytes; any buffer will do
    return QImage(memory, width, height, 3 * width, QImage.Format.Format_RGB888)
