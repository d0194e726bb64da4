"""A first estimate of the camera and of where the board was, by OpenCV: good enough to start the final solve from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calib.boards import Board
from calib.views import View, common_size
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["board_pose", "initial_estimate"]

_LIKELY_FOV_DEG = 62.0  # of webcams; where the views do not tell better
_ENOUGH_FOR_LENS = 5  # with fewer views OpenCV's estimate of the full lens runs away
_FOCAL_RANGE = (0.3, 4.0)  # of the picture's width: what a webcam can have
_MAX_RMS_PX = 5.0


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
        return guess, _poses(board, views, guess)
    found, lens = np.asarray(matrix, dtype=np.float64), np.asarray(lens, dtype=np.float64).ravel()[:5]
    if not _plausible(found, rms, width):
        return guess, _poses(board, views, guess)
    poses = np.concatenate([np.reshape(turns, (-1, 3)), np.reshape(places, (-1, 3))], axis=1)
    camera = Camera(width, height, found, lens)
    if not np.isfinite(poses).all() or (poses[:, 5] <= 0).any():
        return camera, _poses(board, views, camera)
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
    seen, corners = points_m[view.ids], view.corners_px.reshape(-1, 1, 2)
    lens = camera.distortion if camera.has_distortion else np.zeros(5)
    flat = seen * (1.0, 1.0, 0.0)
    try:
        found, turn, place = cv2.solvePnP(flat, corners, camera.matrix, lens, flags=cv2.SOLVEPNP_IPPE)
        if not found:
            return np.zeros(6), float("inf")
        turn, place = cv2.solvePnPRefineLM(seen, corners, camera.matrix, lens, turn, place)
    except cv2.error:
        return np.zeros(6), float("inf")
    pose = np.concatenate([turn.ravel(), place.ravel()])
    projected = cv2.projectPoints(seen, turn, place, camera.matrix, lens)[0].reshape(-1, 2)
    return pose, float(np.sqrt(np.mean((projected - view.corners_px) ** 2)))


def _plausible(matrix: Array, rms: float, width: int) -> bool:
    focal, low, high = matrix[0, 0], *(bound * width for bound in _FOCAL_RANGE)
    return bool(np.isfinite(matrix).all() and low < focal < high and low < matrix[1, 1] < high and rms < _MAX_RMS_PX)


def _poses(board: Board, views: Sequence[View], camera: Camera) -> Array:
    return np.stack([board_pose(board.points_m, view, camera)[0] for view in views])
