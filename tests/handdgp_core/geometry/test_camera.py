"""The camera: what it accepts, projection and its inverse, and change of image size."""

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera, check_fits

MATRIX = np.array([[921.0, 0, 640], [0, 919, 355], [0, 0, 1]])
WEBCAM = np.array([0.09, -0.18, 0.0008, -0.0006, 0.05])


def webcam(**changes) -> Camera:
    return Camera(**{"width": 1280, "height": 720, "matrix": MATRIX, "distortion": WEBCAM, **changes})


def points_in_view(count: int = 200) -> np.ndarray:
    return np.random.default_rng(3).uniform([-0.25, -0.14, 0.4], [0.25, 0.14, 0.8], (count, 3))


def test_projects_as_opencv_does():
    camera, points = webcam(), points_in_view()
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, WEBCAM)
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-9)


def test_known_pixels_without_a_lens():
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 400, 239.5], [0, 0, 1]]))
    np.testing.assert_allclose(camera.project([[0, 0, 2], [0.2, -0.1, 0.5]]), [[319.5, 239.5], [519.5, 159.5]])
    np.testing.assert_allclose(camera.rays([519.5, 159.5]), [0.4, -0.2, 1.0])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    u=st.floats(-0.5, 1279.5),
    v=st.floats(-0.5, 719.5),
    k1=st.floats(-0.25, 0.2),
    p2=st.floats(-0.003, 0.003),
    depth=st.floats(0.05, 5),
)
def test_rays_invert_projection(u, v, k1, p2, depth):
    camera = webcam(distortion=[k1, 0.05, 0.001, p2])
    ray = camera.rays([u, v])
    assert ray[2] == 1.0
    np.testing.assert_allclose(camera.project(depth * ray), [u, v], atol=1e-7)


def test_shapes_follow_the_leading_dimensions():
    camera = webcam()
    assert camera.project(np.ones((2, 5, 3))).shape == (2, 5, 2)
    assert camera.rays(np.ones((2, 5, 2))).shape == (2, 5, 3)
    assert camera.project(np.ones(3)).shape == (2,)
    assert camera.project(np.ones((0, 3))).shape == (0, 2)


def test_what_is_not_in_front_is_nan():
    camera = webcam()
    pixels = camera.project([[0.1, 0.1, -0.5], [0.1, 0.1, 0.0], [np.nan, 0, 1], [0, 0, 0.5]])
    assert np.isnan(pixels[:3]).any(axis=-1).all()
    np.testing.assert_allclose(pixels[3], [640, 355])


def test_beyond_the_fold_of_the_lens_is_nan_and_not_a_ghost_in_the_picture():
    camera = Camera(1280, 720, MATRIX, [-0.35, 0.0, 0.0, 0.0])
    folded = np.array([1.6, 0.0, 1.0])  # the polynomial alone would put it at u = 793, well inside the image
    assert np.isnan(camera.project(folded)).all()
    assert np.isfinite(camera.project([0.6, 0.0, 1.0])).all()


def test_assumed_camera_has_its_field_of_view_and_says_so():
    camera = Camera.assumed(1280, 720, 60.0)
    assert camera.source == "assumed"
    assert camera.horizontal_fov_rad == pytest.approx(np.deg2rad(60))
    np.testing.assert_allclose(camera.project([0, 0, 1.0]), [639.5, 359.5])
    left_edge = camera.project([-np.tan(np.deg2rad(30)), 0, 1.0])
    np.testing.assert_allclose(left_edge, [-0.5, 359.5])


def test_field_of_view_includes_the_lens():
    pinhole, barrel = webcam(distortion=[]), webcam(distortion=[-0.3, 0.1, 0, 0])
    assert pinhole.horizontal_fov_rad < barrel.horizontal_fov_rad
    edge = barrel.project([np.tan(0.5 * barrel.horizontal_fov_rad), 0, 1.0])
    assert abs(edge[0] - 1279.5) < 2  # the principal point is half a pixel off the middle


def test_field_of_view_of_a_lens_that_ends_within_the_picture_is_the_pinholes():
    camera = webcam(distortion=[-0.9, 0, 0, 0])
    assert np.isnan(camera.rays([0, 355])).all()
    assert camera.horizontal_fov_rad == pytest.approx(webcam(distortion=[]).horizontal_fov_rad)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(factor=st.sampled_from([0.25, 0.5, 1.5, 3.0]), index=st.integers(0, 199))
