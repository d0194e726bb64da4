"""The picture at display size: what is drawn over it lies where the shrunk picture shows it, to part of a pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.live import display_image as module
from app.live.frame_result import PipelineOptions
from handdgp_core.arrays import Array
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import RecordedHands
from handdgp_core.types import Frame, Hand
from tests.app.doubles import hand

WIDTH, HEIGHT = 640, 480
CAMERA = Camera(WIDTH, HEIGHT, np.array([[600.0, 0, 311.3], [0, 610.0, 244.9], [0, 0, 1]]))
POINT_M = np.array([0.0513, -0.0371, 0.4])


def spot_at(center_px: Array, radius_px: float = 6.0) -> NDArray[np.uint8]:
    """A dark picture with a soft white spot."""
    across, down = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    distance = np.hypot(across - center_px[0], down - center_px[1])
    brightness = 255 * np.exp(-0.5 * (distance / radius_px) ** 2)
    return np.repeat(np.round(brightness)[..., None], 3, axis=2).astype(np.uint8)


def middle_of_spot(image: NDArray[np.uint8]) -> Array:
    """(2,) its centre of mass, in pixels."""
    light = image[..., 0].astype(float)
    across, down = np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[0]))
    return np.array([(light * across).sum(), (light * down).sum()]) / light.sum()


def hand_of_one_point() -> Hand:
    """All its keypoints are `POINT_M`."""
    points = np.tile(POINT_M, (21, 1))
    return replace(hand(), keypoints_m=points, root_m=POINT_M, keypoints_px=CAMERA.project(points))


@pytest.mark.parametrize("bounds", [(160, 120), (200, 150), (213, 119), (97, 300), (640, 480)])
def test_a_point_is_drawn_where_the_shrunk_picture_shows_it(
    bounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[NDArray[np.uint8], list[Hand], Camera]] = []

    def noted(image: NDArray[np.uint8], hands: list[Hand], camera: Camera, style: OverlayStyle) -> NDArray[np.uint8]:
        drawn.append((image, hands, camera))
        return image

    monkeypatch.setattr(module, "draw_hands", noted)
    frame = Frame(spot_at(CAMERA.project(POINT_M)), 0, 0)
    seen = hand_of_one_point()
    recorded = RecordedHands([seen], CAMERA, "test", 1.0)
    module.display_image(frame, CAMERA, [seen], recorded, PipelineOptions(picture_size=bounds))
    (_, _, recorded_camera), (image, (small_hand,), camera) = drawn
    shown = middle_of_spot(image)
    assert camera.size == recorded_camera.size == (image.shape[1], image.shape[0])
    np.testing.assert_allclose(camera.project(POINT_M), shown, atol=0.05)
    np.testing.assert_allclose(recorded_camera.project(POINT_M), shown, atol=0.05)
    np.testing.assert_allclose(small_hand.keypoints_px, np.tile(shown, (21, 1)), atol=0.05)
