"""Rotations as torch needs them: batched, differentiable. In NumPy they are scipy's."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["rotation_from_vector"]


def rotation_from_vector(vector: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) of rotation vectors (B, 3), radians; smooth at zero."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [torch.stack(row, dim=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return torch.linalg.matrix_exp(torch.stack(rows, dim=-2))
