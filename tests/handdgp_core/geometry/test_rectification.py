"""Rectification: exact round trips, where things land, and what the warped picture shows."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.detection.crops import HALF_SIZE_FACTOR, crop_from_keypoints, upright_square
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification, lens_shows

MATRIX = np.array([[921.0, 0, 640], [0, 919, 355], [0, 0, 1]])
LENSES = {"none": [], "webcam": [0.09, -0.18, 0.0008, -0.0006, 0.05], "barrel": [-0.3, 0.1, 0.001, -0.001]}
PROPERTIES = settings(deadline=None, derandomize=True, max_examples=60)


def camera_with(lens: str = "none") -> Camera:
    return Camera(1280, 720, MATRIX, LENSES[lens])


def crop_at(u=700.0, v=330.0, half=120.0, roll=0.0, handedness="right") -> HandCrop:
    return HandCrop(handedness, 1.0, np.array([u, v]), half, roll)


@st.composite
def crops(draw) -> HandCrop:
    return crop_at(
        draw(st.floats(100, 1180)),
        draw(st.floats(80, 640)),
        draw(st.floats(15, 200)),
        draw(st.floats(-np.pi, np.pi)),
        draw(st.sampled_from(["left", "right"])),
    )


@st.composite
def rectifications(draw, policies=("fit", "published")) -> Rectification:
    camera, crop = camera_with(draw(st.sampled_from(sorted(LENSES)))), draw(crops())
    if draw(st.sampled_from(policies)) == "fit":
        return Rectification.fit(camera, crop, fill=draw(st.floats(0.5, 1.2)))
    return Rectification.published(camera, crop, focal_px=draw(st.sampled_from([400.0, 1000.0])))


@PROPERTIES
@given(rectifications(), st.floats(-10, 234), st.floats(-10, 234))
def test_pixels_come_back_from_the_camera_image(rectification, u, v):
    there = rectification.image_from_crop([u, v])
    if np.isfinite(there).all():  # the corner of a crop may reach beyond the lens
        np.testing.assert_allclose(rectification.crop_from_image(there), [u, v], atol=1e-9)


@PROPERTIES
@given(rectifications(), st.integers(0, 2**31))
def test_points_and_covariances_come_back_from_the_virtual_frame(rectification, seed):
    rng = np.random.default_rng(seed)
    points, factor = rng.normal(size=(5, 3)), rng.normal(size=(2, 3, 3))
    np.testing.assert_allclose(
        rectification.points_to_camera(rectification.points_to_virtual(points)), points, atol=1e-9
    )
    rotation = rectification.virtual_from_camera
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    virtual = factor @ factor.swapaxes(-1, -2)
    spread = np.einsum("ij,...j->...i", rotation.T, factor.swapaxes(-1, -2)).swapaxes(-1, -2)
    expected = spread @ spread.swapaxes(-1, -2)
    np.testing.assert_allclose(rectification.covariance_to_camera(virtual), expected, atol=1e-9)


@PROPERTIES
@given(rectifications(), st.integers(0, 2**31))
def test_virtual_camera_sees_points_where_the_warp_puts_their_pixels(rectification, seed):
    points = np.random.default_rng(seed).uniform([-0.2, -0.12, 0.4], [0.2, 0.12, 0.8], (20, 3))
    virtual = rectification.points_to_virtual(points)
    seen = virtual @ rectification.matrix.T
    expected = np.where(virtual[:, 2:] > 0, seen[:, :2] / seen[:, 2:], np.nan)
    found = rectification.crop_from_image(rectification.camera.project(points))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(
        rectification.normalised(expected), virtual[:, :2] / virtual[:, 2:], rtol=1e-9, atol=1e-12
    )


@PROPERTIES
@given(rectifications(), st.floats(0, 1279), st.floats(0, 719))
def test_homography_is_the_map_from_undistorted_pixels(rectification, u, v):
    camera = rectification.camera
    undistorted = camera.matrix @ camera.rays([u, v])
    mapped = rectification.homography @ undistorted
    found = rectification.crop_from_image([u, v])
    if mapped[2] > 0:
        np.testing.assert_allclose(found, mapped[:2] / mapped[2], rtol=1e-9, atol=1e-9)
    else:
        assert np.isnan(found).all()


@PROPERTIES
@given(rectifications(policies=("fit",)))
def test_fit_centres_the_crop_and_keeps_its_handedness_as_right(rectification):
    center = rectification.square_px.mean(axis=0)
    np.testing.assert_allclose(rectification.crop_from_image(center), [111.5, 111.5], atol=1e-7)
    # The thumb side of an upright right hand in the picture stays where it is; a mirrored left hand's changes over.
    corners = rectification.crop_from_image(rectification.square_px)
    assert (corners[1, 0] - corners[0, 0] < 0) == rectification.mirrors


@PROPERTIES
@given(st.sampled_from(sorted(LENSES)), crops())
def test_fit_holds_the_whole_square_and_no_more(lens, crop):
    rectification = Rectification.fit(camera_with(lens), crop)
    corners = rectification.crop_from_image(rectification.square_px)
    assert np.abs(corners - 111.5).max() < 112 + 0.5  # edges between the corners may bow out with the lens
    assert np.abs(corners - 111.5).max() > 110
    assert rectification.hand_in_view > 0.99


def test_fit_on_the_axis_has_known_intrinsics():
    rectification = Rectification.fit(camera_with(), crop_at(640, 355, half=112))
    np.testing.assert_allclose(rectification.matrix, [[919, 0, 111.5], [0, 919, 111.5], [0, 0, 1]])
    np.testing.assert_allclose(rectification.virtual_from_camera, np.eye(3), atol=1e-12)
    wider = Rectification.fit(camera_with(), crop_at(640, 355, half=112), fill=0.5)
    assert wider.matrix[0, 0] == pytest.approx(0.5 * 919)


@pytest.mark.parametrize("handedness", ["left", "right"])
@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("roll", [-2.5, -np.pi / 2, 0.3, np.pi / 2])
def test_fit_sets_the_hand_upright(handedness, lens, roll):
    # Clockwise in the picture: a quarter turn takes "up" to the right.
    crop = crop_at(400, 250, 100, roll, handedness)
    up = np.array([np.sin(roll), -np.cos(roll)])
    rectification = Rectification.fit(camera_with(lens), crop)
    wrist, knuckle = rectification.crop_from_image(crop.center_px + np.outer([-50, 50], up))
    assert abs(knuckle[0] - wrist[0]) < 2
    assert knuckle[1] < wrist[1] - 90


def test_published_is_the_affine_map_to_the_canonical_camera():
    camera = camera_with()
    rectification = Rectification.published(camera, crop_at(roll=1.0), focal_px=500.0)
    canonical = np.array([[500.0, 0, 112], [0, 500, 112], [0, 0, 1]])
    np.testing.assert_array_equal(rectification.matrix, canonical)
    np.testing.assert_allclose(rectification.homography, canonical @ np.linalg.inv(MATRIX), atol=1e-12)
    np.testing.assert_allclose(rectification.homography[2], [0, 0, 1])
    left = Rectification.published(camera, crop_at(handedness="left"), focal_px=500.0)
    assert left.mirrors
    np.testing.assert_allclose(
        left.crop_from_image([700, 330])[0] - 112, 112 - rectification.crop_from_image([700, 330])[0]
    )


def test_published_loses_hands_off_the_axis_or_near_and_says_so():
    camera = camera_with()
    assert Rectification.published(camera, crop_at(640, 355, half=60)).hand_in_view == 1.0
    assert Rectification.published(camera, crop_at(1000, 355, half=60)).hand_in_view == 0.0
    near = Rectification.published(camera, crop_at(640, 355, half=240)).hand_in_view
    assert near == pytest.approx((112 / (240 * 1000 / 920)) ** 2, abs=0.05)
    assert Rectification.fit(camera, crop_at(1000, 355, half=240)).hand_in_view == 1.0


# What the picture shows ----------------------------------------------------------


def smooth_image(camera: Camera) -> np.ndarray:
    """Three smooth functions of the pixel, so that any misplaced pixel shows."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return np.stack([u / 6, v / 4, 120 + 100 * np.sin(u / 90) * np.cos(v / 70)], axis=-1).astype(np.float32)


