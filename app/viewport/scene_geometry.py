"""Pure NumPy builders of what the 3D renderer draws: tubes, balls, shaded vertices. Every count is fixed by the input
counts, never by the values, so that a renderer can rewrite its buffers instead of making new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.viewport.colours import Floats
from app.viewport.orbit import NEAR_M, Orbit

__all__ = [
    "Balls", "Mesh", "Segments", "balls_mesh", "covariance_axes", "join_meshes", "pulled_to_eye", "ribbons_mesh",
    "rings_mesh", "shaded", "sphere", "tubes_mesh", "view_pixel",
]  # fmt: skip

Faces = NDArray[np.int32]
TUBE_SIDES = 6
WRAP, GLOSS = 0.25, 0.16
# Standard deviations drawn, and the longest half axis: a hopeless depth must not fill the view.
ELLIPSOID_SIGMA, ELLIPSOID_MAX_M = 2.0, 0.15


@dataclass(frozen=True)
class Segments:
    """Straight strokes: ends (S, 2, 3) metres, colours (S, 2, 3) per end, radii (S,) metres (0 hides), and the least
    half width in logical view pixels (S,), so that a far line does not break into dots."""

    ends_m: Floats
    colours: Floats
    radii_m: Floats
    least_px: Floats

    @classmethod
    def make(cls, ends_m: ArrayLike, colours: ArrayLike, radius_m: ArrayLike, least_px: ArrayLike = 0.0) -> Segments:
        """Fill in shapes: colours may be (3,), (S, 1, 3) or (S, 2, 3); the radii a number or (S,)."""
        ends = np.asarray(ends_m, dtype=np.float64).reshape(-1, 2, 3)
        count = len(ends)
        rgb = np.broadcast_to(np.asarray(colours, dtype=np.float64), (count, 2, 3))
        radii = np.broadcast_to(np.asarray(radius_m, dtype=np.float64), (count,))
        least = np.broadcast_to(np.asarray(least_px, dtype=np.float64), (count,))
        return cls(ends, rgb, radii, np.where(radii > 0, least, 0.0))

    @classmethod
    def hidden(cls, count: int) -> Segments:
        """So many strokes that do not show."""
        return cls.make(np.zeros((count, 2, 3)), (0.0, 0.0, 0.0), 0.0)

    @classmethod
    def join(cls, parts: list[Segments]) -> Segments:
        """One after the other."""
        ends = np.concatenate([part.ends_m for part in parts])
        colours = np.concatenate([part.colours for part in parts])
        radii = np.concatenate([part.radii_m for part in parts])
        return cls(ends, colours, radii, np.concatenate([part.least_px for part in parts]))


@dataclass(frozen=True)
class Balls:
    """Spheres: centres (N, 3) metres, colours (N, 3), radii (N,) metres (0 hides)."""

    centres_m: Floats
    colours: Floats
    radii_m: Floats


@dataclass(frozen=True)
class Mesh:
    """Vertices (V, 3) metres, RGB (V, 3) from 0 to 1, triangles (F, 3)."""

    vertices_m: Floats
    colours: Floats
    faces: Faces


def shaded(normals: Floats, colours: ArrayLike, orbit: Orbit) -> Floats:
    """Shading baked into colours: a large key light over the viewer's left shoulder with a faint gloss, a fill light
    from the viewer, a little more from above than from below.

    Args:
        normals: (V, 3) unit, pointing outwards.
        colours: (V, 3) or (3,) RGB.
        orbit: the lights move with the viewer, so that a hand never turns into a silhouette.
    """
    right, up, forward = orbit.axes()
    key = _unit((-0.55 * right + 0.75 * up - 0.85 * forward)[None])[0]
    facing = np.clip(normals @ -forward, 0.0, 1.0)
    wrapped = np.clip((normals @ key + WRAP) / (1.0 + WRAP), 0.0, 1.0)  # a large lamp: its light ends softly
    light = 0.30 + 0.54 * wrapped + 0.22 * facing - 0.07 * normals[:, 1]  # world up is -Y
    half = _unit((key - forward)[None])[0]
    gloss = GLOSS * np.clip(normals @ half, 0.0, 1.0) ** 28
    return np.clip(np.asarray(colours, dtype=np.float64) * light[:, None] + gloss[:, None], 0.0, 1.0)


def tubes_mesh(segments: Segments, orbit: Orbit, px: float) -> Mesh:
    """Shaded open six-sided tubes, 12 vertices and 12 triangles a stroke.

    Args:
        segments: S strokes.
        orbit: where the viewer stands, for the least width and the light.
        px: tangent of the angle that one unit of `segments.least_px` spans (see `view_pixel`).
    """
    ends = segments.ends_m
    along = _unit(ends[:, 1] - ends[:, 0])
    helper = np.where(np.abs(along[:, 1:2]) < 0.9, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]))
    side = _unit(np.cross(along, helper))
    turn = np.linspace(0.0, 2.0 * np.pi, TUBE_SIDES, endpoint=False)
    ring = np.cos(turn)[:, None] * side[:, None] + np.sin(turn)[:, None] * np.cross(along, side)[:, None]  # (S, 6, 3)
    vertices = ends[:, :, None] + _half_widths(segments, orbit, px)[:, :, None, None] * ring[:, None]  # (S, 2, 6, 3)
    normals = np.broadcast_to(ring[:, None], vertices.shape).reshape(-1, 3)
    colours = shaded(normals, np.repeat(segments.colours.reshape(-1, 3), TUBE_SIDES, axis=0), orbit)
    return Mesh(vertices.reshape(-1, 3), colours, _tube_faces(len(ends)))


def ribbons_mesh(segments: Segments, orbit: Orbit, px: float) -> Mesh:
    """Flat bands turned to the viewer, unshaded: 4 vertices and 2 triangles a stroke. Arguments as in `tubes_mesh`."""
    ends = segments.ends_m
    along = np.repeat(ends[:, 1] - ends[:, 0], 2, axis=0)
    across = _unit(np.cross(along, ends.reshape(-1, 3) - orbit.eye_m())).reshape(-1, 2, 1, 3)
    sides = np.array([1.0, -1.0])[:, None]
    vertices = ends[:, :, None] + _half_widths(segments, orbit, px)[:, :, None, None] * sides * across  # (S, 2, 2, 3)
    colours = np.repeat(segments.colours.reshape(-1, 3), 2, axis=0)
    return Mesh(vertices.reshape(-1, 3), colours, _ribbon_faces(len(ends)))


def view_pixel(orbit: Orbit, height_px: float, pixel_ratio: float = 1.0) -> float:
    """Tangent of the angle of one logical pixel in a picture of this height with `pixel_ratio` pixels to each; in a
    coarse picture nearly that of a picture pixel, below which lines break up."""
    return max(pixel_ratio, 0.9) / orbit.focal_px(height_px)


def balls_mesh(balls: Balls, orbit: Orbit) -> Mesh:
    """Shaded spheres, 42 vertices and 80 triangles each."""
    directions, faces = _icosphere()
    vertices = balls.centres_m[:, None] + balls.radii_m[:, None, None] * directions
    normals = np.tile(directions, (len(balls.radii_m), 1))
    colours = shaded(normals, np.repeat(balls.colours, len(directions), axis=0), orbit)
    return Mesh(vertices.reshape(-1, 3), colours, _repeated(faces, len(directions), len(balls.radii_m)))


def sphere() -> Floats:
    """(42, 3) points of a unit sphere."""
    return _icosphere()[0]


def rings_mesh(rings_m: Floats, colours: Floats) -> Mesh:
    """Bands between rings (R, N, 3), whose colours (R, 3) blend from one to the next; seen from both sides."""
    count, around = rings_m.shape[:2]
    own = np.arange((count - 1) * around).reshape(count - 1, around)
    following = np.roll(own, -1, axis=1)
    quads = np.stack([own, following, own + around, following + around], axis=-1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [1, 3, 2]]])
    faces = np.concatenate([faces, faces[:, ::-1]]).astype(np.int32)
    return Mesh(rings_m.reshape(-1, 3), np.repeat(colours, around, axis=0), faces)


def join_meshes(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0] + [len(mesh.vertices_m) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices_m for mesh in meshes]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)]),
    )


def pulled_to_eye(vertices_m: Floats, orbit: Orbit, share: float) -> Floats:
    """Scale about the eye: every point keeps its pixel but comes nearer, so what is inside a hand shows in front of it.

    Args:
        vertices_m: (V, 3).
        share: 0 leaves the points, 0.5 halves their distance.
    """
    eye = orbit.eye_m()
    return eye + (1.0 - share) * (vertices_m - eye)


def covariance_axes(covariance_m2: ArrayLike) -> Floats:
    """(3, 3) rows: the half axes of the 2 sigma ellipsoid, longest last, each from 0.5 mm to 15 cm.

    A covariance that is not finite gives zero axes: nothing to draw.
    """
    covariance = np.asarray(covariance_m2, dtype=np.float64).reshape(3, 3)
    if not np.all(np.isfinite(covariance)):
        return np.zeros((3, 3))
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    lengths = np.clip(ELLIPSOID_SIGMA * np.sqrt(np.maximum(values, 0.0)), 0.0005, ELLIPSOID_MAX_M)
    return cast("Floats", lengths[:, None] * vectors.T)


def _unit(vectors: Floats) -> Floats:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return cast("Floats", np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-12))


def _half_widths(segments: Segments, orbit: Orbit, px: float) -> Floats:
    """(S, 2) metres at both ends."""
    depths = np.maximum((segments.ends_m - orbit.eye_m()) @ orbit.axes()[2], NEAR_M)
    return np.maximum(segments.radii_m[:, None], px * segments.least_px[:, None] * depths)


@lru_cache(maxsize=32)
def _ribbon_faces(count: int) -> Faces:
    return _repeated(np.array([(0, 1, 2), (1, 3, 2)], dtype=np.int32), 4, count)


@lru_cache(maxsize=32)
def _tube_faces(count: int) -> Faces:
    near = np.arange(TUBE_SIDES)
    far, after = near + TUBE_SIDES, (near + 1) % TUBE_SIDES
    one = np.concatenate([np.stack([near, after, far], axis=1), np.stack([after, after + TUBE_SIDES, far], axis=1)])
    return _repeated(one.astype(np.int32), 2 * TUBE_SIDES, count)


def _repeated(faces: Faces, vertices_each: int, count: int) -> Faces:
    starts = np.arange(count, dtype=np.int32) * vertices_each
    return (faces[None] + starts[:, None, None]).reshape(-1, 3).astype(np.int32)


@lru_cache(maxsize=1)
def _icosphere() -> tuple[Floats, Faces]:
    """Directions (42, 3) and outward triangles (80, 3): an icosahedron, each triangle cut in four."""
    golden = (1.0 + 5.0**0.5) / 2.0
    cyclic = [(0.0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    corners = _unit(np.array([point[k:] + point[:k] for k in range(3) for point in cyclic]))
    edge = min(np.linalg.norm(corners[0] - other) for other in corners[1:]) * 1.01
    directions, triangles = list(corners), []
    for a in range(12):
        for b in range(a + 1, 12):
            for c in range(b + 1, 12):
                trio = corners[[a, b, c]]
                if max(np.linalg.norm(trio - np.roll(trio, 1, axis=0), axis=1)) < edge:
                    outward = np.linalg.det(trio) > 0
                    triangles.append((a, b, c) if outward else (a, c, b))
    middles: dict[tuple[int, int], int] = {}

    def middle(i: int, j: int) -> int:
        key = (min(i, j), max(i, j))
        if key not in middles:
            middles[key] = len(directions)
            directions.append(_unit((corners[i] + corners[j])[None])[0])
        return middles[key]

    faces = []
    for a, b, c in triangles:
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        faces += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return np.array(directions), np.array(faces, dtype=np.int32)
