"""A figure of one hand by several methods: what each was shown, its projection, its weights, and all in one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import LIGHT, weight_colours
from handdgp_core.drawing.overlay import project_visible
from handdgp_core.drawing.qualitative import TRUE, VIEWPOINTS
from handdgp_core.drawing.scene import Colour, Extent, Item, draw_scene, tube
from handdgp_core.drawing.text import draw_text
from handdgp_core.drawing.tiles import Tile, beside
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import BONES
from handdgp_core.types import Hand

__all__ = ["METHOD_COLOURS", "MethodHand", "Sample", "draw_comparison", "draw_side_by_side"]

# Of Okabe and Ito's colour-blind-safe set, apart from each other and from the truth's red.
METHOD_COLOURS: tuple[Colour, ...] = ((70, 150, 255), (230, 159, 0), (0, 158, 115), (204, 121, 167))
_BONE_M = 0.003
_MARGIN = 1.6  # around keypoints, which end inside of the fingertips and at the wrist
_BACKGROUND = (250, 250, 252)
_FEWEST_COLUMNS = 3


@dataclass(frozen=True)
class MethodHand:
    """What one method says of a hand.

    Attributes:
        name: of the method.
        hand: its answer; `faces` of no rows where the mesh has no known triangles; None where it found no such hand.
        crop: (h, w, 3) uint8 RGB that its network was shown, or None where that is not known.
        has_weights: whether it weights its keypoints.
    """

    name: str
    hand: Hand | None
    crop: NDArray[np.uint8] | None = None
    has_weights: bool = True


@dataclass(frozen=True)
class Sample:
    """One hand of one image.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        camera: of the image.
        methods: one to four answers.
        true_keypoints_m: (21, 3) camera frame, or None.
    """

    image: NDArray[np.uint8]
    camera: Camera
    methods: Sequence[MethodHand]
    true_keypoints_m: Array | None = None

    @property
    def true_root_m(self) -> Array | None:
        """(3,) camera frame, or None where it is not known."""
        points_m = self.true_keypoints_m
        return None if points_m is None or not np.isfinite(points_m[0]).all() else points_m[0]

    @property
    def placed(self) -> list[tuple[MethodHand, Hand, Colour]]:
        """The methods that placed the hand, with their colours."""
        both = zip(self.methods, METHOD_COLOURS, strict=False)
        return [(m, m.hand, c) for m, c in both if m.hand is not None and m.hand.degenerate is None]


def draw_comparison(sample: Sample, size: int = 280) -> NDArray[np.uint8]:
    """A grid with one column for the image and one for each method.

    Rows: the mesh over the image; what each network was shown beside the original (figure 1 of the supplement); the
    weights, darker for lower ones (figure 7); all methods in camera space from three sides, with the true root in red
    and each method's root in its own colour (figures 2 to 6).

    Args:
        sample: what to draw; at least one hand placed, or the truth known.
        size: side of each picture, pixels.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    around_px = _around(sample)
    columns = [_image_column(sample, around_px, size)]
    for method, colour in zip(sample.methods, METHOD_COLOURS, strict=False):
        columns.append(_method_column(sample, method, colour, around_px, size))
    columns += [[_blank(size)] * 3 for _ in range(_FEWEST_COLUMNS - len(columns))]
    scene = _scene_row(sample, size)
    scene += [_blank(size)] * (len(columns) - len(scene))
    grid = [beside([column[row] for column in columns]) for row in range(3)]
    return beside([*grid, beside(scene)], axis=0)


