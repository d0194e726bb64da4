"""The widget: with the painter alone where that is enough, with real render processes where it is not."""

import multiprocessing
import os
import signal
import sys
import time
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QColor, QImage, QPalette, QWheelEvent

from app.viewport import backends
from app.viewport.labels import free_place, labels
from app.viewport.marks import frustum_corners
from app.viewport.orbit import HOME, VIEW_NAMES, preset
from app.viewport.protocol import RenderRequest, SceneState, ViewOptions
from app.viewport.supervisor import GLConfig, RenderSupervisor
from app.viewport.widget import ViewportWidget
from tests.app.viewport.conftest import ball_hand
from tests.patience import WAIT_MS, WAIT_S

SURFACELESS = GLConfig("surfaceless", {"EGL_PLATFORM": "surfaceless"})


@pytest.fixture
def make_widget(qtbot):
    made = []

    def make(configs, **options):
        widget = ViewportWidget(supervisor=RenderSupervisor(configs, **options))
        qtbot.addWidget(widget, before_close_func=lambda widget: widget.shutdown())
        widget.resize(400, 300)
        widget.show()
        made.append(widget)
        return widget

    yield make
    for widget in made:
        widget.shutdown()


@pytest.fixture
def painted(make_widget, qtbot):
    widget = make_widget([])
    qtbot.waitUntil(lambda: widget.statistics is not None, timeout=WAIT_MS)
    return widget


def colours(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8).reshape(image.height(), -1)
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)


def has_hand(widget: ViewportWidget, scene: SceneState) -> bool:
    """The right hand's blue is where the middle of its mesh projects to, in the picture itself."""
    picture = widget._picture
    if picture is None or picture.request.scene.hands == ():
        return False
    height, width = picture.pixels.shape[:2]
    place = widget.orbit.project(scene.hands[0].vertices_m.mean(axis=0), width, height).pixels[0]
    red, _, blue = picture.pixels[int(place[1]), int(place[0])].astype(int)
    return bool(blue > red + 30)


def only_mesh(widget: ViewportWidget) -> None:
    widget.set_options(ViewOptions(skeleton=False, ellipsoid=False, truth_root=False, labels=False))


def test_shows_the_hand_where_it_is(painted, scene, qtbot):
    only_mesh(painted)
    painted.set_scene(scene)
    qtbot.waitUntil(lambda: has_hand(painted, scene), timeout=WAIT_MS)
    assert painted.status.startswith("3D: basic renderer")


def test_the_newest_scene_wins(painted, scene, qtbot):
    for step in range(50):
        painted.set_scene(replace(scene, stamp_ns=step))
    qtbot.waitUntil(lambda: painted._picture.request.scene.stamp_ns == 49, timeout=WAIT_MS)
    assert len(painted._arrivals_s) < 20  # the others were never drawn


def test_empty_view_says_what_to_do_and_a_note_is_shown(painted, scene, qtbot):
    empty = colours(painted.grab().toImage())
    painted.set_scene(replace(scene, hands=(), note="Right hand not placed: too few valid weights"))
    qtbot.waitUntil(lambda: painted._picture.request.scene.note != "", timeout=WAIT_MS)
    noted = colours(painted.grab().toImage())
    top = slice(15, 60)
    background = empty[2, 2]
    assert (np.abs(empty[top] - background).sum(axis=2) > 60).sum() > 100  # there is text
    assert not np.array_equal(empty[top], noted[top])


