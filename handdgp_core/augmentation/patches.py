"""The part of a source picture that the views show, as a square of fixed size for the GPU.

Pictures of any size become one batch; what no view shows is not copied. Each view is then one warp from here. Where
the picture has many more pixels than the views can show, it is averaged down on the way (area sampling), so that the
bilinear warp does not alias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.augmentation.geometry import ViewGeometry

__all__ = ["Patch", "cut_patch"]

_MARGIN_PX = 2
# Patch pixels for each view pixel up to which a bilinear warp still reads nearly every one.
_MINIFY = 1.5


@dataclass(frozen=True)
class Patch:
    """Attributes:
    pixels: (P, P, C) uint8; the picture fills it from the top left, the rest is black.
    filled: (2,) width and height of the filled part.
    patch_from_image: (3, 3) affine, pixels.
    """

    pixels: NDArray[np.uint8]
    filled: tuple[int, int]
    patch_from_image: Array


def cut_patch(image: NDArray[np.uint8], geometry: ViewGeometry, patch_size: int) -> Patch:
    """What the views of `geometry` show of `image` (height, width, C), in at most `patch_size` pixels a side."""
    left, top, right, bottom = _visible_box(geometry)
    pixels = np.zeros((patch_size, patch_size, image.shape[2]), dtype=np.uint8)
    if right <= left or bottom <= top:
        return Patch(pixels, (0, 0), np.eye(3))
    part = image[top:bottom, left:right]
    shrink = min(1.0, patch_size / max(part.shape[:2]), _MINIFY / _source_pixels_per_pixel(geometry))
    width, height = (max(1, round(shrink * length)) for length in (right - left, bottom - top))
    if shrink < 1.0:
        area = cv2.INTER_AREA
        pixels[:height, :width] = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=area)
    else:
        pixels[:height, :width] = part
    by_x, by_y = width / (right - left), height / (bottom - top)
    shift_x, shift_y = (by_x * (0.5 - left) - 0.5, by_y * (0.5 - top) - 0.5)
    return Patch(pixels, (width, height), np.array([[by_x, 0, shift_x], [0, by_y, shift_y], [0, 0, 1.0]]))


def _visible_box(geometry: ViewGeometry) -> tuple[int, int, int, int]:
    """left, top, right, bottom (exclusive) of the picture's pixels that any view shows."""
    width, height = geometry.camera.size
    box = np.array([0, 0, width, height])
    projected = _outline(geometry)
    if np.isfinite(projected).all():
        box = _within(
            box, np.floor(projected.min(axis=0) + 0.5) - _MARGIN_PX, np.ceil(projected.max(axis=0) + 0.5) + _MARGIN_PX
        )
    if geometry.square_px is not None:
        low, high = geometry.square_px.min(axis=0), geometry.square_px.max(axis=0)
        box = _within(box, np.floor(low + 0.5), np.ceil(high + 0.5))
    return int(box[0]), int(box[1]), int(box[2]), int(box[3])


def _within(box: NDArray[np.int_], low: Array, high: Array) -> NDArray[np.int_]:
    low, high = (np.clip(corner, -1e6, 1e6).astype(int) for corner in (low, high))
    return np.concatenate([np.maximum(box[:2], low), np.minimum(box[2:], high)])


def _outline(geometry: ViewGeometry) -> Array:
    """(4 n, 2) corners of the views in the picture; NaN where a corner looks away from it."""
    end = geometry.size - 0.5
    corners = np.array([[-0.5, -0.5, 1], [end, -0.5, 1], [end, end, 1], [-0.5, end, 1]])
    found = []
    for view in range(len(geometry.matrices)):
        projected = corners @ np.linalg.inv(geometry.view_from_image(view)).T
        found.append(projected[:, :2] / np.where(projected[:, 2:] > 0, projected[:, 2:], np.nan))
    return np.concatenate(found)


def _source_pixels_per_pixel(geometry: ViewGeometry) -> float:
    """The largest number of picture pixels along a side that fall on a view's central pixel."""
    ratios = [1e-6]
    for view in range(len(geometry.matrices)):
        image_from_view = np.linalg.inv(geometry.view_from_image(view))
        center = 0.5 * (geometry.size - 1)
        square = np.array([[center, center, 1], [center + 1, center, 1], [center, center + 1, 1]]) @ image_from_view.T
        points = square[:, :2] / square[:, 2:]
        across, down = points[1] - points[0], points[2] - points[0]
        ratios.append(math.sqrt(abs(float(across[0] * down[1] - across[1] * down[0]))))
    return max(ratios)
