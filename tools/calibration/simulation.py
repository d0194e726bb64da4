"""Pictures of boards that were never printed: a known camera looks at a known board. For tests and studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from calib.boards import Board
from calib.rotation import matrix_of
from calib.views import MIN_CORNERS, View
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["BoardRenderer", "Picture", "bent_onto_cylinder", "simulated_view"]

_TEXTURE_PX_PER_SQUARE = 60
_MARGIN_SQUARES = 0.6
_BACKGROUND = 120


def bent_onto_cylinder(board: Board, sagitta_m: float) -> Array:
    """(N, 3) corners of the board rolled along x onto a cylinder, its middle lifted towards the viewer.

    A true arc that keeps the paper's length, not the parabola that the solve assumes.
    """
    points = board.points_m.copy()
    if sagitta_m == 0.0:
        return points
    half = 0.0005 * board.size_mm[0]
    # The arc of half-length `half` that spans the angle a has the sagitta half (1 - cos a) / a.
    span = brentq(lambda a: half * (1 - np.cos(a)) / a - sagitta_m, 1e-9, 1.5)
    radius = half / span
    angle = (points[:, 0] - half) / radius
    points[:, 0] = half + radius * np.sin(angle)
    points[:, 2] = -(radius * np.cos(angle) - (radius - sagitta_m))
    return points


def simulated_view(points_m: Array, pose: Array, camera: Camera, noise_px: float, random: np.random.Generator,
                   margin_px: float = 4.0) -> View | None:  # fmt: skip
    """The corners as a detector would give them: those inside the picture, with noise; None where too few are."""
    turned = points_m @ matrix_of(pose).T + pose[3:]
    pixels = camera.project(turned)
    limit = np.array(camera.size) - 1 - margin_px
    inside = np.flatnonzero(((pixels >= margin_px) & (pixels <= limit)).all(axis=1))
    if len(inside) < MIN_CORNERS:
        return None
    noisy = pixels[inside] + random.normal(0, noise_px, (len(inside), 2))
    return View(inside.astype(np.int32), noisy, camera.size)


@dataclass(frozen=True)
class Picture:
    """How a rendered picture is spoilt.

    Attributes:
        blur_px: standard deviation of the lens blur.
        motion_px: length of the smear.
        noise: standard deviation of the sensor's noise, grey levels.
        black, white: grey levels of ink and paper.
    """

    blur_px: float = 0.7
    motion_px: float = 0.0
    noise: float = 3.0
    black: float = 35.0
    white: float = 205.0


class BoardRenderer:
    """Renders one board as one camera sees it.

    Args:
        board: to paint; flat, or bent along x.
        camera: lens included.
        sagitta_m: bend along x, by a parabola; 0 for flat.
    """

    def __init__(self, board: Board, camera: Camera, sagitta_m: float = 0.0) -> None:
        self.board, self.camera, self.sagitta_m = board, camera, sagitta_m
        self._texture = board.image(_TEXTURE_PX_PER_SQUARE, _MARGIN_SQUARES)
        width, height = camera.size
        # Twice as fine in both directions: the mean of four samples is what a pixel sees.
        x, y = np.meshgrid((np.arange(2 * width) - 0.5) / 2, (np.arange(2 * height) - 0.5) / 2)
        self._rays = _rays_by_map(camera, x, y)

    def render(self, pose: Array, picture: Picture, random: np.random.Generator) -> NDArray[np.uint8]:
        """(height, width) uint8 of the board at a pose (6,), camera_from_board."""
        turn, place = matrix_of(pose), pose[3:]
        rays = self._rays @ turn.astype(np.float32)  # board frame
        eye = -turn.T @ place
        slope = np.where(np.abs(rays[..., 2]) > 1e-9, rays[..., 2], 1e-9)
        depth = -eye[2] / slope
        half = 0.0005 * self.board.size_mm[0]
        for _ in range(4 if self.sagitta_m else 0):  # walk along the ray to the bent surface
            u = (eye[0] + depth * rays[..., 0]) / half - 1.0
            depth = (-self.sagitta_m * np.maximum(1 - u**2, -3.0) - eye[2]) / slope
        x, y = eye[0] + depth * rays[..., 0], eye[1] + depth * rays[..., 1]
        if self.sagitta_m:
            u = x / half - 1.0
            x = x + 2 * self.sagitta_m**2 / (3 * half) * u**3
        scale = _TEXTURE_PX_PER_SQUARE / (1e-3 * self.board.square_mm)
        margin = _MARGIN_SQUARES * _TEXTURE_PX_PER_SQUARE - 0.5
        at_x, at_y = (np.where(depth > 0, v * scale + margin, -1e4).astype(np.float32) for v in (x, y))
        away = max(1.0, place[2] / self.camera.focal_px[0] * scale / 2)  # texture pixels in a sample
        texture = cv2.GaussianBlur(self._texture, (0, 0), 0.5 * away)
        sampled = cv2.remap(texture, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-1)
        inside = cv2.remap(np.full_like(texture, 255), at_x, at_y, cv2.INTER_LINEAR, borderValue=0)
        fine = np.where(inside > 127, picture.black + sampled / 255.0 * (picture.white - picture.black), _BACKGROUND)
        return _spoilt(
            cv2.resize(fine.astype(np.float32), self.camera.size, interpolation=cv2.INTER_AREA), picture, random
        )


def _rays_by_map(camera: Camera, x: Array, y: Array) -> NDArray[np.float32]:
    """Rays of a dense grid: exact on every 8th node, linear between: off by less than a thousandth pixel."""
    step = 8
    coarse_x, coarse_y = np.arange(0, x.shape[1] + step, step), np.arange(0, x.shape[0] + step, step)
    nodes = np.stack(np.meshgrid((coarse_x - 0.5) / 2, (coarse_y - 0.5) / 2), axis=-1)
    rays = camera.rays(nodes)
    at_x, at_y = np.meshgrid(np.arange(x.shape[1]) / step, np.arange(x.shape[0]) / step)
    planes = [
        cv2.remap(np.ascontiguousarray(rays[..., axis]), at_x.astype(np.float32), at_y.astype(np.float32),
                  cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for axis in (0, 1)
    ]  # fmt: skip
    return np.stack([*planes, np.ones_like(planes[0])], axis=-1).astype(np.float32)


def _smear(length_px: float) -> Array:
    """(1, n) n odd: a box of any length, its middle on the middle pixel, so that nothing is shifted."""
    reach = int(np.ceil(0.5 * (length_px - 1)))
    weights = np.clip(0.5 * length_px + 0.5 - np.abs(np.arange(-reach, reach + 1)), 0.0, 1.0)
    return (weights / weights.sum())[None]


def _spoilt(clean: Any, picture: Picture, random: np.random.Generator) -> NDArray[np.uint8]:
    if picture.blur_px > 0:
        clean = cv2.GaussianBlur(clean, (0, 0), picture.blur_px)
    if picture.motion_px > 1:
        clean = cv2.filter2D(clean, -1, _smear(picture.motion_px))
    noisy = clean + random.normal(0, picture.noise, clean.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
