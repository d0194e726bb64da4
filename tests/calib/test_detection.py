"""Finding boards in rendered pictures, whole, cut off, blurred, mirrored, or not there."""

import cv2
import numpy as np
import pytest

from calib.boards import Board
from calib.detection import BoardDetector, edge_width_px, to_grey
from calib.poses import look_at
from calib.rotation import matrix_of
from handdgp_core.errors import ShapeError
from handdgp_core.geometry.camera import Camera
from tools.calibration.simulation import BoardRenderer, Picture

LENS = np.array([0.09, -0.18, 0.0008, -0.0006, 0.05])
CAMERA = Camera(640, 360, np.array([[460, 0, 322.0], [0, 459, 176], [0, 0, 1]]), LENS)
BOARD = Board.parse("charuco:7x5:30:22")


@pytest.fixture(scope="module")
def renderer():
    return BoardRenderer(BOARD, CAMERA)


def rendered(renderer, pose, **spoilt):
    return renderer.render(pose, Picture(**spoilt), np.random.default_rng(1))


def errors_px(view, pose, board=BOARD):
    return view.corners_px - CAMERA.project(board.points_m[view.ids] @ matrix_of(pose).T + pose[3:])


def test_corners_of_a_tilted_board_are_found_to_a_tenth_of_a_pixel(renderer):
    pose = look_at(BOARD, 0.35, 0.5, 0.7, 0.3)
    view = BoardDetector(BOARD).detect(rendered(renderer, pose))
    assert len(view) == 24
    assert np.abs(errors_px(view, pose)).max() < 0.35
    assert np.sqrt(np.mean(errors_px(view, pose) ** 2)) < 0.1


def test_a_board_that_is_cut_off_gives_the_corners_that_are_seen(renderer):
    pose = look_at(BOARD, 0.3, 0.3, 0.0, 0.0, (500.0, 270.0), CAMERA)
    view = BoardDetector(BOARD).detect(rendered(renderer, pose))
    assert 8 <= len(view) < 24
    assert np.abs(errors_px(view, pose)).max() < 0.4


def test_a_chessboard_is_found_whole_and_in_the_order_of_its_points():
    board = Board.parse("chessboard:7x5:26")
    pose = look_at(board, 0.4, 0.4, 0.7, 0.2)
    view = BoardDetector(board).detect(BoardRenderer(board, CAMERA).render(pose, Picture(), np.random.default_rng(1)))
    assert np.sqrt(np.mean(errors_px(view, pose, board) ** 2)) < 0.15


@pytest.mark.parametrize("board", [BOARD, Board.parse("chessboard:7x5:26")])
def test_no_board_is_none(board):
    noise = np.random.default_rng(0).integers(0, 255, (360, 640), dtype=np.uint8)
    for picture in (np.zeros((360, 640), np.uint8), np.full((360, 640), 200, np.uint8), noise):
        assert BoardDetector(board).detect(picture) is None


def test_a_mirrored_board_is_named_as_such(renderer):
    picture = rendered(renderer, look_at(BOARD, 0.35))
    detector = BoardDetector(BOARD)
    flipped = np.ascontiguousarray(picture[:, ::-1])
    assert detector.detect(flipped) is None
    assert detector.seen_in_mirror(flipped)
    assert not detector.seen_in_mirror(picture)


def test_edges_grow_wider_with_blur(renderer):
    detector, pose = BoardDetector(BOARD), look_at(BOARD, 0.35, 0.3)
    widths = []
    for blur in (0.6, 1.1, 1.5):
        picture = rendered(renderer, pose, blur_px=blur)
        widths.append(edge_width_px(picture, detector.detect(picture)))
    assert widths[0] < 3 < widths[2]
    assert widths[0] < widths[1] < widths[2]


def test_both_shapes_of_opencv_are_taken(renderer, monkeypatch):
    picture = rendered(renderer, look_at(BOARD, 0.35))
    detector = BoardDetector(BOARD)
    usual = detector.detect(picture)

    class Older:
        def detectBoard(self, grey):
            return usual.corners_px.astype(np.float32).reshape(-1, 1, 2), usual.ids.reshape(-1, 1), None, None

    monkeypatch.setattr(detector, "_charuco", Older())
    older = detector.detect(picture)
    np.testing.assert_array_equal(older.ids, usual.ids)
    assert older.corners_px.shape == usual.corners_px.shape


def test_a_colour_picture_must_be_made_grey_first():
    with pytest.raises(ShapeError, match="grey"):
        BoardDetector(BOARD).detect(np.zeros((10, 10, 3), np.uint8))
    assert to_grey(np.zeros((10, 12, 3), np.uint8)).shape == (10, 12)
    assert cv2.__version__.split(".")[0] in ("4", "5")


def test_corners_of_hardly_more_than_one_row_are_no_view(monkeypatch):
    board = Board()
    detector = BoardDetector(board)
    pose = look_at(board, 0.4, 0.4)
    pixels = CAMERA.project(board.points_m @ matrix_of(pose).T + pose[3:])

    class Scripted:
        ids = np.array([0, 1, 2, 3, 4, 5, 6, 9, 12])

        def detectBoard(self, grey):
            return pixels[self.ids].astype(np.float32), self.ids, None, None

    scripted = Scripted()
    monkeypatch.setattr(detector, "_charuco", scripted)
    monkeypatch.setattr(detector, "_refined", lambda grey, ids, corners: corners)
    blank = np.zeros((360, 640), np.uint8)
    assert detector.detect(blank) is None
    scripted.ids = np.array([0, 1, 2, 3, 4, 9, 10, 12])
    assert len(detector.detect(blank)) == 8
