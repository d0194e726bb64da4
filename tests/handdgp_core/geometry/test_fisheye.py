"""The fisheye lens against OpenCV's, both directions against each other, and what it does not show."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.errors import CameraError
from handdgp_core.geometry import fisheye
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification

MATRIX = np.array([[420.0, 0, 640], [0, 421, 358], [0, 0, 1]])
LENSES = [(0.0, 0, 0, 0), (-0.0421, 0.0112, -0.0098, 0.0021), (0.1, 0.02, -0.03, 0.01), (0.4, -0.5, 0.3, -0.1)]


def camera_with(lens: tuple[float, ...]) -> Camera:
    return Camera(1280, 720, MATRIX, lens, lens="fisheye")


@pytest.mark.parametrize("lens", LENSES)
def test_projections_are_those_of_opencv(lens):
    camera = camera_with(lens)
    points = np.random.default_rng(0).normal(size=(2000, 3)) * (1, 1, 0.3)
    points[:, 2] = np.abs(points[:, 2]) + 1e-3
    points[0] = 0, 0, 1
    nothing = np.zeros(3)
    expected = cv2.fisheye.projectPoints(points[:, None], nothing, nothing, MATRIX, np.array(lens))[0][:, 0]
    found = camera.project(points)
    shown = np.hypot(*points.T[:2]) <= camera.largest_radius * points[:, 2]
    np.testing.assert_allclose(found[shown], expected[shown], atol=1e-9)
    assert np.isnan(found[~shown]).all() and shown.mean() > 0.05


@pytest.mark.parametrize("lens", LENSES)
def test_rays_invert_the_projection_or_have_no_answer(lens):
    camera = camera_with(lens)
    pixels = np.stack(np.meshgrid(np.linspace(0, 1279, 41), np.linspace(0, 719, 23)), axis=-1)
    rays = camera.rays(pixels)
    known = np.isfinite(rays).all(axis=-1)
    assert (known == np.isfinite(rays).any(axis=-1)).all()
    np.testing.assert_allclose(camera.project(rays[known]), pixels[known], atol=1e-6)
    # Slow reference: where the radius is one that no angle within the range gives, nothing is seen.
    angles = np.linspace(0, np.arctan(camera.largest_radius), 200_000)
    reach = np.max(angles + sum(k * angles ** (3 + 2 * i) for i, k in enumerate(lens)))
    radius = np.linalg.norm((pixels - MATRIX[:2, 2]) / (420, 421), axis=-1)
    sure = np.abs(radius - reach) > 1e-4
    assert (known == (radius <= reach))[sure].all()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(k=st.tuples(*[st.floats(-0.3, 0.3)] * 4), part=st.floats(0.0, 0.99), turn=st.floats(-np.pi, np.pi))
def test_undistort_finds_every_point_within_the_fold(k, part, turn):
    lens = np.array(k)
    angle = part * np.arctan(fisheye.largest_radius(lens))
    point = np.tan(angle) * np.array([np.cos(turn), np.sin(turn)])
    found = fisheye.undistort(fisheye.distort(point, lens), lens)
    np.testing.assert_allclose(found, point, rtol=1e-7, atol=1e-9)


def test_a_fisheye_without_coefficients_still_bends():
    camera = camera_with((0.0, 0, 0, 0))
    assert camera.has_distortion and camera != Camera(1280, 720, MATRIX)
    np.testing.assert_allclose(camera.project([1.0, 0, 1]), [640 + 420 * np.pi / 4, 358])
    np.testing.assert_allclose(camera.rays([640 + 420 * np.pi / 4, 358]), [1, 0, 1])


def test_mirrored_and_scaled_as_the_picture_is():
    camera = camera_with(LENSES[1])
    point = np.array([0.5, -0.2, 0.4])
    u, v = camera.project(point)
    np.testing.assert_allclose(camera.mirrored().project(point * (-1, 1, 1)), [1279 - u, v])
    np.testing.assert_allclose(camera.scaled_to(640, 360).project(point), (np.array([u, v]) + 0.5) / 2 - 0.5)


@pytest.mark.parametrize("handedness", ["left", "right"])
def test_the_networks_image_is_sampled_where_opencv_and_the_slow_way_say(handedness):
    camera = camera_with(LENSES[1])
    fitted = Rectification.fit(camera, HandCrop(handedness, 1.0, np.array([330.0, 300.0]), 110.0, 0.3))
    steps = np.arange(fitted.size, dtype=np.float64)
    slow = fitted.image_from_crop(np.stack(np.meshgrid(steps, steps), axis=-1))
    v, u = np.mgrid[0:720, 0:1280].astype(np.float32)
    np.testing.assert_allclose(fitted.warp(u)[20:-20, 20:-20], slow[20:-20, 20:-20, 0], atol=0.02)
    np.testing.assert_allclose(fitted.warp(v)[20:-20, 20:-20], slow[20:-20, 20:-20, 1], atol=0.02)


def test_only_four_coefficients_are_a_fisheye():
    with pytest.raises(CameraError, match="4 coefficients"):
        Camera(1280, 720, MATRIX, (0.1, 0.2, 0, 0, 0), lens="fisheye")
    with pytest.raises(CameraError, match="lens"):
        Camera(1280, 720, MATRIX, lens="omni")


@pytest.mark.parametrize(
    ("size", "matrix", "lens", "said"),
    [
        ((6.5e34, 720), MATRIX, (), "width"),
        ((1280, 70_000), MATRIX, (), "height"),
        ((1280, 720), MATRIX * [[2e4, 1, 1], [1, 2e4, 1], [1, 1, 1]], (), "focal lengths"),
        ((1280, 720), MATRIX * [[1e-4, 1, 1], [1, 1, 1], [1, 1, 1]], (), "focal lengths"),
        ((1280, 720), MATRIX * [[1, 1, 1e3], [1, 1, 1], [1, 1, 1]], (), "principal point"),
        ((1280, 720), MATRIX, (1e7, 0, 0, 0), "coefficients"),
    ],
)
def test_what_no_camera_has_is_refused(size, matrix, lens, said):
    with pytest.raises(CameraError, match=said):
        Camera(*size, matrix, lens)
