"""A small painter of 3D scenes for figures: shaded meshes, spheres and a floor grid, seen from anywhere. No OpenGL."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.raster import ProjectedMesh, paint_mesh

__all__ = ["Colour", "Extent", "Item", "Viewpoint", "draw_scene", "tube"]

Colour = tuple[int, int, int]
_BACKGROUND, _GRID = (250, 250, 252), (214, 217, 224)
_SUPERSAMPLE = 2
_GRID_STEP_M = 0.05
_GRID_LINES = 5  # to each side of the middle
_FLOOR_M = 0.11  # below the middle of the scene
_LEAST_REACH_M = 0.16  # a hand fills the picture
_MARK = 1 / 18  # radius of a mark, of the reach: to be seen beside a hand and beside a body at 5 m


@dataclass(frozen=True)
class Item:
    """A mesh to paint, camera frame, metres.

    Attributes:
        vertices_m: (V, 3).
        faces: (F, 3) outward normals.
        colour: RGB.
        opacity: 0 to 1.
        on_top: painted after everything else, so that nothing hides it.
    """

    vertices_m: Array
    faces: NDArray[np.int32]
    colour: Colour
    opacity: float = 1.0
    on_top: bool = False


@dataclass(frozen=True)
class Viewpoint:
    """An eye on a circle around the scene's middle. 0, 0 is where the real camera looks from.

    Attributes:
        azimuth_deg: to the right of the real camera; -90 sees the scene from its left.
        elevation_deg: above it.
        title: what to call it.
    """

    azimuth_deg: float
    elevation_deg: float
    title: str


@dataclass(frozen=True)
class Extent:
    """What a scene's pictures show.

    Attributes:
        middle_m: (3,) what the eye looks at.
        reach_m: what fits into half of the picture's side at the middle.
    """

    middle_m: Array
    reach_m: float

    @classmethod
    def of(cls, *points_m: Array) -> Extent:
        """Room for all points (N, 3) that are finite, at least one of them."""
        everything = np.concatenate(points_m)
        everything = everything[np.isfinite(everything).all(axis=1)]
        low, high = everything.min(axis=0), everything.max(axis=0)
        return cls(0.5 * (low + high), max(_LEAST_REACH_M, 0.62 * float((high - low).max())))

    def mark(self, center_m: Array, colour: Colour) -> Item:
        """A ball that is always to be seen, whatever the size of the scene."""
        vertices, faces = _unit_sphere(16, 24)
        return Item(center_m + self.reach_m * _MARK * vertices, faces, colour, on_top=True)


def draw_scene(items: list[Item], extent: Extent, viewpoint: Viewpoint, size: int) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 RGB of the scene.

    Args:
        items: what to paint; the farther first.
        extent: what the picture shows.
        viewpoint: from where.
        size: side of the picture, pixels.
    """
    middle_m, reach_m = extent.middle_m, extent.reach_m
    side = size * _SUPERSAMPLE
    image = np.full((side, side, 3), _BACKGROUND, dtype=np.uint8)
    turn = _eye_from_camera(viewpoint)
    distance = 6.0 * reach_m
    focal = 0.5 * side * distance / reach_m

    def project(points_m: Array) -> tuple[Array, Array]:
        points = (points_m - middle_m) @ turn.T + [0.0, 0.0, distance]
        return points, focal * points[:, :2] / points[:, 2:] + 0.5 * (side - 1)

    _draw_floor(image, middle_m, project)
    for item in sorted(items, key=lambda item: (item.on_top, -float(project(item.vertices_m)[0][:, 2].mean()))):
        points, pixels = project(item.vertices_m)
        paint_mesh(image, ProjectedMesh(points, pixels, item.faces), item.colour, item.opacity)
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def tube(start_m: Array, end_m: Array, radius_m: float, colour: Colour, sides: int = 8) -> Item:
    """A bone from one point (3,) to another, for hands without a surface."""
    along = (end_m - start_m) / max(float(np.linalg.norm(end_m - start_m)), 1e-9)
    across = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    across /= np.linalg.norm(across)
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    ring = radius_m * (np.cos(angles) * across + np.sin(angles) * np.cross(along, across))
    this = np.arange(sides)
    after = (this + 1) % sides
    faces = np.concatenate(
        [np.stack([this, after, this + sides], 1), np.stack([after, after + sides, this + sides], 1)]
    )
    return Item(np.concatenate([start_m + ring, end_m + ring]), faces.astype(np.int32), colour)


def _unit_sphere(rows: int, columns: int) -> tuple[Array, NDArray[np.int32]]:
    polar = np.linspace(1e-3, np.pi - 1e-3, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    parts = np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) * np.ones_like(around)
    row, column = (part.ravel() for part in np.mgrid[: rows - 1, :columns])
    after = (column + 1) % columns
    corner = [row * columns + column, row * columns + after, (row + 1) * columns + column, (row + 1) * columns + after]
    faces = np.concatenate(
        [np.stack([corner[0], corner[2], corner[1]], 1), np.stack([corner[1], corner[2], corner[3]], 1)]
    )
    return np.stack(parts, -1).reshape(-1, 3), faces.astype(np.int32)


def _eye_from_camera(viewpoint: Viewpoint) -> Array:
    azimuth, elevation = np.radians([viewpoint.azimuth_deg, viewpoint.elevation_deg])
    about_y = np.array([[np.cos(azimuth), 0, np.sin(azimuth)], [0, 1, 0], [-np.sin(azimuth), 0, np.cos(azimuth)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(elevation), -np.sin(elevation)], [0, np.sin(elevation), np.cos(elevation)]]
    )
    return np.asarray(about_x @ about_y)


def _draw_floor(image: NDArray[np.uint8], middle_m: Array, project: object) -> None:
    assert callable(project)
    reach = _GRID_LINES * _GRID_STEP_M
    for step in np.arange(-_GRID_LINES, _GRID_LINES + 1) * _GRID_STEP_M:
        for ends in (
            [[step, _FLOOR_M, -reach], [step, _FLOOR_M, reach]],
            [[-reach, _FLOOR_M, step], [reach, _FLOOR_M, step]],
        ):
            pixels = np.round(project(np.array(ends) + middle_m)[1] * 16).astype(np.int64).clip(-200_000, 200_000)
            cv2.line(image, pixels[0].tolist(), pixels[1].tolist(), _GRID, 2, cv2.LINE_AA, 4)
