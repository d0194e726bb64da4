"""A sheet of paper under the hand: found, told from a sheet on its side, and good for the hand's length."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from calib.hand_size import HandState, measure_hand
from calib.poses import look_at
from calib.rotation import matrix_of
from calib.sheet import A4, LETTER, Sheet, SheetDetector
from handdgp_core.geometry.camera import Camera
from tests.calib.flat_hand import HandImage
from tests.calib.scenes import BOARD, CAMERA

# Where the sheet lies in the frame of the board that the rendered hand is laid on: under the whole hand.
SHIFT_M = np.array([0.02, -0.09, 0.0])
TABLE, PAPER = (96, 78, 62), (214, 212, 205)


class SheetUnderHand(HandImage):
    """The rendered hand, on a sheet of paper in place of the board."""

    def __init__(self, sheet: Sheet, scale: float = 1.0) -> None:
        super().__init__(BOARD, CAMERA, scale)
        self.sheet = sheet

    def picture(self, pose, random, yaw_rad=0.05):
        hand = self.render(pose, yaw_rad, np.random.default_rng(0)).astype(int)
        skin = hand.max(axis=2) - hand.min(axis=2) > 30  # board and background are grey
        steps = np.linspace(0, 1, 60, endpoint=False)[:, None]
        corners = self.sheet.points_m + SHIFT_M
        edge = np.concatenate([a + steps * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)])
        outline = CAMERA.project(edge @ matrix_of(pose).T + pose[3:])
        image = np.full(hand.shape, TABLE, np.uint8)
        cv2.fillPoly(image, [np.round(outline * 16).astype(np.int32)], PAPER, cv2.LINE_AA, shift=4)
        image[skin] = hand[skin]
        noisy = cv2.GaussianBlur(image, (0, 0), 0.7) + random.normal(0, 3, image.shape)
        true = CAMERA.project(corners @ matrix_of(pose).T + pose[3:])
        return np.clip(noisy, 0, 255).astype(np.uint8), true


@pytest.fixture(scope="module")
def seen():
    """Pictures, their true corners and keypoints, of an A4 and a Letter sheet."""
    random, found = np.random.default_rng(1), []
    for number, (sheet, scale) in enumerate(((A4, 1.0), (LETTER, 0.9), (A4, 1.12))):
        made = SheetUnderHand(sheet, scale)
        pose = look_at(BOARD, 0.52, np.deg2rad(6.0 * number), 0.8 * number)
        image, corners = made.picture(pose, random)
        found.append((made, image, corners, made.keypoints_px(pose, 0.05)))
    return found


def test_the_corners_are_found_to_a_pixel(seen):
    for made, image, corners, _ in seen:
        view = SheetDetector(made.sheet, CAMERA).detect(image)
        assert view is not None and view.size == CAMERA.size
        off = [np.abs(np.roll(view.corners_px, turn, axis=0) - corners).max() for turn in (0, 2)]  # or upside down
        assert min(off) < 1.2


def test_the_hand_has_its_length(seen):
    for made, image, _, keypoints in seen:
        view = SheetDetector(made.sheet, CAMERA).detect(image)
        state, sample = measure_hand(made.sheet, CAMERA, view, keypoints)
        assert state is HandState.GOOD
        assert sample.length_m == pytest.approx(made.length_m, rel=0.03)


@pytest.mark.parametrize("fov_deg", [55.0, 85.0])
def test_the_focal_length_need_not_be_known(seen, fov_deg):
    """The true lens sees 70 degrees; a guess may be as far off as this."""
    guess = Camera.assumed(*CAMERA.size, fov_deg)
    for made, image, _, keypoints in seen:
        view = SheetDetector(made.sheet, guess).detect(image)
        assert view is not None
        state, sample = measure_hand(made.sheet, guess, view, keypoints)
        assert state is HandState.GOOD
        assert sample.length_m == pytest.approx(made.length_m, rel=0.04)


def test_what_is_no_whole_sheet_is_not_found(seen):
    _, image, corners, _ = seen[0]
    detector = SheetDetector(A4, CAMERA)
    assert detector.detect(np.full_like(image, 90)) is None
    cut = image.copy()
    cut[:, : round(corners[:, 0].min()) + 60] = 0
    moved = np.roll(image, -round(corners[:, 0].min()) - 20, axis=1)  # over the left border of the picture
    assert detector.detect(moved) is None
    round_plate = np.full_like(image, TABLE)
    cv2.circle(round_plate, (640, 360), 250, PAPER, -1)
    assert detector.detect(round_plate) is None
    square = np.full_like(image, TABLE)
    cv2.rectangle(square, (400, 120), (880, 600), PAPER, -1)
    assert SheetDetector(replace(A4, size_mm=(250.0, 250.0)), Camera.assumed(1280, 720)).detect(square) is None