@pytest.mark.parametrize("handedness", ["left", "right"])
@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("half", [60, 240])
def test_warp_shows_what_lies_at_each_pixel(handedness, lens, half):
    camera = camera_with(lens)
    picture = smooth_image(camera)
    rectification = Rectification.fit(camera, crop_at(700, 330, half, 0.4, handedness))
    shown = rectification.warp(picture)
    steps = np.arange(5, 224, 12)
    pixels = np.stack(np.meshgrid(steps, steps), axis=-1)
    where = rectification.image_from_crop(pixels)
    inside = ((where > 3) & (where < np.array([1276, 716]))).all(axis=-1)
    u, v = where[inside].T
    expected = np.stack([u / 6, v / 4, 120 + 100 * np.sin(u / 90) * np.cos(v / 70)], axis=-1)
    assert inside.sum() > 200
    np.testing.assert_allclose(shown[pixels[..., 1], pixels[..., 0]][inside], expected, atol=0.15)


def test_warp_agrees_with_opencv_undistorting_the_whole_frame():
    camera = camera_with("barrel")
    picture = smooth_image(camera)
    rectification = Rectification.fit(camera, crop_at(500, 300, 110))
    undistorted = cv2.undistort(picture, camera.matrix, camera.distortion)
    expected = cv2.warpPerspective(undistorted, rectification.homography, (224, 224))
    np.testing.assert_allclose(rectification.warp(picture), expected, atol=0.3)


