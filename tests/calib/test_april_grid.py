"""Kalibr's AprilGrid: its geometry, its print, and finding it in rendered pictures."""

import cv2
import numpy as np
import pytest

from calib.boards import Board
from calib.detection import BoardDetector
from calib.poses import look_at
from calib.solve import solve
from handdgp_core.errors import UsageError
from tests.calib.scenes import CAMERA
from tools.calibration.simulation import BoardRenderer, Picture

BOARD = Board.parse("aprilgrid:6x4:30:9")
SCALE = 3  # pixels a millimetre in the flat picture


def flat(board: Board = BOARD) -> np.ndarray:
    return board.image(pixels_per_square=round(SCALE * board.square_mm), margin_squares=1.0)


def corners_px(board: Board) -> np.ndarray:
    # The picture's first pixel has its middle half a pixel right of the board's edge.
    return 1e3 * board.points_m[:, :2] * SCALE + SCALE * board.square_mm - 0.5


def test_its_corners_are_those_of_tags_and_gaps():
    assert BOARD.spec == "aprilgrid:6x4:30:9" and Board.parse(BOARD.spec) == BOARD
    assert BOARD.corner_count == 4 * 24 and BOARD.size_mm == (6 * 39 + 9, 4 * 39 + 9)
    np.testing.assert_allclose(1e3 * BOARD.points_m[:4, 0], [9, 39, 48, 78])
    np.testing.assert_allclose(1e3 * BOARD.points_m[12 * np.arange(3), 1], [9, 39, 48])


@pytest.mark.parametrize(
    "spec", ["aprilgrid:6x4:30", "aprilgrid:6x4:30:1", "aprilgrid:6x4:30:60", "aprilgrid:60x60:9:3"]
)
def test_what_is_no_such_board_is_refused(spec):
    with pytest.raises(UsageError):
        Board.parse(spec)


def test_every_corner_of_a_flat_print_is_found_where_it_is():
    view = BoardDetector(BOARD).detect(flat())
    assert view.ids.tolist() == list(range(BOARD.corner_count))
    np.testing.assert_allclose(view.corners_px, corners_px(BOARD), atol=0.05)


@pytest.mark.parametrize(("number", "code"), enumerate([0xD5D628584, 0xD97F18B49, 0xDD280910E]))
def test_the_first_tags_are_those_of_the_family_from_the_bottom_left(number, code):
    """Read row by row from the top left, a 1 is white, the highest bit first: as Kalibr's own print of tag36h11."""
    cells = 10  # two black ones on each side of six bits
    left, top = 9 + number * 39, 9 + 3 * 39
    middles = (np.arange(cells) + 0.5) * 30 / cells
    x, y = (np.rint((start + middles + 30) * SCALE).astype(int) for start in (left, top))
    tag = flat()[np.ix_(y, x)] > 127
    expected = np.zeros((cells, cells), dtype=bool)
    expected[2:8, 2:8] = np.array([code >> bit & 1 for bit in range(35, -1, -1)], dtype=bool).reshape(6, 6)
    np.testing.assert_array_equal(tag, expected)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_board_keeps_its_numbers(turns):
    picture = np.ascontiguousarray(np.rot90(flat(), turns))
    view = BoardDetector(BOARD).detect(picture)
    upright, (height, width) = corners_px(BOARD)[view.ids], flat().shape
    expected = upright
    for _ in range(turns):  # rot90 turns anticlockwise: (x, y) goes to (y, width - 1 - x)
        expected = np.stack([expected[:, 1], width - 1 - expected[:, 0]], axis=-1)
        width, height = height, width
    np.testing.assert_allclose(view.corners_px, expected, atol=0.1)


@pytest.mark.parametrize("border", [1, 2])
@pytest.mark.parametrize("from_top", [False, True])
@pytest.mark.parametrize("turn", [0, 2])
def test_prints_of_other_habits_are_found_too(border, from_top, turn):
    picture = np.full_like(flat(), 255)
    side, gap = round(SCALE * BOARD.square_mm), round(SCALE * BOARD.marker_mm)
    tags = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    for row in range(5):
        for column in range(7):
            x, y = side + column * (side + gap), side + row * (side + gap)
            picture[y : y + gap, x : x + gap] = 0
    for number in range(24):
        row, column = divmod(number, 6)
        x, y = side + gap + column * (side + gap), side + gap + (row if from_top else 3 - row) * (side + gap)
        tag = tags.generateImageMarker(number, side, borderBits=border)
        picture[y : y + side, x : x + side] = np.rot90(tag, turn)
    view = BoardDetector(BOARD).detect(picture)
    np.testing.assert_allclose(view.corners_px, corners_px(BOARD)[view.ids], atol=0.1)
    assert len(view) >= 16


def test_seen_at_an_angle_and_partly_covered():
    board = flat()
    height, width = board.shape
    ends = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    seen = np.float32([[140, 90], [1050, 40], [1120, 650], [90, 560]])
    matrix = cv2.getPerspectiveTransform(ends, seen)
    picture = cv2.warpPerspective(board, matrix, (1280, 720), flags=cv2.INTER_AREA, borderValue=255)
    picture[300:500, 300:520] = 90
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8)
    view = BoardDetector(BOARD).detect(picture)
    assert 40 <= len(view) < BOARD.corner_count
    expected = cv2.perspectiveTransform(corners_px(BOARD)[view.ids][:, None], matrix)[:, 0]
    away = np.linalg.norm(view.corners_px - expected, axis=1)
    assert np.sqrt(np.mean(away**2)) < 0.16 and away.max() < 0.8  # the worst is at the edge of what covers


def test_a_camera_is_calibrated_with_it():
    random = np.random.default_rng(2)
    renderer, detector = BoardRenderer(BOARD, CAMERA, 0.0), BoardDetector(BOARD)
    views = []
    while len(views) < 8:
        pose = look_at(BOARD, random.uniform(0.3, 0.4), np.deg2rad(random.uniform(5, 35)), random.uniform(0, 6.3),
                       random.uniform(-0.3, 0.3), tuple(random.uniform([450, 250], [830, 470])), CAMERA)  # fmt: skip
        view = detector.detect(renderer.render(pose, Picture(0.7, 0.0, 3.0), random))
        views += [] if view is None else [view]
    solution = solve(BOARD, views)
    np.testing.assert_allclose(solution.camera.focal_px, CAMERA.focal_px, rtol=4e-3)
    assert solution.rms_px < 0.2


def test_a_mirror_and_another_picture_show_no_board():
    detector = BoardDetector(BOARD)
    mirrored = np.ascontiguousarray(flat()[:, ::-1])
    assert detector.detect(mirrored) is None and detector.seen_in_mirror(mirrored)
    assert detector.detect(np.full((480, 640), 200, dtype=np.uint8)) is None
