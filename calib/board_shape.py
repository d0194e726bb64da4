"""How a printed sheet departs from the board as drawn: bent about either axis, twisted, and stretched by the printer.

u and v run from -1 to 1 over the board. Bending by the sagitta b along x lifts points by b (1 - u^2) towards the viewer
and, because paper does not stretch, draws their x together; the same along y. A twist t adds t u v. A stretch s moves
points by s v along y: printers feed paper a percent too far or too short. How large all is stays unknown to the camera.
"""

from __future__ import annotations

import numpy as np

from calib.boards import Board
from handdgp_core.arrays import Array

__all__ = ["BEND_NAMES", "SHAPES", "shaped_points", "shaped_points_and_jacobian"]

BEND_NAMES = ("bend along the rows", "bend along the columns", "twist")
SHAPES = 4


def shaped_points(board: Board, shape_m: Array) -> Array:
    """(N, 3) corners of the bent board.

    Args:
        board: the flat one.
        shape_m: (4,) sagitta along x, sagitta along y, twist, positive towards the viewer, and the stretch at the upper
            and lower edge, positive outwards; metres. (3,) stands for no stretch.
    """
    return shaped_points_and_jacobian(board, shape_m)[0]


def shaped_points_and_jacobian(board: Board, shape_m: Array) -> tuple[Array, Array]:
    """The corners (N, 3) of the bent board, and their derivatives (N, 3, 4) by the shape."""
    half = 0.0005 * np.array(board.size_mm)
    u, v = (board.points_m[:, :2] / half - 1.0).T
    along_x, along_y, twist, stretch = np.pad(shape_m, (0, SHAPES - len(shape_m)))
    points, jacobian = board.points_m.copy(), np.zeros((len(u), 3, SHAPES))
    # z points away from the viewer, so a lift towards the viewer is negative.
    points[:, 2] -= along_x * (1 - u**2) + along_y * (1 - v**2) + twist * u * v
    jacobian[:, 2, 0], jacobian[:, 2, 1], jacobian[:, 2, 2] = u**2 - 1, v**2 - 1, -u * v
    # Arc length is kept: the slope 2 b u / a shortens x by its square's half, summed from the middle.
    points[:, 0] -= 2 * along_x**2 / (3 * half[0]) * u**3
    points[:, 1] += stretch * v - 2 * along_y**2 / (3 * half[1]) * v**3
    jacobian[:, 1, 3] = v
    jacobian[:, 0, 0] = -4 * along_x / (3 * half[0]) * u**3
    jacobian[:, 1, 1] = -4 * along_y / (3 * half[1]) * v**3
    return points, jacobian
