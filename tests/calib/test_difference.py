"""Two calibrations compared by where they put a hand."""

from dataclasses import replace

import numpy as np
import pytest

from calib.difference import hand_shift
from handdgp_core.geometry.camera import Camera

CAMERA = Camera(640, 480, np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), np.zeros(0))


def changed(focal=1.0, right=0.0):
    matrix = CAMERA.matrix.copy()
    matrix[[0, 1], [0, 1]] *= focal
    matrix[0, 2] += right
    return replace(CAMERA, matrix=matrix)


def test_the_same_camera_at_another_size_differs_by_nothing():
    assert hand_shift(CAMERA, CAMERA.scaled_to(1280, 960), 0.6).largest_mm < 1e-6


def test_a_longer_focal_length_puts_the_hand_as_much_further_away():
    shift = hand_shift(CAMERA, changed(focal=1.01), 0.6)
    assert shift.mean_mm == pytest.approx(6.0, rel=0.02)  # x and y stay: z alone grows


def test_a_shifted_centre_moves_the_hand_sideways():
    shift = hand_shift(CAMERA, changed(right=6.0), 0.3)
    assert shift.mean_mm == pytest.approx(3.0, rel=0.02)
    assert shift.unknown == 0.0


def test_places_without_an_answer_are_counted():
    wide = Camera(640, 480, np.array([[250.0, 0, 320], [0, 250, 240], [0, 0, 1]]), np.array([-0.3, 0.0, 0, 0]))
    shift = hand_shift(CAMERA.scaled_to(640, 480), wide, 0.3)
    assert 0 < shift.unknown < 1 and np.isfinite(shift.largest_mm)