def test_scaled_camera_follows_the_pixel_centre_rule(factor, index):
    camera, point = webcam(), points_in_view()[index]
    scaled = camera.scaled_to(int(1280 * factor), int(720 * factor))
    expected = factor * (camera.project(point) + 0.5) - 0.5
    np.testing.assert_allclose(scaled.project(point), expected, atol=1e-9)


def test_scaled_camera_remembers_what_was_calibrated():
    std = np.arange(1.0, 10.0)
    half = webcam(std=std).scaled_to(640, 360)
    assert half.derived_from == (1280, 720)
    assert half.scaled_to(320, 180).derived_from == (1280, 720)
    np.testing.assert_allclose(half.std, [0.5, 1, 1.5, 2, 5, 6, 7, 8, 9])
    camera = webcam()
    assert camera.scaled_to(1280, 720) is camera
    assert camera.derived_from is None


def test_almost_the_same_aspect_is_scaled_and_another_is_refused():
    assert check_fits(webcam(), 854, 480).size == (854, 480)
    with pytest.raises(CameraError, match=r"640x480.*1280x720.*[Cc]alibrate"):
        check_fits(webcam(name="C920"), 640, 480)
    with pytest.raises(CameraError, match="rotated by 90 degrees"):
        check_fits(webcam(), 720, 1280)
    with pytest.raises(CameraError, match="aspect"):
        webcam().scaled_to(1280, 960)


def test_mirrored_camera_shows_the_flipped_picture():
    camera, points = webcam(), points_in_view()
    mirrored = camera.mirrored().project(points * [-1, 1, 1])
    np.testing.assert_allclose(mirrored[:, 0], 1279 - camera.project(points)[:, 0], atol=1e-9)
    np.testing.assert_allclose(mirrored[:, 1], camera.project(points)[:, 1], atol=1e-9)
    assert camera.mirrored().mirrored() == camera


def with_entry(row: int, column: int, value: float) -> np.ndarray:
    matrix = MATRIX.copy()
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix": with_entry(0, 0, np.nan)}, "finite"),
        ({"matrix": with_entry(0, 2, np.inf)}, "finite"),
        ({"matrix": with_entry(0, 0, -921)}, "positive focal lengths, not fx = -921"),
        ({"matrix": with_entry(1, 1, 0)}, "positive focal lengths"),
        ({"matrix": with_entry(0, 1, 3)}, "skew of 3 px"),
        ({"matrix": MATRIX.T}, "transposed"),
        ({"matrix": with_entry(2, 2, 2)}, "cx"),
        ({"matrix": np.eye(4)}, r"\(4, 4\)"),
        ({"matrix": "nonsense"}, "numbers"),
        ({"width": 0}, "width"),
        ({"height": -720}, "height"),
        ({"height": 720.5}, "720.5"),
        ({"width": np.nan}, "width"),
        ({"width": None}, "width"),
        ({"distortion": [0.1, 0.2, 0.3]}, "not 3"),
        ({"distortion": [0.1, np.nan, 0, 0]}, "distortion coefficients must be finite"),
        ({"std": [1, 2, 3]}, "9 standard deviations"),
        ({"std": [-1.0] * 9}, "none negative"),
        ({"source": "guessed"}, "guessed"),
    ],
)
def test_what_is_no_camera_is_refused_with_its_reason(changes, message):
    with pytest.raises(CameraError, match=message):
        webcam(**changes)


@pytest.mark.parametrize("fov", [0, 180, -10, np.nan])
def test_impossible_field_of_view_is_refused(fov):
    with pytest.raises(CameraError, match="field of view"):
        Camera.assumed(640, 480, fov)


def test_camera_is_a_value():
    matrix = MATRIX.copy()
    camera = webcam(matrix=matrix)
    matrix[0, 0] = 1.0
    assert camera.focal_px == (921, 919)
    with pytest.raises(ValueError, match="read-only"):
        camera.matrix[0, 0] = 1.0
    assert camera == webcam()
    assert hash(camera) == hash(webcam())
    assert camera != webcam(name="other")
    assert camera != webcam(distortion=[])
    assert camera != "camera"
    assert pickle.loads(pickle.dumps(camera)) == camera


def test_a_lens_of_zeros_is_no_lens():
    camera = webcam(distortion=np.zeros(5), std=np.ones(9))
    assert not camera.has_distortion
    assert camera == webcam(distortion=[], std=np.ones(4))


def test_a_refusal_says_that_the_image_is_turned_only_where_it_is():
    with pytest.raises(CameraError, match="rotated by 90 degrees"):
        webcam().scaled_to(720, 1280)
    with pytest.raises(CameraError) as refused:
        webcam().scaled_to(640, 480)
    assert "turned" not in str(refused.value)
