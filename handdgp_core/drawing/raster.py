"""Paints one shaded triangle mesh, half transparent, over an image. NumPy and OpenCV only."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.normals import face_normals, gather_at_vertices

NEAREST_M = 0.01  # faces with a corner nearer than this to the optical centre are left out
_AMBIENT = 0.35  # share of the light that reaches faces seen edge-on
_HIGHLIGHT = 0.35  # how far faces seen head-on turn towards white
_SUBPIXEL_BITS = 4  # lines are drawn with coordinates in sixteenths of a pixel
_REACH_PX = 16_000  # within this, such coordinates are safe
_EDGE_SHADE = 0.25  # brightness of the outline, of the hand's own colour
_QUARTER_TURN = np.pi / 2
_IDENTITY = np.eye(4, dtype=np.float32)


class _Buffers(threading.local):
    """Pictures that the rasterizer draws into, kept by each thread: fresh memory costs as much as the drawing."""

    def __init__(self) -> None:
        self.memory = np.empty(0, dtype=np.float32)

    def of_size(self, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(height, width, 3) and (height, width), with whatever was drawn before."""
        count = width * height
        if len(self.memory) < 4 * count:
            self.memory = np.empty(4 * count, dtype=np.float32)
        return self.memory[: 3 * count].reshape(height, width, 3), self.memory[3 * count : 4 * count].reshape(
            height, width
        )


_buffers = _Buffers()


@dataclass(frozen=True)
class ProjectedMesh:
    """A mesh with the place of each vertex in the image that is painted on.

    Attributes:
        vertices_m: (V, 3) camera frame.
        vertices_px: (V, 2) pixels of that image; NaN where a vertex has no place in it.
        faces: (F, 3) outward normals in the camera frame.
    """

    vertices_m: Array
    vertices_px: Array
    faces: NDArray[np.int32]


def visible_faces(mesh: ProjectedMesh) -> tuple[NDArray[np.int32], Array]:
    """The faces that look at the camera, and the light that each vertex gets from a lamp at the camera.

    Returns:
        (F', 3) faces in front of the camera and turned towards it; (V,) cosine between normal and lamp, 0 to 1.
    """
    drawable = np.isfinite(mesh.vertices_px).all(axis=1) & (mesh.vertices_m[:, 2] > NEAREST_M)
    faces = mesh.faces[drawable[mesh.faces].all(axis=1)]
    corners = mesh.vertices_m[faces]
    normals = face_normals(corners)
    facing = np.einsum("fi,fi->f", normals, corners[:, 0]) < 0.0
    return faces[facing], _vertex_light(mesh.vertices_m, faces, normals)


def _vertex_light(vertices_m: Array, faces: NDArray[np.int32], normals: Array) -> Array:
    """(V,) Lambert's cosine for the area-weighted mean of the normals around each vertex."""
    count = len(vertices_m)
    smooth = gather_at_vertices(faces, normals, count)
    length = np.linalg.norm(smooth, axis=1) * np.linalg.norm(vertices_m, axis=1)
    towards = -np.einsum("vi,vi->v", smooth, np.where(np.isfinite(vertices_m), vertices_m, 0.0))
    return np.clip(np.divide(towards, length, out=np.zeros(count), where=length > 0.0), 0.0, 1.0)


def shade(colour: tuple[int, int, int], light: Array) -> Array:
    """(V, 3) float RGB in [0, 255] of a matt surface of one colour, a little whiter where it faces the lamp."""
    base = np.asarray(colour, dtype=np.float64)
    lit = _AMBIENT + (1.0 - _AMBIENT) * light
    gloss = _HIGHLIGHT * light**8
    return lit[:, None] * base + gloss[:, None] * (255.0 - base)


def paint_mesh(image: NDArray[np.uint8], mesh: ProjectedMesh, colour: tuple[int, int, int], opacity: float) -> None:
    """Paints the visible side of a mesh into `image`, in place, touching only the box around it.

    Args:
        image: (height, width, 3) uint8 RGB, contiguous.
        mesh: what to paint; faces that reach behind the camera are left out.
        colour: RGB of the surface.
        opacity: 0 (nothing) to 1 (the image is hidden).
    """
    faces, light = visible_faces(mesh)
    drawn = np.zeros(len(light), dtype=bool)
    drawn[faces] = True
    box = _box_around(mesh.vertices_px[drawn], image.shape[1], image.shape[0])
    if box is None:
        return
    left, top, right, bottom = box
    surface, covered = _rasterize(mesh, faces, shade(colour, light), shade(colour, np.zeros(1))[0] * _EDGE_SHADE, box)
    soft = cv2.blur(covered, (3, 3), borderType=cv2.BORDER_REPLICATE)  # the outline fades over about one pixel
    alpha = soft * np.float32(opacity / 255.0)
    part = image[top:bottom, left:right]
    part[:] = cv2.blendLinear(surface, part, alpha, 1.0 - alpha)


def paint_wires(image: NDArray[np.uint8], mesh: ProjectedMesh, colour: tuple[int, int, int], opacity: float) -> None:
    """Paints the edges of the faces that look at the camera into `image`, in place; arguments as for `paint_mesh`."""
    corners = mesh.vertices_px[visible_faces(mesh)[0]]
    corners = corners[(np.abs(corners) < _REACH_PX).all(axis=(1, 2))]
    box = _box_around(corners.reshape(-1, 2), image.shape[1], image.shape[0])
    if box is None:
        return
    left, top, right, bottom = box
    part = image[top:bottom, left:right]
    drawn = part.copy()
    lines = np.round((corners - (left, top)) * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(drawn, list(lines), True, colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    part[:] = cv2.addWeighted(drawn, opacity, part, 1.0 - opacity, 0.0)


def _box_around(points_px: Array, width: int, height: int) -> tuple[int, int, int, int] | None:
    """left, top, right, bottom (the last two excluded) of the part of the image that the points reach, or None."""
    if not len(points_px):
        return None
    low = np.maximum(np.floor(points_px.min(axis=0)) - 2, 0)
    high = np.minimum(np.ceil(points_px.max(axis=0)) + 3, (width, height))
    return None if (low >= high).any() else (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _rasterize(
    mesh: ProjectedMesh, faces: NDArray[np.int32], colours: Array, background: Array, box: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(h, w, 3) colours and (h, w) 255 where the mesh covers the box (else 0), hidden surfaces removed.

    OpenCV's rasterizer takes a pinhole with a field of view. Vertices are moved, at their own depth, to where a
    quarter-turn field of view sees them at `vertices_px`: so distortion and mirroring are kept.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    depth = mesh.vertices_m[:, 2]
    across = (mesh.vertices_px - (left, top) + 0.5 - (width / 2, height / 2)) * (2.0 / height) * depth[:, None]
    points = np.nan_to_num(np.stack([across[:, 0], -across[:, 1], -depth], axis=1)).astype(np.float32)
    far = float(depth[faces].max()) + 1.0
    pixels, depths = _buffers.of_size(width, height)
    cv2.rectangle(pixels, (0, 0), (width, height), background.tolist(), cv2.FILLED)
    depths.fill(far)
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    cv2.triangleRasterize(
        points,
        faces,
        colours.astype(np.float32),
        pixels,
        depths,
        _IDENTITY,
        _QUARTER_TURN,
        NEAREST_M / 2,
        far,
        settings,
    )
    # Well before `far`: OpenCV takes the whole picture through its own depth scale, so untouched pixels are rounded.
    covered = (depths < far - 0.5).view(np.uint8) * np.uint8(255)
    return np.asarray(cv2.convertScaleAbs(pixels), dtype=np.uint8), covered
