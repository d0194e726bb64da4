"""A recording keeps what lens a camera has, in our own messages and in Foxglove's."""

import numpy as np
import pytest

from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.camera_values import lens_of
from handdgp_core.sessions import codec, foxglove, schema

MATRIX = [[420.0, 0, 640], [0, 421, 358], [0, 0, 1]]
RATIONAL = (0.1, -0.2, 0.001, 0.001, 0.05, 0.02, 0.01, 0.003)
CAMERAS = [
    Camera(1280, 720, MATRIX, (-0.04, 0.01, -0.01, 0.002), lens="fisheye"),
    Camera(1280, 720, MATRIX, (0.0, 0, 0, 0), lens="fisheye"),
    Camera(1280, 720, MATRIX, (-0.3, 0.1, 0.001, 0.002)),
    Camera(1280, 720, MATRIX, RATIONAL),
    Camera(1280, 720, MATRIX),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_camera_comes_back_from_our_message(camera):
    message = schema.FrameMessage().camera
    codec._put_camera(message, camera)
    assert codec.camera_from(message) == camera


def test_a_message_without_a_lens_is_of_an_older_recording():
    message = schema.FrameMessage().camera
    codec._put_camera(message, CAMERAS[2])
    message.ClearField("lens")
    assert codec.camera_from(message) == CAMERAS[2]


@pytest.mark.parametrize("camera", CAMERAS)
def test_foxglove_reads_the_same_camera(camera):
    message = foxglove.calibration(0, camera)
    lens, numbers = lens_of(message.distortion_model, list(message.D))
    matrix = np.array(message.K).reshape(3, 3)
    back = Camera(message.width, message.height, matrix, np.array(numbers), lens=lens)
    point = np.array([0.2, -0.1, 0.5])
    assert back.lens == camera.lens
    np.testing.assert_array_equal(back.project(point), camera.project(point))
