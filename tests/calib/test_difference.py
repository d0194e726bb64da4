"""Two calibrations compared by where they put a hand."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.optimize import minimize

from calib.difference import hand_shift, pixel_shift
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


FISHEYE = Camera(
    640, 480, np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), (0.02, -0.01, 0.0, 0.0), lens="fisheye"
)


@pytest.mark.parametrize("camera", [CAMERA, FISHEYE])
def test_a_turn_of_the_whole_camera_is_taken_out(camera):
    other = replace(camera, matrix=camera.matrix + np.array([[0, 0, 4.0], [0, 0, -3.0], [0, 0, 0]]))
    whole, free = pixel_shift(camera, other, turned=False), pixel_shift(camera, other)
    np.testing.assert_allclose(whole.shift_px, np.broadcast_to([4.0, -3.0], whole.shift_px.shape), atol=1e-6)
    # To first order a shift of the centre is a turn about y and x by as many pixels over the focal length.
    np.testing.assert_allclose(free.turn_rad[:2] * camera.matrix[0, 0], [-3.0, -4.0], rtol=0.25)
    assert free.rms_px < 0.2 * whole.rms_px


def test_the_slow_way_finds_no_better_turn():
    other = changed(focal=1.01, right=3.0)
    found = pixel_shift(CAMERA, other)

    def rms(turn):
        u, v = ((np.arange(n) + 0.5) * side / n - 0.5 for n, side in ((32, 640), (18, 480)))
        pixels = np.stack(np.meshgrid(u, v), axis=-1)
        rays = CAMERA.rays(pixels) @ cv2.Rodrigues(turn)[0].T
        seen = rays[..., :2] / rays[..., 2:] * other.matrix[[0, 1], [0, 1]] + other.matrix[:2, 2]
        return np.sqrt(np.mean(np.sum((seen - pixels) ** 2, axis=-1)))

    assert found.rms_px == pytest.approx(rms(found.turn_rad), abs=1e-9)
    best = minimize(rms, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).fun
    assert found.rms_px <= best + 1e-6


def test_cells_without_an_answer_stay_out():
    wide = Camera(640, 480, np.array([[250.0, 0, 320], [0, 250, 240], [0, 0, 1]]), np.array([-0.3, 0.0, 0, 0]))
    shift = pixel_shift(wide, replace(wide, matrix=wide.matrix * 1.0))
    assert np.isnan(shift.distance_px).any() and shift.rms_px == pytest.approx(0, abs=1e-6)
