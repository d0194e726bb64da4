"""What the scene is made of besides the hand meshes: strokes and balls, from plain state. Both renderers draw these.

World frame: OpenCV camera frame, metres. The number of strokes of each function is constant.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from app.viewport.colours import Floats, Theme, weight_colours
from app.viewport.orbit import Orbit
from app.viewport.protocol import CameraView, SceneHand, ViewOptions
from app.viewport.scene_geometry import Balls, Segments, covariance_axes, sphere
from handdgp_core.hands.keypoints import BONES, COUNT

__all__ = [
    "CELL_M",
    "FLOOR_Y_M",
    "GRID_HALF_WIDTH_M",
    "GRID_LENGTH_M",
    "balls",
    "bone_strokes",
    "ellipsoid_strokes",
    "floor_strokes",
    "frustum_corners",
    "mute_strokes",
    "path_strokes",
    "rig_strokes",
    "shadow_rings",
    "shell_points",
]

# The grid lies below the camera as a table would; one cell is 10 cm.
CELL_M, FLOOR_Y_M, GRID_HALF_WIDTH_M, GRID_LENGTH_M = 0.1, 0.2, 0.3, 1.0
FRUSTUM_DEPTH_M, AXIS_LENGTH_M = 0.10, 0.06
TRAIL_STROKES, RING_STROKES, FOOT_STROKES, DASHES, ARROW_STROKES = 48, 28, 24, 10, 5
SHADOW_RINGS, SHADOW_POINTS, SHADOW_DEPTH = 6, 32, 0.42
RECORDED_BONE = (0.97, 0.60, 0.13)
KEYPOINT_RADIUS_M, BONE_RADIUS_M, ROOT_RADIUS_M = 0.0040, 0.0019, 0.0058


@lru_cache(maxsize=4)
def floor_strokes(theme: Theme) -> Segments:
    """The metric grid: lines every 10 cm, the line below the optical axis and every half metre stronger."""
    strokes, colours = [], []
    for x in _steps(-GRID_HALF_WIDTH_M, GRID_HALF_WIDTH_M):
        for z in _steps(0.0, GRID_LENGTH_M - CELL_M):
            strokes.append([(x, FLOOR_Y_M, z), (x, FLOOR_Y_M, z + CELL_M)])
            colours.append(theme.floor_strong if abs(x) < 1e-6 else theme.floor_line)
    for z in _steps(0.0, GRID_LENGTH_M):
        for x in _steps(-GRID_HALF_WIDTH_M, GRID_HALF_WIDTH_M - CELL_M):
            strokes.append([(x, FLOOR_Y_M, z), (x + CELL_M, FLOOR_Y_M, z)])
            colours.append(theme.floor_strong if abs(z / 0.5 - round(z / 0.5)) < 1e-6 else theme.floor_line)
    return Segments.make(strokes, np.array(colours)[:, None], 0.0004, 0.6)


def rig_strokes(camera: CameraView | None, theme: Theme, options: ViewOptions, orbit: Orbit) -> Segments:
    """The camera's frustum with its up mark, and the three axes at the origin. Nothing for a viewer who looks through
    the camera: its own body would fill the view."""
    outside = float(np.linalg.norm(orbit.eye_m())) > FRUSTUM_DEPTH_M
    show_camera = outside and options.frustum and camera is not None
    corners = _frustum_corners(camera or CameraView(4, 3, (4.0, 4.0, 1.5, 1.0)))
    middle = corners.mean(axis=0)
    top = 0.5 * (corners[0] + corners[1])
    peak = top + 0.35 * (top - middle)
    pairs = [(np.zeros(3), corner) for corner in corners]
    pairs += [(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    pairs += [(corners[0] * 0.6 + corners[1] * 0.4, peak), (corners[0] * 0.4 + corners[1] * 0.6, peak)]
    frustum = Segments.make(pairs, theme.camera, 0.0012 if show_camera else 0.0, 0.9)
    origin = np.zeros(3)
    arrows = Segments.make(
        [(origin, AXIS_LENGTH_M * axis) for axis in np.eye(3)],
        np.array([theme.axis_x, theme.axis_y, theme.axis_z])[:, None],
        0.0018 if outside and options.axes else 0.0,
        1.2,
    )
    return Segments.join([frustum, arrows])


def path_strokes(hand: SceneHand | None, theme: Theme, options: ViewOptions) -> Segments:
    """The fading trail of the root, and the dashed line down to a ring on the grid, which shows where a hand stands."""
    if hand is None:
        return Segments.hidden(TRAIL_STROKES + DASHES + FOOT_STROKES)
    root = np.asarray(hand.root_m, dtype=np.float64)
    foot = np.array([root[0], FLOOR_Y_M, root[2]])
    shown = options.grid and root[1] < FLOOR_Y_M
    colour = 0.55 * np.array(theme.hand(hand.side, hand.recorded)) + 0.45 * np.array(theme.floor_strong)
    cuts = np.linspace(0.0, 1.0, 2 * DASHES + 1)[:, None]
    points = root + cuts * (foot - root)
    dashes = Segments.make(np.stack([points[:-1:2], points[1::2]], axis=1), colour, 0.0006 if shown else 0.0, 0.6)
    circle = _circle(FOOT_STROKES)
    ring = foot + 0.018 * (circle[:, :1] * np.array([1.0, 0, 0]) + circle[:, 1:] * np.array([0, 0, 1.0]))
    foot_ring = Segments.make(_closed(ring), colour, 0.0008 if shown else 0.0, 0.8)
    return Segments.join([_trail(hand, theme, options), dashes, foot_ring])


def bone_strokes(hand: SceneHand | None, options: ViewOptions) -> Segments:
    """Bones coloured by the weights at their ends."""
    if hand is None:
        return Segments.hidden(len(BONES))
    pairs = np.array(BONES)
    if hand.recorded:  # its skeleton would hide the other's: bones alone, thin
        return Segments.make(hand.keypoints_m[pairs], RECORDED_BONE, 0.5 * BONE_RADIUS_M * options.skeleton, 0.8)
    rgb = weight_colours(hand.weights)
    return Segments.make(hand.keypoints_m[pairs], rgb[pairs], BONE_RADIUS_M if options.skeleton else 0.0, 1.0)


def ellipsoid_strokes(hand: SceneHand | None, theme: Theme, options: ViewOptions) -> Segments:
    """The three great ellipses of the root's 2 sigma ellipsoid."""
    if hand is None:
        return Segments.hidden(3 * RING_STROKES)
    axes = covariance_axes(hand.root_covariance_m2)
    circle = _circle(RING_STROKES)
    rings = []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        rings.append(_closed(hand.root_m + circle[:, :1] * axes[i] + circle[:, 1:] * axes[j]))
    shown = 0.0004 if options.ellipsoid and np.any(axes) else 0.0
    return Segments.make(np.concatenate(rings), theme.ellipsoid, shown, 0.6)


