"""How a sheet of paper departs from a plane: bent about either axis, and twisted.

u and v run from -1 to 1 over the board. Bending by the sagitta b along x lifts points by b (1 - u^2) towards the viewer
and, because paper does not stretch, draws their x together; the same along y. A twist t adds t u v.
"""

from __future__ import annotations

import numpy as np

from calib.boards import Board
from handdgp_core.arrays import Array

__all__ = ["SHAPE_NAMES", "shaped_points", "shaped_points_and_jacobian"]

SHAPE_NAMES = ("bend along the rows", "bend along the columns", "twist")


def shaped_points(board: Board, shape_m: Array) -> Array:
    """(N, 3) corners of the bent board.

    Args:
        board: the flat one.
        shape_m: (3,) sagitta along x, sagitta along y, twist, in metres; positive towards the viewer.
    """
    return shaped_points_and_jacobian(board, shape_m)[0]


def shaped_points_and_jacobian(board: Board, shape_m: Array) -> tuple[Array, Array]:
    """The corners (N, 3) of the bent board, and their derivatives (N, 3, 3) by the three shape parameters."""
    half = 0.0005 * np.array(board.size_mm)
    u, v = (board.points_m[:, :2] / half - 1.0).T
    along_x, along_y, twist = shape_m
    points, jacobian = board.points_m.copy(), np.zeros((len(u), 3, 3))
    # z points away from the viewer, so a lift towards the viewer is negative.
    points[:, 2] -= along_x * (1 - u**2) + along_y * (1 - v**2) + twist * u * v
    jacobian[:, 2, 0], jacobian[:, 2, 1], jacobian[:, 2, 2] = u**2 - 1, v**2 - 1, -u * v
    # Arc length is kept: the slope 2 b u / a shortens x by its square's half, summed from the middle.
    points[:, 0] -= 2 * along_x**2 / (3 * half[0]) * u**3
    points[:, 1] -= 2 * along_y**2 / (3 * half[1]) * v**3
    jacobian[:, 0, 0] = -4 * along_x / (3 * half[0]) * u**3
    jacobian[:, 1, 1] = -4 * along_y / (3 * half[1]) * v**3
    return points, jacobian
