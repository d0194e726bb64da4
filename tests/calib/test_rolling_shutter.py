"""A board that moves before a rolling shutter, with the truth known; a global shutter, and a board that lies still."""

import numpy as np
import pytest

from calib.poses import look_at
from calib.rolling_shutter import MovingViews, readout
from calib.rotation import matrices_of
from calib.views import View
from tests.calib.scenes import BOARD, CAMERA, NOISE_PX, guided_solution

FRAME_S = 1 / 30


@pytest.fixture(scope="module")
def solution():
    return guided_solution(4, 10)


def poses_at(time_s, reach_m, turn):
    """(N, 6) of a board that a hand moves to and fro across the picture, and tilts a little, at times (N,)."""
    swing = np.array([np.cos(turn), np.sin(turn), 0.2]) * reach_m * np.sin(2 * np.pi * 0.6 * time_s)[:, None]
    tilt = 0.8 * reach_m * np.sin(3.0 * time_s[:, None] + np.arange(3))
    return look_at(BOARD, 0.55, np.deg2rad(25), 0.7, 0.1) + np.concatenate([tilt, swing], axis=1)


def seen(random, time_s, row_s, reach_m, turn):
    """The view of a picture whose rows are read over `row_s` seconds; at `time_s` that in its middle."""
    row = np.zeros(len(BOARD.points_m))
    for _ in range(6):
        poses = poses_at(time_s + row_s * row, reach_m, turn)
        turned = np.einsum("nij,nj->ni", matrices_of(poses[:, :3]), BOARD.points_m)
        pixels = CAMERA.project(turned + poses[:, 3:])
        row = pixels[:, 1] / CAMERA.height - 0.5
    inside = ((pixels > 4) & (pixels < np.array(CAMERA.size) - 5)).all(axis=1)
    corners = pixels[inside] + random.normal(0, NOISE_PX, (int(inside.sum()), 2))
    return View(np.flatnonzero(inside).astype(np.int32), corners, CAMERA.size)


def stream(seed, row_s, reach_m=0.06, pictures=60, turn=0.4):
    random, moving = np.random.default_rng(seed), MovingViews()
    for number in range(pictures):
        time_s = number * FRAME_S
        moving.add(seen(random, time_s, row_s, reach_m, turn), round(1e9 * time_s))
    return moving.kept


@pytest.mark.parametrize("row_s", [0.025, 0.01, -0.02])
@pytest.mark.parametrize("turn", [0.0, np.pi / 2])
def test_the_time_between_the_first_row_and_the_last_is_found(solution, row_s, turn):
    found = readout(solution, stream(1, row_s, turn=turn))
    assert found.is_rolling
    assert abs(found.seconds - row_s) < 0.0005 + 0.05 * abs(row_s)
    assert f"{1e3 * abs(found.seconds):.0f} ± " in found.words and "out of shape" in found.words


def test_errors_are_as_large_as_stated(solution):
    z = [(one.seconds - 0.015) / one.std for one in (readout(solution, stream(s, 0.015, 0.03, 40)) for s in range(12))]
    assert np.sqrt(np.mean(np.square(z))) < 2.0


def test_a_global_shutter_is_no_rolling_one(solution):
    for seed in range(10):
        found = readout(solution, stream(seed, 0.0, turn=0.3 * seed, pictures=40))
        assert not found.is_rolling and abs(found.seconds) < 0.002
    assert "No rolling shutter was seen" in found.words


def test_a_board_that_lies_still_tells_nothing(solution):
    assert readout(solution, stream(1, 0.025, reach_m=0.0)) is None


def test_a_gap_in_the_stream_parts_what_was_before_it_from_what_is_after():
    random, moving = np.random.default_rng(0), MovingViews()
    for number in range(30):
        stamp = number * FRAME_S
        view = None if number % 3 == 2 else seen(random, stamp, 0.02, 0.06, 0.4)
        moving.add(view, round(1e9 * stamp))
    assert not moving.kept
