"""The same scene drawn in 2D with OpenCV's polygon filler, far things first. Needs no OpenGL.

Inexact where meshes interpenetrate; exact enough to read a hand, its place and its weights.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.viewport import marks
from app.viewport.colours import THEMES, Floats, Theme
from app.viewport.orbit import NEAR_M, Orbit
from app.viewport.protocol import RenderRequest, SceneHand
from app.viewport.scene_geometry import Balls, Segments, shaded, view_pixel
from handdgp_core.drawing.normals import vertex_normals

__all__ = ["paint"]

# Sub-pixel bits of OpenCV's drawing calls.
_SHIFT = 4


def paint(request: RenderRequest) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB."""
    theme, options, orbit = THEMES[request.theme], request.options, request.orbit
    image = np.empty((request.height, request.width, 3), np.uint8)
    image[:] = _bytes(np.array(theme.background))
    hands = sorted(request.scene.hands, key=lambda hand: -_distance(hand.root_m, orbit))
    px = view_pixel(orbit, request.height, request.pixel_ratio)
    rig = marks.rig_strokes(request.scene.camera, theme, options, orbit)
    behind = [hand for hand in hands if _distance(hand.root_m, orbit) > _distance(np.zeros(3), orbit)]
    if options.grid:
        for hand in hands:
            _shadow(image, hand, theme, orbit)
        _strokes(image, marks.floor_strokes(theme), orbit, px)
    for hand in behind:
        _hand(image, hand, theme, request)
    _strokes(image, rig, orbit, px)
    for hand in hands[len(behind) :]:
        _hand(image, hand, theme, request)
    return image


def _hand(image: NDArray[np.uint8], hand: SceneHand, theme: Theme, request: RenderRequest) -> None:
    options, orbit = request.options, request.orbit
    px = view_pixel(orbit, request.height, request.pixel_ratio)
    _strokes(image, marks.path_strokes(hand, theme, options), orbit, px)
    if options.mesh and len(hand.faces):
        _mesh(image, hand, theme, orbit)
    _strokes(image, marks.bone_strokes(hand, options), orbit, px)
    _strokes(image, marks.ellipsoid_strokes(hand, theme, options), orbit, px)
    _strokes(image, marks.mute_strokes(hand, theme), orbit, px)
    _balls(image, marks.balls(hand, theme, options), orbit)


def _shadow(image: NDArray[np.uint8], hand: SceneHand, theme: Theme, orbit: Orbit) -> None:
    rings, colours = marks.shadow_rings(hand, theme)
    for ring, colour in zip(rings[:-1], _bytes(0.5 * (colours[:-1] + colours[1:])).tolist(), strict=True):
        pixels, depths = orbit.project(ring, image.shape[1], image.shape[0])
        if depths.min() > NEAR_M:
            cv2.fillConvexPoly(image, _fixed(pixels), colour, cv2.LINE_AA, _SHIFT)


def _mesh(image: NDArray[np.uint8], hand: SceneHand, theme: Theme, orbit: Orbit) -> None:
    pixels, depths = orbit.project(hand.vertices_m, image.shape[1], image.shape[0])
    colours = shaded(vertex_normals(hand.vertices_m, hand.faces), theme.hand(hand.side, hand.recorded), orbit)
    corners = pixels[hand.faces]  # (F, 3, 2)
    (abx, aby), (acx, acy) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    # Counter-clockwise seen from outside, and y points down in the picture.
    faces = hand.faces[(abx * acy - aby * acx < 0) & (depths[hand.faces].min(axis=1) > NEAR_M)]
    faces = faces[np.argsort(-depths[faces].sum(axis=1))]
    triangles = _fixed(pixels)[faces]
    for triangle, colour in zip(triangles, _bytes(colours[faces].mean(axis=1)).tolist(), strict=True):
        cv2.fillConvexPoly(image, triangle, colour, cv2.LINE_8, _SHIFT)


def _strokes(image: NDArray[np.uint8], segments: Segments, orbit: Orbit, px: float) -> None:
    shown = segments.radii_m > 0
    ends, clear = _clipped(segments.ends_m[shown], orbit)
    height, width = image.shape[:2]
    pixels, depths = orbit.project(ends.reshape(-1, 3), width, height)
    middle = np.maximum(depths.reshape(-1, 2).mean(axis=1), NEAR_M)
    half_px = np.maximum(segments.radii_m[shown] / middle, segments.least_px[shown] * px) * orbit.focal_px(height)
    widths = np.clip(np.rint(2.0 * half_px - 0.7), 1, 40).astype(int)[clear].tolist()
    colours = _bytes(segments.colours[shown].mean(axis=1))[clear].tolist()
    for (a, b), colour, thickness in zip(
        _fixed(pixels).reshape(-1, 2, 2)[clear].tolist(), colours, widths, strict=True
    ):
        cv2.line(image, a, b, colour, thickness, cv2.LINE_AA, _SHIFT)


def _balls(image: NDArray[np.uint8], balls: Balls, orbit: Orbit) -> None:
    height, width = image.shape[:2]
    pixels, depths = orbit.project(balls.centres_m, width, height)
    for index in np.argsort(-depths):
        if balls.radii_m[index] <= 0 or depths[index] < NEAR_M:
            continue
        radius_px = min(balls.radii_m[index] * orbit.focal_px(height) / depths[index], float(height))
        centre = _fixed(pixels[index])
        rim, face = _bytes(0.62 * balls.colours[index]).tolist(), _bytes(balls.colours[index]).tolist()
        cv2.circle(image, centre.tolist(), int(radius_px * 2**_SHIFT), rim, -1, cv2.LINE_AA, _SHIFT)
        lit = centre - int(0.15 * radius_px * 2**_SHIFT)
        cv2.circle(image, lit.tolist(), int(0.72 * radius_px * 2**_SHIFT), face, -1, cv2.LINE_AA, _SHIFT)


def _clipped(ends_m: Floats, orbit: Orbit) -> tuple[Floats, NDArray[np.bool_]]:
    """Strokes cut off at the near plane, and which of them are left at all."""
    depths = (ends_m - orbit.eye_m()) @ orbit.axes()[2]
    span = depths[:, 1] - depths[:, 0]
    cut = (NEAR_M - depths[:, 0]) / np.where(np.abs(span) < 1e-12, 1e-12, span)
    crossing = (ends_m[:, 0] + np.clip(cut, 0.0, 1.0)[:, None] * (ends_m[:, 1] - ends_m[:, 0]))[:, None]
    return np.where((depths < NEAR_M)[:, :, None], crossing, ends_m), (depths >= NEAR_M).any(axis=1)


def _fixed(pixels: Floats) -> NDArray[np.int32]:
    """View pixels to OpenCV's fixed point, whose origin is the centre of the first pixel; kept within its range."""
    return np.rint((np.clip(pixels, -3e4, 3e4) - 0.5) * 2**_SHIFT).astype(np.int32)


def _bytes(colours: Floats) -> NDArray[np.uint8]:
    return np.rint(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.uint8)


def _distance(point_m: Floats, orbit: Orbit) -> float:
    return float(np.linalg.norm(np.asarray(point_m) - orbit.eye_m()))
