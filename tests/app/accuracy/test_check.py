"""`check`: an injected error is the error reported, and what cannot be judged gives no number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.accuracy.checker import FEWEST_FRAMES, Checker, require_calibrated
from app.accuracy.comparison import Comparison, Rejection, compare
from app.accuracy.page import About, rows, verdict, write_page
from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from calib.poses import look_at
from calib.rotation import matrix_of
from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.hands.palm import palm_m
from handdgp_core.sessions.writer import SessionInfo, SessionWriter
from handdgp_core.types import Frame, Hand
from tests.calib.flat_hand import HandImage
from tests.calib.scenes import BOARD, CAMERA
from tests.handdgp_core.estimation.hands_for_tests import make_hand
from tools.calibration.simulation import simulated_view

# The reference takes a flat hand's joints to be at the heights of a table; those of the rendered one differ by some.
REFERENCE_M = 0.004


@pytest.fixture(scope="module")
def laid() -> HandImage:
    return HandImage(BOARD, CAMERA)


def pose_of(number: int, tilt_deg: float = 30.0) -> Array:
    return look_at(BOARD, 0.36 + 0.05 * (number % 4), np.deg2rad(tilt_deg), 1.9 * number, 0.2 * (number % 3))


def estimated(laid: HandImage, pose: Array, *, scale: float = 1.0, std: float = 0.03) -> Hand:
    """The true hand, `scale` times as far away."""
    points = scale * (laid.laid()[1] @ matrix_of(pose).T + pose[3:])
    return make_hand(
        tuple(points[0]),
        keypoints_m=points,
        keypoints_px=laid.keypoints_px(pose),
        distance_std=std,
    )


def view_of(pose: Array, camera: Camera = CAMERA):
    return simulated_view(BOARD.points_m, pose, CAMERA, 0.05, np.random.default_rng(3))


def checked(laid: HandImage, *, count: int = 12, tilt_deg: float = 30.0, camera: Camera = CAMERA, **hand) -> Checker:
    checker = Checker(BOARD)
    for number in range(count):
        pose = pose_of(number, tilt_deg)
        checker.add_view(view_of(pose), camera, [estimated(laid, pose, **hand)])
    return checker


@pytest.mark.parametrize("scale", [0.93, 1.0, 1.1])
def test_the_error_that_was_injected_is_reported(laid, scale):
    card = checked(laid, scale=scale).card()
    assert card.mean_percent == pytest.approx(100 * (scale - 1), abs=1.0)
    far = np.mean([np.linalg.norm(palm_m(estimated(laid, pose_of(number)))) for number in range(12)])
    assert card.mean_mm == pytest.approx(1e3 * (scale - 1) * far, abs=1e3 * REFERENCE_M)
    assert card.rms_mm >= abs(card.mean_mm) and card.frames == 12 and card.places == 4 and card.across_mm < 1.0
    assert card.calibration.outcome == "holds"


def test_coverage_counts_the_frames_within_the_stated_error(laid):
    honest, proud = checked(laid, scale=1.05, std=0.06).card(), checked(laid, scale=1.05, std=0.03).card()
    assert honest.inside == (1.0, 1.0) and proud.inside == (0.0, 1.0)
    assert checked(laid, scale=1.05, std=0.01).card().inside == (0.0, 0.0)
    assert proud.stated_percent == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("factor", [0.9, 1.12])
def test_a_wrong_focal_length_is_found_by_the_board_and_gives_no_number(laid, factor):
    matrix = CAMERA.matrix.copy()
    matrix[[0, 1], [0, 1]] *= factor
    wrong = replace(CAMERA, matrix=matrix)
    with pytest.raises(CalibrationError, match=r"the board contradicts the camera's calibration.*focal length off by"):
        checked(laid, camera=wrong, scale=factor).card()  # hand and board are moved alike: the errors would look fine


def test_a_board_seen_squarely_confirms_no_calibration_and_the_page_says_so(laid):
    card = checked(laid, tilt_deg=5.0).card()
    assert card.calibration.outcome == "cannot tell"
    line = dict(rows(about(), card))["Calibration"]
    assert "not confirmed" in line and "an error of focal length would not show" in line


def test_what_is_no_hand_on_a_board_gives_a_reason(laid):
    pose = pose_of(0)
    view, good, true_m = view_of(pose), estimated(laid, pose), length_of_chain(laid.length_m)
    assert isinstance(compare(BOARD, CAMERA, view, [good], length_of_chain(laid.length_m)), Comparison)

    def reason(view=view, hands=(good,), length_m=true_m):
        return compare(BOARD, CAMERA, view, hands, length_m)

    assert reason(view=None) is Rejection.NO_BOARD
    assert reason(hands=()) is Rejection.NO_HAND
    assert reason(hands=(good, good)) is Rejection.SEVERAL_HANDS
    assert reason(hands=[replace(good, degenerate="too few keypoints")]) is Rejection.DEGENERATE
    assert reason(hands=[replace(good, handedness="left")]) is Rejection.PALM_UP
    assert reason(hands=[replace(good, keypoints_px=good.keypoints_px + (900, 0))]) is Rejection.OUTSIDE
    assert reason(length_m=1.2 * length_of_chain(laid.length_m)) is Rejection.OTHER_SIZE
    steep = pose_of(0, 60.0)
    assert reason(view=view_of(steep), hands=[estimated(laid, steep)]) is Rejection.TILTED


def test_a_hand_that_hovers_over_the_board_is_not_taken_for_one_that_lies_on_it(laid):
    pose = pose_of(0, 0.0)
    hovering = laid.laid()[1] @ matrix_of(pose).T + pose[3:] - np.array([0, 0, 0.06])
    hand = replace(estimated(laid, pose), keypoints_m=hovering, keypoints_px=CAMERA.project(hovering))
    assert compare(BOARD, CAMERA, view_of(pose), [hand], length_of_chain(laid.length_m)) is Rejection.OTHER_SIZE


def test_too_few_frames_are_no_card_but_a_sentence_with_the_reasons(laid):
    checker = checked(laid, count=FEWEST_FRAMES - 1)
    checker.add_view(None, CAMERA, [])
    with pytest.raises(
        CalibrationError, match=r"9 frames could be used, 10 are needed.*board was not found in 1\. Lay"
    ):
        checker.card()
    with pytest.raises(CalibrationError, match=r"0 frames could be used"):
        Checker(BOARD).card()


def test_an_assumed_camera_is_refused():
    with pytest.raises(CalibrationError, match=r"the camera is not calibrated"):
        require_calibrated(Camera.assumed(640, 480))


def about(**changes) -> About:
    known = {
        "date": "2026-01-02 03:04", "program": "p 1", "source": "clip.mp4", "camera": CAMERA, "model": "open",
        "hand_length_m": 0.18, "hand_length_std": 0.06, "board": BOARD.spec,
    }  # fmt: skip
    return About(**{**known, **changes})


def test_the_page_names_everything_that_the_numbers_depend_on(laid, tmp_path: Path):
    card = checked(laid, scale=1.1).card()
    write_page(tmp_path / "out" / "card.html", about(source="<clip>"), card)
    page = (tmp_path / "out" / "card.html").read_text()
    for said in ("&lt;clip&gt;", "180 mm ± 12 %", "1280 x 720", BOARD.spec, "2026-01-02", "12, right hand", "open"):
        assert said in page
    assert verdict(card) in page and "too far" in verdict(card)
    assert "too few to say much" in dict(rows(about(), card._replace(places=1)))["Frames used"]
    unmeasured = dict(rows(about(hand_length_m=None), card._replace(stated_percent=float("nan"))))
    assert "mean adult's" in unmeasured["Hand length"] and "none" in unmeasured["Stated ± (one standard deviation)"]


@pytest.fixture(scope="module")
def pictures(laid, tmp_path_factory) -> Path:
    """A folder of rendered pictures and the camera that took them."""
    folder, random = tmp_path_factory.mktemp("check"), np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(FEWEST_FRAMES):
        image = laid.render(pose_of(number, [5, 15, 30][number % 3]), 0.05, random)
        cv2.imwrite(str(folder / "pictures" / f"{number}.png"), image[:, :, ::-1])
    CAMERA.save(folder / "camera.yaml")
    return folder


def said(capsys) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_from_end_to_end_the_card_has_the_error_of_the_model(laid, pictures, capsys):
    from handdgp_core.estimation.estimator import HandEstimator

    length_m = 1.06 * length_of_chain(laid.length_m)
    true = [laid.laid(0.05)[1] @ matrix_of(p).T + p[3:] for p in (pose_of(n, [5, 15, 30][n % 3]) for n in range(10))]
    errors = []
    with HandEstimator.from_weights("landmarks", hand_length_m=length_m) as estimator:
        for number, points in enumerate(true):
            image = cv2.imread(str(pictures / "pictures" / f"{number}.png"))[:, :, ::-1]
            estimator.reset()
            (hand,) = estimator.estimate(np.ascontiguousarray(image), CAMERA)
            target = palm_m(replace(hand, keypoints_m=points))
            errors.append(1e3 * (np.linalg.norm(palm_m(hand)) - np.linalg.norm(target)))
    page = pictures / "card.html"
    arguments = ["check", str(pictures / "pictures"), "--calibration", str(pictures / "camera.yaml")]
    arguments += ["--board", BOARD.spec, "--model", "landmarks", "--hand-length-mm", f"{1e3 * length_m}"]
    assert main([*arguments, "--report", str(page)]) == DONE
    shown = said(capsys)
    mean = float(shown.split("Error of distance, mean ")[1].split(" mm")[0])
    assert mean == pytest.approx(np.mean(errors), abs=1e3 * REFERENCE_M)
    assert "Frames used 10, right hand" in shown and "Frames not used none" in shown
    assert f"{mean:+.1f} mm" in page.read_text()


def test_a_recording_brings_its_camera_and_hand_length_along(laid, pictures, tmp_path, capsys):
    info = SessionInfo(source="test", program_version="0", hand_length_mm=1e3 * length_of_chain(laid.length_m))
    writer = SessionWriter(tmp_path / "take.mcap", info)
    for number in range(FEWEST_FRAMES):
        image = np.ascontiguousarray(cv2.imread(str(pictures / "pictures" / f"{number}.png"))[:, :, ::-1])
        writer.add_frame(Frame(image, number * 900_000_000, number), CAMERA)
    session = writer.finish()
    assert main(["check", str(session), "--board", BOARD.spec, "--model", "landmarks"]) == DONE
    shown = said(capsys)
    assert "Frames used 10" in shown and f"Hand length {1e3 * length_of_chain(laid.length_m):.0f} mm" in shown
    assert "Source take.mcap" in shown


def test_without_a_calibration_there_is_no_card(pictures, capsys):
    assert main(["check", str(pictures / "pictures"), "--model", "landmarks"]) == BAD_INPUT
    assert "the camera is not calibrated" in said(capsys)


def test_a_report_of_another_form_is_refused_before_the_work(pictures, capsys):
    assert main(["check", str(pictures / "pictures"), "--report", "card.pdf"]) == BAD_INPUT
    assert "ends in .html" in said(capsys)
