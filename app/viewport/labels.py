"""Where the words of the 3D view stand: inside of it, and none on another. Pure: the caller measures and draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSizeF

from app.viewport import marks
from app.viewport.colours import THEMES, Rgb
from app.viewport.protocol import RenderRequest, SceneHand

__all__ = ["MARGIN", "Label", "free_place", "labels"]

MARGIN = 12.0
Kind = Literal["distance", "axis", "grid"]


@dataclass(frozen=True)
class Label:
    """A few words in the view, logical pixels."""

    kind: Kind
    text: str
    colour: Rgb
    place: QRectF


def labels(
    request: RenderRequest, width: float, height: float, size: Callable[[Kind, str], QSizeF], taken: list[QRectF]
) -> list[Label]:
    """What is written, the most important first; what finds no place is left out.

    Args:
        request: what the picture shows.
        width, height: of the view.
        size: room that a text of a kind needs.
        taken: where nothing may be written.
    """
    area, placed, used = QRectF(0, 0, width, height), list[Label](), list(taken)
    for kind, text, colour, at, movable in _wanted(request, width, height):
        room = QRectF(at, size(kind, text))
        if movable:
            room = free_place(room, used, width, height)
        else:
            room.moveCenter(at)
        if area.contains(room) and not any(room.intersects(other) for other in used):
            placed.append(Label(kind, text, colour, room))
            used.append(room)
    return placed


def _wanted(request: RenderRequest, width: float, height: float) -> Iterator[tuple[Kind, str, Rgb, QPointF, bool]]:
    theme, options, orbit = THEMES[request.theme], request.options, request.orbit
    for hand in request.scene.hands:
        (pixel,), (depth,) = orbit.project(hand.root_m, width, height)
        if depth < 0.05:
            continue
        at, colour = QPointF(pixel[0] + 16, pixel[1] + 10), theme.hand(hand.side, hand.recorded)
        if hand.distance_m is not None:
            yield "distance", f"palm {100 * hand.distance_m:.1f} cm", colour, at, True
        if hand.unmuted_root_m is not None:
            shift_mm = 1e3 * float(np.linalg.norm(hand.root_m - hand.unmuted_root_m))
            yield "distance", f"muting: {shift_mm:.1f} mm", theme.arrow, at, True
    if options.axes and np.linalg.norm(orbit.eye_m()) > marks.FRUSTUM_DEPTH_M:
        pixels, depths = orbit.project(1.25 * marks.AXIS_LENGTH_M * np.eye(3), width, height)
        axes = zip("xyz", (theme.axis_x, theme.axis_y, theme.axis_z), pixels, depths, strict=True)
        for name, colour, (u, v), depth in axes:
            if depth > 0.05:
                yield "axis", name, colour, QPointF(u, v), False
    if options.grid:
        steps = np.arange(0, round(marks.GRID_LENGTH_M / marks.CELL_M) + 1, 2) * marks.CELL_M
        places = np.column_stack([np.zeros(len(steps)), np.full(len(steps), marks.FLOOR_Y_M), steps])
        pixels, depths = orbit.project(places, width, height)
        covers = [_cover(hand, request, width, height) for hand in request.scene.hands]
        for step, (u, v), depth in zip(steps, pixels.tolist(), depths.tolist(), strict=True):
            if depth > 0.05 and not any(nearer < depth and box.contains(u, v + 11) for nearer, box in covers):
                yield "grid", f"{100 * step:.0f} cm", theme.camera, QPointF(u, v + 11), False


def _cover(hand: SceneHand, request: RenderRequest, width: float, height: float) -> tuple[float, QRectF]:
    """How far a hand is, and the part of the view that it hides."""
    pixels, depths = request.orbit.project(hand.keypoints_m, width, height)
    margin = 15 + 0.12 * np.ptp(pixels, axis=0).max()  # the mesh reaches farther than its keypoints
    (left, top), (right, bottom) = pixels.min(axis=0) - margin, pixels.max(axis=0) + margin
    return float(depths.mean()), QRectF(QPointF(left, top), QPointF(right, bottom))


def free_place(wanted: QRectF, taken: list[QRectF], width: float, height: float) -> QRectF:
    """The place nearest to the wanted one, above or below it, that lies in the view and on nothing that is taken."""

    def inside(place: QRectF) -> QRectF:
        left = min(max(place.left(), MARGIN), max(MARGIN, width - MARGIN - place.width()))
        top = min(max(place.top(), MARGIN), max(MARGIN, height - MARGIN - place.height()))
        return QRectF(QPointF(left, top), place.size())

    step = 0.5 * wanted.height() + 2
    moves = [0.0, *(sign * step * count for count in range(1, 4 * len(taken) + 3) for sign in (1, -1))]
    places = [inside(wanted.translated(0, move)) for move in moves]
    return next((place for place in places if not any(place.intersects(other) for other in taken)), places[0])
