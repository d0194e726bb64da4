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
from calib.rotation import left_jacobians, matrices_of, matrix_of
from calib.views import View
from handdgp_core.arrays import Array

__all__ = ["Linearised", "NormalEquations", "normal_equations", "project_view"]

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


class Linearised:
    """Residuals of all views and their derivatives at one place; equations follow for any weights of the corners.

    Args:
        board: the flat one.
        views: V of them.
        shared: (K,).
        poses: (V, 6).
        lens: of the shared parameters.

    Attributes:
        residuals: (N, 2) projected minus seen for each view, without weights.
    """

    def __init__(
        self, board: Board, views: Sequence[View], shared: Array, poses: Array, lens: LensModel = PLUMB_BOB
    ) -> None:
        points, by_shape = shaped_points_and_jacobian(board, shared[lens.intrinsics :])
        counts = [len(view) for view in views]
        # Views side by side, padded to the longest: (V, N, ...), and one call of OpenCV for all of them.
        self._seen = np.arange(max(counts)) < np.array(counts)[:, None]
        ids, corners = np.zeros(self._seen.shape, dtype=np.int32), np.zeros((*self._seen.shape, 2))
        ids[self._seen] = np.concatenate([view.ids for view in views])
        corners[self._seen] = np.concatenate([view.corners_px for view in views])
        turn, shape = matrices_of(poses[:, :3]), self._seen.shape
        turned = points[ids] @ np.swapaxes(turn, 1, 2)
        in_camera = (turned + poses[:, None, 3:]).reshape(-1, 3)
        pixels, by_camera, by_point = lens.project_seen(in_camera, shared)
        by_point = by_point.reshape(*shape, 2, 3)
        by_turn = np.cross(turned[:, :, None], by_point).reshape(len(views), -1, 3) @ left_jacobians(poses[:, :3])
        on_board = (by_point.reshape(len(views), -1, 3) @ turn).reshape(*shape, 2, 3)
        off = pixels.reshape(*shape, 2) - corners
        columns = (
            by_camera.reshape(*shape, 2, -1), on_board @ by_shape[ids], by_turn.reshape(*shape, 2, 3), by_point,
            off[..., None],
        )  # fmt: skip
        # (V, N, 2, K + 6 + 1) derivatives and residual.
        self._rows = np.concatenate(columns, axis=3) * self._seen[:, :, None, None]
        self.residuals: list[Array] = [one[:count] for one, count in zip(off, counts, strict=True)]

    def cost(self, weights: Sequence[Array] | None = None) -> float:
        """Half the weighted sum of squares."""
        weights = weights or [np.ones(len(one)) for one in self.residuals]
        return 0.5 * float(
            sum(weight @ (one * one).sum(1) for weight, one in zip(weights, self.residuals, strict=True))
        )

    def equations(self, weights: Sequence[Array] | None = None) -> NormalEquations:
        """The normal equations; weights (N,) for the corners of each view multiply the squares, None is ones."""
        rows, size = self._rows, self._rows.shape[3] - _POSE - 1
        if weights is not None:
            root = np.zeros(self._seen.shape)
            root[self._seen] = np.sqrt(np.concatenate(weights))
            rows = rows * root[:, :, None, None]
        rows = rows.reshape(len(rows), -1, rows.shape[3])
        products = np.swapaxes(rows, 1, 2) @ rows
        shared, pose = slice(0, size), slice(size, size + _POSE)
        return NormalEquations(
            products[:, shared, shared].sum(axis=0),
            products[:, shared, pose],
            products[:, pose, pose],
            products[:, shared, -1].sum(axis=0),
            products[:, pose, -1],
            0.5 * float(products[:, -1, -1].sum()),
            products[:, shared, shared],
            products[:, shared, -1],
        )


def normal_equations(
    board: Board, views: Sequence[View], shared: Array, poses: Array, lens: LensModel = PLUMB_BOB
) -> tuple[NormalEquations, list[Array]]:
    """Everything for one step, and the residuals; arguments as those of `Linearised`."""
    there = Linearised(board, views, shared, poses, lens)
    return there.equations(), there.residuals
