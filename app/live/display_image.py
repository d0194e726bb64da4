"""The picture for the display: scaled to its size on screen, mirrored if so chosen, hands drawn over it. No Qt."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from app.live.frame_result import PipelineOptions
from handdgp_core.drawing.overlay import draw_hands
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.pixels import resized_matrix, resized_pixels
from handdgp_core.sessions import RecordedHands
from handdgp_core.types import Frame, Hand

LEGIBLE_WIDTH_PX = 900  # in narrower images dots and letters of the overlay do not shrink any further


def display_image(
    frame: Frame, camera: Camera, hands: list[Hand], beside: RecordedHands | None, options: PipelineOptions
) -> NDArray[np.uint8]:
    """The picture at display size with the overlay, recorded hands `beside` the others as a wireframe below them."""
    image, small_camera, small_hands = _shrunk(frame.image, camera, hands, options.picture_size)
    scale = max(1.0, LEGIBLE_WIDTH_PX * options.pixel_ratio / image.shape[1])
    style = replace(options.overlay, mirrored=options.mirror, scale=options.overlay.scale * scale)
    if beside is not None and beside.hands:
        recorded_camera = _camera_at(beside.camera, image.shape[1], image.shape[0])
        below = replace(style, mirrored=False, mesh=False, wireframe=True, opacity=1.0, keypoints=False, labels=False)
        image = draw_hands(image, beside.hands, recorded_camera, below)
    return draw_hands(image, small_hands, small_camera, style)


def bare_image(frame: Frame, camera: Camera, options: PipelineOptions) -> NDArray[np.uint8]:
    """The picture at display size without any hands."""
    image, _, _ = _shrunk(frame.image, camera, [], options.picture_size)
    return np.ascontiguousarray(image[:, ::-1]) if options.mirror else image


def shown_size(width: int, height: int, bounds: tuple[int, int] | None) -> tuple[int, int]:
    """The size at which a (width, height) image is drawn into `bounds`: never enlarged, aspect kept, at least 1."""
    if bounds is None:
        return width, height
    scale = min(1.0, bounds[0] / width, bounds[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrunk(
    image: NDArray[np.uint8], camera: Camera, hands: list[Hand], bounds: tuple[int, int] | None
) -> tuple[NDArray[np.uint8], Camera, list[Hand]]:
    """Picture, camera and hands at display size: drawing fewer pixels, and lines that stay sharp on screen."""
    height, width = image.shape[:2]
    size = shown_size(width, height, bounds)
    if size == (width, height):
        return image, camera, hands
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small, _camera_at(camera, *size), [_hand_at(hand, size[0] / width, size[1] / height) for hand in hands]


def _camera_at(camera: Camera, width: int, height: int) -> Camera:
    """The camera of an image resized to any size: rounding to whole pixels may change the aspect of small ones."""
    matrix = resized_matrix(camera.matrix, (width / camera.width, height / camera.height))
    return replace(camera, width=width, height=height, matrix=matrix)


def _hand_at(hand: Hand, across: float, down: float) -> Hand:
    """The hand whose 2D keypoints are those of the resized image."""
    return replace(hand, keypoints_px=resized_pixels(hand.keypoints_px, (across, down)))
