"""Normals of triangle meshes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array


def face_normals(corners: Array) -> Array:
    """(F, 3) outward normals, twice as long as the face is large, of (F, 3, 3) corners in order."""
    # Written out: np.cross takes three times as long on arrays of this size.
    (x, y, z), (u, v, w) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)


def gather_at_vertices(faces: NDArray[np.integer], normals: Array, vertex_count: int) -> Array:
    """(V, 3) sum of the normals of the faces around each vertex: area-weighted, not of unit length."""
    corner = faces.ravel()
    sums = [np.bincount(corner, np.repeat(normals[:, axis], 3), vertex_count) for axis in range(3)]
    return np.stack(sums, axis=1)


def vertex_normals(vertices: Array, faces: NDArray[np.integer]) -> Array:
    """(V, 3) unit normals, area-weighted; zero for vertices that no face (or only flat ones) uses.

    Args:
        vertices: (V, 3), finite.
        faces: (F, 3) outward when counter-clockwise seen from outside.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    sums = gather_at_vertices(faces, face_normals(vertices[faces]), len(vertices))
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.divide(sums, length, out=np.zeros_like(sums), where=length > 0.0)
