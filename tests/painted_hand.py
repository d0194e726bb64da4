"""A shaded picture of the open hand, triangle by triangle, that MediaPipe takes for a real one; clips of pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.open_hand.open_hand import OpenHand

SKIN = np.array([224.0, 172.0, 145.0])
BACKGROUND = (70, 90, 100)
# Model to camera: fingers (y) up, back or palm to the camera.
PALM_TO_CAMERA = np.diag([1.0, -1.0, -1.0])


def paint_hand(
    camera: Camera,
    handedness: Handedness = "right",
    center_m: tuple[float, float, float] = (0.0, 0.09, 0.45),
    roll_rad: float = 0.0,
) -> tuple[NDArray[np.uint8], Array]:
    """Image (height, width, 3) RGB of an open hand, palm to the camera, and its keypoints (21, 3) in metres.

    `center_m` is the wrist in the camera's frame; the roll is clockwise in the image.
    """
    hand = OpenHand.load()
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    mirror = np.diag([-1.0 if handedness == "left" else 1.0, 1.0, 1.0])
    camera_from_model = turn @ PALM_TO_CAMERA @ mirror
    vertices = hand.vertices @ camera_from_model.T + center_m
    keypoints = hand.keypoints @ camera_from_model.T + center_m
    image = np.full((camera.height, camera.width, 3), BACKGROUND, np.uint8)
    paint_triangles(image, camera.project(vertices), vertices[hand.faces_for(handedness)], hand.faces_for(handedness))
    return cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.uint8), keypoints


def paint_triangles(image: NDArray[np.uint8], pixels: Array, corners: Array, faces: NDArray[np.int32]) -> None:
    """Paint over `image`, far triangles first, each in one shade by its angle to a light at the upper left."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    light = np.array([-0.4, -0.6, -0.7]) / np.linalg.norm([0.4, 0.6, 0.7])
    shade = 0.35 + 0.65 * np.clip(normals @ light, 0, 1)
    for face in np.argsort(-corners[:, :, 2].mean(axis=1)):
        polygon = np.round(pixels[faces[face]] * 16).astype(np.int32)
        cv2.fillConvexPoly(image, polygon, (SKIN * shade[face]).tolist(), cv2.LINE_AA, shift=4)


def write_clip(path: Path, images: Iterable[np.ndarray], fps: float = 25.0) -> Path:
    """RGB images (height, width, 3) of one size as a Motion JPEG clip; returns its path."""
    images = iter(images)
    first = next(images)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, first.shape[1::-1])
    for image in itertools.chain([first], images):
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
