"""The ruler between two points of the hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt

from app.live.ruler import Anchor, Ruler, anchor_at
from handdgp_core.geometry.camera import Camera
from tests.app.doubles import HEIGHT, WIDTH, degenerate_hand, hand

CAMERA = Camera.assumed(WIDTH, HEIGHT)


def placed(side: str = "right", shift_m: float = 0.0):
    """A hand whose pixels are those of its keypoints."""
    made = hand(0.4, side=side)
    moved = replace(made, keypoints_m=made.keypoints_m + (shift_m, 0, 0), vertices_m=made.vertices_m + (shift_m, 0, 0))
    return replace(moved, keypoints_px=CAMERA.project(moved.keypoints_m))


def test_it_begins_between_thumb_and_index_tip_and_goes_with_the_hand() -> None:
    ruler = Ruler()
    for shift_m in (0.0, 0.05):
        shown = placed(shift_m=shift_m)
        reading = ruler.read([shown], "right", CAMERA)
        expected_m = np.linalg.norm(shown.keypoints_m[4] - shown.keypoints_m[8])
        assert reading is not None and reading.length_m == pytest.approx(expected_m)
        np.testing.assert_allclose(reading.ends_px, CAMERA.project(shown.keypoints_m[[4, 8]]))
    assert ruler.read([placed("left")], "right", CAMERA) is None
    assert ruler.read([degenerate_hand()], "right", CAMERA) is None and ruler.read([], "right", CAMERA) is None


def test_two_clicks_choose_its_ends_also_on_two_hands() -> None:
    both = [placed(), placed("left", 0.1)]
    ruler = Ruler()
    first = anchor_at(both[0].keypoints_px[12] + 0.3, both, CAMERA)
    assert first == Anchor("right", 12, is_keypoint=True)
    ruler.choose(first)
    reading = ruler.read(both, "right", CAMERA)
    assert reading is not None and len(reading.ends_px) == 1 and np.isnan(reading.length_m)
    ruler.choose(Anchor("left", 16, is_keypoint=True))
    reading = ruler.read(both, "right", CAMERA)
    expected_m = np.linalg.norm(both[0].keypoints_m[12] - both[1].keypoints_m[16])
    assert reading is not None and reading.length_m == pytest.approx(expected_m)
    ruler.choose(first)
    assert len(ruler.ends) == 1, "a third click begins a new pair"
    assert anchor_at(np.array([-500.0, -500.0]), both, CAMERA) is None


def test_a_click_on_the_mesh_takes_the_point_in_front() -> None:
    shown = placed()
    middle = np.array([0.5 * WIDTH, 0.2 * HEIGHT])
    ray = CAMERA.rays(middle)
    vertices = np.stack([ray * 0.5, ray * 0.4, ray * 0.4 + (0.2, 0, 0)])
    shown = replace(shown, vertices_m=vertices, keypoints_px=np.full((21, 2), 1e4))
    assert anchor_at(middle, [shown], CAMERA) == Anchor("right", 1)


def test_the_window_shows_it_and_takes_clicks(rig, qtbot) -> None:
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None and bool(window.result.hands))
    qtbot.keyClick(window, Qt.Key.Key_D)
    rig.until(lambda: window.camera.view._ruler[1].endswith(" cm"))
    shown, area = window.result, window.camera.view.image_rect()
    x, y = (shown.hands[0].keypoints_px[20] + 0.5) / (WIDTH, HEIGHT)
    place = QPoint(
        round(area.left() + (1 - x if shown.mirrored else x) * area.width()), round(area.top() + y * area.height())
    )
    qtbot.mouseClick(window.camera.view, Qt.MouseButton.LeftButton, pos=place)
    assert len(window.ruler.ends) == 1 and window.ruler.ends[0].side == "right"
    qtbot.keyClick(window, Qt.Key.Key_D)
    rig.until(lambda: window.camera.view._ruler == ([], ""))
