"""Rotations as torch needs them: batched, differentiable, of plain arithmetic, which other engines have, too.

In NumPy they are scipy's.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["best_rotation", "rotation_from_vector"]

# Below this square of an angle (radians) the series in its square is exact in float64.
_SMALL = 1e-6
_SQUARINGS = 14


def rotation_from_vector(vector: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) of rotation vectors (B, 3), radians; smooth at zero (Rodrigues' formula)."""
    x, y, z = vector.unbind(-1)
    squared = x * x + y * y + z * z
    small = squared < _SMALL
    safe = torch.where(small, 1.0, squared)  # its gradient is that of the branch that is taken
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)[:, None, None]
    cosine = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / safe)[:, None, None]
    zero = 0 * x  # of any batch: a tracer takes zeros_like for a constant
    rows = [torch.stack(row, dim=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    cross = torch.stack(rows, dim=-2)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + sine * cross + cosine * (cross @ cross)


def best_rotation(spread: Tensor) -> Tensor:
    """The rotation R (B, 3, 3) with the largest trace of R^T spread: Kabsch's, without a decomposition.

    The best quaternion q is the leading eigenvector of a symmetric matrix of 4 x 4 (Horn 1987, "Closed-form solution of
    absolute orientation using unit quaternions"). Squaring that matrix again and again leaves q q^T, and in its entries
    the rotation is linear. What is not determined, of points on a line, comes out as no rotation.

    Args:
        spread: (B, 3, 3) sum over points of theirs times ours transposed; R brings ours onto theirs.
    """
    s = [[spread[:, row, column] for column in range(3)] for row in range(3)]
    rows = (
        (s[0][0] + s[1][1] + s[2][2], s[2][1] - s[1][2], s[0][2] - s[2][0], s[1][0] - s[0][1]),
        (s[2][1] - s[1][2], s[0][0] - s[1][1] - s[2][2], s[0][1] + s[1][0], s[0][2] + s[2][0]),
        (s[0][2] - s[2][0], s[0][1] + s[1][0], s[1][1] - s[0][0] - s[2][2], s[1][2] + s[2][1]),
        (s[1][0] - s[0][1], s[0][2] + s[2][0], s[1][2] + s[2][1], s[2][2] - s[0][0] - s[1][1]),
    )
    symmetric = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    size = (symmetric * symmetric).sum((1, 2), keepdim=True).sqrt()
    # With all eigenvalues positive, the largest is the leading one.
    power = symmetric / size.clamp(min=1e-30) + torch.eye(4, dtype=spread.dtype, device=spread.device)
    for _ in range(_SQUARINGS):
        power = power @ power
        power = power / (power[:, 0, 0] + power[:, 1, 1] + power[:, 2, 2] + power[:, 3, 3])[:, None, None]
    q = [[power[:, row, column] for column in range(4)] for row in range(4)]
    turned = (
        (q[0][0] + q[1][1] - q[2][2] - q[3][3], 2 * (q[1][2] - q[0][3]), 2 * (q[1][3] + q[0][2])),
        (2 * (q[1][2] + q[0][3]), q[0][0] - q[1][1] + q[2][2] - q[3][3], 2 * (q[2][3] - q[0][1])),
        (2 * (q[1][3] - q[0][2]), 2 * (q[2][3] + q[0][1]), q[0][0] - q[1][1] - q[2][2] + q[3][3]),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in turned], dim=-2)