def test_mouse_and_keys_move_the_view(painted, qtbot):
    middle = QPoint(200, 150)
    qtbot.mousePress(painted, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(painted, middle + QPoint(40, 10))
    qtbot.mouseRelease(painted, Qt.MouseButton.LeftButton, pos=middle + QPoint(40, 10))
    wheel = QWheelEvent(
        QPointF(100, 100), QPointF(100, 100), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    painted.wheelEvent(wheel)
    assert painted.orbit.distance_m < HOME.distance_m
    qtbot.keyClick(painted, Qt.Key.Key_Left)
    assert painted.orbit.azimuth_rad != HOME.azimuth_rad
    qtbot.mouseDClick(painted, Qt.MouseButton.LeftButton, pos=middle)
    assert painted.orbit == HOME


def test_drag_turns_and_shift_drag_shifts(painted):
    from PyQt6.QtGui import QMouseEvent

    def event(kind, x, modifiers=Qt.KeyboardModifier.NoModifier):
        at = QPointF(x, 100.0)
        return QMouseEvent(kind, at, at, Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton, modifiers)

    kinds = QMouseEvent.Type
    painted.mousePressEvent(event(kinds.MouseButtonPress, 100.0))
    painted.mouseMoveEvent(event(kinds.MouseMove, 130.0))
    assert painted.orbit == HOME.orbited(30, 0, painted.height())
    painted.set_view("home")
    painted.mouseMoveEvent(event(kinds.MouseMove, 140.0, Qt.KeyboardModifier.ShiftModifier))
    assert painted.orbit == HOME.panned(10, 0, painted.height())


@pytest.mark.parametrize("name", VIEW_NAMES)
def test_every_view_can_be_asked_for(painted, scene, name):
    painted.set_scene(scene)
    painted.set_view(name)
    assert painted.orbit.project(scene.hands[0].root_m, 400, 300).depths_m[0] > 0


def test_follows_the_palette(painted, qtbot):
    palette = painted.palette()
    for colour, theme in (("#202020", "dark"), ("#fafafa", "light")):
        palette.setColor(QPalette.ColorRole.Window, QColor(colour))
        painted.setPalette(palette)
        qtbot.waitUntil(lambda theme=theme: painted._picture.request.theme == theme, timeout=WAIT_MS)


def test_a_hidden_view_renders_nothing(painted, scene, qtbot):
    painted.hide()
    before = painted._picture
    painted.set_scene(scene)
    qtbot.wait(100)
    assert painted._picture is before
    painted.show()
    qtbot.waitUntil(lambda: painted._picture is not before, timeout=WAIT_MS)


def test_shutdown_twice_is_fine_and_scenes_after_it_are_harmless(painted, scene):
    painted.shutdown()
    painted.shutdown()
    painted.set_scene(scene)
    painted.set_view("top")
    assert not painted.grab().isNull()


@pytest.fixture
def left_over(monkeypatch):
    """What is left of the render processes that a test started, and of their shared memory."""
    before = set(multiprocessing.active_children())
    names = []

    class Noted(SharedMemory):  # by name: other processes of the test run have blocks, too
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            names.append(self.name)

    monkeypatch.setattr(backends, "SharedMemory", Noted)

    def left() -> list[object]:
        assert names, "no renderer was ever started"
        blocks = [name for name in names if (Path("/dev/shm") / name.lstrip("/")).exists()]
        return [*set(multiprocessing.active_children()) - before, *blocks]

    return left


@pytest.mark.gl
def test_survives_one_crash_then_paints_and_leaves_nothing_behind(make_widget, scene, qtbot, left_over):
    statuses = []
    widget = make_widget([SURFACELESS])
    widget.status_changed.connect(statuses.append)
    only_mesh(widget)
    widget.set_scene(scene)
    for crash in range(2):
        qtbot.waitUntil(lambda: widget.status == "3D: Open3D", timeout=WAIT_MS)
        widget.set_scene(replace(scene, stamp_ns=crash + 1))
        qtbot.waitUntil(lambda: widget.statistics.backend == "open3d" and has_hand(widget, scene), timeout=WAIT_MS)
        os.kill(widget._supervisor.child_pid, signal.SIGKILL)
        qtbot.waitUntil(lambda: widget.status != "3D: Open3D", timeout=WAIT_MS)
        assert has_hand(widget, scene)  # the last picture stays
    assert "crashed twice" in widget.status
    widget.set_scene(replace(scene, stamp_ns=9))
    qtbot.waitUntil(lambda: widget.statistics.backend == "painter" and has_hand(widget, scene), timeout=WAIT_MS)
    widget.shutdown()
    assert left_over() == []
    assert "3D: Open3D crashed, restarting" in statuses


@pytest.mark.gl
def test_a_worn_process_is_replaced_without_a_gap(make_widget, scene, qtbot, left_over):
    widget = make_widget([SURFACELESS], render_limit=3)
    only_mesh(widget)
    widget.set_scene(scene)
    qtbot.waitUntil(lambda: widget.status == "3D: Open3D", timeout=WAIT_MS)
    first, step, end = widget._supervisor.child_pid, 0, time.monotonic() + WAIT_S
    while widget._supervisor.child_pid == first and time.monotonic() < end:
        step += 1
        widget.set_scene(replace(scene, stamp_ns=step))
        qtbot.wait(50)
        assert widget.status == "3D: Open3D"
    assert widget._supervisor.child_pid != first
    widget.set_scene(replace(scene, stamp_ns=10**9))
    qtbot.waitUntil(
        lambda: widget._picture.request.scene.stamp_ns == 10**9 and has_hand(widget, scene), timeout=WAIT_MS
    )
    widget.shutdown()
    assert left_over() == []


@pytest.mark.gl
def test_open_gl_that_does_not_work_ends_with_the_painter(make_widget, scene, qtbot):
    if not sys.platform.startswith("linux"):
        pytest.skip("EGL_PLATFORM is a matter of Linux")
    widget = make_widget([GLConfig("bogus", {"EGL_PLATFORM": "bogus"})])
    only_mesh(widget)
    widget.set_scene(scene)
    qtbot.waitUntil(lambda: has_hand(widget, scene), timeout=WAIT_MS)  # at once, by the painter
    qtbot.waitUntil(lambda: "basic renderer" in widget.status, timeout=WAIT_MS)
    assert "install" in widget.status
    assert has_hand(widget, scene)


@pytest.mark.parametrize("name", VIEW_NAMES)
@pytest.mark.parametrize("size", [(260, 400), (700, 300)])
def test_no_words_of_the_scene_overlap_or_leave_the_view(scene, name, size):
    pair = (scene.hands[0], replace(scene.hands[0], side="left", root_m=scene.hands[0].root_m + 0.004))
    hands = tuple(replace(hand, distance_m=0.4, unmuted_root_m=hand.root_m + 0.002) for hand in pair)
    request = RenderRequest(replace(scene, hands=hands), preset(name, hands[0].root_m), ViewOptions(), *size)
    taken = [QRectF(0, 0, 150, 44)]
    found = labels(request, *size, lambda kind, text: QSizeF(9 * len(text), 16), taken)
    places = [label.place for label in found] + taken
    assert {label.text for label in found if label.kind == "distance"} >= {"palm 40.0 cm"}
    for index, one in enumerate(places):
        assert QRectF(0, 0, *size).contains(one)
        assert not any(one.intersects(other) for other in places[:index])


def test_presets_show_all_hands(painted, scene):
    hands = (scene.hands[0], ball_hand((0.35, 0.1, 0.9), "left"))
    painted.set_scene(replace(scene, hands=hands))
    for name in VIEW_NAMES:
        painted.set_view(name)
        pixels, depths = painted.orbit.project(np.concatenate([hand.keypoints_m for hand in hands]), 400, 300)
        if name != "camera":
            assert (depths > 0).all() and (pixels > 0).all() and (pixels < (400, 300)).all(), name


def test_the_camera_image_lies_in_its_frustum(painted, scene, qtbot):
    painted.set_scene(replace(scene, hands=()))
    painted.set_view("front")
    image = np.zeros((90, 160, 3), np.uint8)
    image[:, :80], image[:, 80:] = (255, 0, 0), (0, 0, 255)
    qtbot.waitUntil(lambda: painted._picture.request.orbit == painted.orbit, timeout=WAIT_MS)
    painted.set_camera_image(image)
    shown = colours(painted.snapshot())
    middles = frustum_corners(scene.camera, painted.orbit).mean(axis=0) + np.array([[-0.02, 0, 0], [0.02, 0, 0]])
    (left, right), _ = painted.orbit.project(middles, shown.shape[1], shown.shape[0])
    assert shown[int(left[1]), int(left[0])].argmax() == 0 and shown[int(right[1]), int(right[0])].argmax() == 2


def test_labels_never_overlap_and_never_leave_the_view():
    taken: list[QRectF] = []
    for _ in range(4):
        place = free_place(QRectF(390, 290, 90, 24), taken, 400, 300)
        assert QRectF(0, 0, 400, 300).contains(place)
        assert not any(place.intersects(other) for other in taken)
        taken.append(place)
    assert free_place(QRectF(50, 50, 90, 24), [], 400, 300) == QRectF(50, 50, 90, 24)
