"""Rotation vectors, as poses carry them."""

from __future__ import annotations

import cv2
import numpy as np

from handdgp_core.arrays import Array

__all__ = ["matrix_of", "vector_of"]


def matrix_of(vector: Array) -> Array:
    """(3, 3) rotation from a rotation vector (3,), or from a pose (6,) that begins with one."""
    return np.asarray(cv2.Rodrigues(np.asarray(vector, dtype=np.float64)[:3])[0], dtype=np.float64)


def vector_of(matrix: Array) -> Array:
    """(3,) rotation vector of a rotation (3, 3)."""
    return np.asarray(cv2.Rodrigues(matrix)[0], dtype=np.float64).ravel()
