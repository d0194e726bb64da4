"""Spirals: for every vertex of a mesh a fixed number of vertices in a fixed order, what a spiral convolution runs over.

A spiral is the vertex, then its neighbours in order, then the next ring, and so on (SpiralNet++, Gong et al. 2019). A
ring continues from its predecessor: each vertex of the last ring adds its new neighbours, from the first one that
follows a vertex of the last ring.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError
from handdgp_core.hands.topology.half_edges import neighbour_circles

__all__ = ["LENGTH", "spirals"]

LENGTH = 9


def spirals(vertices: Array, faces: NDArray[np.integer], length: int = LENGTH) -> NDArray[np.int32]:
    """The spiral of every vertex.

    Args:
        vertices: (V, 3). Used only where the surface around a vertex ends before its spiral does (an isolated vertex, a
            tiny part): then the nearest vertices in space follow.
        faces: (F, 3).
        length: vertices in a spiral, the first one included.

    Returns:
        (V, length) indices; no vertex twice in a spiral.

    Raises:
        ShapeError: fewer than `length` vertices.
    """
    if len(vertices) < length:
        raise ShapeError(f"Spirals of length {length} need at least {length} vertices, not {len(vertices)}.")
    circles = neighbour_circles(faces, len(vertices))
    rows = [_spiral(vertex, circles, length) for vertex in range(len(vertices))]
    for row in rows:
        if len(row) < length:
            row += _nearest_others(row, vertices, length - len(row))
    return np.array(rows, dtype=np.int32)


def _spiral(vertex: int, circles: list[list[int]], length: int) -> list[int]:
    """As much of the spiral as the surface gives."""
    spiral, ring = [vertex], circles[vertex]
    while ring and len(spiral) < length:
        spiral = spiral + ring
        ring = _next_ring(ring, spiral, circles)
    return spiral[:length]


def _next_ring(ring: list[int], taken: list[int], circles: list[list[int]]) -> list[int]:
    """New neighbours of a ring, in the ring's order."""
    inside, seen, found = set(ring), set(taken), list[int]()
    for vertex in ring:
        circle = circles[vertex]
        start = next((place for place, other in enumerate(circle) if other in inside), -1)
        for other in circle[start + 1 :] + circle[: max(start, 0)]:
            if other not in seen:
                seen.add(other)
                found.append(other)
    return found


def _nearest_others(row: list[int], vertices: Array, count: int) -> list[int]:
    distance = np.linalg.norm(vertices - vertices[row[0]], axis=1)
    distance[row] = np.inf
    return np.argsort(distance, kind="stable")[:count].tolist()
