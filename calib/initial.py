"""A first estimate of the camera and of where the board was, by OpenCV: good enough to start the final solve from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calib.boards import Board
from calib.lens_models import lens_model_of
from calib.views import View, common_size
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["board_pose", "board_poses", "initial_estimate"]

_LIKELY_FOV_DEG = 62.0  # of webcams; where the views do not tell better
_ENOUGH_FOR_LENS = 5  # with fewer views OpenCV's estimate of the full lens runs away
_FOCAL_RANGE = (0.3, 4.0)  # of the picture's width: what a webcam can have
_MAX_RMS_PX = 5.0
_LEAST_CORNERS = 4
_SOMEWHERE = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
_POSE_STEPS, _POSE_DONE = 30, 1e-12


def initial_estimate(board: Board, views: Sequence[View]) -> tuple[Camera, Array]:
    """Camera and board poses from views alone.

    Args:
        board: its true shape is taken to be flat here.
        views: at least one.

    Returns:
        The camera, "assumed" where the views could not tell its focal length, and (V, 6) poses, each a rotation
        vector and a translation in metres (camera_from_board).

    Raises:
        CalibrationError: no views, or several picture sizes.
    """
    width, height = common_size(views)
    guess = Camera.assumed(width, height, _LIKELY_FOV_DEG)
    objects = [board.points_m[view.ids].astype(np.float32).reshape(-1, 1, 3) for view in views]
    corners = [view.corners_px.astype(np.float32).reshape(-1, 1, 2) for view in views]
    flags = cv2.CALIB_USE_INTRINSIC_GUESS
    if len(views) < _ENOUGH_FOR_LENS:
        flags |= cv2.CALIB_FIX_ASPECT_RATIO | cv2.CALIB_FIX_PRINCIPAL_POINT | cv2.CALIB_ZERO_TANGENT_DIST
        flags |= cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3
    try:
        rms, matrix, lens, turns, places, *_ = cv2.calibrateCameraExtended(
            objects, corners, (width, height), guess.matrix.copy(), np.zeros(5), flags=flags
        )
    except cv2.error:
        return guess, board_poses(board, views, guess)
    found, lens = np.asarray(matrix, dtype=np.float64), np.asarray(lens, dtype=np.float64).ravel()[:5]
    if not _plausible(found, rms, width):
        return guess, board_poses(board, views, guess)
    poses = np.concatenate([np.reshape(turns, (-1, 3)), np.reshape(places, (-1, 3))], axis=1)
    camera = Camera(width, height, found, lens)
    if not np.isfinite(poses).all() or (poses[:, 5] <= 0).any():
        return camera, board_poses(board, views, camera)
    return camera, poses


def board_pose(points_m: Array, view: View, camera: Camera) -> tuple[Array, float]:
    """Where the board is in one view, for a known camera.

    Args:
        points_m: (N, 3) all corners of the board, board frame; plane or nearly so.
        view: corners seen.
        camera: of the view's picture size.

    Returns:
        (6,) rotation vector and translation in metres (camera_from_board), and the rms of its reprojection in pixels
        per axis. The rms is infinite where no pose was found.
    """
    rays = camera.rays(view.corners_px)
    known = np.isfinite(rays).all(axis=1)
    if known.sum() < _LEAST_CORNERS:
        return np.zeros(6), float("inf")
    seen, corners = points_m[view.ids[known]], view.corners_px[known]
    try:
        found, turn, place = cv2.solvePnP(
            seen * (1.0, 1.0, 0.0), rays[known, None, :2], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
    except cv2.error:
        return np.zeros(6), float("inf")
    if not found:
        return np.zeros(6), float("inf")
    return _refined(seen, corners, np.concatenate([turn.ravel(), place.ravel()]), camera)


def _refined(points: Array, corners: Array, pose: Array, camera: Camera) -> tuple[Array, float]:
    """A pose (6,) by Levenberg-Marquardt on the corners, and their rms per axis."""
    lens = lens_model_of(camera)
    parameters = lens.parameters(camera)

    def look(at: Array) -> tuple[Array, Array, float]:
        pixels, _, by_pose = lens.project(points, at, parameters)
        off = (pixels - corners).ravel()
        return off, by_pose.reshape(-1, 6), float(off @ off)

    (off, by_pose, cost), damping = look(pose), 1e-4
    for _ in range(_POSE_STEPS):
        normal = by_pose.T @ by_pose
        step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)) + 1e-12 * np.eye(6), by_pose.T @ off)
        there = look(pose + step)
        if there[2] <= cost:
            done = cost - there[2] <= _POSE_DONE * cost
            pose, (off, by_pose, cost), damping = pose + step, there, max(1e-9, 0.1 * damping)
            if done:
                break
        else:
            damping *= 10.0
    rms = float(np.sqrt(cost / off.size))
    return (pose, rms) if np.isfinite(rms) else (np.zeros(6), float("inf"))


def _plausible(matrix: Array, rms: float, width: int) -> bool:
    focal, low, high = matrix[0, 0], *(bound * width for bound in _FOCAL_RANGE)
    return bool(np.isfinite(matrix).all() and low < focal < high and low < matrix[1, 1] < high and rms < _MAX_RMS_PX)


def board_poses(board: Board, views: Sequence[View], camera: Camera) -> Array:
    """(V, 6) camera_from_board of every view; a board in front of the camera where none was found."""
    found = [board_pose(board.points_m, view, camera) for view in views]
    return np.stack([pose if np.isfinite(rms) else _SOMEWHERE for pose, rms in found])
