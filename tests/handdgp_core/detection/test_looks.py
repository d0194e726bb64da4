"""What second looks show the detector, and that their pixels are the image's."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from handdgp_core.detection.landmarker import MediaPipeHandFinder
from handdgp_core.detection.looks import Look, look_at_place, looks_at
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from tests.painted_hand import paint_hand


@pytest.mark.parametrize("turns", range(4))
def test_points_come_back_to_where_they_are_in_the_image(turns: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    look = Look(7, 5, 31, 22, turns)
    shown = look.of(image)
    rows, columns = np.indices(shown.shape[:2]).reshape(2, -1)
    points = look.to_image(np.stack([columns, rows], axis=1).astype(float)).astype(int)
    np.testing.assert_array_equal(image[points[:, 1], points[:, 0]], shown[rows, columns])


@pytest.mark.parametrize(
    ("width", "height", "tiles"), [(1280, 720, 6), (640, 480, 9), (480, 640, 9), (64, 64, 9), (1, 1, 1)]
)
def test_enlarged_squares_cover_the_image(width: int, height: int, tiles: int) -> None:
    looks = looks_at(width, height)
    assert len(looks) == 4 + tiles
    seen = np.zeros((height, width), int)
    for look in looks[4:]:
        assert look.left >= 0 and look.top >= 0
        assert look.left + look.width <= width and look.top + look.height <= height
        seen[look.top : look.top + look.height, look.left : look.left + look.width] += 1
    assert seen.min() >= 1


def test_little_contrast_is_stretched_and_much_stays_as_it_is() -> None:
    dull = np.tile(np.linspace(90, 110, 64).astype(np.uint8)[:, None, None], (1, 64, 3))
    shown = Look(0, 0, 64, 64, stretched=True).of(dull)
    assert shown.min() == 0 and shown.max() == 255
    assert (np.diff(shown[:, 0, 0].astype(int)) >= 0).all()
    flat = np.full((8, 8, 3), 77, np.uint8)
    assert Look(0, 0, 8, 8, stretched=True).of(flat).shape == (8, 8, 3)


@pytest.mark.parametrize(("roll_rad", "turns"), [(0.0, 0), (1.4, 1), (-1.4, 3), (3.1, 2), (-3.1, 2)])
def test_a_hand_is_upright_at_its_last_place(roll_rad: float, turns: int) -> None:
    crop = HandCrop("right", 1.0, np.array([300.0, 200.0]), 50.0, roll_rad)
    look = look_at_place(crop, 640, 480)
    assert look == Look(200, 100, 200, 200, turns, stretched=True)
    # a hand that points to `roll_rad` points up in what is shown
    hand_px = crop.center_px + 40 * np.array([[0, 0], [math.sin(roll_rad), -math.cos(roll_rad)]])
    image = np.zeros((480, 640, 3), np.uint8)
    for value, (x, y) in zip((128, 255), np.round(hand_px).astype(int), strict=True):
        image[y, x] = value
    shown = Look(look.left, look.top, look.width, look.height, turns).of(image)[..., 0]
    (low, _), (high, _) = (np.argwhere(shown == value)[0] for value in (128, 255))
    assert high < low - 30


def test_a_place_outside_the_image_gives_no_look() -> None:
    assert look_at_place(HandCrop("right", 1.0, np.array([900.0, 200.0]), 50.0, 0.0), 640, 480) is None


FACTOR = 4


def test_a_hand_in_a_corner_of_a_large_image_needs_an_enlarged_square() -> None:
    painted, keypoints_m = paint_hand(Camera.assumed(640, 480, 60))
    small = cv2.resize(painted, None, fx=1 / FACTOR, fy=1 / FACTOR, interpolation=cv2.INTER_AREA)
    image = np.full((1080, 1920, 3), small[0, 0], np.uint8)
    image[40 : 40 + small.shape[0], 60 : 60 + small.shape[1]] = small
    expected = Camera.assumed(640, 480, 60).project(keypoints_m) / FACTOR + (60, 40)
    with MediaPipeHandFinder() as finder:
        assert finder.find(image) == []
        found = [hand for look in looks_at(1920, 1080) for hand in finder.find(image, look)]
    assert found
    assert np.linalg.norm(found[0].keypoints_px - expected, axis=1).mean() < 4
