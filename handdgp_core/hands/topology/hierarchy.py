"""Coarser and coarser copies of a mesh, and how to come back from a coarse one to the next finer one.

Levels halve the faces by quadric decimation (Garland and Heckbert 1997), so the vertices go V, about V/2, V/4 and so
on. A fine vertex is the barycentric combination of the corners of the coarse triangle that it lies nearest to: three
numbers from 0 to 1 that sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError

__all__ = ["Mesh", "build_levels", "decimate", "upsampling_matrix"]

# Pairs of a point and a triangle that are looked at in one go; bounds the memory.
_CHUNK = 200_000
# A barycentric weight below this is a zero that arithmetic has missed.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles: vertices (V, 3), faces (F, 3) with outward normals."""

    vertices: Array
    faces: NDArray[np.int32]


def build_levels(mesh: Mesh, count: int) -> tuple[Mesh, ...]:
    """The mesh and `count` coarser ones, fine to coarse.

    Raises:
        ShapeError: a mesh too small to be halved so often.
    """
    levels = [mesh]
    for _ in range(count):
        levels.append(decimate(levels[-1], len(levels[-1].faces) // 2))
    return tuple(levels)


def decimate(mesh: Mesh, face_count: int) -> Mesh:
    """A mesh of about `face_count` triangles; the same input gives the same output.

    Raises:
        ShapeError: no mesh that small was reached.
    """
    import fast_simplification  # only to build a template; a checkpoint carries its own

    vertices, faces = fast_simplification.simplify(
        mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32), target_count=face_count
    )
    used, renumbered = np.unique(faces, return_inverse=True)
    if not len(faces) or len(faces) > 1.2 * face_count:
        raise ShapeError(
            f"The mesh cannot be decimated to {face_count} triangles: it stops at {len(faces)}.",
            hint="A mesh of many separate parts cannot shrink further: join or drop parts, or use fewer levels.",
        )
    return Mesh(vertices[used].astype(np.float64), renumbered.reshape(-1, 3).astype(np.int32))


def upsampling_matrix(points: Array, mesh: Mesh) -> csr_array:
    """Every point as a combination of the corners of the triangle nearest to it.

    Args:
        points: (N, 3), finite.
        mesh: with V vertices.

    Returns:
        (N, V), rows of at most three numbers >= 0 that sum to 1. Times the mesh's vertices: the nearest points on it.
    """
    from trimesh.triangles import closest_point  # here, for it takes a while to import

    triangles = mesh.vertices[mesh.faces]
    nearest = np.empty(len(points), dtype=np.int64)
    foot = np.empty_like(points)
    candidates = _candidates(points, mesh, triangles)
    for part in _chunks([len(found) for found in candidates]):
        owner = np.repeat(part, [len(candidates[number]) for number in part])
        choice = np.concatenate([candidates[number] for number in part])
        closest = closest_point(triangles[choice], points[owner])
        distance = np.linalg.norm(closest - points[owner], axis=1)
        order = np.lexsort((choice, distance, owner))  # of triangles equally near, the first
        first = order[np.searchsorted(owner[order], part)]
        nearest[part], foot[part] = choice[first], closest[first]
    return _combination(foot, nearest, mesh, triangles)


def _candidates(points: Array, mesh: Mesh, triangles: Array) -> list[NDArray[np.int64]]:
    """Triangles that may be nearest: no farther than the nearest corner, by a ball around each centre."""
    centres = triangles.mean(axis=1)
    radius = np.linalg.norm(triangles - centres[:, None], axis=2).max()
    used = np.unique(mesh.faces)
    bound, _ = cKDTree(mesh.vertices[used]).query(points)
    found = cKDTree(centres).query_ball_point(points, bound * (1 + 1e-9) + radius, return_sorted=True)
    return [np.asarray(numbers, dtype=np.int64) for numbers in found]


def _chunks(sizes: list[int]) -> list[NDArray[np.int64]]:
    """Consecutive numbers, cut so that the sizes of a part sum to about `_CHUNK`."""
    group = np.cumsum(sizes) // _CHUNK
    return np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(group)) + 1)


def _combination(foot: Array, nearest: NDArray[np.int64], mesh: Mesh, triangles: Array) -> csr_array:
    weights = _barycentric(triangles[nearest], foot)
    weights = np.where(weights > _ROUNDING, weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(foot)), 3)
    shape = (len(foot), len(mesh.vertices))
    matrix = csr_array((weights.ravel(), (rows, mesh.faces[nearest].ravel().astype(np.int64))), shape=shape)
    matrix.eliminate_zeros()
    return matrix


def _barycentric(triangles: Array, foot: Array) -> Array:
    """Barycentric coordinates; a triangle without area falls back on its longest side."""
    from trimesh.triangles import points_to_barycentric

    with np.errstate(all="ignore"):
        weights = points_to_barycentric(triangles, foot, method="cross")
    bad = ~np.isfinite(weights).all(axis=1)
    if bad.any():
        corners = triangles[bad]
        ends = np.roll(corners, -1, axis=1)
        side = np.linalg.norm(ends - corners, axis=2).argmax(axis=1)
        here = np.arange(len(corners))
        start, edge = corners[here, side], (ends - corners)[here, side]
        length = np.maximum((edge * edge).sum(axis=1), np.finfo(np.float64).tiny)
        along = np.clip(((foot[bad] - start) * edge).sum(axis=1) / length, 0, 1)
        replacement = np.zeros((len(corners), 3))
        replacement[here, side], replacement[here, (side + 1) % 3] = 1 - along, along
        weights[bad] = replacement
    return np.asarray(weights, dtype=np.float64)
