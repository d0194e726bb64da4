"""Linear blend skinning of a small tree of bones, in NumPy, over leading batch dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handdgp_core.arrays import Array


def rotation_about(axis: Array, angle_rad: Array | float) -> Array:
    """Rotation matrices (..., 3, 3) about unit axes (..., 3) by angles (...) in radians (Rodrigues)."""
    axis, angle = np.asarray(axis, dtype=np.float64), np.asarray(angle_rad, dtype=np.float64)[..., None, None]
    cross = np.cross(axis[..., None, :], -np.eye(3))
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def posed_heads(heads: Array, parents: Sequence[int], rotations: Array) -> Array:
    """Heads (..., B, 3) of bones after every bone got its rotation (..., B, 3, 3) from rest, parents before children.

    The root keeps its place. Rotations are of the whole chain (model frame), not relative to the parent.
    """
    heads = np.broadcast_to(heads, (*rotations.shape[:-2], 3))
    posed = heads.copy()
    for bone, parent in enumerate(parents):
        if parent >= 0:
            arm = heads[..., bone, :] - heads[..., parent, :]
            posed[..., bone, :] = posed[..., parent, :] + (rotations[..., parent, :, :] @ arm[..., None])[..., 0]
    return posed


def skin(vertices: Array, weights: Array, heads: Array, posed: Array, rotations: Array) -> Array:
    """Vertices (..., V, 3) moved with their bones.

    Args:
        vertices: (..., V, 3) at rest.
        weights: (V, B), rows sum to 1.
        heads: (..., B, 3) bone heads at rest.
        posed: (..., B, 3) bone heads after posing.
        rotations: (..., B, 3, 3) of every bone from rest, model frame.
    """
    shift = posed - (rotations @ heads[..., None])[..., 0]
    affine = np.concatenate([rotations, shift[..., None]], axis=-1)
    blended = (weights @ affine.reshape(*affine.shape[:-3], len(weights[0]), 12)).reshape(*vertices.shape[:-1], 3, 4)
    moved: Array = (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
    return moved
