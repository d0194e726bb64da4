"""Collecting by itself: sharp, still and new views alone; undo, drop, guidance and the stop rule."""

import numpy as np
import pytest

from calib.boards import Board
from calib.poses import look_at
from calib.session import CalibrationSession, State
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.camera import Camera
from tools.calibration.simulation import BoardRenderer, Picture

CAMERA = Camera(640, 360, np.array([[460, 0, 322.0], [0, 459, 176], [0, 0, 1]]), np.array([0.05, -0.1, 0, 0]))
BOARD = Board()
STEP_NS = 33_000_000


@pytest.fixture(scope="module")
def renderer():
    return BoardRenderer(BOARD, CAMERA)


class Stream:
    def __init__(self, session, renderer):
        self.session, self.renderer, self.time = session, renderer, 0
        self.random = np.random.default_rng(0)

    def show(self, pose, times=4, **spoilt):
        for _ in range(times):
            self.time += STEP_NS
            look = self.session.look(self.renderer.render(pose, Picture(**spoilt), self.random), self.time)
        return look


def test_a_board_held_still_is_taken_once(renderer):
    stream = Stream(CalibrationSession(BOARD), renderer)
    pose = look_at(BOARD, 0.5)
    assert stream.show(pose, 3).state is State.MOVING
    assert stream.show(pose, 1).state is State.TAKEN
    assert stream.show(pose, 5).state is State.KNOWN
    assert len(stream.session.taken) == 1
    assert stream.session.taken[0].thumbnail.shape == (360, 640)


def test_a_moving_board_is_not_taken(renderer):
    stream = Stream(CalibrationSession(BOARD), renderer)
    for step in range(6):
        pose = look_at(BOARD, 0.5)
        pose[3] += 0.004 * step
        assert stream.show(pose, 1).state is State.MOVING
    assert not stream.session.taken


def test_blur_and_absence_are_told(renderer):
    stream = Stream(CalibrationSession(BOARD), renderer)
    assert stream.show(look_at(BOARD, 0.3), 4, blur_px=1.7).state is State.BLURRED
    blank = np.full((360, 640), 120, np.uint8)
    assert stream.session.look(blank, stream.time + 1).state is State.NO_BOARD
    mirrored = renderer.render(look_at(BOARD, 0.4), Picture(), stream.random)[:, ::-1]
    looks = {stream.session.look(np.ascontiguousarray(mirrored), stream.time + n).state for n in range(2, 30)}
    assert State.MIRRORED in looks


def test_following_the_outlines_leads_to_a_usable_calibration_and_undo_takes_back(renderer):
    session = CalibrationSession(BOARD)
    stream = Stream(session, renderer)
    for _ in range(16):
        stream.show(session.next_pose((640, 360)).pose)
        if session.verdict is not None and session.verdict.enough:
            break
    assert session.verdict.usable and session.verdict.enough
    assert abs(session.solution.camera.focal_px[0] / 460 - 1) < 0.005
    count = len(session.taken)
    session.set_used(0, False)
    assert len(session.solution.views) == count - 1
    assert session.undo()
    assert len(session.taken) == count - 1
    session.restart()
    assert session.solution is None and not session.undo()


def test_another_picture_size_is_refused(renderer):
    session = CalibrationSession(BOARD)
    stream = Stream(session, renderer)
    stream.show(look_at(BOARD, 0.5))
    picture = renderer.render(look_at(BOARD, 0.5), Picture(), stream.random)
    with pytest.raises(CalibrationError, match=r"640x360.*600x360"):
        session.look(np.ascontiguousarray(picture[:, :600]), stream.time + STEP_NS)
