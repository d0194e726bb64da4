"""Finding boards in rendered pictures, whole, cut off, blurred, mirrored, or not there."""

import cv2
import numpy as np
import pytest

from calib import chessboard
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


CHESS = Board.parse("chessboard:7x5:26")


@pytest.fixture(scope="module")
def chess():
    return BoardRenderer(CHESS, CAMERA)


def rms_px(renderer, board, quick=False, **spoilt):
    errors = []
    for number in range(6):
        pose = look_at(board, 0.35 + 0.03 * number, 0.12 * number, 1.3 * number, 0.1 * number - 0.2)
        view = BoardDetector(board).detect(rendered(renderer, pose, **spoilt), quick=quick)
        errors.append(errors_px(view, pose, board))
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("blur_px", "noise"), [(0.5, 2.0), (0.7, 3.0), (1.1, 5.0)])
def test_corners_of_a_chessboard_are_refined(chess, blur_px, noise, quick):
    assert rms_px(chess, CHESS, quick, blur_px=blur_px, noise=noise) < 0.031 * max(1.0, noise / 3)


def test_in_a_very_noisy_picture_the_finders_own_corners_stay(chess):
    # Refined they are 0.4 pixels off.
    assert rms_px(chess, CHESS, blur_px=2.0, noise=20.0) < 0.15


def test_corners_between_markers_are_refined(renderer):
    assert rms_px(renderer, BOARD) < 0.05


def test_a_blurred_chessboard_that_fills_the_picture_is_found(chess):
    pose = look_at(CHESS, 0.22, 0.1, 0.5, 0.1)
    view = BoardDetector(CHESS).detect(rendered(chess, pose, blur_px=3.5))
    assert view is not None
    assert np.abs(errors_px(view, pose, CHESS)).max() < 1.0


def test_edge_of_the_board_is_no_row_of_corners(chess):
    pose = look_at(CHESS, 0.4, 0.2, 0.5, 0.0)
    grey = rendered(chess, pose)
    u, v = np.meshgrid(np.arange(1, 8), np.arange(1, 6))
    for down, right, expected in ((0, 0, True), (1, 0, False), (-1, 0, False), (0, 1, False)):
        points = 0.026 * np.stack([u + right, v + down, np.zeros_like(u)], axis=-1)
        grid = CAMERA.project(points @ matrix_of(pose).T + pose[3:])
        assert chessboard._is_chequered(grey, grid) is expected, (down, right)


@pytest.mark.parametrize("size", [(7, 5), (6, 6)])
def test_however_a_chessboard_was_counted_it_starts_at_the_upper_left(size):
    x, y = np.meshgrid(np.arange(float(size[0])), np.arange(float(size[1])))
    grid = np.stack([10 * x + 2 * y, 10 * y - x], axis=-1)
    turned = [grid, grid[::-1, ::-1], grid[:, ::-1], grid[::-1]]
    if size[0] == size[1]:
        turned += [np.rot90(grid), grid.transpose(1, 0, 2)]
    for other in turned:
        np.testing.assert_array_equal(chessboard._upright(other), grid)


def test_a_stream_finds_a_board_that_the_fast_check_misses(chess, monkeypatch):
    grey = rendered(chess, look_at(CHESS, 0.4, 0.3, 0.7))
    detector = BoardDetector(CHESS)
    blank = np.full_like(grey, 120)
    find = cv2.findChessboardCorners

    def strict(image, size, flags):
        return (False, None) if flags & cv2.CALIB_CB_FAST_CHECK else find(image, size, flags=flags)

    monkeypatch.setattr(cv2, "findChessboardCorners", strict)
    for _ in range(3):
        assert detector.detect(blank, quick=True) is None
    looks = [detector.detect(grey, quick=True) is not None for _ in range(6)]
    assert looks[-3:] == [True] * 3  # found once, it is found in every picture


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
