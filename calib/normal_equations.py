"""Residuals and normal equations of a calibration: parameters that all views share, and a pose for each view.

Shared parameters (K), in this order: fx fy cx cy, the coefficients of the lens model, then the board's bends, twist and
stretch in metres.
The poses are eliminated view by view (Schur complement), so the cost grows with the number of views, not with its cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calib.board_shape import shaped_points_and_jacobian
from calib.boards import Board
from calib.lens_models import PLUMB_BOB, LensModel
from calib.rotation import matrix_of
from calib.views import View
from handdgp_core.arrays import Array

__all__ = ["NormalEquations", "normal_equations", "project_view"]

_POSE = 6


@dataclass(frozen=True)
class NormalEquations:
    """J^T J and J^T r, in blocks.

    Attributes:
        shared: (K, K).
        coupling: (V, K, 6).
        pose: (V, 6, 6).
        gradient: (K,).
        pose_gradient: (V, 6).
        cost: half the weighted sum of squares.
        view_shared: (V, K, K) the part of each view in `shared`.
        view_gradient: (V, K) the part of each view in `gradient`.
    """

    shared: Array
    coupling: Array
    pose: Array
    gradient: Array
    pose_gradient: Array
    cost: float
    view_shared: Array
    view_gradient: Array

    def by_view(self) -> tuple[Array, Array]:
        """(V, K, K) information and (V, K) gradient that each view contributes, its pose eliminated."""
        factors = np.linalg.solve(self.pose + 1e-12 * np.eye(_POSE), np.swapaxes(self.coupling, 1, 2))
        information: Array = self.view_shared - self.coupling @ factors
        gradient: Array = self.view_gradient - np.einsum("vji,vj->vi", factors, self.pose_gradient)
        return information, gradient

    def reduced(self, damping: float = 0.0) -> tuple[Array, Array]:
        """The shared system with the poses eliminated.

        Args:
            damping: added to every diagonal, as a part of it.

        Returns:
            (K, K) matrix and (K,) right side.
        """
        pose = self.pose * (1.0 + damping * np.eye(_POSE)) + 1e-12 * np.eye(_POSE)
        factors = np.linalg.solve(pose, np.swapaxes(self.coupling, 1, 2))  # C^-1 B^T, (V, 6, K)
        matrix: Array = self.shared * (1.0 + damping * np.eye(len(self.gradient))) - np.einsum(
            "vij,vjk->ik", self.coupling, factors
        )
        right: Array = self.gradient - np.einsum("vji,vj->i", factors, self.pose_gradient)
        return matrix, right

    def step(self, damping: float) -> tuple[Array, Array]:
        """The damped Gauss-Newton step of the shared parameters (K,) and of the poses (V, 6)."""
        matrix, right = self.reduced(damping)
        shared: Array = np.asarray(-np.linalg.solve(matrix, right), dtype=np.float64)
        return shared, self.pose_steps(shared, damping)

    def pose_steps(self, shared: Array, damping: float = 0.0) -> Array:
        """(V, 6) steps of the poses that go best with a step (K,) of the shared parameters."""
        pose = self.pose * (1.0 + damping * np.eye(_POSE)) + 1e-12 * np.eye(_POSE)
        right = self.pose_gradient + np.einsum("vij,i->vj", self.coupling, shared)
        return np.asarray(-np.linalg.solve(pose, right[..., None])[..., 0], dtype=np.float64)


def project_view(
    points: Array, by_shape: Array, pose: Array, shared: Array, lens: LensModel = PLUMB_BOB
) -> tuple[Array, Array, Array]:
    """Projected corners and their derivatives.

    Args:
        points: (N, 3) of the bent board.
        by_shape: (N, 3, 4) derivatives of the points by the shape.
        pose: (6,) camera_from_board.
        shared: (K,).
        lens: that they are for.

    Returns:
        (N, 2) pixels, (N, 2, K) derivatives by the shared parameters, (N, 2, 6) by the pose.
    """
    pixels, by_camera, by_pose = lens.project(points, pose, shared)
    # A point moves with the translation once it is turned into the camera's frame.
    by_point = by_pose[:, :, 3:] @ matrix_of(pose)
    return pixels, np.concatenate([by_camera, by_point @ by_shape], axis=2), by_pose


def normal_equations(
    board: Board,
    views: Sequence[View],
    shared: Array,
    poses: Array,
    weights: Sequence[Array] | None = None,
    lens: LensModel = PLUMB_BOB,
) -> tuple[NormalEquations, list[Array]]:
    """Everything for one step, and the residuals.

    Args:
        board: the flat one.
        views: V of them.
        shared: (K,).
        poses: (V, 6).
        weights: (N,) for the corners of each view, multiplying the squares; None for ones.
        lens: of the shared parameters.

    Returns:
        The equations, and (N, 2) projected minus seen for each view, without weights.
    """
    points, by_shape = shaped_points_and_jacobian(board, shared[lens.intrinsics :])
    count, size = len(views), lens.shared
    shared_block, gradient = np.zeros((count, size, size)), np.zeros((count, size))
    coupling, pose_block = np.zeros((count, size, _POSE)), np.zeros((count, _POSE, _POSE))
    pose_gradient, residuals, cost = np.zeros((count, _POSE)), [], 0.0
    for index, view in enumerate(views):
        pixels, by_shared, by_pose = project_view(points[view.ids], by_shape[view.ids], poses[index], shared, lens)
        residual = pixels - view.corners_px
        residuals.append(residual)
        root = np.ones(len(view)) if weights is None else np.sqrt(weights[index])
        a = (by_shared * root[:, None, None]).reshape(-1, size)
        b = (by_pose * root[:, None, None]).reshape(-1, _POSE)
        r = (residual * root[:, None]).ravel()
        shared_block[index], gradient[index] = a.T @ a, a.T @ r
        coupling[index], pose_block[index] = a.T @ b, b.T @ b
        pose_gradient[index] = b.T @ r
        cost += 0.5 * float(r @ r)
    equations = NormalEquations(
        shared_block.sum(axis=0),
        coupling,
        pose_block,
        gradient.sum(axis=0),
        pose_gradient,
        cost,
        shared_block,
        gradient,
    )
    return equations, residuals
