"""The open hand laid flat on a board, back up: where its joints are, and what it looks like."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from calib.boards import Board
from calib.rotation import matrix_of
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from tests.painted_hand import SKIN, paint_triangles
from tools.calibration.simulation import BoardRenderer, Picture

# The model's x (thumb), y (fingers), z (out of the palm) on a board whose y runs down and z into the table.
BOARD_FROM_MODEL = np.diag([-1.0, -1.0, 1.0])
_THUMB = slice(1, 5)


def flat_pose(hand: OpenHand) -> tuple[Array, Array]:
    """Joint angles (D,) and rotation (3, 3) of a hand whose fingers are stretched and rest on a table.

    First with all joints in one plane, which shows how far the skin of the palm's side lies below each; then with every
    joint as high above the table as that.
    """
    flat = _with_heights(hand, np.zeros(21), np.zeros(3 + hand.dof_count))
    vertices, keypoints = on_table(hand, flat[3:], Rotation.from_rotvec(flat[:3]).as_matrix(), 1.0)
    nearest = np.linalg.norm(vertices[:, None] - keypoints, axis=2).argmin(axis=1)
    below = np.array([np.percentile(vertices[nearest == j, 2], 97) - keypoints[j, 2] for j in range(21)])
    resting = _with_heights(hand, -below, flat)
    return resting[3:], Rotation.from_rotvec(resting[:3]).as_matrix()


def _with_heights(hand: OpenHand, heights: Array, start: Array) -> Array:
    """Rotation vector and joint angles that put the joints at these z, up to a shift; thumb and spread are free."""
    low, high = hand.dof_limits_rad.T

    def cost(parameters: Array) -> Array:
        points = keypoints_of(hand, parameters[3:], Rotation.from_rotvec(parameters[:3]).as_matrix())
        away = (points[:, 2] - points[9, 2]) - (heights - heights[9])
        away[_THUMB] *= 0.5
        return np.concatenate([away * 100, 0.05 * parameters[3:]])

    bounds = (np.concatenate([[-0.6] * 3, low - 1e-6]), np.concatenate([[0.6] * 3, high + 1e-6]))
    found = least_squares(cost, np.clip(start, *bounds), bounds=bounds, max_nfev=60)
    return np.asarray(found.x, dtype=np.float64)


def keypoints_of(hand: OpenHand, dof: Array, rotation: Array) -> Array:
    """(21, 3) of the mean hand in a pose."""
    return on_table(hand, dof, rotation, 1.0)[1]


def on_table(hand: OpenHand, dof: Array, rotation: Array, scale: float) -> tuple[Array, Array]:
    """Vertices (V, 3) and keypoints (21, 3), model axes, wrist at the origin."""
    shape = np.zeros((1, hand.shape_count))
    vertices, keypoints = hand.forward(HandPose(rotation[None], dof[None], shape, np.array([scale])))
    return vertices[0], keypoints[0]


def laid_on_board(
    vertices: Array, keypoints: Array, place_m: tuple[float, float], yaw_rad: float
) -> tuple[Array, Array]:
    """Both in the board's frame: the wrist at a place, the lowest skin pressed a little on to the paper."""
    turn = Rotation.from_rotvec([0, 0, yaw_rad]).as_matrix() @ BOARD_FROM_MODEL
    laid, joints = vertices @ turn.T, keypoints @ turn.T
    shift = np.array([*place_m, -np.percentile(laid[:, 2], 99.0)])
    return laid + shift, joints + shift


class HandImage:
    """Pictures of a flat right hand on a board, as a calibrated camera sees them.

    Args:
        board, camera: what is seen, and by what.
        scale: of the mean hand.
    """

    def __init__(self, board: Board, camera: Camera, scale: float = 1.0) -> None:
        self.board, self.camera, self.scale = board, camera, scale
        self.place_m = (0.13, 0.16)  # of the wrist
        self._hand = OpenHand.load()
        self._rest = on_table(self._hand, *flat_pose(self._hand), scale)
        self._renderer = BoardRenderer(board, camera)
        self.length_m = float(hand_length_m(self._rest[1]))

    def laid(self, yaw_rad: float = 0.0) -> tuple[Array, Array]:
        """Vertices and keypoints in the board's frame."""
        return laid_on_board(*self._rest, self.place_m, yaw_rad)

    def keypoints_px(self, pose: Array, yaw_rad: float = 0.0) -> Array:
        """(21, 2) where the true joints appear."""
        return self.camera.project(self.laid(yaw_rad)[1] @ matrix_of(pose).T + pose[3:])

    def render(self, pose: Array, yaw_rad: float, random: np.random.Generator) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB."""
        vertices, keypoints = (points @ matrix_of(pose).T + pose[3:] for points in self.laid(yaw_rad))
        board = self._renderer.render(pose, Picture(noise=0, blur_px=0), random)
        image = np.ascontiguousarray(np.repeat(board[:, :, None], 3, axis=2))
        self._paint_forearm(image, pose, yaw_rad)
        faces = self._hand.faces_for("right")
        paint_triangles(image, self.camera.project(vertices), vertices[faces], faces)
        assert keypoints.shape == (21, 3)
        blurred = cv2.GaussianBlur(image, (0, 0), 0.7) + random.normal(0, 3, image.shape)
        return np.clip(blurred, 0, 255).astype(np.uint8)

    def _paint_forearm(self, image: NDArray[np.uint8], pose: Array, yaw_rad: float) -> None:
        """A tapered half tube behind the wrist: a hand that ends there would have its wrist guessed too far back."""
        keypoints = self.laid(yaw_rad)[1]
        along = (keypoints[9] - keypoints[0]) * (1.0, 1.0, 0.0)
        along /= np.linalg.norm(along)
        across = np.array([-along[1], along[0], 0.0])
        for start in np.linspace(-1, 1, 9)[:-1]:
            near, far = (
                [
                    keypoints[0] - back * along
                    + self.scale * (half * x * across - np.array([0, 0, 0.9 * high * np.sqrt(max(0.0, 1 - x * x))]))
                    for x in (start, start + 0.25)
                ]
                for back, half, high in ((0.0, 0.029, 0.026), (0.17, 0.036, 0.034))
            )  # fmt: skip
            corners = np.array([*near, *far[::-1]]) @ matrix_of(pose).T + pose[3:]
            middle = start + 0.125
            shade = 0.55 + 0.4 * np.sqrt(1 - middle**2) - 0.12 * middle
            polygon = np.round(self.camera.project(corners) * 16).astype(np.int32)
            cv2.fillConvexPoly(image, polygon, (SKIN * shade).tolist(), cv2.LINE_AA, shift=4)