def draw_side_by_side(sample: Sample, size: int, columns: int = 2) -> NDArray[np.uint8]:
    """Every method's mesh over the image, what it was shown where that is known, then all of them in camera space from
    three sides, for a narrow place.

    Args:
        sample: what to draw; at least one hand placed.
        size: side of each picture, pixels.
        columns: pictures in a row.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    around_px = _around(sample)
    tiles = []
    for method, colour in zip(sample.methods, METHOD_COLOURS, strict=False):
        tile = Tile.around(sample.image, around_px, size, _MARGIN)
        if method.hand is not None and method.hand.degenerate is None:
            _paint_hand(tile, sample, method.hand, colour)
        tiles.append(_titled(tile.pixels, _result(sample, method), colour))
        if method.crop is not None:
            tiles.append(_titled(_resized(method.crop, size), "its input", colour))
    tiles += _scene_row(sample, size)
    tiles += [_blank(size)] * (-len(tiles) % columns)
    return beside([beside(tiles[first : first + columns]) for first in range(0, len(tiles), columns)], axis=0)


def _around(sample: Sample) -> Array:
    """(N, 2) pixels that the cuts hold: of the true hand where it is known."""
    if sample.true_keypoints_m is not None:
        return project_visible(sample.true_keypoints_m, sample.camera)
    return np.concatenate([hand.keypoints_px for _, hand, _ in sample.placed] or [np.empty((0, 2))])


def _image_column(sample: Sample, around_px: Array, size: int) -> list[NDArray[np.uint8]]:
    """The truth over the image, the original, and what the colours of weights mean."""
    original, truth = (Tile.around(sample.image, around_px, size, _MARGIN) for _ in range(2))
    title, accent = "image", None
    if sample.true_keypoints_m is not None:
        truth.paint_bones(around_px, TRUE)
        root_m, accent = sample.true_root_m, TRUE
        title = "truth" if root_m is None else f"truth: {100 * np.linalg.norm(root_m):.1f} cm"
    return [_titled(truth.pixels, title, accent), _titled(original.pixels, "original"), _weights_legend(size)]


def _weights_legend(size: int) -> NDArray[np.uint8]:
    tile = _blank(size)
    low, high, wide = round(0.45 * size), round(0.55 * size), round(0.8 * size)
    left = (size - wide) // 2
    tile[low:high, left : left + wide] = weight_colours(np.linspace(0, 1, wide))
    return _titled(tile, "weights: low (dark) to high")


def _method_column(
    sample: Sample, method: MethodHand, colour: Colour, around_px: Array, size: int
) -> list[NDArray[np.uint8]]:
    surface, weights = (Tile.around(sample.image, around_px, size, _MARGIN) for _ in range(2))
    crop = _blank(size) if method.crop is None else _resized(method.crop, size)
    shown = [surface.pixels, crop, weights.pixels]
    titles = [_result(sample, method), "its input" if method.crop is not None else "", "its weights"]
    if method.hand is None or method.hand.degenerate is not None:
        titles[2] = ""
    else:
        _paint_hand(surface, sample, method.hand, colour)
        if method.has_weights:
            weights.paint_weights(method.hand.keypoints_px, method.hand.weights)
        else:
            weights.paint_bones(method.hand.keypoints_px, colour)
            titles[2] = "no weights"
    return [_titled(tile, title, colour) for tile, title in zip(shown, titles, strict=True)]


def _resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    flags = cv2.INTER_AREA if size < len(image) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=flags), dtype=np.uint8)


def _paint_hand(tile: Tile, sample: Sample, hand: Hand, colour: Colour) -> None:
    if len(hand.faces):
        tile.paint_surface(sample.camera, hand.vertices_m, hand.faces, colour, 0.6)
    else:
        tile.paint_bones(project_visible(hand.keypoints_m, sample.camera), colour)


def _result(sample: Sample, method: MethodHand) -> str:
    """The method's name, how far away it puts the root, and by how much the root is off."""
    hand = method.hand
    if hand is None:
        return f"{method.name}: not found"
    if hand.degenerate is not None:
        return f"{method.name}: {hand.degenerate}"
    text = f"{method.name}: {100 * float(np.linalg.norm(hand.root_m)):.1f} cm"
    if sample.true_root_m is None:
        return text
    return f"{text}, off by {1e3 * float(np.linalg.norm(hand.root_m - sample.true_root_m)):.0f} mm"


def _scene_row(sample: Sample, size: int) -> list[NDArray[np.uint8]]:
    points = [points for _, hand, _ in sample.placed for points in (hand.keypoints_m, hand.root_m[None])]
    if sample.true_keypoints_m is not None:
        points.append(sample.true_keypoints_m)
    if not points:
        return [_blank(size)] * len(VIEWPOINTS)
    extent = Extent.of(*points)
    items = [item for _, hand, colour in sample.placed for item in _items(hand, colour, extent)]
    if sample.true_root_m is not None:
        items.append(extent.mark(sample.true_root_m, TRUE))
    return [_titled(draw_scene(items, extent, view, size), view.title) for view in VIEWPOINTS]


def _items(hand: Hand, colour: Colour, extent: Extent) -> list[Item]:
    body = (
        [Item(hand.vertices_m, hand.faces, colour, 0.75)]
        if len(hand.faces)
        else [tube(hand.keypoints_m[start], hand.keypoints_m[end], _BONE_M, colour) for start, end in BONES]
    )
    return [*body, extent.mark(hand.root_m, colour)]


def _blank(size: int) -> NDArray[np.uint8]:
    return np.full((size, size, 3), _BACKGROUND, dtype=np.uint8)


def _titled(tile: NDArray[np.uint8], title: str, accent: Colour | None = None) -> NDArray[np.uint8]:
    if title:
        tile = tile.copy()
        draw_text(tile, title, (6, 6), max(9.0, len(tile) / 22), LIGHT, accent)
    return tile
