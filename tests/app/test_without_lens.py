"""The straightened image of a recorded frame is OpenCV's, for both kinds of lens."""

import cv2
import numpy as np
import pytest

from app.sessions.rerun import _without_lens
from handdgp_core.geometry.camera import Camera

MATRIX = np.array([[210.0, 0, 160], [0, 211, 119], [0, 0, 1]])


@pytest.mark.parametrize("lens", ["opencv", "fisheye"])
def test_as_opencv_straightens_it(lens):
    camera = Camera(320, 240, MATRIX, (-0.2, 0.05, 0.001, 0.002), lens=lens)
    v, u = np.mgrid[0:240, 0:320]
    image = np.stack([u // 2, v, (u + v) // 3], axis=-1).astype(np.uint8)
    straight, moved = _without_lens(image, camera)
    if lens == "opencv":
        expected = cv2.undistort(image, MATRIX, camera.distortion)
    else:
        expected = cv2.fisheye.undistortImage(image, MATRIX, camera.distortion, Knew=MATRIX)
    inner = (slice(5, -5), slice(5, -5))
    assert np.abs(straight[inner].astype(int) - expected[inner]).max() <= 2
    point = np.array([0.1, -0.1, 0.5])
    np.testing.assert_allclose(moved(camera.project(point)[None])[0], (MATRIX @ point)[:2] / 0.5, atol=1e-9)
