"""`check --touch`: errors injected into a fingertip on a corner come out again, along the line of sight and across."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.accuracy.checker import Checker
from app.accuracy.comparison import Comparison, Rejection
from app.accuracy.page import page as html_page
from app.accuracy.page import rows, write_page
from app.accuracy.touch import CORNER_NAMES, FRAMES_AT_REST, FRAMES_OF_TOUCH, corners_of, fingertips_m
from app.cli.main import main
from app.cli.options import BAD_INPUT
from calib.boards import Board
from calib.poses import look_at
from calib.rotation import matrix_of
from handdgp_core.arrays import Array
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.sessions.writer import SessionInfo, SessionWriter
from handdgp_core.types import Frame, Hand
from tests.app.accuracy.test_check import about, said, view_of
from tests.calib.flat_hand import HandImage
from tests.calib.scenes import BOARD, CAMERA
from tests.handdgp_core.estimation.hands_for_tests import make_hand

TIP = FINGERS["index"][-1]
LENGTH_M = 0.19


def pose_of(place: int) -> Array:
    return look_at(BOARD, 0.36 + 0.06 * place, np.deg2rad(25 + 5 * place), 1.9 * place, 0.1 * place)


def touching(place: int, corner: int, *, scale: float = 1.0, aside_m: float = 0.0, shift_m: float = 0.0) -> Hand:
    """A fingertip on a corner, seen where it is, estimated `scale` times as far away and `aside_m` to the right."""
    pose = pose_of(place)
    tip = fingertips_m(BOARD, LENGTH_M)[corner] + np.array([shift_m, 0, 0])
    seen = tip @ matrix_of(pose).T + pose[3:] + np.linspace(-0.08, 0, 21)[:, None] * (0.3, 0.9, 0.1)
    seen += tip @ matrix_of(pose).T + pose[3:] - seen[TIP]
    estimated = seen * scale + (aside_m, 0, 0)
    return make_hand(tuple(estimated[0]), keypoints_m=estimated, keypoints_px=CAMERA.project(seen), distance_std=0.03)


def checked(frames: int = FRAMES_AT_REST + 2, places: int = 2, **hand: float) -> Checker:
    checker = Checker(BOARD, LENGTH_M, touch=True)
    for place in range(places):
        for corner in range(4):
            for _ in range(frames):
                checker.add_view(view_of(pose_of(place)), CAMERA, [touching(place, corner, **hand)])
    return checker


@pytest.mark.parametrize("scale", [0.92, 1.0, 1.08])
def test_the_distance_error_that_was_injected_is_reported(scale: float) -> None:
    card = checked(scale=scale).card()
    assert card.mean_percent == pytest.approx(100 * (scale - 1), abs=0.3)
    assert card.across_mm < 1.0 and card.touches == (2,) * 4 and card.frames == 24 and card.places >= 4


def test_the_error_to_the_side_that_was_injected_is_reported() -> None:
    card = checked(aside_m=0.009).card()
    assert card.across_mm == pytest.approx(9, abs=1.0) and abs(card.mean_percent) < 1


def test_coverage_counts_the_frames_within_the_stated_error() -> None:
    assert checked(scale=1.045).card().inside == (0.0, 1.0)  # 3 % is stated


def test_a_finger_that_passes_by_touches_nothing() -> None:
    checker = Checker(BOARD, LENGTH_M, touch=True)
    found = [
        checker.add_view(view_of(pose_of(0)), CAMERA, [touching(0, 0, shift_m=0.004 * step)]) for step in range(-3, 4)
    ]
    assert found == [Rejection.MOVING] * 7
    assert not checker.comparisons


def test_a_finger_elsewhere_is_no_touch_and_ends_the_rest() -> None:
    checker = Checker(BOARD, LENGTH_M, touch=True)
    rest = touching(0, 2)
    for _ in range(FRAMES_AT_REST - 1):
        assert checker.add_view(view_of(pose_of(0)), CAMERA, [rest]) is Rejection.MOVING
    away = touching(0, 2, shift_m=0.03)
    assert checker.add_view(view_of(pose_of(0)), CAMERA, [away]) is Rejection.ELSEWHERE
    assert checker.add_view(view_of(pose_of(0)), CAMERA, [rest]) is Rejection.MOVING
    assert checker.add_view(None, CAMERA, [rest]) is Rejection.NO_BOARD
    assert checker.add_view(view_of(pose_of(0)), CAMERA, []) is Rejection.NO_HAND
    assert checker.add_view(view_of(pose_of(0)), CAMERA, [rest, rest]) is Rejection.SEVERAL_HANDS
    assert checker.add_view(view_of(pose_of(0)), CAMERA, [replace(rest, degenerate="few")]) is Rejection.DEGENERATE
    assert checker.touches is not None and checker.touches.wanted == 0


def rested(checker: Checker, corner: int, frames: int, place: int = 0) -> list[object]:
    view, finger = view_of(pose_of(place)), touching(place, corner)
    return [checker.add_view(view, CAMERA, [finger]) for _ in range(frames)]


def test_one_touch_has_so_many_frames_and_lasts_until_the_finger_leaves() -> None:
    checker = Checker(BOARD, LENGTH_M, touch=True)
    assert checker.touches is not None and checker.touches.wanted == 0
    found = rested(checker, 0, FRAMES_AT_REST + FRAMES_OF_TOUCH + 5)
    assert sum(isinstance(one, Comparison) for one in found) == FRAMES_OF_TOUCH
    assert found[-1] is Rejection.TAKEN and checker.touches.progress == 1.0 and checker.touches.wanted == 1
    checker.add_view(None, CAMERA, [])  # one frame without a board ends no touch
    assert rested(checker, 0, FRAMES_AT_REST)[-1] is Rejection.TAKEN and len(checker.touches.taken) == 1
    checker.add_view(view_of(pose_of(0)), CAMERA, [touching(0, 0, shift_m=0.03)])
    assert checker.touches.progress == 0.0
    assert isinstance(rested(checker, 0, FRAMES_AT_REST)[-1], Comparison) and checker.touches.counts == (2, 0, 0, 0)
    assert isinstance(rested(checker, 0, FRAMES_AT_REST, place=1)[-1], Comparison)  # the board was moved
    assert checker.touches.counts == (3, 0, 0, 0) and checker.touches.wanted == 0  # under way
    for _ in range(10):
        checker.add_view(view_of(pose_of(1)), CAMERA, [])
    assert checker.touches.wanted == 1


def test_the_last_touch_is_taken_back_and_its_finger_must_leave_first() -> None:
    checker = Checker(BOARD, LENGTH_M, touch=True)
    rested(checker, 0, FRAMES_AT_REST + 2)
    rested(checker, 2, FRAMES_AT_REST + 4)
    assert checker.touches is not None and len(checker.comparisons) == 8 and checker.places == 2
    checker.undo_touch()
    assert len(checker.comparisons) == 3 and checker.places == 1 and checker.touches.counts == (1, 0, 0, 0)
    assert rested(checker, 2, FRAMES_AT_REST + 3)[-1] is Rejection.TAKEN and len(checker.comparisons) == 3
    checker.add_view(view_of(pose_of(0)), CAMERA, [touching(0, 2, shift_m=0.03)])
    assert isinstance(rested(checker, 2, FRAMES_AT_REST)[-1], Comparison)
    for _ in range(3):
        checker.undo_touch()
    assert not checker.comparisons and checker.places == 0 and checker.touches.counts == (0, 0, 0, 0)


@pytest.mark.parametrize("spec", ["charuco:10x7:26:19", "chessboard:9x6:25", "aprilgrid:6x6:30:9"])
def test_the_corners_are_the_four_at_the_ends(spec: str) -> None:
    board = Board.parse(spec)
    corners = corners_of(board)
    low, high = board.points_m.min(axis=0), board.points_m.max(axis=0)
    np.testing.assert_allclose(corners[[0, 2]], [low, high])
    np.testing.assert_allclose(corners[1], [high[0], low[1], 0])
    assert len(CORNER_NAMES) == 4


def test_a_larger_hand_has_a_thicker_finger() -> None:
    small, large = (-fingertips_m(BOARD, length)[0, 2] for length in (0.16, 0.20))
    assert small == pytest.approx(0.8 * large) and large == pytest.approx(0.007 * 0.20 * 0.9613 / 0.185)


def test_the_page_says_what_was_touched(tmp_path: Path) -> None:
    card = checked(aside_m=0.005).card()
    lines = dict(rows(about(), card))
    assert "corners of the board" in lines["Compared"] and "top left 2" in lines["Compared"]
    assert "from the corner touched" in lines["Across the line of sight"]
    write_page(tmp_path / "card.html", about(), card)
    page = (tmp_path / "card.html").read_text()
    assert "7 mm above the paper" in page and "lay flat" not in page
    both = html_page(about(), card._replace(touches=None, mean_mm=-7.7), card)
    assert "lay flat" in both and "7 mm above the paper" in both and both.count("of distance, mean</th>") == 1
    assert "A hand flat on the board: Distances" in both and "-7.7 mm" in both and f"{card.mean_mm:+.1f} mm" in both


def test_rendered_touches_are_compared_with_the_truth() -> None:
    """Pictures of a hand whose index fingertip is on a corner: board and hand are found in them as in any."""
    from handdgp_core.estimation.estimator import HandEstimator

    laid, random = HandImage(BOARD, CAMERA), np.random.default_rng(0)
    length_m = 1.06 * length_of_chain(laid.length_m)  # an error of size is one of distance
    laid.place_m = tuple(np.array(laid.place_m) + corners_of(BOARD)[1, :2] - laid.laid()[1][TIP, :2])
    checker, errors = Checker(BOARD, length_m, touch=True), []
    with HandEstimator.from_weights("landmarks", hand_length_m=length_m, max_hands=1) as estimator:
        for distance_m in (0.40, 0.47):
            pose = look_at(BOARD, distance_m, np.deg2rad(25), 2.0, 0.0)
            image = laid.render(pose, 0.0, random)
            estimator.reset()
            hands = estimator.estimate(image, CAMERA)
            for _ in range(FRAMES_AT_REST + 4):
                checker.add(image, CAMERA, hands)
            true = laid.laid()[1][TIP] @ matrix_of(pose).T + pose[3:]
            errors.append(1e3 * (np.linalg.norm(hands[0].keypoints_m[TIP]) - np.linalg.norm(true)))
    card = checker.card()
    assert card.mean_mm == pytest.approx(np.mean(errors), abs=3.0) and card.touches == (0, 2, 0, 0)


def test_a_recording_without_touches_says_how_to_touch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = HandImage(BOARD, CAMERA).render(pose_of(0), 0.0, np.random.default_rng(0))  # lies in the middle
    writer = SessionWriter(tmp_path / "take.mcap", SessionInfo(source="test", program_version="0"))
    for number in range(3):
        writer.add_frame(Frame(image, number * 33_000_000, number), CAMERA)
    arguments = ["check", str(writer.finish()), "--touch", "--board", BOARD.spec, "--model", "landmarks"]
    assert main(arguments) == BAD_INPUT
    shown = said(capsys)
    assert "0 frames could be used" in shown and "Touch an outermost corner" in shown


def test_comparisons_are_counted_by_corner() -> None:
    checker = checked(places=1, frames=FRAMES_AT_REST)
    assert checker.touches is not None and checker.touches.counts == (1, 1, 1, 1)
    assert all(isinstance(found, Comparison) for found in checker.comparisons)
