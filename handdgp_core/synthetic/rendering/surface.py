"""A render surface from a coarse mesh: interpolating subdivision, smooth normals, texture seams.

The coarse vertices stay where they are (every one of them is a vertex of the render surface), so what is seen in the
picture is exactly the mesh that the truth file holds. New vertices sit at the midpoint of the cubic Hermite curve
between the two ends of an edge, with tangents in the ends' tangent planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from handdgp_core.errors import ShapeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Level:
    """One step of subdivision: which edges get a midpoint, and how normals follow from faces before and after it."""

    edges: Ints
    faces: Ints
    vertex_from_face: sparse.csr_matrix


class SmoothSurface:
    """Topology of a render surface, computed once; `refine` then places it for any pose of the coarse mesh.

    Args:
        faces: (F, 3) triangles of the coarse mesh, outward normals counter-clockwise.
        uv: (T, 2) texture coordinates in [0, 1]; None gives zeros.
        uv_faces: (F, 3) indices into `uv`; None where uv and vertices are one to one.
        levels: how many times every triangle is split into four.

    Attributes:
        faces: (Fr, 3) int32 triangles of the render surface.
        coarse_faces: (F, 3) int32 the coarse triangles in the same vertex numbers: enough for shadows.
        uv: (Vr, 2) float32.
        source: (Vr,) index into the refined geometry; the first `coarse_count` of that are the coarse vertices.

    Raises:
        ShapeError: faces that are not (F, 3), or uv_faces of another shape.
    """

    def __init__(self, faces: Ints, uv: Floats | None = None, uv_faces: Ints | None = None, levels: int = 2) -> None:
        faces = np.asarray(faces, dtype=np.int64)
        if faces.ndim != 2 or faces.shape[1] != 3:
            raise ShapeError(f"Faces have the shape (F, 3), not {faces.shape}.", hint="Pass triangles.")
        self.coarse_count = int(faces.max()) + 1
        if uv is None:
            uv = np.zeros((self.coarse_count, 2))
        uv_faces = faces if uv_faces is None else np.asarray(uv_faces, dtype=np.int64)
        if uv_faces.shape != faces.shape:
            raise ShapeError(
                f"uv_faces of shape {uv_faces.shape} do not fit faces of shape {faces.shape}.",
                hint="Pass one uv per corner.",
            )
        self._levels: list[_Level] = [_Level(np.zeros((0, 2), np.int64), faces, _incidence(faces, self.coarse_count))]
        self._uv_edges: list[Ints] = []
        coarse_corners = np.stack([faces.ravel(), uv_faces.ravel()], axis=1)
        count = self.coarse_count
        for _ in range(levels):
            edges, faces = _split(faces, count)
            uv_edges, uv_faces = _split(uv_faces, len(uv))
            uv = np.concatenate([uv, uv[uv_edges].mean(axis=1)])
            self._uv_edges.append(uv_edges)
            count += len(edges)
            self._levels.append(_Level(edges, faces, _incidence(faces, count)))
        corners = np.stack([faces.ravel(), uv_faces.ravel()], axis=1)
        pairs, inverse = np.unique(corners, axis=0, return_inverse=True)
        self.source: Ints = pairs[:, 0]
        self._uv_source: Ints = pairs[:, 1]
        self.uv = uv[pairs[:, 1]].astype(np.float32)
        self.faces = inverse.reshape(-1, 3).astype(np.int32)
        # Corners of the coarse mesh are corners of the fine one, so the search always finds them.
        key = pairs[:, 0] * len(uv) + pairs[:, 1]
        found = np.searchsorted(key, coarse_corners[:, 0] * len(uv) + coarse_corners[:, 1])
        self.coarse_faces = found.reshape(-1, 3).astype(np.int32)

    def refine(self, vertices: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Place the render surface.

        Args:
            vertices: (V, 3) coarse vertices, any frame, V at least `coarse_count`.

        Returns:
            (Vr, 3) positions and (Vr, 3) unit normals, float32, in the frame of `vertices`.
        """
        points, normals = self._refine(np.asarray(vertices, dtype=np.float64)[: self.coarse_count])
        return points[self.source].astype(np.float32), normals[self.source].astype(np.float32)

    def attribute(self, values: Floats) -> NDArray[np.float32]:
        """Spread values (T, ...) given at the texture points over the render vertices (Vr, ...)."""
        for edges in self._uv_edges:
            values = np.concatenate([values, values[edges].mean(axis=1)])
        return values[self._uv_source].astype(np.float32)

    def _refine(self, points: Floats) -> tuple[Floats, Floats]:
        normals = _normals(points, self._levels[0])
        for level in self._levels[1:]:
            points = np.concatenate([points, _midpoints(points, normals, level.edges)])
            normals = _normals(points, level)
        return points, normals


def _split(faces: Ints, count: int) -> tuple[Ints, Ints]:
    """The edges that get a midpoint (numbered from `count` on), and four triangles for each one."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, inverse = np.unique(np.sort(directed, axis=1), axis=0, return_inverse=True)
    ab, bc, ca = (count + part for part in np.split(inverse.ravel(), 3))
    a, b, c = faces.T
    quads = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return edges, np.concatenate([np.stack(quad, axis=1) for quad in quads])


def _midpoints(points: Floats, normals: Floats, edges: Ints) -> Floats:
    start, end = points[edges[:, 0]], points[edges[:, 1]]
    normal_start, normal_end = normals[edges[:, 0]], normals[edges[:, 1]]
    along = end - start
    lift = normal_end * _dot(along, normal_end) - normal_start * _dot(along, normal_start)
    return (start + end) / 2 + lift / 8


def _dot(a: Floats, b: Floats) -> Floats:
    return np.einsum("nk,nk->n", a, b)[:, None]


def _incidence(faces: Ints, count: int) -> sparse.csr_matrix:
    columns = np.repeat(np.arange(len(faces)), 3)
    ones = np.ones(faces.size)
    return sparse.csr_matrix((ones, (faces.ravel(), columns)), shape=(count, len(faces)))


def _normals(points: Floats, level: _Level) -> Floats:
    a, b, c = points[level.faces].transpose(1, 0, 2)
    normals = level.vertex_from_face @ np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
