"""Square cuts of an image around a hand, enlarged, and what figures paint on them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import DARK, LIGHT, weight_colours
from handdgp_core.drawing.overlay import project_visible
from handdgp_core.drawing.raster import ProjectedMesh, paint_mesh
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import BONES, COUNT

__all__ = ["Tile", "beside"]

GAP_PX = 6
_SMALLEST_PX = 32.0
_REACH_PX = 10_000  # OpenCV's drawing is safe within this


@dataclass(frozen=True)
class Tile:
    """A square cut of an image.

    Attributes:
        pixels: (size, size, 3) uint8 RGB, painted in place.
        zoom: pixels of the tile for each pixel of the image.
        shift: (2,) pixel of the tile where the image's first pixel lies.
    """

    pixels: NDArray[np.uint8]
    zoom: float
    shift: Array

    @classmethod
    def around(cls, image: NDArray[np.uint8], points_px: Array, size: int, margin: float = 1.3) -> Tile:
        """The cut around points (N, 2) of an image; those that are not finite do not count. Black outside.

        Args:
            image: (height, width, 3) uint8 RGB.
            points_px: what it must hold.
            size: side of the cut, pixels.
            margin: side of the cut in the image over that of the points' box.
        """
        points_px = points_px[np.isfinite(points_px).all(axis=1)]
        low, high = (points_px.min(axis=0), points_px.max(axis=0)) if len(points_px) else (np.zeros(2), np.zeros(2))
        side = margin * float(np.clip((high - low).max(), _SMALLEST_PX, 2 * max(image.shape[:2])))
        zoom = size / side
        shift = 0.5 * (size - 1) - zoom * 0.5 * (low + high)
        affine = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        return cls(np.asarray(cv2.warpAffine(image, affine, (size, size), flags=flags), dtype=np.uint8), zoom, shift)

    def paint_surface(
        self, camera: Camera, vertices_m: Array, faces: NDArray[np.int32], colour: tuple[int, int, int], opacity: float
    ) -> None:
        """A mesh (V, 3) in the frame of the image's camera, its lens included."""
        places = project_visible(vertices_m, camera) * self.zoom + self.shift
        paint_mesh(self.pixels, ProjectedMesh(vertices_m, places, faces), colour, opacity)

    def paint_bones(self, keypoints_px: Array, colour: tuple[int, int, int]) -> None:
        """The skeleton through keypoints (21, 2) of the image."""
        places = keypoints_px * self.zoom + self.shift
        for parent, child in BONES:
            ends = places[[parent, child]]
            if np.isfinite(ends).all() and np.abs(ends).max() < _REACH_PX:
                start, end = ([round(x), round(y)] for x, y in ends.tolist())
                cv2.line(self.pixels, start, end, colour, max(2, len(self.pixels) // 110), cv2.LINE_AA)

    def paint_weights(self, keypoints_px: Array, weights: Array) -> None:
        """Dots at keypoints (K, 2) of the image: the darker, the lower the weight, of the largest among them."""
        radius = max(2, len(self.pixels) // 90)
        colours = weight_colours(weights, max(float(np.nan_to_num(weights).max()), 1e-9)).tolist()
        if len(keypoints_px) == COUNT:
            self.paint_bones(keypoints_px, DARK)
        for (x, y), colour in zip(keypoints_px * self.zoom + self.shift, colours, strict=True):
            if np.isfinite([x, y]).all() and max(abs(x), abs(y)) < _REACH_PX:
                for size, ink in ((radius + 1, LIGHT), (radius, colour)):
                    cv2.circle(self.pixels, (round(x), round(y)), size, ink, cv2.FILLED, cv2.LINE_AA)


def beside(tiles: list[NDArray[np.uint8]], axis: int = 1) -> NDArray[np.uint8]:
    """Tiles of the same height (or, along axis 0, width) with white gaps between them."""
    shape = list(tiles[0].shape)
    shape[axis] = GAP_PX
    gap = np.full(shape, 255, dtype=np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=axis)
