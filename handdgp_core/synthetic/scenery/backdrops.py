"""Backgrounds made by rule: rooms drawn by the path tracer, and clutter of gradients, noise, boxes, lines and faces.

Nothing is photographed, so nothing has a licence of its own.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.geometry.camera import Camera
from handdgp_core.synthetic.rendering.path_tracer import Box, render_boxes
from handdgp_core.synthetic.scenery.room import make_room

__all__ = ["Backdrops"]

Picture = NDArray[np.float32]
_ROOM_SIZE = (480, 360)
_ROOM_PASSES = 6
_ROOM_SHARE = 0.35


class Backdrops:
    """Backgrounds of one size, linear light.

    Args:
        size: side, pixels.
        rooms: how many views of rooms to draw beforehand (about two seconds each without a GPU).
        seed: of the rooms.
    """

    def __init__(self, size: int, rooms: int, seed: int) -> None:
        self._size = size
        self._rooms = [_room(number, seed) for number in range(rooms)]

    def draw(self, rng: np.random.Generator) -> Picture:
        """(size, size, 3) float32, mean about 0.05 to 0.6."""
        in_room = bool(self._rooms) and rng.random() < _ROOM_SHARE
        sharp = self._part_of_room(rng) if in_room else _clutter(self._size, rng)
        blur_px = float(rng.uniform(0.5, 5.0)) if rng.random() < 0.6 else 0.0
        picture = np.maximum(cv2.GaussianBlur(sharp, (0, 0), blur_px) if blur_px else sharp, 0.0)
        level = float(np.exp(rng.uniform(np.log(0.04), np.log(0.6))))
        return np.asarray(picture * (level / max(float(picture.mean()), 1e-3)), dtype=np.float32)

    def _part_of_room(self, rng: np.random.Generator) -> Picture:
        room = self._rooms[int(rng.integers(len(self._rooms)))]
        side = int(rng.integers(110, min(room.shape[:2])))
        top, left = (int(rng.integers(0, length - side + 1)) for length in room.shape[:2])
        part = room[top : top + side, left : left + side]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        large = cv2.resize(np.ascontiguousarray(part), (self._size, self._size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large * rng.uniform(0.75, 1.25, 3), dtype=np.float32)


def _room(number: int, seed: int) -> Picture:
    """One look into a room, from a place of its own."""
    rng = np.random.default_rng([seed, number])
    width, height = _ROOM_SIZE
    focal = 0.5 * width / np.tan(np.radians(rng.uniform(50, 85)) / 2)
    camera = Camera(width, height, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]))
    shift = rng.uniform([-1.0, -0.3, -0.6], [1.0, 0.3, 0.9])
    moved = [_moved(box, shift) for box in make_room(int(rng.integers(1 << 20)))]
    room = render_boxes(moved, camera, _ROOM_PASSES)
    return np.asarray(cv2.bilateralFilter(np.asarray(room, dtype=np.float32), 5, 0.12, 2.0), dtype=np.float32)


def _moved(box: Box, shift: NDArray[np.float64]) -> Box:
    low, high = np.asarray(box.low) - shift, np.asarray(box.high) - shift
    return Box(tuple(low), tuple(high), box.colour, box.pattern, box.emission)


def _clutter(size: int, rng: np.random.Generator) -> Picture:
    picture = _noise(size, rng, strength=float(rng.uniform(0.02, 0.5)))
    for _ in range(int(rng.integers(0, 14))):
        kind = rng.random()
        if kind < 0.55:
            _add_polygon(picture, rng)
        elif kind < 0.8:
            _add_lines(picture, rng)
        else:
            _add_blob(picture, rng)
    return picture


def _noise(size: int, rng: np.random.Generator, strength: float) -> Picture:
    """One colour with noise of several scales."""
    picture = np.broadcast_to(_colour(rng), (size, size, 3)).astype(np.float32)
    for cells in (2, 4, 9, 22, 60):
        grid = rng.normal(0, 1, (cells, cells, 1 if rng.random() < 0.5 else 3)).astype(np.float32)
        layer = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC).reshape(size, size, -1)
        picture = picture * (1 + strength * float(rng.uniform(0, 0.6)) * layer)
    return np.ascontiguousarray(np.clip(picture, 0.0, 2.0), dtype=np.float32)


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    grey = rng.beta(1.2, 2.0)
    return np.clip(grey * (1 + rng.normal(0, 0.28, 3)), 0.005, 1.2).astype(np.float32)


def _add_polygon(picture: Picture, rng: np.random.Generator) -> None:
    size = len(picture)
    center = rng.uniform(0, size, 2)
    half = np.exp(rng.uniform(np.log(8), np.log(size / 2), 2))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + rng.normal(0, 0.1, (4, 2)) * half
    angle = rng.choice([0.0, rng.uniform(0, np.pi)])
    turn = Rotation.from_euler("z", angle).as_matrix()[:2, :2]
    points = np.round((center + corners @ turn.T) * 16).astype(np.int32)
    cv2.fillConvexPoly(picture, points, _colour(rng).tolist(), cv2.LINE_8, 4)


def _add_lines(picture: Picture, rng: np.random.Generator) -> None:
    """Parallel lines: blinds, shelves, writing."""
    size = len(picture)
    start, step = rng.uniform(0, size, 2), rng.normal(0, 14, 2)
    along = rng.normal(0, size / 3, 2)
    colour, thickness = _colour(rng).tolist(), int(rng.integers(1, 6))
    for number in range(int(rng.integers(1, 12))):
        first = start + number * step
        ends = [tuple(np.round(point).astype(int).tolist()) for point in (first, first + along)]
        cv2.line(picture, ends[0], ends[1], colour, thickness, cv2.LINE_8)


def _add_blob(picture: Picture, rng: np.random.Generator) -> None:
    """An ellipse; half of them in the colours of skin, as a face or an arm behind the hand would be."""
    size = len(picture)
    center = tuple(rng.uniform(0, size, 2).round().astype(int).tolist())
    axes = tuple(np.exp(rng.uniform(np.log(8), np.log(size / 2), 2)).round().astype(int).tolist())
    colour = _colour(rng)
    if rng.random() < 0.5:
        colour = (np.array([0.62, 0.36, 0.26]) * rng.uniform(0.1, 1.0) * rng.normal(1, 0.06, 3)).astype(np.float32)
    layer = picture.copy()
    cv2.ellipse(layer, center, axes, float(rng.uniform(0, 180)), 0, 360, np.clip(colour, 0, 1.2).tolist(), -1)
    shade = cv2.GaussianBlur(np.abs(layer - picture).max(axis=2), (0, 0), 2.0)[..., None]
    mask = np.clip(shade / max(float(shade.max()), 1e-6), 0, 1)
    picture[:] = picture * (1 - mask) + layer * mask
