"""Where the views of a sample look, and how labels move with them.

A view is a virtual camera that shares the real one's centre: a rotation M (mirrored for a left hand), then intrinsics
K_i, so the picture moves by the homography K_i M K^-1 and every point of space by M. Both views share M; they differ
in scale and shift of the picture, which change K_i alone. Hence

- 3D labels are the same in both views: vertices M v, root M t. That is what equation (6) of the losses relies on;
- a turn of the picture about its principal point is a turn of the camera about its axis, exactly, because virtual
  pixels are square: it is a part of M, and the labels turn with it;
- the views map to each other by K_2 K_1^-1, an affine map without rotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.augmentation.settings import ViewSettings
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.detection.crops import crop_from_keypoints, upright_square
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.keypoints import COUNT

__all__ = ["ViewGeometry", "draw_geometry", "uv2_from_uv1"]


@dataclass(frozen=True)
class ViewGeometry:
    """The views of one sample.

    Attributes:
        camera: the real camera.
        virtual_from_camera: (3, 3) orthogonal M, of all views; determinant -1 where a left hand is mirrored.
        matrices: (3, 3) K_i of every view, pixels.
        size: side of a view, pixels.
        square_px: (4, 2) corners of the hand's square in the picture where only it is to be seen, else None.
    """

    camera: Camera
    virtual_from_camera: Array
    matrices: tuple[Array, ...]
    size: int
    square_px: Array | None

    def view_from_image(self, view: int) -> Array:
        """(3, 3) homography from pixels of the picture to pixels of a view."""
        return self.matrices[view] @ self.virtual_from_camera @ np.linalg.inv(self.camera.matrix)

    def keypoints_uv(self, keypoints_m: Array, view: int) -> Array:
        """(K, 2) crop fractions of points (K, 3) in the real camera's frame. NaN behind the virtual camera."""
        points = keypoints_m @ self.virtual_from_camera.T
        depth = np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
        matrix = self.matrices[view]
        pixels = points[:, :2] / depth * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
        return (pixels + 0.5) / self.size


def draw_geometry(sample: LabelledHand, settings: ViewSettings, rng: np.random.Generator, views: int) -> ViewGeometry:
    """Random views of a sample.

    Raises:
        CameraError: the sample's camera matrix is none.
        UsageError: the hand's square lies where no virtual camera can look.
    """
    height, width = sample.image.shape[:2]
    camera = Camera(width, height, sample.matrix)
    aim = rng.uniform(-settings.aim, settings.aim, 2)
    turn_rad = math.radians(rng.uniform(-settings.rotation_deg, settings.rotation_deg))
    if settings.square_px is None:
        shown = _hand_crop(sample, camera, settings.crop_factor)
    else:
        center = 0.5 * np.array([width - 1.0, height - 1.0])
        shown = HandCrop(sample.handedness, 1.0, center, 0.5 * settings.square_px, 0.0)
    crop = _moved(shown, aim, turn_rad if settings.policy == "fit" else 0.0)
    if settings.policy == "fit":
        base = Rectification.fit(camera, crop, settings.size)
        to_virtual, square = base.virtual_from_camera, None
    elif settings.policy == "none":
        base = Rectification.none(camera, crop, settings.size, turn_rad)
        to_virtual, square = base.virtual_from_camera, None
    else:
        base = Rectification.published(camera, crop, settings.size, settings.focal_px)
        to_virtual, square = _about_axis(turn_rad) @ base.virtual_from_camera, base.square_px
    matrices = tuple(_zoomed(base.matrix, settings, rng) for _ in range(views))
    return ViewGeometry(camera, to_virtual, matrices, settings.size, square)


def uv2_from_uv1(geometry: ViewGeometry) -> Array:
    """(2, 3) T of equation (5): crop fractions of the second view from those of the first."""
    first, second = geometry.matrices
    pixels_from_uv = np.array([[geometry.size, 0, -0.5], [0, geometry.size, -0.5], [0, 0, 1]])
    return (np.linalg.inv(pixels_from_uv) @ second @ np.linalg.inv(first) @ pixels_from_uv)[:2]


def _hand_crop(sample: LabelledHand, camera: Camera, factor: float) -> HandCrop:
    """From the keypoints as at run time; else upright: the given box, a body's keypoints, or the whole picture."""
    pixels = camera.project(sample.keypoints_m)
    if np.isfinite(pixels).all() and len(pixels) == COUNT:
        return crop_from_keypoints(pixels, sample.handedness, 1.0, factor=factor)
    if sample.box_px is not None:
        low, high = sample.box_px[:2], sample.box_px[2:]
    elif np.isfinite(pixels).all() and len(pixels):
        low, high = pixels.min(axis=0), pixels.max(axis=0)
    else:
        low, high, factor = np.full(2, -0.5), np.array(camera.size) - 0.5, 1.0
    x, y, half = upright_square(np.stack([low, high]), factor)
    return HandCrop(sample.handedness, 1.0, np.array([x, y]), half, 0.0)


def _moved(crop: HandCrop, aim: Array, turn_rad: float) -> HandCrop:
    center = np.asarray(crop.center_px) + crop.half_size_px * aim
    x, y, half = crop.upright_square_px
    upright = np.array([x + half * aim[0], y + half * aim[1], half])
    return replace(crop, center_px=center, roll_rad=crop.roll_rad + turn_rad, upright_px=upright)


def _about_axis(angle_rad: float) -> Array:
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _zoomed(matrix: Array, settings: ViewSettings, rng: np.random.Generator) -> Array:
    """K_i: scaled about the principal point, which then moves."""
    result = matrix.copy()
    result[[0, 1], [0, 1]] *= rng.uniform(*settings.scale)
    result[:2, 2] += settings.size * rng.uniform(-settings.shift, settings.shift, 2)
    return result
