"""Boards: the text that names one, its corners, and its picture as OpenCV makes it."""

import numpy as np
import pytest

from calib.boards import Board
from handdgp_core.errors import UsageError


@pytest.mark.parametrize(
    "text",
    ["charuco:10x7:26:19", "charuco:7x5:30:22", "chessboard:9x6:25", "charuco:8x6:20:15:4x4_50:legacy"],
)
def test_the_text_of_a_board_comes_back(text):
    assert Board.parse(text).spec == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "charuco:COLUMNS"), ("charuco:7x5:30", "charuco:COLUMNS"), ("circles:7x5:30", "charuco:COLUMNS"),
        ("charuco:7x5:a:b", "charuco:COLUMNS"), ("charuco:7x5:30:31", "31 mm"), ("chessboard:1x6:25", "1x6"),
        ("chessboard:9x6:0", "0 mm"), ("chessboard:9x6:nan", "nan"), ("charuco:7x5:30:22:9x9_50", "9x9_50"),
        ("charuco:20x20:20:15:4x4_50", "200 markers"),
    ],
)  # fmt: skip
def test_what_is_no_board_is_refused_with_its_reason(text, said):
    with pytest.raises(UsageError, match=said):
        Board.parse(text)


@pytest.mark.parametrize("text", ["charuco:10x7:26:19", "charuco:7x6:20:15", "charuco:7x6:20:15:legacy"])
def test_picture_and_corners_are_those_of_opencv(text):
    board = Board.parse(text)
    np.testing.assert_allclose(board.points_m, board.charuco().getChessboardCorners(), atol=1e-7)
    side = 70  # marker cells of 7 and more pixels
    theirs = board.charuco().generateImage((board.columns * side, board.rows * side))
    ours = board.image(side, 0.0)
    assert np.mean((ours > 127) != (theirs > 127)) < 0.02  # they round the markers' edges otherwise


def test_a_chessboard_counts_inner_corners():
    board = Board.parse("chessboard:9x6:25")
    assert board.corner_count == 54
    assert board.size_mm == (250.0, 175.0)
    assert board.image(10, 0.0).shape == (70, 100)
