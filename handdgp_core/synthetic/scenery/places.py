"""Where cameras stand and hands are held: lenses, distances, directions of view, places in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array, Handedness
from handdgp_core.geometry.camera import Camera

__all__ = ["FARTHEST_M", "NEAREST_M", "Place", "draw_camera", "draw_place", "second_root"]

NEAREST_M, FARTHEST_M = 0.2, 1.5
_SIZES = ((640, 480), (640, 360), (1280, 720), (1280, 720), (1920, 1080))
_EVEN_VIEWS = 0.45  # of all hands; the others show palm, back or side as hands before a webcam do
_PALM_FORWARD = np.diag([1.0, -1.0, -1.0])  # palm to the camera, fingers up
_LEAST_GAP_M = 0.03


@dataclass(frozen=True)
class Place:
    """Attributes:
    root_m: (3,) wrist keypoint, camera frame.
    rotation: (3, 3) camera from model of a right hand; of a left hand, in a camera frame with x turned round.
    elbow: (3,) where the elbow would like to be, seen from the wrist, same frame as `rotation`.
    """

    root_m: Array
    rotation: Array
    elbow: Array


def draw_camera(rng: np.random.Generator) -> Camera:
    """A webcam or phone: 45 to 95 degrees wide, principal point near the centre. Its lens is taken as undone."""
    width, height = _SIZES[int(rng.integers(len(_SIZES)))]
    focal = 0.5 * width / np.tan(np.radians(rng.uniform(45, 95)) / 2)
    center = np.array([width, height]) * (0.5 + rng.normal(0, 0.01, 2))
    return Camera(width, height, np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1.0]]))


def draw_place(rng: np.random.Generator, camera: Camera, side: Handedness) -> Place:
    """A hand in view of a camera. Distances are log-uniform from 0.2 to 1.5 m (middle of the hand)."""
    distance = float(np.exp(rng.uniform(np.log(NEAREST_M), np.log(FARTHEST_M))))
    rotation = _even_view(rng) if rng.random() < _EVEN_VIEWS else _webcam_view(rng)
    middle = rotation @ np.array([0.0, 0.08, 0.0])
    # At least the middle of the hand is in the picture; hands that fill it stay near its centre.
    reach_px = 0.09 * camera.matrix[0, 0] / distance
    room = np.maximum(np.array(camera.size) / 2 - 0.75 * reach_px, 0.06 * np.array(camera.size))
    aim = np.array(camera.size) / 2 + rng.uniform(-1, 1, 2) * room
    ray = camera.rays(aim)
    place = ray / np.linalg.norm(ray) * distance
    if side == "left":
        middle = middle * np.array([-1.0, 1.0, 1.0])
    bend = Rotation.from_rotvec(rng.normal(0, 0.35, 3)).as_matrix()
    return Place(place - middle, rotation, rotation @ bend @ np.array([0.0, -0.3, 0.0]))


def second_root(rng: np.random.Generator, first: Array, second: Array) -> Array:
    """(3,) root for another hand near the first, which it does not touch.

    Args:
        first: (21, 3) keypoints of the first hand, camera frame.
        second: (21, 3) keypoints of the other, root-relative.
    """
    root = first[0] + np.array([0.0, 0.0, 0.3])
    for _ in range(12):
        shift = rng.normal(0, 1, 3) * np.array([0.09, 0.09, 0.07])
        root = first.mean(axis=0) + shift - second.mean(axis=0)
        points = second + root
        gap = np.linalg.norm(points[:, None] - first[None], axis=-1).min()
        if gap > _LEAST_GAP_M and points[:, 2].min() > 0.1:
            return root
    return first.mean(axis=0) + np.array([0.0, 0.0, 0.3]) - second.mean(axis=0)


def _even_view(rng: np.random.Generator) -> Array:
    """All directions of view equally often."""
    return np.asarray(Rotation.random(random_state=rng).as_matrix())


def _webcam_view(rng: np.random.Generator) -> Array:
    """Palm or back to the camera, within some 35 degrees, fingers mostly up."""
    about = 0.0 if rng.random() < 0.6 else np.pi
    spin = Rotation.from_euler("y", about + rng.normal(0, 0.6)).as_matrix()
    tilt = Rotation.from_euler("x", rng.normal(0, 0.55)).as_matrix()
    roll = Rotation.from_euler("z", rng.normal(0, 0.7)).as_matrix()
    return np.asarray(roll @ tilt @ _PALM_FORWARD @ spin)
