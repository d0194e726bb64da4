"""The accuracy check in the window: frames in, a page that can be saved out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.accuracy.touch import FRAMES_AT_REST, FRAMES_OF_TOUCH, fingertips_m
from app.live.state import Phase
from app.wizards.accuracy import AccuracyDialog
from calib.boards import DEFAULT_BOARD
from calib.poses import look_at
from calib.rotation import matrix_of
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand
from tests.app.doubles import ScriptedEstimator
from tests.app.wizards.test_hand_size_wizard import HandCamera
from tests.calib.flat_hand import HandImage
from tests.calib.scenes import CAMERA
from tests.handdgp_core.estimation.hands_for_tests import make_hand

POSES = [look_at(DEFAULT_BOARD, 0.4, np.deg2rad(30), turn, 0.05) for turn in (0.5, 2.1, 3.7, 5.3)]


class FarEstimator(ScriptedEstimator):
    """The hand of each picture, 5 % too far away."""

    def __init__(self, made: HandImage, pictures: int) -> None:
        super().__init__()
        self._made, self._pictures = made, pictures

    def estimate(self, frame: Frame, camera: Camera) -> list[Hand]:
        pose = POSES[frame.index % self._pictures]
        points = 1.05 * (self._made.laid()[1] @ matrix_of(pose).T + pose[3:])
        pixels = self._made.keypoints_px(pose)
        return [make_hand(tuple(points[0]), keypoints_m=points, keypoints_px=pixels, distance_std=0.04)]


@pytest.fixture(scope="module")
def laid():
    made, random = HandImage(DEFAULT_BOARD, CAMERA), np.random.default_rng(2)
    return made, [made.render(pose, 0.0, random) for pose in POSES]


def opened(rig, laid, camera=CAMERA):
    made, pictures = laid
    rig.sources["hand"] = lambda: HandCamera(pictures)
    rig.estimator = FarEstimator(made, len(pictures))
    window = rig.show()
    rig.start("hand")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    rig.controller._calibration = lambda: camera  # also when a setting changes later
    rig.controller._set_options(calibration=camera)
    window.wizards.accuracy()
    return window.wizards.dialog


def test_the_card_appears_and_is_saved(rig, laid, tmp_path: Path):
    dialog = opened(rig, laid)
    assert isinstance(dialog, AccuracyDialog) and not dialog.save.isEnabled()
    rig.until(dialog.save.isEnabled)
    assert dialog.cards[0].mean_percent == pytest.approx(5.0, abs=1.0)
    assert "too far" in dialog.page.toPlainText() and "hand camera" in dialog.page.toPlainText()
    dialog.save_page(tmp_path / "card.html")
    assert "too far" in (tmp_path / "card.html").read_text()
    assert dialog.close()
    rig.until(lambda: not rig.controller._diverted)


def test_a_calibration_that_the_board_contradicts_gives_no_card(rig, laid):
    matrix = CAMERA.matrix.copy()
    matrix[[0, 1], [0, 1]] *= 1.12
    dialog = opened(rig, laid, replace(CAMERA, matrix=matrix))
    rig.until(lambda: "contradicts the camera's calibration" in dialog.state.text())
    assert not dialog.cards and not dialog.save.isEnabled()
    assert dialog.close()


class TouchEstimator(ScriptedEstimator):
    """The fingertip that rests on each corner for a while, 5 % too far away; in the air between."""

    def __init__(self, made: HandImage) -> None:
        super().__init__()
        self._points = made.laid()[1]
        self.tips, self.step = fingertips_m(DEFAULT_BOARD, None), 0

    def estimate(self, frame: Frame, camera: Camera) -> list[Hand]:
        self.step += 1
        corner, since = divmod(self.step, FRAMES_AT_REST + FRAMES_OF_TOUCH + 10)
        away = 0.03 if since < 5 else 0.0
        points = self._points + self.tips[corner % 4] + (away, 0, 0) - self._points[8]
        seen = points @ matrix_of(POSES[0]).T + POSES[0][3:]
        return [make_hand((0, 0, 0), keypoints_m=1.05 * seen, keypoints_px=CAMERA.project(seen), distance_std=0.04)]


def test_touched_corners_stand_beside_the_flat_hand(rig, laid):
    made, pictures = laid
    dialog = opened(rig, (made, pictures[:1]))
    rig.until(lambda: bool(dialog.cards))
    rig.estimator.estimate = TouchEstimator(made).estimate
    assert not dialog.undo.isEnabled()
    dialog.how.setCurrentIndex(1)
    rig.until(lambda: len(dialog.cards) == 2 and all(dialog.cards[1].touches))
    assert dialog.cards[1].mean_percent == pytest.approx(5.0, abs=0.5)
    text = dialog.page.toPlainText()
    assert "A hand flat on the board: Distances" in text and "A fingertip on its corners: Distances" in text
    assert "Touches taken" in dialog.state.text() or "still" in dialog.state.text()
    rig.estimator.estimate = lambda frame, camera: []
    rig.until(lambda: "no hand was found" in dialog.state.text())
    before = sum(dialog.cards[1].touches)
    dialog.undo.click()
    rig.until(lambda: sum(dialog.cards[1].touches) == before - 1)
    dialog.how.setCurrentIndex(0)
    rig.until(lambda: dialog.state.text() == "Not used: no hand was found.")
    assert not dialog.undo.isEnabled() and dialog.view._guide is None
    assert dialog.close()


def test_without_a_calibration_the_user_is_told(rig, laid):
    assert opened(rig, laid, None) is None
    assert rig.window.notices.notice.title == "No calibration is in use."