def test_warp_averages_where_it_minifies():
    camera = camera_with()
    checker = (np.indices((720, 1280)).sum(axis=0) % 2 * 255).astype(np.uint8)
    shown = Rectification.fit(camera, crop_at(640, 355, half=330)).warp(checker)
    assert abs(shown[20:-20, 20:-20].astype(float) - 127).max() < 30
    sharp = Rectification.fit(camera, crop_at(640.5, 355.5, half=30)).warp(checker)
    assert sharp.std() > 35  # bilinear between 0 and 255


@pytest.mark.parametrize("lens", LENSES)
def test_warp_is_black_where_the_camera_saw_nothing(lens):
    camera = camera_with(lens)
    shown = Rectification.fit(camera, crop_at(20, 355, half=100)).warp(np.full((720, 1280, 3), 200, np.uint8))
    assert (shown[:, :80] == 0).all()
    assert (shown[20:-20, 130:] == 200).all()


def test_published_warp_is_black_around_the_hands_square():
    camera, crop = camera_with(), crop_at(640, 355, half=40)
    rectification = Rectification.published(camera, crop)
    shown = rectification.warp(np.full((720, 1280, 3), 200, np.uint8))
    assert shown[112, 112, 0] == 200
    assert shown[112, 112 + 38 * 1000 // 921, 0] == 200
    assert (shown[:, 112 + 43 * 1000 // 921 :] == 0).all()
    assert (shown[: 112 - 43 * 1000 // 919] == 0).all()
    outside = Rectification.published(camera, crop_at(-500, 355, half=40)).warp(np.full((720, 1280, 3), 200, np.uint8))
    assert outside.shape == (224, 224, 3)
    assert not outside.any()


def test_a_square_that_reaches_beyond_the_lens_still_has_a_picture():
    camera = Camera(1280, 720, MATRIX, [-0.45, 0, 0, 0])  # ends about 530 px from the principal point
    crop = crop_at(1080, 355, half=150)
    assert np.isnan(camera.rays(crop.center_px + 150)).any()
    rectification = Rectification.fit(camera, crop)
    np.testing.assert_allclose(rectification.crop_from_image(crop.center_px), [111.5, 111.5], atol=1e-7)
    shown = rectification.warp(np.full((720, 1280, 3), 200, np.uint8))
    assert shown[112, 112, 0] == 200
    assert (shown[:, -1] == 0).all()  # nothing from beyond the fold


@pytest.mark.parametrize("shape", [(720, 1280), (720, 1280, 1), (720, 1280, 3), (720, 1280, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_warp_keeps_channels_and_type(shape, dtype):
    for crop in (crop_at(half=60), crop_at(half=300)):
        shown = Rectification.fit(camera_with("webcam"), crop).warp(np.ones(shape, dtype))
        assert shown.shape == (224, 224, *shape[2:])
        assert shown.dtype == dtype
        assert shown.max() == 1


def test_pictures_of_any_size():
    for width, height in ((1, 1), (3, 2), (7680, 4320)):
        camera = Camera.assumed(width, height)
        crop = crop_at(width / 2 - 0.5, height / 2 - 0.5, half=max(width, height) / 4)
        for rectification in (Rectification.fit(camera, crop), Rectification.published(camera, crop)):
            shown = rectification.warp(np.full((height, width, 3), 90, np.uint8))
            assert shown.shape == (224, 224, 3)
        assert (
            abs(int(Rectification.fit(camera, crop).warp(np.full((height, width, 3), 90, np.uint8))[112, 112, 0]) - 90)
            < 2
        )


@pytest.mark.parametrize(
    "image", [np.zeros((720, 1281, 3), np.uint8), np.zeros((720, 1280, 5), np.uint8), np.zeros((720, 1280, 3))]
)
def test_picture_that_does_not_fit_is_refused(image):
    with pytest.raises(ShapeError, match=r"The image must be .*, not "):
        Rectification.fit(camera_with(), crop_at()).warp(image)


@pytest.mark.parametrize(
    "crop", [crop_at(half=0), crop_at(half=-3), crop_at(half=np.nan), crop_at(u=np.nan), crop_at(roll=np.inf)]
)
@pytest.mark.parametrize("policy", [Rectification.fit, Rectification.published])
def test_crop_without_area_is_refused(crop, policy):
    with pytest.raises(UsageError, match="crop"):
        policy(camera_with(), crop)


def test_impossible_settings_are_refused():
    with pytest.raises(UsageError, match="fill"):
        Rectification.fit(camera_with(), crop_at(), fill=0)
    with pytest.raises(UsageError, match="size"):
        Rectification.fit(camera_with(), crop_at(), size=0)
    with pytest.raises(UsageError, match="focal"):
        Rectification.published(camera_with(), crop_at(), focal_px=-1)
    with pytest.raises(UsageError, match="lens shows"):
        Rectification.fit(Camera(1280, 720, MATRIX, [-0.9, 0, 0, 0]), crop_at(1270, 700))
    with pytest.raises(UsageError, match="half of"):
        Rectification.fit(camera_with(), crop_at(4000, 355, half=6000))


def test_none_is_the_resized_crop_with_its_own_intrinsics() -> None:
    camera = Camera(640, 480, np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]))
    crop = HandCrop("right", 1.0, np.array([400.0, 100.0]), 50.0, 0.7)
    way = Rectification.none(camera, crop, 224)
    assert np.array_equal(way.virtual_from_camera, np.eye(3)) and way.matrix[0, 0] == pytest.approx(500 * 224 / 100)
    np.testing.assert_allclose(way.crop_from_image([[350.0, 50.0], [450.0, 150.0]]), [[-0.5, -0.5], [223.5, 223.5]])
    assert way.hand_in_view == 1.0
    turned = Rectification.none(camera, crop, 224, np.pi / 2)
    np.testing.assert_allclose(turned.crop_from_image([[400.0, 100.0], [450.0, 100.0]]), [[111.5] * 2, [111.5, 223.5]])
    left = Rectification.none(camera, HandCrop("left", 1.0, np.array([400.0, 100.0]), 50.0, 0.0), 224)
    np.testing.assert_allclose(left.crop_from_image([[350.0, 50.0]]), [[223.5, -0.5]])


def test_policies_without_a_turn_show_the_upright_square_of_the_keypoints_however_they_are_rolled() -> None:
    """Training has keypoints, HO3D's evaluation their box, live use a track: one square for all three."""
    camera = Camera(640, 480, np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]))
    rng = np.random.default_rng(0)
    for roll in np.linspace(0, 2 * np.pi, 9):
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        keypoints = (rng.normal(size=(21, 2)) * [20, 60]) @ turn.T + [300, 200]
        crop = crop_from_keypoints(keypoints, "right", 1.0)
        box = upright_square(np.stack([keypoints.min(axis=0), keypoints.max(axis=0)]), HALF_SIZE_FACTOR)
        for way in (Rectification.published(camera, crop), Rectification.none(camera, crop)):
            np.testing.assert_allclose(way.square_px.mean(axis=0), box[:2])
            assert np.ptp(way.square_px[:, 0]) == pytest.approx(2 * box[2])


def test_a_crop_is_shown_where_the_lens_has_an_answer_for_all_of_it_that_is_in_the_picture():
    matrix = np.array([[500.0, 0, 640], [0, 500, 360], [0, 0, 1]])
    folded = Camera(1280, 720, matrix, (-0.3, 0.0, 0.0, 0.0))
    assert np.isnan(folded.rays(np.array([5.0, 5.0]))).all()
    assert lens_shows(folded, HandCrop("right", 1.0, np.array([640.0, 360.0]), 150.0, 0.0))
    assert not lens_shows(folded, HandCrop("right", 1.0, np.array([150.0, 130.0]), 150.0, 0.0))
    # Beyond the picture's border nothing is asked for.
    assert lens_shows(Camera(1280, 720, matrix), HandCrop("right", 1.0, np.array([20.0, 20.0]), 150.0, 0.0))
