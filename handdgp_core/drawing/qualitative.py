"""The qualitative figures of the paper's supplement (section 6): the projection over the image, and the hand in camera
space from other viewpoints, with the predicted and the true root as spheres."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.drawing.colours import LIGHT, weight_colours
from handdgp_core.drawing.examples import Example
from handdgp_core.drawing.raster import ProjectedMesh, paint_mesh
from handdgp_core.drawing.scene import Colour, Item, Viewpoint, draw_scene, sphere
from handdgp_core.drawing.text import draw_text

__all__ = ["PREDICTED", "TRUE", "draw_example"]

PREDICTED: Colour = (70, 150, 255)
TRUE: Colour = (225, 60, 60)
VIEWPOINTS = (
    Viewpoint(-90.0, 15.0, "from the left"),
    Viewpoint(90.0, 15.0, "from the right"),
    Viewpoint(0.0, 75.0, "from above"),
)
_SPHERE_M = 0.009
_LEAST_REACH_M = 0.16
_GAP = 6


def draw_example(example: Example, size: int = 320, true_colour: Colour = TRUE) -> NDArray[np.uint8]:
    """One row of a figure: image, projection with keypoints coloured by weight, then the scene from three sides.

    Blue is predicted, red (or `true_colour`) is true. In the scenes the real camera lies in front ("from the left" sees
    it at the right).

    Args:
        example: what to draw.
        size: side of each picture, pixels.
        true_colour: RGB of what the prediction is compared with.

    Returns:
        (size, 5 * (size + gap) - gap, 3) uint8 RGB.
    """
    tiles = [_cut(example, size, painted=False), _cut(example, size, painted=True)]
    middle, reach = _extent(example)
    items = _items(example, true_colour)
    for viewpoint in VIEWPOINTS:
        tile = draw_scene(items, middle, viewpoint, size, reach)
        draw_text(tile, viewpoint.title, (6, 6), size / 22, LIGHT)
        tiles.append(tile)
    gap = np.full((size, _GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)


def _items(example: Example, true_colour: Colour) -> list[Item]:
    items = [Item(example.vertices_m, example.faces, PREDICTED), sphere(example.root_m, _SPHERE_M, (30, 95, 200))]
    if example.true_vertices_m is not None:
        items.append(Item(example.true_vertices_m, example.faces, true_colour, 0.35))
    if np.isfinite(example.true_root_m).all():
        items.append(sphere(example.true_root_m, _SPHERE_M, true_colour))
    return items


def _extent(example: Example) -> tuple[NDArray[np.float64], float]:
    points = [example.vertices_m, example.root_m[None]]
    if np.isfinite(example.true_root_m).all():
        points.append(example.true_root_m[None])
    if example.true_vertices_m is not None:
        points.append(example.true_vertices_m)
    everything = np.concatenate(points)
    low, high = everything.min(axis=0), everything.max(axis=0)
    return 0.5 * (low + high), max(_LEAST_REACH_M, 0.62 * float((high - low).max()))


def _cut(example: Example, size: int, painted: bool) -> NDArray[np.uint8]:
    """The square of the image around the hand, enlarged to `size`."""
    depth = np.maximum(example.vertices_m[:, 2:], 1e-3)
    pixels = (example.vertices_m / depth) @ example.matrix.T
    pixels = pixels[:, :2]
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    half = 0.65 * float(np.clip((high - low).max(), 16, 2 * max(example.image.shape[:2])))
    zoom = size / (2 * half)
    shift = 0.5 * (size - 1) - zoom * 0.5 * (low + high)
    affine = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    tile = np.asarray(cv2.warpAffine(example.image, affine, (size, size), flags=flags), dtype=np.uint8)
    if painted:
        paint_mesh(tile, ProjectedMesh(example.vertices_m, pixels * zoom + shift, example.faces), PREDICTED, 0.6)
        _draw_dots(tile, example.keypoints_px * zoom + shift, example.weights)
    return tile


def _draw_dots(tile: NDArray[np.uint8], pixels: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    radius = max(2, tile.shape[0] // 90)
    for (x, y), colour in zip(pixels, weight_colours(weights, max(float(weights.max()), 1e-9)).tolist(), strict=True):
        if np.isfinite([x, y]).all() and max(abs(x), abs(y)) < 10_000:
            cv2.circle(tile, (round(x), round(y)), radius + 1, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(tile, (round(x), round(y)), radius, colour, cv2.FILLED, cv2.LINE_AA)
