"""A camera turned with its picture projects every point to where the picture shows it."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import (
    ImageTransform,
    camera_of_image,
    orientation_of_matrix,
    oriented,
    oriented_camera,
    stored_from_shown,
    transform_of,
)

STORED = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
LENSES = {
    "none": [],
    "five": [-0.2, 0.05, 0.01, -0.02, 0.03],
    "twelve": [-0.2, 0.05, 0.01, -0.02, 0.03, 0.01, 0.02, 0.005, 0.01, -0.005, 0.02, 0.004],
    "fisheye": [-0.02, 0.01, -0.005, 0.002],
    "tilted about x": [-0.2, 0.05, 0.01, -0.02, 0.03, 0.01, 0.02, 0.005, 0.01, -0.005, 0.02, 0.004, 0.05, 0.0],
    "tilted about y": [-0.2, 0.05, 0.01, -0.02, 0.03, 0.01, 0.02, 0.005, 0.01, -0.005, 0.02, 0.004, 0.0, -0.04],
}
MATRIX = np.array([[550.0, 0, 350], [0, 540, 160], [0, 0, 1]])


def camera_with(lens=(), model="opencv"):
    return Camera(640, 360, MATRIX, np.array(lens), std=np.arange(4.0 + len(lens)), lens=model)


def as_pillow_shows(stored, tag, path):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(stored).save(path, exif=exif)
    with Image.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("tag", range(1, 9))
def test_images_turn_as_pillow_turns_them_and_back(tmp_path, tag):
    shown = oriented(STORED, tag)
    np.testing.assert_array_equal(shown, as_pillow_shows(STORED, tag, tmp_path / "a.png"))
    np.testing.assert_array_equal(stored_from_shown(shown, tag), STORED)
    assert ImageTransform((4, 3), orientation=tag).shown_size == shown.shape[1::-1]


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("tag", range(1, 9))
def test_the_camera_turns_with_its_picture(tag, lens):
    """Index pictures say where each stored pixel went; the turned world is seen there."""
    camera = camera_with(LENSES[lens], "fisheye" if lens == "fisheye" else "opencv")
    turned = oriented_camera(camera, tag)
    rows, columns = np.mgrid[:360, :640]
    shown_at = np.stack([oriented(grid, tag) for grid in (columns, rows)], axis=-1)  # [y, x] -> stored (u, v)
    assert turned.size == shown_at.shape[1::-1]
    axes = np.stack([oriented_axis(axis, tag) for axis in ((1, 0), (0, 1))])  # shown = stored @ axes
    for x, y in ((0, 0), (turned.width - 1, 10), (100, 200)):
        ray = camera.rays(shown_at[y, x])
        ray[:2] = ray[:2] @ axes
        np.testing.assert_allclose(turned.project(ray), (x, y), atol=1e-6)


def oriented_axis(axis, tag):
    """Where the stored x or y axis points in the shown picture, seen in a small picture."""
    small = np.zeros((3, 3), np.uint8)
    small[1 + axis[1], 1 + axis[0]] = 1
    y, x = np.argwhere(oriented(small, tag))[0]
    return np.array([x - 1, y - 1])


def test_standard_deviations_turn_with_the_numbers():
    std = oriented_camera(camera_with(LENSES["five"]), 6).std
    np.testing.assert_array_equal(std, [1, 0, 3, 2, 4, 5, 7, 6, 8])


def test_a_sensor_tilted_about_both_axes_is_not_turned():
    lens = [*LENSES["twelve"], 0.05, -0.04]
    assert oriented_camera(camera_with(lens), 3).distortion[12:].tolist() == [-0.05, 0.04]
    with pytest.raises(CameraError, match="tilted about both axes"):
        oriented_camera(camera_with(lens), 6)


@pytest.mark.parametrize("scale", [1, 0x10000])
@pytest.mark.parametrize("tag", range(1, 9))
def test_a_display_matrix_is_its_orientation(tag, scale):
    (a, b), (c, d) = oriented_axis((1, 0), tag), oriented_axis((0, 1), tag)
    assert orientation_of_matrix([scale * a, scale * b, 0, scale * c, scale * d, 0, 7, 8, 1 << 30]) == tag


@pytest.mark.parametrize("matrix", [(0,) * 9, (7, 7, 0, -7, 7, 0, 0, 0, 1), (1, 0, 1, 0, 1, 0, 0, 0, 1)])
def test_a_display_matrix_of_another_kind_is_none(matrix):
    assert orientation_of_matrix(matrix) is None


def test_pixels_that_are_not_square_stretch_picture_and_camera():
    transform = transform_of(np.zeros((360, 480, 3), np.uint8), 4 / 3)
    assert transform.shown_size == (640, 360)
    square = Camera(640, 360, np.array([[550.0, 0, 350], [0, 550, 160], [0, 0, 1]]))
    squeezed = Camera(480, 360, np.array([[412.5, 0, 262.375], [0, 550, 160], [0, 0, 1]]))
    for calibration in (square, squeezed):  # of shown and of stored pixels
        np.testing.assert_allclose(camera_of_image(calibration, transform, 640, 360).matrix, square.matrix)
    narrow = transform_of(np.zeros((360, 640, 3), np.uint8), 0.75)
    assert narrow.show(np.zeros((360, 640, 3), np.uint8)).shape == (480, 640, 3)


def test_a_calibration_whose_pixels_contradict_the_stated_ones_is_refused():
    transform = ImageTransform((480, 360), 4 / 3)
    with pytest.raises(CameraError, match=r"states 1\.33"):
        camera_of_image(Camera.assumed(640, 480), transform, 640, 360)


def test_pixels_nearly_square_are_square():
    assert transform_of(STORED, 1280 / 1281) is None and transform_of(STORED, 1.0, 3) is not None


def test_a_calibration_follows_the_sensor_and_one_of_shown_pictures_fits_too():
    transform = ImageTransform((1280, 720), orientation=6)
    camera = camera_of_image(camera_with(), transform, 720, 1280)
    assert camera.size == (720, 1280) and camera.derived_from == (640, 360)
    upright = oriented_camera(camera_with(), 6)
    np.testing.assert_allclose(camera_of_image(upright, transform, 720, 1280).matrix, camera.matrix)
    with pytest.raises(CameraError, match="does not fit"):
        camera_of_image(Camera.assumed(640, 480), transform, 720, 1280)


def test_stretching_is_what_opencv_resizes():
    ramp = np.tile(np.linspace(0, 240, 480), (4, 1)).astype(np.uint8)
    shown = ImageTransform((480, 4), 4 / 3).show(ramp)
    np.testing.assert_array_equal(shown, cv2.resize(ramp, (640, 4)))
