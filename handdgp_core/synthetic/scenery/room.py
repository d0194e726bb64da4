"""A study to stand behind the hand: walls, window, picture, sideboard, lamp, plant and bookshelf, all made of boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.synthetic.rendering.path_tracer import MAX_BOXES, Box, Pattern

Floats = NDArray[np.float64]


def make_room(seed: int) -> list[Box]:
    """A study: wall with window and picture, bookshelf, desk with things on it. The camera looks along +z."""
    draw = np.random.default_rng(seed)
    back, floor, ceiling = 2.9, 1.15, -1.45
    wall = (0.66, 0.63, 0.57)
    boxes = [
        Box((-2.6, ceiling, back), (2.4, floor, back + 0.1), wall, Pattern.PLASTER),
        Box((-2.7, ceiling, -2.0), (-2.6, -0.85, back), wall, Pattern.PLASTER),
        Box((-2.7, 0.15, -2.0), (-2.6, floor, back), wall, Pattern.PLASTER),
        Box((-2.7, -0.85, 1.3), (-2.6, 0.15, back), wall, Pattern.PLASTER),
        Box((-2.7, -0.85, -2.0), (-2.6, 0.15, -1.2), wall, Pattern.PLASTER),
        Box((2.4, ceiling, -2.0), (2.5, floor, back), (0.60, 0.62, 0.60), Pattern.PLASTER),
        Box((-2.7, ceiling - 0.1, -2.0), (2.5, ceiling, back), (0.78, 0.78, 0.76), Pattern.PLASTER),
        Box((-2.7, floor, -2.0), (2.5, floor + 0.1, back), (0.30, 0.19, 0.11), Pattern.WOOD),
        Box((-2.7, ceiling, -2.1), (2.5, floor, -2.0), (0.55, 0.53, 0.5), Pattern.PLASTER),
        # Window in the left wall: the sky behind it, a frame and a bar.
        Box((-2.9, -1.0, -1.3), (-2.85, 0.3, 1.4), (0.82, 0.92, 1.0), Pattern.PLAIN, 9.0),
        Box((-2.72, -0.38, -1.2), (-2.58, -0.34, 1.3), (0.8, 0.8, 0.78)),
        Box((-2.72, -0.85, 0.03), (-2.58, 0.15, 0.07), (0.8, 0.8, 0.78)),
        # Ceiling lamp behind the camera and the glow of the monitor in front of the person.
        Box((-0.5, ceiling + 0.02, -1.2), (0.5, ceiling + 0.04, -0.4), (1.0, 0.83, 0.62), Pattern.PLAIN, 4.0),
        # Curtain.
        *[
            Box(
                (-2.55 - 0.03 * (i % 2), -1.15, 2.35 + 0.055 * i),
                (-2.50 - 0.03 * (i % 2), 1.1, 2.40 + 0.055 * i),
                (0.42, 0.44, 0.46),
                Pattern.CLOTH,
            )
            for i in range(8)
        ],
        # Picture with a mat.
        Box((-1.28, -0.72, 2.86), (-0.58, -0.18, 2.9), (0.07, 0.06, 0.05)),
        Box((-1.25, -0.69, 2.85), (-0.61, -0.21, 2.87), (0.78, 0.76, 0.70)),
        Box((-1.15, -0.59, 2.84), (-0.71, -0.43, 2.86), (0.25, 0.38, 0.48), Pattern.CLOTH),
        Box((-1.15, -0.43, 2.84), (-0.71, -0.31, 2.86), (0.33, 0.36, 0.20), Pattern.CLOTH),
        # Sideboard with a lamp, a vase and a plant in a pot.
        Box((-1.75, 0.42, 2.45), (-0.25, 0.47, 2.9), (0.42, 0.26, 0.14), Pattern.WOOD),
        Box((-1.70, 0.47, 2.48), (-0.30, floor, 2.88), (0.36, 0.22, 0.12), Pattern.WOOD),
        Box((-1.02, 0.47, 2.47), (-1.00, floor, 2.49), (0.12, 0.08, 0.05)),
        Box((-0.62, 0.08, 2.62), (-0.40, 0.30, 2.80), (1.0, 0.74, 0.46), Pattern.PLAIN, 0.8),
        Box((-0.525, 0.30, 2.69), (-0.495, 0.42, 2.72), (0.1, 0.09, 0.08)),
        Box((-1.55, 0.26, 2.58), (-1.35, 0.42, 2.78), (0.50, 0.24, 0.15)),
        *_leaves(draw, (-1.45, 0.02, 2.68), 26),
        *_shelf(draw, back),
    ]
    return boxes[:MAX_BOXES]


def _leaves(draw: np.random.Generator, center: tuple[float, float, float], count: int) -> list[Box]:
    boxes = []
    for _ in range(count):
        x, y, z = np.asarray(center) + draw.normal(0, (0.10, 0.12, 0.06))
        w, h = draw.uniform(0.025, 0.05), draw.uniform(0.05, 0.12)
        if draw.random() < 0.5:
            w, h = h, w
        green = (0.05 + 0.09 * draw.random(), 0.16 + 0.16 * draw.random(), 0.05 + 0.05 * draw.random())
        boxes.append(Box((x - w, min(y - h, 0.2), z - 0.02), (x + w, min(y + h, 0.27), z + 0.02), green, Pattern.LEAF))
    return boxes


def _shelf(draw: np.random.Generator, back: float) -> list[Box]:
    left, right, front = 0.35, 1.95, back - 0.32
    wood = (0.46, 0.30, 0.17)
    boxes = [Box((x, -1.2, front), (x + 0.03, 1.15, back), wood, Pattern.WOOD) for x in (left, 1.14, right)]
    palette = np.array(
        [
            (0.45, 0.09, 0.07),
            (0.08, 0.15, 0.32),
            (0.62, 0.52, 0.33),
            (0.08, 0.22, 0.16),
            (0.68, 0.66, 0.60),
            (0.06, 0.06, 0.07),
            (0.55, 0.30, 0.10),
            (0.16, 0.32, 0.40),
            (0.35, 0.12, 0.22),
        ]
    )
    for y in (-1.2, -0.80, -0.40, 0.0, 0.40, 0.80):
        boxes.append(Box((left, y, front), (right, y + 0.03, back), wood, Pattern.WOOD))
    for y in (-0.40, 0.0, 0.40, 0.80):
        for start, end in ((left + 0.03, 1.14), (1.17, right)):
            boxes += _books(draw, palette, start, end, y, front)
    return boxes


def _books(
    draw: np.random.Generator, palette: Floats, start: float, end: float, shelf_y: float, front: float
) -> list[Box]:
    boxes, x = [], start + 0.01
    stop = start + (end - start) * draw.uniform(0.7, 1.0)
    while x < stop - 0.07:
        thick, tall = draw.uniform(0.03, 0.085), draw.uniform(0.20, 0.32)
        colour = palette[draw.integers(len(palette))] * draw.uniform(0.6, 1.1)
        colour = 0.75 * colour + 0.25 * colour.mean()
        depth = draw.uniform(0.02, 0.09)
        low = (x, shelf_y - tall, front + depth)
        boxes.append(Box(low, (x + thick, shelf_y, front + 0.25), (colour[0], colour[1], colour[2]), Pattern.BOOK))
        x += thick + 0.003
    return boxes
