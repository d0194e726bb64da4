"""Poses of a board before the camera: what each looks like, whether two differ enough, and one that looks as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.rotation import matrix_of, vector_of
from calib.sheet import Sheet
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["Appearance", "appearance", "board_outline_px", "difference", "distinct_labels", "look_at"]

# A view is new where it differs from every other one by one of these.
_NEW_ANGLE_RAD = np.deg2rad(12.0)
_NEW_SHIFT = 0.12  # of the picture's width
_NEW_SIZE = 0.25  # natural logarithm of the ratio


@dataclass(frozen=True)
class Appearance:
    """How the board looks.

    Attributes:
        normal: (3,) of the board towards the viewer, camera frame; (0, 0, -1) where it faces the camera squarely.
        middle_px: (2,) where its middle is, without the lens unless that is a fisheye.
        distance_m: of its middle.
        tilt_rad: between the normal and the line of sight to the middle.
        width: of the picture.
    """

    normal: Array
    middle_px: Array
    distance_m: float
    tilt_rad: float
    width: int


def appearance(board: Board | Sheet, pose: Array, camera: Camera) -> Appearance:
    """How the board at a pose (6,), camera_from_board, looks to the camera."""
    turn = matrix_of(pose)
    middle = turn @ np.append(0.0005 * np.array(board.size_mm), 0.0) + pose[3:]
    distance = float(np.linalg.norm(middle))
    normal = -turn[:, 2]
    cosine = float(np.clip(-(normal @ middle) / max(distance, 1e-9), -1.0, 1.0))
    if camera.lens == "fisheye":  # as a pinhole would see it, it may be anywhere
        at = camera.project(middle)
        at = at if np.isfinite(at).all() else 1e6 * middle
    else:
        at = camera.matrix @ (middle / max(middle[2], 1e-6))
    return Appearance(normal, at[:2], distance, float(np.arccos(cosine)), camera.width)


def difference(one: Appearance, other: Appearance) -> float:
    """How different two views are: from 1 on they tell the camera different things."""
    angle = np.arccos(np.clip(one.normal @ other.normal, -1.0, 1.0)) / _NEW_ANGLE_RAD
    shift = np.linalg.norm(one.middle_px - other.middle_px) / (_NEW_SHIFT * one.width)
    size = abs(np.log(max(one.distance_m, 1e-9) / max(other.distance_m, 1e-9))) / _NEW_SIZE
    return float(max(angle, shift, size))


def distinct_labels(looks: Sequence[Appearance]) -> NDArray[np.intp]:
    """(V,) a number from 0 for each view, the same for views that tell the camera the same."""
    leaders: list[Appearance] = []
    labels = []
    for look in looks:
        label = next((index for index, other in enumerate(leaders) if difference(look, other) < 1.0), len(leaders))
        leaders += [look] if label == len(leaders) else []
        labels.append(label)
    return np.array(labels, dtype=np.intp)


def board_outline_px(board: Board, pose: Array, camera: Camera, points_per_side: int = 8) -> Array:
    """(4 n, 2) the board's outline as the lens shows it, in order; NaN where it is behind the camera."""
    corners = board.outline_m
    ends = np.roll(corners, -1, axis=0)
    steps = np.linspace(0, 1, points_per_side, endpoint=False)[:, None]
    outline = np.concatenate([start + steps * (end - start) for start, end in zip(corners, ends, strict=True)])
    return camera.project(outline @ matrix_of(pose).T + pose[3:])


def look_at(board: Board, distance_m: float, tilt_rad: float = 0.0, about_rad: float = 0.0, roll_rad: float = 0.0,
            aim_px: tuple[float, float] | None = None, camera: Camera | None = None) -> Array:  # fmt: skip
    """A pose (6,), camera_from_board, that puts the board's middle on a line of sight.

    Args:
        board: where its middle is.
        distance_m: from the camera to the middle of the board.
        tilt_rad: angle between the board's normal and the line of sight.
        about_rad: direction of the axis of that tilt in the picture, from x towards y.
        roll_rad: turn of the board in its own plane.
        aim_px: pixel at which the middle appears; None for the optical axis.
        camera: needed with `aim_px`.
    """
    sight = np.array([0.0, 0.0, 1.0]) if aim_px is None or camera is None else camera.rays(np.array(aim_px))
    sight = sight / np.linalg.norm(sight)
    axis = np.array([np.cos(about_rad), np.sin(about_rad), 0.0])
    aimed = matrix_of(np.cross([0.0, 0.0, 1.0], sight) / max(1e-12, np.hypot(*sight[:2])) * np.arccos(sight[2]))
    turn = aimed @ matrix_of(tilt_rad * axis) @ matrix_of(np.array([0.0, 0.0, roll_rad]))
    middle = np.append(0.0005 * np.array(board.size_mm), 0.0)
    return np.concatenate([vector_of(turn), distance_m * sight - turn @ middle])
