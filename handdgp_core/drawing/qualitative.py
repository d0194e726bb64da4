"""One model's rows of qualitative figures: image, projection, and the hand in camera space from other viewpoints, with
the predicted and the true root as spheres (HandDGP supplement, section 6). Several models: `drawing.comparison`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import LIGHT
from handdgp_core.drawing.examples import Example
from handdgp_core.drawing.overlay import project_visible
from handdgp_core.drawing.scene import Colour, Extent, Item, Viewpoint, draw_scene
from handdgp_core.drawing.text import draw_text
from handdgp_core.drawing.tiles import Tile, beside

__all__ = ["PREDICTED", "TRUE", "VIEWPOINTS", "draw_example"]

PREDICTED: Colour = (70, 150, 255)
TRUE: Colour = (225, 60, 60)
_ROOT: Colour = (30, 95, 200)
VIEWPOINTS = (
    Viewpoint(-90.0, 15.0, "from the left"),
    Viewpoint(90.0, 15.0, "from the right"),
    Viewpoint(0.0, 75.0, "from above"),
)


def draw_example(example: Example, size: int = 320, true_colour: Colour = TRUE) -> NDArray[np.uint8]:
    """One row of a figure: image, projection with keypoints coloured by weight, then the scene from three sides.

    Blue is predicted, red (or `true_colour`) is true. In the scenes the real camera lies in front ("from the left" sees
    it at the right). The cut is around the truth where it is known, so that a prediction that is off shows as such.

    Args:
        example: what to draw.
        size: side of each picture, pixels.
        true_colour: RGB of what the prediction is compared with.

    Returns:
        (size, 5 * (size + gap) - gap, 3) uint8 RGB.
    """
    around = example.vertices_m if example.true_vertices_m is None else example.true_vertices_m
    around_px = project_visible(around, example.camera)
    bare, painted = (Tile.around(example.image, around_px, size) for _ in range(2))
    painted.paint_surface(example.camera, example.vertices_m, example.faces, PREDICTED, 0.6)
    painted.paint_weights(example.keypoints_px, example.weights)
    extent = Extent.of(*_points(example))
    items = _items(example, true_colour, extent)
    tiles = [bare.pixels, painted.pixels]
    for viewpoint in VIEWPOINTS:
        tile = draw_scene(items, extent, viewpoint, size)
        draw_text(tile, viewpoint.title, (6, 6), size / 22, LIGHT)
        tiles.append(tile)
    return beside(tiles)


def _items(example: Example, true_colour: Colour, extent: Extent) -> list[Item]:
    items = [Item(example.vertices_m, example.faces, PREDICTED), extent.mark(example.root_m, _ROOT)]
    if example.true_vertices_m is not None:
        items.append(Item(example.true_vertices_m, example.faces, true_colour, 0.35))
    if np.isfinite(example.true_root_m).all():
        items.append(extent.mark(example.true_root_m, true_colour))
    return items


def _points(example: Example) -> list[Array]:
    points = [example.vertices_m, example.root_m[None], example.true_root_m[None]]
    return points if example.true_vertices_m is None else [*points, example.true_vertices_m]
