"""Rotation vectors, as poses carry them."""

from __future__ import annotations

import cv2
import numpy as np

from handdgp_core.arrays import Array

__all__ = ["left_jacobians", "matrices_of", "matrix_of", "vector_of"]

_SMALL_RAD = 1e-4


def matrix_of(vector: Array) -> Array:
    """(3, 3) rotation from a rotation vector (3,), or from a pose (6,) that begins with one."""
    return np.asarray(cv2.Rodrigues(np.asarray(vector, dtype=np.float64)[:3])[0], dtype=np.float64)


def vector_of(matrix: Array) -> Array:
    """(3,) rotation vector of a rotation (3, 3)."""
    return np.asarray(cv2.Rodrigues(matrix)[0], dtype=np.float64).ravel()


def matrices_of(vectors: Array) -> Array:
    """(V, 3, 3) rotations from rotation vectors (V, 3)."""
    return np.stack([matrix_of(vector) for vector in vectors])


def left_jacobians(vectors: Array) -> Array:
    """(V, 3, 3) by which a small change of each rotation vector (V, 3) turns what it has turned.

    R(v + d) = R(J d) R(v) to first order; J = I + (1 - cos a) / a^2 [v] + (a - sin a) / a^3 [v]^2 with a = |v|.
    """
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    safe = np.maximum(angle, _SMALL_RAD)
    small = angle < _SMALL_RAD
    first = np.where(small, 0.5, (1.0 - np.cos(safe)) / safe**2)
    second = np.where(small, 1.0 / 6.0, (safe - np.sin(safe)) / safe**3)
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    return np.asarray(np.eye(3) + first * cross + second * cross @ cross, dtype=np.float64)