def balls(hand: SceneHand | None, theme: Theme, options: ViewOptions) -> Balls:
    """Keypoints coloured by weight, the root, the unsmoothed, the true and the unmuted root: always 25 balls."""
    count = COUNT + 4
    if hand is None:
        return Balls(np.zeros((count, 3)), np.zeros((count, 3)), np.zeros(count))
    centres = np.zeros((count, 3))
    radii = np.zeros(count)
    root = theme.recorded if hand.recorded else theme.root
    colours = np.concatenate([weight_colours(hand.weights), [root, theme.ghost, theme.truth, theme.ghost]])
    centres[:COUNT] = hand.keypoints_m
    radii[:COUNT] = KEYPOINT_RADIUS_M if options.skeleton and not hand.recorded else 0.0
    extras = (
        (hand.root_m, True), (hand.raw_root_m, options.raw_root), (hand.truth_root_m, options.truth_root),
        (hand.unmuted_root_m, True),
    )  # fmt: skip
    for index, (place, shown) in enumerate(extras, COUNT):
        if place is not None and shown and np.all(np.isfinite(place)):
            centres[index], radii[index] = place, ROOT_RADIUS_M if index == COUNT else 0.0052
    return Balls(centres, colours, radii)


def mute_strokes(hand: SceneHand | None, theme: Theme) -> Segments:
    """An arrow from where the root would be without muting to where it is: a shaft and a head of four strokes."""
    if hand is None or hand.unmuted_root_m is None or not np.all(np.isfinite(hand.unmuted_root_m)):
        return Segments.hidden(ARROW_STROKES)
    start, end = np.asarray(hand.unmuted_root_m, dtype=np.float64), np.asarray(hand.root_m, dtype=np.float64)
    length = float(np.linalg.norm(end - start))
    if length < 1e-5:
        return Segments.hidden(ARROW_STROKES)
    along = (end - start) / length
    side = np.cross(along, (0.0, 1.0, 0.0) if abs(along[1]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    barb = min(0.35 * length, 0.012)
    turned = [side, -side, np.cross(along, side), -np.cross(along, side)]
    strokes = [(start, end), *((end, end - barb * (along - 0.6 * other)) for other in turned)]
    return Segments.make(strokes, theme.arrow, 0.0012, 1.4)


def shadow_rings(hand: SceneHand, theme: Theme) -> tuple[Floats, Floats]:
    """A soft shadow on the grid below a hand, the fainter the higher the hand is.

    Returns:
        (R, N, 3) rings from the outermost inwards, metres, and (R, 3) their colours, that of the outermost being the
        background's.
    """
    points = hand.keypoints_m[:, [0, 2]]
    middle = points.mean(axis=0)
    half = np.maximum(1.6 * points.std(axis=0), 0.02) + 0.012
    height = max(0.0, FLOOR_Y_M - float(hand.keypoints_m[:, 1].max()))
    dark = SHADOW_DEPTH * np.exp(-height / 0.35) * (height > 0.0)
    half = half * (1.0 + height)  # farther from the ground a shadow is wider
    circle, shares = _circle(SHADOW_POINTS), np.linspace(1.0, 0.0, SHADOW_RINGS)
    flat = middle + shares[:, None, None] * half * circle
    rings = np.stack([flat[..., 0], np.full(flat.shape[:2], FLOOR_Y_M + 0.001), flat[..., 1]], axis=2)
    strength = dark * (1.0 - shares**2) ** 2
    return rings, np.array(theme.background) * (1.0 - strength[:, None])


def shell_points(hand: SceneHand) -> Floats:
    """(42, 3) points of the surface of the root's 2 sigma ellipsoid, metres; all in the root where none is known."""
    return np.asarray(hand.root_m + sphere() @ covariance_axes(hand.root_covariance_m2))


def frustum_corners(camera: CameraView | None, orbit: Orbit) -> Floats | None:
    """(4, 3) the corners of the image in the frustum, from the top left on; None where the frustum is not shown."""
    if camera is None or float(np.linalg.norm(orbit.eye_m())) <= FRUSTUM_DEPTH_M:
        return None
    return _frustum_corners(camera)


def _trail(hand: SceneHand, theme: Theme, options: ViewOptions) -> Segments:
    if not options.trail or len(hand.trail_m) < 2:
        return Segments.hidden(TRAIL_STROKES)
    rows = np.asarray(hand.trail_m, dtype=np.float64)
    index = np.linspace(0.0, len(rows) - 1.0, TRAIL_STROKES + 1)
    points = np.stack([np.interp(index, np.arange(len(rows)), column) for column in rows.T], axis=1)
    fresh = 1.0 - np.clip(points[:, 3:], 0.0, 1.0)
    colours = fresh * np.array(theme.hand(hand.side, hand.recorded)) + (1.0 - fresh) * np.array(theme.background)
    radii = 0.0004 + 0.0014 * 0.5 * (fresh[:-1, 0] + fresh[1:, 0])
    ends = np.stack([points[:-1, :3], points[1:, :3]], axis=1)
    return Segments.make(ends, np.stack([colours[:-1], colours[1:]], axis=1), radii, 0.8)


def _frustum_corners(camera: CameraView) -> Floats:
    fx, fy, cx, cy = camera.pinhole_px
    left, right, top, bottom = -0.5, camera.width - 0.5, -0.5, camera.height - 0.5
    pixels = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    rays = np.column_stack([(pixels - (cx, cy)) / (fx, fy), np.ones(4)])
    return FRUSTUM_DEPTH_M * rays


def _circle(count: int) -> Floats:
    turn = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _closed(points: Floats) -> Floats:
    return np.stack([points, np.roll(points, -1, axis=0)], axis=1)


def _steps(first: float, last: float) -> Floats:
    return np.linspace(first, last, round((last - first) / CELL_M) + 1)
